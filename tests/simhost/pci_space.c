/* pci_space.c - configuration space as firmware and kernel leave it after a boot. */

#include <string.h>

#include "tests/simhost/pci.h"

static void
w16(uint8_t *p, unsigned at, unsigned value)
{
	p[at] = (uint8_t)value;
	p[at + 1] = (uint8_t)(value >> 8);
}

static void
w32(uint8_t *p, unsigned at, uint32_t value)
{
	w16(p, at, value & 0xffff);
	w16(p, at + 2, value >> 16);
}

static unsigned
r16(const uint8_t *p, unsigned at)
{
	return p[at] | (unsigned)p[at + 1] << 8;
}

unsigned
pci_space_cap(const uint8_t *space, unsigned id)
{
	unsigned at = space[0x34];

	for (int i = 0; i < 48 && at >= 0x40; i++, at = space[at + 1])
		if (space[at] == id)
			return at;
	return 0;
}

unsigned
pci_space_ext_cap(const uint8_t *space, unsigned id)
{
	unsigned at = 0x100;

	for (int i = 0; i < 64 && at >= 0x100 && r16(space, at) != 0; i++, at = r16(space, at + 2) >> 4)
		if (r16(space, at) == id)
			return at;
	return 0;
}

/* --- capabilities ------------------------------------------------------------------------------ */

static unsigned
device_control(const struct pci_dev *dev, const struct pci_boot *boot)
{
	/* Payload 256 bytes, relaxed ordering, no snoop, extended tags, errors reported; reads of 512 bytes. */
	if (dev->kind->device == 0x101e)
		return 0; /* A VF's sizes are its PF's. */
	if (dev->kind->port != ENDPOINT)
		return 0x2027;
	return pci_is_gdr_nic(dev) && !boot->small_reads ? 0x5937 : 0x2937;
}

static void
express(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t *p)
{
	const struct pci_kind *kind = dev->kind;
	bool port = kind->port == ROOT_PORT || kind->port == DOWNSTREAM;
	bool link = !port || dev->filled;

	w16(p, 2, 2U | (unsigned)kind->port << 4 | (port ? 0x100U : 0U));
	w32(p, 4, 0x00008022U | (kind->port == ENDPOINT ? 1U << 28 : 0U));
	w16(p, 8, device_control(dev, boot));
	w32(p, 0x0c, kind->speed | (uint32_t)kind->width << 4 | (port ? 1U << 20 : 0U) | (uint32_t)dev->slot << 24);
	w16(p, 0x10, 0x0040);
	if (link)
		w16(p, 0x12, kind->speed | (unsigned)kind->width << 4 | 0x1000U | (port ? 0x2000U : 0U));
	if (port) {
		w32(p, 0x14, (uint32_t)(dev->bus * 4U + dev->slot) << 19 | 0x60U);
		w16(p, 0x1a, dev->filled ? 0x0040 : 0x0000);
	}
	w32(p, 0x24, 0x00000812U);
	w32(p, 0x2c, (2U << kind->speed) - 2U);
	w16(p, 0x30, kind->speed);
}

static void
capability(const struct pci_dev *dev, const struct pci_boot *boot, unsigned id, uint8_t *p)
{
	switch (id) {
	case 0x01: /* PM */
		w16(p, 2, 0x0003);
		w16(p, 4, 0x0008);
		break;
	case 0x05: w16(p, 2, 0x0080); break; /* MSI */
	case 0x09: p[2] = 0x18; break;       /* Vendor */
	case 0x0d:                           /* SSVID */
		w16(p, 4, dev->kind->sub_vendor);
		w16(p, 6, dev->kind->sub_device);
		break;
	case 0x10: express(dev, boot, p); break;
	case 0x11: /* MSI-X */
		w16(p, 2, 0x003f);
		w32(p, 4, 0x2000);
		w32(p, 8, 0x3000);
		break;
	default: break;
	}
}

static void
sriov(const struct pci_dev *dev, uint8_t *p)
{
	const struct pci_kind *kind = dev->kind;

	w32(p, 4, 0x00000002);
	w16(p, 8, 0x0010);
	w16(p, 0x0c, kind->total_vfs);
	w16(p, 0x0e, kind->total_vfs);
	w16(p, 0x12, dev->fn);
	w16(p, 0x14, 2U + dev->fn * (kind->total_vfs - 1U));
	w16(p, 0x16, 1);
	w16(p, 0x1a, 0x101e);
	w32(p, 0x1c, 0x553);
	w32(p, 0x20, 1);
	w32(p, 0x24, (uint32_t)dev->base[PCI_VF_BAR] | 0xcU);
	w32(p, 0x28, (uint32_t)(dev->base[PCI_VF_BAR] >> 32));
}

static void
acs(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t *p)
{
	unsigned cap = dev->kind->acs;

	if (boot->no_dt && strcmp(boot->no_dt, dev->address) == 0)
		cap &= ~0x40U;
	w16(p, 4, cap);
	/* The kernel's own choice: SV RR CR UF, where an IOMMU driver asked for it. */
	w16(p, 6, boot->iommu ? cap & 0x1dU : 0);
}

static void
extended(const struct pci_dev *dev, const struct pci_boot *boot, unsigned id, uint8_t *p)
{
	switch (id) {
	case 0x01: w32(p, 8, 0x00400000); break; /* AER: one mask bit */
	case 0x02: w32(p, 0x14, 0x800000ff); break;
	case 0x03: /* Serial number */
		w32(p, 4, 0x00a0d000U | dev->bus);
		w32(p, 8, 0x1070fd03);
		break;
	case 0x0d: acs(dev, boot, p); break;
	case 0x0f: /* ATS: page aligned requests, 32 deep */
		w16(p, 4, 0x0020);
		w16(p, 6, boot->ats ? 0x8000 : 0);
		break;
	case 0x10: sriov(dev, p); break;
	default: break;
	}
}

