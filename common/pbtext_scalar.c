/* pbtext_scalar.c - the value that a scalar's text means to a field, strictly. */

#include <errno.h>
#include <float.h>
#include <inttypes.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/pbtext_internal.h"
#include "common/rules.h"

bool
pbtext_scalar_is_null(const struct pbtext_scalar *scalar)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

	if (!scalar->text)
		return true;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		if (!scalar->quoted && strcmp(scalar->text, nulls[i]) == 0)
			return true;
	return false;
}

static int
expected(const struct pbtext_scalar *scalar, const char *what, struct err *err)
{
	if (pbtext_scalar_is_null(scalar))
		return err_set(err, -EINVAL, "expected %s, got nothing", what);
	return err_set(err, -EINVAL, "expected %s, got %s'%.60s'", what, scalar->quoted ? "the text " : "",
		       scalar->text);
}

/* What an integer field can hold; 'low' is how far below zero. */
struct range {
	uint64_t low;
	uint64_t high;
};

static struct range
range_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32: return (struct range){ (uint64_t)INT32_MAX + 1, INT32_MAX };
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: return (struct range){ (uint64_t)INT64_MAX + 1, INT64_MAX };
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: return (struct range){ 0, UINT64_MAX };
	default: return (struct range){ 0, UINT32_MAX };
	}
}

