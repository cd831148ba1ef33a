#include "controller/web/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/web/request.h"
#include "controller/web/site.h"

#define TICK_MS     250
#define ROWS_MS     25         /* Of each tick, for rows. */
#define BUSY_MS     250        /* Of each second, for answers. */
#define ASK_MS      10000      /* For a whole request, from the connection's begin or the last answer. */
#define ALIVE_MS    10000      /* A stream hears something at least this often. */
#define PACE_MS     500        /* And news at most so. */
#define HEADERS_MAX (32 << 10) /* Bytes that a connection may make us keep. */
#define BLOCK       (64 << 10)
#define SEND_MAX    (256 << 10) /* Bytes of a stream that wait in the kernel: who has stopped reading is soon seen. */
#define RUNS_A_TURN 16

/* A page that is kept up to date. */
struct viewer {
	struct http *http;
	struct MHD_Connection *connection;
	struct conn *conn;
	struct stream_place place;
	struct stream_message *message; /* That is being sent, */
	size_t sent;                    /* of which so much was. */
	int64_t told_ms;
	bool suspended;
	struct viewer *next;
};

struct conn {
	int fd;
	int64_t deadline_ms; /* zclock_mono(); 0: none. */
	struct conn *next;
	struct conn **link; /* To it, in the list. */
};

struct http {
	struct MHD_Daemon *daemon;
	struct site *site;
	struct http_counts *counts;
	zloop_t *loop;
	int timer;
	int soon; /* A timer; 0: none. */
	unsigned streams_max;
	int64_t patience_ms; /* For taking an answer, or a message of a stream. */
	int64_t window_ms;   /* The second that is counted, */
	int64_t busy_ms;     /* and what was spent in it. */
	struct conn *conns;
	struct viewer *viewers;
	bool ending;
};

/* --- turns ------------------------------------------------------------------------------------------------------ */

static void serve(struct http *http);

static int
on_soon(zloop_t *loop, int timer, void *arg)
{
	struct http *http = arg;

	(void)loop;
	(void)timer;
	http->soon = 0;
	serve(http);
	return 0;
}

/* The library says when it wants to be called though no socket is ready: what it has read already, or may go on with. */
static void
serve(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG wait = 1;

	for (int i = 0; i < RUNS_A_TURN; i++) {
		(void)MHD_run(http->daemon);
		wait = 1;
		if (MHD_get_timeout(http->daemon, &wait) != MHD_YES || wait > 0)
			return;
	}
	if (!http->soon)
		http->soon = zloop_timer(http->loop, 1, 1, on_soon, http); /* After the others had their turn. */
}

static int
on_ready(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	(void)loop;
	(void)item;
	serve(arg);
	return 0;
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;
	struct conn *conn = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		conn = xcalloc(1, sizeof(*conn));
		conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		conn->deadline_ms = zclock_mono() + ASK_MS;
		conn->next = http->conns;
		conn->link = &http->conns;
		if (conn->next)
			conn->next->link = &conn->next;
		http->conns = conn;
		http->counts->connections++;
		*context = conn;
		return;
	}
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	http->counts->connections--;
	free(conn);
	*context = NULL;
}

static struct conn *
conn_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void
on_answered(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	struct conn *conn = conn_of(connection);

	(void)arg;
	(void)context;
	(void)code;
	if (conn)
		conn->deadline_ms = zclock_mono() + ASK_MS;
}

