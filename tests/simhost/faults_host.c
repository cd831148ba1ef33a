/* faults_host.c - what can go wrong on a host. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/boot.h"
#include "tests/simhost/faults_internal.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/nic_state.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define ACS_DT 0x40U

static int
vmx(const struct act *act, struct err *err)
{
	(void)err;
	machine_write_cpuinfo(act->tree, !act->broken);
	return 0;
}

/* Calls 'act' for the devices that 'which' is true for, until one fails. */
static int
each_device(const struct sim *sim, bool (*which)(const struct pci_dev *dev),
	    int (*act)(const struct sim *sim, const struct pci_dev *dev, bool broken, struct err *err), bool broken,
	    struct err *err)
{
	auto_free struct pci_model *model = xcalloc(1, sizeof(*model));
	int rc = 0;

	pci_model_build(model, sim);
	for (size_t i = 0; i < model->n && rc == 0; i++)
		if (which(&model->devs[i]))
			rc = act(sim, &model->devs[i], broken, err);
	return rc;
}

static int
set_read_size(const struct sim *sim, const struct pci_dev *dev, bool broken, struct err *err)
{
	return register_update(sim, dev->address, "CAP_EXP+8", 0x7000, broken ? 0x2000 : 0x5000, err);
}

static int
read_sizes(const struct act *act, struct err *err)
{
	return each_device(act->sim, pci_is_gdr_nic, set_read_size, act->broken, err);
}

static int
set_ats(const struct sim *sim, const struct pci_dev *dev, bool broken, struct err *err)
{
	int rc = register_update(sim, dev->address, "ECAP_ATS+6", 0x8000, broken ? 0 : 0x8000, err);

	return rc == -ENOENT ? 0 : rc; /* The NIC's firmware has it switched off. */
}

static bool
has_ats(const struct pci_dev *dev)
{
	return pci_is_gdr_nic(dev) || pci_is_gpu(dev);
}

static int
ats(const struct act *act, struct err *err)
{
	struct pci_boot how = { 0 };

	boot_pci(act->sim, act->tree, &how);
	free(how.no_dt);
	return act->broken || how.ats ? each_device(act->sim, has_ats, set_ats, act->broken, err) : 0;
}

/* The port that was named, or the first on a path between GPU and NIC; the caller frees. */
static char *
port_of(const struct sim *sim, const char *value)
{
	auto_free struct pci_model *model = xcalloc(1, sizeof(*model));

	pci_model_build(model, sim);
	return xstrdup(*value ? value : pci_model_gdr_port(model));
}

static int
acs_capability(const struct act *act, struct err *err)
{
	auto_free char *port = port_of(act->sim, act->value);
	int rc = register_update(act->sim, port, "ECAP_ACS+4", ACS_DT, act->broken ? 0 : ACS_DT, err);

	return rc < 0 || !act->broken ? rc : register_update(act->sim, port, "ECAP_ACS+6", ACS_DT, 0, err);
}

static int
clear_acs(const struct sim *sim, const struct pci_dev *dev, bool broken, struct err *err)
{
	(void)broken;
	return register_update(sim, dev->address, "ECAP_ACS+6", ACS_DT, 0, err);
}

static bool
has_acs(const struct pci_dev *dev)
{
	return dev->kind->acs != 0;
}

/* As after a reset: what the kernel knows of is restored, Direct Translated P2P is not. */
static int
acs_control(const struct act *act, struct err *err)
{
	if (strcmp(act->value, "all") == 0)
		return each_device(act->sim, has_acs, clear_acs, act->broken, err);
	auto_free char *port = port_of(act->sim, act->value);
	return register_update(act->sim, port, "ECAP_ACS+6", ACS_DT, 0, err);
}

static int
burn(const struct act *act, struct err *err)
{
	struct nic_firmware firmware;

	(void)err;
	nic_firmware_read(act->tree, &firmware);
	(void)snprintf(firmware.stored, sizeof(firmware.stored), "%s", *act->value ? act->value : "22.38.1002");
	nic_firmware_write(act->tree, &firmware);
	return 0;
}

static int
steal_pages(const struct act *act, struct err *err)
{
	uint64_t n = *act->value ? strtoull(act->value, NULL, 10) : 1;
	struct memory memory;

	memory_load(&memory, act->sim, act->tree);
	enum page_size size = memory.pages[PAGES_1G][0] ? PAGES_1G : PAGES_2M;
	uint64_t had = memory.pages[size][0];
	memory_set_node(&memory, size, 0, had > n ? had - n : 0);
	memory_write(act->tree, &memory, true);
	return had ? 0 : err_set(err, -ENOENT, "node 0 has no huge page");
}

static int
gpu_gone(const struct act *act, struct err *err)
{
	(void)err;
	if (act->broken)
		pci_sysfs_drop(act->tree, *act->value ? act->value : PCI_FIRST_GPU);
	return 0;
}

static int
hide_tool(const struct act *act, struct err *err)
{
	const char *tool = *act->value ? act->value : "update-grub";
	auto_free char *there = xasprintf(".sim/bin/%s", tool);
	auto_free char *hidden = xasprintf(".sim/bin/%s.missing", tool);
	int rc = strchr(tool, '/') ? -1
				   : renameat(act->sim->fd, act->broken ? there : hidden, act->sim->fd,
					      act->broken ? hidden : there);

	return rc < 0 ? err_set(err, -ENOENT, "there is no tool '%s' to take away or bring back", tool) : 0;
}

