/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/loop.h"

#define P1 "{name: p, spec: {bios: {sriov: true}}}"

static struct keypair viewer;
static struct keypair operator_;
static struct keypair admin;
static struct keypair node;

static int
make(void **state)
{
	keys_generate(&viewer);
	keys_generate(&operator_);
	keys_generate(&admin);
	keys_generate(&node);
	if (loop_make(state) != 0)
		return -1;
	loop_add(*state, false, "vera", GDR__ROLE__ROLE_VIEWER, &viewer);
	loop_add(*state, false, "olga", GDR__ROLE__ROLE_OPERATOR, &operator_);
	loop_add(*state, false, "anna", GDR__ROLE__ROLE_ADMIN, &admin);
	loop_add(*state, true, "n1", GDR__ROLE__ROLE_VIEWER, &node);
	return 0;
}

static struct wire *
user(const struct loop *loop, const struct keypair *key)
{
	return loop_connect(loop, loop->operators_wire, key);
}

static Gdr__Response *
next_answer(struct loop *loop, struct wire *client)
{
	struct wire_frame frame;
	struct err err = { 0 };

	if (!loop_recv(loop, client, &frame))
		fail_msg("no answer");
	Gdr__Response *answer = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, frame.data, frame.len, &err);
	assert_non_null(answer);
	return answer;
}

static void
send_request(struct wire *client, const ProtobufCMessage *request)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(request, &len);

	sockets_send(client, data, len);
}

static Gdr__Response *
asks(struct loop *loop, struct wire *client, const char *yaml)
{
	auto_pb ProtobufCMessage *request = world_message(&gdr__request__descriptor, yaml);

	send_request(client, request);
	return next_answer(loop, client);
}

static void
expect(struct loop *loop, struct wire *client, const char *yaml, Gdr__Code code, const char *message)
{
	auto_pb Gdr__Response *answer = asks(loop, client, yaml);

	assert_true(answer->has_code);
	if (answer->code != code || (message && (!answer->message || !strstr(answer->message, message))))
		fail_msg("%s: code %d, %s", yaml, (int)answer->code, answer->message ? answer->message : "-");
}

/* A request with the body 'field', empty. */
static ProtobufCMessage *
empty_request(const ProtobufCFieldDescriptor *field)
{
	Gdr__Request *request = xcalloc(1, sizeof(*request));
	const ProtobufCMessageDescriptor *type = field->descriptor;
	ProtobufCMessage *body = xcalloc(1, type->sizeof_message);

	gdr__request__init(request);
	protobuf_c_message_init(type, body);
	request->body_case = (Gdr__Request__BodyCase)field->id;
	request->apply = (Gdr__Apply *)body; /* A union of pointers. */
	return &request->base;
}

/* Who may ask what, by the name of the body: the same table a second time, by someone else. */
static Gdr__Role
needed(const char *body)
{
	static const char *const viewers[] = { "status",   "nodes",        "profiles", "events", "drift",     "export",
					       "rollouts", "rollout_plan", "windows",  "vms",    "key_rotate" };
	static const char *const operators[] = { "apply",       "node_label",    "node_mode",      "node_assign",
						 "node_reboot", "rollout_start", "rollout_change", "window_remove" };

	for (size_t i = 0; i < sizeof(viewers) / sizeof(viewers[0]); i++)
		if (strcmp(body, viewers[i]) == 0)
			return GDR__ROLE__ROLE_VIEWER;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (strcmp(body, operators[i]) == 0)
			return GDR__ROLE__ROLE_OPERATOR;
	return GDR__ROLE__ROLE_ADMIN;
}

