#pragma once

/* faults_internal.h - one row for each thing that can go wrong, in two tables: of hosts, and of the guests in their VMs. */

#include <stdbool.h>

struct err;
struct sim;
struct tree;

/* What a fault does at once.  What goes wrong in 'tree' is told by who opened it. */
struct act {
	const struct sim *sim;
	struct tree *tree;
	const char *value; /* What was given after '=', "" if nothing. */
	bool broken;       /* False: it ends. */
};
typedef int act_now(const struct act *act, struct err *err);

enum moment {
	AT_BOOT,  /* From the next boot on; with --now at once too. */
	AT_ONCE,  /* From now on. */
	ONE_TIME, /* It happens now, and nothing stays broken. */
};

struct fault {
	const char *name;
	const char *value; /* What may follow '=', for people. */
	const char *help;
	enum moment moment;
	act_now *now;
};

/* Ended by one without a name. */
extern const struct fault host_faults[];
extern const struct fault guest_faults[];
