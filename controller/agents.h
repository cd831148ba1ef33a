#pragma once

/* agents.h - the agent link on the controller's side: sessions, admission, leases; what is said goes to the fleet.
 *
 * A session is a connection (libzmq's own routing id) whose key is a node's; the newest Hello of a node makes its
 * session the current one.  A session that was replaced and goes on speaking means that two machines have one key. */

#include "controller/turn.h"
#include "proto/config.pb-c.h"

struct agents;
struct fleet;
struct keyring;
struct wire;

/* 'wire' becomes the agents' own.   */
struct agents *agents_new(struct wire *wire, struct fleet *fleet, const struct keyring *keyring,
			  const Gdr__GdrdConfig *config, const struct turn *turn);
void agents_free(struct agents *agents);

/* After a commit: Desired and LeaseOk to the nodes that the fleet has marked. */
void agents_flush(struct agents *agents);
/* Once a second: sessions that fell silent, and links of keys that were revoked. */
void agents_tick(struct agents *agents);

/* For metrics; messages since start. */
struct agents_counts {
	unsigned long sessions; /* Now. */
	unsigned long strangers;
	unsigned long garbage;
	unsigned long impostors;
	unsigned long floods;
};
struct agents_counts agents_counts(const struct agents *agents);