static void
every_request_has_its_role(void **state)
{
	struct loop *loop = *state;
	struct wire *clients[] = { NULL, user(loop, &viewer), user(loop, &operator_), user(loop, &admin) };
	const ProtobufCMessageDescriptor *type = &gdr__request__descriptor;
	size_t bodies = 0;

	for (unsigned f = 0; f < type->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &type->fields[f];

		if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			continue;
		bodies++;
		auto_pb ProtobufCMessage *request = empty_request(field);
		for (int role = GDR__ROLE__ROLE_VIEWER; role <= GDR__ROLE__ROLE_ADMIN; role++) {
			send_request(clients[role], request);
			auto_pb Gdr__Response *answer = next_answer(loop, clients[role]);
			bool refused = answer->code == GDR__CODE__CODE_NOT_ALLOWED;

			if (answer->message && strstr(answer->message, "does not know that request"))
				fail_msg("%s has no handler", field->name);
			if (refused != (role < (int)needed(field->name)))
				fail_msg("%s by role %d: code %d, %s", field->name, role, (int)answer->code,
					 answer->message ? answer->message : "-");
			if (refused)
				assert_non_null(strstr(answer->message, "this takes the role"));
		}
	}
	assert_true(bodies >= 18);
	for (int role = 1; role <= 3; role++)
		wire_close(clients[role]);
}

static void
a_viewer_changes_nothing(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &viewer);
	auto_free char *before = world_dump(loop->world);

	expect(loop, client, "node_mode: {of: {names: [n1]}, mode: hold}", GDR__CODE__CODE_NOT_ALLOWED,
	       "user 'vera' has the role viewer; this takes the role operator");
	expect(loop, client, "{dry_run: true, apply: {nodes: [{name: n9}]}}", GDR__CODE__CODE_NOT_ALLOWED, NULL);
	expect(loop, client, "node_remove: {of: {names: [n1]}}", GDR__CODE__CODE_NOT_ALLOWED, "takes the role admin");
	expect(loop, client, "users: {}", GDR__CODE__CODE_NOT_ALLOWED, NULL);
	auto_free char *after = world_dump(loop->world);
	world_same(before, after);
	expect(loop, client, "nodes: {}", GDR__CODE__CODE_OK, NULL);
	wire_close(client);
}

static void
what_is_no_request_is_answered(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);
	static const uint8_t later[] = { 0x0a, 0x01, 'x', 0xfa, 0x06, 0x00 }; /* id x, field 111 */

	expect(loop, client, "{}", GDR__CODE__CODE_USAGE, "is gdrctl newer?");
	sockets_send(client, later, sizeof(later));
	auto_pb Gdr__Response *answer = next_answer(loop, client);
	assert_int_equal(answer->code, GDR__CODE__CODE_USAGE);
	assert_string_equal(answer->id, "x");
	sockets_send(client, "\xff\xff\xff", 3);
	auto_pb Gdr__Response *garbage = next_answer(loop, client);
	assert_int_equal(garbage->code, GDR__CODE__CODE_USAGE);
	assert_string_equal(garbage->message, "not a request");
	sockets_send(client, "", 0);
	auto_pb Gdr__Response *empty = next_answer(loop, client);
	assert_int_equal(empty->code, GDR__CODE__CODE_USAGE);
	/* A mode that there is not: node_mode {mode: 99}. */
	sockets_send(client, "\x8a\x01\x02\x10\x63", 5);
	auto_pb Gdr__Response *mode = next_answer(loop, client);
	assert_int_equal(mode->code, GDR__CODE__CODE_USAGE);
	assert_non_null(strstr(mode->message, "is no value of Mode"));
	wire_close(client);
}

static void
answered_after_the_commit(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &operator_);
	auto_pb ProtobufCMessage *request = world_message(&gdr__request__descriptor,
							  "{id: a1, idempotency_key: k1, apply: {profiles: [" P1 "]}}");

	loop->stuck = true;
	send_request(client, request);
	assert_true(loop_silent(loop, client, 100));
	loop->stuck = false;
	loop_end_turn(loop);
	auto_pb Gdr__Response *answer = next_answer(loop, client);
	assert_string_equal(answer->id, "a1");
	assert_int_equal(answer->code, GDR__CODE__CODE_OK);
	assert_int_equal(answer->n_changes, 1);
	world_restart(loop->world); /* It is on the disk. */
	assert_non_null(fleet_node(loop->world->fleet, "n1"));
	auto_free char *profiles = world_answer(loop->world, "profiles: {}");
	assert_non_null(strstr(profiles, "name: p"));
	wire_close(client);
}

