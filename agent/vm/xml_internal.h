#pragma once

/* xml_internal.h - between the parts of the definition. */

#include <libxml/tree.h>
#include <stdint.h>

#include "agent/vm/plan.h"

/* libxml2 spells text so; its own BAD_CAST drops the const. */
#define XML (const xmlChar *)

struct err;

#define VM_XML_APIC_CPUS 255 /* More need an IOMMU that remaps interrupts; libvirt, qemu_validate.c. */

/* A new last child, empty or with text; an attribute. */
xmlNode *vm_xml_add(xmlNode *parent, const char *name);
xmlNode *vm_xml_text(xmlNode *parent, const char *name, const char *text);
void vm_xml_attr(xmlNode *node, const char *name, const char *value);
void vm_xml_number(xmlNode *node, const char *name, uint64_t value);

/* <devices>: disk, network, console, the PCI tree and what the host gives. */
void vm_xml_devices(xmlNode *domain, const struct vm_plan *plan);

/* Lays 'fragment', a <domain>, over it. */
int vm_xml_overlay(xmlNode *domain, const char *fragment, struct err *err);
