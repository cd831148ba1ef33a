/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/machine/bootloader.h"
#include "tests/unit/tree.h"

#define N_TOOLS 3
static char names[N_TOOLS][16] = { "update-grub", "grubby", "kernel-install" };
static char paths[N_TOOLS][160];
static Gdr__AgentConfig__ToolsEntry entries[N_TOOLS];
static Gdr__AgentConfig__ToolsEntry *tools[N_TOOLS];
static Gdr__AgentConfig config;
static struct host *host;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	gdr__agent_config__init(&config);
	for (size_t i = 0; i < N_TOOLS; i++) {
		gdr__agent_config__tools_entry__init(&entries[i]);
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/opt/%s", tree, names[i]);
		entries[i].key = names[i];
		entries[i].value = paths[i];
		tools[i] = &entries[i];
	}
	config.tools = tools;
	config.n_tools = N_TOOLS;
	host = host_open(tree, &config);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	host_free(host);
	tree_drop();
	return 0;
}

static void
stage(const char *params, int rc)
{
	auto_strv char **v = cmdline_split(params, true);
	struct err err = { 0 };
	int got_rc = bootloader_stage(host, (const char *const *)v, &err);

	if (got_rc != rc)
		print_message("%s\n", err.msg);
	assert_int_equal(got_rc, rc);
}

static void
expect(const char *ours, const char *others)
{
	auto_staged struct staged staged = { 0 };
	struct err err = { 0 };

	assert_int_equal(bootloader_staged(host, &staged, &err), 0);
	auto_free char *have_ours = cmdline_join((const char *const *)staged.ours);
	auto_free char *have_others = cmdline_join((const char *const *)staged.others);
	assert_string_equal(have_ours, ours);
	assert_string_equal(have_others, others);
}

/* --- text ------------------------------------------------------------------------------------------------ */

static void
splits_as_the_kernel_does(void **state)
{
	auto_strv char **v = cmdline_split("  a=1\tb=\"x y\" \"c=d e\"  \"unclosed f -- g\n", false);
	auto_strv char **w = cmdline_split("a b=\"x y\" -- init\n", true);
	auto_strv char **x = cmdline_split("a -- init\n", false);

	(void)state;
	assert_string_equal(v[0], "a=1");
	assert_string_equal(v[1], "b=x y");
	assert_string_equal(v[2], "c=d e");
	assert_string_equal(v[3], "unclosed f -- g\n");
	assert_null(v[4]);
	assert_string_equal(w[1], "b=\"x y\"");
	assert_string_equal(w[2], "--");
	assert_string_equal(w[3], "init");
	assert_string_equal(x[0], "a");
	assert_null(x[1]);
}

static void
names_lists_and_sizes(void **state)
{
	(void)state;
	assert_string_equal(cmdline_value("vfio_pci.ids=10de:20b0", "vfio-pci.ids"), "10de:20b0");
	assert_string_equal(cmdline_value("quiet", "quiet"), "");
	assert_null(cmdline_value("quieter", "quiet"));
	assert_null(cmdline_value("qui", "quiet"));
	assert_null(cmdline_value("iommux=pt", "iommu"));
	assert_true(cmdline_lists("on,sm_on", "on"));
	assert_true(cmdline_lists("sm_on,on", "on"));
	assert_false(cmdline_lists("sm_on,once", "on"));
	assert_int_equal(cmdline_size("1G"), 1U << 30);
	assert_int_equal(cmdline_size("2048k"), 2U << 20);
	assert_int_equal(cmdline_size("1048576K"), 1U << 30);
	assert_int_equal(cmdline_size("1Gx"), 0);
	assert_int_equal(cmdline_size("big"), 0);
	assert_int_equal(cmdline_size("99999999999999999G"), 0);
}

static const char *
pages(const char *line, uint64_t size)
{
	static char value[32];
	auto_strv char **v = cmdline_split(line, false);
	const char *found = cmdline_hugepages((const char *const *)v, size);

	(void)snprintf(value, sizeof(value), "%s", found ? found : "none");
	return value;
}

