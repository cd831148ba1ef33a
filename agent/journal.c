#include "agent/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/state.pb-c.h"

#define JOURNAL_MAX  (4U << 20)
#define REBOOTS_KEPT 32

struct journal {
	char *path; /* NULL: in memory only. */
	char *boot_id;
	Gdr__Journal *state;
	bool unsaved; /* What is in memory is not on disk: the last save failed, or */
	bool held;    /* it waits for journal_flush(). */
};

static void
replace_text(char **text, const char *with)
{
	free(*text);
	*text = xstrdup(with);
}

static int
save(struct journal *journal, struct err *err)
{
	auto_buf struct buf text = { 0 };
	int rc;

	if (!journal->path)
		return 0;
	if (journal->held) {
		journal->unsaved = true;
		return 0;
	}
	buf_printf(&text, "# What gdr-agent changed on this host; see agent/journal.h. Written by the agent alone.\n");
	pbtext_print(&journal->state->base, NULL, PBTEXT_YAML, &text);
	rc = file_replace(journal->path, text.text, text.len, 0600, err);
	journal->unsaved = rc < 0;
	return rc;
}

void
journal_hold(struct journal *journal)
{
	journal->held = true;
}

int
journal_flush(struct journal *journal, struct err *err)
{
	journal->held = false;
	return journal->unsaved ? save(journal, err) : 0;
}

static Gdr__Journal *
empty_journal(void)
{
	Gdr__Journal *state = xcalloc(1, sizeof(*state));

	gdr__journal__init(state);
	return state;
}

static Gdr__Journal__Reboot *
last_reboot(const struct journal *journal)
{
	return journal->state->n_reboots ? journal->state->reboots[journal->state->n_reboots - 1] : NULL;
}

/* Announced, and its end not noted yet. */
static bool
is_open(const Gdr__Journal__Reboot *reboot)
{
	return reboot && reboot->from && !reboot->to;
}

static bool
came_since(const struct journal *journal)
{
	const Gdr__Journal__Reboot *last = last_reboot(journal);

	return is_open(last) && (last->reset || strcmp(last->from, journal->boot_id) != 0);
}

static int
set_aside(const char *path, struct err *err)
{
	auto_free char *aside = xasprintf("%s.damaged", path);
	struct err cause = *err;
	bool moved = rename(path, aside) == 0;

	return err_set(err, -EBADMSG,
		       "the journal is damaged and %s %s: values before our changes and the count of reboots are "
		       "lost (%s)",
		       moved ? "was set aside as" : "could not be set aside as", aside, cause.msg);
}

int
journal_open(const char *path, const char *boot_id, struct journal **out, struct err *err)
{
	struct journal *journal = xcalloc(1, sizeof(*journal));
	auto_free char *text = NULL;
	ProtobufCMessage *message = NULL;
	struct err read_err = { 0 };
	size_t len = 0;
	int rc = 0;

	journal->boot_id = xstrdup(boot_id);
	*out = journal;
	if (path) {
		journal->path = xstrdup(path);
		rc = file_read(path, JOURNAL_MAX, &text, &len, &read_err);
		if (rc == 0)
			rc = pbtext_parse(&gdr__journal__descriptor, path, text, len, &message, &read_err);
	}
	journal->state = message ? (Gdr__Journal *)message : empty_journal();
	if (rc == 0 || rc == -ENOENT)
		return 0;
	*err = read_err;
	return set_aside(path, err);
}

void
journal_free(struct journal *journal)
{
	if (!journal)
		return;
	pb_free(&journal->state->base);
	free(journal->boot_id);
	free(journal->path);
	free(journal);
}

const char *
journal_boot_id(const struct journal *journal)
{
	return journal->boot_id;
}

static Gdr__Journal__Change *
find(const struct journal *journal, const char *layer, const char *key, bool staged)
{
	for (size_t i = 0; journal && i < journal->state->n_changes; i++) {
		Gdr__Journal__Change *change = journal->state->changes[i];

		if (change->staged == staged && change->layer && change->key && strcmp(change->layer, layer) == 0 &&
		    strcmp(change->key, key) == 0)
			return change;
	}
	return NULL;
}

static Gdr__Journal__Change *
add_change(Gdr__Journal *state, const char *layer, const char *key, bool staged)
{
	Gdr__Journal__Change *change = xcalloc(1, sizeof(*change));

	gdr__journal__change__init(change);
	change->layer = xstrdup(layer);
	change->key = xstrdup(key);
	change->has_staged = true;
	change->staged = staged;
	state->changes = xrealloc(state->changes, state->n_changes + 1, sizeof(*state->changes));
	state->changes[state->n_changes++] = change;
	return change;
}

