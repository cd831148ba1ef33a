/* readiness_checks.c - R01 to R21: what can be told by looking. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/layers/gpu.h"
#include "agent/layers/readiness.h"
#include "agent/layers/readiness_judge.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/kmsg.h"
#include "agent/machine/pci.h"
#include "common/buf.h"
#include "common/mem.h"
#include "common/nccltopo.h"

#define ROCE_MTU 4200 /* Of the interface, for a path MTU of 4096. */

/* --- R01 to R05: the machine and its GPUs ---------------------------------------------------------------------------- */

static void
inventory(const struct ready_look *look, struct ready_finding *out)
{
	size_t n = ready_on_bus(look, GDR__PCI_DEVICE__KIND__GPU);
	auto_free char *expected = xasprintf("%u GPUs", look->wants->gpus);

	if (!look->wants->has_gpus)
		ready_skip(out, "the profile does not say how many GPUs");
	else
		ready_set(out, n == look->wants->gpus ? READY_PASS : READY_FAIL, expected, "%zu on the PCI bus", n);
}

static void
driver(const struct ready_look *look, struct ready_finding *out)
{
	if (look->no_gpus.code) {
		ready_set(out,
			  look->no_gpus.code == -ETIMEDOUT || look->no_gpus.code == -ENODEV ||
					  look->no_gpus.code == -ENOENT
				  ? READY_FAIL
				  : READY_UNKNOWN,
			  "a driver that answers", "%s", look->no_gpus.msg);
		return;
	}
	const char *version = ready_driver_version(look);
	ready_set(out, version ? READY_PASS : READY_UNKNOWN, "a driver that answers", "%s",
		  version ? version : "no version");
}

static void
gpu_count(const struct ready_look *look, struct ready_finding *out)
{
	size_t want = look->wants->has_gpus ? look->wants->gpus : ready_on_bus(look, GDR__PCI_DEVICE__KIND__GPU);
	auto_free char *expected = xasprintf("%zu GPUs", want);
	auto_buf struct buf lost = { 0 };
	size_t n = 0;

	if (ready_no_answer(look, out))
		return;
	for (size_t i = 0; i < look->gpus.n; i++)
		if (look->gpus.v[i].lost)
			buf_printf(&lost, ", lost %s", look->gpus.v[i].address);
		else
			n++;
	ready_set(out, n == want && !lost.len ? READY_PASS : READY_FAIL, expected, "%zu%s", n,
		  lost.len ? lost.text : "");
}

/* The first line of sysfs' resource file that has a length; BAR 0 to 5. */
static bool
has_bar(struct host *host, const char *address, bool *known)
{
	auto_free char *path = xasprintf("/sys/bus/pci/devices/%s/resource", address);
	auto_free char *text = NULL;
	struct err ignored;

	*known = host_read(host, path, &text, NULL, &ignored) == 0;
	const char *line = text;
	for (int bar = 0; bar < 6 && line && *line; bar++) {
		char *rest;
		unsigned long long start = strtoull(line, &rest, 16);
		unsigned long long end = strtoull(rest, &rest, 16);
		if (start && end > start)
			return true;
		line = strchr(rest, '\n');
	}
	return false;
}

static void
bars(const struct ready_look *look, struct ready_finding *out)
{
	const Gdr__Inventory *inv = look->machine->inventory;
	struct kmsg kmsg;
	size_t n = 0;

	for (size_t i = 0; i < inv->n_pci; i++) {
		bool known;
		if (inv->pci[i]->kind != GDR__PCI_DEVICE__KIND__GPU)
			continue;
		n++;
		if (has_bar(look->machine->host, inv->pci[i]->address, &known))
			continue;
		ready_set(out, known ? READY_FAIL : READY_UNKNOWN, "memory for every BAR", "%s has none",
			  inv->pci[i]->address);
		return;
	}
	kmsg_parse(look->log ? look->log : "", &kmsg);
	if (n == 0)
		ready_set(out, READY_UNKNOWN, "memory for every BAR", "no GPU is on the bus");
	else if (kmsg.bar)
		ready_set(out, READY_FAIL, "memory for every BAR", "%s", kmsg.bar);
	else
		ready_set(out, READY_PASS, "memory for every BAR", "%zu GPUs", n);
	kmsg_free(&kmsg);
}

