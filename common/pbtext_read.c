/* pbtext_read.c - libfyaml's events to messages.  libfyaml knows where everything stands; what it may be is
 * decided here, so that each error has a position and says what would have been right. */

#include <errno.h>
#include <libfyaml.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/pbtext_internal.h"
#include "common/rules.h"

#define DEPTH_MAX 32
#define LIST_MAX  8 /* Known fields are listed in an error if there are no more than these. */

/* --- messages --- */

static void *
in_message(ProtobufCMessage *message, unsigned int offset)
{
	return (uint8_t *)message + offset;
}

static ProtobufCMessage *
new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = xcalloc(1, type->sizeof_message);

	type->message_init(message);
	return message;
}

static void
append(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const void *value)
{
	size_t *n = in_message(message, field->quantifier_offset);
	uint8_t **array = in_message(message, field->offset);
	size_t size = pb_value_size(field);

	if ((*n & (*n - 1)) == 0) /* Full: it has room for a power of two. */
		*array = xrealloc(*array, *n ? *n * 2 : 1, size);
	memcpy(*array + *n * size, value, size);
	++*n;
}

static int read_fields(struct pbtext_reader *in, ProtobufCMessage *message);

static int
read_scalar(struct pbtext_reader *in, const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
	    void *out)
{
	auto_free char *text = NULL;
	struct pbtext_scalar scalar;

	if (in->event->type != FYET_SCALAR)
		return pbtext_fail_expected(in, field->name, "a single value");
	int rc = pbtext_take(in, &scalar, &text);
	if (rc == 0 && pbtext_scalar_read(type, field, &scalar, out, in->err) < 0) {
		(void)err_wrap(in->err, "%s", field->name);
		rc = pbtext_placed(in, in->pos);
	}
	return rc;
}

