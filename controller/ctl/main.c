/* main.c - gdrctl: the world that ctl_run() works in. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "controller/ctl/ctl.h"
#include "controller/ctl/link.h"

static int
call(void *arg, const Gdr__Request *request, uint64_t timeout_ms, Gdr__Response **out, struct err *err)
{
	return link_call(arg, request, timeout_ms, out, err);
}

static uint64_t
clock_ms(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t
wall_ms(void *arg)
{
	(void)arg;
	return clock_ms(CLOCK_REALTIME);
}

static uint64_t
mono_ms(void *arg)
{
	(void)arg;
	return clock_ms(CLOCK_MONOTONIC);
}

static bool
pause_ms(void *arg, uint64_t ms)
{
	struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)arg;
	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		continue;
	return true;
}

/* A socket must not get the number of a standard stream that was closed. */
static bool
streams_are_open(void)
{
	if (fcntl(STDIN_FILENO, F_GETFD) < 0 && !freopen("/dev/null", "r", stdin))
		return false;
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 &&
	    !freopen("/dev/null", "w", stderr))
		return false;
	return fcntl(STDOUT_FILENO, F_GETFD) >= 0;
}

int
main(int argc, char **argv)
{
	static const struct ctl_ops ops = { call, wall_ms, mono_ms, pause_ms };
	struct ctl ctl = { .ops = &ops, .in = stdin, .out = stdout, .diag = stderr };

	if (!streams_are_open()) {
		(void)fputs("gdrctl: standard output is closed\n", stderr);
		return CTL_ERROR;
	}
	if (sodium_init() < 0) {
		(void)fputs("gdrctl: no random numbers from the kernel\n", stderr);
		return CTL_ERROR;
	}
	(void)signal(SIGPIPE, SIG_DFL); /* A reader that goes away ends us without a word: `gdrctl node list | head`. */
	tzset();
	ctl.in_tty = isatty(STDIN_FILENO) == 1;
	ctl.out_tty = isatty(STDOUT_FILENO) == 1;
	ctl.diag_tty = isatty(STDERR_FILENO) == 1;

	struct link *link = link_new(&ctl);
	ctl.arg = link;
	int rc = ctl_run(&ctl, argc, (const char *const *)argv);
	link_free(link);
	return rc;
}
