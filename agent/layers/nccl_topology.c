#include "agent/layers/nccl_topology.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/nccl_facts.h"
#include "agent/machine/smbios.h"
#include "agent/vm/topology.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/nccltopo.h"

struct making {
	const struct machine *machine;
	const struct ib_ports *ports;
	struct nccltopo_node *system;
	unsigned groups;
};

static const char *
net_of(const struct making *making, const char *address)
{
	for (size_t i = 0; i < making->ports->n; i++)
		if (strcmp(making->ports->v[i].address, address) == 0)
			return making->ports->v[i].name;
	return NULL;
}

static bool
is_endpoint(const struct making *making, const Gdr__PciDevice *device)
{
	return device->kind == GDR__PCI_DEVICE__KIND__GPU ||
	       (device->kind == GDR__PCI_DEVICE__KIND__NIC && net_of(making, device->address));
}

/* --- from the PCI tree ------------------------------------------------------------------------------------------ */

static unsigned
cell_of(const Gdr__PciDevice *device)
{
	return device->has_numa_node && device->numa_node >= 0 ? (unsigned)device->numa_node : 0;
}

static bool
same_group(const Gdr__PciDevice *a, const Gdr__PciDevice *b)
{
	if (a->switch_group && b->switch_group)
		return strcmp(a->switch_group, b->switch_group) == 0;
	return !a->switch_group && !b->switch_group &&
	       strncmp(a->address, b->address, strcspn(a->address, ".") - 2) == 0;
}

static void
name_net(struct nccltopo_node *pci, const char *name)
{
	struct nccltopo_node *nic = nccltopo_child(pci, "nic");
	nic = nic ? nic : nccltopo_add(pci, "nic");
	struct nccltopo_node *net = nccltopo_child(nic, "net");

	nccltopo_set(net ? net : nccltopo_add(nic, "net"), "name", name);
}

static void
add_endpoint(const struct making *making, struct nccltopo_node *bridge, const Gdr__PciDevice *device)
{
	struct nccltopo_node *pci = nccltopo_add(bridge, "pci");
	auto_free char *class = xasprintf("0x%06x", device->class_code);

	nccltopo_set(pci, "busid", device->address);
	nccltopo_set(pci, "class", class);
	nccltopo_set_link(pci, device->max_link_speed, device->max_link_width);
	if (device->kind == GDR__PCI_DEVICE__KIND__NIC)
		name_net(pci, net_of(making, device->address));
}

static bool
is_member(const struct making *making, const Gdr__PciDevice *device, const Gdr__PciDevice *head)
{
	return is_endpoint(making, device) && same_group(device, head);
}

static double
speed_of(const Gdr__PciDevice *device)
{
	return device->max_link_speed ? strtod(device->max_link_speed, NULL) : 0;
}

/* The group of 'first', unless an earlier device has brought it. */
static void
add_group(struct making *making, struct nccltopo_node *cpu, size_t first)
{
	const Gdr__Inventory *inventory = making->machine->inventory;
	const Gdr__PciDevice *head = inventory->pci[first];
	const Gdr__PciDevice *fastest = head;

	for (size_t i = 0; i < first; i++)
		if (is_member(making, inventory->pci[i], head))
			return;
	struct nccltopo_node *bridge = nccltopo_add(cpu, "pci");
	auto_free char *busid = xasprintf("ffff:ff:%02x.0", making->groups++ & 0xff);
	nccltopo_set(bridge, "busid", busid);
	nccltopo_set(bridge, "class", "0x060400");
	for (size_t i = first; i < inventory->n_pci; i++)
		if (is_member(making, inventory->pci[i], head) && speed_of(inventory->pci[i]) > speed_of(fastest))
			fastest = inventory->pci[i];
	nccltopo_set_link(bridge, fastest->max_link_speed, fastest->max_link_width);
	for (size_t i = first; i < inventory->n_pci; i++)
		if (is_member(making, inventory->pci[i], head))
			add_endpoint(making, bridge, inventory->pci[i]);
}

