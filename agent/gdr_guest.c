/* gdr_guest.c - what gdr-guest is: the layers of a guest, and its commands. */

#include <errno.h>
#include <stdio.h>

#include "agent/comm.h"
#include "agent/credential.h"
#include "agent/layer.h"
#include "agent/machine/host.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "common/err.h"
#include "common/pb.h"

#define HOST(name)

#define GUEST(name) extern const struct layer layer_##name;
#include "common/layers.def"
#undef GUEST

#define GUEST(name) { #name, &layer_##name },
static const struct named_layer layers[] = {
#include "common/layers.def"
};
#undef GUEST

/* As who it joined before: by a file, once, and the service looks for a credential at each start all the same. */
static int
go_on(const struct settings *settings, const struct err *none)
{
	auto_pb Gdr__JoinToken *controller = NULL;
	struct err ignored = { 0 };

	if (settings_controller(settings->config, &controller, &ignored) < 0 || !controller->node) {
		(void)fprintf(stderr, "gdr-guest: %s\n", none->msg);
		return 1;
	}
	(void)printf("no new credential: goes on as %s\n", controller->node);
	return 0;
}

static int
join(const struct settings *settings, const struct arguments *arguments)
{
	struct host *host = host_open(settings->config->root, settings->config);
	Gdr__GuestCredential *credential = NULL;
	struct err err = { 0 };
	int rc = credential_read(host, arguments->operand, &credential, &err);

	host_free(host);
	if (rc == -ENOENT && !arguments->operand)
		return go_on(settings, &err);
	if (credential)
		rc = comm_adopt(settings, credential, &err);
	if (credential && rc == 0)
		(void)printf("joined as %s\n", credential->node);
	else
		(void)fprintf(stderr, "gdr-guest: %s\n", err.msg);
	credential_free(credential);
	return rc < 0 ? 1 : 0;
}

static int
topology_lint(const struct settings *settings, const struct arguments *arguments)
{
	return cli_topology_lint(settings, &arguments->options, arguments->operand, true);
}

static int
check(const struct settings *settings, const struct arguments *arguments)
{
	int rc = arguments->options.active ? cli_measure(settings, &arguments->options) : 0;

	return rc ? rc : command_check(settings, arguments);
}

static int
env(const struct settings *settings, const struct arguments *arguments)
{
	return cli_env(settings, &arguments->options);
}

static const struct command commands[] = {
	{ "worker", "the root half of the daemon: converges this guest", command_worker, NULL },
	{ "comm", "the unprivileged half: talks to the controller", command_comm, NULL },
	{ "join", "take the credential of the VM's definition, or of a file: join [FILE]", join, "[FILE]" },
	{ "check", "compare this guest with what is wanted; --active: measure first", check, NULL },
	{ "apply", "one pass that puts right what it may; never reboots", command_apply, NULL },
	{ "inventory", "what this guest is made of", command_inventory, NULL },
	{ "desired", "what is wanted of this guest", command_desired, NULL },
	{ "env", "NCCL's and CUDA's variables, for a job's shell: eval \"$(gdr-guest env)\"", env, NULL },
	{ "topology lint", "what NCCL would make of a topology file here: topology lint FILE", topology_lint, "FILE" },
	{ 0 },
};

const struct program gdr_guest = {
	.name = "gdr-guest",
	.config = "/etc/gdrfleet/guest.yaml",
	.examples = "  gdr-guest check --profile /usr/share/gdrfleet/profiles/vela-a100.yaml\n"
		    "  gdr-guest check --active\n"
		    "  gdr-guest topology lint /var/run/nvidia-topologyd/virtualTopology.xml\n"
		    "  eval \"$(gdr-guest env)\"\n",
	.layers = layers,
	.n_layers = sizeof(layers) / sizeof(layers[0]),
	.commands = commands,
	.active = "check",
};
