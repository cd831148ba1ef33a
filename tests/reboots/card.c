/* card.c - mstconfig and mstfwreset over played cards.  Formats as in tests/simhost/nic_tool.c, whose sources it names. */

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/reboots/world.h"

#define GATE   0 /* ADVANCED_PCI_SETTINGS */
#define HIDDEN 1 /* MAX_ACC_OUT_READ */

const struct parameter parameters[PARAMETERS] = {
	{ "ADVANCED_PCI_SETTINGS", "False", "True", "True", false },
	{ "MAX_ACC_OUT_READ", "0", "44", "32", false },
	{ "PCI_WR_ORDERING", "force_relax", "per_mkey", "per_mkey", true },
	{ "P2P_ORDERING_MODE", "DEVICE_DEFAULT", "SECURE_NONE", "SECURE_ALL", false },
	{ "ATS_ENABLED", "False", "True", "True", false },
	{ "RDMA_SELECTIVE_REPEAT_EN", "False", "True", "False", false },
};

void
card_factory(struct card *card)
{
	for (size_t f = 0; f < FUNCTIONS; f++)
		for (size_t p = 0; p < PARAMETERS; p++)
			card->v[f][p] = (struct value){ parameters[p].factory, parameters[p].factory };
	card->unlocked = false;
}

/* What a boot or a reset does to a card. */
void
card_load(struct card *card)
{
	for (size_t f = 0; f < FUNCTIONS; f++)
		for (size_t p = 0; p < PARAMETERS; p++) {
			struct value *value = &card->v[f][p];

			if (card->nature == CARD_REVERTS && p != GATE)
				value->next = value->current;
			value->current = value->next;
		}
	card->unlocked = strcmp(card->v[0][GATE].current, "True") == 0;
}

static bool
is_shown(const struct card *card, size_t p)
{
	bool stored = strcmp(card->v[0][GATE].next, "True") == 0;

	return p != HIDDEN || (stored && (card->unlocked || card->nature == CARD_EARLY));
}

/* "True(1)": as it is shown. */
static char *
shown(const char *value)
{
	static const char *const numbered[] = { "False",          "True",        "per_mkey", "force_relax",
						"DEVICE_DEFAULT", "SECURE_NONE", "",         "SECURE_ALL" };
	static const char digits[] = "01010123";

	for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++)
		if (strcmp(numbered[i], value) == 0)
			return xasprintf("%s(%c)", value, digits[i]);
	return xstrdup(value);
}

static int
query(const struct card *card, unsigned f, const char *device, struct buf *out)
{
	bool tells = card->nature != CARD_BLIND;
	int width = world.version < 426 ? 16 : 20;

	buf_printf(out, "\nDevice #1:\n----------\n\nDevice type:    ConnectX6DX\nDevice:         %s\n\n", device);
	buf_printf(out, "Configurations:        Default %s Next Boot\n", tells ? "Current" : "");
	for (size_t p = 0; p < PARAMETERS; p++) {
		auto_free char *factory = shown(parameters[p].factory);
		auto_free char *current = shown(card->v[f][p].current);
		auto_free char *next = shown(card->v[f][p].next);

		if (is_shown(card, p))
			buf_printf(out, "         %-44s %-*s %-*s %s\n", parameters[p].name, width, factory,
				   tells ? width : 0, tells ? current : "", next);
	}
	return 0;
}

static const char *
value_of(size_t p, const char *text)
{
	const char *const values[] = { parameters[p].factory, parameters[p].wanted, parameters[p].other };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i], text) == 0)
			return values[i];
	world_broken("%s was set to %s, which nobody wants", parameters[p].name, text);
}

/* 0, or 3 with what the tool says. */
static int
store(struct card *card, unsigned f, const char *assignment, struct buf *out)
{
	size_t len = strcspn(assignment, "=");
	size_t p = 0;

	while (p < PARAMETERS && (strncmp(parameters[p].name, assignment, len) != 0 || parameters[p].name[len] != '\0'))
		p++;
	if (p == PARAMETERS || !assignment[len])
		world_broken("set %s", assignment);
	if (!is_shown(card, p)) {
		buf_printf(out, "-E- The Device doesn't support %s parameter\n", parameters[p].name);
		return 3;
	}
	if (card->nature == CARD_REFUSES && p == 4) {
		buf_puts(out,
			 "Applying... Failed!\n-E- Failed to set nv_pci_conf settings The configuration is rejected\n");
		return 3;
	}
	for (size_t other = 0; card->nature != CARD_FORGETS && other < FUNCTIONS; other++)
		if (!parameters[p].own || other == f)
			card->v[other][p].next = value_of(p, assignment + len + 1);
	world_moment("a part of a set is stored");
	return 0;
}

