#pragma once

/* store_rows.h - the rows of store.h.
 *
 * Strings are the caller's when writing and valid only during the callback when loading; NULL is NULL.  Times are
 * Unix milliseconds. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_node {
	const char *name;
	const char *key;      /* Public key, Z85; NULL: none yet. */
	const void *document; /* Packed gdr.Node: labels, override. */
	size_t document_len;
	const char *profile; /* NULL: none. */
	uint32_t revision;
	uint64_t generation;
	int mode; /* gdr.Mode */
	const char *mode_why;
	int state; /* gdr.NodeState as last seen, for since_ms. */
	uint64_t since_ms;
	const char *boot_id;
	const char *grant_boot; /* Open grant: the boot it is for. */
	uint64_t granted_ms;
	const char *leave_boot; /* An operator wants this boot ended. */
	const char *leave_why;
	const char *last_ready; /* NAME@REVISION; NULL: it never was. */
	const void *report;     /* Packed gdr.Report; loaded, and written by store_put_report(). */
	size_t report_len;
};

struct store_profile {
	const char *name;
	uint32_t revision;
	const char *hash;
	const char *author;
	const char *comment;
	uint64_t created_ms;
	const void *document; /* Packed gdr.Profile. */
	size_t document_len;
};

/* Who a key is.  'role' is a gdr.Role for users. */
struct store_principal {
	const char *key;
	bool is_node;
	const char *name;
	int role;
	uint64_t created_ms;
};

struct store_token {
	const char *key;  /* The token's public key. */
	const char *node; /* NULL: any name. */
	uint64_t expires_ms;
};

struct store_rollout {
	const char *name;
	uint64_t created_ms;
	const void *data; /* Packed gdr.RolloutRecord without its nodes. */
	size_t len;
};

struct store_rollout_node {
	const char *rollout; /* That is stored. */
	uint32_t place;      /* From 0, in order. */
	const void *data;    /* Packed gdr.RolloutNode. */
	size_t len;
};

struct store_window {
	const char *name;
	const void *document; /* Packed gdr.Window. */
	size_t document_len;
};
