#pragma once

/* pass.h - one look at the whole machine, and what may be done about it: inventory, layers, report. */

#include <stdbool.h>

#include "agent/converge.h"
#include "proto/wire.pb-c.h"

struct err;
struct host;
struct journal;
struct program;

/* Over the layers of 'program'.  'desired' NULL or without a spec: inventory only.  The caller frees '*out' with
 * pb_free(). */
int pass_run(const struct program *program, struct host *host, struct journal *journal, const Gdr__Desired *desired,
	     enum converge_how how, Gdr__Report **out, struct err *err);

/* In place of a reboot (agent/converge.h): the host is drained, and the journal knows of it. */
int pass_reload(const struct program *program, struct host *host, const struct journal *journal,
		const Gdr__Desired *desired, struct err *err);

/* This machine's boot id (32 hex digits and dashes); the caller frees it. */
int pass_boot_id(struct host *host, char **out, struct err *err);
