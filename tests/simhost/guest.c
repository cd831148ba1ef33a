/* guest.c - what a simulated VM has: identity, devices at their guest addresses, interfaces, parameters. */

#include "tests/simhost/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "proto/wire.pb-c.h"
#include "tests/simhost/faults.h"
#include "tests/simhost/guest_bench.h"
#include "tests/simhost/guest_gpu.h"
#include "tests/simhost/links.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"
#include "tests/simhost/vms.h"

#define REPORT     "var/lib/gdrfleet-agent/report"
#define REPORT_MAX (16U << 20)
#define KERNEL     "6.1.0-28-amd64"

/* The guest's kernel is simulated by the program that made its host's folder: DIR/.sim/guests/NAME/.sim/bin/netlink. */
static const char netlink[] = "#!/bin/sh\n"
			      "here=$(cd \"$(dirname \"$0\")\" && pwd -P) || exit 1\n"
			      "root=${here%/.sim/bin}\n"
			      "read -r program <\"$root/../../program\" || exit 1\n"
			      "exec \"$program\" netlink \"$root/../../..\" \"${root##*/}\" \"$@\"\n";

char *
guest_root(const struct sim *sim, const char *vm)
{
	return xasprintf("%s/.sim/guests/%s", sim->dir, vm);
}

/* --- what its host says of it ---------------------------------------------------------------------------- */

static Gdr__Report *
last_report(const struct sim *sim)
{
	auto_free char *path = xasprintf("%s/" REPORT, sim->dir);
	auto_free char *data = NULL;
	struct err ignored = { 0 };
	size_t len = 0;

	if (file_read(path, REPORT_MAX, &data, &len, &ignored) < 0)
		return NULL;
	return (Gdr__Report *)pb_unpack(&gdr__report__descriptor, data, len, &ignored);
}

static const Gdr__Vm *
find_vm(const Gdr__Report *report, const char *name)
{
	for (size_t i = 0; report && i < report->n_vms; i++)
		if (report->vms[i]->name && strcmp(report->vms[i]->name, name) == 0 && report->vms[i]->n_devices > 0)
			return report->vms[i];
	return NULL;
}

/* --- identity ---------------------------------------------------------------------------------------------- */

/* SMBIOS type 11, as QEMU makes it of the definition's <entry> elements. */
static void
write_oem_strings(struct tree *tree, const char *xml)
{
	static const char start[] = "<entry>";
	auto_buf struct buf strings = { 0 };
	auto_buf struct buf raw = { 0 };
	unsigned char n = 0;

	for (const char *entry = strstr(xml, start); entry; entry = strstr(entry, start), n++) {
		entry += strlen(start);
		buf_add(&strings, entry, strcspn(entry, "<"));
		buf_add(&strings, "\0", 1);
	}
	if (n == 0)
		return;
	buf_add(&raw, (const unsigned char[]){ 11, 5, 0, 1, n }, 5);
	buf_add(&raw, strings.text, strings.len);
	buf_add(&raw, "\0", 1);
	tree_write(tree, "sys/firmware/dmi/entries/11-0/raw", raw.text, raw.len);
}

static void
write_identity(struct tree *tree, const char *vm, const char *xml)
{
	auto_free char *boot_id = sim_uuid();
	auto_free char *uuid = vms_child(xml, "uuid");

	tree_cd(tree, "sys/class/dmi/id");
	tree_printf(tree, "bios_vendor", "SeaBIOS\n");
	tree_printf(tree, "bios_version", "1.15.0-1\n");
	tree_printf(tree, "sys_vendor", "QEMU\n");
	tree_printf(tree, "product_name", "Standard PC (Q35 + ICH9, 2009)\n");
	tree_printf(tree, "product_uuid", "%s\n", uuid ? uuid : "");
	tree_cd(tree, "proc/sys/kernel");
	tree_printf(tree, "random/boot_id", "%s\n", boot_id);
	tree_printf(tree, "hostname", "%s\n", vm);
	tree_printf(tree, "osrelease", KERNEL "\n");
	tree_cd(tree, "%s", "");
	write_oem_strings(tree, xml);
}

