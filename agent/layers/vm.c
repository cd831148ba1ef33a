/* vm.c - the host's virtual machines: planned, defined through libvirt, kept so, started and stopped as wanted.
 *
 * Spec:     vm: [{name: "{node}-gpu0", gpus: all, nic_vfs: 1, memory: 750G, state: running, ...}]
 * Reads:    the inventory (agent/vm/plan.h makes the plan of it), libvirt's domains and networks (agent/vm/virt.h), sysfs
 * Changes:  VFs, their MAC and VLAN, the driver of what VMs get (vm_devices.h); the definition that a VM starts with
 *           the next time, whether libvirt starts it with the host, and whether it runs.
 *
 * A running VM is never changed and never restarted: what differs in it is an item, and with `restart: granted` the
 * host's next reboot, which the controller grants, brings it.  Domains without our mark are looked at by name alone; of
 * one that bears it and is wanted no more, it says how to end it, also where no other VM is wanted. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/layers/vm_compare.h"
#include "agent/layers/vm_devices.h"
#include "agent/layers/vm_keys.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/settings.h"
#include "agent/vm/plan.h"
#include "agent/vm/topology.h"
#include "agent/vm/virt.h"
#include "agent/vm/xml.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/rules.h"

#define DIFFERENCES_MAX 32 /* Items for one definition; the rest is counted. */
#define STOP_MS         120000U
#define AWAIT_MS        5000U
#define AWAIT_STEP_MS   500U
#define DEFINITION      "definition" /* The item that is a VM's whole definition, */
#define UNDEFINED       "undefined"  /* and what it has where there is none. */

/* What a look is made of. */
struct world {
	const struct machine *machine;
	char *node;
	struct vm_plans plans;
	Gdr__VirtLook *look; /* NULL: libvirt does not say. */
};

/* One VM of it. */
struct subject {
	const struct world *world;
	const struct vm_plan *plan;
	const Gdr__VirtDomain *domain; /* NULL: not defined. */
	struct vm_key key;
	struct report *out;
	bool blocked; /* Something that a person must do first. */
};

/* --- the world ------------------------------------------------------------------------------------------------- */

/* As the controller knows it. */
static char *
node_of(const struct machine *machine)
{
	const Gdr__AgentConfig *config = host_config(machine->host);
	auto_pb Gdr__JoinToken *controller = NULL;
	const char *hostname = machine->inventory->hostname;
	struct err ignored;

	if (config && config->node)
		return xstrdup(config->node);
	if (config && settings_controller(config, &controller, &ignored) == 0 && controller->node)
		return xstrdup(controller->node);
	return settings_node_name(hostname ? hostname : "");
}

/* An error is libvirt's silence. */
static int
world_open(const struct machine *machine, const Gdr__Spec *spec, struct world *out, struct err *err)
{
	*out = (struct world){ .machine = machine, .node = node_of(machine) };
	vm_plans_make(machine->inventory, spec, out->node, &out->plans);
	return virt_look(machine->host, &out->look, err);
}

static void
world_close(struct world *world)
{
	vm_plans_free(&world->plans);
	if (world->look)
		pb_free(&world->look->base);
	free(world->node);
}

static const Gdr__VirtDomain *
domain_of(const struct world *world, const char *name)
{
	for (size_t i = 0; world->look && i < world->look->n_domains; i++)
		if (strcmp(world->look->domains[i]->name, name) == 0)
			return world->look->domains[i];
	return NULL;
}

static bool
runs(const Gdr__VirtDomain *domain)
{
	return domain && strcmp(domain->state, "shutoff") != 0 && strcmp(domain->state, "crashed") != 0;
}

static bool
is_busy(const struct vm_plan *plan, const void *world)
{
	return runs(domain_of(world, plan->name));
}

