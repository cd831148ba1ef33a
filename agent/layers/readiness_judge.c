/* readiness_judge.c - what several checks of layer readiness stand on. */

#include "agent/layers/readiness_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

void
ready_set(struct ready_finding *out, enum ready_state state, const char *expected, const char *actual, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, actual);
	(void)vsnprintf(text, sizeof(text), actual, ap);
	va_end(ap);
	free(out->expected);
	free(out->actual);
	out->state = state;
	out->expected = xstrdup(expected);
	out->actual = xstrdup(text);
}

void
ready_skip(struct ready_finding *out, const char *why)
{
	ready_set(out, READY_SKIPPED, "-", "%s", why);
}

void
ready_finding_free(struct ready_finding *found)
{
	free(found->expected);
	free(found->actual);
	free(found->evidence);
}

size_t
ready_on_bus(const struct ready_look *look, Gdr__PciDevice__Kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < look->machine->inventory->n_pci; i++)
		n += look->machine->inventory->pci[i]->kind == kind;
	return n;
}

bool
ready_no_answer(const struct ready_look *look, struct ready_finding *out)
{
	if (!look->no_gpus.code)
		return false;
	ready_set(out, READY_UNKNOWN, "an answer of the driver", "%s", look->no_gpus.msg);
	return true;
}

const char *
ready_driver_version(const struct ready_look *look)
{
	const char *version = NULL;

	for (size_t i = 0; i < look->gpus.n && !version; i++)
		version = nvsmi_value(&look->gpus.v[i], NVSMI_DRIVER);
	return version;
}

void
ready_each_gpu(const struct ready_look *look, struct ready_finding *out, const char *expected,
	       char *(*bad)(const struct nvsmi_gpu *gpu, bool *unknown))
{
	bool unknown = false;
	size_t n = 0;

	if (ready_no_answer(look, out))
		return;
	for (size_t i = 0; i < look->gpus.n; i++) {
		if (look->gpus.v[i].lost)
			continue;
		auto_free char *what = bad(&look->gpus.v[i], &unknown);
		n++;
		if (what) {
			ready_set(out, READY_FAIL, expected, "%s: %s", look->gpus.v[i].address, what);
			return;
		}
	}
	ready_set(out, unknown || n == 0 ? READY_UNKNOWN : READY_PASS, expected,
		  unknown ? "the driver does not tell" : "%zu GPUs", n);
}

#define HOST(name)
#define GUEST(name) extern const struct layer layer_##name;
#include "common/layers.def"
#undef GUEST
#define GUEST(name) { #name, &layer_##name },
static const struct named_layer guest_layers[] = {
#include "common/layers.def"
};
#undef GUEST

static const struct layer *
find_layer(const char *name)
{
	for (size_t i = 0; i < sizeof(guest_layers) / sizeof(guest_layers[0]); i++)
		if (strcmp(guest_layers[i].name, name) == 0)
			return guest_layers[i].layer;
	return NULL;
}

static void
judge_item(const struct item *item, enum ready_state state, struct ready_finding *out)
{
	ready_set(out, state, item->want, "%s: %s", item->key, item->have);
	free(out->evidence);
	out->evidence = item->why ? xstrdup(item->why) : NULL;
}

void
ready_judge_items(const struct report *report, bool (*mine)(const char *key), struct ready_finding *out)
{
	const struct item *clamped = NULL;
	size_t n = 0;

	for (size_t i = 0; i < report->n; i++) {
		const struct item *item = &report->items[i];
		if (mine && !mine(item->key))
			continue;
		n++;
		if (item->fix != FIX_NONE) {
			judge_item(item, READY_FAIL, out);
			return;
		}
		clamped = !clamped && item->clamped ? item : clamped;
	}
	if (n == 0)
		ready_skip(out, "the profile asks for none of it");
	else if (clamped)
		judge_item(clamped, READY_CLAMPED, out);
	else
		ready_set(out, READY_PASS, "as in the profile", "%zu items", n);
}

void
ready_judge_layer(const struct ready_look *look, const Gdr__Spec *spec, const char *name, bool (*mine)(const char *key),
		  struct ready_finding *out)
{
	const struct layer *layer = find_layer(name);
	struct report report = { 0 };
	struct err err = { 0 };

	if (!layer || !layer->wanted(spec))
		ready_skip(out, "the profile asks for none of it");
	else if (layer->inspect(look->machine, spec, &report, &err) < 0)
		ready_set(out, READY_UNKNOWN, "as in the profile", "%s", err.msg);
	else
		ready_judge_items(&report, mine, out);
	report_free(&report);
}
