#pragma once

/* boot.h - what firmware and kernel do between power on and the first process. */

#include <stdbool.h>

struct err;
struct pci_boot;
struct sim;
struct tree;

/* A new boot: /proc, /sys and /run are made anew from what is on disk and what is broken. */
int boot(const struct sim *sim, struct err *err);
bool boot_happened(const struct sim *sim);

/* How the kernel whose /proc/cmdline is in 'tree' sets up PCI; free 'out->no_dt'. */
void boot_pci(const struct sim *sim, const struct tree *tree, struct pci_boot *out);
