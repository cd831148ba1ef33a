/* pbtext_write.c - messages to YAML and JSON. */

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/rules.h"
#include "common/utf8.h"

#define INDENT    2
#define DEPTH_MAX 16 /* For types that hold themselves, when defaults are written out. */

struct writer {
	enum pbtext_form form;
	bool all; /* Defaults, too. */
	struct buf *out;
};

/* --- YAML's texts --- */

/* Words that YAML 1.2, or YAML 1.1 readers of our output, take for something else. */
static bool
is_reserved(const char *text)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no", "on", "off",
					     "y",    "n",     "~",    "<<",  "=",  NULL };

	for (size_t i = 0; words[i]; i++)
		if (strcasecmp(words[i], text) == 0)
			return true;
	return false;
}

/* A number, a date or a sexagesimal number to anybody? */
static bool
is_numeric(const char *text)
{
	const char *digit = text + strspn(text, "+-.");

	if (strcasecmp(digit, "inf") == 0 || strcasecmp(digit, "nan") == 0)
		return true;
	return *digit >= '0' && *digit <= '9' && digit[strspn(digit, "0123456789abcdefABCDEFxXoO_.:,+-TZtz ")] == '\0';
}

static bool
is_escaped(uint32_t c)
{
	return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       c == 0xfeff || c == 0xfffe || c == 0xffff;
}

/* Characters that end a plain text, or make another of it. */
static bool
is_plain_text(const char *text)
{
	size_t len = strlen(text);
	uint32_t c;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_next(text + i, len - i, &c);
		if (n == 0 || is_escaped(c) || (c == ' ' && i + 1 == len))
			return false;
		if (c == ':' && (i + 1 == len || text[i + 1] == ' '))
			return false;
		if (c == '#' && i > 0 && text[i - 1] == ' ')
			return false;
	}
	return true;
}

static bool
is_plain(const char *text)
{
	if (!*text || strchr(" -?:,[]{}#&*!|>'\"%@`", *text))
		return false;
	return !is_reserved(text) && !is_numeric(text) && is_plain_text(text);
}

static void
yaml_escape(struct buf *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", (int)c);
	else if (c == '\n')
		buf_puts(out, "\\n");
	else if (c == '\t')
		buf_puts(out, "\\t");
	else if (c < 0x100)
		buf_printf(out, "\\x%02x", c);
	else
		buf_printf(out, "\\u%04x", c);
}

static void
yaml_string(struct buf *out, const char *text)
{
	size_t left = strlen(text);

	if (is_plain(text)) {
		buf_puts(out, text);
		return;
	}
	buf_puts(out, "\"");
	while (left > 0) {
		uint32_t c;
		size_t n = utf8_next(text, left, &c);

		if (n == 0)
			buf_puts(out, "\xef\xbf\xbd"); /* What is not UTF-8 cannot be written at all. */
		else if (is_escaped(c))
			yaml_escape(out, c);
		else
			buf_add(out, text, n);
		text += n ? n : 1;
		left -= n ? n : 1;
	}
	buf_puts(out, "\"");
}

static void
write_string(const struct writer *to, const char *text)
{
	if (to->form == PBTEXT_YAML)
		yaml_string(to->out, text);
	else
		buf_json(to->out, text);
}

/* --- scalars --- */

static void
write_unsigned(const struct writer *to, const struct rule *rule, uint64_t value)
{
	auto_buf struct buf text = { 0 };

	if (value == RULES_WORD && rules_word(rule))
		buf_puts(&text, rules_word(rule));
	else if (rule && rule->kind == RULE_BYTES)
		pbtext_bytes_print(value, &text);
	else if (rule && rule->kind == RULE_DURATION)
		pbtext_duration_print(value, &text);
	else
		buf_printf(&text, "%" PRIu64, value);
	bool bare = to->form == PBTEXT_YAML || text.text[strspn(text.text, "0123456789")] == '\0';
	buf_printf(to->out, "%s%s%s", bare ? "" : "\"", text.text, bare ? "" : "\"");
}

