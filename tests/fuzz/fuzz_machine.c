/* Links: agent */

/* fuzz_machine.c - a machine whose files hold anything: the input, cut at NULs, is cpuinfo, os-release, the command
 * line, grub.cfg, what we recorded, /proc/modules and a device's resources; everything that reads them does so. */

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/layer.h"
#include "agent/machine/bootloader.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct layer layer_bios;
extern const struct layer layer_kernel;
extern const struct layer layer_pci;

#define GPU "/sys/bus/pci/devices/0000:19:00.0/"

static const char *const files[] = {
	"/proc/cpuinfo",
	"/etc/os-release",
	"/proc/cmdline",
	"/boot/grub/grub.cfg",
	"/etc/default/grub.d/gdrfleet.cfg",
	"/proc/modules",
	GPU "resource",
	"/sys/devices/system/node/node0/meminfo",
	GPU "config",
};
#define N_FILES (sizeof(files) / sizeof(files[0]))

static char root[] = "/tmp/gdr-fuzz-XXXXXX";
static struct host *host;

static void
put(const char *path, const void *data, size_t size)
{
	auto_free char *real = xasprintf("%s%s", root, path);

	for (char *p = real + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(real, 0755);
		*p = '/';
	}
	FILE *f = fopen(real, "w");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

static int
drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void
drop_root(void)
{
	(void)nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void
start(void)
{
	static Gdr__AgentConfig__ToolsEntry entry = GDR__AGENT_CONFIG__TOOLS_ENTRY__INIT;
	static Gdr__AgentConfig__ToolsEntry *entries[] = { &entry };
	static Gdr__AgentConfig config = GDR__AGENT_CONFIG__INIT;
	static char name[] = "update-grub";
	static char path[] = "/bin/true";

	if (!mkdtemp(root))
		abort();
	(void)atexit(drop_root);
	entry.key = name;
	entry.value = path;
	config.tools = entries;
	config.n_tools = 1;
	host = host_open(root, &config);
	put("/etc/default/grub", "", 0);
	put(GPU "vendor", "0x10de\n", 7);
	put(GPU "device", "0x20b0\n", 7);
	put(GPU "class", "0x030200\n", 9);
}

static void
look(struct pci *pci)
{
	static char blacklist[] = "nouveau";
	static char *blacklists[] = { blacklist };
	Gdr__Spec spec = GDR__SPEC__INIT;
	Gdr__BiosSpec bios = GDR__BIOS_SPEC__INIT;
	Gdr__KernelSpec kernel = GDR__KERNEL_SPEC__INIT;
	Gdr__VfioSpec vfio = GDR__VFIO_SPEC__INIT;
	Gdr__HugepagesSpec pages = GDR__HUGEPAGES_SPEC__INIT;
	Gdr__PciRule rule = GDR__PCI_RULE__INIT;
	Gdr__PciRule *rules[] = { &rule };
	Gdr__Inventory *inventory = NULL;
	struct report report = { 0 };
	struct err err = { 0 };

	if (inventory_read(host, pci, &inventory, &err) < 0)
		return;
	struct machine machine = { .host = host, .pci = pci, .inventory = inventory };
	spec.bios = &bios;
	bios.has_virtualization = bios.virtualization = bios.has_above_4g = bios.above_4g = true;
	spec.kernel = &kernel;
	kernel.has_iommu = true;
	kernel.iommu = GDR__IOMMU__IOMMU_PASSTHROUGH;
	kernel.vfio = &vfio;
	vfio.has_gpus = vfio.gpus = true;
	kernel.blacklist = blacklists;
	kernel.n_blacklist = 1;
	spec.hugepages = &pages;
	pages.has_size = pages.has_count = true;
	pages.size = 1U << 30;
	pages.count = 7;
	spec.pci = rules;
	spec.n_pci = 1;
	rule.has_match = true;
	rule.match = GDR__PCI_MATCH__MATCH_GPUS;
	rule.has_ats = rule.ats = true;
	rule.has_max_read_request = true;
	rule.max_read_request = 4096;
	(void)layer_bios.inspect(&machine, &spec, &report, &err);
	(void)layer_kernel.inspect(&machine, &spec, &report, &err);
	(void)layer_pci.inspect(&machine, &spec, &report, &err);
	report_free(&report);
	inventory_free(inventory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pci *pci = NULL;
	struct err err = { 0 };

	if (!host)
		start();
	for (size_t i = 0; i < N_FILES; i++) {
		const uint8_t *end = i + 1 < N_FILES && size ? memchr(data, '\0', size) : NULL;
		size_t len = end ? (size_t)(end - data) : size;
		put(files[i], data, len);
		data += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
	(void)pci_open(host, &pci, &err);
	look(pci);
	pci_close(pci);
	return 0;
}
