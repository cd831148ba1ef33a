/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "controller/commits.h"
#include "controller/web/guard.h"
#include "controller/web/http.h"
#include "controller/web/request.h"
#include "controller/web/site.h"
#include "tests/unit/loop.h"

#define NODES "{apply: {nodes: [{name: n1, labels: {rack: r1}}, {name: n2, labels: {rack: r2}}, {name: n3}]}}"

struct web_world {
	struct loop *loop;
	Gdr__WebConfig config;
	struct guard *guard;
	struct metrics_sources sources;
	struct commits commits;
	struct http_counts http;
	struct site *site;
};

static int
make(void **state)
{
	void *loop = NULL;

	if (loop_make(&loop) != 0)
		return -1;
	struct web_world *w = xcalloc(1, sizeof(*w));
	w->loop = loop;
	gdr__web_config__init(&w->config);
	w->sources = (struct metrics_sources){ .fleet = w->loop->world->fleet,
					       .zap = w->loop->world->zap,
					       .agents = w->loop->agents,
					       .commits = &w->commits,
					       .http = &w->http };
	if (guard_open(&w->config, true, NULL, &w->guard, &w->loop->world->err) < 0)
		return -1;
	w->site = site_new(w->guard, w->loop->operators, &w->sources);
	world_does(w->loop->world, NODES, "node/n1 created, node/n2 created, node/n3 created");
	site_update(w->site, w->loop->world->now, 1000);
	*state = w;
	return 0;
}

static int
unmake(void **state)
{
	struct web_world *w = *state;
	void *loop = w->loop;

	site_free(w->site);
	guard_free(w->guard);
	free(w);
	return loop_free(&loop);
}

/* "/api/v1/nodes?state=new&limit=2", as the HTTP library takes it apart. */
static void
ask(struct web_world *w, const char *url, struct web_request *request, struct web_answer *answer)
{
	auto_free char *copy = xstrdup(url);
	char *query = strchr(copy, '?');

	request->method = request->method ? request->method : "GET";
	request->host = request->host ? request->host : "127.0.0.1:7480";
	if (query)
		*query++ = '\0';
	request->path = copy;
	for (char *next; query; query = next) {
		next = strchr(query, '&');
		if (next)
			*next++ = '\0';
		char *value = strchr(query, '=');
		*value++ = '\0';
		request->args[request->n_args++] = (struct web_arg){ query, value };
	}
	site_answer(w->site, request, answer);
}

static void
gives(struct web_world *w, const char *url, unsigned status, const char *text)
{
	struct web_request request = { 0 };
	struct web_answer answer = { 0 };

	ask(w, url, &request, &answer);
	const char *body = answer.body.text ? answer.body.text : "";
	if (answer.status != status || (text && !strstr(body, text)))
		fail_msg("%s: %u %s", url, answer.status, body);
	web_answer_free(&answer);
}

static unsigned
status_with(struct web_world *w, const char *url, struct web_request request)
{
	struct web_answer answer = { 0 };

	ask(w, url, &request, &answer);
	web_answer_free(&answer);
	return answer.status;
}

/* --- what there is ----------------------------------------------------------------------------------------------- */

static void
resources(void **state)
{
	struct web_world *w = *state;

	gives(w, "/healthz", 200, "ok");
	gives(w, "/readyz", 200, "ready");
	gives(w, "/", 200, NULL);
	gives(w, "/app.js", 200, NULL);
	gives(w, "/api/v1/nodes", 200, "\"name\": \"n3\"");
	gives(w, "/api/v1/nodes/n2", 200, "\"rack\": \"r2\"");
	gives(w, "/api/v1/summary", 200, "\"nodes\": 3");
	gives(w, "/api/v1/events", 200, "\"object\": \"node/n1\"");
	gives(w, "/api/v1/events/1", 200, "\"id\": 1");
	gives(w, "/api/v1/profiles", 200, "{}");
	gives(w, "/api/v1/rollouts", 200, "{}");
	gives(w, "/api/v1/drift", 200, "{}");
	gives(w, "/api/v1/openapi.json", 200, "\"gdr.NodeView\"");
	gives(w, "/metrics", 200, "gdrfleet_nodes{state=\"new\"} 3\n");
}

