#pragma once

/* vm_host.h - hosts for the tests of VM plans: nodes, switches and devices as an inventory shows them. */

#include <stdio.h>

#include "agent/machine/inventory.h"
#include "agent/vm/plan.h"
#include "common/mem.h"

#define GIB           (UINT64_C(1) << 30)
#define MAY_BE_UNUSED __attribute__((unused))

static MAY_BE_UNUSED Gdr__Inventory *
host_new(unsigned phys_bits)
{
	Gdr__Inventory *inventory = xcalloc(1, sizeof(*inventory));

	gdr__inventory__init(inventory);
	inventory->has_phys_bits = phys_bits != 0;
	inventory->phys_bits = phys_bits;
	return inventory;
}

/* 'distances' as sysfs has them: "10 20". */
static MAY_BE_UNUSED void
host_node(Gdr__Inventory *inventory, const char *cpulist, uint64_t gib, const char *distances)
{
	Gdr__NumaNode *node = xcalloc(1, sizeof(*node));
	char *end;

	gdr__numa_node__init(node);
	node->has_id = node->has_memory = true;
	node->id = (uint32_t)inventory->n_numa;
	node->cpulist = xstrdup(cpulist);
	node->memory = gib * GIB;
	node->distance = xcalloc(16, sizeof(uint32_t));
	for (const char *p = distances; *p; p = end)
		node->distance[node->n_distance++] = (uint32_t)strtoul(p, &end, 10);
	inventory->numa = xrealloc(inventory->numa, inventory->n_numa + 1, sizeof(Gdr__NumaNode *));
	inventory->numa[inventory->n_numa++] = node;
}

/* Pages of 1 GiB that a node has. */
static MAY_BE_UNUSED void
host_pages(Gdr__Inventory *inventory, size_t node, uint64_t total)
{
	Gdr__HugePages *pages = xcalloc(1, sizeof(*pages));

	gdr__huge_pages__init(pages);
	pages->has_size = pages->has_total = true;
	pages->size = GIB;
	pages->total = total;
	inventory->numa[node]->hugepages = xcalloc(1, sizeof(Gdr__HugePages *));
	inventory->numa[node]->hugepages[0] = pages;
	inventory->numa[node]->n_hugepages = 1;
}

static MAY_BE_UNUSED Gdr__PciDevice *
host_add(Gdr__Inventory *inventory, Gdr__PciDevice__Kind kind, const char *address, const char *parent, int node)
{
	Gdr__PciDevice *device = xcalloc(1, sizeof(*device));

	gdr__pci_device__init(device);
	device->address = xstrdup(address);
	device->parent = parent ? xstrdup(parent) : NULL;
	device->has_kind = device->has_numa_node = true;
	device->kind = kind;
	device->numa_node = node;
	device->has_vendor = true;
	device->vendor = 0x10de;
	inventory->pci = xrealloc(inventory->pci, inventory->n_pci + 1, sizeof(Gdr__PciDevice *));
	inventory->pci[inventory->n_pci++] = device;
	return device;
}

static MAY_BE_UNUSED void
host_bar(Gdr__PciDevice *device, Gdr__PciBar__Space space, uint64_t size, bool vf)
{
	Gdr__PciBar *bar = xcalloc(1, sizeof(*bar));

	gdr__pci_bar__init(bar);
	bar->has_space = bar->has_size = bar->has_vf = true;
	bar->space = space;
	bar->size = size;
	bar->vf = vf;
	device->bars = xrealloc(device->bars, device->n_bars + 1, sizeof(Gdr__PciBar *));
	device->bars[device->n_bars++] = bar;
}

/* "0000:BB:SS.F" in a buffer of the caller's line. */
#define AT(bus, slot, fn) host_at((char[16]){ 0 }, bus, slot, fn)
static MAY_BE_UNUSED const char *
host_at(char text[16], unsigned bus, unsigned slot, unsigned fn)
{
	(void)snprintf(text, 16, "0000:%02x:%02x.%x", bus & 0xff, slot & 0x1f, fn & 7);
	return text;
}

