/* pci_model.c - which devices there are, where they sit, and where their memory is. */

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/sim.h"

#define GIB 1024U /* In MiB. */

/* Capability ids: PM 1, VPD 3, MSI 5, vendor 9, SSVID 0xd, Express 0x10, MSI-X 0x11; extended: AER 1, VC 2,
 * serial number 3, ACS 0xd, ARI 0xe, ATS 0xf, SR-IOV 0x10, LTR 0x18, secondary PCIe 0x19. */

static const struct pci_kind mesh = { 0x8086, 0x09a2, 0x8086, 0x0000, 0x088000, 0x04, .port = NO_EXPRESS };
static const struct pci_kind lpc = { 0x8086, 0xa1c3, 0x15d9, 0x1b96, 0x060100, 0x0a, .port = NO_EXPRESS };
static const struct pci_kind sata = {
	0x8086,
	0xa182,
	0x15d9,
	0x1b96,
	0x010601,
	0x0a,
	.port = NO_EXPRESS,
	.driver = "ahci",
	.caps = { { 5, 0x80 }, { 1, 0x70 } },
	.bar_type = { BAR_MEM32 },
	.bar_mib = { 1 },
};
static const struct pci_kind pch_port = {
	0x8086,
	0xa190,
	0x15d9,
	0x1b96,
	0x060400,
	0xfa,
	.port = ROOT_PORT,
	.speed = 3,
	.width = 4,
	.driver = "pcieport",
	.caps = { { 0x10, 0x40 }, { 5, 0x80 }, { 0xd, 0x90 }, { 1, 0xa0 } },
	.ext = { { 1, 0x100 } },
};
static const struct pci_kind bmc_bridge = {
	0x1a03,
	0x1150,
	0x1a03,
	0x1150,
	0x060400,
	0x04,
	.port = TO_PCI,
	.speed = 1,
	.width = 1,
	.caps = { { 5, 0x50 }, { 1, 0x78 }, { 0x10, 0x80 }, { 0xd, 0xc0 } },
	.ext = { { 2, 0x100 } },
};
static const struct pci_kind bmc_vga = {
	0x1a03,
	0x2000,
	0x15d9,
	0x1b96,
	0x030000,
	0x41,
	.port = NO_EXPRESS,
	.driver = "ast",
	.caps = { { 1, 0x40 } },
	.bar_type = { BAR_MEM32, BAR_MEM32 },
	.bar_mib = { 16, 1 },
};
static const struct pci_kind x550 = {
	0x8086,
	0x1563,
	0x15d9,
	0x1563,
	0x020000,
	0x01,
	.port = ENDPOINT,
	.speed = 3,
	.width = 4,
	.driver = "ixgbe",
	.caps = { { 1, 0x40 }, { 5, 0x50 }, { 0x11, 0x70 }, { 0x10, 0xa0 } },
	.ext = { { 1, 0x100 }, { 3, 0x140 }, { 0xe, 0x150 }, { 0xd, 0x1b0 } },
	.bar_type = { BAR_PREF64 },
	.bar_mib = { 4 },
};
static const struct pci_kind nvme = {
	0x144d,
	0xa80a,
	0x144d,
	0xa812,
	0x010802,
	0x00,
	.port = ENDPOINT,
	.speed = 4,
	.width = 4,
	.driver = "nvme",
	.caps = { { 1, 0x40 }, { 5, 0x50 }, { 0x10, 0x70 }, { 0x11, 0xb0 } },
	.ext = { { 1, 0x100 }, { 3, 0x148 }, { 0x19, 0x168 } },
	.bar_type = { BAR_PREF64 },
	.bar_mib = { 1 },
};
static const struct pci_kind root_port = {
	0x8086,
	0x347a,
	0x8086,
	0x0000,
	0x060400,
	0x04,
	.port = ROOT_PORT,
	.speed = 4,
	.width = 16,
	.acs = 0x5f,
	.driver = "pcieport",
	.caps = { { 0x10, 0x40 }, { 1, 0x80 }, { 0xd, 0x88 }, { 5, 0x90 } },
	.ext = { { 1, 0x100 }, { 0xd, 0x148 }, { 0x19, 0x250 } },
};
static const struct pci_kind switch_up = {
	0x1000,
	0xc010,
	0x1000,
	0x100b,
	0x060400,
	0xb0,
	.port = UPSTREAM,
	.speed = 4,
	.width = 16,
	.driver = "pcieport",
	.caps = { { 1, 0x40 }, { 5, 0x48 }, { 0x10, 0x68 }, { 0xd, 0xa4 } },
	.ext = { { 3, 0x100 }, { 1, 0x1b4 }, { 0x19, 0x4c0 } },
};
static const struct pci_kind switch_down = {
	0x1000,
	0xc010,
	0x1000,
	0x100b,
	0x060400,
	0xb0,
	.port = DOWNSTREAM,
	.speed = 4,
	.width = 16,
	.acs = 0x5f,
	.driver = "pcieport",
	.caps = { { 1, 0x40 }, { 5, 0x48 }, { 0x10, 0x68 }, { 0xd, 0xa4 } },
	.ext = { { 3, 0x100 }, { 1, 0x1b4 }, { 0x19, 0x4c0 }, { 0xd, 0x520 } },
};
static const struct pci_kind a100 = {
	0x10de,
	0x20b2,
	0x10de,
	0x1463,
	0x030200,
	0xa1,
	.port = ENDPOINT,
	.speed = 4,
	.width = 16,
	.driver = "nouveau",
	.caps = { { 1, 0x60 }, { 5, 0x68 }, { 0x10, 0x78 }, { 0x11, 0xc8 } },
	.ext = { { 2, 0x100 }, { 0x18, 0x250 }, { 1, 0x420 }, { 0x19, 0x900 }, { 0xf, 0xe14 } },
	.bar_type = { BAR_MEM32, BAR_PREF64, BAR_NONE, BAR_PREF64 },
	.bar_mib = { 16, 128 * GIB, 0, 32 },
};
static const struct pci_kind nvswitch = {
	0x10de,
	0x1af1,
	0x10de,
	0x1af1,
	0x068000,
	0xa1,
	.port = ENDPOINT,
	.speed = 4,
	.width = 2,
	.caps = { { 1, 0x60 }, { 5, 0x68 }, { 0x10, 0x78 }, { 0x11, 0xc8 } },
	.ext = { { 2, 0x100 }, { 0x18, 0x250 }, { 1, 0x420 }, { 0x19, 0x900 } },
	.bar_type = { BAR_MEM32 },
	.bar_mib = { 16 },
};
static const struct pci_kind cx6dx = {
	0x15b3,
	0x101d,
	0x15b3,
	0x0058,
	0x020000,
	0x00,
	.port = ENDPOINT,
	.speed = 4,
	.width = 16,
	.total_vfs = 8,
	.driver = "mlx5_core",
	.caps = { { 0x10, 0x60 }, { 3, 0x48 }, { 0x11, 0x9c }, { 9, 0xc0 }, { 1, 0x40 } },
	.ext = { { 1, 0x100 }, { 0xe, 0x150 }, { 0x10, 0x180 }, { 0x19, 0x1c0 }, { 0xd, 0x230 }, { 0xf, 0x260 } },
	.bar_type = { BAR_PREF64 },
	.bar_mib = { 32 },
	.vf_bar_mib = 1,
};
static const struct pci_kind cx6dx_vf = {
	0x15b3,
	0x101e,
	0x15b3,
	0x0058,
	0x020000,
	0x00,
	.port = ENDPOINT,
	.speed = 0,
	.width = 0,
	.driver = "mlx5_core",
	.caps = { { 0x10, 0x60 }, { 0x11, 0x9c } },
	.ext = { { 0xe, 0x100 }, { 0xf, 0x150 } },
	.bar_type = { BAR_PREF64 },
	.bar_mib = { 1 },
};

