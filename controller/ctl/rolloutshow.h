#pragma once

/* rolloutshow.h - rollouts for people: what happened, what blocks, which command is next. */

#include "controller/ctl/output.h"

extern const struct view view_rollouts;

/* `gdrctl rollout show`, and `plan`, where nothing has happened yet. */
void rolloutshow(struct ctl *ctl, const Gdr__RolloutView *view);
void rolloutshow_plan(struct ctl *ctl, const Gdr__RolloutView *view);
/* In one line: "running  wave 2/3  done 12/40  failed 0  |  soaks for another 4m". */
void rolloutshow_line(const Gdr__RolloutView *view, bool bar, struct buf *out);
