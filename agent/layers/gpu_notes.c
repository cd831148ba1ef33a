/* gpu_notes.c - one line a setting: address, setting, want, ending, reason. */

#include "agent/layers/gpu_notes.h"

#include <stdbool.h>
#include <string.h>

#include "agent/machine/host.h"
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

void
gpu_notes_read(struct host *host, struct gpu_notes *out)
{
	*out = (struct gpu_notes){ 0 };
	notes_read(host, NOTES, &out->lines);
	out->v = xcalloc(out->lines.n + 1, sizeof(*out->v));
	for (size_t i = 0; i < out->lines.n; i++) {
		char *const *field = out->lines.v[i].field;
		enum nvsmi_said said;

		if (said_of(field[3], &said))
			out->v[out->n++] = (struct gpu_note){ field[0], field[1], field[2], said, field[4] };
	}
}

void
gpu_notes_free(struct gpu_notes *notes)
{
	free(notes->v);
	notes_free(&notes->lines);
	*notes = (struct gpu_notes){ 0 };
}

int
gpu_notes_add(struct host *host, const struct gpu_note *note, struct err *err)
{
	const char *const line[NOTES_FIELDS] = { note->address, note->setting, note->want, nvsmi_said_name(note->said),
						 note->reason };

	return notes_add(host, NOTES, line, 2, err);
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
