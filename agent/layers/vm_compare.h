#pragma once

/* vm_compare.h - two domain definitions compared by meaning: what is wanted against what libvirt made of it.
 *
 * libvirt rewrites what it is given: units, number formats, machine aliases, order; it adds defaults, controllers and
 * addresses.  None of that is a difference.  What is wanted and is not there or is otherwise, and what somebody added
 * that libvirt adds to nobody's definition, is. */

#include <stdbool.h>
#include <stddef.h>

struct err;

struct vm_difference {
	char *path; /* "cputune/vcpupin[4]", "hostdev[0000:48:00.0]/address" */
	char *want; /* The attributes or text that differ; "absent". */
	char *have;
};

struct vm_differences {
	struct vm_difference *list;
	size_t n;
};

/* 'running': 'have' is that of a running domain, where libvirt has put the host's own CPU model for host-model; another
 * NCCL template there is no difference, for it waits for the next start without harm. */
int vm_compare(const char *want, const char *have, bool running, struct vm_differences *out, struct err *err);
void vm_differences_free(struct vm_differences *differences);
