/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"
#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

/* A message from YAML; the caller frees. */
static ProtobufCMessage *
make(const ProtobufCMessageDescriptor *type, const char *yaml)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	if (pbtext_parse(type, "test", yaml, strlen(yaml), &message, &err) < 0)
		fail_msg("%s", err.msg);
	return message;
}

static const char profile_yaml[] = "name: p\n"
				   "spec:\n"
				   "  bios: {virtualization: true, max_read_request: 4096}\n"
				   "  kernel: {cmdline: [a=1, b=2], min_version: '5.15'}\n"
				   "  hugepages: {size: 1G, per_node: {'0': '3', '1': '4'}}\n"
				   "  pci: [{match: gpus, ats: true}, {acs: [sv, rr]}]\n";

static void
packs_and_unpacks(void **state)
{
	auto_pb ProtobufCMessage *message = make(&gdr__profile__descriptor, profile_yaml);
	struct err err = { 0 };
	size_t len;
	auto_free uint8_t *data = pb_pack(message, &len);
	auto_pb ProtobufCMessage *back = pb_unpack(&gdr__profile__descriptor, data, len, &err);

	(void)state;
	assert_non_null(back);
	assert_true(pb_equal(message, back));
	const Gdr__Profile *profile = (const Gdr__Profile *)back;
	assert_string_equal(profile->name, "p");
	assert_int_equal(profile->spec->n_pci, 2);
	assert_int_equal(profile->spec->pci[1]->acs[1], GDR__ACS__ACS_RR);
}

static void
bytes_that_are_no_message(void **state)
{
	static const uint8_t cut[] = { 0x0a, 0x05, 'a' }; /* Field 1 of 5 bytes, of which one is there. */
	struct err err = { 0 };

	(void)state;
	assert_null(pb_unpack(&gdr__hello__descriptor, cut, sizeof(cut), &err));
	assert_int_equal(err.code, -EBADMSG);
	assert_string_equal(err.msg, "3 bytes that are no Hello");
	auto_pb ProtobufCMessage *empty = pb_unpack(&gdr__hello__descriptor, NULL, 0, &err);
	assert_non_null(empty); /* No bytes are a message without fields. */
	static const uint8_t zero[] = { 0x80, 0x00, 0x12 };
	assert_null(pb_unpack(&gdr__hello__descriptor, zero, sizeof(zero), &err)); /* Field 0, which is none. */
	static const uint8_t inner[] = { 0x0a, 0x03, 0x80, 0x00, 0x12 };
	assert_null(pb_unpack(&gdr__from_agent__descriptor, inner, sizeof(inner), &err));
}

/* Two bytes ask for a whole PciDevice: a frame of them is refused before it takes hundreds of megabytes. */
static void
a_frame_cannot_ask_for_much_more_memory_than_it_has_bytes(void **state)
{
	size_t len = 1 << 20;
	auto_free uint8_t *data = xcalloc(1, len);
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < len; i += 2)
		data[i] = 12 << 3 | 2; /* Inventory.pci, of no bytes. */
	assert_null(pb_unpack(&gdr__inventory__descriptor, data, len, &err));
	auto_pb ProtobufCMessage *few = pb_unpack(&gdr__inventory__descriptor, data, 100, &err);
	assert_non_null(few);
	assert_int_equal(((const Gdr__Inventory *)few)->n_pci, 50);
}

static void
a_large_honest_report_is_unpacked(void **state)
{
	Gdr__PciDevice device = GDR__PCI_DEVICE__INIT;
	Gdr__Inventory inventory = GDR__INVENTORY__INIT;
	Gdr__PciDevice *devices[2000];
	struct err err = { 0 };
	char address[] = "0000:17:00.0";
	size_t len;

	(void)state;
	device.address = address;
	device.has_kind = device.has_vendor = true;
	device.kind = GDR__PCI_DEVICE__KIND__GPU;
	for (size_t i = 0; i < 2000; i++)
		devices[i] = &device;
	inventory.n_pci = 2000;
	inventory.pci = devices;
	auto_free uint8_t *data = pb_pack(&inventory.base, &len);
	auto_pb ProtobufCMessage *back = pb_unpack(&gdr__inventory__descriptor, data, len, &err);
	assert_non_null(back);
	assert_int_equal(((const Gdr__Inventory *)back)->n_pci, 2000);
}

