/* hugepages.c - pages for guest memory on every NUMA node, as long as the machine is up.
 *
 * Spec:     hugepages: {size: 1G, count: 750}, {size: 1G, count: vm} or {size: 1G, per_node: {"0": "375", "1": "375"}}
 * Reads:    /sys/devices/system/node/nodeN/hugepages/hugepages-<size>kB/{nr_hugepages,free_hugepages},
 *           /sys/devices/system/node/nodeN/meminfo (MemFree), the inventory's NUMA nodes, /proc/cpuinfo
 * Changes:  nr_hugepages, now.  The reservation at boot belongs to layers/kernel.c: a 1 GiB page is 1 GiB of
 *           unbroken memory, which a machine that has run for a while may not have.  Pages in use are never taken. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/vm/pages.h"
#include "common/err.h"
#include "common/mem.h"

/* Pages of one node. */
struct node {
	uint32_t id;
	uint64_t want;
	uint64_t have;
	uint64_t free;   /* Of 'have': not in use by anyone. */
	uint64_t memory; /* Free bytes outside of them; UINT64_MAX: not known. */
};

static char *
folder_of(const Gdr__Spec *spec, uint32_t node)
{
	return xasprintf("/sys/devices/system/node/node%u/hugepages/hugepages-%" PRIu64 "kB", node,
			 (uint64_t)spec->hugepages->size >> 10);
}

static int
read_number(struct host *host, const char *folder, const char *file, uint64_t *out, struct err *err)
{
	auto_free char *path = xasprintf("%s/%s", folder, file);

	return host_read_u64(host, path, out, err);
}

static uint64_t
free_memory(struct host *host, uint32_t node)
{
	auto_free char *path = xasprintf("/sys/devices/system/node/node%u/meminfo", node);
	auto_free char *key = xasprintf("Node %u MemFree", node);
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	auto_free char *value = text ? inventory_field(text, key) : NULL;
	return value ? (uint64_t)strtoull(value, NULL, 10) << 10 : UINT64_MAX;
}

/* What the kernel gave the last time it was asked for this number, in this boot. */
static bool
was_asked(const struct machine *machine, const char *key)
{
	return machine->journal && journal_before(machine->journal, "hugepages", key);
}

static void
report_short(const struct machine *machine, const Gdr__Spec *spec, const struct node *node, struct report *out)
{
	auto_free char *key = xasprintf("node%u", node->id);
	auto_free char *want = xasprintf("%" PRIu64, node->want);
	auto_free char *have = xasprintf("%" PRIu64, node->have);
	uint64_t missing = node->want - node->have;

	if (node->memory / spec->hugepages->size < missing)
		report_add(out, key, want, have, FIX_LIVE,
			   "only %" PRIu64 " MiB of the node's memory are free: stop what uses it, or reboot with "
			   "hugepages= on the command line",
			   node->memory >> 20);
	else if (was_asked(machine, key))
		report_add(out, key, want, have, FIX_LIVE,
			   "the kernel could give only %s of %s: memory is fragmented; reboot with hugepages= on the "
			   "command line",
			   have, want);
	else
		report_add(out, key, want, have, FIX_LIVE, NULL);
}

static void
report_node(const struct machine *machine, const Gdr__Spec *spec, const struct node *node, struct report *out)
{
	auto_free char *key = xasprintf("node%u", node->id);
	auto_free char *want = xasprintf("%" PRIu64, node->want);
	auto_free char *have = xasprintf("%" PRIu64, node->have);

	if (node->have < node->want)
		report_short(machine, spec, node, out);
	else if (node->have == node->want)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else if (node->free >= node->have - node->want)
		report_add(out, key, want, have, FIX_LIVE, "more than wanted starve the host");
	else
		report_add(out, key, want, have, FIX_MANUAL,
			   "more than wanted starve the host, but only %" PRIu64 " of them are free: shut down a VM",
			   node->free);
}

