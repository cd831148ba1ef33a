#include "controller/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "controller/fleet/fleet.h"
#include "controller/rollout/rollout.h"

#define AT_ONCE    16    /* Programs that run at the same time. */
#define OUTPUT_MAX 4096U /* Of what one says; its end counts. */
#define WORDS_MAX  64

#define NOT_RUN (-1)

struct hook {
	struct hooks *hooks;
	char *key;                /* What no other is run for meanwhile: "PROGRAM/NODE", "ROLLOUT/check/3". */
	char *rollout;            /* Of which rollout, */
	struct rollout_call call; /* and what for: kind, index and of_ms. */
	pid_t pid;                /* 0: it has ended. */
	int pidfd;
	int out;
	struct buf said;
	int64_t begun_ms; /* zclock_mono() */
	int64_t ended_ms;
};

struct hooks {
	struct fleet *fleet;
	const Gdr__GdrdConfig *config;
	struct turn turn;
	struct hook **all; /* Those that run, and those that may not yet run again. */
	size_t n;
	size_t running;
	char *complaint; /* Why one could not be started, as last logged; NULL: the last one could. */
};

static void
hook_free(struct hook *hook)
{
	buf_free(&hook->said);
	free(hook->key);
	free(hook->rollout);
	free(hook);
}

/* --- output and end ------------------------------------------------------------------------------------------ */

static void
read_output(struct hook *hook)
{
	char chunk[1024];
	ssize_t n;

	while ((n = read(hook->out, chunk, sizeof(chunk))) > 0) {
		buf_add(&hook->said, chunk, (size_t)n);
		if (hook->said.len > (size_t)2 * OUTPUT_MAX) {
			memmove(hook->said.text, hook->said.text + hook->said.len - OUTPUT_MAX, OUTPUT_MAX + 1);
			hook->said.len = OUTPUT_MAX;
		}
	}
}

