#include "tests/scenario/sim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/fleet/query.h"
#include "controller/keyring.h"
#include "controller/store.h"
#include "controller/zap.h"
#include "tests/scenario/disk.h"
#include "tests/scenario/programs.h"

uint64_t
sim_random(struct sim *sim, uint64_t below)
{
	uint64_t z = (sim->state += 0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return below ? (z ^ (z >> 31)) % below : 0;
}

bool
sim_chance(struct sim *sim, unsigned of, unsigned in)
{
	return sim_random(sim, in) < of;
}

void
sim_broken(const struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "seed %llu, after %llu s: ", (unsigned long long)sim->seed,
		      (unsigned long long)sim->t / 1000);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "\nto play it again: scenario --seed %llu", (unsigned long long)sim->seed);
	if (sim->n_given)
		(void)fprintf(stderr, " --hosts %zu", sim->n_given);
	if (sim->crash_turn)
		(void)fprintf(stderr, " --turn %llu --moment %d", (unsigned long long)sim->crash_turn,
			      (int)sim->crash_moment);
	(void)fprintf(stderr, " --verbose\n");
	exit(1);
}

/* --- the model ------------------------------------------------------------------------------------------------------ */

void
sim_open(struct sim *sim)
{
	if (store_open_with(&disk_driver, sim->path, &sim->store, &sim->err) < 0)
		sim_broken(sim, "%s", sim->err.msg);
	sim->keyring = keyring_new(sim->store, sim->zap);
	if (fleet_open(sim->store, sim->keyring, &sim->config, sim->now, &sim->fleet, &sim->err) < 0)
		sim_broken(sim, "%s", sim->err.msg);
}

void
sim_close(struct sim *sim)
{
	fleet_close(sim->fleet);
	keyring_free(sim->keyring);
	store_close(sim->store);
}

/* --- hosts ---------------------------------------------------------------------------------------------------------- */

struct host *
sim_host(struct sim *sim, const char *name)
{
	size_t i = strtoul(name + 1, NULL, 10); /* "n7" */

	return i < sim->n ? &sim->hosts[i] : NULL;
}

static void
drop_sent(struct host *host)
{
	for (size_t i = 0; i < host->n_sent; i++)
		pb_free(&host->sent[i].report->base);
	host->n_sent = 0;
}

/* Its link is gone; what was on the way is lost. */
static void
disconnect(struct sim *sim, struct host *host)
{
	drop_sent(host);
	host->hello_ms = sim->t + 1 + sim_random(sim, 5000);
}

void
sim_die(struct sim *sim, struct host *host, uint64_t for_ms)
{
	host->dead = true;
	host->dead_until_ms = for_ms == UINT64_MAX ? UINT64_MAX : sim->t + for_ms;
	host->cut_ms = sim->t + LOST_MS / 2;
	drop_sent(host);
}

/* And back: agents have to say hello again. */
static void
crash(struct sim *sim)
{
	sim_close(sim);
	programs_forget(sim);
	if (sim_chance(sim, 1, 20))
		disk_close();
	sim_open(sim);
	for (size_t i = 0; i < sim->n; i++)
		disconnect(sim, &sim->hosts[i]);
}

static void
boot_of(const struct host *host, char out[48])
{
	(void)snprintf(out, 48, "%s-%u", host->name, host->boot);
}

/* Each is of another speed. */
void
sim_speed(const struct sim *sim, const struct host *host, double *slowest, double *fastest)
{
	double speed = (double)(100 + (host - sim->hosts) % 60) * (host->nature == NATURE_WORSE ? 0.8 : 1);

	*slowest = speed * 0.99;
	*fastest = speed * 1.01;
}

static void
measure(struct sim *sim, struct host *host)
{
	double slowest;
	double fastest;

	sim_speed(sim, host, &slowest, &fastest);
	host->speed = slowest + (fastest - slowest) * (double)sim_random(sim, 1000) / 1000;
	host->measured_ms = sim->t;
	host->measure_ms = 0;
}

static void
add_speed(const struct host *host, Gdr__Report *report)
{
	Gdr__LayerReport *layer = xcalloc(1, sizeof(*layer));
	Gdr__Item *item = xcalloc(1, sizeof(*item));

	gdr__layer_report__init(layer);
	gdr__item__init(item);
	layer->name = xstrdup("readiness");
	layer->items = xcalloc(1, sizeof(*layer->items));
	layer->items[layer->n_items++] = item;
	item->key = xstrdup("speed");
	item->have = xasprintf("pass: %.3f GB/s", host->speed);
	item->has_measured_ms = true;
	item->measured_ms = host->measured_ms;
	report->layers = xcalloc(1, sizeof(*report->layers));
	report->layers[report->n_layers++] = layer;
}

