/* Links: agent */
/* layers/nccl.c, and what it stands on: agent/machine/ib.c, agent/machine/ncclconf.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/layers/nccl_env.h"
#include "agent/machine/ib.h"
#include "agent/machine/ncclconf.h"
#include "agent/machine/smbios.h"
#include "common/buf.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/guest_tree.h"

extern const struct layer layer_nccl;

#define TOPOLOGY "/var/run/nvidia-topologyd/virtualTopology.xml"

static Gdr__NcclSpec *nccl;

static void
want(const char *yaml)
{
	struct err err = { 0 };

	pb_free(nccl ? &nccl->base : NULL);
	ProtobufCMessage *message = NULL;
	if (pbtext_parse(&gdr__nccl_spec__descriptor, "spec", yaml, strlen(yaml), &message, &err) < 0)
		fail_msg("%s", err.msg);
	guest.nccl = nccl = (Gdr__NcclSpec *)message;
}

static int
teardown(void **state)
{
	pb_free(nccl ? &nccl->base : NULL);
	nccl = NULL;
	return machine_teardown(state);
}

static void
converge_all(void)
{
	look_well(&layer_nccl);
	for (size_t i = 0; i < report.n; i++)
		if (report.items[i].fix == FIX_LIVE)
			apply_well(&layer_nccl, report.items[i].key);
	look_well(&layer_nccl);
}

/* --- the conf file's rules --------------------------------------------------------------------------------------- */

static void
conf_is_read_as_nccl_reads_it(void **state)
{
	struct ncclconf conf;

	(void)state;
	ncclconf_parse(
		"# NCCL_A=1\n #=x\nNCCL_B=2 \nNCCL_B=3\nNCCL_C==mlx5_0:1\nno equals\nKEY =v\nNCCL_D=\"q\"\r\nlast=1",
		&conf);
	assert_null(ncclconf_get(&conf, "NCCL_A"));
	assert_string_equal(ncclconf_get(&conf, " #"), "x"); /* A comment in the first column alone. */
	assert_string_equal(ncclconf_get(&conf, "NCCL_B"), "2 ");
	assert_string_equal(ncclconf_get(&conf, "NCCL_C"), "=mlx5_0:1");
	assert_string_equal(ncclconf_get(&conf, "KEY "), "v");
	assert_string_equal(ncclconf_get(&conf, "NCCL_D"), "\"q\"");
	assert_string_equal(ncclconf_get(&conf, "last"), "1");
	assert_true(conf.v[2].again);
	ncclconf_free(&conf);
}

static void
conf_carries_no_line_ends(void **state)
{
	auto_buf struct buf out = { 0 };

	(void)state;
	assert_true(ncclconf_add(&out, "NCCL_A", "=x,y"));
	assert_false(ncclconf_add(&out, "NCCL_B", "1\nNCCL_C=2"));
	assert_false(ncclconf_add(&out, "A=B", "1"));
	assert_string_equal(out.text, "NCCL_A==x,y\n");
}

static void
shell_files(void **state)
{
	struct ncclconf conf;

	(void)state;
	ncclconf_parse_shell("PATH=/bin\nNCCL_A=\"1 2\"\n  export NCCL_B='3' # c\nexport NCCL_C=4 # c\n#NCCL_D=1\n",
			     &conf);
	assert_int_equal(conf.n, 3);
	assert_string_equal(ncclconf_get(&conf, "NCCL_A"), "1 2");
	assert_string_equal(ncclconf_get(&conf, "NCCL_B"), "3");
	assert_string_equal(ncclconf_get(&conf, "NCCL_C"), "4");
	ncclconf_free(&conf);
}

/* --- RDMA devices -------------------------------------------------------------------------------------------------- */

