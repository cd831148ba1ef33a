/* machine.c - CPUs, firmware's tables and the machine's identity. */

#include "tests/simhost/machine.h"

#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/simhost/tree.h"

#define CPUS  96U
#define CORES 48U

const char *
machine_cpulist(unsigned node)
{
	return node == 0 ? "0-23,48-71" : "24-47,72-95";
}

/* --- CPUs -------------------------------------------------------------------------------------- */

static const char flags[] =
	"fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush dts acpi mmx fxsr sse sse2 ss ht "
	"tm pbe syscall nx pdpe1gb rdtscp lm constant_tsc art arch_perfmon pebs bts rep_good nopl xtopology nonstop_tsc "
	"cpuid aperfmperf pni pclmulqdq dtes64 monitor ds_cpl%s smx est tm2 ssse3 sdbg fma cx16 xtpr pdcm pcid dca sse4_1 "
	"sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave avx f16c rdrand lahf_lm abm 3dnowprefetch cpuid_fault "
	"epb cat_l3 invpcid_single ssbd mba ibrs ibpb stibp ibrs_enhanced%s fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms "
	"invpcid cqm rdt_a avx512f avx512dq rdseed adx smap avx512ifma clflushopt clwb intel_pt avx512cd sha_ni avx512bw "
	"avx512vl xsaveopt xsavec xgetbv1 xsaves cqm_llc wbnoinvd dtherm ida arat pln pts avx512vbmi umip pku ospke "
	"avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq la57 rdpid fsrm md_clear "
	"pconfig flush_l1d arch_capabilities";

void
machine_write_cpuinfo(struct tree *tree, bool vmx)
{
	auto_buf struct buf out = { 0 };

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		buf_printf(&out,
			   "processor\t: %u\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 106\n"
			   "model name\t: Intel(R) Xeon(R) Gold 6342 CPU @ 2.80GHz\nstepping\t: 6\n"
			   "microcode\t: 0xd0003b9\ncpu MHz\t\t: 2800.000\ncache size\t: 36864 KB\n"
			   "physical id\t: %u\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n"
			   "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 27\nwp\t\t: yes\nflags\t\t: ",
			   cpu, cpu % CORES / 24, CPUS / 2, cpu % 24, CORES / 2, cpu);
		buf_printf(&out, flags, vmx ? " vmx" : "", vmx ? " tpr_shadow vnmi flexpriority ept vpid ept_ad" : "");
		if (vmx)
			buf_printf(&out,
				   "\nvmx flags\t: vnmi preemption_timer posted_intr invvpid ept_x_only ept_ad ept_1gb "
				   "flexpriority apicv tsc_offset vtpr mtf vapic ept vpid unrestricted_guest vapic_reg "
				   "vid ple shadow_vmcs pml tsc_scaling");
		buf_printf(&out, "\nbugs\t\t: spectre_v1 spectre_v2 spec_store_bypass swapgs mmio_stale_data\n"
				 "bogomips\t: 5600.00\nclflush size\t: 64\ncache_alignment\t: 64\n"
				 "address sizes\t: 46 bits physical, 57 bits virtual\npower management:\n\n");
	}
	tree_printf(tree, "proc/cpuinfo", "%s", out.text);
}

static void
write_nodes(struct tree *tree)
{
	tree_cd(tree, "sys/devices/system");
	tree_printf(tree, "cpu/online", "0-%u\n", CPUS - 1);
	tree_printf(tree, "cpu/present", "0-%u\n", CPUS - 1);
	tree_printf(tree, "cpu/possible", "0-%u\n", CPUS - 1);
	tree_cd(tree, "sys/devices/system/node");
	tree_printf(tree, "online", "0-1\n");
	tree_printf(tree, "possible", "0-1\n");
	tree_printf(tree, "has_cpu", "0-1\n");
	tree_printf(tree, "has_memory", "0-1\n");
	tree_printf(tree, "has_normal_memory", "0-1\n");
	for (unsigned node = 0; node < SIM_NODES; node++) {
		tree_cd(tree, "sys/devices/system/node/node%u", node);
		tree_printf(tree, "cpulist", "%s\n", machine_cpulist(node));
		tree_printf(tree, "cpumap", "%s\n",
			    node == 0 ? "000000ff,ffff0000,00ffffff" : "ffffff00,0000ffff,ff000000");
		tree_printf(tree, "distance", "%s\n", node == 0 ? "10 20" : "20 10");
	}
	tree_cd(tree, "%s", "");
}

/* --- firmware ---------------------------------------------------------------------------------- */

/* ACPI's names are padded, not ended. */
static void
put_name(unsigned char *p, const char *name)
{
	while (*name)
		*p++ = (unsigned char)*name++;
}

static void
put32(unsigned char *p, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(value >> i * 8);
}

/* ACPI's DMAR table: one remapping unit for all devices, ATS at all root ports. */
static void
write_dmar(struct tree *tree)
{
	unsigned char table[48 + 16 + 8] = "DMAR";
	unsigned char sum = 0;

	put32(table + 4, sizeof(table));
	table[8] = 1;
	put_name(table + 10, "ALASKAA M I   ");
	put32(table + 24, 1);
	put_name(table + 28, "INTL");
	put32(table + 32, 0x20091013);
	table[36] = 45; /* 46 bits of address. */
	table[37] = 1;  /* Interrupt remapping. */
	table[50] = 16; /* DRHD: */
	table[52] = 1;  /* all of them. */
	put32(table + 56, 0xd37fc000);
	table[64] = 2; /* ATSR: */
	table[66] = 8;
	table[68] = 1; /* all of them. */
	for (size_t i = 0; i < sizeof(table); i++)
		sum = (unsigned char)(sum + table[i]);
	table[9] = (unsigned char)(0x100U - sum);
	tree_write(tree, "DMAR", table, sizeof(table));
}

static void
write_dmi(struct tree *tree, const struct sim *sim)
{
	tree_cd(tree, "sys/class/dmi/id");
	tree_printf(tree, "bios_vendor", "American Megatrends International, LLC.\n");
	tree_printf(tree, "bios_version", "1.4b\n");
	tree_printf(tree, "bios_date", "01/11/2023\n");
	tree_printf(tree, "bios_release", "5.22\n");
	tree_printf(tree, "sys_vendor", "gdrfleet\n");
	tree_printf(tree, "product_name", "Simulated HGX A100\n");
	tree_printf(tree, "product_family", "Family\n");
	tree_printf(tree, "product_version", "1\n");
	tree_printf(tree, "product_serial", "%s\n", sim->name);
	tree_printf(tree, "board_vendor", "gdrfleet\n");
	tree_printf(tree, "board_name", "SIM-A100\n");
	tree_printf(tree, "chassis_type", "23\n");
	tree_cd(tree, "%s", "");
}

void
machine_write(struct tree *tree, const struct sim *sim)
{
	machine_write_cpuinfo(tree, !sim_broken(sim, "bios-vmx"));
	write_nodes(tree);
	write_dmi(tree, sim);
	tree_mkdir(tree, "sys/firmware/acpi/tables");
	tree_mkdir(tree, "sys/firmware/efi");
	tree_cd(tree, "sys/firmware/acpi/tables");
	tree_printf(tree, "FACP", "%s", "FACP");
	if (!sim_broken(sim, "bios-iommu"))
		write_dmar(tree);
	tree_cd(tree, "%s", "");
}