static void
send_report(struct sim *sim, struct host *host)
{
	char boot[48];

	if (host->hello_ms || host->n_sent == MESSAGES_MAX || !host->generation)
		return;
	Gdr__Report *report = xcalloc(1, sizeof(*report));
	gdr__report__init(report);
	boot_of(host, boot);
	report->has_generation = report->has_outcome = report->has_mode = true;
	report->generation = host->generation;
	report->spec_hash = *host->hash ? xstrdup(host->hash) : NULL;
	report->boot_id = xstrdup(boot);
	report->outcome = host->outcome;
	report->mode = (Gdr__Mode)host->mode;
	report->has_reboot_budget = true;
	report->reboot_budget = 3;
	if (host->speed > 0)
		add_speed(host, report);
	uint64_t at = sim->t + sim_random(sim, 3000);
	if (host->n_sent && at < host->sent[host->n_sent - 1].at_ms)
		at = host->sent[host->n_sent - 1].at_ms;
	host->sent[host->n_sent].at_ms = at;
	host->sent[host->n_sent++].report = report;
}

static void
becomes(struct sim *sim, struct host *host, Gdr__Outcome outcome)
{
	char boot[48];

	boot_of(host, boot);
	if (outcome == GDR__OUTCOME__OUTCOME_SETTLED && strcmp(host->leave, boot) == 0)
		outcome = GDR__OUTCOME__OUTCOME_WANTS_REBOOT;
	host->outcome = outcome;
	if (outcome == GDR__OUTCOME__OUTCOME_SETTLED) {
		host->settled_generation = host->generation;
		host->measure_ms = sim->t + 1 + sim_random(sim, 8000);
	}
	send_report(sim, host);
}

/* Something new is wanted of it. */
static void
begin(struct sim *sim, struct host *host)
{
	const char *at = strchr(host->profile, '@');
	unsigned revision = at ? (unsigned)strtoul(at + 1, NULL, 10) : 0;
	enum nature nature = revision <= REVISIONS ? sim->natures[revision] : NATURE_LIVE;
	uint64_t luck = (sim->seed * 31 + (uint64_t)(host - sim->hosts) * 17 + revision * 7) % 100;

	/* On some hosts a bad revision is good. */
	if (nature > NATURE_REBOOT && luck >= sim->spread)
		nature = NATURE_LIVE;
	host->nature = host->bad ? NATURE_STUCK : host->hangs ? NATURE_DEADLY : nature;
	host->booted = false;
	host->sour_ms = host->measure_ms = 0;
	host->outcome = GDR__OUTCOME__OUTCOME_WORKING;
	host->ready_ms = sim->t + 500 + sim_random(sim, 6000);
	send_report(sim, host);
}

