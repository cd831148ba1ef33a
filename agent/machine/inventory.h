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

/* The bridge above, or NULL on a root bus. */
const Gdr__PciDevice *inventory_above(const Gdr__Inventory *inventory, const Gdr__PciDevice *device);
bool inventory_is_below(const Gdr__Inventory *inventory, const Gdr__PciDevice *bridge, const Gdr__PciDevice *device);
/* True if there is an upstream port above both: they can reach each other without the CPU. */
bool inventory_share_switch(const Gdr__Inventory *inventory, const Gdr__PciDevice *a, const Gdr__PciDevice *b);

/* True if 'device' is a NIC's physical function that GPUs send to: it shares a switch or a root complex with one.
 * Where the machine has NVIDIA NICs (15b3), others count only below a GPU's switch: the on-board NIC for management
 * is none of this. */
bool inventory_gdr_nic(const Gdr__Inventory *inventory, const Gdr__PciDevice *device);

/* True if 'device' is a root port or switch downstream port with such a NIC below it, or with a GPU that such a NIC
 * serves: the ports where ACS decides which way GPU-NIC traffic goes. */
bool inventory_on_gdr_path(const Gdr__Inventory *inventory, const Gdr__PciDevice *device);

/* The rest of the first line "KEY<blanks>: VALUE" or "KEY=VALUE", without quotes and blanks around it; NULL: there is
 * none.  The form of cpuinfo, meminfo and os-release.  The caller frees. */
char *inventory_field(const char *text, const char *key);
