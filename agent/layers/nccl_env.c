#include "agent/layers/nccl_env.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/nccl_facts.h"
#include "agent/machine/ncclconf.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define AUTO            "auto"
#define V(major, minor) NCCLTOPO_VERSION(major, minor, 0)
#define BUFFER_WARN     (16U << 20)

/* --- what is found ------------------------------------------------------------------------------------------- */

bool
nccl_env_beside(const Gdr__Inventory *inventory, const char *a, const char *b)
{
	const Gdr__PciDevice *one = inventory_device(inventory, a);
	const Gdr__PciDevice *other = inventory_device(inventory, b);

	if (!one || !other)
		return false;
	if (one->switch_group && other->switch_group)
		return strcmp(one->switch_group, other->switch_group) == 0;
	return strncmp(a, b, strcspn(a, ".") - 2) == 0; /* "0000:dd:" */
}

bool
nccl_env_near_gpu(const Gdr__Inventory *inventory, const char *address)
{
	for (size_t i = 0; i < inventory->n_pci; i++)
		if (inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU &&
		    nccl_env_beside(inventory, address, inventory->pci[i]->address))
			return true;
	return false;
}

/* The interface of the default route; NULL: there is none.  The caller frees. */
static char *
default_interface(struct host *host)
{
	auto_free char *text = NULL;
	struct err ignored;
	char name[32];
	unsigned destination;
	unsigned gateway;
	unsigned flags;

	(void)host_read(host, "/proc/net/route", &text, NULL, &ignored);
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
		if (sscanf(line, "%31s %8x %8x %4x", name, &destination, &gateway, &flags) == 4 && destination == 0 &&
		    (flags & 1))
			return xstrdup(name);
	return NULL;
}

/* By the pattern, else those near GPUs, else all but the one of the default route. */
static void
choose_ports(const struct machine *machine, const Gdr__NcclSpec *spec, struct nccl_env *env)
{
	const char *pattern = spec ? spec->hca : NULL;
	auto_free char *management = default_interface(machine->host);
	bool any = false;

	env->uses = xcalloc(env->ports.n + 1, sizeof(*env->uses));
	for (size_t i = 0; i < env->ports.n; i++) {
		const struct ib_port *port = &env->ports.v[i];
		env->uses[i] = pattern ? fnmatch(pattern, port->name, 0) == 0
				       : nccl_env_near_gpu(machine->inventory, port->address);
		any = any || env->uses[i];
	}
	for (size_t i = 0; i < env->ports.n && !any && !pattern; i++)
		env->uses[i] = !management || strcmp(env->ports.v[i].netdev, management) != 0;
}

/* --- variables that are found ---------------------------------------------------------------------------------- */

struct making {
	const struct machine *machine;
	const Gdr__NcclSpec *spec;
	struct nccl_env *env;
};

static struct nccl_var *
find_var(const struct nccl_env *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (strcmp(env->v[i].name, name) == 0)
			return &env->v[i];
	return NULL;
}

/* NULL if the spec or another finding already says it. */
static struct nccl_var *
add_var(struct nccl_env *env, const char *name, char *value)
{
	if (find_var(env, name)) {
		free(value);
		return NULL;
	}
	env->v = xrealloc(env->v, env->n + 1, sizeof(*env->v));
	env->v[env->n] = (struct nccl_var){ .name = xstrdup(name), .value = value };
	return &env->v[env->n++];
}

static void
missing(struct nccl_var *var, char *why)
{
	var->why = why;
	var->wrong = true;
}

/* Exact names: without '=' mlx5_1 would be mlx5_10 as well. */
static void
find_hca(const struct making *making, struct nccl_var *var)
{
	const struct nccl_env *env = making->env;
	auto_buf struct buf list = { 0 };

	for (size_t i = 0; i < env->ports.n; i++) {
		const struct ib_port *port = &env->ports.v[i];
		bool usable = !port->ethernet || ib_gid(port, making->spec->gid_network);
		if (env->uses[i] && usable && ib_up(port))
			buf_printf(&list, "%s%s:%u", list.len ? "," : "=", port->name, port->port);
	}
	if (list.len)
		var->value = buf_steal(&list);
	else
		missing(var, xasprintf("no RDMA device beside a GPU is up with a RoCE v2 GID (%zu devices seen)",
				       env->ports.n));
}

/* The one index that holds on every port; -1: there is none. */
static int
common_index(const struct making *making)
{
	const struct nccl_env *env = making->env;
	int index = -1;

	for (size_t i = 0; i < env->ports.n; i++) {
		if (!env->uses[i] || !env->ports.v[i].ethernet)
			continue;
		const struct ib_gid *gid = ib_gid(&env->ports.v[i], making->spec->gid_network);
		if (!gid || (index >= 0 && gid->index != (unsigned)index))
			return -1;
		index = (int)gid->index;
	}
	return index;
}

