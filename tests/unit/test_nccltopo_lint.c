/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/nccltopo_lint.h"

/* --- a machine, a file that is right for it, and one change at a time ----------------------------------- */

static const struct nccltopo_device devices[] = {
	{ "0000:b5:00.0", 0x060400, 0x8232, 0, false }, { "0000:b7:00.0", 0x030200, 0x20b2, 0, false },
	{ "0000:b8:00.0", 0x020000, 0x101e, 0, true },  { "0000:97:00.0", 0x030200, 0x20b2, 1, false },
	{ "0000:98:00.0", 0x020000, 0x101e, 1, true },  { "0000:98:01.0", 0x020000, 0x101e, 1, true },
	{ "0000:01:00.0", 0x010802, 0x0001, 0, false },
};
static const struct nccltopo_hca hcas[] = {
	{ "mlx5_0", "0000:b8:00.0", 100000 },
	{ "mlx5_1", "0000:98:00.0", 100000 },
};
static const char *const gpus[] = { "0000:b7:00.0", "0000:97:00.0", NULL };
static const struct nccltopo_facts machine = {
	.devices = devices,
	.n_devices = sizeof(devices) / sizeof(devices[0]),
	.hcas = hcas,
	.n_hcas = sizeof(hcas) / sizeof(hcas[0]),
	.gpus = gpus,
	.online = "0-47",
	.nodes = "0-1",
};

#define GPU0 "<pci busid=\"0000:b7:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>"
#define NIC0                                                                                                         \
	"<pci busid=\"0000:b8:00.0\" class=\"0x020000\" device=\"0x101e\" link_speed=\"16 GT/s\" link_width=\"16\">" \
	"<nic><net name=\"mlx5_0\"/></nic></pci>"
#define BRIDGE0 "<pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"16 GT/s\" link_width=\"16\">"
#define GPU1    "<pci busid=\"0000:97:00.0\" class=\"0x030200\"/>"
#define NIC1    "<pci busid=\"0000:98:00.0\" class=\"0x020000\"><nic><net name=\"mlx5_1\"/></nic></pci>"
#define BRIDGE1 "<pci busid=\"ffff:ff:02.0\" class=\"0x060400\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\">"
#define CPU0    "<cpu numaid=\"0\" affinity=\"00000000,00ffffff\">"
#define CPU1    "<cpu numaid=\"1\" affinity=\"0000ffff,ff000000\">"

static const char right[] = "<system version=\"1\">\n"
			    "  " CPU0 "\n"
			    "    " BRIDGE0 "\n"
			    "      " GPU0 "\n"
			    "      " NIC0 "\n"
			    "    </pci>\n"
			    "  </cpu>\n"
			    "  " CPU1 "\n"
			    "    " BRIDGE1 "\n"
			    "      " GPU1 "\n"
			    "      " NIC1 "\n"
			    "    </pci>\n"
			    "  </cpu>\n"
			    "</system>\n";

/* 'from' of the right file replaced by 'to' makes the findings 'want', nothing else; "" is for what comes close to
 * breaking 'rule' and does not. */
