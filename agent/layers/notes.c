#include "agent/layers/notes.h"

#include <stdbool.h>
#include <string.h>

#include "agent/machine/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

static void
add_line(struct notes *out, char *line)
{
	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	for (size_t i = 0; i < NOTES_FIELDS; i++) {
		const char *field = i + 1 < NOTES_FIELDS ? strsep(&line, "\t") : line;
		out->v[out->n].field[i] = xstrdup(field ? field : "");
	}
	out->n++;
}

void
notes_read(struct host *host, const char *path, struct notes *out)
{
	auto_free char *text = NULL;
	struct err ignored;

	*out = (struct notes){ 0 };
	(void)host_read(host, path, &text, NULL, &ignored);
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (*line)
			add_line(out, line);
}

void
notes_free(struct notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		for (size_t j = 0; j < NOTES_FIELDS; j++)
			free(notes->v[i].field[j]);
	free(notes->v);
	*notes = (struct notes){ 0 };
}

static void
print_line(struct buf *out, const char *const field[NOTES_FIELDS])
{
	for (size_t i = 0; i < NOTES_FIELDS; i++) {
		auto_free char *clean = xstrdup(field[i] ? field[i] : "");

		for (char *c = clean; *c; c++)
			if (*c == '\t' || *c == '\n')
				*c = ' ';
		buf_printf(out, "%s%c", clean, i + 1 < NOTES_FIELDS ? '\t' : '\n');
	}
}

static bool
same_key(const struct note *note, const char *const field[NOTES_FIELDS], size_t key)
{
	for (size_t i = 0; i < key; i++)
		if (strcmp(note->field[i], field[i]) != 0)
			return false;
	return key > 0;
}

int
notes_add(struct host *host, const char *path, const char *const field[NOTES_FIELDS], size_t key, struct err *err)
{
	auto_buf struct buf text = { 0 };
	struct notes old;

	notes_read(host, path, &old);
	for (size_t i = 0; i < old.n; i++)
		if (!same_key(&old.v[i], field, key))
			print_line(&text, (const char *const *)old.v[i].field);
	print_line(&text, field);
	notes_free(&old);
	return host_replace(host, path, text.text, 0600, err);
}