static void
a_commit_that_fails_is_answered_so(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);
	auto_free char *before = world_dump(loop->world);

	for (int n = 1; n <= 3; n++) {
		world_fail_at = n;
		auto_pb Gdr__Response *answer = asks(loop, client,
						     "{id: a1, idempotency_key: k1, apply: {profiles: [" P1
						     "], nodes: [{name: n2}]}}");
		assert_string_equal(answer->id, "a1");
		assert_int_equal(answer->code, GDR__CODE__CODE_ERROR);
		assert_true(strncmp(answer->message, "nothing was done: ", 18) == 0);
		assert_non_null(strstr(answer->message, "the disk is on fire"));
		assert_int_equal(answer->n_changes, 0);
		auto_free char *after = world_dump(loop->world);
		world_same(before, after);
	}
	/* A token that is not in the database is not given out. */
	world_fail_at = 3;
	auto_pb Gdr__Response *token = asks(loop, client, "token_create: {}");
	assert_int_equal(token->code, GDR__CODE__CODE_ERROR);
	assert_null(token->token);
	world_fail_at = 0;
	/* It was not done, so the same key does it now. */
	expect(loop, client, "{idempotency_key: k1, apply: {profiles: [" P1 "]}}", GDR__CODE__CODE_OK, NULL);
	wire_close(client);
}

static void
the_same_key_has_one_effect(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);

	expect(loop, client, "{idempotency_key: k1, apply: {nodes: [{name: n2}]}}", GDR__CODE__CODE_OK, NULL);
	auto_free char *before = world_dump(loop->world);
	expect(loop, client, "{idempotency_key: k1, apply: {nodes: [{name: n2}]}}", GDR__CODE__CODE_OK, NULL);
	expect(loop, client, "{idempotency_key: k1, node_remove: {of: {names: [n2]}}}", GDR__CODE__CODE_OK, NULL);
	auto_free char *after = world_dump(loop->world);
	world_same(before, after);
	/* What failed had no effect, and may be tried again; so may a dry run. */
	expect(loop, client, "{idempotency_key: k2, node_assign: {of: {names: [n2]}, profile: p}}",
	       GDR__CODE__CODE_ERROR, "no profile 'p'");
	expect(loop, client, "apply: {profiles: [" P1 "]}", GDR__CODE__CODE_OK, NULL);
	expect(loop, client, "{idempotency_key: k2, dry_run: true, node_assign: {of: {names: [n2]}, profile: p}}",
	       GDR__CODE__CODE_OK, NULL);
	expect(loop, client, "{idempotency_key: k2, node_assign: {of: {names: [n2]}, profile: p}}", GDR__CODE__CODE_OK,
	       NULL);
	assert_string_equal(fleet_node(loop->world->fleet, "n2")->profile, "p");
	/* Two at once in one turn. */
	auto_pb ProtobufCMessage *twice = world_message(
		&gdr__request__descriptor, "{idempotency_key: k3, node_label: {of: {names: [n2]}, set: {a: b}}}");
	loop->stuck = true;
	send_request(client, twice);
	send_request(client, twice);
	loop_run(loop, 100);
	loop->stuck = false;
	loop_end_turn(loop);
	auto_pb Gdr__Response *one = next_answer(loop, client);
	auto_pb Gdr__Response *two = next_answer(loop, client);
	assert_int_equal(one->n_changes, 1);
	assert_int_equal(two->n_changes, 0);
	assert_int_equal(two->code, GDR__CODE__CODE_OK);
	assert_int_equal(world_count_events(loop->world, "node.labelled"), 1);
	wire_close(client);
}

/* --- users and tokens ------------------------------------------------------------------------------------------------ */

