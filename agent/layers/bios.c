/* bios.c - what only the firmware's set-up menu can change: checked, never changed.
 *
 * Spec:     bios: {virtualization: true, iommu: true, sriov: true, above_4g: true, max_read_request: 4096,
 *           vendor: "American Megatrends*", version: "F*"}
 * Reads:    /proc/cpuinfo (flags), /sys/firmware/acpi/tables/{DMAR,IVRS}, /sys/kernel/iommu_groups,
 *           /sys/bus/pci/devices/ADDRESS/resource, the inventory, PCIe Device Control of the NICs
 * Changes:  nothing. */

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "common/err.h"
#include "common/mem.h"

#define FOUR_GIB  (4ULL << 30)
#define LARGE_BAR (256ULL << 20) /* What still finds room below 4 GiB is no reason for "Above 4G decoding". */

/* include/linux/ioport.h, as the third column of 'resource' shows them. */
enum {
	RESOURCE_MEMORY = 0x200,
	RESOURCE_PREFETCH = 0x2000,
	RESOURCE_64 = 0x100000
};

/* 'resource': six BARs, the ROM, then six BARs of the VFs; drivers/pci/pci-sysfs.c resource_show(). */
enum {
	BARS = 6,
	VF_BARS_FIRST = 7,
	RESOURCES = 13
};

struct resource {
	uint64_t start;
	uint64_t end;
	uint64_t flags;
};

static bool
is_amd(const struct machine *machine)
{
	const char *vendor = machine->inventory->cpu_vendor;

	return vendor && (strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "HygonGenuine") == 0);
}

static void
report_switch(struct report *out, const char *key, bool wanted, bool have, const char *text, const char *why)
{
	if (wanted == have)
		report_add(out, key, wanted ? "enabled" : "disabled", text, FIX_NONE, NULL);
	else
		report_add(out, key, wanted ? "enabled" : "disabled", text, FIX_MANUAL, "%s", why);
}