/* --- items --------------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 6, 7)))
add(struct subject *vm, const char *what, const char *want, const char *have, enum fix fix, const char *why, ...)
{
	auto_free char *key = xasprintf("%s/%s", vm->plan->name, what);
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, why);
	if (why && vasprintf(&text, why, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		report_add(vm->out, key, want, have, fix, "%s", text);
	else
		report_add(vm->out, key, want, have, fix, NULL);
	vm->blocked = vm->blocked || fix == FIX_MANUAL;
}

static void
report_plan(struct subject *vm)
{
	auto_free char *notes = NULL;

	for (char **note = vm->plan->notes; note && *note; note++) {
		char *more = xasprintf("%s%s%s", notes ? notes : "", notes ? "; " : "", *note);
		free(notes);
		notes = more;
	}
	if (vm->plan->refused)
		add(vm, "plan", "possible", "refused", FIX_MANUAL, "%s", vm->plan->refused);
	else if (notes)
		add(vm, "plan", "possible", "possible", FIX_NONE, "%s", notes);
	else
		add(vm, "plan", "possible", "possible", FIX_NONE, NULL);
}

static void
report_disk(struct subject *vm)
{
	auto_free char *disk = vm_plan_disk(vm->plan);

	if (disk && host_exists(vm->world->machine->host, disk))
		add(vm, "disk", disk, disk, FIX_NONE, NULL);
	else if (disk)
		add(vm, "disk", disk, "none", FIX_MANUAL, "there is no such image: put it there");
}

static void
report_network(struct subject *vm)
{
	const char *name = vm->plan->spec->network;

	for (size_t i = 0; name && i < vm->world->look->n_networks; i++) {
		const Gdr__VirtNetwork *network = vm->world->look->networks[i];

		if (strcmp(network->name, name) != 0)
			continue;
		if (network->active)
			add(vm, "network", name, name, FIX_NONE, NULL);
		else
			add(vm, "network", name, "inactive", FIX_MANUAL, "virsh net-start %s, and net-autostart", name);
		return;
	}
	if (name)
		add(vm, "network", name, "none", FIX_MANUAL,
		    "libvirt has no such network: virsh net-define, or another name in the profile");
}

static void
report_key(struct subject *vm)
{
	struct err err;

	if (vm_key_load(vm->world->machine->host, vm->world->node, vm->plan->name, &vm->key, &err) < 0)
		add(vm, "guest-key", "made", "unreadable", FIX_MANUAL, "%s", err.msg);
	else if (vm->key.wanted && !vm->key.made)
		add(vm, "guest-key", "made", "none", FIX_LIVE, NULL);
	else if (vm->key.wanted)
		add(vm, "guest-key", "made", "made", FIX_NONE, NULL);
}

/* --- the definition ---------------------------------------------------------------------------------------------- */

static int
write_wanted(const struct subject *vm, char **out, struct err *err)
{
	auto_free char *topology = vm_topology_to_smbios(vm->plan, vm->world->machine->inventory);
	struct vm_identity identity = {
		.uuid = vm->domain ? vm->domain->uuid : NULL,
		.credential = vm->key.credential,
		.topology = topology,
	};

	return vm_xml_write(vm->plan, &identity, out, err);
}

/* The address of a device that the definition has, the plan has not, and the host has lost; NULL: it is another
 * difference.  The caller frees. */
static char *
lost_device(const struct subject *vm, const struct vm_difference *difference)
{
	static const char start[] = "hostdev[";

	if (strncmp(difference->path, start, strlen(start)) != 0 || strcmp(difference->want, "absent") != 0)
		return NULL;
	const char *address = difference->path + strlen(start);
	auto_free char *own = xasprintf("%.*s", (int)strcspn(address, "]"), address);
	return inventory_device(vm->world->machine->inventory, own) ? NULL : steal(&own);
}

/* "All" of a host that has lost some would be a smaller VM, which nobody asked for. */
static bool
report_lost(struct subject *vm, const struct vm_differences *differences)
{
	const Gdr__VmSpec *spec = vm->plan->spec;
	bool any = false;

	if (spec->gpus != RULES_WORD && spec->nvswitches != RULES_WORD)
		return false;
	for (size_t i = 0; i < differences->n; i++) {
		auto_free char *address = lost_device(vm, &differences->list[i]);
		if (!address)
			continue;
		any = true;
		add(vm, address, "present", "gone", FIX_MANUAL,
		    "the host has lost this device since the VM was defined: look after the hardware, or accept a "
		    "smaller VM with a number instead of `all` in the profile");
	}
	return any;
}

/* The journal keeps that it was undefined: so a VM that nobody wants any more is not forgotten. */
static void
add_definition(struct subject *vm, const char *have, enum fix fix, const char *why)
{
	add(vm, DEFINITION, "as planned", have, fix, why ? "%s" : NULL, why);
	vm->out->items[vm->out->n - 1].keep = KEEP_RESTORE;
}