static void
what_is_not_there(void **state)
{
	struct web_world *w = *state;

	gives(w, "/api/v1/nodes/n9", 404, "there is no node 'n9'");
	gives(w, "/api/v1/events/99", 404, NULL);
	gives(w, "/api/v1/events/first", 404, NULL);
	gives(w, "/api/v1/rollouts/r", 404, NULL);
	gives(w, "/api/v1/summary/x", 404, "openapi.json");
	gives(w, "/api/v1/users", 404, NULL);
	gives(w, "/api/v1/", 404, NULL);
	gives(w, "/../etc/passwd", 404, NULL);
}

static void
filters(void **state)
{
	struct web_world *w = *state;

	gives(w, "/api/v1/nodes?selector=rack=r2", 200, "\"name\": \"n2\"");
	gives(w, "/api/v1/nodes?names=n1,n3", 200, "\"name\": \"n3\"");
	gives(w, "/api/v1/nodes?state=ready,stuck", 200, "{}");
	gives(w, "/api/v1/nodes?layer=nic", 200, "{}");
	gives(w, "/api/v1/nodes?rack=r2", 400, "no parameter 'rack' here; there are: names, selector, states");
	gives(w, "/api/v1/nodes?states=red", 400, "is none of ready");
	gives(w, "/api/v1/nodes?limit=many", 400, "limit");
	gives(w, "/api/v1/nodes?selector=%3D%3D", 400, NULL);
	gives(w, "/api/v1/nodes?layer=a\"}, detail: true", 200, "{}");
}

static void
pages(void **state)
{
	struct web_world *w = *state;

	gives(w, "/api/v1/nodes?limit=2", 200, "\"next\": \"n2\"");
	gives(w, "/api/v1/nodes?limit=2&after=n2", 200, "\"name\": \"n3\"");
	gives(w, "/api/v1/nodes?after=n3", 200, "{}");
	gives(w, "/api/v1/events?limit=2", 200, "\"next\": \"2\"");
}

static void
not_ready_while_commits_fail(void **state)
{
	struct web_world *w = *state;

	commits_note(&w->commits, 1000, true);
	gives(w, "/readyz", 503, "failed");
	gives(w, "/healthz", 200, "ok");
	gives(w, "/metrics", 200, "gdrfleet_commit_failures_total 1\n");
	commits_note(&w->commits, 1000, false);
	gives(w, "/readyz", 200, NULL);
	gives(w, "/metrics", 200, "gdrfleet_commit_seconds_bucket{le=\"0.001\"} 2\n");
}

/* --- ETag --------------------------------------------------------------------------------------------------------- */

static void
etag_of(struct web_world *w, const char *url, char *out, size_t size)
{
	struct web_request request = { 0 };
	struct web_answer answer = { 0 };

	ask(w, url, &request, &answer);
	(void)snprintf(out, size, "%s", answer.etag);
	web_answer_free(&answer);
}

static void
etags_follow_the_model(void **state)
{
	struct web_world *w = *state;
	char etag[64];

	etag_of(w, "/api/v1/nodes", etag, sizeof(etag));
	assert_int_equal(status_with(w, "/api/v1/nodes", (struct web_request){ .if_none_match = etag }), 304);
	world_commit(w->loop->world); /* Nothing. */
	assert_int_equal(status_with(w, "/api/v1/nodes", (struct web_request){ .if_none_match = etag }), 304);
	world_does(w->loop->world, "{node_label: {of: {names: [n1]}, set: {rack: r9}}}", "node/n1 labelled");
	assert_int_equal(status_with(w, "/api/v1/nodes", (struct web_request){ .if_none_match = etag }), 200);
	etag_of(w, "/app.css", etag, sizeof(etag));
	assert_int_equal(status_with(w, "/app.css", (struct web_request){ .if_none_match = etag }), 304);
	assert_int_equal(status_with(w, "/app.js", (struct web_request){ .if_none_match = etag }), 200);
	etag_of(w, "/metrics", etag, sizeof(etag));
	assert_string_equal(etag, "");
}

