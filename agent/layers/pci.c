/* pci.c - PCI Express registers between GPUs and NICs, put back after every boot and reset.
 *
 * Spec:     pci: [{match: gdr-path-ports, acs: [sv, rr, cr, uf, dt]}, {match: gpus, ats: true},
 *           {match: nics, ats: true, ats_force: false, max_read_request: 4096}]
 * Reads:    the inventory; ACS, ATS and PCI Express capabilities in configuration space (agent/machine/pci.h);
 *           /sys/kernel/iommu_groups/N/type, /sys/kernel/security/lockdown, the boot loader's entries
 * Changes:  ACS Control (bits are set, never cleared), ATS Control bit 15 (with ats_force alone), Device Control
 *           14:12.  PCI Express base specification: ACS and ATS extended capabilities, PCI Express capability. */

#include <errno.h>
#include <stdio.h>

#include "agent/layer.h"
#include "agent/machine/bootloader.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

/* Offsets in the capabilities. */
enum {
	ACS_CAN = 4,
	ACS_CONTROL = 6,
	ATS_CONTROL = 6,
	EXPRESS_CONTROL = 8
};

enum {
	ACS_TB = 1 << 1,
	ACS_DT = 1 << 6,
	ATS_ENABLE = 1 << 15,
	READ_REQUEST = 7 << 12,   /* 128 << n bytes. */
	FUNCTION_RESET = 1 << 15, /* Must be written as 0, or the function is reset. */
};

static const char *const acs_names[] = { "sv", "tb", "rr", "cr", "uf", "ec", "dt" };

/* What all rules together want of one device. */
struct wish {
	uint16_t acs; /* Bits of ACS Control; 0: nothing. */
	bool ats;
	bool ats_force;
	uint32_t read_request; /* Bytes; 0: nothing. */
};

static bool
matches(const Gdr__Inventory *inventory, const Gdr__PciRule *rule, const Gdr__PciDevice *device)
{
	if (!rule->has_match)
		return false;
	switch (rule->match) {
	case GDR__PCI_MATCH__MATCH_GDR_PATH_PORTS: return inventory_on_gdr_path(inventory, device);
	case GDR__PCI_MATCH__MATCH_GPUS: return device->kind == GDR__PCI_DEVICE__KIND__GPU && !device->physfn;
	case GDR__PCI_MATCH__MATCH_NVSWITCHES: return device->kind == GDR__PCI_DEVICE__KIND__NVSWITCH;
	case GDR__PCI_MATCH__MATCH_NICS: return inventory_gdr_nic(inventory, device);
	default: return false;
	}
}

static struct wish
wish_for(const Gdr__Inventory *inventory, const Gdr__Spec *spec, const Gdr__PciDevice *device)
{
	struct wish wish = { 0 };

	for (size_t i = 0; i < spec->n_pci; i++) {
		const Gdr__PciRule *rule = spec->pci[i];
		if (!matches(inventory, rule, device))
			continue;
		for (size_t k = 0; k < rule->n_acs; k++)
			wish.acs = (uint16_t)(wish.acs | 1U << (rule->acs[k] - GDR__ACS__ACS_SV));
		wish.ats = wish.ats || rule->ats || rule->ats_force;
		wish.ats_force = wish.ats_force || rule->ats_force;
		if (rule->max_read_request)
			wish.read_request = rule->max_read_request;
	}
	return wish;
}

static char *
acs_text(uint16_t bits)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < sizeof(acs_names) / sizeof(acs_names[0]); i++)
		if (bits & 1U << i)
			buf_printf(&out, "%s%s", out.len ? " " : "", acs_names[i]);
	if (!out.len)
		buf_puts(&out, "none");
	return buf_steal(&out);
}

/* --- what is seen --------------------------------------------------------------------------------------------- */

/* Under lockdown (Secure Boot) the kernel refuses writes to configuration space; kernel_lockdown(7). */
static bool
is_locked_down(struct host *host)
{
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(host, "/sys/kernel/security/lockdown", &text, NULL, &ignored);
	return text && !strstr(text, "[none]") && strchr(text, '[');
}

