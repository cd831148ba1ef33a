#pragma once

/* inventory_internal.h - the PCI half of inventory.c. */

#include "agent/inventory.h"

/* Fills in 'inventory->pci'. */
void inventory_read_pci(struct host *host, struct pci *pci, Gdr__Inventory *inventory);
