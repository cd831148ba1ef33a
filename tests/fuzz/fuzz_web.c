/* Links: controller */

/* Any path, parameters and headers: each is answered, and whatever is no error is JSON's beginning. */

#include <stdint.h>
#include <stdlib.h>

#include "common/wire.h"
#include "controller/commits.h"
#include "controller/operators.h"
#include "controller/web/guard.h"
#include "controller/web/http.h"
#include "controller/web/request.h"
#include "controller/web/site.h"
#include "tests/fuzz/fake_fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START_MS 1700000000000

static struct fake fake;
static struct site *site;

static void
end_turn(void *arg)
{
	(void)arg;
}

static void
start(void)
{
	static const struct endpoints endpoints = { "tcp://c:1", "tcp://c:2", "key" };
	static Gdr__WebConfig config = GDR__WEB_CONFIG__INIT;
	static struct metrics_sources sources;
	static struct http_counts counts;
	static struct commits commits;
	struct keypair server;
	struct wire *wire = NULL;
	struct guard *guard = NULL;
	struct err err = { 0 };
	const struct turn turn = { zloop_new(), end_turn, NULL };

	fake_start(&fake, START_MS);
	fake_reset(&fake, START_MS);
	keys_generate(&server);
	fake_check(wire_listen("tcp://127.0.0.1:*", &server, "operators", &wire, &err) == 0);
	fake_check(guard_open(&config, true, NULL, &guard, &err) == 0);
	sources =
		(struct metrics_sources){ .fleet = fake.fleet, .zap = fake.zap, .commits = &commits, .http = &counts };
	site = site_new(guard, operators_new(wire, fake.fleet, fake.keyring, fake.zap, &endpoints, &turn), &sources);
	site_update(site, START_MS, 1000);
}

/* The next line of 'text', which is changed; NULL: there is none. */
static char *
take_line(char **text)
{
	char *line = *text;
	char *end = line ? strchr(line, '\n') : NULL;

	if (end)
		*end++ = '\0';
	*text = end;
	return line;
}

/* Path, If-None-Match, Last-Event-ID, then name=value, a line each. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct web_request request = { .method = "GET", .host = "localhost" };
	struct web_answer answer = { 0 };

	if (!site)
		start();
	auto_free char *text = strndup((const char *)data, size);
	char *rest = text;
	auto_free char *path = xasprintf("/api/v1/%s", take_line(&rest));
	request.path = path;
	request.if_none_match = take_line(&rest);
	request.last_event_id = take_line(&rest);
	for (char *line = take_line(&rest); line && request.n_args < WEB_ARGS_MAX; line = take_line(&rest)) {
		char *value = strchr(line, '=');

		if (value)
			*value++ = '\0';
		request.args[request.n_args++] = (struct web_arg){ line, value ? value : "" };
	}
	site_answer(site, &request, &answer);
	fake_check(answer.status >= 200 && answer.status < 600);
	fake_check(answer.status == 304 || answer.stream || (answer.body.text && answer.body.text[0] == '{'));
	struct stream_place place = stream_resume(site_stream(site), request.last_event_id);
	stream_give_back(stream_next(site_stream(site), &place));
	web_answer_free(&answer);
	return 0;
}
