/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/layers/kernel_params.h"
#include "tests/unit/layer.h"

extern const struct layer layer_kernel;

static Gdr__KernelSpec kernel;
static Gdr__VfioSpec vfio;
static Gdr__HugepagesSpec hugepages;
static char nouveau[] = "nouveau";
static char *blacklist[] = { nouveau };
static char version[] = "5.15";
static char extra[] = "pci=realloc";
static char *cmdline[] = { extra };

static const char update_grub[] =
	"#!/bin/sh\nset -e\n. $GDR_ROOT/etc/default/grub\n"
	"for f in $GDR_ROOT/etc/default/grub.d/*.cfg; do [ -e $f ] && . $f; done\n"
	"echo \"linux /boot/vmlinuz-5.15 root=UUID=1 ro $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT\" "
	"> $GDR_ROOT/boot/grub/grub.cfg\necho run >> $GDR_ROOT/runs\n";

#define GPU    "0000:19:00.0"
#define SWITCH "0000:1c:00.0"
#define IDS    "vfio-pci.ids=10de:1af1,10de:20b0"
#define OURS                                                                                              \
	"intel_iommu=on iommu=pt " IDS " modprobe.blacklist=nouveau default_hugepagesz=1G hugepagesz=1G " \
	"hugepages=750 pci=realloc"

static void
put_node(unsigned node)
{
	auto_free char *path = xasprintf("/sys/devices/system/node/node%u/meminfo", node);
	auto_free char *text = xasprintf("Node %u MemTotal: 400000000 kB\n", node);

	put(path, text);
}

