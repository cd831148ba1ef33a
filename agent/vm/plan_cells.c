/* plan_cells.c - a cell for each host node that the VM is on, with CPUs and pages of that very node. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/vm/pages.h"
#include "agent/vm/plan_internal.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define HOST_MEMORY (4ULL << 30) /* Of each node, that stays the host's where the pages follow the VMs. */
#define I440FX_CPUS 255          /* libvirt, qemu_validate.c: more need an IOMMU, which is q35's. */

/* --- CPUs -------------------------------------------------------------------------------------------- */

struct cpus {
	uint32_t *v;
	size_t n;
};

static void
add_cpu(struct cpus *cpus, uint32_t cpu)
{
	cpus->v = xrealloc(cpus->v, cpus->n + 1, sizeof(*cpus->v));
	cpus->v[cpus->n++] = cpu;
}

static bool
has_cpu(const uint32_t *v, size_t n, uint32_t cpu)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == cpu)
			return true;
	return false;
}

/* "0-23,48-71" */
static struct cpus
read_cpus(const char *list)
{
	struct cpus cpus = { 0 };
	char *end;

	for (const char *p = list ? list : ""; *p; p = end + (*end == ',')) {
		unsigned long first = strtoul(p, &end, 10);
		unsigned long last = end != p && *end == '-' ? strtoul(end + 1, &end, 10) : first;
		if (end == p || last < first || last - first > UINT16_MAX)
			break;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			add_cpu(&cpus, (uint32_t)cpu);
		if (*end && *end != ',')
			break;
	}
	return cpus;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a;
	const uint32_t *y = b;

	return (*x > *y) - (*x < *y);
}

char *
vm_list_text(const uint32_t *numbers, size_t n)
{
	auto_free uint32_t *v = xcalloc(n + 1, sizeof(*v));
	struct buf out = { 0 };

	memcpy(v, numbers, n * sizeof(*v));
	qsort(v, n, sizeof(*v), by_number);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && v[end] == v[end - 1] + 1; end++)
			;
		buf_printf(&out, "%s%" PRIu32, out.len ? "," : "", v[i]);
		if (end - i > 1)
			buf_printf(&out, "-%" PRIu32, v[end - 1]);
	}
	return buf_steal(&out);
}

static bool
is_taken(const struct vm_plans *plans, uint32_t cpu)
{
	for (size_t i = 0; i < plans->n; i++)
		if (has_cpu(plans->plan[i].cpus, plans->plan[i].n_cpus, cpu))
			return true;
	return false;
}

/* Those of a node that a vCPU may have; the caller frees 'v'. */
static struct cpus
free_cpus(const struct vm_host *host, const struct vm_plan *plan, const Gdr__NumaNode *node)
{
	struct cpus all = read_cpus(node->cpulist);
	struct cpus kept = read_cpus(plan->spec->host_cpus);
	struct cpus left = { 0 };

	for (size_t i = 0; i < all.n; i++)
		if (!has_cpu(kept.v, kept.n, all.v[i]) && !is_taken(host->before, all.v[i]))
			add_cpu(&left, all.v[i]);
	free(all.v);
	free(kept.v);
	return left;
}

static bool
has_cpus(const Gdr__NumaNode *node)
{
	return node->cpulist && *node->cpulist;
}

/* --- nodes ------------------------------------------------------------------------------------------- */

static const Gdr__NumaNode *
node_of(const Gdr__Inventory *inventory, uint32_t id)
{
	for (size_t i = 0; i < inventory->n_numa; i++)
		if (inventory->numa[i]->id == id)
			return inventory->numa[i];
	return NULL;
}

/* 10: the same; where the firmware says nothing all others are equally far. */
static uint32_t
distance(const Gdr__Inventory *inventory, uint32_t from, uint32_t to)
{
	const Gdr__NumaNode *node = node_of(inventory, from);

	for (size_t i = 0; node && i < inventory->n_numa; i++)
		if (inventory->numa[i]->id == to && i < node->n_distance)
			return node->distance[i];
	return from == to ? 10 : UINT32_MAX;
}

