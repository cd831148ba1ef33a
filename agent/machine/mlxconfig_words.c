/* mlxconfig_words.c - values compared by meaning, and what the tool's sentences mean.
 *
 * Sentences: mlxconfig/mlxcfg_generic_commander.cpp, mlxcfg_ui.cpp and mtcr_ul/mtcr_common.c (m_err2str) of
 * github.com/Mellanox/mstflint, v4.6 to v4.36. */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/machine/mlxconfig.h"
#include "common/mem.h"

#define REASON_MAX 200

/* --- values ---------------------------------------------------------------------------------------- */

struct value {
	size_t name_len; /* Of the text before the number; 0: there is none. */
	bool has_number;
	uint64_t number;
};

static bool
whole_number(const char *text, size_t len, uint64_t *out)
{
	auto_free char *copy = xasprintf("%.*s", (int)len, text);
	char *end = NULL;
	bool hex = strncasecmp(copy, "0x", 2) == 0;

	if (!isdigit((unsigned char)*copy))
		return false;
	errno = 0;
	*out = strtoull(copy, &end, hex ? 16 : 10);
	return errno == 0 && *end == '\0';
}

static bool
is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* "NAME(3)", "NAME", "3"; booleans are numbers. */
static struct value
read_value(const char *text)
{
	struct value value = { 0 };
	size_t len = strlen(text);
	const char *open = strrchr(text, '(');

	if (whole_number(text, len, &value.number)) {
		value.has_number = true;
		return value;
	}
	value.name_len = len;
	if (open && open > text && text[len - 1] == ')' &&
	    whole_number(open + 1, len - (size_t)(open - text) - 2, &value.number)) {
		value.has_number = true;
		value.name_len = (size_t)(open - text);
	} else if (is_word(text, len, "true") || is_word(text, len, "false")) {
		value.has_number = true;
		value.number = is_word(text, len, "true");
	}
	return value;
}

enum mlx_match
mlxconfig_compare(const char *want, const char *shown)
{
	struct value a = read_value(want);
	struct value b = read_value(shown);

	if (strcasecmp(want, shown) == 0)
		return MLX_SAME;
	if (a.has_number && b.has_number)
		return a.number == b.number ? MLX_SAME : MLX_OTHER;
	if (a.name_len && b.name_len)
		return a.name_len == b.name_len && strncasecmp(want, shown, a.name_len) == 0 ? MLX_SAME : MLX_OTHER;
	/* A number beyond 64 bits is a text; a name that is not shown beside its number cannot be looked up. */
	return isdigit((unsigned char)*want) ? MLX_OTHER : MLX_NO_TELLING;
}

bool
mlxconfig_is_off(const char *value)
{
	struct value read = value ? read_value(value) : (struct value){ 0 };

	return !value || (read.has_number && read.number == 0);
}

char *
mlxconfig_argument(const char *value)
{
	struct value read = read_value(value);
	size_t len = strlen(value);

	if (is_word(value, len, "true"))
		return xstrdup("True");
	if (is_word(value, len, "false"))
		return xstrdup("False");
	/* "NAME(3)" is how it is shown; the name is what is taken. */
	return xasprintf("%.*s", (int)(read.name_len ? read.name_len : len), value);
}

/* --- sentences --------------------------------------------------------------------------------------- */

/* In order: the first that is found counts.  Several texts of one meaning are those of several versions. */
static const struct sentence {
	const char *text;
	enum mlx_said said;
} sentences[] = {
	{ "Aborted by user", MLX_ABORTED },
	{ "Unknown Parameter", MLX_UNKNOWN_NAME },
	{ "Unknown parameter", MLX_UNKNOWN_NAME },
	{ "unknown parameter", MLX_UNKNOWN_NAME },
	{ "Failed to find Param", MLX_UNKNOWN_NAME },
	{ "unsupported configuration name", MLX_UNKNOWN_NAME },
	{ "The Device doesn't support", MLX_LACKS_NAME },
	{ "invalid argument", MLX_TOO_OLD },
	{ "Unsupported device", MLX_TOO_OLD },
	{ "Failed to identify the device", MLX_TOO_OLD },
	{ "write counter to semaphore", MLX_LOCKED },
	{ "due to permission issue", MLX_NO_ACCESS },
	{ "Cannot access NV register", MLX_NO_ACCESS },
	{ "NV access registers", MLX_NO_ACCESS },
	{ "access register is not supported", MLX_NO_ACCESS },
	{ "Livefish", MLX_NO_ACCESS },
	{ "any configuration changes", MLX_NO_ACCESS },
	{ "semaphore", MLX_BUSY },
	{ "interface busy", MLX_BUSY },
	{ "resource unavailable", MLX_BUSY },
	{ "Failed to open the device", MLX_NO_DEVICE },
	{ "Failed to open device", MLX_NO_DEVICE },
	{ "Failed to get devices", MLX_NO_DEVICE },
	{ "No devices found", MLX_NO_DEVICE },
	{ "Applying... Failed", MLX_REFUSED },
	{ "Failed to set", MLX_REFUSED },
	{ "configuration is rejected", MLX_REFUSED },
	{ "Operation is not supported", MLX_REFUSED },
	{ "Read only", MLX_REFUSED },
	{ "Unknown value", MLX_REFUSED },
	{ "Cannot parse", MLX_REFUSED },
	{ "is not valid", MLX_REFUSED },
	{ "Illegal constraint", MLX_REFUSED },
	{ "larger than maximum", MLX_REFUSED },
	{ "-E-", MLX_FAILED },
	{ "power cycle", MLX_POWER_CYCLE },
	{ "Skipped reset preparation", MLX_NOT_ARMED },
	{ "Please reboot machine", MLX_REBOOT },
	{ "Applying... Done", MLX_DONE },
};

/* The last line that says anything. */
static const char *
last_line(const char *text)
{
	size_t end = strlen(text);

	while (end > 0 && isspace((unsigned char)text[end - 1]))
		end--;
	while (end > 0 && text[end - 1] != '\n')
		end--;
	return text + end;
}

/* The tool's first "-E-", else its last line, without control characters. */
static char *
reason_in(const char *out, const char *err_text)
{
	const char *error = strstr(out, "-E- ");
	const char *from = error ? error + 4 : last_line(*err_text ? err_text : out);
	size_t len = strcspn(from, "\r\n");

	if (len > REASON_MAX)
		len = REASON_MAX;
	while (len > 0 && from[len - 1] == ' ')
		len--;
	char *reason = xasprintf("%.*s", (int)len, from);
	for (char *c = reason; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	return reason;
}

enum mlx_said
mlxconfig_said(const char *out, const char *err_text, char **reason)
{
	*reason = reason_in(out, err_text);
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (strstr(out, sentences[i].text) || strstr(err_text, sentences[i].text))
			return sentences[i].said;
	return MLX_FAILED;
}
