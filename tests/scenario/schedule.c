#include "tests/scenario/schedule.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/keys.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/rollout/rollout.h"
#include "tests/scenario/disk.h"
#include "tests/scenario/programs.h"

#define FAULTS_END_MS 400000
#define GIVE_UP_MS    6000000 /* A deadline, another for the way back, and a window that is shut in both. */

/* --- the fleet at the start ------------------------------------------------------------------------------------- */

/* Making one takes longer than a turn; they may be those of the schedule before. */
static const char *
key_of(size_t host)
{
	static struct keypair keys[HOSTS_MAX];

	if (!*keys[host].public_key)
		keys_generate(&keys[host]);
	return keys[host].public_key;
}

static void
declare(struct sim *sim)
{
	struct buf nodes = { 0 };
	unsigned racks = 1 + (unsigned)sim_random(sim, 6);

	for (unsigned i = 1; i <= REVISIONS; i++) {
		auto_free char *yaml = xasprintf("{apply: {profiles: [{name: p, spec: {bios: {version: \"%u\"}}}]}}",
						 i);

		sim_do(sim, yaml);
	}
	for (size_t i = 0; i < sim->n; i++)
		buf_printf(&nodes, "%s{name: n%zu, labels: {rack: r%zu, all: \"yes\"}, profile: p@1}",
			   i ? ", " : "{apply: {nodes: [", i, i % racks);
	buf_puts(&nodes, "]}}");
	sim_do(sim, nodes.text);
	buf_free(&nodes);
}

/* Shut for some minutes of every hour, for rollouts and for whoever wants to reboot in the first rack. */
static void
declare_window(struct sim *sim)
{
	struct buf yaml = { 0 };

	buf_puts(&yaml, "{apply: {windows: [{name: w, selector: rack=r0, hours: [");
	for (int hour = 0; hour < 24; hour++)
		buf_printf(&yaml, "%s{start: \"%02d:00\", duration: 50m}", hour ? ", " : "", hour);
	buf_puts(&yaml, "]}]}}");
	sim_do(sim, yaml.text);
	buf_free(&yaml);
}

static void
join(struct sim *sim, size_t i)
{
	struct host *host = &sim->hosts[i];
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	const struct ask ask = { .actor = "user/scenario", .now_ms = sim->now, .answer = answer };

	gdr__response__init(answer);
	(void)snprintf(host->name, sizeof(host->name), "n%zu", i);
	if (fleet_accept(sim->fleet, &ask, key_of(i), host->name, &sim->err) < 0)
		sim_broken(sim, "%s", sim->err.msg);
	host->boot = 1;
	host->mode = GDR__MODE__MODE_ENFORCE;
	host->hello_ms = 1;
}

static void
choose_natures(struct sim *sim, bool steady)
{
	static const enum nature bad[] = { NATURE_STUCK, NATURE_WORSE, NATURE_SOUR, NATURE_SLOW, NATURE_DEADLY };

	sim->natures[1] = sim_chance(sim, 1, 2) ? NATURE_LIVE : NATURE_REBOOT;
	for (unsigned i = 2; i <= REVISIONS; i++) {
		sim->natures[i] = sim_chance(sim, 1, 2) ? NATURE_REBOOT : NATURE_LIVE;
		if (sim_chance(sim, 1, 2))
			sim->natures[i] = bad[sim_random(sim, steady ? 2 : 5)];
	}
	sim->spread = steady || sim_chance(sim, 1, 3) ? 100 : (unsigned)sim_random(sim, 60);
}

static bool
all_connected(const struct sim *sim)
{
	for (size_t i = 0; i < sim->n; i++)
		if (sim->hosts[i].hello_ms || sim->hosts[i].outcome != GDR__OUTCOME__OUTCOME_SETTLED)
			return false;
	return true;
}

void
schedule_make_fleet(struct schedule *schedule, size_t hosts)
{
	struct sim *sim = &schedule->sim;

	sim->n = hosts;
	sim->hosts = xcalloc(hosts + 1, sizeof(*sim->hosts));
	declare(sim);
	for (size_t i = 0; i < hosts; i++)
		join(sim, i);
	for (int i = 0; i < 600 && (i < 5 || !all_connected(sim)); i++)
		(void)sim_turn(sim, 1000);
	if (!all_connected(sim))
		sim_broken(sim, "the fleet does not become ready");
	schedule->window = sim_chance(sim, 1, 8);
	if (schedule->window)
		declare_window(sim);
	if (schedule->steady)
		return;
	for (size_t i = 0; i < hosts; i++) {
		if (sim_chance(sim, 1, 15))
			sim->hosts[i].cordon = CORDON_OTHERS;
		if (sim_chance(sim, 1, 25)) {
			sim->hosts[i].bad = true; /* From before. */
			sim->hosts[i].sour_ms = sim->t + 1;
		} else if (sim_chance(sim, 1, 25)) {
			sim_die(sim, &sim->hosts[i], UINT64_MAX);
		}
	}
	for (int i = 0; i < 20; i++)
		(void)sim_turn(sim, 1000);
}