static void
gids_by_type_and_family(void **state)
{
	struct ib_ports ports;

	(void)state;
	put_gid("mlx5_0", 5, "0000:0000:0000:0000:0000:ffff:0a09:0001\n", "RoCE v2\n", "eth1.5");
	ib_read(machine.host, &ports);
	assert_int_equal(ports.n, 2);
	assert_string_equal(ports.v[0].name, "mlx5_0");
	assert_string_equal(ports.v[0].address, VF0);
	assert_string_equal(ports.v[0].netdev, "eth1");
	assert_int_equal(ports.v[0].gbps, 200);
	assert_true(ib_up(&ports.v[0]));
	assert_int_equal(ports.v[0].n_gids, 5); /* The zero one is no GID. */
	assert_int_equal(ib_gid(&ports.v[0], NULL)->index, 3);
	assert_string_equal(ib_gid(&ports.v[0], "10.4.0.0/16")->ipv4, "10.4.0.1");
	assert_null(ib_gid(&ports.v[0], "10.9.0.0/16")); /* Of another interface. */
	assert_null(ib_gid(&ports.v[0], "nonsense"));
	ib_free(&ports);
}

/* --- the layer ------------------------------------------------------------------------------------------------------ */

static void
all_of_the_recipe(void **state)
{
	(void)state;
	want("{env: {CUDA_VISIBLE_DEVICES: auto, NCCL_IB_DISABLE: '0', NCCL_BUFFSIZE: '67108864', NCCL_IB_HCA: auto, "
	     "NCCL_IB_QPS_PER_CONNECTION: auto, NCCL_IB_GID_INDEX: auto, NCCL_ALGO: auto, NCCL_SOCKET_IFNAME: auto, "
	     "NCCL_SOCKET_NTHREADS: auto, NCCL_CROSS_NIC: auto}, fabric: rails, version: '2.18'}");
	look_well(&layer_nccl);
	expect_item("NCCL_IB_HCA", FIX_LIVE, "absent");
	assert_string_equal(item("NCCL_IB_HCA")->want, "=mlx5_0:1,mlx5_1:1");
	assert_string_equal(item("CUDA_VISIBLE_DEVICES")->want, "0,1");
	converge_all();
	for (size_t i = 0; i < report.n; i++)
		assert_int_equal(report.items[i].fix, FIX_NONE);
	assert_file("/etc/nccl.conf",
		    "# Written by gdr-guest, whole: what you change here is put back.  A job's environment and\n"
		    "# ~/.nccl.conf win over it.  Containers need it mounted: -v /etc/nccl.conf:/etc/nccl.conf:ro\n"
		    "NCCL_BUFFSIZE=67108864\nNCCL_CROSS_NIC=0\nNCCL_IB_DISABLE=0\nNCCL_IB_GID_INDEX=3\n"
		    "NCCL_IB_HCA==mlx5_0:1,mlx5_1:1\nNCCL_IB_QPS_PER_CONNECTION=1\nNCCL_SOCKET_IFNAME==eth0\n");
	expect_why("NCCL_BUFFSIZE", "16 times");
}

static void
newer_nccl_finds_gids_itself(void **state)
{
	(void)state;
	want("{env: {NCCL_IB_GID_INDEX: auto, NCCL_IB_ADDR_FAMILY: AF_INET6}, gid_network: 10.4.0.0/16}");
	put("/usr/lib/x86_64-linux-gnu/libnccl.so.2.21.5", "");
	converge_all();
	expect_item("NCCL_IB_GID_INDEX", FIX_NONE, "NCCL's choice");
	expect_item("NCCL_IB_ROCE_VERSION_NUM", FIX_NONE, "2");
	expect_item("NCCL_IB_ADDR_RANGE", FIX_NONE, "10.4.0.0/16");
	expect_item("NCCL_IB_ADDR_FAMILY", FIX_NONE, "AF_INET6"); /* As it is told. */
}

static void
an_index_that_does_not_hold_everywhere(void **state)
{
	(void)state;
	want("{env: {NCCL_IB_GID_INDEX: auto}, version: '2.20'}");
	put_gid("mlx5_1", 3, "fe80:0000:0000:0000:c025:a1ff:fe31:2e81\n", "RoCE v2\n", "eth2");
	put_gid("mlx5_1", 6, "0000:0000:0000:0000:0000:ffff:0a04:0002\n", "RoCE v2\n", "eth2");
	look_well(&layer_nccl);
	expect_item("NCCL_IB_GID_INDEX", FIX_MANUAL, "not found");
	expect_why("NCCL_IB_GID_INDEX", "2.21");
}

