/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/nccltopo.h"

static struct nccltopo_node *
read_text(const char *text)
{
	struct nccltopo_error error = { 0 };
	struct nccltopo_node *root = nccltopo_parse(text, strlen(text), 0, &error);

	if (!root)
		fail_msg("'%s': %u:%u: %s", text, error.line, error.col, error.what);
	return root;
}

/* What the file of NCCL 2.30's parser takes, odd or not. */
static void
the_dialect_accepts(void **state)
{
	static const char *const texts[] = {
		"",
		"\n \r\n",
		"<system version=\"1\"/>",
		"<system version=\"1\">\r\n  <cpu numaid=\"0\">\r\n  </cpu>\r\n</system>\r\n",
		"<system version=\"1\" >\n</system>",
		"<system version=\"1\" />",
		"<system version='1'>\n</system>",
		"<!-- a > b -->\n<system version=\"1\">\n</system>\n<!-- end -->",
		"<!--x--><system version=\"1\"/>",
		"<!---->\n",
		"<system  version=\"1\"/>",                        /* A nameless attribute to NCCL. */
		"<system version=\"1\" name=\"a\nb\"/>",           /* A line's end in a value is text. */
		"<system version=\"1\"><gpu dev=\"0\"/></system>", /* An element that it does not know. */
		"<system version=\"1\"><x><y></z></x></system>",   /* Whose closing tags it does not compare. */
		"<system version=\"1\"/anything>",
		"<graphs version=\"1\"><graph/></graphs>",
		"<system busid/>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		nccltopo_free(read_text(texts[i]));
}

static void
the_dialect_refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		unsigned col;
		const char *what;
	} cases[] = {
		{ "<?xml version=\"1.0\"?>\n<system version=\"1\"/>", 1, 1, "prolog" },
		{ "\xef\xbb\xbf<system version=\"1\"/>", 1, 1, "byte order mark" },
		{ "<system version=\"1\">\n\t<cpu numaid=\"0\"/>\n</system>", 2, 1, "got a tab" },
		{ "<system\tversion=\"1\"/>", 1, 2, "'='" },
		{ "<system version=\"1\">\n  <cpu>text</cpu>\n</system>", 2, 8, "text between" },
		{ "<system version=\"1\">\n  <cpu numaid=\"0\"\n    arch=\"x\"/>\n</system>", 2, 3, "one line" },
		{ "<system version = \"1\"/>", 1, 18, "quotes" },
		{ "<system version=1/>", 1, 17, "quotes" },
		{ "<system version=\"1/>", 1, 17, "never closed" },
		{ "<system version=\"1\"\t>", 1, 1, "got a tab" },
		{ "<system version=\"1\">\n  <cpu numaid=\"0\">\n", 2, 3, "<cpu> is never closed" },
		{ "<system version=\"1\">\n  <cpu>\n  </system>", 3, 5,
		  "</system> closes nothing here: it stands in <cpu>" },
		{ "<system version=\"1\"/>\n</system>", 2, 3, "closes nothing" },
		{ "<system version=\"1\"></system >", 1, 23, "right after </system" },
		{ "<system version=\"1\"><x>", 1, 21, "<x> is never closed" },
		{ "<!-- never", 1, 2, "comment" },
		{ "<!--a=b-->", 1, 2, "comment" },
		{ "<system version=\"1\" / >", 1, 1, "got a blank" },
		{ "<system", 1, 8, "file ends" },
		{ "<", 1, 2, "file ends" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nccltopo_error error = { 0 };
		struct nccltopo_node *root = nccltopo_parse(cases[i].text, strlen(cases[i].text), 0, &error);

		if (root)
			fail_msg("'%s' was taken", cases[i].text);
		if (error.line != cases[i].line || error.col != cases[i].col || !strstr(error.what, cases[i].what))
			fail_msg("'%s': %u:%u: %s", cases[i].text, error.line, error.col, error.what);
	}
}

static void
versions_differ_in_quotes(void **state)
{
	static const char text[] = "<system version='1'/>";
	struct nccltopo_error error = { 0 };

	(void)state;
	assert_null(nccltopo_parse(text, strlen(text), NCCLTOPO_VERSION(2, 27, 2), &error));
	assert_int_equal(error.col, 17);
	struct nccltopo_node *root = nccltopo_parse(text, strlen(text), NCCLTOPO_VERSION(2, 27, 3), &error);
	assert_non_null(root);
	nccltopo_free(root);
}