/* --- what operators do ---------------------------------------------------------------------------------------------- */

static const char *
pick(struct sim *sim, const char *const *words, size_t n)
{
	return words[sim_random(sim, n)];
}

static void
start(struct schedule *schedule)
{
	static const char *const selectors[] = { "all",      "all",    "rack in (r0,r1)", "rack in (r2,r3)",
						 "rack!=r0", "rack=r0" };
	static const char *const waves[] = { "", "waves: ['10%', '50%'],", "waves: ['30%'],",
					     "waves: ['3', '6', '100%']," };
	static const char *const unreachable[] = { "skip", "wait", "skip" };
	static const char *const failure[] = { "pause", "abort", "rollback", "rollback" };
	static const char *const promotion[] = { "automatic", "automatic", "manual" };
	static const char *const checks[] = { "good", "good", "bad", "unsure", "mute" };
	struct sim *sim = &schedule->sim;
	auto_pb Gdr__Response *answer = NULL;
	bool drains = sim_chance(sim, 1, 2);
	bool checks_it = sim_chance(sim, 1, 3);
	bool compares = sim_chance(sim, 1, 3);
	auto_free char *yaml = xasprintf(
		"{rollout_start: {plan: {name: x%zu, profile: p@%llu, selector: '%s', canary: %llu, %s soak: %llus, "
		"max_unavailable: '%llu%s', %s failure_budget: %llu, node_deadline: %llus, wave_deadline: %llum, "
		"deadline: 30m, unreachable: %s, on_failure: %s, promotion: %s%s%s%s%s%s%s%s}}}",
		schedule->n, 2 + (unsigned long long)sim_random(sim, REVISIONS - 1),
		schedule->steady ? "all" : pick(sim, selectors, 6),
		(unsigned long long)(schedule->steady ? 1 : sim_random(sim, 4)), pick(sim, waves, 4),
		(unsigned long long)sim_random(sim, 30), 1 + (unsigned long long)sim_random(sim, 30),
		sim_chance(sim, 1, 2) ? "%" : "", sim_chance(sim, 1, 2) ? "per_label: {rack: '1'}," : "",
		(unsigned long long)(schedule->steady ? 0 : sim_random(sim, 4)),
		60 + (unsigned long long)(schedule->steady ? 600 : sim_random(sim, 200)),
		schedule->steady ? 60 : 2 + (unsigned long long)sim_random(sim, 20), pick(sim, unreachable, 3),
		schedule->steady ? "rollback" : pick(sim, failure, 4), pick(sim, promotion, 3),
		drains ? ", drain: d, notify: [n]" : "", checks_it ? ", checks: [{program: c, args: [" : "",
		checks_it ? pick(sim, checks, schedule->steady ? 3 : 5) : "", checks_it ? "]}]" : "",
		compares ? ", compare: {'readiness/*': '-5%'}" : "", schedule->window ? ", window: w" : "",
		!schedule->steady && sim_chance(sim, 1, 3) ? ", supersede: true" : "");

	if (sim_ask(sim, yaml, &answer) < 0 || answer->n_changes == 0)
		return;
	/* It is not there until it is committed. */
	if (!sim_turn(sim, 1))
		return;
	auto_pb Gdr__Response *there = NULL;
	auto_free char *name = xasprintf("x%zu", schedule->n);
	auto_free char *ask = xasprintf("{rollouts: {name: %s}}", name);
	if (sim_ask(sim, ask, &there) < 0)
		sim_broken(sim, "rollout %s was committed and is not there", name);
	schedule->rollouts[schedule->n++] = steal(&name);
}

static void
ask_quietly(struct schedule *schedule, char *yaml)
{
	auto_pb Gdr__Response *answer = NULL;

	(void)sim_ask(&schedule->sim, yaml, &answer);
	free(yaml);
}

