#pragma once

/* api.h - REST under /api/v1: each resource is a query of proto/api.proto, asked as gdrctl asks it, and its answer as
 * JSON by the same descriptors.  A URL's parameters are the query's fields ("?states=stuck,lost&layer=nic"), those of
 * its Selection included ("?selector=rack=r7"). */

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct operators;
struct web_answer;
struct web_request;

#define API_ROOT "/api/v1/"

/* What 'path' asks for changes with the clock alone, and so is of no version of the fleet. */
bool api_by_clock(const char *path);
/* False: no such resource. */
bool api_answer(struct operators *operators, const struct web_request *request, struct web_answer *answer);

/* The fleet's counts and who needs a person, as one line of JSON. */
void api_summary(struct operators *operators, struct buf *out);

/* The resources, for the document that describes them. */
struct api_resource {
	const char *name;  /* In the path. */
	const char *query; /* Field of Request, */
	const char *reply; /* and of Response. */
	const char
		*one; /* Field of the query that /NAME fills in, in it or its Selection; NULL: there is no one of it. */
	const char *says;
	bool by_clock;
};
extern const struct api_resource api_resources[];
extern const size_t api_n_resources;
