#include "tests/simhost/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/nic.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"
#include "tests/simhost/vms.h"

/* --- kernel command line ----------------------------------------------------------------------- */

/* What the boot loader hands over: the first entry of its menu. */
static char *
loader_cmdline(const struct tree *tree)
{
	auto_free char *menu = tree_read(tree, "boot/grub/grub.cfg");
	char *rest = menu;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		line += strspn(line, " \t");
		if (strncmp(line, "linux", 5) != 0 || (line[5] != ' ' && line[5] != '\t'))
			continue;
		line += 5 + strspn(line + 5, " \t");
		for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
			line[n - 1] = '\0';
		return xasprintf("BOOT_IMAGE=%s", line);
	}
	return NULL;
}

/* The last value of a parameter; NULL if it is not there.  The caller frees. */
static char *
parameter(const char *cmdline, const char *name)
{
	auto_free char *copy = xstrdup(cmdline);
	size_t len = strlen(name);
	char *found = NULL;
	char *rest = copy;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
		if (strncmp(word, name, len) == 0 && (word[len] == '=' || word[len] == '\0')) {
			free(found);
			found = xstrdup(word[len] ? word + len + 1 : "");
		}
	return found;
}

/* True if a comma-separated parameter holds 'item', in any of its occurrences. */
static bool
listed(const char *cmdline, const char *name, const char *item)
{
	auto_free char *copy = xstrdup(cmdline);
	size_t len = strlen(name);
	char *rest = copy;

	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		char *items = word + len + 1;

		if (strncmp(word, name, len) != 0 || word[len] != '=')
			continue;
		for (char *one = strsep(&items, ","); one; one = strsep(&items, ","))
			if (strcasecmp(one, item) == 0)
				return true;
	}
	return false;
}

static bool
blacklisted(const struct tree *tree, const char *cmdline, const char *module)
{
	static const char *const parameters[] = { "modprobe.blacklist", "module_blacklist", "rd.driver.blacklist" };
	auto_strv char **files = tree_list(tree, "etc/modprobe.d");
	auto_free char *plain = xasprintf("blacklist %s", module);
	auto_free char *never = xasprintf("install %s /bin/", module);

	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (listed(cmdline, parameters[i], module))
			return true;
	for (char **file = files; *file; file++) {
		auto_free char *path = xasprintf("etc/modprobe.d/%s", *file);
		auto_free char *text = tree_read(tree, path);
		char *rest = text;

		for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
			if (strcmp(line, plain) == 0 || strncmp(line, never, strlen(never)) == 0)
				return true;
	}
	return false;
}

/* --- memory ------------------------------------------------------------------------------------ */

static bool
page_size(const char *text, enum page_size *out)
{
	*out = strcasecmp(text, "1G") == 0 ? PAGES_1G : PAGES_2M;
	return *out == PAGES_1G || strcasecmp(text, "2M") == 0 || strcasecmp(text, "2048K") == 0;
}

/* "750" or, by node, "0:375,1:375". */
static void
reserve(struct memory *memory, enum page_size size, char *counts)
{
	if (!strchr(counts, ':')) {
		memory_set_all(memory, size, strtoull(counts, NULL, 10));
		return;
	}
	for (char *one = strsep(&counts, ","); one; one = strsep(&counts, ",")) {
		char *end = NULL;
		unsigned long node = strtoul(one, &end, 10);

		if (*end == ':' && node < SIM_NODES)
			memory_set_node(memory, size, (unsigned)node, strtoull(end + 1, NULL, 10));
	}
}

/* In order, as the kernel reads it: hugepages= belongs to the size named last before it. */
static void
reserve_pages(struct memory *memory, const char *cmdline)
{
	auto_free char *usual = parameter(cmdline, "default_hugepagesz");
	auto_free char *copy = xstrdup(cmdline);
	char *rest = copy;

	if (usual)
		(void)page_size(usual, &memory->usual);
	enum page_size size = memory->usual;
	bool valid = true;
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		if (strncmp(word, "hugepagesz=", 11) == 0)
			valid = page_size(word + 11, &size);
		else if (strncmp(word, "hugepages=", 10) == 0 && valid)
			reserve(memory, size, word + 10);
	}
}

/* --- PCI --------------------------------------------------------------------------------------- */

static bool
is(const char *value, const char *wanted)
{
	return value && strcmp(value, wanted) == 0;
}

