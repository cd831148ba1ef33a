/* main.c - random schedules of crashes, lost messages, and reboots that are refused, late, or do not come, over the
 * agent's own code: no schedule takes more reboots than the budget, and in the end all is right that can be.
 *
 * What holds at every moment, and is checked:
 *   1. Boots that we end and resets that we begin for one content of the spec: never more than its budget.
 *   2. None without a grant for the boot it is in.
 *   3. No tool is run but as the layer says: set, query, reset at level 3.
 * And once the world has been calm for a while:
 *   4. Nothing is set any more and no reboot wanted: the host is settled, or stuck and says why.
 *   5. Every good card has what is wanted, or, taken back, what it had before us; unless the budget is used up. */

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/pass.h"
#include "agent/program.h"
#include "agent/reboot.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/reboots/world.h"

#define CALM  60 /* Passes that it takes to come to rest, at most, */
#define QUIET 5  /* and so many of them in which nothing happens any more. */

/* A killed process frees nothing. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

struct world world;

/* --- the world -------------------------------------------------------------------------------------------------------- */

/* splitmix64, by Sebastiano Vigna: public domain. */
uint64_t
world_random(uint64_t below)
{
	uint64_t z = world.state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

bool
world_chance(unsigned in, unsigned of)
{
	return in > 0 && world_random(of) < in;
}

void
world_say(const char *fmt, ...)
{
	va_list ap;

	if (!world.verbose)
		return;
	(void)printf("%6lld s boot %u: ", (long long)world.now_ms / 1000, world.boot);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)printf("\n");
}

void
world_broken(const char *fmt, ...)
{
	va_list ap;

	(void)printf("seed %llu: ", (unsigned long long)world.seed);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)printf("\nagain: reboots --seed %llu --verbose\n", (unsigned long long)world.seed);
	exit(1);
}

void
world_moment(const char *what)
{
	enum death death = DEATH_NONE;

	if (world.reboot_due && world.now_ms >= world.reboot_at_ms)
		death = DEATH_REBOOT;
	else if (world_chance(world.faults, 1000))
		death = world_chance(1, 4) ? DEATH_HOST : DEATH_AGENT;
	if (death == DEATH_NONE)
		return;
	world_say("%s: %s", what,
		  death == DEATH_AGENT  ? "the agent dies"
		  : death == DEATH_HOST ? "the host dies"
					: "the reboot comes");
	longjmp(world.death, (int)death);
}

void
world_boot(void)
{
	for (size_t i = 0; i < CARDS; i++) {
		enum nature nature = world.cards[i].nature;

		if (nature != CARD_NOT_LOADED && nature != CARD_POWER_CYCLE && nature != CARD_NOT_ARMED)
			card_load(&world.cards[i]);
	}
	free(steal(&world.notes));
	world.boot++;
	world.reboot_due = false;
	world.now_ms += 120000;
	(void)snprintf(world.boot_id, sizeof(world.boot_id), "%08x-0000-4000-8000-%012llx", world.boot,
		       (unsigned long long)world.seed);
}

/* --- the schedule ------------------------------------------------------------------------------------------------------- */

/* What the controller wants: the recipe, another content, or nothing of the NICs any more. */
enum content {
	CONTENT_WANTED,
	CONTENT_OTHER,
	CONTENT_NONE,
};

/* Outlives every death of the agent and of the host. */
static struct {
	enum content content;
	unsigned budget;
	bool reset;
	char grant[40]; /* The controller's: the boot that may be ended, or "". */
	char past[40];  /* One that it gave before. */

	Gdr__Desired *desired; /* On the host's disk. */
	enum content had;      /* Of it. */
	unsigned epoch;        /* Rises with each content that arrives at the host. */
	unsigned asked;        /* The epoch in which the reboot that is due was asked for. */

	unsigned pass, chaos; /* Passes made, and in how many of them the world is bad. */
	unsigned quiet;       /* Passes since anything last happened. */
	unsigned sets_before;
	Gdr__Outcome outcome;
	char why[300];
} run;

static Gdr__Desired *
make_desired(void)
{
	struct buf text = { 0 };
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };
	char hash[PB_HASH_LEN + 1];

	buf_printf(&text, "{generation: %u, node: n, spec: {reboot: {budget: %u}", run.epoch + 1, run.budget);
	if (run.content != CONTENT_NONE) {
		buf_puts(&text, ", nic: [{match: {vendor: 15b3}, on_unset: restore, unlock: {MAX_ACC_OUT_READ: "
				"ADVANCED_PCI_SETTINGS}, settings: {");
		for (size_t p = 0; p < PARAMETERS; p++)
			buf_printf(&text, "%s%s: \"%s\"", p ? ", " : "", parameters[p].name,
				   run.content == CONTENT_WANTED ? parameters[p].wanted : parameters[p].other);
		buf_printf(&text, "}%s}]", run.reset ? ", load: reset" : "");
	}
	buf_puts(&text, "}}");
	if (pbtext_parse(&gdr__desired__descriptor, "desired", text.text, text.len, &message, &err) < 0)
		world_broken("%s", err.msg);
	buf_free(&text);
	Gdr__Desired *desired = (Gdr__Desired *)message;
	pb_hash(&desired->spec->base, hash);
	desired->spec_hash = xstrdup(hash);
	return desired;
}