static void
report_differences(struct subject *vm, const struct vm_differences *differences, enum fix fix)
{
	auto_free char *count = xasprintf("%zu difference%s", differences->n, differences->n == 1 ? "" : "s");

	add_definition(vm, count, fix, fix == FIX_LIVE ? NULL : "it stays as it is until then");
	for (size_t i = 0; i < differences->n && i < DIFFERENCES_MAX; i++) {
		const struct vm_difference *one = &differences->list[i];
		add(vm, one->path, one->want, one->have, fix, NULL);
	}
}

static void
report_defined(struct subject *vm, const char *wanted)
{
	struct vm_differences differences = { 0 };
	struct err err;

	if (vm_compare(wanted, vm->domain->definition, false, &differences, &err) < 0)
		add_definition(vm, "unreadable", FIX_MANUAL, err.msg);
	else if (!differences.n)
		add_definition(vm, "as planned", FIX_NONE, NULL);
	else
		report_differences(vm, &differences,
				   report_lost(vm, &differences) || vm->blocked ? FIX_MANUAL : FIX_LIVE);
	vm_differences_free(&differences);
}

static void
report_running(struct subject *vm, const char *wanted)
{
	struct vm_differences differences = { 0 };
	bool granted = vm->plan->spec->restart == GDR__VM_RESTART__VM_RESTART_GRANTED;
	bool was_blocked = vm->blocked;
	struct err err;

	if (vm_compare(wanted, vm->domain->running, true, &differences, &err) < 0) {
		add(vm, "running", "as planned", "unreadable", FIX_MANUAL, "%s", err.msg);
	} else if (!differences.n) {
		add(vm, "running", "as planned", "as planned", FIX_NONE, NULL);
	} else {
		const struct vm_difference *first = &differences.list[0];
		auto_free char *more = differences.n > 1 ? xasprintf(" (and %zu more)", differences.n - 1)
							 : xstrdup("");
		add(vm, "running", "as planned", "otherwise", granted ? FIX_BOOT : FIX_MANUAL,
		    "%s: want %s, have %s%s: it takes effect at the VM's next start%s", first->path, first->want,
		    first->have, more, granted ? "" : ", which is for its owner to choose (restart: never)");
	}
	vm->blocked = was_blocked; /* No reason to leave the rest alone. */
	vm_differences_free(&differences);
}