void
boot_pci(const struct sim *sim, const struct tree *tree, struct pci_boot *out)
{
	auto_free char *cmdline = tree_read(tree, "proc/cmdline");
	auto_free char *intel = parameter(cmdline ? cmdline : "", "intel_iommu");
	auto_free char *mode = parameter(cmdline ? cmdline : "", "iommu");

	*out = (struct pci_boot){ 0 };
	out->iommu = intel && listed(cmdline, "intel_iommu", "on") && !is(mode, "off") &&
		     tree_exists(tree, "sys/firmware/acpi/tables/DMAR");
	out->passthrough = is(mode, "pt");
	out->ats = out->iommu && sim->ats != SIM_ATS_OFF && !(sim->ats == SIM_ATS_NOT_PT && out->passthrough) &&
		   !listed(cmdline, "pci", "noats") && !sim_broken(sim, "ats-off");
	out->small_reads = sim_broken(sim, "bios-mrrs");
	out->no_4g = sim_broken(sim, "bios-4g");
	out->no_sriov = sim_broken(sim, "bios-sriov");
	nic_no_ats(sim, out->no_ats);
	out->no_dt = sim_fault(sim, "acs-dt-missing");
}

/* vfio-pci is built in, but what a distribution's initramfs loads first comes before its ids are looked at. */
static const char *
driver_at_boot(const struct pci_dev *dev, const char *cmdline, bool nouveau)
{
	auto_free char *id = xasprintf("%04x:%04x", dev->kind->vendor, dev->kind->device);
	bool vfio = listed(cmdline, "vfio-pci.ids", id) || listed(cmdline, "vfio_pci.ids", id);

	if (pci_is_gpu(dev) && nouveau)
		return "nouveau";
	if (vfio)
		return "vfio-pci";
	return pci_is_gpu(dev) ? NULL : dev->kind->driver;
}

static void
drop_gone(struct tree *next, const struct sim *sim)
{
	auto_free char *gone = sim_fault(sim, "gpu-gone");

	if (gone)
		pci_sysfs_drop(next, *gone ? gone : PCI_FIRST_GPU);
}

static void
bring_up_pci(struct tree *next, const struct tree *tree, const struct sim *sim, const char *cmdline, bool nouveau)
{
	static const char *const drivers[] = { "pcieport", "vfio-pci", "mlx5_core", "ixgbe", "nvme", "ahci", "ast" };
	auto_free struct pci_model *model = xcalloc(1, sizeof(*model));
	struct pci_boot how;

	boot_pci(sim, next, &how);
	pci_model_build(model, sim);
	if (how.no_dt && !*how.no_dt) {
		free(how.no_dt);
		how.no_dt = xstrdup(pci_model_gdr_port(model));
	}
	pci_sysfs_write(next, model, &how);
	drop_gone(next, sim);
	nic_sysfs(next, tree, model);
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		pci_sysfs_add_driver(next, drivers[i]);
	if (nouveau)
		pci_sysfs_add_driver(next, "nouveau");
	for (size_t i = 0; i < model->n; i++) {
		const char *driver = driver_at_boot(&model->devs[i], cmdline, nouveau);

		if (driver)
			(void)pci_bind(next, model->devs[i].address, driver);
	}
	free(how.no_dt);
}

/* --- /proc and what is left of /sys ------------------------------------------------------------ */

static void
load_modules(struct tree *next, const struct sim *sim, const char *cmdline, bool nouveau)
{
	auto_free char *ids = parameter(cmdline, "vfio-pci.ids");
	struct {
		const char *name;
		unsigned size;
		bool loaded;
	} modules[] = {
		{ "nouveau", 2306048, nouveau },
		{ "mlx5_ib", 397312, sim->nics > 0 },
		{ "ib_uverbs", 163840, sim->nics > 0 },
		{ "ib_core", 393216, sim->nics > 0 },
		{ "mlx5_core", 1630208, sim->nics > 0 },
		{ "ixgbe", 397312, true },
		{ "nvme", 49152, true },
		{ "ahci", 45056, true },
		{ "ast", 57344, true },
		{ "kvm_intel", 368640, !sim_broken(sim, "bios-vmx") },
		{ "kvm", 1032192, !sim_broken(sim, "bios-vmx") },
		{ "vfio_iommu_type1", 49152, ids != NULL },
	};
	auto_buf struct buf out = { 0 };

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		if (!modules[i].loaded)
			continue;
		buf_printf(&out, "%s %u 0 - Live 0x0000000000000000\n", modules[i].name, modules[i].size);
		tree_cd(next, "sys/module/%s", modules[i].name);
		tree_printf(next, "initstate", "live\n");
		tree_printf(next, "refcnt", "0\n");
	}
	tree_cd(next, "%s", "");
	tree_mkdir(next, "sys/module/vfio_pci");
	tree_printf(next, "proc/modules", "%s", out.text);
}

