/* watch.c - the other half of wait.h. */

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/wait.h"

#define POLL_MS 1000

/* The rows that were shown last, by name. */
struct seen {
	struct row {
		char *name;
		char *text;
		bool still;
	} * rows;
	size_t n;
};

/* All that a row says, ages apart. */
static char *
row_text(const struct ctl *ctl, const struct view *view, const void *message)
{
	struct buf out = { 0 };

	for (const struct column *c = view->columns; c->header; c++) {
		if (!c->ages)
			c->cell(ctl, message, &out);
		buf_add(&out, "\n", 1);
	}
	return buf_steal(&out);
}

static char *
row_name(const struct view *view, const void *message)
{
	struct buf out = { 0 };

	view->name(message, &out);
	return buf_steal(&out);
}

/* Lists keep their order, so 'hint' is mostly where it is. */
static struct row *
find_row(struct seen *seen, const char *name, size_t hint)
{
	if (hint < seen->n && strcmp(seen->rows[hint].name, name) == 0)
		return &seen->rows[hint];
	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->rows[i].name, name) == 0)
			return &seen->rows[i];
	seen->rows = xrealloc(seen->rows, seen->n + 1, sizeof(*seen->rows));
	seen->rows[seen->n] = (struct row){ .name = xstrdup(name) };
	return &seen->rows[seen->n++];
}

/* Is the row new or another than before?  Then it is remembered. */
static bool
changed(const struct ctl *ctl, const struct view *view, const void *message, struct seen *seen, size_t hint)
{
	auto_free char *name = row_name(view, message);
	auto_free char *text = row_text(ctl, view, message);
	struct row *row = find_row(seen, name, hint);

	row->still = true;
	if (row->text && strcmp(row->text, text) == 0)
		return false;
	free(row->text);
	row->text = steal(&text);
	return true;
}

static void
forget(struct seen *seen, size_t i)
{
	free(seen->rows[i].name);
	free(seen->rows[i].text);
	seen->rows[i] = seen->rows[--seen->n];
}

/* Rows that left the list: so that they are shown when they come again. */
static void
forget_gone(struct seen *seen)
{
	for (size_t i = seen->n; i > 0; i--) {
		if (!seen->rows[i - 1].still)
			forget(seen, i - 1);
		else
			seen->rows[i - 1].still = false;
	}
}

static void
add_changed(struct ctl *ctl, const struct view *view, const Gdr__Response *response, struct seen *seen,
	    struct widths *widths)
{
	size_t n = 0;
	const void *array = output_list_of(view, response, &n);
	auto_free const void **rows = xcalloc(n + 1, sizeof(const void *));
	size_t n_rows = 0;

	for (size_t i = 0; i < n; i++) {
		const void *message = output_item(array, i);

		if (changed(ctl, view, message, seen, i))
			rows[n_rows++] = message;
	}
	output_rows(ctl, view, rows, n_rows, widths);
	forget_gone(seen);
}

/* Does this go on?  A controller that is away comes back. */
static bool
go_on(struct ctl *ctl, int rc, struct err *failed)
{
	if (rc == CTL_NO_CONTROLLER) {
		(void)fprintf(ctl->diag, "gdrctl: %s; trying again\n", failed->msg);
		rc = 0;
	}
	return rc == 0 && fflush(ctl->out) == 0 && !ferror(ctl->out) && ctl->ops->pause(ctl->arg, POLL_MS);
}

static bool
redraws(const struct ctl *ctl)
{
	return ctl->out_tty && output_human(ctl);
}

int
watch_list(struct ctl *ctl, const struct view *view, Gdr__Request *request, struct err *err)
{
	struct widths widths = { .header = view->bare };
	struct seen seen = { 0 };
	struct err failed;
	int rc;

	do {
		auto_pb Gdr__Response *response = NULL;

		failed = (struct err){ 0 };
		rc = ctl_call(ctl, request, &response, &failed);
		if (rc == 0 && redraws(ctl)) {
			(void)fputs("\033[H\033[2J", ctl->out);
			output_list(ctl, view, response);
		} else if (rc == 0) {
			add_changed(ctl, view, response, &seen, &widths);
		}
	} while (go_on(ctl, rc, &failed));
	while (seen.n > 0)
		forget(&seen, seen.n - 1);
	free(seen.rows);
	return rc == 0 || rc == CTL_NO_CONTROLLER ? 0 : err_set(err, rc, "%s", failed.msg);
}

int
watch_screen(struct ctl *ctl, Gdr__Request *request, void (*draw)(struct ctl *ctl, const Gdr__Response *response),
	     struct err *err)
{
	struct err failed;
	int rc;

	do {
		auto_pb Gdr__Response *response = NULL;

		failed = (struct err){ 0 };
		rc = ctl_call(ctl, request, &response, &failed);
		if (rc == 0 && redraws(ctl))
			(void)fputs("\033[H\033[2J", ctl->out);
		if (rc == 0)
			draw(ctl, response);
	} while (go_on(ctl, rc, &failed));
	return rc == 0 || rc == CTL_NO_CONTROLLER ? 0 : err_set(err, rc, "%s", failed.msg);
}
