/* host.c - files of the machine; programs are run by host_run.c. */

#include "agent/machine/host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "agent/machine/host_internal.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

#define READ_MAX (4U << 20)
#define AGAIN    16 /* openat2(2): EAGAIN where a rename raced with "..". */

struct host *
host_open(const char *root, const Gdr__AgentConfig *config)
{
	struct host *host = xcalloc(1, sizeof(*host));
	size_t len = strlen(root);

	while (len > 1 && root[len - 1] == '/')
		len--;
	host->root = xasprintf("%.*s", (int)len, root);
	host->is_machine = strcmp(host->root, "/") == 0;
	host->config = config;
	host->fd = open(host->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return host;
}

void
host_free(struct host *host)
{
	if (!host)
		return;
	if (host->fd >= 0)
		close(host->fd);
	free(host->root);
	free(host);
}

/* A descriptor or a negative errno.  A kernel without openat2(2) (before 5.6) can only be the machine itself. */
static int
open_in(const struct host *host, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	long fd = -1;

	if (host->is_machine) {
		fd = open(path, flags | O_CLOEXEC);
		return fd < 0 ? -errno : (int)fd;
	}
	if (host->fd < 0)
		return -ENOENT;
	for (int i = 0; i < AGAIN; i++) {
		fd = syscall(SYS_openat2, host->fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

static int
fail(struct err *err, int code, const char *path, const char *what)
{
	if (code == -ENOSYS)
		return err_set(err, code, "%s: this kernel has no openat2: only the root / can be used", path);
	return err_set(err, code, "%s: %s%s%s", path, what, *what ? ": " : "", strerror(-code));
}

const Gdr__AgentConfig *
host_config(const struct host *host)
{
	return host->config;
}

bool
host_is_machine(const struct host *host)
{
	return host->is_machine;
}

bool
host_exists(struct host *host, const char *path)
{
	auto_close int fd = open_in(host, path, O_PATH);

	return fd >= 0;
}

char *
host_path(struct host *host, const char *path)
{
	auto_close int fd = open_in(host, path, O_PATH);
	auto_free char *plain = host->is_machine ? xstrdup(path) : xasprintf("%s%s", host->root, path);
	struct stat inside;
	struct stat outside;

	if (fd < 0 || fstat(fd, &inside) < 0 || stat(plain, &outside) < 0)
		return NULL;
	if (inside.st_dev != outside.st_dev || inside.st_ino != outside.st_ino)
		return NULL;
	return steal(&plain);
}

/* Opens a regular file; nothing else is ever waited on (a FIFO would block). */
static int
open_regular(struct host *host, const char *path, int flags, struct err *err)
{
	struct stat st;
	int fd = open_in(host, path, flags | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return fail(err, fd, path, "");
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, -EINVAL, "%s: no regular file", path);
}

int
host_read(struct host *host, const char *path, char **out, size_t *len, struct err *err)
{
	auto_close int fd = open_regular(host, path, O_RDONLY, err);

	return fd < 0 ? fd : file_read_fd(fd, path, READ_MAX, out, len, err);
}

int
host_read_line(struct host *host, const char *path, char **out, struct err *err)
{
	char *text = NULL;
	int rc = host_read(host, path, &text, NULL, err);

	if (!text)
		return rc;
	for (size_t n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]); n--)
		text[n - 1] = '\0';
	*out = text;
	return 0;
}

int
host_read_u64(struct host *host, const char *path, uint64_t *out, struct err *err)
{
	auto_free char *text = NULL;
	char *end = NULL;
	int rc = host_read_line(host, path, &text, err);

	if (!text)
		return rc;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno || !isdigit((unsigned char)*text) || *end != '\0')
		return err_set(err, -EBADMSG, "%s: '%.40s' is not a number", path, text);
	*out = value;
	return 0;
}

char *
host_link_name(struct host *host, const char *path)
{
	auto_close int fd = open_in(host, path, O_PATH | O_NOFOLLOW);
	char target[4096];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);

	if (n <= 0)
		return NULL;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	return xstrdup(slash ? slash + 1 : target);
}

/* --- glob ------------------------------------------------------------------------------------------- */

struct found {
	char **v;
	size_t n;
};

static int
by_text(const void *a, const void *b)
{
	const char *left;
	const char *right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return strverscmp(left, right);
}

static void found_under(struct host *host, const char *base, const char *pattern, struct found *out);