unsigned
vm_plan_cell(const struct vm_host *host, const struct vm_plan *plan, int32_t host_node)
{
	unsigned best = 0;
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; host_node >= 0 && i < plan->n_cells; i++) {
		uint32_t far = distance(host->inventory, (uint32_t)host_node, plan->cells[i].host_node);
		if (far < least) {
			least = far;
			best = i;
		}
	}
	return best;
}

/* A node can be a cell if it has CPUs and memory: memory alone (CXL) has no vCPUs to give it to. */
static bool
can_be_cell(const Gdr__NumaNode *node)
{
	return has_cpus(node) && node->memory > 0;
}

/* The node itself, or the nearest one that can be a cell; NULL: there is none. */
static const Gdr__NumaNode *
cell_node(const Gdr__Inventory *inventory, int32_t id)
{
	const Gdr__NumaNode *best = NULL;
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < inventory->n_numa; i++) {
		const Gdr__NumaNode *node = inventory->numa[i];
		uint32_t far = distance(inventory, (uint32_t)id, node->id);
		if (can_be_cell(node) && (!best || far < least)) {
			least = far;
			best = node;
		}
	}
	return best;
}

static void
add_cell(const struct vm_host *host, struct vm_plan *plan, const Gdr__NumaNode *node)
{
	size_t place = 0;

	for (size_t i = 0; i < plan->n_cells; i++)
		if (plan->cells[i].host_node == node->id)
			return;
	while (host->inventory->numa[place] != node)
		place++;
	plan->cells = xrealloc(plan->cells, plan->n_cells + 1, sizeof(*plan->cells));
	plan->cells[plan->n_cells++] = (struct vm_cell){ .host_node = node->id, .seen = node, .place = place };
}

/* Where its GPUs and NICs are; the NVSwitches' node means nothing. */
static void
add_device_nodes(const struct vm_host *host, struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct vm_device *device = &plan->devices[i];
		bool counts = device->kind != GDR__PCI_DEVICE__KIND__NVSWITCH && device->seen->numa_node >= 0;
		const Gdr__NumaNode *node = counts ? cell_node(host->inventory, device->seen->numa_node) : NULL;
		if (node)
			add_cell(host, plan, node);
	}
}

/* Without a device that says where: the node with the most CPUs left. */
static void
add_roomiest(const struct vm_host *host, struct vm_plan *plan)
{
	const Gdr__NumaNode *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < host->inventory->n_numa; i++) {
		const Gdr__NumaNode *node = host->inventory->numa[i];
		struct cpus left = free_cpus(host, plan, node);
		if (can_be_cell(node) && (!best || left.n > most)) {
			most = left.n;
			best = node;
		}
		free(left.v);
	}
	if (best)
		add_cell(host, plan, best);
}

static int
by_node(const void *a, const void *b)
{
	const struct vm_cell *x = a;
	const struct vm_cell *y = b;

	return (x->host_node > y->host_node) - (x->host_node < y->host_node);
}

static int
choose_nodes(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	const Gdr__Inventory *inventory = host->inventory;
	bool all = plan->spec->has_numa && plan->spec->numa == GDR__VM_NUMA__VM_NUMA_ALL;

	for (size_t i = 0; all && i < inventory->n_numa; i++)
		if (can_be_cell(inventory->numa[i]))
			add_cell(host, plan, inventory->numa[i]);
	if (!all)
		add_device_nodes(host, plan);
	if (!plan->n_cells)
		add_roomiest(host, plan);
	if (!plan->n_cells)
		return err_set(err, -ENODEV, "the host shows no NUMA node with CPUs and memory");
	qsort(plan->cells, plan->n_cells, sizeof(*plan->cells), by_node);
	return 0;
}

/* --- shares ------------------------------------------------------------------------------------------ */

