/* plan_claim.c - which devices of the host a VM gets: GPUs, NVSwitches, VFs of the NICs that serve its GPUs, and
 * what is named by address.  A VF need not be there: where it will be follows from its PF's SR-IOV capability. */

#include <errno.h>

#include "agent/machine/inventory.h"
#include "agent/vm/plan_internal.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/rules.h"

#define IS(device, k) ((device)->kind == GDR__PCI_DEVICE__KIND__##k)

static bool
is_claimed(const struct vm_plan *plan, const char *address)
{
	for (size_t i = 0; i < plan->n_devices; i++)
		if (strcmp(plan->devices[i].host, address) == 0)
			return true;
	return false;
}

/* The VM that has the device, or NULL. */
static const struct vm_plan *
owner_of(const struct vm_host *host, const struct vm_plan *plan, const char *address)
{
	for (size_t i = 0; i < host->before->n; i++)
		if (is_claimed(&host->before->plan[i], address))
			return &host->before->plan[i];
	return is_claimed(plan, address) ? plan : NULL;
}

static struct vm_device *
add_device(struct vm_plan *plan, const Gdr__PciDevice *seen, const char *address)
{
	plan->devices = xrealloc(plan->devices, plan->n_devices + 1, sizeof(*plan->devices));
	struct vm_device *device = &plan->devices[plan->n_devices++];

	*device = (struct vm_device){ .host = xstrdup(address), .kind = seen->kind, .seen = seen };
	return device;
}

/* --- by kind ----------------------------------------------------------------------------------------- */

/* The order in which they are chosen: by NUMA node, then address (which the inventory is in). */
static const Gdr__PciDevice *
next_of(const struct vm_host *host, const struct vm_plan *plan, Gdr__PciDevice__Kind kind)
{
	const Gdr__PciDevice *best = NULL;

	for (size_t i = 0; i < host->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = host->inventory->pci[i];
		bool is_free = device->kind == kind && !device->physfn && !owner_of(host, plan, device->address);
		if (is_free && (!best || device->numa_node < best->numa_node))
			best = device;
	}
	return best;
}

/* What there are of a kind on the host. */
static unsigned
all_of(const struct vm_host *host, Gdr__PciDevice__Kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < host->inventory->n_pci; i++)
		n += host->inventory->pci[i]->kind == kind && !host->inventory->pci[i]->physfn;
	return n;
}

static int
claim_kind(const struct vm_host *host, struct vm_plan *plan, Gdr__PciDevice__Kind kind, uint32_t want, struct err *err)
{
	const char *what = kind == GDR__PCI_DEVICE__KIND__GPU ? "GPUs" : "NVSwitches";
	const Gdr__PciDevice *device = NULL;
	uint32_t have = 0;

	while (have < want && (device = next_of(host, plan, kind))) {
		(void)add_device(plan, device, device->address);
		have++;
	}
	if (want == RULES_WORD && have == 0 && kind == GDR__PCI_DEVICE__KIND__GPU)
		return err_set(err, -ENOSPC, "all GPUs are wanted, and of the host's %u none is left",
			       all_of(host, kind));
	if (want != RULES_WORD && have < want)
		return err_set(err, -ENOSPC, "%u %s are wanted; of the host's %u only %u are left", want, what,
			       all_of(host, kind), have);
	return 0;
}

/* --- by address -------------------------------------------------------------------------------------- */

static bool
is_port(const Gdr__PciDevice *device)
{
	return IS(device, ROOT_PORT) || IS(device, UPSTREAM_PORT) || IS(device, DOWNSTREAM_PORT) || IS(device, BRIDGE);
}

static int
claim_address(const struct vm_host *host, struct vm_plan *plan, const char *address, struct err *err)
{
	const Gdr__PciDevice *device = inventory_device(host->inventory, address);
	const struct vm_plan *owner = owner_of(host, plan, address);

	if (!device)
		return err_set(err, -ENODEV, "the host has no device %s", address);
	if (is_port(device))
		return err_set(err, -EINVAL, "%s is a bridge: a VM can have what is behind it", address);
	if (owner == plan)
		return 0;
	if (owner)
		return err_set(err, -EBUSY, "%s is %s's", address, owner->name);
	if (vm_plans_vfs(host->before, address))
		return err_set(err, -EBUSY, "%s is wanted whole, and an earlier VM has virtual functions of it",
			       address);
	if (device->physfn)
		return err_set(err, -EINVAL, "%s is a virtual function: nic_vfs gives those", address);
	(void)add_device(plan, device, device->address);
	return 0;
}

/* --- virtual functions ------------------------------------------------------------------------------- */

/* True if the VM's GPUs and this port shall exchange data: they share a switch, or the port shares none with any GPU
 * and is on a node of theirs. */