/* 'n' times 'a'; NCCL keeps 253 characters of a value. */
static void
values_have_a_length(void **state)
{
	char text[400];
	struct nccltopo_error error = { 0 };

	(void)state;
	for (int n = 250; n < 260; n++) {
		(void)snprintf(text, sizeof(text), "<system version=\"1\" name=\"%0*d\"/>", n, 0);
		struct nccltopo_node *root = nccltopo_parse(text, strlen(text), 0, &error);
		if ((root != NULL) != (n <= 253))
			fail_msg("%d characters: %s", n, root ? "taken" : error.what);
		nccltopo_free(root);
	}
}

static void
what_is_ignored_is_not_written(void **state)
{
	auto_buf struct buf out = { 0 };
	struct nccltopo_node *root = read_text(
		"<!-- a -->\n<system  version='1'><gpu dev=\"0\"/><cpu numaid=\"0\">"
		"<pci busid='0000:01:00.0' class=\"0x020000\"><nic><net name=\"mlx5_0\"/></nic></pci>"
		"<net name='\"'/></cpu></system>");

	(void)state;
	nccltopo_write(root, &out);
	assert_string_equal(out.text, "<system version=\"1\">\n"
				      "  <cpu numaid=\"0\">\n"
				      "    <pci busid=\"0000:01:00.0\" class=\"0x020000\">\n"
				      "      <nic>\n"
				      "        <net name=\"mlx5_0\"/>\n"
				      "      </nic>\n"
				      "    </pci>\n"
				      "  </cpu>\n"
				      "</system>\n");
	nccltopo_free(root);
}

static void
trees_are_built_and_changed(void **state)
{
	auto_buf struct buf out = { 0 };
	struct nccltopo_node *root = nccltopo_new();
	struct nccltopo_node *system = nccltopo_add(root, "system");
	struct nccltopo_node *cpu = nccltopo_add(system, "cpu");
	struct nccltopo_node *gone = nccltopo_add(cpu, "pci");
	struct nccltopo_node *pci = nccltopo_add(cpu, "pci");
	auto_free char *affinity = nccltopo_affinity("24-47", 48);

	(void)state;
	nccltopo_set(system, "version", "2");
	nccltopo_set(system, "version", "1");
	nccltopo_set(cpu, "affinity", affinity);
	nccltopo_set(pci, "busid", "0000:01:00.0");
	nccltopo_free(gone);
	assert_ptr_equal(nccltopo_find_pci(root, "0000:01:00.0"), pci);
	assert_null(nccltopo_find_pci(root, "0000:02:00.0"));
	nccltopo_write(root, &out);
	assert_string_equal(out.text, "<system version=\"1\">\n"
				      "  <cpu affinity=\"0000ffff,ff000000\">\n"
				      "    <pci busid=\"0000:01:00.0\"/>\n"
				      "  </cpu>\n"
				      "</system>\n");
	nccltopo_free(root);
}

static void
distances_are_as_nccl_counts(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		enum nccltopo_distance distance;
	} cases[] = {
		{ "0000:02:00.0", "0000:02:00.0", NCCLTOPO_LOC }, { "0000:02:00.0", "0000:03:00.0", NCCLTOPO_PIX },
		{ "0000:02:00.0", "0000:05:00.0", NCCLTOPO_PXB }, { "0000:05:00.0", "0000:03:00.0", NCCLTOPO_PXB },
		{ "0000:02:00.0", "0000:06:00.0", NCCLTOPO_PHB }, { "0000:06:00.0", "0000:05:00.0", NCCLTOPO_PHB },
		{ "0000:02:00.0", "0000:07:00.0", NCCLTOPO_SYS },
	};
	struct nccltopo_node *root = read_text("<system version=\"1\">"
					       "<cpu numaid=\"0\">"
					       "<pci busid=\"0000:01:00.0\" class=\"0x060400\">"
					       "<pci busid=\"0000:02:00.0\" class=\"0x030200\"/>"
					       "<pci busid=\"0000:03:00.0\" class=\"0x020000\"/>"
					       "<pci busid=\"0000:04:00.0\" class=\"0x060400\">"
					       "<pci busid=\"0000:05:00.0\" class=\"0x020000\"/>"
					       "</pci></pci>"
					       "<pci busid=\"0000:06:00.0\"><nic/></pci>"
					       "</cpu>"
					       "<cpu numaid=\"1\"><pci busid=\"0000:07:00.0\"/></cpu>"
					       "</system>");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct nccltopo_node *a = nccltopo_find_pci(root, cases[i].a);
		const struct nccltopo_node *b = nccltopo_find_pci(root, cases[i].b);

		assert_string_equal(nccltopo_distance_name(nccltopo_distance(a, b)),
				    nccltopo_distance_name(cases[i].distance));
	}
	assert_int_equal(nccltopo_role(nccltopo_find_pci(root, "0000:01:00.0")), NCCLTOPO_BRIDGE);
	assert_int_equal(nccltopo_role(nccltopo_find_pci(root, "0000:02:00.0")), NCCLTOPO_GPU);
	assert_int_equal(nccltopo_role(nccltopo_find_pci(root, "0000:06:00.0")), NCCLTOPO_NIC);
	assert_int_equal(nccltopo_role(nccltopo_find_pci(root, "0000:07:00.0")), NCCLTOPO_OTHER);
	nccltopo_free(root);
}

