/* nccl.c - what every NCCL job of the machine finds: its configuration, its topology file, locked memory, and the way
 * from NIC to GPU memory.
 *
 * Spec:     nccl: {env: {NCCL_IB_HCA: auto, NCCL_BUFFSIZE: "67108864"}, topology: /var/run/nvidia-topologyd/virtualTopology.xml,
 *           memlock: true, gdr: auto, fabric: rails}
 * Reads:    RDMA devices and their GIDs, the inventory, routes, /etc/nccl.conf and what wins over it, /sys/module,
 *           the driver's version
 * Changes:  /etc/nccl.conf, whole (a file of somebody else's is kept beside it as nccl.conf.before-gdrfleet); the topology
 *           file, with a copy and a line of tmpfiles.d where it would be lost in a boot; limits.d and systemd's default
 *           for locked memory; nvidia-peermem, now and at boot. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/layer.h"
#include "agent/layers/nccl_env.h"
#include "agent/layers/nccl_topology.h"
#include "agent/machine/host.h"
#include "agent/machine/ncclconf.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/nccltopo.h"

#define CONF           "/etc/nccl.conf"
#define CONF_BEFORE    CONF ".before-gdrfleet"
#define CONF_MARK      "# Written by gdr-guest"
#define TOPOLOGY_KEPT  "/var/lib/gdrfleet-guest/virtualTopology.xml"
#define TMPFILES       "/etc/tmpfiles.d/gdrfleet-nccl.conf"
#define LIMITS         "/etc/security/limits.d/90-gdrfleet.conf"
#define SYSTEMD        "/etc/systemd/system.conf.d/90-gdrfleet.conf"
#define MODULES        "/etc/modules-load.d/gdrfleet-peermem.conf"
#define PEERMEM        "/sys/module/nvidia_peermem"
#define PEERMEM_OLD    "/sys/kernel/mm/memory_peers/nv_mem*"
#define DRIVER_VERSION "/proc/driver/nvidia/version"

/* Files with a text that never changes, one item each. */
static const struct fixed {
	const char *key;
	const char *path;
	const char *text;
} fixed[] = {
	{ "memlock/sessions", LIMITS,
	  "# Written by gdr-guest: GPU Direct RDMA locks what it sends from.\n"
	  "* - memlock unlimited\nroot - memlock unlimited\n" },
	{ "memlock/services", SYSTEMD,
	  "# Written by gdr-guest: GPU Direct RDMA locks what it sends from.\n"
	  "[Manager]\nDefaultLimitMEMLOCK=infinity\n" },
};

static char *
read_text(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	return text;
}

static const char *
file_state(const char *have, const char *want)
{
	return !have ? "absent" : strcmp(have, want) == 0 ? "as written" : "differs";
}

static void
report_file(struct host *host, const char *key, const char *path, const char *text, struct report *out)
{
	auto_free char *have = read_text(host, path);
	const char *state = file_state(have, text);

	report_add(out, key, "as written", state, strcmp(state, "as written") == 0 ? FIX_NONE : FIX_LIVE, NULL);
}

/* --- nccl.conf ------------------------------------------------------------------------------------------------ */

/* With the variable's own remark, if it has one. */
static void
report_value(const struct nccl_var *var, const char *have, struct report *out)
{
	bool right = have && strcmp(have, var->value) == 0;

	report_add(out, var->name, var->value, have ? have : "absent", right ? FIX_NONE : FIX_LIVE,
		   var->why ? "%s" : NULL, var->why);
}

static void
report_var(const struct nccl_var *var, const struct ncclconf *conf, struct report *out)
{
	const char *have = ncclconf_get(conf, var->name);

	if (var->wrong)
		report_add(out, var->name, "auto", "not found", FIX_MANUAL, "%s", var->why);
	else if (var->job)
		report_add(out, var->name, var->value ? var->value : "as it is", "for the job", FIX_NONE,
			   "CUDA takes it from the job's environment alone, before NCCL reads any file: gdr-guest env "
			   "prints it");
	else if (!var->value)
		report_add(out, var->name, "NCCL's choice", have ? have : "NCCL's choice", have ? FIX_LIVE : FIX_NONE,
			   "%s", var->why ? var->why : "left to NCCL");
	else
		report_value(var, have, out);
}

