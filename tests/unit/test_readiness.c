/* Links: agent */
/* layers/readiness.c, and the parsers that it stands on: agent/machine/nccltests.c, agent/machine/kmsg.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/layers/readiness.h"
#include "agent/machine/kmsg.h"
#include "agent/machine/nccltests.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/guest_tree.h"

extern const struct layer layer_nccl;
extern const struct layer layer_readiness;

#define STUB                                    \
	"#!/bin/sh\n"                           \
	"cd \"$GDR_ROOT/smi\" || exit 1\n"      \
	"[ ! -e hang ] || sleep 60\n"           \
	"case $1 in\n"                          \
	"--query-gpu=*) cat table ;;\n"         \
	"--query-compute-apps=*) cat apps ;;\n" \
	"nvlink) cat nvlink ;;\n"               \
	"esac\n"
#define HEADER \
	"#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong\n"
#define SMALL \
	"           8             2     float     sum      -1    20.26    0.00    0.00      0    17.74    0.00    0.00      0\n"
#define LARGE \
	"  4294967296    1073741824     float     sum      -1    32285  133.03  232.81      0    32268  133.10  232.93      0\n"

static Gdr__GuestSpec *wanted;

static void
put_fixture(const char *to, const char *name)
{
	auto_free char *path = xasprintf(TESTS_DIR "/fixtures/nvidia-smi/%s", name);
	auto_free char *text = NULL;
	struct err err;
	size_t len;

	assert_int_equal(file_read(path, 1 << 20, &text, &len, &err), 0);
	put(to, text);
}

static void
want(const char *yaml)
{
	struct err err = { 0 };
	ProtobufCMessage *message = NULL;

	pb_free(wanted ? &wanted->base : NULL);
	if (pbtext_parse(&gdr__guest_spec__descriptor, "spec", yaml, strlen(yaml), &message, &err) < 0)
		fail_msg("%s", err.msg);
	spec.guest = wanted = (Gdr__GuestSpec *)message;
}

static int
setup(void **state)
{
	(void)guest_setup(state);
	add_tool("nvidia-smi", STUB);
	add_tool("dmesg", "#!/bin/sh\ncat \"$GDR_ROOT/dmesg\"\n");
	put("/dmesg", "[    0.000000] Linux version 5.15.0\n");
	put_fixture("/smi/table", "healthy.csv");
	put_fixture("/smi/nvlink", "nvlink-one-down.txt");
	put("/smi/apps", "");
	put("/sys/module/nvidia_peermem/version", "1\n");
	want("{readiness: {gpus: 2, hcas: 2, gdr: true}}");
	return 0;
}

static int
teardown(void **state)
{
	pb_free(wanted ? &wanted->base : NULL);
	wanted = NULL;
	return machine_teardown(state);
}

static void
expect_state(const char *key, enum fix fix, const char *state)
{
	expect_item(key, fix, NULL);
	if (strncmp(item(key)->have, state, strlen(state)) != 0)
		fail_msg("%s: have %s, not %s", key, item(key)->have, state);
	const Gdr__Check *check = item(key)->check;
	const char *word = pbtext_enum(&gdr__check__state__descriptor, (int)check->state);
	assert_memory_equal(item(key)->have, word, strlen(word));
	bool bad = check->state == GDR__CHECK__STATE__FAIL || check->state == GDR__CHECK__STATE__UNKNOWN;
	assert_int_equal(check->remedy != NULL, bad);
}

static void
publish(void)
{
	look_well(&layer_readiness);
	if (item("published")->fix == FIX_LIVE)
		apply_well(&layer_readiness, "published");
	look_well(&layer_readiness);
	expect_item("published", FIX_NONE, NULL);
}

/* --- parsers ------------------------------------------------------------------------------------------------------- */

static void
the_largest_row_counts(void **state)
{
	struct nccltests tests;
	struct err err;

	(void)state;
	assert_int_equal(
		nccltests_parse("# nThread 1\n#  Rank  0 Group  0 Pid  1 on a device  0 [0x07] NVIDIA\n" HEADER
				"8 more processes have sent help message help-mtl-ofi.txt / OFI call fail\n" SMALL
				"NCCL version 2.18.3+cuda12.2\n" LARGE "a:1:2 [0] NCCL INFO comm 0x1 rank 0\n"
				"# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 72.7724\n",
				&tests, &err),
		0);
	assert_int_equal(tests.rows, 2);
	assert_int_equal(tests.ranks, 1);
	assert_int_equal(tests.bytes, 4294967296ULL);
	assert_true(nccltests_busbw(&tests) > 232.8 && nccltests_busbw(&tests) < 232.82);
	assert_false(tests.wrong);
	assert_int_equal(nccltests_parse("x\nTest NCCL failure common.cu:1\n", &tests, &err), -EBADMSG);
	assert_true(tests.failed);
	/* #wrong may be N/A, newer versions add columns, and gathers have no redop. */
	assert_int_equal(
		nccltests_parse("1048576 65536 float none -1 38 27.6 24.2 N/A 38 27.1 23.7 2 17 4 9 8\n", &tests, &err),
		0);
	assert_true(tests.wrong);
}

