/* cmd_window.c - gdrctl window list, remove. */

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/cells.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"

#define WINDOW(message) (((const Gdr__WindowView *)(message))->window)

CELL_OF(cell_name, WINDOW(message)->name)
CELL(cell_open)
{
	const Gdr__WindowView *view = message;
	int64_t left = (int64_t)view->until_ms - (int64_t)ctl->ops->wall_ms(ctl->arg);

	buf_puts(out, view->open ? "open for " : "opens in ");
	pbtext_duration_print(left > 60000 ? (uint64_t)left / 60000 * 60000 : 60000, out);
}
CELL(cell_hours)
{
	const Gdr__Window *window = WINDOW(message);

	(void)ctl;
	for (size_t i = 0; i < window->n_hours; i++) {
		const Gdr__WindowHours *hours = window->hours[i];

		buf_puts(out, i ? "; " : "");
		for (size_t j = 0; j < hours->n_days; j++)
			buf_printf(out, "%s%s", j ? "," : "", pbtext_enum(&gdr__day__descriptor, (int)hours->days[j]));
		buf_printf(out, "%s%s for ", hours->n_days ? " " : "daily ", hours->start ? hours->start : "?");
		pbtext_duration_print(hours->duration, out);
	}
}
CELL_OF(cell_zone, WINDOW(message)->time_zone)
CELL_OF(cell_selector, WINDOW(message)->selector)
CELL_OF(cell_description, WINDOW(message)->description)

static enum text_colour
open_colour(const void *message)
{
	return ((const Gdr__WindowView *)message)->open ? TEXT_GREEN : TEXT_PLAIN;
}

static void
window_object(const void *message, struct buf *out)
{
	buf_printf(out, "window/%s", WINDOW(message)->name);
}

static const struct column columns[] = {
	{ "NAME", cell_name, NULL, false, false },
	{ "NOW", cell_open, open_colour, false, true },
	{ "HOURS", cell_hours, NULL, false, false },
	{ "ZONE", cell_zone, NULL, false, false },
	{ "REBOOTS OF", cell_selector, NULL, false, false },
	{ "DESCRIPTION", cell_description, NULL, true, false },
	{ 0 },
};
static const struct view view_windows = { "windows", columns, window_object,
					  "no windows: `gdrctl apply -f` a document `kind: Window` makes one", false };

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__WindowQuery query = GDR__WINDOW_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;

	request.body_case = GDR__REQUEST__BODY_WINDOWS;
	request.windows = &query;
	int rc = ctl_call(ctl, &request, &response, err);
	if (rc == 0)
		output_list(ctl, &view_windows, response);
	return rc;
}

const struct command command_window_list = {
	.name = "window list",
	.args = "",
	.help = "maintenance windows, and which are open",
	.examples = "  gdrctl window list",
	.run = run_list,
};

static int
run_remove(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__WindowRemove remove = GDR__WINDOW_REMOVE__INIT;
	const char *word = ctl->args.words[0];
	auto_free char *name = xstrdup(strncmp(word, "window/", 7) == 0 ? word + 7 : word);

	remove.name = name;
	request.body_case = GDR__REQUEST__BODY_WINDOW_REMOVE;
	request.window_remove = &remove;
	return ctl_change(ctl, &request, err);
}

const struct command command_window_remove = {
	.name = "window remove",
	.args = "NAME",
	.help = "remove a maintenance window",
	.more = "Nodes that it kept from rebooting may then reboot at any time.",
	.examples = "  gdrctl window remove nights",
	.min = 1,
	.max = 1,
	.run = run_remove,
};
