#include "agent/comm_user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

/* Only regular files, by descriptor: nothing that a link could point at changes hands. */
static int
give_files(const char *folder, uid_t uid, gid_t gid)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int rc = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		auto_close int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		    fchown(fd, uid, gid) != 0)
			rc = -errno;
	}
	if (fchown(dirfd(dir), uid, gid) != 0)
		rc = -errno;
	(void)closedir(dir);
	return rc;
}

int
comm_user_become(const char *user, const char *folder, struct err *err)
{
	int rc = file_mkdirs(folder, 0700, err);

	if (rc < 0 || geteuid() != 0)
		return rc;
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (!pw)
		return err_set(
			err, -ENOENT,
			"there is no user '%s' for the network half (deploy/sysusers.d makes it; or set `user:`)",
			user);
	if (pw->pw_uid == 0)
		return 0; /* Chosen so in agent.yaml, for tests in containers. */
	rc = give_files(folder, pw->pw_uid, pw->pw_gid);
	if (rc < 0)
		return err_set(err, rc, "%s: cannot be given to user '%s': %s", folder, user, strerror(-rc));
	if (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_set(err, -errno, "cannot become user '%s': %s", user, strerror(errno));
	return 0;
}
