#pragma once

/* rolloutwait.h - asking for one rollout, and waiting for its end. */

#include <stdbool.h>

#include "proto/api.pb-c.h"

struct ctl;
struct err;

/* An answer that has the rollout in rollouts[0], whole; the caller frees it with auto_pb. */
int rolloutwait_ask(struct ctl *ctl, const char *name, Gdr__Response **out, struct err *err);

/* 0: it succeeded, or 'promotion' and a wave waits to be promoted.  CTL_UNMET: it is paused, failed, aborted, rolled
 * back.  CTL_TIMEOUT after --timeout.  Shows progress on stderr; outlasts restarts of the controller. */
int rolloutwait(struct ctl *ctl, const char *name, bool promotion, struct err *err);