static int
set(struct card *card, unsigned f, const char *const assignments[], struct buf *out)
{
	world.sets++;
	for (; *assignments; assignments++) {
		int rc = store(card, f, *assignments, out);

		if (rc)
			return rc;
	}
	buf_puts(out, "Applying... Done!\n");
	buf_puts(out, card->nature == CARD_POWER_CYCLE ? "-I- Please power cycle machine to load new configurations.\n"
		      : card->nature == CARD_NOT_ARMED ? "-I- Skipped reset preparation\n"
						       : "-I- Please reboot machine to load new configurations.\n");
	return 0;
}

static int
config(struct card *card, unsigned f, const char *const argv[], struct buf *out, bool *hangs)
{
	if (strcmp(argv[3], "-e") == 0 && strcmp(argv[4], "-j") == 0) {
		buf_puts(out, "-E- invalid argument: -j\n");
		return 3;
	}
	bool asks = strcmp(argv[3], "-e") == 0 && strcmp(argv[4], "query") == 0 && !argv[5];
	bool sets = strcmp(argv[3], "-y") == 0 && strcmp(argv[4], "set") == 0 && argv[5];
	bool names = strcmp(argv[3], "query") == 0 && argv[4] && !argv[5];

	if (!asks && !sets && !names)
		world_broken("mstconfig was run as %s %s ...", argv[3], argv[4]);
	*hangs = card->nature == CARD_HANGS;
	if (card->nature == CARD_SICK || *hangs || world_chance(world.faults, 5000)) {
		buf_puts(out, "-E- Failed to open the device\n");
		return 3;
	}
	if (names) {
		buf_printf(out, "-E- The Device doesn't support %s parameter\n", argv[4]);
		return 3;
	}
	return asks ? query(card, f, argv[2], out) : set(card, f, argv + 5, out);
}

static int
reset(struct card *card, const char *const argv[], struct buf *out)
{
	bool asks = strcmp(argv[3], "query") == 0 && !argv[4];
	bool resets = !asks && strcmp(argv[3], "-l") == 0 && strcmp(argv[4], "3") == 0 && argv[5] &&
		      strcmp(argv[5], "-y") == 0 && argv[6] && strcmp(argv[6], "reset") == 0 && !argv[7];

	if (!asks && !resets)
		world_broken("mstfwreset was run as %s %s ...", argv[3], argv[4]);
	if (asks) {
		buf_printf(out, "Reset-levels:\n3: Driver restart and PCI reset   -%s\n4: Warm Reboot  -Supported\n",
			   world.reset_works || world_chance(1, 2) ? "Supported" : "Not Supported");
		return 0;
	}
	if (!world.may_reboot)
		world_broken("2: a firmware reset without a grant");
	world.resets += !world.reset_begun;
	world.reset_begun = true;
	if (!world.reset_works)
		return 1;
	card_load(card);
	/* It may well have happened, whatever the tool says. */
	return world_chance(1, 10) ? 1 : 0;
}

int
card_tool(const char *const argv[], char **out, char **err, bool *hangs)
{
	struct buf text = { 0 };
	unsigned card = 0;
	unsigned f = 0;
	int status;

	/* NOLINTNEXTLINE(cert-err34-c): our own addresses. */
	if (!argv[1] || strcmp(argv[1], "-d") != 0 || sscanf(argv[2], "0000:%x:00.%u", &card, &f) != 2)
		world_broken("%s was not told which card", argv[0]);
	struct card *asked = &world.cards[card - 1];
	if (strcmp(argv[0], "mstconfig") == 0)
		status = config(asked, f, argv, &text, hangs);
	else
		status = reset(asked, argv, &text);
	buf_puts(&text, "");
	*out = buf_steal(&text);
	*err = xstrdup("");
	return status;
}
