#pragma once

/* nccltopo_lint.h - what is wrong with a topology file, and what to do about it.  Each rule is a row of the table in
 * nccltopo_rules.c; NCCL itself says next to nothing about a file that it misreads. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/nccltopo.h"

/* What is known of the machine that reads the file; of a zeroed struct nothing is, and rules that would need it
 * are silent. */
struct nccltopo_device {  /* One folder of /sys/bus/pci/devices. */
	char address[16]; /* "0000:c9:00.0", lower case. */
	uint32_t class;   /* 0x030200 */
	uint16_t device;
	int numa_node; /* -1: it has none. */
	bool vf;
};
struct nccltopo_hca {     /* One folder of /sys/class/infiniband. */
	char name[64];    /* "mlx5_0" */
	char address[16]; /* "": not known. */
	unsigned mbps;    /* 0: not known. */
};
struct nccltopo_facts {
	unsigned nccl; /* NCCLTOPO_VERSION(); 0: not known. */
	const struct nccltopo_device *devices;
	size_t n_devices;
	const struct nccltopo_hca *hcas;
	size_t n_hcas;
	const char *const *gpus; /* Bus addresses of the GPUs that the driver has, in any case, NULL at the end. */
	const char *online;      /* CPUs: "0-47" */
	const char *nodes;       /* NUMA nodes: "0-1" */
	bool merge_vfs_off;      /* NCCL_IB_MERGE_VFS=0 is set for every job. */
};

enum nccltopo_severity {
	NCCLTOPO_WARNING,
	NCCLTOPO_ERROR
};

struct nccltopo_judge;
struct nccltopo_rule {
	const char *id; /* "E7" */
	enum nccltopo_severity severity;
	const char *on; /* Elements that it looks at: "pci"; "" the file as a whole, NULL every one. */
	void (*check)(struct nccltopo_judge *judge, const struct nccltopo_node *node); /* NULL: the parser does it. */
	const char *text;                                                              /* What holds of a good file. */
	const char *remedy; /* What to do where it does not. */
};

struct nccltopo_finding {
	const struct nccltopo_rule *rule;
	unsigned line; /* 0: of the file as a whole, or of a tree that was not read from one. */
	unsigned col;
	char *text; /* One line. */
};
struct nccltopo_findings {
	struct nccltopo_finding *list; /* In the order of the file. */
	size_t n;
	size_t errors;
};

/* Judges a file.  The findings are to be freed. */
void nccltopo_lint(const char *text, size_t len, const struct nccltopo_facts *facts, struct nccltopo_findings *out);
void nccltopo_findings_free(struct nccltopo_findings *findings);

/* All rules, E1 first. */
extern const struct nccltopo_rule nccltopo_rules[];
extern const size_t nccltopo_rules_len;

/* For the rules: what they look at, and how they say what they found. */
struct nccltopo_judge {
	const char *text; /* The file. */
	size_t len;
	const struct nccltopo_node *root;
	const struct nccltopo_facts *facts;
	const struct nccltopo_rule *rule; /* Whose turn it is. */
	struct nccltopo_findings *out;
};
/* At the node's attribute, or at the node itself if 'attr' is NULL or not there. */
void nccltopo_find(struct nccltopo_judge *judge, const struct nccltopo_node *node, const char *attr, const char *fmt,
		   ...) __attribute__((format(printf, 4, 5)));

/* Prints them to 'out': lines "FILE:LINE:COL: error E7: TEXT; REMEDY", or with 'json' an object of file, errors,
 * warnings and findings. */
struct buf;
void nccltopo_findings_print(const struct nccltopo_findings *findings, const char *file, bool json, struct buf *out);
