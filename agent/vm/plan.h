#pragma once

/* plan.h - what each virtual machine of a host will be: which devices, CPUs and pages it gets, the guest's PCI
 * tree that says the truth about the host's, and the address at which the guest will see every device.
 *
 * A pure function of the inventory and the spec: the same host and the same profile give the same plan, whether the
 * VM runs or not.  Nothing is made smaller to fit: a VM that cannot be is refused, with the number that does not fit.
 *
 *   plan.c        a VM, step by step           plan_bus.c    controllers, bus numbers, addresses
 *   plan_claim.c  which devices are its own    plan_room.c   address space for the devices' memory
 *   plan_cells.c  which nodes, CPUs, pages     plan_group.c  which devices share a switch */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

#define VM_NONE UINT32_MAX

/* A NUMA node of the guest, and the host's that it stands for. */
struct vm_cell {
	uint32_t host_node;
	const Gdr__NumaNode *seen; /* In the inventory. */
	size_t place;              /* Of that in the inventory's list, and so in every node's distances. */
	uint64_t memory;           /* Bytes, whole huge pages. */
	unsigned first_vcpu;
	unsigned n_vcpus;
};

/* Devices that reach each other without the CPU: in the guest one switch (q35) or one bus (i440fx). */
struct vm_group {
	char *host;    /* Address of the host's upstream port or root port that they share; "": none is known. */
	unsigned cell; /* Index in 'cells'. */
	unsigned pxb;  /* Index of its expander bus in 'controllers'. */
	bool fabric;   /* NVSwitches: NCCL makes nothing of them. */
};

enum vm_model {
	VM_ROOT, /* pcie-root, pci-root */
	VM_PXB,  /* An expander bus: a host bridge with a NUMA node. */
	VM_ROOT_PORT,
	VM_UPSTREAM,
	VM_DOWNSTREAM,
};

/* A PCI controller.  Its index in 'controllers' is libvirt's, and so the "bus" of what sits on it. */
struct vm_controller {
	enum vm_model model;
	unsigned bus;       /* On which controller it sits, by index, */
	unsigned slot;      /* and in which slot. */
	unsigned cell;      /* VM_PXB: of which NUMA node it is. */
	unsigned number;    /* VM_PXB: the bus number that firmware begins with there. */
	unsigned secondary; /* Predicted: the number of the bus below it; of a conventional VM_PXB the one behind its
			       inner bridge. */
};

/* A device of the host that the guest gets. */
struct vm_device {
	char *host;  /* Address on the host; a VF may have to be made first. */
	char *guest; /* Address in the guest, predicted. */
	Gdr__PciDevice__Kind kind;
	const Gdr__PciDevice *seen; /* In the inventory; of a VF its PF. */
	char *pf;                   /* On a VF: its PF; else NULL. */
	unsigned vf;                /* Its number there. */
	char *mac;                  /* Wanted of a VF; NULL: whatever it has. */
	unsigned group;             /* Index in 'groups'. */
	unsigned bus;               /* Controller and slot where it sits. */
	unsigned slot;
};

struct vm_plan {
	char *name;
	char *node;
	const Gdr__VmSpec *spec;
	char *refused; /* NULL, or why it cannot be; all that follows is then of no use. */
	bool q35;
	uint64_t page; /* Bytes of a huge page; 0: ordinary memory. */
	uint64_t memory;
	uint32_t phys_bits; /* Address width that the guest needs no more than; 0: not known. */
	uint32_t *cpus;     /* Host CPU of each vCPU. */
	unsigned n_cpus;
	char *emulator; /* CPU list for QEMU's own threads; NULL: none is left. */
	char *mac;      /* Of its ordinary network interface. */
	struct vm_cell *cells;
	size_t n_cells;
	struct vm_group *groups;
	size_t n_groups;
	struct vm_controller *controllers;
	size_t n_controllers;
	struct vm_device *devices; /* In the guest's order of addresses. */
	size_t n_devices;
	char **notes; /* What an operator should know of it; NULL-terminated, or NULL. */
};

struct vm_plans {
	struct vm_plan *plan;
	size_t n;
};

/* Plans every VM of 'spec', in its order: an earlier one chooses first, a refused one takes nothing.  'node' is put
 * for {node}.  The plans borrow from inventory and spec.  Free with vm_plans_free(). */
void vm_plans_make(const Gdr__Inventory *inventory, const Gdr__Spec *spec, const char *node, struct vm_plans *out);
void vm_plans_free(struct vm_plans *plans);
/* The plan of that name, or NULL. */
const struct vm_plan *vm_plans_find(const struct vm_plans *plans, const char *name);

/* Bytes that the VMs have on a node of the host. */
uint64_t vm_plans_memory(const struct vm_plans *plans, uint32_t host_node);
/* How many VFs the VMs need of a PF. */
unsigned vm_plans_vfs(const struct vm_plans *plans, const char *pf);
/* The path of its image, {node} and {vm} filled in; NULL: it has none.  The caller frees. */
char *vm_plan_disk(const struct vm_plan *plan);