static int
read_list(struct pbtext_reader *in, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	union {
		ProtobufCMessage *message;
		ProtobufCBinaryData bytes;
		uint64_t number;
	} value;
	int rc;

	if (in->event->type != FYET_SEQUENCE_START)
		return pbtext_fail_expected(in, field->name, "a list");
	while ((rc = pbtext_next(in)) == 0 && in->event->type != FYET_SEQUENCE_END) {
		if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
			rc = read_scalar(in, message->descriptor, field, &value);
			if (rc == 0)
				append(message, field, &value);
		} else if (in->event->type != FYET_MAPPING_START) {
			rc = pbtext_fail_expected(in, field->name, "a mapping");
		} else {
			value.message = new_message(field->descriptor);
			append(message, field, &value);
			rc = read_fields(in, value.message);
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

/* A key of a mapping, the caller's; NULL if it is none, and in->err says why. */
static char *
read_key(struct pbtext_reader *in)
{
	auto_free char *text = NULL;
	struct pbtext_scalar scalar;

	if (in->event->type != FYET_SCALAR)
		(void)pbtext_fail(in, in->pos, "expected a key, got a %s",
				  in->event->type == FYET_MAPPING_START ? "mapping" : "list");
	else if (pbtext_take(in, &scalar, &text) < 0)
		return NULL;
	else if (pbtext_scalar_is_null(&scalar))
		(void)pbtext_fail(in, in->pos, "expected a key, got nothing");
	else if (!scalar.quoted && strcmp(scalar.text, "<<") == 0)
		(void)pbtext_fail(in, in->pos, "merge keys are not understood here");
	else
		return steal(&text);
	return NULL;
}

/* An entry of map<string, string> as the C code has it, */
struct entry {
	ProtobufCMessage base;
	char *key;
	char *value;
};
/* and where it stands, for telling duplicates. */
struct seen {
	const char *key;
	size_t pos;
};

static int
read_entry(struct pbtext_reader *in, const char *name, const struct rule *rule, struct entry *entry)
{
	struct pbtext_scalar scalar;
	entry->key = read_key(in);
	if (!entry->key)
		return in->err->code;
	if (strlen(entry->key) < 1 || strlen(entry->key) > PB_KEY_MAX)
		return pbtext_fail(in, in->pos, "%s: a key has 1 to %d characters", name, PB_KEY_MAX);
	if (rules_check_text(rule, entry->key, in->err) < 0) {
		(void)err_wrap(in->err, "%s", name);
		return pbtext_placed(in, in->pos);
	}
	int rc = pbtext_next(in);
	if (rc < 0)
		return rc;
	if (in->event->type != FYET_SCALAR)
		return pbtext_fail_expected(in, entry->key, "a single value");
	rc = pbtext_take(in, &scalar, &entry->value);
	if (rc < 0)
		return rc;
	if (pbtext_scalar_is_null(&scalar))
		return pbtext_fail(in, in->pos, "%s: expected a text, got nothing; an empty one is \"\"", entry->key);
	if (rules_check_text(rule, entry->value, in->err) < 0) {
		(void)err_wrap(in->err, "%s", entry->key);
		return pbtext_placed(in, in->pos);
	}
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	const struct seen *x = a;
	const struct seen *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->pos > y->pos) - (x->pos < y->pos);
}

static int
fail_duplicate(const struct pbtext_reader *in, const char *key, size_t pos, size_t first)
{
	int line;
	int column;

	pbtext_where(in, first, &line, &column);
	return pbtext_fail(in, pos, "duplicate key '%.60s', first on line %d", key, line);
}

static int
check_duplicates(const struct pbtext_reader *in, struct seen *seen, size_t n)
{
	qsort(seen, n, sizeof(*seen), by_key);
	for (size_t i = 1; i < n; i++)
		if (strcmp(seen[i - 1].key, seen[i].key) == 0)
			return fail_duplicate(in, seen[i].key, seen[i].pos, seen[i - 1].pos);
	return 0;
}

static int
read_map(struct pbtext_reader *in, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const struct rule *rule = rules_find(message->descriptor, field->name);
	auto_buf struct buf seen = { 0 };
	int rc;

	if (in->event->type != FYET_MAPPING_START)
		return pbtext_fail_expected(in, field->name, "a mapping");
	while ((rc = pbtext_next(in)) == 0 && in->event->type != FYET_MAPPING_END) {
		struct entry *entry = (struct entry *)new_message(field->descriptor);
		size_t pos = in->pos;

		append(message, field, &entry);
		rc = read_entry(in, field->name, rule, entry);
		if (rc < 0)
			return rc;
		buf_add(&seen, &(struct seen){ entry->key, pos }, sizeof(struct seen));
	}
	if (rc < 0 || !seen.text)
		return rc;
	return check_duplicates(in, (struct seen *)(void *)seen.text, seen.len / sizeof(struct seen));
}

static void
set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	bool pointer = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)in_message(message, field->quantifier_offset) = field->id;
	else if (!pointer && field->label == PROTOBUF_C_LABEL_OPTIONAL)
		*(protobuf_c_boolean *)in_message(message, field->quantifier_offset) = true;
}

static int
read_single(struct pbtext_reader *in, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	void *value = in_message(message, field->offset);

	if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
		int rc = read_scalar(in, message->descriptor, field, value);
		if (rc == 0)
			set_present(message, field);
		return rc;
	}
	if (in->event->type != FYET_MAPPING_START)
		return pbtext_fail_expected(in, field->name, "a mapping");
	ProtobufCMessage *child = new_message(field->descriptor);
	*(ProtobufCMessage **)value = child;
	set_present(message, field);
	return read_fields(in, child);
}

static int
fail_unknown(const struct pbtext_reader *in, const ProtobufCMessageDescriptor *type, const char *key)
{
	auto_free const char **names = xcalloc(type->n_fields + 1, sizeof(*names));
	auto_buf struct buf list = { 0 };

	for (unsigned int i = 0; i < type->n_fields; i++) {
		names[i] = type->fields[i].name;
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	}
	const char *near = pbtext_nearest(key, names);
	if (near)
		return pbtext_fail(in, in->pos, "unknown field '%.60s' in %s, did you mean '%s'?", key,
				   type->short_name, near);
	if (type->n_fields > 0 && type->n_fields <= LIST_MAX)
		return pbtext_fail(in, in->pos, "unknown field '%.60s' in %s, it has %s", key, type->short_name,
				   list.text);
	return pbtext_fail(in, in->pos, "unknown field '%.60s' in %s", key, type->short_name);
}

