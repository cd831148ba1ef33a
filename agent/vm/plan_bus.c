/* plan_bus.c - the guest's PCI tree, its bus numbers, and the address at which firmware will find each device.
 *
 * q35: for each group an expander bus, a root port, and a switch with a port for each device.  i440fx: an expander bus
 * with the devices in its slots, behind the bridge that QEMU puts there.  SeaBIOS and OVMF both number buses depth
 * first from each expander's own number, so that number decides all below it. */

#include <errno.h>
#include <stdio.h>

#include "agent/vm/plan_internal.h"
#include "common/err.h"
#include "common/mem.h"

enum {
	BUSES = 256,
	ROOT_BUSES = 8,  /* Below the first expander: for what an overlay adds, or libvirt by itself. */
	SPARE_MOST = 4,  /* Behind each expander, where nothing else is wanted. */
	SLOT_SCREEN = 2, /* On the root bus: agent/vm/xml.h. */
	SLOT_LAST = 30,  /* 31 is q35's chipset. */
};

/* Slots of the root bus that are not an expander's.  1 is i440fx's chipset. */
static bool
is_reserved(const struct vm_plan *plan, unsigned slot)
{
	return slot == SLOT_SCREEN || (slot >= 4 && slot <= 6) || (!plan->q35 && slot == 1);
}

static unsigned
next_slot(const struct vm_plan *plan, unsigned slot)
{
	do
		slot++;
	while (is_reserved(plan, slot));
	return slot;
}

static size_t
size_of(const struct vm_plan *plan, unsigned group)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n_devices; i++)
		n += plan->devices[i].group == group;
	return n;
}

/* --- controllers ------------------------------------------------------------------------------------- */

static unsigned
add(struct vm_plan *plan, enum vm_model model, unsigned bus, unsigned slot)
{
	plan->controllers = xrealloc(plan->controllers, plan->n_controllers + 1, sizeof(*plan->controllers));
	plan->controllers[plan->n_controllers] = (struct vm_controller){ .model = model, .bus = bus, .slot = slot };
	return (unsigned)plan->n_controllers++;
}

static int
add_expanders(struct vm_plan *plan, struct err *err)
{
	unsigned slot = 0;

	(void)add(plan, VM_ROOT, 0, 0);
	for (size_t i = 0; i < plan->n_groups; i++) {
		slot = next_slot(plan, slot);
		if (slot > SLOT_LAST)
			return err_set(err, -ENOSPC,
				       "the devices make %zu groups; the root bus has room for %zu expander buses",
				       plan->n_groups, i);
		plan->groups[i].pxb = add(plan, VM_PXB, 0, slot);
		plan->controllers[plan->groups[i].pxb].cell = plan->groups[i].cell;
	}
	return 0;
}

/* In the order in which libvirt wants them: what carries others first. */
static void
add_switches(struct vm_plan *plan)
{
	size_t n = plan->n_groups;
	unsigned first_up = (unsigned)(1 + 2 * n);
	unsigned slot = 0;

	for (size_t i = 0; i < n; i++)
		(void)add(plan, VM_ROOT_PORT, plan->groups[i].pxb, 0);
	for (size_t i = 0; i < n; i++)
		(void)add(plan, VM_UPSTREAM, (unsigned)(1 + n + i), 0);
	for (size_t i = 0; i < plan->n_devices; i++) {
		struct vm_device *device = &plan->devices[i];
		slot = i && plan->devices[i - 1].group == device->group ? slot + 1 : 0;
		device->bus = add(plan, VM_DOWNSTREAM, first_up + device->group, slot);
		device->slot = 0;
	}
}

static void
add_slots(struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		struct vm_device *device = &plan->devices[i];
		bool follows = i && plan->devices[i - 1].group == device->group;
		device->bus = plan->groups[device->group].pxb;
		device->slot = follows ? plan->devices[i - 1].slot + 1 : 0;
	}
}

/* --- bus numbers ------------------------------------------------------------------------------------- */

/* The expander's own, then q35: root port, upstream port, and one for each device; i440fx: the inner bridge. */
static size_t
need_of(const struct vm_plan *plan, unsigned group)
{
	return plan->q35 ? 3 + size_of(plan, group) : 2;
}

static int
number_expanders(struct vm_plan *plan, struct err *err)
{
	size_t n = plan->n_groups;
	size_t room = BUSES - ROOT_BUSES;
	size_t need = 0;

	for (unsigned i = 0; i < n; i++)
		need += need_of(plan, i);
	size_t spare = plan->spec->has_spare_buses ? plan->spec->spare_buses : SPARE_MOST;
	while (!plan->spec->has_spare_buses && spare > 0 && need + spare * n > room)
		spare--;
	if (need + spare * n > room)
		return err_set(err, -ENOSPC, "%zu bus numbers are needed, %zu of them spare; there are %zu",
			       need + spare * n, spare * n, room);
	size_t next = BUSES - need - spare * n;
	for (unsigned i = 0; i < n; i++) {
		plan->controllers[plan->groups[i].pxb].number = (unsigned)next;
		next += need_of(plan, i) + spare;
	}
	return 0;
}

/* --- what firmware will make of it ------------------------------------------------------------------- */

/* Numbers the buses behind the bridges on 'index', in the order of their slots; returns the next number. */
static unsigned
predict_below(struct vm_plan *plan, unsigned index, unsigned next)
{
	for (unsigned i = index + 1; i < plan->n_controllers; i++) {
		struct vm_controller *controller = &plan->controllers[i];
		if (controller->bus != index || controller->model == VM_PXB)
			continue;
		controller->secondary = next;
		next = predict_below(plan, i, next + 1);
	}
	return next;
}

static void
predict(struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_groups; i++) {
		struct vm_controller *pxb = &plan->controllers[plan->groups[i].pxb];
		pxb->secondary = plan->q35 ? pxb->number : pxb->number + 1;
		(void)predict_below(plan, plan->groups[i].pxb, pxb->secondary + 1);
	}
	for (size_t i = 0; i < plan->n_devices; i++) {
		struct vm_device *device = &plan->devices[i];
		struct vm_address at = { .bus = plan->controllers[device->bus].secondary, .slot = device->slot };
		device->guest = vm_address_text(&at);
	}
}

int
vm_plan_bus(struct vm_plan *plan, struct err *err)
{
	int rc = add_expanders(plan, err);

	if (rc < 0)
		return rc;
	if (plan->q35)
		add_switches(plan);
	else
		add_slots(plan);
	rc = number_expanders(plan, err);
	if (rc == 0)
		predict(plan);
	return rc;
}
