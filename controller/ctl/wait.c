#include "controller/ctl/wait.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"

#define POLL_MS 1000
#define BAR     20

/* One wait. */
struct wait {
	struct ctl *ctl;
	uint64_t end_ms;           /* 0: none. */
	uint64_t call_ms;          /* Of one request. */
	const struct boots *boots; /* That must be left first; NULL: any boot will do. */
	char *shown;               /* The progress line that stands on the terminal. */
	/* As of the last answer. */
	uint32_t total;
	uint32_t ready;
};

/* --- progress --- */

static void
add_bar(struct buf *out, uint32_t part, uint32_t total)
{
	uint32_t full = total > 0 ? (uint32_t)((uint64_t)part * BAR / total) : 0;

	buf_add(out, "[", 1);
	for (uint32_t i = 0; i < BAR; i++)
		buf_add(out, i < full ? "#" : ".", 1);
	buf_add(out, "]", 1);
}

static void
show(struct wait *wait, const char *line)
{
	if (wait->shown && strcmp(wait->shown, line) == 0)
		return;
	(void)fprintf(wait->ctl->diag, wait->ctl->diag_tty ? "\r%s\033[K" : "%s\n", line);
	(void)fflush(wait->ctl->diag);
	free(wait->shown);
	wait->shown = xstrdup(line);
}

static void
show_counts(struct wait *wait, const Gdr__FleetStatus *status)
{
	auto_buf struct buf line = { 0 };

	if (wait->ctl->diag_tty) {
		add_bar(&line, wait->ready, wait->total);
		buf_add(&line, " ", 1);
	}
	buf_printf(&line, "ready %" PRIu32 "/%" PRIu32, wait->ready, wait->total);
	for (size_t i = 0; i < status->n_counts; i++) {
		const Gdr__FleetStatus__Count *count = status->counts[i];

		if (count->nodes > 0 && count->state != GDR__NODE_STATE__NODE_READY &&
		    count->state != GDR__NODE_STATE__NODE_PENDING)
			buf_printf(&line, "  %s %" PRIu32, pbtext_enum(&gdr__node_state__descriptor, (int)count->state),
				   count->nodes);
	}
	show(wait, line.text);
}

static void
end_progress(struct wait *wait)
{
	if (wait->shown && wait->ctl->diag_tty)
		(void)fputs("\n", wait->ctl->diag);
	free(wait->shown);
}

/* --- what an answer says --- */

/* Will it never be ready without a person?  What was seen of an older generation is no answer. */
static bool
needs_person(const Gdr__NodeView *node)
{
	bool fresh = !node->has_generation || !node->has_observed_generation ||
		     node->observed_generation == node->generation;

	switch (node->state) {
	case GDR__NODE_STATE__NODE_STUCK: return fresh;
	case GDR__NODE_STATE__NODE_HELD:
	case GDR__NODE_STATE__NODE_DRIFTED:
	case GDR__NODE_STATE__NODE_UNASSIGNED: return true;
	default: return false;
	}
}

static int
fail_on(const Gdr__NodeView *node, struct err *err)
{
	return err_set(err, CTL_UNMET, "%s is %s: %s%s%s (--keep-waiting to wait all the same)",
		       node->name ? node->name : "a node", views_state(node),
		       node->why && *node->why ? node->why : "see `gdrctl node show`",
		       node->remedy && *node->remedy ? "; " : "", node->remedy ? node->remedy : "");
}

static int
check_stuck(const struct wait *wait, Gdr__NodeView *const *nodes, size_t n, struct err *err)
{
	if (ctl_flag(wait->ctl, "keep-waiting"))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (nodes[i]->has_state && needs_person(nodes[i]))
			return fail_on(nodes[i], err);
	return 0;
}

static void
count_ready(struct wait *wait, const Gdr__FleetStatus *status)
{
	wait->total = 0;
	wait->ready = 0;
	for (size_t i = 0; i < status->n_counts; i++) {
		const Gdr__FleetStatus__Count *count = status->counts[i];

		if (count->state == GDR__NODE_STATE__NODE_PENDING)
			continue;
		wait->total += count->nodes;
		if (count->state == GDR__NODE_STATE__NODE_READY)
			wait->ready += count->nodes;
	}
	/* What they said before gdrd started counts for nothing here. */
	wait->ready -= status->unconfirmed < wait->ready ? status->unconfirmed : wait->ready;
}

static int
ask_status(struct wait *wait, Gdr__Selection *of, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__StatusQuery query = GDR__STATUS_QUERY__INIT;

	query.of = of;
	request.body_case = GDR__REQUEST__BODY_STATUS;
	request.status = &query;
	return ctl_call(wait->ctl, &request, out, err);
}

static int
ask_nodes(struct ctl *ctl, Gdr__Selection *of, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;

	query.of = of;
	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	return ctl_call(ctl, &request, out, err);
}

static bool
left_boot(const struct boots *before, const Gdr__NodeView *node)
{
	for (size_t i = 0; i < before->n; i++)
		if (node->name && strcmp(before->boots[i].node, node->name) == 0)
			return node->boot_id && strcmp(before->boots[i].id, node->boot_id) != 0;
	return true;
}

