#pragma once

/* tree.h - a directory that looks like a machine, made by a unit test and removed after it.  Include after cmocka.h. */

#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

#define MAY_BE_UNUSED __attribute__((unused))

static char tree[64];

static char *
tree_path(const char *path)
{
	return xasprintf("%s%s", tree, path);
}

/* Makes the folders above 'path', a path on this machine. */
static void
tree_parents(char *path)
{
	for (char *p = path + strlen(tree) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

static MAY_BE_UNUSED void
put_bytes(const char *path, const void *data, size_t len)
{
	auto_free char *real = tree_path(path);

	tree_parents(real);
	FILE *f = fopen(real, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static MAY_BE_UNUSED void
put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static MAY_BE_UNUSED void
put_dir(const char *path)
{
	auto_free char *real = xasprintf("%s%s/", tree, path);

	tree_parents(real);
}

static MAY_BE_UNUSED void
put_link(const char *path, const char *target)
{
	auto_free char *real = tree_path(path);

	tree_parents(real);
	(void)unlink(real);
	assert_int_equal(symlink(target, real), 0);
}

static MAY_BE_UNUSED void
put_script(const char *path, const char *text)
{
	auto_free char *real = tree_path(path);

	put(path, text);
	assert_int_equal(chmod(real, 0755), 0);
}

static MAY_BE_UNUSED void
drop(const char *path)
{
	auto_free char *real = tree_path(path);

	assert_int_equal(remove(real), 0);
}

/* The caller frees. */
static MAY_BE_UNUSED char *
got(const char *path)
{
	auto_free char *real = tree_path(path);
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(real, "r");

	assert_non_null(f);
	(void)!fread(text, 1, 65535, f);
	(void)fclose(f);
	return text;
}

static MAY_BE_UNUSED void
assert_file(const char *path, const char *text)
{
	auto_free char *have = got(path);

	assert_string_equal(have, text);
}

static int
tree_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static MAY_BE_UNUSED void
tree_make(void)
{
	(void)snprintf(tree, sizeof(tree), "/tmp/gdr-test-XXXXXX");
	assert_non_null(mkdtemp(tree));
}

static MAY_BE_UNUSED void
tree_drop(void)
{
	(void)nftw(tree, tree_remove, 16, FTW_DEPTH | FTW_PHYS);
}
