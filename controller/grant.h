#pragma once

/* grant.h - who may reboot now: the policy alone, without a clock, a database or a network.
 *
 * Asked by fleet once a second.  Of the nodes that want a reboot the one that has waited longest comes first
 * (equal: by name), and gets it unless a limit would be exceeded: of the fleet, or of the nodes that share a label's
 * value.  One that may not does not hold up those after it.  What is open already is counted and never taken back,
 * also where it exceeds a limit that was lowered.
 *
 * The settings limit open grants.  While a rollout moves nodes it limits reboots as well, whoever asked for them: what
 * it moves has its place and holds it, so that others wait for a place that is free, and it for those that reboot.  It
 * goes on without a host that is not back in time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grant_limit {
	const char *label; /* Of nodes that share its value; NULL: of the fleet. */
	unsigned max;
	const char *rollout; /* That says so; NULL: the settings do. */
};

struct grant_node {
	const char *name;
	/* One for each limit, of the fleet's ""; NULL: the node has not that label, so it is not limited by it. */
	const char *const *values;
	uint64_t wants_since_ms;
	bool open;  /* Has a grant: about to reboot, rebooting, or lost since. */
	bool late;  /* And is not back in time. */
	bool moved; /* By a rollout, now. */
	bool wants;
	const char *waits_for; /* Gets none now: "the node is held"; NULL: nothing is in its way. */

	/* Filled in: it may reboot now; and where it wants to and may not, why:
	 * "waits: 1 of 1 nodes with rack=r7 may reboot at once (n3 is)". */
	bool granted;
	char why[256];
};

void grant_decide(const struct grant_limit *limits, size_t n_limits, struct grant_node *nodes, size_t n);
