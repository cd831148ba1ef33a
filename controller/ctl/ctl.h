#pragma once

/* ctl.h - what a command of gdrctl is, and what it may do.
 *
 * A command is one 'struct command' (in cmd_*.c) and one line in commands.def; options, help and
 * completion all come from it.  Its handler reads ctl->args, asks the controller through ctl_call(), and
 * writes data with output.h.  Handlers return 0, an exit code of enum ctl_exit or a negative errno (exit
 * 1), with 'err' saying why and what to do next; ctl_run() prints that, and nothing else does. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/api.pb-c.h"

struct buf;
struct err;
struct format;
struct link;

enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1,
	CTL_USAGE = 2,
	CTL_UNMET = 3,
	CTL_TIMEOUT = 4,
	CTL_NOT_ALLOWED = 5,
	CTL_NO_CONTROLLER = 6,
};

struct option {
	char letter; /* 0: none */
	const char *name;
	const char *value;  /* What help calls its value; NULL: a flag. */
	const char *values; /* For completion: words, or "@file", "@nodes", "@profiles", "@vms" ... */
	const char *help;
};

struct ctl;

struct command {
	const char *name; /* "node list" */
	const char *args; /* "[NAME...]" */
	const char *help; /* One line. */
	const char *more; /* Paragraphs for --help, or NULL. */
	const char *examples;
	const char *values;           /* Of the arguments, as in struct option. */
	const struct option *options; /* Ended by one without a name; NULL: none. */
	int min;
	int max; /* Arguments; -1: any number. */
	int (*run)(struct ctl *ctl, struct err *err);
};

/* The command line, parsed.  Everything in it points into argv. */
struct given {
	const struct option *option;
	const char *value;
};
struct args {
	const struct command *command;
	const char *group; /* "node", where no command of it was named. */
	struct given *given;
	size_t n_given;
	const char **words; /* Arguments, after the command's name. */
	size_t n_words;
};

/* What commands need of the world; tests bring their own. */
struct ctl_ops {
	/* 0 with an answer, or an exit code.  Tries again by itself until 'timeout_ms' are over. */
	int (*call)(void *arg, const Gdr__Request *request, uint64_t timeout_ms, Gdr__Response **out, struct err *err);
	uint64_t (*wall_ms)(void *arg); /* Unix time. */
	uint64_t (*mono_ms)(void *arg);
	bool (*pause)(void *arg, uint64_t ms); /* False: stop waiting or watching. */
};

struct ctl {
	const struct ctl_ops *ops;
	void *arg;
	FILE *in;
	FILE *out;
	FILE *diag;
	bool in_tty;
	bool out_tty;
	bool diag_tty;
	/* Set by ctl_run() from the command line. */
	bool colour;
	const struct format *format;
	uint64_t timeout_ms; /* 0: not given. */
	uint64_t call_ms;    /* Of one request. */
	struct args args;
};

/* "FLAG: unknown WHAT 'word', did you mean 'y'?", or which there are; 'names' ends with NULL.  CTL_USAGE. */
int ctl_unknown(const char *flag, const char *what, const char *word, const char *const *names, struct err *err);

/* Everything that gdrctl does; returns its exit code. */
int ctl_run(struct ctl *ctl, int argc, const char *const *argv);

/* The last value of option 'name', or NULL; flags have the value "". */
const char *ctl_option(const struct ctl *ctl, const char *name);
bool ctl_flag(const struct ctl *ctl, const char *name);
/* As a number from 'min' to 'max'; '*out' stays as it is if the option is absent. */
int ctl_number(const struct ctl *ctl, const char *name, uint32_t min, uint32_t max, uint32_t *out, struct err *err);
int ctl_duration(const struct ctl *ctl, const char *name, uint64_t *out_ms, struct err *err);

/* All of a file that the operator named, "-" for stdin; links are followed.  At most 16 MiB. */
int ctl_read(struct ctl *ctl, const char *path, struct buf *out, struct err *err);

/* Asks the controller; an answer with a code other than OK becomes that error.  The caller frees '*out' with auto_pb. */
int ctl_call(struct ctl *ctl, Gdr__Request *request, Gdr__Response **out, struct err *err);
/* The same for a change. */
int ctl_call_change(struct ctl *ctl, Gdr__Request *request, Gdr__Response **out, struct err *err);
/* And prints what was changed. */
int ctl_change(struct ctl *ctl, Gdr__Request *request, struct err *err);

/* Which nodes: arguments 'first' to before 'end', or -l.  '*names' is the array behind it, for auto_free. */
int ctl_selection(const struct ctl *ctl, size_t end, Gdr__Selection *out, char ***names, struct err *err);
/* The same for a change, where neither is an error. */
int ctl_selection_required(const struct ctl *ctl, size_t end, Gdr__Selection *out, char ***names, struct err *err);

/* Asks "PROMPT [y/N] " on the terminal; 0 if the answer is yes or --yes was given. */
int ctl_confirm(struct ctl *ctl, const char *prompt, struct err *err);

#define OPTION_SELECTOR                                                                                    \
	{                                                                                                  \
		'l', "selector", "SELECTOR", NULL, "nodes whose labels fit: rack=r7,gpu!=v100,canary,!old" \
	}
#define OPTION_YES                                   \
	{                                            \
		'y', "yes", NULL, NULL, "do not ask" \
	}
#define OPTION_WATCH                                                   \
	{                                                              \
		'w', "watch", NULL, NULL, "go on showing what changes" \
	}
#define OPTION_WAIT                                                                             \
	{ 0, "wait", NULL, NULL, "wait until the nodes are ready (--timeout: for that long)" }, \
	{                                                                                       \
		0, "keep-waiting", NULL, NULL, "with --wait: also when a node is stuck"         \
	}
#define OPTION_WHY                                                    \
	{                                                             \
		'm', "message", "WHY", NULL, "why, for the audit log" \
	}
