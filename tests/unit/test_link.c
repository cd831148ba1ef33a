/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/layer.h"
#include "tests/unit/netlink_answers.h"

extern const struct layer layer_link;

#define RULES "[{match: {driver: mlx5_core}, mtu: 9000, txqueuelen: 10000, ring: {rx: 8192, tx: 8192}, up: true}]"
#define FILE_ "/etc/systemd/network/10-gdrfleet-ens3.link"

static struct link ens3;

static void
want(const char *rules)
{
	auto_free char *text = xasprintf("{link: %s}", rules);
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	pb_free(spec.guest ? &spec.guest->base : NULL);
	if (pbtext_parse(&gdr__guest_spec__descriptor, "test", text, strlen(text), &message, &err) < 0)
		fail_msg("%s", err.msg);
	spec.guest = (Gdr__GuestSpec *)message;
}

/* lo, an mlx5 VF with an RDMA device, and the interface for management. */
static void
put_machine(void)
{
	static const struct link lo = { .index = 1, .name = "lo", .loopback = true, .up = true, .mtu = 65536 };
	static const struct link eth0 = { .index = 3, .name = "eth0", .up = true, .mtu = 1500, .max_mtu = 65535 };
	const struct link links[] = { lo, ens3, eth0 };

	put_links(links, 3);
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	add_tool("netlink", netlink_script);
	put("/proc/cpuinfo", "processor\t: 0\n");
	put_dir("/sys/devices/pci0000:b7/0000:b7:00.0/infiniband/mlx5_0");
	put_dir("/sys/devices/pci0000:00/virtio0");
	put_dir("/sys/bus/pci/drivers/mlx5_core");
	put_dir("/sys/bus/virtio/drivers/virtio_net");
	put_link("/sys/class/net/ens3/device", "../../../devices/pci0000:b7/0000:b7:00.0");
	put_link("/sys/devices/pci0000:b7/0000:b7:00.0/driver", "../../../bus/pci/drivers/mlx5_core");
	put_link("/sys/class/net/eth0/device", "../../../devices/pci0000:00/virtio0");
	put_link("/sys/devices/pci0000:00/virtio0/driver", "../../../bus/virtio/drivers/virtio_net");
	ens3 = (struct link){ .index = 2,
			      .name = "ens3",
			      .mtu = 1500,
			      .max_mtu = 9978,
			      .txqueuelen = 1000,
			      .has_ring = true,
			      .rx = 1024,
			      .rx_max = 8192,
			      .tx = 1024,
			      .tx_max = 8192 };
	put_machine();
	want(RULES);
	return 0;
}

static int
teardown(void **state)
{
	pb_free(spec.guest ? &spec.guest->base : NULL);
	spec.guest = NULL;
	machine.journal = NULL;
	return machine_teardown(state);
}

/* The last question has these bytes. */
static void
expect_asked(const char *hex)
{
	auto_free char *log = got("/opt/log");

	log[strlen(log) - 1] = '\0';
	const char *last = strrchr(log, '\n');
	if (!strstr(last ? last : log, hex))
		fail_msg("'%s' is not in '%s'", hex, last);
}

static void
items_come_in_the_order_in_which_they_are_done(void **state)
{
	static const char *const keys[] = { "ens3/ring.rx",    "ens3/ring.tx", "ens3/mtu",
					    "ens3/txqueuelen", "ens3/up",      "ens3/file" };

	(void)state;
	look_well(&layer_link);
	assert_int_equal(report.n, sizeof(keys) / sizeof(keys[0]));
	for (size_t i = 0; i < report.n; i++) {
		assert_string_equal(report.items[i].key, keys[i]);
		assert_int_equal(report.items[i].fix, FIX_LIVE);
	}
	expect_item("ens3/ring.rx", FIX_LIVE, "1024");
	expect_item("ens3/up", FIX_LIVE, "down");
}