int
journal_change(struct journal *journal, const char *layer, const char *key, const char *before, const char *want,
	       bool staged, struct err *err)
{
	Gdr__Journal__Change *change = find(journal, layer, key, staged);
	bool this_boot = change && change->boot_id && strcmp(change->boot_id, journal->boot_id) == 0;

	if (this_boot && !journal->unsaved && change->want && strcmp(change->want, want) == 0)
		return 0; /* On disk already. */
	if (!change)
		change = add_change(journal->state, layer, key, staged);
	if (!this_boot) {
		replace_text(&change->before, before);
		replace_text(&change->boot_id, journal->boot_id);
	}
	change->has_seen = change->seen = false;
	replace_text(&change->want, want);
	return save(journal, err);
}

int
journal_staged(struct journal *journal, const char *layer, const char *key, const char *before, const char *want,
	       struct err *err)
{
	int rc = journal_change(journal, layer, key, before, want, true, err);
	Gdr__Journal__Change *change = find(journal, layer, key, true);

	if (rc < 0 || !change || (change->seen && !journal->unsaved))
		return rc;
	change->has_seen = change->seen = true;
	return save(journal, err);
}

const char *
journal_before(const struct journal *journal, const char *layer, const char *key)
{
	const Gdr__Journal__Change *change = find(journal, layer, key, false);

	if (!change || !change->boot_id || strcmp(change->boot_id, journal->boot_id) != 0)
		return NULL;
	return change->before;
}

enum journal_past
journal_past(const struct journal *journal, const char *layer, const char *key, const char *want)
{
	const Gdr__Journal__Change *change = find(journal, layer, key, true);

	if (!change || !change->want || !change->boot_id || strcmp(change->want, want) != 0)
		return JOURNAL_NOTHING;
	if (strcmp(change->boot_id, journal->boot_id) == 0)
		return JOURNAL_THIS_BOOT;
	return change->seen ? JOURNAL_STAGED : JOURNAL_MEANT;
}

bool
journal_booted_since(const struct journal *journal, const char *layer, const char *key, const char *want)
{
	enum journal_past past = journal_past(journal, layer, key, want);

	return past == JOURNAL_MEANT || past == JOURNAL_STAGED;
}

void
journal_settled(struct journal *journal, const char *layer, const char *key)
{
	Gdr__Journal__Change *change = find(journal, layer, key, true);
	Gdr__Journal *state = journal ? journal->state : NULL;

	if (!change || !state)
		return;
	for (size_t i = 0; i < state->n_changes; i++)
		if (state->changes[i] == change)
			state->changes[i] = state->changes[--state->n_changes];
	pb_free(&change->base);
	/* If it cannot be written, it is found settled and forgotten again. */
	struct err ignored = { 0 };
	(void)save(journal, &ignored);
}

/* --- values from before our first change --------------------------------------------------------------- */

static Gdr__Journal__Kept *
find_kept(const struct journal *journal, const char *layer, const char *key)
{
	for (size_t i = 0; journal && i < journal->state->n_kept; i++) {
		Gdr__Journal__Kept *kept = journal->state->kept[i];

		if (kept->layer && kept->key && strcmp(kept->layer, layer) == 0 && strcmp(kept->key, key) == 0)
			return kept;
	}
	return NULL;
}

static Gdr__Journal__Kept *
add_kept(Gdr__Journal *state, const char *layer, const char *key, const char *value)
{
	Gdr__Journal__Kept *kept = xcalloc(1, sizeof(*kept));

	gdr__journal__kept__init(kept);
	kept->layer = xstrdup(layer);
	kept->key = xstrdup(key);
	kept->value = xstrdup(value);
	state->kept = xrealloc(state->kept, state->n_kept + 1, sizeof(Gdr__Journal__Kept *));
	state->kept[state->n_kept++] = kept;
	return kept;
}

int
journal_keep(struct journal *journal, const char *layer, const char *key, const char *value, const char *unlock,
	     bool restore, struct err *err)
{
	Gdr__Journal__Kept *kept = find_kept(journal, layer, key);

	if ((!kept && !value) || (kept && kept->restore == restore && same_text(kept->unlock, unlock)))
		return journal->unsaved ? save(journal, err) : 0;
	if (!kept)
		kept = add_kept(journal->state, layer, key, value);
	kept->has_restore = true;
	kept->restore = restore;
	free(kept->unlock);
	kept->unlock = unlock ? xstrdup(unlock) : NULL;
	return save(journal, err);
}