/* One index for all devices is wrong as soon as two differ; since 2.21 NCCL finds each by type, family and range. */
static void
find_gid_index(const struct making *making, struct nccl_var *var)
{
	struct nccl_env *env = making->env;
	int index = common_index(making);

	if (env->version >= V(2, 21)) {
		var->why = xstrdup("left to NCCL, which since 2.21 finds the GID of each device by type and family");
		(void)add_var(env, "NCCL_IB_ROCE_VERSION_NUM", xstrdup("2"));
		(void)add_var(env, "NCCL_IB_ADDR_FAMILY", xstrdup("AF_INET"));
		if (making->spec->gid_network)
			(void)add_var(env, "NCCL_IB_ADDR_RANGE", xstrdup(making->spec->gid_network));
	} else if (index >= 0) {
		var->value = xasprintf("%d", index);
		var->why = xstrdup("the same on every device now; it moves with addresses, and is looked at each time");
	} else {
		missing(var,
			xstrdup("no index is the RoCE v2 GID of every device: give them addresses in the same order, or "
				"use NCCL 2.21 or newer (nccl.version)"));
	}
}

static void
find_socket(const struct making *making, struct nccl_var *var)
{
	auto_free char *interface = default_interface(making->machine->host);

	if (interface)
		var->value = xasprintf("=%s", interface);
	else
		missing(var, xstrdup("no default route tells which interface is for bootstrap: name it"));
}

static void
find_cross_nic(const struct making *making, struct nccl_var *var)
{
	static const char *const values[] = { [GDR__FABRIC__FABRIC_RAILS] = "0",
					      [GDR__FABRIC__FABRIC_ONE_SWITCH] = "1",
					      [GDR__FABRIC__FABRIC_MULTIPATH] = "2" };

	if (making->spec->has_fabric)
		var->value = xstrdup(values[making->spec->fabric]);
	else
		var->why = xstrdup("left to NCCL: 'fabric' does not say what the network is like");
}

/* More than one queue pair for each connection: each takes a path of its own. */
static void
find_qps(const struct making *making, struct nccl_var *var)
{
	if (making->spec->has_fabric)
		var->value = xstrdup(making->spec->fabric == GDR__FABRIC__FABRIC_MULTIPATH ? "4" : "1");
	else
		var->why = xstrdup("left to NCCL: 'fabric' does not say what the network is like");
}

static void
find_topology(const struct making *making, struct nccl_var *var)
{
	if (making->spec->topology)
		var->value = xstrdup(making->spec->topology);
	else
		var->why = xstrdup("left to NCCL: no topology file is kept");
}

static void
find_gpus(const struct making *making, struct nccl_var *var)
{
	const Gdr__Inventory *inventory = making->machine->inventory;
	auto_buf struct buf list = { 0 };
	unsigned n = 0;

	for (size_t i = 0; i < inventory->n_pci; i++)
		if (inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU) {
			buf_printf(&list, "%s%u", n ? "," : "", n);
			n++;
		}
	if (n)
		var->value = buf_steal(&list);
	else
		missing(var, xstrdup("no GPU is on the PCI bus"));
}

static void
leave(const struct making *making, struct nccl_var *var)
{
	(void)making;
	var->why = xstrdup("left to NCCL, which chooses by message size and topology");
}

static const struct finder {
	const char *name;
	void (*find)(const struct making *making, struct nccl_var *var);
} finders[] = {
	{ "CUDA_VISIBLE_DEVICES", find_gpus },
	{ "NCCL_ALGO", leave },
	{ "NCCL_CROSS_NIC", find_cross_nic },
	{ "NCCL_IB_GID_INDEX", find_gid_index },
	{ "NCCL_IB_HCA", find_hca },
	{ "NCCL_IB_PCI_RELAXED_ORDERING", leave },
	{ "NCCL_IB_QPS_PER_CONNECTION", find_qps },
	{ "NCCL_SOCKET_IFNAME", find_socket },
	{ "NCCL_SOCKET_NTHREADS", leave },
	{ "NCCL_TOPO_FILE", find_topology },
};