static void
a_device_that_is_down_or_without_a_gid(void **state)
{
	(void)state;
	want("{env: {NCCL_IB_HCA: auto}}");
	put_hca_file("mlx5_0", "ports/1/state", "1: DOWN\n");
	put_gid("mlx5_1", 3, "0000:0000:0000:0000:0000:0000:0000:0000\n", "RoCE v2\n", "eth2");
	look_well(&layer_nccl);
	expect_item("NCCL_IB_HCA", FIX_MANUAL, "not found");
	expect_item("hca/mlx5_0:1", FIX_MANUAL, "DOWN");
	expect_item("hca/mlx5_1:1", FIX_MANUAL, "none");
	expect_why("hca/mlx5_1:1", "no IPv4 address");
	put_hca_file("mlx5_0", "ports/1/state", "4: ACTIVE\n");
	look_well(&layer_nccl);
	assert_string_equal(item("NCCL_IB_HCA")->want, "=mlx5_0:1");
}

static void
a_management_nic_is_none_of_it(void **state)
{
	(void)state;
	want("{env: {NCCL_IB_HCA: auto}}");
	put_endpoint("0000:01:00.0", 0x15b3, 0x101d, 0x020000, 0);
	put_hca("mlx5_9", "0000:01:00.0", "eth0", 9);
	look_well(&layer_nccl);
	assert_string_equal(item("NCCL_IB_HCA")->want, "=mlx5_0:1,mlx5_1:1");
	want("{env: {NCCL_IB_HCA: auto}, hca: mlx5_9}");
	look_well(&layer_nccl);
	assert_string_equal(item("NCCL_IB_HCA")->want, "=mlx5_9:1");
}

static void
another_ones_file_is_kept_and_drift_put_right(void **state)
{
	(void)state;
	want("{env: {NCCL_DEBUG: WARN}}");
	put("/etc/nccl.conf", "NCCL_DEBUG=INFO\nNCCL_P2P_DISABLE=1\n");
	look_well(&layer_nccl);
	expect_item("NCCL_DEBUG", FIX_LIVE, "INFO");
	expect_item("nccl.conf", FIX_LIVE, "differs");
	converge_all();
	expect_item("nccl.conf", FIX_NONE, "as written");
	assert_file("/etc/nccl.conf.before-gdrfleet", "NCCL_DEBUG=INFO\nNCCL_P2P_DISABLE=1\n");
	put("/etc/nccl.conf", "# Written by gdr-guest\nNCCL_DEBUG=WARN \n");
	look_well(&layer_nccl);
	expect_item("NCCL_DEBUG", FIX_LIVE, "WARN "); /* NCCL trims nothing. */
	converge_all();
	assert_file("/etc/nccl.conf.before-gdrfleet", "NCCL_DEBUG=INFO\nNCCL_P2P_DISABLE=1\n");
}

static void
what_wins_over_it(void **state)
{
	(void)state;
	want("{env: {NCCL_DEBUG: WARN, NCCL_CROSS_NIC: '0'}}");
	put("/etc/environment", "NCCL_DEBUG=\"INFO\"\nNCCL_CROSS_NIC=0\n");
	put("/etc/passwd", "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\neva:x:1000:1000::/srv/eva:/bin/sh\nodd\n");
	put("/srv/eva/.nccl.conf", "NCCL_CROSS_NIC=2\n");
	look_well(&layer_nccl);
	expect_item("NCCL_DEBUG@/etc/environment", FIX_MANUAL, "INFO");
	expect_item("NCCL_CROSS_NIC@/srv/eva/.nccl.conf", FIX_NONE, "2");
	expect_why("NCCL_CROSS_NIC@/srv/eva/.nccl.conf", "line 1");
	assert_null(find_item("NCCL_CROSS_NIC@/etc/environment"));
}

