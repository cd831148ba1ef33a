/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "common/mem.h"
#include "controller/zap.h"
#include "tests/unit/sockets.h"

static struct keypair server_key;
static struct keypair client_key;
static struct keypair other_key;
static struct zap *zap;
static struct wire *server;
static struct err why;

static int
make(void **state)
{
	(void)state;
	keys_generate(&server_key);
	keys_generate(&client_key);
	keys_generate(&other_key);
	if (zap_open(10, &zap, &why) < 0)
		return -1;
	zap_allow(zap, ZAP_AGENTS, client_key.public_key);
	zap_allow(zap, ZAP_AGENTS, other_key.public_key);
	return wire_listen("tcp://127.0.0.1:*", &server_key, "agents", &server, &why);
}

static int
unmake(void **state)
{
	(void)state;
	wire_close(server);
	zap_close(zap);
	return 0;
}

static struct wire *
connected(const struct keypair *self)
{
	struct wire *client = sockets_connect(wire_endpoint(server), server_key.public_key, self);

	assert_true(sockets_reach(client, WIRE_UP));
	return client;
}

static void
arrives(struct wire *wire, const char *want, struct wire_frame *frame)
{
	assert_true(sockets_recv(wire, frame));
	assert_int_equal(frame->len, strlen(want));
	assert_memory_equal(frame->data, want, frame->len);
}

static void
frames_go_both_ways(void **state)
{
	struct wire *client = connected(&client_key);
	struct wire *other = connected(&other_key);
	struct wire_frame frame;
	char port[8];

	(void)state;
	assert_true(sscanf(wire_endpoint(server), "tcp://127.0.0.1:%7[0-9]", port) == 1);
	assert_string_not_equal(port, "0");
	sockets_send(client, "hello", 5);
	arrives(server, "hello", &frame);
	assert_string_equal(frame.peer.key, client_key.public_key);
	assert_string_equal(frame.peer.address, "127.0.0.1");
	assert_true(frame.peer.fd >= 0);
	assert_true(frame.peer.id_len > 0);
	struct wire_peer peer = frame.peer;
	sockets_send(other, "", 0);
	arrives(server, "", &frame);
	assert_string_equal(frame.peer.key, other_key.public_key);
	assert_int_equal(wire_send(server, &peer, "to client", 9), 0);
	assert_int_equal(wire_send(server, &frame.peer, "to other", 8), 0);
	arrives(client, "to client", &frame);
	arrives(other, "to other", &frame);
	assert_int_equal(wire_recv(client, &frame), 0);
	assert_int_equal(wire_recv(server, &frame), 0);
	assert_int_equal(wire_wait(client, 20, &frame), 0);
	assert_int_equal(wire_dropped(server), 0);
	wire_close(client);
	wire_close(other);
}

static void
who_is_gone_cannot_be_reached(void **state)
{
	struct wire *client = connected(&client_key);
	struct wire_frame frame;
	struct wire_peer peer = { .id = { 0, 9, 9, 9, 9 }, .id_len = 5 };
	int64_t end = zclock_mono() + SOCKETS_MS;

	(void)state;
	assert_int_equal(wire_send(server, &peer, "x", 1), -EHOSTUNREACH);
	sockets_send(client, "hello", 5);
	arrives(server, "hello", &frame);
	peer = frame.peer;
	wire_close(client);
	while (wire_send(server, &peer, "x", 1) == 0 && zclock_mono() < end)
		zclock_sleep(5);
	assert_int_equal(wire_send(server, &peer, "x", 1), -EHOSTUNREACH);
}