/* Of a oneof only one may be written. */
static int
check_oneof(const struct pbtext_reader *in, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return 0;
	uint32_t set = *(uint32_t *)in_message(message, field->quantifier_offset);
	if (set == 0)
		return 0;
	return pbtext_fail(in, in->pos, "'%s' and '%s' exclude each other", field->name,
			   protobuf_c_message_descriptor_get_field(message->descriptor, set)->name);
}

/* One key and its value.  'seen' has a position for every field of the message, 0 for not yet. */
static int
read_field(struct pbtext_reader *in, ProtobufCMessage *message, size_t *seen)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	auto_free char *key = read_key(in);

	if (!key)
		return in->err->code;
	if (in->with_kind && in->depth == 1 && strcmp(key, "kind") == 0)
		return pbtext_next(in);
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(type, key);
	if (!field)
		return fail_unknown(in, type, key);
	size_t *first = &seen[field - type->fields];
	if (*first > 0)
		return fail_duplicate(in, key, in->pos, *first - 1);
	*first = in->pos + 1;
	int rc = check_oneof(in, message, field);
	if (rc == 0)
		rc = pbtext_next(in);
	if (rc < 0)
		return rc;
	if (pb_is_map(field))
		return read_map(in, message, field);
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(in, message, field);
	return read_single(in, message, field);
}

/* From the beginning of a mapping to its end. */
static int
read_fields(struct pbtext_reader *in, ProtobufCMessage *message)
{
	auto_free size_t *seen = xcalloc(message->descriptor->n_fields + 1, sizeof(*seen));
	int rc = 0;

	if (++in->depth > DEPTH_MAX)
		return pbtext_fail(in, in->pos, "more than %d mappings deep", DEPTH_MAX);
	while (rc == 0) {
		rc = pbtext_next(in);
		if (rc < 0 || in->event->type == FYET_MAPPING_END)
			break;
		rc = read_field(in, message, seen);
	}
	in->depth--;
	return rc;
}

int
pbtext_parse(const ProtobufCMessageDescriptor *type, const char *file, const char *text, size_t len,
	     ProtobufCMessage **out, struct err *err)
{
	auto_pb ProtobufCMessage *message = new_message(type);
	auto_reader struct pbtext_reader in = { 0 };
	int rc = pbtext_open(&in, file, text, len, err);

	if (rc < 0)
		return rc;
	rc = pbtext_next_document(&in);
	if (rc > 0)
		rc = read_fields(&in, message);
	if (rc == 0 && in.event->type != FYET_STREAM_END)
		rc = pbtext_next_document(&in);
	if (rc > 0)
		return pbtext_fail(&in, in.pos, "a second document begins here, only one is expected");
	if (rc < 0)
		return rc;
	pb_sort_maps(message);
	*out = steal(&message);
	return 0;
}

/* --- documents --- */

int
pbtext_skip(struct pbtext_reader *in)
{
	int depth = 0;

	for (;;) {
		int rc = 0;

		if (in->event->type == FYET_MAPPING_START || in->event->type == FYET_SEQUENCE_START)
			depth++;
		else if (in->event->type == FYET_MAPPING_END || in->event->type == FYET_SEQUENCE_END)
			depth--;
		if (depth == 0)
			return 0;
		if (depth > DEPTH_MAX)
			return pbtext_fail(in, in->pos, "more than %d mappings and lists deep", DEPTH_MAX);
		rc = pbtext_next(in);
		if (rc < 0)
			return rc;
	}
}

