/* host_run.c - external programs: found by name, run with a time-out, their output kept. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/machine/host.h"
#include "agent/machine/host_internal.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define BIN         "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OUTPUT_MAX  (1U << 20)
#define GRACE_MS    250  /* For output after the exit, which a grandchild may hold open for ever. */
#define REAP_MS     5000 /* For a killed program to die; one that hangs in the kernel is left behind. */
#define DEFAULT_MS  120000
#define SLICE_MIN   1
#define SLICE_MAX   50
#define STATUS_KILL (128 + SIGKILL)

/* --- finding ---------------------------------------------------------------------------------------- */

static bool
runnable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The path that agent.yaml gives the tool, or NULL. */
static const char *
configured(const struct host *host, const char *name)
{
	for (size_t i = 0; host->config && i < host->config->n_tools; i++) {
		const Gdr__AgentConfig__ToolsEntry *tool = host->config->tools[i];
		if (tool->key && strcmp(tool->key, name) == 0)
			return tool->value ? tool->value : "";
	}
	return NULL;
}

char *
host_tool(struct host *host, const char *name)
{
	const char *own = *name == '/' ? name : configured(host, name);

	if (own || !host->is_machine)
		return own && runnable(own) ? xstrdup(own) : NULL;
	for (const char *p = BIN; *p; p += strspn(p, ":")) {
		size_t len = strcspn(p, ":");
		auto_free char *path = xasprintf("%.*s/%s", (int)len, p, name);
		if (runnable(path))
			return steal(&path);
		p += len;
	}
	return NULL;
}

char *
host_library(struct host *host, const char *name)
{
	const char *own = configured(host, name);

	if (own)
		return xstrdup(own);
	return host->is_machine ? xstrdup(name) : NULL;
}