/* Older versions do not know the variable, or not in this form. */
static const struct gate {
	const char *name;
	unsigned version;
	const char *text;
} gates[] = {
	{ "NCCL_ALGO", V(2, 24), "its new syntax" },
	{ "NCCL_DMABUF_ENABLE", V(2, 13), "DMA-BUF" },
	{ "NCCL_IB_ADDR_FAMILY", V(2, 21), "choosing GIDs" },
	{ "NCCL_IB_ADDR_RANGE", V(2, 21), "choosing GIDs" },
	{ "NCCL_IB_MERGE_NICS", V(2, 24), "fusing NICs" },
	{ "NCCL_IB_ROCE_VERSION_NUM", V(2, 21), "choosing GIDs" },
	{ "NCCL_IB_SPLIT_DATA_ON_QPS", V(2, 18), "splitting over queue pairs" },
};

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static void
add_gate(const struct nccl_env *env, struct nccl_var *var)
{
	for (size_t i = 0; i < sizeof(gates) / sizeof(gates[0]); i++)
		if (env->version && env->version < gates[i].version && strcmp(gates[i].name, var->name) == 0) {
			free(var->why);
			var->why = xasprintf("NCCL %u.%u knows nothing of %s: it needs %u.%u", env->version / 10000,
					     env->version / 100 % 100, gates[i].text, gates[i].version / 10000,
					     gates[i].version / 100 % 100);
		}
}

static void
add_advice(struct nccl_var *var)
{
	if (strcmp(var->name, "NCCL_BUFFSIZE") == 0 && var->value && strtoull(var->value, NULL, 10) >= BUFFER_WARN)
		var->why = xasprintf("%llu times NCCL's 4 MiB, for each channel and peer, of GPU memory",
				     strtoull(var->value, NULL, 10) >> 22);
}

static void
add_entry(const struct making *making, const Gdr__NcclSpec__EnvEntry *entry)
{
	struct nccl_var *var;
	bool found = strcmp(entry->value, AUTO) == 0;

	if (!found) {
		var = add_var(making->env, entry->key, xstrdup(entry->value));
		if (var)
			add_advice(var);
		return;
	}
	var = add_var(making->env, entry->key, NULL);
	size_t index = making->env->n - 1; /* Finding one may add others. */
	for (size_t i = 0; var && i < sizeof(finders) / sizeof(finders[0]); i++)
		if (strcmp(finders[i].name, entry->key) == 0) {
			struct nccl_var own = *var;
			finders[i].find(making, &own);
			making->env->v[index] = own;
			return;
		}
	if (var)
		missing(var, xstrdup("nothing on the machine tells this variable: write a value"));
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct nccl_var *)a)->name, ((const struct nccl_var *)b)->name);
}

static unsigned
version_of(const struct machine *machine, const Gdr__NcclSpec *spec)
{
	unsigned version = 0;

	if (spec && spec->version && nccltopo_version(spec->version, &version))
		return version;
	struct nccl_facts *facts = nccl_facts_read(machine->host, machine->inventory);
	version = nccl_facts_get(facts)->nccl;
	nccl_facts_free(facts);
	return version;
}

void
nccl_env_read(const struct machine *machine, const Gdr__NcclSpec *spec, struct nccl_env *out)
{
	const struct making making = { .machine = machine, .spec = spec, .env = out };

	*out = (struct nccl_env){ .version = version_of(machine, spec) };
	ib_read(machine->host, &out->ports);
	choose_ports(machine, spec, out);
	if (!spec)
		return;
	/* What is written first: a finding adds nothing that the spec says. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < spec->n_env; i++)
			if ((strcmp(spec->env[i]->value, AUTO) == 0) == (pass == 1))
				add_entry(&making, spec->env[i]);
	for (size_t i = 0; i < out->n; i++) {
		out->v[i].job = strncmp(out->v[i].name, "NCCL_", 5) != 0;
		add_gate(out, &out->v[i]);
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
}

void
nccl_env_free(struct nccl_env *env)
{
	for (size_t i = 0; i < env->n; i++) {
		free(env->v[i].name);
		free(env->v[i].value);
		free(env->v[i].why);
	}
	free(env->v);
	free(env->uses);
	ib_free(&env->ports);
	*env = (struct nccl_env){ 0 };
}

void
nccl_env_print_conf(const struct nccl_env *env, struct buf *out)
{
	buf_puts(out, "# Written by gdr-guest, whole: what you change here is put back.  A job's environment and\n"
		      "# ~/.nccl.conf win over it.  Containers need it mounted: -v /etc/nccl.conf:/etc/nccl.conf:ro\n");
	for (size_t i = 0; i < env->n; i++)
		if (env->v[i].value && !env->v[i].job)
			(void)ncclconf_add(out, env->v[i].name, env->v[i].value);
}

void
nccl_env_print_shell(const struct nccl_env *env, struct buf *out)
{
	for (size_t i = 0; i < env->n; i++) {
		if (!env->v[i].value)
			continue;
		buf_printf(out, "export %s='", env->v[i].name);
		for (const char *c = env->v[i].value; *c; c++)
			buf_printf(out, *c == '\'' ? "'\\%c'" : "%c", *c);
		buf_puts(out, "'\n");
	}
}
