/* nic_flash.c - mstflint and mstfwreset, as far as an agent asks them.
 * Formats: flint/subcommands.cpp and mlxfwreset/mlxfwresetlib/cmd_reg_mfrl.py of github.com/Mellanox/mstflint. */

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/nic.h"
#include "tests/simhost/nic_state.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

/* What follows -d, and the verb: of both tools the only word that is no option's value. */
struct call {
	const char *device;
	const char *level;
	const char *verb;
	bool yes;
	unsigned bus;
};

static bool
parse(struct call *call, char *const argv[], int argc)
{
	unsigned domain;
	unsigned fn;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-d") == 0 && i + 1 < argc)
			call->device = argv[++i];
		else if (strcmp(argv[i], "-l") == 0 && i + 1 < argc)
			call->level = argv[++i];
		else if (strcmp(argv[i], "-y") == 0)
			call->yes = true;
		else
			call->verb = argv[i];
	}
	/* NOLINTNEXTLINE(cert-err34-c): what is too large is no card's. */
	return call->device && call->verb && sscanf(call->device, "%x:%x:00.%u", &domain, &call->bus, &fn) == 3;
}

int
nic_flint(const struct sim *sim, char *const argv[], int argc)
{
	struct call call = { 0 };
	struct nic_firmware firmware;
	struct tree tree;
	struct err err;

	if (!parse(&call, argv, argc) || strcmp(call.verb, "query") != 0 || nic_fault(sim, "nic-sick-card", call.bus)) {
		(void)printf("-E- Cannot open Device: %s. No such file or directory. MFE_CR_ERROR\n",
			     call.device ? call.device : "");
		return 1;
	}
	if (sim_tree(sim, &tree, &err) < 0)
		return 1;
	nic_firmware_read(&tree, &firmware);
	(void)tree_close(&tree);
	(void)printf("Image type:            FS4\n"
		     "FW Version:            %s\n",
		     firmware.stored);
	if (strcmp(firmware.stored, firmware.running) != 0)
		(void)printf("FW Version(Running):   %s\n", firmware.running);
	(void)printf("FW Release Date:       15.12.2022\n"
		     "Product Version:       %s\n"
		     "PSID:                  MT_0000000359\n"
		     "Security Attributes:   secure-fw\n",
		     firmware.stored);
	return 0;
}

static int
print_levels(bool can)
{
	(void)printf("Reset-levels:\n"
		     "0: Driver, PCI link, network link will remain up (\"live-Patch\")     -Not Supported\n"
		     "3: Driver restart and PCI reset                                     %s\n"
		     "4: Warm Reboot                                                      -Supported\n\n"
		     "Reset-types (relevant only for reset-levels 3,4):\n"
		     "0: Full chip reset                                                  -Supported     (default)\n",
		     can ? "-Supported     (default)" : "-Not Supported");
	return 0;
}

int
nic_fwreset(const struct sim *sim, char *const argv[], int argc)
{
	struct call call = { 0 };
	struct err err = { 0 };
	int rc;

	if (!parse(&call, argv, argc) || nic_fault(sim, "nic-sick-card", call.bus)) {
		(void)printf("-E- Failed to Identify Device: %s\n", call.device ? call.device : "");
		return 1;
	}
	if (strcmp(call.verb, "query") == 0)
		return print_levels(!nic_fault(sim, "nic-no-reset", call.bus));
	(void)printf("\nRequested reset level for device, %s:\n\n", call.device);
	if (strcmp(call.verb, "reset") != 0 || !call.yes || !call.level || strcmp(call.level, "3") != 0) {
		(void)printf("-E- Aborted by user.\n");
		return 1;
	}
	(void)printf("3: Driver restart and PCI reset\nContinue with reset?[y/N] y\n");
	if (nic_fault(sim, "nic-reset-fails", call.bus)) {
		(void)printf("-E- Firmware reset failed, retry operation or reboot machine.\n");
		return 1;
	}
	rc = nic_reset_card(sim, call.bus, &err);
	if (rc < 0) {
		(void)printf("-E- %s\n", err.msg);
		return 1;
	}
	(void)printf("-I- Sending Reset Command To Fw             -Done\n"
		     "-I- Stopping Driver                         -Done\n"
		     "-I- Resetting PCI                           -Done\n"
		     "-I- Starting Driver                         -Done\n"
		     "-I- FW was loaded successfully.\n");
	return 0;
}
