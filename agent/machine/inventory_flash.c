/* inventory_flash.c - which firmware a NIC has stored, besides the one that runs: asked of mstflint, which reads flash
 * and takes its time, so once an hour a card.
 *
 * Format: flint/subcommands.cpp of github.com/Mellanox/mstflint; "FW Version(Running):" is there only where the two
 * differ, and "FW Version:" is the stored one always. */

#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/inventory_internal.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"

#define ASK_AGAIN_MS 3600000

/* What a card said last; all functions of a card share one flash. */
struct flash {
	char *card;    /* "0000:3f:00" */
	char *running; /* What ran then: another one is a reason to ask anew. */
	char *stored;  /* NULL: it could not be read. */
	int64_t asked_ms;
	struct flash *next;
};
static struct flash *cards;

static char *
ask(struct host *host, const char *address)
{
	static const char *const tools[] = { "mstflint", "flint" };

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		const char *const argv[] = { tools[i], "-d", address, "query", NULL };
		struct host_result result = { 0 };
		struct err ignored = { 0 };

		if (host_run(host, argv, 0, &result, &ignored) < 0)
			continue;
		char *version = result.status == 0 && !result.timed_out ? inventory_field(result.out, "FW Version")
									: NULL;
		host_result_free(&result);
		return version;
	}
	return NULL;
}

static struct flash *
flash_of(const char *card)
{
	struct flash *flash = cards;

	while (flash && strcmp(flash->card, card) != 0)
		flash = flash->next;
	if (flash)
		return flash;
	flash = xcalloc(1, sizeof(*flash));
	flash->card = xstrdup(card);
	flash->next = cards;
	cards = flash;
	return flash;
}

char *
inventory_stored_firmware(struct host *host, const char *address, const char *running)
{
	auto_free char *card = xasprintf("%.*s", (int)strcspn(address, "."), address);
	struct flash *flash = flash_of(card);
	bool same = flash->running && strcmp(flash->running, running) == 0;
	int64_t now = clock_ms();

	if (!same || now - flash->asked_ms >= ASK_AGAIN_MS) {
		free(flash->stored);
		free(flash->running);
		flash->stored = ask(host, address);
		flash->running = xstrdup(running);
		flash->asked_ms = now;
	}
	return flash->stored ? xstrdup(flash->stored) : NULL;
}
