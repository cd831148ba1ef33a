#include "controller/keyring.h"

#include <czmq.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/store.h"
#include "controller/zap.h"

struct keyring {
	struct store *store;
	struct zap *zap;
	zhashx_t *principals; /* key -> struct principal */
	zhashx_t *tokens;     /* key -> struct token */
	/* Keys whose place in the tables changed: the ZAP handler learns of them after the commit. */
	struct word {
		enum zap_domain domain;
		char key[KEY_LEN + 1];
	} * words;
	size_t n_words;
};

static void
principal_free(void **item)
{
	struct principal *principal = *item;

	free(principal->name);
	free(principal);
	*item = NULL;
}

static void
token_free(void **item)
{
	struct token *token = *item;

	free(token->node);
	free(token);
	*item = NULL;
}

static void
say(struct keyring *keyring, enum zap_domain domain, const char *key)
{
	keyring->words = xrealloc(keyring->words, keyring->n_words + 1, sizeof(*keyring->words));
	struct word *word = &keyring->words[keyring->n_words++];
	word->domain = domain;
	(void)snprintf(word->key, sizeof(word->key), "%s", key);
}

static enum zap_domain
domain_of(const struct principal *principal)
{
	return principal->is_node ? ZAP_AGENTS : ZAP_OPERATORS;
}

struct keyring *
keyring_new(struct store *store, struct zap *zap)
{
	struct keyring *keyring = xcalloc(1, sizeof(*keyring));

	keyring->store = store;
	keyring->zap = zap;
	keyring->principals = zhashx_new();
	keyring->tokens = zhashx_new();
	zhashx_set_destructor(keyring->principals, principal_free);
	zhashx_set_destructor(keyring->tokens, token_free);
	return keyring;
}

void
keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	zhashx_destroy(&keyring->principals);
	zhashx_destroy(&keyring->tokens);
	free(keyring->words);
	free(keyring);
}

void
keyring_clear(struct keyring *keyring)
{
	/* Whom the reload does not bring back is shut out when it is done; nobody who stays is refused meanwhile, for
	 * a refused agent does not come back by itself. */
	keyring->n_words = 0;
	for (struct principal *p = zhashx_first(keyring->principals); p; p = zhashx_next(keyring->principals))
		say(keyring, domain_of(p), p->key);
	for (struct token *t = zhashx_first(keyring->tokens); t; t = zhashx_next(keyring->tokens))
		say(keyring, ZAP_ENROL, t->key);
	zhashx_purge(keyring->principals);
	zhashx_purge(keyring->tokens);
}

void
keyring_load_principal(struct keyring *keyring, const struct principal *from)
{
	struct principal *principal = xcalloc(1, sizeof(*principal));

	*principal = *from;
	principal->name = xstrdup(from->name);
	zhashx_update(keyring->principals, principal->key, principal);
	say(keyring, domain_of(principal), principal->key);
}

void
keyring_load_token(struct keyring *keyring, const struct token *from)
{
	struct token *token = xcalloc(1, sizeof(*token));

	*token = *from;
	token->node = from->node ? xstrdup(from->node) : NULL;
	zhashx_update(keyring->tokens, token->key, token);
	say(keyring, ZAP_ENROL, token->key);
}

const struct principal *
keyring_find(const struct keyring *keyring, const char *key)
{
	return zhashx_lookup(keyring->principals, key);
}

const struct principal *
keyring_find_user(const struct keyring *keyring, const char *name)
{
	for (struct principal *p = zhashx_first(keyring->principals); p; p = zhashx_next(keyring->principals))
		if (!p->is_node && strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const struct token *
keyring_find_token(const struct keyring *keyring, const char *key, uint64_t now_ms)
{
	const struct token *token = zhashx_lookup(keyring->tokens, key);

	return token && token->expires_ms > now_ms ? token : NULL;
}

int
keyring_add(struct keyring *keyring, const struct principal *principal, struct err *err)
{
	const struct store_principal row = { .key = principal->key,
					     .is_node = principal->is_node,
					     .name = principal->name,
					     .role = (int)principal->role,
					     .created_ms = principal->created_ms };
	int rc = store_put_principal(keyring->store, &row, err);

	if (rc == 0)
		keyring_load_principal(keyring, principal);
	return rc;
}

int
keyring_remove(struct keyring *keyring, const char *key, struct err *err)
{
	const struct principal *principal = keyring_find(keyring, key);

	if (!principal)
		return 0;
	int rc = store_delete_principal(keyring->store, key, err);
	if (rc < 0)
		return rc;
	say(keyring, domain_of(principal), key);
	zhashx_delete(keyring->principals, key);
	return 0;
}

int
keyring_add_token(struct keyring *keyring, const struct token *token, struct err *err)
{
	const struct store_token row = { .key = token->key, .node = token->node, .expires_ms = token->expires_ms };
	int rc = store_put_token(keyring->store, &row, err);

	if (rc == 0)
		keyring_load_token(keyring, token);
	return rc;
}

int
keyring_spend_token(struct keyring *keyring, const char *key, struct err *err)
{
	int rc = store_delete_token(keyring->store, key, err);

	if (rc < 0)
		return rc;
	say(keyring, ZAP_ENROL, key);
	zhashx_delete(keyring->tokens, key);
	return 0;
}

int
keyring_expire(struct keyring *keyring, uint64_t now_ms, struct err *err)
{
	struct token *token = zhashx_first(keyring->tokens);

	while (token) {
		char key[KEY_LEN + 1];

		memcpy(key, token->key, sizeof(key));
		bool over = token->expires_ms <= now_ms;
		token = zhashx_next(keyring->tokens);
		int rc = over ? store_begin(keyring->store, err) : 0;
		if (rc == 0 && over)
			rc = keyring_spend_token(keyring, key, err);
		if (rc < 0)
			return rc;
		if (over)
			token = zhashx_first(keyring->tokens); /* The cursor did not survive the deletion. */
	}
	return 0;
}

static bool
is_in(const struct keyring *keyring, enum zap_domain domain, const char *key)
{
	const struct principal *principal = keyring_find(keyring, key);

	if (domain == ZAP_ENROL)
		return zhashx_lookup(keyring->tokens, key) != NULL;
	return principal && domain_of(principal) == domain;
}

void
keyring_committed(struct keyring *keyring)
{
	for (size_t i = 0; i < keyring->n_words; i++) {
		const struct word *word = &keyring->words[i];

		if (is_in(keyring, word->domain, word->key))
			zap_allow(keyring->zap, word->domain, word->key);
		else
			zap_deny(keyring->zap, word->domain, word->key);
	}
	keyring->n_words = 0;
}

void
keyring_each_user(struct keyring *keyring, void (*fn)(void *arg, const struct principal *principal), void *arg)
{
	for (struct principal *p = zhashx_first(keyring->principals); p; p = zhashx_next(keyring->principals))
		if (!p->is_node)
			fn(arg, p);
}

size_t
keyring_users(const struct keyring *keyring)
{
	size_t n = 0;

	for (const struct principal *p = zhashx_first(keyring->principals); p; p = zhashx_next(keyring->principals))
		n += !p->is_node;
	return n;
}
