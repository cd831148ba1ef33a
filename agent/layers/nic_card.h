#pragma once

/* nic_card.h - one physical function of a NIC, asked and told through mstconfig or mlxconfig. */

#include <stdbool.h>

#include "agent/machine/mlxconfig.h"

struct err;
struct host;

struct nic_card {
	const char *address; /* The caller's. */
	char *tool;          /* The program's name; NULL: there is none. */
	struct mlx_output out;
	const struct mlx_device *table; /* NULL: it did not answer well, and 'why' says so. */
	char *why;
	bool hangs; /* It did not answer in time. */
};

/* "mstconfig" or "mlxconfig" of "config", whichever this host has; NULL: neither.  mst... is mstflint's, of every
 * distribution; mlx... NVIDIA's own of the same source.  The caller frees. */
char *nic_card_tool(struct host *host, const char *what);
/* True if the kernel keeps programs from PCI devices' registers, as under Secure Boot. */
bool nic_card_locked_down(struct host *host);

/* Everything that the card has, in one query; a card that does not answer is no error but a 'why'.  Blocks for as
 * long as agent.yaml's tool_timeout lets it: a query takes 1 to 20 s.  Free with nic_card_free(). */
void nic_card_query(struct host *host, const char *address, struct nic_card *out);
void nic_card_free(struct nic_card *card);

/* True if the tool does not know the parameter at all; false: the card has it not, or nobody can tell. */
bool nic_card_tool_too_old(struct host *host, const struct nic_card *card, const char *parameter);

/* BlueField that runs a system of its own: a reboot of the host does not reload its settings. */
bool nic_card_is_dpu(const struct nic_card *card);

/* Stores "NAME=VALUE"s (ended by NULL) for the next boot.  0: '*said' is the ending, MLX_REFUSED one of them, and
 * '*reason' (the caller frees) what it said; a negative errno: nothing was said that will last, try again. */
int nic_card_set(struct host *host, const struct nic_card *card, char *const assignments[], enum mlx_said *said,
		 char **reason, struct err *err);