/* Every entry of the folder 'base' that matches 'name', and what 'rest' matches below it. */
static void
found_in(struct host *host, const char *base, const char *name, const char *rest, struct found *out)
{
	int fd = open_in(host, *base ? base : "/", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (fnmatch(name, entry->d_name, FNM_PERIOD) != 0)
			continue;
		auto_free char *path = xasprintf("%s/%s", base, entry->d_name);
		found_under(host, path, rest, out);
	}
	closedir(dir);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the pattern has components. */
static void
found_under(struct host *host, const char *base, const char *pattern, struct found *out)
{
	pattern += strspn(pattern, "/");
	size_t len = strcspn(pattern, "/");
	auto_free char *name = xasprintf("%.*s", (int)len, pattern);

	if (!len) {
		auto_close int fd = open_in(host, base, O_PATH | O_NOFOLLOW);
		if (fd < 0)
			return;
		out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = xstrdup(base);
	} else if (!strpbrk(name, "*?[")) {
		auto_free char *path = xasprintf("%s/%s", base, name);
		found_under(host, path, pattern + len, out);
	} else {
		found_in(host, base, name, pattern + len, out);
	}
}

char **
host_glob(struct host *host, const char *pattern)
{
	struct found found = { 0 };

	found_under(host, "", pattern, &found);
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_text);
	found.v = xrealloc(found.v, found.n + 1, sizeof(*found.v));
	found.v[found.n] = NULL;
	return found.v;
}

/* --- writing ------------------------------------------------------------------------------------------ */

static int
write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int
host_write(struct host *host, const char *path, const char *text, struct err *err)
{
	auto_close int fd = open_regular(host, path, O_WRONLY, err);
	size_t len = strlen(text);

	if (fd < 0)
		return fd;
	/* What a plain file in a tree needs is nothing to sysfs, which takes a write(2) as one value. */
	if (ftruncate(fd, 0) < 0 && errno != EINVAL && errno != EPERM)
		return fail(err, -errno, path, "truncate");

	ssize_t n = write(fd, text, len);
	if (n < 0)
		return err_set(err, -errno, "%s: write '%.80s': %s", path, text, strerror(errno));
	if ((size_t)n != len)
		return err_set(err, -EIO, "%s: write '%.80s': only %zd of %zu bytes were taken", path, text, n, len);
	return 0;
}

int
host_writable(struct host *host, const char *path)
{
	auto_close int fd = open_in(host, path, O_PATH);
	struct statvfs where;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstatvfs(fd, &where) == 0 && where.f_flag & ST_RDONLY)
		return -EROFS;
	return fstat(fd, &st) == 0 && !(st.st_mode & 0222U) ? -EACCES : 0;
}

/* The folder that 'path' is in, made where 'make'; '*name' is the last component. */
static int
open_parent(struct host *host, const char *path, bool make, const char **name, struct err *err)
{
	const char *last = strrchr(path, '/');
	int dir = open_in(host, "/", O_PATH | O_DIRECTORY);

	if (dir < 0)
		return fail(err, dir, host->root, "");
	for (const char *p = path + 1; p <= last; p++) {
		p += strcspn(p, "/");
		auto_free char *prefix = xasprintf("%.*s", (int)(p - path), path);
		int next = open_in(host, prefix, O_PATH | O_DIRECTORY);
		if (next == -ENOENT && make && mkdirat(dir, strrchr(prefix, '/') + 1, 0755) == 0)
			next = open_in(host, prefix, O_PATH | O_DIRECTORY);
		close(dir);
		if (next < 0)
			return fail(err, next, prefix, "");
		dir = next;
	}
	*name = last + 1;
	return dir;
}

static void
sync_folder(int dir)
{
	auto_close int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)fsync(fd);
}

/* A file that is there keeps its mode and owner. */
static int
write_new(int dir, const char *temp, const char *name, const char *text, mode_t mode)
{
	auto_close int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat old;

	if (fd < 0)
		return -errno;
	if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(old.st_mode)) {
		mode = old.st_mode & 07777U;
		(void)!fchown(fd, old.st_uid, old.st_gid); /* Not root: it stays ours. */
	}
	int rc = write_all(fd, text);
	if (rc < 0)
		return rc;
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int
host_replace(struct host *host, const char *path, const char *text, mode_t mode, struct err *err)
{
	const char *name = path;
	auto_close int dir = open_parent(host, path, true, &name, err);

	if (dir < 0)
		return dir;
	auto_free char *temp = xasprintf(".%s.gdrfleet-new", name);
	(void)unlinkat(dir, temp, 0); /* What a crash left. */
	int rc = write_new(dir, temp, name, text, mode);
	if (rc == 0 && renameat(dir, temp, dir, name) < 0)
		rc = -errno;
	if (rc < 0) {
		(void)unlinkat(dir, temp, 0);
		return fail(err, rc, path, "replace");
	}
	sync_folder(dir);
	return 0;
}

int
host_remove(struct host *host, const char *path, struct err *err)
{
	const char *name = path;
	auto_close int dir = open_parent(host, path, false, &name, err);

	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return dir;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return fail(err, -errno, path, "remove");
	sync_folder(dir);
	return 0;
}