/* Of one GPU and one NIC, the NIC below a bridge more. */
static enum nccltopo_distance
over_two(const char *upper, const char *lower)
{
	auto_free char *text = xasprintf("<system version=\"1\"><cpu numaid=\"0\"><pci busid=\"0000:01:00.0\" %s>"
					 "<pci busid=\"0000:02:00.0\"/><pci busid=\"0000:03:00.0\" %s>"
					 "<pci busid=\"0000:04:00.0\"/></pci></pci></cpu></system>",
					 upper, lower);
	struct nccltopo_node *root = read_text(text);
	enum nccltopo_distance distance = nccltopo_distance(nccltopo_find_pci(root, "0000:02:00.0"),
							    nccltopo_find_pci(root, "0000:04:00.0"));

	nccltopo_free(root);
	return distance;
}

static void
a_switch_of_two_levels_may_be_one(void **state)
{
#define BROADCOM(device, sub) \
	"vendor=\"0x1000\" device=\"" device "\" subsystem_vendor=\"0x1000\" subsystem_device=\"" sub "\""
	(void)state;
	assert_int_equal(over_two("", ""), NCCLTOPO_PXB);
	assert_int_equal(over_two(BROADCOM("0xc010", "0xa096"), BROADCOM("0xc010", "0xa096")), NCCLTOPO_PIX);
	assert_int_equal(over_two(BROADCOM("0xc030", "0x0144"), BROADCOM("0xc030", "0x1144")), NCCLTOPO_PIX);
	assert_int_equal(over_two(BROADCOM("0xc030", "0x1144"), BROADCOM("0xc030", "0x1144")), NCCLTOPO_PXB);
	assert_int_equal(over_two(BROADCOM("0xc010", "0xa096"), BROADCOM("0xc030", "0xa096")), NCCLTOPO_PXB);
	assert_int_equal(over_two(BROADCOM("0xc010", "0xa096"), ""), NCCLTOPO_PXB);
}

