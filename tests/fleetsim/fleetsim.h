#pragma once

/* fleetsim.h - what the parts of gdr-fleetsim share: main.c holds the stopwatch, operator.c asks as an admin does,
 * agents.c is one process full of agents.  The processes meet in a 'board' of shared memory and nowhere else. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"
#include "proto/config.pb-c.h"
#include "proto/wire.pb-c.h"

struct err;

#define NAME_MAX_LEN  32
#define PROCESSES_MAX 64
#define PATIENCE_MS   90000 /* For any one step. */
#define ACK_MAX_MS    10000 /* Acknowledgements that take longer are counted as this. */

/* Who is simulated: the same in every process. */
struct identity {
	char name[NAME_MAX_LEN];
	struct keypair key;
};

enum order {
	ORDER_WAIT,
	ORDER_CONNECT,
	ORDER_REPORT, /* Again and again, from now on. */
	ORDER_END,
};

/* Written by one process each, read by the one that watches. */
struct tally {
	atomic_size_t live;                /* Welcomed, */
	atomic_size_t committed;           /* and its report on the profile is on gdrd's disk. */
	atomic_ulong acks[ACK_MAX_MS + 1]; /* Reports acknowledged after so many ms. */
};

struct board {
	_Atomic enum order order;
	struct tally of[PROCESSES_MAX];
};

struct load {
	const char *endpoint;
	const char *profile;
	const Gdr__Context *context;
	const Gdr__Report *report; /* What every agent says, but for its generation; never NULL. */
	long long report_ms;       /* With ORDER_REPORT: each agent says something new this often. */
	struct identity *all;
	size_t n;
};

/* --- operator.c -------------------------------------------------------------------------------------------------- */

/* Declares all nodes in one request, and lets their keys in. */
int operator_prepare(const struct load *load, struct err *err);
int operator_assign(const struct load *load, struct err *err);

/* --- agents.c ---------------------------------------------------------------------------------------------------- */

/* Of its connection and of what watches that, two of each; and as many of the connection before, which is closed by
 * libzmq when it comes to it. */
#define FDS_AN_AGENT 8

/* Is agents 'from' to 'to' as the board orders, until that says to end; then names those who are not in. */
void agents_run(const struct load *load, size_t from, size_t to, const struct board *board, struct tally *tally);
