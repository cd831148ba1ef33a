/* program.c - the command line of gdr-agent and gdr-guest. */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/comm.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "agent/worker.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pbtext.h"

#define COMMANDS_MAX 16

int
command_worker(const struct settings *settings, const struct arguments *arguments)
{
	auto_free char *name = xasprintf("%s worker", settings->program->name);

	(void)log_init(name, arguments->log_format);
	return worker_run(settings);
}

int
command_comm(const struct settings *settings, const struct arguments *arguments)
{
	auto_free char *name = xasprintf("%s comm", settings->program->name);

	(void)log_init(name, arguments->log_format);
	return comm_run(settings);
}

int
command_check(const struct settings *settings, const struct arguments *arguments)
{
	return cli_check(settings, &arguments->options);
}

int
command_apply(const struct settings *settings, const struct arguments *arguments)
{
	return cli_apply(settings, &arguments->options);
}

int
command_inventory(const struct settings *settings, const struct arguments *arguments)
{
	return cli_inventory(settings, &arguments->options);
}

int
command_desired(const struct settings *settings, const struct arguments *arguments)
{
	return cli_desired(settings, &arguments->options);
}

static void
usage(const struct program *program, FILE *to)
{
	(void)fprintf(to, "usage: %s [options] COMMAND\n\ncommands:\n", program->name);
	for (const struct command *command = program->commands; command->name; command++)
		(void)fprintf(to, "  %-13s %s\n", command->name, command->help);
	(void)fprintf(
		to,
		"\noptions:\n"
		"  --config FILE        settings (default %s)\n"
		"  --root DIR           the tree that is the machine (default /)\n"
		"  --profile FILE       what is wanted, instead of the desired state on disk\n"
		"  -o table|json|yaml   output of check, apply, inventory, desired\n"
		"  --log-format FORMAT  auto, human, journal or json\n"
		"%s"
		"  --help, --version\n\n"
		"examples:\n"
		"%s\n"
		"exit status: 0 done or all right, 1 error, 2 usage, 3 not as wanted, 5 not allowed, 6 no controller\n",
		program->config,
		program->active ? "  --active             of check: measure first, whoever uses the GPUs\n" : "",
		program->examples);
}

/* How many of the words name the command; 0: they name another. */
static int
count_name(const struct command *command, char **words)
{
	const char *blank = strchr(command->name, ' ');

	if (!blank)
		return strcmp(command->name, words[0]) == 0 ? 1 : 0;
	auto_free char *name = words[1] ? xasprintf("%s %s", words[0], words[1]) : NULL;
	return name && strcmp(command->name, name) == 0 ? 2 : 0;
}

static const struct command *
find_command(const struct program *program, char **words)
{
	const char *name = words[0];
	const char *names[COMMANDS_MAX + 1] = { 0 };
	size_t n = 0;

	for (const struct command *command = program->commands; command->name && n < COMMANDS_MAX; command++) {
		if (count_name(command, words) > 0)
			return command;
		names[n++] = command->name;
	}
	const char *near = pbtext_nearest(name, names);
	(void)fprintf(stderr, "%s: unknown command '%s'%s%s%s (see %s --help)\n", program->name, name,
		      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "", program->name);
	return NULL;
}

/* -1: go on; else the exit status. */
static int
parse(const struct program *program, int argc, char **argv, struct arguments *out)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "root", required_argument, NULL, 'r' },
		{ "profile", required_argument, NULL, 'p' },
		{ "output", required_argument, NULL, 'o' },
		{ "log-format", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "active", no_argument, NULL, 'a' },
		{ "diff", no_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:r:p:o:h", options, NULL)) != -1)
		switch (c) {
		case 'c': out->config = optarg; break;
		case 'r': out->root = optarg; break;
		case 'p': out->options.profile = optarg; break;
		case 'o': out->options.output = optarg; break;
		case 'l': out->log_format = optarg; break;
		case 'a': out->options.active = true; break;
		case 'd': out->options.diff = true; break;
		case 'h': usage(program, stdout); return 0;
		case 'V': (void)printf("%s %s\n", program->name, GDR_VERSION); return 0;
		default: return 2;
		}
	if (strcmp(out->options.output, "table") != 0 && strcmp(out->options.output, "json") != 0 &&
	    strcmp(out->options.output, "yaml") != 0) {
		(void)fprintf(stderr, "%s: -o %s: expected table, json or yaml\n", program->name, out->options.output);
		return 2;
	}
	if (!log_init(program->name, out->log_format)) {
		(void)fprintf(stderr, "%s: --log-format %s: expected auto, human, journal or json\n", program->name,
			      out->log_format);
		return 2;
	}
	return -1;
}

/* What follows the command's name; 0, or 2. */
static int
take_operand(const struct program *program, const struct command *command, char **words, struct arguments *out)
{
	const char *more = words[0] && command->operand ? words[1] : words[0];

	out->operand = words[0];
	if (out->options.active && (!program->active || strcmp(program->active, command->name) != 0)) {
		(void)fprintf(stderr, "%s: %s knows no --active (see %s --help)\n", program->name, command->name,
			      program->name);
		return 2;
	}
	if (out->options.diff && (!command->operand || !strstr(command->operand, "--diff"))) {
		(void)fprintf(stderr, "%s: %s knows no --diff (see %s --help)\n", program->name, command->name,
			      program->name);
		return 2;
	}
	if (!words[0] && command->operand && *command->operand != '[') {
		(void)fprintf(stderr, "%s: expected: %s %s %s\n", program->name, program->name, command->name,
			      command->operand);
		return 2;
	}
	if (!more)
		return 0;
	(void)fprintf(stderr, "%s: %s: one word too many: '%s' (see %s --help)\n", program->name, command->name, more,
		      program->name);
	return 2;
}

int
program_main(const struct program *program, int argc, char **argv)
{
	struct arguments arguments = { .log_format = "auto", .options = { .output = "table" } };
	struct settings *settings = NULL;
	struct err err = { 0 };
	int rc = parse(program, argc, argv, &arguments);

	if (rc >= 0)
		return rc;
	if (optind >= argc) {
		usage(program, stderr);
		return 2;
	}
	char **words = argv + optind;
	const struct command *command = find_command(program, words);
	if (!command || take_operand(program, command, words + count_name(command, words), &arguments) != 0)
		return 2;
	if (settings_load(program, arguments.config, arguments.root, &settings, &err) < 0) {
		(void)fprintf(stderr, "%s: %s\n", program->name, err.msg);
		return 1;
	}
	rc = command->run(settings, &arguments);
	settings_free(settings);
	if (fflush(stdout) != 0)
		rc = 1;
	return rc;
}
