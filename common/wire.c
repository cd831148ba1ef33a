#include "common/wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

/* Refuse every client when no ZAP handler answers.  A draft option in zmq.h, honoured by every stable
 * libzmq since 4.3.0 (src/options.cpp); wire_listen() fails where it is not. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* What a CURVE MESSAGE adds to a frame (RFC 26), and libzmq's limit counts: name, nonce, box, flags. */
#define CURVE_OVERHEAD (8 + 8 + 16 + 1)

struct wire {
	void *socket;
	void *monitor; /* DEALER: PAIR of connection events. */
	enum wire_state state;
	char endpoint[256];
	zmq_msg_t frame; /* Of the last wire_recv(). */
	bool has_frame;
	bool router;
	unsigned long dropped;
};

void *
wire_context(void)
{
	static void *context;

	if (!context) {
		/* A ROUTER's routing ids derive from rand(), which libzmq does not seed. */
		srand(randombytes_random());
		context = zmq_ctx_new();
		if (!context)
			abort();
		(void)zmq_ctx_set(context, ZMQ_IO_THREADS, 2);
		(void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 65535);
	}
	return context;
}

static int
set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value));
}

struct int_option {
	int option;
	int value;
};

static int
set_ints(void *socket, const struct int_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (set_int(socket, options[i].option, options[i].value) != 0)
			return -1;
	return 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A dead peer's socket is reaped by the kernel: ZMTP heartbeats at a ROUTER cost O(peers) a timer. */
static const struct int_option common_options[] = {
	{ ZMQ_LINGER, 0 },
	{ ZMQ_MAXMSGSIZE, -1 }, /* Replaced below: it is an int64_t. */
	{ ZMQ_TCP_KEEPALIVE, 1 },
	{ ZMQ_TCP_KEEPALIVE_IDLE, 60 },
	{ ZMQ_TCP_KEEPALIVE_INTVL, 10 },
	{ ZMQ_TCP_KEEPALIVE_CNT, 6 },
	{ ZMQ_HANDSHAKE_IVL, 15000 },
};

static struct wire *
new_wire(int type)
{
	struct wire *wire = xcalloc(1, sizeof(*wire));
	int64_t max = CURVE_OVERHEAD + (type == ZMQ_ROUTER ? WIRE_MAX : WIRE_ANSWER_MAX);

	wire->router = type == ZMQ_ROUTER;
	wire->socket = zmq_socket(wire_context(), type);
	if (!wire->socket)
		abort(); /* Out of sockets or memory: there is no going on. */
	for (size_t i = 0; i < COUNT(common_options); i++)
		if (common_options[i].option != ZMQ_MAXMSGSIZE)
			(void)set_int(wire->socket, common_options[i].option, common_options[i].value);
	(void)zmq_setsockopt(wire->socket, ZMQ_MAXMSGSIZE, &max, sizeof(max));
	return wire;
}

static int
failed(struct wire *wire, const char *endpoint, struct err *err)
{
	int code = errno;

	wire_close(wire);
	if (code == EADDRINUSE)
		return err_set(err, -code, "%s: the port is taken: is another gdrd running? (ss -ltnp)", endpoint);
	return err_set(err, -code, "%s: %s", endpoint, zmq_strerror(code));
}

int
wire_listen(const char *endpoint, const struct keypair *server, const char *domain, struct wire **out, struct err *err)
{
	const struct int_option options[] = {
		{ ZMQ_CURVE_SERVER, 1 },
		{ ZMQ_ZAP_ENFORCE_DOMAIN, 1 },
		{ ZMQ_ROUTER_MANDATORY, 1 },
		{ ZMQ_BACKLOG, 4096 },
		{ ZMQ_SNDHWM, 64 },
		{ ZMQ_RCVHWM, 1000 },
		{ ZMQ_IPV6, strchr(endpoint, '[') != NULL }, /* Else 127.0.0.1 would read [::ffff:127.0.0.1]. */
	};
	struct wire *wire = new_wire(ZMQ_ROUTER);
	size_t len = sizeof(wire->endpoint);

	if (set_ints(wire->socket, options, COUNT(options)) != 0 ||
	    zmq_setsockopt(wire->socket, ZMQ_CURVE_SECRETKEY, server->secret_key, KEY_LEN + 1) != 0 ||
	    zmq_setsockopt(wire->socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) != 0 ||
	    zmq_bind(wire->socket, endpoint) != 0 ||
	    zmq_getsockopt(wire->socket, ZMQ_LAST_ENDPOINT, wire->endpoint, &len) != 0)
		return failed(wire, endpoint, err);
	*out = wire;
	return 0;
}

static int
watch_connection(struct wire *wire)
{
	static unsigned counter;
	char name[64];

	(void)snprintf(name, sizeof(name), "inproc://wire-monitor-%u", ++counter);
	if (zmq_socket_monitor(wire->socket, name,
			       ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
				       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
				       ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_CLOSED) != 0)
		return -1;
	wire->monitor = zmq_socket(wire_context(), ZMQ_PAIR);
	return wire->monitor ? zmq_connect(wire->monitor, name) : -1;
}

int
wire_connect(const char *endpoint, const char *server_key, const struct keypair *self, int retry_ms, struct wire **out,
	     struct err *err)
{
	/* The interval is fixed for the life of the socket: RECONNECT_IVL_MAX brings no real jitter, a random
	 * interval for each agent spreads a returning fleet. */
	const struct int_option options[] = {
		{ ZMQ_IMMEDIATE, 1 },
		{ ZMQ_SNDHWM, 64 },
		{ ZMQ_RCVHWM, 64 },
		{ ZMQ_HEARTBEAT_IVL, 20000 },
		{ ZMQ_HEARTBEAT_TIMEOUT, 60000 },
		{ ZMQ_RECONNECT_IVL, 1 + (int)randombytes_uniform((uint32_t)retry_ms) },
		{ ZMQ_CONNECT_TIMEOUT, 10000 },
		{ ZMQ_IPV6, 1 },
	};
	struct wire *wire;

	/* libzmq would take a beginning of a key, and read beyond its end. */
	if (!keys_valid(server_key))
		return err_set(err, -EINVAL, "%s: the server's key is no key: expected 40 characters of Z85", endpoint);
	wire = new_wire(ZMQ_DEALER);
	(void)snprintf(wire->endpoint, sizeof(wire->endpoint), "%s", endpoint);
	if (set_ints(wire->socket, options, COUNT(options)) != 0 ||
	    zmq_setsockopt(wire->socket, ZMQ_CURVE_SERVERKEY, server_key, KEY_LEN + 1) != 0 ||
	    zmq_setsockopt(wire->socket, ZMQ_CURVE_PUBLICKEY, self->public_key, KEY_LEN + 1) != 0 ||
	    zmq_setsockopt(wire->socket, ZMQ_CURVE_SECRETKEY, self->secret_key, KEY_LEN + 1) != 0 ||
	    watch_connection(wire) != 0 || zmq_connect(wire->socket, endpoint) != 0)
		return failed(wire, endpoint, err);
	*out = wire;
	return 0;
}

void
wire_close(struct wire *wire)
{
	if (!wire)
		return;
	if (wire->has_frame)
		(void)zmq_msg_close(&wire->frame);
	if (wire->monitor) {
		(void)zmq_socket_monitor(wire->socket, NULL, 0);
		(void)set_int(wire->monitor, ZMQ_LINGER, 0);
		(void)zmq_close(wire->monitor);
	}
	(void)zmq_close(wire->socket);
	free(wire);
}

void *
wire_socket(struct wire *wire)
{
	return wire->socket;
}

const char *
wire_endpoint(const struct wire *wire)
{
	return wire->endpoint;
}

unsigned long
wire_dropped(const struct wire *wire)
{
	return wire->dropped;
}

static void
copy_meta(zmq_msg_t *msg, const char *property, char *out, size_t size)
{
	const char *value = zmq_msg_gets(msg, property);

	(void)snprintf(out, size, "%s", value ? value : "");
}

/* Receives one frame into the empty 'msg'; 'more' tells whether another follows. */
static int
recv_part(struct wire *wire, zmq_msg_t *msg, bool *more)
{
	(void)zmq_msg_init(msg);
	if (zmq_msg_recv(msg, wire->socket, ZMQ_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : -errno;
	*more = zmq_msg_more(msg) != 0;
	return 1;
}

/* The routing id, then the one frame of data; whatever follows is drained, and the message is dropped. */
static int
recv_message(struct wire *wire, struct wire_peer *peer)
{
	bool more = false;
	int rc;

	if (wire->router) {
		zmq_msg_t id;

		rc = recv_part(wire, &id, &more);
		if (rc <= 0)
			return rc;
		peer->id_len = zmq_msg_size(&id) <= sizeof(peer->id) ? zmq_msg_size(&id) : 0;
		memcpy(peer->id, zmq_msg_data(&id), peer->id_len);
		(void)zmq_msg_close(&id);
		if (!more) {
			wire->dropped++;
			return -EBADMSG;
		}
	}
	rc = recv_part(wire, &wire->frame, &more);
	wire->has_frame = rc > 0;
	if (rc <= 0)
		return rc;
	if (!more)
		return 1;
	while (more) {
		zmq_msg_t extra;

		if (recv_part(wire, &extra, &more) <= 0)
			break;
		(void)zmq_msg_close(&extra);
	}
	wire->dropped++;
	return -EBADMSG;
}

/* Address and port of the far end; zeros where there is none.  Holds an IPv4 address as well. */
static struct sockaddr_in6
far_end(int fd)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t len = sizeof(address);

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&address, &len) != 0)
		address = (struct sockaddr_in6){ 0 };
	return address;
}

