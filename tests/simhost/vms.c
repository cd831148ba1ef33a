#include "tests/simhost/vms.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define ACS_DT 0x40U

/* --- files ---------------------------------------------------------------------------------------------------- */

/* The caller frees; NULL: it is not there. */
static char *
read_file(const struct sim *sim, const char *name, const char *file)
{
	auto_free char *path = xasprintf(".sim/vms/%s/%s", name, file);
	struct err ignored = { 0 };
	struct tree tree;

	if (sim_tree(sim, &tree, &ignored) < 0)
		return NULL;
	char *text = tree_read(&tree, path);
	(void)tree_close(&tree);
	return text;
}

/* 'text' NULL: away with it. */
static int
write_file(const struct sim *sim, const char *name, const char *file, const char *text, struct err *err)
{
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	tree_cd(&tree, ".sim/vms/%s", name);
	if (text)
		tree_printf(&tree, file, "%s", text);
	else
		tree_remove(&tree, file);
	return tree_close(&tree);
}

static void
tell(const struct sim *sim, const char *name, const char *what)
{
	struct err ignored = { 0 };
	struct tree tree;

	if (sim_tree(sim, &tree, &ignored) < 0)
		return;
	auto_free char *old = tree_read(&tree, ".sim/vms-events");
	tree_printf(&tree, ".sim/vms-events", "%s%s%s %s\n", old ? old : "", old && *old ? "\n" : "", name, what);
	(void)tree_close(&tree);
}

char **
vms_list(const struct sim *sim)
{
	struct err ignored = { 0 };
	struct tree tree;

	if (sim_tree(sim, &tree, &ignored) < 0)
		return xcalloc(1, sizeof(char *));
	char **names = tree_list(&tree, ".sim/vms");
	(void)tree_close(&tree);
	return names;
}

bool
vms_exists(const struct sim *sim, const char *name)
{
	auto_free char *text = read_file(sim, name, "definition.xml");

	return text != NULL;
}

char *
vms_xml(const struct sim *sim, const char *name, bool running)
{
	return read_file(sim, name, running ? "running.xml" : "definition.xml");
}

/* --- XML ------------------------------------------------------------------------------------------------------ */

static xmlDoc *
parse(const char *xml)
{
	return xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
}

static bool
is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *
child(const xmlNode *node, const char *name)
{
	for (xmlNode *one = node ? node->children : NULL; one; one = one->next)
		if (is(one, name))
			return one;
	return NULL;
}

static char *
content(const xmlNode *node)
{
	xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
	char *out = text ? xstrdup((const char *)text) : NULL;

	xmlFree(text);
	return out;
}

static char *
attribute(const xmlNode *node, const char *name)
{
	xmlChar *text = node ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
	char *out = text ? xstrdup((const char *)text) : NULL;

	xmlFree(text);
	return out;
}