static char *
bad_memory(const struct nvsmi_gpu *gpu, bool *unknown)
{
	static const enum nvsmi_field flags[] = { NVSMI_REMAP_PENDING, NVSMI_REMAP_FAILURE };
	long errors = nvsmi_number(gpu, NVSMI_ECC);
	const char *recovery = nvsmi_value(gpu, NVSMI_RECOVERY);

	if (errors > 0)
		return xasprintf("%ld uncorrectable ECC errors since the driver was loaded", errors);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const char *value = nvsmi_value(gpu, flags[i]);
		if (value && strcmp(value, "No") != 0 && strcmp(value, "0") != 0)
			return xasprintf("%s is %s", nvsmi_field_name(flags[i]), value);
	}
	if (recovery && strcmp(recovery, "None") != 0)
		return xasprintf("gpu_recovery_action is %s", recovery);
	*unknown = *unknown || errors < 0;
	return NULL;
}

static void
memory(const struct ready_look *look, struct ready_finding *out)
{
	ready_each_gpu(look, out, "no uncorrectable errors", bad_memory);
}

/* --- R06 to R11: how the GPUs are ----------------------------------------------------------------------------------- */

static void
xids(const struct ready_look *look, struct ready_finding *out)
{
	struct kmsg kmsg;
	const struct kmsg_xid *worst = NULL;

	if (!look->log) {
		ready_set(out, READY_UNKNOWN, "no fatal Xid since boot", "the kernel's log cannot be read");
		return;
	}
	kmsg_parse(look->log, &kmsg);
	for (size_t i = 0; i < kmsg.n; i++)
		if (kmsg_fatal(&kmsg.v[i]))
			worst = &kmsg.v[i];
	if (worst)
		ready_set(out, READY_FAIL, "no fatal Xid since boot", "%s", worst->text);
	else
		ready_set(out, READY_PASS, "no fatal Xid since boot", "%zu of programs", kmsg.n);
	kmsg_free(&kmsg);
}

static void
judge_nvlinks(const struct ready_look *look, const char *text, const char *expected, struct ready_finding *out)
{
	ready_set(out, look->gpus.n ? READY_PASS : READY_UNKNOWN, expected, "all of %zu GPUs", look->gpus.n);
	for (unsigned i = 0; i < look->gpus.n; i++) {
		unsigned inactive = 0;
		int n = look->gpus.v[i].lost ? 0 : nvsmi_nvlinks(text, i, &inactive);
		if (n == (int)look->wants->nvlinks)
			continue;
		ready_set(out, n < 0 ? READY_UNKNOWN : READY_FAIL, expected, "GPU %u: %d active, %u inactive", i,
			  n < 0 ? 0 : n, inactive);
		return;
	}
}

static void
nvlinks(const struct ready_look *look, struct ready_finding *out)
{
	const char *const argv[] = { "nvidia-smi", "nvlink", "-s", NULL };
	auto_free char *expected = xasprintf("%u links of each GPU", look->wants->nvlinks);
	struct host_result result = { 0 };
	struct err err = { 0 };

	if (!look->wants->has_nvlinks) {
		ready_skip(out, "the profile does not say how many links");
		return;
	}
	if (ready_no_answer(look, out))
		return;
	if (host_run(look->machine->host, argv, GPUS_TIMEOUT_MS, &result, &err) < 0 || result.status != 0)
		ready_set(out, READY_UNKNOWN, expected, "%s", err.code ? err.msg : "nvidia-smi nvlink failed");
	else
		judge_nvlinks(look, result.out, expected, out);
	host_result_free(&result);
}

