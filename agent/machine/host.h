#pragma once

/* host.h - the only door from a layer to the machine: read, write, glob, run; PCI is agent/machine/pci.h.
 *
 * Paths are absolute on the machine ("/sys/..."); host_open("/") is the machine, and any other root is a
 * directory that looks like one.  Symbolic links in a path are followed inside the root (openat2(2)
 * RESOLVE_IN_ROOT), so nothing leaves it.  No layer calls open(), fopen() or exec() itself. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/config.pb-c.h"

struct buf;
struct err;
struct host;

/* 'config' (may be NULL: defaults) is read for root, tools and tool_timeout, and must outlive the host. */
struct host *host_open(const char *root, const Gdr__AgentConfig *config);
void host_free(struct host *host);

/* True if the root is "/": only then what this machine has besides files (libraries, sockets) is the machine's. */
bool host_is_machine(const struct host *host);
/* What it was opened with; NULL: nothing. */
const Gdr__AgentConfig *host_config(const struct host *host);

bool host_exists(struct host *host, const char *path);
/* The path by which a library that opens files itself (libpci) reaches 'path'.  NULL: it is not there, or plain
 * following of its links would leave the root.  The caller frees. */
char *host_path(struct host *host, const char *path);
/* Regular files (sysfs and procfs are) of at most 4 MiB, NUL added; the caller frees '*out'; 'len' may be NULL. */
int host_read(struct host *host, const char *path, char **out, size_t *len, struct err *err);
/* The same without a trailing newline and blanks. */
int host_read_line(struct host *host, const char *path, char **out, struct err *err);
int host_read_u64(struct host *host, const char *path, uint64_t *out, struct err *err);
/* Last component of what the symbolic link points to ("vfio-pci"); NULL if it is none. The caller frees. */
char *host_link_name(struct host *host, const char *path);
/* Paths that match 'pattern', sorted (node2 before node10), NULL-terminated, free with auto_strv; no match is an
 * empty list. */
char **host_glob(struct host *host, const char *pattern);

/* Into an existing file as it is (sysfs, procfs): one write(2), no truncation of what is no regular file. */
int host_write(struct host *host, const char *path, const char *text, struct err *err);
/* Whether anybody could write 'path': 0; -EROFS: its file system is read-only here, as /proc/sys is in containers; -EACCES:
 * its mode is for nobody to write; -ENOENT. */
int host_writable(struct host *host, const char *path);
/* A file of /etc or of our own: replaced atomically, folders made, 'mode' for a new one. */
int host_replace(struct host *host, const char *path, const char *text, mode_t mode, struct err *err);
int host_remove(struct host *host, const char *path, struct err *err); /* Absent is fine. */

/* The path on this machine of an external program: agent.yaml's tools, else (only where the root is
 * "/") the usual bin folders; a path, as host_programs() gives it, is itself.  NULL if there is none.  The caller
 * frees. */
char *host_tool(struct host *host, const char *name);

/* Executables in a folder of this machine (hooks), sorted, for host_run() as they are; those that others than root
 * or we own or may write are left out.  NULL-terminated, free with auto_strv. */
char **host_programs(struct host *host, const char *folder);

struct host_result {
	int status;     /* Exit status; 128 + signal. */
	bool timed_out; /* Killed, with its process group, after the time-out. */
	char *out;      /* Capped at 1 MiB each, NUL-terminated; never NULL after 0. */
	char *err;
};
/* Runs argv[0] by host_tool() with stdin /dev/null, LC_ALL=C and a clean environment, in its own process group.
 * 'timeout_ms' 0: the configured one.  0: it ran, whatever its status; -ENOENT: no such tool. */
int host_run(struct host *host, const char *const argv[], unsigned timeout_ms, struct host_result *out,
	     struct err *err);
/* A file for a program that writes to no stdout: in memory, nowhere on the machine.  A descriptor, and in '*path' where
 * a program that we run finds it (the caller frees); or a negative errno. */
int host_scratch(struct host *host, char **path, struct err *err);
void host_result_free(struct host_result *result);
/* Calls 'work' in a process of its own with the same time-out, for libraries that may hang or crash: '*out' is what it
 * added to its buffer (capped likewise, NUL added, the caller frees; 'len' may be NULL).  What work() returned; -ETIMEDOUT; -EIO: it crashed. */
int host_apart(struct host *host, int (*work)(void *arg, struct buf *out), void *arg, unsigned timeout_ms, char **out,
	       size_t *len, struct err *err);
/* host_run() where anything but status 0 is an error that quotes the last line of what it said. */
int host_do(struct host *host, const char *const argv[], struct err *err);

/* The path, or the name for the dynamic linker, of a library that this host may have: agent.yaml's tools, else (only
 * where the root is "/") its own name.  NULL if there is none.  The caller frees. */
char *host_library(struct host *host, const char *name);

/* host_apart() without end, for news: 'work' writes a byte to 'fd' for each, and '*out' is where they are read; it is at
 * its end when the process is. */
struct host_watch {
	pid_t pid; /* 0: there is none. */
	int fd;
};
typedef void host_watcher(void *arg, int fd);
int host_watch(host_watcher *work, void *arg, struct host_watch *out, struct err *err);
void host_unwatch(struct host_watch *watch);
