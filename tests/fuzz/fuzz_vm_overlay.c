/* Links: agent */

/* fuzz_vm_overlay.c - a profile's overlay of any form, laid over a definition: it is refused with a reason, or what
 * comes out is a definition still. */

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vm/xml_internal.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char base[] =
	"<domain type='kvm'><name>a</name><memory unit='GiB'>4</memory><vcpu>4</vcpu>"
	"<cputune><vcpupin vcpu='0' cpuset='1'/></cputune><cpu mode='host-model'><feature policy='require' name='x2apic'/></cpu>"
	"<sysinfo type='smbios'><oemStrings><entry>a=b</entry></oemStrings></sysinfo>"
	"<devices><controller type='pci' index='0' model='pcie-root'/><memballoon model='none'/>"
	"<interface type='network'><source network='public'/><alias name='ua-net0'/></interface></devices></domain>";

static xmlDoc *
parse(const char *text, int len)
{
	return xmlReadMemory(text, len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

/* As libvirt will read it. */
static void
check(xmlDoc *doc)
{
	xmlChar *text = NULL;
	int len = 0;

	xmlDocDumpMemory(doc, &text, &len);
	xmlDoc *again = text ? parse((const char *)text, len) : NULL;
	const xmlNode *root = again ? xmlDocGetRootElement(again) : NULL;
	if (!root || strcmp((const char *)root->name, "domain") != 0)
		abort();
	xmlFreeDoc(again);
	xmlFree(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_free char *fragment = xcalloc(len + 1, 1);
	xmlDoc *doc = parse(base, (int)sizeof(base) - 1);
	struct err err = { 0 };

	memcpy(fragment, data, len);
	if (vm_xml_overlay(xmlDocGetRootElement(doc), fragment, &err) == 0)
		check(doc);
	else if (strncmp(err.msg, "overlay: ", strlen("overlay: ")) != 0 || !err.msg[strlen("overlay: ")])
		abort();
	xmlFreeDoc(doc);
	return 0;
}