/* Its end is then found by the library, as if the client had gone. */
static void
cut_slow(struct http *http)
{
	int64_t now = zclock_mono();

	for (struct conn *conn = http->conns; conn; conn = conn->next) {
		if (!conn->deadline_ms || conn->deadline_ms > now)
			continue;
		(void)shutdown(conn->fd, SHUT_RDWR);
		conn->deadline_ms = 0;
		http->counts->cut++;
	}
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

/* True: there is something to send. */
static bool
next_message(struct viewer *viewer, int64_t now)
{
	if (viewer->message)
		return true;
	if (now < viewer->told_ms + PACE_MS)
		return false;
	viewer->message = stream_next(site_stream(viewer->http->site), &viewer->place);
	if (!viewer->message && now >= viewer->told_ms + ALIVE_MS)
		viewer->message = stream_alive();
	if (!viewer->message)
		return false;
	viewer->sent = 0;
	viewer->told_ms = now;
	viewer->conn->deadline_ms = now + viewer->http->patience_ms;
	return true;
}

static ssize_t
send_message(struct viewer *viewer, char *out, size_t max)
{
	struct stream_message *message = viewer->message;
	size_t left = message->len - viewer->sent;
	size_t n = left < max ? left : max;

	memcpy(out, message->text + viewer->sent, n);
	viewer->sent += n;
	if (n == left) {
		stream_give_back(message);
		viewer->message = NULL;
	}
	return (ssize_t)n;
}

static ssize_t
on_room(void *arg, uint64_t pos, char *out, size_t max)
{
	struct viewer *viewer = arg;

	(void)pos;
	if (viewer->http->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (next_message(viewer, zclock_mono()))
		return send_message(viewer, out, max);
	viewer->conn->deadline_ms = 0; /* It has taken all that it was told. */
	viewer->suspended = true;
	MHD_suspend_connection(viewer->connection);
	return 0;
}

static void
on_viewer_gone(void *arg)
{
	struct viewer *viewer = arg;
	struct viewer **link = &viewer->http->viewers;

	while (*link != viewer)
		link = &(*link)->next;
	*link = viewer->next;
	viewer->http->counts->streams--;
	stream_give_back(viewer->message);
	free(viewer);
}

static void
wake_viewers(struct http *http)
{
	int64_t now = zclock_mono();

	for (struct viewer *viewer = http->viewers; viewer; viewer = viewer->next) {
		if (!viewer->suspended || (!http->ending && !next_message(viewer, now)))
			continue;
		viewer->suspended = false;
		MHD_resume_connection(viewer->connection);
	}
}

static struct MHD_Response *
new_stream(struct http *http, struct MHD_Connection *connection, const struct web_request *request)
{
	struct viewer *viewer = xcalloc(1, sizeof(*viewer));
	int send_max = SEND_MAX;

	viewer->http = http;
	viewer->connection = connection;
	viewer->conn = conn_of(connection);
	(void)setsockopt(viewer->conn->fd, SOL_SOCKET, SO_SNDBUF, &send_max, sizeof(send_max));
	viewer->place = stream_resume(site_stream(http->site), request->last_event_id);
	viewer->told_ms = zclock_mono() - ALIVE_MS; /* The first word comes at once. */
	viewer->next = http->viewers;
	http->viewers = viewer;
	http->counts->streams++;
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_room, viewer, on_viewer_gone);
}

/* --- one request --------------------------------------------------------------------------------------------------- */

static enum MHD_Result
add_arg(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct web_request *request = arg;

	(void)kind;
	if (request->n_args == WEB_ARGS_MAX)
		return MHD_NO;
	request->args[request->n_args++] = (struct web_arg){ name, value ? value : "" };
	return MHD_YES;
}

static struct web_request
read_request(struct MHD_Connection *connection, const char *method, const char *path)
{
	struct web_request request = { .method = method, .path = path };

	(void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_arg, &request);
	request.host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	request.authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	request.if_none_match = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
	request.last_event_id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
	return request;
}

static void
add_headers(struct MHD_Response *response, const struct web_answer *answer)
{
	static const char *const always[][2] = {
		{ "X-Content-Type-Options", "nosniff" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "X-Frame-Options", "DENY" },
		{ "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
					     "connect-src 'self'; base-uri 'none'; form-action 'none'; "
					     "frame-ancestors 'none'" },
	};

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		(void)MHD_add_response_header(response, always[i][0], always[i][1]);
	(void)MHD_add_response_header(response, "Cache-Control", answer->etag[0] ? "no-cache" : "no-store");
	if (answer->type)
		(void)MHD_add_response_header(response, "Content-Type", answer->type);
	if (answer->etag[0])
		(void)MHD_add_response_header(response, "ETag", answer->etag);
	if (answer->status == 401)
		(void)MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	if (answer->status == 405)
		(void)MHD_add_response_header(response, "Allow", "GET, HEAD");
	if (answer->status == 503)
		(void)MHD_add_response_header(response, "Retry-After", "1");
}

static struct MHD_Response *
new_response(struct web_answer *answer)
{
	size_t len = answer->body.len;

	return MHD_create_response_from_buffer(len, buf_steal(&answer->body), MHD_RESPMEM_MUST_FREE);
}

/* A part of each second is for HTTP; what comes later in it is told to come back. */
static bool
has_time(struct http *http, int64_t now)
{
	if (now - http->window_ms >= 1000) {
		http->window_ms = now;
		http->busy_ms = 0;
	}
	return http->busy_ms < BUSY_MS;
}

static void
find_answer(struct http *http, const struct web_request *request, struct web_answer *answer)
{
	int64_t begun = zclock_mono();

	if (!has_time(http, begun) && !site_is_open(request->path))
		web_refuse(answer, 503, "too many questions: come back in a second");
	else
		site_answer(http->site, request, answer);
	http->busy_ms += zclock_mono() - begun;
	if (answer->stream && http->counts->streams >= http->streams_max) {
		answer->stream = false;
		web_refuse(answer, 503, "%u pages are open already, which is web.streams of gdrd.yaml",
			   http->streams_max);
	}
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
	   const char *upload, size_t *upload_len, void **context)
{
	static char has_headers;
	struct http *http = arg;
	struct conn *conn = conn_of(connection);
	struct web_answer answer = { 0 };

	(void)version;
	(void)upload;
	if (!conn)
		return MHD_NO;
	if (*upload_len > 0) {
		*upload_len = 0; /* Nobody wants it. */
		return MHD_YES;
	}
	/* An answer before the request's end is the connection's, too: which is for those who send what nobody takes. */
	if (!*context && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)) {
		*context = &has_headers;
		return MHD_YES;
	}
	const struct web_request request = read_request(connection, method, path);
	find_answer(http, &request, &answer);
	conn->deadline_ms = zclock_mono() + http->patience_ms;
	http->counts->answers[answer.status / 100 % HTTP_CLASSES]++;
	bool streams = answer.stream && strcmp(method, "GET") == 0;
	struct MHD_Response *response = streams ? new_stream(http, connection, &request) : new_response(&answer);
	web_answer_free(&answer);
	add_headers(response, &answer);
	enum MHD_Result rc = MHD_queue_response(connection, answer.status, response);
	MHD_destroy_response(response);
	return rc;
}