static void
report_definition(struct subject *vm)
{
	auto_free char *wanted = NULL;
	struct err err;

	if (write_wanted(vm, &wanted, &err) < 0)
		add_definition(vm, "none", FIX_MANUAL, err.msg);
	else if (!vm->domain)
		add_definition(vm, UNDEFINED, vm->blocked ? FIX_MANUAL : FIX_LIVE,
			       vm->blocked ? "what else is wrong comes first" : NULL);
	else
		report_defined(vm, wanted);
	if (wanted && vm->domain && vm->domain->running)
		report_running(vm, wanted);
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

static void
report_autostart(struct subject *vm)
{
	const char *want = vm->plan->spec->autostart ? "yes" : "no";
	const char *have = vm->domain && vm->domain->autostart ? "yes" : "no";

	if (!vm->plan->spec->has_autostart)
		return;
	add(vm, "autostart", want, have, strcmp(want, have) == 0 ? FIX_NONE : FIX_LIVE, NULL);
}

static void
report_state(struct subject *vm)
{
	const Gdr__VmSpec *spec = vm->plan->spec;
	const char *want = spec->state == GDR__VM_STATE__VM_STATE_RUNNING ? "running" : "shutoff";
	const char *have = vm->domain ? vm->domain->state : "undefined";
	bool on = runs(vm->domain);
	bool right = strcmp(want, have) == 0 || (!on && spec->state == GDR__VM_STATE__VM_STATE_SHUTOFF);

	if (!spec->has_state)
		return;
	if (right)
		add(vm, "state", want, have, FIX_NONE, NULL);
	else if (vm->blocked)
		add(vm, "state", want, have, FIX_MANUAL, "what else is wrong comes first");
	else if (!on || strcmp(have, "running") == 0)
		add(vm, "state", want, have, FIX_LIVE, NULL);
	else
		add(vm, "state", want, have, FIX_MANUAL,
		    "somebody or something has stopped it there: virsh domstate --reason %s", vm->plan->name);
}

static void
report_vm(struct subject *vm)
{
	report_plan(vm);
	if (vm->plan->refused || !vm->world->look)
		return;
	if (vm->domain && !vm->domain->ours) {
		add(vm, DEFINITION, "ours", "another's", FIX_MANUAL,
		    "a domain of this name is there and does not bear our mark: it is left alone; rename or undefine it");
		return;
	}
	report_disk(vm);
	report_network(vm);
	report_key(vm);
	report_definition(vm);
	report_autostart(vm);
	report_state(vm);
}

/* --- what nobody wants any more ---------------------------------------------------------------------------------- */

static void
report_leftover(const Gdr__VirtDomain *domain, struct report *out)
{
	auto_free char *key = xasprintf("%s/" DEFINITION, domain->name);
	auto_free char *first = runs(domain) ? xasprintf("virsh shutdown %s, and then ", domain->name) : xstrdup("");

	report_add(
		out, key, UNDEFINED, domain->state, FIX_MANUAL,
		"it bears our mark and no profile wants it any more; it still holds its devices, and is nobody's but "
		"yours to end: %svirsh undefine --nvram %s",
		first, domain->name);
	out->items[out->n - 1].keep = KEEP_BACK;
}

/* Those that the journal remembers and that are gone. */
static void
report_gone(const struct world *world, struct report *out)
{
	const Gdr__Journal__Kept *kept;

	for (size_t i = 0; (kept = journal_kept(world->machine->journal, "vm", i)); i++) {
		const char *slash = strchr(kept->key, '/');
		auto_free char *name = xasprintf("%.*s", slash ? (int)(slash - kept->key) : 0, kept->key);
		const Gdr__VirtDomain *domain = domain_of(world, name);

		if (!slash || strcmp(slash + 1, DEFINITION) != 0 || vm_plans_find(&world->plans, name) ||
		    (domain && domain->ours))
			continue;
		report_add(out, kept->key, UNDEFINED, UNDEFINED, FIX_NONE, NULL);
		out->items[out->n - 1].keep = KEEP_BACK;
	}
}

static void
report_leftovers(const struct world *world, struct report *out)
{
	if (!world->look)
		return;
	for (size_t i = 0; i < world->look->n_domains; i++) {
		const Gdr__VirtDomain *domain = world->look->domains[i];

		if (domain->ours && !vm_plans_find(&world->plans, domain->name))
			report_leftover(domain, out);
	}
	report_gone(world, out);
}

/* --- what the controller is told --------------------------------------------------------------------------------------- */

static char *
group_name(const struct vm_plan *plan, unsigned group)
{
	if (plan->groups[group].fabric)
		return xstrdup("nvswitches");
	return *plan->groups[group].host ? xstrdup(plan->groups[group].host) : xasprintf("group %u", group);
}

static Gdr__VmDevice *
tell_device(const struct vm_plan *plan, const struct vm_device *from)
{
	Gdr__VmDevice *out = xcalloc(1, sizeof(*out));

	gdr__vm_device__init(out);
	out->host = xstrdup(from->host);
	out->guest = xstrdup(from->guest);
	out->has_cell = out->has_kind = true;
	out->cell = plan->groups[from->group].cell;
	out->group = group_name(plan, from->group);
	out->kind = from->kind;
	return out;
}

static void
tell(const struct subject *vm)
{
	const struct vm_plan *plan = vm->plan;
	Gdr__Vm *out = xcalloc(1, sizeof(*out));

	gdr__vm__init(out);
	out->name = xstrdup(plan->name);
	out->uuid = vm->domain ? xstrdup(vm->domain->uuid) : NULL;
	out->state = xstrdup(vm->domain ? vm->domain->state : vm->world->look ? "undefined" : "unknown");
	out->guest_key = vm->key.public_key ? xstrdup(vm->key.public_key) : NULL;
	out->machine = xstrdup(plan->spec->machine == GDR__VM_MACHINE__VM_MACHINE_I440FX ? "i440fx" : "q35");
	size_t n = plan->refused ? 0 : plan->n_devices;
	out->devices = xcalloc(n + 1, sizeof(Gdr__VmDevice *));
	for (size_t i = 0; i < n; i++)
		out->devices[out->n_devices++] = tell_device(plan, &plan->devices[i]);
	vm->out->vms = xrealloc(vm->out->vms, vm->out->n_vms + 1, sizeof(Gdr__Vm *));
	vm->out->vms[vm->out->n_vms++] = out;
}

/* --- the layer --------------------------------------------------------------------------------------------------------- */

static bool
vm_wanted(const Gdr__Spec *spec)
{
	return spec->n_vm > 0;
}

static void
report_libvirt(const struct world *world, const struct err *err, struct report *out)
{
	if (world->look)
		report_add(out, "libvirt", "answers", world->look->version, FIX_NONE, NULL);
	else if (err->code == -ENOTCONN)
		report_add(out, "libvirt", "answers", "silent", FIX_LIVE, "%s", err->msg);
	else
		report_add(out, "libvirt", "answers", "silent", FIX_MANUAL, "%s", err->msg);
}

static int
vm_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	struct world world;
	struct err silence = { 0 };

	(void)err; /* Silence is an item, and hides nothing that can be seen without libvirt. */
	(void)world_open(machine, spec, &world, &silence);
	report_libvirt(&world, &silence, out);
	vm_devices_inspect(machine, spec, &world.plans, is_busy, &world, out);
	for (size_t i = 0; i < world.plans.n; i++) {
		struct subject vm = {
			.world = &world,
			.plan = &world.plans.plan[i],
			.domain = domain_of(&world, world.plans.plan[i].name),
			.out = out,
		};
		report_vm(&vm);
		tell(&vm);
		vm_key_free(&vm.key);
	}
	report_leftovers(&world, out);
	world_close(&world);
	return 0;
}

