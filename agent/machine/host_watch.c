/* host_watch.c - news from a library that must not be in this process: a child that has it, and a pipe. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

/* What a new process would be: no signal of ours is blocked or handled, and it does not outlive us. */
static void
settle_in(pid_t parent)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0 in the child; in the parent its pid, and '*fd' is where it is heard.  Negative errno. */
static pid_t
start_child(int *fd, int *write_end)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		settle_in(parent);
		(void)close(fds[0]);
		*write_end = fds[1];
		return 0;
	}
	int rc = errno;
	(void)close(fds[1]);
	*fd = fds[0];
	if (pid > 0)
		return pid;
	(void)close(fds[0]);
	*fd = -1;
	return -rc;
}

static void
end_child(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

int
host_watch(host_watcher *work, void *arg, struct host_watch *out, struct err *err)
{
	int write_end = -1;
	pid_t pid = start_child(&out->fd, &write_end);

	if (pid == 0) {
		work(arg, write_end);
		_exit(0);
	}
	if (pid < 0)
		return err_set(err, pid, "fork: %s", strerror(-pid));
	(void)fcntl(out->fd, F_SETFL, O_NONBLOCK);
	out->pid = pid;
	return 0;
}

void
host_unwatch(struct host_watch *watch)
{
	if (!watch->pid)
		return;
	end_child(watch->pid);
	(void)close(watch->fd);
	*watch = (struct host_watch){ .fd = -1 };
}
