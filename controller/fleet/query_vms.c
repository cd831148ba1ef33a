/* query_vms.c - answers: the VMs that hosts tell of. */

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/fleet/impl.h"
#include "controller/fleet/query.h"
#include "controller/vmpair.h"

/* Its agent's layer nccl keeps the file: the host's template, completed. */
static bool
has_file(const struct node *guest)
{
	const Gdr__Report *report = guest ? guest->report : NULL;

	for (size_t i = 0; report && i < report->n_layers; i++) {
		const Gdr__LayerReport *layer = report->layers[i];

		for (size_t j = 0; layer->name && strcmp(layer->name, "nccl") == 0 && j < layer->n_items; j++)
			if (layer->items[j]->key && strcmp(layer->items[j]->key, "topology") == 0)
				return layer->items[j]->fix == GDR__FIX__FIX_NONE;
	}
	return false;
}

static void
add_pairs(Gdr__VmView *view, const Gdr__Vm *vm, const Gdr__Inventory *inventory, bool file)
{
	size_t n;
	auto_free struct vmpair *pairs = vmpair_list(vm, inventory, &n);

	view->pairs = xcalloc(n + 1, sizeof(*view->pairs));
	for (size_t i = 0; i < n; i++) {
		Gdr__VmPair *pair = xcalloc(1, sizeof(*pair));

		gdr__vm_pair__init(pair);
		pair->gpu = xstrdup(pairs[i].gpu->host ? pairs[i].gpu->host : "");
		pair->nic = xstrdup(pairs[i].nic->host ? pairs[i].nic->host : "");
		if (pairs[i].known)
			pair->host = xstrdup(nccltopo_distance_name(pairs[i].host));
		pair->guest = xstrdup(nccltopo_distance_name(pairs[i].guest));
		if (file)
			pair->file = xstrdup(nccltopo_distance_name(pairs[i].file));
		pair->why = vmpair_why(&pairs[i], file);
		view->pairs[view->n_pairs++] = pair;
	}
}

static Gdr__VmView *
view_of(const struct fleet *fleet, const struct node *node, const Gdr__Vm *vm, bool detail)
{
	Gdr__VmView *view = xcalloc(1, sizeof(*view));
	auto_free char *name = xasprintf("%s/%s", node->name, vm->name ? vm->name : "");
	const struct node *guest = fleet_node(fleet, name);

	gdr__vm_view__init(view);
	view->node = xstrdup(node->name);
	view->vm = (Gdr__Vm *)pb_copy(&vm->base);
	view->has_guest = guest != NULL;
	if (guest)
		view->guest = guest->state;
	if (detail)
		add_pairs(view, vm, node->report->inventory, has_file(guest));
	return view;
}

int
fleet_query_vms(struct fleet *fleet, const struct ask *ask, const Gdr__VmQuery *query, struct err *err)
{
	auto_free struct node **nodes = NULL;
	Gdr__Response *answer = ask->answer;
	size_t n;
	int rc = fleet_select(fleet, query->of, &nodes, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		const Gdr__Report *report = nodes[i]->report;

		for (size_t j = 0; report && j < report->n_vms; j++) {
			const Gdr__Vm *vm = report->vms[j];

			if (query->vm && (!vm->name || strcmp(query->vm, vm->name) != 0))
				continue;
			answer->vms = xrealloc(answer->vms, answer->n_vms + 1, sizeof(*answer->vms));
			answer->vms[answer->n_vms++] = view_of(fleet, nodes[i], vm, query->detail);
		}
	}
	if (rc == 0 && query->vm && answer->n_vms == 0)
		return err_set(err, -ENOENT, "there is no VM '%s' there; `gdrctl vm list` shows them", query->vm);
	return rc;
}
