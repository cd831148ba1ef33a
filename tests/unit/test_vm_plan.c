/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/vm/pages.h"
#include "tests/unit/test_ctl_assert.h"
#include "tests/unit/vm_host.h"

static Gdr__Inventory *host;
static struct wanted wanted;
static struct vm_plans plans;

static int
setup(void **state)
{
	(void)state;
	host = NULL;
	plans = (struct vm_plans){ 0 };
	want(&wanted, 1, 48, 750);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vm_plans_free(&plans);
	inventory_free(host);
	return 0;
}

/* The plan of the first VM. */
static const struct vm_plan *
make(Gdr__Inventory *of)
{
	if (host != of)
		inventory_free(host);
	host = of;
	vm_plans_free(&plans);
	vm_plans_make(host, &wanted.spec, "sim1", &plans);
	return &plans.plan[0];
}

static const struct vm_plan *
make_well(Gdr__Inventory *of)
{
	const struct vm_plan *plan = make(of);

	if (plan->refused)
		fail_msg("refused: %s", plan->refused);
	return plan;
}

static void
expect_refused(const struct vm_plan *plan, const char *why)
{
	assert_non_null(plan->refused);
	assert_string_equal(plan->refused, why);
	assert_int_equal(plan->n_devices + plan->n_cells + plan->n_controllers + plan->n_cpus, 0);
}

/* "GROUP HOST GUEST": what is where, a line each. */
static char *
placement(const struct vm_plan *plan)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < plan->n_devices; i++)
		buf_printf(&out, "%u %s %s\n", plan->devices[i].group, plan->devices[i].host, plan->devices[i].guest);
	return buf_steal(&out);
}

/* --- devices and groups ------------------------------------------------------------------------------ */

/* The pairs of the published definitions, each behind one switch, now in ascending order of bus numbers. */
static void
the_published_host(void **state)
{
	const struct vm_plan *plan = make_well(host_vela());
	auto_free char *have = placement(plan);

	(void)state;
	assert_string_equal(have, "0 0000:48:00.0 0000:e2:00.0\n"
				  "0 0000:3f:00.2 0000:e3:00.0\n"
				  "0 0000:3f:01.2 0000:e4:00.0\n"
				  "1 0000:8c:00.0 0000:ec:00.0\n"
				  "1 0000:93:00.2 0000:ed:00.0\n"
				  "1 0000:93:01.2 0000:ee:00.0\n"
				  "2 0000:b7:00.0 0000:f6:00.0\n"
				  "2 0000:b8:00.0 0000:f7:00.0\n"
				  "2 0000:b9:00.0 0000:f8:00.0\n"
				  "2 0000:ba:00.0 0000:f9:00.0\n"
				  "2 0000:bb:00.0 0000:fa:00.0\n"
				  "2 0000:bc:00.0 0000:fb:00.0\n");
	assert_string_equal(plan->name, "sim1-gpu0");
	assert_int_equal(plan->n_cells, 2);
	assert_int_equal(plan->cells[1].memory, 375 * GIB);
	for (unsigned i = 0; i < 48; i++)
		assert_int_equal(plan->cpus[i], i);
	assert_int_equal(plan->groups[0].cell, 0);
	assert_int_equal(plan->groups[1].cell, 1);
	assert_string_equal(plan->groups[0].host, "0000:3b:00.0");
	assert_true(plan->groups[2].fabric);
	assert_null(plan->emulator);
	assert_string_equal(plan->notes[0], "no CPU is left for QEMU's own threads: they share the vCPUs' (host_cpus "
					    "keeps some)");
}

static void
the_published_host_on_i440fx(void **state)
{
	(void)state;
	wanted.vm[0].has_machine = true;
	wanted.vm[0].machine = GDR__VM_MACHINE__VM_MACHINE_I440FX;
	const struct vm_plan *plan = make_well(host_vela());
	auto_free char *have = placement(plan);
	assert_has(have, "0 0000:48:00.0 0000:ef:00.0\n0 0000:3f:00.2 0000:ef:01.0\n0 0000:3f:01.2 0000:ef:02.0\n");
	assert_has(have, "2 0000:bc:00.0 0000:fb:05.0\n");
	assert_int_equal(plan->n_controllers, 4);
}

