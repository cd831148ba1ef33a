#include "agent/mended.h"

#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/pb.h"

#define MENDED_MAX 8

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
append(Gdr__Report *report, Gdr__Mended *mended)
{
	report->mended = xrealloc(report->mended, report->n_mended + 1, sizeof(Gdr__Mended *));
	report->mended[report->n_mended++] = mended;
}

void
mended_add(Gdr__Report *report, const char *layer, const char *key, const char *had, const char *have)
{
	Gdr__Mended *mended = xcalloc(1, sizeof(*mended));

	gdr__mended__init(mended);
	mended->layer = xstrdup(layer);
	mended->key = xstrdup(key);
	mended->had = xstrdup(had);
	mended->have = xstrdup(have);
	mended->has_at_ms = true;
	mended->at_ms = now_ms();
	append(report, mended);
}

static const Gdr__LayerReport *
layer_of(const Gdr__Report *report, const char *name)
{
	for (size_t i = 0; report && i < report->n_layers; i++)
		if (report->layers[i]->name && strcmp(report->layers[i]->name, name) == 0)
			return report->layers[i];
	return NULL;
}

static const Gdr__Item *
item_of(const Gdr__LayerReport *layer, const char *key)
{
	for (size_t i = 0; layer && i < layer->n_items; i++)
		if (layer->items[i]->key && strcmp(layer->items[i]->key, key) == 0)
			return layer->items[i];
	return NULL;
}

static bool
same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* In this boot, and is wanted as it was: else what changed it was the boot or a new spec, and no other hand. */
static bool
was_right(const Gdr__Report *last, const Gdr__Report *report, const Gdr__Mended *mended)
{
	const Gdr__Item *was = item_of(layer_of(last, mended->layer), mended->key);
	const Gdr__Item *is = item_of(layer_of(report, mended->layer), mended->key);

	bool same_boot = last && same(last->boot_id, report->boot_id);

	return same_boot && was && is && was->fix == GDR__FIX__FIX_NONE && same(was->want, is->want);
}

static void
drop_oldest(Gdr__Report *report, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pb_free(&report->mended[i]->base);
	report->n_mended -= n;
	memmove(report->mended, report->mended + n, report->n_mended * sizeof(Gdr__Mended *));
}

size_t
mended_carry(const Gdr__Report *last, Gdr__Report *report)
{
	auto_free Gdr__Mended **found = report->mended;
	size_t n = report->n_mended;
	size_t n_new = 0;

	report->mended = NULL;
	report->n_mended = 0;
	for (size_t i = 0; last && i < last->n_mended; i++)
		append(report, (Gdr__Mended *)pb_copy(&last->mended[i]->base));
	for (size_t i = 0; i < n; i++)
		if (was_right(last, report, found[i])) {
			append(report, found[i]);
			n_new++;
		} else {
			pb_free(&found[i]->base);
		}
	if (report->n_mended > MENDED_MAX)
		drop_oldest(report, report->n_mended - MENDED_MAX);
	return n_new < MENDED_MAX ? n_new : MENDED_MAX;
}
