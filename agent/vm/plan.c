/* plan.c - a VM, step by step. */

#include "agent/vm/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/vm/plan_internal.h"
#include "common/err.h"
#include "common/mem.h"

/* --- texts ------------------------------------------------------------------------------------------- */

static char *
name_of(const char *template, const char *node)
{
	static const char hole[] = "{node}";
	const char *at = template ? strstr(template, hole) : NULL;

	if (!at)
		return xstrdup(template ? template : "");
	return xasprintf("%.*s%s%s", (int)(at - template), template, node, at + strlen(hole));
}

bool
vm_address_read(const char *text, struct vm_address *out)
{
	static const char ends[] = "::.";
	unsigned part[4];
	char *end;

	for (size_t i = 0; i < 4; i++) {
		part[i] = (unsigned)strtoul(text, &end, 16);
		if (end == text || *end != ends[i])
			return false;
		text = end + 1;
	}
	*out = (struct vm_address){ part[0], part[1], part[2], part[3] };
	return true;
}

char *
vm_address_text(const struct vm_address *address)
{
	return xasprintf("%04x:%02x:%02x.%x", address->domain, address->bus, address->slot, address->function);
}

void
vm_plan_note(struct vm_plan *plan, const char *fmt, ...)
{
	char text[256];
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while (plan->notes && plan->notes[n])
		n++;
	plan->notes = xrealloc(plan->notes, n + 2, sizeof(char *));
	plan->notes[n] = xstrdup(text);
	plan->notes[n + 1] = NULL;
}

/* FNV-1a: three bytes that stay the same as long as the name does. */
static char *
mac_of(const char *first, const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	hash ^= hash >> 24;
	return xasprintf("%s:%02x:%02x:%02x", first, hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff);
}

static void
name_interfaces(struct vm_plan *plan)
{
	auto_free char *own = xasprintf("%s/%s", plan->node, plan->name);

	plan->mac = mac_of("52:54:00", own); /* QEMU's. */
	for (size_t i = 0; plan->spec->vf_mac && i < plan->n_devices; i++) {
		struct vm_device *device = &plan->devices[i];
		auto_free char *vf = xasprintf("%s/%s/%s", plan->node, plan->name, device->host);
		if (device->pf)
			device->mac = mac_of(plan->spec->vf_mac, vf);
	}
}

/* --- one VM ------------------------------------------------------------------------------------------ */

static int
check_spec(const struct vm_host *host, const struct vm_plan *plan, struct err *err)
{
	if (!*plan->name || !plan->spec->has_vcpus || !plan->spec->has_memory)
		return err_set(err, -EINVAL, "a VM needs name, vcpus and memory");
	for (size_t i = 0; i < host->before->n; i++)
		if (strcmp(host->before->plan[i].name, plan->name) == 0)
			return err_set(err, -EEXIST, "an earlier VM is called %s, too", plan->name);
	return 0;
}

static int
make_plan(const struct vm_host *host, struct vm_plan *plan, struct err *err)
{
	int rc = check_spec(host, plan, err);

	if (rc == 0)
		rc = vm_plan_claim(host, plan, err);
	if (rc == 0)
		rc = vm_plan_cells(host, plan, err);
	if (rc == 0)
		rc = vm_plan_group(host, plan, err);
	if (rc == 0)
		rc = vm_plan_bus(plan, err);
	if (rc == 0)
		rc = vm_plan_room(host, plan, err);
	if (rc == 0)
		name_interfaces(plan);
	return rc;
}

static void
free_parts(struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		free(plan->devices[i].host);
		free(plan->devices[i].guest);
		free(plan->devices[i].pf);
		free(plan->devices[i].mac);
	}
	for (size_t i = 0; i < plan->n_groups; i++)
		free(plan->groups[i].host);
	for (char **note = plan->notes; note && *note; note++)
		free(*note);
	free(plan->notes);
	free(plan->devices);
	free(plan->groups);
	free(plan->controllers);
	free(plan->cells);
	free(plan->cpus);
	free(plan->emulator);
	free(plan->mac);
}

/* What is left of a plan that was refused: nothing that a later VM could miss. */
static void
refuse(struct vm_plan *plan, const char *why)
{
	struct vm_plan bare = { .name = plan->name, .node = plan->node, .spec = plan->spec, .refused = xstrdup(why) };

	free_parts(plan);
	*plan = bare;
}

void
vm_plans_make(const Gdr__Inventory *inventory, const Gdr__Spec *spec, const char *node, struct vm_plans *out)
{
	struct vm_host host = { .inventory = inventory, .spec = spec, .before = out };

	*out = (struct vm_plans){ .plan = xcalloc(spec->n_vm + 1, sizeof(*out->plan)) };
	for (size_t i = 0; i < spec->n_vm; i++) {
		struct vm_plan *plan = &out->plan[i];
		struct err err;

		plan->spec = spec->vm[i];
		plan->node = xstrdup(node);
		plan->name = name_of(plan->spec->name, node);
		plan->q35 = !plan->spec->has_machine || plan->spec->machine == GDR__VM_MACHINE__VM_MACHINE_Q35;
		if (make_plan(&host, plan, &err) < 0)
			refuse(plan, err.msg);
		out->n++;
	}
	for (size_t i = 0; i < out->n; i++)
		if (!out->plan[i].refused)
			vm_plan_emulator(&host, &out->plan[i]);
}

void
vm_plans_free(struct vm_plans *plans)
{
	for (size_t i = 0; i < plans->n; i++) {
		free_parts(&plans->plan[i]);
		free(plans->plan[i].name);
		free(plans->plan[i].node);
		free(plans->plan[i].refused);
	}
	free(plans->plan);
	*plans = (struct vm_plans){ 0 };
}

/* --- questions --------------------------------------------------------------------------------------- */

const struct vm_plan *
vm_plans_find(const struct vm_plans *plans, const char *name)
{
	for (size_t i = 0; i < plans->n; i++)
		if (strcmp(plans->plan[i].name, name) == 0)
			return &plans->plan[i];
	return NULL;
}

uint64_t
vm_plans_memory(const struct vm_plans *plans, uint32_t host_node)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < plans->n; i++)
		for (size_t c = 0; c < plans->plan[i].n_cells; c++)
			if (plans->plan[i].cells[c].host_node == host_node)
				bytes += plans->plan[i].cells[c].memory;
	return bytes;
}

unsigned
vm_plans_vfs(const struct vm_plans *plans, const char *pf)
{
	unsigned n = 0;

	for (size_t i = 0; i < plans->n; i++)
		for (size_t d = 0; d < plans->plan[i].n_devices; d++) {
			const struct vm_device *device = &plans->plan[i].devices[d];
			if (device->pf && strcmp(device->pf, pf) == 0 && device->vf >= n)
				n = device->vf + 1;
		}
	return n;
}

char *
vm_plan_disk(const struct vm_plan *plan)
{
	char *path = plan->spec->disk ? xstrdup(plan->spec->disk) : NULL;
	const struct {
		const char *hole, *value;
	} holes[] = { { "{node}", plan->node }, { "{vm}", plan->name } };

	for (size_t i = 0; path && i < sizeof(holes) / sizeof(holes[0]); i++) {
		const char *at = strstr(path, holes[i].hole);
		if (!at)
			continue;
		char *filled = xasprintf("%.*s%s%s", (int)(at - path), path, holes[i].value,
					 at + strlen(holes[i].hole));
		free(path);
		path = filled;
	}
	return path;
}
