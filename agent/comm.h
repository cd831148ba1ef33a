#pragma once

/* comm.h - the network half: unprivileged, one connection to the controller, desired state to disk, reports up.
 *
 *   away ──connect──► greeting ──Welcome accepted──► live ──no LeaseOk for 3 leases──► away
 *     ▲                  │ busy: Hello again after retry_after                           │
 *     └──────────────────┴── key or node refused: a new connection after a growing, random pause
 *
 * It cannot name the machine: no host.h, no layer.h. */

#include "proto/wire.pb-c.h"

struct err;
struct settings;

/* Until SIGTERM or SIGINT; the process's exit status.  As root it becomes the configured user first. */
int comm_run(const struct settings *settings);

/* Registers this node's key with the join token in 'token_file', and remembers the controller. */
int comm_join(const struct settings *settings, const char *token_file, struct err *err);

/* A guest's way in: its key, its name and its controller are what its host gave it.  Kept as comm_join() would. */
int comm_adopt(const struct settings *settings, const Gdr__GuestCredential *credential, struct err *err);
