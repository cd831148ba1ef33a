/* inventory_pci.c - the PCI tree: what each device is, what it hangs below, and which way GPU-NIC traffic goes. */

#include <stdio.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/inventory_internal.h"
#include "agent/machine/pci.h"
#include "common/err.h"
#include "common/mem.h"

#define SYSFS "/sys/bus/pci/devices"

enum {
	VENDOR_NVIDIA = 0x10de,
	VENDOR_MELLANOX = 0x15b3
};

/* Class codes, base and sub class; PCI Code and ID Assignment specification. */
enum {
	CLASS_ETHERNET = 0x0200,
	CLASS_INFINIBAND = 0x0207,
	CLASS_VGA = 0x0300,
	CLASS_3D = 0x0302,
	CLASS_BRIDGE_PCI = 0x0604,
	CLASS_BRIDGE_OTHER = 0x0680,
};

/* Configuration space; PCI Express base specification, type 1 header and PCI Express Capabilities register 7:4. */
enum {
	REG_HEADER_TYPE = 0x0e,
	REG_SECONDARY = 0x19,
	REG_SUBORDINATE = 0x1a,
	EXPRESS_FLAGS = 2
};
enum {
	PORT_ROOT = 4,
	PORT_UPSTREAM = 5,
	PORT_DOWNSTREAM = 6
};

/* The buses below a bridge; 'secondary' 0: it is none, or was given none. */
struct span {
	uint8_t secondary;
	uint8_t subordinate;
};

/* --- one device -------------------------------------------------------------------------------------- */

static bool
number(struct host *host, const char *address, const char *file, int base, long *out)
{
	auto_free char *path = xasprintf(SYSFS "/%s/%s", address, file);
	auto_free char *text = NULL;
	struct err ignored;
	char *end;

	(void)host_read_line(host, path, &text, &ignored);
	if (!text || !*text)
		return false;
	*out = strtol(text, &end, base);
	return *end == '\0';
}

static char *
link_name(struct host *host, const char *address, const char *file)
{
	auto_free char *path = xasprintf(SYSFS "/%s/%s", address, file);

	return host_link_name(host, path);
}

/* The only file that matches "SYSFS/ADDRESS/PATTERN", as a line; NULL: there is none. */
static char *
line_of(struct host *host, const char *address, const char *pattern)
{
	auto_free char *glob = xasprintf(SYSFS "/%s/%s", address, pattern);
	auto_strv char **found = host_glob(host, glob);
	char *text = NULL;
	struct err ignored;

	if (found[0])
		(void)host_read_line(host, found[0], &text, &ignored);
	return text;
}

static Gdr__PciDevice__Kind
bridge_kind(struct pci *pci, const char *address)
{
	unsigned cap = pci_cap(pci, address, CAP_EXPRESS);
	uint16_t flags = 0;
	struct err ignored;

	if (cap)
		(void)pci_read16(pci, address, cap + EXPRESS_FLAGS, &flags, &ignored);
	switch (cap ? flags >> 4 & 0xf : 0) {
	case PORT_ROOT: return GDR__PCI_DEVICE__KIND__ROOT_PORT;
	case PORT_UPSTREAM: return GDR__PCI_DEVICE__KIND__UPSTREAM_PORT;
	case PORT_DOWNSTREAM: return GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT;
	default: return GDR__PCI_DEVICE__KIND__BRIDGE;
	}
}

static Gdr__PciDevice__Kind
kind_of(struct pci *pci, const Gdr__PciDevice *device)
{
	bool nvidia = device->vendor == VENDOR_NVIDIA;

	switch (device->class_code >> 8) {
	case CLASS_VGA:
	case CLASS_3D: return nvidia ? GDR__PCI_DEVICE__KIND__GPU : GDR__PCI_DEVICE__KIND__OTHER;
	case CLASS_BRIDGE_OTHER: return nvidia ? GDR__PCI_DEVICE__KIND__NVSWITCH : GDR__PCI_DEVICE__KIND__OTHER;
	case CLASS_ETHERNET:
	case CLASS_INFINIBAND: return GDR__PCI_DEVICE__KIND__NIC;
	case CLASS_BRIDGE_PCI: return bridge_kind(pci, device->address);
	default: return GDR__PCI_DEVICE__KIND__OTHER;
	}
}

/* What the RDMA driver tells of a NIC's firmware, and its vital product data. */
static void
read_nic(struct host *host, Gdr__PciDevice *device)
{
	auto_free char *path = xasprintf(SYSFS "/%s/vpd", device->address);
	auto_free char *vpd = NULL;
	struct err ignored;
	size_t len = 0;

	device->firmware = line_of(host, device->address, "infiniband/*/fw_ver");
	device->psid = line_of(host, device->address, "infiniband/*/board_id");
	if (device->firmware && device->vendor == VENDOR_MELLANOX)
		device->firmware_stored = inventory_stored_firmware(host, device->address, device->firmware);
	(void)host_read(host, path, &vpd, &len, &ignored);
	if (!vpd)
		return;
	device->part_number = inventory_vpd(vpd, len, "PN");
	device->serial = inventory_vpd(vpd, len, "SN");
}

