#pragma once

/* fake_db.h - a database that always holds the same small fleet and keeps nothing, so that each input begins alike:
 * profiles p@1 and q@1, nodes n1 and n2 (rack r7, profile p@1) and n3, and a user of each role. */

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/db.h"
#include "proto/api.pb-c.h"

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
		struct db_value columns[17] = { fake_text(names[i]), fake_text(keys[i]), fake_blob(data, len) };
		columns[3] = fake_text(i < 2 ? "p" : NULL);
		columns[4] = fake_num(i < 2);
		columns[5] = fake_num(2);
		columns[6] = fake_num(GDR__MODE__MODE_ENFORCE);
		columns[8] = fake_num(GDR__NODE_STATE__NODE_CONVERGING);
		columns[9] = fake_num(1);
		columns[10] = fake_text(i < 2 ? "a" : NULL);
		rc = row(arg, columns, 17);
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