bool
pci_is_gpu(const struct pci_dev *dev)
{
	return dev->kind == &a100;
}

bool
pci_is_gdr_nic(const struct pci_dev *dev)
{
	return dev->kind == &cx6dx || dev->kind == &cx6dx_vf;
}

bool
pci_is_bridge(const struct pci_dev *dev)
{
	return dev->kind->class_code == 0x060400;
}

struct pci_dev *
pci_model_find(struct pci_model *model, const char *address)
{
	for (size_t i = 0; i < model->n; i++)
		if (strcmp(model->devs[i].address, address) == 0)
			return &model->devs[i];
	return NULL;
}

const char *
pci_model_gdr_port(const struct pci_model *model)
{
	for (size_t i = 0; i < model->n; i++)
		if (model->devs[i].kind == &switch_down && model->devs[i].filled)
			return model->devs[i].address;
	return "0000:3c:00.0";
}

/* --- what is where ----------------------------------------------------------------------------- */

static struct pci_dev *
add(struct pci_model *model, const struct pci_kind *kind, unsigned bus, unsigned slot, unsigned fn)
{
	struct pci_dev *dev = &model->devs[model->n];

	*dev = (struct pci_dev){ .kind = kind, .bus = (uint8_t)bus, .slot = (uint8_t)slot, .fn = (uint8_t)fn };
	dev->parent = -1;
	dev->root_bus = dev->bus;
	dev->numa = bus < 0x80 ? 0 : 1;
	(void)snprintf(dev->address, sizeof(dev->address), "0000:%02x:%02x.%x", bus, slot, fn);
	for (size_t i = 0; i < model->n; i++)
		if (pci_is_bridge(&model->devs[i]) && model->devs[i].secondary == bus) {
			dev->parent = (int)i;
			dev->root_bus = model->devs[i].root_bus;
			model->devs[i].filled = true;
		}
	auto_free char *above = dev->parent < 0 ? xasprintf("sys/devices/pci0000:%02x", bus)
						: xstrdup(model->devs[dev->parent].path);
	auto_free char *path = xasprintf("%s/%s", above, dev->address);
	(void)snprintf(dev->path, sizeof(dev->path), "%s", path);
	model->n++;
	return dev;
}

