#pragma once

/* request.h - one HTTP request and its answer without a socket or a library: what routes are given, and give. */

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define WEB_ARGS_MAX 32

struct web_arg {
	const char *name;
	const char *value; /* Never NULL. */
};

struct web_request {
	const char *method;
	const char *path; /* Decoded, without the query. */
	struct web_arg args[WEB_ARGS_MAX];
	size_t n_args;
	/* Headers; NULL where there is none. */
	const char *host;
	const char *authorization;
	const char *if_none_match;
	const char *last_event_id;
};

struct web_answer {
	unsigned status;
	const char *type; /* Content type; static. */
	struct buf body;
	char etag[64];
	bool stream; /* No body, but messages one after the other. */
};

/* A JSON object with 'message', as every answer that is none. */
void web_refuse(struct web_answer *answer, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void web_answer_free(struct web_answer *answer);
