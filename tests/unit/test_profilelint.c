/* Links: ctl */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/profilelint.h"

#define VM   "vm: [{name: a, memory: 100G, nic_vfs: 1}]"
#define MAX  "nic: [{match: {vendor: 15b3}, settings: {MAX_ACC_OUT_READ: 44, ATS_ENABLED: True}"
#define ENV  "guest: {nccl: {env: {"
#define VALS "guest: {sysctl: {values: {"

/* A spec, and which rules speak up; "" is for what comes close to breaking 'rule' and does not. */
static const struct {
	const char *rule;
	const char *want;
	const char *spec;
} cases[] = {
	{ "blacklist", "blacklist", "kernel: {cmdline: [rdblaclist=nouveau]}" },
	{ "blacklist", "blacklist", "kernel: {cmdline: [quiet, rdblacklist=nouveau]}" },
	{ "blacklist", "", "kernel: {cmdline: [rd.driver.blacklist=nouveau]}" },
	{ "iommu", "iommu", VM "\nkernel: {}" },
	{ "iommu", "", VM "\nkernel: {iommu: passthrough}" },
	{ "iommu", "", "kernel: {}" },
	{ "ats-force", "ats-force", "pci: [{match: gpus, ats: true}, {match: nics, ats_force: true}]" },
	{ "ats-force", "", "pci: [{match: nics, ats: true, ats_force: false}]" },
	{ "unlock", "unlock", MAX "}]" },
	{ "unlock", "", MAX ", unlock: {MAX_ACC_OUT_READ: ADVANCED_PCI_SETTINGS}}]" },
	{ "ats", "ats", VM "\nnic: [{match: {vendor: 15b3}, settings: {PCI_WR_ORDERING: per_mkey}}]" },
	{ "ats", "", VM "\nnic: [{settings: {P2P_ORDERING_MODE: SECURE_NONE}}, {settings: {ATS_ENABLED: True}}]" },
	{ "pages", "pages pages-sum", VM "\nhugepages: {size: 1G, count: 99}" },
	{ "pages", "pages", VM "\nhugepages: {size: 1G, per_node: {'0': '50', '1': '49'}}" },
	{ "pages", "", VM "\nhugepages: {size: 1G, per_node: {'0': '50', '1': '50'}}" },
	{ "pages", "", VM "\nhugepages: {size: 1G, count: vm}" },
	{ "pages-sum", "pages-sum", "hugepages: {size: 1G, count: 750}" },
	{ "pages-sum", "", "hugepages: {size: 1G, count: vm}" },
	{ "ats-driver", "ats-driver", "vm: [{name: a}, {name: b, ats_driver: true}]" },
	{ "ats-driver", "", "vm: [{name: a, ats_driver: false}]" },
	{ "i440fx", "i440fx", "vm: [{name: a, machine: i440fx}]\nguest: {nccl: {}}" },
	{ "i440fx", "", "vm: [{name: a, machine: i440fx}]\nguest: {nccl: {topology: /run/a.xml}}" },
	{ "i440fx", "", "vm: [{name: a, machine: q35}]" },
	{ "application-clocks", "application-clocks", "guest: {gpu: {application_clocks: max}}" },
	{ "application-clocks", "", "guest: {gpu: {graphics_clock: max}}" },
	{ "tcp-low-latency", "tcp-low-latency", VALS "net.ipv4.tcp_low_latency: '1'}}}" },
	{ "tcp-low-latency", "", VALS "net.ipv4.tcp_sack: '1'}}}" },
	{ "tcp-rmem", "tcp-rmem", VALS "net.ipv4.tcp_rmem: 4096 87380 4194304}}}" },
	{ "tcp-rmem", "", VALS "net.ipv4.tcp_rmem: 4096 131072 33554432}}}" },
	{ "tcp-rmem", "", VALS "net.ipv4.tcp_rmem: 4096 87380 4194304}, never_lower: ['net.ipv4.tcp_?mem']}}" },
	{ "tcp-timestamps", "tcp-timestamps", VALS "net.ipv4.tcp_timestamps: '0'}}}" },
	{ "tcp-timestamps", "", VALS "net.ipv4.tcp_timestamps: '1'}}}" },
	{ "rmem-default", "rmem-default", VALS "net.core.rmem_default: '4194304'}}}" },
	{ "rmem-default", "", VALS "net.core.rmem_max: '4194304', net.core.rmem_default: '212992'}}}" },
	{ "arp-ignore", "arp-ignore", VALS "net.ipv4.conf.all.arp_ignore: '2'}}}" },
	{ "arp-ignore", "", VALS "net.ipv4.conf.all.arp_ignore: '1'}}}" },
	{ "cuda-visible-devices", "cuda-visible-devices", ENV "CUDA_VISIBLE_DEVICES: '0'}}}" },
	{ "cuda-visible-devices", "", ENV "NCCL_DEBUG: WARN}}}" },
	{ "gid-index", "gid-index", ENV "NCCL_IB_GID_INDEX: '3'}}}" },
	{ "gid-index", "", ENV "NCCL_IB_GID_INDEX: auto}}}" },
	{ "gid-index", "", ENV "NCCL_IB_GID_INDEX: '-1'}}}" },
	{ "buffsize", "buffsize", ENV "NCCL_BUFFSIZE: '67108864'}}}" },
	{ "buffsize", "", ENV "NCCL_BUFFSIZE: '8388608'}}}" },
	{ "hca-prefix", "hca-prefix", ENV "NCCL_IB_HCA: mlx5_1}}}" },
	{ "hca-prefix", "hca-prefix", ENV "NCCL_IB_HCA: ^mlx5_1}}}" },
	{ "hca-prefix", "", ENV "NCCL_IB_HCA: =mlx5_1}}}" },
	{ "hca-prefix", "", ENV "NCCL_IB_HCA: ^=mlx5_1}}}" },
	{ "hca-prefix", "", ENV "NCCL_IB_HCA: auto}}}" },
	{ "algo", "algo", ENV "NCCL_ALGO: Ring}}}" },
	{ "algo", "", ENV "NCCL_CROSS_NIC: '1'}}}" },
	{ "relaxed-ordering", "relaxed-ordering", ENV "NCCL_IB_PCI_RELAXED_ORDERING: '1'}}}" },
	{ "relaxed-ordering", "", ENV "NCCL_IB_PCI_RELAXED_ORDERING: '2'}}}" },
	{ "cpu-affinity", "cpu-affinity", ENV "NCCL_IGNORE_CPU_AFFINITY: '1'}}}" },
	{ "cpu-affinity", "", ENV "NCCL_IGNORE_CPU_AFFINITY: '0'}}}" },
	{ "ib-disable", "ib-disable", ENV "NCCL_IB_DISABLE: '0'}}}" },
	{ "ib-disable", "", ENV "NCCL_IB_DISABLE: '1'}}}" },
};