static void
hugepages_belong_to_the_size_before_them(void **state)
{
	const uint64_t gig = 1U << 30;
	const uint64_t two = 2U << 20;

	(void)state;
	assert_string_equal(pages("default_hugepagesz=1G hugepagesz=1G hugepages=750", gig), "750");
	assert_string_equal(pages("hugepagesz=2M hugepages=100 hugepagesz=1G hugepages=750", gig), "750");
	assert_string_equal(pages("hugepagesz=2M hugepages=100 hugepagesz=1G hugepages=750", two), "100");
	assert_string_equal(pages("hugepages=5", two), "5");
	assert_string_equal(pages("hugepages=5", gig), "none");
	assert_string_equal(pages("hugepages=5 default_hugepagesz=1G", gig), "5");
	assert_string_equal(pages("hugepagesz=1G hugepages=5 hugepagesz=1G hugepages=9", gig), "5");
	assert_string_equal(pages("hugepagesz=1G", gig), "none");
}

static bool
contradicts(const char *line, size_t i, const char *ours)
{
	auto_strv char **v = cmdline_split(line, false);
	auto_strv char **own = cmdline_split(ours, false);

	return cmdline_contradicts((const char *const *)v, i, (const char *const *)own);
}

static void
what_contradicts(void **state)
{
	const char *ours = "intel_iommu=on iommu=pt default_hugepagesz=1G hugepagesz=1G hugepages=750 pci=realloc";

	(void)state;
	assert_true(contradicts("intel_iommu=off", 0, ours));
	assert_false(contradicts("intel_iommu=on,sm_on", 0, ours));
	assert_true(contradicts("iommu=off", 0, ours));
	assert_true(contradicts("iommu=pt,off", 0, ours));
	assert_true(contradicts("default_hugepagesz=2M", 0, ours));
	assert_true(contradicts("hugepages=100", 0, ours));
	assert_true(contradicts("hugepagesz=1024M hugepages=7", 0, ours));
	assert_true(contradicts("hugepagesz=1024M hugepages=7", 1, ours));
	assert_false(contradicts("hugepagesz=2M hugepages=7", 0, ours));
	assert_false(contradicts("hugepagesz=2M hugepages=7", 1, ours));
	assert_false(contradicts("pci=nomsi", 0, ours));
	assert_false(contradicts("hugepages=100", 0, "iommu=pt"));
}

/* --- GRUB -------------------------------------------------------------------------------------------------- */

/* What grub-mkconfig does as far as it matters here: two kernels, recovery entries, another system. */
static const char update_grub[] =
	"#!/bin/sh\nset -e\n. $GDR_ROOT/etc/default/grub\n"
	"for f in $GDR_ROOT/etc/default/grub.d/*.cfg; do [ -e $f ] && . $f; done\n"
	"mkdir -p $GDR_ROOT/boot/grub\n{\necho '### BEGIN /etc/grub.d/10_linux ###'\n"
	"for v in 5.15 5.4; do\n"
	"printf '\\tlinux\\t/boot/vmlinuz-%s root=UUID=1 ro %s %s\\n' $v \"$GRUB_CMDLINE_LINUX\" \"$GRUB_CMDLINE_LINUX_DEFAULT\"\n"
	"printf '\\tlinux\\t/boot/vmlinuz-%s root=UUID=1 ro recovery nomodeset %s\\n' $v \"$GRUB_CMDLINE_LINUX\"\n"
	"done\necho '### END /etc/grub.d/10_linux ###'\n"
	"echo 'linux /boot/vmlinuz-other root=/dev/sdb1'\n"
	"echo 'linux16 /boot/memtest86+.bin'\n"
	"} > $GDR_ROOT/boot/grub/grub.cfg\necho run >> $GDR_ROOT/runs\n";

static void
put_grub(const char *defaults)
{
	put("/etc/default/grub", defaults);
	put_script("/opt/update-grub", update_grub);
	const char *const argv[] = { "update-grub", NULL };
	struct err err = { 0 };
	assert_int_equal(host_do(host, argv, &err), 0);
}