static char *
bad_fabric(const struct nvsmi_gpu *gpu, bool *unknown)
{
	const char *state = nvsmi_value(gpu, NVSMI_FABRIC_STATE);
	const char *status = nvsmi_value(gpu, NVSMI_FABRIC_STATUS);
	enum nvsmi_has has = gpu->cells[NVSMI_FABRIC_STATE].has;

	*unknown = *unknown || has == NVSMI_NOT_ALLOWED || has == NVSMI_TROUBLE;
	if (!state) /* A100: it has no such state, and older drivers no such column. */
		return NULL;
	if (strcmp(state, "Completed") != 0 || (status && strcmp(status, "Success") != 0))
		return xasprintf("fabric state %s, status %s", state, status ? status : "unknown");
	return NULL;
}

/* "Fabric Manager version is : 535.161.08".  It works with the driver of its own version alone. */
static void
judge_manager(const char *said, const char *driver, struct ready_finding *out)
{
	const char *version = strstr(said, "version is : ");
	auto_free char *expected = xasprintf("nvidia-fabricmanager %s", driver ? driver : "of the driver's version");

	version = version ? strstr(version, ": ") + 2 : NULL;
	size_t len = version ? strcspn(version, " \r\n") : 0;
	if (!len || !driver)
		ready_set(out, READY_UNKNOWN, expected, "active, and %s does not tell its version",
			  len ? "the driver" : "it");
	else if (strncmp(version, driver, len) != 0 || driver[len])
		ready_set(out, READY_FAIL, expected, "%.*s", (int)len, version);
	else
		ready_set(out, READY_PASS, expected, "active, %s", driver);
}

static void
fabric_manager(const struct ready_look *look, struct ready_finding *out)
{
	const char *const active[] = { "systemctl", "is-active", "nvidia-fabricmanager", NULL };
	const char *const version[] = { "nv-fabricmanager", "--version", NULL };
	struct host_result state = { 0 };
	struct host_result own = { 0 };
	struct err err = { 0 };

	if (host_run(look->machine->host, active, GPUS_TIMEOUT_MS, &state, &err) < 0)
		ready_set(out, READY_UNKNOWN, "nvidia-fabricmanager active", "%s", err.msg);
	else if (state.status != 0)
		ready_set(out, READY_FAIL, "nvidia-fabricmanager active", "%.*s", (int)strcspn(state.out, "\n"),
			  state.out);
	else if (host_run(look->machine->host, version, GPUS_TIMEOUT_MS, &own, &err) < 0)
		ready_set(out, READY_UNKNOWN, "nvidia-fabricmanager of the driver's version", "%s", err.msg);
	else
		judge_manager(own.out, ready_driver_version(look), out);
	host_result_free(&state);
	host_result_free(&own);
}

static void
fabric(const struct ready_look *look, struct ready_finding *out)
{
	ready_each_gpu(look, out, "an NVLink fabric that is set up", bad_fabric);
	if (out->state == READY_PASS && ready_on_bus(look, GDR__PCI_DEVICE__KIND__NVSWITCH) > 0)
		fabric_manager(look, out);
}

/* The width alone: an idle GPU drops its speed, and a bridge in a guest shows QEMU's. */
static char *
bad_link(const struct nvsmi_gpu *gpu, bool *unknown)
{
	long width = nvsmi_number(gpu, NVSMI_LINK_WIDTH);
	long max = nvsmi_number(gpu, NVSMI_LINK_WIDTH_MAX);

	*unknown = *unknown || width < 0 || max < 0;
	return width >= 0 && width < max ? xasprintf("x%ld of x%ld", width, max) : NULL;
}

static void
links(const struct ready_look *look, struct ready_finding *out)
{
	ready_each_gpu(look, out, "every lane", bad_link);
}

