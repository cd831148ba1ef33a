/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "tests/unit/tree_pci.h"

static struct host *host;
static Gdr__Inventory *inventory;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	host = host_open(tree, NULL);
	inventory = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	inventory_free(inventory);
	host_free(host);
	tree_drop();
	return 0;
}

#define CPU(n) "processor\t: " #n "\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8380\n\n"

static void
take(bool with_pci)
{
	struct pci *pci = NULL;
	struct err err = { 0 };

	if (with_pci)
		assert_int_equal(pci_open(host, &pci, &err), 0);
	inventory_free(inventory);
	inventory = NULL;
	assert_int_equal(inventory_read(host, pci, &inventory, &err), 0);
	pci_close(pci);
}

static void
put_bridge(const char *address, unsigned type, unsigned secondary, unsigned subordinate, int node)
{
	struct cfg *cfg = cfg_new(type == 4 ? 0x8086 : 0x1000, 0x347a, 0x060400);

	cfg_bridge(cfg, 0, secondary, subordinate);
	if (type)
		cfg_express(cfg, 0x60, type, 0);
	put_device(address, cfg, node);
}

static void
put_gpu(const char *address, int node)
{
	put_device(address, cfg_new(0x10de, 0x20b0, 0x030200), node);
}

static void
put_nic(const char *address, unsigned vendor, int node)
{
	put_device(address, cfg_new(vendor, 0x101d, 0x020000), node);
}

/* Two root ports: a switch with a GPU, an NVSwitch and a NIC; and a NIC of its own.  On node 1 a lone GPU. */
static void
put_machine(void)
{
	put("/proc/cpuinfo", CPU(0) CPU(1));
	put_bridge("0000:16:02.0", 4, 0x17, 0x1d, 0);
	put_bridge("0000:17:00.0", 5, 0x18, 0x1d, 0);
	put_bridge("0000:18:00.0", 6, 0x19, 0x19, 0);
	put_bridge("0000:18:01.0", 6, 0x1a, 0x1b, 0);
	put_bridge("0000:18:02.0", 6, 0x1c, 0x1c, 0);
	put_gpu("0000:19:00.0", 0);
	put_nic("0000:1a:00.0", 0x15b3, 0);
	put_nic("0000:1b:00.2", 0x15b3, 0); /* Its VF, on a bus that only the range tells of. */
	put_device("0000:1c:00.0", cfg_new(0x10de, 0x1af1, 0x068000), 0);
	put_bridge("0000:30:02.0", 4, 0x31, 0x31, 0);
	put_nic("0000:31:00.0", 0x8086, 0);
	put_bridge("0000:80:02.0", 4, 0x81, 0x81, 1);
	put_gpu("0000:81:00.0", 1);
	put_device_file("0000:1a:00.0", "sriov_totalvfs", "8\n");
	put_device_file("0000:1a:00.0", "sriov_numvfs", "1\n");
	put_link(PCI_DIR "0000:1b:00.2/physfn", "../0000:1a:00.0");
	put_link(PCI_DIR "0000:19:00.0/driver", "../../../bus/pci/drivers/vfio-pci");
	put_link(PCI_DIR "0000:19:00.0/iommu_group", "../../../kernel/iommu_groups/42");
}

static const Gdr__PciDevice *
device(const char *address)
{
	const Gdr__PciDevice *found = inventory_device(inventory, address);

	assert_non_null(found);
	return found;
}

static void
no_cpuinfo_is_no_machine(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(inventory_read(host, NULL, &inventory, &err), -ENOENT);
	assert_null(inventory);
	inventory_free(NULL);
}

