#pragma once

/* web.h - gdrd over HTTP: dashboard, REST and metrics, read-only, in gdrd's own loop (controller/web/). */

#include <czmq.h>

#include "controller/web/metrics.h"
#include "proto/config.pb-c.h"

struct err;
struct operators;
struct web;

/* Listens where config->web says; '*out' is NULL where it says "none".  'sources' are measured, but for HTTP itself. */
int web_open(const Gdr__GdrdConfig *config, const struct metrics_sources *sources, struct operators *operators,
	     zloop_t *loop, struct web **out, struct err *err);
void web_close(struct web *web);

/* "http://127.0.0.1:7480/", as bound. */
const char *web_url(const struct web *web);