static char *
bad_throttle(const struct nvsmi_gpu *gpu, bool *unknown)
{
	static const enum nvsmi_field reasons[] = { NVSMI_HW_SLOWDOWN, NVSMI_HW_THERMAL, NVSMI_HW_BRAKE };
	bool told = false;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const char *value = nvsmi_value(gpu, reasons[i]);
		told = told || value;
		if (value && strcmp(value, "Active") == 0)
			return xasprintf("%s", nvsmi_field_name(reasons[i]));
	}
	*unknown = *unknown || !told;
	return NULL;
}

static void
throttling(const struct ready_look *look, struct ready_finding *out)
{
	ready_each_gpu(look, out, "no hardware slowdown", bad_throttle);
}

/* By what was read already: a driver takes its time for each question. */
static void
gpu_settings(const struct ready_look *look, struct ready_finding *out)
{
	const Gdr__GpuSpec *spec = look->spec->guest->gpu;
	struct report report = { 0 };

	if (spec)
		gpu_judge(look->machine, spec, &look->gpus, &look->no_gpus, &report);
	ready_judge_items(&report, NULL, out);
	report_free(&report);
}

/* --- R12 to R16: the way to the network ------------------------------------------------------------------------------ */

static bool
is_gdr(const char *key)
{
	return strcmp(key, "gdr") == 0;
}

/* By the nccl layer's eyes, whether or not the profile lets it load what is missing. */
static void
gdr(const struct ready_look *look, struct ready_finding *out)
{
	Gdr__Spec spec = *look->spec;
	Gdr__GuestSpec guest = *look->spec->guest;
	Gdr__NcclSpec nccl = GDR__NCCL_SPEC__INIT;

	if (!look->wants->gdr) {
		ready_skip(out, "the profile does not ask for it");
		return;
	}
	nccl.has_gdr = true;
	nccl.gdr = guest.nccl && guest.nccl->has_gdr ? guest.nccl->gdr : GDR__GDR_PATH__GDR_PATH_AUTO;
	nccl.version = guest.nccl ? guest.nccl->version : NULL;
	guest.nccl = &nccl;
	spec.guest = &guest;
	ready_judge_layer(look, &spec, "nccl", is_gdr, out);
}

static void
ports(const struct ready_look *look, struct ready_finding *out)
{
	auto_free char *expected = look->wants->has_hcas ? xasprintf("%u RDMA devices up", look->wants->hcas)
							 : xstrdup("RDMA devices up");
	size_t n = 0;

	for (size_t i = 0; i < look->env.ports.n; i++) {
		const struct ib_port *port = &look->env.ports.v[i];
		if (!look->env.uses[i])
			continue;
		n++;
		if (ib_up(port))
			continue;
		ready_set(out, READY_FAIL, expected, "%s is %s, %s", port->name, port->state, port->phys);
		return;
	}
	if (!look->wants->has_hcas && n == 0)
		ready_skip(out, "no RDMA device, and the profile asks for none");
	else
		ready_set(out, !look->wants->has_hcas || n == look->wants->hcas ? READY_PASS : READY_FAIL, expected,
			  "%zu", n);
}

static void
gids(const struct ready_look *look, struct ready_finding *out)
{
	const char *network = look->spec->guest->nccl ? look->spec->guest->nccl->gid_network : NULL;
	auto_buf struct buf found = { 0 };

	for (size_t i = 0; i < look->env.ports.n; i++) {
		const struct ib_port *port = &look->env.ports.v[i];
		if (!look->env.uses[i] || !port->ethernet)
			continue;
		const struct ib_gid *gid = ib_gid(port, network);
		if (!gid) {
			ready_set(out, READY_FAIL, "a RoCE v2 GID of IPv4 on each", "%s has none", port->name);
			return;
		}
		buf_printf(&found, "%s%s %s at %u", found.len ? ", " : "", port->name, gid->ipv4, gid->index);
	}
	if (found.len)
		ready_set(out, READY_PASS, "a RoCE v2 GID of IPv4 on each", "%s", found.text);
	else
		ready_skip(out, "no RoCE device");
}

