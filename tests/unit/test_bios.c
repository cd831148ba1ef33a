/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/layer.h"

extern const struct layer layer_bios;

static Gdr__BiosSpec bios;

#define GPU "0000:19:00.0"
#define NIC "0000:1a:00.0"

#define NONE  "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
#define SMALL "0x00000000a0000000 0x00000000a0ffffff 0x0000000000040200\n"
#define HIGH  "0x0000380000000000 0x0000380fffffffff 0x000000000014220c\n"
#define LOW   "0x0000000080000000 0x000000009fffffff 0x000000000014220c\n"
#define LOST  "0x0000000000000000 0x0000000fffffffff 0x000000000014220c\n"

static void
cpu(const char *vendor, const char *flags)
{
	auto_free char *text = xasprintf("processor\t: 0\nvendor_id\t: %s\nflags\t\t: %s\n", vendor, flags);

	put("/proc/cpuinfo", text);
}

static void
put_nic(unsigned devctl, bool sriov)
{
	struct cfg *cfg = cfg_new(0x15b3, 0x101d, 0x020000);

	cfg_express(cfg, 0x60, 0, devctl);
	if (sriov)
		cfg_ext(cfg, 0x100, 0x10);
	put_device(NIC, cfg, 0);
	if (sriov)
		put_device_file(NIC, "sriov_totalvfs", "8\n");
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	gdr__bios_spec__init(&bios);
	spec.bios = &bios;
	cpu("GenuineIntel", "fpu vmx lm");
	put_device(GPU, cfg_new(0x10de, 0x20b0, 0x030200), 0);
	put_nic(0x5930, true);
	return 0;
}

static void
virtualization(void **state)
{
	(void)state;
	bios.has_virtualization = bios.virtualization = true;
	look_well(&layer_bios);
	expect_item("virtualization", FIX_NONE, "vmx");
	cpu("GenuineIntel", "fpu vmxx xvmx svm");
	look_well(&layer_bios);
	expect_item("virtualization", FIX_MANUAL, "no vmx");
	expect_why("virtualization", "Intel Virtualization Technology (VMX): Enabled");
	cpu("AuthenticAMD", "fpu svm");
	look_well(&layer_bios);
	expect_item("virtualization", FIX_NONE, "svm");
	cpu("AuthenticAMD", "fpu vmx");
	look_well(&layer_bios);
	expect_item("virtualization", FIX_MANUAL, "no svm");
	expect_why("virtualization", "SVM Mode");
	put("/proc/cpuinfo", "\xff\n");
	look_well(&layer_bios);
	expect_item("virtualization", FIX_MANUAL, "no vmx");
	bios.virtualization = false;
	look_well(&layer_bios);
	expect_item("virtualization", FIX_NONE, "no vmx");
}

static void
iommu(void **state)
{
	(void)state;
	bios.has_iommu = bios.iommu = true;
	look_well(&layer_bios);
	expect_item("iommu", FIX_MANUAL, "no DMAR, no IVRS, no groups");
	expect_why("iommu", "VT-d");
	put("/sys/firmware/acpi/tables/DMAR", "DMAR");
	look_well(&layer_bios);
	expect_item("iommu", FIX_NONE, "DMAR, no groups");
	expect_why("iommu", "up to its command line");
	put("/sys/kernel/iommu_groups/0/type", "identity\n");
	look_well(&layer_bios);
	expect_item("iommu", FIX_NONE, "DMAR, groups");
	assert_null(item("iommu")->why);
	drop("/sys/firmware/acpi/tables/DMAR");
	put("/sys/firmware/acpi/tables/IVRS", "IVRS");
	look_well(&layer_bios);
	expect_item("iommu", FIX_NONE, "IVRS, groups");
	bios.iommu = false;
	look_well(&layer_bios);
	expect_item("iommu", FIX_MANUAL, "IVRS, groups");
}

static void
above_4g(void **state)
{
	(void)state;
	bios.has_above_4g = bios.above_4g = true;
	look_well(&layer_bios);
	expect_item("above-4g", FIX_NONE, "no large BARs");
	put_device_file(GPU, "resource", SMALL HIGH NONE HIGH NONE NONE NONE);
	look_well(&layer_bios);
	expect_item("above-4g", FIX_NONE, "2 of 2 large GPU BARs above 4 GiB");
	put_device_file(GPU, "resource", SMALL LOW NONE HIGH NONE NONE NONE);
	look_well(&layer_bios);
	expect_item("above-4g", FIX_MANUAL, "1 of 2 large GPU BARs above 4 GiB");
	expect_why("above-4g", "Above 4G Decoding: Enabled");
	put_device_file(GPU, "resource", SMALL LOST NONE NONE NONE NONE NONE);
	look_well(&layer_bios);
	expect_item("above-4g", FIX_MANUAL, "0 of 1 large GPU BARs above 4 GiB");
	put_device_file(GPU, "resource", "garbage\n\n0x\xff\n");
	look_well(&layer_bios);
	expect_item("above-4g", FIX_NONE, "no large BARs");
}

