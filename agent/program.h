#pragma once

/* program.h - gdr-agent and gdr-guest are one text, and a table each that tells them apart.
 *
 * agent/gdr_agent.c and agent/gdr_guest.c hold the tables: each its layers, from common/layers.def, and its commands,
 * most of which both share.  Everything else asks the table, and never which of the two it is. */

#include <stddef.h>

#include "agent/cli.h"

struct named_layer;
struct settings;

/* The command line. */
struct arguments {
	const char *config;
	const char *root;
	const char *log_format;
	struct cli_options options;
	const char *operand; /* NULL: none. */
};

struct command {
	const char *name; /* One word or two: "topology lint". */
	const char *help;
	/* The exit status. */
	int (*run)(const struct settings *settings, const struct arguments *arguments);
	const char *operand; /* What may follow the name: "FILE", "[FILE]"; NULL: nothing. */
};

struct program {
	const char *name;                 /* "gdr-agent" */
	const char *config;               /* Its settings, where --config names no others. */
	const char *examples;             /* Of --help. */
	const struct named_layer *layers; /* In the order of common/layers.def. */
	size_t n_layers;
	const struct command *commands; /* Ended by one without a name. */
	const char *active;             /* The command that knows --active; NULL: none. */
};
extern const struct program gdr_agent;
extern const struct program gdr_guest;

/* What both can do. */
int command_worker(const struct settings *settings, const struct arguments *arguments);
int command_comm(const struct settings *settings, const struct arguments *arguments);
int command_check(const struct settings *settings, const struct arguments *arguments);
int command_apply(const struct settings *settings, const struct arguments *arguments);
int command_inventory(const struct settings *settings, const struct arguments *arguments);
int command_desired(const struct settings *settings, const struct arguments *arguments);

/* All that main() does. */
int program_main(const struct program *program, int argc, char **argv);
