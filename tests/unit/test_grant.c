/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/grant.h"

/* Of the fleet, and of a rack. */
static const char *const r7[] = { "", "r7" };
static const char *const r8[] = { "", "r8" };
static const char *const no_rack[] = { "", NULL };

static struct grant_node
wants(const char *name, const char *const *rack, uint64_t since)
{
	return (struct grant_node){ .name = name, .values = rack, .wants = true, .wants_since_ms = since };
}

static struct grant_node
opened(const char *name, const char *const *rack)
{
	return (struct grant_node){ .name = name, .values = rack, .open = true };
}

/* "n1 n2": the names of those that may. */
static void
decides(unsigned max, unsigned max_rack, struct grant_node *nodes, size_t n, const char *want)
{
	const struct grant_limit limits[] = { { .max = max }, { .label = "rack", .max = max_rack } };
	struct buf have = { 0 };

	grant_decide(limits, 2, nodes, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(!nodes[i].granted || !nodes[i].why[0]);
		if (nodes[i].granted)
			buf_printf(&have, "%s%s", have.len ? " " : "", nodes[i].name);
	}
	auto_free char *text = buf_steal(&have);
	assert_string_equal(text, want);
}

static void
the_oldest_wish_comes_first(void **state)
{
	struct grant_node nodes[] = { wants("n3", no_rack, 5), wants("n2", no_rack, 9), wants("n1", no_rack, 5) };

	(void)state;
	decides(1, 1, nodes, 3, "n1");
	assert_string_equal(nodes[0].why, "waits: 1 of 1 nodes of the fleet may reboot at once (n1 is)");
	decides(2, 1, nodes, 3, "n3 n1");
	assert_string_equal(nodes[1].why, "waits: 2 of 2 nodes of the fleet may reboot at once (n1 and 1 more are)");
	decides(9, 1, nodes, 3, "n3 n2 n1");
	decides(0, 1, nodes, 3, "");
	assert_string_equal(nodes[1].why, "waits: no node of the fleet may reboot, the limit is 0");
	decides(1, 1, nodes, 0, "");
}

static void
open_grants_count(void **state)
{
	struct grant_node nodes[] = { opened("n1", no_rack), wants("n2", no_rack, 1), opened("n0", no_rack) };

	(void)state;
	decides(2, 1, nodes, 3, "");
	assert_string_equal(nodes[1].why, "waits: 2 of 2 nodes of the fleet may reboot at once (n0 and 1 more are)");
	decides(1, 1, nodes, 3, ""); /* The limit was lowered: nobody loses a grant, nobody gets one. */
	assert_string_equal(nodes[1].why, "waits: 2 of 1 nodes of the fleet may reboot at once (n0 and 1 more are)");
	assert_string_equal(nodes[0].why, "");
	decides(3, 1, nodes, 3, "n2");
	nodes[0].wants = true; /* It has what it wants. */
	decides(3, 1, nodes, 3, "n2");
}

static void
one_of_a_rack(void **state)
{
	struct grant_node nodes[] = { opened("n3", r7), wants("n4", r7, 1), wants("n5", r8, 2), wants("n6", r8, 3),
				      wants("n7", no_rack, 4) };

	(void)state;
	decides(9, 1, nodes, 5, "n5 n7");
	assert_string_equal(nodes[1].why, "waits: 1 of 1 nodes with rack=r7 may reboot at once (n3 is)");
	assert_string_equal(nodes[3].why, "waits: 1 of 1 nodes with rack=r8 may reboot at once (n5 is)");
	decides(9, 2, nodes, 5, "n4 n5 n6 n7");
	decides(9, 0, nodes, 5, "n7");
	assert_string_equal(nodes[1].why, "waits: no node with rack=r7 may reboot, the limit is 0");
}

static void
held_nodes_get_none(void **state)
{
	struct grant_node nodes[] = { wants("n1", r7, 1), wants("n2", r7, 2), { .name = "n3", .values = r7 } };

	(void)state;
	nodes[0].waits_for = "the node is held";
	decides(1, 1, nodes, 3, "n2");
	assert_string_equal(nodes[0].why, "waits: the node is held");
	assert_string_equal(nodes[2].why, "");
}

/* A rollout that lets one of a rack be away holds for reboots that nobody told it of. */
static void
a_rollout_limits_reboots_too(void **state)
{
	static const struct grant_limit limits[] = { { .max = 9 }, { .label = "rack", .max = 1, .rollout = "x" } };
	struct grant_node nodes[] = { wants("n1", r7, 1),
				      wants("n2", r7, 2),
				      wants("n3", r8, 3),
				      { .name = "n4", .values = r7, .moved = true } };

	(void)state;
	grant_decide(limits, 2, nodes, 4);
	assert_string_equal(nodes[0].why,
			    "waits: 1 of 1 nodes with rack=r7 may be away at once while rollout x runs (n4 is)");
	assert_false(nodes[1].granted);
	assert_true(nodes[2].granted);

	nodes[3].wants = true; /* It has its place. */
	grant_decide(limits, 2, nodes, 4);
	assert_true(nodes[3].granted);
	assert_false(nodes[0].granted || nodes[1].granted);

	nodes[0].open = true; /* But two do not reboot at once, */
	grant_decide(limits, 2, nodes, 4);
	assert_string_equal(nodes[3].why,
			    "waits: 1 of 1 nodes with rack=r7 may be away at once while rollout x runs (n1 is)");
	nodes[0].late = true; /* unless the other may never come back. */
	grant_decide(limits, 2, nodes, 4);
	assert_true(nodes[3].granted);
	assert_false(nodes[1].granted);
}

