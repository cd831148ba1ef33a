/* faults_guest.c - what can go wrong in the guest of a simulated host's VM.  Some are read by the tools that stand for its
 * kernel (links.c), its driver (smi_tool.c) and what measures it (guest_bench.c). */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/faults_internal.h"
#include "tests/simhost/links.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define ETHERNET_MTU 1500U
#define MAX_MTU      9978U
#define FIRST_NIC    "ens1"
#define FIRST_HCA    "mlx5_0"
#define TOPOLOGY     "var/run/nvidia-topologyd/virtualTopology.xml"

/* --- interfaces -------------------------------------------------------------------------------------------------- */

static int
edit_link(const struct act *act, void (*edit)(struct sim_link *link, bool broken), struct err *err)
{
	const char *name = *act->value ? act->value : FIRST_NIC;
	struct sim_link links[LINKS_MAX] = { 0 };
	bool found = false;

	(void)flock(act->tree->fd, LOCK_EX);
	int n = links_load(act->tree, links);
	for (int i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0) {
			edit(&links[i], act->broken);
			found = true;
		}
	links_save(act->tree, links, n);
	return found ? 0 : err_set(err, -ENODEV, "it has no interface %s", name);
}

static void
reset_rings(struct sim_link *link, bool broken)
{
	(void)broken;
	link->rx = link->tx = 1024;
}

static int
ring_reset(const struct act *act, struct err *err)
{
	return edit_link(act, reset_rings, err);
}

static void
reset_mtu(struct sim_link *link, bool broken)
{
	(void)broken;
	link->mtu = ETHERNET_MTU;
}

static int
mtu_reset(const struct act *act, struct err *err)
{
	return edit_link(act, reset_mtu, err);
}

static void
limit_mtu(struct sim_link *link, bool broken)
{
	link->max_mtu = broken ? ETHERNET_MTU : MAX_MTU;
	link->mtu = link->mtu > link->max_mtu ? link->max_mtu : link->mtu;
}

static int
mtu_limited(const struct act *act, struct err *err)
{
	return edit_link(act, limit_mtu, err);
}

/* --- files that say something else ------------------------------------------------------------------------------- */

/* 'path' holds 'text' until it is mended; meanwhile what it held is kept as .sim/whole/NAME. */
static int
overlay(const struct act *act, const char *name, const char *path, const char *text, struct err *err)
{
	auto_free char *kept = xasprintf(".sim/whole/%s", name);
	auto_free char *whole = tree_read(act->tree, act->broken ? path : kept);

	if (act->broken && whole)
		tree_printf(act->tree, kept, "%s", whole);
	if (whole)
		tree_printf(act->tree, path, "%s\n", act->broken ? text : whole);
	if (!act->broken)
		tree_remove(act->tree, kept);
	return whole ? 0 : err_set(err, -ENOENT, "it has no %s", path);
}

static int
gid_gone(const struct act *act, struct err *err)
{
	auto_free char *path = xasprintf("sys/class/infiniband/%s/ports/1/gids/1",
					 *act->value ? act->value : FIRST_HCA);

	return overlay(act, "gid", path, "0000:0000:0000:0000:0000:0000:0000:0000", err);
}

static int
hca_down(const struct act *act, struct err *err)
{
	auto_free char *path = xasprintf("sys/class/infiniband/%s/ports/1/state", *act->value ? act->value : FIRST_HCA);

	return overlay(act, "port", path, "1: DOWN", err);
}

static int
peermem_gone(const struct act *act, struct err *err)
{
	(void)err;
	if (act->broken)
		tree_remove(act->tree, "sys/module/nvidia_peermem");
	else
		tree_printf(act->tree, "sys/module/nvidia_peermem/version", "535.161.08\n");
	return 0;
}

/* --- what happens once ------------------------------------------------------------------------------------------- */

static int
damage_topology(const struct act *act, struct err *err)
{
	(void)err;
	tree_printf(act->tree, *act->value ? act->value : TOPOLOGY, "<system version=\"1\"/>\n");
	return 0;
}

static int
edit_conf(const struct act *act, struct err *err)
{
	(void)err;
	tree_printf(act->tree, "etc/nccl.conf", "%s\n", *act->value ? act->value : "NCCL_DEBUG=TRACE");
	return 0;
}

static int
log_xid(const struct act *act, struct err *err)
{
	(void)err;
	auto_free char *log = tree_read(act->tree, "var/log/dmesg");
	tree_printf(act->tree, "var/log/dmesg",
		    "%s\n[  100.000000] NVRM: Xid (PCI:0000:05:00): %s, pid='<unknown>', name=<unknown>\n",
		    log ? log : "", *act->value ? act->value : "79");
	return 0;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

const struct fault guest_faults[] = {
	{ "ring-reset", "NAME", "an interface has the rings that its driver starts with (ens1)", ONE_TIME, ring_reset },
	{ "mtu-reset", "NAME", "an interface's MTU is 1500 again (ens1)", ONE_TIME, mtu_reset },
	{ "mtu-limited", "NAME", "an interface takes no MTU above 1500, as by its host's port (ens1)", AT_ONCE,
	  mtu_limited },
	{ "link-refuses", NULL, "the kernel lets nobody set anything of an interface", AT_ONCE, NULL },
	{ "gid-gone", "HCA", "a port lost its RoCE v2 GID (mlx5_0)", AT_ONCE, gid_gone },
	{ "hca-down", "HCA", "a port is down (mlx5_0)", AT_ONCE, hca_down },
	{ "gpu-lost", "ADDRESS", "a GPU fell off the bus, and the driver says so (the first)", AT_ONCE, NULL },
	{ "gpu-mig", "ADDRESS", "a GPU is in MIG mode", AT_ONCE, NULL },
	{ "gpu-ecc", "ADDRESS", "a GPU's memory has uncorrectable errors", AT_ONCE, NULL },
	{ "gpu-throttled", "ADDRESS", "a GPU is slowed down by its hardware", AT_ONCE, NULL },
	{ "nvlink-down", "ADDRESS", "a GPU has an NVLink that is inactive", AT_ONCE, NULL },
	{ "fabric-down", NULL, "the fabric manager does not run", AT_ONCE, NULL },
	{ "fabric-version", "VERSION", "the fabric manager is not of the driver's version", AT_ONCE, NULL },
	{ "gpu-busy", NULL, "a process uses the GPUs", AT_ONCE, NULL },
	{ "bench-slow", "BANDWIDTH", "whatever measures bandwidth finds just this", AT_ONCE, NULL },
	{ "bench-hangs", "TOOL", "a measuring tool does not end (all_reduce_perf)", AT_ONCE, NULL },
	{ "bench-fails", "TOOL", "a measuring tool fails (all_reduce_perf)", AT_ONCE, NULL },
	{ "xid", "NUMBER", "the driver logs that a GPU failed (79)", ONE_TIME, log_xid },
	{ "driver-absent", NULL, "there is no driver that nvidia-smi could speak to", AT_ONCE, NULL },
	{ "smi-hangs", NULL, "nvidia-smi does not end, as when the driver hangs", AT_ONCE, NULL },
	{ "smi-denied", NULL, "nvidia-smi may change nothing: insufficient permissions", AT_ONCE, NULL },
	{ "peermem-gone", NULL, "nvidia-peermem is not loaded", AT_ONCE, peermem_gone },
	{ "topology-damaged", "PATH", "somebody emptied NCCL's topology file", ONE_TIME, damage_topology },
	{ "nccl-conf-edited", "LINE", "somebody wrote into /etc/nccl.conf (NCCL_DEBUG=TRACE)", ONE_TIME, edit_conf },
	{ 0 },
};
