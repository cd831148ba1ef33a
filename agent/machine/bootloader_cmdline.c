/* bootloader_cmdline.c - the kernel's command line as text. */

#include <ctype.h>
#include <stddef.h>

#include "agent/machine/bootloader.h"
#include "common/buf.h"
#include "common/mem.h"

static char *
without_quotes(const char *text, size_t len)
{
	char *out = xcalloc(len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] != '"')
			out[n++] = text[i];
	return out;
}

static size_t
word_len(const char *text)
{
	bool quoted = false;
	size_t len = 0;

	for (; text[len] && (quoted || !isspace((unsigned char)text[len])); len++)
		if (text[len] == '"')
			quoted = !quoted;
	return len;
}

char **
cmdline_split(const char *text, bool raw)
{
	char **out = xcalloc(1, sizeof(*out));
	size_t n = 0;

	for (;;) {
		while (isspace((unsigned char)*text))
			text++;
		size_t len = word_len(text);
		if (!len || (!raw && len == 2 && strncmp(text, "--", 2) == 0))
			return out;
		out = xrealloc(out, n + 2, sizeof(*out));
		out[n++] = raw ? xasprintf("%.*s", (int)len, text) : without_quotes(text, len);
		out[n] = NULL;
		text += len;
	}
}

char *
cmdline_join(const char *const params[])
{
	struct buf buf = { 0 };

	for (size_t i = 0; params[i]; i++)
		buf_printf(&buf, "%s%s", i ? " " : "", params[i]);
	return buf_steal(&buf);
}

bool
cmdline_has(const char *const params[], const char *param)
{
	for (size_t i = 0; params[i]; i++)
		if (strcmp(params[i], param) == 0)
			return true;
	return false;
}

static char
alike(char c)
{
	return c == '-' ? '_' : c;
}

const char *
cmdline_value(const char *param, const char *name)
{
	while (*name && *param && alike(*param) == alike(*name)) {
		param++;
		name++;
	}
	if (*name || (*param && *param != '='))
		return NULL;
	return *param ? param + 1 : param;
}

bool
cmdline_lists(const char *list, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = list; *p; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");
		if (n == len && strncmp(p, value, len) == 0)
			return true;
		p += n;
	}
	return false;
}

uint64_t
cmdline_size(const char *text)
{
	char *end;
	uint64_t size = strtoull(text, &end, 0);
	unsigned shift = 0;

	switch (*end) {
	case 'K':
	case 'k': shift = 10; break;
	case 'M':
	case 'm': shift = 20; break;
	case 'G':
	case 'g': shift = 30; break;
	case '\0': return size;
	default: return 0;
	}
	return end[1] || size > UINT64_MAX >> shift ? 0 : size << shift;
}

/* Bytes of the pages that a hugepages= at 'params[i]' is for: of the hugepagesz= or default_hugepagesz= before it;
 * 0: the default size, whatever that is. */
static uint64_t
size_before(const char *const params[], size_t i)
{
	const char *value = NULL;

	while (i-- > 0 && !value) {
		value = cmdline_value(params[i], "hugepagesz");
		if (!value)
			value = cmdline_value(params[i], "default_hugepagesz");
	}
	return value ? cmdline_size(value) : 0;
}

static uint64_t
default_size(const char *const params[])
{
	for (size_t i = 0; params[i]; i++) {
		const char *value = cmdline_value(params[i], "default_hugepagesz");
		if (value)
			return cmdline_size(value);
	}
	return 2U << 20; /* x86. */
}

const char *
cmdline_hugepages(const char *const params[], uint64_t size)
{
	for (size_t i = 0; params[i]; i++) {
		const char *value = cmdline_value(params[i], "hugepages");
		uint64_t of = value ? size_before(params, i) : 0;
		if (value && (of ? of : default_size(params)) == size)
			return value;
	}
	return NULL;
}

/* Others' hugepages: for our size or, as ours makes another size the default one, for the default. */
static bool
contradicts_pages(const char *const params[], size_t i, const char *const ours[])
{
	const char *size = cmdline_value(params[i], "hugepagesz");
	const char *pages = cmdline_value(params[i], "hugepages");
	uint64_t own = 0;

	for (size_t k = 0; ours[k] && !own; k++) {
		const char *value = cmdline_value(ours[k], "hugepagesz");
		own = value ? cmdline_size(value) : 0;
	}
	if (!own)
		return false;
	if (size)
		return cmdline_size(size) == own;
	uint64_t of = pages ? size_before(params, i) : 0;
	return pages && (!of || of == own);
}

bool
cmdline_contradicts(const char *const params[], size_t i, const char *const ours[])
{
	/* Each of these is a list of options, and "off" in any of them is never undone by a later one. */
	static const char *const options[] = { "intel_iommu", "amd_iommu", "iommu", NULL };

	for (size_t k = 0; ours[k]; k++) {
		for (size_t o = 0; options[o]; o++) {
			const char *own = cmdline_value(ours[k], options[o]);
			const char *value = own ? cmdline_value(params[i], options[o]) : NULL;
			if (value && (cmdline_lists(value, "off") || !cmdline_lists(value, own)))
				return true;
		}
		if (cmdline_value(ours[k], "default_hugepagesz") && cmdline_value(params[i], "default_hugepagesz"))
			return true;
	}
	return contradicts_pages(params, i, ours);
}
