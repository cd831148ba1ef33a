#include "agent/textfile.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/pbtext.h"

static void
head(struct buf *out, const char *name, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void
one(struct buf *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, help);
	buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void
outcomes(struct buf *out, const Gdr__Report *report)
{
	head(out, "gdr_agent_outcome", "Outcome of the newest look: 1 at the one that it was.");
	for (int i = GDR__OUTCOME__OUTCOME_SETTLED; i <= GDR__OUTCOME__OUTCOME_STUCK; i++)
		buf_printf(out, "gdr_agent_outcome{outcome=\"%s\"} %d\n", pbtext_enum(&gdr__outcome__descriptor, i),
			   (int)report->outcome == i);
}

static void
items(struct buf *out, const Gdr__Report *report)
{
	head(out, "gdr_agent_items", "Items by layer and what it takes to put them right.");
	for (size_t i = 0; i < report->n_layers; i++)
		for (int fix = GDR__FIX__FIX_NONE; fix <= GDR__FIX__FIX_MANUAL; fix++) {
			unsigned n = 0;

			for (size_t j = 0; j < report->layers[i]->n_items; j++)
				n += (int)report->layers[i]->items[j]->fix == fix;
			buf_printf(out, "gdr_agent_items{fix=\"%s\",layer=\"%s\"} %u\n",
				   pbtext_enum(&gdr__fix__descriptor, fix), report->layers[i]->name, n);
		}
}

static void
failures(struct buf *out, const Gdr__Report *report)
{
	head(out, "gdr_agent_layer_failed", "The layer could not look, or what it changed did not take.");
	for (size_t i = 0; i < report->n_layers; i++)
		buf_printf(out, "gdr_agent_layer_failed{layer=\"%s\"} %d\n", report->layers[i]->name,
			   report->layers[i]->error != NULL);
}

void
textfile_print(const Gdr__Report *report, uint64_t now_s, struct buf *out)
{
	outcomes(out, report);
	if (report->n_layers > 0) {
		items(out, report);
		failures(out, report);
	}
	one(out, "gdr_agent_generation", "What the newest look was measured against.", report->generation);
	one(out, "gdr_agent_reboots_used", "Reboots for what is wanted now.", report->reboots_used);
	one(out, "gdr_agent_reboot_budget", "Reboots that are allowed for it.", report->reboot_budget);
	one(out, "gdr_agent_look_timestamp_seconds", "When the newest look ended, in Unix time.", now_s);
}

int
textfile_write(const char *path, const Gdr__Report *report, uint64_t now_s, struct err *err)
{
	struct buf text = { 0 };

	textfile_print(report, now_s, &text);
	int rc = file_replace(path, text.text, text.len, 0644, err);
	buf_free(&text);
	return rc;
}