static void
gpus_by_number_take_the_nics_that_serve_them(void **state)
{
	(void)state;
	wanted.vm[0].gpus = 2;
	wanted.vm[0].nvswitches = 0;
	wanted.vm[0].vcpus = 24;
	wanted.vm[0].memory = 300 * GIB;
	const struct vm_plan *plan = make_well(host_hgx_a100());
	assert_int_equal(plan->n_cells, 1);
	assert_int_equal(plan->n_groups, 1);
	assert_int_equal(plan->n_devices, 4); /* Two GPUs, the first VF of both ports behind their switch. */
	assert_string_equal(plan->devices[2].host, "0000:3f:00.2");
	assert_string_equal(plan->devices[2].pf, "0000:3f:00.0");
	assert_string_equal(plan->emulator, "48-71");
}

static void
devices_by_address(void **state)
{
	char gpu[] = "0000:91:00.0";
	char nic[] = "0000:93:00.1";
	char *list[] = { gpu, nic };

	(void)state;
	wanted.vm[0].has_gpus = wanted.vm[0].has_nvswitches = wanted.vm[0].has_nic_vfs = false;
	wanted.vm[0].nic_vfs = 0;
	wanted.vm[0].devices = list;
	wanted.vm[0].n_devices = 2;
	wanted.vm[0].vcpus = 8;
	wanted.vm[0].memory = 64 * GIB;
	const struct vm_plan *plan = make_well(host_hgx_a100());
	assert_int_equal(plan->n_devices, 2);
	assert_int_equal(plan->cells[0].host_node, 1);
	assert_int_equal(plan->n_groups, 1);
	assert_null(plan->devices[1].pf);
	gpu[5] = 'a';
	expect_refused(make(host), "the host has no device 0000:a1:00.0");
	memcpy(gpu, "0000:90:00.0", sizeof(gpu));
	expect_refused(make(host), "0000:90:00.0 is a bridge: a VM can have what is behind it");
}

/* The nearest switch is the NIC's own, but the GPU's pair is behind the one above. */
static void
the_nearest_switch_with_both_counts(void **state)
{
	Gdr__Inventory *nested = host_new(46);

	(void)state;
	host_node(nested, "0-63", 1000, "10");
	host_switch(nested, 0x10, 2, 0);
	host_gpu(nested, "0000:13:00.0", "0000:12:00.0", 0, 64 * GIB);
	(void)host_add(nested, GDR__PCI_DEVICE__KIND__UPSTREAM_PORT, "0000:14:00.0", "0000:12:01.0", 0);
	(void)host_add(nested, GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT, "0000:15:00.0", "0000:14:00.0", 0);
	host_nic(nested, "0000:16:00.0", "0000:15:00.0", 0, 8);
	host_nic(nested, "0000:16:00.1", "0000:15:00.0", 0, 8);
	const struct vm_plan *plan = make_well(host_done(nested));
	assert_int_equal(plan->n_groups, 1);
	assert_string_equal(plan->groups[0].host, "0000:11:00.0");
}

static void
without_switches(void **state)
{
	(void)state;
	wanted.vm[0].vcpus = 16;
	wanted.vm[0].memory = 256 * GIB;
	const struct vm_plan *plan = make_well(host_no_switch());
	assert_int_equal(plan->n_groups, 6); /* Each root port. */
	wanted.vm[0].pair_by_node = wanted.vm[0].has_pair_by_node = true;
	plan = make_well(host);
	assert_int_equal(plan->n_groups, 2);
	assert_string_equal(plan->groups[0].host, "");
}