static void
add_bridge(struct pci_model *model, const struct pci_kind *kind, unsigned bus, unsigned slot, unsigned fn,
	   const uint8_t buses[2])
{
	struct pci_dev *dev = add(model, kind, bus, slot, fn);

	dev->secondary = buses[0];
	dev->subordinate = buses[1];
}

#define BUSES(first, last) ((const uint8_t[]){ (uint8_t)(first), (uint8_t)(last) })

/* Platform devices: PCH with BMC and management NIC. */
static void
add_platform(struct pci_model *model)
{
	add(model, &mesh, 0x00, 0x00, 0);
	add(model, &sata, 0x00, 0x17, 0);
	add_bridge(model, &pch_port, 0x00, 0x1c, 0, BUSES(0x01, 0x02));
	add_bridge(model, &pch_port, 0x00, 0x1c, 4, BUSES(0x03, 0x03));
	add(model, &lpc, 0x00, 0x1f, 0);
	add_bridge(model, &bmc_bridge, 0x01, 0x00, 0, BUSES(0x02, 0x02));
	add(model, &bmc_vga, 0x02, 0x00, 0);
	add(model, &x550, 0x03, 0x00, 0);
	add(model, &x550, 0x03, 0x00, 1);
}

static void
add_nvme(struct pci_model *model, unsigned root)
{
	add(model, &mesh, root, 0x00, 0);
	add_bridge(model, &root_port, root, 0x02, 0, BUSES(root + 1, root + 1));
	add_bridge(model, &root_port, root, 0x03, 0, BUSES(root + 2, root + 2));
	add(model, &nvme, root + 1, 0x00, 0);
	add(model, &nvme, root + 2, 0x00, 0);
}

/* Root port, switch, and below it two GPUs and a NIC with two ports, or empty slots. */
static void
add_group(struct pci_model *model, unsigned root, unsigned gpus, bool nic)
{
	add(model, &mesh, root, 0x00, 0);
	add_bridge(model, &root_port, root, 0x02, 0, BUSES(root + 1, root + 5));
	add_bridge(model, &switch_up, root + 1, 0x00, 0, BUSES(root + 2, root + 5));
	for (unsigned port = 0; port < 3; port++)
		add_bridge(model, &switch_down, root + 2, port * 4, 0, BUSES(root + 3 + port, root + 3 + port));
	for (unsigned i = 0; i < gpus; i++)
		add(model, &a100, root + 3 + i, 0x00, 0);
	for (unsigned fn = 0; nic && fn < 2; fn++)
		add(model, &cx6dx, root + 5, 0x00, fn);
}

static void
add_nvswitches(struct pci_model *model, unsigned root, unsigned n)
{
	add(model, &mesh, root, 0x00, 0);
	add_bridge(model, &root_port, root, 0x02, 0, BUSES(root + 1, root + 2 + n));
	add_bridge(model, &switch_up, root + 1, 0x00, 0, BUSES(root + 2, root + 2 + n));
	for (unsigned i = 0; i < n; i++)
		add_bridge(model, &switch_down, root + 2, i, 0, BUSES(root + 3 + i, root + 3 + i));
	for (unsigned i = 0; i < n; i++)
		add(model, &nvswitch, root + 3 + i, 0x00, 0);
}

/* --- memory: every root bus has a window below and one above 4 GiB ----------------------------- */

struct room {
	uint64_t mem32, pref64;
};

static uint64_t
take(uint64_t *next, uint64_t size)
{
	uint64_t align = size < (1U << 20) ? 1U << 20 : size;
	uint64_t at = (*next + align - 1) / align * align;

	*next = at + align;
	return at;
}

