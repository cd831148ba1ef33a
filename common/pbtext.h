#pragma once

/* pbtext.h - YAML and JSON to protobuf messages and back, by protobuf-c's descriptors.
 *
 * How text maps onto messages is told at the head of proto/spec.proto.  Reading is strict: an unknown
 * or duplicate key, a wrong type, a value that common/rules.def does not allow are errors of the form
 * "fleet.yaml:12:5: unknown field 'hugepage' in HugepagesSpec, did you mean 'size'?" (line and column
 * from 1).  Writing and reading again gives the same message, and writing that the same text. */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

enum pbtext_form {
	PBTEXT_YAML,
	PBTEXT_JSON,      /* Indented. */
	PBTEXT_JSON_LINE, /* All in one, without a line feed. */
};

/* Parses one document.  'file' is for messages only ("-" is shown as <stdin>).  The caller frees '*out' with
 * protobuf_c_message_free_unpacked(). */
int pbtext_parse(const ProtobufCMessageDescriptor *type, const char *file, const char *text, size_t len,
		 ProtobufCMessage **out, struct err *err);

/* A file of documents ("---" between them; JSON is YAML), each a mapping with a key `kind`. */
struct pbtext_kind {
	const char *kind; /* "Profile" */
	const ProtobufCMessageDescriptor *type;
};
struct pbtext_document {
	const struct pbtext_kind *kind;
	ProtobufCMessage *message;
	int line; /* Where it begins. */
};
/* All or nothing; '*out' has '*n' documents; free with pbtext_documents_free().  An unknown kind names
 * the nearest of 'kinds' (ended by one with a NULL name).  No document at all is an error. */
int pbtext_parse_documents(const struct pbtext_kind *kinds, const char *file, const char *text, size_t len,
			   struct pbtext_document **out, size_t *n, struct err *err);
void pbtext_documents_free(struct pbtext_document *documents, size_t n);

/* Where in a text that has been read without an error "spec.nic[0].settings.ATS_ENABLED" stands, or, of what is not
 * there, what it would be in; of the document that begins in line 'document'.  Line and column from 1. */
void pbtext_locate(const char *text, size_t len, int document, const char *path, int *line, int *column);

/* Appends 'message', with a line feed at the end but for JSON_LINE; 'kind' not NULL: "kind: KIND" comes first, and for YAML "---" before it if 'out'
 * is not empty. Fields in their order in the proto file, maps by key, absent fields not at all. */
void pbtext_print(const ProtobufCMessage *message, const char *kind, enum pbtext_form form, struct buf *out);

/* The same with the defaults of what is absent, for `gdrd check-config`. */
void pbtext_print_all(const ProtobufCMessage *message, enum pbtext_form form, struct buf *out);

/* The enum value's text form ("wants-reboot"), good for as long as the program runs; "?" for a number that the
 * enum has not. */
const char *pbtext_enum(const ProtobufCEnumDescriptor *type, int value);
/* All of them, by number, NULL at the end. */
const char *const *pbtext_enum_names(const ProtobufCEnumDescriptor *type);
/* And back, in any case and with '_' for '-'; false if there is none of that name. */
bool pbtext_enum_parse(const ProtobufCEnumDescriptor *type, const char *text, int *out);

/* "30s", "200ms", "5m", "2h", "1d" to milliseconds and back; "750G", "2M" to bytes and back (powers of 1024). */
bool pbtext_duration_parse(const char *text, unsigned long long *ms);
bool pbtext_bytes_parse(const char *text, unsigned long long *bytes);
void pbtext_duration_print(unsigned long long ms, struct buf *out);
void pbtext_bytes_print(unsigned long long bytes, struct buf *out);

/* The one of 'names' (ended by NULL) that 'word' most likely meant, or NULL if none is near. */
const char *pbtext_nearest(const char *word, const char *const *names);
