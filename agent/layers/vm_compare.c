/* vm_compare.c - domain definitions compared by meaning, element by element, over libxml2. */

#include "agent/layers/vm_compare.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/machine/smbios.h"
#include "agent/vm/topology.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

#define CPUS 4096

/* By what elements of one name are told apart: attributes, of a child where one is named, or the text before "=".  All
 * others by position. */
static const struct identity {
	const char *element;
	const char *by[4];
} identities[] = {
	{ "vcpupin", { "@vcpu" } },
	{ "memnode", { "@cellid" } },
	{ "cell", { "@id" } },
	{ "feature", { "@name" } },
	{ "timer", { "@name" } },
	{ "entry", { "@name" } },
	{ "entry", { "=" } },
	{ "graphics", { "@type" } },
	{ "input", { "@type", "@bus" } },
	{ "disk", { "target@dev" } },
	{ "interface", { "mac@address" } },
	{ "controller", { "@type", "@index" } },
	{ "hostdev",
	  { "source/address@domain", "source/address@bus", "source/address@slot", "source/address@function" } },
};

/* Where an element that is not wanted is a difference, and which ones libvirt adds there by itself. */
static const struct closed {
	const char *parent;
	const char *added; /* Names between blanks. */
} closed[] = {
	{ "domain",
	  " uuid title description metadata currentMemory resource os features cpu clock on_poweroff on_reboot on_crash "
	  "pm seclabel " },
	{ "devices", " emulator input console audio video memballoon watchdog " },
	{ "features", " vmport pae " },
	{ "cputune", "" },
	{ "numatune", "" },
	{ "memoryBacking", "" },
	{ "numa", "" },
	{ "sysinfo", "" },
	{ "oemStrings", "" },
};

/* Controllers that libvirt adds for devices that need one. */
static const struct {
	const char *type;
	const char *model; /* NULL: any. */
} added_controllers[] = {
	{ "usb", NULL },
	{ "sata", NULL },
	{ "ide", NULL },
	{ "fdc", NULL },
	{ "virtio-serial", NULL },
	{ "pci", "pci-root" },
	{ "pci", "pcie-root" },
	{ "pci", "pcie-root-port" },
	{ "pci", "pcie-to-pci-bridge" },
};

struct comparison {
	struct vm_differences *out;
	bool running;
};

/* --- the tree ------------------------------------------------------------------------------------------------ */

static bool
is(const xmlNode *node, const char *name)
{
	return strcmp((const char *)node->name, name) == 0;
}

static xmlNode *
first_element(xmlNode *node)
{
	while (node && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

static xmlNode *
first_child(const xmlNode *node)
{
	return first_element(node->children);
}

static xmlNode *
next_element(const xmlNode *node)
{
	return first_element(node->next);
}

static xmlNode *
child_named(const xmlNode *node, const char *name, size_t len)
{
	for (xmlNode *child = first_child(node); child; child = next_element(child))
		if (strlen((const char *)child->name) == len && memcmp(child->name, name, len) == 0)
			return child;
	return NULL;
}

/* The caller frees; NULL: it has none. */
static char *
attribute(const xmlNode *node, const char *name)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
	char *out = value ? xstrdup((const char *)value) : NULL;

	xmlFree(value);
	return out;
}

/* Without blanks around it.  The caller frees. */
static char *
text_of(const xmlNode *node)
{
	xmlChar *content = xmlNodeGetContent(node);
	const char *text = content ? (const char *)content : "";

	text += strspn(text, " \t\r\n");
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	char *out = xasprintf("%.*s", (int)(len > INT_MAX ? INT_MAX : len), text);
	xmlFree(content);
	return out;
}

/* "NAME" of the text "NAME=VALUE".  The caller frees; NULL: it is none. */
static char *
text_before_equals(const xmlNode *node)
{
	auto_free char *text = text_of(node);
	char *equals = strchr(text, '=');

	if (!equals)
		return NULL;
	*equals = '\0';
	return steal(&text);
}

/* "@attr", "child@attr", "child/child@attr", "=".  The caller frees; NULL: there is none. */
static char *
value_at(const xmlNode *node, const char *path)
{
	if (*path == '=')
		return text_before_equals(node);
	while (node && *path != '@') {
		size_t len = strcspn(path, "/@");

		node = child_named(node, path, len);
		path += len + (path[len] == '/');
	}
	return node ? attribute(node, path + 1) : NULL;
}

static bool
same_kind(const xmlNode *a, const xmlNode *b)
{
	const char *space_a = a->ns && a->ns->href ? (const char *)a->ns->href : "";
	const char *space_b = b->ns && b->ns->href ? (const char *)b->ns->href : "";

	return is(a, (const char *)b->name) && strcmp(space_a, space_b) == 0;
}

/* --- values -------------------------------------------------------------------------------------------------- */

static bool
number(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
	return errno == 0 && !*end;
}

/* libvirt's units of memory; KiB where none is written. */
static uint64_t
unit_bytes(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{ "b", 1 },
		{ "bytes", 1 },
		{ "KB", 1000 },
		{ "k", 1U << 10 },
		{ "KiB", 1U << 10 },
		{ "MB", 1000000 },
		{ "M", 1U << 20 },
		{ "MiB", 1U << 20 },
		{ "GB", 1000000000 },
		{ "G", 1U << 30 },
		{ "GiB", 1U << 30 },
		{ "T", 1ULL << 40 },
		{ "TiB", 1ULL << 40 },
	};

	for (size_t i = 0; unit && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].bytes;
	return 1U << 10;
}

