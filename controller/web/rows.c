#include "controller/web/rows.h"

#include <czmq.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/fleet/query.h"

struct row {
	char *name;
	char *text;
	uint64_t serial;
	uint64_t version;    /* Of the node, when it was rendered. */
	int64_t rendered_ms; /* zclock_mono() */
};

struct rows {
	struct fleet *fleet;
	zhashx_t *all; /* name -> struct row */
	uint64_t serial;
	uint64_t reset;   /* Serial at which rows went. */
	uint64_t version; /* The fleet's, all of which is rendered. */
	uint64_t removed;
};

struct late {
	const struct node *node;
	int64_t rendered_ms;
};

static void
row_free(void **item)
{
	struct row *row = *item;

	free(row->name);
	free(row->text);
	free(row);
	*item = NULL;
}

/* --- rendering ----------------------------------------------------------------------------------------------- */

static void
forget(char **text)
{
	free(*text);
	*text = NULL;
}

/* What changes without being seen in a matrix, or can be had by asking for the node. */
static void
strip(Gdr__NodeView *view)
{
	forget(&view->key);
	forget(&view->version);
	forget(&view->boot_id);
	forget(&view->remedy);
	view->has_seen_ms = view->has_granted_ms = view->has_reboots_used = view->has_reboot_budget = false;
	view->has_cloned = view->cloned;
	view->has_unconfirmed = view->unconfirmed;
	view->has_generation = view->has_observed_generation = false;
	if (view->state == GDR__NODE_STATE__NODE_READY)
		forget(&view->why);
	for (size_t i = 0; i < view->n_layers; i++) {
		view->layers[i]->has_right = false;
		view->layers[i]->has_wrong = view->layers[i]->wrong > 0;
		view->layers[i]->has_worst = view->layers[i]->wrong > 0;
	}
}

static void
render(struct rows *rows, const struct node *node, uint64_t now_ms)
{
	auto_pb Gdr__NodeView *view = fleet_view(rows->fleet, node, now_ms, false);
	auto_buf struct buf text = { 0 };
	struct row *row = zhashx_lookup(rows->all, node->name);

	strip(view);
	pbtext_print(&view->base, NULL, PBTEXT_JSON_LINE, &text);
	if (!row) {
		row = xcalloc(1, sizeof(*row));
		row->name = xstrdup(node->name);
		(void)zhashx_insert(rows->all, node->name, row);
	}
	row->version = node->changed;
	row->rendered_ms = zclock_mono();
	if (row->text && strcmp(row->text, text.text) == 0)
		return;
	free(row->text);
	row->text = buf_steal(&text);
	row->serial = ++rows->serial;
}

static void
drop_removed(struct rows *rows)
{
	zlistx_t *gone = zlistx_new();

	for (struct row *row = zhashx_first(rows->all); row; row = zhashx_next(rows->all))
		if (!fleet_node(rows->fleet, row->name))
			(void)zlistx_add_end(gone, row);
	for (struct row *row = zlistx_first(gone); row; row = zlistx_next(gone))
		zhashx_delete(rows->all, row->name);
	zlistx_destroy(&gone);
	rows->removed = fleet_removed_version(rows->fleet);
	rows->reset = ++rows->serial;
}

static int
by_lateness(const void *a, const void *b)
{
	const struct late *x = a;
	const struct late *y = b;

	return (x->rendered_ms > y->rendered_ms) - (x->rendered_ms < y->rendered_ms);
}

void
rows_update(struct rows *rows, uint64_t now_ms, int64_t budget_ms)
{
	uint64_t version = fleet_version(rows->fleet);
	int64_t end = zclock_mono() + budget_ms;
	auto_free struct late *late = NULL;
	size_t n = 0;
	size_t done = 0;

	if (rows->version == version && zhashx_size(rows->all) == fleet_size(rows->fleet))
		return;
	if (rows->removed != fleet_removed_version(rows->fleet))
		drop_removed(rows);
	late = xcalloc(fleet_size(rows->fleet) + 1, sizeof(*late));
	for (struct node *node = fleet_first(rows->fleet); node; node = fleet_next(rows->fleet)) {
		const struct row *row = zhashx_lookup(rows->all, node->name);

		if (!row || row->version != node->changed)
			late[n++] = (struct late){ node, row ? row->rendered_ms : 0 };
	}
	qsort(late, n, sizeof(*late), by_lateness);
	while (done < n && zclock_mono() <= end)
		render(rows, late[done++].node, now_ms);
	if (done == n)
		rows->version = version;
}

/* --- telling --------------------------------------------------------------------------------------------------- */

uint64_t
rows_serial(const struct rows *rows)
{
	return rows->serial;
}

bool
rows_must_reset(const struct rows *rows, uint64_t since)
{
	return since < rows->reset || since > rows->serial;
}

static int
by_serial(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a;
	const struct row *y = *(struct row *const *)b;

	return (x->serial > y->serial) - (x->serial < y->serial);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct row *const *)a)->name, (*(struct row *const *)b)->name);
}

uint64_t
rows_print(const struct rows *rows, uint64_t since, size_t max, struct buf *out)
{
	auto_free const struct row **found = xcalloc(zhashx_size(rows->all) + 1, sizeof(struct row *));
	size_t n = 0;

	for (struct row *row = zhashx_first(rows->all); row; row = zhashx_next(rows->all))
		if (row->serial > since)
			found[n++] = row;
	qsort(found, n, sizeof(struct row *), since ? by_serial : by_name);
	for (size_t i = 0; i < n && i < max; i++) {
		buf_puts(out, i ? ",\n" : "");
		buf_puts(out, found[i]->text);
	}
	return n > max && max > 0 ? found[max - 1]->serial : rows->serial;
}

struct rows *
rows_new(struct fleet *fleet)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));

	rows->fleet = fleet;
	rows->all = zhashx_new();
	zhashx_set_destructor(rows->all, row_free);
	return rows;
}

void
rows_free(struct rows *rows)
{
	if (!rows)
		return;
	zhashx_destroy(&rows->all);
	free(rows);
}
