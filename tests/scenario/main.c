/* scenario - random rollouts over a fleet that is played, with everything going wrong that can.
 *
 * Each seed is one schedule, and always the same one.  A schedule ends when all its rollouts have ended, or wait for a
 * person.  Every third seed is played twice, once without crashes and failing commits: the end must be the same. */

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/rollout.h"
#include "controller/zap.h"
#include "tests/scenario/check.h"

#define FAULTS_END_MS 400000
#define GIVE_UP_MS    4000000

struct schedule {
	struct sim sim;
	struct check check;
	const char *rollouts[ROLLOUTS_MAX];
	char *names[ROLLOUTS_MAX];
	size_t n;
	bool steady; /* No faults but those of gdrd itself: the end is known. */
};

/* --- the fleet at the start ------------------------------------------------------------------------------------- */

static void
apply_revision(struct sim *sim, unsigned revision)
{
	auto_free char *yaml = xasprintf("{apply: {profiles: [{name: p, spec: {bios: {version: \"%u\"}}}]}}", revision);

	sim_do(sim, yaml);
}

static void
add_host(struct sim *sim, size_t i, unsigned racks)
{
	struct host *host = &sim->hosts[i];
	struct keypair pair;
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	const struct ask ask = { .actor = "user/scenario", .now_ms = sim->now, .answer = answer };

	gdr__response__init(answer);
	(void)snprintf(host->name, sizeof(host->name), "n%zu", i);
	auto_free char *yaml =
		xasprintf("{apply: {nodes: [{name: %s, labels: {rack: r%llu, all: \"yes\"}, profile: p@1}]}}",
			  host->name, (unsigned long long)(i % racks));
	sim_do(sim, yaml);
	keys_generate(&pair);
	if (fleet_accept(sim->fleet, &ask, pair.public_key, host->name, &sim->err) < 0)
		sim_broken(sim, "%s", sim->err.msg);
	host->boot = 1;
	host->mode = GDR__MODE__MODE_ENFORCE;
	host->hello_ms = 1;
}

