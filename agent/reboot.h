#pragma once

/* reboot.h - when this host may reboot, and the reboot itself: hooks, journal, logind (`systemctl reboot`); or what
 * the spec allows in its place, a reset of NIC firmware, which is granted, drained and counted as a reboot is.
 *
 * Never without a grant for this very boot, never twice for one grant, never in mode hold. */

#include <stdbool.h>

#include "proto/config.pb-c.h"
#include "proto/wire.pb-c.h"

struct err;
struct host;
struct journal;
struct program;
struct reboot;

struct reboot *reboot_open(const struct program *program, struct host *host, struct journal *journal,
			   const Gdr__AgentConfig *config);
void reboot_close(struct reboot *reboot);

/* Puts into 'report' what is to be said of reboots (an operator wants this boot ended; one was asked for
 * and has not come; a hook postpones it); true if it may and shall happen now. */
bool reboot_judge(struct reboot *reboot, Gdr__Report *report, const Gdr__Desired *desired);

/* Hooks, journal, then the reboot, or the reset.  Returns: success means that it was asked for.  Logs, and a failure
 * that comes again only once. */
int reboot_go(struct reboot *reboot, const Gdr__Report *report, const Gdr__Desired *desired, struct err *err);

/* Runs the after-reboot hooks if this boot came of a reboot of ours, or had a reset in its place. Logs. */
void reboot_came_back(struct reboot *reboot);
