#pragma once

/* stream.h - what pages that are open are told: rows that changed, and the fleet's counts.
 *
 * A page is no queue but a number, up to which it has seen everything; whoever is slow is told less often, and the
 * newest.  The number is the id of each message (server-sent events), so that a page which was cut off goes on from
 * there.  Nothing is kept for a page but the one message that it is being sent. */

#include <stddef.h>
#include <stdint.h>

struct operators;
struct rows;
struct fleet;
struct stream;

struct stream_message {
	unsigned refs;
	char *text;
	size_t len;
};

/* A page's place; all zero: it has seen nothing. */
struct stream_place {
	uint64_t serial;  /* Of rows, */
	uint64_t version; /* and of the fleet. */
};

struct stream *stream_new(struct fleet *fleet, struct operators *operators, struct rows *rows);
void stream_free(struct stream *stream);

/* The place that "Last-Event-ID" means; one of another gdrd, or none, is all zero. */
struct stream_place stream_resume(const struct stream *stream, const char *id);
/* The next message for who is at '*place', which is moved on; NULL: there is nothing new.  Give it back. */
struct stream_message *stream_next(struct stream *stream, struct stream_place *place);
/* That nothing is new is news, too. */
struct stream_message *stream_alive(void);
void stream_give_back(struct stream_message *message);
