#pragma once

/* pci.h - the PCI half of the machine's door, over libpci: capabilities found by walking their lists,
 * registers changed bit by bit.
 *
 * Nothing here writes a register whole: pci_update16() reads, changes the bits of 'mask' alone, writes, and
 * reads back.  libpci's own errors (it would exit) become struct err. */

#include <stdint.h>

struct err;
struct host;
struct pci;

/* Capability ids; PCI Code and ID Assignment specification. */
enum {
	CAP_EXPRESS = 0x10,
	EXT_CAP_ACS = 0x0d,
	EXT_CAP_ATS = 0x0f,
	EXT_CAP_SRIOV = 0x10,
};

/* Looks at ROOT/sys/bus/pci once.  A device that cannot be reached without leaving the root is left out, and so is
 * an entry that is no address.  One at a time may be used by a thread. */
int pci_open(struct host *host, struct pci **out, struct err *err);
void pci_close(struct pci *pci);

/* Addresses of all devices, "0000:3f:00.0", in order; NULL-terminated, the pci's own. */
const char *const *pci_devices(const struct pci *pci);

/* Offset of a capability (CAP_*) or extended one (EXT_CAP_*) in configuration space; 0: it has none. */
unsigned pci_cap(struct pci *pci, const char *address, unsigned id);
unsigned pci_ext_cap(struct pci *pci, const char *address, unsigned id);

int pci_read8(struct pci *pci, const char *address, unsigned offset, uint8_t *out, struct err *err);
int pci_read16(struct pci *pci, const char *address, unsigned offset, uint16_t *out, struct err *err);
int pci_read32(struct pci *pci, const char *address, unsigned offset, uint32_t *out, struct err *err);

/* Sets the bits of 'mask' to those of 'value'.  -EIO if they do not read back so; '*before', if not NULL,
 * is the whole register as it was. */
int pci_update16(struct pci *pci, const char *address, unsigned offset, uint16_t mask, uint16_t value, uint16_t *before,
		 struct err *err);
