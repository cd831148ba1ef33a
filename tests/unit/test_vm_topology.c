/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "agent/vm/plan.h"
#include "agent/vm/topology.h"
#include "common/buf.h"
#include "common/mem.h"
#include "common/nccltopo_lint.h"

#define GPU      GDR__PCI_DEVICE__KIND__GPU
#define NIC      GDR__PCI_DEVICE__KIND__NIC
#define NVSWITCH GDR__PCI_DEVICE__KIND__NVSWITCH

static char gen4[] = "16.0 GT/s PCIe";
static char gen5[] = "32.0 GT/s PCIe";
static char switch0[] = "0000:40:00.0";
static char switch2[] = "0000:b0:00.0";
static char unknown[] = "";

/* A host of two NUMA nodes with a switch each, known by its links. */
struct world {
	Gdr__PciDevice seen[3]; /* GPU, PF, the upstream port of the first group. */
	Gdr__PciDevice *list[1];
	Gdr__Inventory inventory;
	struct vm_cell cells[2];
	struct vm_group groups[3];
	struct vm_device devices[5];
	struct vm_plan plan;
};

static void
put(struct world *world, size_t i, Gdr__PciDevice__Kind kind, const char *guest, unsigned group, unsigned bus)
{
	world->devices[i] = (struct vm_device){
		.guest = xstrdup(guest), .kind = kind, .seen = &world->seen[kind == NIC], .group = group, .bus = bus
	};
}

static void
make(struct world *world, bool q35, struct vm_controller *controllers, size_t n)
{
	for (size_t i = 0; i < 3; i++)
		gdr__pci_device__init(&world->seen[i]);
	world->seen[0].class_code = 0x030200;
	world->seen[0].max_link_speed = gen4;
	world->seen[0].max_link_width = 16;
	world->seen[1].class_code = 0x020000;
	world->seen[2].address = switch0;
	world->seen[2].max_link_speed = gen5;
	world->seen[2].max_link_width = 8;
	gdr__inventory__init(&world->inventory);
	world->list[0] = &world->seen[2];
	world->inventory.pci = world->list;
	world->inventory.n_pci = 1;
	world->cells[0] = (struct vm_cell){ .host_node = 0, .first_vcpu = 0, .n_vcpus = 24 };
	world->cells[1] = (struct vm_cell){ .host_node = 1, .first_vcpu = 24, .n_vcpus = 24 };
	world->groups[0] = (struct vm_group){ .host = switch0, .cell = 0 };
	world->groups[1] = (struct vm_group){ .host = unknown, .cell = 1 };
	world->groups[2] = (struct vm_group){ .host = switch2, .cell = 1, .fabric = true };
	world->plan = (struct vm_plan){ .q35 = q35,
					.n_cpus = 48,
					.cells = world->cells,
					.n_cells = 2,
					.groups = world->groups,
					.n_groups = 3,
					.controllers = controllers,
					.n_controllers = n,
					.devices = world->devices,
					.n_devices = 5 };
}

static void
drop(struct world *world)
{
	for (size_t i = 0; i < 5; i++)
		free(world->devices[i].guest);
}

/* Buses 180: root port, upstream, three downstream; 200: the same with two; 220: an NVSwitch. */
static struct vm_controller q35[] = {
	{ .model = VM_ROOT },
	{ .model = VM_PXB, .slot = 1, .cell = 0, .number = 180 },
	{ .model = VM_PXB, .slot = 2, .cell = 1, .number = 200 },
	{ .model = VM_ROOT_PORT, .bus = 1, .secondary = 181 },
	{ .model = VM_ROOT_PORT, .bus = 2, .secondary = 201 },
	{ .model = VM_UPSTREAM, .bus = 3, .secondary = 182 },
	{ .model = VM_UPSTREAM, .bus = 4, .secondary = 202 },
	{ .model = VM_DOWNSTREAM, .bus = 5, .slot = 0, .secondary = 183 },
	{ .model = VM_DOWNSTREAM, .bus = 5, .slot = 1, .secondary = 184 },
	{ .model = VM_DOWNSTREAM, .bus = 6, .slot = 0, .secondary = 203 },
	{ .model = VM_DOWNSTREAM, .bus = 6, .slot = 1, .secondary = 204 },
	{ .model = VM_PXB, .slot = 3, .cell = 1, .number = 220 },
	{ .model = VM_ROOT_PORT, .bus = 11, .secondary = 221 },
};

static void
make_q35(struct world *world)
{
	make(world, true, q35, sizeof(q35) / sizeof(q35[0]));
	put(world, 0, GPU, "0000:b7:00.0", 0, 7);
	put(world, 1, NIC, "0000:b8:00.0", 0, 8);
	put(world, 2, GPU, "0000:cb:00.0", 1, 9);
	put(world, 3, NIC, "0000:cc:00.0", 1, 10);
	put(world, 4, NVSWITCH, "0000:dd:00.0", 2, 12);
}