static MAY_BE_UNUSED void
host_root_port(Gdr__Inventory *inventory, unsigned root, unsigned slot, int node)
{
	(void)host_add(inventory, GDR__PCI_DEVICE__KIND__ROOT_PORT, AT(root, slot, 0), NULL, node);
}

/* A root port at ROOT:02.0, a switch with its upstream port on ROOT+1, and 'ports' downstream ports on ROOT+2, behind
 * which are the buses from 'first' on, one each. */
static MAY_BE_UNUSED void
host_switch(Gdr__Inventory *inventory, unsigned root, unsigned ports, int node)
{
	host_root_port(inventory, root, 2, node);
	(void)host_add(inventory, GDR__PCI_DEVICE__KIND__UPSTREAM_PORT, AT(root + 1, 0, 0), AT(root, 2, 0), node);
	for (unsigned i = 0; i < ports; i++)
		(void)host_add(inventory, GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT, AT(root + 2, i, 0),
			       AT(root + 1, 0, 0), node);
}

static MAY_BE_UNUSED void
host_gpu(Gdr__Inventory *inventory, const char *address, const char *parent, int node, uint64_t bar)
{
	Gdr__PciDevice *gpu = host_add(inventory, GDR__PCI_DEVICE__KIND__GPU, address, parent, node);

	host_bar(gpu, GDR__PCI_BAR__SPACE__MEM32, 16 << 20, false);
	host_bar(gpu, GDR__PCI_BAR__SPACE__MEM64, bar, false);
	host_bar(gpu, GDR__PCI_BAR__SPACE__MEM64, 32 << 20, false);
}

/* A port of a ConnectX card with 'vfs' VFs. */
static MAY_BE_UNUSED void
host_nic(Gdr__Inventory *inventory, const char *address, const char *parent, int node, unsigned vfs)
{
	Gdr__PciDevice *nic = host_add(inventory, GDR__PCI_DEVICE__KIND__NIC, address, parent, node);
	unsigned fn = (unsigned)(address[strlen(address) - 1] - '0');

	nic->vendor = 0x15b3;
	nic->has_max_vfs = nic->has_vf_offset = nic->has_vf_stride = vfs > 0;
	nic->max_vfs = vfs;
	/* The first port's follow both ports, the second's follow those: with 8 each, 00.2 and 01.2 are the first. */
	nic->vf_offset = 2 + fn * (vfs - 1);
	nic->vf_stride = 1;
	host_bar(nic, GDR__PCI_BAR__SPACE__MEM64, 32 << 20, false);
	host_bar(nic, GDR__PCI_BAR__SPACE__MEM64, 1 << 20, true);
}

static MAY_BE_UNUSED void
host_nvswitch(Gdr__Inventory *inventory, const char *address, const char *parent, int node)
{
	Gdr__PciDevice *nvswitch = host_add(inventory, GDR__PCI_DEVICE__KIND__NVSWITCH, address, parent, node);

	host_bar(nvswitch, GDR__PCI_BAR__SPACE__MEM32, 32 << 20, false);
}

static int
host_by_address(const void *a, const void *b)
{
	return strcmp((*(Gdr__PciDevice *const *)a)->address, (*(Gdr__PciDevice *const *)b)->address);
}

/* Once all is there. */
static MAY_BE_UNUSED Gdr__Inventory *
host_done(Gdr__Inventory *inventory)
{
	if (inventory->n_pci)
		qsort(inventory->pci, inventory->n_pci, sizeof(Gdr__PciDevice *), host_by_address);
	return inventory;
}

/* --- some hosts -------------------------------------------------------------------------------------- */

/* Behind the switch at 'root': GPUs on the first buses, then NICs of two ports. */
static MAY_BE_UNUSED void
host_fill(Gdr__Inventory *inventory, unsigned root, int node, unsigned gpus, unsigned nics, uint64_t bar)
{
	host_switch(inventory, root, gpus + nics, node);
	for (unsigned i = 0; i < gpus; i++)
		host_gpu(inventory, AT(root + 3 + i, 0, 0), AT(root + 2, i, 0), node, bar);
	for (unsigned i = gpus; i < gpus + nics; i++)
		for (unsigned fn = 0; fn < 2; fn++)
			host_nic(inventory, AT(root + 3 + i, 0, fn), AT(root + 2, i, 0), node, 8);
}