/* --- begin and end --------------------------------------------------------------------------------------------------- */

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
	struct http *http = arg;

	(void)loop;
	(void)timer;
	site_update(http->site, (uint64_t)zclock_time(), ROWS_MS);
	wake_viewers(http);
	cut_slow(http);
	serve(http);
	return 0;
}

static struct MHD_Daemon *
start(struct http *http, const Gdr__WebConfig *config, const struct http_listener *at)
{
	const struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, at->certificate },
					      { MHD_OPTION_HTTPS_MEM_KEY, 0, at->key },
					      { MHD_OPTION_END, 0, NULL } };
	const struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (at->certificate ? MHD_USE_TLS : 0);

	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, at->fd,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
				on_answered, http, MHD_OPTION_CONNECTION_LIMIT, config->connections,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX, MHD_OPTION_STRICT_FOR_CLIENT,
				1, MHD_OPTION_ARRAY, at->certificate ? tls : none, MHD_OPTION_END);
}

int
http_open(const Gdr__WebConfig *config, const struct http_listener *at, struct site *site, zloop_t *loop,
	  struct http_counts *counts, struct http **out, struct err *err)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->site = site;
	http->counts = counts;
	http->loop = loop;
	http->streams_max = config->streams;
	http->patience_ms = config->patience;
	http->daemon = start(http, config, at);
	if (!http->daemon) {
		free(http);
		(void)close(at->fd);
		return err_set(err, -EINVAL, "%s",
			       at->certificate ? "the certificate or its key cannot be used"
					       : "the HTTP library does not start");
	}
	zmq_pollitem_t item = { .fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
				.events = ZMQ_POLLIN };
	(void)zloop_poller(loop, &item, on_ready, http);
	http->timer = zloop_timer(loop, TICK_MS, 0, on_tick, http);
	*out = http;
	return 0;
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	http->ending = true;
	wake_viewers(http);
	(void)MHD_run(http->daemon);
	MHD_stop_daemon(http->daemon);
	free(http);
}
