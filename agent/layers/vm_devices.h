#pragma once

/* vm_devices.h - what the host's devices need before a VM gets them: VFs that exist, with MAC and VLAN, and vfio-pci.
 *
 * Items: "PF/vfs", "ADDRESS/mac", "ADDRESS/vlan", "ADDRESS/driver".  What a running VM has is left alone. */

#include <stdbool.h>

#include "agent/layer.h"
#include "agent/vm/plan.h"

/* 'busy': the VM of the plan runs. */
void vm_devices_inspect(const struct machine *machine, const Gdr__Spec *spec, const struct vm_plans *plans,
			bool (*busy)(const struct vm_plan *plan, const void *arg), const void *arg, struct report *out);
/* True if the key is one of the above. */
bool vm_devices_own(const char *key);
int vm_devices_apply(const struct machine *machine, const struct vm_plans *plans, const struct item *item,
		     struct err *err);

/* The line of VF 'vf' in what `ip link show dev PF` says, in the forms of iproute2 since 3.x; false: it is not there.
 * 'mac' is lower case. */
bool vm_vf_parse(const char *text, unsigned vf, char mac[18], unsigned *vlan);
