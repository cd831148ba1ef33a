#include "common/pb.h"

#include <errno.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/rules.h"
#include "common/utf8.h"

/* --- fields by descriptor --- */

size_t
pb_value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: return 8;
	case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	default: return 4;
	}
}

bool
pb_is_map(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *entry = field->descriptor;

	if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	size_t len = strlen(entry->short_name);
	return len > 5 && strcmp(entry->short_name + len - 5, "Entry") == 0 && entry->n_fields == 2 &&
	       strcmp(entry->fields[0].name, "key") == 0 && entry->fields[0].type == PROTOBUF_C_TYPE_STRING &&
	       strcmp(entry->fields[1].name, "value") == 0 && entry->fields[1].type == PROTOBUF_C_TYPE_STRING;
}

static const void *
at(const ProtobufCMessage *message, unsigned int offset)
{
	return (const uint8_t *)message + offset;
}

static bool
has(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	bool pointer = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
	const void *value = at(message, field->offset);

	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    *(const uint32_t *)at(message, field->quantifier_offset) != field->id)
		return false;
	if (pointer) /* A string without has_: what init() put there was not given. */
		return *(const void *const *)value && *(const void *const *)value != field->default_value;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || field->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	return *(const protobuf_c_boolean *)at(message, field->quantifier_offset);
}

size_t
pb_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)at(message, field->quantifier_offset);
	return has(message, field);
}

const void *
pb_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i)
{
	const void *value = at(message, field->offset);

	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return value;
	return *(const uint8_t *const *)value + i * pb_value_size(field);
}

/* --- the bytes --- */

uint8_t *
pb_pack(const ProtobufCMessage *message, size_t *len)
{
	uint8_t *data = xcalloc(protobuf_c_message_get_packed_size(message) + 1, 1);

	*len = protobuf_c_message_pack(message, data);
	return data;
}

/* A message that is being unpacked may use so much memory for each of its bytes and no more: two bytes
 * of a frame can ask for a whole empty submessage. */
#define MEMORY_PER_BYTE 32
#define MEMORY_AT_LEAST 65536

static void *
limited_alloc(void *left, size_t size)
{
	size_t *budget = left;
	void *p = malloc(size);
	size_t used = p ? malloc_usable_size(p) : 0;

	if (used > *budget) {
		free(p);
		return NULL;
	}
	*budget -= used;
	return p;
}

static void
limited_free(void *left, void *p)
{
	size_t *budget = left;

	*budget += p ? malloc_usable_size(p) : 0;
	free(p);
}

/* An entry of map<string, string> as the C code has it. */
struct entry {
	ProtobufCMessage base;
	char *key;
	char *value;
};

/* Where an entry stood, so that the last one of equal keys is known after sorting. */
struct placed {
	struct entry *entry;
	size_t place;
};

static const char *
key_of(const struct entry *entry)
{
	return entry->key ? entry->key : "";
}

static int
by_key(const void *a, const void *b)
{
	const struct placed *x = a;
	const struct placed *y = b;
	int order = strcmp(key_of(x->entry), key_of(y->entry));

	return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Ordered by key, each key once (the last one, as protobuf has it). */
static void
sort_map(struct entry **entries, size_t *n)
{
	auto_free struct placed *placed = xcalloc(*n + 1, sizeof(*placed));
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++)
		placed[i] = (struct placed){ entries[i], i };
	qsort(placed, *n, sizeof(*placed), by_key);
	for (size_t i = 0; i < *n; i++)
		if (i + 1 < *n && strcmp(key_of(placed[i].entry), key_of(placed[i + 1].entry)) == 0)
			pb_free(&placed[i].entry->base);
		else
			entries[kept++] = placed[i].entry;
	*n = kept;
}

static void *
in(ProtobufCMessage *message, unsigned int offset)
{
	return (uint8_t *)message + offset;
}

/* The messages of the field; NULL where there are none. */
static ProtobufCMessage **
children(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (field->type != PROTOBUF_C_TYPE_MESSAGE || pb_count(message, field) == 0)
		return NULL;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(ProtobufCMessage ***)in(message, field->offset);
	return in(message, field->offset);
}

void
pb_sort_maps(ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	for (unsigned int f = 0; f < type->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &type->fields[f];
		ProtobufCMessage **child = children(message, field);

		if (child && pb_is_map(field))
			sort_map((struct entry **)child, in(message, field->quantifier_offset));
		else
			for (size_t i = 0; child && i < pb_count(message, field); i++)
				pb_sort_maps(child[i]);
	}
}

/* protobuf-c lets a field 0 in by one of its spellings, and then cannot read what it writes of it. */
static bool
has_field_0(ProtobufCMessage *message)
{
	for (unsigned int i = 0; i < message->n_unknown_fields; i++)
		if (message->unknown_fields[i].tag == 0)
			return true;
	for (unsigned int f = 0; f < message->descriptor->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[f];
		ProtobufCMessage **child = children(message, field);

		for (size_t i = 0; child && i < pb_count(message, field); i++)
			if (has_field_0(child[i]))
				return true;
	}
	return false;
}

