#include "controller/vmpair.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

#define DEVICES_MAX 256 /* PCI has no more buses for them. */
#define DEPTH_MAX   16

/* --- the host -------------------------------------------------------------------------------------------- */

static const Gdr__PciDevice *
find_device(const Gdr__Inventory *inventory, const char *address)
{
	for (size_t i = 0; address && i < inventory->n_pci; i++)
		if (inventory->pci[i]->address && strcmp(inventory->pci[i]->address, address) == 0)
			return inventory->pci[i];
	return NULL;
}

/* Domain, bus, device and function as one number; false: it is no address. */
static bool
number_of(const char *address, uint64_t *out)
{
	static const struct {
		char end;
		unsigned next; /* Bits of the part that follows. */
	} parts[] = { { ':', 8 }, { ':', 5 }, { '.', 3 }, { '\0', 0 } };

	*out = 0;
	for (size_t i = 0; address && i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *end;
		unsigned long part = strtoul(address, &end, 16);

		if (end == address || *end != parts[i].end)
			return false;
		*out = (*out | part) << parts[i].next;
		address = end + 1;
	}
	return address != NULL;
}

/* The PF whose VF has, or will have, that address: it may not have been made yet. */
static const Gdr__PciDevice *
find_pf(const Gdr__Inventory *inventory, const char *address)
{
	uint64_t wanted;
	uint64_t pf;

	if (!number_of(address, &wanted))
		return NULL;
	for (size_t i = 0; i < inventory->n_pci; i++) {
		const Gdr__PciDevice *device = inventory->pci[i];

		if (device->vf_stride == 0 || !number_of(device->address, &pf) || wanted < pf + device->vf_offset)
			continue;
		uint64_t away = wanted - pf - device->vf_offset;
		if (away % device->vf_stride == 0 && away / device->vf_stride < device->max_vfs)
			return device;
	}
	return NULL;
}

/* As sysfs has it, from the bridges that the inventory names; NULL: the device is not in it. */
static char *
path_of(const Gdr__Inventory *inventory, const char *address, int *numa)
{
	const Gdr__PciDevice *device = find_device(inventory, address);
	const Gdr__PciDevice *above[DEPTH_MAX];
	size_t depth = 0;
	struct buf out = { 0 };

	if (!device)
		device = find_pf(inventory, address);
	if (!device)
		return NULL;
	*numa = device->has_numa_node ? device->numa_node : -1;
	for (const Gdr__PciDevice *port = find_device(inventory, device->parent); port && depth < DEPTH_MAX;
	     port = find_device(inventory, port->parent))
		above[depth++] = port;
	buf_puts(&out, "/pci/");
	while (depth-- > 0)
		buf_printf(&out, "%s/", above[depth]->address);
	buf_puts(&out, address);
	return buf_steal(&out);
}

/* --- the guest ------------------------------------------------------------------------------------------- */

static const char *
group_of(const Gdr__VmDevice *device)
{
	return device->group && *device->group ? device->group : "none";
}

static bool
same_group(const struct vmpair *pair)
{
	return pair->gpu->group && *pair->gpu->group && strcmp(pair->gpu->group, group_of(pair->nic)) == 0;
}

static bool
has_switches(const Gdr__Vm *vm)
{
	return !vm->machine || strcmp(vm->machine, "i440fx") != 0;
}

static enum nccltopo_distance
in_guest(const Gdr__Vm *vm, const struct vmpair *pair)
{
	if (same_group(pair) && has_switches(vm))
		return NCCLTOPO_PIX;
	return pair->gpu->cell == pair->nic->cell ? NCCLTOPO_PHB : NCCLTOPO_SYS;
}

/* --- both ------------------------------------------------------------------------------------------------ */

/* A device of the VM on its host. */
struct place {
	char *path; /* NULL: not known. */
	int numa;
};

static struct vmpair
make_pair(const Gdr__Vm *vm, const struct place *places, size_t gpu, size_t nic)
{
	struct vmpair pair = { .gpu = vm->devices[gpu], .nic = vm->devices[nic] };

	pair.known = places[gpu].path && places[nic].path;
	if (pair.known)
		pair.host = nccltopo_climb(places[gpu].path, places[gpu].numa, places[nic].path, places[nic].numa);
	pair.guest = in_guest(vm, &pair);
	pair.file = same_group(&pair) ? NCCLTOPO_PIX : pair.guest;
	return pair;
}

struct vmpair *
vmpair_list(const Gdr__Vm *vm, const Gdr__Inventory *inventory, size_t *n)
{
	size_t n_devices = vm->n_devices < DEVICES_MAX ? vm->n_devices : DEVICES_MAX;
	struct place places[DEVICES_MAX] = { 0 };
	struct vmpair *list = NULL;

	*n = 0;
	for (size_t i = 0; inventory && i < n_devices; i++)
		places[i].path = path_of(inventory, vm->devices[i]->host, &places[i].numa);
	for (size_t i = 0; i < n_devices; i++)
		for (size_t j = 0; vm->devices[i]->kind == GDR__PCI_DEVICE__KIND__GPU && j < n_devices; j++) {
			if (vm->devices[j]->kind != GDR__PCI_DEVICE__KIND__NIC)
				continue;
			list = xrealloc(list, *n + 1, sizeof(*list));
			list[(*n)++] = make_pair(vm, places, i, j);
		}
	for (size_t i = 0; i < n_devices; i++)
		free(places[i].path);
	return list;
}

char *
vmpair_why(const struct vmpair *pair, bool has_file)
{
	bool near_on_host = pair->host <= NCCLTOPO_PXB;
	bool near_in_guest = pair->guest <= NCCLTOPO_PXB;

	if (!pair->known || (near_on_host && near_in_guest))
		return NULL;
	if (near_in_guest)
		return xasprintf("the guest says nearer than it is: on the host no switch is above both (%s)",
				 nccltopo_distance_name(pair->host));
	if (pair->host >= pair->guest)
		return NULL;
	if (same_group(pair))
		return xasprintf("i440fx has no switches: lost without the topology file, %s with it%s",
				 nccltopo_distance_name(pair->file), has_file ? "" : "; the guest does not have it");
	if (pair->gpu->cell != pair->nic->cell)
		return xasprintf("the definition puts them into different cells, %u and %u", pair->gpu->cell,
				 pair->nic->cell);
	return xasprintf("the definition puts them below different switches, %s and %s", group_of(pair->gpu),
			 group_of(pair->nic));
}
