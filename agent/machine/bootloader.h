#pragma once

/* bootloader.h - the kernel's command line as text, and as the boot loader will give it to the next boot.
 *
 * Ours is kept apart from what others put there: it is replaced as a whole, theirs stays, but for parameters that
 * contradict ours.  What counts as staged is what stands in the entries that the loader reads, never what was asked
 * of a tool. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct host;

/* --- text; Documentation/admin-guide/kernel-parameters.rst ---------------------------------------------- */

/* One by one: split at blanks outside double quotes, as lib/cmdline.c next_arg() does.  'raw': with their quotes and
 * what is behind "--"; else without.  NULL-terminated, free with auto_strv. */
char **cmdline_split(const char *text, bool raw);
char *cmdline_join(const char *const params[]); /* The caller frees. */
bool cmdline_has(const char *const params[], const char *param);
/* The text behind "NAME=" if 'param' is of this name ('-' and '_' are alike to the kernel), "" for a bare NAME, else
 * NULL. */
const char *cmdline_value(const char *param, const char *name);
/* True if the comma-separated 'list' holds 'value'. */
bool cmdline_lists(const char *list, const char *value);
/* "1G", "2M", "2048k" as memparse() reads them; 0: no size. */
uint64_t cmdline_size(const char *text);
/* The value of the 'hugepages=' that counts for pages of 'size' bytes, or NULL.  mm/hugetlb.c: it belongs to the
 * hugepagesz= before it, else to the default size; the first for a size counts, later ones are ignored. */
const char *cmdline_hugepages(const char *const params[], uint64_t size);
/* True if 'param' at 'params[i]' of others would undo one of 'ours': another iommu=, hugepages= for the same size ... */
bool cmdline_contradicts(const char *const params[], size_t i, const char *const ours[]);

/* --- the loader ------------------------------------------------------------------------------------------- */

struct staged {
	const char *loader; /* "GRUB"; NULL: none that is known here, and the rest is empty. */
	char **ours;        /* Of what we staged last: what every entry has. */
	char **others;      /* What else the first entry has. */
};

int bootloader_staged(struct host *host, struct staged *out, struct err *err);
void staged_free(struct staged *staged);
#define auto_staged __attribute__((cleanup(staged_free)))

/* Makes 'params' ours for every later boot; does nothing where they are already.  -ENOSYS: no loader is known here. */
int bootloader_stage(struct host *host, const char *const params[], struct err *err);
