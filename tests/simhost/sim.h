#pragma once

/* sim.h - one simulated host: its folder, what it was made with, and what is broken about it.
 *
 * DIR is the machine's root.  DIR/.sim is not of the machine: 'host' (what it was made with), 'faults' (one file
 * for each that is on), 'bin' (the vendor tools), 'run.pid' (held by `run`), 'reboot-request'. */

#include <stdbool.h>

struct err;
struct tree;

#define SIM_KERNEL "5.15.0-113-generic"
#define SIM_NODES  2

enum sim_ats {
	SIM_ATS_KERNEL, /* The kernel enables it wherever there is an IOMMU. */
	SIM_ATS_NOT_PT, /* The same, but not for the identity domains of iommu=pt. */
	SIM_ATS_OFF,    /* Never. */
};

struct sim {
	char *dir; /* Absolute, no links. */
	int fd;
	char *name;
	unsigned gpus;
	unsigned nics;
	unsigned memory;       /* GiB for each NUMA node. */
	unsigned pages_memory; /* Per cent of it that huge pages may take. */
	enum sim_ats ats;
	bool in_vm; /* It is the machine in a VM: only 'dir', 'fd' and 'name' are set. */
};

/* What `create` was told; 'sim' owns its strings. */
int sim_create(struct sim *sim, const char *dir, const char *check_interval, struct err *err);
int sim_open(struct sim *sim, const char *dir, struct err *err);
/* The machine in a VM, by its root. */
int sim_open_guest(struct sim *sim, const char *root, const char *vm, struct err *err);
/* A host's "DIR", or "DIR/VM": the machine in one of its VMs. */
int sim_open_any(struct sim *sim, const char *dir, struct err *err);
void sim_close(struct sim *sim);

/* "kernel", "not-pt", "off". */
bool sim_ats_parse(const char *text, enum sim_ats *out);

/* NULL if it is not on; else its parameter, or "".  The caller frees. */
char *sim_fault(const struct sim *sim, const char *name);
bool sim_broken(const struct sim *sim, const char *name);

/* The whole machine as a tree; close with tree_close(). */
int sim_tree(const struct sim *sim, struct tree *out, struct err *err);

/* Takes the lock that `run` holds: -EBUSY if the host is running. */
int sim_lock(const struct sim *sim, int *fd, struct err *err);

/* A random one, as of a boot or a file system; the caller frees. */
char *sim_uuid(void);

/* disk.c: what survives a reboot, written once. */
void disk_write(struct tree *tree, const struct sim *sim, const char *check_interval);