static void
put_grub(const char *defaults, const char *grub_cfg)
{
	put("/etc/default/grub", defaults);
	put("/boot/grub/grub.cfg", grub_cfg);
	add_tool("update-grub", update_grub);
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	gdr__kernel_spec__init(&kernel);
	gdr__vfio_spec__init(&vfio);
	gdr__hugepages_spec__init(&hugepages);
	put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t: vmx\n");
	put("/proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
	put("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-5.15 root=UUID=1 ro quiet\n");
	put_node(0);
	put_node(1);
	put_device(GPU, cfg_new(0x10de, 0x20b0, 0x030200), 0);
	put_device(SWITCH, cfg_new(0x10de, 0x1af1, 0x068000), 0);
	put_link(PCI_DIR GPU "/iommu_group", "../../../kernel/iommu_groups/4");
	put_link(PCI_DIR SWITCH "/iommu_group", "../../../kernel/iommu_groups/5");
	spec.kernel = &kernel;
	kernel.has_iommu = true;
	kernel.iommu = GDR__IOMMU__IOMMU_PASSTHROUGH;
	kernel.vfio = &vfio;
	vfio.has_gpus = vfio.gpus = true;
	vfio.has_nvswitches = vfio.nvswitches = true;
	kernel.blacklist = blacklist;
	kernel.n_blacklist = 1;
	kernel.min_version = version;
	kernel.cmdline = cmdline;
	kernel.n_cmdline = 1;
	spec.hugepages = &hugepages;
	hugepages.has_size = hugepages.has_count = true;
	hugepages.size = 1U << 30;
	hugepages.count = 750;
	return 0;
}

static void
boot_with(const char *params)
{
	auto_free char *line = xasprintf("BOOT_IMAGE=/boot/vmlinuz-5.15 root=UUID=1 ro quiet %s\n", params);

	put("/proc/cmdline", line);
}

static void
versions(void **state)
{
	(void)state;
	assert_true(version_compare("5.15.0-91-generic", "5.15") == 0);
	assert_true(version_compare("5.15.0-91-generic", "5.15.1") < 0);
	assert_true(version_compare("6.1.0", "5.15") > 0);
	assert_true(version_compare("5.9", "5.15") < 0);
	assert_true(version_compare("5.15", "5.15.2") < 0);
	assert_true(version_compare("", "5.15") < 0);
	assert_true(version_compare("garbage", "5") < 0);
}

static void
a_fresh_host_is_staged_at_once_and_waits_for_the_boot(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", "linux /v root=UUID=1 ro quiet\n");
	look_well(&layer_kernel);
	expect_item("version", FIX_NONE, "5.15.0-91-generic");
	expect_item("cmdline/intel_iommu", FIX_STAGE, "absent");
	expect_item("cmdline/iommu", FIX_STAGE, "absent");
	expect_item("cmdline/vfio-pci.ids", FIX_STAGE, "absent");
	assert_string_equal(item("cmdline/vfio-pci.ids")->want, IDS);
	assert_string_equal(item("cmdline/hugepages")->want, "hugepages=750");
	expect_item("cmdline/pci=realloc", FIX_STAGE, "absent");
	expect_item("modprobe.d", FIX_STAGE, "absent");
	expect_item("module/nouveau", FIX_NONE, "not loaded");
	expect_item("vfio/" GPU, FIX_STAGE, "none");

	apply_well(&layer_kernel, "cmdline/hugepages"); /* Comes with the first. */
	assert_false(host_exists(machine.host, "/runs"));
	apply_well(&layer_kernel, "cmdline/intel_iommu");
	apply_well(&layer_kernel, "cmdline/hugepages");
	apply_well(&layer_kernel, "vfio/" GPU);
	apply_well(&layer_kernel, "modprobe.d");
	assert_file("/runs", "run\n"); /* The slow tool ran once. */
	assert_file("/boot/grub/grub.cfg", "linux /boot/vmlinuz-5.15 root=UUID=1 ro  quiet " OURS "\n");
	look_well(&layer_kernel);
	for (size_t i = 0; i < report.n; i++)
		if (strncmp(report.items[i].key, "cmdline/", 8) == 0 || strncmp(report.items[i].key, "vfio/", 5) == 0)
			assert_int_equal(report.items[i].fix, FIX_BOOT);
	expect_item("modprobe.d", FIX_NONE, NULL);

	boot_with(OURS);
	put_link(PCI_DIR GPU "/driver", "../../drivers/vfio-pci");
	put_link(PCI_DIR SWITCH "/driver", "../../drivers/vfio-pci");
	look_well(&layer_kernel);
	for (size_t i = 0; i < report.n; i++)
		assert_int_equal(report.items[i].fix, FIX_NONE);
}

static void
modprobe_file(void **state)
{
	(void)state;
	put_grub("", "linux /v root=UUID=1\n");
	look_well(&layer_kernel);
	apply_well(&layer_kernel, "modprobe.d");
	assert_file("/etc/modprobe.d/gdrfleet.conf",
		    "# gdrfleet.conf - written by gdr-agent from the node's profile; a change here is undone.\n"
		    "blacklist nouveau\ninstall nouveau /bin/false\noptions vfio-pci ids=10de:1af1,10de:20b0\n"
		    "softdep nouveau pre: vfio-pci\nsoftdep nvidia pre: vfio-pci\n");
	put("/etc/modprobe.d/gdrfleet.conf", "blacklist nouveau\n");
	look_well(&layer_kernel);
	expect_item("modprobe.d", FIX_STAGE, "blacklist nouveau");
	kernel.n_blacklist = 0;
	kernel.vfio = NULL;
	look_well(&layer_kernel);
	assert_string_equal(item("modprobe.d")->want, "absent");
	apply_well(&layer_kernel, "modprobe.d");
	assert_false(host_exists(machine.host, "/etc/modprobe.d/gdrfleet.conf"));
}

static void
amd_has_its_own_word(void **state)
{
	(void)state;
	put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n");
	boot_with("amd_iommu=on");
	look_well(&layer_kernel);
	assert_null(find_item("cmdline/intel_iommu"));
	expect_item("cmdline/amd_iommu", FIX_NONE, "amd_iommu=on");
}

static void
no_boot_loader_says_what_to_do_by_hand(void **state)
{
	(void)state;
	boot_with("intel_iommu=on,sm_on iommu=off");
	look_well(&layer_kernel);
	expect_item("cmdline/intel_iommu", FIX_NONE, "intel_iommu=on,sm_on");
	expect_item("cmdline/iommu", FIX_MANUAL, "iommu=off");
	expect_why("cmdline/iommu", "no boot loader that is known here: give the kernel these parameters by hand, then "
				    "reboot: " OURS "; and take out iommu=off");
	expect_item("vfio/" GPU, FIX_LIVE, "none");
}

static void
others_values_are_merged_or_taken_out(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX=\"iommu=off hugepages=100 vfio-pci.ids=8086:1572 modprobe.blacklist=foo\"\n",
		 "linux /v root=UUID=1 ro iommu=off hugepages=100 vfio-pci.ids=8086:1572 modprobe.blacklist=foo\n");
	boot_with("iommu=off hugepages=100 vfio-pci.ids=8086:1572 modprobe.blacklist=foo");
	look_well(&layer_kernel);
	expect_item("cmdline/hugepages", FIX_STAGE, "hugepages=100");
	expect_why("cmdline/hugepages", "hugepages=100, which others set, undoes it");
	expect_why("cmdline/iommu", "iommu=off, which others set");
	assert_string_equal(item("cmdline/vfio-pci.ids")->want, "vfio-pci.ids=10de:1af1,10de:20b0,8086:1572");
	assert_string_equal(item("cmdline/modprobe.blacklist")->want, "modprobe.blacklist=foo,nouveau");
	apply_well(&layer_kernel, "cmdline/intel_iommu");
	look_well(&layer_kernel);
	expect_item("cmdline/hugepages", FIX_BOOT, "hugepages=100");
	expect_why("cmdline/hugepages", "GRUB has it for the next boot, without hugepages=100");
	expect_item("cmdline/iommu", FIX_BOOT, NULL);
	expect_item("cmdline/vfio-pci.ids", FIX_BOOT, NULL);
}