/* Linux makes the folder for each size that the processor has: pdpe1gb for 1 GiB, arch/x86/mm/hugetlbpage.c. */
static void
report_no_size(const struct machine *machine, const Gdr__Spec *spec, const struct node *node, struct report *out)
{
	auto_free char *key = xasprintf("node%u", node->id);
	auto_free char *want = xasprintf("%" PRIu64, node->want);
	auto_free char *cpuinfo = NULL;
	struct err ignored;

	(void)host_read(machine->host, "/proc/cpuinfo", &cpuinfo, NULL, &ignored);
	bool able = cpuinfo && strstr(cpuinfo, "pdpe1gb");
	report_add(out, key, want, "none", FIX_MANUAL, "this kernel has no pages of %" PRIu64 " KiB%s",
		   (uint64_t)spec->hugepages->size >> 10,
		   able ? "" : ": the processor lacks pdpe1gb, which 1 GiB pages need");
}

static int
inspect_node(const struct machine *machine, const Gdr__Spec *spec, struct node *node, struct report *out,
	     struct err *err)
{
	auto_free char *folder = folder_of(spec, node->id);

	if (!host_exists(machine->host, folder)) {
		if (node->want)
			report_no_size(machine, spec, node, out);
		return 0;
	}
	int rc = read_number(machine->host, folder, "nr_hugepages", &node->have, err);
	if (rc == 0)
		rc = read_number(machine->host, folder, "free_hugepages", &node->free, err);
	if (rc < 0)
		return err_wrap(err, "node%u", node->id);
	node->memory = free_memory(machine->host, node->id);
	report_node(machine, spec, node, out);
	return 0;
}

/* A node that the spec names and the machine has not. */
static void
report_absent(const struct machine *machine, const Gdr__Spec *spec, struct report *out)
{
	for (size_t i = 0; i < spec->hugepages->n_per_node; i++) {
		const Gdr__HugepagesSpec__PerNodeEntry *entry = spec->hugepages->per_node[i];
		bool found = false;
		for (size_t k = 0; k < machine->inventory->n_numa && !found; k++) {
			auto_free char *id = xasprintf("%u", machine->inventory->numa[k]->id);
			found = entry->key && strcmp(entry->key, id) == 0;
		}
		if (found)
			continue;
		auto_free char *key = xasprintf("node%s", entry->key ? entry->key : "");
		report_add(out, key, entry->value ? entry->value : "", "no such node", FIX_MANUAL,
			   "the profile names a NUMA node that this machine has not");
	}
}

static int
hugepages_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const Gdr__Inventory *inventory = machine->inventory;
	bool found = false;

	for (size_t i = 0; i < inventory->n_numa; i++) {
		struct node node = { .id = inventory->numa[i]->id };
		if (!inventory->numa[i]->memory)
			continue;
		found = true;
		node.want = pages_wanted(inventory, spec, node.id);
		int rc = inspect_node(machine, spec, &node, out, err);
		if (rc < 0)
			return rc;
	}
	if (!found)
		return err_set(err, -ENOENT, "/sys/devices/system/node has no node with memory");
	report_absent(machine, spec, out);
	return 0;
}

static int
hugepages_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	uint32_t node = (uint32_t)strtoul(item->key + strlen("node"), NULL, 10);
	uint64_t want = strtoull(item->want, NULL, 10);
	auto_free char *folder = folder_of(spec, node);
	auto_free char *path = xasprintf("%s/nr_hugepages", folder);
	uint64_t have = 0;
	int rc = host_write(machine->host, path, item->want, err);

	if (rc == 0)
		rc = host_read_u64(machine->host, path, &have, err);
	if (rc < 0)
		return rc;
	if (have < want)
		return err_set(err, -ENOMEM,
			       "the kernel could give only %" PRIu64 " of %" PRIu64
			       ": memory is fragmented; reboot with "
			       "hugepages= on the command line",
			       have, want);
	return 0;
}

const struct layer layer_hugepages = {
	.wanted = pages_are_wanted,
	.inspect = hugepages_inspect,
	.apply = hugepages_apply,
};
