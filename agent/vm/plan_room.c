/* plan_room.c - whether firmware finds addresses for the devices' memory: above 4 GiB within the guest's address
 * width, below it in what the chipset leaves, and in I/O space.
 *
 * A bridge's window is as large as what is behind it and lies at a multiple of its largest part, both powers of two: so
 * sorted by size windows leave no gaps, and the sum is what is needed. */

#include <errno.h>
#include <inttypes.h>

#include "agent/vm/plan_internal.h"
#include "common/err.h"
#include "common/mem.h"

#define MIB        (UINT64_C(1) << 20)
#define GIB        (UINT64_C(1) << 30)
#define BELOW_4G   (960 * MIB) /* q35 and i440fx: from 0xc0000000 up to the I/O APIC, some of it the root bus's. */
#define IO_WINDOWS 9           /* SeaBIOS, src/fw/pciinit.c: at most 0x9000 of I/O space, 4 KiB behind each bridge. */
#define OVMF_SHARE 3           /* OvmfPkg, PlatformDynamicMmioWindow(): the upper eighth of the address space. */

struct room {
	uint64_t high;    /* 64-bit memory of all, */
	uint64_t largest; /* and where it must begin at a multiple of. */
	uint64_t low;
	unsigned io;
};

static uint64_t
round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static struct room
room_of(const struct vm_device *device)
{
	struct room room = { .largest = MIB };

	for (size_t i = 0; i < device->seen->n_bars; i++) {
		const Gdr__PciBar *bar = device->seen->bars[i];
		if (bar->vf != (device->pf != NULL))
			continue;
		room.io |= bar->space == GDR__PCI_BAR__SPACE__IO;
		if (bar->space == GDR__PCI_BAR__SPACE__MEM32)
			room.low += bar->size;
		if (bar->space != GDR__PCI_BAR__SPACE__MEM64)
			continue;
		room.high += bar->size;
		if (bar->size > room.largest)
			room.largest = bar->size;
	}
	room.low = round_up(room.low, MIB);
	room.high = round_up(room.high, MIB);
	return room;
}

/* Of one expander bus. */
static struct room
room_of_group(const struct vm_plan *plan, unsigned group)
{
	struct room room = { .largest = MIB };

	for (size_t i = 0; i < plan->n_devices; i++) {
		if (plan->devices[i].group != group)
			continue;
		struct room one = room_of(&plan->devices[i]);
		room.low += one.low;
		room.high += one.high;
		room.io = plan->q35 ? room.io + one.io : room.io | one.io; /* q35: behind each port. */
		if (one.largest > room.largest)
			room.largest = one.largest;
	}
	room.high = round_up(room.high, room.largest);
	return room;
}

static struct room
room_of_all(const struct vm_plan *plan)
{
	struct room room = { .largest = MIB };

	for (unsigned i = 0; i < plan->n_groups; i++) {
		struct room one = room_of_group(plan, i);
		room.low += one.low;
		room.high += one.high;
		room.io += one.io;
		if (one.largest > room.largest)
			room.largest = one.largest;
	}
	return room;
}

static int
check_high(const struct vm_plan *plan, const struct room *room, struct err *err)
{
	bool ovmf = plan->spec->firmware == GDR__VM_FIRMWARE__VM_FIRMWARE_OVMF && plan->spec->has_firmware;
	uint64_t hole = plan->spec->pci_hole64;
	uint64_t space = UINT64_C(1) << plan->phys_bits;
	uint64_t window = hole ? hole : ovmf ? space >> OVMF_SHARE : space;
	uint64_t top = round_up(4 * GIB + plan->memory, room->largest) + room->high;

	const char *which = hole   ? "pci_hole64"
			    : ovmf ? "an eighth of what the address width reaches, with OVMF"
				   : "all of the address width";
	if (room->high > window)
		return err_set(err, -ENOSPC,
			       "the devices' memory takes %" PRIu64 " GiB; the window for it has %" PRIu64 " GiB (%s)",
			       room->high / GIB, window / GIB, which);
	if (top > space)
		return err_set(err, -ENOSPC,
			       "memory and the devices' memory end at %" PRIu64 " GiB; %u address bits reach %" PRIu64
			       " GiB",
			       top / GIB, plan->phys_bits, space / GIB);
	return 0;
}

int
vm_plan_room(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	const Gdr__VmCpu *cpu = plan->spec->cpu;
	struct room room = room_of_all(plan);

	plan->phys_bits = cpu && cpu->has_phys_bits ? cpu->phys_bits : host->inventory->phys_bits;
	if (room.io > IO_WINDOWS)
		return err_set(err, -ENOSPC, "%u bridges need an I/O window; firmware has room for %d", room.io,
			       IO_WINDOWS);
	if (room.low > BELOW_4G)
		return err_set(err, -ENOSPC,
			       "the devices' 32-bit memory takes %" PRIu64 " MiB; there are %" PRIu64 " below 4 GiB",
			       room.low / MIB, BELOW_4G / MIB);
	if (!plan->phys_bits) {
		vm_plan_note(plan,
			     "the host's address width is not known: whether the devices' memory fits is not, too");
		return 0;
	}
	return check_high(plan, &room, err);
}
