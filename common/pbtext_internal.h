#pragma once

/* pbtext_internal.h - between the parts of pbtext: pbtext_events.c (text to events), pbtext_scalar.c (a scalar
 * to a value), pbtext_read.c (all of it to messages), pbtext_locate.c (and where it stood). */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct fy_diag;
struct fy_event;
struct fy_parser;

/* A scalar as it stands in the file. */
struct pbtext_scalar {
	char *text;  /* NULL: not even an empty one ("key:"). */
	bool quoted; /* Or a block: surely a text. */
};

bool pbtext_scalar_is_null(const struct pbtext_scalar *scalar);

/* Its value for a field (for one element, if that is a list) into '*out': uint32_t, int (enum), a new char *
 * ...  'err' gets no position: "expected a number, got 'lots'". */
int pbtext_scalar_read(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
		       const struct pbtext_scalar *scalar, void *out, struct err *err);

struct pbtext_reader {
	const char *file;
	const char *text;
	size_t len;
	struct fy_diag *diag;
	struct fy_parser *parser;
	struct fy_event *event; /* The one that is being looked at. */
	size_t pos;             /* Where that stands in 'text'. */
	int line;               /* From 1. */
	int depth;              /* Mappings that it stands in. */
	bool with_kind;         /* The key "kind" of a document is no field. */
	struct err *err;
};

#define auto_reader __attribute__((cleanup(pbtext_close)))

/* 'text' must stay; pbtext_close() is due even if it fails. */
int pbtext_open(struct pbtext_reader *in, const char *file, const char *text, size_t len, struct err *err);
void pbtext_close(struct pbtext_reader *in);

/* The next event; the one before is gone.  Aliases and their like are errors. */
int pbtext_next(struct pbtext_reader *in);
/* Passes over what begins here, be it a scalar or more, to its last event. */
int pbtext_skip(struct pbtext_reader *in);
/* Goes to the mapping that the next document is: 1; documents that hold nothing are passed over; 0: no more. */
int pbtext_next_document(struct pbtext_reader *in);
/* A copy of the scalar that is being looked at; '*text' owns it. */
int pbtext_take(const struct pbtext_reader *in, struct pbtext_scalar *out, char **text);

/* All three return a negative errno.  The first puts "file:line:column: " before what in->err says; the last
 * says "NAME: expected WHAT, got ..." of the event. */
int pbtext_placed(const struct pbtext_reader *in, size_t pos);
int pbtext_fail(const struct pbtext_reader *in, size_t pos, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int pbtext_fail_expected(const struct pbtext_reader *in, const char *name, const char *what);
/* Line and column, from 1. */
void pbtext_where(const struct pbtext_reader *in, size_t pos, int *line, int *column);