static void
nothing_is_found_for_it(void **state)
{
	(void)state;
	want("{env: {NCCL_SOCKET_IFNAME: auto, NCCL_NVLS_ENABLE: auto}}");
	put("/proc/net/route", "Iface\tDestination\n");
	look_well(&layer_nccl);
	expect_item("NCCL_SOCKET_IFNAME", FIX_MANUAL, "not found");
	expect_item("NCCL_NVLS_ENABLE", FIX_MANUAL, "not found");
}

static void
version_gates(void **state)
{
	(void)state;
	want("{env: {NCCL_IB_ADDR_RANGE: 10.4.0.0/16}, version: '2.18'}");
	converge_all();
	expect_item("NCCL_IB_ADDR_RANGE", FIX_NONE, "10.4.0.0/16");
	expect_why("NCCL_IB_ADDR_RANGE", "NCCL 2.18 knows nothing of choosing GIDs: it needs 2.21");
}

static const char expected[] =
	"<system version=\"1\">\n"
	"  <cpu numaid=\"0\" affinity=\"00000003\">\n"
	"    <pci busid=\"ffff:ff:00.0\" class=\"0x060400\" link_speed=\"16 GT/s\" link_width=\"16\">\n"
	"      <pci busid=\"0000:b7:00.0\" class=\"0x020000\" link_speed=\"16 GT/s\" link_width=\"16\">\n"
	"        <nic>\n"
	"          <net name=\"mlx5_0\"/>\n"
	"        </nic>\n"
	"      </pci>\n"
	"      <pci busid=\"0000:b9:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
	"    </pci>\n"
	"  </cpu>\n"
	"  <cpu numaid=\"1\" affinity=\"0000000c\">\n"
	"    <pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"16 GT/s\" link_width=\"16\">\n"
	"      <pci busid=\"0000:97:00.0\" class=\"0x020000\" link_speed=\"16 GT/s\" link_width=\"16\">\n"
	"        <nic>\n"
	"          <net name=\"mlx5_1\"/>\n"
	"        </nic>\n"
	"      </pci>\n"
	"      <pci busid=\"0000:99:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
	"    </pci>\n"
	"  </cpu>\n"
	"</system>\n";

static void
the_topology_file(void **state)
{
	(void)state;
	want("{topology: " TOPOLOGY "}");
	look_well(&layer_nccl);
	expect_item("topology", FIX_LIVE, "absent");
	converge_all();
	expect_item("topology", FIX_NONE, "as written");
	assert_file(TOPOLOGY, expected);
	assert_file("/var/lib/gdrfleet-guest/virtualTopology.xml", expected);
	expect_item("topology/boot", FIX_NONE, "as written");
	put(TOPOLOGY, "<system version=\"1\">\n</system>\n");
	look_well(&layer_nccl);
	expect_item("topology", FIX_LIVE, "differs");
}

static void
a_template_is_completed(void **state)
{
	(void)state;
	want("{topology: /etc/topo.xml, topology_template: /etc/template.xml}");
	look_well(&layer_nccl);
	expect_item("topology", FIX_MANUAL, "unknown");
	put("/etc/template.xml",
	    "<system version=\"1\">\n<cpu numaid=\"0\" affinity=\"f\">\n"
	    "<pci busid=\"ffff:ff:00.0\" class=\"0x060400\" link_speed=\"32 GT/s\" link_width=\"16\">\n"
	    "<pci busid=\"0000:b7:00.0\" class=\"0x020000\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
	    "<pci busid=\"0000:b9:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
	    "</pci>\n</cpu>\n</system>\n");
	converge_all();
	expect_item("topology", FIX_NONE, "as written");
	assert_null(find_item("topology/boot"));
	auto_free char *text = got("/etc/topo.xml");
	assert_non_null(strstr(text, "<net name=\"mlx5_0\"/>"));
	put("/etc/template.xml",
	    "<system version=\"1\">\n<cpu numaid=\"0\">\n<pci busid=\"0000:B7:00.0\"/>\n</cpu>\n</system>\n");
	look_well(&layer_nccl);
	expect_item("topology", FIX_MANUAL, "errors");
}