static const struct {
	const char *rule;
	const char *want;
	const char *from;
	const char *to;
} cases[] = {
	{ "E1", "E1", "  <cpu", "\t<cpu" },
	{ "E1", "E1", "</cpu>", "</pci>" },
	{ "E1", "", "  <cpu", "   <cpu" },
	{ "W1", "W1", "version=\"1\"", "version='1'" },
	{ "W1", "", "version=\"1\"", "version=\"1\" name=\"it's\"" },
	{ "E2", "E2", "version=\"1\"", "version=\"2\"" },
	{ "E2", "E2", " version=\"1\"", "" },
	{ "E2", "E2", "</system>\n", "</system>\n<system version=\"1\"/>" },
	{ "E2", "", "version=\"1\"", "version=\"0x1\"" },
	{ "E3", "E3", "\"0000:b7:00.0\"", "\"0000:B7:00.0\"" },
	{ "E3", "E3", "ffff:ff:02.0", "ffff:ff:01.0" },
	{ "E3", "E3", "ffff:ff:01.0", "ffff:ff:1.0" },
	{ "E3", "E3", "<pci busid=\"ffff:ff:01.0\"", "<pci" },
	{ "E3", "", "ffff:ff:01.0", "ffff:ff:1f.7" },
	{ "E4", "E5 E4", "0000:b7:00.0", "0000:c7:00.0" },
	{ "E4", "E4", GPU0, GPU0 "<pci busid=\"0000:01:00.0\" class=\"0x020000\"/>" },
	{ "E4", "", GPU0, GPU0 "<pci busid=\"0000:c1:00.0\" class=\"0x068000\"/>" },
	{ "E5", "E5", GPU0, "" },
	{ "E5", "", "busid=\"0000:97:00.0\" class=\"0x030200\"", "busid=\"0000:97:00.0\"" },
	{ "E6", "E6", BRIDGE0, "<pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"16 GT/s\">" },
	{ "E6", "", BRIDGE0, "<pci busid=\"0000:b5:00.0\" class=\"0x060400\" link_speed=\"16 GT/s\">" },
	{ "E7", "E7", "00000000,00ffffff", "0-23" },
	{ "E7", "W7 E7", "00000000,00ffffff", "00000000,00000000" },
	{ "E7", "E7", "0000ffff,ff000000", "0000ffff,ff800000" },
	{ "E7", "E7", "0000ffff,ff000000", "0001ffff,ff000000" },
	{ "E7", "", "00000000,00ffffff", "ffffff" },
	{ "W7", "W7", "0000ffff,ff000000", "00007fff,ff000000" },
	{ "W7", "", CPU1, "<cpu numaid=\"1\">" },
	{ "E8", "E8 W8 W8", "numaid=\"1\"", "numaid=\"2\"" },
	{ "E8", "E8 W8 W8", "numaid=\"1\"", "numaid=\"0\"" },
	{ "E8", "E8 W8 W8", " numaid=\"1\"", "" },
	{ "E8", "", "</system>", "<cpu numaid=\"-1\"/></system>" },
	{ "W8", "W8", GPU0, GPU0 "<pci busid=\"0000:98:01.0\"/>" },
	{ "W8", "", GPU0, GPU0 "<pci busid=\"0000:01:00.0\"/>" },
	{ "E9", "E9 E10", "link_speed=\"16 GT/s\"", "link_speed=\"16.0 GT/s\"" },
	{ "E9", "", "link_speed=\"16 GT/s\"", "link_speed=\"16.0 GT/s PCIe\"" },
	{ "E10", "E10", "link_speed=\"16 GT/s\" link_width=\"16\"", "link_speed=\"2.5 GT/s\" link_width=\"1\"" },
	{ "E10", "W10", BRIDGE0,
	  "<pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"8 GT/s\" link_width=\"17\">" },
	{ "E10", "", "link_speed=\"32.0 GT/s PCIe\"", "link_speed=\"16 GT/s\"" },
	{ "W10", "W10", "ffff:ff:01.0\" class=\"0x060400\" link_speed=\"16 GT/s\" link_width=\"16\"",
	  "0000:b5:00.0\" class=\"0x060400\" link_speed=\"2.5 GT/s\" link_width=\"1\"" },
	{ "W10", "W10 E4", NIC0,
	  NIC0 "<pci busid=\"0000:c8:00.0\" link_speed=\"16 GT/s\"><nic><net speed=\"200000\"/></nic></pci>" },
	{ "W10", "", "<net name=\"mlx5_0\"/>", "<net name=\"mlx5_0\" speed=\"200000\"/>" },
	{ "E11", "E11", "mlx5_0", "mlx5_7" },
	{ "E11", "E11", "mlx5_0", "mlx5_1" },
	{ "E11", "E11", "mlx5_0", "mlx5_0+mlx5_2" },
	{ "E11", "", "mlx5_0", "mlx5_0+mlx5_1" },
	{ "W12", "W12", NIC0, "" },
	{ "W12", "", NIC0, "<pci busid=\"0000:b5:00.0\" class=\"0x060400\">" NIC0 "</pci>" },
	{ "W13", "W13", "0x101e", "0x101d" },
	{ "W13", "", " device=\"0x101e\"", "" },
	{ "W15", "W15", NIC1, NIC1 "<pci busid=\"0000:98:01.0\" class=\"0x020000\"/>" },
	{ "W15", "", NIC1, NIC1 "<pci busid=\"0000:98:01.0\" class=\"0x020000\" vendor=\"0x1d0f\"/>" },
	{ "W16", "W16", "numaid=\"0\"", "numaid=\"0\" host_hash=\"0x1\"" },
	{ "W16", "W16 W16", GPU1, "<pci busid=\"0000:97:00.0\"><gpu dev=\"0\" rank=\"0\"/></pci>" },
	{ "W16", "", GPU1, "<pci busid=\"0000:97:00.0\"><gpu sm=\"80\"/></pci>" },
	{ "W17", "W17", "</cpu>", "<gpu dev=\"0\"><nvlink/></gpu></cpu>" },
	{ "W17", "W17", "</system>", "<net name=\"mlx5_0\"/></system>" },
	{ "W17", "W17", "version=\"1\"",
	  "version=\"1\" a=\"\" b=\"\" c=\"\" d=\"\" e=\"\" f=\"\" g=\"\" h=\"\" i=\"\" j=\"\" k=\"\" l=\"\" m=\"\" n=\"\" "
	  "o=\"\" p=\"\"" },
	{ "W17", "", "</cpu>", "<nic><net name=\"mlx5_0\"/></nic></cpu>" },
};