/* The kernel's own files are asked where there are some: a VF's registers do not even hold its ids. */
static Gdr__PciDevice *
read_device(struct host *host, struct pci *pci, const char *address)
{
	Gdr__PciDevice *device = xcalloc(1, sizeof(*device));
	long n = 0;

	gdr__pci_device__init(device);
	device->address = xstrdup(address);
	if ((device->has_vendor = number(host, address, "vendor", 16, &n)))
		device->vendor = (uint32_t)n;
	if ((device->has_device = number(host, address, "device", 16, &n)))
		device->device = (uint32_t)n;
	if ((device->has_class_code = number(host, address, "class", 16, &n)))
		device->class_code = (uint32_t)n & 0xffffff;
	device->has_numa_node = true;
	device->numa_node = number(host, address, "numa_node", 10, &n) ? (int32_t)n : -1;
	if ((device->has_vfs = number(host, address, "sriov_numvfs", 10, &n)))
		device->vfs = (uint32_t)n;
	if ((device->has_max_vfs = number(host, address, "sriov_totalvfs", 10, &n)))
		device->max_vfs = (uint32_t)n;
	device->driver = link_name(host, address, "driver");
	device->physfn = link_name(host, address, "physfn");
	auto_free char *group = link_name(host, address, "iommu_group");
	if ((device->has_iommu_group = group && *group))
		device->iommu_group = (int32_t)strtol(group, NULL, 10);
	device->has_kind = true;
	device->kind = kind_of(pci, device);
	if (device->kind == GDR__PCI_DEVICE__KIND__NIC && !device->physfn)
		read_nic(host, device);
	inventory_read_bars(host, device);
	return device;
}

static struct span
read_span(struct pci *pci, const char *address)
{
	struct span span = { 0 };
	uint8_t type = 0;
	struct err ignored;

	if (pci_read8(pci, address, REG_HEADER_TYPE, &type, &ignored) < 0 || (type & 0x7f) != 1)
		return span;
	(void)pci_read8(pci, address, REG_SECONDARY, &span.secondary, &ignored);
	(void)pci_read8(pci, address, REG_SUBORDINATE, &span.subordinate, &ignored);
	return span;
}

/* --- the tree ---------------------------------------------------------------------------------------- */

static unsigned
bus_of(const char *address)
{
	const char *colon = strchr(address, ':');

	return colon ? (unsigned)strtoul(colon + 1, NULL, 16) : 0;
}

static bool
same_domain(const char *a, const char *b)
{
	size_t len = strcspn(a, ":");

	return len == strcspn(b, ":") && strncmp(a, b, len) == 0;
}

/* The bridge above: of those whose range holds the bus, the one that begins last.  A bus below a bridge has a higher
 * number than the bridge's own, so whatever the registers hold there is no ring. */
static const char *
parent_of(const Gdr__Inventory *inventory, const struct span *spans, const char *address)
{
	unsigned bus = bus_of(address);
	const char *best = NULL;
	unsigned begin = 0;

	for (size_t i = 0; i < inventory->n_pci; i++) {
		const char *bridge = inventory->pci[i]->address;
		bool holds = spans[i].secondary > bus_of(bridge) && spans[i].secondary <= bus &&
			     bus <= spans[i].subordinate;
		if (!holds || spans[i].secondary <= begin || !same_domain(bridge, address))
			continue;
		begin = spans[i].secondary;
		best = bridge;
	}
	return best;
}

const Gdr__PciDevice *
inventory_above(const Gdr__Inventory *inventory, const Gdr__PciDevice *device)
{
	return device->parent ? inventory_device(inventory, device->parent) : NULL;
}

static const char *
group_of(const Gdr__Inventory *inventory, const Gdr__PciDevice *device)
{
	const char *group = NULL;

	for (const Gdr__PciDevice *up = inventory_above(inventory, device); up; up = inventory_above(inventory, up)) {
		if (up->kind == GDR__PCI_DEVICE__KIND__UPSTREAM_PORT)
			return up->address;
		if (up->kind == GDR__PCI_DEVICE__KIND__ROOT_PORT)
			group = up->address;
	}
	return group;
}