/* The largest there may be arrives; one byte more cuts this connection, and no other. */
static void
a_frame_too_large_cuts_its_own_connection(void **state)
{
	struct wire *client = connected(&client_key);
	struct wire *other = connected(&other_key);
	auto_free uint8_t *data = xcalloc(1, WIRE_MAX + 2);
	struct wire_frame frame;

	(void)state;
	sockets_send(client, data, WIRE_MAX);
	assert_true(sockets_recv(server, &frame));
	assert_int_equal(frame.len, WIRE_MAX);
	assert_int_equal(wire_send(client, NULL, data, WIRE_MAX + 1), -EMSGSIZE);

	/* wire_send() would not do it; a hostile client does. */
	assert_int_equal(zmq_send(wire_socket(client), data, WIRE_MAX + 1, 0), WIRE_MAX + 1);
	assert_true(sockets_reach(client, WIRE_DOWN) || wire_state(client) == WIRE_UP);
	sockets_send(other, "still here", 10);
	arrives(server, "still here", &frame);
	assert_string_equal(frame.peer.key, other_key.public_key);
	/* It may come back, and has said nothing meanwhile. */
	assert_true(sockets_reach(client, WIRE_UP));
	sockets_send(client, "back", 4);
	arrives(server, "back", &frame);
	assert_string_equal(frame.peer.key, client_key.public_key);
	/* An answer may be larger than a request. */
	assert_int_equal(wire_send(server, &frame.peer, data, WIRE_MAX + 2), 0);
	assert_true(sockets_recv(client, &frame));
	assert_int_equal(frame.len, WIRE_MAX + 2);
	wire_close(client);
	wire_close(other);
}

static void
messages_in_parts_are_dropped_and_counted(void **state)
{
	struct wire *client = connected(&client_key);
	struct wire_frame frame;

	(void)state;
	for (int parts = 2; parts < 6; parts++)
		for (int i = 1; i <= parts; i++)
			assert_int_equal(zmq_send(wire_socket(client), "part", 4, i < parts ? ZMQ_SNDMORE : 0), 4);
	sockets_send(client, "whole", 5);
	arrives(server, "whole", &frame);
	assert_int_equal(wire_dropped(server), 4);
	assert_int_equal(wire_recv(server, &frame), 0);
	wire_close(client);
}

/* A peer may choose its own routing id; one that is longer than libzmq's own are is not served. */
static void
a_long_routing_id_is_dropped(void **state)
{
	void *client = zmq_socket(wire_context(), ZMQ_DEALER);
	struct wire *other = connected(&other_key);
	struct wire_frame frame;
	static const char id[] = "a routing id of many bytes";
	int zero = 0;
	int64_t end = zclock_mono() + SOCKETS_MS;

	(void)state;
	assert_int_equal(zmq_setsockopt(client, ZMQ_ROUTING_ID, id, sizeof(id)), 0);
	(void)zmq_setsockopt(client, ZMQ_LINGER, &zero, sizeof(zero));
	(void)zmq_setsockopt(client, ZMQ_CURVE_SERVERKEY, server_key.public_key, KEY_LEN + 1);
	(void)zmq_setsockopt(client, ZMQ_CURVE_PUBLICKEY, client_key.public_key, KEY_LEN + 1);
	(void)zmq_setsockopt(client, ZMQ_CURVE_SECRETKEY, client_key.secret_key, KEY_LEN + 1);
	assert_int_equal(zmq_connect(client, wire_endpoint(server)), 0);
	assert_int_equal(zmq_send(client, "hello", 5, 0), 5);
	while (wire_dropped(server) == 0 && zclock_mono() < end)
		assert_int_equal(wire_wait(server, 10, &frame), 0);
	assert_int_equal(wire_dropped(server), 1);
	sockets_send(other, "hello", 5);
	arrives(server, "hello", &frame);
	(void)zmq_close(client);
	wire_close(other);
}

static void
a_cut_ends_one_link(void **state)
{
	struct wire *client = connected(&client_key);
	struct wire *other = connected(&other_key);
	struct wire_frame frame;
	const struct wire_frame none = { .peer = { .fd = -1 } };

	(void)state;
	wire_cut(&none.peer);
	sockets_send(client, "hello", 5);
	arrives(server, "hello", &frame);
	struct wire_peer peer = frame.peer;
	zap_deny(zap, ZAP_AGENTS, client_key.public_key);
	wire_cut(&frame.peer);
	assert_true(sockets_reach(client, WIRE_REFUSED)); /* It comes back by itself, and is no longer let in. */
	assert_int_equal(wire_send(server, &peer, "x", 1), -EHOSTUNREACH);
	sockets_send(other, "hello", 5);
	arrives(server, "hello", &frame);
	wire_close(client);
	wire_close(other);
}

/* Where nobody listens: a port that was just given back. */
static char *
free_endpoint(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return xasprintf("tcp://127.0.0.1:%u", ntohs(address.sin_port));
}