/* As QEMU makes it of the definition's <entry>, behind somebody else's. */
static void
offer(const char *template)
{
	auto_free char *entry = smbios_credential("gdrfleet.nccl-topology", template, strlen(template));
	auto_buf struct buf raw = { 0 };

	buf_add(&raw, (const char[]){ 11, 5, 0, 1, 2 }, 5);
	buf_add(&raw, "vendor=somebody", sizeof("vendor=somebody"));
	buf_add(&raw, entry, strlen(entry) + 1);
	buf_add(&raw, "", 1);
	put_bytes("/sys/firmware/dmi/entries/11-0/raw", raw.text, raw.len);
}

/* A bridge with a VF and a GPU behind it on each of two nodes, of PCI Express 5.0. */
static char *
template_of(const char *vf0, const char *gpu0, const char *vf1, const char *gpu1)
{
	const char *devices[2][2] = { { vf0, gpu0 }, { vf1, gpu1 } };
	struct buf out = { 0 };

	buf_puts(&out, "<system version=\"1\">\n");
	for (unsigned cell = 0; cell < 2; cell++) {
		buf_printf(&out,
			   "<cpu numaid=\"%u\" affinity=\"%s\">\n<pci busid=\"ffff:ff:0%u.0\" class=\"0x060400\" "
			   "link_speed=\"32 GT/s\" link_width=\"16\">\n",
			   cell, cell ? "c" : "3", cell);
		for (unsigned i = 0; i < 2 && devices[cell][i]; i++)
			buf_printf(&out, "<pci busid=\"%s\" class=\"0x0%u0%u00\"/>\n", devices[cell][i], i + 2, i * 2);
		buf_puts(&out, "</pci>\n</cpu>\n");
	}
	buf_puts(&out, "</system>\n");
	return buf_steal(&out);
}

static void
the_hosts_template_is_taken(void **state)
{
	auto_free char *template = template_of(VF0, GPU0, VF1, GPU1);

	(void)state;
	want("{topology: /etc/topo.xml}");
	offer(template);
	converge_all();
	expect_item("topology", FIX_NONE, "as written");
	expect_item("topology/from", FIX_NONE, "definition");
	auto_free char *text = got("/etc/topo.xml");
	assert_non_null(strstr(text, "<net name=\"mlx5_1\"/>"));
	assert_non_null(strstr(text, "link_speed=\"32 GT/s\""));
}

static void
a_template_of_another_vm_is_not(void **state)
{
	const struct {
		const char *devices[4];
		const char *why;
	} cases[] = {
		{ { VF0, "0000:ba:00.0", VF1, GPU1 }, "0000:ba:00.0 is not here" },
		{ { GPU0, VF0, VF1, GPU1 }, GPU0 " is not here" },
		{ { VF1, GPU1, VF0, GPU0 }, VF1 " is on another NUMA node" },
		{ { VF0, GPU0, VF1, NULL }, "it does not have " GPU1 },
		{ { "0000:B7:00.0", GPU0, VF1, GPU1 }, "0000:B7:00.0 is not here" },
	};

	(void)state;
	want("{topology: /etc/topo.xml}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *devices = cases[i].devices;
		auto_free char *template = template_of(devices[0], devices[1], devices[2], devices[3]);
		offer(template);
		converge_all();
		expect_item("topology", FIX_NONE, "as written");
		expect_item("topology/from", FIX_NONE, "own PCI tree");
		expect_why("topology/from", cases[i].why);
		assert_file("/etc/topo.xml", expected);
	}
	offer("<?xml version=\"1.0\"?>\n<system/>\n");
	look_well(&layer_nccl);
	expect_why("topology/from", "the definition's template:1:1: ");
}

