#pragma once

/* nic_state.h - what a simulated NIC's firmware holds; for those who look into it. */

#include <stdbool.h>
#include <stddef.h>

struct err;
struct sim;
struct tree;

#define NIC_FUNCTIONS  2
#define NIC_PARAMETERS 16

enum nic_type {
	NIC_NUMBER,
	NIC_BOOL,
	NIC_ENUM,
	NIC_ARRAY, /* Shown as such, and never set. */
};

struct nic_kind {
	const char *name;
	enum nic_type type;
	const char *names; /* Of an enum's values, from 0. */
	unsigned factory;
	bool own; /* Each function has its own. */
};
extern const struct nic_kind nic_kinds[];
extern const size_t nic_kinds_len;
size_t nic_kind_index(const char *name); /* nic_kinds_len: there is none. */

struct nic_value {
	unsigned current;
	unsigned next;
};
struct nic_state {
	struct nic_value v[NIC_PARAMETERS][NIC_FUNCTIONS];
};
void nic_state_read(const struct tree *tree, unsigned bus, struct nic_state *out);
void nic_state_write(struct tree *tree, unsigned bus, const struct nic_state *state);

struct nic_firmware {
	char running[32];
	char stored[32]; /* Runs from the next boot on. */
};
void nic_firmware_read(const struct tree *tree, struct nic_firmware *out);
void nic_firmware_write(struct tree *tree, const struct nic_firmware *firmware);

/* What a firmware reset does: what is stored is loaded, and the registers are as after a boot. */
int nic_reset_card(const struct sim *sim, unsigned bus, struct err *err);

/* True if the fault is on, for all cards or for this one. */
bool nic_fault(const struct sim *sim, const char *name, unsigned bus);
