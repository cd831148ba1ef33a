#pragma once

/* world.h - one played GPU host: two ConnectX cards, a boot loader's worth of nothing, and the agent's own code on it.
 *
 * world_door.c stands in for agent/machine/host.h, agent/machine/pci.h, the disk and the clock, so that the agent's policy, journal,
 * layer and reboot code run as they are: in one process, on virtual time.  Every call of theirs through a door is a
 * moment at which the agent, the host, or both may die; what is on the played disk and in the played cards stays. */

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARDS      2
#define FUNCTIONS  2
#define PARAMETERS 6

enum nature {
	CARD_GOOD,
	CARD_EARLY,       /* Shows the hidden parameter as soon as what unlocks it is stored. */
	CARD_NOT_LOADED,  /* No boot loads what it stored. */
	CARD_POWER_CYCLE, /* Nor here, and the tool says so. */
	CARD_NOT_ARMED,   /* Likewise: "Skipped reset preparation". */
	CARD_REVERTS,     /* A boot throws away what was stored. */
	CARD_REFUSES,     /* Takes all but ATS_ENABLED and what comes after it. */
	CARD_FORGETS,     /* Says yes and stores nothing. */
	CARD_SICK,        /* Cannot be opened. */
	CARD_HANGS,       /* Does not answer in time. */
	CARD_BLIND,       /* Does not tell what is in effect. */
	NATURES,
};

struct parameter {
	const char *name;
	const char *factory, *wanted, *other; /* As `set` takes them; 'other': of a second content of the spec. */
	bool own;                             /* Each function has its own. */
};
extern const struct parameter parameters[PARAMETERS];

struct value {
	const char *current, *next;
};

struct card {
	enum nature nature;
	struct value v[FUNCTIONS][PARAMETERS];
	bool unlocked; /* What is hidden is shown: decided at a boot. */
};

/* What may end a moment, other than that it goes well. */
enum death {
	DEATH_NONE,
	DEATH_AGENT = 1, /* The worker is killed. */
	DEATH_HOST,      /* Power lost: another boot. */
	DEATH_REBOOT,    /* The reboot that was asked for comes. */
};

struct world {
	uint64_t seed, state;
	bool verbose;
	int64_t now_ms;
	unsigned faults; /* Of 1000 moments so many are bad ones; 0 once the world is calm. */

	struct card cards[CARDS];
	unsigned version; /* Of the tool: 421, 433, 436 */
	bool has_reset;   /* There is an mstfwreset, */
	bool reset_works; /* and it does what it says. */

	unsigned boot; /* Which one. */
	char boot_id[40];
	char *journal; /* On disk; NULL: there is none. */
	char *notes;   /* /run/gdrfleet-agent/nic: gone with the boot. */

	bool reboot_due; /* systemctl has said yes. */
	int64_t reboot_at_ms;
	unsigned refusing;        /* So many of the next reboots are refused, */
	unsigned ignoring;        /* or said yes to and not done. */
	const char *granted_boot; /* What the agent was told, for systemctl to check. */
	bool may_reboot;

	bool reset_begun; /* The cards are being reset: one reset, however many there are. */

	/* What the check counts. */
	unsigned sets, ended, resets; /* Since the spec was last changed: boots that we ended, resets that we began. */

	jmp_buf death;
};
extern struct world world;

uint64_t world_random(uint64_t below);
bool world_chance(unsigned in, unsigned of);
void world_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says how to play it again, and ends the process. */
void world_broken(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A moment has come: mostly nothing happens. */
void world_moment(const char *what);
/* A boot: cards load, what is under /run is gone. */
void world_boot(void);

/* card.c: the tools as they answer; what 'out' gets is to be freed. */
int card_tool(const char *const argv[], char **out, char **err, bool *hangs);
void card_factory(struct card *card);
void card_load(struct card *card);
