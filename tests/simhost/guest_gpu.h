#pragma once

/* guest_gpu.h - the GPU side of a simulated guest: the switches above its devices, the driver's files, and an nvidia-smi.
 *
 * ROOT/.sim/gpus has a line a GPU: "ADDRESS PERSISTENCE GRAPHICS MEMORY"; the tool's setters rewrite it.  What is broken
 * about it is in ROOT/.sim/faults: see faults_guest.c. */

#include "proto/wire.pb-c.h"

struct pci_model;
struct sim;
struct tree;

/* Puts root, upstream and downstream ports above each group of endpoints, with the bus numbers that firmware gives them:
 * the endpoints of a group follow its three buses.  On a machine without switches nothing. */
void guest_gpu_switches(struct pci_model *guest, const Gdr__Vm *vm);
/* What the driver and the rest of the system show, and the programs. */
void guest_gpu_write(struct tree *tree, const struct pci_model *guest);
/* Lines of guest.yaml's `tools`; 'root' is the guest's root.  The caller frees. */
char *guest_gpu_tools(const char *root);

/* What ROOT/.sim/bin/nvidia-smi runs, with the guest's name first: its exit status. */
int smi_tool(const struct sim *sim, char *const words[], int n);
