#pragma once

/* vmpair.h - how far apart the GPUs and NICs of a VM are, on its host and in the guest, and where a pair lost its
 * distance.  Pure; a host's word for both is taken as it comes. */

#include <stdbool.h>
#include <stddef.h>

#include "common/nccltopo.h"
#include "proto/wire.pb-c.h"

struct vmpair {
	const Gdr__VmDevice *gpu;
	const Gdr__VmDevice *nic;
	bool known; /* 'host' is. */
	enum nccltopo_distance host;
	enum nccltopo_distance guest; /* As its sysfs shows it, without a topology file. */
	enum nccltopo_distance file;  /* With one that is right: it has a bridge for each group. */
};

/* Every GPU of 'vm' with every NIC, '*n' of them; the caller frees.  'inventory' may be NULL. */
struct vmpair *vmpair_list(const Gdr__Vm *vm, const Gdr__Inventory *inventory, size_t *n);
/* Why the guest's distance is another than the host's; NULL: it is not.  'has_file': its topology file is as it should
 * be.  The caller frees. */
char *vmpair_why(const struct vmpair *pair, bool has_file);
