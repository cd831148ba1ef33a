#pragma once

/* inventory.h - what the machine is made of: once a pass, for the layers and for the report. */

#include <stdbool.h>

#include "proto/wire.pb-c.h"

struct err;
struct host;
struct pci;

/* Reads only.  What cannot be read is absent; an error only where there is no machine at all under the root
 * (no /proc/cpuinfo).  'pci' may be NULL (no PCI bus).  Free with inventory_free(). */
int inventory_read(struct host *host, struct pci *pci, Gdr__Inventory **out, struct err *err);
void inventory_free(Gdr__Inventory *inventory);

/* The device with this address, or NULL. */
const Gdr__PciDevice *inventory_device(const Gdr__Inventory *inventory, const char *address);

/* True if 'device' is a root port or switch downstream port with a GPU below it, or a NIC that shares a switch
 * (or root complex) with a GPU: the ports where ACS decides which way GPU-NIC traffic goes. */
bool inventory_on_gdr_path(const Gdr__Inventory *inventory, const Gdr__PciDevice *device);