static void
users_come_and_go(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);
	struct keypair fresh;

	keys_generate(&fresh);
	auto_free char *add = xasprintf("user_add: {name: nora, key: \"%s\", role: viewer}", fresh.public_key);
	auto_free char *node_key = xasprintf("user_add: {name: nora, key: \"%s\", role: admin}", node.public_key);
	auto_free char *same_name = xasprintf("user_add: {name: vera, key: \"%s\", role: viewer}", fresh.public_key);
	auto_free char *no_name = xasprintf("user_add: {key: \"%s\", role: viewer}", fresh.public_key);
	auto_free char *bad_name = xasprintf("user_add: {name: \"N n\", key: \"%s\", role: viewer}", fresh.public_key);
	auto_free char *no_role = xasprintf("user_add: {name: nora, key: \"%s\"}", fresh.public_key);

	expect(loop, client, no_name, GDR__CODE__CODE_USAGE, "needs a name");
	expect(loop, client, bad_name, GDR__CODE__CODE_USAGE, "user name: ");
	expect(loop, client, no_role, GDR__CODE__CODE_USAGE, "which role?");
	expect(loop, client, "user_add: {name: nora, key: short, role: viewer}", GDR__CODE__CODE_USAGE,
	       "40 characters");
	expect(loop, client, "user_add: {name: nora, role: viewer}", GDR__CODE__CODE_USAGE, "40 characters");
	expect(loop, client, node_key, GDR__CODE__CODE_ERROR, "this key is n1's already");
	expect(loop, client, same_name, GDR__CODE__CODE_ERROR, "a user 'vera' already");
	assert_int_equal(keyring_users(loop->world->keyring), 3);
	expect(loop, client, add, GDR__CODE__CODE_OK, NULL);
	struct wire *nora = user(loop, &fresh);
	expect(loop, nora, "status: {}", GDR__CODE__CODE_OK, NULL);
	auto_pb Gdr__Response *list = asks(loop, client, "users: {}");
	assert_int_equal(list->n_users, 4);
	expect(loop, client, "user_remove: {name: nobody}", GDR__CODE__CODE_ERROR, "no user 'nobody'");
	expect(loop, client, "user_remove: {}", GDR__CODE__CODE_ERROR, "no user ''");
	expect(loop, client, "user_remove: {name: n1}", GDR__CODE__CODE_ERROR, "no user 'n1'");
	expect(loop, client, "user_remove: {name: anna}", GDR__CODE__CODE_NOT_ALLOWED, "the only admin");
	expect(loop, client, "user_remove: {name: nora}", GDR__CODE__CODE_OK, NULL);
	/* The next word of who was removed cuts the link. */
	auto_pb ProtobufCMessage *status = world_message(&gdr__request__descriptor, "status: {}");
	send_request(nora, status);
	assert_true(loop_reaches(loop, nora, WIRE_REFUSED));
	wire_close(nora);
	wire_close(client);
}

static void
a_user_rotates_the_own_key(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &viewer);
	struct keypair fresh;

	keys_generate(&fresh);
	auto_free char *taken = xasprintf("key_rotate: {key: \"%s\"}", node.public_key);
	auto_free char *rotate = xasprintf("key_rotate: {key: \"%s\"}", fresh.public_key);

	expect(loop, client, "key_rotate: {}", GDR__CODE__CODE_USAGE, "40 characters");
	expect(loop, client, "key_rotate: {key: short}", GDR__CODE__CODE_USAGE, "40 characters");
	expect(loop, client, taken, GDR__CODE__CODE_ERROR, "this key is n1's already");
	expect(loop, client, rotate, GDR__CODE__CODE_OK, NULL);
	/* The answer came, and was the last: the old key is nobody's. */
	auto_pb ProtobufCMessage *status = world_message(&gdr__request__descriptor, "status: {}");
	send_request(client, status);
	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	wire_close(client);
	client = user(loop, &fresh);
	expect(loop, client, "status: {}", GDR__CODE__CODE_OK, NULL);
	expect(loop, client, "users: {}", GDR__CODE__CODE_NOT_ALLOWED, "has the role viewer");
	assert_int_equal(keyring_users(loop->world->keyring), 3);
	wire_close(client);
}

