#pragma once

/* tree.h - the files of a simulated machine, beneath one folder that nothing leaves.
 *
 * Errors stick: after the first one every call does nothing, and tree_close() tells it; so hundreds of writes
 * in a row need one check.  Paths are relative to the tree; tree_cd() names the folder that they start from. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct tree {
	int fd;
	char *cwd; /* "" or "sys/devices/..." */
	int rc;
	struct err *err;
};

/* 'path' is relative to the folder 'at' (or absolute, with AT_FDCWD); it must exist. */
int tree_open(struct tree *tree, int at, const char *path, struct err *err);
/* 0 or the first error since tree_open(). */
int tree_close(struct tree *tree);

void tree_cd(struct tree *tree, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whole files; folders on the way are made.  A file that exists is written in place, as the kernel does it. */
void tree_printf(struct tree *tree, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void tree_write(struct tree *tree, const char *path, const void *data, size_t len);
void tree_program(struct tree *tree, const char *path, const char *text);
void tree_mkdir(struct tree *tree, const char *path);
/* A symbolic link at 'path' to 'target' (from the root of the tree), made relative; replaces an old one. */
void tree_link(struct tree *tree, const char *path, const char *target);
/* With all that is beneath it; absent is fine. */
void tree_remove(struct tree *tree, const char *path);

bool tree_exists(const struct tree *tree, const char *path);
/* Text without the trailing newline; NULL if it cannot be read.  The caller frees. */
char *tree_read(const struct tree *tree, const char *path);
uint64_t tree_read_u64(const struct tree *tree, const char *path); /* 0 if it cannot be read. */
/* Where a link points to, from the root of the tree ("sys/devices/..."); NULL if it is none. */
char *tree_target(const struct tree *tree, const char *path);
/* Names in a folder, sorted, NULL-terminated (auto_strv); none if it cannot be read. */
char **tree_list(const struct tree *tree, const char *path);
