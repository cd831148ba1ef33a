#pragma once

/* operators.h - the operators' endpoint: one Request, one Response.  The table in operators.c says which role each
 * request needs; who asks is the connection's key. */

#include <stddef.h>
#include <stdint.h>

#include "controller/turn.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"

struct fleet;
struct keyring;
struct operators;
struct wire;
struct wire_peer;
struct zap;

/* What a handler may use beside the fleet. */
struct endpoints {
	const char *agents; /* As agents and operators elsewhere reach them: tcp://HOST:PORT. */
	const char *enrol;
	const char *server_key;
};

struct operators *operators_new(struct wire *wire, struct fleet *fleet, struct keyring *keyring, struct zap *zap,
				const struct endpoints *endpoints, const struct turn *turn);
void operators_free(struct operators *operators);

/* The Response to one Request, packed; the caller frees it.  NULL: who asks is no operator (any more). */
uint8_t *operators_answer(struct operators *operators, const struct wire_peer *peer, const void *asked,
			  size_t asked_len, size_t *len);

/* The answer to 'name', who is a viewer and asks in another way than by the socket: over HTTP. */
void operators_view(struct operators *operators, const char *name, const Gdr__Request *request, Gdr__Response *answer);

/* After a commit: the answers.  'failed' not NULL: the commit failed, and nothing of this turn was done. */
void operators_flush(struct operators *operators, const char *failed);
/* Once a second: bursts of garbage that are over are counted in the log. */
void operators_tick(struct operators *operators);