/* --- devices ------------------------------------------------------------------------------------------------ */

/* The device of the host that is passed through, be it a VF. */
static bool
find_host_device(struct pci_model *host, const char *address, struct pci_dev *out)
{
	const struct pci_dev *whole = pci_model_find(host, address);

	if (whole) {
		*out = *whole;
		return true;
	}
	for (size_t i = 0; i < host->n; i++)
		for (unsigned vf = 0; vf < host->devs[i].kind->total_vfs; vf++) {
			pci_model_vf(&host->devs[i], vf, out);
			if (strcmp(out->address, address) == 0)
				return true;
		}
	return false;
}

static void
move_in(struct pci_dev *dev, const Gdr__VmDevice *to)
{
	/* "dddd:bb:ss.f" */
	unsigned bus = (unsigned)strtoul(to->guest + 5, NULL, 16);

	dev->bus = dev->root_bus = (uint8_t)bus;
	dev->slot = (uint8_t)strtoul(to->guest + 8, NULL, 16);
	dev->fn = (uint8_t)strtoul(to->guest + 11, NULL, 16);
	dev->numa = (int)to->cell;
	dev->parent = -1;
	(void)snprintf(dev->address, sizeof(dev->address), "%.12s", to->guest);
	(void)snprintf(dev->path, sizeof(dev->path), "sys/devices/pci0000:%02x/%.12s", bus, to->guest);
}

static const char *
driver_of(const struct pci_dev *dev)
{
	return dev->kind->class_code >> 8 == 0x0200 ? "mlx5_core" : "nvidia";
}

static void
write_devices(struct tree *tree, const struct sim *sim, const Gdr__Vm *vm, struct pci_model *guest)
{
	const struct pci_boot plain = { 0 };
	auto_free struct pci_model *host = xcalloc(1, sizeof(*host));

	pci_model_build(host, sim);
	for (size_t i = 0; i < vm->n_devices; i++) {
		const Gdr__VmDevice *device = vm->devices[i];

		if (device->host && device->guest && strlen(device->guest) == 12 &&
		    find_host_device(host, device->host, &guest->devs[guest->n]))
			move_in(&guest->devs[guest->n++], device);
	}
	guest_gpu_switches(guest, vm);
	pci_sysfs_write(tree, guest, &plain);
	pci_sysfs_add_driver(tree, "nvidia");
	pci_sysfs_add_driver(tree, "mlx5_core");
	for (size_t i = 0; i < guest->n; i++)
		if (!pci_is_bridge(&guest->devs[i]))
			(void)pci_bind(tree, guest->devs[i].address, driver_of(&guest->devs[i]));
}

/* --- interfaces --------------------------------------------------------------------------------------------- */

static void
write_conf(struct tree *tree, const char *interface)
{
	static const char *const names[] = { "arp_filter", "arp_ignore", "arp_announce", "rp_filter" };

	tree_cd(tree, "proc/sys/net/ipv4/conf/%s", interface);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tree_printf(tree, names[i], "0\n");
	tree_cd(tree, "%s", "");
}