/* An item that apply() can put right, if the kernel lets it. */
static void
report_live(const struct machine *machine, struct report *out, const char *key, const char *want, const char *have,
	    const char *why)
{
	if (is_locked_down(machine->host))
		report_add(out, key, want, have, FIX_MANUAL,
			   "the kernel is locked down (Secure Boot) and lets nobody write PCI registers");
	else if (why)
		report_add(out, key, want, have, FIX_LIVE, "%s", why);
	else
		report_add(out, key, want, have, FIX_LIVE, NULL);
}

static void
report_unreadable(struct report *out, const char *key, const char *want, const struct err *err)
{
	report_add(out, key, want, "unreadable", FIX_MANUAL, "%s", err->msg);
}

/* --- ACS -------------------------------------------------------------------------------------------------------- */

struct acs {
	uint16_t can;
	uint16_t set;
};

static int
read_acs(const struct machine *machine, const char *address, unsigned cap, struct acs *out, struct err *err)
{
	int rc = pci_read16(machine->pci, address, cap + ACS_CAN, &out->can, err);

	return rc < 0 ? rc : pci_read16(machine->pci, address, cap + ACS_CONTROL, &out->set, err);
}

/* A root port without DT loses nothing: behind it is the root complex, where the turn is made either way. */
static bool
may_lack(const Gdr__PciDevice *device, uint16_t missing)
{
	return device->kind == GDR__PCI_DEVICE__KIND__ROOT_PORT && missing == ACS_DT;
}

static void
judge_acs(const struct machine *machine, const Gdr__PciDevice *device, uint16_t wanted, const struct acs *acs,
	  struct report *out)
{
	uint16_t missing = (uint16_t)(wanted & ~acs->set);
	uint16_t cannot = (uint16_t)(missing & ~acs->can);
	auto_free char *key = xasprintf("%s/acs", device->address);
	auto_free char *want = acs_text(wanted);
	auto_free char *have = acs_text(acs->set);
	auto_free char *lacks = acs_text(cannot);

	if (missing & ~cannot)
		report_live(machine, out, key, want, have, NULL);
	else if ((wanted & ACS_DT) && (acs->set & ACS_TB) && !(wanted & ACS_TB))
		report_add(
			out, key, want, have, FIX_MANUAL,
			"tb (Translation Blocking), set by others, blocks ATS below this port; the kernel sets it for "
			"untrusted devices and with pci=noats: take that off and reboot");
	else if (!missing)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else if (may_lack(device, cannot))
		report_add(out, key, want, have, FIX_NONE,
			   "this root port does not support dt and need not: the root complex is next to it");
	else
		report_add(out, key, want, have, FIX_MANUAL, "port does not support %s: it is not made for this path",
			   lacks);
}

static void
report_acs(const struct machine *machine, const Gdr__PciDevice *device, uint16_t wanted, struct report *out)
{
	unsigned cap = pci_ext_cap(machine->pci, device->address, EXT_CAP_ACS);
	auto_free char *key = xasprintf("%s/acs", device->address);
	auto_free char *want = acs_text(wanted);
	struct acs acs = { 0 };
	struct err err;

	if (!cap)
		report_add(out, key, want, "no ACS", FIX_MANUAL,
			   "port has no ACS capability: traffic below it cannot be kept apart");
	else if (read_acs(machine, device->address, cap, &acs, &err) < 0)
		report_unreadable(out, key, want, &err);
	else
		judge_acs(machine, device, wanted, &acs, out);
}

/* --- ATS ------------------------------------------------------------------------------------------------------------- */

static void
report_no_ats(const Gdr__PciDevice *device, const char *key, struct report *out)
{
	report_add(out, key, "enabled", "no ATS", FIX_MANUAL,
		   device->kind == GDR__PCI_DEVICE__KIND__NIC
			   ? "no ATS capability: NIC firmware setting ATS_ENABLED is not active"
			   : "no ATS capability: this device does not support it");
}

/* vfio-pci leaves an idle device in the group's own domain; with iommu=pt that is the identity, for which the kernel
 * keeps ATS off.  It comes on when a VM takes the device. */