static void
a_switch_is_near_and_slow(void **state)
{
	struct world world;
	auto_free char *why = NULL;
	const struct vm_device *d = world.devices;

	(void)state;
	make_q35(&world);
	assert_int_equal(vm_topology_distance(&world.plan, &d[0], &d[1]), NCCLTOPO_PIX);
	assert_int_equal(vm_topology_distance(&world.plan, &d[2], &d[3]), NCCLTOPO_PIX);
	assert_int_equal(vm_topology_distance(&world.plan, &d[0], &d[3]), NCCLTOPO_SYS);
	assert_int_equal(vm_topology_distance(&world.plan, &d[2], &d[4]), NCCLTOPO_PHB);
	assert_int_equal(vm_topology_need(&world.plan, &why), VM_TOPOLOGY_BANDWIDTH);
	assert_non_null(strstr(why, "2.5 GT/s x1"));
	drop(&world);
}

static void
a_conventional_bus_is_no_switch(void **state)
{
	struct vm_controller i440fx[] = {
		{ .model = VM_ROOT },
		{ .model = VM_PXB, .slot = 3, .cell = 0, .number = 180, .secondary = 181 },
		{ .model = VM_PXB, .slot = 4, .cell = 1, .number = 200, .secondary = 201 },
	};
	struct world world;
	auto_free char *why = NULL;
	const struct vm_device *d = world.devices;

	(void)state;
	make(&world, false, i440fx, 3);
	put(&world, 0, GPU, "0000:b5:00.0", 0, 1);
	put(&world, 1, NIC, "0000:b5:01.0", 0, 1);
	put(&world, 2, GPU, "0000:c9:00.0", 1, 2);
	put(&world, 3, NIC, "0000:c9:01.0", 1, 2);
	put(&world, 4, NVSWITCH, "0000:c9:02.0", 2, 2);
	assert_int_equal(vm_topology_distance(&world.plan, &d[0], &d[1]), NCCLTOPO_PHB);
	assert_int_equal(vm_topology_distance(&world.plan, &d[0], &d[3]), NCCLTOPO_SYS);
	assert_int_equal(vm_topology_need(&world.plan, &why), VM_TOPOLOGY_DISTANCE);
	assert_non_null(strstr(why, "in 2 of 2 pairs"));
	drop(&world);
}

/* A GPU below a root port of its own, and no NIC: 16 GT/s, as QEMU's root ports say. */
static void
nothing_to_tell_needs_no_file(void **state)
{
	struct world world;
	auto_free char *why = NULL;

	(void)state;
	make(&world, true, q35, sizeof(q35) / sizeof(q35[0]));
	put(&world, 0, GPU, "0000:dd:00.0", 1, 12);
	world.plan.n_devices = 1;
	for (size_t i = 1; i < 5; i++)
		world.devices[i].guest = NULL;
	assert_int_equal(vm_topology_need(&world.plan, &why), VM_TOPOLOGY_NONE);
	assert_non_null(strstr(why, "not needed"));
	drop(&world);
}

static void
the_file_says_what_the_host_has(void **state)
{
	static const struct nccltopo_facts nothing;
	struct nccltopo_findings findings;
	auto_buf struct buf text = { 0 };
	struct world world;

	(void)state;
	make_q35(&world);
	struct nccltopo_node *root = vm_topology_make(&world.plan, &world.inventory);
	nccltopo_write(root, &text);
	assert_string_equal(
		text.text,
		"<system version=\"1\">\n"
		"  <cpu numaid=\"0\" affinity=\"00000000,00ffffff\">\n"
		"    <pci busid=\"ffff:ff:00.0\" class=\"0x060400\" link_speed=\"32 GT/s\" link_width=\"8\">\n"
		"      <pci busid=\"0000:b7:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
		"      <pci busid=\"0000:b8:00.0\" class=\"0x020000\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
		"    </pci>\n"
		"  </cpu>\n"
		"  <cpu numaid=\"1\" affinity=\"0000ffff,ff000000\">\n"
		"    <pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"16 GT/s\" link_width=\"16\">\n"
		"      <pci busid=\"0000:cb:00.0\" class=\"0x030200\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
		"      <pci busid=\"0000:cc:00.0\" class=\"0x020000\" link_speed=\"16 GT/s\" link_width=\"16\"/>\n"
		"    </pci>\n"
		"  </cpu>\n"
		"</system>\n");
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++)
			assert_int_equal(nccltopo_distance(nccltopo_find_pci(root, world.devices[i].guest),
							   nccltopo_find_pci(root, world.devices[j].guest)),
					 vm_topology_distance(&world.plan, &world.devices[i], &world.devices[j]));
	nccltopo_lint(text.text, text.len, &nothing, &findings);
	assert_int_equal(findings.n, 0);
	nccltopo_findings_free(&findings);
	nccltopo_free(root);
	drop(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_is_near_and_slow),
		cmocka_unit_test(a_conventional_bus_is_no_switch),
		cmocka_unit_test(nothing_to_tell_needs_no_file),
		cmocka_unit_test(the_file_says_what_the_host_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