/* "0-3,8,^2" as a set; false if it is no such list. */
static bool
cpu_set(const char *text, bool set[CPUS])
{
	memset(set, 0, CPUS * sizeof(*set));
	while (*text) {
		bool out = *text == '^';
		char *end;
		unsigned long first = strtoul(text + out, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		if (end == text || (*end && *end != ',') || last >= CPUS)
			return false;
		for (unsigned long i = first; i <= last; i++)
			set[i] = !out;
		text = end + (*end == ',');
	}
	return true;
}

static bool
same_list(const char *a, const char *b)
{
	bool set_a[CPUS];
	bool set_b[CPUS];

	return cpu_set(a, set_a) && cpu_set(b, set_b) && memcmp(set_a, set_b, sizeof(set_a)) == 0;
}

/* "q35" becomes the newest that there is, "pc-q35-7.2". */
static bool
same_machine(const char *want, const char *have)
{
	return (strcmp(want, "q35") == 0 && strncmp(have, "pc-q35-", 7) == 0) ||
	       (strcmp(want, "pc") == 0 && strncmp(have, "pc-i440fx-", 10) == 0);
}

static bool
has_name(const char *name, const char *const names[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Sizes whose unit is an attribute beside them. */
static bool
same_size(const xmlNode *want, const xmlNode *have, const char *a, const char *b)
{
	auto_free char *unit_a = attribute(want, "unit");
	auto_free char *unit_b = attribute(have, "unit");
	uint64_t number_a;
	uint64_t number_b;

	return number(a, &number_a) && number(b, &number_b) &&
	       number_a * unit_bytes(unit_a) == number_b * unit_bytes(unit_b);
}

static bool
has_unit(const xmlNode *want, const xmlNode *have)
{
	return xmlHasProp(want, (const xmlChar *)"unit") || xmlHasProp(have, (const xmlChar *)"unit");
}

static bool
same_value(const xmlNode *want, const xmlNode *have, const char *name, const char *a, const char *b)
{
	static const char *const lists[] = { "cpuset", "cpus", "nodeset" };
	static const char *const sizes[] = { "memory", "size" };
	uint64_t number_a;
	uint64_t number_b;

	if (has_unit(want, have) && has_name(name, sizes, sizeof(sizes) / sizeof(sizes[0])))
		return same_size(want, have, a, b);
	if (strcmp(a, b) == 0)
		return true;
	if (has_name(name, lists, sizeof(lists) / sizeof(lists[0])))
		return same_list(a, b);
	if (strcmp(name, "machine") == 0)
		return same_machine(a, b);
	if (is(want, "mac"))
		return strcasecmp(a, b) == 0;
	return number(a, &number_a) && number(b, &number_b) && number_a == number_b;
}

/* --- how it is told ------------------------------------------------------------------------------------------ */

/* A guest's credential holds its secret key. */
static char *
shown(const char *text)
{
	uint8_t digest[PB_DIGEST_LEN];

	if (strncmp(text, SMBIOS_CREDENTIAL, strlen(SMBIOS_CREDENTIAL)) != 0)
		return xstrdup(text);
	pb_digest(text, strlen(text), digest);
	return xasprintf("credential %02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
}

/* Its attributes, or its text, or that it is there. */
static char *
summary(const xmlNode *node)
{
	auto_buf struct buf out = { 0 };

	for (const xmlAttr *a = node->properties; a; a = a->next) {
		auto_free char *value = attribute(node, (const char *)a->name);
		buf_printf(&out, "%s%s='%s'", out.len ? " " : "", (const char *)a->name, value ? value : "");
	}
	if (!first_child(node)) {
		auto_free char *text = text_of(node);
		auto_free char *safe = shown(text);
		buf_printf(&out, "%s%s", out.len && *safe ? " " : "", safe);
	}
	if (!out.len)
		buf_puts(&out, "present");
	return buf_steal(&out);
}

static void
differ(struct comparison *comparison, const char *path, const char *want, const char *have)
{
	struct vm_differences *out = comparison->out;

	out->list = xrealloc(out->list, out->n + 1, sizeof(*out->list));
	out->list[out->n++] = (struct vm_difference){ xstrdup(*path ? path : "domain"), xstrdup(want), xstrdup(have) };
}

/* The first of its element that it has. */
static const struct identity *
identity_of(const xmlNode *node)
{
	for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		if (!is(node, identities[i].element))
			continue;
		auto_free char *value = value_at(node, identities[i].by[0]);
		if (value)
			return &identities[i];
	}
	return NULL;
}

/* "0000:48:00.0" of a hostdev, "pci 3" of a controller; NULL: it has no name of its own.  The caller frees. */
static char *
name_of(const xmlNode *node)
{
	const struct identity *identity = identity_of(node);
	auto_buf struct buf out = { 0 };
	uint64_t part[4] = { 0 };

	for (size_t i = 0; identity && i < 4 && identity->by[i]; i++) {
		auto_free char *value = value_at(node, identity->by[i]);
		if (!value)
			return NULL;
		if (!number(value, &part[i]))
			part[i] = 0;
		buf_printf(&out, "%s%s", out.len ? " " : "", value);
	}
	if (!out.len)
		return NULL;
	if (identity->by[3])
		return xasprintf("%04x:%02x:%02x.%x", (unsigned)part[0], (unsigned)part[1], (unsigned)part[2],
				 (unsigned)part[3]);
	return buf_steal(&out);
}

/* "devices" adds nothing to what a device is called. */
static char *
path_to(const char *path, const xmlNode *child)
{
	auto_free char *name = name_of(child);
	const char *slash = *path ? "/" : "";

	if (is(child, "devices"))
		return xstrdup(path);
	return name ? xasprintf("%s%s%s[%s]", path, slash, (const char *)child->name, name)
		    : xasprintf("%s%s%s", path, slash, (const char *)child->name);
}

/* --- comparing ------------------------------------------------------------------------------------------------- */

/* USB controllers of one index are companions of different models. */
static bool
same_model(const xmlNode *want, const xmlNode *have)
{
	auto_free char *type = attribute(want, "type");
	auto_free char *a = attribute(want, "model");
	auto_free char *b = attribute(have, "model");

	return !is(want, "controller") || !type || strcmp(type, "usb") != 0 || !a || !b || strcmp(a, b) == 0;
}

/* The element that 'want' became, not taken yet by another; takes it. */
static xmlNode *
counterpart(const xmlNode *want, const xmlNode *have_parent)
{
	auto_free char *name = name_of(want);

	for (xmlNode *have = first_child(have_parent); have; have = next_element(have)) {
		auto_free char *other = name_of(have);

		if (have->_private || !same_kind(want, have) || (name && (!other || strcasecmp(name, other) != 0)) ||
		    !same_model(want, have))
			continue;
		have->_private = have;
		return have;
	}
	return NULL;
}

/* A template of NCCL's is no reason to start a VM anew: one that is old or not there is made up for in the guest. */
static bool
is_of_next_start(const struct comparison *comparison, const xmlNode *child)
{
	auto_free char *name = comparison->running && is(child, "entry") ? text_before_equals(child) : NULL;

	return name && strcmp(name, SMBIOS_CREDENTIAL VM_TOPOLOGY_CREDENTIAL) == 0;
}

/* What the host's CPU is, is not ours to say. */
static bool
is_host_model(const struct comparison *comparison, const xmlNode *want)
{
	auto_free char *mode = is(want, "cpu") ? attribute(want, "mode") : NULL;

	return comparison->running && mode && strcmp(mode, "host-model") == 0;
}

static void
compare_attributes(const struct comparison *comparison, const xmlNode *want, const xmlNode *have, struct buf *wanted,
		   struct buf *had)
{
	for (const xmlAttr *a = want->properties; a; a = a->next) {
		const char *name = (const char *)a->name;
		auto_free char *value = attribute(want, name);
		auto_free char *other = attribute(have, name);

		if (strcmp(name, "unit") == 0 || is_host_model(comparison, want))
			continue;
		if (value && other && same_value(want, have, name, value, other))
			continue;
		buf_printf(wanted, "%s%s='%s'", wanted->len ? " " : "", name, value ? value : "");
		buf_printf(had, "%s%s=", had->len ? " " : "", name);
		buf_printf(had, other ? "'%s'" : "absent", other);
	}
}

/* An empty element wants no text. */
static void
compare_text(const xmlNode *want, const xmlNode *have, struct buf *wanted, struct buf *had)
{
	auto_free char *a = text_of(want);
	auto_free char *b = text_of(have);
	bool sized = has_unit(want, have);

	if (first_child(want) || !*a || (sized ? same_size(want, have, a, b) : strcmp(a, b) == 0))
		return;
	auto_free char *unit_a = sized ? attribute(want, "unit") : NULL;
	auto_free char *unit_b = sized ? attribute(have, "unit") : NULL;
	auto_free char *safe_a = shown(a);
	auto_free char *safe_b = shown(b);
	buf_printf(wanted, "%s%s%s%s", wanted->len ? " " : "", safe_a, unit_a ? " " : "", unit_a ? unit_a : "");
	buf_printf(had, "%s%s%s%s", had->len ? " " : "", safe_b, unit_b ? " " : "", unit_b ? unit_b : "");
}

static bool
is_added_controller(const xmlNode *node)
{
	auto_free char *type = attribute(node, "type");
	auto_free char *model = attribute(node, "model");

	for (size_t i = 0; type && i < sizeof(added_controllers) / sizeof(added_controllers[0]); i++)
		if (strcmp(type, added_controllers[i].type) == 0 &&
		    (!added_controllers[i].model || (model && strcmp(model, added_controllers[i].model) == 0)))
			return true;
	return false;
}

static bool
libvirt_adds(const struct closed *rule, const xmlNode *child)
{
	auto_free char *word = xasprintf(" %s ", (const char *)child->name);

	if (is(child, "controller"))
		return is_added_controller(child);
	return strstr(rule->added, word) != NULL;
}

static void
compare_rest(struct comparison *comparison, const xmlNode *have, const char *path)
{
	const struct closed *rule = NULL;

	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]) && !rule; i++)
		if (is(have, closed[i].parent))
			rule = &closed[i];
	for (xmlNode *child = rule ? first_child(have) : NULL; child; child = next_element(child)) {
		if (child->_private || libvirt_adds(rule, child) || is_of_next_start(comparison, child))
			continue;
		auto_free char *own = path_to(path, child);
		auto_free char *text = summary(child);
		differ(comparison, own, "absent", text);
	}
}

