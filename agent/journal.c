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
	bool came_back;
};

static void
replace_text(char **text, const char *with)
{
	free(*text);
	*text = xstrdup(with);
}

static int
save(const struct journal *journal, struct err *err)
{
	auto_buf struct buf text = { 0 };

	if (!journal->path)
		return 0;
	buf_printf(&text, "# What gdr-agent changed on this host; see agent/journal.h. Written by the agent alone.\n");
	pbtext_print(&journal->state->base, NULL, PBTEXT_YAML, &text);
	return file_replace(journal->path, text.text, text.len, 0600, err);
}

static Gdr__Journal *
empty_journal(void)
{
	Gdr__Journal *state = xcalloc(1, sizeof(*state));

	gdr__journal__init(state);
	return state;
}

/* The reboot that we announced has come, if the boot is another one now. */
static void
note_return(struct journal *journal)
{
	Gdr__Journal__Reboot *last = journal->state->n_reboots ? journal->state->reboots[journal->state->n_reboots - 1]
							       : NULL;

	if (!last || last->to || !last->from || strcmp(last->from, journal->boot_id) == 0)
		return;
	last->to = xstrdup(journal->boot_id);
	journal->came_back = true;
}

int
journal_open(const char *path, const char *boot_id, struct journal **out, struct err *err)
{
	struct journal *journal = xcalloc(1, sizeof(*journal));
	auto_free char *text = NULL;
	ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc = 0;

	journal->boot_id = xstrdup(boot_id);
	*out = journal;
	if (path) {
		journal->path = xstrdup(path);
		rc = file_read(path, JOURNAL_MAX, &text, &len, err);
		if (rc == 0)
			rc = pbtext_parse(&gdr__journal__descriptor, path, text, len, &message, err);
	}
	journal->state = message ? (Gdr__Journal *)message : empty_journal();
	note_return(journal);
	if (rc == 0 || rc == -ENOENT)
		return 0;

	auto_free char *aside = xasprintf("%s.damaged", path);
	(void)rename(path, aside);
	return err_set(err, -EBADMSG,
		       "the journal is damaged and was set aside as %s: values before our changes and "
		       "the count of reboots are lost",
		       aside);
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

	if (this_boot && change->want && strcmp(change->want, want) == 0)
		return 0; /* On disk already. */
	if (!change)
		change = add_change(journal->state, layer, key, staged);
	if (!this_boot) {
		replace_text(&change->before, before);
		replace_text(&change->boot_id, journal->boot_id);
	}
	replace_text(&change->want, want);
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

bool
journal_booted_since(const struct journal *journal, const char *layer, const char *key, const char *want)
{
	const Gdr__Journal__Change *change = find(journal, layer, key, true);

	return change && change->want && change->boot_id && strcmp(change->want, want) == 0 &&
	       strcmp(change->boot_id, journal->boot_id) != 0;
}

void
journal_settled(struct journal *journal, const char *layer, const char *key)
{
	Gdr__Journal__Change *change = find(journal, layer, key, true);
	Gdr__Journal *state = journal ? journal->state : NULL;

	if (!change)
		return;
	for (size_t i = 0; i < state->n_changes; i++)
		if (state->changes[i] == change)
			state->changes[i] = state->changes[--state->n_changes];
	pb_free(&change->base);
	/* Not synced: after a crash it is found settled and forgotten again. */
	struct err ignored = { 0 };
	(void)save(journal, &ignored);
}

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

int
journal_reboot(struct journal *journal, const char *spec_hash, const char *why, struct err *err)
{
	Gdr__Journal *state = journal->state;
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
	if (state->n_reboots == REBOOTS_KEPT)
		drop_oldest_reboot(state);
	state->reboots = xrealloc(state->reboots, state->n_reboots + 1, sizeof(*state->reboots));
	state->reboots[state->n_reboots++] = reboot;

	state->reboots_used = journal_reboots(journal, spec_hash) + 1;
	state->has_reboots_used = true;
	replace_text(&state->spec_hash, spec_hash);
	return save(journal, err);
}

bool
journal_came_back(struct journal *journal)
{
	struct err ignored = { 0 };
	bool came_back = journal->came_back;

	journal->came_back = false;
	if (came_back)
		(void)save(journal, &ignored);
	return came_back;
}
