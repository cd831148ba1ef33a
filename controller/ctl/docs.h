#pragma once

/* docs.h - fleet documents (kind: Profile, kind: Node): read from -f, compared with the controller's. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/api.pb-c.h"

struct buf;
struct ctl;
struct err;

/* What -f named, read and checked. */
struct docs {
	struct docs_item *items;
	size_t n;
};

/* All files of all -f: a file, a folder (its *.yaml), "-" for stdin.  Two documents of one name are an error. */
int docs_read(struct ctl *ctl, struct docs *out, struct err *err);
void docs_free(struct docs *docs);

/* Puts them into a request's body; 'apply' points into 'docs', docs_unfill() frees its lists. */
void docs_fill(const struct docs *docs, Gdr__Apply *apply);
void docs_unfill(Gdr__Apply *apply);

/* Appends the unified diff of each document that differs from what 'have' has, unless 'changes' calls its
 * object unchanged; false if none does.  'changes' may be NULL. */
bool docs_diff(const struct docs *docs, const Gdr__Export *have, const Gdr__Response *changes, bool colour,
	       struct buf *out);

/* Names of the nodes and of the profiles in it: is 'node' (a NodeView) touched by them? */
bool docs_touch(const struct docs *docs, const Gdr__NodeView *node);