static void
decide(struct schedule *schedule)
{
	static const char *const actions[] = { "pause",    "resume", "promote", "abort",
					       "rollback", "resume", "promote", "pause" };
	struct sim *sim = &schedule->sim;
	const char *name = schedule->rollouts[sim_random(sim, schedule->n)];

	ask_quietly(schedule, xasprintf("{rollout_change: {name: %s, action: %s}}", name, pick(sim, actions, 8)));
}

/* An owned node is not given away. */
static void
assign_by_hand(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;
	const struct host *host = &sim->hosts[sim_random(sim, sim->n)];
	const struct node *node = fleet_node(sim->fleet, host->name);
	auto_pb Gdr__Response *answer = NULL;
	auto_free char *yaml = xasprintf("{node_assign: {of: {names: [%s]}, profile: p@%llu}}", host->name,
					 1 + (unsigned long long)sim_random(sim, REVISIONS));

	if (!node)
		return;
	bool owned = node->rollout != NULL;
	int rc = sim_ask(sim, yaml, &answer);
	bool same = rc == 0 && answer->n_changes && strcmp(answer->changes[0]->done, "unchanged") == 0;
	if (owned && rc == 0 && !same)
		sim_broken(sim, "8: %s is in a rollout and was assigned by hand", host->name);
	schedule->check.moved_by_hand = rc == 0;
}