/* A port that GPUs should send through and cannot. */
static void
report_port(const struct ib_port *port, const char *network, struct report *out)
{
	auto_free char *key = xasprintf("hca/%s:%u", port->name, port->port);
	const struct ib_gid *gid = ib_gid(port, network);

	if (!ib_up(port))
		report_add(out, key, "up", *port->state ? port->state : "unknown", FIX_MANUAL,
			   "the port is %s, %s: see the cable, the switch and the PF on the host", port->state,
			   port->phys);
	else if (port->ethernet && !gid)
		report_add(out, key, "a RoCE v2 GID", "none", FIX_MANUAL,
			   "%s has no IPv4 address%s%s, so there is no RoCE v2 GID to send from",
			   *port->netdev ? port->netdev : "its interface", network ? " in " : "",
			   network ? network : "");
	else
		report_add(out, key, "up", "up", FIX_NONE, NULL);
}

static void
report_env(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_env *env, struct report *out)
{
	auto_free char *text = read_text(machine->host, CONF);
	auto_buf struct buf want = { 0 };
	struct ncclconf conf;

	ncclconf_parse(text ? text : "", &conf);
	for (size_t i = 0; i < env->n; i++)
		report_var(&env->v[i], &conf, out);
	for (size_t i = 0; i < env->ports.n; i++)
		if (env->uses[i])
			report_port(&env->ports.v[i], spec->gid_network, out);
	ncclconf_free(&conf);
	nccl_env_print_conf(env, &want);
	report_file(machine->host, "nccl.conf", CONF, want.text, out);
}

/* --- what wins over it -------------------------------------------------------------------------------------------- */

static void
report_shadow(const struct nccl_env *env, const char *path, const struct ncclconf_line *line, bool users,
	      struct report *out)
{
	for (size_t i = 0; i < env->n; i++) {
		const struct nccl_var *var = &env->v[i];
		if (line->again || var->job || !var->value || strcmp(var->name, line->key) != 0 ||
		    strcmp(var->value, line->value) == 0)
			continue;
		auto_free char *key = xasprintf("%s@%s", var->name, path);
		report_add(out, key, var->value, line->value, users ? FIX_NONE : FIX_MANUAL,
			   "line %u of %s wins over " CONF "%s", line->line, path,
			   users ? " for this user's jobs" : ": take it out there");
	}
}

static void
report_shadows_of(struct host *host, const struct nccl_env *env, const char *path, bool users, struct report *out)
{
	auto_free char *text = read_text(host, path);
	struct ncclconf conf;

	(users ? ncclconf_parse : ncclconf_parse_shell)(text ? text : "", &conf);
	for (size_t i = 0; i < conf.n; i++)
		report_shadow(env, path, &conf.v[i], users, out);
	ncclconf_free(&conf);
}

/* A user's file is that user's choice: it is said, and no fault.  Homes are those of /etc/passwd. */
static void
report_users_shadows(struct host *host, const struct nccl_env *env, struct report *out)
{
	auto_free char *text = read_text(host, "/etc/passwd");
	char *rest = text;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *home = NULL;
		for (int field = 0; field < 6; field++)
			home = strsep(&line, ":");
		if (!home || *home != '/')
			continue;
		auto_free char *path = xasprintf("%s/.nccl.conf", home);
		if (host_exists(host, path))
			report_shadows_of(host, env, path, true, out);
	}
}

static void
report_shadows(struct host *host, const struct nccl_env *env, struct report *out)
{
	auto_strv char **profiles = host_glob(host, "/etc/profile.d/*.sh");

	report_shadows_of(host, env, "/etc/environment", false, out);
	for (char **path = profiles; *path; path++)
		report_shadows_of(host, env, *path, false, out);
	report_users_shadows(host, env, out);
}

/* --- topology ----------------------------------------------------------------------------------------------------- */

static bool
lost_in_boot(const char *path)
{
	return strncmp(path, "/run/", 5) == 0 || strncmp(path, "/var/run/", 9) == 0 || strncmp(path, "/tmp/", 5) == 0;
}

