#include "tests/scenario/check.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/fleet/query.h"
#include "controller/rollout/rollout.h"
#include "tests/scenario/programs.h"

#define NS(name) GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_##name

static Gdr__RolloutRecord *
record_of(struct sim *sim, char *name)
{
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	const struct ask ask = { .actor = "user/scenario", .now_ms = sim->now, .answer = answer };
	Gdr__RolloutQuery query = GDR__ROLLOUT_QUERY__INIT;

	gdr__response__init(answer);
	query.name = name;
	if (fleet_query_rollouts(sim->fleet, &ask, &query, &sim->err) < 0)
		sim_broken(sim, "rollout %s is gone", name);
	return steal(&answer->rollouts[0]->record);
}

static const char *
state_name(const Gdr__RolloutRecord *record)
{
	return pbtext_enum(&gdr__rollout_state__descriptor, (int)record->state);
}

static bool
is_over(const Gdr__RolloutRecord *record)
{
	return !rollout_is_active(record) && record->state != GDR__ROLLOUT_STATE__ROLLOUT_FAILED;
}

static uint32_t
charged(const Gdr__RolloutRecord *record)
{
	uint32_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++)
		n += rollout_is_charged(record->nodes[i]);
	return n;
}

static bool
is_passed(const Gdr__RolloutRecord *record, uint32_t wave)
{
	bool passed = false; /* The last word of its gate counts. */

	for (size_t i = 0; i < record->n_gates; i++)
		if (record->gates[i]->wave == wave)
			passed = record->gates[i]->result == GDR__ROLLOUT_GATE_RESULT__GATE_PASS &&
				 record->gates[i]->evidence && *record->gates[i]->evidence;
	return passed;
}

/* --- 1: how many are away --------------------------------------------------------------------------------------- */

static bool
is_baseline(const Gdr__RolloutRecord *record, const char *name)
{
	for (size_t i = 0; i < record->n_baseline; i++)
		if (strcmp(record->baseline[i], name) == 0)
			return true;
	return false;
}

static const Gdr__RolloutNode *
node_in(const struct check *check, size_t rollout, size_t host)
{
	size_t place = check->place[rollout][host];

	return place ? check->before[rollout]->nodes[place - 1] : NULL;
}

static bool
is_moving(const struct check *check, size_t host)
{
	for (size_t i = 0; i < check->n; i++) {
		const Gdr__RolloutNode *in = node_in(check, i, host);

		if (in && rollout_is_active(check->before[i]) && rollout_is_moving(in))
			return true;
	}
	return false;
}

static bool
is_away(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *record, const struct node *node)
{
	if (is_moving(check, (size_t)(sim_host(sim, node->name) - sim->hosts)))
		return true;
	return node->state != GDR__NODE_STATE__NODE_READY && node->state != GDR__NODE_STATE__NODE_UNASSIGNED &&
	       node->state != GDR__NODE_STATE__NODE_NEW && !is_baseline(record, node->name);
}