static void
maps_come_out_ordered_and_the_last_of_a_key_wins(void **state)
{
	/* Node.labels: {b: 1}, {a: 2}, {b: 3}, {}. */
	static const uint8_t data[] = "\x12\x06\x0a\x01"
				      "b\x12\x01"
				      "1"
				      "\x12\x06\x0a\x01"
				      "a\x12\x01"
				      "2"
				      "\x12\x06\x0a\x01"
				      "b\x12\x01"
				      "3"
				      "\x12\x00";
	struct err err = { 0 };
	auto_pb ProtobufCMessage *message = pb_unpack(&gdr__node__descriptor, data, sizeof(data) - 1, &err);

	(void)state;
	assert_non_null(message);
	const Gdr__Node *node = (const Gdr__Node *)message;
	assert_int_equal(node->n_labels, 3);
	assert_string_equal(node->labels[1]->key, "a");
	assert_string_equal(node->labels[2]->key, "b");
	assert_string_equal(PB_MAP_GET(node->labels, node->n_labels, "b"), "3");
	assert_null(PB_MAP_GET(node->labels, node->n_labels, "c"));
}

static void
equal_and_hash_do_not_see_the_order_of_maps(void **state)
{
	Gdr__Node__LabelsEntry a = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry b = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry *ab[] = { &a, &b };
	Gdr__Node__LabelsEntry *ba[] = { &b, &a };
	Gdr__Node one = GDR__NODE__INIT;
	Gdr__Node other = GDR__NODE__INIT;
	char x[] = "x";
	char y[] = "y";
	char hash_one[PB_HASH_LEN + 1];
	char hash_other[PB_HASH_LEN + 1];

	(void)state;
	a.key = a.value = x;
	b.key = b.value = y;
	one.n_labels = other.n_labels = 2;
	one.labels = ab;
	other.labels = ba;
	assert_true(pb_equal(&one.base, &other.base));
	pb_hash(&one.base, hash_one);
	pb_hash(&other.base, hash_other);
	assert_string_equal(hash_one, hash_other);
	b.value = x;
	other.n_labels = 1;
	assert_false(pb_equal(&one.base, &other.base));
	pb_hash(&other.base, hash_other);
	assert_string_not_equal(hash_one, hash_other);
	Gdr__Profile profile = GDR__PROFILE__INIT;
	Gdr__Spec spec = GDR__SPEC__INIT;
	assert_false(pb_equal(&profile.base, &spec.base)); /* Both empty, but not the same thing. */
}

/* BLAKE2b-128 of "abc" and of nothing, from an independent implementation (Python's hashlib). */
static void
digest_is_blake2b(void **state)
{
	static const uint8_t abc[] = { 0xcf, 0x4a, 0xb7, 0x91, 0xc6, 0x2b, 0x8d, 0x2b,
				       0x21, 0x09, 0xc9, 0x02, 0x75, 0x28, 0x78, 0x16 };
	uint8_t digest[PB_DIGEST_LEN];
	char hash[PB_HASH_LEN + 1];
	Gdr__Spec spec = GDR__SPEC__INIT;

	(void)state;
	pb_digest("abc", 3, digest);
	assert_memory_equal(digest, abc, sizeof(abc));
	pb_hash(&spec.base, hash);
	assert_string_equal(hash, "cae66941d9efbd404e4d88758ea67670");
}

static void
copy_shares_nothing(void **state)
{
	ProtobufCMessage *message = make(&gdr__profile__descriptor, profile_yaml);
	auto_pb ProtobufCMessage *copy = pb_copy(message);

	(void)state;
	assert_true(pb_equal(message, copy));
	pb_free(message);
	assert_string_equal(((const Gdr__Profile *)copy)->spec->kernel->min_version, "5.15");
	pb_free(NULL);
}

struct merge_case {
	const ProtobufCMessageDescriptor *type;
	const char *base;
	const char *over;
	const char *merged;
};

