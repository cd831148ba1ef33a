#pragma once

/* enrol.h - the enrolment endpoint: only join tokens are admitted, and only to register a node's own key. */

#include "controller/turn.h"

struct enrol;
struct fleet;
struct wire;

struct enrol *enrol_new(struct wire *wire, struct fleet *fleet, const struct turn *turn);
void enrol_free(struct enrol *enrol);

/* After a commit: the answers.  'failed' not NULL: the commit failed, and so did every enrolment of the turn. */
void enrol_flush(struct enrol *enrol, const char *failed);
/* Once a second: bursts of garbage that are over are counted in the log. */
void enrol_tick(struct enrol *enrol);
