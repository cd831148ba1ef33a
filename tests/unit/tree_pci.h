#pragma once

/* tree_pci.h - PCI devices in a tree (tree.h), with the configuration space and capabilities that a test asks for. */

#include "tests/unit/tree.h"

#define PCI_DIR  "/sys/bus/pci/devices/"
#define CFG_SIZE 4096

struct cfg {
	uint8_t b[CFG_SIZE];
	unsigned last;     /* Capability whose next pointer is free; 0: none yet. */
	unsigned last_ext; /* The same for extended ones. */
};

static MAY_BE_UNUSED void
cfg16(struct cfg *cfg, unsigned at, unsigned value)
{
	cfg->b[at] = (uint8_t)value;
	cfg->b[at + 1] = (uint8_t)(value >> 8);
}

static MAY_BE_UNUSED struct cfg *
cfg_new(unsigned vendor, unsigned device, unsigned class_code)
{
	struct cfg *cfg = xcalloc(1, sizeof(*cfg));

	cfg16(cfg, 0, vendor);
	cfg16(cfg, 2, device);
	cfg->b[9] = (uint8_t)class_code;
	cfg16(cfg, 10, class_code >> 8);
	cfg16(cfg, 6, 0x0010); /* Status: capability list. */
	return cfg;
}

static MAY_BE_UNUSED void
cfg_bridge(struct cfg *cfg, unsigned primary, unsigned secondary, unsigned subordinate)
{
	cfg->b[0x0e] = 1;
	cfg->b[0x18] = (uint8_t)primary;
	cfg->b[0x19] = (uint8_t)secondary;
	cfg->b[0x1a] = (uint8_t)subordinate;
}

static MAY_BE_UNUSED void
cfg_cap(struct cfg *cfg, unsigned at, unsigned id)
{
	cfg->b[cfg->last ? cfg->last + 1 : 0x34] = (uint8_t)at;
	cfg->b[at] = (uint8_t)id;
	cfg->last = at;
}

/* The PCI Express capability: port type and Device Control. */
static MAY_BE_UNUSED void
cfg_express(struct cfg *cfg, unsigned at, unsigned type, unsigned devctl)
{
	cfg_cap(cfg, at, 0x10);
	cfg16(cfg, at + 2, 2U | type << 4);
	cfg16(cfg, at + 8, devctl);
}

/* Extended capabilities; the first must stand at 0x100. */
static MAY_BE_UNUSED void
cfg_ext(struct cfg *cfg, unsigned at, unsigned id)
{
	if (cfg->last_ext)
		cfg16(cfg, cfg->last_ext + 2, 1U | at << 4);
	cfg16(cfg, at, id);
	cfg16(cfg, at + 2, 1);
	cfg->last_ext = at;
}

static MAY_BE_UNUSED void
cfg_acs(struct cfg *cfg, unsigned at, unsigned can, unsigned control)
{
	cfg_ext(cfg, at, 0x0d);
	cfg16(cfg, at + 4, can);
	cfg16(cfg, at + 6, control);
}

static MAY_BE_UNUSED void
cfg_ats(struct cfg *cfg, unsigned at, unsigned control)
{
	cfg_ext(cfg, at, 0x0f);
	cfg16(cfg, at + 6, control);
}

static MAY_BE_UNUSED void
put_device_file(const char *address, const char *file, const char *text)
{
	auto_free char *path = xasprintf(PCI_DIR "%s/%s", address, file);

	put(path, text);
}

/* Writes the device as the kernel shows it, and frees 'cfg'. */
static MAY_BE_UNUSED void
put_device(const char *address, struct cfg *cfg, int numa_node)
{
	auto_free char *config = xasprintf(PCI_DIR "%s/config", address);
	auto_free char *vendor = xasprintf("0x%02x%02x\n", cfg->b[1], cfg->b[0]);
	auto_free char *device = xasprintf("0x%02x%02x\n", cfg->b[3], cfg->b[2]);
	auto_free char *class_code = xasprintf("0x%02x%02x%02x\n", cfg->b[11], cfg->b[10], cfg->b[9]);
	auto_free char *numa = xasprintf("%d\n", numa_node);

	put_bytes(config, cfg->b, sizeof(cfg->b));
	put_device_file(address, "vendor", vendor);
	put_device_file(address, "device", device);
	put_device_file(address, "class", class_code);
	put_device_file(address, "numa_node", numa);
	put_device_file(address, "irq", "0\n");
	put_device_file(address, "resource", "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
	free(cfg);
}

static MAY_BE_UNUSED unsigned
got16(const char *address, unsigned at)
{
	auto_free char *path = xasprintf("%s" PCI_DIR "%s/config", tree, address);
	uint8_t b[2] = { 0 };
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
	assert_int_equal(fread(b, 1, 2, f), 2);
	(void)fclose(f);
	return b[0] | (unsigned)b[1] << 8;
}

static MAY_BE_UNUSED void
set16(const char *address, unsigned at, unsigned value)
{
	auto_free char *path = xasprintf("%s" PCI_DIR "%s/config", tree, address);
	uint8_t b[2] = { (uint8_t)value, (uint8_t)(value >> 8) };
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
	assert_int_equal(fwrite(b, 1, 2, f), 2);
	(void)fclose(f);
}