static void
other_tools(void **state)
{
	auto_free char *what = NULL;
	auto_free char *none = NULL;

	(void)state;
	assert_true(
		nccltests_ib_write(" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n"
				   " 65536      112233           0.00               186.21             0.355\n") > 186);
	assert_true(nccltests_ib_write("Couldn't get device attributes\n") < 0);
	assert_int_equal(nccltests_dcgmi("| Denylist | Pass |\n| NVLink   | Fail - GPU: 3 |\n", 0, &what),
			 NCCLTESTS_FAIL);
	assert_string_equal(what, "NVLink: Fail - GPU: 3");
	assert_int_equal(nccltests_dcgmi("| Failing fans | Pass |\n| Memory | Skip |\n|\n", 0, &none), NCCLTESTS_PASS);
	assert_int_equal(nccltests_dcgmi("| Memory | Skip |\n", 0, &none), NCCLTESTS_UNKNOWN);
	assert_int_equal(nccltests_dcgmi("| Denylist | Pass |\n", 0, &none), NCCLTESTS_PASS);
	assert_int_equal(nccltests_dcgmi("Error: Unable to connect\n", 255, &none), NCCLTESTS_UNKNOWN);
	assert_int_equal(nccltests_dcgmi("| Denylist | Pass |\n", 134, &none), NCCLTESTS_UNKNOWN);
}

static void
xid_lines(void **state)
{
	struct kmsg kmsg;

	(void)state;
	kmsg_parse("[ 12.3] NVRM: Xid (PCI:0000:b9:00): 79, pid='<unknown>', GPU has fallen off the bus.\n"
		   "[ 13.3] NVRM: Xid (PCI:0000:99:00): 31, pid=4242, name=python, MMU Fault\n"
		   "[ 14.3] nvidia-nvswitch0: SXid (PCI:0000:91:00.0): 20034, Fatal, Link 30 LTSSM Fault Up\n"
		   "[  1.3] pci 0000:b9:00.0: BAR 1: no space for [mem size 0x2000000000 64bit pref]\n"
		   "NVRM: Xid (PCI:nonsense\n",
		   &kmsg);
	assert_int_equal(kmsg.n, 3);
	assert_string_equal(kmsg.v[0].address, "0000:b9:00");
	assert_true(kmsg_fatal(&kmsg.v[0]));
	assert_false(kmsg_fatal(&kmsg.v[1]));
	assert_true(kmsg_fatal(&kmsg.v[2]));
	assert_non_null(strstr(kmsg.bar, "BAR 1"));
	kmsg_free(&kmsg);
}

static void
published_tables(void **state)
{
	static const struct {
		const char *name;
		unsigned ranks;
		double busbw;
	} files[] = { { "a100-1node-mpirun-noise-allreduce.txt", 8, 232.81 },
		      { "a3mega-h100-2node-allreduce.txt", 16, 337.35 },
		      { "a800-12node-2gpu-allreduce.txt", 6, 42.31 } };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		auto_free char *path = xasprintf(SOURCE_DIR "/../shared/samples/nccl-tests/%s", files[i].name);
		auto_free char *text = NULL;
		struct nccltests tests;
		struct err err;
		size_t len;
		if (access(path, R_OK) < 0)
			skip();
		assert_int_equal(file_read(path, 1 << 20, &text, &len, &err), 0);
		assert_int_equal(nccltests_parse(text, &tests, &err), 0);
		assert_int_equal(tests.ranks, files[i].ranks);
		assert_true(nccltests_busbw(&tests) > files[i].busbw - 0.01 &&
			    nccltests_busbw(&tests) < files[i].busbw + 0.01);
	}
}

/* --- verdicts -------------------------------------------------------------------------------------------------------- */

static void
ready(void **state)
{
	(void)state;
	look_well(&layer_readiness);
	assert_int_equal(report.n, 25 + 2);
	expect_item("verdict", FIX_NONE, "ready");
	expect_item("R03/gpus", FIX_NONE, "pass: 2");
	expect_item("R12/gdr", FIX_NONE, NULL);
	expect_item("R13/hcas", FIX_NONE, "pass: 2");
	expect_item("R14/roce", FIX_NONE, "pass: mlx5_0 10.4.0.1 at 3, mlx5_1 10.4.0.2 at 3");
	expect_state("R22/all-reduce", FIX_NONE, "skipped");
	expect_item("published", FIX_LIVE, "outdated");
	publish();
	assert_file("/run/gdrfleet/ready", "ready\n");
	auto_free char *text = got("/run/gdrfleet/readiness");
	assert_non_null(strstr(text, "verdict ready\nR01 pass fatal inventory: want 2 GPUs, have 2 on the PCI bus\n"));
}

