/* cmd_rollout.c - gdrctl rollout list, show, watch, wait, pause, resume, promote, abort, rollback. */

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/rolloutshow.h"
#include "controller/ctl/rolloutwait.h"
#include "controller/ctl/wait.h"

static const char *
name_of(const struct ctl *ctl)
{
	const char *word = ctl->args.words[0];

	return strncmp(word, "rollout/", 8) == 0 ? word + 8 : word;
}

/* --- list --- */

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__RolloutQuery query = GDR__ROLLOUT_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;

	request.body_case = GDR__REQUEST__BODY_ROLLOUTS;
	request.rollouts = &query;
	if (ctl_flag(ctl, "watch"))
		return watch_list(ctl, &view_rollouts, &request, err);
	int rc = ctl_call(ctl, &request, &response, err);
	if (rc == 0)
		output_list(ctl, &view_rollouts, response);
	return rc;
}

const struct command command_rollout_list = {
	.name = "rollout list",
	.args = "",
	.help = "rollouts, newest first",
	.examples = "  gdrctl rollout list -w",
	.options = (const struct option[]){ OPTION_WATCH, { 0 } },
	.run = run_list,
};

/* --- show, watch, wait --- */

static int
run_show(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	auto_free char *object = xasprintf("rollout/%s", name_of(ctl));
	int rc = rolloutwait_ask(ctl, name_of(ctl), &response, err);

	if (rc != 0)
		return rc;
	if (output_human(ctl))
		rolloutshow(ctl, response->rollouts[0]);
	else
		output_object(ctl, response->rollouts[0], NULL, object);
	return 0;
}

const struct command command_rollout_show = {
	.name = "rollout show",
	.args = "NAME",
	.help = "one rollout: what happened, what blocks it, which command is next",
	.more = "Nodes that failed come first.  -o wide lists every node.",
	.examples = "  gdrctl rollout show vela-a100-2",
	.values = "@rollouts",
	.min = 1,
	.max = 1,
	.run = run_show,
};

static int
run_watch(struct ctl *ctl, struct err *err)
{
	const char *after = ctl_option(ctl, "after");
	char *end = NULL;
	uint64_t changes = after ? strtoull(after, &end, 10) : 0;

	if (after && (end == after || *end || *after == '-'))
		return err_set(err, CTL_USAGE, "--after: '%s' is no number of `changes`", after);
	return rolloutwatch(ctl, name_of(ctl), changes, err);
}

const struct command command_rollout_watch = {
	.name = "rollout watch",
	.args = "NAME",
	.help = "the same, live, until it has ended; into a pipe a row (or with -o json a line) for each change",
	.more = "Exit 0: it succeeded.  3: it failed, was aborted or rolled back.  It outlasts restarts of the controller.\n"
		"A line's `record.changes` is what --after takes, so that a script goes on where it was.  Every single\n"
		"decision is in `gdrctl event watch --object rollout/NAME`.",
	.examples = "  gdrctl rollout watch vela-a100-2\n"
		    "  gdrctl rollout watch vela-a100-2 -o json --after 17",
	.values = "@rollouts",
	.options = (const struct option[]){ { 0, "after", "CHANGES", NULL, "only what is newer than a line had" },
					    { 0 } },
	.min = 1,
	.max = 1,
	.run = run_watch,
};

static int
run_wait(struct ctl *ctl, struct err *err)
{
	return rolloutwait(ctl, name_of(ctl), ctl_flag(ctl, "promotion"), err);
}

const struct command command_rollout_wait = {
	.name = "rollout wait",
	.args = "NAME",
	.help = "wait until it has ended or needs a person",
	.more = "Exit 0: it succeeded.  3: it is paused, failed, aborted or rolled back.  4: --timeout is over.\n"
		"It outlasts restarts of the controller.",
	.examples = "  gdrctl rollout wait vela-a100-2 --promotion --timeout 1h",
	.values = "@rollouts",
	.options = (const struct option[]){ { 0, "promotion", NULL, NULL,
					      "also until a wave waits to be promoted: exit 0" },
					    { 0 } },
	.min = 1,
	.max = 1,
	.run = run_wait,
};

/* --- decisions --- */

/* The version that is decided on: that of --version-seen, or of now.  Stopping it needs none. */
static int
fill_version(struct ctl *ctl, Gdr__RolloutChange *change, struct err *err)
{
	const char *given = ctl_option(ctl, "seen");
	auto_pb Gdr__Response *response = NULL;
	char *end = NULL;

	if (given) {
		change->has_version = true;
		change->version = strtoull(given, &end, 10);
		if (end == given || *end || *given == '-')
			return err_set(err, CTL_USAGE, "--seen: '%s' is no version", given);
		return 0;
	}
	if (change->action == GDR__ROLLOUT_ACTION__ROLLOUT_ABORT)
		return 0;
	int rc = rolloutwait_ask(ctl, change->name, &response, err);
	if (rc != 0)
		return rc;
	change->has_version = true;
	change->version = response->rollouts[0]->record->version;
	return 0;
}

