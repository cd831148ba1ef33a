/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "controller/zap.h"
#include "tests/unit/sockets.h"

#define MAX_PENDING 3

static struct keypair server_key;
static struct zap *zap;
static struct wire *listeners[ZAP_DOMAINS];
static struct err why;

static int
listen_all(void)
{
	for (int d = 0; d < ZAP_DOMAINS; d++)
		if (wire_listen("tcp://127.0.0.1:*", &server_key, zap_domain_name(d), &listeners[d], &why) < 0)
			return -1;
	return 0;
}

static int
make(void **state)
{
	(void)state;
	keys_generate(&server_key);
	return zap_open(MAX_PENDING, &zap, &why) == 0 ? listen_all() : -1;
}

static int
unmake(void **state)
{
	(void)state;
	for (int d = 0; d < ZAP_DOMAINS; d++)
		wire_close(listeners[d]);
	zap_close(zap);
	zap = NULL;
	return 0;
}

static int
make_without(void **state)
{
	(void)state;
	keys_generate(&server_key);
	return listen_all();
}

static bool
gets_in(enum zap_domain domain, const struct keypair *key)
{
	struct wire *client = sockets_connect(wire_endpoint(listeners[domain]), server_key.public_key, key);
	struct wire_frame frame;
	int64_t end = zclock_mono() + SOCKETS_MS;
	bool in = false;

	while (wire_state(client) != WIRE_UP && wire_state(client) != WIRE_REFUSED && zclock_mono() < end)
		(void)wire_wait(client, 10, &frame);
	if (wire_state(client) == WIRE_UP) {
		sockets_send(client, "x", 1);
		in = sockets_recv(listeners[domain], &frame);
		assert_string_equal(frame.peer.key, key->public_key);
	} else {
		assert_true(wire_state(client) == WIRE_REFUSED);
	}
	wire_close(client);
	return in;
}

static void
only_who_is_known_gets_in(void **state)
{
	struct keypair known;
	struct keypair stranger;

	(void)state;
	keys_generate(&known);
	keys_generate(&stranger);
	assert_false(gets_in(ZAP_AGENTS, &known));
	zap_allow(zap, ZAP_AGENTS, known.public_key);
	assert_true(gets_in(ZAP_AGENTS, &known));
	assert_false(gets_in(ZAP_AGENTS, &stranger));
	zap_deny(zap, ZAP_AGENTS, known.public_key);
	assert_false(gets_in(ZAP_AGENTS, &known));
	struct zap_counts counts = zap_counts(zap);
	assert_int_equal(counts.admitted, 1);
	assert_int_equal(counts.refused, 3);
	assert_int_equal(counts.malformed, 0);
}

static void
each_door_has_its_own_keys(void **state)
{
	struct keypair keys[ZAP_DOMAINS];

	(void)state;
	for (int d = 0; d < ZAP_DOMAINS; d++) {
		keys_generate(&keys[d]);
		zap_allow(zap, (enum zap_domain)d, keys[d].public_key);
	}
	for (int d = 0; d < ZAP_DOMAINS; d++)
		for (int k = 0; k < ZAP_DOMAINS; k++)
			assert_int_equal(gets_in((enum zap_domain)d, &keys[k]), d == k);
	/* To be denied at one door says nothing of another. */
	zap_allow(zap, ZAP_OPERATORS, keys[ZAP_AGENTS].public_key);
	zap_deny(zap, ZAP_AGENTS, keys[ZAP_AGENTS].public_key);
	assert_true(gets_in(ZAP_OPERATORS, &keys[ZAP_AGENTS]));
	assert_false(gets_in(ZAP_AGENTS, &keys[ZAP_AGENTS]));
}

static void
stays_out(enum zap_domain domain, const struct keypair *key)
{
	struct wire *client = sockets_connect(wire_endpoint(listeners[domain]), server_key.public_key, key);
	struct wire_frame frame;
	int64_t end = zclock_mono() + 400;

	while (zclock_mono() < end) {
		assert_true(wire_state(client) != WIRE_UP);
		assert_int_equal(wire_wait(listeners[domain], 10, &frame), 0);
		(void)wire_send(client, NULL, "x", 1);
	}
	wire_close(client);
}

