#pragma once

/* site.h - everything that there is to see over HTTP, without a socket: a path, an answer.  The table in site.c says
 * what there is. */

#include <stdbool.h>
#include <stdint.h>

#include "controller/web/metrics.h"
#include "controller/web/rows.h"
#include "controller/web/stream.h"

struct guard;
struct operators;
struct site;
struct web_answer;
struct web_request;

/* 'guard' and what 'sources' names must outlive it. */
struct site *site_new(const struct guard *guard, struct operators *operators, const struct metrics_sources *sources);
void site_free(struct site *site);

/* What tells nothing of the fleet, and costs nothing: it asks for no token and is answered at any time. */
bool site_is_open(const char *path);

void site_answer(struct site *site, const struct web_request *request, struct web_answer *answer);

/* Some times a second: what changed, for at most 'budget_ms'. */
void site_update(struct site *site, uint64_t now_ms, int64_t budget_ms);
struct stream *site_stream(struct site *site);