static MAY_BE_UNUSED void
host_fabric(Gdr__Inventory *inventory, unsigned root, int node, unsigned n)
{
	host_switch(inventory, root, n, node);
	for (unsigned i = 0; i < n; i++)
		host_nvswitch(inventory, AT(root + 3 + i, 0, 0), AT(root + 2, i, 0), node);
}

/* An HGX A100: four switches with two GPUs and a NIC each. */
static MAY_BE_UNUSED Gdr__Inventory *
host_hgx_a100(void)
{
	Gdr__Inventory *host = host_new(46);

	host_node(host, "0-23,48-71", 504, "10 20");
	host_node(host, "24-47,72-95", 504, "20 10");
	host_fill(host, 0x3a, 0, 2, 1, 128 * GIB);
	host_fill(host, 0x5d, 0, 2, 1, 128 * GIB);
	host_fill(host, 0x8e, 1, 2, 1, 128 * GIB);
	host_fill(host, 0xc7, 1, 2, 1, 128 * GIB);
	host_fabric(host, 0xb4, 1, 6);
	return host_done(host);
}

/* The part of a host that the two published definitions show: two switches with a GPU and a NIC each, six NVSwitches. */
static MAY_BE_UNUSED Gdr__Inventory *
host_vela(void)
{
	Gdr__Inventory *host = host_new(46);

	host_node(host, "0-23", 503, "10 21");
	host_node(host, "24-47", 504, "21 10");
	host_switch(host, 0x3a, 2, 0);
	host_nic(host, "0000:3f:00.0", "0000:3c:00.0", 0, 8);
	host_nic(host, "0000:3f:00.1", "0000:3c:00.0", 0, 8);
	host_gpu(host, "0000:48:00.0", "0000:3c:01.0", 0, 128 * GIB);
	host_switch(host, 0x86, 2, 1);
	host_gpu(host, "0000:8c:00.0", "0000:88:00.0", 1, 128 * GIB);
	host_nic(host, "0000:93:00.0", "0000:88:01.0", 1, 8);
	host_nic(host, "0000:93:00.1", "0000:88:01.0", 1, 8);
	host_fabric(host, 0xb4, 1, 6);
	return host_done(host);
}

/* The management NIC of every host, which serves nobody's GPU. */
static MAY_BE_UNUSED void
host_management(Gdr__Inventory *host)
{
	host_root_port(host, 0, 0x1c, 0);
	host_nic(host, "0000:03:00.0", "0000:00:1c.0", 0, 0);
	host->pci[host->n_pci - 1]->vendor = 0x8086;
}

static MAY_BE_UNUSED Gdr__Inventory *
host_one_node(void)
{
	Gdr__Inventory *host = host_new(46);

	host_node(host, "0-31", 256, "10");
	host_management(host);
	host_fill(host, 0x3a, 0, 2, 1, 64 * GIB);
	return host_done(host);
}

static MAY_BE_UNUSED Gdr__Inventory *
host_four_nodes(void)
{
	Gdr__Inventory *host = host_new(48);

	host_node(host, "0-15", 256, "10 12 32 32");
	host_node(host, "16-31", 256, "12 10 32 32");
	host_node(host, "32-47", 256, "32 32 10 12");
	host_node(host, "48-63", 256, "32 32 12 10");
	for (unsigned i = 0; i < 4; i++)
		host_fill(host, 0x20 + i * 0x20, (int)i, 2, 1, 128 * GIB);
	return host_done(host);
}

