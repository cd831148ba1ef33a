#pragma once

/* nccltopo.h - NCCL's topology file as a tree: read as NCCL reads it, changed, written, measured.
 *
 * What NCCL (src/graph/xml.cc) accepts is not XML but a dialect of its own: no prolog, no tabs, no text between
 * elements, one line an element.  The parser here accepts what NCCL's accepts and refuses what NCCL's refuses; a
 * library for XML could say neither.  Nothing here touches the machine.  nccltopo_lint.h judges a file. */

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* As NCCL_VERSION_CODE has it since 2.9. */
#define NCCLTOPO_VERSION(major, minor, patch) ((major)*10000U + (minor)*100U + (patch))
/* "2.20" or "2.20.5"; false: it is none. */
bool nccltopo_version(const char *text, unsigned *out);

struct nccltopo_attr {
	char *name;
	char *value;
	unsigned line; /* Where its name begins, counted from 1; 0 if it was not read from a file. */
	unsigned col;
};

struct nccltopo_node {
	char *name; /* "cpu"; "" for the root, whose children are the file's outermost elements. */
	struct nccltopo_attr *attrs;
	size_t n_attrs;
	struct nccltopo_node **nodes;
	size_t n_nodes;
	struct nccltopo_node *parent; /* NULL: the root. */
	bool ignored;                 /* NCCL reads past it and all it holds: a gpu below a cpu.  Not written. */
	size_t n_dropped;             /* Attributes that NCCL reads past: it keeps 16. */
	unsigned line;                /* Of its '<'; 0 if it was not read from a file. */
	unsigned col;
};

/* Why NCCL would refuse a file. */
struct nccltopo_error {
	unsigned line;
	unsigned col;
	char what[160];
};

/* Reads a file as NCCL of that version does (0: the newest known).  NULL and '*error' where NCCL would give up
 * reading.  The version of the system element and how many nodes there are is for nccltopo_lint(). */
struct nccltopo_node *nccltopo_parse(const char *text, size_t len, unsigned version, struct nccltopo_error *error);
/* An empty tree, to build one. */
struct nccltopo_node *nccltopo_new(void);
/* The node with all below it; a child is cut out of its parent.  NULL is fine. */
void nccltopo_free(struct nccltopo_node *node);

/* NULL: it has no such attribute. */
const char *nccltopo_get(const struct nccltopo_node *node, const char *attr);
void nccltopo_set(struct nccltopo_node *node, const char *attr, const char *value);
/* A new last child; 'node' owns it. */
struct nccltopo_node *nccltopo_add(struct nccltopo_node *node, const char *name);
/* The first child of that name, or NULL. */
struct nccltopo_node *nccltopo_child(const struct nccltopo_node *node, const char *name);
/* The next node of the whole tree, in the order of the file, without what is ignored; start with the root.  NULL:
 * that was the last. */
struct nccltopo_node *nccltopo_next(const struct nccltopo_node *node);
/* The pci node with that bus id, as it is written, or NULL. */
struct nccltopo_node *nccltopo_find_pci(const struct nccltopo_node *root, const char *busid);

/* What NCCL would read, in the form that every version reads: one space, double quotes, no prolog. */
void nccltopo_write(const struct nccltopo_node *root, struct buf *out);

enum nccltopo_role {
	NCCLTOPO_OTHER, /* No pci node, or a pci node whose class is not written. */
	NCCLTOPO_BRIDGE,
	NCCLTOPO_GPU,
	NCCLTOPO_NIC,
	NCCLTOPO_NVSWITCH,
};
/* By what it holds (gpu, nic), else by its class; what NCCL does not know is a bridge to it. */
enum nccltopo_role nccltopo_role(const struct nccltopo_node *node);
/* A bridge that stands for none in sysfs: its bus id is in the domain ffff. */
bool nccltopo_virtual(const struct nccltopo_node *pci);

/* The link of a pci node as NCCL counts it, in GB/s.  A speed that it does not know counts as 8 GT/s; '*known'
 * (may be NULL) says so. */
double nccltopo_bandwidth(const struct nccltopo_node *pci, bool *known);

/* How far apart two devices are, in NCCL's words: LOC the same, PIX below one bridge, PXB over several, PHB through
 * a CPU, SYS through two.  GPU Direct RDMA is used up to PXB, unless NCCL_NET_GDR_LEVEL says otherwise. */
enum nccltopo_distance {
	NCCLTOPO_LOC,
	NCCLTOPO_PIX,
	NCCLTOPO_PXB,
	NCCLTOPO_PHB,
	NCCLTOPO_SYS
};
const char *nccltopo_distance_name(enum nccltopo_distance distance); /* "PIX" */
/* Of two nodes of one tree. */
enum nccltopo_distance nccltopo_distance(const struct nccltopo_node *a, const struct nccltopo_node *b);
/* Without a file: of two devices by their paths in sysfs ("/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/...")
 * and the NUMA node of each.  NCCL climbs two components at a time and stops at the first that is no PCI address. */
enum nccltopo_distance nccltopo_climb(const char *path_a, int numa_a, const char *path_b, int numa_b);

/* The link as every version of NCCL reads it: "16 GT/s" for the kernel's "16.0 GT/s PCIe".  Where speed (NULL, or the
 * kernel's "Unknown") or width (0) is not known, of PCI Express 4.0 x16. */
void nccltopo_set_link(struct nccltopo_node *pci, const char *speed, unsigned width);
/* As affinity has them, the CPUs of a list of the kernel's ("0-23,48") of 'total': words of 32 bits, the most
 * significant first.  NULL: it is no such list.  The caller frees. */
char *nccltopo_affinity(const char *list, unsigned total);