static bool
waits_for_vm(const struct machine *machine, const Gdr__PciDevice *device)
{
	auto_free char *path = xasprintf("/sys/kernel/iommu_groups/%d/type", device->iommu_group);
	auto_free char *type = NULL;
	struct err ignored;

	if (!device->driver || strcmp(device->driver, "vfio-pci") != 0 || !device->has_iommu_group)
		return false;
	(void)host_read_line(machine->host, path, &type, &ignored);
	return type && strcmp(type, "identity") == 0;
}

/* No IOMMU in this boot, but the next one is staged to have it: a reboot is asked for only where it would help. */
static bool
waits_for_iommu(const struct machine *machine, const Gdr__PciDevice *device)
{
	auto_staged struct staged staged = { 0 };
	struct err ignored;

	if (device->has_iommu_group || bootloader_staged(machine->host, &staged, &ignored) < 0 || !staged.ours)
		return false;
	return cmdline_has((const char *const *)staged.ours, "intel_iommu=on") ||
	       cmdline_has((const char *const *)staged.ours, "amd_iommu=on");
}

static void
report_ats(const struct machine *machine, const Gdr__PciDevice *device, const struct wish *wish, struct report *out)
{
	unsigned cap = pci_ext_cap(machine->pci, device->address, EXT_CAP_ATS);
	auto_free char *key = xasprintf("%s/ats", device->address);
	uint16_t control = 0;
	struct err err;

	if (!cap)
		report_no_ats(device, key, out);
	else if (pci_read16(machine->pci, device->address, cap + ATS_CONTROL, &control, &err) < 0)
		report_unreadable(out, key, "enabled", &err);
	else if (control & ATS_ENABLE)
		report_add(out, key, "enabled", "enabled", FIX_NONE, NULL);
	else if (wish->ats_force)
		report_live(machine, out, key, "enabled", "off",
			    "ats_force: set behind the kernel's back, which then sends no invalidations: a translation "
			    "that is gone may go on being used");
	else if (waits_for_iommu(machine, device))
		report_add(out, key, "enabled", "off", FIX_BOOT,
			   "the IOMMU is off in this boot: the next is staged to have it");
	else if (waits_for_vm(machine, device))
		report_add(out, key, "enabled", "off while idle", FIX_NONE,
			   "the kernel enables it when a VM takes the device out of its identity domain");
	else
		report_add(
			out, key, "enabled", "off", FIX_MANUAL,
			"the kernel enables ATS for a device in a translating IOMMU domain: not with iommu=pt while the "
			"host has it, not with pci=noats, not where DMAR names no ATSR for its root port; ats_force "
			"sets it all the same");
}

/* --- MaxReadReq ---------------------------------------------------------------------------------------------------- */

static void
report_read_request(const struct machine *machine, const Gdr__PciDevice *device, uint32_t wanted, struct report *out)
{
	unsigned cap = pci_cap(machine->pci, device->address, CAP_EXPRESS);
	auto_free char *key = xasprintf("%s/max_read_request", device->address);
	auto_free char *want = xasprintf("%u", wanted);
	uint16_t control = 0;
	struct err err;

	if (!cap) {
		report_add(out, key, want, "none", FIX_MANUAL, "no PCI Express capability");
		return;
	}
	if (pci_read16(machine->pci, device->address, cap + EXPRESS_CONTROL, &control, &err) < 0) {
		report_unreadable(out, key, want, &err);
		return;
	}
	auto_free char *have = xasprintf("%u", 128U << (control >> 12 & 7));
	if (strcmp(want, have) == 0)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else
		report_live(machine, out, key, want, have, NULL);
}

/* --- the layer --------------------------------------------------------------------------------------------------------- */

static bool
pci_wanted(const Gdr__Spec *spec)
{
	return spec->n_pci > 0;
}

static void
inspect_device(const struct machine *machine, const Gdr__Spec *spec, const Gdr__PciDevice *device, struct report *out)
{
	struct wish wish = wish_for(machine->inventory, spec, device);

	if (wish.acs)
		report_acs(machine, device, wish.acs, out);
	if (wish.ats)
		report_ats(machine, device, &wish, out);
	if (wish.read_request)
		report_read_request(machine, device, wish.read_request, out);
}