/* Nodes 2 and 3 are memory alone; the firmware says of one GPU that it is near node 3. */
static MAY_BE_UNUSED Gdr__Inventory *
host_cxl(void)
{
	Gdr__Inventory *host = host_new(52);

	host_node(host, "0-15", 256, "10 21 14 24");
	host_node(host, "16-31", 256, "21 10 24 14");
	host_node(host, "", 512, "14 24 10 26");
	host_node(host, "", 512, "24 14 26 10");
	host_fill(host, 0x3a, 0, 1, 1, 128 * GIB);
	host_fill(host, 0x5d, 3, 1, 1, 128 * GIB);
	return host_done(host);
}

/* Each device below a root port of its own. */
static MAY_BE_UNUSED Gdr__Inventory *
host_no_switch(void)
{
	Gdr__Inventory *host = host_new(46);

	host_node(host, "0-15", 256, "10 21");
	host_node(host, "16-31", 256, "21 10");
	for (unsigned i = 0; i < 2; i++) {
		unsigned root = i ? 0x80 : 0x40;
		for (unsigned slot = 1; slot < 4; slot++)
			host_root_port(host, root, slot, (int)i);
		host_gpu(host, AT(root + 1, 0, 0), AT(root, 1, 0), (int)i, 32 * GIB);
		host_gpu(host, AT(root + 2, 0, 0), AT(root, 2, 0), (int)i, 32 * GIB);
		host_nic(host, AT(root + 3, 0, 0), AT(root, 3, 0), (int)i, 8);
		host_nic(host, AT(root + 3, 0, 1), AT(root, 3, 0), (int)i, 8);
	}
	return host_done(host);
}

/* Eight rails: a GPU and a NIC of one port behind a switch of their own; four NVSwitches. */
static MAY_BE_UNUSED Gdr__Inventory *
host_hgx_h100(uint64_t bar)
{
	static const unsigned roots[8] = { 0x15, 0x26, 0x37, 0x48, 0x97, 0xa7, 0xb7, 0xc7 };
	Gdr__Inventory *host = host_new(52);

	host_node(host, "0-47,96-143", 1024, "10 21");
	host_node(host, "48-95,144-191", 1024, "21 10");
	host_management(host);
	for (unsigned i = 0; i < 8; i++) {
		int node = i / 4;
		host_switch(host, roots[i], 2, node);
		host_gpu(host, AT(roots[i] + 3, 0, 0), AT(roots[i] + 2, 0, 0), node, bar);
		host_nic(host, AT(roots[i] + 4, 0, 0), AT(roots[i] + 2, 1, 0), node, 16);
	}
	host_fabric(host, 0x05, 0, 4);
	return host_done(host);
}

/* --- what is wanted ---------------------------------------------------------------------------------- */

struct wanted {
	Gdr__Spec spec;
	Gdr__HugepagesSpec pages;
	Gdr__VmSpec vm[3];
	Gdr__VmCpu cpu;
	Gdr__VmSpec *list[3];
};

/* Pages that follow the VMs, and 'n' VMs with all GPUs, as the shipped profiles have them. */
static MAY_BE_UNUSED void
want(struct wanted *wanted, size_t n, unsigned vcpus, uint64_t gib)
{
	static char names[3][16] = { "{node}-gpu0", "{node}-gpu1", "{node}-gpu2" };

	gdr__spec__init(&wanted->spec);
	gdr__hugepages_spec__init(&wanted->pages);
	gdr__vm_cpu__init(&wanted->cpu);
	wanted->pages.has_size = wanted->pages.has_count = true;
	wanted->pages.size = GIB;
	wanted->pages.count = UINT32_MAX;
	wanted->spec.hugepages = &wanted->pages;
	wanted->spec.vm = wanted->list;
	wanted->spec.n_vm = n;
	for (size_t i = 0; i < n; i++) {
		Gdr__VmSpec *vm = &wanted->vm[i];
		gdr__vm_spec__init(vm);
		wanted->list[i] = vm;
		vm->name = names[i];
		vm->has_vcpus = vm->has_memory = vm->has_gpus = vm->has_nvswitches = vm->has_nic_vfs = true;
		vm->vcpus = vcpus;
		vm->memory = gib * GIB;
		vm->gpus = vm->nvswitches = UINT32_MAX;
		vm->nic_vfs = 1;
	}
}