/* The controller's words reach the host, mostly; late ones bring a grant of a boot long gone. */
static void
deliver(void)
{
	if (world.faults && world_chance(1, 3))
		return;
	if (!run.desired || run.had != run.content) {
		pb_free(run.desired ? &run.desired->base : NULL);
		run.desired = make_desired();
		run.had = run.content;
		run.epoch++;
		world.ended = world.resets = 0;
		world_say("the host learns content %u", run.content);
	}
	const char *grant = world.faults && world_chance(1, 10) ? run.past : run.grant;
	free(run.desired->may_reboot_from);
	run.desired->may_reboot_from = *grant ? xstrdup(grant) : NULL;
}

/* The host's report reaches the controller, mostly. */
static void
hear(const Gdr__Report *report)
{
	if (world.faults && world_chance(1, 3))
		return;
	bool wants = report->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT;
	if (*run.grant && strcmp(run.grant, report->boot_id) != 0)
		memcpy(run.past, run.grant, sizeof(run.past));
	(void)snprintf(run.grant, sizeof(run.grant), "%s", wants ? report->boot_id : "");
}

/* What people and luck do between two passes. */
static void
between(void)
{
	world.now_ms += 30000 + (int64_t)world_random(60000);
	run.pass++;
	if (run.pass == run.chaos) {
		world.faults = world.refusing = world.ignoring = 0;
		world_say("calm");
	}
	if (world.faults && world_chance(1, 12))
		world.refusing = (unsigned)world_random(3);
	if (world.faults && world_chance(1, 12))
		world.ignoring = (unsigned)world_random(3);
	if (world.faults && world_chance(1, 20)) {
		run.content = (enum content)world_random(3);
		world_say("the controller wants content %u", run.content);
	}
	world_moment("between two passes");
	deliver();
}

/* As the worker does it, agent/worker.c. */
static void
one_pass(struct host *host, struct journal *journal, struct reboot *reboot)
{
	Gdr__Report *report = NULL;
	struct err err = { 0 };
	unsigned resets = world.resets;

	if (pass_run(&gdr_agent, host, journal, run.desired, CONVERGE_ENFORCE, &report, &err) < 0)
		world_broken("no pass: %s", err.msg);
	bool go = reboot_judge(reboot, report, run.desired);
	hear(report);
	bool same = run.outcome == report->outcome && strcmp(run.why, report->why ? report->why : "") == 0;
	run.quiet = same && world.sets == run.sets_before && !go && resets == world.resets ? run.quiet + 1 : 0;
	run.sets_before = world.sets;
	run.outcome = report->outcome;
	(void)snprintf(run.why, sizeof(run.why), "%s", report->why ? report->why : "");
	world_say("%s: %s%s", pbtext_enum(&gdr__outcome__descriptor, (int)run.outcome), run.why, go ? ": goes" : "");
	if (go) {
		world.may_reboot = run.desired->may_reboot_from &&
				   strcmp(run.desired->may_reboot_from, world.boot_id) == 0;
		bool due = world.reboot_due;
		world.reset_begun = false;
		(void)reboot_go(reboot, report, run.desired, &err);
		world.may_reboot = false;
		if (world.reboot_due && !due)
			run.asked = run.epoch;
	}
	pb_free(&report->base);
}

static bool
is_over(void)
{
	bool waits = run.outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT || world.reboot_due;

	return run.pass >= run.chaos + CALM || (run.pass >= run.chaos + QUIET && run.quiet >= QUIET && !waits);
}

static void
live(const Gdr__AgentConfig *config)
{
	struct host *host = host_open("/nowhere", config);
	struct journal *journal = NULL;
	struct err err = { 0 };

	if (journal_open("journal", world.boot_id, &journal, &err) < 0)
		world_broken("%s", err.msg);
	struct reboot *reboot = reboot_open(&gdr_agent, host, journal, config);
	reboot_came_back(reboot);
	while (!is_over()) {
		between();
		if (run.desired)
			one_pass(host, journal, reboot);
	}
	reboot_close(reboot);
	journal_free(journal);
	host_free(host);
}

/* --- what must hold ----------------------------------------------------------------------------------------------------- */

static void
check_budget(void)
{
	if (world.ended + world.resets > run.budget)
		world_broken("1: %u reboots and %u resets, of a budget of %u", world.ended, world.resets, run.budget);
}