static void
nobody_gets_in_without_a_handler(void **state)
{
	struct keypair key;

	(void)state;
	keys_generate(&key);
	for (int d = 0; d < ZAP_DOMAINS; d++)
		stays_out((enum zap_domain)d, &key);
	assert_int_equal(zap_open(MAX_PENDING, &zap, &why), 0);
	zap_allow(zap, ZAP_AGENTS, key.public_key);
	assert_true(gets_in(ZAP_AGENTS, &key));
	zap_close(zap);
	zap = NULL;
	stays_out(ZAP_AGENTS, &key);
	/* And another one may follow. */
	assert_int_equal(zap_open(MAX_PENDING, &zap, &why), 0);
	assert_false(gets_in(ZAP_AGENTS, &key));
}

/* Plain and NULL clients speak another mechanism than the listener. */
static void
without_curve_there_is_no_way_in(void **state)
{
	struct wire_frame frame;

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		void *client = zmq_socket(wire_context(), ZMQ_DEALER);
		int zero = 0;

		(void)zmq_setsockopt(client, ZMQ_LINGER, &zero, sizeof(zero));
		if (plain) {
			(void)zmq_setsockopt(client, ZMQ_PLAIN_USERNAME, "admin", 5);
			(void)zmq_setsockopt(client, ZMQ_PLAIN_PASSWORD, "admin", 5);
		}
		assert_int_equal(zmq_connect(client, wire_endpoint(listeners[ZAP_AGENTS])), 0);
		(void)zmq_send(client, "x", 1, ZMQ_DONTWAIT);
		assert_int_equal(wire_wait(listeners[ZAP_AGENTS], 300, &frame), 0);
		(void)zmq_close(client);
	}
}

static void
one_handler_a_process(void **state)
{
	struct zap *second = NULL;
	struct keypair key;

	(void)state;
	keys_generate(&key);
	assert_int_equal(zap_open(MAX_PENDING, &second, &why), -EADDRINUSE);
	assert_null(second);
	zap_allow(zap, ZAP_AGENTS, key.public_key);
	assert_true(gets_in(ZAP_AGENTS, &key)); /* The first one goes on. */
	zap_close(NULL);
}

static size_t
pending_tries(const char *key)
{
	struct zap_pending *all;
	size_t n = zap_pending(zap, &all);
	size_t tries = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].key, key) == 0) {
			tries = all[i].tries;
			assert_string_equal(all[i].address, "127.0.0.1");
			assert_true(all[i].first_ms > 0 && all[i].first_ms <= all[i].last_ms);
		}
	free(all);
	return tries;
}

static size_t
n_pending(void)
{
	struct zap_pending *all;
	size_t n = zap_pending(zap, &all);

	free(all);
	return n;
}

static void
refused_keys_wait_in_a_bounded_list(void **state)
{
	struct keypair keys[MAX_PENDING + 2];

	(void)state;
	for (size_t i = 0; i < MAX_PENDING + 2; i++) {
		keys_generate(&keys[i]);
		assert_false(gets_in(ZAP_AGENTS, &keys[i]));
		assert_int_equal(n_pending(), i < MAX_PENDING ? i + 1 : MAX_PENDING);
	}
	assert_false(gets_in(ZAP_AGENTS, &keys[0]));
	assert_int_equal(pending_tries(keys[0].public_key), 2);
	assert_int_equal(pending_tries(keys[1].public_key), 1);
	assert_int_equal(pending_tries(keys[MAX_PENDING].public_key), 0);
	/* Other doors have no list. */
	zap_forget(zap, keys[2].public_key, false);
	assert_false(gets_in(ZAP_OPERATORS, &keys[MAX_PENDING]));
	assert_false(gets_in(ZAP_ENROL, &keys[MAX_PENDING]));
	assert_int_equal(n_pending(), MAX_PENDING - 1);
	assert_false(gets_in(ZAP_AGENTS, &keys[MAX_PENDING]));
	assert_int_equal(n_pending(), MAX_PENDING);
	/* Those who try no more make room. */
	zap_expire(zap, 1);
	assert_int_equal(n_pending(), MAX_PENDING);
	zap_expire(zap, UINT64_MAX);
	assert_int_equal(n_pending(), 0);
	assert_false(gets_in(ZAP_AGENTS, &keys[0]));
	assert_int_equal(pending_tries(keys[0].public_key), 1);
}

