#pragma once

/* worker.h - the root half: looks, converges, reboots when granted.  Opens no socket. */

struct settings;

/* Until SIGTERM or SIGINT; the process's exit status. */
int worker_run(const struct settings *settings);