static void
add_cell(struct making *making, const Gdr__NumaNode *cell)
{
	const Gdr__Inventory *inventory = making->machine->inventory;
	struct nccltopo_node *cpu = nccltopo_add(making->system, "cpu");
	auto_free char *id = xasprintf("%u", cell->id);
	auto_free char *affinity = cell->cpulist ? nccltopo_affinity(cell->cpulist, inventory->cpus) : NULL;

	nccltopo_set(cpu, "numaid", id);
	if (affinity && *affinity)
		nccltopo_set(cpu, "affinity", affinity);
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (is_endpoint(making, inventory->pci[i]) && cell_of(inventory->pci[i]) == cell->id)
			add_group(making, cpu, i);
}

static struct nccltopo_node *
from_machine(struct making *making)
{
	const Gdr__Inventory *inventory = making->machine->inventory;
	struct nccltopo_node *root = nccltopo_new();

	making->system = nccltopo_add(root, "system");
	nccltopo_set(making->system, "version", "1");
	for (size_t i = 0; i < inventory->n_numa; i++)
		add_cell(making, inventory->numa[i]);
	return root;
}

/* --- from a template --------------------------------------------------------------------------------------------- */

/* The guest alone knows what its RDMA devices are called. */
static void
name_nets(const struct making *making, struct nccltopo_node *root)
{
	for (size_t i = 0; i < making->ports->n; i++) {
		const struct ib_port *port = &making->ports->v[i];
		struct nccltopo_node *pci = *port->address ? nccltopo_find_pci(root, port->address) : NULL;
		if (pci)
			name_net(pci, port->name);
	}
}

/* NULL: NCCL would not read it, and 'err' says why. */
static struct nccltopo_node *
parse(const char *where, const char *text, size_t len, struct err *err)
{
	struct nccltopo_error error;
	struct nccltopo_node *root = nccltopo_parse(text, len, 0, &error);

	if (!root)
		(void)err_set(err, -EBADMSG, "%s:%u:%u: %s", where, error.line, error.col, error.what);
	return root;
}

static struct nccltopo_node *
from_file(const struct making *making, const char *path, struct err *err)
{
	auto_free char *text = NULL;
	size_t len;

	if (host_read(making->machine->host, path, &text, &len, err) < 0)
		return NULL;
	struct nccltopo_node *root = parse(path, text, len, err);
	if (root)
		name_nets(making, root);
	return root;
}

/* --- from the definition's, if that fits ---------------------------------------------------------------------------- */

static const struct nccltopo_node *
cell_above(const struct nccltopo_node *node)
{
	while (node && strcmp(node->name, "cpu") != 0)
		node = node->parent;
	return node;
}

/* One endpoint of the template at its place; NULL, or what is otherwise. */
static char *
misplaced(const Gdr__Inventory *inventory, const struct nccltopo_node *pci)
{
	const char *address = nccltopo_get(pci, "busid");
	const char *class = nccltopo_get(pci, "class");
	const struct nccltopo_node *cpu = cell_above(pci);
	const char *cell = cpu ? nccltopo_get(cpu, "numaid") : NULL;
	const Gdr__PciDevice *device = address ? inventory_device(inventory, address) : NULL;

	if (!device || !class || strtoul(class, NULL, 16) != device->class_code)
		return xasprintf("%s is not here", address ? address : "a device without bus id");
	if (device->has_numa_node && device->numa_node >= 0 &&
	    (!cell || strtol(cell, NULL, 10) != (long)device->numa_node))
		return xasprintf("%s is on another NUMA node", address);
	return NULL;
}

/* Two that the template has behind one bridge are behind one here, and no others. */
static char *
regrouped(const struct making *making, const struct nccltopo_node *root, size_t i, size_t j)
{
	const Gdr__PciDevice *a = making->machine->inventory->pci[i];
	const Gdr__PciDevice *b = making->machine->inventory->pci[j];

	if (!is_endpoint(making, a) || !is_endpoint(making, b) ||
	    same_group(a, b) ==
		    (nccltopo_find_pci(root, a->address)->parent == nccltopo_find_pci(root, b->address)->parent))
		return NULL;
	return xasprintf("%s and %s are %s one switch here", a->address, b->address,
			 same_group(a, b) ? "behind" : "not behind");
}