static void
set(xmlNode *node, const char *name, const char *value)
{
	(void)xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static xmlNode *
add(xmlNode *parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static char *
print(xmlDoc *doc)
{
	xmlBuffer *buffer = xmlBufferCreate();

	(void)xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 1);
	char *out = xstrdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return out;
}

char *
vms_child(const char *xml, const char *element)
{
	xmlDoc *doc = parse(xml);
	char *out = doc ? content(child(xmlDocGetRootElement(doc), element)) : NULL;

	xmlFreeDoc(doc);
	return out;
}

char *
vms_metadata(const char *xml, const char *space)
{
	xmlDoc *doc = parse(xml);
	const xmlNode *metadata = doc ? child(xmlDocGetRootElement(doc), "metadata") : NULL;
	char *out = NULL;

	for (xmlNode *one = metadata ? metadata->children : NULL; one && !out; one = one->next) {
		xmlBuffer *buffer = xmlBufferCreate();

		if (one->ns && strcmp((const char *)one->ns->href, space) == 0 &&
		    xmlNodeDump(buffer, doc, one, 0, 0) > 0)
			out = xstrdup((const char *)xmlBufferContent(buffer));
		xmlBufferFree(buffer);
	}
	xmlFreeDoc(doc);
	return out;
}

/* --- defining --------------------------------------------------------------------------------------------------- */

/* "q35" is the newest of its kind, as the host's QEMU has it. */
static void
name_machine(xmlNode *domain)
{
	xmlNode *type = child(child(domain, "os"), "type");
	auto_free char *machine = attribute(type, "machine");

	if (machine && strcmp(machine, "q35") == 0)
		set(type, "machine", "pc-q35-6.2");
	if (machine && strcmp(machine, "pc") == 0)
		set(type, "machine", "pc-i440fx-6.2");
}

static bool
has_controller(const xmlNode *devices, const char *type)
{
	for (const xmlNode *one = devices->children; one; one = one->next) {
		auto_free char *own = is(one, "controller") ? attribute(one, "type") : NULL;
		if (own && strcmp(own, type) == 0)
			return true;
	}
	return false;
}

/* As libvirt 9 does: ../../agent/layers/vm_compare.c must not see any of it. */
static void
add_defaults(xmlNode *domain)
{
	xmlNode *devices = child(domain, "devices");

	name_machine(domain);
	if (!child(domain, "currentMemory")) {
		auto_free char *memory = content(child(domain, "memory"));
		auto_free char *unit = attribute(child(domain, "memory"), "unit");
		set(add(domain, "currentMemory", memory ? memory : "0"), "unit", unit ? unit : "KiB");
	}
	if (!child(domain, "on_poweroff"))
		(void)add(domain, "on_poweroff", "destroy");
	if (!devices)
		devices = add(domain, "devices", NULL);
	if (!child(devices, "emulator"))
		(void)add(devices, "emulator", "/usr/bin/qemu-system-x86_64");
	if (!child(devices, "memballoon"))
		set(add(devices, "memballoon", NULL), "model", "virtio");
	if (!has_controller(devices, "usb")) {
		xmlNode *usb = add(devices, "controller", NULL);
		set(usb, "type", "usb");
		set(usb, "index", "0");
		set(usb, "model", "qemu-xhci");
	}
	static const char *const inputs[] = { "mouse", "keyboard" };
	for (size_t i = 0; i < 2; i++) {
		xmlNode *input = add(devices, "input", NULL);
		set(input, "type", inputs[i]);
		set(input, "bus", "ps2");
	}
}

/* A second definition of one name is a change only with the uuid of the first. */
static int
settle_uuid(const struct sim *sim, xmlNode *domain, const char *name, struct err *err)
{
	auto_free char *old = vms_xml(sim, name, false);
	auto_free char *had = old ? vms_child(old, "uuid") : NULL;
	auto_free char *own = content(child(domain, "uuid"));

	if (had && (!own || strcmp(own, had) != 0))
		return err_set(err, -EEXIST, "operation failed: domain '%s' already exists with uuid %s", name, had);
	if (!own) {
		auto_free char *made = sim_uuid();
		xmlNode *uuid = add(domain, "uuid", made);
		(void)xmlAddNextSibling(child(domain, "name"), uuid);
	}
	return 0;
}

int
vms_define(const struct sim *sim, const char *xml, char **name, struct err *err)
{
	xmlDoc *doc = parse(xml);
	xmlNode *domain = doc ? xmlDocGetRootElement(doc) : NULL;
	int rc = 0;

	*name = domain ? content(child(domain, "name")) : NULL;
	if (!domain || !is(domain, "domain") || !*name)
		rc = err_set(err, -EINVAL, "XML error: missing domain name");
	else if (sim_broken(sim, "libvirt-refuses"))
		rc = err_set(err, -EINVAL, "unsupported configuration: fault libvirt-refuses");
	else
		rc = settle_uuid(sim, domain, *name, err);
	if (rc == 0) {
		add_defaults(domain);
		auto_free char *text = print(doc);
		rc = write_file(sim, *name, "definition.xml", text, err);
	}
	xmlFreeDoc(doc);
	return rc;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

char *
vms_state(const struct sim *sim, const char *name)
{
	char *state = read_file(sim, name, "state");

	return state ? state : xstrdup("shutoff");
}

int
vms_set_state(const struct sim *sim, const char *name, const char *state, struct err *err)
{
	return write_file(sim, name, "state", state, err);
}

/* Calls 'visit' for the host address of each passed-through device, until one fails. */
static int
each_hostdev(const struct sim *sim, const char *xml, int (*visit)(const struct sim *, const char *, struct err *),
	     struct err *err)
{
	xmlDoc *doc = parse(xml);
	const xmlNode *devices = doc ? child(xmlDocGetRootElement(doc), "devices") : NULL;
	int rc = 0;

	for (xmlNode *one = devices ? devices->children : NULL; one && rc == 0; one = one->next) {
		const xmlNode *at = is(one, "hostdev") ? child(child(one, "source"), "address") : NULL;
		static const char *const parts[] = { "domain", "bus", "slot", "function" };
		unsigned value[4] = { 0 };

		for (size_t i = 0; at && i < 4; i++) {
			auto_free char *text = attribute(at, parts[i]);
			value[i] = text ? (unsigned)strtoul(text, NULL, 0) : 0;
		}
		auto_free char *address = xasprintf("%04x:%02x:%02x.%x", value[0], value[1], value[2], value[3]);
		if (at)
			rc = visit(sim, address, err);
	}
	xmlFreeDoc(doc);
	return rc;
}

static int
is_there(const struct sim *sim, const char *address, struct err *err)
{
	auto_free char *path = xasprintf("sys/bus/pci/devices/%s", address);

	return faccessat(sim->fd, path, F_OK, 0) == 0
		       ? 0
		       : err_set(err, -ENOENT, "device not found: no PCI device %s", address);
}

/* vfio-pci resets what it takes and lets go of, and the bridge above it with it: the kernel puts back what it knows. */
static int
reset_above(const struct sim *sim, const char *address, struct err *err)
{
	auto_free struct pci_model *model = xcalloc(1, sizeof(*model));

	pci_model_build(model, sim);
	const struct pci_dev *dev = pci_model_find(model, address);
	if (dev && dev->parent >= 0 && model->devs[dev->parent].kind->acs)
		return register_update(sim, model->devs[dev->parent].address, "ECAP_ACS+6", ACS_DT, 0, err);
	return 0;
}

int
vms_start(const struct sim *sim, const char *name, struct err *err)
{
	auto_free char *running = vms_xml(sim, name, true);
	auto_free char *xml = vms_xml(sim, name, false);
	int rc;

	if (running)
		return err_set(err, -EBUSY, "Requested operation is not valid: domain is already running");
	if (!xml)
		return err_set(err, -ENOENT, "Domain not found: no domain with matching name '%s'", name);
	if (sim_broken(sim, "vm-start-fails"))
		return err_set(err, -EIO,
			       "internal error: qemu unexpectedly closed the monitor (fault vm-start-fails)");
	rc = each_hostdev(sim, xml, is_there, err);
	if (rc == 0)
		rc = write_file(sim, name, "running.xml", xml, err);
	if (rc == 0)
		rc = vms_set_state(sim, name, "running", err);
	if (rc == 0)
		rc = each_hostdev(sim, xml, reset_above, err);
	if (rc == 0)
		tell(sim, name, "started");
	return rc;
}

int
vms_stop(const struct sim *sim, const char *name, const char *why, struct err *err)
{
	auto_free char *xml = vms_xml(sim, name, true);
	int rc;

	if (!xml)
		return err_set(err, -EINVAL, "Requested operation is not valid: domain is not running");
	rc = write_file(sim, name, "running.xml", NULL, err);
	if (rc == 0)
		rc = vms_set_state(sim, name, NULL, err);
	if (rc == 0)
		rc = each_hostdev(sim, xml, reset_above, err);
	if (rc == 0)
		tell(sim, name, why);
	return rc;
}

bool
vms_autostart(const struct sim *sim, const char *name)
{
	auto_free char *text = read_file(sim, name, "autostart");

	return text != NULL;
}

int
vms_set_autostart(const struct sim *sim, const char *name, bool on, struct err *err)
{
	return write_file(sim, name, "autostart", on ? "yes\n" : NULL, err);
}

void
vms_boot(const struct sim *sim)
{
	auto_strv char **names = vms_list(sim);
	struct err ignored = { 0 };

	for (char **name = names; *name; name++) {
		(void)write_file(sim, *name, "running.xml", NULL, &ignored);
		(void)vms_set_state(sim, *name, NULL, &ignored);
		if (vms_autostart(sim, *name))
			(void)vms_start(sim, *name, &ignored);
	}
}
