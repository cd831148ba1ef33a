#pragma once

/* pci.h - the PCI devices of an HGX A100 host: which there are, what is in their configuration space, and what
 * the kernel shows of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct tree;

#define PCI_SPACE     4096
#define PCI_FIRST_GPU "0000:3d:00.0"

/* Kind of Express port, as in the PCIe capability; NO_EXPRESS: the function has none. */
enum port {
	ENDPOINT = 0,
	ROOT_PORT = 4,
	UPSTREAM = 5,
	DOWNSTREAM = 6,
	TO_PCI = 7,
	NO_EXPRESS = -1,
};

struct pci_cap {
	uint16_t id;
	uint16_t at;
};

enum bar_type {
	BAR_NONE,
	BAR_MEM32,
	BAR_PREF64, /* Takes the next BAR as well. */
};

struct pci_kind {
	uint16_t vendor, device, sub_vendor, sub_device;
	uint32_t class_code;
	uint8_t revision;
	enum port port;
	uint8_t speed, width; /* Generation and lanes. */
	uint16_t acs;         /* ACS capability bits, where there is one. */
	uint16_t total_vfs;
	const char *driver; /* That takes it by its id; NULL: none. */
	struct pci_cap caps[6];
	struct pci_cap ext[8];
	enum bar_type bar_type[6];
	uint32_t bar_mib[6];
	uint32_t vf_bar_mib;
};

#define PCI_VF_BAR 6 /* Index in 'base' of where the VFs' memory starts. */

struct pci_dev {
	const struct pci_kind *kind;
	uint8_t bus, slot, fn;
	uint8_t secondary, subordinate; /* Of a bridge. */
	uint8_t root_bus;
	int numa;
	int parent;  /* Index; -1: on a root bus. */
	bool multi;  /* One of several functions. */
	bool filled; /* Of a port: something is plugged in. */
	uint64_t base[7];
	uint64_t mem_window[2], pref_window[2]; /* First and last byte; 0, 0: none. */
	char address[16];
	char path[256]; /* "sys/devices/pci0000:3a/..." */
};

struct pci_model {
	struct pci_dev devs[128];
	size_t n;
};

/* Everything that is there at power on; 'gpus' at most 8, 'nics' at most 4. */
void pci_model_build(struct pci_model *model, const struct sim *sim);
struct pci_dev *pci_model_find(struct pci_model *model, const char *address);
/* The VF 'index' of 'pf', as sriov_numvfs brings it up. */
void pci_model_vf(const struct pci_dev *pf, unsigned index, struct pci_dev *out);
/* A switch port that GPU-NIC traffic goes through. */
const char *pci_model_gdr_port(const struct pci_model *model);

bool pci_is_gpu(const struct pci_dev *dev);
bool pci_is_gdr_nic(const struct pci_dev *dev);
bool pci_is_bridge(const struct pci_dev *dev);

/* What firmware and kernel of this boot make of the registers. */
struct pci_boot {
	bool iommu;
	bool passthrough;
	bool ats;
	bool small_reads; /* The firmware left 512 bytes in the NICs. */
	bool no_4g;       /* No room for BARs above 4 GiB. */
	bool no_sriov;
	uint8_t no_ats[4]; /* Buses of NICs whose firmware has ATS switched off; 0: no more. */
	char *no_dt;       /* Address of a port whose ACS lacks Direct Translated P2P, or NULL. */
};

/* Where a BAR was put; 0: nowhere. */
uint64_t pci_bar(const struct pci_dev *dev, const struct pci_boot *boot, unsigned i);

void pci_space(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t out[PCI_SPACE]);
/* Offset of a capability in such a space; 0: it has none. */
unsigned pci_space_cap(const uint8_t *space, unsigned id);
unsigned pci_space_ext_cap(const uint8_t *space, unsigned id);

/* All devices, each in its IOMMU group if there is an IOMMU, before drivers bind. */
void pci_sysfs_write(struct tree *tree, const struct pci_model *model, const struct pci_boot *boot);
/* It fell off the bus. */
void pci_sysfs_drop(struct tree *tree, const char *address);
void pci_sysfs_add_driver(struct tree *tree, const char *driver);
/* Brings up or takes down the VFs of 'pf'. */
void pci_sysfs_set_vfs(struct tree *tree, const struct pci_dev *pf, const struct pci_boot *boot, unsigned n);

/* False if that cannot be: no such device or driver, it has a driver, or vfio-pci without an IOMMU group. */
bool pci_bind(struct tree *tree, const char *address, const char *driver);
void pci_unbind(struct tree *tree, const char *address);
/* driver_override, else the one that knows its ids; as drivers_probe does. */
void pci_probe(struct tree *tree, const struct pci_model *model, const char *address);
