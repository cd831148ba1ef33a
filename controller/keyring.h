#pragma once

/* keyring.h - who a key is and what it may do: asked for every message, in one place.  Keeps the ZAP handler's
 * sets in step: a key is admitted only after the commit that made it somebody's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"
#include "proto/api.pb-c.h"

struct err;
struct keyring;
struct store;
struct zap;

struct principal {
	char key[KEY_LEN + 1];
	bool is_node;
	char *name; /* Node, or user. */
	Gdr__Role role;
	uint64_t created_ms;
};
struct token {
	char key[KEY_LEN + 1];
	char *node; /* NULL: any name. */
	uint64_t expires_ms;
};

struct keyring *keyring_new(struct store *store, struct zap *zap);
void keyring_free(struct keyring *keyring);

/* While the store is loaded. */
void keyring_load_principal(struct keyring *keyring, const struct principal *from);
void keyring_load_token(struct keyring *keyring, const struct token *from);

/* NULL: nobody (any more). */
const struct principal *keyring_find(const struct keyring *keyring, const char *key);
const struct principal *keyring_find_user(const struct keyring *keyring, const char *name);
const struct token *keyring_find_token(const struct keyring *keyring, const char *key, uint64_t now_ms);

/* In the store's open transaction; keyring_committed() then lets them in. */
int keyring_add(struct keyring *keyring, const struct principal *principal, struct err *err);
int keyring_remove(struct keyring *keyring, const char *key, struct err *err);
int keyring_add_token(struct keyring *keyring, const struct token *token, struct err *err);
int keyring_spend_token(struct keyring *keyring, const char *key, struct err *err);
/* Tokens whose time is over. */
int keyring_expire(struct keyring *keyring, uint64_t now_ms, struct err *err);

void keyring_committed(struct keyring *keyring);
/* Forgets all that is in memory, before a reload. */
void keyring_clear(struct keyring *keyring);

/* Every user, in no order. */
void keyring_each_user(struct keyring *keyring, void (*fn)(void *arg, const struct principal *principal), void *arg);
size_t keyring_users(const struct keyring *keyring);
