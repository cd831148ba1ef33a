#include "agent/layers/nccl_topology.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/host.h"
#include "agent/inventory.h"
#include "common/buf.h"
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
static struct nccltopo_node *
from_template(struct making *making, const char *path, struct err *err)
{
	auto_free char *text = NULL;
	struct nccltopo_error error;
	size_t len;

	if (host_read(making->machine->host, path, &text, &len, err) < 0)
		return NULL;
	struct nccltopo_node *root = nccltopo_parse(text, len, 0, &error);
	if (!root) {
		(void)err_set(err, -EBADMSG, "%s:%u:%u: %s", path, error.line, error.col, error.what);
		return NULL;
	}
	for (size_t i = 0; i < making->ports->n; i++) {
		const struct ib_port *port = &making->ports->v[i];
		struct nccltopo_node *pci = *port->address ? nccltopo_find_pci(root, port->address) : NULL;
		if (pci)
			name_net(pci, port->name);
	}
	return root;
}

int
nccl_topology_print(const struct machine *machine, const Gdr__NcclSpec *spec, const struct ib_ports *ports,
		    struct buf *out, struct err *err)
{
	struct making making = { .machine = machine, .ports = ports };
	const Gdr__Inventory *inventory = machine->inventory;
	bool any = false;

	for (size_t i = 0; i < inventory->n_pci; i++)
		any = any || inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU;
	if (!any)
		return err_set(err, -ENOENT, "no GPU is on the PCI bus");
	struct nccltopo_node *root = spec->topology_template ? from_template(&making, spec->topology_template, err)
							     : from_machine(&making);
	if (!root)
		return err->code;
	nccltopo_write(root, out);
	nccltopo_free(root);
	return 0;
}