static void
the_machine_itself(void **state)
{
	(void)state;
	put("/proc/cpuinfo", CPU(0) CPU(1) CPU(2));
	put("/proc/meminfo", "MemTotal:       131841796 kB\nMemFree:  1 kB\n");
	put("/proc/sys/kernel/hostname", "vela7\n");
	put("/proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
	put("/etc/os-release", "NAME=Ubuntu\nPRETTY_NAME=\"Ubuntu 22.04.3 LTS\"\n");
	put("/sys/class/dmi/id/bios_vendor", "American Megatrends Inc. \n");
	put("/sys/class/dmi/id/bios_version", "F09\n");
	put("/sys/class/dmi/id/product_name", "G492-ZD2\n");
	put("/sys/devices/system/node/node0/cpulist", "0-23,48-71\n");
	put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       65709500 kB\nNode 0 MemFree: 3 kB\n");
	put("/sys/devices/system/node/node10/cpulist", "24-47\n");
	put("/sys/devices/system/node/node10/meminfo", "Node 10 MemTotal:       1024 kB\n");
	take(false);
	assert_string_equal(inventory->hostname, "vela7");
	assert_string_equal(inventory->kernel, "5.15.0-91-generic");
	assert_string_equal(inventory->os, "Ubuntu 22.04.3 LTS");
	assert_string_equal(inventory->cpu_vendor, "GenuineIntel");
	assert_string_equal(inventory->cpu_model, "Intel(R) Xeon(R) Platinum 8380");
	assert_int_equal(inventory->cpus, 3);
	assert_int_equal(inventory->memory, 131841796ULL * 1024);
	assert_string_equal(inventory->bios_vendor, "American Megatrends Inc.");
	assert_string_equal(inventory->bios_version, "F09");
	assert_string_equal(inventory->product, "G492-ZD2");
	assert_int_equal(inventory->n_numa, 2);
	assert_string_equal(inventory->numa[0]->cpulist, "0-23,48-71");
	assert_int_equal(inventory->numa[0]->memory, 65709500ULL * 1024);
	assert_int_equal(inventory->numa[1]->id, 10);
	assert_int_equal(inventory->numa[1]->memory, 1024ULL * 1024);
	assert_int_equal(inventory->n_pci, 0);
}

static void
garbage_is_absent(void **state)
{
	static const char noise[] = "\xff\xfe: \x01\n=\n:\nMemTotal\nMemTotal: x\nPRETTY_NAME=\"\nprocessor";

	(void)state;
	put("/proc/cpuinfo", noise);
	put("/proc/meminfo", noise);
	put("/etc/os-release", noise);
	put("/sys/devices/system/node/node0/meminfo", noise);
	put_device_file("0000:01:00.0", "config", "x");
	put_device_file("0000:01:00.0", "vendor", "0xzz\n");
	take(true);
	assert_null(inventory->cpu_vendor);
	assert_null(inventory->hostname);
	assert_string_equal(inventory->os, "\"");
	assert_false(inventory->has_memory);
	assert_int_equal(inventory->numa[0]->memory, 0);
	assert_int_equal(inventory->n_pci, 1);
	assert_false(inventory->pci[0]->has_vendor);
	assert_int_equal(inventory->pci[0]->kind, GDR__PCI_DEVICE__KIND__OTHER);
	assert_int_equal(inventory->pci[0]->numa_node, -1);
}

static void
the_pci_tree(void **state)
{
	(void)state;
	put_machine();
	take(true);
	assert_int_equal(inventory->n_pci, 13);
	assert_int_equal(device("0000:16:02.0")->kind, GDR__PCI_DEVICE__KIND__ROOT_PORT);
	assert_int_equal(device("0000:17:00.0")->kind, GDR__PCI_DEVICE__KIND__UPSTREAM_PORT);
	assert_int_equal(device("0000:18:01.0")->kind, GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT);
	assert_int_equal(device("0000:19:00.0")->kind, GDR__PCI_DEVICE__KIND__GPU);
	assert_int_equal(device("0000:1a:00.0")->kind, GDR__PCI_DEVICE__KIND__NIC);
	assert_int_equal(device("0000:1c:00.0")->kind, GDR__PCI_DEVICE__KIND__NVSWITCH);
	assert_null(device("0000:16:02.0")->parent);
	assert_string_equal(device("0000:17:00.0")->parent, "0000:16:02.0");
	assert_string_equal(device("0000:19:00.0")->parent, "0000:18:00.0");
	assert_string_equal(device("0000:1b:00.2")->parent, "0000:18:01.0");
	assert_string_equal(device("0000:1b:00.2")->physfn, "0000:1a:00.0");
	assert_string_equal(device("0000:19:00.0")->switch_group, "0000:17:00.0");
	assert_string_equal(device("0000:1a:00.0")->switch_group, "0000:17:00.0");
	assert_string_equal(device("0000:17:00.0")->switch_group, "0000:16:02.0");
	assert_string_equal(device("0000:31:00.0")->switch_group, "0000:30:02.0");
	assert_null(device("0000:16:02.0")->switch_group);
	assert_int_equal(device("0000:1a:00.0")->max_vfs, 8);
	assert_int_equal(device("0000:1a:00.0")->vfs, 1);
	assert_false(device("0000:19:00.0")->has_max_vfs);
	assert_string_equal(device("0000:19:00.0")->driver, "vfio-pci");
	assert_int_equal(device("0000:19:00.0")->iommu_group, 42);
	assert_false(device("0000:1a:00.0")->has_iommu_group);
	assert_null(inventory_device(inventory, "0000:99:00.0"));
}

static void
ports_on_the_path(void **state)
{
	(void)state;
	put_machine();
	take(true);
	assert_true(inventory_on_gdr_path(inventory, device("0000:16:02.0")));
	assert_true(inventory_on_gdr_path(inventory, device("0000:18:00.0")));
	assert_true(inventory_on_gdr_path(inventory, device("0000:18:01.0")));
	assert_false(inventory_on_gdr_path(inventory, device("0000:18:02.0"))); /* To the NVSwitch. */
	assert_false(inventory_on_gdr_path(inventory, device("0000:17:00.0"))); /* An upstream port has no ACS. */
	assert_false(inventory_on_gdr_path(inventory, device("0000:30:02.0"))); /* On-board NIC. */
	assert_false(inventory_on_gdr_path(inventory, device("0000:80:02.0"))); /* No NIC on that socket. */
	assert_false(inventory_on_gdr_path(inventory, device("0000:19:00.0")));
	assert_true(inventory_gdr_nic(inventory, device("0000:1a:00.0")));
	assert_false(inventory_gdr_nic(inventory, device("0000:1b:00.2")));
	assert_false(inventory_gdr_nic(inventory, device("0000:31:00.0")));
	assert_false(inventory_gdr_nic(inventory, device("0000:19:00.0")));
}

/* A NIC without a switch serves the GPUs of its socket through the root ports of both. */
static void
root_ports_where_no_switch_is_shared(void **state)
{
	(void)state;
	put_machine();
	put_bridge("0000:90:02.0", 4, 0x91, 0x91, 1);
	put_nic("0000:91:00.0", 0x15b3, 1);
	take(true);
	assert_true(inventory_on_gdr_path(inventory, device("0000:80:02.0")));
	assert_true(inventory_on_gdr_path(inventory, device("0000:90:02.0")));
	assert_true(inventory_gdr_nic(inventory, device("0000:91:00.0")));
}

static void
other_nics_count_where_there_is_no_nvidia_nic(void **state)
{
	(void)state;
	put("/proc/cpuinfo", CPU(0));
	put_bridge("0000:16:02.0", 4, 0x17, 0x17, -1);
	put_gpu("0000:17:00.0", -1);
	put_bridge("0000:16:03.0", 4, 0x18, 0x18, -1);
	put_nic("0000:18:00.0", 0x14e4, -1);
	put_nic("0001:18:00.0", 0x14e4, -1);
	take(true);
	assert_true(inventory_gdr_nic(inventory, device("0000:18:00.0")));
	assert_false(inventory_gdr_nic(inventory, device("0001:18:00.0")));
	assert_null(device("0001:18:00.0")->parent);
	assert_true(inventory_on_gdr_path(inventory, device("0000:16:03.0")));
}

static void
bridges_with_nonsense_make_no_ring(void **state)
{
	(void)state;
	put("/proc/cpuinfo", CPU(0));
	put_bridge("0000:05:00.0", 5, 0x03, 0xff, 0);
	put_bridge("0000:03:00.0", 6, 0x05, 0x05, 0);
	put_bridge("0000:07:00.0", 6, 0x07, 0x07, 0);
	put_gpu("0000:07:01.0", 0);
	put_nic("0000:05:01.0", 0x15b3, 0);
	take(true);
	assert_null(device("0000:07:00.0")->parent);
	assert_null(device("0000:07:01.0")->parent);
	assert_string_equal(device("0000:05:00.0")->parent, "0000:03:00.0");
	assert_null(device("0000:03:00.0")->parent);
}

#define LINE(first, last, flags) "0x" first " 0x" last " 0x" flags "\n"
#define NO_LINE                  LINE("0", "0", "0")

/* A BAR of each kind, one that firmware found no room for, the ROM, and what eight VFs share; a bridge's windows. */
static void
memory_links_and_vfs(void **state)
{
	(void)state;
	put_machine();
	put_device_file("0000:1a:00.0", "resource",
			LINE("20000000000", "20001ffffff", "14220c") NO_LINE LINE("92000000", "92000fff", "40200")
				LINE("f000", "f03f", "40101") NO_LINE NO_LINE LINE("93000000", "930fffff", "46200")
					LINE("20002000000", "200027fffff", "14220c") NO_LINE);
	put_device_file("0000:18:00.0", "resource", LINE("92000000", "920fffff", "200"));
	put_device_file("0000:1a:00.0", "sriov_offset", "2\n");
	put_device_file("0000:1a:00.0", "sriov_stride", "1\n");
	put_device_file("0000:1a:00.0", "max_link_speed", "16.0 GT/s PCIe\n");
	put_device_file("0000:1a:00.0", "max_link_width", "16\n");
	put_device_file("0000:1a:00.0", "current_link_speed", "8.0 GT/s PCIe\n");
	put_device_file("0000:1a:00.0", "current_link_width", "8\n");
	take(true);
	const Gdr__PciDevice *nic = device("0000:1a:00.0");
	assert_int_equal(nic->n_bars, 4);
	assert_int_equal(nic->bars[0]->space, GDR__PCI_BAR__SPACE__MEM64);
	assert_int_equal(nic->bars[0]->size, 32 << 20);
	assert_int_equal(nic->bars[1]->space, GDR__PCI_BAR__SPACE__MEM32);
	assert_int_equal(nic->bars[2]->space, GDR__PCI_BAR__SPACE__IO);
	assert_int_equal(nic->bars[2]->size, 64);
	assert_true(nic->bars[3]->vf && !nic->bars[0]->vf);
	assert_int_equal(nic->bars[3]->size, 1 << 20);
	assert_int_equal(nic->vf_offset, 2);
	assert_int_equal(nic->vf_stride, 1);
	assert_string_equal(nic->max_link_speed, "16.0 GT/s PCIe");
	assert_string_equal(nic->link_speed, "8.0 GT/s PCIe");
	assert_int_equal(nic->max_link_width, 16);
	assert_int_equal(nic->link_width, 8);
	assert_int_equal(device("0000:18:00.0")->n_bars, 0);
	assert_false(device("0000:18:00.0")->has_vf_offset);
}

static void
pages_distances_and_address_width(void **state)
{
	(void)state;
	put("/proc/cpuinfo", CPU(0) "address sizes\t: 46 bits physical, 57 bits virtual\n");
	put("/sys/devices/system/node/node0/distance", "10 21\n");
	put("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages", "375\n");
	put("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages", "5\n");
	put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "lots\n");
	put("/sys/devices/system/node/node1/distance", "21 near\n");
	take(false);
	assert_int_equal(inventory->phys_bits, 46);
	assert_int_equal(inventory->numa[0]->n_distance, 2);
	assert_int_equal(inventory->numa[0]->distance[1], 21);
	assert_int_equal(inventory->numa[1]->n_distance, 1);
	assert_int_equal(inventory->numa[0]->n_hugepages, 2);
	const Gdr__HugePages *large = inventory->numa[0]->hugepages[1];
	assert_int_equal(large->size, 1 << 30);
	assert_int_equal(large->total, 375);
	assert_int_equal(large->free, 5);
	assert_false(inventory->numa[0]->hugepages[0]->has_total);
}

static void
fields(void **state)
{
	auto_free char *a = inventory_field("flagsx: no\nflags\t\t: fpu vmx \nflags: later", "flags");
	auto_free char *b = inventory_field("A='x \"y\"'\n", "A");
	auto_free char *c = inventory_field("A=\"say \\\"hi\\\"\"", "A");
	auto_free char *d = inventory_field("A=", "A");

	(void)state;
	assert_string_equal(a, "fpu vmx");
	assert_string_equal(b, "x \"y\"");
	assert_string_equal(c, "say \"hi\"");
	assert_string_equal(d, "");
	assert_null(inventory_field("A", "A"));
	assert_null(inventory_field("", "A"));
	assert_null(inventory_field("A\n:x", "A"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_cpuinfo_is_no_machine),
		TEST(the_machine_itself),
		TEST(garbage_is_absent),
		TEST(the_pci_tree),
		TEST(ports_on_the_path),
		TEST(root_ports_where_no_switch_is_shared),
		TEST(other_nics_count_where_there_is_no_nvidia_nic),
		TEST(bridges_with_nonsense_make_no_ring),
		TEST(memory_links_and_vfs),
		TEST(pages_distances_and_address_width),
		TEST(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
