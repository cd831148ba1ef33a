#pragma once

/* nodeshow.h - one node for people: `gdrctl node show`. */

#include "proto/api.pb-c.h"

struct ctl;

void nodeshow(struct ctl *ctl, const Gdr__NodeView *node);