static void
two_vms_share_a_host(void **state)
{
	(void)state;
	want(&wanted, 2, 24, 400);
	wanted.vm[0].gpus = wanted.vm[1].gpus = 4;
	wanted.vm[1].nvswitches = 0;
	const struct vm_plan *first = make_well(host_hgx_a100());
	const struct vm_plan *second = vm_plans_find(&plans, "sim1-gpu1");
	assert_non_null(second);
	assert_null(second->refused);
	assert_string_equal(first->devices[0].host, "0000:3d:00.0");
	assert_string_equal(second->devices[0].host, "0000:91:00.0");
	assert_int_equal(first->cells[0].host_node, 0);
	assert_int_equal(second->cells[0].host_node, 1);
	assert_int_equal(vm_plans_vfs(&plans, "0000:3f:00.0"), 1);
	assert_int_equal(vm_plans_vfs(&plans, "0000:03:00.0"), 0);
	assert_int_equal(vm_plans_memory(&plans, 1), 400 * GIB);
	/* A third one of the second's name, and one for which nothing is left. */
	want(&wanted, 3, 24, 400);
	wanted.vm[0].gpus = wanted.vm[1].gpus = 4;
	wanted.vm[1].nvswitches = 0;
	wanted.vm[2].name = wanted.vm[1].name;
	(void)make(host);
	expect_refused(&plans.plan[2], "an earlier VM is called sim1-gpu1, too");
	wanted.vm[2].name = wanted.vm[0].name + strlen("{node}-");
	(void)make(host);
	expect_refused(&plans.plan[2], "all GPUs are wanted, and of the host's 8 none is left");
}

static void
vfs_have_addresses_before_they_exist(void **state)
{
	char mac[] = "02:67:64";

	(void)state;
	wanted.vm[0].nic_vfs = 3;
	wanted.vm[0].vf_mac = mac;
	const struct vm_plan *plan = make_well(host_vela());
	assert_string_equal(plan->devices[1].host, "0000:3f:00.2");
	assert_string_equal(plan->devices[3].host, "0000:3f:00.4");
	assert_string_equal(plan->devices[4].host, "0000:3f:01.2");
	assert_int_equal(plan->devices[6].vf, 2);
	assert_memory_equal(plan->devices[1].mac, "02:67:64:", 9);
	assert_string_not_equal(plan->devices[1].mac, plan->devices[2].mac);
	assert_null(plan->devices[0].mac);
	assert_memory_equal(plan->mac, "52:54:00:", 9);
	wanted.vm[0].nic_vfs = 9;
	expect_refused(make(host), "9 virtual functions of 0000:3f:00.0 are wanted in all; it has 8");
}

/* --- nodes ------------------------------------------------------------------------------------------- */

static void
one_node(void **state)
{
	(void)state;
	wanted.vm[0].vcpus = 16;
	wanted.vm[0].memory = 128 * GIB;
	const struct vm_plan *plan = make_well(host_one_node());
	assert_int_equal(plan->n_cells, 1);
	assert_int_equal(plan->n_devices, 4); /* Not the management NIC's. */
}

static void
four_nodes(void **state)
{
	(void)state;
	wanted.vm[0].vcpus = 34;
	wanted.vm[0].memory = 514 * GIB;
	const struct vm_plan *plan = make_well(host_four_nodes());
	assert_int_equal(plan->n_cells, 4);
	assert_int_equal(plan->cells[0].n_vcpus, 9);
	assert_int_equal(plan->cells[3].n_vcpus, 8);
	assert_int_equal(plan->cells[3].first_vcpu, 26);
	assert_int_equal(plan->cells[0].memory, 129 * GIB);
	assert_int_equal(plan->cells[3].memory, 128 * GIB);
	assert_int_equal(plan->cpus[26], 48);
}

/* A node of memory alone is no cell: what is near it goes to the nearest that is one. */
static void
memory_alone_is_no_cell(void **state)
{
	(void)state;
	wanted.vm[0].vcpus = 16;
	wanted.vm[0].memory = 256 * GIB;
	wanted.vm[0].numa = GDR__VM_NUMA__VM_NUMA_ALL;
	wanted.vm[0].has_numa = true;
	const struct vm_plan *plan = make_well(host_cxl());
	assert_int_equal(plan->n_cells, 2);
	assert_string_equal(plan->devices[3].host, "0000:60:00.0");
	assert_int_equal(plan->groups[plan->devices[3].group].cell, 1);
	wanted.vm[0].has_numa = false;
	plan = make_well(host);
	assert_int_equal(plan->n_cells, 2);
	assert_int_equal(plan->cells[1].host_node, 1);
}