static const struct merge_case merges[] = {
	{ &gdr__spec__descriptor, "{}", "{}", "{}" },
	/* scalars that 'over' has replace, false and 0 too; those that it has not stay */
	{ &gdr__spec__descriptor, "bios: {iommu: true, sriov: true}", "bios: {sriov: false, above_4g: true}",
	  "bios: {iommu: true, sriov: false, above_4g: true}" },
	{ &gdr__spec__descriptor, "hugepages: {count: 5}", "hugepages: {count: 0}", "hugepages: {count: 0}" },
	/* messages merge */
	{ &gdr__spec__descriptor, "kernel: {min_version: '5', vfio: {gpus: true}}",
	  "kernel: {vfio: {nvswitches: true}}\nreboot: {}",
	  "kernel: {min_version: '5', vfio: {gpus: true, nvswitches: true}}\nreboot: {}" },
	/* lists replace; an absent one stays */
	{ &gdr__spec__descriptor, "kernel: {blacklist: [a, b], cmdline: [c]}", "kernel: {blacklist: [d]}",
	  "kernel: {blacklist: [d], cmdline: [c]}" },
	{ &gdr__spec__descriptor, "pci: [{match: gpus}, {match: nics}]", "pci: [{ats: true}]", "pci: [{ats: true}]" },
	/* maps merge by key */
	{ &gdr__spec__descriptor, "hugepages: {per_node: {'0': '1', '2': '3'}}",
	  "hugepages: {per_node: {'1': '9', '2': '4'}}", "hugepages: {per_node: {'0': '1', '1': '9', '2': '4'}}" },
	{ &gdr__spec__descriptor, "hugepages: {count: 1}", "hugepages: {per_node: {'1': '9'}}",
	  "hugepages: {count: 1, per_node: {'1': '9'}}" },
	/* defaults: absent is absent, and a given default is given */
	{ &gdr__gdrd_config__descriptor, "state: /a\nlease: 1s", "lost_after: 90s",
	  "state: /a\nlease: 1s\nlost_after: 90s" },
	{ &gdr__gdrd_config__descriptor, "state: /a", "state: /var/lib/gdrfleet", "state: /var/lib/gdrfleet" },
	/* one of several: the other goes; the same merges */
	{ &gdr__from_agent__descriptor, "hello: {node: a}", "lease: {generation: 1}", "lease: {generation: 1}" },
	{ &gdr__from_agent__descriptor, "hello: {node: a}", "hello: {version: b}", "hello: {node: a, version: b}" },
	{ &gdr__from_agent__descriptor, "hello: {node: a}", "{}", "hello: {node: a}" },
	/* bytes replace */
	{ &gdr__lease__descriptor, "report_digest: 'aabb'", "report_digest: 'cc'", "report_digest: 'cc'" },
};

static void
merges_by_the_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
		auto_pb ProtobufCMessage *base = make(merges[i].type, merges[i].base);
		auto_pb ProtobufCMessage *over = make(merges[i].type, merges[i].over);
		auto_pb ProtobufCMessage *want = make(merges[i].type, merges[i].merged);
		auto_pb ProtobufCMessage *base_before = pb_copy(base);
		auto_pb ProtobufCMessage *over_before = pb_copy(over);
		auto_pb ProtobufCMessage *merged = pb_merge(base, over);

		if (!pb_equal(merged, want))
			fail_msg("merge %zu: {%s} with {%s} is not {%s}", i, merges[i].base, merges[i].over,
				 merges[i].merged);
		assert_true(pb_equal(base, base_before));
		assert_true(pb_equal(over, over_before));
	}
}

static void
merging_with_nothing(void **state)
{
	auto_pb ProtobufCMessage *spec = make(&gdr__spec__descriptor, "bios: {iommu: true}");
	auto_pb ProtobufCMessage *left = pb_merge(spec, NULL);
	auto_pb ProtobufCMessage *right = pb_merge(NULL, spec);

	(void)state;
	assert_true(left != spec && pb_equal(left, spec));
	assert_true(right != spec && pb_equal(right, spec));
	assert_null(pb_merge(NULL, NULL));
}

static void
counts_what_is_there(void **state)
{
	auto_pb ProtobufCMessage *message = make(&gdr__gdrd_config__descriptor, "lease: 30s\nadvertise: ''");
	const ProtobufCMessageDescriptor *type = message->descriptor;

	(void)state;
	assert_int_equal(pb_count(message, protobuf_c_message_descriptor_get_field_by_name(type, "lease")), 1);
	assert_int_equal(pb_count(message, protobuf_c_message_descriptor_get_field_by_name(type, "advertise")), 1);
	assert_int_equal(pb_count(message, protobuf_c_message_descriptor_get_field_by_name(type, "state")), 0);
	assert_int_equal(pb_count(message, protobuf_c_message_descriptor_get_field_by_name(type, "lost_after")), 0);
	assert_int_equal(pb_count(message, protobuf_c_message_descriptor_get_field_by_name(type, "reboot")), 0);
	assert_true(pb_is_map(protobuf_c_message_descriptor_get_field_by_name(&gdr__node__descriptor, "labels")));
	assert_false(pb_is_map(protobuf_c_message_descriptor_get_field_by_name(&gdr__spec__descriptor, "pci")));
	assert_false(pb_is_map(protobuf_c_message_descriptor_get_field_by_name(&gdr__node__descriptor, "name")));
}