/* Two components up a step: a switch's two ports are one node, a root port none. */
static void
sysfs_is_climbed_as_nccl_climbs(void **state)
{
#define PXB0 "/sys/devices/pci0000:b4/0000:b4:00.0/0000:b5:00.0/"
#define PXB1 "/sys/devices/pci0000:8c/0000:8c:00.0/0000:8d:00.0/"
	static const struct {
		const char *a;
		int numa_a;
		const char *b;
		int numa_b;
		enum nccltopo_distance distance;
	} cases[] = {
		/* q35: below one emulated switch; below a switch below a switch; below another. */
		{ PXB0 "0000:b6:00.0/0000:b7:00.0", 0, PXB0 "0000:b6:01.0/0000:b8:00.0", 0, NCCLTOPO_PIX },
		{ PXB0 "0000:b6:00.0/0000:b7:00.0/0000:b8:01.0/0000:b9:00.0", 0, PXB0 "0000:b6:01.0/0000:ba:00.0", 0,
		  NCCLTOPO_PXB },
		{ PXB0 "0000:b6:00.0/0000:b7:00.0", 0, PXB1 "0000:8e:00.0/0000:8f:00.0", 1, NCCLTOPO_SYS },
		/* Each below a root port of its own, and i440fx's conventional bus: the CPU is between. */
		{ "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0", 0,
		  "/sys/devices/pci0000:00/0000:00:02.0/0000:02:00.0", 0, NCCLTOPO_PHB },
		{ "/sys/devices/pci0000:dc/0000:dc:00.0/0000:dd:00.0", 0,
		  "/sys/devices/pci0000:dc/0000:dc:00.0/0000:dd:02.0", 0, NCCLTOPO_PHB },
		{ "/sys/devices/pci0000:00/0000:00:01.0", 0, "/sys/devices/pci0000:00/0000:00:02.0", 1, NCCLTOPO_SYS },
		{ "x", 0, "x", 0, NCCLTOPO_LOC },
		{ "", 0, "/", 0, NCCLTOPO_PHB },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (nccltopo_climb(cases[i].a, cases[i].numa_a, cases[i].b, cases[i].numa_b) != cases[i].distance)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
}

static void
links_are_as_nccl_counts(void **state)
{
	static const struct {
		const char *speed;
		const char *width;
		double gbytes;
		bool known;
	} cases[] = {
		{ "2.5 GT/s", "1", 0.1875, true },    { "16 GT/s", "16", 24, true },
		{ "16.0 GT/s PCIe", "16", 24, true }, { "16.0 GT/s", "16", 12, false },
		{ "32.0 GT/s PCIe", "16", 48, true }, { "", "0", 12, false },
		{ "32 GT/s", "", 48, true },          { "5 GT/s", "8", 3, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nccltopo_node *pci = nccltopo_new();
		bool known;

		nccltopo_set(pci, "link_speed", cases[i].speed);
		nccltopo_set(pci, "link_width", cases[i].width);
		assert_true(nccltopo_bandwidth(pci, &known) == cases[i].gbytes);
		assert_int_equal(known, cases[i].known);
		nccltopo_free(pci);
	}
}

static void
affinities_are_written(void **state)
{
	static const struct {
		const char *list;
		unsigned total;
		const char *want; /* NULL: it is no list. */
	} cases[] = {
		{ "0-23", 48, "00000000,00ffffff" },
		{ "24-47", 48, "0000ffff,ff000000" },
		{ "0,2-3,63", 64, "80000000,0000000d" },
		{ "", 32, "00000000" },
		{ "0-31", 32, "ffffffff" },
		{ "32", 32, NULL },
		{ "0-", 32, NULL },
		{ "a", 32, NULL },
		{ "0;1", 32, NULL },
		{ "0", 1025, NULL },
		{ "", 2000, NULL },
		{ "3-1", 32, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *have = nccltopo_affinity(cases[i].list, cases[i].total);

		if (!have != !cases[i].want || (have && strcmp(have, cases[i].want) != 0))
			fail_msg("'%s' of %u: %s", cases[i].list, cases[i].total, have ? have : "NULL");
	}
}

static void
links_are_written_for_every_version(void **state)
{
	static const struct {
		const char *speed;
		unsigned width;
		const char *want;
		const char *lanes;
	} cases[] = {
		{ "16.0 GT/s PCIe", 8, "16 GT/s", "8" },
		{ "2.5 GT/s", 1, "2.5 GT/s", "1" },
		{ "64.0 GT/s PCIe", 16, "64.0 GT/s PCIe", "16" },
		{ "Unknown", 0, "16 GT/s", "16" },
		{ NULL, 0, "16 GT/s", "16" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nccltopo_node *pci = nccltopo_new();
		bool known;

		nccltopo_set_link(pci, cases[i].speed, cases[i].width);
		assert_string_equal(nccltopo_get(pci, "link_speed"), cases[i].want);
		assert_string_equal(nccltopo_get(pci, "link_width"), cases[i].lanes);
		(void)nccltopo_bandwidth(pci, &known);
		assert_true(known);
		nccltopo_free(pci);
	}
}

static void
versions_are_read(void **state)
{
	static const char *const bad[] = { "", "2", "2.", "2.20.5.1", "2.20-5", " 2.20", "-2.20", "2.200", "x" };
	unsigned version = 0;

	(void)state;
	assert_true(nccltopo_version("2.27.3", &version));
	assert_int_equal(version, NCCLTOPO_VERSION(2, 27, 3));
	assert_true(nccltopo_version("2.21", &version));
	assert_int_equal(version, 22100);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (nccltopo_version(bad[i], &version))
			fail_msg("'%s' was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dialect_accepts),
		cmocka_unit_test(the_dialect_refuses),
		cmocka_unit_test(versions_differ_in_quotes),
		cmocka_unit_test(values_have_a_length),
		cmocka_unit_test(what_is_ignored_is_not_written),
		cmocka_unit_test(trees_are_built_and_changed),
		cmocka_unit_test(distances_are_as_nccl_counts),
		cmocka_unit_test(a_switch_of_two_levels_may_be_one),
		cmocka_unit_test(sysfs_is_climbed_as_nccl_climbs),
		cmocka_unit_test(affinities_are_written),
		cmocka_unit_test(links_are_written_for_every_version),
		cmocka_unit_test(versions_are_read),
		cmocka_unit_test(links_are_as_nccl_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
