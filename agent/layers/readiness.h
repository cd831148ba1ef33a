#pragma once

/* readiness.h - the checks of layer readiness: tables, one row a check.
 *
 *   readiness_checks.c   R01 to R21: look alone, in less than two seconds
 *   readiness_active.c   R22 to R25: measure, on demand or when nobody uses the GPUs
 *   readiness_judge.c    what several of them stand on
 *
 * To add one: a function and its row. */

#include <stdbool.h>
#include <time.h>

#include "agent/layer.h"
#include "agent/layers/nccl_env.h"
#include "agent/machine/gpus.h"
#include "common/err.h"

enum ready_state {
	READY_UNKNOWN = GDR__CHECK__STATE__UNKNOWN, /* It could not be told; never counts as passed. */
	READY_PASS = GDR__CHECK__STATE__PASS,
	READY_FAIL = GDR__CHECK__STATE__FAIL,
	READY_SKIPPED = GDR__CHECK__STATE__SKIPPED, /* It is nothing to this machine, or nobody asked for it. */
	READY_CLAMPED = GDR__CHECK__STATE__CLAMPED, /* Less than asked, and all that this machine can do. */
};
enum ready_severity {
	READY_INFO = GDR__CHECK__SEVERITY__INFO,
	READY_DEGRADED = GDR__CHECK__SEVERITY__DEGRADED, /* Jobs run, slower. */
	READY_FATAL = GDR__CHECK__SEVERITY__FATAL,       /* Jobs fail, or crawl. */
};

/* What all checks look at, read once. */
struct ready_look {
	const struct machine *machine;
	const Gdr__Spec *spec;
	const Gdr__ReadinessSpec *wants;
	struct nvsmi_gpus gpus;
	struct err no_gpus; /* 'code' 0: the driver answered. */
	struct nccl_env env;
	char *log; /* The kernel's; NULL: not known. */
};

struct buf;
struct ready_finding {
	enum ready_state state;
	char *expected; /* NULL is shown as "-". */
	char *actual;
	char *evidence; /* More about it; may be NULL. */
	time_t when;    /* Of an active check: when it was measured, */
	bool wanted;    /* the profile asks for it, */
	bool due;       /* and it is to be measured now. */
};

struct ready_check {
	const char *id; /* "R03" */
	const char *name;
	enum ready_severity severity;
	void (*judge)(const struct ready_look *look, struct ready_finding *out);
	/* NULL: it only looks. */
	int (*measure)(const struct machine *machine, const Gdr__Spec *spec, const char *id, struct err *err);
	const char *remedy;
};
extern const struct ready_check ready_passive[];
extern const size_t ready_passive_len;
extern const struct ready_check ready_active[];
extern const size_t ready_active_len;

/* Sets state and texts; 'actual' is a printf format. */
void ready_set(struct ready_finding *out, enum ready_state state, const char *expected, const char *actual, ...)
	__attribute__((format(printf, 4, 5)));
/* What the drift counters of this boot are compared with: written with each publication. */
void ready_counters_print(const struct machine *machine, const struct nccl_env *env, struct buf *out);

/* Measures all that the profile asks for, whoever uses the GPUs. */
int readiness_measure(const struct machine *machine, const Gdr__Spec *spec, struct err *err);

#define READY_FOLDER   "/run/gdrfleet"
#define READY_COUNTERS READY_FOLDER "/counters"
