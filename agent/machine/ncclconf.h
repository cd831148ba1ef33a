#pragma once

/* ncclconf.h - NCCL's own configuration files, read and written by its rules (src/misc/param.cc).
 *
 * A line is KEY=VALUE, split at its first '='; '#' is a comment in the first column alone; nothing is trimmed and
 * there are no quotes, so a blank behind a value is part of it; of a key twice the first counts.  What the environment
 * or a user's file says wins over /etc/nccl.conf. */

#include <stdbool.h>
#include <stddef.h>

struct buf;

struct ncclconf_line {
	char *key;
	char *value; /* Cut where NCCL cuts it. */
	unsigned line;
	bool again; /* An earlier line has the key: NCCL does not see this one. */
};
struct ncclconf {
	struct ncclconf_line *v;
	size_t n;
};

void ncclconf_parse(const char *text, struct ncclconf *out);
void ncclconf_free(struct ncclconf *conf);
/* The value that NCCL takes, or NULL. */
const char *ncclconf_get(const struct ncclconf *conf, const char *key);

/* False if a line could not carry it: no value may hold a line's end, and no key a '=' or a leading '#'. */
bool ncclconf_add(struct buf *out, const char *key, const char *value);

/* A file of the shell's sort (/etc/environment, profile.d): lines "KEY=VALUE" or "export KEY=VALUE", with or without
 * quotes, whose key begins with "NCCL_"; the rest is skipped. */
void ncclconf_parse_shell(const char *text, struct ncclconf *out);
