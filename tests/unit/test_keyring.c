/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/keyring.h"
#include "controller/store.h"
#include "controller/zap.h"
#include "tests/unit/folder.h"
#include "tests/unit/sockets.h"

static struct keypair server_key;
static struct zap *zap;
static struct store *store;
static struct keyring *keyring;
static struct wire *listeners[ZAP_DOMAINS];
static struct err why;

static void
ok(int rc)
{
	if (rc < 0)
		fail_msg("%s", why.msg);
}

static int
make(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	auto_free char *url = xasprintf("sqlite:%s/a.db", (char *)*state);
	keys_generate(&server_key);
	ok(store_open(url, &store, &why));
	ok(zap_open(10, &zap, &why));
	for (int d = 0; d < ZAP_DOMAINS; d++)
		ok(wire_listen("tcp://127.0.0.1:*", &server_key, zap_domain_name(d), &listeners[d], &why));
	keyring = keyring_new(store, zap);
	return 0;
}

static int
unmake(void **state)
{
	for (int d = 0; d < ZAP_DOMAINS; d++)
		wire_close(listeners[d]);
	keyring_free(keyring);
	keyring_free(NULL);
	zap_close(zap);
	store_close(store);
	return folder_remove(state);
}

static bool
gets_in(enum zap_domain domain, const struct keypair *key)
{
	struct wire *client = sockets_connect(wire_endpoint(listeners[domain]), server_key.public_key, key);
	struct wire_frame frame;
	int64_t end = zclock_mono() + SOCKETS_MS;

	while (wire_state(client) != WIRE_UP && wire_state(client) != WIRE_REFUSED && zclock_mono() < end)
		(void)wire_wait(client, 10, &frame);
	bool in = wire_state(client) == WIRE_UP;
	assert_true(in || wire_state(client) == WIRE_REFUSED);
	wire_close(client);
	return in;
}

static int
add(const struct keypair *key, bool is_node, char *name, Gdr__Role role)
{
	struct principal principal = { .is_node = is_node, .name = name, .role = role, .created_ms = 5 };

	memcpy(principal.key, key->public_key, sizeof(principal.key));
	return keyring_add(keyring, &principal, &why);
}

static void
begin(void)
{
	ok(store_begin(store, &why));
}

static void
commit(void)
{
	ok(store_commit(store, &why));
	keyring_committed(keyring);
}

static char n1[] = "n1";
static char alice[] = "alice";

static void
nobody_is_let_in_before_the_commit(void **state)
{
	struct keypair node;
	struct keypair user;

	(void)state;
	keys_generate(&node);
	keys_generate(&user);
	assert_true(add(&node, true, n1, GDR__ROLE__ROLE_VIEWER) < 0); /* No transaction. */
	assert_null(keyring_find(keyring, node.public_key));
	begin();
	ok(add(&node, true, n1, GDR__ROLE__ROLE_VIEWER));
	ok(add(&user, false, alice, GDR__ROLE__ROLE_VIEWER));
	assert_false(gets_in(ZAP_AGENTS, &node));
	assert_false(gets_in(ZAP_OPERATORS, &user));
	commit();
	assert_true(gets_in(ZAP_AGENTS, &node));
	assert_true(gets_in(ZAP_OPERATORS, &user));
	assert_false(gets_in(ZAP_OPERATORS, &node));
	assert_false(gets_in(ZAP_AGENTS, &user));
	assert_false(gets_in(ZAP_ENROL, &node));
	assert_string_equal(keyring_find(keyring, node.public_key)->name, "n1");
	assert_true(keyring_find(keyring, node.public_key)->is_node);
	assert_string_equal(keyring_find_user(keyring, "alice")->key, user.public_key);
	assert_null(keyring_find_user(keyring, "n1")); /* A node is no user. */
	assert_int_equal(keyring_users(keyring), 1);

	begin();
	ok(keyring_remove(keyring, node.public_key, &why));
	ok(keyring_remove(keyring, "never seen", &why));
	assert_null(keyring_find(keyring, node.public_key)); /* Asked for every message: at once. */
	commit();
	assert_false(gets_in(ZAP_AGENTS, &node));
	assert_true(gets_in(ZAP_OPERATORS, &user));
}

