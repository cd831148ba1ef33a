/* pci_sysfs.c - what the kernel shows of the PCI devices under /sys. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/tree.h"

#define NO_GROUP (-1)

/* linux/ioport.h */
#define RES_MEM32  0x40200U
#define RES_PREF64 0x14220cU

/* --- one device -------------------------------------------------------------------------------- */

static void
resource_line(struct buf *out, uint64_t base, uint64_t size, uint64_t flags)
{
	if (size == 0 || base == 0)
		base = size = flags = 0;
	buf_printf(out, "0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 "\n", base, size ? base + size - 1 : 0,
		   flags);
}

/* Six BARs, ROM, six BARs of VFs; of a bridge also its four windows. */
static void
add_resources(struct tree *tree, const struct pci_dev *dev, const struct pci_boot *boot)
{
	const struct pci_kind *kind = dev->kind;
	auto_buf struct buf out = { 0 };

	for (unsigned i = 0; i < 6; i++)
		resource_line(&out, pci_bar(dev, boot, i), (uint64_t)kind->bar_mib[i] << 20,
			      kind->bar_type[i] == BAR_PREF64 ? RES_PREF64 : RES_MEM32);
	resource_line(&out, 0, 0, 0);
	for (unsigned i = 0; i < 6; i++)
		resource_line(&out, i == 0 && !boot->no_sriov ? dev->base[PCI_VF_BAR] : 0,
			      ((uint64_t)kind->vf_bar_mib << 20) * kind->total_vfs, RES_PREF64);
	if (pci_is_bridge(dev)) {
		resource_line(&out, 0, 0, 0);
		resource_line(&out, dev->mem_window[0], dev->mem_window[1] - dev->mem_window[0] + 1, 0x200);
		resource_line(&out, dev->pref_window[0], dev->pref_window[1] - dev->pref_window[0] + 1, 0x102201);
		resource_line(&out, 0, 0, 0);
	}
	tree_printf(tree, "resource", "%s", out.text);
}

static void
add_ids(struct tree *tree, const struct pci_dev *dev)
{
	const struct pci_kind *kind = dev->kind;

	tree_printf(tree, "vendor", "0x%04x\n", kind->vendor);
	tree_printf(tree, "device", "0x%04x\n", kind->device);
	tree_printf(tree, "class", "0x%06x\n", kind->class_code);
	tree_printf(tree, "subsystem_vendor", "0x%04x\n", kind->sub_vendor);
	tree_printf(tree, "subsystem_device", "0x%04x\n", kind->sub_device);
	tree_printf(tree, "revision", "0x%02x\n", kind->revision);
}

static void
add_link(struct tree *tree, const struct pci_dev *dev)
{
	static const char *const speeds[] = { "Unknown", "2.5 GT/s PCIe", "5.0 GT/s PCIe", "8.0 GT/s PCIe",
					      "16.0 GT/s PCIe" };
	const struct pci_kind *kind = dev->kind;
	bool up = kind->port == ENDPOINT || kind->port == UPSTREAM || dev->filled;

	if (kind->port == NO_EXPRESS || kind->speed == 0)
		return;
	tree_printf(tree, "max_link_speed", "%s\n", speeds[kind->speed]);
	tree_printf(tree, "max_link_width", "%u\n", kind->width);
	tree_printf(tree, "current_link_speed", "%s\n", speeds[up ? kind->speed : 1]);
	tree_printf(tree, "current_link_width", "%d\n", up ? kind->width : 0);
}

/* Beside all that: what may be written. */
static void
add_controls(struct tree *tree, const struct pci_dev *dev, const struct pci_boot *boot)
{
	tree_printf(tree, "enable", "0\n");
	tree_printf(tree, "driver_override", "(null)\n");
	if (dev->kind->total_vfs && !boot->no_sriov) {
		tree_printf(tree, "sriov_totalvfs", "%u\n", dev->kind->total_vfs);
		tree_printf(tree, "sriov_numvfs", "0\n");
		tree_printf(tree, "sriov_drivers_autoprobe", "1\n");
		tree_printf(tree, "sriov_offset", "%u\n", 2U + dev->fn * (dev->kind->total_vfs - 1U));
		tree_printf(tree, "sriov_stride", "1\n");
		tree_printf(tree, "sriov_vf_device", "101e\n");
	}
}

static void
join_group(struct tree *tree, const struct pci_dev *dev, const struct pci_boot *boot, int group)
{
	auto_free char *folder = xasprintf("sys/kernel/iommu_groups/%d", group);

	tree_link(tree, "iommu_group", folder);
	tree_cd(tree, "%s", folder);
	tree_printf(tree, "type", "%s\n", boot->passthrough ? "identity" : "DMA-FQ");
	auto_free char *member = xasprintf("devices/%s", dev->address);
	tree_link(tree, member, dev->path);
}

