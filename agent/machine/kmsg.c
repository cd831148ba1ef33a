#include "agent/machine/kmsg.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* NVIDIA, XID Errors: double-bit ECC, row remapping, NVLink, fallen off the bus, contained and uncontained ECC, GSP. */
static const unsigned fatal[] = { 48, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140 };

bool
kmsg_fatal(const struct kmsg_xid *xid)
{
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (fatal[i] == xid->number)
			return true;
	return xid->nvswitch && xid->number >= 20000; /* SXid: fatal ones are numbered from there. */
}

/* "[ 12.345678] text", "[Tue Nov 24 ...] text" */
static const char *
after_time(const char *line)
{
	const char *end = *line == '[' ? strchr(line, ']') : NULL;

	return end ? end + 1 + strspn(end + 1, " ") : line;
}

static void
add_xid(const char *line, const char *at, struct kmsg *out)
{
	struct kmsg_xid xid = { .nvswitch = strstr(line, "SXid") != NULL };

	/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
	if (sscanf(at, "Xid (PCI:%23[0-9a-fA-F:.]): %9u", xid.address, &xid.number) != 2)
		return;
	xid.text = xstrdup(after_time(line));
	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = xid;
}

static bool
is_bar(const char *line)
{
	return (strstr(line, "BAR ") && (strstr(line, "failed to assign") || strstr(line, "no space for"))) ||
	       strstr(line, "BAR0 is 0M") || strstr(line, "BAR1 is 0M");
}

void
kmsg_parse(const char *text, struct kmsg *out)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;

	*out = (struct kmsg){ 0 };
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *at = strstr(line, "Xid (PCI:");
		if (at)
			add_xid(line, at, out);
		if (!out->bar && is_bar(line))
			out->bar = xstrdup(after_time(line));
	}
}

void
kmsg_free(struct kmsg *kmsg)
{
	for (size_t i = 0; i < kmsg->n; i++)
		free(kmsg->v[i].text);
	free(kmsg->v);
	free(kmsg->bar);
	*kmsg = (struct kmsg){ 0 };
}
