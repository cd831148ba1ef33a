/* memory.c - memory of the NUMA nodes and the huge pages in it. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/tree.h"

#define USED_KIB (3U << 20) /* By the kernel and the system, on each node. */

uint64_t
memory_kib(enum page_size size)
{
	return size == PAGES_1G ? KIB_1G : KIB_2M;
}

void
memory_init(struct memory *memory, const struct sim *sim)
{
	uint64_t whole = (uint64_t)sim->memory << 20;
	auto_free char *fault = sim_fault(sim, "no-hugepages");
	uint64_t percent = sim->pages_memory;

	if (fault)
		percent = *fault ? strtoull(fault, NULL, 10) : 10;
	*memory = (struct memory){ .usual = PAGES_2M };
	memory->total_kib = whole - whole / 64; /* The rest describes the pages. */
	memory->usable_kib = memory->total_kib * (percent > 100 ? 100 : percent) / 100;
	if (memory->usable_kib + USED_KIB > memory->total_kib)
		memory->usable_kib = memory->total_kib > USED_KIB ? memory->total_kib - USED_KIB : 0;
}

void
memory_set_node(struct memory *memory, enum page_size size, unsigned node, uint64_t pages)
{
	enum page_size other = size == PAGES_1G ? PAGES_2M : PAGES_1G;
	uint64_t taken = memory->pages[other][node] * memory_kib(other);
	uint64_t room = taken > memory->usable_kib ? 0 : (memory->usable_kib - taken) / memory_kib(size);
	uint64_t had = memory->pages[size][node];

	/* Pages that are there stay, even if memory became scarce since. */
	if (pages > room)
		pages = had > room ? (pages < had ? pages : had) : room;
	memory->pages[size][node] = pages;
}

void
memory_set_all(struct memory *memory, enum page_size size, uint64_t pages)
{
	uint64_t first = pages / SIM_NODES + pages % SIM_NODES;
	uint64_t got;

	memory_set_node(memory, size, 0, first);
	got = memory->pages[size][0];
	memory_set_node(memory, size, 1, pages > got ? pages - got : 0);
	got = memory->pages[size][1];
	memory_set_node(memory, size, 0, pages > got ? pages - got : 0);
}

/* --- files ------------------------------------------------------------------------------------- */

static void put(struct tree *tree, const char *path, bool changed_only, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void
put(struct tree *tree, const char *path, bool changed_only, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	auto_free char *now = changed_only ? tree_read(tree, path) : NULL;
	if (!now || strlen(now) + 1 != (size_t)len || strncmp(now, text, strlen(now)) != 0)
		tree_write(tree, path, text, (size_t)len);
}

static uint64_t
pool_kib(const struct memory *memory, unsigned node)
{
	return memory->pages[PAGES_2M][node] * KIB_2M + memory->pages[PAGES_1G][node] * KIB_1G;
}

/* All but nr_hugepages, which others write as well. */
static void
write_pool(struct tree *tree, enum page_size size, uint64_t pages, bool whole, bool changed_only)
{
	auto_free char *folder = xasprintf("hugepages/hugepages-%" PRIu64 "kB", memory_kib(size));
	auto_free char *idle = xasprintf("%s/free_hugepages", folder);
	auto_free char *surplus = xasprintf("%s/surplus_hugepages", folder);

	put(tree, idle, changed_only, "%" PRIu64 "\n", pages);
	put(tree, surplus, changed_only, "0\n");
	if (!whole)
		return;
	auto_free char *reserved = xasprintf("%s/resv_hugepages", folder);
	auto_free char *overcommit = xasprintf("%s/nr_overcommit_hugepages", folder);
	put(tree, reserved, changed_only, "0\n");
	put(tree, overcommit, changed_only, "0\n");
}

static void
write_pages(struct tree *tree, enum page_size size, uint64_t pages, bool changed_only)
{
	auto_free char *nr = xasprintf("hugepages/hugepages-%" PRIu64 "kB/nr_hugepages", memory_kib(size));

	put(tree, nr, changed_only, "%" PRIu64 "\n", pages);
}

static void
write_node(struct tree *tree, const struct memory *memory, unsigned node, bool changed_only)
{
	uint64_t idle = memory->total_kib - USED_KIB - pool_kib(memory, node);
	uint64_t pages = memory->pages[memory->usual][node];

	tree_cd(tree, "sys/devices/system/node/node%u", node);
	put(tree, "meminfo", changed_only,
	    "Node %u MemTotal:       %" PRIu64 " kB\nNode %u MemFree:        %" PRIu64 " kB\n"
	    "Node %u MemUsed:        %" PRIu64 " kB\nNode %u HugePages_Total: %5" PRIu64 "\n"
	    "Node %u HugePages_Free:  %5" PRIu64 "\nNode %u HugePages_Surp:      0\n",
	    node, memory->total_kib, node, idle, node, memory->total_kib - idle, node, pages, node, pages, node);
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		uint64_t got = memory->pages[size][node];

		/* Who got what he asked for may be asking for something else by now: that must not be overwritten. */
		if (!changed_only || got != memory->asked[size][node])
			write_pages(tree, (enum page_size)size, got, changed_only);
		write_pool(tree, (enum page_size)size, got, false, changed_only);
	}
}

