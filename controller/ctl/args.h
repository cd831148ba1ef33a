#pragma once

/* args.h - the command table, and command lines parsed by it. */

#include <stddef.h>

#include "controller/ctl/ctl.h"

struct buf;

extern const struct command *const args_commands[]; /* Ended by NULL. */
extern const struct option args_global[];           /* Ended by one without a name. */

/* Options may stand anywhere after the command, global ones before it too; "--" ends them.  0 or CTL_USAGE.
 * With --help or --version no command is needed.  Free with args_free() in any case. */
int args_parse(struct args *args, int argc, const char *const *argv, struct err *err);
void args_free(struct args *args);

/* The last value of option 'name', or NULL; flags have the value "". */
const char *args_value(const struct args *args, const char *name);

/* Help for one command, for a group ("node"), for all. */
void args_help_command(const struct command *command, struct buf *out);
void args_help_group(const char *group, struct buf *out);
void args_help(struct buf *out);

/* Finds by words ("node", "list"); sets '*group' to the group's name where they name just that. */
const struct command *args_find(const char *const *words, size_t n, const char **group);