static void
what_is_asked_of_the_kernel(void **state)
{
	char rx[32];
	char tx[32];

	(void)state;
	(void)snprintf(rx, sizeof(rx), "0800%02x0000200000", (unsigned)ETHTOOL_A_RINGS_RX);
	(void)snprintf(tx, sizeof(tx), "0800%02x0000200000", (unsigned)ETHTOOL_A_RINGS_TX);
	look_well(&layer_link);
	apply_well(&layer_link, "ens3/ring.rx");
	expect_asked(rx);
	apply_well(&layer_link, "ens3/ring.tx");
	expect_asked(tx);
	apply_well(&layer_link, "ens3/mtu");
	expect_asked("0800040028230000"); /* IFLA_MTU 9000 */
	apply_well(&layer_link, "ens3/txqueuelen");
	expect_asked("08000d0010270000"); /* IFLA_TXQLEN 10000 */
	apply_well(&layer_link, "ens3/up");
	expect_asked("020000000100000001000000"); /* Index 2, flags and change IFF_UP. */
}

static void
all_right(void **state)
{
	(void)state;
	ens3.rx = ens3.tx = 8192;
	ens3.mtu = 9000;
	ens3.txqueuelen = 10000;
	ens3.up = true;
	put_machine();
	look_well(&layer_link);
	apply_well(&layer_link, "ens3/file");
	look_well(&layer_link);
	for (size_t i = 0; i < report.n; i++)
		expect_item(report.items[i].key, FIX_NONE, NULL);
	assert_file(FILE_,
		    "# 10-gdrfleet-ens3.link - written by gdr-guest from the node's profile; a change here is undone.\n"
		    "[Match]\nPath=pci-0000:b7:00.0*\n\n[Link]\n"
		    "NamePolicy=keep kernel database onboard slot path\n"
		    "AlternativeNamesPolicy=database onboard slot path\nMACAddressPolicy=persistent\n"
		    "MTUBytes=9000\nTransmitQueueLength=10000\nRxBufferSize=8192\nTxBufferSize=8192\n");
}

static void
limits_of_the_device_are_said(void **state)
{
	(void)state;
	ens3.max_mtu = ens3.mtu = 4096;
	ens3.rx_max = ens3.rx = 4096;
	put_machine();
	look_well(&layer_link);
	expect_item("ens3/mtu", FIX_NONE, "4096");
	expect_why("ens3/mtu", "clamped: 9000 is wanted, the device can do 4096 at most");
	expect_item("ens3/ring.rx", FIX_NONE, "4096");
	expect_why("ens3/ring.rx", "clamped: 8192 is wanted");
	ens3.mtu = 1500;
	put_machine();
	look_well(&layer_link);
	expect_item("ens3/mtu", FIX_LIVE, "1500");
	apply_well(&layer_link, "ens3/mtu");
	expect_asked("0800040000100000"); /* 4096 */
}

static void
rounding_is_told_from_refusal(void **state)
{
	struct answer answer = { 0 };
	struct err err = { 0 };

	(void)state;
	want("[{match: {name: \"ens*\"}, ring: {rx: 5000, tx: 5000}}]");
	ens3.rx = 8192; /* A power of two. */
	ens3.tx = 5024; /* A multiple of 32. */
	put_machine();
	look_well(&layer_link);
	expect_item("ens3/ring.rx", FIX_NONE, "8192");
	expect_why("ens3/ring.rx", "the driver rounds 5000 to 8192");
	expect_item("ens3/ring.tx", FIX_NONE, "5024");
	ens3.tx = 4096;
	put_machine();
	add_ack(&answer, -EBUSY, "rings are in use");
	put_answer("/opt/set", &answer);
	look_well(&layer_link);
	expect_item("ens3/ring.tx", FIX_LIVE, "4096");
	assert_int_equal(apply(&layer_link, "ens3/ring.tx", &err), -EBUSY);
	assert_string_equal(err.msg, "the kernel refuses: Device or resource busy: rings are in use");
}

static void
no_rings_is_a_limit_too(void **state)
{
	(void)state;
	want("[{match: {name: eth0}, ring: {rx: 8192}}]");
	look_well(&layer_link);
	expect_item("eth0/ring.rx", FIX_NONE, "none");
	expect_why("eth0/ring.rx", "clamped: this driver has no ring");
}

