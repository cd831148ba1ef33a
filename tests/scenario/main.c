/* scenario - random rollouts over a fleet that is played, with everything going wrong that can.
 *
 * Each seed is one schedule, and always the same one.  A schedule ends when all its rollouts have ended, or wait for a
 * person.  Every third seed is steady: it is played twice, once without crashes and failing commits, and the end must
 * be the same.  Several processes share the seeds. */

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "controller/zap.h"
#include "tests/scenario/cases.h"
#include "tests/scenario/disk.h"
#include "tests/scenario/schedule.h"

#define JOBS_MAX 64

/* Seeds of which every moment is tried: all is well; a check that says no, after a drain; measurements that stay as they
 * were; a check that says yes; a canary that has become slower, and a wave after it. */
static const uint64_t swept[] = { 12, 24, 66, 84, 108, 198 };
#define SWEPT (sizeof(swept) / sizeof(swept[0]))

struct work {
	uint64_t first;
	uint64_t count;
	unsigned jobs;
	size_t hosts;
	bool verbose;
	struct fate fate;
	const char *folder;
	atomic_uint_fast64_t *taken; /* Pieces of it, of all processes. */
};

static void
compare(uint64_t seed, const char *end, const char *calm)
{
	const struct sim sim = { .seed = seed };

	if (strcmp(end, calm) != 0)
		sim_broken(&sim, "6: with crashes it ended as\n%s, without as\n%s", end, calm);
}

static void
play_seed(const struct stage *stage, uint64_t seed, struct fate fate)
{
	uint64_t turns;
	auto_free char *end = schedule_run(stage, seed, fate, &turns);

	if (seed % 3 != 0)
		return;
	auto_free char *calm = schedule_run(stage, seed, (struct fate){ .calm = true }, &turns);
	compare(seed, end, calm);
}

/* The longest come first. */
static void
do_piece(const struct work *work, const struct stage *stage, uint64_t piece)
{
	if (work->count == 1)
		play_seed(stage, work->first, work->fate);
	else if (piece == 0)
		case_thousand(stage);
	else if (piece == 1)
		case_hundred(stage);
	else if (piece < 2 + SWEPT)
		case_every_moment(stage, swept[piece - 2]);
	else
		play_seed(stage, work->first + piece - 2 - SWEPT, (struct fate){ 0 });
}

static int
do_share(const struct work *work, unsigned job)
{
	auto_free char *database = xasprintf("%s/%u.db", work->folder, job);
	struct stage stage = { .database = database, .hosts = work->hosts, .verbose = work->verbose };
	uint64_t pieces = work->count == 1 ? 1 : 2 + SWEPT + work->count;
	uint64_t piece;
	struct err err = { 0 };

	if (zap_open(16, &stage.zap, &err) < 0) {
		(void)fprintf(stderr, "scenario: %s\n", err.msg);
		return 1;
	}
	while ((piece = atomic_fetch_add(work->taken, 1)) < pieces)
		do_piece(work, &stage, piece);
	zap_close(stage.zap);
	return 0;
}

static int
do_all(const struct work *work)
{
	int rc = 0;
	int status;

	for (unsigned job = 0; job < work->jobs; job++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(do_share(work, job));
		if (pid < 0)
			rc = 1;
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			rc = 1;
	return rc;
}

static void
usage(void)
{
	(void)printf("usage: scenario [--count N] [--first SEED] [--jobs N] [--hosts N] [--verbose]\n"
		     "       scenario --seed SEED [--hosts N] [--turn N --moment N] [--verbose]\n"
		     "plays N schedules in as many processes as there are processors; or one alone, in which gdrd may\n"
		     "die once: in that turn, while it commits (1), before anybody is told (2) or after that (3)\n");
}

static int
play(struct work *work)
{
	char memory[] = "/dev/shm/gdrfleet-scenario.XXXXXX";
	char other[] = "/tmp/gdrfleet-scenario.XXXXXX";

	work->taken = mmap(NULL, sizeof(*work->taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	work->folder = mkdtemp(memory) ? memory : mkdtemp(other);
	if (work->taken == MAP_FAILED || !work->folder) {
		(void)fprintf(stderr, "scenario: no memory to share, or no place for a folder\n");
		return 1;
	}
	int rc = do_all(work);
	for (unsigned job = 0; job < work->jobs; job++) {
		auto_free char *database = xasprintf("%s/%u.db", work->folder, job);

		disk_remove(database); /* Of one that ended early. */
	}
	(void)rmdir(work->folder);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "count", required_argument, NULL, 'c' },
						 { "first", required_argument, NULL, 'f' },
						 { "jobs", required_argument, NULL, 'j' },
						 { "hosts", required_argument, NULL, 'n' },
						 { "seed", required_argument, NULL, 's' },
						 { "turn", required_argument, NULL, 't' },
						 { "moment", required_argument, NULL, 'm' },
						 { "verbose", no_argument, NULL, 'v' },
						 { NULL, 0, NULL, 0 } };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct work work = { .first = 1, .count = 1000, .jobs = processors > 0 ? (unsigned)processors : 1 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': work.count = strtoull(optarg, NULL, 10); break;
		case 'f': work.first = strtoull(optarg, NULL, 10); break;
		case 'j': work.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'n': work.hosts = strtoull(optarg, NULL, 10); break;
		case 's':
			work.first = strtoull(optarg, NULL, 10);
			work.count = work.jobs = 1;
			break;
		case 't':
			work.fate.calm = true;
			work.fate.crash_turn = strtoull(optarg, NULL, 10);
			break;
		case 'm': work.fate.moment = (enum moment)(strtoul(optarg, NULL, 10) % MOMENTS); break;
		case 'v': work.verbose = true; break;
		default: usage(); return 2;
		}
	if (work.jobs == 0 || work.jobs > JOBS_MAX || !log_init("scenario", "human")) {
		usage();
		return 2;
	}
	int rc = play(&work);
	if (rc == 0)
		(void)printf("%llu schedules from seed %llu on\n", (unsigned long long)work.count,
			     (unsigned long long)work.first);
	return rc;
}