static int
decide(struct ctl *ctl, Gdr__RolloutAction action, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__RolloutChange change = GDR__ROLLOUT_CHANGE__INIT;
	const char *why = ctl_option(ctl, "message");
	auto_free char *own = why ? xstrdup(why) : NULL;
	auto_free char *name = xstrdup(name_of(ctl));

	change.name = name;
	change.has_action = true;
	change.action = action;
	change.why = own;
	change.has_all = change.all = ctl_flag(ctl, "all");
	int rc = fill_version(ctl, &change, err);
	if (rc != 0)
		return rc;
	request.body_case = GDR__REQUEST__BODY_ROLLOUT_CHANGE;
	request.rollout_change = &change;
	rc = ctl_change(ctl, &request, err);
	return rc == 0 && ctl_flag(ctl, "wait") ? rolloutwait(ctl, name, false, err) : rc;
}

static int
run_pause(struct ctl *ctl, struct err *err)
{
	return decide(ctl, GDR__ROLLOUT_ACTION__ROLLOUT_PAUSE, err);
}

static int
run_resume(struct ctl *ctl, struct err *err)
{
	return decide(ctl, GDR__ROLLOUT_ACTION__ROLLOUT_RESUME, err);
}

static int
run_promote(struct ctl *ctl, struct err *err)
{
	return decide(ctl, GDR__ROLLOUT_ACTION__ROLLOUT_PROMOTE, err);
}

static int
run_abort(struct ctl *ctl, struct err *err)
{
	return decide(ctl, GDR__ROLLOUT_ACTION__ROLLOUT_ABORT, err);
}

static int
run_rollback(struct ctl *ctl, struct err *err)
{
	return decide(ctl, GDR__ROLLOUT_ACTION__ROLLOUT_ROLLBACK, err);
}

#define OPTION_SEEN                                                                                  \
	{                                                                                            \
		0, "seen", "VERSION", NULL, "only if it is still at this version (-o json shows it)" \
	}
#define OPTION_WAIT_END                                                                        \
	{                                                                                      \
		0, "wait", NULL, NULL, "wait for its end; exit 0: succeeded, 3: anything else" \
	}

const struct command command_rollout_pause = {
	.name = "rollout pause",
	.args = "NAME",
	.help = "move no further node until it is resumed; clocks stand still",
	.examples = "  gdrctl rollout pause vela-a100-2 -m 'strange latencies'",
	.values = "@rollouts",
	.options = (const struct option[]){ OPTION_WHY, OPTION_SEEN, { 0 } },
	.min = 1,
	.max = 1,
	.run = run_pause,
};

const struct command command_rollout_resume = {
	.name = "rollout resume",
	.args = "NAME",
	.help = "go on; failures so far are accepted",
	.examples = "  gdrctl rollout resume vela-a100-2 -m 'n7 has a dead disk' --wait",
	.values = "@rollouts",
	.options = (const struct option[]){ OPTION_WHY, OPTION_SEEN, OPTION_WAIT_END, { 0 } },
	.min = 1,
	.max = 1,
	.run = run_resume,
};

const struct command command_rollout_promote = {
	.name = "rollout promote",
	.args = "NAME",
	.help = "let the wave that passed its gate be the last word: the next one opens",
	.examples = "  gdrctl rollout promote vela-a100-2 --all --wait",
	.values = "@rollouts",
	.options = (const struct option[]){ { 0, "all", NULL, NULL, "and every later wave, too" },
					    OPTION_WHY,
					    OPTION_SEEN,
					    OPTION_WAIT_END,
					    { 0 } },
	.min = 1,
	.max = 1,
	.run = run_promote,
};

const struct command command_rollout_abort = {
	.name = "rollout abort",
	.args = "NAME",
	.help = "end it at once; nodes stay as they are",
	.examples = "  gdrctl rollout abort vela-a100-2",
	.values = "@rollouts",
	.options = (const struct option[]){ OPTION_WHY, OPTION_SEEN, { 0 } },
	.min = 1,
	.max = 1,
	.run = run_abort,
};

const struct command command_rollout_rollback = {
	.name = "rollout rollback",
	.args = "NAME",
	.help = "give each node that was moved what it was last ready on",
	.more = "Under the same limits, without canary and soak.",
	.examples = "  gdrctl rollout rollback vela-a100-2 -m 'RDMA is slower' --wait",
	.values = "@rollouts",
	.options = (const struct option[]){ OPTION_WHY, OPTION_SEEN, OPTION_WAIT_END, { 0 } },
	.min = 1,
	.max = 1,
	.run = run_rollback,
};
