#pragma once

/* nic_reset.h - the firmware reset of one card by mstfwreset or mlxfwreset, at level 3 alone: driver restart and PCI
 * reset.  Level 4 is a reboot outside of the agent's books.
 *
 * It takes down every function of the card, so the profile has to ask for it, a grant is needed, and the host is
 * drained before (agent/reboot.h). */

#include "agent/layer.h"

struct err;

/* Why the card may not be reset, as far as can be seen without asking it; NULL: nothing is in the way.  The caller
 * frees. */
char *nic_reset_obstacle(const struct machine *machine, const char *address);

/* Asks the tool first whether the card can do it.  0: the tool says that it did; only the card's next table tells. */
int nic_reset(const struct machine *machine, const char *address, struct err *err);
