#pragma once

/* sim.h - a fleet in one process on virtual time: the real model, rollouts and SQLite store, and hosts that are played.
 *
 * All that happens follows from the seed.  A host does what its revision and its luck say; messages are lost, doubled
 * and late, in order on each link; the model may be dropped at any moment and read back from the store, and a commit
 * may fail at any statement. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "controller/fleet/fleet.h"
#include "controller/rollout/rollout.h"

#define HOSTS_MAX    2000
#define REVISIONS    4
#define LEASE_MS     5000
#define LOST_MS      15000
#define MESSAGES_MAX 8

/* When gdrd dies: while it commits, when that is on disk and nobody has been told, or after that. */
enum moment {
	MOMENT_NEVER,
	MOMENT_COMMIT,
	MOMENT_COMMITTED,
	MOMENT_SENT,
	MOMENTS,
};

/* What a revision does to a host. */
enum nature {
	NATURE_LIVE,   /* Right after a moment. */
	NATURE_REBOOT, /* Right after a reboot. */
	NATURE_STUCK,  /* Never right. */
	NATURE_SOUR,   /* Right, and stuck some time later. */
	NATURE_SLOW,   /* Never done. */
	NATURE_DEADLY, /* Its reboot never ends. */
	NATURE_WORSE,  /* Right after a moment, and slower than before. */
};

/* Who has taken the work off a host. */
enum cordon {
	CORDON_NONE,
	CORDON_OURS, /* A rollout's program. */
	CORDON_OTHERS,
};

/* That a rollout has run. */
struct program {
	char key[80];
	char rollout[24];
	char word[24]; /* The last. */
	struct rollout_call call;
	bool runs;
	uint64_t end_ms; /* When it ends, or has. */
};

struct host {
	char name[24];
	bool removed;
	bool dead;
	uint64_t dead_until_ms; /* UINT64_MAX: for good. */
	uint64_t cut_ms;        /* When gdrd notices; 0: it has. */
	uint64_t hello_ms;      /* When it connects again; 0: it is connected. */
	unsigned boot;
	uint64_t rebooting_until_ms;
	uint64_t next_lease_ms;
	/* On its disk. */
	uint64_t generation;
	char hash[64];
	char profile[64];
	int mode;
	char grant[48];
	char leave[48]; /* An operator wants this boot ended. */
	/* What it is. */
	enum nature nature;
	Gdr__Outcome outcome;
	uint64_t ready_ms; /* When the next thing happens to it; 0: nothing will. */
	uint64_t sour_ms;
	bool booted;                 /* Since its generation began. */
	bool bad;                    /* Whatever is wanted of it. */
	bool hangs;                  /* In its next reboot. */
	uint64_t settled_generation; /* The last that it was truly right at. */
	double speed;                /* As it last measured itself; 0: it has not. */
	uint64_t measured_ms;        /* And when; */
	uint64_t measure_ms;         /* when it does so next; 0: not. */
	enum cordon cordon;
	uint64_t empty_ms; /* When the last of its work is done, if it is cordoned. */
	/* On the way to gdrd, oldest first. */
	struct {
		uint64_t at_ms;
		Gdr__Report *report;
	} sent[MESSAGES_MAX];
	size_t n_sent;
};

struct sim {
	uint64_t seed;
	uint64_t state; /* Of the random numbers. */
	bool verbose;
	uint64_t now; /* What the clock says: it may jump. */
	uint64_t t;   /* Virtual time since the start, without jumps. */
	const char *path;
	Gdr__GdrdConfig config;
	Gdr__RebootLimits reboot;
	struct zap *zap;
	struct store *store;
	struct keyring *keyring;
	struct fleet *fleet;
	struct host *hosts;
	size_t n;
	size_t n_given;                     /* By hand: the seed says otherwise; 0: it says it. */
	enum nature natures[REVISIONS + 1]; /* By revision. */
	unsigned spread;                    /* Percent of hosts that a bad revision is bad on. */
	unsigned loss;                      /* Percent of messages. */
	unsigned crashes;                   /* Permille of turns; */
	unsigned failures;                  /* of commits. */
	unsigned deaths;                    /* Per 100,000 of host turns. */
	uint64_t full_until_ms;             /* The disk. */
	bool unsure;                        /* Programs may fail. */
	struct program *programs;
	size_t n_programs;
	uint64_t turns;
	uint64_t crash_turn; /* Dies once, in this one; 0: by chance. */
	enum moment crash_moment;
	struct err err;
};

uint64_t sim_random(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned of, unsigned in);

void sim_open(struct sim *sim); /* The model, from the store. */
void sim_close(struct sim *sim);
/* A turn: what hosts do and say, the model's tick, the commit, what is pushed.  False: the commit failed. */
bool sim_turn(struct sim *sim, uint64_t ms);
/* A request (YAML), as gdrctl would send it; committed with the next turn. */
int sim_ask(struct sim *sim, const char *yaml, Gdr__Response **out);
/* The same, where it must succeed. */
void sim_do(struct sim *sim, const char *yaml);
void sim_die(struct sim *sim, struct host *host, uint64_t for_ms);
struct host *sim_host(struct sim *sim, const char *name);
/* The slowest and the fastest that 'host' can measure as it is. */
void sim_speed(const struct sim *sim, const struct host *host, double *slowest, double *fastest);

/* Ends the program: says what is broken and how to play it again. */
void sim_broken(const struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
