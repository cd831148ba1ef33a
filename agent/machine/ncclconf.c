#include "agent/machine/ncclconf.h"

#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

#define VALUE_MAX 1023 /* param.cc */
#define LINE_MAX_ 4095

static void
add(struct ncclconf *out, const char *key, size_t key_len, const char *value, unsigned line)
{
	auto_free char *name = xasprintf("%.*s", (int)key_len, key);
	bool again = ncclconf_get(out, name) != NULL;

	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = (struct ncclconf_line){
		.key = steal(&name), .value = xasprintf("%.*s", VALUE_MAX, value), .line = line, .again = again
	};
}

void
ncclconf_parse(const char *text, struct ncclconf *out)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	unsigned number = 0;

	*out = (struct ncclconf){ 0 };
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		number++;
		size_t len = strlen(line);
		if (len > 0 && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (len > LINE_MAX_)
			line[LINE_MAX_] = '\0';
		const char *equals = strchr(line, '=');
		if (*line != '#' && equals)
			add(out, line, (size_t)(equals - line), equals + 1, number);
	}
}

void
ncclconf_free(struct ncclconf *conf)
{
	for (size_t i = 0; i < conf->n; i++) {
		free(conf->v[i].key);
		free(conf->v[i].value);
	}
	free(conf->v);
	*conf = (struct ncclconf){ 0 };
}

const char *
ncclconf_get(const struct ncclconf *conf, const char *key)
{
	for (size_t i = 0; i < conf->n; i++)
		if (strcmp(conf->v[i].key, key) == 0)
			return conf->v[i].value;
	return NULL;
}

bool
ncclconf_add(struct buf *out, const char *key, const char *value)
{
	if (!*key || *key == '#' || key[strcspn(key, "=\r\n")] || value[strcspn(value, "\r\n")] ||
	    strlen(value) > VALUE_MAX)
		return false;
	buf_printf(out, "%s=%s\n", key, value);
	return true;
}

/* Without blanks and the quotes around it. */
static char *
bare(char *value)
{
	char quote = *value == '"' || *value == '\'' ? *value : '\0';

	if (quote)
		value[1 + strcspn(value + 1, quote == '"' ? "\"" : "'")] = '\0';
	else
		value[strcspn(value, " \t;\r")] = '\0';
	return quote ? value + 1 : value;
}

void
ncclconf_parse_shell(const char *text, struct ncclconf *out)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	unsigned number = 0;

	*out = (struct ncclconf){ 0 };
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		number++;
		line += strspn(line, " \t");
		if (strncmp(line, "export ", 7) == 0)
			line += 7 + strspn(line + 7, " \t");
		char *equals = strchr(line, '=');
		if (strncmp(line, "NCCL_", 5) == 0 && equals)
			add(out, line, (size_t)(equals - line), bare(equals + 1), number);
	}
}