/* Decimal without leading zeros (octal to some, decimal to others) or 0x hex. */
static bool
parse_digits(const char *text, uint64_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;

	if (!*digits || digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
		return false;
	if (!hex && digits[0] == '0' && digits[1] != '\0')
		return false;
	errno = 0;
	*out = strtoull(digits, NULL, hex ? 16 : 10);
	return true; /* Too large a number comes out as UINT64_MAX, with errno. */
}

static void
store_number(const ProtobufCFieldDescriptor *field, uint64_t value, void *out)
{
	uint32_t narrow = (uint32_t)value;

	if (pb_value_size(field) == sizeof(value))
		memcpy(out, &value, sizeof(value));
	else
		memcpy(out, &narrow, sizeof(narrow));
}

static int
expected_number(const struct rule *rule, const struct pbtext_scalar *scalar, struct err *err)
{
	const char *word = rules_word(rule);
	auto_free char *what = word ? xasprintf("a number or %s", word) : xstrdup("a number");

	return expected(scalar, what, err);
}

static int
read_integer(const ProtobufCFieldDescriptor *field, const struct rule *rule, const struct pbtext_scalar *scalar,
	     void *out, struct err *err)
{
	struct range range = range_of(field);
	const char *text = scalar->text;
	bool negative = text && *text == '-';
	uint64_t value;

	if (!text || scalar->quoted || !parse_digits(text + negative, &value))
		return expected_number(rule, scalar, err);
	if (errno == ERANGE)
		return err_set(err, -ERANGE, "%.60s is too large", text);
	if (!negative && rules_check_number(rule, value, err) < 0)
		return err->code;
	if (negative && value > range.low)
		return err_set(err, -ERANGE, "%s is too small, at least %s%" PRIu64 " is possible", text,
			       range.low ? "-" : "", range.low);
	if (!negative && value > range.high)
		return err_set(err, -ERANGE, "%s is too large, at most %" PRIu64 " is possible", text, range.high);
	store_number(field, negative ? -value : value, out);
	return 0;
}

static int
read_units(const ProtobufCFieldDescriptor *field, const struct rule *rule, const struct pbtext_scalar *scalar,
	   void *out, struct err *err)
{
	unsigned long long value;

	if (rule->kind == RULE_BYTES && (!scalar->text || !pbtext_bytes_parse(scalar->text, &value)))
		return expected(scalar, "a size such as 512K, 2M or 1G", err);
	if (rule->kind == RULE_DURATION && (!scalar->text || !pbtext_duration_parse(scalar->text, &value)))
		return expected(scalar, "a duration such as 200ms, 30s, 5m, 2h or 1d", err);
	if (rules_check_number(rule, value, err) < 0)
		return err->code;
	if (value > range_of(field).high)
		return err_set(err, -ERANGE, "%s is too large", scalar->text);
	store_number(field, value, out);
	return 0;
}

static int
read_float(const ProtobufCFieldDescriptor *field, const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	const char *text = scalar->text;
	char *end = NULL;
	double value = 0;

	if (text && *text && !scalar->quoted && text[strspn(text, "0123456789+-.eE")] == '\0')
		value = strtod(text, &end);
	if (!end || end == text || *end != '\0')
		return expected(scalar, "a number", err);
	double most = field->type == PROTOBUF_C_TYPE_FLOAT ? (double)FLT_MAX : DBL_MAX;
	if (value > most || value < -most)
		return err_set(err, -ERANGE, "%.60s is too large", text);
	if (field->type == PROTOBUF_C_TYPE_DOUBLE) {
		memcpy(out, &value, sizeof(value));
		return 0;
	}
	float narrow = (float)value;
	memcpy(out, &narrow, sizeof(narrow));
	return 0;
}

static int
read_bool(const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	protobuf_c_boolean value = scalar->text && strcmp(scalar->text, "true") == 0;

	if (!scalar->text || scalar->quoted || (!value && strcmp(scalar->text, "false") != 0))
		return expected(scalar, "true or false", err);
	memcpy(out, &value, sizeof(value));
	return 0;
}

static int
read_enum(const ProtobufCEnumDescriptor *type, const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	const char *const *names = pbtext_enum_names(type);
	auto_buf struct buf list = { 0 };
	int value;

	if (scalar->text && pbtext_enum_parse(type, scalar->text, &value)) {
		memcpy(out, &value, sizeof(value));
		return 0;
	}
	for (size_t i = 0; names[i]; i++)
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	if (pbtext_scalar_is_null(scalar))
		return err_set(err, -EINVAL, "expected one of %s, got nothing", list.text);
	const char *near = pbtext_nearest(scalar->text, names);
	if (!near)
		return err_set(err, -EINVAL, "'%.60s' is none of %s", scalar->text, list.text);
	return err_set(err, -EINVAL, "'%.60s' is none of %s; did you mean '%s'?", scalar->text, list.text, near);
}

static int
read_string(const struct rule *rule, const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	if (pbtext_scalar_is_null(scalar))
		return err_set(err, -EINVAL, "expected a text, got nothing; an empty one is \"\"");
	if (rules_check_text(rule, scalar->text, err) < 0)
		return err->code;
	char *copy = xstrdup(scalar->text);
	memcpy(out, &copy, sizeof(copy));
	return 0;
}

static int
read_bytes(const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	size_t digits = scalar->text ? strlen(scalar->text) : 0;

	if (!scalar->text || digits % 2 != 0 || strspn(scalar->text, "0123456789abcdefABCDEF") != digits)
		return expected(scalar, "bytes as pairs of hex digits", err);
	ProtobufCBinaryData bytes = { .len = digits / 2, .data = xcalloc(digits / 2 + 1, 1) };
	for (size_t i = 0; i < bytes.len; i++) {
		char pair[] = { scalar->text[2 * i], scalar->text[2 * i + 1], '\0' };

		bytes.data[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	memcpy(out, &bytes, sizeof(bytes));
	return 0;
}

int
pbtext_scalar_read(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
		   const struct pbtext_scalar *scalar, void *out, struct err *err)
{
	const struct rule *rule = rules_find(type, field->name);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL: return read_bool(scalar, out, err);
	case PROTOBUF_C_TYPE_ENUM: return read_enum(field->descriptor, scalar, out, err);
	case PROTOBUF_C_TYPE_STRING: return read_string(rule, scalar, out, err);
	case PROTOBUF_C_TYPE_BYTES: return read_bytes(scalar, out, err);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: return read_float(field, scalar, out, err);
	default: break;
	}
	if (rule && (rule->kind == RULE_BYTES || rule->kind == RULE_DURATION))
		return read_units(field, rule, scalar, out, err);
	if (rules_word(rule) && scalar->text && strcmp(scalar->text, rules_word(rule)) == 0) {
		store_number(field, RULES_WORD, out);
		return 0;
	}
	return read_integer(field, rule, scalar, out, err);
}
