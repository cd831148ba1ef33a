#pragma once

/* nic_notes.h - what `set` said in this boot, by card: /run/gdrfleet-agent/nic, which a boot forgets as the cards'
 * own arming of the reset does.
 *
 * Without it an ending "Please power cycle" would be answered by a reboot that loads nothing, and what a card
 * refuses would be written again with each look at it. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/layers/notes.h"
#include "agent/machine/mlxconfig.h"

struct err;
struct host;

struct nic_note {
	const char *address;
	enum mlx_said said;
	const char *what; /* "NAME=VALUE NAME=VALUE" */
	const char *reason;
};

struct nic_notes {
	struct nic_note *v; /* In the order in which it happened. */
	size_t n;
	struct notes lines; /* Whose texts they are. */
};

/* What cannot be read was not said.  Free with nic_notes_free(). */
void nic_notes_read(struct host *host, struct nic_notes *out);
void nic_notes_free(struct nic_notes *notes);
int nic_notes_add(struct host *host, const char *address, enum mlx_said said, const char *what, const char *reason,
		  struct err *err);

/* What is said of the reset since the last `set` that stored something: MLX_REBOOT where none did. */
enum mlx_said nic_notes_ending(const struct nic_notes *notes, const char *address);
/* The last note of a `set` of "NAME=VALUE", or NULL: there is none, or NAME has been set to another value since. */
const struct nic_note *nic_notes_tried(const struct nic_notes *notes, const char *address, const char *assignment);

/* True if both addresses, or keys that begin with one, are of functions of one card. */
bool nic_same_card(const char *a, const char *b);