/* The fewest digits that read back as the same number. */
static void
write_float(const struct writer *to, double value, bool narrow)
{
	char text[64];

	if (!isfinite(value)) { /* No file can bring it in; a peer could. */
		buf_puts(to->out, to->form == PBTEXT_YAML ? ".nan" : "null");
		return;
	}
	for (int digits = 1; digits <= DBL_DECIMAL_DIG; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		double back = strtod(text, NULL);
		double off = narrow ? (double)(float)back - value : back - value;
		if (off <= 0 && off >= 0)
			break;
	}
	buf_puts(to->out, text);
}

static void
write_bytes(const struct writer *to, const ProtobufCBinaryData *bytes)
{
	auto_buf struct buf hex = { 0 };

	for (size_t i = 0; i < bytes->len; i++)
		buf_printf(&hex, "%02x", (unsigned int)bytes->data[i]);
	write_string(to, hex.text ? hex.text : "");
}

static void
write_scalar(const struct writer *to, const struct rule *rule, const ProtobufCFieldDescriptor *field, const void *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL: buf_puts(to->out, *(const protobuf_c_boolean *)value ? "true" : "false"); return;
	case PROTOBUF_C_TYPE_ENUM: write_string(to, pbtext_enum(field->descriptor, *(const int *)value)); return;
	case PROTOBUF_C_TYPE_STRING: write_string(to, *(const char *const *)value); return;
	case PROTOBUF_C_TYPE_BYTES: write_bytes(to, value); return;
	case PROTOBUF_C_TYPE_FLOAT: write_float(to, (double)*(const float *)value, true); return;
	case PROTOBUF_C_TYPE_DOUBLE: write_float(to, *(const double *)value, false); return;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32: buf_printf(to->out, "%" PRId32, *(const int32_t *)value); return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: buf_printf(to->out, "%" PRId64, *(const int64_t *)value); return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: write_unsigned(to, rule, *(const uint64_t *)value); return;
	default: write_unsigned(to, rule, *(const uint32_t *)value); return;
	}
}

/* --- messages --- */

/* Does the type, or one inside it, have a default? */
static bool
has_defaults(const ProtobufCMessageDescriptor *type, int depth)
{
	for (unsigned int i = 0; i < type->n_fields && depth < DEPTH_MAX; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->default_value)
			return true;
		if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label == PROTOBUF_C_LABEL_OPTIONAL &&
		    has_defaults(field->descriptor, depth + 1))
			return true;
	}
	return false;
}

/* A field that is to be written. */
struct shown {
	const ProtobufCFieldDescriptor *field;
	const ProtobufCMessage *message;
	size_t count;
	ProtobufCMessage *made; /* Of defaults, where a message is absent. */
};

static void
shown_free(struct shown *shown)
{
	free(shown->made); /* Of what init() puts there nothing is to be freed. */
}

#define auto_shown __attribute__((cleanup(shown_free)))