static void
grub_keeps_others_and_replaces_ours(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX=\"net.ifnames=0\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\n");
	expect("", "root=UUID=1 ro net.ifnames=0 quiet splash");
	stage("intel_iommu=on iommu=pt", 0);
	expect("intel_iommu=on iommu=pt", "root=UUID=1 ro net.ifnames=0 quiet splash");
	assert_file("/runs", "run\nrun\n");
	stage("intel_iommu=on iommu=pt", 0); /* Nothing to do, and nothing is done. */
	assert_file("/runs", "run\nrun\n");
	stage("iommu=pt hugepages=7", 0);
	expect("iommu=pt hugepages=7", "root=UUID=1 ro net.ifnames=0 quiet splash");
	stage("", 0);
	expect("", "root=UUID=1 ro net.ifnames=0 quiet splash");
}

static void
grub_takes_out_what_contradicts(void **state)
{
	const char *want = "iommu=pt default_hugepagesz=1G hugepagesz=1G hugepages=750";

	(void)state;
	put_grub("GRUB_CMDLINE_LINUX=\"iommu=off hugepages=100\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"a='*' hugepagesz=2M "
		 "hugepages=9 quiet\"\n");
	stage(want, 0);
	expect(want, "root=UUID=1 ro a='*' hugepagesz=2M hugepages=9 quiet");
	/* It stays out when ours changes, and comes back when ours no longer says anything about it. */
	stage("iommu=pt", 0);
	expect("iommu=pt", "root=UUID=1 ro hugepages=100 a='*' hugepagesz=2M hugepages=9 quiet");
	stage("quiet2", 0);
	expect("quiet2", "root=UUID=1 ro iommu=off hugepages=100 a='*' hugepagesz=2M hugepages=9 quiet");
}

static void
only_what_every_entry_has_is_staged(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
	stage("intel_iommu=on iommu=pt", 0);
	put("/boot/grub/grub.cfg", "linux /boot/vmlinuz-5.15 root=a intel_iommu=on iommu=pt\n"
				   "linux /boot/vmlinuz-5.4 root=a intel_iommu=on\n");
	expect("intel_iommu=on", "root=a");
	/* A tool that says it did and did not is seen. */
	put_script("/opt/update-grub", "#!/bin/sh\nexit 0\n");
	stage("intel_iommu=on iommu=pt", -EIO);
	put_script("/opt/update-grub", "#!/bin/sh\necho 'no space left' >&2\nexit 1\n");
	stage("intel_iommu=on iommu=pt", -EIO);
}