/* Nodes that still run the boot from before; shows how many. */
static int
check_boots(struct wait *wait, Gdr__Selection *of, bool *done, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	size_t left = 0;
	int rc = ask_nodes(wait->ctl, of, &response, err);

	if (rc == 0)
		rc = check_stuck(wait, response->nodes, response->n_nodes, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < response->n_nodes; i++)
		left += left_boot(wait->boots, response->nodes[i]);
	*done = left == response->n_nodes;
	if (*done)
		return 0;
	auto_free char *line = xasprintf("rebooted %zu/%zu", left, response->n_nodes);
	show(wait, line);
	return 0;
}

static int
check_ready(struct wait *wait, Gdr__Selection *of, bool *done, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	int rc = ask_status(wait, of, &response, err);

	if (rc != 0)
		return rc;
	const Gdr__FleetStatus *status = response->status;
	if (!status)
		return err_set(err, CTL_ERROR, "the controller sent no status (is it another version?)");
	count_ready(wait, status);
	show_counts(wait, status);
	if (wait->total == 0)
		return err_set(err, CTL_UNMET, "no nodes to wait for");
	*done = wait->ready == wait->total;
	return check_stuck(wait, status->attention, status->n_attention, err);
}

/* --- the loop --- */

static uint64_t
now_ms(const struct wait *wait)
{
	return wait->ctl->ops->mono_ms(wait->ctl->arg);
}

static int
timed_out(const struct wait *wait, struct err *err)
{
	return err_set(err, CTL_TIMEOUT,
		       "timed out: %" PRIu32 " of %" PRIu32 " nodes are ready; `gdrctl status` shows the others",
		       wait->ready, wait->total);
}

/* Time for one request: not beyond the end. */
static void
limit_call(struct wait *wait)
{
	uint64_t left = wait->end_ms > now_ms(wait) ? wait->end_ms - now_ms(wait) : 1;

	wait->ctl->call_ms = wait->end_ms && left < wait->call_ms ? left : wait->call_ms;
}

static bool
is_over(const struct wait *wait)
{
	return wait->end_ms && now_ms(wait) >= wait->end_ms;
}

/* One look; '*done' when all is as it was waited for. */
static int
look(struct wait *wait, Gdr__Selection *of, bool *done, struct err *err)
{
	struct err failed = { 0 };
	int rc;

	limit_call(wait);
	if (wait->boots) {
		bool rebooted = false;

		rc = check_boots(wait, of, &rebooted, &failed);
		if (rebooted)
			wait->boots = NULL;
	} else {
		rc = check_ready(wait, of, done, &failed);
	}
	if (rc != 0 && rc != CTL_NO_CONTROLLER)
		return err_set(err, rc, "%s", failed.msg);
	if (rc != 0 && !is_over(wait)) /* Else it had no time left to answer in. */
		show(wait, "the controller does not answer; trying again");
	return 0;
}

static int
wait_loop(struct wait *wait, Gdr__Selection *of, struct err *err)
{
	for (;;) {
		bool done = false;
		int rc = look(wait, of, &done, err);

		if (rc != 0 || done)
			return rc;
		if (is_over(wait))
			return timed_out(wait, err);
		if (!wait->ctl->ops->pause(wait->ctl->arg, POLL_MS))
			return err_set(err, CTL_ERROR, "interrupted");
	}
}

static int
run_wait(struct ctl *ctl, Gdr__Selection *of, const struct boots *boots, struct err *err)
{
	struct wait wait = { .ctl = ctl, .boots = boots, .call_ms = 10000 };
	uint64_t kept = ctl->call_ms;

	(void)fflush(ctl->out);
	if (ctl->timeout_ms > 0)
		wait.end_ms = now_ms(&wait) + ctl->timeout_ms;
	int rc = wait_loop(&wait, of, err);
	end_progress(&wait);
	ctl->call_ms = kept;
	return rc;
}

int
wait_ready(struct ctl *ctl, Gdr__Selection *of, struct err *err)
{
	return run_wait(ctl, of, NULL, err);
}

int
wait_boots_before(struct ctl *ctl, Gdr__Selection *of, struct boots *out, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	int rc = ask_nodes(ctl, of, &response, err);

	if (rc != 0)
		return rc;
	out->boots = xcalloc(response->n_nodes + 1, sizeof(*out->boots));
	for (size_t i = 0; i < response->n_nodes; i++) {
		const Gdr__NodeView *node = response->nodes[i];

		out->boots[out->n++] = (struct boot){ xstrdup(node->name ? node->name : ""),
						      xstrdup(node->boot_id ? node->boot_id : "") };
	}
	return 0;
}

void
wait_boots_free(struct boots *boots)
{
	for (size_t i = 0; i < boots->n; i++) {
		free(boots->boots[i].node);
		free(boots->boots[i].id);
	}
	free(boots->boots);
	*boots = (struct boots){ 0 };
}

int
wait_rebooted(struct ctl *ctl, Gdr__Selection *of, const struct boots *before, struct err *err)
{
	return run_wait(ctl, of, before, err);
}