static void
states_of_a_connection(void **state)
{
	struct keypair stranger;
	struct wire *client;
	struct wire *listener = NULL;
	auto_free char *endpoint = xstrdup(wire_endpoint(server));

	(void)state;
	keys_generate(&stranger);
	client = sockets_connect(endpoint, server_key.public_key, &stranger);
	assert_true(sockets_reach(client, WIRE_REFUSED));
	assert_true(wire_refused(client));
	assert_true(sockets_stay(client, WIRE_REFUSED, 300));
	wire_close(client);

	/* It pins another key than the server has. */
	client = sockets_connect(endpoint, stranger.public_key, &client_key);
	assert_true(sockets_reach(client, WIRE_MUTE));
	assert_true(sockets_stay(client, WIRE_MUTE, 500));
	assert_false(wire_refused(client));
	wire_close(client);

	/* Nobody listens, and then somebody does, and goes again. */
	free(endpoint);
	endpoint = free_endpoint();
	client = sockets_connect(endpoint, server_key.public_key, &client_key);
	assert_true(sockets_stay(client, WIRE_DOWN, 300));
	assert_int_equal(wire_send(client, NULL, "x", 1), -EAGAIN);
	int rc;
	int64_t end = zclock_mono() + SOCKETS_MS;
	do
		rc = wire_listen(endpoint, &server_key, "agents", &listener, &why);
	while (rc == -EADDRINUSE && zclock_mono() < end);
	assert_int_equal(rc, 0);
	assert_true(sockets_reach(client, WIRE_UP));
	wire_close(listener);
	assert_true(sockets_reach(client, WIRE_DOWN));
	wire_close(client);
	wire_close(NULL);
}

static void
what_cannot_be_opened_says_why(void **state)
{
	struct wire *wire = NULL;
	auto_free char *taken = xasprintf("%s: the port is taken", wire_endpoint(server));

	(void)state;
	assert_int_equal(wire_listen(wire_endpoint(server), &server_key, "agents", &wire, &why), -EADDRINUSE);
	assert_true(strncmp(why.msg, taken, strlen(taken)) == 0);
	assert_true(wire_listen("tcp://127.0.0.1", &server_key, "agents", &wire, &why) < 0);
	assert_true(strncmp(why.msg, "tcp://127.0.0.1: ", 17) == 0);
	assert_true(wire_listen("nonsense", &server_key, "agents", &wire, &why) < 0);
	assert_true(wire_connect("nonsense", server_key.public_key, &client_key, 100, &wire, &why) < 0);
	assert_true(strncmp(why.msg, "nonsense: ", 10) == 0);
	assert_int_equal(wire_connect("tcp://127.0.0.1:1", "short", &client_key, 100, &wire, &why), -EINVAL);
	assert_null(wire);
}

static int
interval_of_a_new_process(void)
{
	int fds[2];
	int interval = 0;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct wire *wire = NULL;
		struct err err;
		size_t len = sizeof(interval);

		if (wire_connect("tcp://127.0.0.1:1", server_key.public_key, &client_key, 60000, &wire, &err) == 0)
			(void)zmq_getsockopt(wire_socket(wire), ZMQ_RECONNECT_IVL, &interval, &len);
		(void)!write(fds[1], &interval, sizeof(interval));
		_exit(0);
	}
	assert_int_equal(read(fds[0], &interval, sizeof(interval)), sizeof(interval));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return interval;
}

/* Before anything of ZeroMQ runs here: a fork of it is of no use. */
static void
agents_come_back_at_different_times(void **state)
{
	int first = interval_of_a_new_process();
	bool differ = false;

	(void)state;
	assert_in_range(first, 1, 60000);
	for (int i = 0; i < 6; i++)
		differ = interval_of_a_new_process() != first || differ;
	assert_true(differ);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents_come_back_at_different_times),
		TEST(frames_go_both_ways),
		TEST(who_is_gone_cannot_be_reached),
		TEST(a_frame_too_large_cuts_its_own_connection),
		TEST(messages_in_parts_are_dropped_and_counted),
		TEST(a_long_routing_id_is_dropped),
		TEST(a_cut_ends_one_link),
		TEST(states_of_a_connection),
		TEST(what_cannot_be_opened_says_why),
	};

	keys_generate(&server_key);
	keys_generate(&client_key);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