/* A machine without GPUs shall not look as if all were well with it.  NVSwitches are not in every GPU host. */
static void
report_unmatched(const struct machine *machine, const Gdr__Spec *spec, size_t index, struct report *out)
{
	const Gdr__PciRule *rule = spec->pci[index];
	static const char *const names[] = {
		[GDR__PCI_MATCH__MATCH_GDR_PATH_PORTS] = "gdr-path-ports",
		[GDR__PCI_MATCH__MATCH_GPUS] = "gpus",
		[GDR__PCI_MATCH__MATCH_NICS] = "nics",
	};
	size_t match = rule->has_match ? (size_t)rule->match : 0;
	const char *name = match < sizeof(names) / sizeof(names[0]) ? names[match] : NULL;

	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		if (matches(machine->inventory, rule, machine->inventory->pci[i]))
			return;
	for (size_t i = 0; i < index; i++)
		if (spec->pci[i]->has_match && spec->pci[i]->match == rule->match)
			return; /* Told already. */
	if (name)
		report_add(out, name, "found", "none", FIX_MANUAL,
			   "no such device found: cards that are not seated or powered, a disabled slot, or the wrong "
			   "profile for this machine");
}

static int
pci_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	(void)err; /* A sick device is an item, and hides no other. */
	for (size_t i = 0; machine->pci && i < machine->inventory->n_pci; i++)
		inspect_device(machine, spec, machine->inventory->pci[i], out);
	for (size_t i = 0; i < spec->n_pci; i++)
		report_unmatched(machine, spec, i, out);
	return 0;
}

static int
set_acs(const struct machine *machine, const char *address, uint16_t wanted, struct err *err)
{
	unsigned cap = pci_ext_cap(machine->pci, address, EXT_CAP_ACS);
	struct acs acs = { 0 };
	int rc = cap ? read_acs(machine, address, cap, &acs, err) : err_set(err, -ENODEV, "%s: no ACS", address);

	if (rc < 0)
		return rc;
	uint16_t bits = wanted & acs.can;
	return pci_update16(machine->pci, address, cap + ACS_CONTROL, bits, bits, NULL, err);
}

static int
set_ats(const struct machine *machine, const char *address, struct err *err)
{
	unsigned cap = pci_ext_cap(machine->pci, address, EXT_CAP_ATS);

	if (!cap)
		return err_set(err, -ENODEV, "%s: no ATS", address);
	return pci_update16(machine->pci, address, cap + ATS_CONTROL, ATS_ENABLE, ATS_ENABLE, NULL, err);
}

static int
set_read_request(const struct machine *machine, const char *address, uint32_t bytes, struct err *err)
{
	unsigned cap = pci_cap(machine->pci, address, CAP_EXPRESS);
	unsigned code = 0;

	while (128U << code < bytes && code < 5)
		code++;
	if (!cap)
		return err_set(err, -ENODEV, "%s: no PCI Express capability", address);
	return pci_update16(machine->pci, address, cap + EXPRESS_CONTROL, READ_REQUEST | FUNCTION_RESET,
			    (uint16_t)(code << 12), NULL, err);
}

static int
pci_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	const char *slash = strchr(item->key, '/');
	auto_free char *address = xasprintf("%.*s", (int)strcspn(item->key, "/"), item->key);
	const Gdr__PciDevice *device = inventory_device(machine->inventory, address);

	if (!slash || !device || !machine->pci)
		return err_set(err, -ENODEV, "%s: no such device", item->key);
	struct wish wish = wish_for(machine->inventory, spec, device);
	if (strcmp(slash, "/acs") == 0)
		return set_acs(machine, address, wish.acs, err);
	if (strcmp(slash, "/ats") == 0 && wish.ats_force)
		return set_ats(machine, address, err);
	if (strcmp(slash, "/max_read_request") == 0)
		return set_read_request(machine, address, wish.read_request, err);
	return err_set(err, -EINVAL, "%s cannot be changed", item->key);
}

const struct layer layer_pci = {
	.wanted = pci_wanted,
	.inspect = pci_inspect,
	.apply = pci_apply,
};