/* The interface and the RDMA device of the 'index'-th NIC. */
static void
write_nic(struct tree *tree, const struct pci_dev *dev, unsigned index, struct sim_link *link)
{
	auto_free char *gid = xasprintf("0000:0000:0000:0000:0000:ffff:0a00:%02x%02x", index, dev->bus);

	*link = (struct sim_link){ .index = (int)(3 + index),
				   .mac = { 2, 0x67, 0x64, 0, (unsigned char)index, dev->bus },
				   .mtu = 1500,
				   .max_mtu = 9978,
				   .txqueuelen = 1000,
				   .up = 1,
				   .rx = 1024,
				   .rx_max = 8192,
				   .tx = 1024,
				   .tx_max = 8192 };
	(void)snprintf(link->name, sizeof(link->name), "ens%u", index + 1);
	tree_cd(tree, "%s/net/%s", dev->path, link->name);
	tree_printf(tree, "address", "02:67:64:00:%02x:%02x\n", index, dev->bus);
	tree_printf(tree, "operstate", "up\n");
	tree_link(tree, "device", dev->path);
	tree_cd(tree, "%s/infiniband/mlx5_%u", dev->path, index);
	tree_printf(tree, "fw_ver", "22.36.1010\n");
	tree_printf(tree, "node_type", "1: CA\n");
	tree_link(tree, "device", dev->path);
	tree_cd(tree, "%s/infiniband/mlx5_%u/ports/1", dev->path, index);
	tree_printf(tree, "link_layer", "Ethernet\n");
	tree_printf(tree, "state", "4: ACTIVE\n");
	tree_printf(tree, "phys_state", "5: LinkUp\n");
	tree_printf(tree, "rate", "100 Gb/sec (2X HDR)\n");
	tree_printf(tree, "gids/0", "fe80:0000:0000:0000:0067:64ff:fe00:%02x%02x\n", index, dev->bus);
	tree_printf(tree, "gid_attrs/types/0", "IB/RoCE v1\n");
	tree_printf(tree, "gid_attrs/ndevs/0", "%s\n", link->name);
	tree_printf(tree, "gids/1", "%s\n", gid);
	tree_printf(tree, "gid_attrs/types/1", "RoCE v2\n");
	tree_printf(tree, "gid_attrs/ndevs/1", "%s\n", link->name);
	tree_cd(tree, "%s", "");
	auto_free char *net = xasprintf("sys/class/net/%s", link->name);
	auto_free char *net_path = xasprintf("%s/net/%s", dev->path, link->name);
	auto_free char *ib = xasprintf("sys/class/infiniband/mlx5_%u", index);
	auto_free char *ib_path = xasprintf("%s/infiniband/mlx5_%u", dev->path, index);
	tree_link(tree, net, net_path);
	tree_link(tree, ib, ib_path);
	write_conf(tree, link->name);
}