static char *
tmpfiles_text(const char *path)
{
	const char *run = strncmp(path, "/var/run/", 9) == 0 ? path + 4 : path;

	return xasprintf("# Written by gdr-guest: NCCL's topology file, before the agent runs.\n"
			 "C %s 0644 root root - " TOPOLOGY_KEPT "\n",
			 run);
}

/* Where its links and groups come from: what else than the definition's template is a guess, and no fault. */
static void
report_source(const struct nccl_topology *topology, struct report *out)
{
	report_add(out, "topology/from", topology->why ? "definition" : topology->from, topology->from, FIX_NONE,
		   topology->why ? "%s: the links' speeds are those that the guest sees" : NULL, topology->why);
}

static void
report_made(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_topology *topology,
	    struct report *out)
{
	if (topology->wrong)
		report_add(out, "topology", "without errors", "errors", FIX_MANUAL, "%s", topology->wrong);
	else
		report_file(machine->host, "topology", spec->topology, topology->text.text, out);
	report_source(topology, out);
	if (!lost_in_boot(spec->topology))
		return;
	auto_free char *line = tmpfiles_text(spec->topology);
	report_file(machine->host, "topology/kept", TOPOLOGY_KEPT, topology->text.text, out);
	report_file(machine->host, "topology/boot", TMPFILES, line, out);
}

static void
report_topology(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_env *env,
		struct report *out)
{
	struct nccl_topology topology;
	struct err err = { 0 };

	if (nccl_topology_make(machine, spec, &env->ports, &topology, &err) < 0)
		report_add(out, "topology", "as this machine is", "unknown", FIX_MANUAL, "%s", err.msg);
	else
		report_made(machine, spec, &topology, out);
	nccl_topology_free(&topology);
}

/* --- GPU Direct ----------------------------------------------------------------------------------------------------- */

/* DMA-BUF needs the open kernel modules and Linux 5.12. */
static bool
has_dmabuf(const struct machine *machine)
{
	auto_free char *version = read_text(machine->host, DRIVER_VERSION);
	char *end = NULL;
	unsigned long major = machine->inventory->kernel ? strtoul(machine->inventory->kernel, &end, 10) : 0;
	unsigned long minor = end && *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

	return version && strstr(version, "Open Kernel Module") && (major > 5 || (major == 5 && minor >= 12));
}

/* Before 2.23 NCCL looks for a file that only MLNX_OFED's kernel modules make. */
static bool
has_peermem(struct host *host, unsigned nccl)
{
	auto_strv char **old = host_glob(host, PEERMEM_OLD);

	return *old || (host_exists(host, PEERMEM) && (nccl == 0 || nccl >= NCCLTOPO_VERSION(2, 23, 0)));
}

static void
report_peermem(const struct machine *machine, const struct nccl_env *env, struct report *out)
{
	if (has_peermem(machine->host, env->version)) {
		report_add(out, "gdr", "nvidia-peermem", "nvidia-peermem", FIX_NONE, NULL);
	} else if (host_exists(machine->host, PEERMEM)) {
		report_add(
			out, "gdr", "nvidia-peermem", "not seen by NCCL", FIX_MANUAL,
			"nvidia-peermem is loaded, but NCCL before 2.23 looks for memory_peers, which only MLNX_OFED "
			"has: install it, or a newer NCCL (nccl.version)");
	} else {
		report_add(out, "gdr", "nvidia-peermem", "none", FIX_LIVE, "nvidia-peermem is not loaded");
	}
	report_file(machine->host, "gdr/boot", MODULES, "nvidia-peermem\n", out);
}

static void
report_gdr(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_env *env, struct report *out)
{
	bool dmabuf = has_dmabuf(machine);

	if (dmabuf && spec->gdr != GDR__GDR_PATH__GDR_PATH_PEERMEM)
		report_add(out, "gdr", "dma-buf", "dma-buf", FIX_NONE, NULL);
	else if (spec->gdr == GDR__GDR_PATH__GDR_PATH_DMABUF)
		report_add(out, "gdr", "dma-buf", "none", FIX_MANUAL,
			   "DMA-BUF needs NVIDIA's open kernel modules and Linux 5.12 or newer");
	else
		report_peermem(machine, env, out);
}