static void
what_holds_at_the_commit_counts(void **state)
{
	struct keypair key;

	(void)state;
	keys_generate(&key);
	begin();
	ok(add(&key, true, n1, GDR__ROLE__ROLE_VIEWER));
	ok(keyring_remove(keyring, key.public_key, &why));
	commit();
	assert_false(gets_in(ZAP_AGENTS, &key));
	begin();
	ok(add(&key, true, n1, GDR__ROLE__ROLE_VIEWER));
	commit();
	begin();
	ok(keyring_remove(keyring, key.public_key, &why));
	ok(add(&key, false, alice, GDR__ROLE__ROLE_ADMIN)); /* From one door to another. */
	commit();
	assert_false(gets_in(ZAP_AGENTS, &key));
	assert_true(gets_in(ZAP_OPERATORS, &key));
}

static void
tokens_open_one_door_once(void **state)
{
	struct keypair pair;
	struct token token = { .node = n1, .expires_ms = 100 };
	struct token later = { .expires_ms = 300 };
	struct keypair other;

	(void)state;
	keys_generate(&pair);
	keys_generate(&other);
	memcpy(token.key, pair.public_key, sizeof(token.key));
	memcpy(later.key, other.public_key, sizeof(later.key));
	begin();
	ok(keyring_add_token(keyring, &token, &why));
	ok(keyring_add_token(keyring, &later, &why));
	assert_false(gets_in(ZAP_ENROL, &pair));
	commit();
	assert_true(gets_in(ZAP_ENROL, &pair));
	assert_false(gets_in(ZAP_AGENTS, &pair));
	assert_false(gets_in(ZAP_OPERATORS, &pair));
	assert_null(keyring_find(keyring, pair.public_key)); /* A token is nobody. */
	assert_string_equal(keyring_find_token(keyring, pair.public_key, 99)->node, "n1");
	assert_null(keyring_find_token(keyring, pair.public_key, 100));
	ok(keyring_expire(keyring, 99, &why));
	assert_non_null(keyring_find_token(keyring, pair.public_key, 0));
	ok(keyring_expire(keyring, 100, &why));
	assert_null(keyring_find_token(keyring, pair.public_key, 0));
	commit();
	assert_false(gets_in(ZAP_ENROL, &pair));
	assert_true(gets_in(ZAP_ENROL, &other));
	begin();
	ok(keyring_spend_token(keyring, other.public_key, &why));
	commit();
	assert_false(gets_in(ZAP_ENROL, &other));
}

static void
many_tokens_expire_together(void **state)
{
	struct keypair pair;

	(void)state;
	begin();
	for (unsigned i = 0; i < 40; i++) {
		struct token token = { .expires_ms = i % 4 ? 100 : 200 };

		keys_generate(&pair);
		memcpy(token.key, pair.public_key, sizeof(token.key));
		ok(keyring_add_token(keyring, &token, &why));
	}
	commit();
	ok(keyring_expire(keyring, 100, &why));
	commit();
	ok(keyring_expire(keyring, 100, &why));
	ok(store_commit(store, &why));
	ok(keyring_expire(keyring, 200, &why));
	commit();
	assert_null(keyring_find_token(keyring, pair.public_key, 0));
}

static void
a_reload_shuts_out_only_who_is_gone(void **state)
{
	struct keypair stays;
	struct keypair goes;
	struct keypair fresh;
	struct principal principal = { .is_node = true, .name = n1 };

	(void)state;
	keys_generate(&stays);
	keys_generate(&goes);
	keys_generate(&fresh);
	begin();
	ok(add(&stays, true, n1, GDR__ROLE__ROLE_VIEWER));
	ok(add(&goes, true, n1, GDR__ROLE__ROLE_VIEWER));
	commit();
	begin();
	ok(add(&fresh, true, n1, GDR__ROLE__ROLE_VIEWER));
	store_rollback(store);
	keyring_clear(keyring);
	assert_null(keyring_find(keyring, stays.public_key));
	/* In the middle of it, a known key is still let in: refused, its agent would not come back soon. */
	assert_true(gets_in(ZAP_AGENTS, &stays));
	memcpy(principal.key, stays.public_key, sizeof(principal.key));
	keyring_load_principal(keyring, &principal);
	keyring_committed(keyring);
	assert_true(gets_in(ZAP_AGENTS, &stays));
	assert_false(gets_in(ZAP_AGENTS, &goes));
	assert_false(gets_in(ZAP_AGENTS, &fresh));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_is_let_in_before_the_commit),  TEST(what_holds_at_the_commit_counts),
		TEST(tokens_open_one_door_once),           TEST(many_tokens_expire_together),
		TEST(a_reload_shuts_out_only_who_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
