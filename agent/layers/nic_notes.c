/* nic_notes.c - one line a `set`: address, ending, assignments, reason, between tabs. */

#include "agent/layers/nic_notes.h"

#include <stdbool.h>
#include <string.h>

#include "agent/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define NOTES "/run/gdrfleet-agent/nic"

static const char *const endings[] = {
	[MLX_REBOOT] = "reboot", [MLX_POWER_CYCLE] = "power-cycle", [MLX_NOT_ARMED] = "not-armed",
	[MLX_DONE] = "done",     [MLX_REFUSED] = "refused",
};
#define ENDINGS (sizeof(endings) / sizeof(endings[0]))

static void
add_line(struct nic_notes *out, char *line)
{
	char *address = strsep(&line, "\t");
	const char *said = strsep(&line, "\t");
	char *what = strsep(&line, "\t");

	for (size_t i = 0; what && i < ENDINGS; i++) {
		if (strcmp(endings[i], said) != 0)
			continue;
		out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = (struct nic_note){ .address = xstrdup(address),
						      .said = (enum mlx_said)i,
						      .what = xstrdup(what),
						      .reason = xstrdup(line ? line : "") };
	}
}

void
nic_notes_read(struct host *host, struct nic_notes *out)
{
	auto_free char *text = NULL;
	struct err ignored;

	*out = (struct nic_notes){ 0 };
	(void)host_read(host, NOTES, &text, NULL, &ignored);
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		add_line(out, line);
}

void
nic_notes_free(struct nic_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++) {
		free(notes->v[i].address);
		free(notes->v[i].what);
		free(notes->v[i].reason);
	}
	free(notes->v);
	*notes = (struct nic_notes){ 0 };
}

int
nic_notes_add(struct host *host, const char *address, enum mlx_said said, const char *what, const char *reason,
	      struct err *err)
{
	auto_free char *old = NULL;
	auto_buf struct buf text = { 0 };
	struct err ignored;

	(void)host_read(host, NOTES, &old, NULL, &ignored);
	buf_printf(&text, "%s%s\t%s\t%s\t%s\n", old ? old : "", address,
		   said < ENDINGS ? endings[said] : endings[MLX_REFUSED], what, reason);
	return host_replace(host, NOTES, text.text, 0600, err);
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
