#include "controller/ctl/profilelint.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/pb.h"
#include "common/rules.h"

struct profilelint_judge {
	const struct profilelint_rule *rule; /* Whose turn it is. */
	struct profilelint_findings *out;
};

/* 'have' may be NULL. */
static void __attribute__((format(printf, 3, 4)))
found(struct profilelint_judge *judge, const char *have, const char *path, ...)
{
	struct profilelint_findings *out = judge->out;
	char text[256];
	va_list args;

	va_start(args, path);
	(void)vsnprintf(text, sizeof(text), path, args);
	va_end(args);
	out->list = xrealloc(out->list, out->n + 1, sizeof(*out->list));
	out->list[out->n++] = (struct profilelint_finding){ .rule = judge->rule,
							    .path = xstrdup(text),
							    .have = have ? xstrdup(have) : NULL };
	out->count[judge->rule->severity]++;
}

/* --- values -------------------------------------------------------------------------------------------- */

static bool
any(const char *value)
{
	(void)value;
	return true;
}

/* What is `auto` is found on the machine, or left to NCCL. */
static bool
is_chosen(const char *value)
{
	return strcmp(value, "auto") != 0;
}

static bool
is_one(const char *value)
{
	return strcmp(value, "1") == 0;
}

static bool
is_zero(const char *value)
{
	return strcmp(value, "0") == 0;
}

static bool
is_two(const char *value)
{
	return strcmp(value, "2") == 0;
}

static bool
is_number(const char *value)
{
	return isdigit((unsigned char)*value);
}

static bool
is_large_buffer(const char *value)
{
	return strtoull(value, NULL, 0) > 16ULL << 20;
}

/* "mlx5_1" is a prefix to NCCL; "=mlx5_1" and "^=mlx5_1" are not. */
static bool
is_prefix_list(const char *value)
{
	return strcmp(value, "auto") != 0 && *value != '=' && strncmp(value, "^=", 2) != 0;
}

/* The third of "4096 87380 4194304". */
static bool
is_low_receive_maximum(const char *value)
{
	const char *last = strrchr(value, ' ');

	return last && strtoull(last, NULL, 10) < 6ULL << 20;
}

static bool
is_large_default(const char *value)
{
	return strtoull(value, NULL, 10) > 1ULL << 20;
}

/* --- the host ------------------------------------------------------------------------------------------- */

static void
check_blacklist(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	static const char *const wrong[] = { "rdblaclist=", "rdblacklist=" };

	for (size_t i = 0; spec->kernel && i < spec->kernel->n_cmdline; i++)
		for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++)
			if (strncmp(spec->kernel->cmdline[i], wrong[w], strlen(wrong[w])) == 0)
				found(judge, spec->kernel->cmdline[i], "kernel.cmdline[%zu]", i);
}

static void
check_iommu(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	if (spec->n_vm > 0 && spec->kernel && !spec->kernel->has_iommu)
		found(judge, NULL, "kernel.iommu");
}

static void
check_ats_force(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	for (size_t i = 0; i < spec->n_pci; i++)
		if (spec->pci[i]->ats_force)
			found(judge, "true", "pci[%zu].ats_force", i);
}

static bool
has_setting(const Gdr__NicRule *rule, const char *name)
{
	return PB_MAP_GET(rule->settings, rule->n_settings, name) != NULL;
}

static bool
has_unlock(const Gdr__NicRule *rule, const char *name)
{
	return PB_MAP_GET(rule->unlock, rule->n_unlock, name) != NULL;
}

static void
check_unlock(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	for (size_t i = 0; i < spec->n_nic; i++)
		if (has_setting(spec->nic[i], "MAX_ACC_OUT_READ") && !has_unlock(spec->nic[i], "MAX_ACC_OUT_READ"))
			found(judge, NULL, "nic[%zu].unlock.MAX_ACC_OUT_READ", i);
}

