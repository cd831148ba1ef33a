#pragma once

/* profilelint.h - what a profile asks for that does not do what it seems to, or costs more than it gives.
 *
 * A profile that reads without an error may still repeat a slip of a published recipe.  Each rule is a row of the table
 * in profilelint.c with the public source that knows better; to add one is to add a row. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/spec.pb-c.h"

struct buf;

enum profilelint_severity {
	PROFILELINT_NOTE,    /* Without effect, or a matter of taste. */
	PROFILELINT_WARNING, /* It works, at a price. */
	PROFILELINT_ERROR,   /* It does not do what it is for. */
};

struct profilelint_judge;
struct profilelint_rule {
	const char *id; /* "gid-index" */
	enum profilelint_severity severity;
	const char *env;    /* A variable of guest.nccl.env, */
	const char *sysctl; /* or a key of guest.sysctl.values, that is there with a value of which */
	bool (*bad)(const char *value);
	/* Or whatever else; none at all is for those who read the table: no profile can say it. */
	void (*check)(struct profilelint_judge *judge, const Gdr__Spec *spec);
	const char *text;
	const char *remedy;
	const char *source; /* An address. */
};

struct profilelint_finding {
	const struct profilelint_rule *rule;
	char *path; /* "guest.nccl.env.NCCL_BUFFSIZE" */
	char *have; /* Its value; NULL: it is not there, and that is the matter. */
};
struct profilelint_findings {
	struct profilelint_finding *list;
	size_t n;
	size_t count[3]; /* By severity. */
};

void profilelint(const Gdr__Spec *spec, struct profilelint_findings *out);
void profilelint_free(struct profilelint_findings *findings);

extern const struct profilelint_rule profilelint_rules[];
extern const size_t profilelint_rules_len;
const char *profilelint_severity_name(enum profilelint_severity severity);
