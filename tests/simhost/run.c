#include "tests/simhost/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "tests/simhost/boot.h"
#include "tests/simhost/guest.h"
#include "tests/simhost/kernel.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"
#include "tests/simhost/vms.h"

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 2000
#define STABLE_MS    10000 /* A child that lived so long starts again without delay. */
#define STOP_MS      3000  /* From SIGTERM to SIGKILL. */
#define TICK_MS      5000  /* Of /proc/uptime. */
#define LOOK_MS      500   /* Between two looks at which VMs run. */
#define CHILDREN_MAX 34

struct child {
	const char *name; /* "worker" */
	char *vm;         /* Whose; NULL: the host's. */
	char *program;
	char *root; /* Of its machine. */
	char *config;
	uint64_t power_on; /* Of a VM: which of its starts this is. */
	pid_t pid;         /* 0: not running. */
	long long started;
	long long due; /* When to start it. */
	unsigned retry_ms;
};

struct init {
	const struct sim *sim;
	const struct run_options *options;
	char *agent;
	char *guest;
	struct child children[CHILDREN_MAX]; /* The host's two first, then two for each VM that runs. */
	size_t n;
	struct kernel *kernel; /* NULL: off. */
	long long on_at;       /* While off: when the power comes back. */
	long long booted;
	bool said_hang;
	bool end;
	int signals;
};

static long long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- the agent's halves ------------------------------------------------------------------------ */

/* As its unit's ExecStartPre= does. */
static const char join_first[] = "\"$0\" --config \"$1\" join && exec \"$0\" --config \"$1\" comm";

static void __attribute__((noreturn)) become(const struct child *child, pid_t parent)
{
	auto_free char *log = xasprintf("%s/var/log/%s.log", child->root, child->name);
	sigset_t none;
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || in < 0 || out < 0)
		_exit(127);
	(void)setpgid(0, 0);
	(void)dup2(in, STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (child->vm && strcmp(child->name, "comm") == 0)
		(void)execl("/bin/sh", "sh", "-c", join_first, child->program, child->config, (char *)NULL);
	(void)execl(child->program, child->program, "--config", child->config, child->name, (char *)NULL);
	_exit(127);
}

static void
start(struct child *child)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0)
		become(child, parent);
	child->started = now_ms();
	if (pid < 0) {
		child->due = child->started + RETRY_MAX_MS;
		log_error("cannot start %s: %s", child->name, strerror(errno));
		return;
	}
	child->pid = pid;
	log_info("started %s%s%s, pid %d", child->vm ? child->vm : "", child->vm ? "/" : "", child->name, (int)pid);
}

static void
ended(struct child *child, int status)
{
	long long now = now_ms();
	bool was_killed = WIFSIGNALED(status);

	child->pid = 0;
	if (now - child->started > STABLE_MS)
		child->retry_ms = RETRY_MIN_MS;
	child->due = now + child->retry_ms;
	log_warn("%s ended with %s %d, again in %u ms", child->name, was_killed ? "signal" : "status",
		 was_killed ? WTERMSIG(status) : WEXITSTATUS(status), child->retry_ms);
	child->retry_ms = child->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : child->retry_ms * 2;
}

static void
reap(struct init *init)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < init->n; i++)
			if (init->children[i].pid == pid)
				ended(&init->children[i], status);
}

static bool
any_left(const struct init *init)
{
	for (size_t i = 0; i < init->n; i++)
		if (init->children[i].pid)
			return true;
	return false;
}

static void
signal_all(const struct init *init, int signal)
{
	for (size_t i = 0; i < init->n; i++)
		if (init->children[i].pid)
			(void)kill(init->children[i].pid, signal);
}