static void
check_card(const struct card *card)
{
	for (size_t f = 0; f < FUNCTIONS; f++)
		for (size_t p = 0; p < PARAMETERS; p++) {
			const char *want = run.had == CONTENT_WANTED  ? parameters[p].wanted
					   : run.had == CONTENT_OTHER ? parameters[p].other
								      : parameters[p].factory;
			const struct value *value = &card->v[f][p];

			if (strcmp(value->current, want) != 0 || strcmp(value->next, want) != 0)
				world_broken("5: %s of %zu:%zu is %s, %s stored, not %s", parameters[p].name,
					     (size_t)(card - world.cards) + 1, f, value->current, value->next, want);
		}
}

static void
check_end(void)
{
	bool used_up = strstr(run.why, "reboots were used") != NULL;
	bool all_good = true;

	if (run.quiet < QUIET)
		world_broken("4: not at rest after %d calm passes: %s", CALM, run.why);
	if (run.outcome != GDR__OUTCOME__OUTCOME_SETTLED && (run.outcome != GDR__OUTCOME__OUTCOME_STUCK || !*run.why))
		world_broken("4: it ends as %s: %s", pbtext_enum(&gdr__outcome__descriptor, (int)run.outcome), run.why);
	for (size_t i = 0; i < CARDS; i++) {
		bool good = world.cards[i].nature <= CARD_EARLY;

		all_good = all_good && good;
		if (good && !used_up)
			check_card(&world.cards[i]);
	}
	if (all_good && !used_up && run.outcome != GDR__OUTCOME__OUTCOME_SETTLED)
		world_broken("4: good cards, and it is stuck: %s", run.why);
}

/* --- one schedule -------------------------------------------------------------------------------------------------------- */

static void
set_up(uint64_t seed, bool verbose)
{
	static const unsigned versions[] = { 421, 433, 436 };

	memset(&run, 0, sizeof(run));
	memset(&world, 0, sizeof(world));
	world.seed = world.state = seed;
	world.verbose = verbose;
	world.now_ms = 1000;
	world.version = versions[world_random(3)];
	world.has_reset = world_chance(2, 3);
	world.reset_works = world_chance(2, 3);
	world.faults = world_chance(1, 8) ? 0 : 1 + (unsigned)world_random(60);
	for (size_t i = 0; i < CARDS; i++) {
		card_factory(&world.cards[i]);
		world.cards[i].nature = world_chance(1, 2) ? CARD_GOOD : (enum nature)world_random(NATURES);
	}
	world_boot();
	run.budget = world_chance(1, 2) ? 3 : 1 + (unsigned)world_random(4);
	run.reset = world_chance(1, 2);
	run.chaos = 1 + (unsigned)world_random(40);
}

static void
tear_down(void)
{
	pb_free(run.desired ? &run.desired->base : NULL);
	free(world.journal);
	free(world.notes);
}

static void
play(uint64_t seed, bool verbose)
{
	Gdr__AgentConfig config = GDR__AGENT_CONFIG__INIT;

	set_up(seed, verbose);
	for (bool over = false; !over;) {
		switch (setjmp(world.death)) {
		case DEATH_NONE:
			live(&config);
			over = true;
			break;
		case DEATH_REBOOT: world.ended += run.asked == run.epoch; __attribute__((fallthrough));
		case DEATH_HOST: world_boot(); break;
		default: break;
		}
		check_budget();
	}
	check_end();
	tear_down();
}

static void
usage(void)
{
	(void)printf("usage: reboots [--count N] [--seconds N] [--first SEED] [--seed SEED] [--verbose]\n"
		     "plays N schedules, or so many as there is time for; --seed plays one alone\n");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'c' }, { "seconds", required_argument, NULL, 't' },
		{ "first", required_argument, NULL, 'f' }, { "seed", required_argument, NULL, 's' },
		{ "verbose", no_argument, NULL, 'v' },     { NULL, 0, NULL, 0 }
	};
	uint64_t first = 1;
	uint64_t count = 1000;
	uint64_t played = 0;
	time_t seconds = 0;
	time_t begun = time(NULL);
	bool verbose = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': count = strtoull(optarg, NULL, 10); break;
		case 't': seconds = (time_t)strtoull(optarg, NULL, 10); break;
		case 'f': first = strtoull(optarg, NULL, 10); break;
		case 's':
			first = strtoull(optarg, NULL, 10);
			count = 1;
			break;
		case 'v': verbose = true; break;
		default: usage(); return 2;
		}
	if (!log_init("reboots", "human"))
		return 1;
	if (!verbose && !freopen("/dev/null", "w", stderr)) /* What the agent logs. */
		return 1;
	for (; played < count && (!seconds || time(NULL) - begun < seconds); played++)
		play(first + played, verbose);
	(void)printf("%llu schedules from seed %llu on\n", (unsigned long long)played, (unsigned long long)first);
	return 0;
}