/* Where a VM has NICs and the profile looks after the cards at all. */
static void
check_ats(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	bool vfs = false;
	bool ats = false;

	for (size_t i = 0; i < spec->n_vm; i++)
		vfs = vfs || spec->vm[i]->nic_vfs > 0;
	for (size_t i = 0; i < spec->n_nic; i++)
		ats = ats || has_setting(spec->nic[i], "ATS_ENABLED");
	if (vfs && spec->n_nic > 0 && !ats)
		found(judge, NULL, "nic[0].settings.ATS_ENABLED");
}

static uint64_t
pages_wanted(const Gdr__Spec *spec)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < spec->n_vm; i++)
		bytes += spec->vm[i]->memory;
	return bytes / spec->hugepages->size;
}

static void
check_pages(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	const Gdr__HugepagesSpec *pages = spec->hugepages;
	uint64_t have = 0;

	if (!pages || !pages->size || (pages->has_count && pages->count == RULES_WORD))
		return;
	for (size_t i = 0; i < pages->n_per_node; i++)
		have += strtoull(pages->per_node[i]->value ? pages->per_node[i]->value : "", NULL, 10);
	if (pages->n_per_node == 0)
		have = pages->count;
	if (have >= pages_wanted(spec))
		return;
	auto_free char *text = xasprintf("%llu for VMs of %llu", (unsigned long long)have,
					 (unsigned long long)pages_wanted(spec));
	found(judge, text, "hugepages.%s", pages->n_per_node > 0 ? "per_node" : "count");
}

static void
check_sum(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	if (!spec->hugepages || !spec->hugepages->has_count || spec->hugepages->count == RULES_WORD ||
	    spec->hugepages->n_per_node > 0)
		return;
	auto_free char *text = xasprintf("%u", spec->hugepages->count);
	found(judge, text, "hugepages.count");
}

/* --- the VM --------------------------------------------------------------------------------------------- */

static void
check_ats_driver(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	for (size_t i = 0; i < spec->n_vm; i++)
		if (spec->vm[i]->ats_driver)
			found(judge, "true", "vm[%zu].ats_driver", i);
}

static void
check_i440fx(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	bool file = spec->guest && spec->guest->nccl && spec->guest->nccl->topology;

	for (size_t i = 0; i < spec->n_vm; i++)
		if (spec->vm[i]->has_machine && spec->vm[i]->machine == GDR__VM_MACHINE__VM_MACHINE_I440FX && !file)
			found(judge, "i440fx", "vm[%zu].machine", i);
}

/* --- the guest ------------------------------------------------------------------------------------------- */

static void
check_clocks(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	if (spec->guest && spec->guest->gpu && spec->guest->gpu->application_clocks)
		found(judge, spec->guest->gpu->application_clocks, "guest.gpu.application_clocks");
}

/* NULL: it is not there. */
static const char *
variable(const Gdr__GuestSpec *guest, const char *name)
{
	return guest->nccl ? PB_MAP_GET(guest->nccl->env, guest->nccl->n_env, name) : NULL;
}

static bool
never_lowered(const Gdr__SysctlSpec *sysctl, const char *key)
{
	for (size_t i = 0; i < sysctl->n_never_lower; i++)
		if (fnmatch(sysctl->never_lower[i], key, 0) == 0)
			return true;
	return false;
}

/* NULL: it is not there, or lowers nothing. */
static const char *
parameter(const Gdr__GuestSpec *guest, const char *key)
{
	const Gdr__SysctlSpec *sysctl = guest->sysctl;

	if (!sysctl || never_lowered(sysctl, key))
		return NULL;
	return PB_MAP_GET(sysctl->values, sysctl->n_values, key);
}