static void
eight_rails(void **state)
{
	(void)state;
	wanted.vm[0].vcpus = 96;
	wanted.vm[0].memory = 1600 * GIB;
	const struct vm_plan *plan = make_well(host_hgx_h100(128 * GIB));
	assert_int_equal(plan->n_groups, 9);
	assert_int_equal(plan->n_devices, 8 + 8 + 4);
	for (size_t i = 0; i < plan->n_devices; i++)
		if (plan->devices[i].kind == GDR__PCI_DEVICE__KIND__GPU)
			assert_int_equal(plan->devices[i + 1].group, plan->devices[i].group);
	plan = make_well(host_hgx_h100(256 * GIB)); /* H200 */
	assert_int_equal(plan->n_groups, 9);
}

static void
host_cpus_are_kept(void **state)
{
	char kept[] = "0,1,24,25";

	(void)state;
	wanted.vm[0].vcpus = 44;
	wanted.vm[0].host_cpus = kept;
	const struct vm_plan *plan = make_well(host_vela());
	assert_int_equal(plan->cpus[0], 2);
	assert_int_equal(plan->cpus[22], 26);
	assert_string_equal(plan->emulator, kept);
	wanted.vm[0].vcpus = 46;
	expect_refused(make(host), "23 vCPUs are wanted on node 0, which has 22 CPUs left for them");
}

/* --- what does not fit ------------------------------------------------------------------------------- */

static void
memory_that_does_not_fit(void **state)
{
	(void)state;
	wanted.vm[0].memory = 1002 * GIB;
	expect_refused(make(host_vela()), "501 pages of 1024 MiB are wanted on node 0, which has 499 for them");
	wanted.vm[0].memory = 750 * GIB + GIB / 2;
	expect_refused(make(host), "memory is not a whole number of pages of 1024 MiB");
	wanted.pages.count = 700;
	wanted.vm[0].memory = 702 * GIB;
	expect_refused(make(host), "351 pages of 1024 MiB are wanted on node 0, which has 350 for them");
	wanted.vm[0].memory = GIB;
	expect_refused(make(host), "1 pages cannot fill 2 cells");
	wanted.spec.hugepages = NULL;
	wanted.vm[0].memory = 750 * GIB;
	assert_int_equal(make_well(host)->page, 0);
}

static void
what_is_not_there(void **state)
{
	(void)state;
	wanted.vm[0].gpus = 9;
	expect_refused(make(host_hgx_a100()), "9 GPUs are wanted; of the host's 8 only 8 are left");
	wanted.vm[0].gpus = 8;
	wanted.vm[0].nvswitches = 7;
	expect_refused(make(host), "7 NVSwitches are wanted; of the host's 6 only 6 are left");
	wanted.vm[0].nvswitches = 6;
	wanted.vm[0].has_vcpus = false;
	expect_refused(make(host), "a VM needs name, vcpus and memory");
	wanted.vm[0].has_vcpus = true;
	wanted.vm[0].vcpus = 1;
	expect_refused(make(host), "1 vCPUs cannot fill 2 cells");
	wanted.vm[0].gpus = 0;
	expect_refused(make(host), "nic_vfs: no NIC of the host serves this VM's GPUs");
	wanted.vm[0].gpus = UINT32_MAX;
	expect_refused(make(host_done(host_new(46))), "all GPUs are wanted, and of the host's 0 none is left");
}

static void
addresses_that_do_not_reach(void **state)
{
	(void)state;
	wanted.vm[0].cpu = &wanted.cpu;
	wanted.cpu.has_phys_bits = true;
	wanted.cpu.phys_bits = 40; /* QEMU's own default. */
	expect_refused(make(host_hgx_a100()),
		       "the devices' memory takes 1536 GiB; the window for it has 1024 GiB (all of the address width)");
	wanted.cpu.phys_bits = 41;
	expect_refused(make(host), "memory and the devices' memory end at 2304 GiB; 41 address bits reach 2048 GiB");
	wanted.cpu.phys_bits = 42;
	(void)make_well(host);
	wanted.vm[0].has_firmware = true;
	wanted.vm[0].firmware = GDR__VM_FIRMWARE__VM_FIRMWARE_OVMF;
	expect_refused(make(host), "the devices' memory takes 1536 GiB; the window for it has 512 GiB (an eighth of "
				   "what the address width reaches, with OVMF)");
	wanted.vm[0].pci_hole64 = 1024 * GIB;
	expect_refused(make(host), "the devices' memory takes 1536 GiB; the window for it has 1024 GiB (pci_hole64)");
	wanted.vm[0].pci_hole64 = 2048 * GIB;
	(void)make_well(host);
	wanted.vm[0].cpu = NULL;
	host->phys_bits = 0;
	assert_has(make_well(host)->notes[0], "address width is not known");
}

