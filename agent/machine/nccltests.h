#pragma once

/* nccltests.h - what the measuring tools print, understood: nccl-tests' *_perf, ib_write_bw, dcgmi diag.  Pure.
 *
 * The average at the end of nccl-tests is over all sizes and says nothing (a healthy node shows 70 there and 232 GB/s
 * at 4 GiB), so the largest row is what counts.  Foreign lines (mpirun, NCCL's log) may stand anywhere between. */

#include <stdbool.h>
#include <stddef.h>

struct err;

struct nccltests {
	unsigned long long bytes; /* Of the largest row. */
	double out_of_place;      /* Its bus bandwidths, GB/s. */
	double in_place;
	unsigned ranks; /* Devices listed. */
	size_t rows;
	bool wrong;  /* A row or the footer says that the data is wrong. */
	bool failed; /* "FAILED", or the tool gave up. */
};
/* -EBADMSG: there is no row. */
int nccltests_parse(const char *text, struct nccltests *out, struct err *err);
/* The lower of the two: what a job gets. */
double nccltests_busbw(const struct nccltests *tests);

/* The average of the last row, Gb/s (with --report_gbits); negative: there is none. */
double nccltests_ib_write(const char *text);

enum nccltests_diag {
	NCCLTESTS_PASS,
	NCCLTESTS_FAIL,
	NCCLTESTS_UNKNOWN, /* It did not run to its end: never a pass. */
};
/* `dcgmi diag`; '*what' is the first line that failed (the caller frees; NULL: none). */
enum nccltests_diag nccltests_dcgmi(const char *text, int status, char **what);