static void
long_names_are_cut(void **state)
{
	char name[400];
	const char *const rack[] = { "", name };
	struct grant_node nodes[] = { opened(name, rack), wants("n1", rack, 2) };
	const struct grant_limit limits[] = { { .max = 9 }, { .label = name, .max = 1, .rollout = name } };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	grant_decide(limits, 2, nodes, 2);
	assert_false(nodes[1].granted);
	assert_true(strlen(nodes[1].why) < sizeof(nodes[1].why));
}

/* --- any fleet ------------------------------------------------------------------------------------------ */

#define MANY   40
#define LIMITS 5

struct fleet {
	struct grant_node nodes[MANY];
	char names[MANY][8];
	const char *values[MANY][LIMITS];
	struct grant_limit limits[LIMITS];
	size_t n_limits;
	size_t n;
};

static unsigned
dice(uint64_t *seed, unsigned sides)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(*seed >> 33) % sides;
}

static void
throw_fleet(struct fleet *f, uint64_t seed)
{
	static const char *const labels[LIMITS] = { NULL, "rack", "leaf", NULL, "rack" };
	static const char *const values[] = { NULL, "", "a", "b", "c", "d" };

	f->n = dice(&seed, MANY + 1);
	f->n_limits = dice(&seed, LIMITS + 1);
	for (size_t l = 0; l < LIMITS; l++)
		f->limits[l] = (struct grant_limit){ .label = labels[l],
						     .max = dice(&seed, labels[l] ? 6 : 12),
						     .rollout = l >= 3 ? "x" : NULL };
	for (size_t i = 0; i < f->n; i++) {
		(void)snprintf(f->names[i], sizeof(f->names[i]), "n%zu", (i * 7) % MANY);
		for (size_t l = 0; l < LIMITS; l++)
			f->values[i][l] = labels[l] ? values[dice(&seed, 6)] : "";
		f->nodes[i] = (struct grant_node){ .name = f->names[i],
						   .values = f->values[i],
						   .open = dice(&seed, 8) == 0,
						   .late = dice(&seed, 2) == 0,
						   .moved = dice(&seed, 4) == 0,
						   .wants = dice(&seed, 2) == 0,
						   .waits_for = dice(&seed, 8) == 0 ? "its window" : NULL,
						   .wants_since_ms = dice(&seed, 10) };
	}
}

/* It takes a place from 'asking'. */
static bool
is_counted(const struct grant_limit *limit, const struct grant_node *node, const struct grant_node *asking)
{
	if (node->granted || (node->open && !(limit->rollout && node->late)))
		return true;
	return limit->rollout && node->moved && !asking->moved;
}

/* Of the nodes that share 'node's value, those that take a place from it, and itself if it has a grant. */
static unsigned
busy(const struct fleet *f, const struct grant_node *node, size_t limit)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const char *value = f->nodes[i].values[limit];

		n += value && strcmp(value, node->values[limit]) == 0 &&
		     is_counted(&f->limits[limit], &f->nodes[i], node);
	}
	return n;
}

/* The limits that are full (below: exceeded) for 'node'. */
static unsigned
full(const struct fleet *f, const struct grant_node *node, unsigned more)
{
	unsigned n = 0;

	for (size_t l = 0; l < f->n_limits; l++)
		n += node->values[l] && busy(f, node, l) >= f->limits[l].max + more;
	return n;
}

static bool
may_ask(const struct grant_node *node)
{
	return node->wants && !node->open && !node->waits_for;
}

static bool
before(const struct grant_node *a, const struct grant_node *b)
{
	return a->wants_since_ms < b->wants_since_ms ||
	       (a->wants_since_ms == b->wants_since_ms && strcmp(a->name, b->name) < 0);
}

/* Taken back, in reverse order of their coming, no later grant was at the cost of an earlier wish. */
static void
nobody_was_passed_over(struct fleet *f, const struct grant_node *node)
{
	bool granted[MANY];

	for (size_t i = 0; i < f->n; i++) {
		granted[i] = f->nodes[i].granted;
		if (before(node, &f->nodes[i]))
			f->nodes[i].granted = false;
	}
	assert_true(full(f, node, 0) > 0);
	for (size_t i = 0; i < f->n; i++)
		f->nodes[i].granted = granted[i];
}

static void
any_fleet_keeps_its_budget_and_uses_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++) {
		struct fleet f;

		throw_fleet(&f, seed);
		grant_decide(f.limits, f.n_limits, f.nodes, f.n);
		for (size_t i = 0; i < f.n; i++) {
			struct grant_node *node = &f.nodes[i];

			assert_true(may_ask(node) || !node->granted);
			assert_int_equal(node->why[0] != '\0', node->wants && !node->open && !node->granted);
			if (node->granted)
				assert_int_equal(full(&f, node, 1), 0);
			else if (may_ask(node))
				nobody_was_passed_over(&f, node);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_wish_comes_first),
		cmocka_unit_test(open_grants_count),
		cmocka_unit_test(one_of_a_rack),
		cmocka_unit_test(held_nodes_get_none),
		cmocka_unit_test(a_rollout_limits_reboots_too),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(any_fleet_keeps_its_budget_and_uses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