static int
define(const struct world *world, const struct vm_plan *plan, struct err *err)
{
	struct subject vm = { .world = world, .plan = plan, .domain = domain_of(world, plan->name) };
	auto_free char *xml = NULL;
	int rc = vm_key_load(world->machine->host, world->node, plan->name, &vm.key, err);

	if (rc == 0)
		rc = write_wanted(&vm, &xml, err);
	if (rc == 0)
		rc = virt_define(world->machine->host, plan->name, xml, err);
	vm_key_free(&vm.key);
	return rc;
}

static int
change_state(const struct world *world, const struct vm_plan *plan, struct err *err)
{
	const Gdr__VmSpec *spec = plan->spec;

	if (spec->state == GDR__VM_STATE__VM_STATE_RUNNING)
		return virt_start(world->machine->host, plan->name, err);
	return virt_stop(world->machine->host, plan->name,
			 spec->has_stop_timeout ? (unsigned)spec->stop_timeout : STOP_MS, err);
}

/* A daemon that is being started, after a boot or an upgrade, is worth a moment. */
static int
await_libvirt(struct host *host, struct err *err)
{
	const struct timespec pause = { .tv_nsec = AWAIT_STEP_MS * 1000000L };
	int rc = -ENOTCONN;

	for (unsigned waited = 0; rc == -ENOTCONN && waited < AWAIT_MS; waited += AWAIT_STEP_MS) {
		Gdr__VirtLook *look = NULL;

		(void)nanosleep(&pause, NULL);
		rc = virt_look(host, &look, err);
		if (look)
			pb_free(&look->base);
	}
	return rc;
}

/* 'what' is the key behind the VM's name. */
static int
change(const struct world *world, const struct vm_plan *plan, const char *what, struct err *err)
{
	if (strcmp(what, "guest-key") == 0)
		return vm_key_make(world->machine->host, plan->name, err);
	if (strcmp(what, DEFINITION) == 0)
		return define(world, plan, err);
	if (strcmp(what, "autostart") == 0)
		return virt_autostart(world->machine->host, plan->name, plan->spec->autostart, err);
	if (strcmp(what, "state") == 0)
		return change_state(world, plan, err);
	return 0; /* One of the differences: the definition is put right as a whole. */
}

static int
vm_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	auto_free char *name = xasprintf("%.*s", (int)strcspn(item->key, "/"), item->key);
	struct world world;

	if (strcmp(item->key, "libvirt") == 0)
		return await_libvirt(machine->host, err);
	int rc = world_open(machine, spec, &world, err);
	const struct vm_plan *plan = vm_plans_find(&world.plans, name);

	if (vm_devices_own(item->key))
		rc = vm_devices_apply(machine, &world.plans, item, err);
	else if (rc == 0 && plan && !plan->refused)
		rc = change(&world, plan, item->key + strlen(name) + 1, err);
	else if (rc == 0)
		rc = err_set(err, -ENOENT, "no such VM");
	world_close(&world);
	return rc;
}

const struct layer layer_vm = {
	.wanted = vm_wanted,
	.inspect = vm_inspect,
	.apply = vm_apply,
};