static uint32_t
at_most(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool
moves_any(const Gdr__RolloutRecord *record)
{
	for (size_t i = 0; i < record->n_nodes; i++)
		if (rollout_is_moving(record->nodes[i]))
			return true;
	return false;
}

/* What all rollouts that move nodes allow; one that began to in this turn may have come after 'own'. */
static void
limits_of(const struct check *check, const Gdr__RolloutRecord *own, uint32_t *fleet, uint32_t *rack)
{
	*fleet = *rack = UINT32_MAX;
	for (size_t i = 0; i < check->n; i++) {
		const Gdr__RolloutRecord *record = check->before[i];

		if (record != own && !(check->moved[i] && rollout_is_active(record) && moves_any(record)))
			continue;
		*fleet = at_most(*fleet, record->max_unavailable);
		for (size_t j = 0; j < record->plan->n_per_label; j++)
			*rack = at_most(*rack, (uint32_t)strtoul(record->plan->per_label[j]->value, NULL, 10));
	}
}

static void
check_away(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *record, const char *claimed)
{
	const struct node *own = fleet_node(sim->fleet, claimed);
	const char *rack = own ? PB_MAP_GET(own->document->labels, own->document->n_labels, "rack") : NULL;
	uint32_t max;
	uint32_t max_in_rack;
	uint32_t away = 0;
	uint32_t in_rack = 0;

	limits_of(check, record, &max, &max_in_rack);
	for (struct node *node = fleet_first(sim->fleet); node; node = fleet_next(sim->fleet)) {
		const char *of = PB_MAP_GET(node->document->labels, node->document->n_labels, "rack");

		if (!is_away(check, sim, record, node))
			continue;
		away++;
		in_rack += rack && of && strcmp(rack, of) == 0;
	}
	if (away > max)
		sim_broken(sim, "1: %s was claimed, and %u nodes are away (%u may be)", claimed, away, max);
	if (in_rack > max_in_rack)
		sim_broken(sim, "1: %s was claimed, and %u nodes of rack %s are away (%u may be)", claimed, in_rack,
			   rack, max_in_rack);
}

/* --- windows and programs --------------------------------------------------------------------------------------- */

/* By its own name, not the model's: hours are w's, each to fifty minutes past. */
static bool
is_shut(const struct sim *sim)
{
	return sim->now / 1000 % 3600 >= 3000;
}

static void
check_take(struct sim *sim, const Gdr__Rollout *plan, const Gdr__RolloutNode *old, const Gdr__RolloutNode *new)
{
	const struct host *host = sim_host(sim, new->name);
	bool taken = new->state == NS(ASSIGNED) && old->state == NS(CLAIMED);

	if (plan->window && is_shut(sim) && (taken || (new->state == NS(REVERTING) && old->state != NS(REVERTING))))
		sim_broken(sim, "11: %s was taken, and the window is shut", new->name);
	if (taken && plan->drain && (host->cordon == CORDON_NONE || sim->t < host->empty_ms))
		sim_broken(sim, "12: %s was taken, and it is not empty", new->name);
}

/* Of those that no person asked for. */
static void
check_reboots(const struct check *check, struct sim *sim)
{
	for (struct node *node = fleet_first(sim->fleet); node; node = fleet_next(sim->fleet)) {
		bool shut = false;

		for (size_t i = 0; i < check->n; i++)
			shut = shut || (check->before[i]->plan->window && node->rollout &&
					strcmp(node->rollout, check->before[i]->plan->name) == 0);
		if (shut && is_shut(sim) && node->grant_boot && node->granted_ms == sim->now)
			sim_broken(sim, "11: %s got a grant, and its window is shut", node->name);
	}
}

/* A host that we emptied has its work back, or is one that is not well. */
void
check_rest(const struct check *check, struct sim *sim)
{
	if (!programs_are_done(sim))
		sim_broken(sim, "12: programs are run again and again");
	for (size_t i = 0; i < sim->n; i++) {
		bool known = sim->hosts[i].removed || sim->hosts[i].cordon != CORDON_OURS;

		for (size_t j = 0; j < check->n; j++) {
			const Gdr__RolloutNode *in = node_in(check, j, i);

			known = known || (in && in->has_drain && in->state != NS(DONE) && in->state != NS(QUEUED));
		}
		if (!known)
			sim_broken(sim, "12: %s stays drained, and nobody knows", sim->hosts[i].name);
	}
}

/* --- comparisons -------------------------------------------------------------------------------------------------- */

static bool
measures(const struct node *node)
{
	return node && node->report && node->report->n_layers > 0;
}

/* By what the host itself knows: whatever was lost on the way. */
static void
check_compared(struct sim *sim, const Gdr__RolloutRecord *is, const Gdr__RolloutNode *node)
{
	const struct host *host = sim_host(sim, node->name);
	double slowest;
	double fastest;

	for (size_t i = 0; i < node->n_before; i++) {
		sim_speed(sim, host, &slowest, &fastest);
		if (host->measured_ms == node->before[i]->measured_ms)
			sim_broken(sim, "13: wave %u passed, and %s has not measured itself since", is->wave,
				   node->name);
		if (fastest < node->before[i]->value * 0.95)
			sim_broken(sim, "13: wave %u passed, and %s is slower: %g, and it was %g", is->wave, node->name,
				   host->speed, node->before[i]->value);
	}
}

static void
check_gate(struct sim *sim, const Gdr__RolloutRecord *was, const Gdr__RolloutRecord *is)
{
	const Gdr__RolloutGate *last = is->n_gates ? is->gates[is->n_gates - 1] : NULL;

	if (is->n_gates == was->n_gates || last->result != GDR__ROLLOUT_GATE_RESULT__GATE_PASS)
		return;
	for (size_t i = 0; i < is->n_nodes; i++)
		if (is->nodes[i]->has_wave && is->nodes[i]->wave == last->wave && is->nodes[i]->state == NS(DONE))
			check_compared(sim, is, is->nodes[i]);
}

/* --- one rollout ---------------------------------------------------------------------------------------------------- */

static void
check_start_of(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *was, const Gdr__RolloutRecord *is,
	       size_t i, bool was_ready)
{
	const Gdr__RolloutNode *node = is->nodes[i];
	bool canary = was->wave == 0 && was->plan->canary > 0;

	for (uint32_t wave = 0; wave < node->wave; wave++)
		if (!is_passed(was, wave))
			sim_broken(sim, "2: %s of wave %u was started, and the gate of wave %u has not passed",
				   node->name, node->wave, wave);
	if (charged(was) > (canary ? 0 : was->plan->failure_budget))
		sim_broken(sim, "3: %s was started after %u failures", node->name, charged(was));
	if (was->state != GDR__ROLLOUT_STATE__ROLLOUT_RUNNING)
		sim_broken(sim, "7: %s was started, and the rollout was %s", node->name, state_name(was));
	if (node->state == NS(CLAIMED) && was_ready)
		check_away(check, sim, is, node->name);
}

static void
check_node(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *was, const Gdr__RolloutRecord *is,
	   size_t i)
{
	const Gdr__RolloutNode *old = was->nodes[i];
	const Gdr__RolloutNode *new = is->nodes[i];
	const struct node *node = fleet_node(sim->fleet, new->name);
	const struct host *host = sim_host(sim, new->name);

	if (new->state != old->state && (new->state == NS(CLAIMED) || new->state == NS(ASSIGNED)))
		check_start_of(check, sim, was, is, i, node && node->state == GDR__NODE_STATE__NODE_READY);
	check_take(sim, is->plan, old, new);
	if (new->state == NS(ASSIGNED) && old->state == NS(CLAIMED) && is->plan->n_compare && measures(node) &&
	    new->n_before == 0)
		sim_broken(sim, "13: %s was assigned, and what it had measured is forgotten", new->name);
	if (new->state == NS(ASSIGNED) && old->state == NS(QUEUED))
		sim_broken(sim, "2: %s was assigned and its claim not committed", new->name);
	if (new->state == NS(REVERTING) && old->state != NS(REVERTING) &&
	    was->state != GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK &&
	    is->state != GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK)
		sim_broken(sim, "7: %s goes back, and the rollout is %s", new->name, state_name(is));
	if (new->state == NS(DONE) && old->state != NS(DONE) && host &&
	    (host->settled_generation < new->generation || new->generation == 0))
		sim_broken(sim, "9: %s is done at generation %llu, and was right at %llu at last", new->name,
			   (unsigned long long)new->generation, (unsigned long long)host->settled_generation);
	if (old->state == NS(GONE) && new->state != NS(GONE))
		sim_broken(sim, "8: %s came back from the dead", new->name);
}

/* What it had run may end, and be told, after it. */
static bool
same_but_for_programs(const Gdr__RolloutRecord *was, const Gdr__RolloutRecord *is)
{
	auto_pb Gdr__RolloutRecord *now = (Gdr__RolloutRecord *)pb_copy(&is->base);
	auto_pb Gdr__RolloutRecord *then = (Gdr__RolloutRecord *)pb_copy(&was->base);
	Gdr__RolloutRecord *const both[] = { now, then };

	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < both[i]->n_nodes; j++)
			both[i]->nodes[j]->has_drain = false;
		while (both[i]->n_notices > 0)
			pb_free(&both[i]->notices[--both[i]->n_notices]->base);
		both[i]->has_changes = false;
	}
	return pb_equal(&now->base, &then->base);
}

