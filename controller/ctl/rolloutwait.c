#include "controller/ctl/rolloutwait.h"

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/rolloutshow.h"
#include "controller/ctl/text.h"

#define POLL_MS 1000
#define CALL_MS 10000

int
rolloutwait_ask(struct ctl *ctl, const char *name, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__RolloutQuery query = GDR__ROLLOUT_QUERY__INIT;
	auto_free char *own = xstrdup(name);

	query.name = own;
	request.body_case = GDR__REQUEST__BODY_ROLLOUTS;
	request.rollouts = &query;
	int rc = ctl_call(ctl, &request, out, err);
	if (rc == 0 && ((*out)->n_rollouts == 0 || !(*out)->rollouts[0]->record || !(*out)->rollouts[0]->record->plan))
		return err_set(err, CTL_ERROR, "the controller sent no rollout (is it another version?)");
	return rc;
}

struct wait {
	struct ctl *ctl;
	const char *name;
	bool promotion;
	uint64_t end_ms; /* 0: none. */
	char *shown;
};

static void
show(struct wait *wait, const char *line)
{
	auto_buf struct buf clean = { 0 };

	text_clean(&clean, line, false);
	if (!clean.text || (wait->shown && strcmp(wait->shown, clean.text) == 0))
		return;
	(void)fprintf(wait->ctl->diag, wait->ctl->diag_tty ? "\r%s\033[K" : "%s\n", clean.text);
	(void)fflush(wait->ctl->diag);
	free(wait->shown);
	wait->shown = buf_steal(&clean);
}

/* The counts of a soak differ every second; into a file go only those that matter. */
static void
show_view(struct wait *wait, const Gdr__RolloutView *view)
{
	auto_buf struct buf line = { 0 };

	rolloutshow_line(view, wait->ctl->diag_tty, &line);
	if (!wait->ctl->diag_tty && strstr(line.text, "  | soaks"))
		*strstr(line.text, "  | soaks") = '\0';
	show(wait, line.text);
}

static int
ended_badly(const Gdr__RolloutRecord *record, const char *name, struct err *err)
{
	return err_set(err, CTL_UNMET, "rollout %s is %s: %s; see `gdrctl rollout show %s`", name,
		       pbtext_enum(&gdr__rollout_state__descriptor, (int)record->state), record->why ? record->why : "",
		       name);
}

/* '*done', or an exit code, or it goes on. */
static int
judge(const struct wait *wait, const Gdr__RolloutView *view, bool *done, struct err *err)
{
	const Gdr__RolloutRecord *record = view->record;

	switch (record->state) {
	case GDR__ROLLOUT_STATE__ROLLOUT_RUNNING:
		*done = wait->promotion && record->wave < record->n_waves && record->waves[record->wave]->asks;
		return 0;
	case GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK: return 0;
	case GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED:
	case GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT: *done = true; return 0;
	default: return ended_badly(record, wait->name, err);
	}
}

static int
look(struct wait *wait, bool *done, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	struct err failed = { 0 };
	int rc = rolloutwait_ask(wait->ctl, wait->name, &response, &failed);

	if (rc == CTL_NO_CONTROLLER) {
		show(wait, "the controller does not answer; trying again");
		return 0;
	}
	if (rc != 0)
		return err_set(err, rc, "%s", failed.msg);
	show_view(wait, response->rollouts[0]);
	return judge(wait, response->rollouts[0], done, err);
}

static int
loop(struct wait *wait, struct err *err)
{
	const struct ctl *ctl = wait->ctl;

	for (;;) {
		bool done = false;
		int rc = look(wait, &done, err);

		if (rc != 0 || done)
			return rc;
		if (wait->end_ms && ctl->ops->mono_ms(ctl->arg) >= wait->end_ms)
			return err_set(err, CTL_TIMEOUT, "timed out; the rollout goes on: `gdrctl rollout show %s`",
				       wait->name);
		if (!ctl->ops->pause(ctl->arg, POLL_MS))
			return err_set(err, CTL_ERROR, "interrupted; the rollout goes on");
	}
}

int
rolloutwait(struct ctl *ctl, const char *name, bool promotion, struct err *err)
{
	struct wait wait = { .ctl = ctl, .name = name, .promotion = promotion };
	uint64_t kept = ctl->call_ms;

	(void)fflush(ctl->out);
	if (ctl->timeout_ms > 0)
		wait.end_ms = ctl->ops->mono_ms(ctl->arg) + ctl->timeout_ms;
	ctl->call_ms = CALL_MS;
	int rc = loop(&wait, err);
	if (wait.shown && ctl->diag_tty)
		(void)fputs("\n", ctl->diag);
	free(wait.shown);
	ctl->call_ms = kept;
	return rc;
}

/* --- watching --- */

static void
draw(struct ctl *ctl, const Gdr__RolloutView *view, uint64_t *after, struct widths *widths)
{
	const void *const row = view;
	bool live = ctl->out_tty && output_human(ctl);

	if (live) {
		(void)fputs("\033[H\033[2J", ctl->out);
		rolloutshow(ctl, view);
	} else if (view->record->changes > *after) {
		output_rows(ctl, &view_rollouts, &row, 1, widths);
	}
	*after = view->record->changes;
	(void)fflush(ctl->out);
}

/* As judge(), but a pause is something to be watched. */
static int
watch_once(struct ctl *ctl, const char *name, uint64_t *after, struct widths *widths, bool *done, struct err *err)
{
	const struct wait wait = { .name = name };
	auto_pb Gdr__Response *response = NULL;
	struct err failed = { 0 };
	int rc = rolloutwait_ask(ctl, name, &response, &failed);

	if (rc == CTL_NO_CONTROLLER) {
		(void)fprintf(ctl->diag, "gdrctl: %s; trying again\n", failed.msg);
		return 0;
	}
	if (rc != 0)
		return err_set(err, rc, "%s", failed.msg);
	const Gdr__RolloutView *view = response->rollouts[0];
	draw(ctl, view, after, widths);
	return view->record->state == GDR__ROLLOUT_STATE__ROLLOUT_PAUSED ? 0 : judge(&wait, view, done, err);
}

int
rolloutwatch(struct ctl *ctl, const char *name, uint64_t after, struct err *err)
{
	struct widths widths = { .header = view_rollouts.bare };
	bool done = false;

	for (;;) {
		int rc = watch_once(ctl, name, &after, &widths, &done, err);

		if (rc != 0 || done)
			return rc;
		if (ferror(ctl->out) || !ctl->ops->pause(ctl->arg, POLL_MS))
			return 0;
	}
}
