#pragma once

/* gpu_notes.h - what the driver said to each setting in this boot: /run/gdrfleet/gpu.
 *
 * Without it what a card or driver refuses would be asked for again with each look; and of -cc nothing can be read
 * back at all. */

#include <stddef.h>

#include "agent/layers/notes.h"
#include "agent/machine/nvsmi.h"

struct err;
struct host;

struct gpu_note {
	const char *address;
	const char *setting; /* "graphics_clock" */
	const char *want;
	enum nvsmi_said said;
	const char *reason;
};
struct gpu_notes {
	struct gpu_note *v; /* In the order in which it happened. */
	size_t n;
	struct notes lines; /* Whose texts they are. */
};

/* What cannot be read was not said.  Free with gpu_notes_free(). */
void gpu_notes_read(struct host *host, struct gpu_notes *out);
void gpu_notes_free(struct gpu_notes *notes);
/* Replaces what was noted of the same setting. */
int gpu_notes_add(struct host *host, const struct gpu_note *note, struct err *err);
/* NULL: this was not asked for. */
const struct gpu_note *gpu_notes_find(const struct gpu_notes *notes, const char *address, const char *setting,
				      const char *want);
