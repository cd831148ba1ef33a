#include "controller/zap.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/wire.h"

#define ZAP_ENDPOINT  "inproc://zeromq.zap.01"
#define STOP_ENDPOINT "inproc://zap-stop"
#define MAX_PARTS     8
#define MAX_REJECTED  10000
#define SELF_TEST_MS  3000

struct zap {
	pthread_t thread;
	pthread_mutex_t lock; /* Over all that follows. */
	zhashx_t *allowed[ZAP_DOMAINS];
	zhashx_t *rejected;
	zlistx_t *pending; /* struct zap_pending, oldest first. */
	size_t max_pending;
	struct zap_counts counts;
	void *socket;  /* The thread's. */
	void *stop;    /* PAIR: the thread's end, */
	void *stopper; /* and ours. */
};

const char *
zap_domain_name(enum zap_domain domain)
{
	static const char *const names[] = { "agents", "operators", "enrol" };

	return domain < ZAP_DOMAINS ? names[domain] : "?";
}

/* --- the sets ---------------------------------------------------------------------------------------- */

static void *
pending_copy(const void *item)
{
	struct zap_pending *copy = xcalloc(1, sizeof(*copy));

	memcpy(copy, item, sizeof(*copy));
	return copy;
}

static void
pending_free(void **item)
{
	free(*item);
	*item = NULL;
}

void
zap_allow(struct zap *zap, enum zap_domain domain, const char *key)
{
	(void)pthread_mutex_lock(&zap->lock);
	(void)zhashx_insert(zap->allowed[domain], key, zap);
	(void)pthread_mutex_unlock(&zap->lock);
	zap_forget(zap, key, false);
}

void
zap_deny(struct zap *zap, enum zap_domain domain, const char *key)
{
	(void)pthread_mutex_lock(&zap->lock);
	zhashx_delete(zap->allowed[domain], key);
	(void)pthread_mutex_unlock(&zap->lock);
}

static struct zap_pending *
find_pending(struct zap *zap, const char *key)
{
	struct zap_pending *item = zlistx_first(zap->pending);

	while (item && strcmp(item->key, key) != 0)
		item = zlistx_next(zap->pending);
	return item;
}

void
zap_forget(struct zap *zap, const char *key, bool reject)
{
	(void)pthread_mutex_lock(&zap->lock);
	if (find_pending(zap, key))
		(void)zlistx_delete(zap->pending, zlistx_cursor(zap->pending));
	if (reject && zhashx_size(zap->rejected) < MAX_REJECTED)
		(void)zhashx_insert(zap->rejected, key, zap);
	if (!reject)
		zhashx_delete(zap->rejected, key);
	(void)pthread_mutex_unlock(&zap->lock);
}

size_t
zap_pending(struct zap *zap, struct zap_pending **out)
{
	size_t n = 0;

	(void)pthread_mutex_lock(&zap->lock);
	*out = xcalloc(zlistx_size(zap->pending) + 1, sizeof(**out));
	for (struct zap_pending *item = zlistx_first(zap->pending); item; item = zlistx_next(zap->pending))
		(*out)[n++] = *item;
	(void)pthread_mutex_unlock(&zap->lock);
	return n;
}

static bool
find_silent(struct zap *zap, uint64_t since_ms)
{
	const struct zap_pending *item = zlistx_first(zap->pending);

	while (item && item->last_ms >= since_ms)
		item = zlistx_next(zap->pending);
	return item != NULL;
}

void
zap_expire(struct zap *zap, uint64_t since_ms)
{
	(void)pthread_mutex_lock(&zap->lock);
	while (find_silent(zap, since_ms))
		(void)zlistx_delete(zap->pending, zlistx_cursor(zap->pending));
	(void)pthread_mutex_unlock(&zap->lock);
}

struct zap_counts
zap_counts(struct zap *zap)
{
	(void)pthread_mutex_lock(&zap->lock);
	struct zap_counts counts = zap->counts;
	(void)pthread_mutex_unlock(&zap->lock);
	return counts;
}

