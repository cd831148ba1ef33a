/* Links: controller */

/* Any bytes from a user of any role: each is answered by a Response, and only who may changes anything. */

#include <stdint.h>
#include <stdlib.h>

#include "common/wire.h"
#include "controller/operators.h"
#include "tests/fuzz/fake_fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START_MS 1700000000000

static struct fake fake;
static struct operators *operators;

static void
end_turn(void *arg)
{
	(void)arg;
}

static void
start(void)
{
	static const struct endpoints endpoints = { "tcp://c:1", "tcp://c:2", "key" };
	struct keypair server;
	struct wire *wire = NULL;
	struct err err = { 0 };
	const struct turn turn = { zloop_new(), end_turn, NULL };

	fake_start(&fake, START_MS);
	keys_generate(&server);
	fake_check(wire_listen("tcp://127.0.0.1:*", &server, "operators", &wire, &err) == 0);
	operators = operators_new(wire, fake.fleet, fake.keyring, fake.zap, &endpoints, &turn);
}

/* Generations and modes of all nodes, and how many there are: what a viewer cannot change. */
static uint64_t
sum_up(void)
{
	uint64_t sum = fleet_size(fake.fleet) + 1000 * keyring_users(fake.keyring);

	for (const struct node *node = fleet_first(fake.fleet); node; node = fleet_next(fake.fleet))
		sum += node->generation * 1000003 + (uint64_t)node->mode * 10007 + node->document->n_labels;
	return sum;
}

static void
ask_one(const char *key, bool may_change, const uint8_t *data, size_t size)
{
	struct wire_peer peer = { .fd = -1 };
	struct err err = { 0 };
	uint64_t before = sum_up();
	size_t len = 0;

	memcpy(peer.key, key, sizeof(peer.key));
	auto_free uint8_t *bytes = operators_answer(operators, &peer, data, size, &len);
	if (!bytes) {
		fake_check(!keyring_find(fake.keyring, key)); /* It has removed itself. */
		return;
	}
	auto_pb Gdr__Response *answer = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, bytes, len, &err);
	fake_check(answer && answer->has_code);
	fake_check(answer->code == GDR__CODE__CODE_OK || answer->message);
	fake_check(may_change || (answer->n_changes == 0 && !answer->token));
	fake_check(may_change || sum_up() == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { FAKE_VIEWER, FAKE_OPERATOR, FAKE_ADMIN, FAKE_ADMIN };
	struct err err = { 0 };

	if (!operators)
		start();
	fake_reset(&fake, START_MS);
	/* Several requests: role, length, bytes. */
	while (size > 3) {
		size_t role = data[0] & 3;
		bool commit = (data[0] & 4) != 0;
		size_t len = (size_t)data[1] << 8 | data[2];

		data += 3;
		size -= 3;
		len = len < size ? len : size;
		ask_one(keys[role], role > 0, data, len);
		data += len;
		size -= len;
		if (!commit)
			continue;
		fake_check(fleet_commit(fake.fleet, &err) == 0);
		fleet_turn_over(fake.fleet);
		fleet_tick(fake.fleet, START_MS);
	}
	return 0;
}