static void
write_proc(struct tree *next, const struct sim *sim)
{
	auto_free char *boot_id = sim_uuid();

	tree_cd(next, "proc");
	tree_printf(next, "sys/kernel/random/boot_id", "%s\n", boot_id);
	tree_printf(next, "sys/kernel/osrelease", SIM_KERNEL "\n");
	tree_printf(next, "sys/kernel/hostname", "%s\n", sim->name);
	tree_printf(next, "sys/kernel/version", "#123-Ubuntu SMP Mon Jun 10 08:16:17 UTC 2024\n");
	tree_printf(next, "version",
		    "Linux version " SIM_KERNEL " (buildd@build) (gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0, "
		    "GNU ld (GNU Binutils for Ubuntu) 2.38) #123-Ubuntu SMP Mon Jun 10 08:16:17 UTC 2024\n");
	tree_printf(next, "uptime", "5.17 402.88\n");
	tree_printf(next, "mounts",
		    "/dev/nvme0n1p2 / ext4 rw,relatime 0 0\nsysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0\n"
		    "proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n"
		    "hugetlbfs /dev/hugepages hugetlbfs rw,relatime 0 0\n");
	tree_cd(next, "%s", "");
	tree_printf(next, "run/utmp", "%s", "");
}

static void
build(struct tree *tree, struct tree *next, const struct sim *sim, const char *cmdline)
{
	bool nouveau = sim->gpus > 0 && !blacklisted(tree, cmdline, "nouveau");
	struct memory memory;

	tree_printf(next, "proc/cmdline", "%s\n", cmdline);
	write_proc(next, sim);
	machine_write(next, sim);
	memory_init(&memory, sim);
	reserve_pages(&memory, cmdline);
	memory_write(next, &memory, false);
	load_modules(next, sim, cmdline, nouveau);
	bring_up_pci(next, tree, sim, cmdline, nouveau);
}

/* --- one boot ---------------------------------------------------------------------------------- */

static int
put_in_place(const struct sim *sim, struct err *err)
{
	static const char *const names[] = { "sys", "proc", "run" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_free char *made = xasprintf(".sim/next/%s", names[i]);
		int rc = renameat2(sim->fd, made, sim->fd, names[i], RENAME_EXCHANGE);

		if (rc < 0 && errno == ENOENT)
			rc = renameat(sim->fd, made, sim->fd, names[i]);
		if (rc < 0)
			return err_set(err, -errno, "%s/%s: %s", sim->dir, names[i], strerror(errno));
	}
	return 0;
}

static int
build_next(const struct sim *sim, struct tree *tree, const char *cmdline, struct err *err)
{
	struct tree next;

	tree_remove(tree, ".sim/next");
	tree_mkdir(tree, ".sim/next");
	if (tree->rc < 0)
		return tree->rc;
	int rc = tree_open(&next, sim->fd, ".sim/next", err);
	if (rc < 0)
		return rc;
	build(tree, &next, sim, cmdline);
	rc = tree_close(&next);
	return rc < 0 ? rc : put_in_place(sim, err);
}

int
boot(const struct sim *sim, struct err *err)
{
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	auto_free char *cmdline = loader_cmdline(&tree);
	auto_free char *last = tree_read(&tree, ".sim/cmdline");
	const char *used = last && sim_broken(sim, "cmdline-ignored") ? last : cmdline;
	if (!used) {
		(void)tree_close(&tree);
		return err_set(err, -ENOENT, "no bootable entry in /boot/grub/grub.cfg");
	}
	rc = nic_boot(sim, err);
	if (rc == 0)
		rc = build_next(sim, &tree, used, err);
	if (rc == 0) {
		tree_remove(&tree, ".sim/next");
		tree_remove(&tree, ".sim/reboot-request");
		tree_remove(&tree, ".sim/vfs"); /* What VFs were told ended with them. */
		tree_printf(&tree, ".sim/cmdline", "%s\n", used);
		tree_printf(&tree, ".sim/boots", "%llu\n", (unsigned long long)tree_read_u64(&tree, ".sim/boots") + 1);
	}
	int closed = tree_close(&tree);
	if (rc == 0)
		vms_boot(sim);
	return rc < 0 ? rc : closed;
}

bool
boot_happened(const struct sim *sim)
{
	struct stat st;

	return fstatat(sim->fd, "proc/sys/kernel/random/boot_id", &st, 0) == 0;
}