/* What the agent left behind (its tools have process groups of their own) became our children. */
static void
kill_orphans(void)
{
	auto_free char *path = xasprintf("/proc/self/task/%d/children", (int)getpid());

	for (int round = 0; round < 100; round++) {
		char text[256] = "";
		auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		pid_t pid = n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;

		if (pid <= 0)
			return;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
}

static void
stop_all(struct init *init)
{
	long long deadline = now_ms() + STOP_MS;

	signal_all(init, SIGTERM);
	while (any_left(init)) {
		struct pollfd fds = { .fd = init->signals, .events = POLLIN };
		struct signalfd_siginfo info;

		if (now_ms() > deadline)
			signal_all(init, SIGKILL);
		if (poll(&fds, 1, 100) > 0 && read(init->signals, &info, sizeof(info)) > 0 && info.ssi_signo != SIGCHLD)
			init->end = true;
		for (size_t i = 0; i < init->n; i++) {
			struct child *child = &init->children[i];

			if (child->pid && waitpid(child->pid, NULL, WNOHANG) != 0)
				child->pid = 0;
		}
	}
	kill_orphans();
}

/* --- guests ------------------------------------------------------------------------------------ */

static void
add_child(struct init *init, const char *name, const char *vm, const char *program, const char *root,
	  const char *config)
{
	init->children[init->n++] = (struct child){ .name = name,
						    .vm = vm ? xstrdup(vm) : NULL,
						    .program = xstrdup(program),
						    .root = xstrdup(root),
						    .config = xasprintf("%s/etc/gdrfleet/%s", root, config),
						    .retry_ms = RETRY_MIN_MS };
}

/* As if its power went. */
static void
drop_child(struct init *init, size_t i)
{
	struct child *child = &init->children[i];

	if (child->pid) {
		(void)kill(-child->pid, SIGKILL);
		(void)kill(child->pid, SIGKILL);
		(void)waitpid(child->pid, NULL, 0);
	}
	free(child->vm);
	free(child->program);
	free(child->root);
	free(child->config);
	memmove(child, child + 1, (init->n - i - 1) * sizeof(*child));
	init->n--;
}

static void
drop_guests(struct init *init)
{
	for (size_t i = init->n; i-- > 0;)
		if (init->children[i].vm)
			drop_child(init, i);
}

/* Differs for each start of a VM; 0: it does not run. */
static uint64_t
power_on_of(const struct sim *sim, const char *vm)
{
	auto_free char *path = xasprintf("%s/.sim/vms/%s/running.xml", sim->dir, vm);
	auto_free char *state = vms_state(sim, vm);
	struct stat st;

	if (strcmp(state, "running") != 0 || stat(path, &st) < 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000000000U + (uint64_t)st.st_mtim.tv_nsec;
}

static bool
is_up(const struct init *init, const char *vm)
{
	for (size_t i = 0; i < init->n; i++)
		if (init->children[i].vm && strcmp(init->children[i].vm, vm) == 0)
			return true;
	return false;
}

static void
power_on_guest(struct init *init, const char *vm)
{
	uint64_t power_on = power_on_of(init->sim, vm);
	auto_free char *root = guest_root(init->sim, vm);
	struct err err = { 0 };

	if (!power_on || is_up(init, vm) || init->n + 2 > CHILDREN_MAX)
		return;
	int rc = guest_boot(init->sim, vm, &err);
	if (rc < 0 && rc != -EAGAIN)
		log_error("%s does not boot: %s", vm, err.msg);
	if (rc < 0)
		return;
	add_child(init, "worker", vm, init->guest, root, "guest.yaml");
	add_child(init, "comm", vm, init->guest, root, "guest.yaml");
	init->children[init->n - 2].power_on = init->children[init->n - 1].power_on = power_on;
	log_info("%s booted", vm);
}

/* Those that run have their agents running, those that ended have not. */
static void
look_at_guests(struct init *init)
{
	auto_strv char **vms = vms_list(init->sim);

	for (size_t i = init->n; i-- > 0;)
		if (init->children[i].vm && power_on_of(init->sim, init->children[i].vm) != init->children[i].power_on)
			drop_child(init, i);
	for (char **vm = vms; init->guest && *vm; vm++)
		power_on_guest(init, *vm);
}

/* --- power ------------------------------------------------------------------------------------- */

static int
power_on(struct init *init, bool new_boot, struct err *err)
{
	int rc = new_boot ? boot(init->sim, err) : 0;

	if (rc == 0)
		rc = kernel_start(init->sim, &init->kernel, err);
	if (rc < 0) {
		kernel_stop(init->kernel);
		init->kernel = NULL;
		return rc;
	}
	init->booted = now_ms();
	log_info("%s", new_boot ? "booted" : "running again, in the boot that it was in");
	for (size_t i = 0; i < init->n; i++) {
		init->children[i].retry_ms = RETRY_MIN_MS;
		init->children[i].due = 0;
	}
	return 0;
}

static void
power_off(struct init *init)
{
	stop_all(init);
	drop_guests(init);
	kernel_stop(init->kernel);
	init->kernel = NULL;
	init->on_at = now_ms() + init->options->reboot_ms;
	init->said_hang = false;
}

/* While off: comes back when its time has come, unless it hangs. */
static void
maybe_power_on(struct init *init)
{
	struct err err = { 0 };

	if (now_ms() < init->on_at)
		return;
	if (sim_broken(init->sim, "reboot-hang")) {
		if (!init->said_hang)
			log_warn("hangs in the reboot (fault reboot-hang)");
		init->said_hang = true;
		init->on_at = now_ms() + RETRY_MIN_MS;
		return;
	}
	if (power_on(init, true, &err) < 0) {
		log_error("does not boot: %s", err.msg);
		init->on_at = now_ms() + RETRY_MAX_MS;
	}
}

/* --- the loop ---------------------------------------------------------------------------------- */

/* Starts what is due; how long there is nothing to do. */
static int
start_due(struct init *init)
{
	long long now = now_ms();
	long long wait = init->guest ? LOOK_MS : TICK_MS;

	look_at_guests(init);
	for (size_t i = 0; i < init->n; i++) {
		struct child *child = &init->children[i];

		if (!child->pid && child->due <= now)
			start(child);
		if (!child->pid && child->due - now < wait)
			wait = child->due > now ? child->due - now : 0;
	}
	return (int)wait;
}

/* While off. */
static int
until_on(const struct init *init)
{
	long long now = now_ms();

	return init->on_at > now ? (int)(init->on_at - now) : 0;
}

static void
take_signals(struct init *init)
{
	struct signalfd_siginfo info;

	while (read(init->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			init->end = true;
	reap(init);
}

static void
loop(struct init *init)
{
	while (!init->end) {
		int wait = init->kernel ? start_due(init) : until_on(init);
		struct pollfd fds[2] = { { .fd = init->signals, .events = POLLIN },
					 { .fd = init->kernel ? kernel_fd(init->kernel) : -1, .events = POLLIN } };

		(void)poll(fds, 2, wait);
		take_signals(init);
		if (!init->kernel) {
			maybe_power_on(init);
			continue;
		}
		kernel_tick(init->kernel, (double)(now_ms() - init->booted) / 1000 + 5);
		if (kernel_work(init->kernel) && !init->end) {
			log_info("reboots");
			power_off(init);
		}
	}
}

/* --- start ------------------------------------------------------------------------------------- */

/* A program beside this one; the caller frees, NULL: there is none. */
static char *
beside(const char *name)
{
	auto_free char *self = realpath("/proc/self/exe", NULL);
	const char *slash = self ? strrchr(self, '/') : NULL;
	auto_free char *path = slash ? xasprintf("%.*s/%s", (int)(slash - self), self, name) : NULL;

	return path && access(path, X_OK) == 0 ? steal(&path) : NULL;
}

static int
find_agents(struct init *init, struct err *err)
{
	const struct run_options *options = init->options;

	init->agent = options->agent ? realpath(options->agent, NULL) : beside("gdr-agent");
	init->guest = beside("gdr-guest");
	if (!init->agent || access(init->agent, X_OK) < 0)
		return err_set(err, -ENOENT, "no program %s (--agent PATH)",
			       options->agent ? options->agent : "gdr-agent");
	if (!init->guest)
		log_warn("no program gdr-guest beside this one: nothing runs in the VMs");
	add_child(init, "worker", NULL, init->agent, init->sim->dir, "agent.yaml");
	add_child(init, "comm", NULL, init->agent, init->sim->dir, "agent.yaml");
	return 0;
}

static int
open_log(const char *path, struct err *err)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int
open_signals(struct init *init, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	init->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return init->signals < 0 ? err_set(err, -errno, "signalfd: %s", strerror(errno)) : 0;
}

static bool
asked_for_reboot(const struct sim *sim)
{
	return faccessat(sim->fd, ".sim/reboot-request", F_OK, 0) == 0;
}

int
run(const struct sim *sim, const struct run_options *options, struct err *err)
{
	struct init init = { .sim = sim, .options = options, .signals = -1 };
	auto_close int lock = -1;
	int rc = sim_lock(sim, &lock, err);

	if (rc == 0)
		rc = find_agents(&init, err);
	if (rc == 0 && options->log)
		rc = open_log(options->log, err);
	if (rc == 0)
		rc = open_signals(&init, err);
	if (rc == 0)
		rc = power_on(&init, !boot_happened(sim) || asked_for_reboot(sim), err);
	if (rc == 0) {
		loop(&init);
		stop_all(&init);
		log_info("stopped");
	}
	kernel_stop(init.kernel);
	if (init.signals >= 0)
		close(init.signals);
	while (init.n > 0)
		drop_child(&init, init.n - 1);
	free(init.agent);
	free(init.guest);
	return rc;
}

int
run_request_reboot(const struct sim *sim, struct err *err)
{
	auto_close int lock = -1;
	int rc = sim_lock(sim, &lock, err);
	struct tree tree;

	if (rc == 0 && sim_broken(sim, "reboot-hang"))
		return err_set(err, -ETIMEDOUT, "it hangs (fault reboot-hang)");
	if (rc == 0)
		return boot(sim, err);
	if (rc != -EBUSY)
		return rc;
	rc = sim_tree(sim, &tree, err);
	if (rc < 0)
		return rc;
	tree_printf(&tree, ".sim/reboot-request", "%s", "");
	return tree_close(&tree);
}