/* --- who may ask ---------------------------------------------------------------------------------------------------- */

static void
only_reading(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "" };
	struct web_world *w = *state;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		assert_int_equal(status_with(w, "/api/v1/nodes", (struct web_request){ .method = methods[i] }), 405);
	assert_int_equal(status_with(w, "/api/v1/nodes", (struct web_request){ .method = "HEAD" }), 200);
}

static void
only_this_host(void **state)
{
	static const char *const own[] = { "localhost", "LOCALHOST:7480", "127.0.0.1", "[::1]:7480", "10.1.2.3:80" };
	static const char *const others[] = {
		"evil.example", "evil.example:7480", "localhost.evil.example", "", ":7480", "127.0.0.1.evil.example",
		"[evil]"
	};
	struct web_world *w = *state;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_int_equal(status_with(w, "/", (struct web_request){ .host = own[i] }), 200);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(status_with(w, "/", (struct web_request){ .host = others[i] }), 421);
}

static void
write_tokens(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
tokens(void **state)
{
	struct web_world *w = *state;
	auto_free char *path = xasprintf("%s.tokens", w->loop->world->path);
	struct guard *guard = NULL;
	struct err err = { 0 };

	w->config.tokens = path;
	write_tokens(path, "short\n", 0600);
	assert_int_equal(guard_open(&w->config, true, NULL, &guard, &err), -EINVAL);
	write_tokens(path, "# none\n\n", 0600);
	assert_int_equal(guard_open(&w->config, true, NULL, &guard, &err), -EINVAL);
	write_tokens(path, "0123456789abcdef\n", 0644);
	assert_int_equal(guard_open(&w->config, true, NULL, &guard, &err), -EACCES);
	write_tokens(path, "# alice\n0123456789abcdef\nfedcba9876543210 # bob\n", 0600);
	assert_int_equal(guard_open(&w->config, true, NULL, &guard, &err), 0);
	struct site *site = w->site;
	w->site = site_new(guard, w->loop->operators, &w->sources);
	static const struct {
		const char *authorization;
		unsigned status;
	} cases[] = {
		{ NULL, 401 },
		{ "", 401 },
		{ "Bearer", 401 },
		{ "Bearer ", 401 },
		{ "Bearer 0123456789abcde", 401 },
		{ "Bearer 0123456789abcdeff", 401 },
		{ "Basic 0123456789abcdef", 401 },
		{ "Bearer # alice", 401 },
		{ "Bearer 0123456789abcdef", 200 },
		{ "bearer fedcba9876543210", 200 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct web_request request = { .authorization = cases[i].authorization };

		assert_int_equal(status_with(w, "/api/v1/nodes", request), cases[i].status);
		assert_int_equal(status_with(w, "/api/v1/stream", request), cases[i].status);
		assert_int_equal(status_with(w, "/metrics", request), cases[i].status);
		assert_int_equal(status_with(w, "/healthz", request), 200);
		assert_int_equal(status_with(w, "/", request), 200);
	}
	site_free(w->site);
	w->site = site;
	guard_free(guard);
	w->config.tokens = NULL;
}

static void
beyond_loopback(void **state)
{
	struct web_world *w = *state;
	struct guard *guard = NULL;
	struct err err = { 0 };
	char file[] = "/nowhere";

	assert_int_equal(guard_open(&w->config, false, NULL, &guard, &err), -EPERM);
	w->config.certificate = file;
	assert_int_equal(guard_open(&w->config, true, NULL, &guard, &err), -EINVAL);
	w->config.key = file;
	assert_int_equal(guard_open(&w->config, false, NULL, &guard, &err), -EPERM);
	w->config.certificate = w->config.key = NULL;
	w->config.tokens = file;
	assert_int_equal(guard_open(&w->config, false, NULL, &guard, &err), -EPERM);
	w->config.tokens = NULL;
}

/* --- the stream ------------------------------------------------------------------------------------------------------- */

static void
says(struct web_world *w, struct stream_place *place, const char *text)
{
	struct stream_message *message = stream_next(site_stream(w->site), place);

	if (!message != !text || (text && !strstr(message->text, text)))
		fail_msg("'%s', not '%s'", message ? message->text : "nothing", text ? text : "nothing");
	stream_give_back(message);
}

static void
stream_tells_what_changed(void **state)
{
	struct web_world *w = *state;
	struct stream_place place = stream_resume(site_stream(w->site), NULL);

	says(w, &place, "event: reset\n");
	says(w, &place, NULL);
	world_does(w->loop->world, "{node_label: {of: {names: [n2]}, set: {rack: r9}}}", "node/n2 labelled");
	site_update(w->site, w->loop->world->now, 1000);
	says(w, &place, "{\"nodes\": [{\"name\": \"n2\"");
	says(w, &place, NULL);
	/* Nothing that a row shows: but whoever looks at events or profiles looks again. */
	world_does(w->loop->world, "{apply: {profiles: [{name: p, spec: {bios: {sriov: true}}}]}}",
		   "profile/p created");
	says(w, &place, "event: change\ndata: {\"nodes\": []");
	world_does(w->loop->world, "{node_remove: {of: {names: [n3]}}}", "node/n3 removed");
	site_update(w->site, w->loop->world->now, 1000);
	says(w, &place, "event: reset\n");
	gives(w, "/api/v1/matrix", 200, "\"name\": \"n2\"");
}

/* Who was cut off says what it has seen; of another gdrd that means nothing. */
static void
stream_resumes(void **state)
{
	struct web_world *w = *state;
	struct stream *stream = site_stream(w->site);
	struct stream_place place = { 0 };
	unsigned long long start;
	unsigned long long serial;
	unsigned long long version;
	char id[64];

	struct stream_message *message = stream_next(stream, &place);
	assert_int_equal(sscanf(message->text, "id: %llx-%llx-%llx\n", &start, &serial, &version), 3);
	stream_give_back(message);
	world_does(w->loop->world, "{node_label: {of: {names: [n1]}, set: {rack: r9}}}", "node/n1 labelled");
	site_update(w->site, w->loop->world->now, 1000);
	(void)snprintf(id, sizeof(id), "%llx-%llx-%llx", start, serial, version);
	place = stream_resume(stream, id);
	says(w, &place, "event: change\ndata: {\"nodes\": [{\"name\": \"n1\"");
	static const char *const bad[] = { "", "x", "1-2-3", "-1", "99999999999999999999-1-1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		place = stream_resume(stream, bad[i]);
		says(w, &place, "event: reset\n");
	}
	(void)snprintf(id, sizeof(id), "%llx-ffffff-%llx", start, version);
	place = stream_resume(stream, id);
	says(w, &place, "event: reset\n");
}

/* A page at the same place is sent the same bytes. */
static void
stream_shares_messages(void **state)
{
	struct web_world *w = *state;
	struct stream_place a = { 0 };
	struct stream_place b = { 0 };
	struct stream_message *one = stream_next(site_stream(w->site), &a);
	struct stream_message *two = stream_next(site_stream(w->site), &b);

	assert_ptr_equal(one, two);
	stream_give_back(one);
	stream_give_back(two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(resources, make, unmake),
		cmocka_unit_test_setup_teardown(what_is_not_there, make, unmake),
		cmocka_unit_test_setup_teardown(filters, make, unmake),
		cmocka_unit_test_setup_teardown(pages, make, unmake),
		cmocka_unit_test_setup_teardown(not_ready_while_commits_fail, make, unmake),
		cmocka_unit_test_setup_teardown(etags_follow_the_model, make, unmake),
		cmocka_unit_test_setup_teardown(only_reading, make, unmake),
		cmocka_unit_test_setup_teardown(only_this_host, make, unmake),
		cmocka_unit_test_setup_teardown(tokens, make, unmake),
		cmocka_unit_test_setup_teardown(beyond_loopback, make, unmake),
		cmocka_unit_test_setup_teardown(stream_tells_what_changed, make, unmake),
		cmocka_unit_test_setup_teardown(stream_resumes, make, unmake),
		cmocka_unit_test_setup_teardown(stream_shares_messages, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
