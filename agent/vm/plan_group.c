/* plan_group.c - which devices share a switch in the guest: those that share one on the host.
 *
 * The nearest switch that holds both a GPU and a NIC of the VM counts, as NCCL's climb through sysfs will find it; else
 * the nearest that holds any two of its devices; else the root port.  A VF follows its PF.  NVSwitches, whose place
 * says nothing about NVLink, are a group of their own. */

#include <errno.h>

#include "agent/machine/inventory.h"
#include "agent/vm/plan_internal.h"
#include "common/err.h"
#include "common/mem.h"

struct below {
	unsigned gpus;
	unsigned nics;
	unsigned all;
};

static struct below
count_below(const struct vm_host *host, const struct vm_plan *plan, const Gdr__PciDevice *port)
{
	struct below n = { 0 };

	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct vm_device *device = &plan->devices[i];
		if (!inventory_is_below(host->inventory, port, device->seen))
			continue;
		n.gpus += device->kind == GDR__PCI_DEVICE__KIND__GPU;
		n.nics += device->kind == GDR__PCI_DEVICE__KIND__NIC;
		n.all++;
	}
	return n;
}

/* The port that makes its group, or NULL.  '*paired': GPUs and NICs share it. */
static const Gdr__PciDevice *
shared_port(const struct vm_host *host, const struct vm_plan *plan, const Gdr__PciDevice *device, bool *paired)
{
	const Gdr__PciDevice *shared = NULL;
	const Gdr__PciDevice *top = NULL;

	*paired = false;
	for (const Gdr__PciDevice *up = device; (up = inventory_above(host->inventory, up));) {
		if (up->kind == GDR__PCI_DEVICE__KIND__ROOT_PORT)
			top = up;
		if (up->kind != GDR__PCI_DEVICE__KIND__UPSTREAM_PORT)
			continue;
		struct below n = count_below(host, plan, up);
		*paired = n.gpus && n.nics;
		if (*paired)
			return up;
		if (!shared && n.all > 1)
			shared = up;
	}
	return shared ? shared : top;
}

/* The group of that port and cell; the fabric is one, wherever it is. */
static unsigned
find_group(struct vm_plan *plan, const char *port, unsigned cell, bool fabric)
{
	for (unsigned i = 0; i < plan->n_groups; i++) {
		const struct vm_group *group = &plan->groups[i];
		bool same = fabric || (group->cell == cell && strcmp(group->host, port) == 0);
		if (same && group->fabric == fabric)
			return i;
	}
	plan->groups = xrealloc(plan->groups, plan->n_groups + 1, sizeof(*plan->groups));
	plan->groups[plan->n_groups] = (struct vm_group){ .host = xstrdup(port), .cell = cell, .fabric = fabric };
	return (unsigned)plan->n_groups++;
}

static unsigned
group_of(const struct vm_host *host, struct vm_plan *plan, const struct vm_device *device)
{
	bool fabric = device->kind == GDR__PCI_DEVICE__KIND__NVSWITCH;
	unsigned cell = vm_plan_cell(host, plan, device->seen->numa_node);
	bool paired;
	const Gdr__PciDevice *port = shared_port(host, plan, device->seen, &paired);
	const char *name = port ? port->address : device->seen->address;

	if (fabric)
		return find_group(plan, "", cell, true);
	if (!paired && plan->spec->pair_by_node)
		name = "";
	return find_group(plan, name, cell, false);
}

/* --- the guest's order ------------------------------------------------------------------------------- */

static int
rank_of(const struct vm_device *device)
{
	return device->kind == GDR__PCI_DEVICE__KIND__GPU ? 0 : device->kind == GDR__PCI_DEVICE__KIND__NIC ? 1 : 2;
}

/* GPUs, NICs, others; each by address.  Addresses are padded, so the lesser text is the lesser number. */
static int
by_group(const void *a, const void *b)
{
	const struct vm_device *x = a;
	const struct vm_device *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (rank_of(x) != rank_of(y))
		return rank_of(x) - rank_of(y);
	return strcmp(x->host, y->host);
}

static const char *
lowest_of(const struct vm_plan *plan, size_t group)
{
	const char *lowest = "g"; /* After every address. */

	for (size_t i = 0; i < plan->n_devices; i++)
		if (plan->devices[i].group == group && strcmp(plan->devices[i].host, lowest) < 0)
			lowest = plan->devices[i].host;
	return lowest;
}

/* True if group 'a' comes before 'b': by cell, then by its lowest address on the host. */
static bool
comes_before(const struct vm_plan *plan, size_t a, size_t b)
{
	if (plan->groups[a].cell != plan->groups[b].cell)
		return plan->groups[a].cell < plan->groups[b].cell;
	return strcmp(lowest_of(plan, a), lowest_of(plan, b)) < 0;
}

static void
sort_groups(struct vm_plan *plan)
{
	size_t n = plan->n_groups;
	auto_free unsigned *place = xcalloc(n + 1, sizeof(*place));
	struct vm_group *sorted = xcalloc(n + 1, sizeof(*sorted));

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++)
			place[i] += k != i && comes_before(plan, k, i);
		sorted[place[i]] = plan->groups[i];
	}
	for (size_t i = 0; i < plan->n_devices; i++)
		plan->devices[i].group = place[plan->devices[i].group];
	free(plan->groups);
	plan->groups = sorted;
}

int
vm_plan_group(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	size_t limit = 32; /* Slots of a bus, and ports of a switch. */
	auto_free size_t *sizes = xcalloc(plan->n_devices + 1, sizeof(*sizes));

	for (size_t i = 0; i < plan->n_devices; i++) {
		struct vm_device *device = &plan->devices[i];
		device->group = group_of(host, plan, device);
		if (++sizes[device->group] > limit)
			return err_set(err, -ENOSPC,
				       "more than %zu devices share %s: a guest switch has that many ports", limit,
				       plan->groups[device->group].host);
		if (device->seen->numa_node < 0 && plan->n_cells > 1)
			vm_plan_note(plan, "%s: its NUMA node is not known; it is with cell 0", device->host);
	}
	sort_groups(plan);
	if (plan->n_devices)
		qsort(plan->devices, plan->n_devices, sizeof(*plan->devices), by_group);
	return 0;
}
