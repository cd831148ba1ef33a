#pragma once

/* topology.h - a planned VM as NCCL will see it: without a topology file, and the file that tells it the truth.
 *
 * Without one, NCCL climbs sysfs two components at a time.  Two devices below one emulated switch are near (PIX); on
 * i440fx, and below root ports, a CPU stands between them (PHB), and GPU Direct RDMA stays off.  An emulated switch
 * is near but slow: its ports say 2.5 GT/s x1.  Pure: the plan and the host's links in, a tree out. */

#include "common/nccltopo.h"
#include "proto/wire.pb-c.h"

struct vm_device;
struct vm_plan;

/* Of two devices in the guest's own sysfs. */
enum nccltopo_distance vm_topology_distance(const struct vm_plan *plan, const struct vm_device *a,
					    const struct vm_device *b);

enum vm_topology_need {
	VM_TOPOLOGY_NONE,      /* NCCL finds all by itself. */
	VM_TOPOLOGY_BANDWIDTH, /* It finds the distances; a file tells it how fast the links are. */
	VM_TOPOLOGY_DISTANCE,  /* Without a file there is no GPU Direct RDMA. */
};
/* '*why' becomes one line that says so; the caller frees. */
enum vm_topology_need vm_topology_need(const struct vm_plan *plan, char **why);

/* The file: each group a virtual bridge with the link of the host's real one, each GPU and NIC below it at its
 * predicted address.  Names of nets are the guest's to fill in.  The caller frees with nccltopo_free(). */
struct nccltopo_node *vm_topology_make(const struct vm_plan *plan, const Gdr__Inventory *inventory);

/* The same for the guest alone, in its definition: the credential VM_TOPOLOGY_CREDENTIAL of agent/machine/smbios.h.  NULL: NCCL
 * needs no file there.  The caller frees. */
#define VM_TOPOLOGY_CREDENTIAL "gdrfleet.nccl-topology"
char *vm_topology_to_smbios(const struct vm_plan *plan, const Gdr__Inventory *inventory);
