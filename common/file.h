#pragma once

/* file.h - whole files, read with a limit and replaced atomically. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Reads all of 'path' into '*out' (NUL added, not counted in '*len'; the caller frees).  More than
 * 'max' bytes is -EFBIG; a symbolic link as the last component or what is no regular file is an error. */
int file_read(const char *path, size_t max, char **out, size_t *len, struct err *err);

/* The same from a descriptor, as it stands; 'path' is for messages. */
int file_read_fd(int fd, const char *path, size_t max, char **out, size_t *len, struct err *err);

/* Replaces 'path' with 'data': temporary file beside it, fsync, rename, fsync of the folder.  After a
 * crash at any point the file is the old or the new one, whole. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* mkdir -p; folders that it makes get 'mode'. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* A lock that dies with the process: creates 'path' and flock()s it.  -EBUSY with "held by pid N". */
int file_lock(const char *path, int *fd, struct err *err);