static void
a_node_is_no_operator(void **state)
{
	struct loop *loop = *state;
	struct wire *client = sockets_connect(wire_endpoint(loop->operators_wire), loop->server.public_key, &node);
	struct wire_peer peer = { .fd = -1 };
	size_t len;

	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	wire_close(client);
	/* Not even if it got through that door. */
	memcpy(peer.key, node.public_key, sizeof(peer.key));
	assert_null(operators_answer(loop->operators, &peer, "", 0, &len));
}

static void
a_token_is_made(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);
	char public_key[KEY_LEN + 1];

	auto_pb Gdr__Response *answer = asks(loop, client, "token_create: {node: n7, ttl_ms: 5000}");
	assert_int_equal(answer->code, GDR__CODE__CODE_OK);
	assert_string_equal(answer->token->agents, "tcp://c:1");
	assert_string_equal(answer->token->enrol, "tcp://c:2");
	assert_string_equal(answer->token->server_key, "server-key");
	assert_string_equal(answer->token->node, "n7");
	assert_int_equal(strlen(answer->token->expires), 20);
	assert_true(keys_public(answer->token->secret, public_key));
	const struct token *token = keyring_find_token(loop->world->keyring, public_key, (uint64_t)zclock_time());
	assert_string_equal(token->node, "n7");
	assert_in_range(token->expires_ms, (uint64_t)zclock_time() + 1000, (uint64_t)zclock_time() + 5000);
	/* The secret is nowhere but in the answer. */
	auto_free char *dump = world_dump(loop->world);
	assert_null(strstr(dump, answer->token->secret));
	expect(loop, client, "token_create: {node: \"N n\"}", GDR__CODE__CODE_USAGE, "--node: ");
	auto_pb Gdr__Response *dry = asks(loop, client, "{dry_run: true, token_create: {}}");
	assert_int_equal(dry->code, GDR__CODE__CODE_OK);
	assert_null(dry->token);
	wire_close(client);
}

/* --- keys that wait -------------------------------------------------------------------------------------------------- */

static void
knocks(struct loop *loop, const struct keypair *key)
{
	struct wire *client = sockets_connect(wire_endpoint(loop->agents_wire), loop->server.public_key, key);

	assert_true(loop_reaches(loop, client, WIRE_REFUSED));
	wire_close(client);
}