static void
a_lost_gpu(void **state)
{
	(void)state;
	publish();
	put_fixture("/smi/table", "lost-one.csv");
	put("/dmesg", "[ 12.3] NVRM: Xid (PCI:0000:99:00): 79, pid='<unknown>', GPU has fallen off the bus.\n");
	publish();
	expect_item("R03/gpus", FIX_MANUAL, "fail: 1, lost 0000:99:00.0");
	expect_why("R03/gpus", "fatal; before: pass");
	expect_state("R06/xid", FIX_MANUAL, "fail: NVRM: Xid");
	expect_item("verdict", FIX_MANUAL, "not ready");
	expect_why("verdict", "R03 gpus: 1, lost");
	auto_free char *path = tree_path("/run/gdrfleet/ready");
	assert_int_not_equal(access(path, F_OK), 0);
	put_fixture("/smi/table", "healthy.csv");
	put("/dmesg", "");
	publish();
	assert_file("/run/gdrfleet/ready", "ready\n");
}

static void
unknown_is_no_pass(void **state)
{
	(void)state;
	put("/smi/hang", "");
	want("{gpu: {timeout: 200ms}, readiness: {gpus: 2}}");
	look_well(&layer_readiness);
	expect_state("R02/driver", FIX_MANUAL, "fail");
	expect_state("R03/gpus", FIX_MANUAL, "unknown");
	expect_state("R05/memory", FIX_MANUAL, "unknown");
	expect_state("R10/throttling", FIX_NONE, "unknown");
	expect_item("verdict", FIX_MANUAL, "not ready");
}

static void
degraded_is_still_ready_for_jobs(void **state)
{
	(void)state;
	put_fixture("/smi/table", "off.csv");
	want("{gpu: {graphics_clock: '1410'}, readiness: {gpus: 2}}");
	publish();
	expect_state("R11/gpu-settings", FIX_NONE, "fail: 0000:b9:00.0/graphics_clock");
	expect_item("verdict", FIX_NONE, "degraded");
	assert_file("/run/gdrfleet/ready", "degraded\n");
	want("{gpu: {graphics_clock: '1410'}, readiness: {gpus: 2, severity: {R11: fatal}}}");
	look_well(&layer_readiness);
	expect_item("verdict", FIX_MANUAL, "not ready");
	assert_int_equal(item("R11/gpu-settings")->check->severity, GDR__CHECK__SEVERITY__FATAL);
	want("{gpu: {graphics_clock: '1410'}, readiness: {gpus: 2, skip: [R11]}}");
	look_well(&layer_readiness);
	expect_state("R11/gpu-settings", FIX_NONE, "skipped");
	expect_item("verdict", FIX_NONE, "ready");
}

static void
all_that_a_card_can_do_is_clamped(void **state)
{
	(void)state;
	put_fixture("/smi/table", "deprecated-590.csv");
	put_endpoint(GPU1, 0x15b3, 0x101e, 0x020000, 1); /* The driver of these lists one GPU. */
	want("{gpu: {persistence: true, application_clocks: '1593,1410'}, readiness: {gpus: 1}}");
	publish();
	expect_state("R11/gpu-settings", FIX_NONE, "clamped: 0000:b9:00.0/application_clocks: deprecated");
	expect_why("R11/gpu-settings", "this driver has none any more");
	expect_item("verdict", FIX_NONE, "ready");
}

static void
the_network(void **state)
{
	(void)state;
	put_gid("mlx5_1", 3, "0000:0000:0000:0000:0000:0000:0000:0000\n", "RoCE v2\n", "eth2");
	look_well(&layer_readiness);
	expect_item("R14/roce", FIX_MANUAL, "fail: mlx5_1 has none");
	put_gid("mlx5_1", 3, "0000:0000:0000:0000:0000:ffff:0a04:0002\n", "RoCE v2\n", "eth2");
	put("/sys/class/net/eth2/mtu", "1500\n");
	look_well(&layer_readiness);
	expect_item("R14/roce", FIX_MANUAL, "fail: eth2 has an MTU of 1500");
	put_hca_file("mlx5_0", "ports/1/state", "1: DOWN\n");
	look_well(&layer_readiness);
	expect_item("R13/hcas", FIX_MANUAL, "fail: mlx5_0 is DOWN, LinkUp");
}

static void
counters_that_rise(void **state)
{
	(void)state;
	put_hca_file("mlx5_0", "ports/1/counters/link_downed", "3\n");
	put_hca_file("mlx5_0", "ports/1/hw_counters/out_of_sequence", "7\n");
	publish();
	expect_item("R21/counters", FIX_NONE, "pass: none");
	put_hca_file("mlx5_0", "ports/1/hw_counters/out_of_sequence", "9\n");
	look_well(&layer_readiness);
	expect_item("R21/counters", FIX_NONE, "fail: mlx5_0/out_of_sequence rose by 2");
	expect_item("verdict", FIX_NONE, "degraded");
}