static void
garbage_in_grub_cfg(void **state)
{
	struct staged staged = { 0 };
	struct err err = { 0 };

	(void)state;
	put_grub("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
	put("/boot/grub/grub.cfg", "");
	assert_int_equal(bootloader_staged(host, &staged, &err), -ENOENT);
	assert_string_equal(err.msg, "GRUB: no boot entry is found");
	put("/boot/grub/grub.cfg", "### BEGIN /etc/grub.d/10_linux\nlinux\n linux \n\tlinux\t\xff\n### BEGIN");
	assert_int_equal(bootloader_staged(host, &staged, &err), -ENOENT);
	drop("/boot/grub/grub.cfg");
	put("/boot/grub2/grub.cfg", "linux /v root=a quiet");
	expect("", "root=a quiet");
}

static void
what_a_shell_would_read_is_refused(void **state)
{
	(void)state;
	put_grub("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n");
	stage("a=$(reboot)", -EINVAL);
	stage("a=`reboot`", -EINVAL);
	stage("a=\"b\"", -EINVAL);
	stage("a;reboot", -EINVAL);
	stage("a=\\", -EINVAL);
	expect("", "root=UUID=1 ro quiet");
}

/* --- grubby ------------------------------------------------------------------------------------------------ */

static const char grubby[] =
	"#!/bin/sh\nset -f\necho \"$*\" >> $GDR_ROOT/runs\n"
	"for f in $(ls $GDR_ROOT/boot/loader/entries | grep -v rescue); do f=$GDR_ROOT/boot/loader/entries/$f\n"
	"o=\" $(sed -n 's/^options //p' $f) \"\n"
	"case $2 in --remove-args=*) for a in ${2#*=}; do o=$(printf '%s' \"$o\" | sed \"s| $a | |\"); done ;;\n"
	"--args=*) o=\"$o ${2#*=}\" ;; esac\n"
	"printf 'title x\\noptions %s\\n' \"$(echo $o)\" > $f\ndone\n";

static void
grubby_changes_every_entry(void **state)
{
	(void)state;
	put("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
	put("/boot/loader/entries/abc-5.14.conf", "title x\noptions root=/dev/a ro iommu=off\n");
	put("/boot/loader/entries/abc-0-rescue.conf", "title x\noptions root=/dev/a ro\n");
	put_script("/opt/grubby", grubby);
	expect("", "root=/dev/a ro iommu=off");
	stage("intel_iommu=on iommu=pt", 0);
	expect("intel_iommu=on iommu=pt", "root=/dev/a ro");
	stage("intel_iommu=on", 0);
	expect("intel_iommu=on", "root=/dev/a ro");
	assert_file("/boot/loader/entries/abc-0-rescue.conf", "title x\noptions root=/dev/a ro\n");
}

static void
kernelopts_come_from_grubenv(void **state)
{
	(void)state;
	put("/boot/loader/entries/a.conf", "title x\noptions $kernelopts $tuned_params\n");
	put("/boot/grub2/grubenv", "# GRUB Environment Block\nsaved_entry=a\nkernelopts=root=/dev/a ro quiet \n####\n");
	put_script("/opt/grubby", grubby);
	expect("", "$kernelopts $tuned_params root=/dev/a ro quiet");
}

/* --- systemd-boot -------------------------------------------------------------------------------------------- */

static const char kernel_install[] = "#!/bin/sh\nmkdir -p $GDR_ROOT/boot/efi/loader/entries\n"
				     "echo \"options $(cat $GDR_ROOT/etc/kernel/cmdline)\" > "
				     "$GDR_ROOT/boot/efi/loader/entries/id-$2.conf\necho \"$*\" >> $GDR_ROOT/runs\n";

static void
systemd_boot_rewrites_its_line(void **state)
{
	(void)state;
	put("/etc/kernel/cmdline", "root=/dev/a ro opt=\"a b\" iommu=off\n");
	put("/lib/modules/6.1.0/vmlinuz", "");
	put("/lib/modules/5.10.0/modules.dep", "");
	put("/boot/vmlinuz-5.10.0", "");
	put("/lib/modules/4.19.0/modules.dep", ""); /* Removed, but for its modules. */
	put_script("/opt/kernel-install", kernel_install);
	put("/boot/efi/loader/entries/id-6.1.0.conf", "title x\noptions root=/dev/a ro\n");
	stage("intel_iommu=on iommu=pt", 0);
	assert_file("/etc/kernel/cmdline", "root=/dev/a ro opt=\"a b\" iommu=off intel_iommu=on iommu=pt\n");
	/* Once it is in an entry, it is seen and taken out. */
	stage("intel_iommu=on iommu=pt", 0);
	assert_file("/etc/kernel/cmdline", "root=/dev/a ro opt=\"a b\" intel_iommu=on iommu=pt\n");
	expect("intel_iommu=on iommu=pt", "root=/dev/a ro opt=a b");
	assert_file("/runs", "add 5.10.0 /boot/vmlinuz-5.10.0\nadd 6.1.0 /lib/modules/6.1.0/vmlinuz\n"
			     "add 5.10.0 /boot/vmlinuz-5.10.0\nadd 6.1.0 /lib/modules/6.1.0/vmlinuz\n");
}

static void
no_loader_is_told(void **state)
{
	auto_staged struct staged staged = { 0 };
	struct err err = { 0 };

	(void)state;
	put("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n"); /* But no update-grub. */
	assert_int_equal(bootloader_staged(host, &staged, &err), 0);
	assert_null(staged.loader);
	assert_null(staged.ours[0]);
	stage("iommu=pt", -ENOSYS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(splits_as_the_kernel_does),
		TEST(names_lists_and_sizes),
		TEST(hugepages_belong_to_the_size_before_them),
		TEST(what_contradicts),
		TEST(grub_keeps_others_and_replaces_ours),
		TEST(grub_takes_out_what_contradicts),
		TEST(only_what_every_entry_has_is_staged),
		TEST(garbage_in_grub_cfg),
		TEST(what_a_shell_would_read_is_refused),
		TEST(grubby_changes_every_entry),
		TEST(kernelopts_come_from_grubenv),
		TEST(systemd_boot_rewrites_its_line),
		TEST(no_loader_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
