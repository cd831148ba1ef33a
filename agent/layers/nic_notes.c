/* nic_notes.c - one line a `set`: address, ending, assignments, reason. */

#include "agent/layers/nic_notes.h"

#include <stdbool.h>
#include <string.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

#define NOTES "/run/gdrfleet-agent/nic"

static const char *const endings[] = {
	[MLX_REBOOT] = "reboot", [MLX_POWER_CYCLE] = "power-cycle", [MLX_NOT_ARMED] = "not-armed",
	[MLX_DONE] = "done",     [MLX_REFUSED] = "refused",
};
#define ENDINGS (sizeof(endings) / sizeof(endings[0]))

static void
add_note(struct nic_notes *out, const struct note *line)
{
	for (size_t i = 0; i < ENDINGS; i++)
		if (strcmp(endings[i], line->field[1]) == 0)
			out->v[out->n++] = (struct nic_note){ .address = line->field[0],
							      .said = (enum mlx_said)i,
							      .what = line->field[2],
							      .reason = line->field[3] };
}

void
nic_notes_read(struct host *host, struct nic_notes *out)
{
	*out = (struct nic_notes){ 0 };
	notes_read(host, NOTES, &out->lines);
	out->v = xcalloc(out->lines.n + 1, sizeof(*out->v));
	for (size_t i = 0; i < out->lines.n; i++)
		add_note(out, &out->lines.v[i]);
}

void
nic_notes_free(struct nic_notes *notes)
{
	free(notes->v);
	notes_free(&notes->lines);
	*notes = (struct nic_notes){ 0 };
}

int
nic_notes_add(struct host *host, const char *address, enum mlx_said said, const char *what, const char *reason,
	      struct err *err)
{
	const char *const line[NOTES_FIELDS] = { address, said < ENDINGS ? endings[said] : endings[MLX_REFUSED], what,
						 reason };

	return notes_add(host, NOTES, line, 0, err);
}

bool
nic_same_card(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	return strcspn(b, ".") == len && strncmp(a, b, len) == 0;
}

/* The reset is of the whole card, whichever function was told. */
enum mlx_said
nic_notes_ending(const struct nic_notes *notes, const char *address)
{
	enum mlx_said said = MLX_REBOOT;

	for (size_t i = 0; i < notes->n; i++)
		if (notes->v[i].said != MLX_REFUSED && nic_same_card(notes->v[i].address, address))
			said = notes->v[i].said;
	return said;
}

static bool
has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

/* "NAME=" of another value. */
static bool
sets_otherwise(const struct nic_note *note, const char *assignment)
{
	auto_free char *name = xasprintf("%.*s=", (int)strcspn(assignment, "="), assignment);
	size_t len = strlen(name);

	for (const char *at = note->what; (at = strstr(at, name)); at += len)
		if (at == note->what || at[-1] == ' ')
			return note->said != MLX_REFUSED && !has_word(note->what, assignment);
	return false;
}

const struct nic_note *
nic_notes_tried(const struct nic_notes *notes, const char *address, const char *assignment)
{
	const struct nic_note *found = NULL;

	for (size_t i = 0; i < notes->n; i++) {
		const struct nic_note *note = &notes->v[i];

		if (strcmp(note->address, address) == 0 && has_word(note->what, assignment))
			found = note;
		else if (nic_same_card(note->address, address) && sets_otherwise(note, assignment))
			found = NULL;
	}
	return found;
}