static unsigned
ext_version(unsigned id)
{
	return id == 0x01 ? 2 : 1;
}

static bool
is_left_out(const struct pci_dev *dev, const struct pci_boot *boot, unsigned id)
{
	return (id == 0x10 && boot->no_sriov) ||
	       (id == 0x0f && pci_is_gdr_nic(dev) && memchr(boot->no_ats, dev->bus, sizeof(boot->no_ats)));
}

static void
capabilities(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t *space)
{
	const struct pci_cap *caps = dev->kind->caps;
	const struct pci_cap *last = NULL;

	if (caps[0].at) {
		w16(space, 0x06, 0x0010);
		space[0x34] = (uint8_t)caps[0].at;
	}
	for (size_t i = 0; i < 6 && caps[i].at; i++) {
		space[caps[i].at] = (uint8_t)caps[i].id;
		space[caps[i].at + 1] = i < 5 ? (uint8_t)caps[i + 1].at : 0;
		capability(dev, boot, caps[i].id, space + caps[i].at);
	}
	for (const struct pci_cap *cap = dev->kind->ext; cap < dev->kind->ext + 8 && cap->at; cap++) {
		if (is_left_out(dev, boot, cap->id))
			continue;
		if (last)
			w16(space, last->at + 2U, ext_version(last->id) | (unsigned)cap->at << 4);
		w16(space, cap->at, cap->id);
		w16(space, cap->at + 2U, ext_version(cap->id));
		extended(dev, boot, cap->id, space + cap->at);
		last = cap;
	}
}

/* --- header ------------------------------------------------------------------------------------ */

static void
bridge_header(const struct pci_dev *dev, uint8_t *space)
{
	const uint64_t *mem = dev->mem_window;
	const uint64_t *pref = dev->pref_window;

	w16(space, 0x04, 0x0547);
	space[0x0c] = 0x10;
	space[0x0e] = dev->multi ? 0x81 : 0x01;
	space[0x3c] = 0xff;
	space[0x3d] = 1;
	space[0x18] = dev->bus;
	space[0x19] = dev->secondary;
	space[0x1a] = dev->subordinate;
	w16(space, 0x1c, 0x00f0);
	w16(space, 0x20, mem[1] ? (unsigned)(mem[0] >> 16) & 0xfff0U : 0xfff0U);
	w16(space, 0x22, mem[1] ? (unsigned)(mem[1] >> 16) & 0xfff0U : 0);
	w16(space, 0x24, (pref[1] ? (unsigned)(pref[0] >> 16) & 0xfff0U : 0xfff0U) | 1U);
	w16(space, 0x26, (pref[1] ? (unsigned)(pref[1] >> 16) & 0xfff0U : 0U) | 1U);
	if (pref[1]) {
		w32(space, 0x28, (uint32_t)(pref[0] >> 32));
		w32(space, 0x2c, (uint32_t)(pref[1] >> 32));
	}
	w16(space, 0x3e, 0x0003);
}

uint64_t
pci_bar(const struct pci_dev *dev, const struct pci_boot *boot, unsigned i)
{
	/* More than a GiB has no place below 4 GiB. */
	return boot->no_4g && dev->kind->bar_mib[i] > 1024 ? 0 : dev->base[i];
}

static void
bars(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t *space)
{
	for (unsigned i = 0; i < 6; i++) {
		bool pref = dev->kind->bar_type[i] == BAR_PREF64;
		uint64_t base = pci_bar(dev, boot, i);

		if (dev->kind->bar_type[i] == BAR_NONE)
			continue;
		w32(space, 0x10 + i * 4, (uint32_t)base | (pref ? 0xcU : 0U));
		if (pref)
			w32(space, 0x14 + i * 4, (uint32_t)(base >> 32));
	}
}

static void
endpoint_header(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t *space)
{
	w16(space, 0x04, 0x0546);
	space[0x0c] = 0x10;
	space[0x0e] = dev->multi ? 0x80 : 0;
	bars(dev, boot, space);
	space[0x3c] = 0xff;
	space[0x3d] = dev->kind->port == NO_EXPRESS ? 0 : 1;
}

void
pci_space(const struct pci_dev *dev, const struct pci_boot *boot, uint8_t out[PCI_SPACE])
{
	const struct pci_kind *kind = dev->kind;
	bool vf = kind->device == 0x101e;

	memset(out, 0, PCI_SPACE);
	/* A VF has no ids and no BARs of its own: the kernel makes them up from its PF. */
	w16(out, 0x00, vf ? 0xffff : kind->vendor);
	w16(out, 0x02, vf ? 0xffff : kind->device);
	out[0x08] = kind->revision;
	out[0x09] = (uint8_t)kind->class_code;
	out[0x0a] = (uint8_t)(kind->class_code >> 8);
	out[0x0b] = (uint8_t)(kind->class_code >> 16);
	if (vf)
		w16(out, 0x04, 0x0004);
	else if (pci_is_bridge(dev))
		bridge_header(dev, out);
	else
		endpoint_header(dev, boot, out);
	if (!pci_is_bridge(dev)) {
		w16(out, 0x2c, kind->sub_vendor);
		w16(out, 0x2e, kind->sub_device);
	}
	capabilities(dev, boot, out);
}