static bool
serves(const struct vm_host *host, const struct vm_plan *plan, const Gdr__PciDevice *nic)
{
	const Gdr__Inventory *inventory = host->inventory;
	bool near_one = false;
	bool on_node = false;

	for (size_t i = 0; i < inventory->n_pci; i++) {
		const Gdr__PciDevice *gpu = inventory->pci[i];
		if (!IS(gpu, GPU) || gpu->physfn)
			continue;
		bool ours = is_claimed(plan, gpu->address);
		bool shares = inventory_share_switch(inventory, gpu, nic);
		if (ours && shares)
			return true;
		near_one |= shares;
		on_node |= ours && gpu->numa_node == nic->numa_node;
	}
	return !near_one && on_node && inventory_gdr_nic(inventory, nic);
}

/* Where the kernel will put VF 'n': PCI Express base specification, SR-IOV, First VF Offset and VF Stride. */
static char *
vf_address(const Gdr__PciDevice *pf, unsigned n)
{
	struct vm_address at;

	if (!pf->has_vf_offset || !vm_address_read(pf->address, &at))
		return NULL;
	unsigned id = at.bus << 8 | at.slot << 3 | at.function;
	id += pf->vf_offset + n * (pf->has_vf_stride ? pf->vf_stride : 0);
	at.bus = id >> 8;
	at.slot = id >> 3 & 0x1f;
	at.function = id & 7;
	return id > 0xffff ? NULL : vm_address_text(&at);
}

static int
claim_vfs_of(const struct vm_host *host, struct vm_plan *plan, const Gdr__PciDevice *pf, struct err *err)
{
	unsigned first = vm_plans_vfs(host->before, pf->address);
	unsigned end = first + plan->spec->nic_vfs;

	if (end > pf->max_vfs)
		return err_set(err, -ENOSPC, "%u virtual functions of %s are wanted in all; it has %u%s", end,
			       pf->address, pf->max_vfs, pf->max_vfs ? "" : " (is SR-IOV off?)");
	for (unsigned n = first; n < end; n++) {
		auto_free char *address = vf_address(pf, n);
		if (!address)
			return err_set(err, -EINVAL, "%s does not say where its virtual function %u will be",
				       pf->address, n);
		struct vm_device *vf = add_device(plan, pf, address);
		vf->pf = xstrdup(pf->address);
		vf->vf = n;
	}
	return 0;
}

static int
claim_vfs(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < host->inventory->n_pci; i++) {
		const Gdr__PciDevice *nic = host->inventory->pci[i];
		if (!IS(nic, NIC) || nic->physfn || owner_of(host, plan, nic->address) || !serves(host, plan, nic))
			continue;
		found = true;
		int rc = claim_vfs_of(host, plan, nic, err);
		if (rc < 0)
			return rc;
	}
	if (!found)
		return err_set(err, -ENODEV, "nic_vfs: no NIC of the host serves this VM's GPUs");
	return 0;
}

/* --- together ---------------------------------------------------------------------------------------- */

/* VFIO gives away whole IOMMU groups: nobody else may be in one, bridges and what no driver has apart. */
static bool
hinders(const struct vm_plan *plan, const Gdr__PciDevice *device, const Gdr__PciDevice *other)
{
	static const char *const harmless[] = { "vfio-pci", "pci-stub", "pcieport" };

	if (!other->has_iommu_group || other->iommu_group != device->iommu_group || !other->driver || is_port(other) ||
	    is_claimed(plan, other->address))
		return false;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(other->driver, harmless[i]) == 0)
			return false;
	return true;
}

static int
check_groups(const struct vm_host *host, const struct vm_plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const Gdr__PciDevice *device = plan->devices[i].seen;
		if (plan->devices[i].pf || !device->has_iommu_group)
			continue;
		for (size_t k = 0; k < host->inventory->n_pci; k++)
			if (hinders(plan, device, host->inventory->pci[k]))
				return err_set(err, -EBUSY, "%s is in IOMMU group %d together with %s, which %s drives",
					       device->address, device->iommu_group, host->inventory->pci[k]->address,
					       host->inventory->pci[k]->driver);
	}
	return 0;
}

int
vm_plan_claim(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	const Gdr__VmSpec *spec = plan->spec;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < spec->n_devices; i++)
		rc = claim_address(host, plan, spec->devices[i], err);
	if (rc == 0 && spec->has_gpus)
		rc = claim_kind(host, plan, GDR__PCI_DEVICE__KIND__GPU, spec->gpus, err);
	if (rc == 0 && spec->has_nvswitches)
		rc = claim_kind(host, plan, GDR__PCI_DEVICE__KIND__NVSWITCH, spec->nvswitches, err);
	if (rc == 0 && spec->nic_vfs)
		rc = claim_vfs(host, plan, err);
	if (rc == 0)
		rc = check_groups(host, plan, err);
	return rc;
}
