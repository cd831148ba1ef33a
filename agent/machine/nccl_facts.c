#include "agent/machine/nccl_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

struct nccl_facts {
	struct nccltopo_facts facts;
	struct nccltopo_device *devices;
	struct nccltopo_hca *hcas;
	char **gpus;
	char *online;
	char *nodes;
};

static char *
line_of(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read_line(host, path, &text, &ignored);
	return text;
}

static const char *
last_component(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void
read_devices(struct nccl_facts *out, const Gdr__Inventory *inventory)
{
	if (inventory->n_pci == 0)
		return;
	out->devices = xcalloc(inventory->n_pci, sizeof(*out->devices));
	for (size_t i = 0; i < inventory->n_pci; i++) {
		const Gdr__PciDevice *device = inventory->pci[i];

		(void)snprintf(out->devices[i].address, sizeof(out->devices[i].address), "%s", device->address);
		out->devices[i].class = device->class_code;
		out->devices[i].device = (uint16_t)device->device;
		out->devices[i].numa_node = device->has_numa_node ? device->numa_node : -1;
		out->devices[i].vf = device->physfn != NULL;
	}
	out->facts.devices = out->devices;
	out->facts.n_devices = inventory->n_pci;
}

/* "100 Gb/sec (4X EDR)" in Mb/s; 0: not known. */
static unsigned
read_rate(struct host *host, const char *hca)
{
	auto_free char *path = xasprintf("%s/ports/1/rate", hca);
	auto_free char *text = line_of(host, path);
	double gbits = text ? strtod(text, NULL) : 0;

	return gbits > 0 && gbits < 1e6 ? (unsigned)(gbits * 1000) : 0;
}

static void
read_hcas(struct nccl_facts *out, struct host *host)
{
	auto_strv char **paths = host_glob(host, "/sys/class/infiniband/*");
	size_t n = 0;

	while (paths[n])
		n++;
	out->hcas = xcalloc(n + 1, sizeof(*out->hcas));
	for (size_t i = 0; i < n; i++) {
		struct nccltopo_hca *hca = &out->hcas[i];
		auto_free char *link = xasprintf("%s/device", paths[i]);
		auto_free char *address = host_link_name(host, link);

		(void)snprintf(hca->name, sizeof(hca->name), "%s", last_component(paths[i]));
		(void)snprintf(hca->address, sizeof(hca->address), "%s", address ? address : "");
		hca->mbps = read_rate(host, paths[i]);
	}
	if (host_exists(host, "/sys/class/infiniband"))
		out->facts.hcas = out->hcas;
	out->facts.n_hcas = n;
}

/* As the driver has them, which is what NCCL asks; without the driver nothing is known. */
static void
read_gpus(struct nccl_facts *out, struct host *host)
{
	out->gpus = host_glob(host, "/proc/driver/nvidia/gpus/*");
	for (char **gpu = out->gpus; *gpu; gpu++) {
		char *address = xstrdup(last_component(*gpu));

		free(*gpu);
		*gpu = address;
	}
	if (*out->gpus)
		out->facts.gpus = (const char *const *)out->gpus;
}

/* "libnccl.so.2.18.3" */
static unsigned
read_version(struct host *host)
{
	static const char *const patterns[] = { "/usr/lib/*-linux-gnu/libnccl.so.2.*", "/usr/lib64/libnccl.so.2.*",
						"/usr/local/lib/libnccl.so.2.*" };
	unsigned version = 0;

	for (size_t i = 0; version == 0 && i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		auto_strv char **paths = host_glob(host, patterns[i]);

		for (char **path = paths; *path && version == 0; path++)
			(void)nccltopo_version(strstr(*path, ".so.") + strlen(".so."), &version);
	}
	return version;
}

/* The first line of a name counts to NCCL, and it must fit to the letter. */
static bool
read_merge_off(struct host *host)
{
	static const char name[] = "NCCL_IB_MERGE_VFS=";
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(host, "/etc/nccl.conf", &text, NULL, &ignored);
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			return strtol(line + strlen(name), NULL, 0) == 0;
	return false;
}

struct nccl_facts *
nccl_facts_read(struct host *host, const Gdr__Inventory *inventory)
{
	struct nccl_facts *out = xcalloc(1, sizeof(*out));

	read_devices(out, inventory);
	read_hcas(out, host);
	read_gpus(out, host);
	out->online = line_of(host, "/sys/devices/system/cpu/online");
	out->nodes = line_of(host, "/sys/devices/system/node/online");
	out->facts.online = out->online;
	out->facts.nodes = out->nodes;
	out->facts.nccl = read_version(host);
	out->facts.merge_vfs_off = read_merge_off(host);
	return out;
}

const struct nccltopo_facts *
nccl_facts_get(const struct nccl_facts *facts)
{
	return &facts->facts;
}

void
nccl_facts_free(struct nccl_facts *facts)
{
	if (!facts)
		return;
	mem_strv_p(&facts->gpus);
	free(facts->hcas);
	free(facts->devices);
	free(facts->online);
	free(facts->nodes);
	free(facts);
}
