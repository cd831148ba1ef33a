#pragma once

/* pb.h - what protobuf-c lacks: copy, merge, compare and hash of messages, by descriptor. */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Serialised; the caller frees. */
uint8_t *pb_pack(const ProtobufCMessage *message, size_t *len);
/* NULL and 'err' if the bytes are no such message.  Bytes from anywhere are safe.  Maps come out ordered by
 * key, each key once. */
ProtobufCMessage *pb_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct err *err);
ProtobufCMessage *pb_copy(const ProtobufCMessage *message);
bool pb_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);
void pb_free(ProtobufCMessage *message); /* NULL is fine. */
void pb_free_p(void *p);
#define auto_pb __attribute__((cleanup(pb_free_p)))

/* 'over' laid on 'base': scalars that 'over' has replace, messages merge, lists replace, maps merge by
 * key.  Both may be NULL; the result is new (never NULL unless both are). */
ProtobufCMessage *pb_merge(const ProtobufCMessage *base, const ProtobufCMessage *over);

/* BLAKE2b. pb_hash(): of the serialised message, whatever the order of its maps; 32 hex digits, what spec_hash holds. */
#define PB_HASH_LEN   32
#define PB_DIGEST_LEN 16
void pb_digest(const void *data, size_t len, uint8_t out[PB_DIGEST_LEN]);
void pb_hash(const ProtobufCMessage *message, char out[PB_HASH_LEN + 1]);

/* Every value against common/rules.def, unknown enum numbers too: for messages that came from the
 * network or a file and not through pbtext.  'err' names the field: "kernel.cmdline[2]: ...". */
int pb_check(const ProtobufCMessage *message, struct err *err);

/* Fields by descriptor, for code that walks any message. */
#define PB_KEY_MAX 128                                 /* Bytes of a map's key. */
bool pb_is_map(const ProtobufCFieldDescriptor *field); /* map<string, string> */
size_t pb_value_size(const ProtobufCFieldDescriptor *field);
/* How many values it has: 0 or 1 if it is no list; a default counts for nothing. */
size_t pb_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* The i-th of them, a pointer to the C type of one: uint32_t, int (enum), char *, ProtobufCMessage * ... */
const void *pb_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i);
/* For messages built by hand: pb_unpack(), pb_copy(), pb_merge() and pbtext do it. */
void pb_sort_maps(ProtobufCMessage *message);

/* A new message at the end of a list, which is what it comes to. */
#define PB_ADD(list, n, init)                                        \
	({                                                           \
		(list) = xrealloc((list), (n) + 1, sizeof(*(list))); \
		(list)[n] = xcalloc(1, sizeof(*(list)[n]));          \
		init((list)[n]);                                     \
		(list)[(n)++];                                       \
	})

/* map<string, string> as protobuf-c gives it: an array of entry messages with key and value. */
#define PB_MAP_GET(map, n, name)                                                   \
	({                                                                         \
		const char *found_ = NULL;                                         \
		for (size_t i_ = 0; i_ < (n) && !found_; i_++)                     \
			if ((map)[i_]->key && strcmp((map)[i_]->key, (name)) == 0) \
				found_ = (map)[i_]->value ? (map)[i_]->value : ""; \
		found_;                                                            \
	})
