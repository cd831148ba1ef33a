/* gpu_notes.c - one line a setting: address, setting, want, ending, reason, between tabs. */

#include "agent/layers/gpu_notes.h"

#include <stdbool.h>
#include <string.h>

#include "agent/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define NOTES "/run/gdrfleet/gpu"

static bool
said_of(const char *name, enum nvsmi_said *out)
{
	for (enum nvsmi_said said = NVSMI_APPLIED; said <= NVSMI_FAILED; said++)
		if (strcmp(nvsmi_said_name(said), name) == 0) {
			*out = said;
			return true;
		}
	return false;
}

static void
add_line(struct gpu_notes *out, char *line)
{
	const char *address = strsep(&line, "\t");
	const char *setting = strsep(&line, "\t");
	const char *want = strsep(&line, "\t");
	const char *name = strsep(&line, "\t");
	enum nvsmi_said said;

	if (!name || !said_of(name, &said))
		return;
	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = (struct gpu_note){ .address = xstrdup(address),
					      .setting = xstrdup(setting),
					      .want = xstrdup(want),
					      .said = said,
					      .reason = xstrdup(line ? line : "") };
}

void
gpu_notes_read(struct host *host, struct gpu_notes *out)
{
	auto_free char *text = NULL;
	struct err ignored;

	*out = (struct gpu_notes){ 0 };
	(void)host_read(host, NOTES, &text, NULL, &ignored);
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		add_line(out, line);
}

void
gpu_notes_free(struct gpu_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		free(notes->v[i].address);
		free(notes->v[i].setting);
		free(notes->v[i].want);
		free(notes->v[i].reason);
	}
	free(notes->v);
	*notes = (struct gpu_notes){ 0 };
}

static void
print_note(struct buf *out, const struct gpu_note *note)
{
	auto_free char *reason = xstrdup(note->reason);

	for (char *c = reason; *c; c++)
		if (*c == '\t' || *c == '\n')
			*c = ' ';
	buf_printf(out, "%s\t%s\t%s\t%s\t%s\n", note->address, note->setting, note->want, nvsmi_said_name(note->said),
		   reason);
}

int
gpu_notes_add(struct host *host, const struct gpu_note *note, struct err *err)
{
	struct gpu_notes old;
	auto_buf struct buf text = { 0 };

	gpu_notes_read(host, &old);
	for (size_t i = 0; i < old.n; i++)
		if (strcmp(old.v[i].address, note->address) != 0 || strcmp(old.v[i].setting, note->setting) != 0)
			print_note(&text, &old.v[i]);
	print_note(&text, note);
	gpu_notes_free(&old);
	return host_replace(host, NOTES, text.text, 0600, err);
}

const struct gpu_note *
gpu_notes_find(const struct gpu_notes *notes, const char *address, const char *setting, const char *want)
{
	for (size_t i = 0; i < notes->n; i++)
		if (strcmp(notes->v[i].address, address) == 0 && strcmp(notes->v[i].setting, setting) == 0 &&
		    strcmp(notes->v[i].want, want) == 0)
			return &notes->v[i];
	return NULL;
}