/* Others than root and us can neither own nor change what runs as root. */
static bool
trusted(const char *path)
{
	struct stat st;

	return runnable(path) && stat(path, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

char **
host_programs(struct host *host, const char *folder)
{
	auto_free char *pattern = xasprintf("%s/*", folder);
	char **found = xcalloc(1, sizeof(*found));
	size_t n = 0;
	glob_t all;

	(void)host;
	if (glob(pattern, 0, NULL, &all) != 0)
		return found;
	for (size_t i = 0; i < all.gl_pathc; i++) {
		if (!trusted(all.gl_pathv[i]))
			continue;
		found = xrealloc(found, n + 2, sizeof(*found));
		found[n++] = xstrdup(all.gl_pathv[i]);
		found[n] = NULL;
	}
	globfree(&all);
	return found;
}

/* --- running ------------------------------------------------------------------------------------------- */

struct stream {
	int fd; /* -1: closed. */
	char *text;
	size_t len;
};

struct child {
	pid_t pid;
	struct stream streams[2]; /* stdout, stderr */
	bool exited;
	int status;
};

static void
stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

/* Takes what is there; beyond OUTPUT_MAX it is read and dropped, so that the program does not block. */
static void
stream_read(struct stream *stream)
{
	char chunk[65536];

	for (int i = 0; i < 16 && stream->fd >= 0; i++) {
		ssize_t n = read(stream->fd, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			stream_close(stream);
			return;
		}
		size_t room = OUTPUT_MAX - stream->len;
		size_t take = (size_t)n < room ? (size_t)n : room;
		memcpy(stream->text + stream->len, chunk, take);
		stream->len += take;
	}
}

static int
stream_open(struct stream *stream, int *write_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	stream->fd = fds[0];
	*write_end = fds[1];
	stream->text = xcalloc(OUTPUT_MAX + 1, 1);
	return fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static void
child_free(struct child *child)
{
	for (int i = 0; i < 2; i++) {
		stream_close(&child->streams[i]);
		free(child->streams[i].text);
	}
}

static int
spawn(const struct host *host, const char *path, const char *const argv[], int out, int err, pid_t *pid)
{
	auto_free char *root = xasprintf("GDR_ROOT=%s", host->root);
	char bin[] = "PATH=" BIN;
	char locale[] = "LC_ALL=C";
	char *env[] = { bin, locale, root, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	sigset_t all;
	char *const *args;

	memcpy(&args, &argv, sizeof(args)); /* posix_spawn(3) does not change them; its type cannot say so. */
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&files, out, 1);
	(void)posix_spawn_file_actions_adddup2(&files, err, 2);
	(void)posix_spawn_file_actions_addclosefrom_np(&files, 3);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int rc = posix_spawn(pid, path, &files, &attr, args, env);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return -rc;
}

static int
child_start(const struct host *host, const char *path, const char *const argv[], struct child *child)
{
	auto_close int out = -1;
	auto_close int err = -1;
	int rc = stream_open(&child->streams[0], &out);

	if (rc == 0)
		rc = stream_open(&child->streams[1], &err);
	if (rc == 0)
		rc = spawn(host, path, argv, out, err, &child->pid);
	return rc;
}

static int
write_whole(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* In the new process.  _exit(): nothing of the parent's is flushed, freed or unlinked twice. */
static _Noreturn void
work_apart(int (*work)(void *arg, struct buf *out), void *arg, int fd)
{
	struct buf text = { 0 };
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)setpgid(0, 0);
	int rc = work(arg, &text);
	if (text.len && write_whole(fd, text.text, text.len) < 0)
		rc = -EPIPE;
	_exit(rc < 0 && rc >= -UCHAR_MAX ? -rc : rc ? EIO : 0);
}

static int
child_fork(int (*work)(void *arg, struct buf *out), void *arg, struct child *child)
{
	auto_close int out = -1;
	int rc = stream_open(&child->streams[0], &out);

	if (rc < 0)
		return rc;
	child->pid = fork();
	if (child->pid == 0)
		work_apart(work, arg, out);
	return child->pid < 0 ? -errno : 0;
}

static void
child_poll(struct child *child, int ms)
{
	struct pollfd fds[2] = {
		{ .fd = child->streams[0].fd, .events = POLLIN },
		{ .fd = child->streams[1].fd, .events = POLLIN },
	};
	int status = 0;

	(void)poll(fds, 2, ms);
	for (int i = 0; i < 2; i++)
		if (fds[i].revents)
			stream_read(&child->streams[i]);
	if (!child->exited && waitpid(child->pid, &status, WNOHANG) == child->pid) {
		child->exited = true;
		child->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/* True before 'deadline' with the program gone and all it wrote read, or nearly. */
static bool
child_wait(struct child *child, long long deadline)
{
	int slice = SLICE_MIN;
	long long grace = 0;

	for (;;) {
		long long now = clock_ms();
		bool open = child->streams[0].fd >= 0 || child->streams[1].fd >= 0;

		if (child->exited && !grace)
			grace = now + GRACE_MS;
		if (child->exited && (!open || now >= grace))
			return true;
		if (!child->exited && now >= deadline)
			return false;
		child_poll(child, slice);
		slice = slice < SLICE_MAX ? slice * 2 : SLICE_MAX;
	}
}

static unsigned
timeout_of(const struct host *host, unsigned asked)
{
	if (asked)
		return asked;
	return host->config && host->config->tool_timeout ? host->config->tool_timeout : DEFAULT_MS;
}

int
host_run(struct host *host, const char *const argv[], unsigned timeout_ms, struct host_result *out, struct err *err)
{
	auto_free char *path = host_tool(host, argv[0]);
	struct child child = { .streams = { { .fd = -1 }, { .fd = -1 } } };

	*out = (struct host_result){ 0 };
	if (!path)
		return err_set(err, -ENOENT, "no program %s on this host", argv[0]);
	int rc = child_start(host, path, argv, &child);
	if (rc < 0) {
		child_free(&child);
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	}
	out->timed_out = !child_wait(&child, clock_ms() + timeout_of(host, timeout_ms));
	if (out->timed_out) {
		(void)kill(-child.pid, SIGKILL);
		(void)child_wait(&child, clock_ms() + REAP_MS);
	}
	out->status = child.exited ? child.status : STATUS_KILL;
	out->out = xstrdup(child.streams[0].text);
	out->err = xstrdup(child.streams[1].text);
	child_free(&child);
	return 0;
}

int
host_apart(struct host *host, int (*work)(void *arg, struct buf *out), void *arg, unsigned timeout_ms, char **out,
	   size_t *len, struct err *err)
{
	struct child child = { .streams = { { .fd = -1 }, { .fd = -1 } } };
	int rc = child_fork(work, arg, &child);

	*out = NULL;
	if (rc < 0) {
		child_free(&child);
		return err_set(err, rc, "fork: %s", strerror(-rc));
	}
	if (!child_wait(&child, clock_ms() + timeout_of(host, timeout_ms))) {
		(void)kill(-child.pid, SIGKILL);
		(void)kill(child.pid, SIGKILL); /* It may not have come to setpgid(). */
		(void)child_wait(&child, clock_ms() + REAP_MS);
		rc = err_set(err, -ETIMEDOUT, "no answer within %u ms", timeout_of(host, timeout_ms));
	} else if (child.status > 128) {
		rc = err_set(err, -EIO, "crashed with signal %d", child.status - 128);
	} else {
		rc = -child.status;
	}
	if (len)
		*len = child.streams[0].len;
	*out = steal(&child.streams[0].text);
	child_free(&child);
	return rc;
}

int
host_scratch(struct host *host, char **path, struct err *err)
{
	int fd = memfd_create("gdr-scratch", MFD_CLOEXEC);

	(void)host;
	if (fd < 0)
		return err_set(err, -errno, "memfd_create: %s", strerror(errno));
	*path = xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
	return fd;
}

void
host_result_free(struct host_result *result)
{
	free(result->out);
	free(result->err);
	*result = (struct host_result){ 0 };
}

/* The last line of 'text' that is not blank; '*len' is 0 if there is none. */
static const char *
last_line(const char *text, int *len)
{
	size_t end = strlen(text);

	while (end > 0 && strchr(" \t\r\n", text[end - 1]))
		end--;
	size_t start = end;
	while (start > 0 && text[start - 1] != '\n')
		start--;
	*len = (int)(end - start);
	return text + start;
}

int
host_do(struct host *host, const char *const argv[], struct err *err)
{
	struct host_result result = { 0 };
	int rc = host_run(host, argv, 0, &result, err);
	int len;

	if (!result.out || !result.err)
		return rc;
	const char *said = last_line(result.err, &len);
	if (!len)
		said = last_line(result.out, &len);
	if (result.timed_out)
		rc = err_set(err, -ETIMEDOUT, "%s: killed after %u ms", argv[0], timeout_of(host, 0));
	else if (result.status != 0)
		rc = err_set(err, -EIO, "%s: exit status %d%s%.*s", argv[0], result.status, len ? ": " : "", len, said);
	host_result_free(&result);
	return rc;
}
