/* since.c - since when items are not right: kept in the reports themselves, from one to the next. */

#include <string.h>

#include "common/mem.h"
#include "controller/fleet/impl.h"

/* fn() for every item of 'report'. */
static void
each_item(Gdr__Report *report, void (*fn)(void *arg, const char *layer, Gdr__Item *item), void *arg)
{
	for (size_t i = 0; i < report->n_layers; i++)
		for (size_t j = 0; j < report->layers[i]->n_items; j++)
			fn(arg, report->layers[i]->name, report->layers[i]->items[j]);
}

static char *
name_of(const char *layer, const Gdr__Item *item)
{
	return xasprintf("%s %s", layer ? layer : "", item->key ? item->key : "");
}

static void
remember(void *arg, const char *layer, Gdr__Item *item)
{
	zhashx_t *dates = arg;

	if (!item->has_since_ms)
		return;
	auto_free char *name = name_of(layer, item);
	(void)zhashx_insert(dates, name, item);
}

struct dating {
	zhashx_t *dates; /* "LAYER KEY" -> its Item in the report before. */
	uint64_t now_ms;
};

/* Whatever the agent says of it: this is ours to say. */
static void
date(void *arg, const char *layer, Gdr__Item *item)
{
	const struct dating *dating = arg;

	item->has_since_ms = item->fix != GDR__FIX__FIX_NONE;
	item->since_ms = 0;
	if (!item->has_since_ms)
		return;
	auto_free char *name = name_of(layer, item);
	const Gdr__Item *before = zhashx_lookup(dating->dates, name);
	item->since_ms = before ? before->since_ms : dating->now_ms;
}

void
fleet_date_report(Gdr__Report *news, Gdr__Report *before, uint64_t now_ms)
{
	struct dating dating = { .dates = zhashx_new(), .now_ms = now_ms };

	if (before)
		each_item(before, remember, dating.dates);
	each_item(news, date, &dating);
	zhashx_destroy(&dating.dates);
}

static void
hide(void *arg, const char *layer, Gdr__Item *item)
{
	bool *any = arg;

	(void)layer;
	*any = *any || item->has_since_ms;
	item->has_since_ms = false;
}

static void
unhide(void *arg, const char *layer, Gdr__Item *item)
{
	(void)arg;
	(void)layer;
	item->has_since_ms = item->since_ms > 0;
}

void
fleet_report_digest(Gdr__Report *report, const uint8_t *packed, size_t len, uint8_t digest[PB_DIGEST_LEN])
{
	bool any = false;

	each_item(report, hide, &any);
	if (any) {
		size_t sent_len;
		auto_free uint8_t *sent = pb_pack(&report->base, &sent_len);

		pb_digest(sent, sent_len, digest);
	} else {
		pb_digest(packed, len, digest);
	}
	each_item(report, unhide, NULL);
}