/* libxml2 lets no document be deeper than 256. NOLINTNEXTLINE(misc-no-recursion) */
static void
compare_element(struct comparison *comparison, const xmlNode *want, const xmlNode *have, const char *path)
{
	auto_buf struct buf wanted = { 0 };
	auto_buf struct buf had = { 0 };

	compare_attributes(comparison, want, have, &wanted, &had);
	compare_text(want, have, &wanted, &had);
	if (had.len || wanted.len)
		differ(comparison, path, wanted.len ? wanted.text : "", had.len ? had.text : "");
	for (xmlNode *child = first_child(want); child; child = next_element(child)) {
		auto_free char *own = path_to(path, child);
		const xmlNode *other = counterpart(child, have);

		if (is_of_next_start(comparison, child))
			continue;
		if (other) {
			compare_element(comparison, child, other, own);
			continue;
		}
		auto_free char *text = summary(child);
		differ(comparison, own, text, "absent");
	}
	compare_rest(comparison, have, path);
}

static int
parse(const char *text, const char *which, xmlDoc **out, struct err *err)
{
	size_t len = strlen(text);

	*out = len > INT_MAX ? NULL
			     : xmlReadMemory(text, (int)len, NULL, NULL,
					     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!*out)
		return err_set(err, -EBADMSG, "the %s definition is no XML", which);
	const xmlNode *root = xmlDocGetRootElement(*out);
	/* Entities could make a little text a lot; nobody writes a definition with them. */
	if ((*out)->intSubset || !root || !is(root, "domain"))
		return err_set(err, -EBADMSG, "the %s definition is not one <domain>", which);
	return 0;
}

int
vm_compare(const char *want, const char *have, bool running, struct vm_differences *out, struct err *err)
{
	struct comparison comparison = { .out = out, .running = running };
	xmlDoc *wanted = NULL;
	xmlDoc *had = NULL;
	int rc = parse(want, "wanted", &wanted, err);

	*out = (struct vm_differences){ 0 };
	if (rc == 0)
		rc = parse(have, "existing", &had, err);
	if (rc == 0)
		compare_element(&comparison, xmlDocGetRootElement(wanted), xmlDocGetRootElement(had), "");
	xmlFreeDoc(wanted);
	xmlFreeDoc(had);
	return rc;
}

void
vm_differences_free(struct vm_differences *differences)
{
	for (size_t i = 0; i < differences->n; i++) {
		free(differences->list[i].path);
		free(differences->list[i].want);
		free(differences->list[i].have);
	}
	free(differences->list);
	*differences = (struct vm_differences){ 0 };
}
