#pragma once

/* nic.h - the NICs' firmware: settings that are stored now and loaded at a boot, and the tool that stores them.
 *
 * DIR/.sim/nic/CARD has a line a parameter: "NAME current next"; NAME.F is function F's own.  DIR/.sim/nic/version
 * says as which version of mstconfig the tool speaks, DIR/.sim/nic/firmware which firmware runs and which is stored. */

#include <stdbool.h>
#include <stdint.h>

struct err;
struct pci_model;
struct sim;
struct tree;

#define NIC_CARDS 4

/* As they leave the factory. */
void nic_create(struct tree *tree, const struct sim *sim);
/* A boot: what is stored is loaded, where nothing is broken. */
int nic_boot(const struct sim *sim, struct err *err);
/* What the cards tell of themselves in the boot that is being made in 'next': vital product data, firmware. */
void nic_sysfs(struct tree *next, const struct tree *tree, const struct pci_model *model);
/* The buses of cards without ATS; 0: no more. */
void nic_no_ats(const struct sim *sim, uint8_t out[NIC_CARDS]);

/* The arguments of mstconfig, mstflint, mstfwreset, without its name; prints as it does, and returns its exit status. */
int nic_tool(const struct sim *sim, char *const argv[], int argc);
int nic_flint(const struct sim *sim, char *const argv[], int argc);
int nic_fwreset(const struct sim *sim, char *const argv[], int argc);