static void
supersets_and_quotes_are_right(void **state)
{
	(void)state;
	put_grub("", "linux /v root=UUID=1 " OURS "\n");
	boot_with("dyndbg=\"file a.c +p\" intel_iommu=on iommu=pt vfio_pci.ids=10de:20b0,10de:1af1,1:2 "
		  "modprobe.blacklist=foo modprobe.blacklist=nouveau default_hugepagesz=1048576K hugepagesz=1G "
		  "hugepages=750 pci=realloc rdblaclist=nouveau");
	look_well(&layer_kernel);
	expect_item("cmdline/vfio-pci.ids", FIX_NONE, NULL);
	expect_item("cmdline/modprobe.blacklist", FIX_NONE, "modprobe.blacklist=foo modprobe.blacklist=nouveau");
	expect_why("cmdline/modprobe.blacklist", "rdblaclist=nouveau on the command line is without effect");
	expect_item("cmdline/default_hugepagesz", FIX_NONE, NULL);
	expect_item("cmdline/hugepages", FIX_NONE, NULL);
}

static void
a_boot_that_has_it_is_not_enough_for_the_next(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", "linux /v root=UUID=1 ro quiet\n");
	boot_with(OURS);
	look_well(&layer_kernel);
	expect_item("cmdline/iommu", FIX_STAGE, "iommu=pt");
	expect_why("cmdline/iommu", "this boot has it, but the next would not");
	apply_well(&layer_kernel, "cmdline/intel_iommu");
	look_well(&layer_kernel);
	expect_item("cmdline/iommu", FIX_NONE, "iommu=pt");
}

static void
what_is_no_longer_wanted_is_taken_back(void **state)
{
	(void)state;
	put_grub("", "linux /v root=UUID=1 ro\n");
	look_well(&layer_kernel);
	apply_well(&layer_kernel, "cmdline/intel_iommu");
	kernel.n_cmdline = 0;
	look_well(&layer_kernel);
	expect_item("cmdline/pci=realloc", FIX_STAGE, "pci=realloc");
	apply_well(&layer_kernel, "cmdline/pci=realloc");
	look_well(&layer_kernel);
	assert_null(find_item("cmdline/pci=realloc"));
	auto_free char *cfg = got("/boot/grub/grub.cfg");
	assert_null(strstr(cfg, "pci=realloc"));
	assert_non_null(strstr(cfg, "hugepages=750"));
}

static void
pages_per_node(void **state)
{
	Gdr__HugepagesSpec__PerNodeEntry a = GDR__HUGEPAGES_SPEC__PER_NODE_ENTRY__INIT;
	Gdr__HugepagesSpec__PerNodeEntry b = GDR__HUGEPAGES_SPEC__PER_NODE_ENTRY__INIT;
	Gdr__HugepagesSpec__PerNodeEntry *map[] = { &b, &a };
	char zero[] = "0";
	char one[] = "1";
	char few[] = "10";
	char many[] = "375";

	(void)state;
	a.key = zero;
	a.value = few;
	b.key = one;
	b.value = many;
	hugepages.has_count = false;
	hugepages.per_node = map;
	hugepages.n_per_node = 2;
	look_well(&layer_kernel);
	assert_string_equal(item("cmdline/hugepages")->want, "hugepages=385");
	put("/proc/sys/kernel/osrelease", "6.1.0\n");
	look_well(&layer_kernel);
	assert_string_equal(item("cmdline/hugepages")->want, "hugepages=0:10,1:375");
}

static void
modules_and_drivers(void **state)
{
	(void)state;
	put_grub("", "linux /v root=UUID=1 " OURS "\n");
	put("/proc/modules", "drm 1 1 nouveau, Live 0x0\nnouveau 2 0 - Live 0x0\n");
	put_link(PCI_DIR GPU "/driver", "../../drivers/nouveau");
	look_well(&layer_kernel);
	expect_item("module/nouveau", FIX_BOOT, "loaded");
	expect_item("vfio/" GPU, FIX_BOOT, "nouveau");
	boot_with(OURS);
	look_well(&layer_kernel);
	expect_item("module/nouveau", FIX_MANUAL, "loaded");
	expect_why("module/nouveau", "although the command line blacklists it");
	expect_item("vfio/" GPU, FIX_MANUAL, "nouveau");
	expect_why("vfio/" GPU, "driver nouveau has it");
	put("/proc/modules", "drm 1 1 nouveau, Live 0x0\n");
	put("/sys/module/nouveau/initstate", "live\n");
	look_well(&layer_kernel);
	expect_item("module/nouveau", FIX_MANUAL, "loaded");
	drop("/sys/module/nouveau/initstate");
	look_well(&layer_kernel);
	expect_item("module/nouveau", FIX_NONE, "not loaded");
}