void
memory_write(struct tree *tree, const struct memory *memory, bool changed_only)
{
	uint64_t total = memory->total_kib * SIM_NODES;
	uint64_t pool = 0;
	uint64_t usual = 0;

	for (unsigned node = 0; node < SIM_NODES; node++) {
		write_node(tree, memory, node, changed_only);
		pool += pool_kib(memory, node);
		usual += memory->pages[memory->usual][node];
	}
	tree_cd(tree, "sys/kernel/mm");
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		uint64_t sum = memory->pages[size][0] + memory->pages[size][1];

		write_pages(tree, (enum page_size)size, sum, changed_only);
		write_pool(tree, (enum page_size)size, sum, true, changed_only);
	}
	uint64_t idle = total - USED_KIB * (uint64_t)SIM_NODES - pool;
	tree_cd(tree, "proc");
	put(tree, "meminfo", changed_only,
	    "MemTotal:       %" PRIu64 " kB\nMemFree:        %" PRIu64 " kB\nMemAvailable:   %" PRIu64 " kB\n"
	    "Buffers:           52112 kB\nCached:           918276 kB\nSwapTotal:             0 kB\n"
	    "SwapFree:              0 kB\nHugePages_Total: %7" PRIu64 "\nHugePages_Free:  %7" PRIu64 "\n"
	    "HugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:    %7" PRIu64 " kB\n"
	    "Hugetlb:        %" PRIu64 " kB\n",
	    total, idle, idle, usual, usual, memory_kib(memory->usual), pool);
	put(tree, "sys/vm/nr_hugepages", changed_only, "%" PRIu64 "\n", usual);
	put(tree, "sys/vm/nr_overcommit_hugepages", changed_only, "0\n");
	tree_cd(tree, "%s", "");
}

/* --- the running kernel ------------------------------------------------------------------------ */

/* A number that somebody wrote, or that is still what we wrote; -1: not a number (a write in progress). */
static long long
asked(const struct tree *tree, const char *path)
{
	auto_free char *text = tree_read(tree, path);
	char *end = NULL;
	long long value = text ? strtoll(text, &end, 10) : -1;

	return text && end != text && value >= 0 ? value : -1;
}

static long long
asked_of_node(const struct tree *tree, enum page_size size, unsigned node)
{
	auto_free char *path = xasprintf("sys/devices/system/node/node%u/hugepages/hugepages-%" PRIu64
					 "kB/nr_hugepages",
					 node, memory_kib(size));

	return asked(tree, path);
}

void
memory_load(struct memory *memory, const struct sim *sim, const struct tree *tree)
{
	auto_free char *cmdline = tree_read(tree, "proc/cmdline");

	memory_init(memory, sim);
	if (cmdline && strstr(cmdline, "default_hugepagesz=1G"))
		memory->usual = PAGES_1G;
	for (unsigned i = 0; i < PAGE_SIZES * SIM_NODES; i++) {
		enum page_size size = (enum page_size)(i / SIM_NODES);
		long long pages = asked_of_node(tree, size, i % SIM_NODES);

		if (pages > 0)
			memory_set_node(memory, size, i % SIM_NODES, (uint64_t)pages);
		memory->asked[size][i % SIM_NODES] = pages > 0 ? (uint64_t)pages : 0;
	}
}

static bool
sync_nodes(const struct tree *tree, struct memory *memory, enum page_size size)
{
	bool changed = false;

	for (unsigned node = 0; node < SIM_NODES; node++) {
		long long want = asked_of_node(tree, size, node);

		memory->asked[size][node] = want < 0 ? memory->pages[size][node] : (uint64_t)want;
		if (memory->asked[size][node] == memory->pages[size][node])
			continue;
		memory_set_node(memory, size, node, (uint64_t)want);
		changed = true;
	}
	return changed;
}

static void
sync_size(const struct tree *tree, struct memory *memory, enum page_size size)
{
	auto_free char *whole = xasprintf("sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
					  memory_kib(size));
	uint64_t sum = memory->pages[size][0] + memory->pages[size][1];
	long long had = (long long)sum;
	long long all = asked(tree, whole);
	long long usual = size == memory->usual ? asked(tree, "proc/sys/vm/nr_hugepages") : had;

	if (sync_nodes(tree, memory, size))
		return;
	if (all >= 0 && all != had)
		memory_set_all(memory, size, (uint64_t)all);
	else if (usual >= 0 && usual != had)
		memory_set_all(memory, size, (uint64_t)usual);
}

void
memory_sync(struct tree *tree, struct memory *memory)
{
	for (unsigned size = 0; size < PAGE_SIZES; size++)
		sync_size(tree, memory, (enum page_size)size);
	memory_write(tree, memory, true);
}
