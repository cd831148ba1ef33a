/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/unit/layer.h"

extern const struct layer layer_pci;

#define ROOT_PORT "0000:16:02.0"
#define GPU_PORT  "0000:18:00.0"
#define NIC_PORT  "0000:18:01.0"
#define GPU       "0000:19:00.0"
#define NIC       "0000:1a:00.0"

#define ACS_AT 0x100
#define ATS_AT 0x100

static Gdr__PciRule ports;
static Gdr__PciRule gpus;
static Gdr__PciRule nics;
static Gdr__PciRule *rules[3];
static Gdr__Acs wanted_acs[] = { GDR__ACS__ACS_SV, GDR__ACS__ACS_RR, GDR__ACS__ACS_CR, GDR__ACS__ACS_UF,
				 GDR__ACS__ACS_DT };

static void
put_port(const char *address, unsigned type, unsigned secondary, unsigned subordinate, unsigned can, unsigned control)
{
	struct cfg *cfg = cfg_new(0x1000, 0xc030, 0x060400);

	cfg_bridge(cfg, 0, secondary, subordinate);
	cfg_express(cfg, 0x60, type, 0);
	if (can)
		cfg_acs(cfg, ACS_AT, can, control);
	put_device(address, cfg, 0);
}

static void
put_end(const char *address, unsigned vendor, unsigned class_code, unsigned devctl, int ats)
{
	struct cfg *cfg = cfg_new(vendor, 0x101d, class_code);

	cfg_express(cfg, 0x60, 0, devctl);
	if (ats >= 0)
		cfg_ats(cfg, ATS_AT, (unsigned)ats);
	put_device(address, cfg, 0);
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	put("/proc/cpuinfo", "processor\t: 0\n");
	put_port(ROOT_PORT, 4, 0x17, 0x1a, 0x1f, 0x1d);
	put_port("0000:17:00.0", 5, 0x18, 0x1a, 0, 0);
	put_port(GPU_PORT, 6, 0x19, 0x19, 0x7f, 0x1d);
	put_port(NIC_PORT, 6, 0x1a, 0x1a, 0x7f, 0x5d);
	put_end(GPU, 0x10de, 0x030200, 0x2930, 0x8000);
	put_end(NIC, 0x15b3, 0x020000, 0x2936, 0x0000);

	Gdr__PciRule *all[] = { &ports, &gpus, &nics };
	for (size_t i = 0; i < 3; i++) {
		gdr__pci_rule__init(all[i]);
		all[i]->has_match = true;
		rules[i] = all[i];
	}
	ports.match = GDR__PCI_MATCH__MATCH_GDR_PATH_PORTS;
	ports.acs = wanted_acs;
	ports.n_acs = 5;
	gpus.match = GDR__PCI_MATCH__MATCH_GPUS;
	gpus.has_ats = gpus.ats = true;
	nics.match = GDR__PCI_MATCH__MATCH_NICS;
	nics.has_ats = nics.ats = true;
	nics.has_max_read_request = true;
	nics.max_read_request = 4096;
	spec.pci = rules;
	spec.n_pci = 3;
	return 0;
}

static void
acs_sets_bits_and_clears_none(void **state)
{
	(void)state;
	put_port(GPU_PORT, 6, 0x19, 0x19, 0x7f, 0x20);
	look_well(&layer_pci);
	expect_item(GPU_PORT "/acs", FIX_LIVE, "ec");
	assert_string_equal(item(GPU_PORT "/acs")->want, "sv rr cr uf dt");
	expect_item(NIC_PORT "/acs", FIX_NONE, "sv rr cr uf dt");
	assert_null(find_item("0000:17:00.0/acs"));
	apply_well(&layer_pci, GPU_PORT "/acs");
	assert_int_equal(got16(GPU_PORT, ACS_AT + 6), 0x7d);
	look_well(&layer_pci);
	expect_item(GPU_PORT "/acs", FIX_NONE, "sv rr cr uf ec dt");
}

