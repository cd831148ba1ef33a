/* cli_guest.c - what gdr-guest alone does for people: a job's environment, and measurements. */

#include <stdio.h>

#include "agent/cli_internal.h"
#include "agent/layer.h"
#include "agent/layers/nccl_env.h"
#include "agent/layers/readiness.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "agent/settings.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

/* Calls 'work' with this machine and what is wanted of it; the exit status. */
static int
with_machine(const struct settings *settings, const struct cli_options *options,
	     int (*work)(const struct machine *machine, const Gdr__Spec *spec, struct err *err))
{
	auto_pb Gdr__Desired *desired = NULL;
	struct host *host = host_open(settings->config->root, settings->config);
	struct machine machine = { .host = host };
	Gdr__Inventory *inventory = NULL;
	struct err err = { 0 };
	int rc = cli_find_desired(settings, options, &desired, &err);

	if (pci_open(host, &machine.pci, &err) < 0)
		machine.pci = NULL;
	if (rc == 0)
		rc = inventory_read(host, machine.pci, &inventory, &err);
	machine.inventory = inventory;
	if (rc == 0)
		rc = work(&machine, desired->spec, &err);
	inventory_free(inventory);
	pci_close(machine.pci);
	host_free(host);
	return rc < 0 ? cli_complain(settings, &err) : 0;
}

static int
print_env(const struct machine *machine, const Gdr__Spec *spec, struct err *err)
{
	auto_buf struct buf text = { 0 };
	struct nccl_env env;

	(void)err;
	nccl_env_read(machine, spec && spec->guest ? spec->guest->nccl : NULL, &env);
	nccl_env_print_shell(&env, &text);
	nccl_env_free(&env);
	(void)fputs(text.text ? text.text : "", stdout);
	return 0;
}

static int
measure(const struct machine *machine, const Gdr__Spec *spec, struct err *err)
{
	return spec && spec->guest && spec->guest->readiness ? readiness_measure(machine, spec, err) : 0;
}

int
cli_env(const struct settings *settings, const struct cli_options *options)
{
	return with_machine(settings, options, print_env);
}

int
cli_measure(const struct settings *settings, const struct cli_options *options)
{
	return with_machine(settings, options, measure);
}