static int
share_cpus(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	unsigned vcpus = plan->spec->vcpus;
	unsigned cells = (unsigned)plan->n_cells;

	if (vcpus < cells)
		return err_set(err, -ENOSPC, "%u vCPUs cannot fill %u cells", vcpus, cells);
	if (!plan->q35 && vcpus > I440FX_CPUS)
		return err_set(err, -ENOSPC, "%u vCPUs are wanted; machine i440fx has at most %d", vcpus, I440FX_CPUS);
	plan->cpus = xcalloc(vcpus, sizeof(*plan->cpus));
	for (unsigned i = 0; i < cells; i++) {
		struct vm_cell *cell = &plan->cells[i];
		struct cpus left = free_cpus(host, plan, cell->seen);
		size_t n = left.n;
		cell->first_vcpu = plan->n_cpus;
		cell->n_vcpus = vcpus / cells + (i < vcpus % cells);
		for (unsigned k = 0; k < cell->n_vcpus && k < n; k++)
			plan->cpus[plan->n_cpus++] = left.v[k];
		free(left.v);
		if (n < cell->n_vcpus)
			return err_set(err, -ENOSPC, "%u vCPUs are wanted on node %u, which has %zu CPUs left for them",
				       cell->n_vcpus, cell->host_node, n);
	}
	return 0;
}

/* What VMs may have of a node, in all. */
static uint64_t
capacity(const struct vm_host *host, const Gdr__NumaNode *node)
{
	const Gdr__HugepagesSpec *pages = host->spec->hugepages;

	if (pages_are_wanted(host->spec) && !pages_follow_vms(pages))
		return pages_of_node(host->inventory, pages, node->id) * pages->size;
	return node->memory > HOST_MEMORY ? node->memory - HOST_MEMORY : 0;
}

static int
share_memory(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	uint64_t cells = plan->n_cells;

	plan->page = pages_are_wanted(host->spec) ? host->spec->hugepages->size : 0;
	uint64_t unit = plan->page ? plan->page : 1ULL << 20;
	plan->memory = plan->spec->memory;
	if (plan->memory % unit)
		return err_set(err, -EINVAL, "memory is not a whole number of pages of %" PRIu64 " MiB", unit >> 20);
	uint64_t units = plan->memory / unit;
	if (units < cells)
		return err_set(err, -ENOSPC, "%" PRIu64 " pages cannot fill %" PRIu64 " cells", units, cells);
	for (uint64_t i = 0; i < cells; i++) {
		struct vm_cell *cell = &plan->cells[i];
		uint64_t taken = vm_plans_memory(host->before, cell->host_node);
		uint64_t room = capacity(host, cell->seen);
		uint64_t left = room > taken ? (room - taken) / unit : 0;
		uint64_t want = units / cells + (i < units % cells);
		cell->memory = want * unit;
		if (want > left)
			return err_set(err, -ENOSPC,
				       "%" PRIu64 " pages of %" PRIu64 " MiB are wanted on node %u, which has %" PRIu64
				       " for them",
				       want, unit >> 20, cell->host_node, left);
	}
	return 0;
}

int
vm_plan_cells(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	int rc = choose_nodes(host, plan, err);

	if (rc == 0)
		rc = share_cpus(host, plan, err);
	if (rc == 0)
		rc = share_memory(host, plan, err);
	return rc;
}

/* --- QEMU's own threads ------------------------------------------------------------------------------ */

/* Every CPU of the VM's nodes that no vCPU of any VM is on. */
void
vm_plan_emulator(const struct vm_host *host, struct vm_plan *plan)
{
	struct cpus all = { 0 };

	if (plan->spec->host_cpus) {
		plan->emulator = xstrdup(plan->spec->host_cpus);
		return;
	}
	for (size_t c = 0; c < plan->n_cells; c++) {
		struct cpus left = free_cpus(host, plan, plan->cells[c].seen);
		for (size_t i = 0; i < left.n; i++)
			add_cpu(&all, left.v[i]);
		free(left.v);
	}
	if (all.n)
		plan->emulator = vm_list_text(all.v, all.n);
	else
		vm_plan_note(plan,
			     "no CPU is left for QEMU's own threads: they share the vCPUs' (host_cpus keeps some)");
	free(all.v);
}
