/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/machine/host.h"
#include "common/err.h"

#define PATIENCE_MS 20000

/* What the child writes next; '\0': it has closed its end. */
static char
heard(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	char byte = '\0';

	assert_int_equal(poll(&poller, 1, PATIENCE_MS), 1);
	assert_in_range(read(fd, &byte, 1), 0, 1);
	return byte;
}

static struct host_watch
watch(host_watcher *work, void *arg)
{
	struct host_watch out = { .fd = -1 };
	struct err err = { 0 };

	if (host_watch(work, arg, &out, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(out.pid > 0 && out.fd >= 0);
	return out;
}

static void
say_twice(void *arg, int fd)
{
	const char *words = arg;

	(void)!write(fd, words, 2);
}

static void
say_and_stay(void *arg, int fd)
{
	(void)arg;
	(void)!write(fd, "s", 1);
	for (;;)
		(void)pause();
}

static void
what_it_writes_is_heard_and_that_it_ended(void **state)
{
	char words[] = "ab";
	struct host_watch it = watch(say_twice, words);

	(void)state;
	assert_int_equal(heard(it.fd), 'a');
	assert_int_equal(heard(it.fd), 'b');
	assert_int_equal(heard(it.fd), '\0');
	host_unwatch(&it);
}

static void
silence_does_not_block(void **state)
{
	struct host_watch it = watch(say_and_stay, NULL);
	char byte;

	(void)state;
	assert_int_equal(heard(it.fd), 's');
	assert_int_equal(read(it.fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	host_unwatch(&it);
}

static void
it_is_gone_when_nobody_watches(void **state)
{
	struct host_watch it = watch(say_and_stay, NULL);
	pid_t pid = it.pid;

	(void)state;
	assert_int_equal(heard(it.fd), 's');
	host_unwatch(&it);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(it.fd, -1);
	host_unwatch(&it); /* Nothing to end any more. */
}

/* --- what it inherits ---------------------------------------------------------------------------------- */

static void
no_handler(int signo)
{
	(void)signo;
}

static void
say_signals(void *arg, int fd)
{
	sigset_t blocked;
	struct sigaction term;

	(void)arg;
	(void)sigprocmask(SIG_SETMASK, NULL, &blocked);
	(void)sigaction(SIGTERM, NULL, &term);
	(void)!write(fd, sigismember(&blocked, SIGINT) ? "b" : "-", 1);
	(void)!write(fd, term.sa_handler == SIG_DFL ? "d" : "-", 1);
}

static void
signals_are_those_of_a_new_process(void **state)
{
	sigset_t mine;
	sigset_t before;

	(void)state;
	(void)sigemptyset(&mine);
	(void)sigaddset(&mine, SIGINT);
	assert_int_equal(sigprocmask(SIG_BLOCK, &mine, &before), 0);
	(void)signal(SIGTERM, no_handler);
	struct host_watch it = watch(say_signals, NULL);
	assert_int_equal(heard(it.fd), '-');
	assert_int_equal(heard(it.fd), 'd');
	host_unwatch(&it);
	(void)signal(SIGTERM, SIG_DFL);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

/* The pipe's other end is held by the child of a process that has crashed. */
static void
it_does_not_outlive_who_watches(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid_t parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		struct host_watch it = { .fd = -1 };
		struct err err;
		char byte;

		(void)close(fds[0]);
		if (host_watch(say_and_stay, NULL, &it, &err) == 0)
			while (read(it.fd, &byte, 1) != 1)
				continue;
		(void)!write(fds[1], "p", 1);
		(void)kill(getpid(), SIGKILL);
	}
	(void)close(fds[1]);
	assert_int_equal(heard(fds[0]), 'p');
	assert_int_equal(heard(fds[0]), '\0');
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	(void)close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_writes_is_heard_and_that_it_ended),
		cmocka_unit_test(silence_does_not_block),
		cmocka_unit_test(it_is_gone_when_nobody_watches),
		cmocka_unit_test(signals_are_those_of_a_new_process),
		cmocka_unit_test(it_does_not_outlive_who_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