/* The last line that says something. */
static const char *
last_line(struct hook *hook)
{
	char *text = hook->said.text;

	if (!text)
		return "";
	while (hook->said.len > 0 && (unsigned char)text[hook->said.len - 1] <= ' ')
		text[--hook->said.len] = '\0';
	char *line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static void
close_hook(struct hook *hook)
{
	zmq_pollitem_t end = { .fd = hook->pidfd, .events = ZMQ_POLLIN };
	zmq_pollitem_t out = { .fd = hook->out, .events = ZMQ_POLLIN };

	zloop_poller_end(hook->hooks->turn.loop, &end);
	zloop_poller_end(hook->hooks->turn.loop, &out);
	(void)close(hook->pidfd);
	(void)close(hook->out);
	hook->pid = 0;
	hook->ended_ms = zclock_mono();
	hook->hooks->running--;
}

static void
tell(struct hook *hook, int status, const char *text)
{
	log_debug("hook %s: status %d: %s", hook->key, status, text);
	fleet_called(hook->hooks->fleet, hook->rollout, &hook->call, status, text, (uint64_t)zclock_time());
}

static int
on_end(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct hook *hook = arg;
	siginfo_t info = { 0 };

	(void)loop;
	(void)item;
	if (waitid(P_PIDFD, (id_t)hook->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
		return 0;
	read_output(hook);
	close_hook(hook);
	if (info.si_code == CLD_EXITED)
		tell(hook, info.si_status, last_line(hook));
	else
		tell(hook, NOT_RUN, "it took too long, or was killed");
	hook->hooks->turn.end(hook->hooks->turn.arg);
	return 0;
}

static int
on_output(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct hook *hook = arg;
	size_t before = hook->said.len;

	(void)item;
	read_output(hook);
	/* Closed by the program, which runs on: there is nothing more to be read. */
	zmq_pollitem_t out = { .fd = hook->out, .events = ZMQ_POLLIN };
	if (hook->said.len == before)
		zloop_poller_end(loop, &out);
	return 0;
}

/* --- start ------------------------------------------------------------------------------------------------------ */

static int
find_program(const struct hooks *hooks, const char *name, char **out, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", hooks->config->hooks, name);
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return err_set(err, -EACCES, "%s: not a program", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(err, -EPERM, "%s: others may change it, so it is not run", path);
	*out = steal(&path);
	return 0;
}

/* PATH and what the rollout is. */
static char **
environment_of(const Gdr__RolloutRecord *record)
{
	char **env = xcalloc(6, sizeof(*env));

	env[0] = xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env[1] = xstrdup("LC_ALL=C.UTF-8");
	env[2] = xasprintf("GDR_ROLLOUT=%s", record->plan->name);
	env[3] = xasprintf("GDR_PROFILE=%s", record->plan->profile);
	env[4] = xasprintf("GDR_REASON=%s", record->plan->reason ? record->plan->reason : "");
	return env;
}

/* In a process group of its own, with nothing of ours open and no signal blocked or ignored. */
static int
spawn(struct hook *hook, char *const argv[], char *const env[], struct err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	sigset_t all;
	int out[2];

	if (pipe2(out, O_CLOEXEC) != 0)
		return err_set(err, -errno, "pipe: %s", strerror(errno));
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&files, out[1], STDERR_FILENO);
	(void)posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr,
				       (short)(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
	int rc = posix_spawn(&hook->pid, argv[0], &files, &attr, argv, env);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)close(out[1]);
	hook->out = out[0];
	if (rc != 0) {
		(void)close(out[0]);
		hook->pid = 0;
		return err_set(err, -rc, "%s: %s", argv[0], strerror(rc));
	}
	return 0;
}

static int
start(struct hook *hook, const Gdr__RolloutRecord *record, const struct rollout_call *call, struct err *err)
{
	struct hooks *hooks = hook->hooks;
	auto_strv char **env = environment_of(record);
	auto_strv char **argv = xcalloc(WORDS_MAX + 2, sizeof(*argv));
	int rc = find_program(hooks, call->program, &argv[0], err);

	for (size_t i = 0; rc == 0 && i < call->n_words && i < WORDS_MAX; i++)
		argv[i + 1] = xstrdup(call->words[i]);
	if (rc == 0)
		rc = spawn(hook, argv, env, err);
	if (rc < 0)
		return rc;
	hook->pidfd = pidfd_open(hook->pid, 0);
	zmq_pollitem_t end = { .fd = hook->pidfd, .events = ZMQ_POLLIN };
	zmq_pollitem_t out = { .fd = hook->out, .events = ZMQ_POLLIN };
	(void)zloop_poller(hooks->turn.loop, &end, on_end, hook);
	(void)zloop_poller(hooks->turn.loop, &out, on_output, hook);
	hooks->running++;
	return 0;
}

static struct hook *
find_hook(struct hooks *hooks, const char *key)
{
	for (size_t i = 0; i < hooks->n; i++)
		if (strcmp(hooks->all[i]->key, key) == 0)
			return hooks->all[i];
	return NULL;
}

/* Draining and undraining a node exclude each other, for whichever rollout, so they have one key. */
static char *
key_of(const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	switch (call->kind) {
	case ROLLOUT_DRAIN:
	case ROLLOUT_UNDRAIN: return xasprintf("%s/%s", call->program, call->word[1]);
	case ROLLOUT_CHECK: return xasprintf("%s/check/%zu", record->plan->name, call->index);
	default: return xasprintf("%s/notify/%zu", record->plan->name, call->index);
	}
}

/* What was asked for this very thing is asked again only after a pause; anything else at once. */
static bool
is_too_early(const struct hook *hook, const struct rollout_call *call)
{
	return hook->pid || (hook->call.kind == call->kind && hook->call.of_ms == call->of_ms &&
			     zclock_mono() - hook->ended_ms < hook->hooks->config->hook_retry);
}

static void
run(void *arg, const Gdr__RolloutRecord *record, const struct rollout_call *call)
{
	struct hooks *hooks = arg;
	auto_free char *key = key_of(record, call);
	struct hook *hook = find_hook(hooks, key);
	struct err err = { 0 };

	if (hooks->running >= AT_ONCE || (hook && is_too_early(hook, call)))
		return;
	if (!hook) {
		hook = xcalloc(1, sizeof(*hook));
		*hook = (struct hook){ .hooks = hooks, .key = steal(&key) };
		hooks->all = xrealloc(hooks->all, hooks->n + 1, sizeof(struct hook *));
		hooks->all[hooks->n++] = hook;
	}
	buf_free(&hook->said);
	free(hook->rollout);
	hook->rollout = xstrdup(record->plan->name);
	hook->call = (struct rollout_call){ .kind = call->kind, .index = call->index, .of_ms = call->of_ms };
	hook->begun_ms = hook->ended_ms = zclock_mono();
	/* Not told at once: the list of what is wanted is being gone through. */
	if (start(hook, record, call, &err) < 0) {
		buf_puts(&hook->said, err.msg);
		return;
	}
	if (hooks->complaint)
		log_info("hooks start again; before: %s", hooks->complaint);
	free(steal(&hooks->complaint));
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

/* It is tried again and again, for every node that waits for it: once is enough. */
static void
complain(struct hooks *hooks, const char *why)
{
	if (hooks->complaint && strcmp(hooks->complaint, why) == 0)
		return;
	free(hooks->complaint);
	hooks->complaint = xstrdup(why);
	log_warn("%s", why);
}

/* Those that could not be started are answered like those that ended. */
static bool
tell_not_started(struct hooks *hooks)
{
	bool any = false;

	for (size_t i = 0; i < hooks->n; i++) {
		struct hook *hook = hooks->all[i];

		if (hook->pid || hook->ended_ms != hook->begun_ms || !hook->said.len)
			continue;
		auto_free char *why = xasprintf("rollout %s: %s", hook->rollout, last_line(hook));
		complain(hooks, why);
		tell(hook, NOT_RUN, last_line(hook));
		buf_free(&hook->said);
		any = true;
	}
	return any;
}

static void
forget_old(struct hooks *hooks)
{
	size_t n = 0;

	for (size_t i = 0; i < hooks->n; i++) {
		struct hook *hook = hooks->all[i];

		if (hook->pid || zclock_mono() - hook->ended_ms < hooks->config->hook_retry)
			hooks->all[n++] = hook;
		else
			hook_free(hook);
	}
	hooks->n = n;
}

void
hooks_tick(struct hooks *hooks)
{
	for (size_t i = 0; i < hooks->n; i++) {
		struct hook *hook = hooks->all[i];

		if (hook->pid && zclock_mono() - hook->begun_ms >= hooks->config->hook_timeout)
			(void)kill(-hook->pid, SIGKILL);
	}
	forget_old(hooks);
	fleet_calls(hooks->fleet, run, hooks);
	if (tell_not_started(hooks))
		hooks->turn.end(hooks->turn.arg);
}

struct hooks *
hooks_new(struct fleet *fleet, const Gdr__GdrdConfig *config, const struct turn *turn)
{
	struct hooks *hooks = xcalloc(1, sizeof(*hooks));

	*hooks = (struct hooks){ .fleet = fleet, .config = config, .turn = *turn };
	return hooks;
}

void
hooks_free(struct hooks *hooks)
{
	if (!hooks)
		return;
	for (size_t i = 0; i < hooks->n; i++) {
		struct hook *hook = hooks->all[i];

		if (hook->pid) {
			(void)kill(-hook->pid, SIGKILL);
			(void)waitpid(hook->pid, NULL, 0);
			close_hook(hook);
		}
		hook_free(hook);
	}
	free(hooks->all);
	free(hooks->complaint);
	free(hooks);
}