static void
choose_natures(struct sim *sim, bool steady)
{
	static const enum nature bad[] = { NATURE_STUCK, NATURE_SOUR, NATURE_SLOW, NATURE_DEADLY };

	sim->natures[1] = sim_chance(sim, 1, 2) ? NATURE_LIVE : NATURE_REBOOT;
	for (unsigned i = 2; i <= REVISIONS; i++) {
		sim->natures[i] = sim_chance(sim, 1, 2) ? NATURE_REBOOT : NATURE_LIVE;
		if (sim_chance(sim, 1, 2))
			sim->natures[i] = steady ? NATURE_STUCK : bad[sim_random(sim, 4)];
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

static void
make_fleet(struct schedule *schedule, size_t hosts)
{
	struct sim *sim = &schedule->sim;
	unsigned racks = 1 + (unsigned)sim_random(sim, 6);

	sim->n = hosts;
	sim->hosts = xcalloc(hosts + 1, sizeof(*sim->hosts));
	for (unsigned i = 1; i <= REVISIONS; i++)
		apply_revision(sim, i);
	for (size_t i = 0; i < hosts; i++)
		add_host(sim, i, racks);
	for (int i = 0; i < 600 && (i < 20 || !all_connected(sim)); i++)
		(void)sim_turn(sim, 1000);
	if (!all_connected(sim))
		sim_broken(sim, "the fleet does not become ready");
	if (schedule->steady)
		return;
	for (size_t i = 0; i < hosts; i++) {
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
start(struct schedule *schedule, const char *selector)
{
	static const char *const waves[] = { "", "waves: ['10%', '50%'],", "waves: ['30%'],",
					     "waves: ['3', '6', '100%']," };
	static const char *const unreachable[] = { "skip", "wait", "skip" };
	static const char *const failure[] = { "pause", "abort", "rollback", "rollback" };
	static const char *const promotion[] = { "automatic", "automatic", "manual" };
	struct sim *sim = &schedule->sim;
	auto_pb Gdr__Response *answer = NULL;
	auto_free char *yaml = xasprintf(
		"{rollout_start: {plan: {name: x%zu, profile: p@%llu, selector: '%s', canary: %llu, %s soak: %llus, "
		"max_unavailable: '%llu%s', %s failure_budget: %llu, node_deadline: %llus, wave_deadline: %llum, "
		"deadline: 30m, unreachable: %s, on_failure: %s, promotion: %s}}}",
		schedule->n, 2 + (unsigned long long)sim_random(sim, REVISIONS - 1), selector,
		(unsigned long long)(schedule->steady ? 1 : sim_random(sim, 4)), pick(sim, waves, 4),
		(unsigned long long)sim_random(sim, 30), 1 + (unsigned long long)sim_random(sim, 30),
		sim_chance(sim, 1, 2) ? "%" : "", sim_chance(sim, 1, 2) ? "per_label: {rack: '1'}," : "",
		(unsigned long long)(schedule->steady ? 0 : sim_random(sim, 4)),
		60 + (unsigned long long)(schedule->steady ? 600 : sim_random(sim, 200)),
		schedule->steady ? 60 : 2 + (unsigned long long)sim_random(sim, 20), pick(sim, unreachable, 3),
		schedule->steady ? "rollback" : pick(sim, failure, 4), pick(sim, promotion, 3));

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
	schedule->names[schedule->n] = steal(&name);
	schedule->rollouts[schedule->n] = schedule->names[schedule->n];
	schedule->n++;
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

	switch (sim_random(sim, 8)) {
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
		if (schedule->n < ROLLOUTS_MAX && sim_chance(sim, 1, 3))
			start(schedule, sim_chance(sim, 1, 2) ? "all" : "rack in (r0,r1)");
		break;
	case 6:
		if (sim_chance(sim, 1, 4))
			sim->now += sim_chance(sim, 1, 2) ? 3600000 : (uint64_t)-3600000;
		break;
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

static void
play(struct schedule *schedule)
{
	struct sim *sim = &schedule->sim;
	uint64_t begun = sim->t;

	do {
		uint64_t versions[ROLLOUTS_MAX] = { 0 };

		for (size_t i = 0; i < schedule->n; i++)
			versions[i] = schedule->check.before[i] ? schedule->check.before[i]->version : 0;
		if (sim->t - begun > FAULTS_END_MS) {
			sim->loss = sim->crashes = sim->failures = sim->deaths = 0;
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
}

static void
set_up(struct schedule *schedule, uint64_t seed, struct zap *zap, const char *folder)
{
	struct sim *sim = &schedule->sim;

	sim->seed = seed;
	sim->state = seed * 0x2545f4914f6cdd1d + 1;
	sim->now = 1700000000000;
	sim->zap = zap;
	sim->path = xasprintf("%s/gdrd.db", folder);
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

static void
tear_down(struct schedule *schedule)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
	struct sim *sim = &schedule->sim;

	check_end(&schedule->check);
	sim_close(sim);
	for (size_t i = 0; i < sim->n; i++)
		for (size_t j = 0; j < sim->hosts[i].n_sent; j++)
			pb_free(&sim->hosts[i].sent[j].report->base);
	for (size_t i = 0; i < schedule->n; i++)
		free(schedule->names[i]);
	for (size_t i = 0; i < 4; i++) {
		auto_free char *file = xasprintf("%s%s", sim->path, suffixes[i]);

		(void)unlink(file);
	}
	free(sim->hosts);
	free(sim->path);
}

/* 'calm': gdrd neither crashes nor fails to commit. */
static char *
run(uint64_t seed, bool verbose, bool calm, size_t hosts, struct zap *zap, const char *folder)
{
	struct schedule schedule = { .steady = seed % 3 == 0, .sim.verbose = verbose };
	struct sim *sim = &schedule.sim;

	set_up(&schedule, seed, zap, folder);
	make_fleet(&schedule, hosts ? hosts : 3 + sim_random(sim, 30));
	check_begin(&schedule.check, sim);
	auto_pb Gdr__Response *empty = NULL;
	if (sim_ask(sim, "{rollout_start: {plan: {profile: p@2, selector: 'rack=nowhere'}}}", &empty) == 0)
		sim_broken(sim, "10: a rollout to no node was started");
	start(&schedule, schedule.steady || sim_chance(sim, 2, 3) ? "all" : "rack in (r0,r1,r2)");
	if (!schedule.steady) {
		sim->loss = (unsigned)sim_random(sim, 20);
		sim->deaths = (unsigned)sim_random(sim, 30);
	}
	sim->crashes = calm ? 0 : (unsigned)sim_random(sim, 60);
	sim->failures = calm ? 0 : (unsigned)sim_random(sim, 100);
	if (schedule.n > 0)
		play(&schedule);
	char *end = schedule.n > 0 ? end_of(&schedule) : xstrdup("");
	tear_down(&schedule);
	return end;
}

/* --- by hand ----------------------------------------------------------------------------------------------------- */

static void
start_plan(struct schedule *schedule, const char *plan)
{
	auto_free char *yaml = xasprintf("{rollout_start: {plan: {name: x, profile: p@2, selector: all, %s}}}", plan);

	check_begin(&schedule->check, &schedule->sim);
	sim_do(&schedule->sim, yaml);
	(void)sim_turn(&schedule->sim, 1);
	schedule->names[0] = xstrdup("x");
	schedule->rollouts[0] = schedule->names[0];
	schedule->n = 1;
	schedule->sim.crashes = 20;
	play(schedule);
}

static void
expect_node(const struct schedule *schedule, const char *name, Gdr__RolloutNodeState state)
{
	const Gdr__RolloutRecord *record = schedule->check.before[0];

	for (size_t i = 0; i < record->n_nodes; i++) {
		const Gdr__RolloutNode *node = record->nodes[i];

		if (strcmp(node->name, name) == 0 && (node->state != state || !node->why))
			sim_broken(&schedule->sim, "%s is %s: %s", name,
				   pbtext_enum(&gdr__rollout_node_state__descriptor, (int)node->state),
				   node->why ? node->why : "no reason");
	}
}

static size_t
count_nodes(const struct schedule *schedule, Gdr__RolloutNodeState state)
{
	const Gdr__RolloutRecord *record = schedule->check.before[0];
	size_t n = 0;

	for (size_t i = 0; i < record->n_nodes; i++)
		n += record->nodes[i]->state == state;
	return n;
}

/* One dead host, one that hangs in its reboot and one that was broken before do not stop a rollout of a hundred. */
static void
hundred(struct zap *zap, const char *folder)
{
	struct schedule schedule = { .steady = true };
	struct sim *sim = &schedule.sim;

	set_up(&schedule, 1, zap, folder);
	sim->natures[1] = NATURE_LIVE;
	sim->natures[2] = NATURE_REBOOT;
	make_fleet(&schedule, 100);
	sim_die(sim, &sim->hosts[5], UINT64_MAX);
	sim->hosts[60].hangs = true;
	sim->hosts[7].bad = true;
	sim->hosts[7].sour_ms = sim->t + 1;
	for (int i = 0; i < 30; i++)
		(void)sim_turn(sim, 1000);
	start_plan(&schedule, "canary: 2, waves: ['50%'], soak: 5s, max_unavailable: '10', failure_budget: 1");
	if (schedule.check.before[0]->state != GDR__ROLLOUT_STATE__ROLLOUT_SUCCEEDED_WITH_EXEMPT ||
	    count_nodes(&schedule, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE) != 97)
		sim_broken(sim, "a hundred: %s", schedule.check.before[0]->why);
	expect_node(&schedule, "n5", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_SKIPPED);
	expect_node(&schedule, "n60", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_LOST);
	expect_node(&schedule, "n7", GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_FAILED);
	tear_down(&schedule);
}

/* A bad revision to a thousand stops at the canary, and the fleet ends as it began. */
static void
thousand(struct zap *zap, const char *folder)
{
	struct schedule schedule = { .steady = true };
	struct sim *sim = &schedule.sim;
	size_t moved = 0;

	set_up(&schedule, 2, zap, folder);
	sim->natures[1] = NATURE_LIVE;
	sim->natures[2] = NATURE_STUCK;
	make_fleet(&schedule, 1000);
	start_plan(&schedule, "canary: 3, waves: ['10%', '50%'], soak: 5s, on_failure: rollback");
	const Gdr__RolloutRecord *record = schedule.check.before[0];
	for (size_t i = 0; i < record->n_nodes; i++)
		moved += record->nodes[i]->has_assigned_ms;
	if (record->state != GDR__ROLLOUT_STATE__ROLLOUT_ROLLED_BACK || moved > 3)
		sim_broken(sim, "a thousand: %zu were moved: %s", moved, record->why);
	for (size_t i = 0; i < sim->n; i++)
		if (strcmp(schedule.check.had[i], "p@1") != 0)
			sim_broken(sim, "a thousand: %s is on %s", sim->hosts[i].name, schedule.check.had[i]);
	tear_down(&schedule);
}

static void
play_seed(uint64_t seed, bool verbose, size_t hosts, struct zap *zap, const char *folder)
{
	auto_free char *end = run(seed, verbose, false, hosts, zap, folder);

	if (seed % 3 != 0)
		return;
	auto_free char *calm = run(seed, verbose, true, hosts, zap, folder);
	const struct sim sim = { .seed = seed };
	if (strcmp(end, calm) != 0)
		sim_broken(&sim, "6: with crashes it ended as\n%s, without as\n%s", end, calm);
}

static void
usage(void)
{
	(void)printf("usage: scenario [--count N] [--seconds N] [--first SEED] [--hosts N] [--seed SEED] [--verbose]\n"
		     "plays N schedules, or so many as there is time for; --seed plays one alone\n");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "count", required_argument, NULL, 'c' },
						 { "seconds", required_argument, NULL, 't' },
						 { "first", required_argument, NULL, 'f' },
						 { "hosts", required_argument, NULL, 'n' },
						 { "seed", required_argument, NULL, 's' },
						 { "verbose", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	uint64_t first = 1;
	uint64_t count = 1000;
	time_t seconds = 0;
	size_t hosts = 0;
	bool verbose = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': count = strtoull(optarg, NULL, 10); break;
		case 't': seconds = (time_t)strtoull(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 'n': hosts = strtoull(optarg, NULL, 10); break;
		case 's':
			first = strtoull(optarg, NULL, 10);
			count = 1;
			break;
		case 'v': verbose = true; break;
		default: usage(); return 2;
		}
	char folder[] = "/dev/shm/gdrfleet-scenario.XXXXXX";
	char other[] = "/tmp/gdrfleet-scenario.XXXXXX";
	const char *where = mkdtemp(folder) ? folder : mkdtemp(other);
	struct zap *zap = NULL;
	struct err err = { 0 };
	time_t begun = time(NULL);
	uint64_t played = 0;

	if (!where || !log_init("scenario", "human") || zap_open(16, &zap, &err) < 0) {
		(void)fprintf(stderr, "scenario: no folder, or %s\n", err.msg);
		return 1;
	}
	if (count > 1) {
		hundred(zap, where);
		thousand(zap, where);
	}
	for (; played < count && (!seconds || time(NULL) - begun < seconds); played++)
		play_seed(first + played, verbose, hosts, zap, where);
	zap_close(zap);
	(void)rmdir(where);
	(void)printf("%llu schedules from seed %llu on\n", (unsigned long long)played, (unsigned long long)first);
	return 0;
}