/* --- the thread ------------------------------------------------------------------------------------- */

static void
remember(struct zap *zap, const char *key, const char *address)
{
	struct zap_pending *item = find_pending(zap, key);
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	uint64_t now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (!item) {
		struct zap_pending fresh = { .first_ms = now };

		if (zhashx_lookup(zap->rejected, key) || zlistx_size(zap->pending) >= zap->max_pending)
			return;
		(void)snprintf(fresh.key, sizeof(fresh.key), "%s", key);
		item = zlistx_handle_item(zlistx_add_end(zap->pending, &fresh));
	}
	(void)snprintf(item->address, sizeof(item->address), "%.63s", address);
	item->last_ms = now;
	item->tries++;
}

static bool
admit(struct zap *zap, const char *domain, const char *key, const char *address)
{
	bool ok = false;

	(void)pthread_mutex_lock(&zap->lock);
	for (int d = 0; d < ZAP_DOMAINS; d++)
		if (strcmp(domain, zap_domain_name(d)) == 0)
			ok = zhashx_lookup(zap->allowed[d], key) != NULL;
	if (ok)
		zap->counts.admitted++;
	else
		zap->counts.refused++;
	if (!ok && strcmp(domain, zap_domain_name(ZAP_AGENTS)) == 0)
		remember(zap, key, address);
	(void)pthread_mutex_unlock(&zap->lock);
	return ok;
}

static void
reply(void *socket, const char *request_id, bool ok, const char *user)
{
	const char *parts[] = { "1.0", request_id, ok ? "200" : "400", ok ? "OK" : "no such key", ok ? user : "", "" };
	const int n = sizeof(parts) / sizeof(parts[0]);

	for (int i = 0; i < n; i++)
		(void)zmq_send(socket, parts[i], strlen(parts[i]), i + 1 < n ? ZMQ_SNDMORE : 0);
}

/* version, request id, domain, address, identity, mechanism, client key (32 bytes): RFC 27. */
static void
answer(struct zap *zap)
{
	char parts[MAX_PARTS][256] = { { 0 } };
	int len[MAX_PARTS] = { 0 };
	int n = 0;
	int more = 1;
	size_t size = sizeof(more);
	char key[KEY_LEN + 1] = "";

	while (more) {
		char skip[256];
		int rc = zmq_recv(zap->socket, n < MAX_PARTS ? parts[n] : skip, 255, 0);

		if (rc < 0)
			return;
		if (n < MAX_PARTS)
			len[n] = rc < 255 ? rc : 255;
		n++;
		(void)zmq_getsockopt(zap->socket, ZMQ_RCVMORE, &more, &size);
	}
	if (n != 7 || strcmp(parts[0], "1.0") != 0 || strcmp(parts[5], "CURVE") != 0 || len[6] != 32) {
		(void)pthread_mutex_lock(&zap->lock);
		zap->counts.malformed++;
		(void)pthread_mutex_unlock(&zap->lock);
		reply(zap->socket, parts[1], false, "");
		return;
	}
	(void)zmq_z85_encode(key, (const uint8_t *)parts[6], 32);
	reply(zap->socket, parts[1], admit(zap, parts[2], key, parts[3]), key);
}

static void *
handle(void *arg)
{
	struct zap *zap = arg;

	for (;;) {
		zmq_pollitem_t items[] = { { .socket = zap->stop, .events = ZMQ_POLLIN },
					   { .socket = zap->socket, .events = ZMQ_POLLIN } };

		if (zmq_poll(items, 2, -1) < 0 && errno != EINTR)
			break;
		if (items[0].revents)
			break;
		if (items[1].revents)
			answer(zap);
	}
	/* At once, and not when the closed socket is reaped: another handler may follow. */
	(void)zmq_unbind(zap->socket, ZAP_ENDPOINT);
	(void)zmq_close(zap->socket);
	(void)zmq_close(zap->stop);
	return NULL;
}

