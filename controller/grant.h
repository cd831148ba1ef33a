#pragma once

/* grant.h - who may reboot now: the policy alone, without a clock, a database or a network.
 *
 * Asked by fleet once a second.  Of the nodes that want a reboot the one that has waited longest comes first
 * (equal: by name), and gets it unless that would make more open grants than are allowed, of the fleet or of
 * the nodes that share its value of a limited label.  One that may not does not hold up those after it.  What
 * is open already is counted and never taken back, also where it exceeds a limit that was lowered. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grant_label {
	const char *name;
	unsigned max; /* Nodes that share a value of it. */
};

struct grant_limits {
	unsigned max; /* Of the fleet. */
	const struct grant_label *labels;
	size_t n_labels;
};

struct grant_node {
	const char *name;
	/* One for each limited label; NULL: the node has not that label, so it is not limited by it. */
	const char *const *label_values;
	uint64_t wants_since_ms;
	bool open; /* Has a grant: about to reboot, rebooting, or lost since. */
	bool wants;
	const char *waits_for; /* Gets none now: "the node is held"; NULL: nothing is in its way. */

	/* Filled in: it may reboot now; and where it wants to and may not, why:
	 * "waits: 1 of 1 nodes with rack=r7 may reboot at once (n3 is)". */
	bool granted;
	char why[256];
};

void grant_decide(const struct grant_limits *limits, struct grant_node *nodes, size_t n);