/* Both on one node, and in the template behind a bridge each. */
static void
a_template_with_other_switches_is_not(void **state)
{
	static const char split[] =
		"<system version=\"1\">\n<cpu numaid=\"0\" affinity=\"3\">\n"
		"<pci busid=\"" VF0 "\" class=\"0x020000\"/>\n"
		"<pci busid=\"ffff:ff:00.0\" class=\"0x060400\" link_speed=\"32 GT/s\" link_width=\"16\">\n"
		"<pci busid=\"" GPU0 "\" class=\"0x030200\"/>\n</pci>\n</cpu>\n"
		"<cpu numaid=\"1\" affinity=\"c\">\n<pci busid=\"" VF1 "\" class=\"0x020000\"/>\n"
		"<pci busid=\"" GPU1 "\" class=\"0x030200\"/>\n</cpu>\n</system>\n";

	(void)state;
	want("{topology: /etc/topo.xml}");
	offer(split);
	look_well(&layer_nccl);
	expect_item("topology/from", FIX_NONE, "own PCI tree");
	expect_why("topology/from", VF0 " and " GPU0 " are behind one switch here");
}

static void
locked_memory(void **state)
{
	(void)state;
	want("{memlock: true}");
	look_well(&layer_nccl);
	expect_item("memlock/sessions", FIX_LIVE, "absent");
	converge_all();
	expect_item("memlock/sessions", FIX_NONE, "as written");
	expect_item("memlock/services", FIX_NONE, "as written");
}

static void
the_way_to_gpu_memory(void **state)
{
	(void)state;
	want("{gdr: auto, version: '2.23'}");
	add_tool("modprobe",
		 "#!/bin/sh\n[ \"$1\" = nvidia-peermem ] && mkdir -p \"$GDR_ROOT/sys/module/nvidia_peermem\"\n");
	look_well(&layer_nccl);
	expect_item("gdr", FIX_LIVE, "none");
	converge_all();
	expect_item("gdr", FIX_NONE, "nvidia-peermem");
	want("{gdr: auto, version: '2.20'}");
	look_well(&layer_nccl);
	expect_item("gdr", FIX_MANUAL, "not seen by NCCL");
	put("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.161.08\n");
	put("/proc/sys/kernel/osrelease", "5.15.0-113-generic\n");
	look_well(&layer_nccl);
	expect_item("gdr", FIX_NONE, "dma-buf");
	put("/proc/sys/kernel/osrelease", "5.4.0-1-generic\n");
	want("{gdr: dmabuf}");
	look_well(&layer_nccl);
	expect_item("gdr", FIX_MANUAL, "none");
}

static void
env_for_a_job(void **state)
{
	struct nccl_env env;
	auto_buf struct buf out = { 0 };

	(void)state;
	want("{env: {CUDA_VISIBLE_DEVICES: auto, NCCL_DEBUG: \"it's\", NCCL_ALGO: auto}}");
	look_well(&layer_nccl);
	nccl_env_read(&machine, nccl, &env);
	nccl_env_print_shell(&env, &out);
	nccl_env_free(&env);
	assert_string_equal(out.text, "export CUDA_VISIBLE_DEVICES='0,1'\nexport NCCL_DEBUG='it'\\''s'\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conf_is_read_as_nccl_reads_it),
		cmocka_unit_test(conf_carries_no_line_ends),
		cmocka_unit_test(shell_files),
		TEST(gids_by_type_and_family),
		TEST(all_of_the_recipe),
		TEST(newer_nccl_finds_gids_itself),
		TEST(an_index_that_does_not_hold_everywhere),
		TEST(a_device_that_is_down_or_without_a_gid),
		TEST(a_management_nic_is_none_of_it),
		TEST(another_ones_file_is_kept_and_drift_put_right),
		TEST(what_wins_over_it),
		TEST(nothing_is_found_for_it),
		TEST(version_gates),
		TEST(the_topology_file),
		TEST(a_template_is_completed),
		TEST(the_hosts_template_is_taken),
		TEST(a_template_of_another_vm_is_not),
		TEST(a_template_with_other_switches_is_not),
		TEST(locked_memory),
		TEST(the_way_to_gpu_memory),
		TEST(env_for_a_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
