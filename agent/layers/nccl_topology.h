#pragma once

/* nccl_topology.h - the guest's topology file: the template that its host put into the VM's definition, or the guest's
 * own PCI tree, completed with what only the guest knows.
 *
 * The host knows the real slots' links, and which emulated switch stands for which real one; it cannot know what the
 * guest calls its RDMA devices.  A template that does not fit what is here is not used: a VM that was started with
 * another definition must not be told of that one. */

#include "agent/layer.h"
#include "agent/machine/ib.h"
#include "common/buf.h"

struct err;

struct nccl_topology {
	struct buf text;
	const char *from; /* "definition", "file", "own PCI tree" */
	char *why;        /* NULL, or why it is not made from the definition's template. */
	char *wrong;      /* NULL, or the first error that nccltopo_lint() finds in it. */
};

/* From the spec's own file where it names one.  From its own tree: groups are emulated switches, or conventional buses;
 * each becomes a virtual bridge on its NUMA node with the link of its fastest endpoint, its GPUs and the NICs that have
 * an RDMA device below it by name.  -ENOENT: no GPU is here.  To be freed, also after an error. */
int nccl_topology_make(const struct machine *machine, const Gdr__NcclSpec *spec, const struct ib_ports *ports,
		       struct nccl_topology *out, struct err *err);
void nccl_topology_free(struct nccl_topology *topology);