/* NULL: the template is of this very VM; else what is otherwise here.  The caller frees. */
static char *
misfit(const struct making *making, const struct nccltopo_node *root)
{
	const Gdr__Inventory *inventory = making->machine->inventory;
	char *why = NULL;

	for (const struct nccltopo_node *node = nccltopo_next(root); node && !why; node = nccltopo_next(node))
		if (strcmp(node->name, "pci") == 0 && !nccltopo_virtual(node))
			why = misplaced(inventory, node);
	for (size_t i = 0; i < inventory->n_pci && !why; i++)
		if (is_endpoint(making, inventory->pci[i]) && !nccltopo_find_pci(root, inventory->pci[i]->address))
			why = xasprintf("it does not have %s", inventory->pci[i]->address);
	for (size_t i = 0; i < inventory->n_pci && !why; i++)
		for (size_t j = i + 1; j < inventory->n_pci && !why; j++)
			why = regrouped(making, root, i, j);
	return why;
}

/* --- the file ------------------------------------------------------------------------------------------------------- */

/* What NCCL would make of the text: NULL, or the first error.  The caller frees. */
static char *
lint(const struct machine *machine, const struct buf *text)
{
	struct nccl_facts *facts = nccl_facts_read(machine->host, machine->inventory);
	struct nccltopo_findings findings;
	char *wrong = NULL;

	nccltopo_lint(text->text, text->len, nccl_facts_get(facts), &findings);
	for (size_t i = 0; i < findings.n && !wrong; i++)
		if (findings.list[i].rule->severity == NCCLTOPO_ERROR)
			wrong = xasprintf("%s: %s; %s", findings.list[i].rule->id, findings.list[i].text,
					  findings.list[i].rule->remedy);
	nccltopo_findings_free(&findings);
	nccl_facts_free(facts);
	return wrong;
}

/* Takes the tree. */
static void
print(const struct making *making, struct nccltopo_node *root, const char *from, struct nccl_topology *out)
{
	buf_free(&out->text);
	nccltopo_write(root, &out->text);
	nccltopo_free(root);
	out->from = from;
	free(out->wrong);
	out->wrong = lint(making->machine, &out->text);
}

/* False: '*why' says why there is nothing to make it of, or why that is no good. */
static bool
print_definitions(const struct making *making, struct nccl_topology *out)
{
	auto_free char *text = NULL;
	struct err err = { 0 };
	size_t len = 0;
	struct nccltopo_node *root = NULL;

	if (smbios_read(making->machine->host, VM_TOPOLOGY_CREDENTIAL, &text, &len, &err) == 0)
		root = parse("the definition's template", text, len, &err);
	if (!root) {
		out->why = xstrdup(err.msg);
		return false;
	}
	out->why = misfit(making, root);
	if (out->why) {
		nccltopo_free(root);
		return false;
	}
	name_nets(making, root);
	print(making, root, "definition", out);
	out->why = out->wrong ? xstrdup(out->wrong) : NULL;
	return !out->wrong;
}

static bool
has_gpu(const Gdr__Inventory *inventory)
{
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU)
			return true;
	return false;
}

int
nccl_topology_make(const struct machine *machine, const Gdr__NcclSpec *spec, const struct ib_ports *ports,
		   struct nccl_topology *out, struct err *err)
{
	struct making making = { .machine = machine, .ports = ports };

	*out = (struct nccl_topology){ 0 };
	if (!has_gpu(machine->inventory))
		return err_set(err, -ENOENT, "no GPU is on the PCI bus");
	if (spec->topology_template) {
		struct nccltopo_node *root = from_file(&making, spec->topology_template, err);
		if (!root)
			return err->code;
		print(&making, root, "file", out);
	} else if (!print_definitions(&making, out)) {
		print(&making, from_machine(&making), "own PCI tree", out);
	}
	return 0;
}

void
nccl_topology_free(struct nccl_topology *topology)
{
	buf_free(&topology->text);
	free(topology->why);
	free(topology->wrong);
	*topology = (struct nccl_topology){ 0 };
}
