/* cmd_status.c - gdrctl status: the fleet in one screen. */

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
#include "controller/ctl/wait.h"

#define BAR 30

static void
add_head(const struct ctl *ctl, const Gdr__FleetStatus *status, struct buf *out)
{
	buf_printf(out, "%" PRIu32 " nodes, %" PRIu32 " connected, %" PRIu32 " of %" PRIu32 " reboot grants open",
		   status->nodes, status->connected, status->open_grants, status->max_rebooting);
	if (status->unconfirmed > 0)
		buf_printf(out, ", %" PRIu32 " not heard since gdrd started", status->unconfirmed);
	if (status->guests > 0)
		buf_printf(out, "; %" PRIu32 " of %" PRIu32 " guests ready", status->guests_ready, status->guests);
	if (status->version) {
		auto_buf struct buf version = { 0 };

		text_clean(&version, status->version, false);
		buf_printf(out, "; gdrd %s", version.text ? version.text : "");
	}
	if (status->has_started_ms) {
		buf_add(out, ", up ", 5);
		text_age(out, status->started_ms, ctl->ops->wall_ms(ctl->arg));
	}
	buf_add(out, "\n\n", 2);
}

static void
add_count(const struct ctl *ctl, const Gdr__FleetStatus__Count *count, uint32_t nodes, struct buf *out)
{
	Gdr__NodeView as_node = GDR__NODE_VIEW__INIT;
	char bar[BAR + 1];
	uint32_t full = nodes > 0 ? (uint32_t)((uint64_t)count->nodes * BAR / nodes) : 0;

	/* What there is shows, however little it is. */
	full = full > BAR ? BAR : full == 0 ? 1 : full;
	memset(bar, '#', full);
	bar[full] = '\0';
	as_node.has_state = count->has_state;
	as_node.state = count->state;
	buf_printf(out, "%-12s %6" PRIu32 "  ", views_state(&as_node), count->nodes);
	text_paint(out, ctl->colour, views_state_colour(&as_node), bar);
	buf_add(out, "\n", 1);
}

static void
draw(struct ctl *ctl, const Gdr__Response *response)
{
	const Gdr__FleetStatus *status = response->status;
	auto_buf struct buf out = { 0 };

	if (!status)
		return;
	if (!output_human(ctl)) {
		output_object(ctl, status, NULL, "status");
		return;
	}
	add_head(ctl, status, &out);
	for (size_t i = 0; i < status->n_counts; i++)
		if (status->counts[i]->nodes > 0)
			add_count(ctl, status->counts[i], status->nodes, &out);
	if (status->n_attention > 0) {
		buf_add(&out, "\n", 1);
		output_table(ctl, columns_attention, status->attention, status->n_attention, "", NULL, &out);
	}
	output_text(ctl, &out);
}

static bool
all_ready(const Gdr__FleetStatus *status)
{
	for (size_t i = 0; i < status->n_counts; i++) {
		const Gdr__FleetStatus__Count *count = status->counts[i];

		if (count->nodes > 0 && count->state != GDR__NODE_STATE__NODE_READY &&
		    count->state != GDR__NODE_STATE__NODE_PENDING)
			return false;
	}
	return status->nodes > 0 && status->unconfirmed == 0;
}

static int
show_once(struct ctl *ctl, Gdr__Request *request, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	int rc = ctl_call(ctl, request, &response, err);

	if (rc != 0)
		return rc;
	if (!response->status)
		return err_set(err, CTL_ERROR, "the controller sent no status (is it another version?)");
	draw(ctl, response);
	return all_ready(response->status) ? 0 : CTL_UNMET;
}

static int
run_status(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__StatusQuery query = GDR__STATUS_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	int rc = ctl_selection(ctl, ctl->args.n_words, &of, &names, err);

	query.of = &of;
	request.body_case = GDR__REQUEST__BODY_STATUS;
	request.status = &query;
	if (rc == 0 && ctl_flag(ctl, "watch"))
		return watch_screen(ctl, &request, draw, err);
	if (rc == 0 && ctl_flag(ctl, "wait"))
		rc = wait_ready(ctl, &of, err);
	return rc == 0 ? show_once(ctl, &request, err) : rc;
}

const struct command command_status = {
	.name = "status",
	.args = "[NAME...]",
	.help = "the fleet in one screen; exit 0 only if all is ready, else 3",
	.more = "Nodes that need a person come first, each with why and what to do about it.\n"
		"--wait ends with 0 when all are ready, with 3 when one is stuck, with 4 on --timeout.",
	.examples = "  gdrctl status -w\n  gdrctl status -l rack=r7 --wait --timeout 30m",
	.values = "@nodes",
	.options = (const struct option[]){ OPTION_SELECTOR, OPTION_WATCH, OPTION_WAIT, { 0 } },
	.max = -1,
	.run = run_status,
};
