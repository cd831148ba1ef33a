#pragma once

/* views.h - how each kind of message looks as a row. */

#include "controller/ctl/output.h"

extern const struct view view_nodes;
extern const struct view view_changes;
extern const struct view view_profiles;
extern const struct view view_revisions; /* Of one profile. */
extern const struct view view_events;
extern const struct view view_drift;
extern const struct view view_users;

extern const struct column columns_items[];     /* Of a LayerReport. */
extern const struct column columns_attention[]; /* Of the nodes in a FleetStatus. */

/* "stuck" and its colour. */
const char *views_state(const Gdr__NodeView *node);
enum text_colour views_state_colour(const void *message);
/* "bios ok  kernel 2!  pci 14!" */
void views_layers(const Gdr__NodeView *node, struct buf *out);
/* "rack=r7,gpu=a100", by key. */
void views_labels(const Gdr__NodeView *node, struct buf *out);
