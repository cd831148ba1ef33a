/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "agent/machine/inventory.h"
#include "agent/machine/nccl_facts.h"
#include "tests/unit/tree.h"

static struct host *host;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	host = host_open(tree, NULL);
	return host ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	host_free(host);
	tree_drop();
	return 0;
}

static void
what_is_there_is_known(void **state)
{
	Gdr__PciDevice gpu = GDR__PCI_DEVICE__INIT;
	Gdr__PciDevice vf = GDR__PCI_DEVICE__INIT;
	Gdr__PciDevice *devices[] = { &gpu, &vf };
	Gdr__Inventory inventory = GDR__INVENTORY__INIT;

	(void)state;
	gpu.address = (char[]){ "0000:b7:00.0" };
	gpu.class_code = 0x030200;
	gpu.has_numa_node = true;
	gpu.numa_node = 1;
	vf.address = (char[]){ "0000:b8:00.0" };
	vf.class_code = 0x020000;
	vf.device = 0x101e;
	vf.physfn = (char[]){ "0000:b8:00.0" };
	inventory.pci = devices;
	inventory.n_pci = 2;
	put("/sys/class/infiniband/mlx5_0/ports/1/rate", "100 Gb/sec (4X EDR)\n");
	put_link("/sys/class/infiniband/mlx5_0/device", "../../../0000:b8:00.0");
	put("/sys/class/infiniband/mlx5_1/ports/1/rate", "fast\n");
	put_dir("/proc/driver/nvidia/gpus/0000:B7:00.0");
	put("/sys/devices/system/cpu/online", "0-47\n");
	put("/sys/devices/system/node/online", "0-1\n");
	put("/usr/lib/x86_64-linux-gnu/libnccl.so.2.18.3", "");
	put("/etc/nccl.conf", "NCCL_DEBUG=WARN\nNCCL_IB_MERGE_VFS=0\nNCCL_IB_MERGE_VFS=1\n");

	struct nccl_facts *read = nccl_facts_read(host, &inventory);
	const struct nccltopo_facts *facts = nccl_facts_get(read);
	assert_int_equal(facts->n_devices, 2);
	assert_string_equal(facts->devices[0].address, "0000:b7:00.0");
	assert_int_equal(facts->devices[0].numa_node, 1);
	assert_int_equal(facts->devices[1].numa_node, -1);
	assert_false(facts->devices[0].vf);
	assert_true(facts->devices[1].vf);
	assert_int_equal(facts->devices[1].device, 0x101e);
	assert_int_equal(facts->n_hcas, 2);
	assert_string_equal(facts->hcas[0].name, "mlx5_0");
	assert_string_equal(facts->hcas[0].address, "0000:b8:00.0");
	assert_int_equal(facts->hcas[0].mbps, 100000);
	assert_string_equal(facts->hcas[1].address, "");
	assert_int_equal(facts->hcas[1].mbps, 0);
	assert_string_equal(facts->gpus[0], "0000:B7:00.0");
	assert_null(facts->gpus[1]);
	assert_string_equal(facts->online, "0-47");
	assert_string_equal(facts->nodes, "0-1");
	assert_int_equal(facts->nccl, NCCLTOPO_VERSION(2, 18, 3));
	assert_true(facts->merge_vfs_off);
	nccl_facts_free(read);
}

static void
what_is_not_there_is_not_known(void **state)
{
	Gdr__Inventory inventory = GDR__INVENTORY__INIT;
	struct nccl_facts *read = nccl_facts_read(host, &inventory);
	static const struct nccltopo_facts nothing;

	(void)state;
	assert_memory_equal(nccl_facts_get(read), &nothing, sizeof(nothing));
	nccl_facts_free(read);
	nccl_facts_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_there_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_not_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