static void
meddle(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;
	struct host *host = &sim->hosts[sim_random(sim, sim->n)];

	switch (sim_random(sim, 10)) {
	case 0:
	case 1: decide(schedule); break;
	case 2: assign_by_hand(schedule); break;
	case 3:
		ask_quietly(schedule, xasprintf("{node_mode: {of: {names: [%s]}, mode: %s}}", host->name,
						sim_chance(sim, 1, 2) ? "hold" : "enforce"));
		break;
	case 4:
		if (sim_chance(sim, 1, 4) && !host->removed) {
			ask_quietly(schedule, xasprintf("{node_remove: {of: {names: [%s]}}}", host->name));
			/* If the commit fails it is there again, and says nothing more: as a dead one. */
			host->removed = true;
		}
		break;
	case 5:
		if (schedule->n < ROLLOUTS_MAX)
			start(schedule);
		break;
	case 6:
		if (sim_chance(sim, 1, 4))
			sim->now += sim_chance(sim, 1, 2) ? 3600000 : (uint64_t)-3600000;
		break;
	case 7:
		if (sim_chance(sim, 1, 4))
			sim->full_until_ms = sim->t + 5000 + sim_random(sim, 60000);
		break;
	case 8: ask_quietly(schedule, xasprintf("{node_reboot: {of: {names: [%s]}}}", host->name)); break;
	default: sim_die(sim, host, sim_chance(sim, 1, 3) ? UINT64_MAX : 20000 + sim_random(sim, 60000));
	}
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

static bool
is_at_rest(const struct schedule *schedule)
{
	for (size_t i = 0; i < schedule->n; i++)
		if (schedule->check.before[i] && rollout_is_active(schedule->check.before[i]) &&
		    schedule->check.before[i]->state != GDR__ROLLOUT_STATE__ROLLOUT_PAUSED)
			return false;
	return true;
}

/* Whoever has to promote does. */
static void
help_along(struct schedule *schedule)
{
	for (size_t i = 0; i < schedule->n; i++) {
		const Gdr__RolloutRecord *record = schedule->check.before[i];

		if (record && record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING && record->waves[record->wave]->asks)
			ask_quietly(schedule,
				    xasprintf("{rollout_change: {name: %s, action: promote}}", schedule->rollouts[i]));
	}
}

static void
say(const struct schedule *schedule, size_t i)
{
	const Gdr__RolloutRecord *record = schedule->check.before[i];

	if (schedule->sim.verbose)
		(void)printf("%8.1f s  %s %s wave %u: %s\n", (double)schedule->sim.t / 1000, schedule->rollouts[i],
			     pbtext_enum(&gdr__rollout_state__descriptor, (int)record->state), record->wave,
			     record->why ? record->why : "");
}

/* What the end is, for comparing: states of rollouts, revisions of nodes. */
static char *
end_of(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;
	struct buf out = { 0 };

	for (size_t i = 0; i < schedule->n; i++)
		buf_printf(&out, "%s %s\n", schedule->rollouts[i],
			   pbtext_enum(&gdr__rollout_state__descriptor, (int)schedule->check.before[i]->state));
	for (size_t i = 0; i < sim->n; i++)
		buf_printf(&out, "%s %s\n", sim->hosts[i].name, schedule->check.had[i]);
	return buf_steal(&out);
}

/* What rollouts have run comes to its end, too. */
static void
end_programs(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;

	sim->crashes = sim->failures = 0;
	sim->crash_turn = sim->full_until_ms = 0;
	sim->unsure = false;
	for (int i = 0; i < 100 && !programs_are_done(sim); i++) {
		(void)sim_turn(sim, 1000);
		check_turn(&schedule->check, sim, schedule->rollouts, schedule->n);
	}
	check_rest(&schedule->check, sim);
}

void
schedule_play(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;
	uint64_t begun = sim->t;

	sim->turns = 0;

	do {
		uint64_t versions[ROLLOUTS_MAX] = { 0 };

		for (size_t i = 0; i < schedule->n; i++)
			versions[i] = schedule->check.before[i] ? schedule->check.before[i]->version : 0;
		if (sim->t - begun > FAULTS_END_MS) {
			sim->loss = sim->crashes = sim->failures = sim->deaths = 0;
			sim->full_until_ms = 0;
			sim->unsure = false;
		} else if (!schedule->steady && sim_chance(sim, 1, 40)) {
			meddle(schedule);
		}
		(void)sim_turn(sim, 500 + sim_random(sim, 3000));
		check_turn(&schedule->check, sim, schedule->rollouts, schedule->n);
		for (size_t i = 0; i < schedule->n; i++)
			if (versions[i] != schedule->check.before[i]->version)
				say(schedule, i);
		if (schedule->steady || sim_chance(sim, 1, 20))
			help_along(schedule);
		if (sim->t - begun > GIVE_UP_MS)
			sim_broken(sim, "it does not end");
	} while (!is_at_rest(schedule));
	end_programs(schedule);
}

void
schedule_set_up(struct schedule *schedule, const struct stage *stage, uint64_t seed)
{
	struct sim *sim = &schedule->sim;

	sim->seed = seed;
	sim->state = seed * 0x2545f4914f6cdd1d + 1;
	sim->now = 1700000000000 + sim_random(sim, 3600000);
	sim->verbose = stage->verbose;
	sim->zap = stage->zap;
	sim->path = stage->database;
	sim->n_given = stage->hosts;
	gdr__gdrd_config__init(&sim->config);
	gdr__reboot_limits__init(&sim->reboot);
	sim->config.lease = LEASE_MS;
	sim->config.lost_after = LOST_MS;
	sim->config.reboot = &sim->reboot;
	sim->reboot.max = 1 + (unsigned)sim_random(sim, 10);
	sim->reboot.deadline = schedule->steady ? 200000 : 60000; /* Some reboots are slow. */
	choose_natures(sim, schedule->steady);
	sim_open(sim);
}

void
schedule_tear_down(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;

	check_end(&schedule->check);
	sim_close(sim);
	disk_wipe();
	for (size_t i = 0; i < sim->n; i++)
		for (size_t j = 0; j < sim->hosts[i].n_sent; j++)
			pb_free(&sim->hosts[i].sent[j].report->base);
	for (size_t i = 0; i < schedule->n; i++)
		free(schedule->rollouts[i]);
	free(sim->programs);
	free(sim->hosts);
}

char *
schedule_run(const struct stage *stage, uint64_t seed, struct fate fate, uint64_t *turns)
{
	struct schedule schedule = { .steady = seed % 3 == 0 };
	struct sim *sim = &schedule.sim;
	auto_pb Gdr__Response *empty = NULL;

	schedule_set_up(&schedule, stage, seed);
	schedule_make_fleet(&schedule, stage->hosts ? stage->hosts : 3 + sim_random(sim, 30));
	check_begin(&schedule.check, sim);
	if (sim_ask(sim, "{rollout_start: {plan: {profile: p@2, selector: 'rack=nowhere'}}}", &empty) == 0)
		sim_broken(sim, "10: a rollout to no node was started");
	start(&schedule);
	if (!schedule.steady) {
		sim->loss = (unsigned)sim_random(sim, 20);
		sim->deaths = (unsigned)sim_random(sim, 30);
		sim->unsure = true;
	}
	sim->crashes = fate.calm ? 0 : (unsigned)sim_random(sim, 60);
	sim->failures = fate.calm ? 0 : (unsigned)sim_random(sim, 100);
	sim->crash_turn = fate.crash_turn;
	sim->crash_moment = fate.moment;
	if (schedule.n > 0)
		schedule_play(&schedule);
	char *end = schedule.n > 0 ? end_of(&schedule) : xstrdup("");
	*turns = sim->turns;
	schedule_tear_down(&schedule);
	return end;
}