static void
accepted_rejected_and_accepted_after_all(void **state)
{
	struct keypair key;

	(void)state;
	keys_generate(&key);
	assert_false(gets_in(ZAP_AGENTS, &key));
	zap_forget(zap, key.public_key, true);
	assert_int_equal(n_pending(), 0);
	assert_false(gets_in(ZAP_AGENTS, &key));
	assert_int_equal(n_pending(), 0); /* Rejected: not listed again. */
	zap_allow(zap, ZAP_AGENTS, key.public_key);
	assert_true(gets_in(ZAP_AGENTS, &key));
	zap_deny(zap, ZAP_AGENTS, key.public_key);
	assert_false(gets_in(ZAP_AGENTS, &key));
	assert_int_equal(n_pending(), 1);
	zap_allow(zap, ZAP_AGENTS, key.public_key);
	assert_int_equal(n_pending(), 0);
	zap_forget(zap, "never seen", false);
}

static void
the_self_test_tells_a_closed_door_from_an_open_one(void **state)
{
	(void)state;
	why = (struct err){ 0 };
	if (zap_self_test(&why) < 0)
		fail_msg("%s", why.msg);
	assert_int_equal(zap_counts(zap).refused, 1);
	assert_int_equal(n_pending(), 0);
}

/* Admits whoever comes, as libzmq does where its domain is not enforced. */
static void
admit_all(zsock_t *pipe, void *arg)
{
	void *rep = zmq_socket(wire_context(), ZMQ_REP);

	(void)arg;
	assert_int_equal(zmq_bind(rep, "inproc://zeromq.zap.01"), 0);
	zsock_signal(pipe, 0);
	zmq_pollitem_t items[] = { { .socket = rep, .events = ZMQ_POLLIN },
				   { .socket = zsock_resolve(pipe), .events = ZMQ_POLLIN } };
	while (zmq_poll(items, 2, -1) > 0 && !items[1].revents) {
		char part[2][256] = { "", "" };
		int more = 1;
		size_t size = sizeof(more);

		for (int i = 0; more; i++) {
			int n = zmq_recv(rep, part[i < 2 ? i : 0], 255, 0);

			if (i < 2 && n >= 0)
				part[i][n < 255 ? n : 255] = '\0';
			(void)zmq_getsockopt(rep, ZMQ_RCVMORE, &more, &size);
		}
		const char *const reply[] = { "1.0", part[1], "200", "OK", "anybody", "" };
		for (int i = 0; i < 6; i++)
			(void)zmq_send(rep, reply[i], strlen(reply[i]), i < 5 ? ZMQ_SNDMORE : 0);
	}
	(void)zmq_unbind(rep, "inproc://zeromq.zap.01");
	(void)zmq_close(rep);
}

static void
the_self_test_fails_where_anybody_gets_in(void **state)
{
	zactor_t *actor;

	(void)state;
	zap_close(zap);
	zap = NULL;
	actor = zactor_new(admit_all, NULL);
	why = (struct err){ 0 };
	assert_int_equal(zap_self_test(&why), -EACCES);
	assert_non_null(strstr(why.msg, "was not refused"));
	zactor_destroy(&actor);
	/* No handler at all: nobody gets in either, but that cannot be told from a refusal in time. */
	assert_int_equal(zap_open(MAX_PENDING, &zap, &why), 0);
	assert_int_equal(zap_self_test(&why), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_who_is_known_gets_in),
		TEST(each_door_has_its_own_keys),
		cmocka_unit_test_setup_teardown(nobody_gets_in_without_a_handler, make_without, unmake),
		TEST(without_curve_there_is_no_way_in),
		TEST(one_handler_a_process),
		TEST(refused_keys_wait_in_a_bounded_list),
		TEST(accepted_rejected_and_accepted_after_all),
		TEST(the_self_test_tells_a_closed_door_from_an_open_one),
		TEST(the_self_test_fails_where_anybody_gets_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
