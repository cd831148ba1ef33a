#pragma once

/* fake_fleet.h - a fleet over fake_db.h that is brought back to its beginning before each input. */

#include <stdlib.h>

#include "common/err.h"
#include "controller/fleet/query.h"
#include "controller/keyring.h"
#include "controller/store.h"
#include "controller/zap.h"
#include "tests/fuzz/fake_db.h"

static inline int
fake_open(const char *where, struct db **out, struct err *err)
{
	(void)where;
	(void)err;
	*out = xcalloc(1, sizeof(**out));
	return 0;
}

static inline void
fake_close(struct db *db)
{
	free(db);
}

struct fake {
	struct store *store;
	struct zap *zap;
	struct keyring *keyring;
	struct fleet *fleet;
	Gdr__GdrdConfig config;
	Gdr__RebootLimits reboot;
	Gdr__RebootLimits__PerLabelEntry rack;
	Gdr__RebootLimits__PerLabelEntry *per_label[1];
};

static inline void
fake_check(bool holds)
{
	if (!holds)
		abort();
}

/* Once; fake_reset() before each input. */
static inline void
fake_start(struct fake *fake, uint64_t now_ms)
{
	static const struct db_driver driver = { .open = fake_open, .close = fake_close, .exec = fake_exec };
	static char rack[] = "rack";
	static char one[] = "1";
	struct err err = { 0 };

	gdr__gdrd_config__init(&fake->config);
	gdr__reboot_limits__init(&fake->reboot);
	gdr__reboot_limits__per_label_entry__init(&fake->rack);
	fake->rack.key = rack;
	fake->rack.value = one;
	fake->per_label[0] = &fake->rack;
	fake->reboot.per_label = fake->per_label;
	fake->reboot.n_per_label = 1;
	fake->reboot.max = 2;
	fake->config.reboot = &fake->reboot;
	fake->config.max_nodes = 64;
	fake_check(store_open_with(&driver, "", &fake->store, &err) == 0);
	fake_check(zap_open(4, &fake->zap, &err) == 0);
	fake->keyring = keyring_new(fake->store, fake->zap);
	fake_check(fleet_open(fake->store, fake->keyring, &fake->config, now_ms, &fake->fleet, &err) == 0);
}

/* A commit that fails brings back what the database holds; then nobody is connected. */
static inline void
fake_reset(struct fake *fake, uint64_t now_ms)
{
	const struct ask ask = { .actor = "fuzz", .now_ms = now_ms };
	struct err err = { 0 };

	(void)fleet_note(fake->fleet, &ask, "k", "o", "t", &err);
	fake_fails = true;
	fake_check(fleet_commit(fake->fleet, &err) < 0);
	fleet_turn_over(fake->fleet);
	for (struct node *node = fleet_first(fake->fleet); node; node = fleet_next(fake->fleet)) {
		node->connected = node->cloned = false;
		node->seen_ms = node->told = node->wants_since_ms = 0;
	}
}
