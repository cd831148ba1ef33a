#pragma once

/* kmsg.h - what the kernel's log says of GPUs since boot: Xid and SXid errors, BARs that got no room.  Pure. */

#include <stdbool.h>
#include <stddef.h>

struct kmsg_xid {
	char address[24]; /* "0000:b9:00"; as the driver prints it, without a function. */
	unsigned number;
	bool nvswitch; /* SXid */
	char *text;    /* The whole line, without its time. */
};
struct kmsg {
	struct kmsg_xid *v; /* In the order of the log. */
	size_t n;
	char *bar; /* The first line that tells of a BAR without room; NULL: none. */
};

void kmsg_parse(const char *text, struct kmsg *out);
void kmsg_free(struct kmsg *kmsg);

/* Errors after which the GPU is of no use until it is reset, or worse; the others come from programs. */
bool kmsg_fatal(const struct kmsg_xid *xid);