/* --- the layer ------------------------------------------------------------------------------------------------------ */

static bool
nccl_wanted(const Gdr__Spec *spec)
{
	return spec->guest && spec->guest->nccl;
}

static int
nccl_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const Gdr__NcclSpec *nccl = spec->guest->nccl;
	struct nccl_env env;

	(void)err;
	nccl_env_read(machine, nccl, &env);
	if (nccl->n_env) {
		report_env(machine, nccl, &env, out);
		report_shadows(machine->host, &env, out);
	}
	if (nccl->topology)
		report_topology(machine, nccl, &env, out);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && nccl->memlock; i++)
		report_file(machine->host, fixed[i].key, fixed[i].path, fixed[i].text, out);
	if (nccl->has_gdr)
		report_gdr(machine, nccl, &env, out);
	nccl_env_free(&env);
	return 0;
}

/* Safe to repeat: each variable's item comes here. */
static int
write_conf(const struct machine *machine, const struct nccl_env *env, struct err *err)
{
	auto_free char *old = read_text(machine->host, CONF);
	auto_buf struct buf want = { 0 };
	int rc = 0;

	nccl_env_print_conf(env, &want);
	if (old && strcmp(old, want.text) == 0)
		return 0;
	if (old && strncmp(old, CONF_MARK, strlen(CONF_MARK)) != 0 && !host_exists(machine->host, CONF_BEFORE))
		rc = host_replace(machine->host, CONF_BEFORE, old, 0644, err);
	return rc < 0 ? rc : host_replace(machine->host, CONF, want.text, 0644, err);
}

static int
write_topology(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_env *env, const char *path,
	       struct err *err)
{
	struct nccl_topology topology;
	int rc = nccl_topology_make(machine, spec, &env->ports, &topology, err);

	if (rc == 0)
		rc = host_replace(machine->host, path, topology.text.text, 0644, err);
	nccl_topology_free(&topology);
	return rc;
}

static int
write_fixed(struct host *host, const char *key, struct err *err)
{
	const char *const reexec[] = { "systemctl", "daemon-reexec", NULL };
	struct err ignored;
	int rc = -EINVAL;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(fixed[i].key, key) == 0)
			rc = host_replace(host, fixed[i].path, fixed[i].text, 0644, err);
	/* Services get the new limit from here on; where that fails, from the next boot on. */
	if (rc == 0 && strcmp(key, "memlock/services") == 0)
		(void)host_do(host, reexec, &ignored);
	return rc;
}

static int
apply_key(const struct machine *machine, const Gdr__NcclSpec *spec, const struct nccl_env *env, const char *key,
	  struct err *err)
{
	const char *const modprobe[] = { "modprobe", "nvidia-peermem", NULL };

	if (strcmp(key, "topology") == 0)
		return write_topology(machine, spec, env, spec->topology, err);
	if (strcmp(key, "topology/kept") == 0)
		return write_topology(machine, spec, env, TOPOLOGY_KEPT, err);
	if (strcmp(key, "topology/boot") == 0) {
		auto_free char *line = tmpfiles_text(spec->topology);
		return host_replace(machine->host, TMPFILES, line, 0644, err);
	}
	if (strcmp(key, "gdr") == 0)
		return host_do(machine->host, modprobe, err);
	if (strcmp(key, "gdr/boot") == 0)
		return host_replace(machine->host, MODULES, "nvidia-peermem\n", 0644, err);
	if (strncmp(key, "memlock/", 8) == 0)
		return write_fixed(machine->host, key, err);
	return write_conf(machine, env, err);
}

static int
nccl_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	struct nccl_env env;

	nccl_env_read(machine, spec->guest->nccl, &env);
	int rc = apply_key(machine, spec->guest->nccl, &env, item->key, err);
	nccl_env_free(&env);
	return rc;
}

const struct layer layer_nccl = {
	.wanted = nccl_wanted,
	.inspect = nccl_inspect,
	.apply = nccl_apply,
};
