/* grant.c - open grants are counted by group: the fleet, and for each limited label the nodes of one value. */

#include "controller/grant.h"

#include <stdio.h>

#include "common/mem.h"

struct group {
	const char *value;
	unsigned open;
	const char *who; /* One of them, for the message: the first by name. */
};

struct counts {
	const struct grant_limits *limits;
	struct group fleet;
	struct group **groups; /* Per label: its values, sorted. */
	size_t *n_groups;
};

static int
by_value(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->value, ((const struct group *)b)->value);
}

static struct group *
group_of(const struct counts *counts, size_t label, const struct grant_node *node)
{
	const struct group key = { .value = node->label_values[label] };

	if (!key.value)
		return NULL;
	return bsearch(&key, counts->groups[label], counts->n_groups[label], sizeof(key), by_value);
}

static void
count(struct group *group, const char *name)
{
	group->open++;
	if (!group->who || strcmp(name, group->who) < 0)
		group->who = name;
}

static void
count_node(struct counts *counts, const struct grant_node *node)
{
	count(&counts->fleet, node->name);
	for (size_t i = 0; i < counts->limits->n_labels; i++) {
		struct group *group = group_of(counts, i, node);

		if (group)
			count(group, node->name);
	}
}

/* The values of one label that occur. */
static void
find_groups(struct counts *counts, size_t label, const struct grant_node *nodes, size_t n)
{
	struct group *groups = xcalloc(n + 1, sizeof(*groups));
	size_t all = 0;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (nodes[i].label_values[label])
			groups[all++].value = nodes[i].label_values[label];
	qsort(groups, all, sizeof(*groups), by_value);
	for (size_t i = 0; i < all; i++)
		if (kept == 0 || by_value(&groups[kept - 1], &groups[i]) != 0)
			groups[kept++] = groups[i];
	counts->groups[label] = groups;
	counts->n_groups[label] = kept;
}

static bool
is_full(const struct group *group, unsigned max, const char *of, struct grant_node *node)
{
	char who[128];

	if (group->open < max)
		return false;
	if (max == 0) {
		(void)snprintf(node->why, sizeof(node->why), "waits: no node %s may reboot, the limit is 0", of);
		return true;
	}
	if (group->open == 1)
		(void)snprintf(who, sizeof(who), "%s is", group->who);
	else
		(void)snprintf(who, sizeof(who), "%s and %u more are", group->who, group->open - 1);
	(void)snprintf(node->why, sizeof(node->why), "waits: %u of %u nodes %s may reboot at once (%s)", group->open,
		       max, of, who);
	return true;
}

static bool
may(const struct counts *counts, struct grant_node *node)
{
	if (is_full(&counts->fleet, counts->limits->max, "of the fleet", node))
		return false;
	for (size_t i = 0; i < counts->limits->n_labels; i++) {
		const struct grant_label *label = &counts->limits->labels[i];
		const struct group *group = group_of(counts, i, node);
		char of[144];

		(void)snprintf(of, sizeof(of), "with %s=%s", label->name, group ? group->value : "");
		if (group && is_full(group, label->max, of, node))
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
grant_decide(const struct grant_limits *limits, struct grant_node *nodes, size_t n)
{
	auto_free struct group **groups = xcalloc(limits->n_labels + 1, sizeof(struct group *));
	auto_free size_t *n_groups = xcalloc(limits->n_labels + 1, sizeof(*n_groups));
	auto_free struct grant_node **line = xcalloc(n + 1, sizeof(struct grant_node *));
	struct counts counts = { .limits = limits, .groups = groups, .n_groups = n_groups };
	size_t n_line = line_up(nodes, n, line);

	for (size_t i = 0; i < limits->n_labels; i++)
		find_groups(&counts, i, nodes, n);
	for (size_t i = 0; i < n; i++)
		if (nodes[i].open)
			count_node(&counts, &nodes[i]);
	for (size_t i = 0; i < n_line; i++) {
		line[i]->granted = may(&counts, line[i]);
		if (line[i]->granted)
			count_node(&counts, line[i]);
	}
	for (size_t i = 0; i < limits->n_labels; i++)
		free(groups[i]);
}