/* "pages pages-sum" */
static char *
ids_of(const Gdr__Spec *spec)
{
	struct profilelint_findings findings;
	struct buf ids = { 0 };

	profilelint(spec, &findings);
	for (size_t i = 0; i < findings.n; i++)
		buf_printf(&ids, "%s%s", i > 0 ? " " : "", findings.list[i].rule->id);
	assert_int_equal(findings.n, findings.count[0] + findings.count[1] + findings.count[2]);
	profilelint_free(&findings);
	return buf_steal(&ids);
}

static void
each_rule_finds_what_it_is_for(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_pb Gdr__Spec *spec = NULL;
		struct err err = { 0 };

		if (pbtext_parse(&gdr__spec__descriptor, "spec", cases[i].spec, strlen(cases[i].spec),
				 (ProtobufCMessage **)&spec, &err) < 0)
			fail_msg("'%s': %s", cases[i].spec, err.msg);
		auto_free char *ids = ids_of(spec);
		if (strcmp(ids, cases[i].want) == 0)
			continue;
		wrong++;
		print_error("%s: '%s': wanted '%s', got '%s'\n", cases[i].rule, cases[i].spec, cases[i].want, ids);
	}
	assert_int_equal(wrong, 0);
}

/* A rule without a check is there to be read. */
static void
each_rule_is_tried_both_ways_and_has_a_source(void **state)
{
	(void)state;
	for (size_t r = 0; r < profilelint_rules_len; r++) {
		const struct profilelint_rule *rule = &profilelint_rules[r];
		unsigned good = 0;
		unsigned bad = 0;

		assert_true(strncmp(rule->source, "https://", 8) == 0);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (strcmp(cases[i].rule, rule->id) == 0)
				*(cases[i].want[0] ? &bad : &good) += 1;
		if ((rule->check || rule->bad) && (good == 0 || bad == 0))
			fail_msg("%s is not tried both ways", rule->id);
	}
}

static void
paths_and_values_are_named(void **state)
{
	static const char text[] = "kernel: {cmdline: [quiet, rdblaclist=nouveau]}\n" ENV "NCCL_ALGO: Ring}}}\n" VM
				   "\nhugepages: {size: 1G, count: 10}";
	auto_pb Gdr__Spec *spec = NULL;
	struct profilelint_findings findings;
	auto_buf struct buf out = { 0 };
	struct err err = { 0 };

	(void)state;
	if (pbtext_parse(&gdr__spec__descriptor, "spec", text, strlen(text), (ProtobufCMessage **)&spec, &err) < 0)
		fail_msg("%s", err.msg);
	profilelint(spec, &findings);
	for (size_t i = 0; i < findings.n; i++)
		buf_printf(&out, "%s=%s\n", findings.list[i].path, findings.list[i].have ? findings.list[i].have : "-");
	profilelint_free(&findings);
	assert_string_equal(out.text, "kernel.cmdline[1]=rdblaclist=nouveau\n"
				      "kernel.iommu=-\n"
				      "hugepages.count=10 for VMs of 100\n"
				      "hugepages.count=10\n"
				      "guest.nccl.env.NCCL_ALGO=Ring\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_finds_what_it_is_for),
		cmocka_unit_test(each_rule_is_tried_both_ways_and_has_a_source),
		cmocka_unit_test(paths_and_values_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
