#pragma once

/* layer.h - one layer over a tree: inspect it, find its items, apply them.  Include after cmocka.h. */

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "tests/unit/tree_pci.h"

static struct machine machine;
static Gdr__Spec spec;
static struct report report;
static struct pci *machine_pci;
static Gdr__Inventory *machine_inventory;

/* Up to four programs: PATH/opt/NAME. */
static char tool_names[4][32];
static char tool_paths[4][160];
static Gdr__AgentConfig__ToolsEntry tool_entries[4];
static Gdr__AgentConfig__ToolsEntry *tool_list[4];
static Gdr__AgentConfig agent_config;

static MAY_BE_UNUSED void
add_tool(const char *name, const char *script)
{
	size_t n = agent_config.n_tools++;
	auto_free char *path = xasprintf("/opt/%s", name);

	assert_true(n < 4);
	gdr__agent_config__tools_entry__init(&tool_entries[n]);
	(void)snprintf(tool_names[n], sizeof(tool_names[n]), "%s", name);
	(void)snprintf(tool_paths[n], sizeof(tool_paths[n]), "%s%s", tree, path);
	tool_entries[n].key = tool_names[n];
	tool_entries[n].value = tool_paths[n];
	tool_list[n] = &tool_entries[n];
	agent_config.tools = tool_list;
	put_script(path, script);
}

static MAY_BE_UNUSED int
machine_setup(void **state)
{
	(void)state;
	tree_make();
	gdr__agent_config__init(&agent_config);
	gdr__spec__init(&spec);
	machine = (struct machine){ .host = host_open(tree, &agent_config) };
	report = (struct report){ 0 };
	return 0;
}

static MAY_BE_UNUSED int
machine_teardown(void **state)
{
	(void)state;
	report_free(&report);
	inventory_free(machine_inventory);
	machine_inventory = NULL;
	pci_close(machine_pci);
	machine_pci = NULL;
	host_free(machine.host);
	tree_drop();
	return 0;
}

/* Looks anew at everything; returns what inspect() says. */
static MAY_BE_UNUSED int
look(const struct layer *layer, struct err *err)
{
	struct err ignored = { 0 };

	report_free(&report);
	inventory_free(machine_inventory);
	machine_inventory = NULL;
	pci_close(machine_pci);
	machine_pci = NULL;
	(void)pci_open(machine.host, &machine_pci, &ignored);
	machine.pci = machine_pci;
	assert_int_equal(inventory_read(machine.host, machine_pci, &machine_inventory, &ignored), 0);
	machine.inventory = machine_inventory;
	return layer->inspect(&machine, &spec, &report, err);
}

static MAY_BE_UNUSED void
look_well(const struct layer *layer)
{
	struct err err;
	int rc = look(layer, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
}

static MAY_BE_UNUSED const struct item *
find_item(const char *key)
{
	for (size_t i = 0; i < report.n; i++)
		if (strcmp(report.items[i].key, key) == 0)
			return &report.items[i];
	return NULL;
}

static MAY_BE_UNUSED const struct item *
item(const char *key)
{
	const struct item *found = find_item(key);

	if (!found) {
		fail_msg("no item %s", key);
		abort(); /* For the compiler. */
	}
	return found;
}

static MAY_BE_UNUSED void
expect_item(const char *key, enum fix fix, const char *have)
{
	const struct item *found = item(key);

	if (found->fix != fix)
		fail_msg("%s: fix %d, not %d; have %s; why %s", key, (int)found->fix, (int)fix, found->have,
			 found->why ? found->why : "-");
	if (have)
		assert_string_equal(found->have, have);
}

static MAY_BE_UNUSED void
expect_why(const char *key, const char *part)
{
	const struct item *found = item(key);

	if (!found->why || !strstr(found->why, part))
		fail_msg("%s: why is '%s', without '%s'", key, found->why ? found->why : "-", part);
}

static MAY_BE_UNUSED int
apply(const struct layer *layer, const char *key, struct err *err)
{
	return layer->apply(&machine, &spec, item(key), err);
}

static MAY_BE_UNUSED void
apply_well(const struct layer *layer, const char *key)
{
	struct err err;

	if (apply(layer, key, &err) < 0)
		fail_msg("%s: %s", key, err.msg);
}
