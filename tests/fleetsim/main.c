/* main.c - gdr-fleetsim: thousands of agents against a real gdrd.
 *
 * It declares its nodes, lets their keys in, connects them, moves them to a profile, and says how long each step took;
 * then it lets them report, if that is asked for, and says how long gdrd took to acknowledge.  It is told whom to load by
 * a gdrctl.yaml of an admin.  As many processes are full of agents as the limit of descriptors makes necessary. */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/fleetsim/fleetsim.h"

#define LOOK_MS    10
#define SPARE_FDS  64
#define REPORT_MAX (8U << 20)

struct story {
	struct load load;
	struct board *board;
	pid_t processes[PROCESSES_MAX];
	size_t n_processes;
	unsigned long long run_ms;
	int signals;
};

/* --- the processes ------------------------------------------------------------------------------------------------ */

static size_t
agents_a_process(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return 1;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_cur > SPARE_FDS + FDS_AN_AGENT ? (files.rlim_cur - SPARE_FDS) / FDS_AN_AGENT : 1;
}

/* Before anything has to do with libzmq, whose threads do not come along. */
static int
start_processes(struct story *story, struct err *err)
{
	size_t most = agents_a_process();
	size_t n = (story->load.n + most - 1) / most;

	if (n > PROCESSES_MAX)
		return err_set(err, -EMFILE, "%zu agents take %d descriptors each: raise the limit (ulimit -n)",
			       story->load.n, FDS_AN_AGENT);
	for (size_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return err_set(err, -errno, "fork: %s", strerror(errno));
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			agents_run(&story->load, story->load.n * i / n, story->load.n * (i + 1) / n, story->board,
				   &story->board->of[i]);
			exit(0);
		}
		story->processes[story->n_processes++] = pid;
	}
	return 0;
}

static void
end_processes(struct story *story)
{
	story->board->order = ORDER_END;
	for (size_t i = 0; i < story->n_processes; i++)
		(void)waitpid(story->processes[i], NULL, 0);
}

/* --- the board ------------------------------------------------------------------------------------------------------ */

static size_t
count_live(const struct board *board)
{
	size_t n = 0;

	for (size_t i = 0; i < PROCESSES_MAX; i++)
		n += board->of[i].live;
	return n;
}

static size_t
count_committed(const struct board *board)
{
	size_t n = 0;

	for (size_t i = 0; i < PROCESSES_MAX; i++)
		n += board->of[i].committed;
	return n;
}

/* Says how long acknowledgements took since it was last asked. */
static void
say_acks(struct board *board)
{
	static unsigned long counts[ACK_MAX_MS + 1];
	unsigned long all = 0;
	unsigned long seen = 0;
	int median = -1;
	int most = -1;
	int worst = 0;

	for (int ms = 0; ms <= ACK_MAX_MS; ms++) {
		counts[ms] = 0;
		for (size_t i = 0; i < PROCESSES_MAX; i++)
			counts[ms] += atomic_exchange(&board->of[i].acks[ms], 0);
		all += counts[ms];
	}
	for (int ms = 0; ms <= ACK_MAX_MS; ms++) {
		seen += counts[ms];
		if (median < 0 && seen * 2 >= all)
			median = ms;
		if (most < 0 && seen * 100 >= all * 99)
			most = ms;
		if (counts[ms])
			worst = ms;
	}
	(void)printf("acknowledged %lu reports: median %d ms, 99 %% %d ms, worst %d ms\n", all, median, most, worst);
	(void)fflush(stdout);
}

/* --- the story ------------------------------------------------------------------------------------------------------ */

static int
step(const struct story *story, const char *what, int64_t begun, size_t n)
{
	double seconds = (double)(clock_ms() - begun) / 1000;

	(void)printf("%-28s %6zu of %zu in %7.2f s  (%.0f a second)\n", what, n, story->load.n, seconds,
		     seconds > 0 ? (double)n / seconds : 0);
	(void)fflush(stdout);
	return n == story->load.n ? 0 : 1;
}

/* Until it is so of every agent, or patience ends; of how many it is. */
static size_t
wait_for_all(const struct story *story, size_t (*count)(const struct board *board))
{
	int64_t end = clock_ms() + PATIENCE_MS;

	while (count(story->board) < story->load.n && clock_ms() < end)
		(void)poll(NULL, 0, LOOK_MS);
	return count(story->board);
}

/* Until the time is over, or SIGTERM. SIGUSR1 asks how acknowledgements went since it last did; with the first the reports
 * begin. */