static void
check_rollout(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *was, const Gdr__RolloutRecord *is)
{
	if (is->version < was->version)
		sim_broken(sim, "version %llu after %llu", (unsigned long long)is->version,
			   (unsigned long long)was->version);
	if (is_over(was) && !same_but_for_programs(was, is))
		sim_broken(sim, "7: a rollout that was %s has changed", state_name(was));
	if (is->n_nodes != was->n_nodes)
		sim_broken(sim, "its nodes are not frozen");
	check_gate(sim, was, is);
	if ((is->state == GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED ||
	     is->state == GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT) &&
	    was->state != is->state) {
		bool any = false;

		for (size_t i = 0; i < is->n_nodes; i++)
			any = any || is->nodes[i]->state == NS(DONE);
		if (!any)
			sim_broken(sim, "10: it succeeded, and no node is done");
	}
	for (size_t i = 0; i < is->n_nodes; i++)
		check_node(check, sim, was, is, i);
}

/* --- the fleet --------------------------------------------------------------------------------------------------------- */

static void
check_owner(const struct check *check, struct sim *sim, const struct host *host)
{
	size_t owners = 0;
	bool explained = check->moved_by_hand;
	const struct node *node = fleet_node(sim->fleet, host->name);
	char now[80] = "";

	for (size_t i = 0; i < check->n; i++) {
		const Gdr__RolloutNode *in = node_in(check, i, (size_t)(host - sim->hosts));

		owners += in && rollout_owns(check->before[i], in);
		explained = explained || (in && in->has_assigned_ms);
	}
	if (owners > 1)
		sim_broken(sim, "8: %zu rollouts own %s", owners, host->name);
	if (!node)
		return;
	if ((node->rollout != NULL) != (owners == 1))
		sim_broken(sim, "8: %s does not know whose it is", host->name);
	if (node->profile)
		(void)snprintf(now, sizeof(now), "%s@%u", node->profile, node->revision);
	if (strcmp(check->had[host - sim->hosts], now) != 0 && !explained)
		sim_broken(sim, "4: %s was given %s by nobody", host->name, now);
	(void)snprintf(check->had[host - sim->hosts], 80, "%s", now);
}

