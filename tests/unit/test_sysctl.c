/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/layer.h"

extern const struct layer layer_sysctl;

#define FILE_ "/etc/sysctl.d/90-gdrfleet.conf"
#define HEAD  "# 90-gdrfleet.conf - written by gdr-guest from the node's profile; a change here is undone.\n"

static void
want(const char *yaml)
{
	auto_free char *text = xasprintf("{sysctl: %s}", yaml);
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	pb_free(spec.guest ? &spec.guest->base : NULL);
	if (pbtext_parse(&gdr__guest_spec__descriptor, "test", text, strlen(text), &message, &err) < 0)
		fail_msg("%s", err.msg);
	spec.guest = (Gdr__GuestSpec *)message;
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	put("/proc/cpuinfo", "processor\t: 0\n");
	put("/proc/sys/net/ipv4/tcp_sack", "1\n");
	put("/proc/sys/net/ipv4/tcp_timestamps", "1\n");
	put("/proc/sys/net/ipv4/tcp_low_latency", "1\n");
	put("/proc/sys/net/core/rmem_max", "33554432\n");
	put("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
	return 0;
}

static int
teardown(void **state)
{
	pb_free(spec.guest ? &spec.guest->base : NULL);
	spec.guest = NULL;
	return machine_teardown(state);
}

static void
values_are_compared_and_written(void **state)
{
	(void)state;
	want("{values: {net.ipv4.tcp_timestamps: \"0\", net.ipv4.tcp_rmem: \" 4096  87380 4194304\"}}");
	assert_true(layer_sysctl.wanted(&spec));
	look_well(&layer_sysctl);
	expect_item("net.ipv4.tcp_timestamps", FIX_LIVE, "1");
	expect_why("net.ipv4.tcp_timestamps", "PAWS");
	expect_item("net.ipv4.tcp_rmem", FIX_LIVE, "4096 131072 6291456");
	expect_item("file", FIX_LIVE, "absent");
	apply_well(&layer_sysctl, "net.ipv4.tcp_timestamps");
	apply_well(&layer_sysctl, "net.ipv4.tcp_rmem");
	apply_well(&layer_sysctl, "file");
	assert_file("/proc/sys/net/ipv4/tcp_rmem", "4096 87380 4194304");
	assert_file(FILE_, HEAD "net.ipv4.tcp_rmem = 4096 87380 4194304\nnet.ipv4.tcp_timestamps = 0\n");
	put("/proc/sys/net/ipv4/tcp_rmem", "4096\t87380\t4194304\n"); /* As the kernel would have it. */
	look_well(&layer_sysctl);
	expect_item("net.ipv4.tcp_rmem", FIX_NONE, NULL);
	expect_item("file", FIX_NONE, FILE_);
	put("/proc/sys/net/ipv4/tcp_timestamps", "1\n");
	look_well(&layer_sysctl);
	expect_item("net.ipv4.tcp_timestamps", FIX_LIVE, "1");
}

static void
never_lower_raises_number_by_number(void **state)
{
	(void)state;
	want("{values: {net.core.rmem_max: \"4194304\", net.ipv4.tcp_rmem: \"8192 87380 4194304\"}, "
	     "never_lower: [net.core.*, net.ipv4.tcp_?mem]}");
	look_well(&layer_sysctl);
	expect_item("net.core.rmem_max", FIX_NONE, "33554432");
	expect_why("net.core.rmem_max", "higher than the 4194304 of the profile");
	expect_item("net.ipv4.tcp_rmem", FIX_LIVE, "4096 131072 6291456");
	assert_string_equal(item("net.ipv4.tcp_rmem")->want, "8192 131072 6291456");
	apply_well(&layer_sysctl, "file");
	assert_file(FILE_, HEAD "net.core.rmem_max = 33554432\nnet.ipv4.tcp_rmem = 8192 131072 6291456\n");
	/* Of other patterns, or not as many numbers: as it is written. */
	want("{values: {net.core.rmem_max: \"4194304\"}, never_lower: [net.ipv4.*]}");
	look_well(&layer_sysctl);
	expect_item("net.core.rmem_max", FIX_LIVE, "33554432");
	want("{values: {net.ipv4.tcp_rmem: \"1 2\"}, never_lower: [\"*\"]}");
	look_well(&layer_sysctl);
	assert_string_equal(item("net.ipv4.tcp_rmem")->want, "1 2");
}

static void
what_does_nothing_or_is_not_there_is_said(void **state)
{
	(void)state;
	want("{values: {net.ipv4.tcp_low_latency: \"1\", net.ipv4.tcp_nonsense: \"1\", ../../etc/passwd: x, "
	     "net.ipv4..x: x, net..: x}}");
	look_well(&layer_sysctl);
	expect_item("net.ipv4.tcp_low_latency", FIX_NONE, "1");
	expect_why("net.ipv4.tcp_low_latency", "without effect since Linux 4.14");
	expect_item("net.ipv4.tcp_nonsense", FIX_MANUAL, "unknown");
	expect_item("../../etc/passwd", FIX_MANUAL, "unknown");
	expect_item("net.ipv4..x", FIX_MANUAL, "unknown");
	expect_item("net..", FIX_MANUAL, "unknown");
	apply_well(&layer_sysctl, "file");
	assert_file(FILE_, HEAD "net.ipv4.tcp_low_latency = 1\n");
	drop("/proc/sys/net/ipv4/tcp_low_latency"); /* Later kernels. */
	look_well(&layer_sysctl);
	expect_item("net.ipv4.tcp_low_latency", FIX_NONE, "absent");
	expect_why("net.ipv4.tcp_low_latency", "this kernel has it no more");
}

/* As the kernel shows what belongs to the whole machine to a container. */
static void
what_nobody_may_write_is_for_a_person(void **state)
{
	auto_free char *path = xasprintf("%s/proc/sys/net/core/rmem_max", tree);

	(void)state;
	assert_int_equal(chmod(path, 0444), 0);
	want("{values: {net.core.rmem_max: \"4194304\"}}");
	look_well(&layer_sysctl);
	expect_item("net.core.rmem_max", FIX_MANUAL, "33554432");
	expect_why("net.core.rmem_max", "the machine's own network namespace");
}

static void
put_interface(const char *name, int filter, int ignore)
{
	auto_free char *filter_path = xasprintf("/proc/sys/net/ipv4/conf/%s/arp_filter", name);
	auto_free char *ignore_path = xasprintf("/proc/sys/net/ipv4/conf/%s/arp_ignore", name);
	auto_free char *filter_text = xasprintf("%d\n", filter);
	auto_free char *ignore_text = xasprintf("%d\n", ignore);

	put(filter_path, filter_text);
	put(ignore_path, ignore_text);
}

static void
interfaces_have_what_the_kernel_makes_of_it(void **state)
{
	(void)state;
	put_interface("all", 0, 2);
	put_interface("default", 0, 0);
	put_interface("lo", 0, 0);
	put_interface("ens3", 1, 8);
	put_interface("ens4", 0, 0);
	put_interface("eth0.100", 0, 1);
	want("{values: {net.ipv4.conf.all.arp_filter: \"0\", net.ipv4.conf.all.arp_ignore: \"2\", "
	     "net.ipv4.conf.default.arp_ignore: \"2\"}}");
	look_well(&layer_sysctl);
	expect_item("ens3/arp_filter", FIX_LIVE, "1");
	expect_item("ens4/arp_filter", FIX_NONE, "0");
	expect_item("ens3/arp_ignore", FIX_LIVE, "8");
	expect_why("ens3/arp_ignore", "all has 2 and the interface 8");
	expect_item("ens4/arp_ignore", FIX_NONE, "2");
	expect_item("eth0.100/arp_ignore", FIX_NONE, "2");
	expect_item("net.ipv4.conf.default.arp_ignore", FIX_LIVE, "0");
	assert_null(find_item("lo/arp_ignore"));
	apply_well(&layer_sysctl, "ens3/arp_ignore");
	apply_well(&layer_sysctl, "ens3/arp_filter");
	assert_file("/proc/sys/net/ipv4/conf/ens3/arp_ignore", "2");
	look_well(&layer_sysctl);
	expect_item("ens3/arp_ignore", FIX_NONE, "2");
	expect_item("ens3/arp_filter", FIX_NONE, "0");
	/* What 'all' alone is to bring leaves the interface's own value as it is. */
	put_interface("all", 0, 0);
	look_well(&layer_sysctl);
	expect_item("ens4/arp_ignore", FIX_LIVE, "0");
	apply_well(&layer_sysctl, "ens4/arp_ignore");
	assert_file("/proc/sys/net/ipv4/conf/ens4/arp_ignore", "0\n");
}

/* A dot in an interface's name is a slash in the parameter's. */
static void
names_with_dots(void **state)
{
	(void)state;
	put_interface("eth0.100", 0, 1);
	want("{values: {net.ipv4.conf.eth0/100.arp_ignore: \"1\", net/ipv4/conf/eth0.100/arp_filter: \"1\"}}");
	look_well(&layer_sysctl);
	expect_item("net.ipv4.conf.eth0/100.arp_ignore", FIX_NONE, "1");
	expect_item("net/ipv4/conf/eth0.100/arp_filter", FIX_LIVE, "0");
	apply_well(&layer_sysctl, "net/ipv4/conf/eth0.100/arp_filter");
	assert_file("/proc/sys/net/ipv4/conf/eth0.100/arp_filter", "1");
}

static void
a_file_that_is_read_later_is_named(void **state)
{
	(void)state;
	put("/etc/sysctl.d/10-early.conf", "net.ipv4.tcp_sack = 0\n");
	put("/etc/sysctl.d/99-sysctl.conf", "# net.ipv4.tcp_sack = 0\nnet.ipv4.tcp_sackx = 0\n\nvm.swappiness=1");
	want("{values: {net.ipv4.tcp_sack: \"1\"}}");
	look_well(&layer_sysctl);
	assert_null(item("file")->why);
	put("/usr/lib/sysctl.d/99-vendor.conf", "\nnet.ipv4.tcp_sack=0\n");
	look_well(&layer_sysctl);
	expect_why("file", "/usr/lib/sysctl.d/99-vendor.conf sets net.ipv4.tcp_sack after it");
}

/* Nobody wants it any more: what is ours goes. */
static void
our_file_goes_with_the_wish(void **state)
{
	(void)state;
	want("{values: {net.ipv4.tcp_sack: \"1\"}}");
	look_well(&layer_sysctl);
	assert_int_equal(item("file")->keep, KEEP_RESTORE);
	apply_well(&layer_sysctl, "file");
	want("{}");
	assert_false(layer_sysctl.wanted(&spec));
	look_well(&layer_sysctl);
	assert_int_equal(report.n, 1);
	expect_item("file", FIX_LIVE, FILE_);
	assert_int_equal(item("file")->keep, KEEP_BACK);
	apply_well(&layer_sysctl, "file");
	look_well(&layer_sysctl);
	expect_item("file", FIX_NONE, "absent");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_are_compared_and_written),
		TEST(never_lower_raises_number_by_number),
		TEST(what_does_nothing_or_is_not_there_is_said),
		TEST(what_nobody_may_write_is_for_a_person),
		TEST(interfaces_have_what_the_kernel_makes_of_it),
		TEST(names_with_dots),
		TEST(a_file_that_is_read_later_is_named),
		TEST(our_file_goes_with_the_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