static void
write_interfaces(struct tree *tree, const struct pci_model *guest)
{
	struct sim_link links[LINKS_MAX] = { { .index = 1, .name = "lo", .mtu = 65536, .txqueuelen = 1000, .up = 1 },
					     { .index = 2,
					       .name = "eth0",
					       .mac = { 0x52, 0x54, 0, 0, 0, 1 },
					       .mtu = 1500,
					       .max_mtu = 65535,
					       .txqueuelen = 1000,
					       .up = 1,
					       .rx = 256,
					       .rx_max = 256,
					       .tx = 256,
					       .tx_max = 256 } };
	int n = 2;

	write_conf(tree, "all");
	write_conf(tree, "default");
	write_conf(tree, "lo");
	write_conf(tree, "eth0");
	tree_printf(tree, "sys/class/net/eth0/address", "52:54:00:00:00:01\n");
	tree_printf(tree, "sys/class/net/eth0/operstate", "up\n");
	for (size_t i = 0; i < guest->n && n < LINKS_MAX; i++)
		if (strcmp(driver_of(&guest->devs[i]), "mlx5_core") == 0) {
			write_nic(tree, &guest->devs[i], (unsigned)n - 2, &links[n]);
			n++;
		}
	links_save(tree, links, n);
	tree_printf(tree, "proc/net/route",
		    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
		    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
}

/* As Linux 6.1 has them. */
static void
write_parameters(struct tree *tree)
{
	tree_cd(tree, "proc/sys/net/ipv4");
	tree_printf(tree, "tcp_timestamps", "1\n");
	tree_printf(tree, "tcp_sack", "1\n");
	tree_printf(tree, "tcp_low_latency", "0\n");
	tree_printf(tree, "tcp_rmem", "4096\t131072\t6291456\n");
	tree_printf(tree, "tcp_wmem", "4096\t16384\t4194304\n");
	tree_cd(tree, "proc/sys/net/core");
	tree_printf(tree, "rmem_max", "212992\n");
	tree_printf(tree, "wmem_max", "212992\n");
	tree_printf(tree, "rmem_default", "212992\n");
	tree_printf(tree, "wmem_default", "212992\n");
	tree_printf(tree, "optmem_max", "20480\n");
	tree_cd(tree, "%s", "");
	tree_printf(tree, "proc/meminfo", "MemTotal:       67108864 kB\nMemFree:        60000000 kB\n");
	tree_printf(tree, "proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-" KERNEL " ro quiet\n");
}

/* --- disk --------------------------------------------------------------------------------------------------- */

static void
write_disk(struct tree *tree, const struct sim *sim, const char *root)
{
	struct err ignored = { 0 };
	struct tree host;

	if (sim_tree(sim, &host, &ignored) < 0)
		return;
	auto_free char *settings = tree_read(&host, "etc/gdrfleet/agent.yaml");
	auto_free char *tools = guest_gpu_tools(root);
	auto_free char *bench = guest_bench_tools(root);
	const char *interval = settings ? strstr(settings, "check_interval: ") : NULL;
	(void)tree_close(&host);

	tree_program(tree, ".sim/bin/netlink", netlink);
	tree_printf(tree, "etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n");
	tree_mkdir(tree, "var/log");
	tree_printf(tree, "etc/gdrfleet/guest.yaml",
		    "# Written by gdr-simhost: this folder is the machine.\n"
		    "state: \"%s/var/lib/gdrfleet-agent\"\n"
		    "comm_state: \"%s/var/lib/gdrfleet-comm\"\n"
		    "user: root # Nobody else may own what is simulated.\n"
		    "%.*s\n"
		    "retry: 2s\n"
		    "tools:\n"
		    "  netlink: \"%s/.sim/bin/netlink\"\n"
		    "%s"
		    "%s"
		    "root: \"%s\"\n",
		    root, root, interval ? (int)strcspn(interval, "\n") : 0, interval ? interval : "", root, tools,
		    bench, root);
}

/* --- one start ---------------------------------------------------------------------------------------------- */

static void
build(struct tree *tree, const struct sim *sim, const Gdr__Vm *vm, const char *xml, const char *root)
{
	static const char *const volatile_folders[] = { "proc", "sys", "run" };
	auto_free struct pci_model *guest = xcalloc(1, sizeof(*guest));

	for (size_t i = 0; i < 3; i++)
		tree_remove(tree, volatile_folders[i]);
	machine_write(tree, sim);
	tree_mkdir(tree, "run");
	write_identity(tree, vm->name, xml);
	write_devices(tree, sim, vm, guest);
	write_interfaces(tree, guest);
	write_parameters(tree);
	guest_gpu_write(tree, guest);
	guest_bench_write(tree);
	write_disk(tree, sim, root);
}

static int
bring_faults_about(const char *root, const char *vm, struct err *err)
{
	struct sim inside = { .fd = -1 };
	int rc = sim_open_guest(&inside, root, vm, err);

	if (rc == 0)
		rc = faults_boot(&inside, err);
	sim_close(&inside);
	return rc;
}

int
guest_boot(const struct sim *sim, const char *vm, struct err *err)
{
	auto_free char *root = guest_root(sim, vm);
	auto_free char *xml = vms_xml(sim, vm, true);
	auto_pb Gdr__Report *report = last_report(sim);
	const Gdr__Vm *reported = find_vm(report, vm);
	struct tree tree;

	if (!xml || !reported)
		return err_set(err, -EAGAIN, "its host does not report %s yet", vm);
	int rc = file_mkdirs(root, 0755, err);
	if (rc == 0)
		rc = tree_open(&tree, AT_FDCWD, root, err);
	if (rc < 0)
		return rc;
	build(&tree, sim, reported, xml, root);
	rc = tree_close(&tree);
	return rc < 0 ? rc : bring_faults_about(root, vm, err);
}