/* --- the table --------------------------------------------------------------------------------- */

const struct fault host_faults[] = {
	{ "bios-vmx", NULL, "virtualization is off in the BIOS: no vmx flag", AT_BOOT, vmx },
	{ "bios-iommu", NULL, "VT-d is off in the BIOS: no DMAR table", AT_BOOT, NULL },
	{ "bios-mrrs", NULL, "the firmware leaves 512-byte read requests in the NICs", AT_BOOT, read_sizes },
	{ "bios-4g", NULL, "no decoding above 4 GiB: the GPUs' large BARs are nowhere", AT_BOOT, NULL },
	{ "bios-sriov", NULL, "SR-IOV is off: the NICs cannot have VFs", AT_BOOT, NULL },
	{ "no-hugepages", "PERCENT", "huge pages can take no more than this much memory (10)", AT_BOOT, NULL },
	{ "acs-dt-missing", "ADDRESS", "a port's ACS cannot do Direct Translated P2P", AT_BOOT, acs_capability },
	{ "acs-cleared", "ADDRESS|all", "a port lost ACS Direct Translated P2P, as after a reset", ONE_TIME,
	  acs_control },
	{ "ats-off", NULL, "the kernel does not enable ATS", AT_BOOT, ats },
	{ "cmdline-ignored", NULL, "boots come up with the command line of the boot before", AT_BOOT, NULL },
	{ "reboot-hang", NULL, "a reboot does not come back until this is mended", AT_ONCE, NULL },
	{ "reboot-ignored", NULL, "systemctl reboot says yes and does nothing", AT_ONCE, NULL },
	{ "update-grub-fails", NULL, "update-grub exits 1", AT_ONCE, NULL },
	{ "update-grub-hangs", NULL, "update-grub does not end", AT_ONCE, NULL },
	{ "update-grub-lies", NULL, "update-grub exits 0 and changes nothing", AT_ONCE, NULL },
	{ "tool-missing", "NAME", "a tool is not there (update-grub)", AT_ONCE, hide_tool },
	{ "nic-not-loaded", "CARD", "a boot does not load what a NIC has stored (CARD: 0000:3f:00)", AT_ONCE, NULL },
	{ "nic-power-cycle", "CARD", "nor does it, and the tool says so after each set", AT_ONCE, NULL },
	{ "nic-not-armed", "CARD", "likewise: the tool skips the reset's preparation", AT_ONCE, NULL },
	{ "nic-unread", "CARD", "a NIC cannot read what is in effect: N/A", AT_ONCE, NULL },
	{ "nic-no-current", "CARD", "a NIC's firmware does not tell what is in effect: no such column", AT_ONCE, NULL },
	{ "nic-read-only", "CARD", "a NIC's maker locked ATS_ENABLED", AT_ONCE, NULL },
	{ "nic-partial", "CARD", "a NIC's table is followed by an error, as other settings cannot be read", AT_ONCE,
	  NULL },
	{ "nic-reverts", "CARD", "a boot throws away what a NIC has stored, but ADVANCED_PCI_SETTINGS", AT_ONCE, NULL },
	{ "nic-refuses", "CARD", "a NIC does not take ATS_ENABLED, nor what comes after it in the set", AT_ONCE, NULL },
	{ "nic-forgets", "CARD", "a NIC says that it stored, and did not", AT_ONCE, NULL },
	{ "nic-shows-early", NULL, "NICs show MAX_ACC_OUT_READ before the boot that unlocks it", AT_ONCE, NULL },
	{ "nic-no-reset", "CARD", "a NIC cannot be reset at level 3", AT_ONCE, NULL },
	{ "nic-reset-fails", "CARD", "mstfwreset exits 1, and nothing is loaded", AT_ONCE, NULL },
	{ "nic-burned", "VERSION", "somebody burned firmware into the NICs, which a boot runs (22.38.1002)", ONE_TIME,
	  burn },
	{ "nic-sick-card", "CARD", "a NIC cannot be opened", AT_ONCE, NULL },
	{ "nic-hangs", "CARD", "mstconfig does not end", AT_ONCE, NULL },
	{ "nic-locked", NULL, "the kernel keeps mstconfig from the cards, as under Secure Boot", AT_ONCE, NULL },
	{ "nic-old-tool", NULL, "mstconfig is of 4.17 and does not know RDMA_SELECTIVE_REPEAT_EN", AT_ONCE, NULL },
	{ "nic-garbage", NULL, "mstconfig prints nonsense and dies", AT_ONCE, NULL },
	{ "libvirt-away", NULL, "libvirt's daemon does not run", AT_ONCE, NULL },
	{ "libvirt-hangs", NULL, "libvirt's daemon does not answer", AT_ONCE, NULL },
	{ "libvirt-refuses", NULL, "libvirt takes no definition", AT_ONCE, NULL },
	{ "vm-start-fails", NULL, "no VM starts", AT_ONCE, NULL },
	{ "vm-deaf", NULL, "guests do not shut down when asked", AT_ONCE, NULL },
	{ "gpu-gone", "ADDRESS", "a GPU fell off the bus (the first)", AT_BOOT, gpu_gone },
	{ "hugepage-stolen", "PAGES", "node 0 loses so many pages (1)", ONE_TIME, steal_pages },
	{ 0 },
};
