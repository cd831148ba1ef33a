#pragma once

/* sockets.h - CURVE clients on loopback, for tests of what listens. */

#include <czmq.h>
#include <zmq.h>

#include "common/err.h"
#include "common/wire.h"

#define SOCKETS_MS 5000 /* What must happen happens long before. */

/* Connects, and waits until it is up, refused or mute for a while. */
static inline struct wire *
sockets_connect(const char *endpoint, const char *server_key, const struct keypair *self)
{
	struct wire *wire = NULL;
	struct err err = { 0 };

	if (wire_connect(endpoint, server_key, self, 50, &wire, &err) < 0)
		fail_msg("%s", err.msg);
	return wire;
}

static inline bool
sockets_reach(struct wire *wire, enum wire_state state)
{
	int64_t end = zclock_mono() + SOCKETS_MS;
	struct wire_frame frame;

	while (wire_state(wire) != state && zclock_mono() < end)
		(void)wire_wait(wire, 10, &frame);
	return wire_state(wire) == state;
}

/* For so long it does not get beyond 'state'. */
static inline bool
sockets_stay(struct wire *wire, enum wire_state state, int64_t ms)
{
	int64_t end = zclock_mono() + ms;
	struct wire_frame frame;

	while (zclock_mono() < end) {
		if (wire_state(wire) != state)
			return false;
		(void)wire_wait(wire, 10, &frame);
	}
	return true;
}

static inline bool
sockets_recv(struct wire *wire, struct wire_frame *frame)
{
	return wire_wait(wire, SOCKETS_MS, frame) > 0;
}

static inline void
sockets_send(struct wire *wire, const void *data, size_t len)
{
	int64_t end = zclock_mono() + SOCKETS_MS;
	int rc;

	/* There is nobody to send to before the handshake. */
	while ((rc = wire_send(wire, NULL, data, len)) == -EAGAIN && zclock_mono() < end)
		zclock_sleep(5);
	assert_int_equal(rc, 0);
}
