/* xml_overlay.c - what a site adds to a definition: a <domain> fragment laid over it.
 *
 * Attributes and texts of the fragment replace; an element that is there already is merged into; any other is added.
 * Which one is meant, where there can be several, is told by the attributes that 'keys' has for it; of devices, by
 * their alias: <interface><alias name='ua-net0'/><mtu size='9000'/></interface>.  What has no such mark is new. */

#include <errno.h>
#include <libxml/parser.h>

#include "agent/vm/xml_internal.h"
#include "common/err.h"
#include "common/mem.h"

/* Elements of which a parent can have several, and what tells them apart: up to two attributes. */
static const struct {
	const char *element;
	const char *key[2];
} keys[] = {
	{ "controller", { "type", "index" } },
	{ "vcpupin", { "vcpu" } },
	{ "memnode", { "cellid" } },
	{ "cell", { "id" } },
	{ "sibling", { "id" } },
	{ "feature", { "name" } },
	{ "timer", { "name" } },
	{ "page", { "size" } },
};

/* Devices of which there is at most one. */
static const char *const singles[] = { "emulator", "memballoon", "iommu", "controller" };

static bool
is_one_of(const xmlNode *node, const char *const names[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (xmlStrcmp(node->name, XML names[i]) == 0)
			return true;
	return false;
}

static bool
same_attr(xmlNode *a, xmlNode *b, const char *name)
{
	xmlChar *x = xmlGetProp(a, XML name);
	xmlChar *y = xmlGetProp(b, XML name);
	bool same = x && y && xmlStrcmp(x, y) == 0;

	xmlFree(x);
	xmlFree(y);
	return same;
}

static xmlNode *
child_of(const xmlNode *node, const char *name)
{
	for (xmlNode *child = node->children; child; child = child->next)
		if (child->type == XML_ELEMENT_NODE && xmlStrcmp(child->name, XML name) == 0)
			return child;
	return NULL;
}

static bool
same_alias(const xmlNode *a, const xmlNode *b)
{
	xmlNode *x = child_of(a, "alias");
	xmlNode *y = child_of(b, "alias");

	return x && y && same_attr(x, y, "name");
}

static const char *
space_of(const xmlNode *node)
{
	return node->ns && node->ns->href ? (const char *)node->ns->href : "";
}

/* True if 'over' is said of 'base'. */
static bool
is_meant(xmlNode *base, xmlNode *over)
{
	const xmlNode *parent = over->parent;

	if (base->type != XML_ELEMENT_NODE || xmlStrcmp(base->name, over->name) != 0 ||
	    strcmp(space_of(base), space_of(over)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (xmlStrcmp(over->name, XML keys[i].element) == 0)
			return same_attr(base, over, keys[i].key[0]) &&
			       (!keys[i].key[1] || same_attr(base, over, keys[i].key[1]));
	if (xmlStrcmp(parent->name, XML "devices") == 0)
		return is_one_of(over, singles, sizeof(singles) / sizeof(singles[0])) || same_alias(base, over);
	/* Lists of other namespaces (qemu:arg) and of texts (entry) grow. */
	return !*space_of(parent) && xmlStrcmp(over->name, XML "entry") != 0;
}

static xmlNode *
find_meant(const xmlNode *base, xmlNode *over)
{
	for (xmlNode *child = base->children; child; child = child->next)
		if (is_meant(child, over))
			return child;
	return NULL;
}

static void
merge_attributes(xmlNode *base, xmlNode *over)
{
	for (xmlAttr *attr = over->properties; attr; attr = attr->next) {
		xmlChar *value = xmlGetProp(over, attr->name);
		(void)xmlSetProp(base, attr->name, value);
		xmlFree(value);
	}
}

static void
merge_text(xmlNode *base, xmlNode *over)
{
	if (xmlChildElementCount(over) || !over->children)
		return;
	xmlChar *text = xmlNodeGetContent(over);
	xmlChar *escaped = xmlEncodeSpecialChars(base->doc, text);
	xmlNodeSetContent(base, escaped);
	xmlFree(escaped);
	xmlFree(text);
}

static void
merge(xmlNode *base, xmlNode *over)
{
	merge_attributes(base, over);
	merge_text(base, over);
	for (xmlNode *child = over->children; child; child = child->next) {
		xmlNode *meant = child->type == XML_ELEMENT_NODE ? find_meant(base, child) : NULL;
		if (meant)
			merge(meant, child);
		else if (child->type == XML_ELEMENT_NODE)
			(void)xmlAddChild(base, xmlDocCopyNode(child, base->doc, 1));
	}
}

/* Entities would be nothing in the definition, or a great deal. */
static int
check(const xmlDoc *doc, const xmlNode *root, struct err *err)
{
	if (doc->intSubset)
		return err_set(err, -EINVAL, "overlay: it may have no <!DOCTYPE>");
	if (!root || xmlStrcmp(root->name, XML "domain") != 0)
		return err_set(err, -EINVAL, "overlay: it must be a <domain>");
	return 0;
}

int
vm_xml_overlay(xmlNode *domain, const char *fragment, struct err *err)
{
	xmlDoc *doc = xmlReadMemory(fragment, (int)strlen(fragment), "overlay", NULL,
				    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS |
					    XML_PARSE_NOCDATA);
	const xmlError *last = xmlGetLastError();

	if (!doc)
		return err_set(err, -EINVAL, "overlay: line %d: %.*s", last ? last->line : 0,
			       last && last->message ? (int)strcspn(last->message, "\n") : 0,
			       last && last->message ? last->message : "");
	xmlNode *root = xmlDocGetRootElement(doc);
	int rc = check(doc, root, err);
	if (rc == 0)
		merge(domain, root);
	xmlFreeDoc(doc);
	return rc;
}
