#pragma once

/* nic_judge.h - what is right and wrong with one parameter of one card, and what it takes: pure, from what the card
 * shows, what the journal knows, and what `set` said in this boot.
 *
 *   row     next    current   journal, notes            verdict
 *   absent  -       -         gate not in effect        as the gate, and one boot more (boots)
 *   absent  -       -         gate in effect, or none   manual: unsupported, or the tool is too old
 *   there   wanted  wanted                              none
 *   there   wanted  other     nothing, or this boot     boot
 *   there   wanted  other     staged before this boot   manual: not loaded, power cycle
 *   there   wanted  other     set: "power cycle"        manual: power cycle
 *   there   other   any       seen staged, then a boot  manual: reverted by the firmware
 *   there   other   any       set in this boot          manual: refused, or did not stick; partly written
 *   there   other   any       else                      stage */

#include <stdbool.h>

#include "agent/layer.h"
#include "agent/layers/nic_notes.h"
#include "agent/machine/mlxconfig.h"

struct nic_want {
	const char *name;
	char *value;        /* As `set` takes it. */
	const char *unlock; /* NULL, or the parameter that must be in effect before this one exists. */
	enum keep keep;
};

/* One card as one pass sees it. */
struct nic_view {
	const char *address;
	const struct mlx_device *table;
	const struct nic_want *wants;
	size_t n;
	const struct nic_notes *notes;
	const struct journal *journal;
	bool dpu; /* A BlueField that the profile does not let us touch. */
};

struct nic_verdict {
	enum fix fix;
	unsigned boots; /* As in struct item. */
	bool absent;    /* For no reason that can be seen: unsupported, unless the tool is too old. */
	char why[400];  /* "": nothing to say. */
};

void nic_judge(const struct nic_view *view, const struct nic_want *want, struct nic_verdict *out);

/* What the parameter has, as shown: "True(1)", "hidden", "absent", "N/A". */
const char *nic_have(const struct nic_view *view, const struct nic_want *want);
/* "0000:3f:00.0/MAX_ACC_OUT_READ"; the caller frees. */
char *nic_key(const char *address, const char *name);
