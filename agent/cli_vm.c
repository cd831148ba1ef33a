/* cli_vm.c - the VMs that this host shall have, for people: the definition as libvirt would get it, and what NCCL
 * would make of it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/cli_internal.h"
#include "agent/layers/vm_compare.h"
#include "agent/layers/vm_keys.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "agent/settings.h"
#include "agent/vm/plan.h"
#include "agent/vm/topology.h"
#include "agent/vm/virt.h"
#include "agent/vm/xml.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

/* Where it is to be. */
struct about {
	struct host *host;
	const Gdr__Inventory *inventory;
};

static int
print_definition(const struct vm_plan *plan, const struct about *about, struct err *err)
{
	static const struct vm_identity anyone = { 0 };
	auto_free char *xml = NULL;

	(void)about;
	int rc = vm_xml_write(plan, &anyone, &xml, err);
	if (rc < 0)
		return err_wrap(err, "%s", plan->name);
	for (char **note = plan->notes; note && *note; note++)
		(void)fprintf(stderr, "%s: %s\n", plan->name, *note);
	(void)fputs(xml, stdout);
	return 0;
}

/* The verdict stands in the file: NCCL reads past comments. */
static int
print_topology(const struct vm_plan *plan, const struct about *about, struct err *err)
{
	auto_free char *why = NULL;
	auto_buf struct buf out = { 0 };
	struct nccltopo_node *root = vm_topology_make(plan, about->inventory);

	(void)err;
	(void)vm_topology_need(plan, &why);
	buf_printf(&out, "<!-- %s: %s -->\n", plan->name, why);
	nccltopo_write(root, &out);
	nccltopo_free(root);
	(void)fputs(out.text, stdout);
	return 0;
}

/* 0; 1: done, and it is not as wanted; or a negative errno. */
typedef int print_fn(const struct vm_plan *plan, const struct about *about, struct err *err);

/* 'name' NULL: all of them. */
static int
print_plans(const struct vm_plans *plans, const struct about *about, const char *name, print_fn *print, struct err *err)
{
	int worst = 0;

	if (name && !vm_plans_find(plans, name))
		return err_set(err, -ENOENT, "no VM called %s is wanted here", name);
	if (!plans->n)
		return err_set(err, -ENOENT, "no VM is wanted here");
	for (size_t i = 0; i < plans->n; i++) {
		const struct vm_plan *plan = &plans->plan[i];

		if (name && strcmp(plan->name, name) != 0)
			continue;
		if (plan->refused)
			return err_set(err, -ENOSPC, "%s cannot be: %s", plan->name, plan->refused);
		int rc = print(plan, about, err);
		if (rc < 0)
			return rc;
		worst = rc > worst ? rc : worst;
	}
	return worst;
}

static int
print(const struct settings *settings, const struct cli_options *options, const char *name, print_fn *one)
{
	auto_pb Gdr__Desired *desired = NULL;
	Gdr__Inventory *inventory = NULL;
	struct err err = { 0 };
	int rc = cli_find_desired(settings, options, &desired, &err);

	if (rc < 0)
		return cli_complain(settings, &err);
	struct pci *pci = NULL;
	struct host *host = host_open(settings->config->root, settings->config);
	if (pci_open(host, &pci, &err) < 0)
		pci = NULL;
	rc = inventory_read(host, pci, &inventory, &err);
	if (rc == 0) {
		struct vm_plans plans;
		vm_plans_make(inventory, desired->spec, settings->node, &plans);
		const struct about about = { host, inventory };
		rc = print_plans(&plans, &about, name, one, &err);
		vm_plans_free(&plans);
	}
	inventory_free(inventory);
	pci_close(pci);
	host_free(host);
	return rc < 0 ? cli_complain(settings, &err) : rc ? 3 : 0;
}

/* --- what differs --------------------------------------------------------------------------------------------- */

static const Gdr__VirtDomain *
domain_of(const Gdr__VirtLook *look, const char *name)
{
	for (size_t i = 0; i < look->n_domains; i++)
		if (strcmp(look->domains[i]->name, name) == 0 && look->domains[i]->definition)
			return look->domains[i];
	return NULL;
}

/* Prints them; how many. */
static size_t
print_differences(const char *title, const char *want, const char *have, bool running)
{
	struct vm_differences differences = { 0 };
	struct err err = { 0 };

	if (vm_compare(want, have, running, &differences, &err) < 0)
		(void)fprintf(stderr, "%s: %s\n", title, err.msg);
	size_t n = differences.n + (err.code < 0);
	for (size_t i = 0; i < differences.n; i++)
		(void)printf("%s: %s: want %s, have %s\n", title, differences.list[i].path, differences.list[i].want,
			     differences.list[i].have);
	vm_differences_free(&differences);
	return n;
}

static int
compare(const struct vm_plan *plan, const struct about *about, struct err *err)
{
	auto_pb Gdr__VirtLook *look = NULL;
	struct vm_key key = { 0 };
	auto_free char *want = NULL;
	int rc = virt_look(about->host, &look, err);

	if (rc < 0)
		return rc;
	const Gdr__VirtDomain *domain = domain_of(look, plan->name);
	if (!domain)
		return err_set(err, -ENOENT, "libvirt has no domain %s of ours", plan->name);
	rc = vm_key_load(about->host, plan->node, plan->name, &key, err);
	auto_free char *topology = vm_topology_to_smbios(plan, about->inventory);
	const struct vm_identity identity = {
		.uuid = domain->uuid,
		.credential = key.credential,
		.topology = topology,
	};
	if (rc == 0)
		rc = vm_xml_write(plan, &identity, &want, err);
	vm_key_free(&key);
	if (rc < 0)
		return rc;
	size_t n = print_differences("definition", want, domain->definition, false);
	if (domain->running)
		n += print_differences("running", want, domain->running, true);
	return n > 0;
}

int
cli_vm_xml(const struct settings *settings, const struct cli_options *options, const char *name)
{
	if (options->diff)
		return print(settings, options, name, compare);
	return print(settings, options, name, print_definition);
}

int
cli_nccl_topology(const struct settings *settings, const struct cli_options *options, const char *name)
{
	return print(settings, options, name, print_topology);
}

/* --- the guest's key -------------------------------------------------------------------------------------------- */

static int
no_key(const struct vm_key *key, const char *vm, struct err *err)
{
	if (!key->wanted)
		return err_set(err, -ENOENT, "this host has not joined: there is nobody whom a guest could speak to");
	return err_set(err, -ENOENT, "%s has no key: the layer vm makes one when it defines the VM", vm);
}

int
cli_vm_credential(const struct settings *settings, const char *vm)
{
	struct host *host = host_open(settings->config->root, settings->config);
	struct vm_key key = { 0 };
	struct err err = { 0 };
	int rc = strchr(vm, '/') ? err_set(&err, -EINVAL, "'%s' is no VM's name", vm)
				 : vm_key_load(host, settings->node, vm, &key, &err);

	if (rc == 0 && !key.made)
		rc = no_key(&key, vm, &err);
	if (rc == 0)
		(void)fputs(key.document, stdout);
	vm_key_free(&key);
	host_free(host);
	return rc < 0 ? cli_complain(settings, &err) : 0;
}