/* Some kernels show nothing at all of a BAR without room. */
static void
a_bar_that_only_the_register_knows(void **state)
{
	struct cfg *cfg = cfg_new(0x10de, 0x20b0, 0x030200);

	(void)state;
	bios.has_above_4g = bios.above_4g = true;
	cfg16(cfg, 0x14, 0x000c);
	cfg16(cfg, 0x18, 0x000c); /* Its high half. */
	put_device(GPU, cfg, 0);
	put_device_file(GPU, "resource", SMALL NONE NONE NONE NONE NONE NONE);
	look_well(&layer_bios);
	expect_item("above-4g", FIX_MANUAL, "0 of 1 large GPU BARs above 4 GiB");
}

static void
sriov(void **state)
{
	(void)state;
	bios.has_sriov = bios.sriov = true;
	look_well(&layer_bios);
	expect_item("sriov", FIX_MANUAL, "0 of 1 NICs with room for VFs");
	expect_why("sriov", NIC " has no addresses for its VFs");
	put_device_file(NIC, "resource", HIGH NONE NONE NONE NONE NONE NONE HIGH NONE NONE NONE NONE NONE);
	look_well(&layer_bios);
	expect_item("sriov", FIX_NONE, "1 of 1 NICs with room for VFs");
	put_device_file(NIC, "resource", HIGH NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE NONE HIGH);
	look_well(&layer_bios);
	expect_item("sriov", FIX_MANUAL, NULL);
	put_device_file(NIC, "sriov_numvfs", "2\n");
	look_well(&layer_bios);
	expect_item("sriov", FIX_NONE, NULL);
	put_nic(0x5930, false);
	look_well(&layer_bios);
	expect_item("sriov", FIX_MANUAL, "no NIC with SR-IOV");
	bios.sriov = false;
	look_well(&layer_bios);
	expect_item("sriov", FIX_NONE, NULL);
}

static void
read_request_as_the_firmware_left_it(void **state)
{
	struct journal *journal = NULL;
	struct err err;

	(void)state;
	bios.has_max_read_request = true;
	bios.max_read_request = 4096;
	look_well(&layer_bios);
	expect_item(NIC "/max_read_request", FIX_NONE, "4096");
	assert_int_equal(journal_open(NULL, "boot", &journal, &err), 0);
	assert_int_equal(journal_change(journal, "pci", NIC "/max_read_request", "512", "4096", false, &err), 0);
	machine.journal = journal;
	look_well(&layer_bios);
	expect_item(NIC "/max_read_request", FIX_MANUAL, "512");
	expect_why(NIC "/max_read_request", "Maximum Read Request: 4096");
	journal_free(journal);
	machine.journal = NULL;
	put_nic(0x2930, true);
	look_well(&layer_bios);
	expect_item(NIC "/max_read_request", FIX_MANUAL, "512");
	put_device_file(NIC, "config", "short");
	look_well(&layer_bios);
	assert_int_equal(report.n, 0);
}

static void
vendor_and_version(void **state)
{
	char vendor[] = "American Megatrends*";
	char version[] = "F[0-9]*";

	(void)state;
	bios.vendor = vendor;
	bios.version = version;
	look_well(&layer_bios);
	expect_item("vendor", FIX_MANUAL, "unknown");
	put("/sys/class/dmi/id/bios_vendor", "American Megatrends Inc.\n");
	put("/sys/class/dmi/id/bios_version", "R07\n");
	look_well(&layer_bios);
	expect_item("vendor", FIX_NONE, "American Megatrends Inc.");
	expect_item("version", FIX_MANUAL, "R07");
	put("/sys/class/dmi/id/bios_version", "F09\n");
	look_well(&layer_bios);
	expect_item("version", FIX_NONE, "F09");
}

static void
nothing_wanted_nothing_told(void **state)
{
	(void)state;
	look_well(&layer_bios);
	assert_int_equal(report.n, 0);
	assert_true(layer_bios.wanted(&spec));
	spec.bios = NULL;
	assert_false(layer_bios.wanted(&spec));
	assert_null(layer_bios.apply);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(virtualization),
		TEST(iommu),
		TEST(above_4g),
		TEST(a_bar_that_only_the_register_knows),
		TEST(sriov),
		TEST(read_request_as_the_firmware_left_it),
		TEST(vendor_and_version),
		TEST(nothing_wanted_nothing_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