static void
acs_that_a_port_lacks(void **state)
{
	(void)state;
	put_port(GPU_PORT, 6, 0x19, 0x19, 0x1f, 0x01);
	put_port(NIC_PORT, 6, 0x1a, 0x1a, 0, 0);
	look_well(&layer_pci);
	/* What it can is done first; then a person is asked about the rest. */
	expect_item(GPU_PORT "/acs", FIX_LIVE, "sv");
	apply_well(&layer_pci, GPU_PORT "/acs");
	assert_int_equal(got16(GPU_PORT, ACS_AT + 6), 0x1d);
	look_well(&layer_pci);
	expect_item(GPU_PORT "/acs", FIX_MANUAL, "sv rr cr uf");
	expect_why(GPU_PORT "/acs", "port does not support dt");
	expect_item(NIC_PORT "/acs", FIX_MANUAL, "no ACS");
	expect_item(ROOT_PORT "/acs", FIX_NONE, "sv rr cr uf");
	expect_why(ROOT_PORT "/acs", "need not");
}

static void
translation_blocking_is_told(void **state)
{
	(void)state;
	put_port(GPU_PORT, 6, 0x19, 0x19, 0x7f, 0x5f);
	look_well(&layer_pci);
	expect_item(GPU_PORT "/acs", FIX_MANUAL, "sv tb rr cr uf dt");
	expect_why(GPU_PORT "/acs", "blocks ATS");
}

static void
ats_is_the_kernels_business(void **state)
{
	struct err err;

	(void)state;
	look_well(&layer_pci);
	expect_item(GPU "/ats", FIX_NONE, "enabled");
	expect_item(NIC "/ats", FIX_MANUAL, "off");
	expect_why(NIC "/ats", "ats_force");
	assert_int_equal(apply(&layer_pci, NIC "/ats", &err), -EINVAL);
	assert_int_equal(got16(NIC, ATS_AT + 6), 0);
	put_end(NIC, 0x15b3, 0x020000, 0x2936, -1);
	put_end(GPU, 0x10de, 0x030200, 0x2930, -1);
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_MANUAL, "no ATS");
	expect_why(NIC "/ats", "ATS_ENABLED is not active");
	expect_item(GPU "/ats", FIX_MANUAL, "no ATS");
	expect_why(GPU "/ats", "does not support it");
}

static void
ats_by_force_sets_one_bit(void **state)
{
	(void)state;
	nics.has_ats_force = nics.ats_force = true;
	put_end(NIC, 0x15b3, 0x020000, 0x2936, 0x0005);
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_LIVE, "off");
	expect_why(NIC "/ats", "no invalidations");
	apply_well(&layer_pci, NIC "/ats");
	assert_int_equal(got16(NIC, ATS_AT + 6), 0x8005);
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_NONE, "enabled");
}

/* iommu=pt: an idle device of vfio-pci is in the identity domain, and its ATS is off until a VM has it. */
static void
ats_of_an_idle_vfio_device(void **state)
{
	(void)state;
	put_end(GPU, 0x10de, 0x030200, 0x2930, 0x0000);
	put_link(PCI_DIR GPU "/driver", "../../drivers/vfio-pci");
	put_link(PCI_DIR GPU "/iommu_group", "../../../../kernel/iommu_groups/7");
	put("/sys/kernel/iommu_groups/7/type", "identity\n");
	look_well(&layer_pci);
	expect_item(GPU "/ats", FIX_NONE, "off while idle");
	put("/sys/kernel/iommu_groups/7/type", "DMA-FQ\n");
	look_well(&layer_pci);
	expect_item(GPU "/ats", FIX_MANUAL, "off");
}

static void
ats_waits_for_the_boot_that_brings_the_iommu(void **state)
{
	(void)state;
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_MANUAL, "off"); /* No boot would help. */
	add_tool("update-grub", "#!/bin/sh\n");
	put("/etc/default/grub", "");
	put("/etc/default/grub.d/gdrfleet.cfg", "# parameters: intel_iommu=on iommu=pt\n");
	put("/boot/grub/grub.cfg", "linux /v root=a iommu=pt\n");
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_MANUAL, "off"); /* Asked for, but not staged. */
	put("/boot/grub/grub.cfg", "linux /v root=a intel_iommu=on iommu=pt\n");
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_BOOT, "off");
	put_link(PCI_DIR NIC "/iommu_group", "../../../../kernel/iommu_groups/8");
	look_well(&layer_pci);
	expect_item(NIC "/ats", FIX_MANUAL, "off");
}