static void
check_value(struct profilelint_judge *judge, const Gdr__Spec *spec)
{
	const struct profilelint_rule *rule = judge->rule;
	const char *name = rule->env ? rule->env : rule->sysctl;

	if (!name || !spec->guest)
		return;
	const char *value = rule->env ? variable(spec->guest, name) : parameter(spec->guest, name);
	if (value && rule->bad(value))
		found(judge, value, "guest.%s.%s", rule->env ? "nccl.env" : "sysctl.values", name);
}

/* --- the table ------------------------------------------------------------------------------------------- */

#define NOTE    PROFILELINT_NOTE
#define WARNING PROFILELINT_WARNING
#define ERROR   PROFILELINT_ERROR

#define NCCL_ENV  "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
#define RECIPE    "https://github.com/apoorvemohan/HCIR/blob/main/vela_asplos2025/vmsetup/README.md"
#define IP_SYSCTL "https://docs.kernel.org/networking/ip-sysctl.html"

const struct profilelint_rule profilelint_rules[] = {
	{ .id = "blacklist",
	  .severity = ERROR,
	  .check = check_blacklist,
	  .text = "the kernel and dracut know no such parameter, and it is ignored: nouveau takes the GPUs",
	  .remedy = "write `kernel: {blacklist: [nouveau]}`, which becomes modprobe.blacklist= and a modprobe.d file",
	  .source = "https://man7.org/linux/man-pages/man7/dracut.cmdline.7.html" },
	{ .id = "iommu",
	  .severity = ERROR,
	  .check = check_iommu,
	  .text = "a VM gets devices through VFIO, which needs the IOMMU",
	  .remedy = "write `iommu: passthrough`",
	  .source = "https://docs.kernel.org/driver-api/vfio.html" },
	{ .id = "ats-force",
	  .severity = ERROR,
	  .check = check_ats_force,
	  .text = "ATS behind the kernel's back (setpci ECAP_ATS+6.w=8000): the IOMMU driver sends no invalidations, and a "
		  "device may use a translation that is gone",
	  .remedy = "write `ats: true` alone; the kernel enables it when it attaches the device",
	  .source = "https://github.com/torvalds/linux/blob/master/drivers/pci/ats.c" },
	{ .id = "unlock",
	  .severity = ERROR,
	  .check = check_unlock,
	  .text = "MAX_ACC_OUT_READ does not exist before ADVANCED_PCI_SETTINGS is in effect, and would be called unsupported",
	  .remedy = "write `unlock: {MAX_ACC_OUT_READ: ADVANCED_PCI_SETTINGS}`",
	  .source = "https://github.com/Mellanox/mstflint/tree/master/mlxconfig" },
	{ .id = "ats",
	  .severity = WARNING,
	  .check = check_ats,
	  .text = "without ATS in the NIC each of its requests to a GPU goes by way of the root complex: about half the speed in a VM",
	  .remedy = "write `ATS_ENABLED: True`",
	  .source = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html" },
	{ .id = "pages",
	  .severity = ERROR,
	  .check = check_pages,
	  .text = "fewer huge pages than the VMs have memory: they do not start",
	  .remedy = "write `count: vm`",
	  .source = "https://libvirt.org/formatdomain.html#memory-backing" },
	{ .id = "pages-sum",
	  .severity = NOTE,
	  .check = check_sum,
	  .text = "a sum says nothing of NUMA nodes, to which a VM's memory is bound strictly: 400 and 350 would not do for 375 and 375",
	  .remedy = "write `count: vm`, or `per_node`",
	  .source = "https://libvirt.org/formatdomain.html#numa-node-tuning" },
	{ .id = "ats-driver",
	  .severity = NOTE,
	  .check = check_ats_driver,
	  .text = "<driver ats='on'/> on a PCI controller is without effect: libvirt keeps it and tells QEMU nothing",
	  .remedy = "leave it out; the NIC's ATS_ENABLED and ACS decide",
	  .source = "https://github.com/libvirt/libvirt/blob/master/src/qemu/qemu_command.c" },
	{ .id = "i440fx",
	  .severity = WARNING,
	  .check = check_i440fx,
	  .text = "to NCCL a CPU stands between any two devices on i440fx: without a topology file no GPU Direct RDMA",
	  .remedy =
		  "write `guest: {nccl: {topology: /var/run/nvidia-topologyd/virtualTopology.xml}}`, or `machine: q35`",
	  .source = "https://github.com/NVIDIA/nccl/blob/master/src/graph/xml.cc" },
	{ .id = "application-clocks",
	  .severity = NOTE,
	  .check = check_clocks,
	  .text = "application clocks (nvidia-smi -ac) are deprecated; newer drivers refuse them, and nvidia-smi exits 0 all the same",
	  .remedy = "write `graphics_clock` in their place; the layer reads back what was set",
	  .source = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceCommands.html" },
	{ .id = "tcp-low-latency",
	  .severity = NOTE,
	  .sysctl = "net.ipv4.tcp_low_latency",
	  .bad = any,
	  .text = "a legacy option without effect since Linux 4.14",
	  .remedy = "leave it out",
	  .source = IP_SYSCTL },
	{ .id = "tcp-rmem",
	  .severity = WARNING,
	  .sysctl = "net.ipv4.tcp_rmem",
	  .bad = is_low_receive_maximum,
	  .text = "the maximum is below the kernel's own default (6 MiB and more): it slows TCP down",
	  .remedy = "add net.ipv4.tcp_rmem to `never_lower`, or leave it out",
	  .source = IP_SYSCTL },
	{ .id = "tcp-timestamps",
	  .severity = WARNING,
	  .sysctl = "net.ipv4.tcp_timestamps",
	  .bad = is_zero,
	  .text = "without timestamps sequence numbers wrap unprotected (PAWS): at 100 Gb/s every third of a second",
	  .remedy = "leave it out",
	  .source = "https://www.rfc-editor.org/rfc/rfc7323#section-5" },
	{ .id = "rmem-default",
	  .severity = NOTE,
	  .sysctl = "net.core.rmem_default",
	  .bad = is_large_default,
	  .text = "the default of every socket that is not TCP: each UDP socket may hold that much",
	  .remedy = "raise net.core.rmem_max alone",
	  .source = "https://docs.kernel.org/admin-guide/sysctl/net.html" },
	{ .id = "arp-ignore",
	  .severity = NOTE,
	  .sysctl = "net.ipv4.conf.all.arp_ignore",
	  .bad = is_two,
	  .text = "answers only senders of the same subnet: wrong where links are routed (/31)",
	  .remedy = "write 1 there",
	  .source = IP_SYSCTL },
	{ .id = "cuda-visible-devices",
	  .severity = ERROR,
	  .env = "CUDA_VISIBLE_DEVICES",
	  .bad = is_chosen,
	  .text = "CUDA reads it before NCCL reads its file: it has no effect there",
	  .remedy = "leave it out, or write `auto`: `gdr-guest env` has it for the job's environment",
	  .source = "https://github.com/NVIDIA/nccl/blob/master/src/misc/param.cc" },
	{ .id = "gid-index",
	  .severity = WARNING,
	  .env = "NCCL_IB_GID_INDEX",
	  .bad = is_number,
	  .text = "one index for every NIC: wrong as soon as two differ, as after a link flap",
	  .remedy = "write `auto`, or leave it to NCCL (2.21 and newer choose by NIC)",
	  .source = NCCL_ENV "#nccl-ib-gid-index" },
	{ .id = "buffsize",
	  .severity = WARNING,
	  .env = "NCCL_BUFFSIZE",
	  .bad = is_large_buffer,
	  .text = "GPU memory for each channel and peer, 4 MiB by default: 64 MiB is 16 times as much",
	  .remedy = "leave it out, unless a measurement says otherwise",
	  .source = NCCL_ENV "#nccl-buffsize" },
	{ .id = "hca-prefix",
	  .severity = WARNING,
	  .env = "NCCL_IB_HCA",
	  .bad = is_prefix_list,
	  .text = "a prefix: mlx5_1 is mlx5_10 too",
	  .remedy = "write `auto`, or begin with '=': \"=mlx5_0,mlx5_1\"",
	  .source = NCCL_ENV "#nccl-ib-hca" },
	{ .id = "algo",
	  .severity = WARNING,
	  .env = "NCCL_ALGO",
	  .bad = is_chosen,
	  .text = "for debugging: it keeps NCCL from its better choice at other sizes and node counts",
	  .remedy = "leave it out",
	  .source = NCCL_ENV "#nccl-algo" },
	{ .id = "relaxed-ordering",
	  .severity = NOTE,
	  .env = "NCCL_IB_PCI_RELAXED_ORDERING",
	  .bad = is_one,
	  .text = "forces what NCCL uses by itself where verbs have it, and fails where they have not",
	  .remedy = "leave it out: 2, automatic, is the default",
	  .source = NCCL_ENV "#nccl-ib-pci-relaxed-ordering" },
	{ .id = "cpu-affinity",
	  .severity = NOTE,
	  .env = "NCCL_IGNORE_CPU_AFFINITY",
	  .bad = is_one,
	  .text = "the topology's CPU masks replace the job's own: a wrong mask moves every rank",
	  .remedy = "leave it out where the scheduler binds ranks",
	  .source = NCCL_ENV "#nccl-ignore-cpu-affinity" },
	{ .id = "ib-disable",
	  .severity = NOTE,
	  .env = "NCCL_IB_DISABLE",
	  .bad = is_zero,
	  .text = "0 is the default",
	  .remedy = "leave it out",
	  .source = NCCL_ENV "#nccl-ib-disable" },
	/* What the published recipe does and no profile can: */
	{ .id = "device-control",
	  .severity = ERROR,
	  .text = "setpci 68.w=5930 replaces all of Device Control, at an offset where only ConnectX has it: payload size and "
		  "error reporting with it",
	  .remedy = "`max_read_request: 4096` sets its three bits alone",
	  .source = RECIPE },
	{ .id = "topology-file",
	  .severity = ERROR,
	  .text = "the sample topology file has bridges of 2.5 GT/s x1, which NCCL believes, and bus ids in upper case, which "
		  "never match",
	  .remedy = "`gdr-agent nccl-topology` writes a right one, `gdrctl topology lint` judges any",
	  .source = "https://github.com/NVIDIA/nccl/issues/749" },
	{ .id = "clock-list",
	  .severity = ERROR,
	  .text = "the highest memory and the highest graphics clock of GPU 0, each from a list of its own: a pair that may not "
		  "exist, for GPUs that may differ",
	  .remedy = "`graphics_clock: max` asks every GPU for what it supports, and reads back",
	  .source = RECIPE },
};
const size_t profilelint_rules_len = sizeof(profilelint_rules) / sizeof(profilelint_rules[0]);

const char *
profilelint_severity_name(enum profilelint_severity severity)
{
	static const char *const names[] = {
		[PROFILELINT_NOTE] = "note", [PROFILELINT_WARNING] = "warning", [PROFILELINT_ERROR] = "error"
	};

	return names[severity];
}

void
profilelint(const Gdr__Spec *spec, struct profilelint_findings *out)
{
	struct profilelint_judge judge = { .out = out };

	*out = (struct profilelint_findings){ 0 };
	for (size_t i = 0; i < profilelint_rules_len; i++) {
		judge.rule = &profilelint_rules[i];
		(judge.rule->check ? judge.rule->check : check_value)(&judge, spec);
	}
}

void
profilelint_free(struct profilelint_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->list[i].path);
		free(findings->list[i].have);
	}
	free(findings->list);
	*findings = (struct profilelint_findings){ 0 };
}
