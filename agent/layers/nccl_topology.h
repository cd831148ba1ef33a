#pragma once

/* nccl_topology.h - the guest's topology file: the host's template, or its own PCI tree, completed with what only the
 * guest knows. */

#include "agent/ib.h"
#include "agent/layer.h"

struct buf;
struct err;

/* Groups are emulated switches, or conventional buses; each becomes a virtual bridge on its NUMA node with the link of
 * its fastest endpoint, its GPUs and the NICs that have an RDMA device below it by name.  -ENOENT: no GPU is here. */
int nccl_topology_print(const struct machine *machine, const Gdr__NcclSpec *spec, const struct ib_ports *ports,
			struct buf *out, struct err *err);
