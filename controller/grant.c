/* grant.c - nodes are counted by group: for each limit those that share a value. */

#include "controller/grant.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/mem.h"

struct tally {
	unsigned n;
	const char *who; /* One of them, for the message: the first by name. */
};
struct group {
	const char *value;
	struct tally open; /* Grants. */
	struct tally busy; /* The same, and what a rollout moves. */
};

struct counts {
	const struct grant_limit *limits;
	size_t n_limits;
	struct group **groups; /* Per limit: its values, sorted. */
	size_t *n_groups;
};

static int
by_value(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->value, ((const struct group *)b)->value);
}

static struct group *
group_of(const struct counts *counts, size_t limit, const struct grant_node *node)
{
	const struct group key = { .value = node->values[limit] };

	if (!key.value)
		return NULL;
	return bsearch(&key, counts->groups[limit], counts->n_groups[limit], sizeof(key), by_value);
}

static void
count(struct tally *tally, const char *name)
{
	tally->n++;
	if (!tally->who || strcmp(name, tally->who) < 0)
		tally->who = name;
}

static void
count_node(struct counts *counts, const struct grant_node *node)
{
	for (size_t i = 0; i < counts->n_limits; i++) {
		struct group *group = group_of(counts, i, node);
		bool open = node->granted || (node->open && !(node->late && counts->limits[i].rollout));

		if (group && open)
			count(&group->open, node->name);
		if (group &&
		    (node->granted ? !node->moved : open || node->moved)) /* What is moved is counted already. */
			count(&group->busy, node->name);
	}
}

/* The values of one limit that occur. */
static void
find_groups(struct counts *counts, size_t limit, const struct grant_node *nodes, size_t n)
{
	struct group *groups = xcalloc(n + 1, sizeof(*groups));
	size_t all = 0;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (nodes[i].values[limit])
			groups[all++].value = nodes[i].values[limit];
	qsort(groups, all, sizeof(*groups), by_value);
	for (size_t i = 0; i < all; i++)
		if (kept == 0 || by_value(&groups[kept - 1], &groups[i]) != 0)
			groups[kept++] = groups[i];
	counts->groups[limit] = groups;
	counts->n_groups[limit] = kept;
}

static void
say_full(const struct grant_limit *limit, const char *value, const struct tally *tally, struct grant_node *node)
{
	auto_buf struct buf of = { 0 };
	auto_buf struct buf why = { 0 };

	if (limit->label)
		buf_printf(&of, "with %s=%s", limit->label, value);
	else
		buf_puts(&of, "of the fleet");
	if (limit->max == 0) {
		(void)snprintf(node->why, sizeof(node->why), "waits: no node %s may reboot, the limit is 0", of.text);
		return;
	}
	if (limit->rollout)
		buf_printf(&why, "%u of %u nodes %s may be away at once while rollout %s runs", tally->n, limit->max,
			   of.text, limit->rollout);
	else
		buf_printf(&why, "%u of %u nodes %s may reboot at once", tally->n, limit->max, of.text);
	if (tally->n == 1)
		buf_printf(&why, " (%s is)", tally->who);
	else if (tally->n > 1)
		buf_printf(&why, " (%s and %u more are)", tally->who, tally->n - 1);
	(void)snprintf(node->why, sizeof(node->why), "waits: %s", why.text);
}

static bool
may(const struct counts *counts, struct grant_node *node)
{
	for (size_t i = 0; i < counts->n_limits; i++) {
		const struct grant_limit *limit = &counts->limits[i];
		const struct group *group = group_of(counts, i, node);
		const struct tally *tally = NULL;

		if (!group)
			continue;
		tally = limit->rollout && !node->moved ? &group->busy : &group->open;
		if (tally->n < limit->max)
			continue;
		say_full(limit, group->value, tally, node);
		return false;
	}
	return true;
}

static int
by_wish(const void *a, const void *b)
{
	const struct grant_node *const *left = a;
	const struct grant_node *const *right = b;

	if ((*left)->wants_since_ms != (*right)->wants_since_ms)
		return (*left)->wants_since_ms < (*right)->wants_since_ms ? -1 : 1;
	return strcmp((*left)->name, (*right)->name);
}

/* Those that may get one, in the order in which they may; how many. */
static size_t
line_up(struct grant_node *nodes, size_t n, struct grant_node **line)
{
	size_t n_line = 0;

	for (size_t i = 0; i < n; i++) {
		nodes[i].granted = false;
		nodes[i].why[0] = '\0';
		if (!nodes[i].wants || nodes[i].open)
			continue;
		if (nodes[i].waits_for)
			(void)snprintf(nodes[i].why, sizeof(nodes[i].why), "waits: %s", nodes[i].waits_for);
		else
			line[n_line++] = &nodes[i];
	}
	qsort(line, n_line, sizeof(struct grant_node *), by_wish);
	return n_line;
}

void
grant_decide(const struct grant_limit *limits, size_t n_limits, struct grant_node *nodes, size_t n)
{
	auto_free struct group **groups = xcalloc(n_limits + 1, sizeof(struct group *));
	auto_free size_t *n_groups = xcalloc(n_limits + 1, sizeof(*n_groups));
	auto_free struct grant_node **line = xcalloc(n + 1, sizeof(struct grant_node *));
	struct counts counts = { limits, n_limits, groups, n_groups };
	size_t n_line = line_up(nodes, n, line);

	for (size_t i = 0; i < n_limits; i++)
		find_groups(&counts, i, nodes, n);
	for (size_t i = 0; i < n; i++)
		count_node(&counts, &nodes[i]);
	for (size_t i = 0; i < n_line; i++) {
		line[i]->granted = may(&counts, line[i]);
		if (line[i]->granted)
			count_node(&counts, line[i]);
	}
	for (size_t i = 0; i < n_limits; i++)
		free(groups[i]);
}
