#pragma once

/* folder.h - a folder of a test's own, as cmocka's setup and teardown: '*state' is its path. */

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

static inline int
folder_make(void **state)
{
	char *path = xasprintf("%s/gdr-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

	*state = mkdtemp(path);
	return *state ? 0 : -1;
}

static inline int
folder_remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline int
folder_remove(void **state)
{
	int rc = nftw(*state, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return rc;
}

/* "a.db a.db.lock": the names in it that begin with 'prefix', in order; the caller frees. */
static inline char *
folder_list(const char *path, const char *prefix)
{
	struct buf out = { 0 };
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' && strncmp(names[i]->d_name, prefix, strlen(prefix)) == 0)
			buf_printf(&out, "%s%s", out.len ? " " : "", names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return buf_steal(&out);
}

static inline char *
folder_read(const char *path, size_t *len)
{
	struct err err;
	char *data = NULL;

	assert_int_equal(file_read(path, 64 << 20, &data, len, &err), 0);
	return data;
}

static inline void
folder_write(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void
folder_copy(const char *from, const char *to)
{
	size_t len;
	auto_free char *data = folder_read(from, &len);

	folder_write(to, data, len);
}
