#include "agent/vm/topology.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/machine/inventory.h"
#include "agent/machine/smbios.h"
#include "agent/vm/plan.h"
#include "common/buf.h"
#include "common/mem.h"

static bool
is_endpoint(const struct vm_device *device)
{
	return device->kind == GDR__PCI_DEVICE__KIND__GPU || device->kind == GDR__PCI_DEVICE__KIND__NIC;
}

/* --- without a file -------------------------------------------------------------------------------------- */

/* A controller's own address, as sysfs has it above what hangs below; an expander bus begins a tree of its own. */
static void
add_controller(const struct vm_plan *plan, unsigned index, struct buf *out)
{
	const struct vm_controller *controller = &plan->controllers[index];

	if (controller->model == VM_ROOT) {
		buf_puts(out, "/pci0000:00/");
	} else if (controller->model == VM_PXB) {
		buf_printf(out, "/pci0000:%02x/", controller->number);
		if (!plan->q35) /* The inner bridge of a conventional one. */
			buf_printf(out, "0000:%02x:00.0/", controller->number);
	} else {
		const struct vm_controller *above = &plan->controllers[controller->bus];

		add_controller(plan, controller->bus, out);
		buf_printf(out, "0000:%02x:%02x.0/", above->model == VM_PXB ? above->number : above->secondary,
			   controller->slot);
	}
}

static char *
path_of(const struct vm_plan *plan, const struct vm_device *device)
{
	struct buf out = { 0 };

	add_controller(plan, device->bus, &out);
	buf_puts(&out, device->guest);
	return buf_steal(&out);
}

enum nccltopo_distance
vm_topology_distance(const struct vm_plan *plan, const struct vm_device *a, const struct vm_device *b)
{
	auto_free char *path_a = path_of(plan, a);
	auto_free char *path_b = path_of(plan, b);

	return nccltopo_climb(path_a, (int)plan->groups[a->group].cell, path_b, (int)plan->groups[b->group].cell);
}

/* Pairs that belong together, and how many of them a CPU stands between. */
static size_t
count_pairs(const struct vm_plan *plan, size_t *lost)
{
	size_t n = 0;

	*lost = 0;
	for (size_t i = 0; i < plan->n_devices; i++)
		for (size_t j = 0; j < plan->n_devices; j++) {
			const struct vm_device *gpu = &plan->devices[i];
			const struct vm_device *nic = &plan->devices[j];

			if (gpu->kind != GDR__PCI_DEVICE__KIND__GPU || nic->kind != GDR__PCI_DEVICE__KIND__NIC ||
			    gpu->group != nic->group)
				continue;
			n++;
			*lost += vm_topology_distance(plan, gpu, nic) > NCCLTOPO_PXB;
		}
	return n;
}

static bool
has_slow_switch(const struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++)
		if (is_endpoint(&plan->devices[i]) && plan->controllers[plan->devices[i].bus].model == VM_DOWNSTREAM)
			return true;
	return false;
}

enum vm_topology_need
vm_topology_need(const struct vm_plan *plan, char **why)
{
	size_t lost;
	size_t pairs = count_pairs(plan, &lost);

	if (lost > 0) {
		*why = xasprintf(
			"needed: without it a CPU stands between GPU and NIC in %zu of %zu pairs (PHB), and GPU "
			"Direct RDMA stays off",
			lost, pairs);
		return VM_TOPOLOGY_DISTANCE;
	}
	if (has_slow_switch(plan)) {
		*why = xstrdup("needed for bandwidth: the distances are right without it, but NCCL takes an emulated "
			       "switch for 2.5 GT/s x1, 0.19 GB/s");
		return VM_TOPOLOGY_BANDWIDTH;
	}
	*why = xstrdup("not needed: NCCL finds the same by itself");
	return VM_TOPOLOGY_NONE;
}

/* --- the file -------------------------------------------------------------------------------------------- */

/* NULL: the host's link is not known. */
static void
set_link(struct nccltopo_node *pci, const Gdr__PciDevice *device)
{
	nccltopo_set_link(pci, device ? device->max_link_speed : NULL, device ? device->max_link_width : 0);
}

static void
add_endpoint(struct nccltopo_node *bridge, const struct vm_device *device)
{
	struct nccltopo_node *pci = nccltopo_add(bridge, "pci");
	auto_free char *class = xasprintf("0x%06x", device->seen->class_code);

	nccltopo_set(pci, "busid", device->guest);
	nccltopo_set(pci, "class", class);
	set_link(pci, device->seen);
}

/* Nothing, for a group without GPU and NIC. */
static void
add_group(struct nccltopo_node *cpu, const struct vm_plan *plan, size_t group, const Gdr__Inventory *inventory)
{
	struct nccltopo_node *bridge = NULL;

	for (size_t i = 0; i < plan->n_devices; i++) {
		if (plan->devices[i].group != group || !is_endpoint(&plan->devices[i]))
			continue;
		if (!bridge) {
			auto_free char *busid = xasprintf("ffff:ff:%02zx.0", group);

			bridge = nccltopo_add(cpu, "pci");
			nccltopo_set(bridge, "busid", busid);
			nccltopo_set(bridge, "class", "0x060400");
			set_link(bridge, inventory_device(inventory, plan->groups[group].host));
		}
		add_endpoint(bridge, &plan->devices[i]);
	}
}

struct nccltopo_node *
vm_topology_make(const struct vm_plan *plan, const Gdr__Inventory *inventory)
{
	struct nccltopo_node *root = nccltopo_new();
	struct nccltopo_node *system = nccltopo_add(root, "system");

	nccltopo_set(system, "version", "1");
	for (size_t i = 0; i < plan->n_cells; i++) {
		const struct vm_cell *cell = &plan->cells[i];
		struct nccltopo_node *cpu = nccltopo_add(system, "cpu");
		auto_free char *id = xasprintf("%zu", i);
		auto_free char *vcpus = xasprintf("%u-%u", cell->first_vcpu, cell->first_vcpu + cell->n_vcpus - 1);
		auto_free char *affinity = cell->n_vcpus > 0 ? nccltopo_affinity(vcpus, plan->n_cpus) : NULL;

		nccltopo_set(cpu, "numaid", id);
		if (affinity)
			nccltopo_set(cpu, "affinity", affinity);
		for (size_t g = 0; g < plan->n_groups; g++)
			if (plan->groups[g].cell == i)
				add_group(cpu, plan, g, inventory);
	}
	return root;
}

char *
vm_topology_to_smbios(const struct vm_plan *plan, const Gdr__Inventory *inventory)
{
	auto_free char *why = NULL;
	auto_buf struct buf text = { 0 };

	if (vm_topology_need(plan, &why) == VM_TOPOLOGY_NONE)
		return NULL;
	struct nccltopo_node *root = vm_topology_make(plan, inventory);
	nccltopo_write(root, &text);
	nccltopo_free(root);
	return smbios_credential(VM_TOPOLOGY_CREDENTIAL, text.text, text.len);
}
