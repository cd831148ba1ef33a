#pragma once

/* run.h - init: keeps the agent's two halves running, and reboots the host when asked. */

struct err;
struct sim;

struct run_options {
	const char *agent; /* NULL: gdr-agent beside this program. */
	const char *log;   /* NULL: stderr. */
	unsigned reboot_ms;
};

/* Until SIGTERM or SIGINT. */
int run(const struct sim *sim, const struct run_options *options, struct err *err);

/* Asks the process that runs the host; boots it at once if there is none. */
int run_request_reboot(const struct sim *sim, struct err *err);