static const char *
rack_of(const struct node *node)
{
	const char *rack = PB_MAP_GET(node->document->labels, node->document->n_labels, "rack");

	return rack ? rack : "";
}

static bool
is_rebooting(const struct sim *sim, const struct node *node)
{
	return node->grant_boot && sim->now <= node->granted_ms + sim->reboot.deadline;
}

/* 'node' got a grant, and 'record' moved nodes before that and does still: how many are rebooting or moved with it. */
static void
check_grant(const struct check *check, struct sim *sim, const Gdr__RolloutRecord *record, const struct node *node)
{
	uint32_t in_rack = 0;
	uint32_t all = 0;
	bool own = check->moving[sim_host(sim, node->name) - sim->hosts];

	for (struct node *other = fleet_first(sim->fleet); other; other = fleet_next(sim->fleet)) {
		size_t host = (size_t)(sim_host(sim, other->name) - sim->hosts);
		bool moves = !own && check->moving[host] && is_moving(check, host);

		if (!is_rebooting(sim, other) && !moves)
			continue;
		all++;
		in_rack += strcmp(rack_of(other), rack_of(node)) == 0;
	}
	if (all > record->max_unavailable)
		sim_broken(sim, "5: %s got a grant, and with it %u nodes are rebooting or moved", node->name, all);
	if (record->plan->n_per_label && in_rack > strtoul(record->plan->per_label[0]->value, NULL, 10))
		sim_broken(sim, "5: %s got a grant, and with it %u of its rack are rebooting or moved", node->name,
			   in_rack);
}

static void
check_grants(const struct check *check, struct sim *sim)
{
	uint32_t open = 0;

	for (struct node *node = fleet_first(sim->fleet); node; node = fleet_next(sim->fleet))
		open += node->grant_boot != NULL;
	if (open > sim->reboot.max)
		sim_broken(sim, "5: %u grants are open, %u may be", open, sim->reboot.max);
	for (size_t i = 0; i < sim->n; i++) {
		const struct node *node = fleet_node(sim->fleet, sim->hosts[i].name);

		for (size_t j = 0; j < check->n && node && node->grant_boot && node->granted_ms == sim->now; j++)
			if (check->moved[j] && rollout_is_active(check->before[j]) && moves_any(check->before[j]))
				check_grant(check, sim, check->before[j], node);
	}
}

void
check_begin(struct check *check, struct sim *sim)
{
	*check = (struct check){ .had = xcalloc(sim->n + 1, 80), .moving = xcalloc(sim->n + 1, sizeof(bool)) };
	for (size_t i = 0; i < sim->n; i++) {
		const struct node *node = fleet_node(sim->fleet, sim->hosts[i].name);

		if (node && node->profile)
			(void)snprintf(check->had[i], 80, "%s@%u", node->profile, node->revision);
	}
}

/* Which nodes are in it is settled when it starts. */
static size_t *
places(struct sim *sim, const Gdr__RolloutRecord *record)
{
	size_t *places = xcalloc(sim->n + 1, sizeof(*places));

	for (size_t i = 0; i < record->n_nodes; i++)
		places[sim_host(sim, record->nodes[i]->name) - sim->hosts] = i + 1;
	return places;
}

void
check_turn(struct check *check, struct sim *sim, char *const *rollouts, size_t n)
{
	Gdr__RolloutRecord *was[ROLLOUTS_MAX] = { NULL };

	for (size_t i = 0; i < n; i++) {
		was[i] = i < check->n ? check->before[i] : NULL;
		check->before[i] = record_of(sim, rollouts[i]);
		if (!was[i])
			check->place[i] = places(sim, check->before[i]);
	}
	check->n = n;
	for (size_t i = 0; i < n; i++) {
		if (was[i])
			check_rollout(check, sim, was[i], check->before[i]);
		pb_free((ProtobufCMessage *)was[i]);
	}
	for (size_t i = 0; i < sim->n; i++)
		check_owner(check, sim, &sim->hosts[i]);
	check_grants(check, sim);
	for (size_t i = 0; i < n; i++)
		check->moved[i] = moves_any(check->before[i]);
	for (size_t i = 0; i < sim->n; i++)
		check->moving[i] = is_moving(check, i);
	check_reboots(check, sim);
	check->moved_by_hand = false;
}

void
check_end(struct check *check)
{
	for (size_t i = 0; i < check->n; i++) {
		pb_free((ProtobufCMessage *)check->before[i]);
		free(check->place[i]);
	}
	free(check->had);
	free(check->moving);
}