static void
keys_that_wait_are_accepted_or_rejected(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &admin);
	struct keypair one;
	struct keypair two;
	char fingerprint[KEY_FINGERPRINT_LEN + 1];

	keys_generate(&one);
	keys_generate(&two);
	knocks(loop, &one);
	keys_fingerprint(one.public_key, fingerprint);
	auto_pb Gdr__Response *list = asks(loop, client, "nodes: {states: [pending]}");
	assert_int_equal(list->n_nodes, 1);
	assert_string_equal(list->nodes[0]->key, one.public_key);
	assert_string_equal(list->nodes[0]->name, fingerprint);
	assert_string_equal(list->nodes[0]->address, "127.0.0.1");
	/* An unset variable in a script is not whoever is there. */
	expect(loop, client, "node_accept: {key: \"\", name: n2}", GDR__CODE__CODE_USAGE, "at least 4 characters");
	expect(loop, client, "node_accept: {key: \"a\", name: n2}", GDR__CODE__CODE_USAGE, "at least 4 characters");
	expect(loop, client, "node_reject: {key: \"\"}", GDR__CODE__CODE_USAGE, "at least 4 characters");
	expect(loop, client, "node_accept: {name: n2}", GDR__CODE__CODE_USAGE, "which key?");
	expect(loop, client, "node_reject: {}", GDR__CODE__CODE_USAGE, "which key?");
	auto_free char *unnamed = xasprintf("node_accept: {key: \"%s\"}", fingerprint);
	expect(loop, client, unnamed, GDR__CODE__CODE_USAGE, "needs a name");
	auto_free char *misnamed = xasprintf("node_accept: {key: \"%s\", name: \"N 2\"}", fingerprint);
	expect(loop, client, misnamed, GDR__CODE__CODE_USAGE, "--name: ");
	expect(loop, client, "node_accept: {key: \"zzzzzz\", name: n2}", GDR__CODE__CODE_ERROR,
	       "no pending key begins");
	assert_null(fleet_node(loop->world->fleet, "n2"));

	/* Where both come from one address, it does not tell them apart. */
	knocks(loop, &two);
	expect(loop, client, "node_accept: {key: 127.0.0.1, name: n2}", GDR__CODE__CODE_USAGE, "fits 2 pending keys");
	auto_free char *accept = xasprintf("node_accept: {key: \"%.9s\", name: n2}", fingerprint);
	auto_free char *dry = xasprintf("{dry_run: true, %s}", accept);
	expect(loop, client, dry, GDR__CODE__CODE_OK, NULL);
	assert_null(fleet_node(loop->world->fleet, "n2"));
	expect(loop, client, accept, GDR__CODE__CODE_OK, NULL);
	assert_string_equal(fleet_node(loop->world->fleet, "n2")->key, one.public_key);
	wire_close(loop_connect(loop, loop->agents_wire, &one));
	auto_free char *again = xasprintf("node_accept: {key: \"%s\", name: n3}", one.public_key);
	expect(loop, client, again, GDR__CODE__CODE_ERROR, "this key is n2's already");

	auto_free char *known = xasprintf("node_reject: {key: \"%s\"}", one.public_key);
	expect(loop, client, known, GDR__CODE__CODE_ERROR, "removed, not rejected");
	auto_free char *reject = xasprintf("node_reject: {key: \"%s\"}", two.public_key);
	expect(loop, client, reject, GDR__CODE__CODE_OK, NULL);
	knocks(loop, &two);
	auto_pb Gdr__Response *none = asks(loop, client, "nodes: {states: [pending]}");
	assert_int_equal(none->n_nodes, 0);
	/* A whole key need not have knocked. */
	auto_free char *whole = xasprintf("node_accept: {key: \"%s\", name: n3}", two.public_key);
	expect(loop, client, whole, GDR__CODE__CODE_OK, NULL);
	wire_close(loop_connect(loop, loop->agents_wire, &two));
	wire_close(client);
}

static void
an_answer_may_be_too_large(void **state)
{
	struct loop *loop = *state;
	struct wire *client = user(loop, &viewer);
	struct world *w = loop->world;
	auto_free char *filler = xcalloc(1, 900001);
	enum {
		N = 80
	};

	memset(filler, 'x', 900000);
	auto_free char *hello = xasprintf("{boot_id: b1, generation: 1, outcome: settled, why: %s}", filler);
	for (int i = 0; i < N; i++) {
		auto_free char *name = xasprintf("big%d", i);
		struct keypair key;

		keys_generate(&key);
		loop_add(loop, true, name, GDR__ROLE__ROLE_VIEWER, &key);
		Gdr__Report *report = (Gdr__Report *)world_message(&gdr__report__descriptor, hello);
		fleet_report(w->fleet, fleet_node(w->fleet, name), &report, w->now);
		pb_free((ProtobufCMessage *)report);
	}
	world_commit(w);
	auto_pb ProtobufCMessage *all = world_message(&gdr__request__descriptor, "{id: a7, nodes: {detail: true}}");
	send_request(client, all);
	auto_pb Gdr__Response *answer = next_answer(loop, client);
	assert_string_equal(answer->id, "a7");
	assert_int_equal(answer->code, GDR__CODE__CODE_ERROR);
	assert_non_null(strstr(answer->message, "too large"));
	expect(loop, client, "nodes: {of: {names: [big1]}, detail: true}", GDR__CODE__CODE_OK, NULL);
	wire_close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, loop_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_request_has_its_role),
		TEST(a_viewer_changes_nothing),
		TEST(what_is_no_request_is_answered),
		TEST(answered_after_the_commit),
		TEST(a_commit_that_fails_is_answered_so),
		TEST(the_same_key_has_one_effect),
		TEST(users_come_and_go),
		TEST(a_user_rotates_the_own_key),
		TEST(a_node_is_no_operator),
		TEST(a_token_is_made),
		TEST(keys_that_wait_are_accepted_or_rejected),
		TEST(an_answer_may_be_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