static void
mtu(const struct ready_look *look, struct ready_finding *out)
{
	size_t n = 0;

	for (size_t i = 0; i < look->env.ports.n; i++) {
		const struct ib_port *port = &look->env.ports.v[i];
		auto_free char *path = xasprintf("/sys/class/net/%s/mtu", port->netdev);
		struct err err = { 0 };
		uint64_t value;
		if (!look->env.uses[i] || !port->ethernet)
			continue;
		n++;
		if (host_read_u64(look->machine->host, path, &value, &err) < 0) {
			ready_set(out, READY_UNKNOWN, "room for 4096 bytes", "%s", err.msg);
			return;
		}
		if (value < ROCE_MTU) {
			ready_set(out, READY_FAIL, "room for 4096 bytes", "%s has an MTU of %llu", port->netdev,
				  (unsigned long long)value);
			return;
		}
	}
	if (n)
		ready_set(out, READY_PASS, "room for 4096 bytes", "%zu interfaces", n);
	else
		ready_skip(out, "no RoCE device");
}

/* GID and MTU are one check: either makes RoCE slow or impossible. */
static void
roce(const struct ready_look *look, struct ready_finding *out)
{
	gids(look, out);
	if (out->state != READY_PASS)
		return;
	struct ready_finding own = { 0 };
	mtu(look, &own);
	if (own.state != READY_PASS)
		ready_set(out, own.state, own.expected, "%s", own.actual);
	ready_finding_free(&own);
}

/* The worse of two layers; what is not asked for counts for nothing. */
static void
link_settings(const struct ready_look *look, struct ready_finding *out)
{
	static const int badness[] = {
		[READY_SKIPPED] = 0, [READY_PASS] = 1, [READY_CLAMPED] = 2, [READY_UNKNOWN] = 3, [READY_FAIL] = 4
	};
	struct ready_finding sysctl = { 0 };

	ready_judge_layer(look, look->spec, "link", NULL, out);
	ready_judge_layer(look, look->spec, "sysctl", NULL, &sysctl);
	if (badness[sysctl.state] > badness[out->state]) {
		ready_finding_free(out);
		*out = sysctl;
	} else {
		ready_finding_free(&sysctl);
	}
}

/* What a guest sees of ATS is the endpoint's own capability; that it works is the host's layer pci to say. */
static void
ats(const struct ready_look *look, struct ready_finding *out)
{
	size_t with = 0;
	size_t n = 0;

	for (size_t i = 0; i < look->env.ports.n && look->machine->pci; i++) {
		if (!look->env.uses[i] || !*look->env.ports.v[i].address)
			continue;
		n++;
		with += pci_ext_cap(look->machine->pci, look->env.ports.v[i].address, EXT_CAP_ATS) != 0;
	}
	if (n == 0 || with < n)
		ready_skip(out, "not to be seen in this guest: the host's layer pci tells");
	else
		ready_set(out, READY_PASS, "ATS on each NIC", "%zu", with);
}

/* --- R17 to R21: the system and its counters ------------------------------------------------------------------------- */

static bool
is_memlock(const char *key)
{
	return strncmp(key, "memlock/", 8) == 0;
}

static void
memlock(const struct ready_look *look, struct ready_finding *out)
{
	ready_judge_layer(look, look->spec, "nccl", is_memlock, out);
}

static bool
is_topology(const char *key)
{
	return strncmp(key, "topology", 8) == 0;
}

