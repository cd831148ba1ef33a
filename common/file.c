#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

static int
failed(struct err *err, const char *path, const char *what)
{
	int code = -errno;

	if (code == -ELOOP)
		return err_set(err, code, "%s: is a symbolic link", path);
	return err_set(err, code, "%s: %s: %s", path, what, strerror(-code));
}

/* Up to 'max' + 1 bytes, so that the caller sees that there was more; files of /proc do not know their size. */
static int
read_all(int fd, size_t max, struct buf *out)
{
	char chunk[16384];

	while (out->len <= max) {
		size_t want = max - out->len < sizeof(chunk) ? max - out->len + 1 : sizeof(chunk);
		ssize_t n = read(fd, chunk, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		buf_add(out, chunk, (size_t)n);
	}
	return 0;
}

int
file_read_fd(int fd, const char *path, size_t max, char **out, size_t *len, struct err *err)
{
	auto_buf struct buf buf = { 0 };
	int rc = read_all(fd, max, &buf);

	if (rc < 0)
		return err_set(err, rc, "%s: read: %s", path, strerror(-rc));
	if (buf.len > max)
		return err_set(err, -EFBIG, "%s: is larger than %zu bytes", path, max);
	if (len)
		*len = buf.len;
	*out = buf_steal(&buf);
	return 0;
}

int
file_read(const char *path, size_t max, char **out, size_t *len, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return failed(err, path, "open");
	if (fstat(fd, &st) < 0)
		return failed(err, path, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: is not a regular file", path);
	return file_read_fd(fd, path, max, out, len, err);
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xasprintf("%.*s", (int)(slash - path), path);
}

static int
sync_folder(const char *folder, struct err *err)
{
	auto_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return failed(err, folder, "open");
	if (fsync(fd) < 0)
		return failed(err, folder, "fsync");
	return 0;
}

static int
write_temporary(int fd, const void *data, size_t len, mode_t mode, const char *path, struct err *err)
{
	if (fchmod(fd, mode) < 0)
		return failed(err, path, "chmod");
	if (write_all(fd, data, len) < 0)
		return failed(err, path, "write");
	if (fsync(fd) < 0)
		return failed(err, path, "fsync");
	return 0;
}

int
file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	auto_free char *folder = folder_of(path);
	const char *slash = strrchr(path, '/');
	auto_free char *temporary = xasprintf("%s/.%s.XXXXXX", folder, slash ? slash + 1 : path);
	auto_close int fd = mkostemp(temporary, O_CLOEXEC);

	if (fd < 0)
		return failed(err, path, "create");
	int rc = write_temporary(fd, data, len, mode, path, err);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = failed(err, path, "rename");
	if (rc < 0) {
		(void)unlink(temporary);
		return rc;
	}
	return sync_folder(folder, err);
}

static int
make_folder(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0) /* umask may have taken some of the mode. */
		return chmod(path, mode) < 0 ? failed(err, path, "chmod") : 0;
	if (errno != EEXIST)
		return failed(err, path, "mkdir");
	if (stat(path, &st) < 0)
		return failed(err, path, "stat");
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s: is not a folder", path);
	return 0;
}

int
file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	auto_free char *copy = xstrdup(path);

	for (char *slash = strchr(copy + (*copy == '/'), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int rc = make_folder(copy, mode, err);
		*slash = '/';
		if (rc < 0)
			return rc;
	}
	return make_folder(copy, mode, err);
}

static int
busy(const char *path, int fd, struct err *err)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid <= 0)
		return err_set(err, -EBUSY, "%s: held by another process", path);
	return err_set(err, -EBUSY, "%s: held by pid %ld", path, pid);
}

static int
take_lock(const char *path, int fd, struct err *err)
{
	char text[32];

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? busy(path, fd, err) : failed(err, path, "lock");
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		return failed(err, path, "write");
	return 0;
}

int
file_lock(const char *path, int *fd, struct err *err)
{
	int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (lock < 0)
		return failed(err, path, "open");
	int rc = take_lock(path, lock, err);
	if (rc < 0) {
		close(lock);
		return rc;
	}
	*fd = lock;
	return 0;
}
