#include "agent/pass.h"

#include <errno.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "agent/mended.h"
#include "agent/program.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

#define BOOT_ID        "/proc/sys/kernel/random/boot_id"
#define DEFAULT_BUDGET 3U

int
pass_boot_id(struct host *host, char **out, struct err *err)
{
	return host_read_line(host, BOOT_ID, out, err);
}

static Gdr__Item *
to_item(const struct item *from)
{
	Gdr__Item *item = xcalloc(1, sizeof(*item));

	gdr__item__init(item);
	item->key = xstrdup(from->key);
	item->want = xstrdup(from->want);
	item->have = xstrdup(from->have);
	item->has_fix = true;
	item->fix = (Gdr__Fix)from->fix;
	item->why = from->why ? xstrdup(from->why) : NULL;
	item->factory = from->factory ? xstrdup(from->factory) : NULL;
	item->next = from->next ? xstrdup(from->next) : NULL;
	item->check = from->check ? (Gdr__Check *)pb_copy(&from->check->base) : NULL;
	item->has_measured_ms = from->measured_ms > 0;
	item->measured_ms = from->measured_ms;
	return item;
}

static void
add_layer(void *arg, const char *name, const struct report *from, const struct err *err)
{
	Gdr__Report *report = arg;
	Gdr__LayerReport *layer = xcalloc(1, sizeof(*layer));

	gdr__layer_report__init(layer);
	layer->name = xstrdup(name);
	layer->error = err->code ? xstrdup(err->msg) : NULL;
	layer->items = xcalloc(from->n ? from->n : 1, sizeof(*layer->items));
	for (size_t i = 0; i < from->n; i++) {
		const struct item *item = &from->items[i];

		layer->items[layer->n_items++] = to_item(item);
		if (item->had)
			mended_add(report, name, item->key, item->had, item->have);
	}
	report->layers = xrealloc(report->layers, report->n_layers + 1, sizeof(*report->layers));
	report->layers[report->n_layers++] = layer;
	report->vms = xrealloc(report->vms, report->n_vms + from->n_vms + 1, sizeof(*report->vms));
	for (size_t i = 0; i < from->n_vms; i++)
		report->vms[report->n_vms++] = (Gdr__Vm *)pb_copy(&from->vms[i]->base);
}

static Gdr__Report *
new_report(const struct journal *journal, const Gdr__Desired *desired)
{
	Gdr__Report *report = xcalloc(1, sizeof(*report));

	gdr__report__init(report);
	report->boot_id = xstrdup(journal_boot_id(journal));
	report->version = xstrdup(GDR_VERSION);
	report->has_outcome = true;
	report->outcome = GDR__OUTCOME__OUTCOME_SETTLED;
	if (!desired)
		return report;
	report->has_generation = true;
	report->generation = desired->generation;
	report->spec_hash = desired->spec_hash ? xstrdup(desired->spec_hash) : NULL;
	report->has_mode = true;
	report->mode = desired->has_mode ? desired->mode : GDR__MODE__MODE_ENFORCE;
	return report;
}

static void
set_why(Gdr__Report *report, Gdr__Outcome outcome, char *why)
{
	report->outcome = outcome;
	free(report->why);
	report->why = why;
}

/* What ends every loop of reboots, whatever brought it about. */
static void
apply_budget(Gdr__Report *report, const struct journal *journal, const Gdr__Desired *desired)
{
	const Gdr__RebootSpec *reboot = desired->spec->reboot;
	unsigned budget = reboot && reboot->has_budget ? reboot->budget : DEFAULT_BUDGET;
	unsigned used = desired->spec_hash ? journal_reboots(journal, desired->spec_hash) : 0;

	report->has_reboots_used = report->has_reboot_budget = true;
	report->has_reboots_wanted = report->reboots_wanted > 0;
	report->reboots_used = used;
	report->reboot_budget = budget;
	if (report->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT && used >= budget)
		set_why(report, GDR__OUTCOME__OUTCOME_STUCK,
			xasprintf("%u of %u reboots were used and this is still not right: %s", used, budget,
				  report->why ? report->why : "?"));
}

/* Everything that a layer may look at; the caller frees '*inventory' and closes 'out->pci'. */
static int
open_machine(struct host *host, const struct journal *journal, struct machine *out, Gdr__Inventory **inventory,
	     struct err *err)
{
	struct err pci_err = { 0 };

	*out = (struct machine){ .host = host, .journal = journal };
	/* A machine without PCI is one with nothing to find on it: the layers say so, item by item. */
	if (pci_open(host, &out->pci, &pci_err) < 0)
		out->pci = NULL;
	int rc = inventory_read(host, out->pci, inventory, err);
	out->inventory = *inventory;
	if (rc < 0)
		pci_close(out->pci);
	return rc;
}

int
pass_run(const struct program *program, struct host *host, struct journal *journal, const Gdr__Desired *desired,
	 enum converge_how how, Gdr__Report **out, struct err *err)
{
	Gdr__Inventory *inventory = NULL;
	struct machine machine;
	int rc = open_machine(host, journal, &machine, &inventory, err);

	if (rc < 0)
		return rc;
	Gdr__Report *report = new_report(journal, desired);
	if (desired && desired->spec) {
		struct converge_result result = converge(&machine, journal, program->layers, program->n_layers,
							 desired->spec, how, add_layer, report);
		set_why(report, result.outcome, *result.why ? xstrdup(result.why) : NULL);
		report->reboots_wanted = result.boots;
		report->has_may_reset = report->may_reset = result.reload && journal_may_reset(journal);
		apply_budget(report, journal, desired);
	}
	report->inventory = inventory;
	pci_close(machine.pci);
	*out = report;
	return 0;
}

int
pass_reload(const struct program *program, struct host *host, const struct journal *journal,
	    const Gdr__Desired *desired, struct err *err)
{
	Gdr__Inventory *inventory = NULL;
	struct machine machine;
	int rc = open_machine(host, journal, &machine, &inventory, err);

	if (rc < 0)
		return rc;
	rc = converge_reload(&machine, program->layers, program->n_layers, desired->spec, err);
	inventory_free(inventory);
	pci_close(machine.pci);
	return rc;
}