/* Each GPU with a NIC in its group must be near it in the file, or GPU Direct stays off. */
static void
distances(const struct ready_look *look, const struct nccltopo_node *root, struct ready_finding *out)
{
	const Gdr__Inventory *inv = look->machine->inventory;

	for (size_t i = 0; i < inv->n_pci; i++) {
		const struct nccltopo_node *gpu = nccltopo_find_pci(root, inv->pci[i]->address);
		enum nccltopo_distance nearest = NCCLTOPO_SYS;
		bool beside = false;
		if (inv->pci[i]->kind != GDR__PCI_DEVICE__KIND__GPU || !gpu)
			continue;
		for (size_t k = 0; k < look->env.ports.n; k++) {
			const struct nccltopo_node *nic = nccltopo_find_pci(root, look->env.ports.v[k].address);
			beside = beside || (look->env.uses[k] &&
					    nccl_env_beside(inv, inv->pci[i]->address, look->env.ports.v[k].address));
			if (nic && look->env.uses[k] && nccltopo_distance(gpu, nic) < nearest)
				nearest = nccltopo_distance(gpu, nic);
		}
		if (nearest > NCCLTOPO_PXB && beside) {
			ready_set(out, READY_FAIL, "a NIC within PXB of each GPU", "%s: %s", inv->pci[i]->address,
				  nccltopo_distance_name(nearest));
			return;
		}
	}
}

static void
topology(const struct ready_look *look, struct ready_finding *out)
{
	const Gdr__NcclSpec *nccl = look->spec->guest->nccl;
	struct nccltopo_error error;
	auto_free char *text = NULL;
	struct err err = { 0 };
	size_t len;

	ready_judge_layer(look, look->spec, "nccl", is_topology, out);
	if (out->state != READY_PASS || host_read(look->machine->host, nccl->topology, &text, &len, &err) < 0)
		return;
	struct nccltopo_node *root = nccltopo_parse(text, len, look->env.version, &error);
	if (root)
		distances(look, root, out);
	else
		ready_set(out, READY_FAIL, "a file that NCCL reads", "line %u: %s", error.line, error.what);
	nccltopo_free(root);
}

static bool
is_conf(const char *key)
{
	return !is_memlock(key) && !is_topology(key) && !is_gdr(key) && strncmp(key, "hca/", 4) != 0;
}

static void
conf(const struct ready_look *look, struct ready_finding *out)
{
	ready_judge_layer(look, look->spec, "nccl", is_conf, out);
}

static void
numa(const struct ready_look *look, struct ready_finding *out)
{
	const Gdr__Inventory *inv = look->machine->inventory;

	for (size_t i = 0; i < inv->n_pci; i++) {
		const Gdr__PciDevice *device = inv->pci[i];
		bool found = device->kind != GDR__PCI_DEVICE__KIND__GPU || inv->n_numa < 2;
		for (size_t k = 0; k < inv->n_numa && !found; k++)
			found = device->has_numa_node && device->numa_node == (int)inv->numa[k]->id &&
				inv->numa[k]->cpulist && *inv->numa[k]->cpulist && inv->numa[k]->memory;
		if (found)
			continue;
		ready_set(out, READY_FAIL, "each GPU on a node with CPUs and memory", "%s is on node %d",
			  device->address, device->has_numa_node ? device->numa_node : -1);
		return;
	}
	ready_set(out, inv->n_numa ? READY_PASS : READY_UNKNOWN, "each GPU on a node with CPUs and memory", "%zu nodes",
		  inv->n_numa);
}

/* Those that tell of a network that loses or reorders, or of a link that comes and goes. */
static const char *const counters[] = { "link_downed",     "symbol_error",      "port_rcv_errors",
					"out_of_sequence", "rnr_nak_retry_err", "local_ack_timeout_err",
					"roce_adp_retrans" };

void
ready_counters_print(const struct machine *machine, const struct nccl_env *env, struct buf *out)
{
	for (size_t i = 0; i < env->ports.n; i++)
		for (size_t k = 0; k < sizeof(counters) / sizeof(counters[0]) && env->uses[i]; k++) {
			unsigned long long value;
			if (ib_counter(machine->host, &env->ports.v[i], counters[k], &value))
				buf_printf(out, "%s/%s %llu\n", env->ports.v[i].name, counters[k], value);
		}
}

static bool
counter_of(const char *text, const char *name, unsigned long long *out)
{
	auto_free char *key = xasprintf("%s ", name);
	const char *at = strstr(text, key);

	if (!at || (at != text && at[-1] != '\n'))
		return false;
	*out = strtoull(at + strlen(key), NULL, 10);
	return true;
}

