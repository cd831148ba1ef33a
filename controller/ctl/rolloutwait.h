#pragma once

/* rolloutwait.h - asking for one rollout, waiting for its end, and watching it. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/api.pb-c.h"

struct ctl;
struct err;

/* An answer that has the rollout in rollouts[0], whole; the caller frees it with auto_pb. */
int rolloutwait_ask(struct ctl *ctl, const char *name, Gdr__Response **out, struct err *err);

/* 0: it succeeded, or 'promotion' and a wave waits to be promoted.  CTL_UNMET: it is paused, failed, aborted, rolled
 * back.  CTL_TIMEOUT after --timeout.  Shows progress on stderr; outlasts restarts of the controller. */
int rolloutwait(struct ctl *ctl, const char *name, bool promotion, struct err *err);

/* Live on a terminal, else a row (or with -o json a line) for each change after 'after' (RolloutRecord.changes), until
 * it has ended: 0, or CTL_UNMET as above. */
int rolloutwatch(struct ctl *ctl, const char *name, uint64_t after, struct err *err);
