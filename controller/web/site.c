#include "controller/web/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/commits.h"
#include "controller/fleet/query.h"
#include "controller/web/api.h"
#include "controller/web/assets.h"
#include "controller/web/guard.h"
#include "controller/web/openapi.h"
#include "controller/web/request.h"

struct site {
	const struct guard *guard;
	struct operators *operators;
	const struct metrics_sources *sources;
	struct rows *rows;
	struct stream *stream;
};

/* --- what there is -------------------------------------------------------------------------------------------- */

static void
healthz(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	(void)site;
	(void)request;
	buf_puts(&answer->body, "ok\n");
}

static void
readyz(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	bool ready = !site->sources->commits->broken;

	(void)request;
	answer->status = ready ? 200 : 503;
	buf_puts(&answer->body, ready ? "ready\n" : "the last commit failed: see gdrd's log\n");
}

static void
metrics(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	(void)request;
	metrics_print(site->sources, &answer->body);
}

/* All rows at once, and from where the stream goes on. */
static void
matrix(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	struct fleet *fleet = site->sources->fleet;

	(void)request;
	buf_printf(&answer->body,
		   "{\"seen\": \"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\",\n\"status\": ", fleet_started_ms(fleet),
		   rows_serial(site->rows), fleet_version(fleet));
	api_summary(site->operators, &answer->body);
	buf_puts(&answer->body, ",\n\"nodes\": [\n");
	(void)rows_print(site->rows, 0, SIZE_MAX, &answer->body);
	buf_puts(&answer->body, "\n]}\n");
}

static void
stream(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	(void)site;
	(void)request;
	answer->stream = true;
}

static void
openapi(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	(void)site;
	(void)request;
	openapi_print(&answer->body);
}

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"
static const struct route {
	const char *path;
	const char *type;
	bool open;    /* Asks for no token: tells nothing of the fleet. */
	bool changes; /* Only with the fleet, whose version is its ETag. */
	void (*answer)(struct site *site, const struct web_request *request, struct web_answer *answer);
} routes[] = {
	{ "/healthz", TEXT, true, false, healthz },
	{ "/readyz", TEXT, true, false, readyz },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", false, false, metrics },
	{ API_ROOT "matrix", JSON, false, true, matrix },
	{ API_ROOT "stream", "text/event-stream", false, false, stream },
	{ API_ROOT "openapi.json", JSON, true, false, openapi },
};

static const struct route *
find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].path, path) == 0)
			return &routes[i];
	return NULL;
}

/* --- the dashboard's own files ----------------------------------------------------------------------------------- */

static const struct web_asset *
find_asset(const char *path)
{
	const char *wanted = strcmp(path, "/") == 0 ? "/index.html" : path;

	for (size_t i = 0; i < web_n_assets; i++)
		if (strcmp(web_assets[i].path, wanted) == 0)
			return &web_assets[i];
	return NULL;
}

static const char *
type_of(const char *path)
{
	static const struct {
		const char *ending;
		const char *type;
	} types[] = { { ".html", "text/html; charset=utf-8" },
		      { ".css", "text/css; charset=utf-8" },
		      { ".js", "text/javascript; charset=utf-8" },
		      { ".svg", "image/svg+xml" } };
	const char *ending = strrchr(path, '.');

	for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].ending, ending) == 0)
			return types[i].type;
	return "application/octet-stream";
}

static void
describe(const struct web_asset *asset, struct web_answer *answer)
{
	answer->type = type_of(asset->path);
	(void)snprintf(answer->etag, sizeof(answer->etag), "%s", asset->etag);
}

/* --- one request --------------------------------------------------------------------------------------------------- */

/* Weak: when an agent was last heard changes by itself, and is no news. */
static void
put_version(const struct site *site, struct web_answer *answer)
{
	(void)snprintf(answer->etag, sizeof(answer->etag), "W/\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
		       fleet_started_ms(site->sources->fleet), fleet_version(site->sources->fleet),
		       rows_serial(site->rows));
}

static bool
has_it_already(const struct web_request *request, const struct web_answer *answer)
{
	return request->if_none_match && answer->etag[0] &&
	       (strcmp(request->if_none_match, "*") == 0 || strstr(request->if_none_match, answer->etag));
}

static void
find_answer(struct site *site, const struct web_request *request, const struct web_asset *asset,
	    const struct route *route, struct web_answer *answer)
{
	bool api = !asset && !route && strncmp(request->path, API_ROOT, strlen(API_ROOT)) == 0;

	answer->status = 200;
	if (asset)
		describe(asset, answer);
	if (route)
		answer->type = route->type;
	if ((api && !api_by_clock(request->path)) || (route && route->changes))
		put_version(site, answer);
	if (has_it_already(request, answer)) {
		answer->status = 304;
	} else if (route) {
		route->answer(site, request, answer);
	} else if (asset) {
		buf_add(&answer->body, asset->data, asset->len);
	} else if (!api || !api_answer(site->operators, request, answer)) {
		web_refuse(answer, 404, "there is nothing here; " API_ROOT "openapi.json tells what there is");
	}
	if (answer->status >= 400)
		answer->etag[0] = '\0';
}

bool
site_is_open(const char *path)
{
	const struct route *route = find_route(path);

	return find_asset(path) || (route && route->open);
}

void
site_answer(struct site *site, const struct web_request *request, struct web_answer *answer)
{
	const struct web_asset *asset = find_asset(request->path);
	const struct route *route = find_route(request->path);

	if (guard_check(site->guard, request, site_is_open(request->path), answer))
		find_answer(site, request, asset, route, answer);
}

void
site_update(struct site *site, uint64_t now_ms, int64_t budget_ms)
{
	rows_update(site->rows, now_ms, budget_ms);
}

struct stream *
site_stream(struct site *site)
{
	return site->stream;
}

struct site *
site_new(const struct guard *guard, struct operators *operators, const struct metrics_sources *sources)
{
	struct site *site = xcalloc(1, sizeof(*site));

	site->guard = guard;
	site->operators = operators;
	site->sources = sources;
	site->rows = rows_new(sources->fleet);
	site->stream = stream_new(sources->fleet, operators, site->rows);
	return site;
}

void
site_free(struct site *site)
{
	if (!site)
		return;
	stream_free(site->stream);
	rows_free(site->rows);
	free(site);
}
