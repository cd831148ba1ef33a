#pragma once

/* converge.h - one pass over the layers: the whole policy of the agent, and nothing else.
 *
 * Staging for the next boot is harmless, so it is done everywhere, and all of it costs one reboot.  Live
 * changes wait while anything before them waits for a boot (they would be lost in it or stand on what it
 * brings); an item for a person holds nothing back, but the node is not settled. */

#include <stdbool.h>

#include "agent/layer.h"

struct journal;

enum converge_how {
	CONVERGE_ENFORCE,
	CONVERGE_LOOK, /* Audit, hold, check: inspect only. */
};

struct converge_result {
	Gdr__Outcome outcome;
	unsigned boots; /* That it takes until all is right, as far as the items know. */
	bool reload;    /* It wants a reboot, and converge_reload() may do instead. */
	char why[256];  /* One line: what the outcome hangs on. */
};

/* 'done' gets each wanted layer's last inspection and, if 'err->code', what failed. */
struct converge_result
converge(const struct machine *machine, struct journal *journal, const struct named_layer *layers, size_t n_layers,
	 const Gdr__Spec *spec, enum converge_how how,
	 void (*done)(void *arg, const char *layer, const struct report *report, const struct err *err), void *arg);

/* In place of a reboot, under the same grant and on a drained host: layers load what they have staged. */
int converge_reload(const struct machine *machine, const struct named_layer *layers, size_t n_layers,
		    const Gdr__Spec *spec, struct err *err);
