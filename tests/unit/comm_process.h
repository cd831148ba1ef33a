#pragma once

/* comm_process.h - gdr-agent's comm in a process of its own: the test's program, started again with the settings'
 * file as its argument.  It can be killed, and what it logs is looked at.  Include after cmocka.h. */

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/comm.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "tests/unit/folder.h"

static char *folder;
static char *log_file;
static pid_t child = -1;

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
sleep_ms(int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)nanosleep(&ts, NULL);
}

static char *
in_folder(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static int
be_comm(const char *config)
{
	struct settings *settings = NULL;
	struct err err = { 0 };

	if (settings_load(&gdr_agent, config, NULL, &settings, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 9;
	}
	int rc = comm_run(settings);
	settings_free(settings);
	return rc;
}

static void
configure(const char *more)
{
	auto_free char *path = in_folder("agent.yaml");
	auto_free char *text = xasprintf("node: n1\nuser: root\nretry: 400ms\nstate: %s/state\ncomm_state: %s/comm\n%s",
					 folder, folder, more);

	folder_write(path, text, strlen(text));
}

static void
start(void)
{
	auto_free char *config = in_folder("agent.yaml");

	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600);

		(void)dup2(fd, STDERR_FILENO);
		(void)execl("/proc/self/exe", "test_comm", config, (char *)NULL);
		_exit(99);
	}
}

static int
end(int with)
{
	int status = 0;

	(void)kill(child, with);
	assert_int_equal(waitpid(child, &status, 0), child);
	child = -1;
	return status;
}

static bool
logged(const char *what)
{
	auto_free char *text = access(log_file, F_OK) == 0 ? folder_read(log_file, NULL) : xstrdup("");

	return strstr(text, what) != NULL;
}

static bool
logs(const char *what, int ms)
{
	for (int64_t until = now_ms() + ms; now_ms() < until; sleep_ms(20))
		if (logged(what))
			return true;
	return logged(what);
}
