/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire.pb-c.h"
#include "tests/unit/loop.h"

#define HELLO_GAP 110 /* ms: more than half a lease. */
#define P1        "{name: p, spec: {bios: {sriov: true}}}"

static struct keypair key_1;
static struct keypair key_2;

static int
make(void **state)
{
	keys_generate(&key_1);
	keys_generate(&key_2);
	if (loop_make(state) != 0)
		return -1;
	struct loop *loop = *state;
	loop_add(loop, true, "n1", GDR__ROLE__ROLE_VIEWER, &key_1);
	loop_add(loop, true, "n2", GDR__ROLE__ROLE_VIEWER, &key_2);
	world_does(loop->world, "apply: {profiles: [" P1 "]}", "profile/p created");
	world_does(loop->world, "node_assign: {of: {names: [n1, n2]}, profile: p}",
		   "node/n1 assigned, node/n2 assigned");
	world_commit(loop->world);
	return 0;
}

static struct wire *
agent(const struct loop *loop, const struct keypair *key)
{
	return loop_connect(loop, loop->agents_wire, key);
}

/* --- what agents say, as YAML, and hear ------------------------------------------------------------------------ */

static void
says(struct wire *client, const char *yaml)
{
	auto_pb ProtobufCMessage *message = world_message(&gdr__from_agent__descriptor, yaml);
	size_t len;
	auto_free uint8_t *data = pb_pack(message, &len);

	sockets_send(client, data, len);
}

static void
says_hello(struct wire *client, const char *name, unsigned long long generation)
{
	auto_free char *yaml = xasprintf("hello: {protocol: 1, node: %s, boot_id: b1, generation: %llu}", name,
					 generation);

	says(client, yaml);
}

static Gdr__ToAgent *
hears(struct loop *loop, struct wire *client)
{
	struct wire_frame frame;
	struct err err = { 0 };

	if (!loop_recv(loop, client, &frame))
		fail_msg("nothing came");
	Gdr__ToAgent *down = (Gdr__ToAgent *)pb_unpack(&gdr__to_agent__descriptor, frame.data, frame.len, &err);
	assert_non_null(down);
	return down;
}

static void
hears_desired(struct loop *loop, struct wire *client, const char *node, uint64_t generation)
{
	auto_pb Gdr__ToAgent *down = hears(loop, client);

	assert_int_equal(down->body_case, GDR__TO_AGENT__BODY_DESIRED);
	assert_string_equal(down->desired->node, node);
	assert_int_equal(down->desired->generation, generation);
}

static uint32_t
hears_welcome(struct loop *loop, struct wire *client, Gdr__Welcome__Answer answer)
{
	auto_pb Gdr__ToAgent *down = hears(loop, client);

	assert_int_equal(down->body_case, GDR__TO_AGENT__BODY_WELCOME);
	assert_int_equal(down->welcome->answer, answer);
	if (answer == GDR__WELCOME__ANSWER__ACCEPTED) {
		assert_int_equal(down->welcome->lease_ms, 200);
		assert_int_equal(down->welcome->report_ms, 1000);
	}
	return down->welcome->retry_after_ms;
}

/* A LeaseOk with the digest of 'report' (packed), or none. */
static void
hears_lease_ok(struct loop *loop, struct wire *client, const char *report)
{
	auto_pb Gdr__ToAgent *down = hears(loop, client);
	uint8_t digest[PB_DIGEST_LEN];
	size_t len;

	assert_int_equal(down->body_case, GDR__TO_AGENT__BODY_LEASE_OK);
	assert_int_equal(down->lease_ok->has_report_digest, report != NULL);
	if (!report)
		return;
	auto_pb ProtobufCMessage *message = world_message(&gdr__report__descriptor, report);
	auto_free uint8_t *data = pb_pack(message, &len);
	pb_digest(data, len, digest);
	assert_int_equal(down->lease_ok->report_digest.len, PB_DIGEST_LEN);
	assert_memory_equal(down->lease_ok->report_digest.data, digest, PB_DIGEST_LEN);
}