static void
add_device(struct tree *tree, const struct pci_dev *dev, const struct pci_boot *boot, int group)
{
	uint8_t space[PCI_SPACE];

	tree_cd(tree, "%s", dev->path);
	add_ids(tree, dev);
	add_resources(tree, dev, boot);
	add_link(tree, dev);
	add_controls(tree, dev, boot);
	tree_printf(tree, "irq", "%u\n", dev->kind->port == NO_EXPRESS ? 0U : 24U + dev->bus);
	tree_printf(tree, "numa_node", "%d\n", dev->numa);
	tree_printf(tree, "local_cpulist", "%s\n", machine_cpulist((unsigned)dev->numa));
	pci_space(dev, boot, space);
	tree_write(tree, "config", space, sizeof(space));
	tree_link(tree, "subsystem", "sys/bus/pci");
	if (group != NO_GROUP)
		join_group(tree, dev, boot, group);
	tree_cd(tree, "sys/bus/pci/devices");
	tree_link(tree, dev->address, dev->path);
	tree_cd(tree, "%s", "");
}

void
pci_sysfs_drop(struct tree *tree, const char *address)
{
	auto_free char *entry = xasprintf("sys/bus/pci/devices/%s", address);
	auto_free char *path = tree_target(tree, entry);
	auto_free char *link = xasprintf("%s/iommu_group", path ? path : "");
	auto_free char *group = tree_target(tree, link);

	if (!path)
		return;
	pci_unbind(tree, address);
	if (group)
		tree_remove(tree, group);
	tree_remove(tree, entry);
	tree_remove(tree, path);
}

/* --- all of them ------------------------------------------------------------------------------- */

/* Without ACS between them devices share a group: functions of one slot of the chipset, and what is behind a
 * conventional bridge with that bridge.  Everything else here is isolated. */
static int
group_of(const struct pci_model *model, const int *groups, size_t i)
{
	const struct pci_dev *dev = &model->devs[i];
	const struct pci_dev *first = &model->devs[0];

	if (dev->parent >= 0 && first[dev->parent].kind->port == TO_PCI)
		return groups[dev->parent];
	for (size_t j = 0; j < i; j++)
		if (dev->parent < 0 && first[j].bus == dev->bus && first[j].slot == dev->slot)
			return groups[j];
	return NO_GROUP;
}

void
pci_sysfs_write(struct tree *tree, const struct pci_model *model, const struct pci_boot *boot)
{
	int groups[sizeof(model->devs) / sizeof(model->devs[0])];
	int next = 0;

	for (size_t i = 0; i < model->n; i++) {
		groups[i] = boot->iommu ? group_of(model, groups, i) : NO_GROUP;
		if (boot->iommu && groups[i] == NO_GROUP)
			groups[i] = next++;
		add_device(tree, &model->devs[i], boot, groups[i]);
	}
	tree_mkdir(tree, "sys/bus/pci/slots");
	tree_mkdir(tree, "sys/kernel/iommu_groups");
	tree_mkdir(tree, "sys/class/iommu");
	for (int unit = 0; boot->iommu && unit < 8; unit++) {
		auto_free char *path = xasprintf("sys/class/iommu/dmar%d/intel-iommu/version", unit);

		tree_printf(tree, path, "5:0\n");
	}
	tree_printf(tree, "sys/bus/pci/drivers_probe", "%s", "");
	tree_printf(tree, "sys/bus/pci/rescan", "%s", "");
}

void
pci_sysfs_add_driver(struct tree *tree, const char *driver)
{
	tree_cd(tree, "sys/bus/pci/drivers/%s", driver);
	tree_printf(tree, "bind", "%s", "");
	tree_printf(tree, "unbind", "%s", "");
	tree_printf(tree, "new_id", "%s", "");
	tree_printf(tree, "remove_id", "%s", "");
	tree_cd(tree, "%s", "");
}

static int
next_group(const struct tree *tree)
{
	auto_strv char **names = tree_list(tree, "sys/kernel/iommu_groups");
	int next = 0;

	for (char **name = names; *name; name++) {
		int group = (int)strtol(*name, NULL, 10);

		next = group >= next ? group + 1 : next;
	}
	return next;
}

void
pci_sysfs_set_vfs(struct tree *tree, const struct pci_dev *pf, const struct pci_boot *boot, unsigned n)
{
	for (unsigned i = 0; i < pf->kind->total_vfs; i++) {
		auto_free char *from_pf = xasprintf("%s/virtfn%u", pf->path, i);
		auto_free char *old = tree_target(tree, from_pf);
		bool is_there = old != NULL;
		struct pci_dev vf;

		pci_model_vf(pf, i, &vf);
		if (i >= n && is_there) {
			tree_remove(tree, from_pf);
			pci_sysfs_drop(tree, vf.address);
		}
		if (i >= n || is_there)
			continue;
		add_device(tree, &vf, boot, boot->iommu ? next_group(tree) : NO_GROUP);
		auto_free char *to_pf = xasprintf("%s/physfn", vf.path);
		tree_link(tree, from_pf, vf.path);
		tree_link(tree, to_pf, pf->path);
	}
}
