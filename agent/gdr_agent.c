/* gdr_agent.c - what gdr-agent is: the layers of a host, and its commands. */

#include <errno.h>
#include <stdio.h>

#include "agent/comm.h"
#include "agent/layer.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "common/err.h"

#define GUEST(name)

#define HOST(name) extern const struct layer layer_##name;
#include "common/layers.def"
#undef HOST

#define HOST(name) { #name, &layer_##name },
static const struct named_layer layers[] = {
#include "common/layers.def"
};
#undef HOST

static int
join(const struct settings *settings, const struct arguments *arguments)
{
	struct err err = { 0 };

	if (comm_join(settings, arguments->operand, &err) < 0) {
		(void)fprintf(stderr, "gdr-agent: %s\n", err.msg);
		return err.code == -EACCES || err.code == -EPERM ? 5 : err.code == -ETIMEDOUT ? 6 : 1;
	}
	(void)printf("joined as %s\n", settings->node);
	return 0;
}

static int
nccl_topology(const struct settings *settings, const struct arguments *arguments)
{
	return cli_nccl_topology(settings, &arguments->options, arguments->operand);
}

static int
topology_lint(const struct settings *settings, const struct arguments *arguments)
{
	return cli_topology_lint(settings, &arguments->options, arguments->operand, false);
}

static int
vm_xml(const struct settings *settings, const struct arguments *arguments)
{
	return cli_vm_xml(settings, &arguments->options, arguments->operand);
}

static int
vm_credential(const struct settings *settings, const struct arguments *arguments)
{
	return cli_vm_credential(settings, arguments->operand);
}

static const struct command commands[] = {
	{ "worker", "the root half of the daemon: converges this host", command_worker, NULL },
	{ "comm", "the unprivileged half: talks to the controller", command_comm, NULL },
	{ "join", "enrol this host with a token: join FILE", join, "FILE" },
	{ "check", "compare this host with what is wanted; changes nothing", command_check, NULL },
	{ "apply", "one pass that puts right what it may; never reboots", command_apply, NULL },
	{ "inventory", "what this host is made of", command_inventory, NULL },
	{ "desired", "what is wanted of this host", command_desired, NULL },
	{ "nccl-topology", "a VM's topology file for NCCL, and whether it needs one: nccl-topology [VM]", nccl_topology,
	  "[VM]" },
	{ "topology lint", "what NCCL would make of a topology file: topology lint FILE", topology_lint, "FILE" },
	{ "vm-xml", "the definition of a VM, or of all, as libvirt would get it, or what differs: vm-xml [--diff] [VM]",
	  vm_xml, "[--diff] [VM]" },
	{ "vm-credential", "a guest's key, a secret, where it cannot read SMBIOS: vm-credential VM", vm_credential,
	  "VM" },
	{ 0 },
};

const struct program gdr_agent = {
	.name = "gdr-agent",
	.config = "/etc/gdrfleet/agent.yaml",
	.examples = "  gdr-agent check --profile /usr/share/gdrfleet/profiles/vela-a100.yaml\n"
		    "  gdr-agent inventory -o json\n",
	.layers = layers,
	.n_layers = sizeof(layers) / sizeof(layers[0]),
	.commands = commands,
};
