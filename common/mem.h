#pragma once

/* mem.h - ownership.  A local that owns something is declared auto_*; handing it on is steal().
 * Out of memory ends the process (systemd restarts it), so no caller checks for it. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define auto_free  __attribute__((cleanup(mem_free_p)))
#define auto_close __attribute__((cleanup(mem_close_p)))
#define auto_strv  __attribute__((cleanup(mem_strv_p)))

void *xcalloc(size_t n, size_t size) __attribute__((returns_nonnull, warn_unused_result));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *s) __attribute__((returns_nonnull, warn_unused_result));
char *xasprintf(const char *fmt, ...) __attribute__((returns_nonnull, warn_unused_result, format(printf, 1, 2)));

/* Equal, or both NULL: of texts that need not be there. */
static inline bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Takes what '*p' owns; the auto_free that stays behind frees NULL. */
#define steal(p)                                \
	({                                      \
		__typeof__(*(p)) owned_ = *(p); \
		*(p) = NULL;                    \
		owned_;                         \
	})

/* 'p' is a pointer to a pointer of any type; memcpy() because void ** may not alias it. */
static inline void
mem_free_p(void *p)
{
	void *owned;

	memcpy(&owned, p, sizeof(owned));
	free(owned);
}

static inline void
mem_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
mem_strv_p(char ***v)
{
	for (char **s = *v; s && *s; s++)
		free(*s);
	free(*v);
}