static void
run_on(const struct story *story)
{
	int64_t end = clock_ms() + (int64_t)story->run_ms;
	struct signalfd_siginfo info = { 0 };

	for (int64_t left = end - clock_ms(); left > 0; left = end - clock_ms()) {
		struct pollfd signals = { .fd = story->signals, .events = POLLIN };

		if (poll(&signals, 1, (int)left) <= 0 || read(story->signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGUSR1)
			return;
		say_acks(story->board);
		if (story->load.report_ms)
			story->board->order = ORDER_REPORT;
	}
}

static int
tell(const struct story *story, struct err *err)
{
	int64_t begun = clock_ms();

	if (operator_prepare(&story->load, err) < 0)
		return err->code;
	(void)step(story, "declared and let in", begun, story->load.n);
	begun = clock_ms();
	story->board->order = ORDER_CONNECT;
	int failed = step(story, "connected and welcomed", begun, wait_for_all(story, count_live));
	begun = clock_ms();
	if (operator_assign(&story->load, err) < 0)
		return err->code;
	failed |= step(story, "pushed, reported, committed", begun, wait_for_all(story, count_committed));
	say_acks(story->board);
	if (story->run_ms) {
		begun = clock_ms();
		run_on(story);
		say_acks(story->board);
		failed |= step(story, "connected in the end", begun, count_live(story->board));
	}
	return failed;
}

/* --- begin and end --------------------------------------------------------------------------------------------------- */

static void
usage(FILE *to)
{
	(void)fprintf(
		to,
		"usage: gdr-fleetsim --context GDRCTL.YAML --agents tcp://HOST:PORT --profile NAME [OPTION...]\n\n"
		"Loads a gdrd with many agents and says how long each step took.\n\n"
		"  --nodes N       so many agents (default 100)\n"
		"  --like FILE     each says what this report says (of `gdr-agent check -o json`), as if all were right\n"
		"  --run 30s       stay for so long after the last step, or until SIGTERM\n"
		"  --report 10s    from the first SIGUSR1 on each agent says something new this often\n\n"
		"SIGUSR1 asks how long acknowledgements took since it last did.\n"
		"Exit status: 0 every agent got through, 1 not, 2 usage.\n");
}

static int
load_context(const char *path, ProtobufCMessage **file, struct err *err)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int rc = file_read(path, 65536, &text, &len, err);

	if (rc == 0)
		rc = pbtext_parse(&gdr__ctl_config__descriptor, path, text, len, file, err);
	if (rc == 0 &&
	    (((Gdr__CtlConfig *)*file)->n_contexts == 0 || !((Gdr__CtlConfig *)*file)->contexts[0]->endpoint))
		rc = err_set(err, -EINVAL, "%s: no context", path);
	return rc;
}

/* Without its VMs, whose guests would be nodes, too.  No path: it says nothing. */
static int
load_report(const char *path, Gdr__Report **out, struct err *err)
{
	auto_free char *text = NULL;
	size_t len = 0;

	if (!path) {
		*out = xcalloc(1, sizeof(**out));
		gdr__report__init(*out);
		return 0;
	}
	int rc = file_read(path, REPORT_MAX, &text, &len, err);
	if (rc == 0)
		rc = pbtext_parse(&gdr__report__descriptor, path, text, len, (ProtobufCMessage **)out, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < (*out)->n_layers; i++)
		for (size_t j = 0; j < (*out)->layers[i]->n_items; j++)
			(*out)->layers[i]->items[j]->fix = GDR__FIX__FIX_NONE;
	for (size_t i = 0; i < (*out)->n_vms; i++)
		pb_free(&(*out)->vms[i]->base);
	(*out)->n_vms = 0;
	return 0;
}

static void
make_identities(struct load *load)
{
	load->all = xcalloc(load->n, sizeof(*load->all));
	for (size_t i = 0; i < load->n; i++) {
		(void)snprintf(load->all[i].name, sizeof(load->all[i].name), "load-%05zu", i + 1);
		keys_generate(&load->all[i].key);
	}
}

static int
catch_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int
run(struct story *story, const char *context, const char *like, struct err *err)
{
	auto_pb ProtobufCMessage *file = NULL;
	auto_pb Gdr__Report *report = NULL;
	int rc = load_context(context, &file, err);

	if (rc == 0)
		rc = load_report(like, &report, err);
	if (rc < 0)
		return rc;
	story->load.context = ((Gdr__CtlConfig *)file)->contexts[0];
	story->load.report = report;
	make_identities(&story->load);
	story->signals = catch_signals();
	rc = start_processes(story, err);
	if (rc == 0)
		rc = tell(story, err);
	end_processes(story);
	free(story->load.all);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "context", required_argument, NULL, 'c' },
		{ "agents", required_argument, NULL, 'a' },
		{ "profile", required_argument, NULL, 'p' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "like", required_argument, NULL, 'l' },
		{ "run", required_argument, NULL, 'r' },
		{ "report", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct story story = { .load = { .n = 100 } };
	unsigned long long report_ms = 0;
	const char *context = NULL;
	const char *like = NULL;
	struct err err = { 0 };
	bool right = true;
	int c;

	while ((c = getopt_long(argc, argv, "c:a:p:n:l:r:R:h", options, NULL)) != -1)
		switch (c) {
		case 'c': context = optarg; break;
		case 'a': story.load.endpoint = optarg; break;
		case 'p': story.load.profile = optarg; break;
		case 'n': story.load.n = strtoul(optarg, NULL, 10); break;
		case 'l': like = optarg; break;
		case 'r': right = right && pbtext_duration_parse(optarg, &story.run_ms); break;
		case 'R': right = right && pbtext_duration_parse(optarg, &report_ms); break;
		case 'h': usage(stdout); return 0;
		default: return 2;
		}
	if (!right || !context || !story.load.endpoint || !story.load.profile || story.load.n == 0) {
		usage(stderr);
		return 2;
	}
	story.load.report_ms = (long long)report_ms;
	story.board = mmap(NULL, sizeof(*story.board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = story.board == MAP_FAILED ? err_set(&err, -errno, "mmap: %s", strerror(errno))
					   : run(&story, context, like, &err);
	if (rc < 0)
		(void)fprintf(stderr, "gdr-fleetsim: %s\n", err.msg);
	return rc == 0 ? 0 : 1;
}
