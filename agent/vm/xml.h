#pragma once

/* xml.h - a plan as libvirt's domain XML. */

struct err;
struct vm_plan;

/* The metadata element that marks a domain as ours: <gdrfleet:vm xmlns:gdrfleet="urn:gdrfleet:vm:1" node="gpu1"/>. */
#define VM_XML_NAMESPACE "urn:gdrfleet:vm:1"
#define VM_XML_PREFIX    "gdrfleet"

struct vm_identity {
	const char *uuid;       /* NULL: libvirt's choice, of a domain that is not defined yet. */
	const char *credential; /* NULL, or an SMBIOS OEM string for the guest, as it is: */
	const char *topology;   /* who it is, and what NCCL shall know of it. */
};

/* '*out' is the caller's.  Every device bears an alias: "ua-" and what it is, with a hostdev's "ua-0000-48-00-0" its
 * address on the host.  An error is the overlay's: not XML, or no <domain>. */
int vm_xml_write(const struct vm_plan *plan, const struct vm_identity *identity, char **out, struct err *err);
