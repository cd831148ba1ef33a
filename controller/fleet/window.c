/* window.c - maintenance windows in the model: applied, shown, removed, and whom they keep waiting. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/fleet/impl.h"
#include "controller/fleet/query.h"
#include "controller/rollout/rollout.h"
#include "controller/selector.h"
#include "controller/store.h"
#include "controller/window.h"

#define SET(message, field, value) ((message)->has_##field = true, (message)->field = (value))

/* --- the list --------------------------------------------------------------------------------------------- */

static void
clear(struct window *window)
{
	pb_free(&window->document->base);
	selector_free(window->selector);
}

void
fleet_drop_windows(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_windows; i++)
		clear(&fleet->windows[i]);
	free(fleet->windows);
	fleet->windows = NULL;
	fleet->n_windows = 0;
}

/* Where 'name' is, or would be. */
static size_t
place_of(const struct fleet *fleet, const char *name, bool *there)
{
	size_t i = 0;

	while (i < fleet->n_windows && strcmp(fleet->windows[i].document->name, name) < 0)
		i++;
	*there = i < fleet->n_windows && strcmp(fleet->windows[i].document->name, name) == 0;
	return i;
}

const Gdr__Window *
fleet_window(const struct fleet *fleet, const char *name)
{
	bool there = false;
	size_t i = name ? place_of(fleet, name, &there) : 0;

	return there ? fleet->windows[i].document : NULL;
}

/* Takes 'document', which was checked. */
static void
keep(struct fleet *fleet, Gdr__Window *document)
{
	struct window window = { .document = document };
	struct err ignored = { 0 };
	bool there;
	size_t at = place_of(fleet, document->name, &there);

	if (document->selector)
		(void)selector_parse(document->selector, &window.selector, &ignored);
	if (there) {
		clear(&fleet->windows[at]);
		fleet->windows[at] = window;
		return;
	}
	fleet->windows = xrealloc(fleet->windows, fleet->n_windows + 1, sizeof(*fleet->windows));
	memmove(&fleet->windows[at + 1], &fleet->windows[at], (fleet->n_windows++ - at) * sizeof(*fleet->windows));
	fleet->windows[at] = window;
}

int
fleet_load_window(struct fleet *fleet, const struct store_window *row)
{
	struct err err = { 0 };
	Gdr__Window *document = (Gdr__Window *)pb_unpack(&gdr__window__descriptor, row->document, row->document_len,
							 &err);

	if (!document || !document->name || window_check(document, &err) < 0) {
		pb_free((ProtobufCMessage *)document);
		return err_set(&fleet->failed, -EBADMSG, "window %s: the stored document cannot be read", row->name);
	}
	keep(fleet, document);
	return 0;
}

/* --- operators' requests -------------------------------------------------------------------------------------- */

int
fleet_check_windows(const Gdr__Apply *apply, struct err *err)
{
	for (size_t i = 0; i < apply->n_windows; i++) {
		const Gdr__Window *window = apply->windows[i];

		if (!window->name)
			return err_set(err, -EINVAL, "a window without a name");
		if (pb_check(&window->base, err) < 0 || window_check(window, err) < 0)
			return err_wrap(err, "window %s", window->name);
		for (size_t j = 0; j < i; j++)
			if (strcmp(apply->windows[j]->name, window->name) == 0)
				return err_set(err, -EINVAL, "window %s is there twice", window->name);
	}
	return 0;
}

static void
apply_window(struct fleet *fleet, const struct ask *ask, const Gdr__Window *document)
{
	const Gdr__Window *has = fleet_window(fleet, document->name);
	bool same = has && pb_equal(&has->base, &document->base);
	auto_free char *object = xasprintf("window/%s", document->name);
	size_t len;
	auto_free uint8_t *packed = pb_pack(&document->base, &len);
	const struct store_window row = { .name = document->name, .document = packed, .document_len = len };

	fleet_changed(ask, "window", document->name, same ? "unchanged" : has ? "configured" : "created", NULL);
	if (same || ask->dry_run)
		return;
	keep(fleet, (Gdr__Window *)pb_copy(&document->base));
	if (fleet_writing(fleet))
		(void)store_put_window(fleet->store, &row, &fleet->failed);
	fleet_event(fleet, ask->now_ms, ask->actor, "window.configured", object, "%s",
		    document->description ? document->description : "");
}

