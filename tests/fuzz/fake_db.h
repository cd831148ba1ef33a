#pragma once

/* fake_db.h - a database that always holds the same small fleet and keeps nothing, so that each input begins alike:
 * profiles p@1 and q@1, nodes n1 and n2 (rack r7, profile p@1) and n3, and a user of each role. */

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/db.h"
#include "controller/fleet.h"
#include "controller/keyring.h"
#include "controller/store.h"
#include "controller/zap.h"

#define FAKE_KEY(digit) digit digit digit digit digit digit digit digit digit digit
#define FAKE_N1         FAKE_KEY("1111")
#define FAKE_N2         FAKE_KEY("2222")
#define FAKE_N3         FAKE_KEY("3333")
#define FAKE_VIEWER     FAKE_KEY("4444")
#define FAKE_OPERATOR   FAKE_KEY("5555")
#define FAKE_ADMIN      FAKE_KEY("6666")

struct db {
	int64_t events;
};

static bool fake_fails; /* The next COMMIT does. */

static inline struct db_value
fake_text(const char *s)
{
	return s ? (struct db_value){ .type = DB_TEXT, .ptr = s, .len = strlen(s) }
		 : (struct db_value){ .type = DB_NULL };
}

static inline struct db_value
fake_num(int64_t n)
{
	return (struct db_value){ .type = DB_INT, .num = n };
}

static inline struct db_value
fake_blob(const uint8_t *data, size_t len)
{
	return (struct db_value){ .type = DB_BLOB, .ptr = data, .len = len };
}

static inline int
fake_profiles(db_row_fn *row, void *arg)
{
	Gdr__Profile profile = GDR__PROFILE__INIT;
	Gdr__Spec spec = GDR__SPEC__INIT;
	Gdr__BiosSpec bios = GDR__BIOS_SPEC__INIT;
	static char names[2][2] = { "p", "q" };
	int rc = 0;

	spec.bios = &bios;
	bios.has_sriov = true;
	profile.spec = &spec;
	for (int i = 0; i < 2 && rc == 0; i++) {
		size_t len;

		profile.name = names[i];
		bios.sriov = i == 0;
		auto_free uint8_t *data = pb_pack(&profile.base, &len);
		const struct db_value columns[] = { fake_text(names[i]), fake_num(1),    fake_text("h"),
						    fake_text("a"),      fake_text("c"), fake_num(1),
						    fake_blob(data, len) };
		rc = row(arg, columns, 7);
	}
	return rc;
}

static inline int
fake_nodes(db_row_fn *row, void *arg)
{
	static const char *const names[] = { "n1", "n2", "n3" };
	static const char *const keys[] = { FAKE_N1, FAKE_N2, FAKE_N3 };
	static char rack[] = "rack";
	static char r7[] = "r7";
	Gdr__Node document = GDR__NODE__INIT;
	Gdr__Node__LabelsEntry label = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry *labels[] = { &label };
	int rc = 0;

	label.key = rack;
	label.value = r7;
	document.labels = labels;
	for (int i = 0; i < 3 && rc == 0; i++) {
		size_t len;

		document.n_labels = i < 2;
		auto_free uint8_t *data = pb_pack(&document.base, &len);
		const struct db_value columns[16] = { fake_text(names[i]),
						      fake_text(keys[i]),
						      fake_blob(data, len),
						      fake_text(i < 2 ? "p" : NULL),
						      fake_num(i < 2),
						      fake_num(2),
						      fake_num(GDR__MODE__MODE_ENFORCE),
						      fake_text(NULL),
						      fake_num(GDR__NODE_STATE__NODE_CONVERGING),
						      fake_num(1),
						      fake_text(i < 2 ? "a" : NULL),
						      fake_text(NULL),
						      fake_num(0),
						      fake_text(NULL),
						      fake_text(NULL),
						      fake_text(NULL) };
		rc = row(arg, columns, 16);
	}
	return rc;
}

static inline int
fake_principals(db_row_fn *row, void *arg)
{
	static const char *const keys[] = { FAKE_N1, FAKE_N2, FAKE_N3, FAKE_VIEWER, FAKE_OPERATOR, FAKE_ADMIN };
	static const char *const names[] = { "n1", "n2", "n3", "vera", "olga", "anna" };
	int rc = 0;

	for (int i = 0; i < 6 && rc == 0; i++) {
		const struct db_value columns[] = { fake_text(keys[i]), fake_num(i < 3), fake_text(names[i]),
						    fake_num(i < 3 ? 0 : i - 2), fake_num(1) };

		rc = row(arg, columns, 5);
	}
	return rc;
}

static inline int
fake_exec(struct db *db, const char *sql, const struct db_value *args, size_t n_args, db_row_fn *row, void *arg,
	  struct err *err)
{
	(void)args;
	(void)n_args;
	if (strcmp(sql, "COMMIT") == 0 && fake_fails) {
		fake_fails = false;
		return err_set(err, -EIO, "the disk is on fire");
	}
	if (strstr(sql, "FROM profile"))
		return fake_profiles(row, arg);
	if (strstr(sql, "FROM principal ORDER"))
		return fake_principals(row, arg);
	if (strstr(sql, "FROM node LEFT JOIN"))
		return fake_nodes(row, arg);
	if (strstr(sql, "RETURNING id")) {
		const struct db_value id = fake_num(++db->events);

		return row(arg, &id, 1);
	}
	return 0;
}

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