int
wire_recv(struct wire *wire, struct wire_frame *out)
{
	for (;;) {
		int rc;

		if (wire->has_frame)
			(void)zmq_msg_close(&wire->frame);
		wire->has_frame = false;
		*out = (struct wire_frame){ .peer = { .fd = -1 } };
		rc = recv_message(wire, &out->peer);
		if (rc == -EBADMSG)
			continue;
		if (rc <= 0)
			return rc;
		/* The ZAP handler's words are on data frames; on the id frame they are missing in 4.3.4. */
		copy_meta(&wire->frame, "User-Id", out->peer.key, sizeof(out->peer.key));
		copy_meta(&wire->frame, "Peer-Address", out->peer.address, sizeof(out->peer.address));
		out->peer.fd = zmq_msg_get(&wire->frame, ZMQ_SRCFD);
		out->peer.remote = far_end(out->peer.fd);
		out->data = zmq_msg_data(&wire->frame);
		out->len = zmq_msg_size(&wire->frame);
		if (!wire->router || (out->peer.id_len && keys_valid(out->peer.key)))
			return 1;
		wire->dropped++;
	}
}

int
wire_send(struct wire *wire, const struct wire_peer *peer, const void *data, size_t len)
{
	if (len > (wire->router ? WIRE_ANSWER_MAX : WIRE_MAX))
		return -EMSGSIZE;
	if (wire->router && zmq_send(wire->socket, peer->id, peer->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
		return -errno;
	return zmq_send(wire->socket, data, len, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

void
wire_cut(const struct wire_peer *peer)
{
	struct sockaddr_in6 now = far_end(peer->fd);

	/* The descriptor may be another connection's by now. */
	if (now.sin6_family != 0 && memcmp(&now, &peer->remote, sizeof(now)) == 0)
		(void)shutdown(peer->fd, SHUT_RDWR);
}

static void
on_event(struct wire *wire, int event)
{
	switch (event) {
	case ZMQ_EVENT_CONNECTED:
		/* Told by another I/O thread than the handshake, and sometimes after it. */
		if (wire->state == WIRE_DOWN)
			wire->state = WIRE_MUTE;
		break;
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: wire->state = WIRE_UP; break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: wire->state = WIRE_REFUSED; break;
	case ZMQ_EVENT_CLOSED: /* A connection attempt failed. */
		if (wire->state != WIRE_REFUSED)
			wire->state = WIRE_DOWN;
		break;
	case ZMQ_EVENT_DISCONNECTED:
		/* Cut in the handshake: the server cannot read us, so its key is another. */
		if (wire->state == WIRE_UP)
			wire->state = WIRE_DOWN;
		break;
	default: break;
	}
}

enum wire_state
wire_state(struct wire *wire)
{
	while (wire->monitor) {
		zmq_msg_t part;
		uint16_t event = 0;

		(void)zmq_msg_init(&part);
		if (zmq_msg_recv(&part, wire->monitor, ZMQ_DONTWAIT) < 0)
			break;
		/* zmq_socket_monitor(3): 16 bits of event, 32 of value; then a frame with the address. */
		if (zmq_msg_size(&part) >= sizeof(event))
			memcpy(&event, zmq_msg_data(&part), sizeof(event));
		bool more = zmq_msg_more(&part) != 0;
		(void)zmq_msg_close(&part);
		if (more) {
			(void)zmq_msg_init(&part);
			(void)zmq_msg_recv(&part, wire->monitor, 0);
			(void)zmq_msg_close(&part);
		}
		on_event(wire, event);
	}
	return wire->state;
}

bool
wire_refused(struct wire *wire)
{
	return wire_state(wire) == WIRE_REFUSED;
}

int
wire_wait(struct wire *wire, int ms, struct wire_frame *out)
{
	long long end = clock_ms() + ms;

	for (;;) {
		int rc = wire_recv(wire, out);
		long long left = end - clock_ms();

		if (rc != 0 || left <= 0 || wire_state(wire) == WIRE_REFUSED)
			return rc;
		zmq_pollitem_t items[] = { { .socket = wire->socket, .events = ZMQ_POLLIN },
					   { .socket = wire->monitor, .events = ZMQ_POLLIN } };
		if (zmq_poll(items, wire->monitor ? 2 : 1, (long)left) < 0 && errno != EINTR)
			return -errno;
	}
}
