#include "tests/simhost/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

/* Links inside the tree are followed, but never out of it. */
static int
open_beneath(const struct tree *tree, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
				.mode = flags & O_CREAT ? mode : 0,
				.resolve = RESOLVE_IN_ROOT };
	long fd = -1;

	for (int i = 0; i < 16; i++) {
		fd = syscall(SYS_openat2, tree->fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

int
tree_open(struct tree *tree, int at, const char *path, struct err *err)
{
	*tree = (struct tree){ .err = err };
	tree->fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->fd < 0)
		return tree->rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
	tree->cwd = xstrdup("");
	return 0;
}

int
tree_close(struct tree *tree)
{
	free(tree->cwd);
	tree->cwd = NULL;
	if (tree->fd >= 0)
		close(tree->fd);
	tree->fd = -1;
	return tree->rc;
}

static void
fail(struct tree *tree, const char *path)
{
	if (tree->rc == 0)
		tree->rc = err_set(tree->err, -errno, "%s: %s", path, strerror(errno));
}

void
tree_cd(struct tree *tree, const char *fmt, ...)
{
	va_list ap;

	free(tree->cwd);
	va_start(ap, fmt);
	if (vasprintf(&tree->cwd, fmt, ap) < 0)
		abort();
	va_end(ap);
}

static char *
absolute(const struct tree *tree, const char *path)
{
	return *tree->cwd ? xasprintf("%s/%s", tree->cwd, path) : xstrdup(path);
}

/* mkdir -p of 'path', or of the folder that it is in. */
static void
make_folders(struct tree *tree, const char *path, bool whole)
{
	auto_free char *copy = xstrdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (*copy && mkdirat(tree->fd, copy, 0755) < 0 && errno != EEXIST)
			fail(tree, copy);
		*slash = '/';
	}
	if (whole && mkdirat(tree->fd, copy, 0755) < 0 && errno != EEXIST)
		fail(tree, copy);
}

static int
open_for_writing(struct tree *tree, const char *path, mode_t mode)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC;
	int fd = open_beneath(tree, path, flags, mode);

	if (fd < 0 && errno == ENOENT) {
		make_folders(tree, path, false);
		fd = open_beneath(tree, path, flags, mode);
	}
	return fd;
}

static void
put(struct tree *tree, const char *path, const void *data, size_t len, mode_t mode)
{
	if (tree->rc < 0)
		return;
	auto_free char *full = absolute(tree, path);
	auto_close int fd = open_for_writing(tree, full, mode);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		fail(tree, full);
}

void
tree_write(struct tree *tree, const char *path, const void *data, size_t len)
{
	put(tree, path, data, len, 0644);
}

void
tree_program(struct tree *tree, const char *path, const char *text)
{
	put(tree, path, text, strlen(text), 0755);
}

void
tree_printf(struct tree *tree, const char *path, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		abort();
	tree_write(tree, path, text, (size_t)len);
}

void
tree_mkdir(struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);

	if (tree->rc == 0)
		make_folders(tree, full, true);
}

/* Length of the folders that both paths begin with. */
static size_t
shared_folders(const char *a, const char *b)
{
	size_t shared = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			shared = i + 1;
	return shared;
}

void
tree_link(struct tree *tree, const char *path, const char *target)
{
	auto_buf struct buf relative = { 0 };
	auto_free char *full = absolute(tree, path);

	if (tree->rc < 0)
		return;
	size_t shared = shared_folders(full, target);
	for (const char *slash = strchr(full + shared, '/'); slash; slash = strchr(slash + 1, '/'))
		buf_printf(&relative, "../");
	buf_printf(&relative, "%s", target + shared);
	make_folders(tree, full, false);
	(void)unlinkat(tree->fd, full, 0);
	if (symlinkat(relative.text, tree->fd, full) < 0)
		fail(tree, full);
}

static void remove_all(int at, const char *name, int depth);

static void
remove_folder(int at, const char *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return;
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_all(fd, entry->d_name, depth + 1);
	(void)closedir(dir);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

/* Folders of PCI devices nest by bridges; 64 is far beyond any of them. */
static void
remove_all(int at, const char *name, int depth)
{
	if (unlinkat(at, name, 0) < 0 && (errno == EISDIR || errno == EPERM) && depth < 64)
		remove_folder(at, name, depth);
}

void
tree_remove(struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);
	struct stat st;

	if (tree->rc < 0)
		return;
	remove_all(tree->fd, full, 0);
	if (fstatat(tree->fd, full, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = ENOTEMPTY;
		fail(tree, full);
	}
}

bool
tree_exists(const struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);
	auto_close int fd = open_beneath(tree, full, O_PATH, 0);

	return fd >= 0;
}

char *
tree_read(const struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);
	auto_close int fd = open_beneath(tree, full, O_RDONLY, 0);
	auto_buf struct buf buf = { 0 };
	char chunk[4096];
	ssize_t n;

	if (fd < 0)
		return NULL;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&buf, chunk, (size_t)n);
	if (n < 0)
		return NULL;
	while (buf.len > 0 && buf.text[buf.len - 1] == '\n')
		buf.text[--buf.len] = '\0';
	return buf_steal(&buf);
}

uint64_t
tree_read_u64(const struct tree *tree, const char *path)
{
	auto_free char *text = tree_read(tree, path);

	return text ? strtoull(text, NULL, 0) : 0;
}

char *
tree_target(const struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);
	char target[512];
	ssize_t n = readlinkat(tree->fd, full, target, sizeof(target) - 1);
	const char *rest = target;

	if (n < 0)
		return NULL;
	target[n] = '\0';
	/* Each "../" takes one folder off the one that the link is in. */
	for (char *slash = strrchr(full, '/'); slash; slash = strrchr(full, '/')) {
		*slash = '\0';
		if (strncmp(rest, "../", 3) != 0)
			return xasprintf("%s/%s", full, rest);
		rest += 3;
	}
	return xstrdup(rest);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
tree_list(const struct tree *tree, const char *path)
{
	auto_free char *full = absolute(tree, path);
	int fd = open_beneath(tree, full, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = xcalloc(1, sizeof(*names));
	size_t n = 0;

	if (!dir)
		return names;
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		names = xrealloc(names, n + 2, sizeof(*names));
		names[n++] = xstrdup(entry->d_name);
		names[n] = NULL;
	}
	(void)closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	return names;
}
