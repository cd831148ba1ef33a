/* cli_vm.c - the VMs that this host shall have, for people: the definition as libvirt would get it, and what NCCL
 * would make of it. */

#include <errno.h>
#include <stdio.h>

#include "agent/cli.h"
#include "agent/cli_internal.h"
#include "agent/host.h"
#include "agent/inventory.h"
#include "agent/pci.h"
#include "agent/settings.h"
#include "agent/vm_plan.h"
#include "agent/vm_topology.h"
#include "agent/vm_xml.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

static int
print_definition(const struct vm_plan *plan, const Gdr__Inventory *inventory, struct err *err)
{
	static const struct vm_identity anyone = { 0 };
	auto_free char *xml = NULL;

	(void)inventory;
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
print_topology(const struct vm_plan *plan, const Gdr__Inventory *inventory, struct err *err)
{
	auto_free char *why = NULL;
	auto_buf struct buf out = { 0 };
	struct nccltopo_node *root = vm_topology_make(plan, inventory);

	(void)err;
	(void)vm_topology_need(plan, &why);
	buf_printf(&out, "<!-- %s: %s -->\n", plan->name, why);
	nccltopo_write(root, &out);
	nccltopo_free(root);
	(void)fputs(out.text, stdout);
	return 0;
}

typedef int print_fn(const struct vm_plan *plan, const Gdr__Inventory *inventory, struct err *err);

/* 'name' NULL: all of them. */
static int
print_plans(const struct vm_plans *plans, const Gdr__Inventory *inventory, const char *name, print_fn *print,
	    struct err *err)
{
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
		int rc = print(plan, inventory, err);
		if (rc < 0)
			return rc;
	}
	return 0;
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
		rc = print_plans(&plans, inventory, name, one, &err);
		vm_plans_free(&plans);
	}
	inventory_free(inventory);
	pci_close(pci);
	host_free(host);
	return rc < 0 ? cli_complain(settings, &err) : 0;
}

int
cli_vm_xml(const struct settings *settings, const struct cli_options *options, const char *name)
{
	return print(settings, options, name, print_definition);
}

int
cli_nccl_topology(const struct settings *settings, const struct cli_options *options, const char *name)
{
	return print(settings, options, name, print_topology);
}
