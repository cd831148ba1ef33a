#pragma once

/* wait.h - waiting for nodes (--wait), and showing lists that change (--watch). */

#include <stdbool.h>
#include <stddef.h>

#include "proto/api.pb-c.h"

struct ctl;
struct err;
struct view;

/* Waits until every node of 'of' is ready at the generation that is wanted of it.  Shows progress on
 * stderr.  CTL_UNMET at once where a node cannot get there without a person (unless --keep-waiting),
 * CTL_TIMEOUT after --timeout; outlasts restarts of the controller. */
int wait_ready(struct ctl *ctl, Gdr__Selection *of, struct err *err);

/* What each node's boot was, before a reboot is asked for. */
struct boots {
	struct boot {
		char *node;
		char *id;
	} * boots;
	size_t n;
};
int wait_boots_before(struct ctl *ctl, Gdr__Selection *of, struct boots *out, struct err *err);
void wait_boots_free(struct boots *boots);
/* As wait_ready(), but a node must have left the boot that it had, too. */
int wait_rebooted(struct ctl *ctl, Gdr__Selection *of, const struct boots *before, struct err *err);

/* Asks again every second.  On a terminal the whole list is drawn anew, elsewhere rows that changed are
 * added.  Ends when the output does. */
int watch_list(struct ctl *ctl, const struct view *view, Gdr__Request *request, struct err *err);
/* The same for what is no list: 'draw' prints all of it. */
int watch_screen(struct ctl *ctl, Gdr__Request *request, void (*draw)(struct ctl *ctl, const Gdr__Response *response),
		 struct err *err);