static bool
show(const struct writer *to, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, struct shown *out)
{
	*out = (struct shown){ .field = field, .message = message, .count = pb_count(message, field) };
	if (out->count > 0)
		return true;
	if (!to->all || field->label == PROTOBUF_C_LABEL_REPEATED || (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return false;
	if (field->default_value) { /* init() has put it in the field. */
		out->count = 1;
		return true;
	}
	if (field->type != PROTOBUF_C_TYPE_MESSAGE || !has_defaults(field->descriptor, 0))
		return false;
	const ProtobufCMessageDescriptor *type = field->descriptor;
	out->made = xcalloc(1, type->sizeof_message);
	type->message_init(out->made);
	out->count = 1;
	return true;
}

static const ProtobufCMessage *
child_of(const struct shown *shown, size_t i)
{
	if (shown->made)
		return shown->made;
	return *(const ProtobufCMessage *const *)pb_value(shown->message, shown->field, i);
}

static bool
is_empty(const struct writer *to, const ProtobufCMessage *message)
{
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		auto_shown struct shown shown = { 0 };

		if (show(to, message, &message->descriptor->fields[i], &shown))
			return false;
	}
	return true;
}

/* An entry of map<string, string> as the C code has it. */
struct entry {
	ProtobufCMessage base;
	const char *key;
	const char *value;
};

static const char *
text_or_empty(const char *text)
{
	return text ? text : "";
}

static void
write_value(const struct writer *to, const struct shown *shown, size_t i)
{
	const struct rule *rule = rules_find(shown->message->descriptor, shown->field->name);

	write_scalar(to, rule, shown->field, pb_value(shown->message, shown->field, i));
}

/* --- YAML: blocks; lists of numbers and of enum values stand in one line --- */

static void yaml_fields(const struct writer *to, const ProtobufCMessage *message, int indent, bool begun);

static void
yaml_indent(const struct writer *to, int indent)
{
	buf_printf(to->out, "%*s", indent, "");
}

static void
yaml_map(const struct writer *to, const struct shown *shown, int indent)
{
	buf_puts(to->out, "\n");
	for (size_t i = 0; i < shown->count; i++) {
		const struct entry *entry = (const struct entry *)child_of(shown, i);

		yaml_indent(to, indent);
		yaml_string(to->out, text_or_empty(entry->key));
		buf_puts(to->out, ": ");
		yaml_string(to->out, text_or_empty(entry->value));
		buf_puts(to->out, "\n");
	}
}

static void
yaml_row(const struct writer *to, const struct shown *shown)
{
	buf_puts(to->out, " [");
	for (size_t i = 0; i < shown->count; i++) {
		buf_puts(to->out, i > 0 ? ", " : "");
		write_value(to, shown, i);
	}
	buf_puts(to->out, "]\n");
}

static void
yaml_list(const struct writer *to, const struct shown *shown, int indent)
{
	buf_puts(to->out, "\n");
	for (size_t i = 0; i < shown->count; i++) {
		yaml_indent(to, indent);
		buf_puts(to->out, "- ");
		if (shown->field->type != PROTOBUF_C_TYPE_MESSAGE) {
			write_value(to, shown, i);
			buf_puts(to->out, "\n");
		} else if (is_empty(to, child_of(shown, i))) {
			buf_puts(to->out, "{}\n");
		} else {
			yaml_fields(to, child_of(shown, i), indent + INDENT, true);
		}
	}
}

static void
yaml_field(const struct writer *to, const struct shown *shown, int indent)
{
	ProtobufCType type = shown->field->type;
	bool long_values = type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_BYTES;

	yaml_string(to->out, shown->field->name);
	buf_puts(to->out, ":");
	if (pb_is_map(shown->field)) {
		yaml_map(to, shown, indent + INDENT);
	} else if (shown->field->label == PROTOBUF_C_LABEL_REPEATED) {
		if (long_values || type == PROTOBUF_C_TYPE_MESSAGE)
			yaml_list(to, shown, indent + INDENT);
		else
			yaml_row(to, shown);
	} else if (type != PROTOBUF_C_TYPE_MESSAGE) {
		buf_puts(to->out, " ");
		write_value(to, shown, 0);
		buf_puts(to->out, "\n");
	} else if (is_empty(to, child_of(shown, 0))) {
		buf_puts(to->out, " {}\n");
	} else {
		buf_puts(to->out, "\n");
		yaml_fields(to, child_of(shown, 0), indent + INDENT, false);
	}
}

/* 'begun': the first line is indented already. */
static void
yaml_fields(const struct writer *to, const ProtobufCMessage *message, int indent, bool begun)
{
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		auto_shown struct shown shown = { 0 };

		if (!show(to, message, &message->descriptor->fields[i], &shown))
			continue;
		if (!begun)
			yaml_indent(to, indent);
		yaml_field(to, &shown, indent);
		begun = false;
	}
}

/* --- JSON --- */