static void
refuses(ProtobufCMessage *message, const char *says)
{
	struct err err = { 0 };

	assert_true(pb_check(message, &err) < 0);
	assert_string_equal(err.msg, says);
}

static void
check_names_the_field(void **state)
{
	auto_pb ProtobufCMessage *message = make(&gdr__profile__descriptor, profile_yaml);
	Gdr__Profile *profile = (Gdr__Profile *)message;
	Gdr__Spec *spec = profile->spec;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(pb_check(message, &err), 0);

	spec->pci[1]->acs[1] = (Gdr__Acs)99;
	refuses(message, "spec.pci[1].acs[1]: 99 is no value of Acs");
	spec->pci[1]->acs[1] = GDR__ACS__ACS_CR;
	spec->pci[0]->match = (Gdr__PciMatch)-1;
	refuses(message, "spec.pci[0].match: -1 is no value of PciMatch");
	spec->pci[0]->match = GDR__PCI_MATCH__MATCH_NICS;
	spec->bios->max_read_request = 5000;
	refuses(message, "spec.bios.max_read_request: 5000 is not a power of two between 128 and 4096");
	spec->bios->has_max_read_request = false; /* What is absent is not looked at. */
	assert_int_equal(pb_check(message, &err), 0);
	spec->kernel->cmdline[1][1] = ' ';
	refuses(message,
		"spec.kernel.cmdline[1]: 'b 2' is not one kernel parameter (no blanks, quotes, $, `, \\ or ;)");
	spec->kernel->cmdline[1][1] = '\n';
	refuses(message,
		"spec.kernel.cmdline[1]: 'b?2' is not one kernel parameter (no blanks, quotes, $, `, \\ or ;)");
}

/* What a newer program sent is kept, on an older one's disk too. */
static void
unknown_fields_are_kept(void **state)
{
	static const uint8_t data[] = { 0xf8, 0x07, 0x2a }; /* Field 127: 42. */
	struct err err = { 0 };
	auto_pb ProtobufCMessage *message = pb_unpack(&gdr__hello__descriptor, data, sizeof(data), &err);
	auto_pb ProtobufCMessage *copy = pb_copy(message);
	size_t len;
	auto_free uint8_t *back = pb_pack(copy, &len);

	(void)state;
	assert_int_equal(len, sizeof(data));
	assert_memory_equal(back, data, len);
}

static void
check_looks_at_keys_and_values_of_maps(void **state)
{
	auto_pb ProtobufCMessage *message = make(&gdr__node__descriptor, "labels: {a: b, rack: r7}");
	Gdr__Node *node = (Gdr__Node *)message;

	(void)state;
	node->labels[1]->value[0] = '=';
	refuses(message, "labels[rack]: '=7' is not a label (letters, digits, and -._/ in between)");
	node->labels[1]->value[0] = 'r';
	node->labels[1]->key[0] = '\x1b';
	refuses(message, "labels[?ack]: '?ack' is not a label (letters, digits, and -._/ in between)");
	node->labels[1]->key[0] = '\0';
	refuses(message, "labels[]: a key has 1 to 128 characters");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packs_and_unpacks),
		cmocka_unit_test(bytes_that_are_no_message),
		cmocka_unit_test(a_frame_cannot_ask_for_much_more_memory_than_it_has_bytes),
		cmocka_unit_test(a_large_honest_report_is_unpacked),
		cmocka_unit_test(maps_come_out_ordered_and_the_last_of_a_key_wins),
		cmocka_unit_test(equal_and_hash_do_not_see_the_order_of_maps),
		cmocka_unit_test(digest_is_blake2b),
		cmocka_unit_test(copy_shares_nothing),
		cmocka_unit_test(merges_by_the_rules),
		cmocka_unit_test(merging_with_nothing),
		cmocka_unit_test(counts_what_is_there),
		cmocka_unit_test(unknown_fields_are_kept),
		cmocka_unit_test(check_names_the_field),
		cmocka_unit_test(check_looks_at_keys_and_values_of_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
