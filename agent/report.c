#include "agent/layer.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"
#include "common/pb.h"

void
report_add(struct report *out, const char *key, const char *want, const char *have, enum fix fix, const char *why, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, why);
	if (why)
		(void)vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	out->items = xrealloc(out->items, out->n + 1, sizeof(*out->items));
	out->items[out->n++] = (struct item){
		.key = xstrdup(key),
		.want = xstrdup(want),
		.have = xstrdup(have),
		.fix = fix,
		.why = why ? xstrdup(text) : NULL,
	};
}

void
report_free(struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		free(report->items[i].key);
		free(report->items[i].want);
		free(report->items[i].have);
		free(report->items[i].why);
		free(report->items[i].factory);
		free(report->items[i].next);
		pb_free((ProtobufCMessage *)report->items[i].check);
		free(report->items[i].unlock);
		free(report->items[i].had);
	}
	free(report->items);
	for (size_t i = 0; i < report->n_vms; i++)
		pb_free(&report->vms[i]->base);
	free(report->vms);
	*report = (struct report){ 0 };
}