ProtobufCMessage *
pb_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t len, struct err *err)
{
	size_t budget = len > SIZE_MAX / 2 / MEMORY_PER_BYTE ? SIZE_MAX / 2 : MEMORY_AT_LEAST + len * MEMORY_PER_BYTE;
	ProtobufCAllocator limited = { .alloc = limited_alloc, .free = limited_free, .allocator_data = &budget };
	/* What it allocates is plain malloc()'s, so that it is freed like any other message. */
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &limited, len, data);

	if (!message || has_field_0(message)) {
		pb_free(message);
		(void)err_set(err, -EBADMSG, "%zu bytes that are no %s", len, type->short_name);
		return NULL;
	}
	pb_sort_maps(message);
	return message;
}

/* --- whole messages --- */

ProtobufCMessage *
pb_copy(const ProtobufCMessage *message)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(message, &len);
	ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, len, data);

	if (!copy)
		abort(); /* Out of memory: what was just packed can be unpacked. */
	pb_sort_maps(copy);
	return copy;
}

void
pb_free(ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

void
pb_free_p(void *p)
{
	ProtobufCMessage *owned;

	memcpy(&owned, p, sizeof(void *));
	pb_free(owned);
}

/* The same bytes for the same content, whatever order maps were filled in. */
static uint8_t *
pack_sorted(const ProtobufCMessage *message, size_t *len)
{
	auto_pb ProtobufCMessage *sorted = pb_copy(message);

	return pb_pack(sorted, len);
}

bool
pb_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t len_a;
	size_t len_b;

	if (a->descriptor != b->descriptor)
		return false;
	auto_free uint8_t *data_a = pack_sorted(a, &len_a);
	auto_free uint8_t *data_b = pack_sorted(b, &len_b);
	return len_a == len_b && memcmp(data_a, data_b, len_a) == 0;
}

static void
swap_bytes(void *a, void *b, size_t len)
{
	uint8_t kept[sizeof(ProtobufCBinaryData)];

	memcpy(kept, a, len);
	memcpy(a, b, len);
	memcpy(b, kept, len);
}

/* How many bytes of the union that 'field' is in hold the member that is set in 'message'. */
static size_t
union_size(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	uint32_t set = *(const uint32_t *)at(message, field->quantifier_offset);
	const ProtobufCFieldDescriptor *member = set ? protobuf_c_message_descriptor_get_field(message->descriptor, set)
						     : NULL;

	return member ? pb_value_size(member) : 0;
}

static void
swap_field(ProtobufCMessage *a, ProtobufCMessage *b, const ProtobufCFieldDescriptor *field)
{
	bool pointer = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
	size_t size = pb_value_size(field);
	size_t quantifier = 0;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size = sizeof(void *);
		quantifier = sizeof(size_t);
	} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		size_t other = union_size(a, field);

		size = other > size ? other : size;
		quantifier = sizeof(uint32_t);
	} else if (!pointer && field->label == PROTOBUF_C_LABEL_OPTIONAL) {
		quantifier = sizeof(protobuf_c_boolean);
	}
	swap_bytes(in(a, field->offset), in(b, field->offset), size);
	if (quantifier > 0)
		swap_bytes(in(a, field->quantifier_offset), in(b, field->quantifier_offset), quantifier);
}

/* Moves the entries of 'from' behind those of 'to', where they win. */
static void
merge_map(ProtobufCMessage *to, ProtobufCMessage *from, const ProtobufCFieldDescriptor *field)
{
	size_t *n_to = in(to, field->quantifier_offset);
	size_t *n_from = in(from, field->quantifier_offset);
	struct entry ***entries_to = in(to, field->offset);
	struct entry ***entries_from = in(from, field->offset);
	size_t size = pb_value_size(field);

	*entries_to = xrealloc(*entries_to, *n_to + *n_from, size);
	memcpy(*entries_to + *n_to, *entries_from, *n_from * size);
	*n_to += *n_from;
	*n_from = 0;
	sort_map(*entries_to, n_to);
}

/* Moves all of 'from' into 'to'; what it replaces is left in 'from', to be freed with it. */
static void
merge_into(ProtobufCMessage *to, ProtobufCMessage *from)
{
	const ProtobufCMessageDescriptor *type = to->descriptor;

	for (unsigned int f = 0; f < type->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &type->fields[f];
		ProtobufCMessage **child_to = children(to, field);
		ProtobufCMessage **child_from = children(from, field);

		if (pb_count(from, field) == 0)
			continue;
		if (pb_is_map(field))
			merge_map(to, from, field);
		else if (child_to && child_from && field->label != PROTOBUF_C_LABEL_REPEATED)
			merge_into(*child_to, *child_from);
		else
			swap_field(to, from, field);
	}
}