const Gdr__Journal__Kept *
journal_kept(const struct journal *journal, const char *layer, size_t i)
{
	for (size_t j = 0; journal && j < journal->state->n_kept; j++) {
		const Gdr__Journal__Kept *kept = journal->state->kept[j];

		if (kept->layer && kept->key && kept->value && strcmp(kept->layer, layer) == 0 && i-- == 0)
			return kept;
	}
	return NULL;
}

void
journal_forget(struct journal *journal, const char *layer, const char *key)
{
	Gdr__Journal__Kept *kept = find_kept(journal, layer, key);
	struct err ignored = { 0 };

	if (!kept)
		return;
	for (size_t i = 0; i < journal->state->n_kept; i++)
		if (journal->state->kept[i] == kept)
			journal->state->kept[i] = journal->state->kept[--journal->state->n_kept];
	pb_free(&kept->base);
	/* If it cannot be written, it is found put back and forgotten again. */
	(void)save(journal, &ignored);
}

/* --- reboots ---------------------------------------------------------------------------------------------- */

unsigned
journal_reboots(const struct journal *journal, const char *spec_hash)
{
	const Gdr__Journal *state = journal->state;

	return state->spec_hash && strcmp(state->spec_hash, spec_hash) == 0 ? state->reboots_used : 0;
}

static void
drop_oldest_reboot(Gdr__Journal *state)
{
	pb_free(&state->reboots[0]->base);
	state->n_reboots--;
	memmove(state->reboots, state->reboots + 1, state->n_reboots * sizeof(*state->reboots));
}

static Gdr__Journal__Reboot *
new_reboot(const struct journal *journal, const char *spec_hash, const char *why, bool reset)
{
	Gdr__Journal__Reboot *reboot = xcalloc(1, sizeof(*reboot));
	char at[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
	gdr__journal__reboot__init(reboot);
	reboot->from = xstrdup(journal->boot_id);
	reboot->spec_hash = xstrdup(spec_hash);
	reboot->why = xstrdup(why);
	reboot->at = xstrdup(at);
	reboot->has_reset = reboot->reset = reset;
	return reboot;
}

/* Asked for once more in one boot it is still one reboot. */
static bool
is_announced(const struct journal *journal, const char *spec_hash)
{
	const Gdr__Journal__Reboot *last = last_reboot(journal);

	return is_open(last) && !last->reset && strcmp(last->from, journal->boot_id) == 0 && last->spec_hash &&
	       strcmp(last->spec_hash, spec_hash) == 0;
}

static int
announce(struct journal *journal, const char *spec_hash, const char *why, bool reset, struct err *err)
{
	Gdr__Journal *state = journal->state;
	unsigned used = journal_reboots(journal, spec_hash);
	unsigned used_before = state->reboots_used;

	while (state->n_reboots >= REBOOTS_KEPT)
		drop_oldest_reboot(state);
	state->reboots = xrealloc(state->reboots, state->n_reboots + 1, sizeof(*state->reboots));
	state->reboots[state->n_reboots++] = new_reboot(journal, spec_hash, why, reset);

	auto_free char *hash_before = state->spec_hash;
	state->spec_hash = xstrdup(spec_hash);
	state->reboots_used = used < UINT32_MAX ? used + 1 : used;
	state->has_reboots_used = true;
	int rc = save(journal, err);
	if (rc == 0)
		return 0;
	/* It does not happen, so it is not counted. */
	pb_free(&state->reboots[--state->n_reboots]->base);
	free(state->spec_hash);
	state->spec_hash = steal(&hash_before);
	state->reboots_used = used_before;
	return rc;
}

int
journal_reboot(struct journal *journal, const char *spec_hash, const char *why, struct err *err)
{
	if (is_announced(journal, spec_hash))
		return journal->unsaved ? save(journal, err) : 0;
	return announce(journal, spec_hash, why, false, err);
}

int
journal_reset(struct journal *journal, const char *spec_hash, const char *why, struct err *err)
{
	return announce(journal, spec_hash, why, true, err);
}

bool
journal_may_reset(const struct journal *journal)
{
	for (size_t i = 0; i < journal->state->n_reboots; i++) {
		const Gdr__Journal__Reboot *reboot = journal->state->reboots[i];

		if (reboot->from && strcmp(reboot->from, journal->boot_id) == 0)
			return false;
	}
	return true;
}

bool
journal_came_back(struct journal *journal)
{
	Gdr__Journal__Reboot *last = last_reboot(journal);
	struct err ignored = { 0 };

	if (!came_since(journal))
		return false;
	last->to = xstrdup(journal->boot_id);
	(void)save(journal, &ignored);
	return true;
}