/* --- virtualization ------------------------------------------------------------------------------------------ */

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; p && (p = strstr(p, word)); p += len)
		if ((p == words || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

/* Linux drops the flag where the firmware has locked IA32_FEAT_CTL without VMX (arch/x86/kernel/cpu/feat_ctl.c) or
 * set SVMDIS in VM_CR: absent means off in the set-up menu, on every processor that GPU hosts are built with. */
static void
report_virtualization(const struct machine *machine, bool wanted, struct report *out)
{
	auto_free char *cpuinfo = NULL;
	struct err ignored;

	(void)host_read(machine->host, "/proc/cpuinfo", &cpuinfo, NULL, &ignored);
	auto_free char *flags = cpuinfo ? inventory_field(cpuinfo, "flags") : NULL;
	bool amd = is_amd(machine);
	bool have = has_word(flags, amd ? "svm" : "vmx");
	const char *text = amd ? (have ? "svm" : "no svm") : (have ? "vmx" : "no vmx");
	const char *set = amd ? "set SVM Mode: Enabled in the BIOS, and power cycle"
			      : "set Intel Virtualization Technology (VMX): Enabled in the BIOS, and power cycle";
	report_switch(out, "virtualization", wanted, have, text,
		      wanted ? set : "the profile wants it off, and it can be switched off only in the BIOS");
}

/* --- IOMMU ------------------------------------------------------------------------------------------------------ */

/* Groups prove nothing about the command line: many kernels switch VT-d on without intel_iommu=on. */
static void
report_iommu(const struct machine *machine, bool wanted, struct report *out)
{
	bool dmar = host_exists(machine->host, "/sys/firmware/acpi/tables/DMAR");
	bool ivrs = host_exists(machine->host, "/sys/firmware/acpi/tables/IVRS");
	auto_strv char **groups = host_glob(machine->host, "/sys/kernel/iommu_groups/[0-9]*");
	const char *table = dmar ? "DMAR" : ivrs ? "IVRS" : "no DMAR, no IVRS";
	auto_free char *have = xasprintf("%s, %s", table, *groups ? "groups" : "no groups");
	const char *set = is_amd(machine) ? "set IOMMU: Enabled in the BIOS (AMD CBS, NBIO; not Auto)"
					  : "set Intel VT for Directed I/O (VT-d): Enabled in the BIOS";

	if (wanted && (dmar || ivrs) && !*groups)
		report_add(out, "iommu", "enabled", have, FIX_NONE,
			   "enabled in the firmware; that the kernel made no groups is up to its command line");
	else
		report_switch(out, "iommu", wanted, dmar || ivrs, have,
			      wanted ? set : "the profile wants it off, and it can be switched off only in the BIOS");
}

/* --- windows of devices ----------------------------------------------------------------------------------------- */

/* Reads up to RESOURCES lines; how many there were. */
static size_t
read_resources(const struct machine *machine, const char *address, struct resource v[RESOURCES])
{
	auto_free char *path = xasprintf("/sys/bus/pci/devices/%s/resource", address);
	auto_free char *text = NULL;
	struct err ignored;
	size_t n = 0;

	(void)host_read(machine->host, path, &text, NULL, &ignored);
	for (char *line = text; line && *line && n < RESOURCES; n++) {
		char *end;
		v[n].start = strtoull(line, &end, 16);
		v[n].end = strtoull(end, &end, 16);
		v[n].flags = strtoull(end, NULL, 16);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return n;
}

static uint64_t
size_of(const struct resource *r)
{
	return r->end > r->start ? r->end - r->start + 1 : 0;
}

static bool
is_large(const struct resource *r)
{
	const uint64_t all = RESOURCE_MEMORY | RESOURCE_PREFETCH | RESOURCE_64;

	return (r->flags & all) == all && (r->start == 0 || size_of(r) >= LARGE_BAR);
}

/* The low half of a 64-bit prefetchable memory BAR; PCI base specification, base address registers, bits 3:0. */
static bool
is_prefetchable_64(const struct machine *machine, const char *address, unsigned bar)
{
	uint32_t value = 0;
	struct err ignored;

	return machine->pci && pci_read32(machine->pci, address, 0x10 + 4 * bar, &value, &ignored) == 0 &&
	       (value & 0xf) == 0xc && value != UINT32_MAX;
}

/* A window that found no room begins at 0, or is not shown at all and only the register tells of it. */
static void
count_bars(const struct machine *machine, const Gdr__PciDevice *gpu, unsigned *large, unsigned *low)
{
	struct resource v[RESOURCES] = { 0 };
	size_t n = read_resources(machine, gpu->address, v);

	for (unsigned i = 0; i < n && i < BARS; i++) {
		bool lost = !v[i].flags && is_prefetchable_64(machine, gpu->address, i);
		*large += lost || is_large(&v[i]);
		*low += lost || (is_large(&v[i]) && v[i].start < FOUR_GIB);
		if (lost || (v[i].flags & RESOURCE_64))
			i++; /* The next register is the high half. */
	}
}

static void
report_above_4g(const struct machine *machine, bool wanted, struct report *out)
{
	unsigned large = 0;
	unsigned low = 0;

	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		if (machine->inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU &&
		    !machine->inventory->pci[i]->physfn)
			count_bars(machine, machine->inventory->pci[i], &large, &low);
	if (!large) {
		report_add(out, "above-4g", wanted ? "enabled" : "disabled", "no large BARs", FIX_NONE, NULL);
		return;
	}
	auto_free char *have = xasprintf("%u of %u large GPU BARs above 4 GiB", large - low, large);
	report_switch(out, "above-4g", wanted, low == 0, have,
		      wanted ? "set Above 4G Decoding: Enabled in the BIOS (and MMIO High Size to fit all GPUs)"
			     : "the profile wants it off, and it can be switched off only in the BIOS");
}

/* --- SR-IOV ------------------------------------------------------------------------------------------------------- */

/* Where the firmware left no room, the windows of the VFs begin at 0, or the VFs could not be numbered. */
static bool
has_vf_room(const struct machine *machine, const Gdr__PciDevice *nic)
{
	struct resource v[RESOURCES] = { 0 };
	size_t n = read_resources(machine, nic->address, v);

	if (nic->vfs > 0)
		return true;
	for (size_t i = VF_BARS_FIRST; i < n; i++)
		if (v[i].start > 0 && size_of(&v[i]) > 0)
			return true;
	return false;
}

static bool
can_sriov(const struct machine *machine, const Gdr__PciDevice *device)
{
	return device->kind == GDR__PCI_DEVICE__KIND__NIC && !device->physfn && device->max_vfs > 0 && machine->pci &&
	       pci_ext_cap(machine->pci, device->address, EXT_CAP_SRIOV);
}

static void
report_sriov(const struct machine *machine, bool wanted, struct report *out)
{
	const char *cramped = NULL;
	unsigned able = 0;
	unsigned room = 0;

	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = machine->inventory->pci[i];
		if (!can_sriov(machine, device))
			continue;
		able++;
		if (has_vf_room(machine, device))
			room++;
		else
			cramped = cramped ? cramped : device->address;
	}
	auto_free char *have = xasprintf("%u of %u NICs with room for VFs", room, able);
	if (!wanted)
		report_switch(out, "sriov", false, room > 0, have,
			      "the profile wants it off, and it can be switched off only in the BIOS");
	else if (!able)
		report_add(
			out, "sriov", "enabled", "no NIC with SR-IOV", FIX_MANUAL,
			"no NIC offers VFs: set SR-IOV Support: Enabled in the BIOS; if it is, the NIC's own firmware "
			"setting (SRIOV_EN, NUM_OF_VFS on ConnectX) is off");
	else if (cramped)
		report_add(
			out, "sriov", "enabled", have, FIX_MANUAL,
			"%s has no addresses for its VFs: set SR-IOV Support: Enabled (and Above 4G Decoding) in the BIOS",
			cramped);
	else
		report_add(out, "sriov", "enabled", have, FIX_NONE, NULL);
}

/* --- MaxReadReq --------------------------------------------------------------------------------------------------- */

/* PCI Express base specification, Device Control 14:12: 128 << n bytes; what layers/pci.c found before it changed the
 * register in this boot, if it did. */
static unsigned
firmware_read_request(const struct machine *machine, const char *address, unsigned cap)
{
	auto_free char *key = xasprintf("%s/max_read_request", address);
	const char *before = machine->journal ? journal_before(machine->journal, "pci", key) : NULL;
	uint16_t control = 0;
	struct err ignored;

	if (before)
		return (unsigned)strtoul(before, NULL, 10);
	if (pci_read16(machine->pci, address, cap + 8, &control, &ignored) < 0)
		return 0;
	return 128U << (control >> 12 & 7);
}

static void
report_read_request(const struct machine *machine, const Gdr__PciDevice *nic, uint32_t wanted, struct report *out)
{
	unsigned cap = machine->pci ? pci_cap(machine->pci, nic->address, CAP_EXPRESS) : 0;

	if (!cap)
		return;
	auto_free char *key = xasprintf("%s/max_read_request", nic->address);
	auto_free char *want = xasprintf("%u", wanted);
	unsigned value = firmware_read_request(machine, nic->address, cap);
	auto_free char *have = xasprintf("%u", value);
	if (value == wanted)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else
		report_add(out, key, want, have, FIX_MANUAL,
			   "as the firmware left it: set PCIe Maximum Read Request: %s Bytes in the BIOS (PCI Express "
			   "settings of the slot)",
			   want);
}

/* --- vendor and version ------------------------------------------------------------------------------------------ */

static void
report_pattern(struct report *out, const char *key, const char *pattern, const char *have)
{
	if (have && fnmatch(pattern, have, 0) == 0)
		report_add(out, key, pattern, have, FIX_NONE, NULL);
	else
		report_add(out, key, pattern, have ? have : "unknown", FIX_MANUAL, "%s",
			   strcmp(key, "version") == 0 ? "flash a BIOS of this version"
						       : "the profile is for a machine with another BIOS");
}

/* --- the layer ------------------------------------------------------------------------------------------------------ */

static bool
bios_wanted(const Gdr__Spec *spec)
{
	return spec->bios != NULL;
}

static int
bios_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const Gdr__BiosSpec *bios = spec->bios;
	const Gdr__Inventory *inventory = machine->inventory;

	(void)err; /* What cannot be read is an item that is not right. */
	if (bios->has_virtualization)
		report_virtualization(machine, bios->virtualization, out);
	if (bios->has_iommu)
		report_iommu(machine, bios->iommu, out);
	if (bios->has_sriov)
		report_sriov(machine, bios->sriov, out);
	if (bios->has_above_4g)
		report_above_4g(machine, bios->above_4g, out);
	for (size_t i = 0; bios->has_max_read_request && i < inventory->n_pci; i++)
		if (inventory_gdr_nic(inventory, inventory->pci[i]))
			report_read_request(machine, inventory->pci[i], bios->max_read_request, out);
	if (bios->vendor)
		report_pattern(out, "vendor", bios->vendor, inventory->bios_vendor);
	if (bios->version)
		report_pattern(out, "version", bios->version, inventory->bios_version);
	return 0;
}

const struct layer layer_bios = {
	.wanted = bios_wanted,
	.inspect = bios_inspect,
};
