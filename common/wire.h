#pragma once

/* wire.h - frames over CURVE: the only door to ZeroMQ's sockets (the ZAP handler, controller/zap.c, apart).
 *
 * One message is one frame of at most WIRE_MAX bytes.  Settings and traps: libzmq 4.3.4, see the comments
 * in wire.c.  Sockets belong to one thread and are polled by the caller's zloop through wire_socket(). */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"

struct err;
struct wire;

#define PROTOCOL        1          /* Of the agent link; a Hello with another is refused. */
#define WIRE_MAX        (1 << 20)  /* Bytes of a frame towards a ROUTER. */
#define WIRE_ANSWER_MAX (64 << 20) /* And from one: an operator may list every node. */

/* Who sent a frame. The routing id is libzmq's own; the key is what ZAP admitted, "" without CURVE. */
struct wire_peer {
	uint8_t id[16];
	size_t id_len;
	char key[KEY_LEN + 1];
	char address[64];           /* "Peer-Address" as libzmq saw it. */
	int fd;                     /* Of its connection, */
	struct sockaddr_in6 remote; /* and the far end by which wire_cut() knows it again. */
};

struct wire_frame {
	struct wire_peer peer;
	uint8_t *data; /* The caller's, until the next wire_recv() on the socket. */
	size_t len;
};

/* A ROUTER. 'domain' is what ZAP is asked with; enforcement is on, so without a ZAP handler nobody gets in. */
int wire_listen(const char *endpoint, const struct keypair *server, const char *domain, struct wire **out,
		struct err *err);

/* A DEALER.  Connects at once and by itself again, after a random 1 to 'retry_ms' ms. */
int wire_connect(const char *endpoint, const char *server_key, const struct keypair *self, int retry_ms,
		 struct wire **out, struct err *err);
void wire_close(struct wire *wire);

void *wire_socket(struct wire *wire);               /* For zloop_reader()/zmq_poll(). */
const char *wire_endpoint(const struct wire *wire); /* As bound: port 0 is resolved. */

/* 1: a frame; 0: none waits; -errno.  Malformed messages (several frames, none, no key) are dropped and
 * counted in wire_dropped(). Never blocks. */
int wire_recv(struct wire *wire, struct wire_frame *out);
unsigned long wire_dropped(const struct wire *wire);

/* Never blocks.  'peer' is NULL on a DEALER.  -EHOSTUNREACH: it is gone; -EAGAIN: its queue is full: state
 * is sent again when its lease says so, nothing is lost that matters. */
int wire_send(struct wire *wire, const struct wire_peer *peer, const void *data, size_t len);

/* Ends the peer's connection, if it is still the one that its last frame came by. */
void wire_cut(const struct wire_peer *peer);

/* Waits up to 'ms' for a frame; 0 on time-out.  For programs without a loop (gdrctl, join). */
int wire_wait(struct wire *wire, int ms, struct wire_frame *out);

/* A DEALER's connection, as far as libzmq tells. */
enum wire_state {
	WIRE_DOWN, /* No TCP connection: nobody listens there, or not yet. */
	WIRE_MUTE, /* TCP, but no handshake: the server has another key than the one we pin. */
	WIRE_UP,
	WIRE_REFUSED, /* The server refused our key. It stays so: close, and connect anew later. */
};
enum wire_state wire_state(struct wire *wire);
bool wire_refused(struct wire *wire);

/* The one ZeroMQ context of this process, for the ZAP handler. */
void *wire_context(void);