void
fleet_apply_windows(struct fleet *fleet, const struct ask *ask, const Gdr__Apply *apply)
{
	for (size_t i = 0; i < apply->n_windows; i++)
		apply_window(fleet, ask, apply->windows[i]);
}

static int
no_such(const struct fleet *fleet, const char *name, struct err *err)
{
	auto_free const char **names = xcalloc(fleet->n_windows + 1, sizeof(char *));

	for (size_t i = 0; i < fleet->n_windows; i++)
		names[i] = fleet->windows[i].document->name;
	const char *near = pbtext_nearest(name, names);
	return err_set(err, -ENOENT, "there is no window '%s'%s%s%s", name, near ? ", did you mean '" : "",
		       near ? near : "", near ? "'?" : "; `gdrctl window list` shows them");
}

/* A rollout that waits for a window that is gone would wait for ever. */
static int
check_unused(const struct fleet *fleet, const char *name, struct err *err)
{
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		const Gdr__RolloutRecord *record = fleet->rollouts[i].record;

		if (rollout_is_active(record) && record->plan->window && strcmp(record->plan->window, name) == 0)
			return err_set(err, -EBUSY, "window %s is rollout %s's: wait for its end, or abort it", name,
				       record->plan->name);
	}
	return 0;
}

int
fleet_window_remove(struct fleet *fleet, const struct ask *ask, const Gdr__WindowRemove *remove, struct err *err)
{
	const char *name = remove->name ? remove->name : "";
	auto_free char *object = xasprintf("window/%s", name);
	bool there;
	size_t at = place_of(fleet, name, &there);

	if (!there)
		return no_such(fleet, name, err);
	if (check_unused(fleet, name, err) < 0)
		return err->code;
	fleet_changed(ask, "window", name, "removed", NULL);
	if (ask->dry_run)
		return 0;
	if (fleet_writing(fleet))
		(void)store_delete_window(fleet->store, name, &fleet->failed);
	fleet_event(fleet, ask->now_ms, ask->actor, "window.removed", object, "%s", "");
	clear(&fleet->windows[at]);
	memmove(&fleet->windows[at], &fleet->windows[at + 1], (--fleet->n_windows - at) * sizeof(*fleet->windows));
	return 0;
}

int
fleet_query_windows(struct fleet *fleet, const struct ask *ask, const Gdr__WindowQuery *query, struct err *err)
{
	Gdr__Response *answer = ask->answer;

	if (query->name && !fleet_window(fleet, query->name))
		return no_such(fleet, query->name, err);
	for (size_t i = 0; i < fleet->n_windows; i++) {
		const Gdr__Window *window = fleet->windows[i].document;
		uint64_t until_ms;

		if (query->name && strcmp(query->name, window->name) != 0)
			continue;
		Gdr__WindowView *view = xcalloc(1, sizeof(*view));
		gdr__window_view__init(view);
		view->window = (Gdr__Window *)pb_copy(&window->base);
		SET(view, open, window_is_open(window, ask->now_ms, &until_ms));
		SET(view, until_ms, until_ms);
		answer->windows = xrealloc(answer->windows, answer->n_windows + 1, sizeof(*answer->windows));
		answer->windows[answer->n_windows++] = view;
	}
	return 0;
}

/* --- who waits -------------------------------------------------------------------------------------------------- */

char *
fleet_window_shut(const Gdr__Window *window, uint64_t now_ms)
{
	uint64_t until_ms;
	char when[32] = "";
	struct tm tm;

	if (window_is_open(window, now_ms, &until_ms))
		return NULL;
	time_t at = (time_t)(until_ms / 1000);
	if (gmtime_r(&at, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	return xasprintf("window %s opens at %s UTC", window->name, when);
}

char *
fleet_node_shut(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	const struct rollout *rollout = fleet_rollout(fleet, node->rollout);
	const char *named = rollout ? rollout->record->plan->window : NULL;

	for (size_t i = 0; i < fleet->n_windows; i++) {
		const struct window *window = &fleet->windows[i];
		bool fits = window->selector && selector_matches(window->selector, node->name, node->document->labels,
								 node->document->n_labels);

		if (!fits && !(named && strcmp(named, window->document->name) == 0))
			continue;
		char *shut = fleet_window_shut(window->document, now_ms);
		if (shut)
			return shut;
	}
	return NULL;
}
