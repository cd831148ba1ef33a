#include "agent/reboot.h"

#include <errno.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/pass.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"

#define ASK_AGAIN_MS 300000 /* A reboot that was asked for and has not come is asked for again. */

struct reboot {
	const struct program *program;
	struct host *host;
	struct journal *journal;
	const char *hooks;
	int64_t asked; /* clock_ms(); 0: not in this boot. */
	char *why;     /* What it is for. */
	char *problem; /* Why the last attempt came to nothing. */
};

struct reboot *
reboot_open(const struct program *program, struct host *host, struct journal *journal, const Gdr__AgentConfig *config)
{
	struct reboot *reboot = xcalloc(1, sizeof(*reboot));

	reboot->program = program;
	reboot->host = host;
	reboot->journal = journal;
	reboot->hooks = config->hooks;
	return reboot;
}

void
reboot_close(struct reboot *reboot)
{
	if (!reboot)
		return;
	free(reboot->why);
	free(reboot->problem);
	free(reboot);
}

static void
say(Gdr__Report *report, Gdr__Outcome outcome, char *why)
{
	report->outcome = outcome;
	free(report->why);
	report->why = why;
}

static bool
is_this_boot(const struct reboot *reboot, const char *boot_id)
{
	return boot_id && strcmp(boot_id, journal_boot_id(reboot->journal)) == 0;
}

bool
reboot_judge(struct reboot *reboot, Gdr__Report *report, const Gdr__Desired *desired)
{
	bool enforce = desired && (!desired->has_mode || desired->mode == GDR__MODE__MODE_ENFORCE);
	bool hold = desired && desired->has_mode && desired->mode == GDR__MODE__MODE_HOLD;
	bool wanted = enforce && report->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT;

	if (!desired || hold)
		return false;
	if (is_this_boot(reboot, desired->leave_boot)) {
		say(report, GDR__OUTCOME__OUTCOME_WANTS_REBOOT, xstrdup("an operator asked for a reboot"));
		wanted = true;
	}
	if (!wanted || !is_this_boot(reboot, desired->may_reboot_from)) {
		if (reboot->problem)
			log_info("reboot: none is due any more; it was %s", reboot->problem);
		free(steal(&reboot->problem));
		return false;
	}
	free(reboot->why);
	reboot->why = xstrdup(report->why ? report->why : "");
	bool asked = reboot->asked && clock_ms() - reboot->asked < ASK_AGAIN_MS;
	if (reboot->problem)
		say(report, GDR__OUTCOME__OUTCOME_WANTS_REBOOT, xstrdup(reboot->problem));
	else if (asked)
		say(report, GDR__OUTCOME__OUTCOME_WANTS_REBOOT, xstrdup("the reboot was asked for and has not come"));
	return !asked;
}

/* Every executable in hooks.d in order, as root, with 'moment' as its argument; the first that fails ends it. */
static int
run_hooks(const struct reboot *reboot, const char *moment, struct err *err)
{
	auto_strv char **hooks = host_programs(reboot->host, reboot->hooks);

	for (char **hook = hooks; *hook; hook++) {
		const char *const argv[] = { *hook, moment, NULL };
		int rc = host_do(reboot->host, argv, err);

		if (rc < 0)
			return err_wrap(err, "hook");
	}
	return 0;
}

static int
failed(struct reboot *reboot, const char *what, struct err *err)
{
	auto_free char *before = steal(&reboot->problem);

	reboot->problem = xasprintf("%s: %s", what, err->msg);
	/* A hook may say no for hours: once is enough. */
	if (!before || strcmp(before, reboot->problem) != 0)
		log_error("reboot: %s", reboot->problem);
	return err->code;
}

/* Loaded or not: once a boot, and what it did not load wants the reboot with the next look. */
static int
reset_instead(struct reboot *reboot, const char *why, const Gdr__Desired *desired, struct err *err)
{
	const char *hash = desired->spec_hash ? desired->spec_hash : "";

	if (journal_reset(reboot->journal, hash, why, err) < 0)
		return failed(reboot, "not without a journal", err);
	log_info("resetting NIC firmware in place of a reboot: %s", why);
	int rc = pass_reload(reboot->program, reboot->host, reboot->journal, desired, err);
	reboot_came_back(reboot);
	if (rc < 0)
		return failed(reboot, "the firmware reset failed, the reboot is next", err);
	free(steal(&reboot->problem));
	return 0;
}

int
reboot_go(struct reboot *reboot, const Gdr__Report *report, const Gdr__Desired *desired, struct err *err)
{
	static const char *const argv[] = { "systemctl", "reboot", NULL };
	const char *why = reboot->why ? reboot->why : report->why ? report->why : "";

	if (run_hooks(reboot, "before-reboot", err) < 0)
		return failed(reboot, "postponed", err);
	bool asked_for = is_this_boot(reboot, desired->leave_boot);
	if (report->may_reset && !asked_for)
		return reset_instead(reboot, why, desired, err);
	/* A reboot that an operator asked for is not charged to the spec's budget: it starts the count anew. */
	bool charged = !asked_for && desired->spec_hash;
	if (journal_reboot(reboot->journal, charged ? desired->spec_hash : "", why, err) < 0)
		return failed(reboot, "not without a journal", err);
	log_info("rebooting: %s", why);
	reboot->asked = clock_ms();
	/* Through logind, which knows of inhibitors and ends the session of every service in order. */
	if (host_do(reboot->host, argv, err) < 0)
		return failed(reboot, "the reboot failed", err);
	free(steal(&reboot->problem));
	return 0;
}

void
reboot_came_back(struct reboot *reboot)
{
	struct err err = { 0 };

	if (!journal_came_back(reboot->journal))
		return;
	log_info("back after our reboot, or what stood in its place");
	if (run_hooks(reboot, "after-reboot", &err) < 0)
		log_error("%s", err.msg);
}
