#pragma once

/* docs.h - fleet documents (kind: Profile, Node, Window): read from -f, compared with the controller's. */

#include <stdbool.h>
#include <stddef.h>

#include "proto/api.pb-c.h"

struct buf;
struct ctl;
struct err;

/* The kinds of documents, profiles first, and the list of each in an Export. */
#define DOCS_KINDS 3
const char *docs_prefix(size_t kind); /* "profile" */
const char *docs_kind(size_t kind);   /* "Profile" */
const char *docs_name(size_t kind, const void *document);
void **docs_list(Gdr__Export *all, size_t kind, size_t **n);

/* What -f named, read and checked. */
struct docs {
	struct docs_item *items;
	size_t n;
	struct docs_file **files;
	size_t n_files;
};

/* All files of all -f: a file, a folder (its *.yaml), "-" for stdin.  Two documents of one name are an error. */
int docs_read(struct ctl *ctl, struct docs *out, struct err *err);
void docs_free(struct docs *docs);

/* Where "spec.kernel.cmdline[0]" stands, or what it would be in, of the document that 'message' is. */
struct docs_place {
	const char *file; /* The documents' own. */
	int line;
	int column;
};
struct docs_place docs_locate(const struct docs *docs, const void *message, const char *path);

/* Puts them into a request's body; 'apply' points into 'docs', docs_unfill() frees its lists. */
void docs_fill(const struct docs *docs, Gdr__Apply *apply);
void docs_unfill(Gdr__Apply *apply);

/* Appends the unified diff of each document that differs from what 'have' has, unless 'changes' calls its
 * object unchanged; false if none does.  'changes' may be NULL. */
bool docs_diff(const struct docs *docs, const Gdr__Export *have, const Gdr__Response *changes, bool colour,
	       struct buf *out);

/* Names of the nodes and of the profiles in it: is 'node' (a NodeView) touched by them? */
bool docs_touch(const struct docs *docs, const Gdr__NodeView *node);