static void
links_and_bars(void **state)
{
	(void)state;
	want("{readiness: {gpus: 2, nvlinks: 12}}");
	look_well(&layer_readiness);
	expect_item("R07/nvlink", FIX_MANUAL, "fail: GPU 1: 11 active, 1 inactive");
	put_device_file(GPU0, "resource", "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
	look_well(&layer_readiness);
	expect_item("R04/bars", FIX_MANUAL, "fail: " GPU0 " has none");
}

/* NCCL keeps GPU Direct off where the file puts a CPU between what shares a switch. */
static void
the_topology_file(void **state)
{
	(void)state;
	want("{nccl: {topology: /etc/topo.xml}, readiness: {gpus: 2}}");
	look_well(&layer_readiness);
	expect_state("R18/topology", FIX_MANUAL, "fail: topology: absent");
	look_well(&layer_nccl);
	apply_well(&layer_nccl, "topology");
	look_well(&layer_readiness);
	expect_state("R18/topology", FIX_NONE, "pass");
	put("/etc/topo.xml", "<system version=\"1\">\n</system>\n");
	look_well(&layer_readiness);
	expect_state("R18/topology", FIX_MANUAL, "fail: topology: differs");
}

static void
metrics(void **state)
{
	(void)state;
	want("{readiness: {gpus: 3, metrics: /var/lib/node_exporter/gdr.prom}}");
	publish();
	auto_free char *text = got("/var/lib/node_exporter/gdr.prom");
	assert_non_null(strstr(text, "\ngdrfleet_guest_ready 0\n"));
	assert_non_null(strstr(text, "{id=\"R01\",name=\"inventory\",severity=\"fatal\",state=\"fail\"} 1\n"));
}

/* --- measurements ----------------------------------------------------------------------------------------------------- */

static void
measured_on_demand(void **state)
{
	struct err err;

	(void)state;
	add_tool("all_reduce_perf", "#!/bin/sh\necho \"$*\" >\"$GDR_ROOT/args\"\ncat \"$GDR_ROOT/perf\"\n");
	put("/perf", HEADER LARGE);
	want("{readiness: {gpus: 2, min_busbw: 200, active: on-demand}}");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_NONE, "skipped: not measured yet");
	assert_int_equal(readiness_measure(&machine, &spec, &err), 0);
	assert_file("/args", "-b 4G -e 4G -g 2 -n 10\n");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_NONE, "pass: 232.8 GB/s");
	assert_true(item("R22/all-reduce")->measured_ms > 0);
	assert_true(item("verdict")->measured_ms == 0);
	/* A worse one after it: judged, and compared. */
	want("{readiness: {gpus: 2, min_busbw: 240, active: when-idle, active_interval: 1m}}");
	put("/perf", "4294967296 1073741824 float sum -1 32285 133.03 150.0 0 32268 133.10 151.0 0\n");
	apply_well(&layer_readiness, "R22/all-reduce");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_NONE, "fail: 150.0 GB/s");
	expect_why("R22/all-reduce", "before that 232.8 GB/s");
	expect_item("verdict", FIX_NONE, "degraded");
}

static void
what_did_not_measure_is_unknown(void **state)
{
	(void)state;
	want("{readiness: {gpus: 2, min_busbw: 200, active: when-idle}}");
	look_well(&layer_readiness);
	apply_well(&layer_readiness, "R22/all-reduce");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_NONE, "unknown: no program all_reduce_perf");
	expect_item("verdict", FIX_NONE, "degraded");
}

static void
only_when_nobody_works(void **state)
{
	(void)state;
	want("{readiness: {gpus: 2, min_busbw: 200, active: when-idle}}");
	put("/smi/apps", "4242\n");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_NONE, "skipped");
	put("/smi/apps", "");
	look_well(&layer_readiness);
	expect_state("R22/all-reduce", FIX_LIVE, "skipped");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_row_counts),
		cmocka_unit_test(other_tools),
		cmocka_unit_test(xid_lines),
		cmocka_unit_test(published_tables),
		TEST(ready),
		TEST(a_lost_gpu),
		TEST(unknown_is_no_pass),
		TEST(degraded_is_still_ready_for_jobs),
		TEST(all_that_a_card_can_do_is_clamped),
		TEST(the_network),
		TEST(counters_that_rise),
		TEST(links_and_bars),
		TEST(the_topology_file),
		TEST(metrics),
		TEST(measured_on_demand),
		TEST(what_did_not_measure_is_unknown),
		TEST(only_when_nobody_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
