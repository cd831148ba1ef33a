#pragma once

/* http.h - the only door to libmicrohttpd: connections, in gdrd's own loop, none of which can keep the agents waiting.
 *
 * A connection has seconds for a whole request and for taking its answer, and is cut then; headers, connections and
 * streams are limited; and of each second only a part is spent on answers, after which "503, come back in a second" is
 * the answer. */

#include <czmq.h>

#include "proto/config.pb-c.h"

struct err;
struct http;
struct site;

#define HTTP_CLASSES 6 /* 2xx is at 2. */

struct http_counts {
	unsigned long answers[HTTP_CLASSES];
	unsigned connections;
	unsigned streams;
	unsigned long cut;
};

struct http_listener {
	int fd;            /* A socket that listens; taken. */
	char *certificate; /* PEM; NULL: no TLS. */
	char *key;
};
/* Serves 'site'; what comes of it is counted in '*counts'. */
int http_open(const Gdr__WebConfig *config, const struct http_listener *at, struct site *site, zloop_t *loop,
	      struct http_counts *counts, struct http **out, struct err *err);
void http_close(struct http *http);
