#pragma once

/* inventory_internal.h - the PCI half of inventory.c. */

#include <stddef.h>

#include "agent/machine/inventory.h"

/* The field of the read-only part of vital product data (PCI local bus specification 3.0, appendix I), without blanks
 * at its end; NULL: there is none, or the data is damaged.  The caller frees. */
char *inventory_vpd(const char *vpd, size_t len, const char *keyword);

/* Memory windows, link and SR-IOV numbering of a device whose ids and kind are known. */
void inventory_read_bars(struct host *host, Gdr__PciDevice *device);

/* Fills in 'inventory->pci'. */
void inventory_read_pci(struct host *host, struct pci *pci, Gdr__Inventory *inventory);

/* The firmware version in the flash of a NIC that runs 'running'; NULL: nobody can tell.  Remembered for an hour.  The
 * caller frees. */
char *inventory_stored_firmware(struct host *host, const char *address, const char *running);