ProtobufCMessage *
pb_merge(const ProtobufCMessage *base, const ProtobufCMessage *over)
{
	if (!base || !over)
		return base ? pb_copy(base) : over ? pb_copy(over) : NULL;
	ProtobufCMessage *merged = pb_copy(base);
	auto_pb ProtobufCMessage *rest = pb_copy(over);

	merge_into(merged, rest);
	return merged;
}

void
pb_digest(const void *data, size_t len, uint8_t out[PB_DIGEST_LEN])
{
	if (sodium_init() < 0)
		abort(); /* No source of random numbers: nothing here can run. */
	(void)crypto_generichash(out, PB_DIGEST_LEN, data, len, NULL, 0);
}

void
pb_hash(const ProtobufCMessage *message, char out[PB_HASH_LEN + 1])
{
	uint8_t digest[PB_DIGEST_LEN];
	size_t len;
	auto_free uint8_t *data = pack_sorted(message, &len);

	pb_digest(data, len, digest);
	(void)sodium_bin2hex(out, PB_HASH_LEN + 1, digest, sizeof(digest));
}

/* --- checking --- */

#define DEPTH_MAX 16

/* The way to what is being checked, innermost first. */
struct place {
	const struct place *up;
	const char *name;
	const char *key; /* Of a map, or NULL. */
	size_t index;    /* Of a list, */
	bool in_list;    /* if it is one. */
};

static void
add_place(struct buf *out, const struct place *place)
{
	if (!place)
		return;
	add_place(out, place->up);
	buf_printf(out, "%s%s", out->len > 0 ? "." : "", place->name);
	if (place->key)
		buf_printf(out, "[%.64s]", place->key);
	else if (place->in_list)
		buf_printf(out, "[%zu]", place->index);
}

static int
wrap_place(const struct place *place, struct err *err)
{
	auto_buf struct buf text = { 0 };

	add_place(&text, place);
	int code = err_wrap(err, "%s", text.text);
	utf8_clean(err->msg);
	return code;
}

static int
check_number(const ProtobufCFieldDescriptor *field, const void *value, const struct rule *rule, struct err *err)
{
	uint64_t number = 0;

	if (field->type == PROTOBUF_C_TYPE_ENUM) {
		int v = *(const int *)value;

		if (protobuf_c_enum_descriptor_get_value(field->descriptor, v))
			return 0;
		return err_set(err, -EINVAL, "%d is no value of %s", v,
			       ((const ProtobufCEnumDescriptor *)field->descriptor)->short_name);
	}
	if (pb_value_size(field) == sizeof(uint64_t))
		number = *(const uint64_t *)value;
	else if (pb_value_size(field) == sizeof(uint32_t))
		number = *(const uint32_t *)value;
	return rules_check_number(rule, number, err);
}

static int
check_entry(const struct rule *rule, const struct entry *entry, struct err *err)
{
	size_t len = strlen(key_of(entry));

	if (len == 0 || len > PB_KEY_MAX)
		return err_set(err, -EINVAL, "a key has 1 to %d characters", PB_KEY_MAX);
	int rc = rules_check_text(rule, key_of(entry), err);
	if (rc == 0 && entry->value)
		rc = rules_check_text(rule, entry->value, err);
	return rc;
}

static int check_message(const ProtobufCMessage *message, const struct place *up, int depth, struct err *err);

static int
check_value(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const struct place *place,
	    int depth, struct err *err)
{
	const struct rule *rule = rules_find(message->descriptor, field->name);
	const void *value = pb_value(message, field, place->index);
	int rc;

	if (place->key) {
		rc = check_entry(rule, *(const struct entry *const *)value, err);
	} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		return check_message(*(const ProtobufCMessage *const *)value, place, depth + 1, err);
	} else if (field->type == PROTOBUF_C_TYPE_STRING) {
		rc = rules_check_text(rule, *(const char *const *)value, err);
	} else {
		rc = check_number(field, value, rule, err);
	}
	return rc < 0 ? wrap_place(place, err) : 0;
}

static int
check_message(const ProtobufCMessage *message, const struct place *up, int depth, struct err *err)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	int rc = 0;

	if (depth > DEPTH_MAX)
		return err_set(err, -EINVAL, "more than %d messages deep", DEPTH_MAX);
	for (unsigned int f = 0; f < type->n_fields && rc == 0; f++) {
		const ProtobufCFieldDescriptor *field = &type->fields[f];
		struct place place = { .up = up, .name = field->name };
		bool map = pb_is_map(field);

		place.in_list = field->label == PROTOBUF_C_LABEL_REPEATED;
		for (place.index = 0; place.index < pb_count(message, field) && rc == 0; place.index++) {
			if (map)
				place.key = key_of(*(const struct entry *const *)pb_value(message, field, place.index));
			rc = check_value(message, field, &place, depth, err);
		}
	}
	return rc;
}

int
pb_check(const ProtobufCMessage *message, struct err *err)
{
	return check_message(message, NULL, 0, err);
}
