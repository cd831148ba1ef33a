#pragma once

/* plan_internal.h - between the parts of the plan.  Each step fills in what the next ones need, and refuses with
 * -ENOSPC and the number that does not fit, or with -EINVAL what cannot be at all. */

#include "agent/vm/plan.h"

struct err;

/* What one VM is planned from. */
struct vm_host {
	const Gdr__Inventory *inventory;
	const Gdr__Spec *spec;
	const struct vm_plans *before; /* Earlier VMs: what they have is taken. */
};

/* Which devices; then which of them share what, in the guest's order.  Needs the cells in between. */
int vm_plan_claim(const struct vm_host *host, struct vm_plan *plan, struct err *err);
int vm_plan_group(const struct vm_host *host, struct vm_plan *plan, struct err *err);

/* Which nodes; CPUs and pages of each. */
int vm_plan_cells(const struct vm_host *host, struct vm_plan *plan, struct err *err);
/* The cell that stands for a host node, or for the one nearest to it. */
unsigned vm_plan_cell(const struct vm_host *host, const struct vm_plan *plan, int32_t host_node);
/* What is left for QEMU's own threads once every VM has its CPUs. */
void vm_plan_emulator(const struct vm_host *host, struct vm_plan *plan);

/* The PCI tree, and the address at which firmware will find each device in it. */
int vm_plan_bus(struct vm_plan *plan, struct err *err);
/* Whether firmware finds room for the devices' memory. */
int vm_plan_room(const struct vm_host *host, struct vm_plan *plan, struct err *err);

void vm_plan_note(struct vm_plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "0-23,48"; the caller frees. */
char *vm_list_text(const uint32_t *numbers, size_t n);

/* "0000:3f:00.2" */
struct vm_address {
	unsigned domain, bus, slot, function;
};
bool vm_address_read(const char *text, struct vm_address *out);
char *vm_address_text(const struct vm_address *address);