void
inventory_read_pci(struct host *host, struct pci *pci, Gdr__Inventory *inventory)
{
	const char *const *addresses = pci_devices(pci);
	size_t n = 0;

	while (addresses[n])
		n++;
	auto_free struct span *spans = xcalloc(n + 1, sizeof(*spans));
	inventory->pci = xcalloc(n + 1, sizeof(Gdr__PciDevice *));
	inventory->n_pci = n;
	for (size_t i = 0; i < n; i++) {
		inventory->pci[i] = read_device(host, pci, addresses[i]);
		spans[i] = read_span(pci, addresses[i]);
	}
	for (size_t i = 0; i < n; i++) {
		const char *parent = parent_of(inventory, spans, addresses[i]);
		inventory->pci[i]->parent = parent ? xstrdup(parent) : NULL;
	}
	for (size_t i = 0; i < n; i++) {
		const char *group = group_of(inventory, inventory->pci[i]);
		inventory->pci[i]->switch_group = group ? xstrdup(group) : NULL;
	}
}

/* --- questions --------------------------------------------------------------------------------------- */

/* Addresses are lower case and padded, so of two the shorter or the lesser text is the lesser number. */
static int
by_address(const void *key, const void *member)
{
	const char *address = key;
	const Gdr__PciDevice *device = *(Gdr__PciDevice *const *)member;
	size_t left = strlen(address);
	size_t right = strlen(device->address);

	if (left != right)
		return left < right ? -1 : 1;
	return strcmp(address, device->address);
}

const Gdr__PciDevice *
inventory_device(const Gdr__Inventory *inventory, const char *address)
{
	Gdr__PciDevice *const *found = NULL;

	if (inventory->n_pci)
		found = bsearch(address, inventory->pci, inventory->n_pci, sizeof(Gdr__PciDevice *), by_address);
	return found ? *found : NULL;
}

bool
inventory_is_below(const Gdr__Inventory *inventory, const Gdr__PciDevice *bridge, const Gdr__PciDevice *device)
{
	while ((device = inventory_above(inventory, device)))
		if (device == bridge)
			return true;
	return false;
}

bool
inventory_share_switch(const Gdr__Inventory *inventory, const Gdr__PciDevice *a, const Gdr__PciDevice *b)
{
	for (const Gdr__PciDevice *up = inventory_above(inventory, a); up; up = inventory_above(inventory, up))
		if (up->kind == GDR__PCI_DEVICE__KIND__UPSTREAM_PORT && inventory_is_below(inventory, up, b))
			return true;
	return false;
}

/* As far as can be seen: the same NUMA node, or the same PCI domain where the firmware does not tell nodes. */
static bool
share_complex(const Gdr__PciDevice *a, const Gdr__PciDevice *b)
{
	if (a->numa_node >= 0 && b->numa_node >= 0)
		return a->numa_node == b->numa_node;
	return same_domain(a->address, b->address);
}

static bool
is_whole(const Gdr__PciDevice *device, Gdr__PciDevice__Kind kind)
{
	return device->kind == kind && !device->physfn;
}

static bool
has_mellanox(const Gdr__Inventory *inventory)
{
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (is_whole(inventory->pci[i], GDR__PCI_DEVICE__KIND__NIC) &&
		    inventory->pci[i]->vendor == VENDOR_MELLANOX)
			return true;
	return false;
}

static bool
are_pair(const Gdr__Inventory *inventory, const Gdr__PciDevice *gpu, const Gdr__PciDevice *nic)
{
	if (!is_whole(gpu, GDR__PCI_DEVICE__KIND__GPU) || !is_whole(nic, GDR__PCI_DEVICE__KIND__NIC))
		return false;
	if (inventory_share_switch(inventory, gpu, nic))
		return true;
	return share_complex(gpu, nic) && (nic->vendor == VENDOR_MELLANOX || !has_mellanox(inventory));
}

bool
inventory_gdr_nic(const Gdr__Inventory *inventory, const Gdr__PciDevice *device)
{
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (are_pair(inventory, inventory->pci[i], device))
			return true;
	return false;
}

static bool
has_nic(const Gdr__Inventory *inventory, const Gdr__PciDevice *gpu)
{
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (are_pair(inventory, gpu, inventory->pci[i]))
			return true;
	return false;
}

bool
inventory_on_gdr_path(const Gdr__Inventory *inventory, const Gdr__PciDevice *device)
{
	if (device->kind != GDR__PCI_DEVICE__KIND__ROOT_PORT && device->kind != GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT)
		return false;
	for (size_t i = 0; i < inventory->n_pci; i++) {
		const Gdr__PciDevice *end = inventory->pci[i];
		bool counts = is_whole(end, GDR__PCI_DEVICE__KIND__GPU)
				      ? has_nic(inventory, end)
				      : is_whole(end, GDR__PCI_DEVICE__KIND__NIC) && inventory_gdr_nic(inventory, end);
		if (counts && inventory_is_below(inventory, device, end))
			return true;
	}
	return false;
}