static struct wire *
welcome_agent(struct loop *loop, const struct keypair *key, const char *name)
{
	struct wire *client = agent(loop, key);

	says_hello(client, name, 0);
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__ACCEPTED);
	hears_desired(loop, client, name, 2);
	return client;
}

static char *
report_of(const struct loop *loop, const char *name, const char *outcome)
{
	const struct node *node = fleet_node(loop->world->fleet, name);

	return xasprintf("{generation: %llu, spec_hash: %s, boot_id: b1, outcome: %s}",
			 (unsigned long long)node->generation, node->spec_hash, outcome);
}

static void
says_report(struct wire *client, const char *report)
{
	auto_free char *yaml = xasprintf("report: %s", report);

	says(client, yaml);
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

static void
an_unknown_key_hears_nothing(void **state)
{
	struct loop *loop = *state;
	struct keypair stranger;

	keys_generate(&stranger);
	struct wire *client = sockets_connect(wire_endpoint(loop->agents_wire), loop->server.public_key, &stranger);
	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	(void)wire_send(client, NULL, "x", 1);
	assert_true(loop_silent(loop, client, 100));
	wire_close(client);
}

static void
hello_report_and_lease(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");
	auto_free char *report = report_of(loop, "n1", "settled");
	auto_free char *stuck = report_of(loop, "n1", "stuck");
	struct wire_frame frame;

	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	says_report(client, report);
	hears_lease_ok(loop, client, report);
	world_state(loop->world, "n1", "ready");
	/* An old generation, or a grant that is none, is answered with what is wanted. */
	says(client, "lease: {generation: 1, boot_id: b1}");
	hears_desired(loop, client, "n1", 2);
	hears_lease_ok(loop, client, report);
	says(client, "lease: {generation: 2, boot_id: b1, may_reboot_from: b1}");
	hears_desired(loop, client, "n1", 2);
	hears_lease_ok(loop, client, report);
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, report);
	assert_true(loop_silent(loop, client, 50));
	assert_false(fleet_node(loop->world->fleet, "n2")->connected);

	/* No digest before its commit. */
	loop->stuck = true;
	says_report(client, stuck);
	assert_true(loop_silent(loop, client, 100));
	loop->stuck = false;
	loop_end_turn(loop);
	hears_lease_ok(loop, client, stuck);

	/* Nor when that fails: then it is the old one's, and the agent sends its report again. */
	world_fail_at = 2;
	says_report(client, report);
	assert_true(loop_silent(loop, client, 100));
	assert_true(loop->failures == 1);
	world_state(loop->world, "n1", "stuck");
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, stuck);
	says_report(client, report);
	hears_lease_ok(loop, client, report);
	assert_int_equal(wire_recv(client, &frame), 0);
	wire_close(client);
}

static void
a_change_is_pushed_to_whom_it_concerns(void **state)
{
	struct loop *loop = *state;
	struct wire *one = welcome_agent(loop, &key_1, "n1");
	struct wire *two = welcome_agent(loop, &key_2, "n2");

	world_does(loop->world, "node_mode: {of: {names: [n2]}, mode: audit}", "node/n2 set");
	loop_end_turn(loop);
	hears_desired(loop, two, "n2", 3);
	assert_true(loop_silent(loop, one, 50));
	wire_close(one);
	wire_close(two);
}

