/* main.c - gdr-agent: the two halves of the daemon, and what people ask of it on the host itself. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/comm.h"
#include "agent/settings.h"
#include "agent/worker.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pbtext.h"

struct arguments {
	const char *config;
	const char *root;
	const char *log_format;
	struct cli_options options;
	const char *operand;
};

static int
run_worker(const struct settings *settings, const struct arguments *arguments)
{
	(void)log_init("gdr-agent worker", arguments->log_format);
	return worker_run(settings);
}

static int
run_comm(const struct settings *settings, const struct arguments *arguments)
{
	(void)log_init("gdr-agent comm", arguments->log_format);
	return comm_run(settings);
}

static int
run_join(const struct settings *settings, const struct arguments *arguments)
{
	struct err err = { 0 };

	if (!arguments->operand) {
		(void)fprintf(stderr, "gdr-agent: join needs the token's file: gdr-agent join FILE\n");
		return 2;
	}
	if (comm_join(settings, arguments->operand, &err) < 0) {
		(void)fprintf(stderr, "gdr-agent: %s\n", err.msg);
		return err.code == -EACCES || err.code == -EPERM ? 5 : err.code == -ETIMEDOUT ? 6 : 1;
	}
	(void)printf("joined as %s\n", settings->node);
	return 0;
}

static int
run_check(const struct settings *settings, const struct arguments *arguments)
{
	return cli_check(settings, &arguments->options);
}

static int
run_apply(const struct settings *settings, const struct arguments *arguments)
{
	return cli_apply(settings, &arguments->options);
}

static int
run_inventory(const struct settings *settings, const struct arguments *arguments)
{
	return cli_inventory(settings, &arguments->options);
}

static int
run_desired(const struct settings *settings, const struct arguments *arguments)
{
	return cli_desired(settings, &arguments->options);
}

static const struct command {
	const char *name;
	const char *help;
	int (*run)(const struct settings *settings, const struct arguments *arguments);
} commands[] = {
	{ "worker", "the root half of the daemon: converges this host", run_worker },
	{ "comm", "the unprivileged half: talks to the controller", run_comm },
	{ "join", "enrol this host with a token: join FILE", run_join },
	{ "check", "compare this host with what is wanted; changes nothing", run_check },
	{ "apply", "one pass that puts right what it may; never reboots", run_apply },
	{ "inventory", "what this host is made of", run_inventory },
	{ "desired", "what is wanted of this host", run_desired },
};

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage: gdr-agent [options] COMMAND\n\ncommands:\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].help);
	(void)fprintf(
		to,
		"\noptions:\n"
		"  --config FILE        settings (default /etc/gdrfleet/agent.yaml)\n"
		"  --root DIR           the tree that is the machine (default /)\n"
		"  --profile FILE       what is wanted, instead of the desired state on disk\n"
		"  -o table|json|yaml   output of check, apply, inventory, desired\n"
		"  --log-format FORMAT  auto, human, journal or json\n"
		"  --help, --version\n\n"
		"examples:\n"
		"  gdr-agent check --profile /usr/share/gdrfleet/profiles/vela-a100.yaml\n"
		"  gdr-agent inventory -o json\n\n"
		"exit status: 0 done or all right, 1 error, 2 usage, 3 not as wanted, 5 not allowed, 6 no controller\n");
}

static const struct command *
find_command(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0]) + 1] = { 0 };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		names[i] = commands[i].name;
	}
	const char *near = pbtext_nearest(name, names);
	(void)fprintf(stderr, "gdr-agent: unknown command '%s'%s%s%s (see gdr-agent --help)\n", name,
		      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

/* -1: go on; else the exit status. */
static int
parse(int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },     { "root", required_argument, NULL, 'r' },
		{ "profile", required_argument, NULL, 'p' },    { "output", required_argument, NULL, 'o' },
		{ "log-format", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },          { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:r:p:o:h", options, NULL)) != -1)
		switch (c) {
		case 'c': out->config = optarg; break;
		case 'r': out->root = optarg; break;
		case 'p': out->options.profile = optarg; break;
		case 'o': out->options.output = optarg; break;
		case 'l': out->log_format = optarg; break;
		case 'h': usage(stdout); return 0;
		case 'V': (void)printf("gdr-agent %s\n", GDR_VERSION); return 0;
		default: return 2;
		}
	if (strcmp(out->options.output, "table") != 0 && strcmp(out->options.output, "json") != 0 &&
	    strcmp(out->options.output, "yaml") != 0) {
		(void)fprintf(stderr, "gdr-agent: -o %s: expected table, json or yaml\n", out->options.output);
		return 2;
	}
	if (!log_init("gdr-agent", out->log_format)) {
		(void)fprintf(stderr, "gdr-agent: --log-format %s: expected auto, human, journal or json\n",
			      out->log_format);
		return 2;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct arguments arguments = { .log_format = "auto", .options = { .output = "table" } };
	struct settings *settings = NULL;
	struct err err = { 0 };
	int rc = parse(argc, argv, &arguments);

	if (rc >= 0)
		return rc;
	if (optind >= argc) {
		usage(stderr);
		return 2;
	}
	const struct command *command = find_command(argv[optind]);
	if (!command)
		return 2;
	arguments.operand = argv[optind + 1];
	if (arguments.operand && (command->run != run_join || argv[optind + 2])) {
		(void)fprintf(stderr, "gdr-agent: %s: one word too many: '%s' (see gdr-agent --help)\n", command->name,
			      command->run == run_join ? argv[optind + 2] : arguments.operand);
		return 2;
	}
	if (settings_load(arguments.config, arguments.root, &settings, &err) < 0) {
		(void)fprintf(stderr, "gdr-agent: %s\n", err.msg);
		return 1;
	}
	rc = command->run(settings, &arguments);
	settings_free(settings);
	if (fflush(stdout) != 0)
		rc = 1;
	return rc;
}