/* As virtio's before Linux 6.0. */
static void
rings_that_nobody_may_set_are_a_limit_too(void **state)
{
	struct answer answer = { 0 };

	(void)state;
	want("[{match: {name: ens3}, ring: {rx: 8192}}]");
	ens3.rx = 1024;
	put_machine();
	add_ack(&answer, -EOPNOTSUPP, NULL);
	put_answer("/opt/set", &answer);
	look_well(&layer_link);
	expect_item("ens3/ring.rx", FIX_NONE, "1024");
	expect_why("ens3/ring.rx", "clamped: this driver lets nobody set its rings");
}

static void
rules_find_their_interfaces(void **state)
{
	(void)state;
	want("[{mtu: 1400}, {match: {rdma: true}, mtu: 4200}, {match: {name: nothing}, txqueuelen: 7}]");
	look_well(&layer_link);
	assert_string_equal(item("ens3/mtu")->want, "4200");
	assert_string_equal(item("eth0/mtu")->want, "1400");
	assert_null(find_item("lo/mtu"));
	assert_null(find_item("eth0/txqueuelen"));
	want("[{match: {rdma: false}, mtu: 1400}]");
	look_well(&layer_link);
	assert_null(find_item("ens3/mtu"));
	assert_non_null(find_item("eth0/mtu"));
	want("[{match: {driver: \"mlx4*\"}, mtu: 1400}]");
	look_well(&layer_link);
	expect_item("interfaces", FIX_MANUAL, "none");
}

static void
roce_needs_room_around_its_packets(void **state)
{
	static const struct {
		uint32_t mtu;
		enum fix fix;
		const char *have;
	} cases[] = { { 9000, FIX_NONE, "4096" },
		      { 4192, FIX_NONE, "4096" },
		      { 4191, FIX_MANUAL, "2048" },
		      { 1500, FIX_MANUAL, "1024" },
		      { 300, FIX_MANUAL, "256" } };

	(void)state;
	want("[{match: {rdma: true}, roce_mtu: 4096}]");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ens3.mtu = cases[i].mtu;
		put_machine();
		look_well(&layer_link);
		expect_item("ens3/roce_mtu", cases[i].fix, cases[i].have);
	}
	want("[{match: {name: eth0}, roce_mtu: 4096}]");
	look_well(&layer_link);
	expect_item("eth0/roce_mtu", FIX_MANUAL, "none");
}

/* Our files are removed where no rule is about the interface any more, or it is gone. */
static void
files_go_with_the_wish(void **state)
{
	struct journal *journal = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(journal_open(NULL, "boot", &journal, &err), 0);
	machine.journal = journal;
	look_well(&layer_link);
	assert_int_equal(item("ens3/file")->keep, KEEP_RESTORE);
	apply_well(&layer_link, "ens3/file");
	assert_int_equal(journal_keep(journal, "link", "ens3/file", "absent", NULL, true, &err), 0);
	want("[]");
	assert_false(layer_link.wanted(&spec));
	look_well(&layer_link);
	assert_int_equal(report.n, 1);
	expect_item("ens3/file", FIX_LIVE, FILE_);
	assert_int_equal(item("ens3/file")->keep, KEEP_BACK);
	apply_well(&layer_link, "ens3/file");
	look_well(&layer_link);
	expect_item("ens3/file", FIX_NONE, "absent");
	journal_free(journal);
}

static void
nobody_who_answers_is_an_error(void **state)
{
	struct err err = { 0 };
	struct answer answer = { 0 };

	(void)state;
	add_ack(&answer, -EPERM, NULL);
	put_answer("/opt/links", &answer);
	assert_int_equal(look(&layer_link, &err), -EPERM);
	assert_string_equal(err.msg, "the kernel refuses: Operation not permitted");
	put("/opt/netlink", "#!/bin/sh\nexit 3\n");
	assert_int_equal(look(&layer_link, &err), -EIO);
	agent_config.n_tools = 0;
	assert_int_equal(look(&layer_link, &err), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(items_come_in_the_order_in_which_they_are_done),
		TEST(what_is_asked_of_the_kernel),
		TEST(all_right),
		TEST(limits_of_the_device_are_said),
		TEST(rounding_is_told_from_refusal),
		TEST(no_rings_is_a_limit_too),
		TEST(rings_that_nobody_may_set_are_a_limit_too),
		TEST(rules_find_their_interfaces),
		TEST(roce_needs_room_around_its_packets),
		TEST(files_go_with_the_wish),
		TEST(nobody_who_answers_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
