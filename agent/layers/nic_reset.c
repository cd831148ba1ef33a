/* nic_reset.c - mlxfwreset/mlxfwreset.py and mlxfwresetlib of github.com/Mellanox/mstflint, v4.17 to v4.36. */

#include "agent/layers/nic_reset.h"

#include <errno.h>
#include <string.h>

#include "agent/layers/nic_card.h"
#include "agent/layers/nic_notes.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "common/err.h"
#include "common/mem.h"

static bool
is_guest(struct host *host)
{
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(host, "/proc/cpuinfo", &text, NULL, &ignored);
	auto_free char *flags = text ? inventory_field(text, "flags") : NULL;
	return flags && strstr(flags, "hypervisor");
}

/* What another function of the card is in use for. */
static char *
use_of(const Gdr__PciDevice *device)
{
	if (device->vfs)
		return xasprintf("%s has %u VFs", device->address, device->vfs);
	if (device->driver && strcmp(device->driver, "vfio-pci") == 0)
		return xasprintf("%s is a guest's", device->address);
	return NULL;
}

char *
nic_reset_obstacle(const struct machine *machine, const char *address)
{
	const Gdr__Inventory *inventory = machine->inventory;
	auto_free char *tool = nic_card_tool(machine->host, "fwreset");

	if (!tool)
		return xstrdup("neither mstfwreset nor mlxfwreset is on this host");
	if (nic_card_locked_down(machine->host))
		return xstrdup("the kernel is locked down");
	if (is_guest(machine->host))
		return xstrdup("this is a virtual machine");
	for (size_t i = 0; i < inventory->n_pci; i++) {
		char *use = nic_same_card(inventory->pci[i]->address, address) ? use_of(inventory->pci[i]) : NULL;

		if (use)
			return use;
	}
	return NULL;
}

/* "3: Driver restart and PCI reset      -Supported     (default)" */
static bool
can_reset(const char *text)
{
	const char *level = strstr(text, "Driver restart and PCI reset");
	const char *end = level ? level + strcspn(level, "\n") : NULL;
	const char *answer = level ? strstr(level, "-Supported") : NULL;

	return answer && answer < end;
}

static int
ask(const struct machine *machine, const char *tool, const char *address, struct err *err)
{
	const char *const argv[] = { tool, "-d", address, "query", NULL };
	struct host_result result = { 0 };
	int rc = host_run(machine->host, argv, 0, &result, err);

	if (rc == 0 && (result.timed_out || result.status != 0))
		rc = err_set(err, -EIO, "%s: %s does not answer", tool, address);
	else if (rc == 0 && !can_reset(result.out))
		rc = err_set(err, -EOPNOTSUPP, "%s: %s cannot be reset at level 3", tool, address);
	host_result_free(&result);
	return rc;
}

int
nic_reset(const struct machine *machine, const char *address, struct err *err)
{
	auto_free char *tool = nic_card_tool(machine->host, "fwreset");
	auto_free char *obstacle = nic_reset_obstacle(machine, address);

	if (obstacle)
		return err_set(err, -EBUSY, "%s: no firmware reset: %s", address, obstacle);
	const char *const argv[] = { tool, "-d", address, "-l", "3", "-y", "reset", NULL };
	int rc = ask(machine, tool, address, err);
	return rc < 0 ? rc : host_do(machine->host, argv, err);
}