static void
machines_that_are_too_small(void **state)
{
	Gdr__Inventory *big = host_new(46);

	(void)state;
	host_node(big, "0-299", 2000, "10");
	wanted.vm[0].has_machine = true;
	wanted.vm[0].machine = GDR__VM_MACHINE__VM_MACHINE_I440FX;
	wanted.vm[0].vcpus = 256;
	wanted.vm[0].has_gpus = wanted.vm[0].has_nic_vfs = false;
	wanted.vm[0].nic_vfs = 0;
	expect_refused(make(host_done(big)), "256 vCPUs are wanted; machine i440fx has at most 255");
	wanted.vm[0].has_machine = false;
	(void)make_well(big);
	wanted.vm[0].vcpus = 48;
	wanted.vm[0].has_gpus = true;
	wanted.vm[0].has_spare_buses = true;
	wanted.vm[0].spare_buses = 32;
	wanted.vm[0].nic_vfs = 1;
	wanted.vm[0].memory = 256 * GIB;
	host = NULL;
	inventory_free(big);
	expect_refused(make(host_hgx_h100(GIB)), "335 bus numbers are needed, 288 of them spare; there are 248");
}

static void
an_iommu_group_is_whole(void **state)
{
	char snd[] = "snd_hda_intel";

	(void)state;
	host = host_vela();
	Gdr__PciDevice *sound = host_add(host, GDR__PCI_DEVICE__KIND__OTHER, "0000:48:00.1", "0000:3c:01.0", 0);
	(void)host_done(host);
	for (size_t i = 0; i < host->n_pci; i++)
		if (strncmp(host->pci[i]->address, "0000:48", 7) == 0) {
			host->pci[i]->has_iommu_group = true;
			host->pci[i]->iommu_group = 12;
		}
	(void)make_well(host); /* No driver has it. */
	sound->driver = xstrdup(snd);
	expect_refused(make(host), "0000:48:00.0 is in IOMMU group 12 together with 0000:48:00.1, which "
				   "snd_hda_intel drives");
}

/* --- pages ------------------------------------------------------------------------------------------- */

static void
pages_follow_the_vms(void **state)
{
	(void)state;
	host = host_hgx_a100();
	assert_int_equal(pages_wanted(host, &wanted.spec, 0), 375);
	assert_int_equal(pages_wanted(host, &wanted.spec, 1), 375);
	assert_int_equal(pages_wanted(host, &wanted.spec, 7), 0);
	assert_int_equal(pages_wanted_in_all(host, &wanted.spec), 750);
	wanted.vm[0].gpus = 9; /* It cannot be: what there is stays. */
	assert_int_equal(pages_wanted_in_all(host, &wanted.spec), 0);
	host_pages(host, 0, 5);
	assert_int_equal(pages_wanted(host, &wanted.spec, 0), 5);
	assert_int_equal(pages_wanted(host, &wanted.spec, 1), 0);
	wanted.pages.count = 7;
	assert_int_equal(pages_wanted(host, &wanted.spec, 0), 4);
	assert_int_equal(pages_wanted(host, &wanted.spec, 1), 3);
	assert_int_equal(pages_wanted_in_all(host, &wanted.spec), 7);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_published_host),
		TEST(the_published_host_on_i440fx),
		TEST(gpus_by_number_take_the_nics_that_serve_them),
		TEST(devices_by_address),
		TEST(the_nearest_switch_with_both_counts),
		TEST(without_switches),
		TEST(two_vms_share_a_host),
		TEST(vfs_have_addresses_before_they_exist),
		TEST(one_node),
		TEST(four_nodes),
		TEST(memory_alone_is_no_cell),
		TEST(eight_rails),
		TEST(host_cpus_are_kept),
		TEST(memory_that_does_not_fit),
		TEST(what_is_not_there),
		TEST(addresses_that_do_not_reach),
		TEST(machines_that_are_too_small),
		TEST(an_iommu_group_is_whole),
		TEST(pages_follow_the_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