static int
find_kind(const struct pbtext_reader *in, const struct pbtext_kind *kinds, const struct pbtext_kind **out)
{
	auto_free char *text = NULL;
	auto_buf struct buf list = { 0 };
	struct pbtext_scalar scalar;
	const char *names[LIST_MAX + 1] = { 0 };

	if (in->event->type != FYET_SCALAR)
		return pbtext_fail_expected(in, "kind", "a single value");
	int rc = pbtext_take(in, &scalar, &text);
	if (rc < 0)
		return rc;
	if (!text)
		return pbtext_fail_expected(in, "kind", "a single value");
	for (size_t i = 0; kinds[i].kind; i++) {
		if (strcmp(kinds[i].kind, text) == 0) {
			*out = &kinds[i];
			return 0;
		}
		if (i < LIST_MAX)
			names[i] = kinds[i].kind;
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", kinds[i].kind);
	}
	const char *near = pbtext_nearest(text, names);
	if (near)
		return pbtext_fail(in, in->pos, "unknown kind '%.60s', did you mean '%s'?", text, near);
	return pbtext_fail(in, in->pos, "unknown kind '%.60s', known are %s", text, list.text);
}

/* One key of a document and what follows it.  Where "kind" stands goes into '*pos'. */
static int
scan_field(struct pbtext_reader *in, const struct pbtext_kind *kinds, size_t *pos, const struct pbtext_kind **out)
{
	auto_free char *key = read_key(in);
	int rc;

	if (!key)
		return in->err->code;
	if (strcmp(key, "kind") != 0) {
		rc = pbtext_next(in);
		return rc < 0 ? rc : pbtext_skip(in);
	}
	if (*out)
		return fail_duplicate(in, key, in->pos, *pos);
	*pos = in->pos;
	rc = pbtext_next(in);
	return rc < 0 ? rc : find_kind(in, kinds, out);
}

/* What kind the document that begins here is; goes to its end. */
static int
scan_document(struct pbtext_reader *in, const struct pbtext_kind *kinds, struct pbtext_document *out)
{
	size_t begin = in->pos;
	size_t pos = 0;
	int rc;

	out->line = in->line;
	while ((rc = pbtext_next(in)) == 0 && in->event->type != FYET_MAPPING_END) {
		rc = scan_field(in, kinds, &pos, &out->kind);
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && !out->kind)
		return pbtext_fail(in, begin, "this document has no key 'kind'");
	return rc;
}

/* First all kinds, because "kind" need not be the first key; the messages in a second reading. */
static int
scan_documents(struct pbtext_reader *in, const struct pbtext_kind *kinds, struct pbtext_document **out, size_t *n)
{
	int rc;

	while ((rc = pbtext_next_document(in)) > 0) {
		*out = xrealloc(*out, *n + 1, sizeof(**out));
		(*out)[*n] = (struct pbtext_document){ 0 };
		rc = scan_document(in, kinds, &(*out)[*n]);
		if (rc < 0 || !(*out)[*n].kind)
			return rc;
		++*n;
	}
	return rc;
}

static int
read_documents(struct pbtext_reader *in, struct pbtext_document *documents, size_t n)
{
	in->with_kind = true;
	for (size_t i = 0; i < n; i++) {
		int rc = pbtext_next_document(in);

		if (rc < 0)
			return rc;
		documents[i].message = new_message(documents[i].kind->type);
		rc = read_fields(in, documents[i].message);
		if (rc < 0)
			return rc;
		pb_sort_maps(documents[i].message);
	}
	return 0;
}

int
pbtext_parse_documents(const struct pbtext_kind *kinds, const char *file, const char *text, size_t len,
		       struct pbtext_document **out, size_t *n, struct err *err)
{
	auto_reader struct pbtext_reader first = { 0 };
	auto_reader struct pbtext_reader second = { 0 };
	struct pbtext_document *documents = NULL;
	size_t found = 0;
	int rc = pbtext_open(&first, file, text, len, err);

	if (rc == 0)
		rc = scan_documents(&first, kinds, &documents, &found);
	if (rc == 0 && found == 0)
		rc = err_set(err, -EINVAL, "%s: holds no document", first.file);
	if (rc == 0)
		rc = pbtext_open(&second, file, text, len, err);
	if (rc == 0)
		rc = read_documents(&second, documents, found);
	if (rc < 0) {
		pbtext_documents_free(documents, found);
		return rc;
	}
	*out = documents;
	*n = found;
	return 0;
}

void
pbtext_documents_free(struct pbtext_document *documents, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pb_free(documents[i].message);
	free(documents);
}
