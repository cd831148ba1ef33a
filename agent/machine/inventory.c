#include "agent/machine/inventory.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory_internal.h"
#include "common/err.h"
#include "common/mem.h"

#define NODES "/sys/devices/system/node"

/* --- text -------------------------------------------------------------------------------------------- */

static char *
unquoted(const char *text, size_t len)
{
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
		text++;
		len -= 2;
	}
	char *out = xcalloc(len + 1, 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len)
			i++;
		if ((unsigned char)text[i] >= ' ')
			out[n++] = text[i];
	}
	return out;
}

/* What stands after "KEY<blanks>:" or "KEY=" at the beginning of the line, or NULL. */
static const char *
after_key(const char *line, const char *key)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0)
		return NULL;
	line += len;
	line += strspn(line, " \t");
	if (*line != ':' && *line != '=')
		return NULL;
	line++;
	return line + strspn(line, " \t");
}

char *
inventory_field(const char *text, const char *key)
{
	for (const char *line = text; *line; line += strspn(line, "\n")) {
		const char *value = after_key(line, key);
		if (value)
			return unquoted(value, strcspn(value, "\n"));
		line += strcspn(line, "\n");
	}
	return NULL;
}

static uint64_t
kilobytes(const char *text, const char *key)
{
	auto_free char *value = inventory_field(text, key);
	unsigned long long kb = value ? strtoull(value, NULL, 10) : 0;

	return kb > UINT64_MAX / 1024 ? 0 : kb * 1024;
}

/* The text of a small file, without control characters, or NULL. */
static char *
line_of(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read_line(host, path, &text, &ignored);
	for (char *p = text; p && *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	return text;
}

static char *
text_of(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	return text ? text : xstrdup("");
}

/* --- the machine ------------------------------------------------------------------------------------- */

static void
read_cpu(const char *cpuinfo, Gdr__Inventory *out)
{
	uint32_t cpus = 0;

	out->cpu_vendor = inventory_field(cpuinfo, "vendor_id");
	out->cpu_model = inventory_field(cpuinfo, "model name");
	for (const char *p = cpuinfo; (p = strstr(p, "processor")); p++)
		if ((p == cpuinfo || p[-1] == '\n') && strchr(" \t:", p[strlen("processor")]))
			cpus++;
	out->has_cpus = true;
	out->cpus = cpus;
}

/* "46 bits physical, 57 bits virtual" */
static void
read_phys_bits(const char *cpuinfo, Gdr__Inventory *out)
{
	auto_free char *sizes = inventory_field(cpuinfo, "address sizes");
	unsigned long bits = sizes ? strtoul(sizes, NULL, 10) : 0;

	out->has_phys_bits = bits >= 32 && bits < 64;
	out->phys_bits = out->has_phys_bits ? (uint32_t)bits : 0;
}

static void
read_memory(struct host *host, Gdr__Inventory *out)
{
	auto_free char *meminfo = text_of(host, "/proc/meminfo");

	out->memory = kilobytes(meminfo, "MemTotal");
	out->has_memory = out->memory > 0;
}

static void
add_pages(struct host *host, const char *folder, Gdr__NumaNode *node)
{
	auto_free char *total = xasprintf("%s/nr_hugepages", folder);
	auto_free char *idle = xasprintf("%s/free_hugepages", folder);
	Gdr__HugePages *pages = xcalloc(1, sizeof(*pages));
	struct err ignored;

	gdr__huge_pages__init(pages);
	pages->has_size = true;
	pages->size = (uint64_t)strtoull(strrchr(folder, '-') + 1, NULL, 10) * 1024;
	pages->has_total = host_read_u64(host, total, &pages->total, &ignored) == 0;
	pages->has_free = host_read_u64(host, idle, &pages->free, &ignored) == 0;
	node->hugepages = xrealloc(node->hugepages, node->n_hugepages + 1, sizeof(Gdr__HugePages *));
	node->hugepages[node->n_hugepages++] = pages;
}

static void
read_pages(struct host *host, const char *path, Gdr__NumaNode *node)
{
	auto_free char *pattern = xasprintf("%s/hugepages/hugepages-*kB", path);
	auto_strv char **folders = host_glob(host, pattern);

	for (char **folder = folders; *folder; folder++)
		add_pages(host, *folder, node);
}

/* "10 20 20 20" */
static void
read_distance(struct host *host, const char *path, Gdr__NumaNode *node)
{
	auto_free char *file = xasprintf("%s/distance", path);
	auto_free char *line = line_of(host, file);
	char *end = line;

	for (const char *p = line; p && *p; p = end) {
		unsigned long distance = strtoul(p, &end, 10);
		if (end == p)
			return;
		node->distance = xrealloc(node->distance, node->n_distance + 1, sizeof(uint32_t));
		node->distance[node->n_distance++] = (uint32_t)distance;
	}
}

static void
read_numa(struct host *host, Gdr__Inventory *out)
{
	auto_strv char **nodes = host_glob(host, NODES "/node[0-9]*");

	for (char **path = nodes; *path; path++) {
		Gdr__NumaNode *node = xcalloc(1, sizeof(*node));
		char *end;

		gdr__numa_node__init(node);
		node->has_id = true;
		node->id = (uint32_t)strtoul(*path + strlen(NODES "/node"), &end, 10);
		auto_free char *cpulist = xasprintf("%s/cpulist", *path);
		auto_free char *meminfo = xasprintf("%s/meminfo", *path);
		auto_free char *text = text_of(host, meminfo);
		auto_free char *key = xasprintf("Node %u MemTotal", node->id);
		node->cpulist = line_of(host, cpulist);
		node->memory = kilobytes(text, key);
		node->has_memory = true;
		read_pages(host, *path, node);
		read_distance(host, *path, node);
		out->numa = xrealloc(out->numa, out->n_numa + 1, sizeof(Gdr__NumaNode *));
		out->numa[out->n_numa++] = node;
	}
}

int
inventory_read(struct host *host, struct pci *pci, Gdr__Inventory **out, struct err *err)
{
	auto_free char *cpuinfo = NULL;
	int rc = host_read(host, "/proc/cpuinfo", &cpuinfo, NULL, err);

	if (!cpuinfo)
		return rc;
	auto_free char *release = text_of(host, "/etc/os-release");
	Gdr__Inventory *inventory = xcalloc(1, sizeof(*inventory));
	gdr__inventory__init(inventory);
	read_cpu(cpuinfo, inventory);
	read_phys_bits(cpuinfo, inventory);
	read_memory(host, inventory);
	read_numa(host, inventory);
	inventory->hostname = line_of(host, "/proc/sys/kernel/hostname");
	inventory->kernel = line_of(host, "/proc/sys/kernel/osrelease");
	inventory->os = inventory_field(release, "PRETTY_NAME");
	inventory->bios_vendor = line_of(host, "/sys/class/dmi/id/bios_vendor");
	inventory->bios_version = line_of(host, "/sys/class/dmi/id/bios_version");
	inventory->product = line_of(host, "/sys/class/dmi/id/product_name");
	inventory->product_uuid = line_of(host, "/sys/class/dmi/id/product_uuid");
	if (pci)
		inventory_read_pci(host, pci, inventory);
	*out = inventory;
	return 0;
}

void
inventory_free(Gdr__Inventory *inventory)
{
	if (inventory)
		gdr__inventory__free_unpacked(inventory, NULL);
}