static void
network_counters(const struct ready_look *look, struct ready_finding *out)
{
	auto_buf struct buf now = { 0 };
	auto_free char *before = NULL;
	struct err ignored;

	ready_counters_print(look->machine, &look->env, &now);
	(void)host_read(look->machine->host, READY_COUNTERS, &before, NULL, &ignored);
	if (!now.len) {
		ready_skip(out, "no RDMA device has counters");
		return;
	}
	ready_set(out, READY_PASS, "no new errors", "none");
	char *rest = now.text;
	for (char *line = strsep(&rest, "\n"); line && before; line = strsep(&rest, "\n")) {
		char *blank = strchr(line, ' ');
		unsigned long long old;
		if (!blank)
			continue;
		*blank = '\0';
		unsigned long long value = strtoull(blank + 1, NULL, 10);
		if (counter_of(before, line, &old) && value > old) {
			ready_set(out, READY_FAIL, "no new errors", "%s rose by %llu", line, value - old);
			return;
		}
	}
}

/* --- the table ------------------------------------------------------------------------------------------------------- */

const struct ready_check ready_passive[] = {
	{ "R01", "inventory", READY_FATAL, inventory, NULL, "see the VM's definition: gdrctl vm show" },
	{ "R02", "driver", READY_FATAL, driver, NULL, "see NVRM in dmesg; reload the driver, or start the VM again" },
	{ "R03", "gpus", READY_FATAL, gpu_count, NULL, "shut the VM down and start it again; R06 tells why" },
	{ "R04", "bars", READY_FATAL, bars, NULL,
	  "the VM needs more address width or a larger PCI hole: see its definition" },
	{ "R05", "memory", READY_FATAL, memory, NULL,
	  "reset the GPU or start the VM again; if it comes back, the card is to be replaced" },
	{ "R06", "xid", READY_FATAL, xids, NULL,
	  "reset the GPU or start the VM again; NVIDIA's list of Xids tells which part" },
	{ "R07", "nvlink", READY_FATAL, nvlinks, NULL,
	  "see nvidia-smi nvlink -s; nvidia-fabricmanager, then the board" },
	{ "R08", "fabric", READY_FATAL, fabric, NULL,
	  "systemctl restart nvidia-fabricmanager; its version must be the driver's" },
	{ "R09", "pcie-link", READY_DEGRADED, links, NULL, "the card sits badly, or a riser is bad: see the host" },
	{ "R10", "throttling", READY_DEGRADED, throttling, NULL, "see to cooling and power of the host" },
	{ "R11", "gpu-settings", READY_DEGRADED, gpu_settings, NULL, "see layer gpu" },
	{ "R12", "gdr", READY_FATAL, gdr, NULL, "modprobe nvidia-peermem, or the open kernel modules" },
	{ "R13", "hcas", READY_FATAL, ports, NULL, "see the cable, the switch and the PF on the host" },
	{ "R14", "roce", READY_FATAL, roce, NULL,
	  "give the interface its address and an MTU of 4200 or more, on the PF too" },
	{ "R15", "network-settings", READY_DEGRADED, link_settings, NULL, "see layers link and sysctl" },
	{ "R16", "ats", READY_INFO, ats, NULL, "see the host's layer pci" },
	{ "R17", "memlock", READY_FATAL, memlock, NULL, "see layer nccl" },
	{ "R18", "topology", READY_FATAL, topology, NULL, "see layer nccl; gdr-guest topology lint FILE" },
	{ "R19", "nccl-conf", READY_DEGRADED, conf, NULL, "see layer nccl" },
	{ "R20", "numa", READY_DEGRADED, numa, NULL, "see the VM's definition: numa: mirror" },
	{ "R21", "counters", READY_DEGRADED, network_counters, NULL,
	  "see cable and switch; congestion control, if they are retransmissions" },
};
const size_t ready_passive_len = sizeof(ready_passive) / sizeof(ready_passive[0]);
