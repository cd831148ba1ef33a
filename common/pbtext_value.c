/* pbtext_value.c - single values: names of enum values, durations, sizes, and what a misspelt word meant. */

#include <errno.h>
#include <inttypes.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/pbtext.h"

/* The text forms of the enums that were asked for, made once and kept. */
struct enum_texts {
	const ProtobufCEnumDescriptor *type;
	char **texts; /* As type->values. */
	struct enum_texts *next;
};

/* How much of every value's name is the enum's name: IOMMU_ON, IOMMU_PASSTHROUGH: 6. */
static size_t
prefix_len(const ProtobufCEnumDescriptor *type)
{
	const char *first = type->values[0].name;
	size_t len = strlen(first);

	for (unsigned int i = 1; i < type->n_values; i++)
		for (size_t j = 0; j < len; j++)
			if (type->values[i].name[j] != first[j])
				len = j;
	while (len > 0 && first[len - 1] != '_')
		len--;
	return len;
}

static char *
enum_text(const char *name)
{
	char *text = xstrdup(name);

	for (char *c = text; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
		else if (*c == '_')
			*c = '-';
	return text;
}

static char *const *
enum_texts(const ProtobufCEnumDescriptor *type)
{
	static struct enum_texts *known;
	size_t skip;

	for (struct enum_texts *t = known; t; t = t->next)
		if (t->type == type)
			return t->texts;
	struct enum_texts *made = xcalloc(1, sizeof(*made));
	made->type = type;
	made->texts = xcalloc(type->n_values + 1, sizeof(*made->texts));
	skip = prefix_len(type);
	for (unsigned int i = 0; i < type->n_values; i++)
		made->texts[i] = enum_text(type->values[i].name + skip);
	made->next = known;
	known = made;
	return made->texts;
}

const char *const *
pbtext_enum_names(const ProtobufCEnumDescriptor *type)
{
	return (const char *const *)enum_texts(type);
}

const char *
pbtext_enum(const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);

	return found ? enum_texts(type)[found - type->values] : "?";
}

/* For comparing: lower case, '_' as '-'. */
static char
fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

static bool
same_word(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

bool
pbtext_enum_parse(const ProtobufCEnumDescriptor *type, const char *text, int *out)
{
	char *const *texts = enum_texts(type);

	for (unsigned int i = 0; i < type->n_values; i++)
		if (same_word(texts[i], text)) {
			*out = type->values[i].value;
			return true;
		}
	return false;
}

struct unit {
	const char *name;
	unsigned long long size;
};

static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { 0 },
};
static const struct unit sizes[] = {
	{ "T", 1ULL << 40 }, { "G", 1ULL << 30 }, { "M", 1ULL << 20 }, { "K", 1ULL << 10 }, { "", 1 }, { 0 },
};

static bool
parse_unit(const char *text, const struct unit *units, unsigned long long *out)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0)
			return !__builtin_mul_overflow(n, units->size, out);
	if (n == 0 && *end == '\0') { /* Nothing is nothing in any unit. */
		*out = 0;
		return true;
	}
	return false;
}

/* In the largest unit that leaves a whole number. */
static void
print_unit(unsigned long long value, const struct unit *units, struct buf *out)
{
	if (value == 0) {
		buf_puts(out, "0");
		return;
	}
	while (value % units->size != 0)
		units++;
	buf_printf(out, "%llu%s", value / units->size, units->name);
}

bool
pbtext_duration_parse(const char *text, unsigned long long *ms)
{
	return parse_unit(text, durations, ms);
}

bool
pbtext_bytes_parse(const char *text, unsigned long long *bytes)
{
	if (strncmp(text, "0x", 2) == 0 && text[2] != '\0' && strlen(text) <= 18 &&
	    text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0') {
		*bytes = strtoull(text, NULL, 16);
		return true;
	}
	return parse_unit(text, sizes, bytes);
}

void
pbtext_duration_print(unsigned long long ms, struct buf *out)
{
	print_unit(ms, durations, out);
}

void
pbtext_bytes_print(unsigned long long bytes, struct buf *out)
{
	print_unit(bytes, sizes, out);
}

#define WORD_MAX 64

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits between two words (optimal string alignment: two neighbours swapped are one edit). */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0];
	size_t *above = rows[1];
	size_t *row = rows[2];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		above[j] = before[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			char x = fold(a[i - 1]);
			char y = fold(b[j - 1]);

			row[j] = min3(row[j - 1] + 1, above[j] + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		size_t *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[n];
}

const char *
pbtext_nearest(const char *word, const char *const *names)
{
	size_t len = strlen(word);
	size_t least = (len + 2) / 3 + 1; /* An edit for every three letters is still near. */
	const char *found = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (; *names; names++) {
		if (strlen(*names) > WORD_MAX)
			continue;
		size_t edits = distance(word, *names);
		if (edits < least) {
			least = edits;
			found = *names;
		}
	}
	return found;
}
