/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/layer.h"

extern const struct layer layer_hugepages;

static Gdr__HugepagesSpec pages;

static int
setup(void **state)
{
	(void)machine_setup(state);
	put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu pdpe1gb\n");
	gdr__hugepages_spec__init(&pages);
	pages.has_size = pages.has_count = true;
	pages.size = 1U << 30;
	spec.hugepages = &pages;
	return 0;
}

#define DIR_1G "/hugepages/hugepages-1048576kB/"

static void
put_node_file(unsigned node, const char *file, const char *text)
{
	auto_free char *path = xasprintf("/sys/devices/system/node/node%u%s", node, file);

	put(path, text);
}

static void
put_node(unsigned node, unsigned have, unsigned unused, unsigned free_gib)
{
	auto_free char *nr = xasprintf("%u\n", have);
	auto_free char *left = xasprintf("%u\n", unused);
	auto_free char *meminfo = xasprintf("Node %u MemTotal: 400000000 kB\nNode %u MemFree: %u kB\n", node, node,
					    free_gib << 20);

	put_node_file(node, "/meminfo", meminfo);
	put_node_file(node, DIR_1G "nr_hugepages", nr);
	put_node_file(node, DIR_1G "free_hugepages", left);
}

static void
spread_evenly_with_the_remainder_first(void **state)
{
	(void)state;
	put_node(0, 3, 3, 10);
	put_node(2, 0, 0, 10);
	put_node_file(1, "/meminfo", "Node 1 MemTotal: 0 kB\n"); /* Processors without memory. */
	pages.count = 5;
	look_well(&layer_hugepages);
	assert_int_equal(report.n, 2);
	expect_item("node0", FIX_NONE, "3");
	expect_item("node2", FIX_LIVE, "0");
	assert_string_equal(item("node2")->want, "2");
	apply_well(&layer_hugepages, "node2");
	assert_file("/sys/devices/system/node/node2" DIR_1G "nr_hugepages", "2");
	look_well(&layer_hugepages);
	expect_item("node2", FIX_NONE, "2");
}

/* 1 GiB pages at boot do not come out evenly: node 0 loses what is below 4 GiB. */
static void
an_uneven_boot_is_evened_out(void **state)
{
	(void)state;
	put_node(0, 1, 1, 10);
	put_node(1, 3, 3, 10);
	pages.count = 4;
	look_well(&layer_hugepages);
	expect_item("node0", FIX_LIVE, "1");
	expect_item("node1", FIX_LIVE, "3");
	apply_well(&layer_hugepages, "node0");
	apply_well(&layer_hugepages, "node1");
	look_well(&layer_hugepages);
	expect_item("node0", FIX_NONE, "2");
	expect_item("node1", FIX_NONE, "2");
}

static void
pages_in_use_are_never_taken(void **state)
{
	(void)state;
	put_node(0, 10, 2, 10);
	pages.count = 7;
	look_well(&layer_hugepages);
	expect_item("node0", FIX_MANUAL, "10");
	expect_why("node0", "only 2 of them are free: shut down a VM");
	put_node(0, 10, 3, 10);
	look_well(&layer_hugepages);
	expect_item("node0", FIX_LIVE, "10");
	pages.count = 0;
	put_node(0, 0, 0, 10);
	look_well(&layer_hugepages);
	expect_item("node0", FIX_NONE, "0");
}

static void
too_little_memory_is_told(void **state)
{
	(void)state;
	put_node(0, 371, 371, 3);
	pages.count = 375;
	look_well(&layer_hugepages);
	expect_item("node0", FIX_LIVE, "371");
	expect_why("node0", "only 3072 MiB of the node's memory are free");
	put_node(0, 371, 371, 4);
	look_well(&layer_hugepages);
	assert_null(item("node0")->why);
}

/* Asked before in this boot, and still short. */
static void
fragmented_memory_is_told(void **state)
{
	struct journal *journal = NULL;
	struct err err;

	(void)state;
	put_node(0, 371, 371, 10);
	pages.count = 375;
	assert_int_equal(journal_open(NULL, "boot", &journal, &err), 0);
	assert_int_equal(journal_change(journal, "hugepages", "node0", "0", "375", false, &err), 0);
	machine.journal = journal;
	look_well(&layer_hugepages);
	expect_item("node0", FIX_LIVE, "371");
	expect_why("node0", "the kernel could give only 371 of 375: memory is fragmented");
	drop("/sys/devices/system/node/node0" DIR_1G "nr_hugepages");
	assert_int_equal(apply(&layer_hugepages, "node0", &err), -ENOENT);
	journal_free(journal);
}

static void
per_node(void **state)
{
	Gdr__HugepagesSpec__PerNodeEntry a = GDR__HUGEPAGES_SPEC__PER_NODE_ENTRY__INIT;
	Gdr__HugepagesSpec__PerNodeEntry b = GDR__HUGEPAGES_SPEC__PER_NODE_ENTRY__INIT;
	Gdr__HugepagesSpec__PerNodeEntry *map[] = { &a, &b };
	char one[] = "1";
	char seven[] = "7";
	char many[] = "375";

	(void)state;
	a.key = one;
	a.value = many;
	b.key = seven;
	b.value = many;
	pages.has_count = false;
	pages.per_node = map;
	pages.n_per_node = 2;
	put_node(0, 0, 0, 10);
	put_node(1, 375, 0, 10);
	look_well(&layer_hugepages);
	assert_string_equal(item("node0")->want, "0");
	expect_item("node0", FIX_NONE, "0");
	expect_item("node1", FIX_NONE, "375");
	expect_item("node7", FIX_MANUAL, "no such node");
}

static void
a_size_that_the_kernel_has_not(void **state)
{
	(void)state;
	put_node_file(0, "/meminfo", "Node 0 MemTotal: 4000 kB\n");
	put("/proc/cpuinfo", "flags\t\t: fpu\n");
	pages.count = 1;
	look_well(&layer_hugepages);
	expect_item("node0", FIX_MANUAL, "none");
	expect_why("node0", "lacks pdpe1gb");
	pages.count = 0;
	look_well(&layer_hugepages);
	assert_int_equal(report.n, 0);
}

static void
garbage_and_no_nodes_are_errors(void **state)
{
	struct err err;

	(void)state;
	pages.count = 1;
	assert_int_equal(look(&layer_hugepages, &err), -ENOENT);
	assert_string_equal(err.msg, "/sys/devices/system/node has no node with memory");
	put_node(0, 1, 1, 1);
	put_node_file(0, DIR_1G "nr_hugepages", "lots\n");
	assert_int_equal(look(&layer_hugepages, &err), -EBADMSG);
	assert_string_equal(err.msg,
			    "node0: /sys/devices/system/node/node0" DIR_1G "nr_hugepages: 'lots' is not a number");
}

static void
wanted_only_if_complete(void **state)
{
	(void)state;
	assert_true(layer_hugepages.wanted(&spec));
	pages.has_count = false;
	assert_false(layer_hugepages.wanted(&spec));
	spec.hugepages = NULL;
	assert_false(layer_hugepages.wanted(&spec));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(spread_evenly_with_the_remainder_first),
		TEST(an_uneven_boot_is_evened_out),
		TEST(pages_in_use_are_never_taken),
		TEST(too_little_memory_is_told),
		TEST(fragmented_memory_is_told),
		TEST(per_node),
		TEST(a_size_that_the_kernel_has_not),
		TEST(garbage_and_no_nodes_are_errors),
		TEST(wanted_only_if_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