static void json_message(const struct writer *to, const ProtobufCMessage *message, const char *kind, int indent);

/* Before the 'i'th of several things; before what closes them, with 'i' 0. */
static void
json_next(const struct writer *to, size_t i, int indent)
{
	if (to->form == PBTEXT_JSON_LINE)
		buf_puts(to->out, i > 0 ? ", " : "");
	else
		buf_printf(to->out, "%s\n%*s", i > 0 ? "," : "", indent, "");
}

static void
json_key(const struct writer *to, const char *key)
{
	buf_json(to->out, key);
	buf_puts(to->out, ": ");
}

static void
json_map(const struct writer *to, const struct shown *shown, int indent)
{
	buf_puts(to->out, "{");
	for (size_t i = 0; i < shown->count; i++) {
		const struct entry *entry = (const struct entry *)child_of(shown, i);

		json_next(to, i, indent + INDENT);
		json_key(to, text_or_empty(entry->key));
		buf_json(to->out, text_or_empty(entry->value));
	}
	json_next(to, 0, indent);
	buf_puts(to->out, "}");
}

static void
json_list(const struct writer *to, const struct shown *shown, int indent)
{
	bool messages = shown->field->type == PROTOBUF_C_TYPE_MESSAGE;

	buf_puts(to->out, "[");
	for (size_t i = 0; i < shown->count; i++)
		if (messages) {
			json_next(to, i, indent + INDENT);
			json_message(to, child_of(shown, i), NULL, indent + INDENT);
		} else {
			buf_puts(to->out, i > 0 ? ", " : "");
			write_value(to, shown, i);
		}
	if (messages)
		json_next(to, 0, indent);
	buf_puts(to->out, "]");
}

static void
json_field(const struct writer *to, const struct shown *shown, int indent)
{
	json_key(to, shown->field->name);
	if (pb_is_map(shown->field))
		json_map(to, shown, indent);
	else if (shown->field->label == PROTOBUF_C_LABEL_REPEATED)
		json_list(to, shown, indent);
	else if (shown->field->type == PROTOBUF_C_TYPE_MESSAGE)
		json_message(to, child_of(shown, 0), NULL, indent);
	else
		write_value(to, shown, 0);
}

static void
json_message(const struct writer *to, const ProtobufCMessage *message, const char *kind, int indent)
{
	size_t n = 0;

	buf_puts(to->out, "{");
	if (kind) {
		json_next(to, n++, indent + INDENT);
		json_key(to, "kind");
		buf_json(to->out, kind);
	}
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		auto_shown struct shown shown = { 0 };

		if (!show(to, message, &message->descriptor->fields[i], &shown))
			continue;
		json_next(to, n++, indent + INDENT);
		json_field(to, &shown, indent + INDENT);
	}
	if (n > 0)
		json_next(to, 0, indent);
	buf_puts(to->out, "}");
}

static void
print(const struct writer *to, const ProtobufCMessage *message, const char *kind)
{
	auto_pb ProtobufCMessage *sorted = pb_copy(message); /* Maps by key. */

	if (to->form != PBTEXT_YAML) {
		json_message(to, sorted, kind, 0);
		buf_puts(to->out, to->form == PBTEXT_JSON ? "\n" : "");
		return;
	}
	if (kind) {
		buf_puts(to->out, to->out->len > 0 ? "---\nkind: " : "kind: ");
		yaml_string(to->out, kind);
		buf_puts(to->out, "\n");
	} else if (is_empty(to, sorted)) {
		buf_puts(to->out, "{}\n");
	}
	yaml_fields(to, sorted, 0, false);
}

void
pbtext_print(const ProtobufCMessage *message, const char *kind, enum pbtext_form form, struct buf *out)
{
	print(&(struct writer){ .form = form, .out = out }, message, kind);
}

void
pbtext_print_all(const ProtobufCMessage *message, enum pbtext_form form, struct buf *out)
{
	print(&(struct writer){ .form = form, .out = out, .all = true }, message, NULL);
}
