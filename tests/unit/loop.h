#pragma once

/* loop.h - gdrd's loop in a test: driven for some milliseconds at a time, with its turns' ends. */

#include "controller/agents.h"
#include "controller/enrol.h"
#include "controller/operators.h"
#include "tests/unit/fleet_world.h"
#include "tests/unit/sockets.h"

struct loop {
	struct world *world;
	zloop_t *zloop;
	struct keypair server;
	struct wire *agents_wire; /* Theirs; for its endpoint. */
	struct wire *operators_wire;
	struct wire *enrol_wire;
	struct agents *agents;
	struct operators *operators;
	struct enrol *enrol;
	bool stuck; /* Frames are read, and the turn does not end. */
	unsigned commits;
	unsigned failures;
	bool failed;
};

static inline void
loop_end_turn(void *arg)
{
	struct loop *loop = arg;
	struct err err = { 0 };

	if (loop->stuck)
		return;
	loop->failed = fleet_commit(loop->world->fleet, &err) < 0;
	loop->commits++;
	loop->failures += loop->failed;
	if (!loop->failed)
		agents_flush(loop->agents);
	fleet_turn_over(loop->world->fleet);
	enrol_flush(loop->enrol, loop->failed ? err.msg : NULL);
	operators_flush(loop->operators, loop->failed ? err.msg : NULL);
}

static inline int
loop_stop(zloop_t *zloop, int timer, void *arg)
{
	(void)zloop;
	(void)timer;
	(void)arg;
	return -1;
}

static inline void
loop_run(struct loop *loop, size_t ms)
{
	int timer = zloop_timer(loop->zloop, ms, 1, loop_stop, NULL);

	(void)zloop_start(loop->zloop);
	(void)zloop_timer_end(loop->zloop, timer);
}

static inline int
loop_make(void **state)
{
	void *folder = NULL;

	if (folder_make(&folder) != 0)
		return -1;
	struct loop *loop = xcalloc(1, sizeof(*loop));
	loop->world = world_make(folder);
	free(folder);
	struct world *w = loop->world;
	w->now = (uint64_t)zclock_time();
	/* Real time passes here: the fleet began now. */
	world_restart(w);
	w->config.lost_after = 60000;
	w->config.lease = 200;
	loop->zloop = zloop_new();
	const struct turn turn = { loop->zloop, loop_end_turn, loop };
	static const struct endpoints endpoints = { "tcp://c:1", "tcp://c:2", "server-key" };
	keys_generate(&loop->server);
	if (wire_listen("tcp://127.0.0.1:*", &loop->server, "agents", &loop->agents_wire, &w->err) < 0 ||
	    wire_listen("tcp://127.0.0.1:*", &loop->server, "operators", &loop->operators_wire, &w->err) < 0 ||
	    wire_listen("tcp://127.0.0.1:*", &loop->server, "enrol", &loop->enrol_wire, &w->err) < 0)
		fail_msg("%s", w->err.msg);
	loop->agents = agents_new(loop->agents_wire, w->fleet, w->keyring, &w->config, &turn);
	loop->operators = operators_new(loop->operators_wire, w->fleet, w->keyring, w->zap, &endpoints, &turn);
	loop->enrol = enrol_new(loop->enrol_wire, w->fleet, &turn);
	*state = loop;
	return 0;
}

static inline int
loop_free(void **state)
{
	struct loop *loop = *state;
	void *folder = strndup(loop->world->path, strlen(loop->world->path) - strlen("/gdrd.db"));

	zloop_destroy(&loop->zloop);
	agents_free(loop->agents);
	operators_free(loop->operators);
	enrol_free(loop->enrol);
	world_free(loop->world);
	free(loop);
	return folder_remove(&folder);
}

/* A client that is up; what it does not do is wait for an answer. */
static inline struct wire *
loop_connect(const struct loop *loop, const struct wire *to, const struct keypair *key)
{
	struct wire *client = sockets_connect(wire_endpoint(to), loop->server.public_key, key);

	assert_true(sockets_reach(client, WIRE_UP));
	return client;
}

/* The next frame for 'client', while the loop turns; false: none came. */
static inline bool
loop_recv(struct loop *loop, struct wire *client, struct wire_frame *frame)
{
	int64_t end = zclock_mono() + SOCKETS_MS;

	while (zclock_mono() < end) {
		if (wire_recv(client, frame) > 0)
			return true;
		loop_run(loop, 2);
	}
	return false;
}

/* Nothing comes for so long. */
static inline bool
loop_silent(struct loop *loop, struct wire *client, int64_t ms)
{
	int64_t end = zclock_mono() + ms;
	struct wire_frame frame;

	while (zclock_mono() < end) {
		if (wire_recv(client, &frame) > 0)
			return false;
		loop_run(loop, 2);
	}
	return true;
}

static inline bool
loop_reaches(struct loop *loop, struct wire *client, enum wire_state state)
{
	int64_t end = zclock_mono() + SOCKETS_MS;

	while (wire_state(client) != state && zclock_mono() < end)
		loop_run(loop, 2);
	return wire_state(client) == state;
}

static inline void
loop_add(struct loop *loop, bool is_node, const char *name, Gdr__Role role, const struct keypair *key)
{
	auto_free char *copy = xstrdup(name);
	struct world *w = loop->world;

	if (is_node) {
		const struct ask ask = { .actor = "user/test", .now_ms = w->now };

		assert_int_equal(fleet_accept(w->fleet, &ask, key->public_key, name, &w->err), 0);
	} else {
		struct principal principal = { .name = copy, .role = role };

		memcpy(principal.key, key->public_key, sizeof(principal.key));
		assert_int_equal(store_begin(w->store, &w->err), 0);
		assert_int_equal(keyring_add(w->keyring, &principal, &w->err), 0);
	}
	world_commit(w);
}