static void
proceed(struct sim *sim, struct host *host)
{
	host->ready_ms = 0;
	switch (host->nature) {
	case NATURE_SLOW: break;
	case NATURE_STUCK: becomes(sim, host, GDR__OUTCOME__OUTCOME_STUCK); break;
	case NATURE_REBOOT:
	case NATURE_DEADLY:
		becomes(sim, host, host->booted ? GDR__OUTCOME__OUTCOME_SETTLED : GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
		break;
	case NATURE_SOUR:
		host->sour_ms = sim->t + 2000 + sim_random(sim, 20000);
		becomes(sim, host, GDR__OUTCOME__OUTCOME_SETTLED);
		break;
	default: becomes(sim, host, GDR__OUTCOME__OUTCOME_SETTLED);
	}
}

static void
reboot(struct sim *sim, struct host *host)
{
	host->grant[0] = '\0';
	drop_sent(host);
	if (host->nature == NATURE_DEADLY) {
		sim_die(sim, host, UINT64_MAX);
		return;
	}
	host->rebooting_until_ms = sim->t + 5000 + sim_random(sim, sim_chance(sim, 1, 20) ? 60000 : 10000);
	host->cut_ms = sim->t + 1000;
}

/* Back from a reboot, or from death. */
static void
come_back(struct sim *sim, struct host *host)
{
	host->boot++;
	host->booted = true;
	host->dead = false;
	host->rebooting_until_ms = 0;
	host->cut_ms = 0;
	host->hello_ms = sim->t + 1 + sim_random(sim, 2000);
	host->sour_ms = host->measure_ms = 0;
	host->outcome = GDR__OUTCOME__OUTCOME_WORKING;
	host->ready_ms = sim->t + 500 + sim_random(sim, 4000);
}

static void
say_hello(struct sim *sim, struct host *host, struct node *node)
{
	Gdr__Hello hello = GDR__HELLO__INIT;
	char boot[48];

	boot_of(host, boot);
	hello.boot_id = boot;
	hello.has_generation = true;
	hello.generation = host->generation;
	hello.may_reboot_from = *host->grant ? host->grant : NULL;
	host->hello_ms = 0;
	host->next_lease_ms = sim->t + LEASE_MS;
	fleet_hello(sim->fleet, node, &hello, sim->now);
	send_report(sim, host);
}

static void
send_lease(struct sim *sim, struct host *host, struct node *node)
{
	Gdr__Lease lease = GDR__LEASE__INIT;
	char boot[48];

	host->next_lease_ms = sim->t + LEASE_MS;
	if (sim_chance(sim, sim->loss, 100))
		return;
	boot_of(host, boot);
	lease.boot_id = boot;
	lease.has_generation = true;
	lease.generation = host->generation;
	lease.may_reboot_from = *host->grant ? host->grant : NULL;
	fleet_lease(sim->fleet, node, &lease, sim->now);
	/* What gdrd has of it is not what it sent last: it sends it again. */
	const Gdr__Report *have = node->report;
	if (!have || have->outcome != host->outcome || have->generation != host->generation || sim_chance(sim, 1, 10))
		send_report(sim, host);
}

static void
deliver(struct sim *sim, struct host *host, struct node *node)
{
	size_t n = 0;

	while (n < host->n_sent && host->sent[n].at_ms <= sim->t) {
		Gdr__Report *report = host->sent[n++].report;

		if (!sim_chance(sim, sim->loss, 100)) {
			Gdr__Report *again = sim_chance(sim, 1, 10) ? (Gdr__Report *)pb_copy(&report->base) : NULL;

			fleet_report(sim->fleet, node, &report, sim->now);
			if (again)
				fleet_report(sim->fleet, node, &again, sim->now);
			pb_free((ProtobufCMessage *)again);
		}
		pb_free((ProtobufCMessage *)report);
	}
	memmove(host->sent, host->sent + n, (host->n_sent - n) * sizeof(host->sent[0]));
	host->n_sent -= n;
}

static void
host_turn(struct sim *sim, struct host *host)
{
	struct node *node = fleet_node(sim->fleet, host->name);

	if (host->removed || !node || !node->key)
		return;
	if (host->cut_ms && sim->t >= host->cut_ms) {
		host->cut_ms = 0;
		node->connected = false;
	}
	if ((host->dead && sim->t >= host->dead_until_ms) ||
	    (host->rebooting_until_ms && sim->t >= host->rebooting_until_ms)) {
		node->connected = false;
		come_back(sim, host);
	}
	if (host->dead || host->rebooting_until_ms)
		return;
	if (host->hello_ms && sim->t >= host->hello_ms)
		say_hello(sim, host, node);
	if (host->ready_ms && sim->t >= host->ready_ms && host->mode == GDR__MODE__MODE_ENFORCE)
		proceed(sim, host);
	if (host->sour_ms && sim->t >= host->sour_ms) {
		host->sour_ms = 0;
		becomes(sim, host, GDR__OUTCOME__OUTCOME_STUCK);
	}
	if (host->measure_ms && sim->t >= host->measure_ms) {
		measure(sim, host);
		send_report(sim, host);
	}
	if (host->hello_ms)
		return;
	deliver(sim, host, node);
	if (sim->t >= host->next_lease_ms)
		send_lease(sim, host, node);
	if (sim->deaths && sim_chance(sim, sim->deaths, 100000))
		sim_die(sim, host, sim_chance(sim, 1, 2) ? UINT64_MAX : 5000 + sim_random(sim, 60000));
}

static void
push(struct sim *sim, const struct node *node)
{
	struct host *host = sim_host(sim, node->name);
	char boot[48];

	if (!host || host->dead || host->rebooting_until_ms || host->hello_ms || sim_chance(sim, sim->loss, 100))
		return;
	Gdr__Desired *desired = fleet_desired(sim->fleet, node);
	boot_of(host, boot);
	if (desired->generation < host->generation)
		sim_broken(sim, "%s: generation %llu after %llu", host->name, (unsigned long long)desired->generation,
			   (unsigned long long)host->generation);
	bool fresh = desired->generation > host->generation;
	host->generation = desired->generation;
	host->mode = (int)desired->mode;
	(void)snprintf(host->hash, sizeof(host->hash), "%s", desired->spec_hash ? desired->spec_hash : "");
	(void)snprintf(host->profile, sizeof(host->profile), "%s", desired->profile ? desired->profile : "");
	(void)snprintf(host->grant, sizeof(host->grant), "%s",
		       desired->may_reboot_from ? desired->may_reboot_from : "");
	(void)snprintf(host->leave, sizeof(host->leave), "%s", desired->leave_boot ? desired->leave_boot : "");
	pb_free(&desired->base);
	if (fresh)
		begin(sim, host);
	else if (host->outcome == GDR__OUTCOME__OUTCOME_SETTLED && strcmp(host->leave, boot) == 0)
		becomes(sim, host, GDR__OUTCOME__OUTCOME_WANTS_REBOOT);
	if (strcmp(host->grant, boot) == 0 && host->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT)
		reboot(sim, host);
}

static enum moment
choose_moment(struct sim *sim)
{
	sim->turns++;
	if (sim->crash_turn)
		return sim->turns == sim->crash_turn ? sim->crash_moment : MOMENT_NEVER;
	return sim_chance(sim, sim->crashes, 1000) ? (enum moment)(1 + sim_random(sim, MOMENTS - 1)) : MOMENT_NEVER;
}

static bool
commit(struct sim *sim, bool dies)
{
	struct err err = { 0 };

	disk_full(sim->t < sim->full_until_ms);
	if (dies || sim_chance(sim, sim->failures, 1000))
		disk_fail_at(1 + (int)sim_random(sim, 12));
	bool done = fleet_commit(sim->fleet, &err) == 0;
	disk_fail_at(0);
	disk_full(false);
	return done;
}

static void
send(struct sim *sim, bool committed)
{
	size_t n;
	struct node **touched = fleet_touched(sim->fleet, &n);

	for (size_t i = 0; i < n; i++) {
		bool wanted = touched[i]->push;

		touched[i]->push = touched[i]->acknowledge = false;
		if (committed && wanted)
			push(sim, touched[i]);
	}
	fleet_turn_over(sim->fleet);
}

bool
sim_turn(struct sim *sim, uint64_t ms)
{
	enum moment dies = choose_moment(sim);

	sim->t += ms;
	sim->now += ms;
	for (size_t i = 0; i < sim->n; i++)
		host_turn(sim, &sim->hosts[i]);
	programs_end(sim);
	fleet_tick(sim->fleet, sim->now);
	bool done = commit(sim, dies == MOMENT_COMMIT);
	if (dies != MOMENT_COMMIT && dies != MOMENT_COMMITTED) {
		send(sim, done);
		programs_begin(sim);
	}
	if (dies != MOMENT_NEVER)
		crash(sim);
	return done;
}

/* --- requests --------------------------------------------------------------------------------------------------------- */

static int
dispatch(struct sim *sim, const struct ask *ask, const Gdr__Request *r)
{
	struct err *err = &sim->err;

	switch ((int)r->body_case) {
	case GDR__REQUEST__BODY_APPLY: return fleet_apply(sim->fleet, ask, r->apply, err);
	case GDR__REQUEST__BODY_NODE_REMOVE: return fleet_remove(sim->fleet, ask, r->node_remove->of, err);
	case GDR__REQUEST__BODY_NODE_MODE: return fleet_mode(sim->fleet, ask, r->node_mode, err);
	case GDR__REQUEST__BODY_NODE_ASSIGN: return fleet_assign(sim->fleet, ask, r->node_assign, err);
	case GDR__REQUEST__BODY_NODE_REBOOT: return fleet_reboot(sim->fleet, ask, r->node_reboot, err);
	case GDR__REQUEST__BODY_ROLLOUT_PLAN: return fleet_rollout_plan(sim->fleet, ask, r->rollout_plan->plan, err);
	case GDR__REQUEST__BODY_ROLLOUT_START: return fleet_rollout_start(sim->fleet, ask, r->rollout_start->plan, err);
	case GDR__REQUEST__BODY_ROLLOUTS: return fleet_query_rollouts(sim->fleet, ask, r->rollouts, err);
	case GDR__REQUEST__BODY_ROLLOUT_CHANGE: return fleet_rollout_change(sim->fleet, ask, r->rollout_change, err);
	default: sim_broken(sim, "request %d", (int)r->body_case);
	}
}

int
sim_ask(struct sim *sim, const char *yaml, Gdr__Response **out)
{
	ProtobufCMessage *request = NULL;

	sim->err = (struct err){ 0 };
	if (pbtext_parse(&gdr__request__descriptor, "scenario", yaml, strlen(yaml), &request, &sim->err) < 0)
		sim_broken(sim, "%s\n%.200s", sim->err.msg, yaml);
	*out = xcalloc(1, sizeof(**out));
	gdr__response__init(*out);
	const struct ask ask = { .actor = "user/scenario", .now_ms = sim->now, .answer = *out };
	int rc = dispatch(sim, &ask, (Gdr__Request *)request);
	pb_free(request);
	if (sim->verbose)
		(void)printf("%8.1f s  %s%s%s\n", (double)sim->t / 1000, yaml, rc ? " -> " : "",
			     rc ? sim->err.msg : "");
	return rc;
}

void
sim_do(struct sim *sim, const char *yaml)
{
	auto_pb Gdr__Response *answer = NULL;

	if (sim_ask(sim, yaml, &answer) < 0)
		sim_broken(sim, "%.200s: %s", yaml, sim->err.msg);
}
