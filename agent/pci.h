#pragma once

/* pci.h - the PCI half of the machine's door, over libpci: capabilities found by walking their lists,
 * registers changed bit by bit.
 *
 * Nothing here writes a register whole: pci_update() reads, changes the bits of 'mask' alone, writes, and
 * reads back.  libpci's own errors (it would exit) become struct err. */

#include <stdint.h>

struct err;
struct host;
struct pci;

/* Scans ROOT/sys/bus/pci once. */
int pci_open(struct host *host, struct pci **out, struct err *err);
void pci_close(struct pci *pci);

/* Addresses of all devices, "0000:3f:00.0", in order; NULL-terminated, the pci's own. */
const char *const *pci_devices(const struct pci *pci);

/* Offset of a capability (PCI_CAP_ID_*) or extended one (PCI_EXT_CAP_ID_*) in configuration space; 0: it has none. */
unsigned pci_find_cap(struct pci *pci, const char *address, unsigned id);
unsigned pci_find_ext_cap(struct pci *pci, const char *address, unsigned id);

int pci_read8(struct pci *pci, const char *address, unsigned offset, uint8_t *out, struct err *err);
int pci_read16(struct pci *pci, const char *address, unsigned offset, uint16_t *out, struct err *err);
int pci_read32(struct pci *pci, const char *address, unsigned offset, uint32_t *out, struct err *err);

/* Sets the bits of 'mask' to those of 'value'.  -EIO if they do not read back so; '*before', if not NULL,
 * is the whole register as it was. */
int pci_update16(struct pci *pci, const char *address, unsigned offset, uint16_t mask, uint16_t value, uint16_t *before,
		 struct err *err);
