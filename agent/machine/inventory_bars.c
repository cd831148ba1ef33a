/* inventory_bars.c - what a PCI device takes and gives beyond its place: memory windows, its link, its VFs' numbering. */

#include <stdio.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory_internal.h"
#include "common/err.h"
#include "common/mem.h"

#define SYSFS "/sys/bus/pci/devices"

/* 'resource': six BARs, the ROM, then six BARs of the VFs; drivers/pci/pci-sysfs.c resource_show(), and the flags of
 * include/linux/ioport.h. */
enum {
	LINE_ROM = 6,
	LINE_VFS = 7,
	LINES = 13
};
#define FLAG_IO    0x00000100ULL
#define FLAG_MEM64 0x00100000ULL

static char *
line_of(struct host *host, const char *address, const char *file)
{
	auto_free char *path = xasprintf(SYSFS "/%s/%s", address, file);
	char *text = NULL;
	struct err ignored;

	(void)host_read_line(host, path, &text, &ignored);
	return text;
}

static bool
number_of(struct host *host, const char *address, const char *file, uint32_t *out)
{
	auto_free char *path = xasprintf(SYSFS "/%s/%s", address, file);
	uint64_t n = 0;
	struct err ignored;

	if (host_read_u64(host, path, &n, &ignored) < 0 || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

static void
add_bar(Gdr__PciDevice *device, uint64_t size, uint64_t flags, bool vf)
{
	Gdr__PciBar *bar = xcalloc(1, sizeof(*bar));

	gdr__pci_bar__init(bar);
	bar->has_space = bar->has_size = true;
	bar->size = size;
	bar->space = flags & FLAG_IO      ? GDR__PCI_BAR__SPACE__IO
		     : flags & FLAG_MEM64 ? GDR__PCI_BAR__SPACE__MEM64
					  : GDR__PCI_BAR__SPACE__MEM32;
	bar->has_vf = bar->vf = vf;
	device->bars = xrealloc(device->bars, device->n_bars + 1, sizeof(Gdr__PciBar *));
	device->bars[device->n_bars++] = bar;
}

static void
read_bars(struct host *host, Gdr__PciDevice *device)
{
	auto_free char *path = xasprintf(SYSFS "/%s/resource", device->address);
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	const char *line = text ? text : "";
	for (unsigned i = 0; i < LINES && *line; i++) {
		char *end;
		uint64_t first = strtoull(line, &end, 16);
		uint64_t last = strtoull(end, &end, 16);
		uint64_t flags = strtoull(end, &end, 16);
		bool vf = i >= LINE_VFS;
		uint64_t size = last > first ? last - first + 1 : 0;

		if (vf) /* Of all VFs together. */
			size = device->max_vfs ? size / device->max_vfs : 0;
		if (size && i != LINE_ROM)
			add_bar(device, size, flags, vf);
		line = end + strcspn(end, "\n");
		line += strspn(line, "\n");
	}
}

static bool
is_bridge(const Gdr__PciDevice *device)
{
	return device->class_code >> 16 == 0x06 && device->kind != GDR__PCI_DEVICE__KIND__NVSWITCH;
}

void
inventory_read_bars(struct host *host, Gdr__PciDevice *device)
{
	const char *address = device->address;

	device->max_link_speed = line_of(host, address, "max_link_speed");
	device->has_max_link_width = number_of(host, address, "max_link_width", &device->max_link_width);
	device->link_speed = line_of(host, address, "current_link_speed");
	device->has_link_width = number_of(host, address, "current_link_width", &device->link_width);
	device->has_vf_offset = number_of(host, address, "sriov_offset", &device->vf_offset);
	device->has_vf_stride = number_of(host, address, "sriov_stride", &device->vf_stride);
	if (!is_bridge(device))
		read_bars(host, device);
}