static void
who_says_it_is_another_is_refused(void **state)
{
	struct loop *loop = *state;
	struct wire *client = agent(loop, &key_1);

	says_hello(client, "n2", 0);
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__REFUSED);
	says(client, "hello: {protocol: 1}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__REFUSED);
	says(client, "hello: {protocol: 2, node: n1}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__REFUSED);
	/* Without a welcome nothing is taken. */
	says(client, "report: {generation: 2, boot_id: b1, outcome: settled}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__BUSY);
	says(client, "lease: {generation: 2, boot_id: b1}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__BUSY);
	assert_null(fleet_node(loop->world->fleet, "n1")->boot_id);
	assert_null(fleet_node(loop->world->fleet, "n1")->report);
	assert_false(fleet_node(loop->world->fleet, "n2")->connected);
	wire_close(client);
}

static void
garbage_stops_nothing(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");
	struct wire *other = welcome_agent(loop, &key_2, "n2");
	static const uint8_t unknown[] = { 0x7a, 0x01, 0x00 }; /* Field 15. */
	static const uint8_t cut[] = { 0x12, 0x7f, 0x08 };     /* A report of 127 bytes, of which one is there. */
	static const uint8_t outcome[] = { 0x12, 0x02, 0x20, 0x63 };

	sockets_send(client, "", 0);
	sockets_send(client, unknown, sizeof(unknown));
	sockets_send(client, cut, sizeof(cut));
	sockets_send(client, outcome, sizeof(outcome)); /* An outcome that there is not. */
	for (size_t i = 0; i < 40; i++) {
		uint8_t noise[64];

		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)(i * 37 + j * j * 11);
		sockets_send(client, noise, sizeof(noise));
	}
	says(other, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, other, NULL);
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	assert_null(fleet_node(loop->world->fleet, "n1")->report);
	wire_close(client);
	wire_close(other);
}

/* Each report is a write: who sends more than any agent does is not read, and the others are. */
static void
a_flood_is_not_read(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");
	struct wire *other = welcome_agent(loop, &key_2, "n2");
	struct wire_frame frame;

	loop->world->config.report_interval = 1000;
	for (int i = 0; i < 2000; i++) {
		auto_free char *report = report_of(loop, "n1", i % 2 ? "settled" : "stuck");

		says_report(client, report);
		loop_run(loop, 0);
		while (wire_recv(client, &frame) > 0)
			continue;
	}
	says(other, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, other, NULL);
	while (!loop_silent(loop, client, 50))
		continue;
	size_t taken = world_count_events(loop->world, "node.stuck") + world_count_events(loop->world, "node.ready");
	assert_in_range(taken, 50, 400);
	/* It is forgiven in time. */
	int64_t end = zclock_mono() + SOCKETS_MS;
	bool heard = false;
	while (!heard && zclock_mono() < end) {
		says(client, "lease: {generation: 2, boot_id: b1}");
		heard = !loop_silent(loop, client, 50);
	}
	assert_true(heard);
	wire_close(client);
	wire_close(other);
}

static void
who_comes_when_too_many_do_is_told_when(void **state)
{
	struct loop *loop = *state;
	enum {
		N = 8
	};
	struct keypair keys[N];
	struct wire *clients[N];
	uint32_t waits[N];
	size_t n = 0;

	loop->world->config.admit_per_second = 2;
	for (size_t i = 0; i < N; i++) {
		auto_free char *name = xasprintf("m%zu", i);

		keys_generate(&keys[i]);
		loop_add(loop, true, name, GDR__ROLE__ROLE_VIEWER, &keys[i]);
		clients[i] = agent(loop, &keys[i]);
	}
	for (size_t i = 0; i < N; i++) {
		auto_free char *name = xasprintf("m%zu", i);

		says_hello(clients[i], name, 0);
		auto_pb Gdr__ToAgent *down = hears(loop, clients[i]);
		assert_int_equal(down->body_case, GDR__TO_AGENT__BODY_WELCOME);
		if (down->welcome->answer == GDR__WELCOME__ANSWER__BUSY)
			waits[n++] = down->welcome->retry_after_ms;
		else
			assert_int_equal(n, 0); /* First come, first served. */
	}
	assert_in_range(n, N - 4, N - 2);
	for (size_t i = 0; i < n; i++) {
		assert_in_range(waits[i], 1, 10000);
		for (size_t j = 0; j < i; j++)
			assert_true(waits[j] < waits[i]);
	}
	/* Who comes when it was told to is let in. */
	for (size_t i = N - n; i < N; i++) {
		auto_free char *name = xasprintf("m%zu", i);
		Gdr__Welcome__Answer answer = GDR__WELCOME__ANSWER__BUSY;
		uint32_t wait = waits[i - (N - n)];

		for (int tries = 0; tries < 3 && answer == GDR__WELCOME__ANSWER__BUSY; tries++) {
			loop_run(loop, i == N - n || tries ? wait : 510);
			says_hello(clients[i], name, 0);
			auto_pb Gdr__ToAgent *down = hears(loop, clients[i]);
			answer = down->welcome->answer;
			wait = down->welcome->retry_after_ms;
		}
		assert_int_equal(answer, GDR__WELCOME__ANSWER__ACCEPTED);
	}
	for (size_t i = 0; i < N; i++)
		wire_close(clients[i]);
}

/* One that does not wait, but asks and asks, sends nobody away for longer than the whole fleet would take. */
static void
an_impatient_agent_does_not_make_others_wait(void **state)
{
	struct loop *loop = *state;
	uint32_t longest = 0;

	loop->world->config.admit_per_second = 2;
	loop->world->config.max_nodes = 10;
	for (size_t i = 0; i < 4; i++) {
		auto_free char *name = xasprintf("m%zu", i);
		struct keypair key;

		keys_generate(&key);
		loop_add(loop, true, name, GDR__ROLE__ROLE_VIEWER, &key);
		struct wire *other = agent(loop, &key);
		says_hello(other, name, 0);
		pb_free((ProtobufCMessage *)hears(loop, other));
		wire_close(other);
	}
	struct wire *client = agent(loop, &key_2);
	for (int i = 0; i < 60; i++) {
		says(client, "hello: {protocol: 1, node: n2, boot_id: b1}");
		auto_pb Gdr__ToAgent *down = hears(loop, client);
		if (down->body_case == GDR__TO_AGENT__BODY_WELCOME &&
		    down->welcome->answer == GDR__WELCOME__ANSWER__BUSY && down->welcome->retry_after_ms > longest)
			longest = down->welcome->retry_after_ms;
	}
	assert_in_range(longest, 1000, 6000);
	wire_close(client);
}

static void
a_hello_again_is_no_newcomer(void **state)
{
	struct loop *loop = *state;

	loop->world->config.admit_per_second = 1;
	struct wire *client = welcome_agent(loop, &key_1, "n1");
	for (int i = 0; i < 10; i++) {
		says_hello(client, "n1", 2);
		(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__ACCEPTED);
	}
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	wire_close(client);
}

/* With connection after connection it would take the turn of all the others who come back. */
static void
a_node_that_comes_again_at_once_waits(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");

	loop->world->config.lease = 4000;
	for (int i = 0; i < 4; i++) {
		struct wire *another = agent(loop, &key_1);

		says_hello(another, "n1", 2);
		assert_in_range(hears_welcome(loop, another, GDR__WELCOME__ANSWER__BUSY), 1000, 1000);
		wire_close(another);
	}
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	loop->world->config.lease = 200;
	loop_run(loop, HELLO_GAP);
	struct wire *later = welcome_agent(loop, &key_1, "n1");
	wire_close(later);
	wire_close(client);
}

static void
a_copy_that_goes_on_speaking_is_seen(void **state)
{
	struct loop *loop = *state;
	struct wire *old = welcome_agent(loop, &key_1, "n1");
	loop_run(loop, HELLO_GAP);
	struct wire *newer = welcome_agent(loop, &key_1, "n1");

	/* What was on its way when the other came is no sign of a copy. */
	says(old, "lease: {generation: 2, boot_id: b1}");
	assert_true(loop_silent(loop, old, 20));
	assert_false(fleet_node(loop->world->fleet, "n1")->cloned);
	loop_run(loop, 150);
	says(old, "lease: {generation: 1, boot_id: b1}");
	assert_int_equal(hears_welcome(loop, old, GDR__WELCOME__ANSWER__REFUSED), 60000);
	assert_true(fleet_node(loop->world->fleet, "n1")->cloned);
	assert_int_equal(world_count_events(loop->world, "node.cloned"), 1);
	/* The current one goes on, and hears nothing of it. */
	says(newer, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, newer, NULL);
	assert_true(loop_silent(loop, newer, 30));
	/* A push goes to the current one alone. */
	world_does(loop->world, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 set");
	loop_end_turn(loop);
	hears_desired(loop, newer, "n1", 3);
	assert_true(loop_silent(loop, old, 50));
	wire_close(old);
	wire_close(newer);
}

static void
a_revoked_key_is_cut_off(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");

	world_does(loop->world, "node_remove: {of: {names: [n1]}}", "node/n1 removed");
	loop_end_turn(loop);
	says(client, "report: {generation: 2, boot_id: b1, outcome: settled}");
	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	assert_true(loop_silent(loop, client, 20));
	assert_null(fleet_node(loop->world->fleet, "n1"));
	agents_tick(loop->agents);
	agents_tick(loop->agents);
	wire_close(client);

	/* And one that says nothing, at the next tick. */
	struct wire *silent = welcome_agent(loop, &key_2, "n2");
	world_does(loop->world, "node_remove: {of: {names: [n2]}}", "node/n2 removed");
	loop_end_turn(loop);
	assert_true(sockets_stay(silent, WIRE_UP, 50));
	agents_tick(loop->agents);
	assert_true(loop_reaches(loop, silent, WIRE_REFUSED));
	wire_close(silent);
}

/* The name goes to another key: what is wanted of the new node is none of the old one's business. */
static void
a_name_that_changed_hands(void **state)
{
	struct loop *loop = *state;
	struct wire *old = welcome_agent(loop, &key_1, "n1");
	struct keypair fresh;

	keys_generate(&fresh);
	world_does(loop->world, "node_remove: {of: {names: [n1]}}", "node/n1 removed");
	loop_end_turn(loop);
	loop_add(loop, true, "n1", GDR__ROLE__ROLE_VIEWER, &fresh);
	world_does(loop->world, "node_assign: {of: {names: [n1]}, profile: p}", "node/n1 assigned");
	loop_end_turn(loop);
	assert_true(loop_silent(loop, old, 100));
	agents_tick(loop->agents);
	assert_false(fleet_node(loop->world->fleet, "n1")->connected);
	struct wire *newer = welcome_agent(loop, &fresh, "n1");
	assert_true(loop_reaches(loop, old, WIRE_REFUSED));
	assert_false(fleet_node(loop->world->fleet, "n1")->cloned);
	wire_close(old);
	wire_close(newer);
}

/* And a key to another name, while its connection lives on. */
static void
a_key_that_changed_names(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");

	world_does(loop->world, "node_remove: {of: {names: [n1]}}", "node/n1 removed");
	loop_end_turn(loop);
	loop_add(loop, true, "n9", GDR__ROLE__ROLE_VIEWER, &key_1);
	says(client, "lease: {generation: 2, boot_id: b1}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__BUSY);
	says_hello(client, "n1", 0);
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__REFUSED);
	says_hello(client, "n9", 0);
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__ACCEPTED);
	hears_desired(loop, client, "n9", 1);
	agents_tick(loop->agents);
	says(client, "lease: {generation: 1, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	world_does(loop->world, "node_remove: {of: {names: [n9]}}", "node/n9 removed");
	loop_end_turn(loop);
	agents_tick(loop->agents);
	agents_tick(loop->agents);
	loop_run(loop, 5);
	wire_close(client);
}

static void
who_falls_silent_is_not_connected(void **state)
{
	struct loop *loop = *state;
	struct wire *client = welcome_agent(loop, &key_1, "n1");

	assert_true(fleet_node(loop->world->fleet, "n1")->connected);
	loop->world->config.lost_after = 300;
	agents_tick(loop->agents);
	assert_true(fleet_node(loop->world->fleet, "n1")->connected);
	loop_run(loop, 310);
	agents_tick(loop->agents);
	assert_false(fleet_node(loop->world->fleet, "n1")->connected);
	says(client, "lease: {generation: 2, boot_id: b1}");
	hears_lease_ok(loop, client, NULL);
	agents_tick(loop->agents);
	assert_true(fleet_node(loop->world->fleet, "n1")->connected);
	loop_run(loop, 610); /* Then its session is forgotten: it has to say Hello. */
	agents_tick(loop->agents);
	says(client, "lease: {generation: 2, boot_id: b1}");
	(void)hears_welcome(loop, client, GDR__WELCOME__ANSWER__BUSY);
	wire_close(client);
}

/* --- enrolment ------------------------------------------------------------------------------------------------------- */

static void
add_token(struct loop *loop, const struct keypair *pair, const char *node)
{
	auto_free char *name = node ? xstrdup(node) : NULL;
	struct token token = { .node = name, .expires_ms = (uint64_t)zclock_time() + 60000 };

	memcpy(token.key, pair->public_key, sizeof(token.key));
	assert_int_equal(store_begin(loop->world->store, &loop->world->err), 0);
	assert_int_equal(keyring_add_token(loop->world->keyring, &token, &loop->world->err), 0);
	world_commit(loop->world);
}

static void
enrols(struct loop *loop, struct wire *client, const char *node, const char *key, const char *why)
{
	auto_free char *yaml = xasprintf("{node: %s, key: \"%s\"}", node, key);
	auto_pb ProtobufCMessage *message = world_message(&gdr__enrol__descriptor, yaml);
	struct wire_frame frame;
	struct err err = { 0 };
	size_t len;
	auto_free uint8_t *data = pb_pack(message, &len);

	sockets_send(client, data, len);
	assert_true(loop_recv(loop, client, &frame));
	auto_pb Gdr__EnrolReply *reply = (Gdr__EnrolReply *)pb_unpack(&gdr__enrol_reply__descriptor, frame.data,
								      frame.len, &err);
	assert_non_null(reply);
	assert_int_equal(reply->accepted, why == NULL);
	if (why && !strstr(reply->why, why))
		fail_msg("'%s' is not in '%s'", why, reply->why);
}

static void
a_token_lets_a_node_join(void **state)
{
	struct loop *loop = *state;
	struct keypair token;
	struct keypair fresh;

	keys_generate(&token);
	keys_generate(&fresh);
	add_token(loop, &token, "n5");
	struct wire *client = loop_connect(loop, loop->enrol_wire, &token);
	enrols(loop, client, "n6", fresh.public_key, "for node 'n5'");
	/* Nothing of it holds where the commit fails. */
	world_fail_at = 3;
	enrols(loop, client, "n5", fresh.public_key, "the disk is on fire");
	assert_null(fleet_node(loop->world->fleet, "n5"));
	struct wire *early = sockets_connect(wire_endpoint(loop->agents_wire), loop->server.public_key, &fresh);
	assert_true(loop_reaches(loop, early, WIRE_REFUSED));
	wire_close(early);

	enrols(loop, client, "n5", fresh.public_key, NULL);
	enrols(loop, client, "n5", fresh.public_key, "was used");
	struct wire *joined = agent(loop, &fresh);
	says_hello(joined, "n5", 0);
	(void)hears_welcome(loop, joined, GDR__WELCOME__ANSWER__ACCEPTED);
	hears_desired(loop, joined, "n5", 1);
	/* What is no Enrol cuts the link, and the token is not admitted again. */
	sockets_send(client, "\x0a\x7f", 2);
	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	wire_close(client);
	wire_close(joined);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, loop_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_key_hears_nothing),
		TEST(hello_report_and_lease),
		TEST(a_change_is_pushed_to_whom_it_concerns),
		TEST(who_says_it_is_another_is_refused),
		TEST(garbage_stops_nothing),
		TEST(a_flood_is_not_read),
		TEST(who_comes_when_too_many_do_is_told_when),
		TEST(an_impatient_agent_does_not_make_others_wait),
		TEST(a_hello_again_is_no_newcomer),
		TEST(a_node_that_comes_again_at_once_waits),
		TEST(a_copy_that_goes_on_speaking_is_seen),
		TEST(a_revoked_key_is_cut_off),
		TEST(a_name_that_changed_hands),
		TEST(a_key_that_changed_names),
		TEST(who_falls_silent_is_not_connected),
		TEST(a_token_lets_a_node_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
