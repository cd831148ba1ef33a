/* grant.c - which hosts may reboot now: asked of grant.c, noted and pushed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "controller/fleet/impl.h"
#include "controller/grant.h"
#include "controller/rollout/rollout.h"

static void
mark_push(struct fleet *fleet, struct node *node)
{
	fleet_touch(fleet, node);
	node->dirty = true;
	node->push = true;
}

/* What its agent says of this boot and of what is wanted now. */
static bool
says(const struct node *node, Gdr__Outcome outcome)
{
	return fleet_report_is_current(node) && same_text(node->report->boot_id, node->boot_id) &&
	       node->report->outcome == outcome;
}

/* Only of a host, and one that is there: a grant that nobody takes would keep its place in the budget. */
static bool
wants_reboot(const struct node *node)
{
	return !node->host && node->connected && !node->grant_boot && node->mode != GDR__MODE__MODE_HOLD &&
	       says(node, GDR__OUTCOME__OUTCOME_WANTS_REBOOT) &&
	       (node->mode == GDR__MODE__MODE_ENFORCE || node->leave_boot);
}

/* A grant that its node no longer needs: it settled without the boot. */
static void
withdraw(struct fleet *fleet, struct node *node, uint64_t now_ms)
{
	auto_free char *object = xasprintf("node/%s", node->name);
	bool held = node->mode == GDR__MODE__MODE_HOLD;
	bool settled = says(node, GDR__OUTCOME__OUTCOME_SETTLED) || says(node, GDR__OUTCOME__OUTCOME_WORKING) ||
		       says(node, GDR__OUTCOME__OUTCOME_STUCK);

	if (!node->grant_boot || (!settled && !held))
		return;
	fleet_event(fleet, now_ms, "gdrd", "node.reboot-withdrawn", object, "%s",
		    held ? "the node is held" : "the host no longer asks for it, in the same boot");
	fleet_set_text(&node->grant_boot, NULL);
	mark_push(fleet, node);
}

static void
grant(struct fleet *fleet, struct node *node, uint64_t now_ms)
{
	auto_free char *object = xasprintf("node/%s", node->name);

	fleet_set_text(&node->grant_boot, node->boot_id);
	fleet_set_text(&node->wait_why, NULL);
	node->granted_ms = now_ms;
	mark_push(fleet, node);
	auto_free char *count = fleet_reboot_count(node);
	fleet_event(fleet, now_ms, "gdrd", "node.reboot-granted", object, "%s%s", count,
		    node->report->why ? node->report->why : "");
}

static void
must_wait(struct fleet *fleet, struct node *node, const char *why)
{
	if (same_text(node->wait_why, why))
		return;
	fleet_set_text(&node->wait_why, why);
	fleet_touch(fleet, node);
	node->news = true;
}

/* --- the question to grant.c ----------------------------------------------------------------------------------- */

static void
add_limit(struct grant_limit **limits, size_t *n, struct grant_limit limit)
{
	*limits = xrealloc(*limits, *n + 1, sizeof(**limits));
	(*limits)[(*n)++] = limit;
}

/* The settings', and those of each rollout that moves nodes now; the caller frees '*out'. */
static size_t
find_limits(const struct fleet *fleet, struct grant_limit **out)
{
	static const Gdr__RebootLimits defaults = GDR__REBOOT_LIMITS__INIT;
	const Gdr__RebootLimits *settings = fleet->config->reboot ? fleet->config->reboot : &defaults;
	size_t n = 0;

	add_limit(out, &n, (struct grant_limit){ .max = settings->max });
	for (size_t i = 0; i < settings->n_per_label; i++)
		add_limit(out, &n,
			  (struct grant_limit){ .label = settings->per_label[i]->key,
						.max = (unsigned)strtoul(settings->per_label[i]->value, NULL, 10) });
	for (size_t i = 0; i < fleet->n_rollouts; i++) {
		const Gdr__RolloutRecord *record = fleet->rollouts[i].record;
		const Gdr__Rollout *plan = record->plan;

		if (!rollout_moves_any(record))
			continue;
		add_limit(out, &n, (struct grant_limit){ .max = record->max_unavailable, .rollout = plan->name });
		for (size_t j = 0; j < plan->n_per_label; j++)
			add_limit(out, &n,
				  (struct grant_limit){ .label = plan->per_label[j]->key,
							.max = (unsigned)strtoul(plan->per_label[j]->value, NULL, 10),
							.rollout = plan->name });
	}
	return n;
}

static const char *
value_for(const struct grant_limit *limit, const struct node *node)
{
	return limit->label ? PB_MAP_GET(node->document->labels, node->document->n_labels, limit->label) : "";
}

/* One row of it; 'values' holds the node's value for each limit. */
static struct grant_node
candidate(const struct fleet *fleet, const struct node *node, const struct grant_limit *limits, size_t n,
	  const char **values, uint64_t now_ms)
{
	for (size_t i = 0; i < n; i++)
		values[i] = value_for(&limits[i], node);
	return (struct grant_node){ .name = node->name,
				    .values = values,
				    .open = node->grant_boot != NULL,
				    .late = fleet_reboot_is_late(fleet, node, now_ms),
				    .moved = node->moving,
				    .wants = wants_reboot(node),
				    .wants_since_ms = node->wants_since_ms };
}

static void
ask(struct fleet *fleet, uint64_t now_ms)
{
	auto_free struct grant_limit *limits = NULL;
	size_t n_limits = find_limits(fleet, &limits);
	auto_free struct node **nodes = xcalloc(fleet_size(fleet) + 1, sizeof(struct node *));
	auto_free struct grant_node *rows = xcalloc(fleet_size(fleet) + 1, sizeof(*rows));
	auto_free const char **values = xcalloc(fleet_size(fleet) * n_limits + 1, sizeof(char *));
	auto_strv char **shut = xcalloc(fleet_size(fleet) + 1, sizeof(char *));
	size_t n_shut = 0;
	size_t n = 0;

	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		if (!node->grant_boot && !node->moving && !wants_reboot(node))
			continue;
		rows[n] = candidate(fleet, node, limits, n_limits, values + n * n_limits, now_ms);
		nodes[n++] = node;
		if (!wants_reboot(node))
			continue;
		rows[n - 1].waits_for = shut[n_shut] = fleet_node_shut(fleet, node, now_ms);
		n_shut += shut[n_shut] != NULL;
	}
	grant_decide(limits, n_limits, rows, n);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].granted)
			grant(fleet, nodes[i], now_ms);
		else if (rows[i].wants)
			must_wait(fleet, nodes[i], rows[i].why);
	}
}

void
fleet_grant_reboots(struct fleet *fleet, uint64_t now_ms)
{
	bool anyone = false;

	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		withdraw(fleet, node, now_ms);
		anyone = anyone || wants_reboot(node);
	}
	if (anyone)
		ask(fleet, now_ms);
}