/* "E8 W8 W8" */
static char *
ids_of(const char *text, const struct nccltopo_facts *facts)
{
	struct nccltopo_findings findings;
	struct buf ids = { 0 };

	nccltopo_lint(text, strlen(text), facts, &findings);
	for (size_t i = 0; i < findings.n; i++)
		buf_printf(&ids, "%s%s", i > 0 ? " " : "", findings.list[i].rule->id);
	nccltopo_findings_free(&findings);
	return buf_steal(&ids);
}

static void
each_rule_finds_what_it_is_for(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *at = strstr(right, cases[i].from);

		if (!at)
			fail_msg("'%s' is not in the file", cases[i].from);
		auto_free char *text = xasprintf("%.*s%s%s", (int)(at - right), right, cases[i].to,
						 at + strlen(cases[i].from));
		auto_free char *ids = ids_of(text, &machine);
		if (strcmp(ids, cases[i].want) == 0)
			continue;
		wrong++;
		print_error("%s: '%s' to '%s': wanted '%s', got '%s'\n", cases[i].rule, cases[i].from, cases[i].to,
			    cases[i].want, ids);
	}
	assert_int_equal(wrong, 0);
}

static void
each_rule_is_tried_both_ways(void **state)
{
	(void)state;
	for (size_t r = 0; r < nccltopo_rules_len; r++) {
		const char *id = nccltopo_rules[r].id;
		unsigned good = 0;
		unsigned bad = 0;

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (strcmp(cases[i].rule, id) == 0)
				*(cases[i].want[0] ? &bad : &good) += 1;
		if (id[1] != '1' || id[2] != '4') /* E14 and W14 have a test of their own. */
			assert_true(good > 0 && bad > 0);
	}
}

static void
a_right_file_has_no_findings(void **state)
{
	static const struct nccltopo_facts nothing;
	auto_free char *here = ids_of(right, &machine);
	auto_free char *alone = ids_of(right, &nothing);

	(void)state;
	assert_string_equal(here, "");
	assert_string_equal(alone, "");
}

/* 'n' elements, of which 'nics' are NICs. */
static char *
of_size(size_t n, size_t nics)
{
	struct buf text = { 0 };

	buf_puts(&text, "<system version=\"1\"><cpu numaid=\"0\">\n");
	for (size_t i = 2; i < n; i++)
		buf_printf(&text, "<pci busid=\"0000:%02zx:00.0\" class=\"%s\"/>\n", i,
			   i - 2 < nics ? "0x020000" : "0x060400");
	buf_puts(&text, "</cpu></system>");
	return buf_steal(&text);
}

