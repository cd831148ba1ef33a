#pragma once

/* selector.h - which nodes an operator means: "rack=r7,gpu!=v100,canary,!old,leaf in (l1,l2),row notin (a)".
 *
 * Terms with commas between; all must hold.  A label that a node has not is different from every value, so
 * 'gpu!=v100' and 'gpu notin (v100)' fit it; '==' is '='.  'name' is the node's name, whatever its labels are.
 * An empty selector, term or value is an error: an unset variable in a script must not select the fleet. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/spec.pb-c.h"

struct err;
struct selector;

#define SELECTOR_MAX 4096 /* Characters. */

/* -EINVAL: "selector: character 9: a label's name is expected, found ','". */
int selector_parse(const char *text, struct selector **out, struct err *err);
void selector_free(struct selector *selector); /* NULL is fine. */

bool selector_matches(const struct selector *selector, const char *name, Gdr__Node__LabelsEntry *const *labels,
		      size_t n_labels);
