/* Links: agent */
/* test_netlink_watch.c - the kernel tells of interfaces: in a network namespace of the test's own. */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/machine/host.h"
#include "agent/machine/netlink.h"
#include "common/err.h"
#include "common/mem.h"

static bool
is_readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 200) == 1;
}

static void
what_changes_is_told_once(void **state)
{
	struct host *host = host_open("/", NULL);
	auto_free struct link *links = NULL;
	struct err err = { 0 };
	size_t n = 0;
	int fd;

	(void)state;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 && unshare(CLONE_NEWNET) != 0) {
		host_free(host);
		skip(); /* Not allowed here. */
	}
	assert_int_equal(netlink_links(host, &links, &n, &err), 0);
	assert_int_equal(n, 1); /* The loopback interface, down. */
	assert_false(links[0].up);
	fd = netlink_watch(host);
	assert_true(fd >= 0);
	assert_false(is_readable(fd));
	assert_int_equal(netlink_set_up(host, links[0].index, &err), 0);
	assert_true(is_readable(fd));
	netlink_watched(fd);
	assert_false(is_readable(fd));
	(void)close(fd);
	host_free(host);
}

static void
a_folder_tells_nothing(void **state)
{
	struct host *host = host_open("/var/empty-is-no-machine", NULL);

	(void)state;
	assert_int_equal(netlink_watch(host), -1);
	netlink_watched(-1);
	host_free(host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_tells_nothing),
		cmocka_unit_test(what_changes_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