static void
widen(uint64_t window[2], uint64_t first, uint64_t last)
{
	if (window[1] == 0 || first < window[0])
		window[0] = first;
	if (last > window[1])
		window[1] = last;
}

static void
widen_bridges(struct pci_model *model, const struct pci_dev *dev, bool pref, uint64_t first, uint64_t size)
{
	for (int up = dev->parent; up >= 0; up = model->devs[up].parent) {
		struct pci_dev *bridge = &model->devs[up];

		widen(pref ? bridge->pref_window : bridge->mem_window, first, first + size - 1);
	}
}

static void
place(struct pci_model *model, struct pci_dev *dev, struct room *room)
{
	for (unsigned i = 0; i < 6; i++) {
		uint64_t size = (uint64_t)dev->kind->bar_mib[i] << 20;
		bool pref = dev->kind->bar_type[i] == BAR_PREF64;

		if (dev->kind->bar_type[i] == BAR_NONE)
			continue;
		dev->base[i] = take(pref ? &room->pref64 : &room->mem32, size);
		widen_bridges(model, dev, pref, dev->base[i], size);
	}
	if (dev->kind->total_vfs) {
		uint64_t size = ((uint64_t)dev->kind->vf_bar_mib << 20) * dev->kind->total_vfs;

		dev->base[PCI_VF_BAR] = take(&room->pref64, size);
		widen_bridges(model, dev, true, dev->base[PCI_VF_BAR], size);
	}
}

static void
place_all(struct pci_model *model)
{
	struct room room = { 0 };
	int root = -1;
	uint64_t n = 0;

	for (size_t i = 0; i < model->n; i++) {
		struct pci_dev *dev = &model->devs[i];

		if (dev->root_bus != root) {
			root = dev->root_bus;
			room.mem32 = 0x90000000U + n * 0x0c000000U;
			room.pref64 = 0x200000000000U + n * 0x10000000000U;
			n++;
		}
		place(model, dev, &room);
	}
}

/* Functions of one slot; each device has at most a few neighbours on its bus. */
static void
mark_multi(struct pci_model *model)
{
	for (size_t i = 0; i < model->n * model->n; i++) {
		struct pci_dev *a = &model->devs[i / model->n];
		const struct pci_dev *b = &model->devs[i % model->n];

		if (a != b && a->bus == b->bus && a->slot == b->slot)
			a->multi = true;
	}
}

void
pci_model_build(struct pci_model *model, const struct sim *sim)
{
	static const unsigned roots[4] = { 0x3a, 0x5d, 0x8e, 0xc7 };
	/* With two NICs, one at each socket. */
	static const unsigned nic_order[4] = { 0, 2, 1, 3 };
	bool nic[4] = { false };

	for (unsigned i = 0; i < sim->nics && i < 4; i++)
		nic[nic_order[i]] = true;
	model->n = 0;
	add_platform(model);
	add_nvme(model, 0x16);
	for (unsigned i = 0; i < 4; i++) {
		unsigned left = sim->gpus > i * 2 ? sim->gpus - i * 2 : 0;

		if (i == 2)
			add_nvme(model, 0x80);
		if (i == 3 && sim->gpus > 4)
			add_nvswitches(model, 0xb4, 6);
		add_group(model, roots[i], left > 2 ? 2 : left, nic[i]);
	}
	mark_multi(model);
	place_all(model);
}

/* The first PF's VFs follow the PFs, the second PF's follow those: with 8 each 00.2 and 01.2 are the first. */
void
pci_model_vf(const struct pci_dev *pf, unsigned index, struct pci_dev *out)
{
	unsigned total = pf->kind->total_vfs;
	unsigned devfn = pf->slot * 8U + pf->fn + 2 + pf->fn * (total - 1) + index;
	auto_free char *above = xasprintf("%.*s", (int)(strrchr(pf->path, '/') - pf->path), pf->path);

	*out = *pf;
	out->kind = &cx6dx_vf;
	out->slot = (uint8_t)(devfn / 8);
	out->fn = (uint8_t)(devfn % 8);
	out->multi = true;
	memset(out->base, 0, sizeof(out->base));
	out->base[0] = pf->base[PCI_VF_BAR] + ((uint64_t)pf->kind->vf_bar_mib << 20) * index;
	(void)snprintf(out->address, sizeof(out->address), "0000:%02x:%02x.%x", out->bus, out->slot, out->fn);
	auto_free char *path = xasprintf("%s/%s", above, out->address);
	(void)snprintf(out->path, sizeof(out->path), "%s", path);
}