static void
read_request_changes_three_bits(void **state)
{
	(void)state;
	look_well(&layer_pci);
	expect_item(NIC "/max_read_request", FIX_LIVE, "512");
	assert_null(find_item(GPU "/max_read_request"));
	apply_well(&layer_pci, NIC "/max_read_request");
	assert_int_equal(got16(NIC, 0x68), 0x5936);
	look_well(&layer_pci);
	expect_item(NIC "/max_read_request", FIX_NONE, "4096");
	/* Bit 15 would reset the function, whatever it reads as. */
	set16(NIC, 0x68, 0xa936);
	look_well(&layer_pci);
	apply_well(&layer_pci, NIC "/max_read_request");
	assert_int_equal(got16(NIC, 0x68), 0x5936);
	nics.max_read_request = 128;
	look_well(&layer_pci);
	apply_well(&layer_pci, NIC "/max_read_request");
	assert_int_equal(got16(NIC, 0x68), 0x0936);
}

static void
a_write_that_does_not_stick(void **state)
{
	auto_free char *config = tree_path(PCI_DIR NIC "/config");
	struct err err;

	(void)state;
	look_well(&layer_pci);
	assert_int_equal(unlink(config), 0);
	assert_int_equal(symlink("/dev/zero", config), 0);
	assert_int_equal(apply(&layer_pci, NIC "/max_read_request", &err), -EIO);
	assert_string_equal(err.msg, NIC ": register 0x68 was 2936, wrote 5936, reads 0000");
}

static void
lockdown_is_told(void **state)
{
	(void)state;
	put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	look_well(&layer_pci);
	expect_item(NIC "/max_read_request", FIX_MANUAL, "512");
	expect_why(NIC "/max_read_request", "locked down");
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	look_well(&layer_pci);
	expect_item(NIC "/max_read_request", FIX_LIVE, "512");
}

static void
a_sick_device_hides_no_other(void **state)
{
	struct cfg *cfg = cfg_new(0x15b3, 0x101d, 0x020000);

	(void)state;
	put_device(NIC, cfg, 0); /* No capabilities at all. */
	put_device_file(GPU, "config", "short");
	look_well(&layer_pci);
	expect_item(NIC "/max_read_request", FIX_MANUAL, "none");
	expect_item(NIC "/ats", FIX_MANUAL, "no ATS");
	expect_item(GPU "/ats", FIX_MANUAL, "no ATS");
	expect_item(GPU_PORT "/acs", FIX_LIVE, "sv rr cr uf");
}

static void
rules_add_up(void **state)
{
	Gdr__PciRule more = GDR__PCI_RULE__INIT;
	Gdr__Acs ec[] = { GDR__ACS__ACS_EC };
	Gdr__PciRule *all[] = { &ports, &more };

	(void)state;
	more.has_match = true;
	more.match = GDR__PCI_MATCH__MATCH_GDR_PATH_PORTS;
	more.acs = ec;
	more.n_acs = 1;
	spec.pci = all;
	spec.n_pci = 2;
	look_well(&layer_pci);
	assert_string_equal(item(NIC_PORT "/acs")->want, "sv rr cr uf ec dt");
	assert_int_equal(report.n, 3);
}

static void
no_such_devices(void **state)
{
	Gdr__PciRule *all[] = { &ports, &gpus, &nics, &gpus };

	(void)state;
	machine_teardown(state);
	machine_setup(state);
	put("/proc/cpuinfo", "processor\t: 0\n");
	spec.pci = all;
	spec.n_pci = 4;
	look_well(&layer_pci);
	assert_int_equal(report.n, 3);
	expect_item("gdr-path-ports", FIX_MANUAL, "none");
	expect_item("gpus", FIX_MANUAL, "none");
	expect_item("nics", FIX_MANUAL, "none");
	gpus.match = GDR__PCI_MATCH__MATCH_NVSWITCHES;
	look_well(&layer_pci);
	assert_int_equal(report.n, 2);
	assert_true(layer_pci.wanted(&spec));
	spec.n_pci = 0;
	assert_false(layer_pci.wanted(&spec));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(acs_sets_bits_and_clears_none),
		TEST(acs_that_a_port_lacks),
		TEST(translation_blocking_is_told),
		TEST(ats_is_the_kernels_business),
		TEST(ats_by_force_sets_one_bit),
		TEST(ats_of_an_idle_vfio_device),
		TEST(ats_waits_for_the_boot_that_brings_the_iommu),
		TEST(read_request_changes_three_bits),
		TEST(a_write_that_does_not_stick),
		TEST(lockdown_is_told),
		TEST(a_sick_device_hides_no_other),
		TEST(rules_add_up),
		TEST(no_such_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
