#pragma once

/* zap.h - who may connect at all: the ZAP handler (ZeroMQ RFC 27), in a thread of its own over sets in memory.
 *
 * Three domains, one an endpoint: "agents", "operators", "enrol".  What is in no set is refused (400).  With
 * the handler absent or dead libzmq refuses everybody, because wire_listen() enforces the domain;
 * zap_self_test() proves both at start with a throw-away key.  Refused keys of "agents" are remembered,
 * bounded, until somebody accepts or rejects them, or they try no more. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"

struct err;
struct zap;

enum zap_domain {
	ZAP_AGENTS,
	ZAP_OPERATORS,
	ZAP_ENROL,
	ZAP_DOMAINS, /* How many. */
};
const char *zap_domain_name(enum zap_domain domain);

struct zap_pending {
	char key[KEY_LEN + 1];
	char address[64];
	uint64_t first_ms; /* Unix time. */
	uint64_t last_ms;
	unsigned long tries;
};

/* Starts the thread.  Before any wire_listen(). */
int zap_open(size_t max_pending, struct zap **out, struct err *err);
void zap_close(struct zap *zap);

void zap_allow(struct zap *zap, enum zap_domain domain, const char *key);
void zap_deny(struct zap *zap, enum zap_domain domain, const char *key);

/* An endless loop of refusals is what a forgotten host does: copies of the list, newest last; the caller frees. */
size_t zap_pending(struct zap *zap, struct zap_pending **out);
/* Whoever has not tried since then is gone: its place is another's. */
void zap_expire(struct zap *zap, uint64_t since_ms);
/* Takes it off the list; a rejected key is not listed again until gdrd starts anew. */
void zap_forget(struct zap *zap, const char *key, bool reject);

struct zap_counts {
	unsigned long admitted;
	unsigned long refused;
	unsigned long malformed;
};
struct zap_counts zap_counts(struct zap *zap);

/* A client with a key that nobody knows must be refused on a socket made by wire_listen(). */
int zap_self_test(struct err *err);