static void
a_file_may_be_too_large(void **state)
{
	static const struct {
		size_t n;
		size_t nics;
		unsigned nccl;
		const char *want;
	} sizes[] = {
		{ 255, 0, 0, "" },
		{ 256, 0, 0, "E14" },
		{ 256, 0, NCCLTOPO_VERSION(2, 20, 5), "" },
		{ 256, 0, NCCLTOPO_VERSION(2, 21, 5), "E14" },
		{ 235, 10, 0, "" },
		{ 236, 10, 0, "W14" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct nccltopo_facts facts = { .nccl = sizes[i].nccl };
		auto_free char *text = of_size(sizes[i].n, sizes[i].nics);
		auto_free char *ids = ids_of(text, &facts);

		assert_string_equal(ids, sizes[i].want);
	}
}

static void
a_version_and_a_setting_are_heeded(void **state)
{
	static const char quotes[] = "<system version='1'/>";
	static const char vf[] = "<system version=\"1\"><cpu numaid=\"0\">"
				 "<pci busid=\"0000:01:02.0\" class=\"0x020000\"/></cpu></system>";
	const struct nccltopo_facts old = { .nccl = NCCLTOPO_VERSION(2, 20, 5) };
	const struct nccltopo_facts new = { .nccl = NCCLTOPO_VERSION(2, 27, 3), .merge_vfs_off = true };
	auto_free char *by_old = ids_of(quotes, &old);
	auto_free char *by_new = ids_of(quotes, &new);
	auto_free char *merged = ids_of(vf, &old);
	auto_free char *apart = ids_of(vf, &new);

	(void)state;
	assert_string_equal(by_old, "E1");
	assert_string_equal(by_new, "");
	assert_string_equal(merged, "W15");
	assert_string_equal(apart, "");
}

static void
findings_are_printed(void **state)
{
	static const struct nccltopo_facts nothing;
	static const char text[] = "<system version=\"1\">\n  <cpu>\n  </cpu>\n</system>\n";
	struct nccltopo_findings findings;
	auto_buf struct buf lines = { 0 };
	auto_buf struct buf json = { 0 };

	(void)state;
	nccltopo_lint(text, strlen(text), &nothing, &findings);
	nccltopo_findings_print(&findings, "a.xml", false, &lines);
	nccltopo_findings_print(&findings, "a.xml", true, &json);
	nccltopo_findings_free(&findings);
	assert_string_equal(lines.text,
			    "a.xml:2:3: error E8: cpu without a numaid; write the number of the node, as in "
			    "/sys/devices/system/node\n");
	assert_string_equal(json.text,
			    "{\n  \"file\": \"a.xml\",\n  \"errors\": 1,\n  \"warnings\": 0,\n  \"findings\": [\n"
			    "    {\"rule\": \"E8\", \"severity\": \"error\", \"line\": 2, \"column\": 3, \"text\": "
			    "\"cpu without a numaid\", \"remedy\": \"write the number of the node, as in "
			    "/sys/devices/system/node\"}\n  ]\n}\n");
}

/* --- files that others published ------------------------------------------------------------------------ */

static void
published_files_are_judged(void **state)
{
	static const struct {
		const char *file;
		const char *want;
	} files[] = {
		{ "vela/sample-nccl-topology.xml", "W10 W12 W12 E10 E10 W10 E3 W12 E3 W12" },
		{ "topologies/aws-g5.48xl-topo.xml", "" },
		{ "topologies/aws-p4d-24xl-topo.xml", "" },
		{ "topologies/azure-ndv4-topo.xml", "" },
		{ "topologies/oci-topo-flattened.xml", "" },
		{ "topologies/azure-ncv4-topo.xml", "E9 W16 W16 E9 W16 W16 E9 W16 W16 E9 W16 W16" },
		{ "topologies/azure-ncv4-graph.xml", "E2 W17" },
		{ "topologies/dialect/attr_newline.xml", "E1" },
		{ "topologies/dialect/bom.xml", "E1" },
		{ "topologies/dialect/crlf.xml", "" },
		{ "topologies/dialect/empty.xml", "E2" },
		{ "topologies/dialect/eof.xml", "E1" },
		{ "topologies/dialect/eqspace.xml", "E1" },
		{ "topologies/dialect/gpuinsys.xml", "W17" },
		{ "topologies/dialect/netincpu.xml", "W17" },
		{ "topologies/dialect/nover.xml", "E2" },
		{ "topologies/dialect/prolog.xml", "E1" },
		{ "topologies/dialect/spacegt.xml", "" },
		{ "topologies/dialect/spaceslash.xml", "" },
		{ "topologies/dialect/squote.xml", "W1" },
		{ "topologies/dialect/tabs.xml", "E1" },
		{ "topologies/dialect/text.xml", "E1" },
		{ "topologies/dialect/trailcomment.xml", "" },
		{ "topologies/dialect/ver2.xml", "E2" },
		{ "guest-fixtures/gen-hgx-a100-q35.nccl-topo.xml", "" },
		{ "guest-fixtures/gen-hgx-a100-q35.nccl-topo-nets.xml", "" },
		{ "guest-fixtures/gen-hgx-a100-i440fx.nccl-topo.xml", "W15 W15 W15 W15 W15 W15 W15 W15" },
		{ "guest-fixtures/gen-hgx-a100-i440fx.nccl-topo-nets.xml", "" },
	};
	static const struct nccltopo_facts nothing;

	(void)state;
	if (access(SOURCE_DIR "/../shared/samples/topologies", R_OK) < 0)
		skip();
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		auto_free char *path = xasprintf("%s/../shared/samples/%s", SOURCE_DIR, files[i].file);
		auto_free char *text = NULL;
		struct err err = { 0 };
		size_t len;

		if (file_read(path, 1 << 20, &text, &len, &err) < 0)
			fail_msg("%s", err.msg);
		auto_free char *ids = ids_of(text, &nothing);
		if (strcmp(ids, files[i].want) != 0)
			fail_msg("%s: wanted '%s', got '%s'", files[i].file, files[i].want, ids);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_finds_what_it_is_for),     cmocka_unit_test(each_rule_is_tried_both_ways),
		cmocka_unit_test(a_right_file_has_no_findings),       cmocka_unit_test(a_file_may_be_too_large),
		cmocka_unit_test(a_version_and_a_setting_are_heeded), cmocka_unit_test(findings_are_printed),
		cmocka_unit_test(published_files_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
