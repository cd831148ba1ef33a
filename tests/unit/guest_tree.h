#pragma once

/* guest_tree.h - the machine of layer.h as a guest: on each of two NUMA nodes a switch with a GPU and a VF.  Include
 * after cmocka.h. */

#include "tests/unit/layer.h"

#define GPU0 "0000:b9:00.0"
#define GPU1 "0000:99:00.0"
#define VF0  "0000:b7:00.0"
#define VF1  "0000:97:00.0"

static Gdr__GuestSpec guest;

static MAY_BE_UNUSED void
put_port(const char *address, unsigned type, unsigned primary, unsigned secondary, unsigned last, int numa)
{
	struct cfg *cfg = cfg_new(0x104c, 0x8232, 0x060400);

	cfg_bridge(cfg, primary, secondary, last);
	cfg_express(cfg, 0x40, type, 0);
	put_device(address, cfg, numa);
}

static MAY_BE_UNUSED void
put_endpoint(const char *address, unsigned vendor, unsigned device, unsigned class_code, int numa)
{
	struct cfg *cfg = cfg_new(vendor, device, class_code);

	cfg_express(cfg, 0x40, 0, 0);
	put_device(address, cfg, numa);
	put_device_file(address, "max_link_speed", "16.0 GT/s PCIe\n");
	put_device_file(address, "max_link_width", "16\n");
	put_device_file(address, "current_link_speed", "16.0 GT/s PCIe\n");
	put_device_file(address, "current_link_width", "16\n");
	put_device_file(address, "resource", "0x0000038000000000 0x0000039fffffffff 0x000000000014220c\n");
}

/* Root port, upstream port, two downstream ports with a VF and a GPU. */
static MAY_BE_UNUSED void
put_switch(unsigned bus, const char *vf, const char *gpu, int numa)
{
	auto_free char *root = xasprintf("0000:%02x:00.0", bus);
	auto_free char *up = xasprintf("0000:%02x:00.0", bus + 1);
	auto_free char *down0 = xasprintf("0000:%02x:00.0", bus + 2);
	auto_free char *down1 = xasprintf("0000:%02x:02.0", bus + 2);
	unsigned vf_bus = (unsigned)strtoul(vf + 5, NULL, 16);
	unsigned gpu_bus = (unsigned)strtoul(gpu + 5, NULL, 16);

	put_port(root, 4, bus, bus + 1, gpu_bus, numa);
	put_port(up, 5, bus + 1, bus + 2, gpu_bus, numa);
	put_port(down0, 6, bus + 2, vf_bus, vf_bus, numa);
	put_port(down1, 6, bus + 2, gpu_bus, gpu_bus, numa);
	put_endpoint(vf, 0x15b3, 0x101e, 0x020000, numa);
	put_endpoint(gpu, 0x10de, 0x20b2, 0x030200, numa);
}

static MAY_BE_UNUSED void
put_hca_file(const char *name, const char *file, const char *text)
{
	auto_free char *path = xasprintf("/sys/class/infiniband/%s/%s", name, file);

	put(path, text);
}

static MAY_BE_UNUSED void
put_gid(const char *name, unsigned index, const char *gid, const char *type, const char *netdev)
{
	auto_free char *gids = xasprintf("ports/1/gids/%u", index);
	auto_free char *types = xasprintf("ports/1/gid_attrs/types/%u", index);
	auto_free char *ndevs = xasprintf("ports/1/gid_attrs/ndevs/%u", index);

	put_hca_file(name, gids, gid);
	put_hca_file(name, types, type);
	put_hca_file(name, ndevs, netdev);
}

/* GIDs as the kernel makes them: link-local and IPv4, each as v1 and v2; the IPv4 ones at 2 and 3. */
static MAY_BE_UNUSED void
put_hca(const char *name, const char *address, const char *netdev, unsigned host)
{
	auto_free char *device = xasprintf("/sys/class/infiniband/%s/device", name);
	auto_free char *target = xasprintf("../../../bus/pci/devices/%s", address);
	auto_free char *net = xasprintf(PCI_DIR "%s/net/%s/mtu", address, netdev);
	auto_free char *class = xasprintf("/sys/class/net/%s/mtu", netdev);
	auto_free char *gid = xasprintf("0000:0000:0000:0000:0000:ffff:0a04:%04x\n", host);

	put_hca_file(name, "fw_ver", "22.36.1010\n");
	put_hca_file(name, "ports/1/state", "4: ACTIVE\n");
	put_hca_file(name, "ports/1/phys_state", "5: LinkUp\n");
	put_hca_file(name, "ports/1/rate", "200 Gb/sec (4X HDR)\n");
	put_hca_file(name, "ports/1/link_layer", "Ethernet\n");
	put_link(device, target);
	put(net, "9000\n");
	put(class, "9000\n");
	put_gid(name, 0, "fe80:0000:0000:0000:c025:a1ff:fe31:2e81\n", "IB/RoCE v1\n", netdev);
	put_gid(name, 1, "fe80:0000:0000:0000:c025:a1ff:fe31:2e81\n", "RoCE v2\n", netdev);
	put_gid(name, 2, gid, "IB/RoCE v1\n", netdev);
	put_gid(name, 3, gid, "RoCE v2\n", netdev);
	put_gid(name, 4, "0000:0000:0000:0000:0000:0000:0000:0000\n", "IB/RoCE v1\n", netdev);
}

static MAY_BE_UNUSED int
guest_setup(void **state)
{
	(void)machine_setup(state);
	agent_config.n_tools = 0;
	put("/proc/cpuinfo",
	    "processor\t: 0\nvendor_id\t: GenuineIntel\n\nprocessor\t: 1\n\nprocessor\t: 2\n\nprocessor\t: 3\n");
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/node/online", "0-1\n");
	put("/sys/devices/system/node/node0/cpulist", "0-1\n");
	put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  1048576 kB\n");
	put("/sys/devices/system/node/node1/cpulist", "2-3\n");
	put("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:  1048576 kB\n");
	put_switch(0xb4, VF0, GPU0, 0);
	put_switch(0x94, VF1, GPU1, 1);
	put_hca("mlx5_0", VF0, "eth1", 1);
	put_hca("mlx5_1", VF1, "eth2", 2);
	put("/proc/net/route", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
			       "eth1\t0000040A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
			       "eth0\t00000000\t017AA8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
	gdr__guest_spec__init(&guest);
	spec.guest = &guest;
	return 0;
}