/* --- start and end ------------------------------------------------------------------------------------- */

static void *
bound(int type, const char *endpoint, bool bind)
{
	void *socket = zmq_socket(wire_context(), type);
	int zero = 0;

	if (socket && (bind ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint)) != 0) {
		(void)zmq_close(socket);
		return NULL;
	}
	if (socket)
		(void)zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
	return socket;
}

static int
start(struct zap *zap)
{
	sigset_t all;
	sigset_t old;

	zap->socket = bound(ZMQ_REP, ZAP_ENDPOINT, true);
	zap->stopper = bound(ZMQ_PAIR, STOP_ENDPOINT, true);
	zap->stop = bound(ZMQ_PAIR, STOP_ENDPOINT, false);
	if (!zap->socket || !zap->stopper || !zap->stop)
		return -EADDRINUSE; /* One handler a process; nothing else makes an inproc endpoint fail. */
	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	int rc = pthread_create(&zap->thread, NULL, handle, zap);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

static void
close_socket(void *socket, const char *bound_to)
{
	if (socket && bound_to)
		(void)zmq_unbind(socket, bound_to);
	if (socket)
		(void)zmq_close(socket);
}

static void
free_sets(struct zap *zap)
{
	for (int d = 0; d < ZAP_DOMAINS; d++)
		zhashx_destroy(&zap->allowed[d]);
	zhashx_destroy(&zap->rejected);
	zlistx_destroy(&zap->pending);
	(void)pthread_mutex_destroy(&zap->lock);
	free(zap);
}

int
zap_open(size_t max_pending, struct zap **out, struct err *err)
{
	struct zap *zap = xcalloc(1, sizeof(*zap));

	(void)pthread_mutex_init(&zap->lock, NULL);
	for (int d = 0; d < ZAP_DOMAINS; d++)
		zap->allowed[d] = zhashx_new();
	zap->rejected = zhashx_new();
	zap->pending = zlistx_new();
	zlistx_set_duplicator(zap->pending, pending_copy);
	zlistx_set_destructor(zap->pending, pending_free);
	zap->max_pending = max_pending;
	int rc = start(zap);
	if (rc < 0) {
		close_socket(zap->socket, ZAP_ENDPOINT);
		close_socket(zap->stopper, STOP_ENDPOINT);
		close_socket(zap->stop, NULL);
		free_sets(zap);
		return err_set(err, rc, "cannot start the ZAP handler: %s", strerror(-rc));
	}
	*out = zap;
	return 0;
}

void
zap_close(struct zap *zap)
{
	if (!zap)
		return;
	(void)zmq_send(zap->stopper, "", 0, 0);
	(void)pthread_join(zap->thread, NULL);
	close_socket(zap->stopper, STOP_ENDPOINT);
	free_sets(zap);
}

int
zap_self_test(struct err *err)
{
	struct keypair server;
	struct keypair stranger;
	struct wire *listener = NULL;
	struct wire *client = NULL;
	struct wire_frame frame;
	int rc;

	keys_generate(&server);
	keys_generate(&stranger);
	rc = wire_listen("tcp://127.0.0.1:*", &server, "self-test", &listener, err);
	if (rc < 0)
		return err_wrap(err, "self-test of authentication");
	rc = wire_connect(wire_endpoint(listener), server.public_key, &stranger, 100, &client, err);
	if (rc == 0) {
		int64_t end = zclock_mono() + SELF_TEST_MS;

		while (wire_state(client) != WIRE_REFUSED && wire_state(client) != WIRE_UP && zclock_mono() < end)
			(void)wire_wait(client, 50, &frame);
		if (wire_state(client) != WIRE_REFUSED)
			rc = err_set(
				err, -EACCES,
				"self-test of authentication: a key that nobody knows was not refused: not starting");
	}
	wire_close(client);
	wire_close(listener);
	return rc;
}
