#pragma once

/* journal.h - what the agent changed on this host, on disk and synced before each change.
 *
 * Per item: the value before, what was staged, and in which boot.  Per content of the spec: the reboots used.
 * With it a boot that came up without what was staged is told apart from one that has not happened, values
 * can be put back, and reboots are provably finite. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/state.pb-c.h"

struct err;
struct journal;

/* 'path' NULL: in memory only (audit, check).  A damaged file is set aside as PATH.damaged and said in 'err'
 * (-EBADMSG) with a usable, empty journal in '*out' all the same. */
int journal_open(const char *path, const char *boot_id, struct journal **out, struct err *err);
void journal_free(struct journal *journal);

const char *journal_boot_id(const struct journal *journal);

/* Between the two nothing is written and nothing fails, and then all is written at once. */
void journal_hold(struct journal *journal);
int journal_flush(struct journal *journal, struct err *err);

/* Before a change.  The first 'before' of an item in a boot is kept; 'staged' for FIX_STAGE. */
int journal_change(struct journal *journal, const char *layer, const char *key, const char *before, const char *want,
		   bool staged, struct err *err);
/* The value that the item had in this boot before we first changed it; NULL: we did not. */
const char *journal_before(const struct journal *journal, const char *layer, const char *key);
/* It is staged: seen, not believed.  Journals the change too where nobody did. */
int journal_staged(struct journal *journal, const char *layer, const char *key, const char *before, const char *want,
		   struct err *err);

enum journal_past {
	JOURNAL_NOTHING,   /* 'want' was never staged for the item, or it has been right since. */
	JOURNAL_THIS_BOOT, /* It was in this boot. */
	JOURNAL_MEANT,     /* It was to be in an earlier boot; nobody saw whether it was. */
	JOURNAL_STAGED,    /* It was, and a boot has begun since. */
};
enum journal_past journal_past(const struct journal *journal, const char *layer, const char *key, const char *want);
/* True if 'want' was staged for the item, or meant to be, and a boot has begun since. */
bool journal_booted_since(const struct journal *journal, const char *layer, const char *key, const char *want);
/* The item is right: forget what was staged for it. */
void journal_settled(struct journal *journal, const char *layer, const char *key);

/* The value before our very first change, over boots and specs.  The first 'value' of an item stays; later calls only
 * renew what is to become of it, and so does one with a NULL 'value'.  'unlock' may be NULL. */
int journal_keep(struct journal *journal, const char *layer, const char *key, const char *value, const char *unlock,
		 bool restore, struct err *err);
/* The i-th that is kept for the layer, or NULL. */
const Gdr__Journal__Kept *journal_kept(const struct journal *journal, const char *layer, size_t i);
void journal_forget(struct journal *journal, const char *layer, const char *key);

/* Reboots used for this content of the spec; another content starts at 0. */
unsigned journal_reboots(const struct journal *journal, const char *spec_hash);
/* Before we reboot. */
int journal_reboot(struct journal *journal, const char *spec_hash, const char *why, struct err *err);
/* Before NIC firmware is reset in place of a reboot: it is recorded and counted as one. */
int journal_reset(struct journal *journal, const char *spec_hash, const char *why, struct err *err);
/* False once this boot had a reset, or a reboot that ends it was announced. */
bool journal_may_reset(const struct journal *journal);
/* True once after a reboot that journal_reboot() announced, in the new boot; and once after a journal_reset(). */
bool journal_came_back(struct journal *journal);