static void
a_device_without_driver_is_bound_now(void **state)
{
	struct err err;

	(void)state;
	put_grub("", "linux /v root=UUID=1 " OURS "\n");
	boot_with(OURS);
	put_device_file(GPU, "driver_override", "(null)\n");
	put("/sys/bus/pci/drivers_probe", "");
	add_tool("modprobe", "#!/bin/sh\necho \"$*\" > $GDR_ROOT/modprobe\n");
	look_well(&layer_kernel);
	expect_item("vfio/" GPU, FIX_LIVE, "none");
	apply_well(&layer_kernel, "vfio/" GPU);
	assert_file(PCI_DIR GPU "/driver_override", "vfio-pci");
	assert_file("/sys/bus/pci/drivers_probe", GPU);
	assert_file("/modprobe", "vfio-pci\n");
	assert_int_equal(apply(&layer_kernel, "vfio/" SWITCH, &err), -ENOENT); /* It has no driver_override here. */
	drop(PCI_DIR GPU "/iommu_group");
	look_well(&layer_kernel);
	expect_item("vfio/" GPU, FIX_MANUAL, "none");
	expect_why("vfio/" GPU, "no IOMMU group");
}

static void
an_old_kernel_and_a_broken_machine(void **state)
{
	struct err err;

	(void)state;
	put("/proc/sys/kernel/osrelease", "5.4.0-150-generic\n");
	look_well(&layer_kernel);
	expect_item("version", FIX_MANUAL, "5.4.0-150-generic");
	drop("/proc/sys/kernel/osrelease");
	look_well(&layer_kernel);
	expect_item("version", FIX_MANUAL, "unknown");
	put_grub("", ""); /* A configuration without entries. */
	look_well(&layer_kernel);
	expect_item("cmdline/iommu", FIX_MANUAL, "absent");
	expect_why("cmdline/iommu", "GRUB: no boot entry is found");
	drop("/proc/cmdline");
	assert_int_equal(look(&layer_kernel, &err), -ENOENT);
	assert_string_equal(err.msg, "/proc/cmdline: No such file or directory");
}

static void
a_tool_that_fails_is_told(void **state)
{
	struct err err;

	(void)state;
	put_grub("", "linux /v root=UUID=1 ro\n");
	put_script("/opt/update-grub", "#!/bin/sh\necho 'grub-probe: error: no such disk' >&2\nexit 1\n");
	look_well(&layer_kernel);
	assert_int_equal(apply(&layer_kernel, "cmdline/intel_iommu", &err), -EIO);
	assert_string_equal(err.msg, "update-grub: exit status 1: grub-probe: error: no such disk");
	put_script("/opt/update-grub", "#!/bin/sh\nsleep 30\n");
	agent_config.tool_timeout = 200;
	assert_int_equal(apply(&layer_kernel, "cmdline/intel_iommu", &err), -ETIMEDOUT);
}

static void
only_what_is_asked_for(void **state)
{
	Gdr__Spec empty = GDR__SPEC__INIT;

	(void)state;
	assert_false(layer_kernel.wanted(&empty));
	assert_true(layer_kernel.wanted(&spec));
	gdr__kernel_spec__init(&kernel);
	spec.hugepages = NULL;
	look_well(&layer_kernel);
	assert_int_equal(report.n, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(versions),
		TEST(a_fresh_host_is_staged_at_once_and_waits_for_the_boot),
		TEST(modprobe_file),
		TEST(amd_has_its_own_word),
		TEST(no_boot_loader_says_what_to_do_by_hand),
		TEST(others_values_are_merged_or_taken_out),
		TEST(supersets_and_quotes_are_right),
		TEST(a_boot_that_has_it_is_not_enough_for_the_next),
		TEST(what_is_no_longer_wanted_is_taken_back),
		TEST(pages_per_node),
		TEST(modules_and_drivers),
		TEST(a_device_without_driver_is_bound_now),
		TEST(an_old_kernel_and_a_broken_machine),
		TEST(a_tool_that_fails_is_told),
		TEST(only_what_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
