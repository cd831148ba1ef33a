/* xml.c - the domain: memory, CPUs, firmware, and what belongs to no PCI slot.  xml_devices.c has the rest. */

#include "agent/vm/xml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/tree.h>

#include "agent/vm/plan_internal.h"
#include "agent/vm/xml_internal.h"
#include "common/mem.h"

/* --- nodes ------------------------------------------------------------------------------------------- */

xmlNode *
vm_xml_add(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, XML name, NULL);
}

xmlNode *
vm_xml_text(xmlNode *parent, const char *name, const char *text)
{
	return xmlNewTextChild(parent, NULL, XML name, XML text);
}

void
vm_xml_attr(xmlNode *node, const char *name, const char *value)
{
	(void)xmlNewProp(node, XML name, XML value);
}

void
vm_xml_number(xmlNode *node, const char *name, uint64_t value)
{
	auto_free char *text = xasprintf("%" PRIu64, value);

	vm_xml_attr(node, name, text);
}

static void
add_kib(xmlNode *parent, const char *name, uint64_t bytes)
{
	auto_free char *text = xasprintf("%" PRIu64, bytes >> 10);

	vm_xml_attr(vm_xml_text(parent, name, text), "unit", "KiB");
}

/* --- what marks it as ours --------------------------------------------------------------------------- */

static void
add_metadata(xmlNode *domain, const struct vm_plan *plan)
{
	xmlNode *mark = vm_xml_add(vm_xml_add(domain, "metadata"), "vm");

	xmlSetNs(mark, xmlNewNs(mark, XML VM_XML_NAMESPACE, XML VM_XML_PREFIX));
	vm_xml_attr(mark, "node", plan->node);
}

/* --- memory and CPUs --------------------------------------------------------------------------------- */

static void
add_memory(xmlNode *domain, const struct vm_plan *plan)
{
	add_kib(domain, "memory", plan->memory);
	add_kib(domain, "currentMemory", plan->memory);
	if (!plan->page)
		return;
	xmlNode *page = vm_xml_add(vm_xml_add(vm_xml_add(domain, "memoryBacking"), "hugepages"), "page");
	vm_xml_number(page, "size", plan->page >> 10);
	vm_xml_attr(page, "unit", "KiB");
}

static void
add_vcpus(xmlNode *domain, const struct vm_plan *plan)
{
	auto_free char *cpuset = vm_list_text(plan->cpus, plan->n_cpus);
	auto_free char *count = xasprintf("%u", plan->n_cpus);
	xmlNode *vcpu = vm_xml_text(domain, "vcpu", count);
	xmlNode *tune = vm_xml_add(domain, "cputune");

	vm_xml_attr(vcpu, "placement", "static");
	vm_xml_attr(vcpu, "cpuset", cpuset);
	for (unsigned i = 0; i < plan->n_cpus; i++) {
		xmlNode *pin = vm_xml_add(tune, "vcpupin");
		vm_xml_number(pin, "vcpu", i);
		vm_xml_number(pin, "cpuset", plan->cpus[i]);
	}
	if (plan->emulator)
		vm_xml_attr(vm_xml_add(tune, "emulatorpin"), "cpuset", plan->emulator);
}

static void
add_numatune(xmlNode *domain, const struct vm_plan *plan)
{
	auto_free uint32_t *nodes = xcalloc(plan->n_cells + 1, sizeof(*nodes));
	xmlNode *tune = vm_xml_add(domain, "numatune");
	xmlNode *memory = vm_xml_add(tune, "memory");

	for (size_t i = 0; i < plan->n_cells; i++)
		nodes[i] = plan->cells[i].host_node;
	auto_free char *nodeset = vm_list_text(nodes, plan->n_cells);
	vm_xml_attr(memory, "mode", "strict");
	vm_xml_attr(memory, "nodeset", nodeset);
	for (size_t i = 0; i < plan->n_cells; i++) {
		xmlNode *node = vm_xml_add(tune, "memnode");
		vm_xml_number(node, "cellid", i);
		vm_xml_attr(node, "mode", "strict");
		vm_xml_number(node, "nodeset", nodes[i]);
	}
}

/* How far the cells are from each other, where the host says it. */
static void
add_distances(xmlNode *cell, const struct vm_plan *plan, size_t from)
{
	const Gdr__NumaNode *seen = plan->cells[from].seen;
	xmlNode *distances = NULL;

	for (size_t to = 0; plan->n_cells > 1 && to < plan->n_cells; to++) {
		size_t place = plan->cells[to].place;
		if (place >= seen->n_distance || seen->distance[place] < 10 || seen->distance[place] > 255)
			continue;
		distances = distances ? distances : vm_xml_add(cell, "distances");
		xmlNode *sibling = vm_xml_add(distances, "sibling");
		vm_xml_number(sibling, "id", to);
		vm_xml_number(sibling, "value", seen->distance[place]);
	}
}

static void
add_cells(xmlNode *cpu, const struct vm_plan *plan)
{
	xmlNode *numa = vm_xml_add(cpu, "numa");

	for (size_t i = 0; i < plan->n_cells; i++) {
		const struct vm_cell *cell = &plan->cells[i];
		unsigned last = cell->first_vcpu + cell->n_vcpus - 1;
		auto_free char *cpus = last == cell->first_vcpu ? xasprintf("%u", last)
								: xasprintf("%u-%u", cell->first_vcpu, last);
		xmlNode *node = vm_xml_add(numa, "cell");
		vm_xml_number(node, "id", i);
		vm_xml_attr(node, "cpus", cpus);
		vm_xml_number(node, "memory", cell->memory >> 10);
		vm_xml_attr(node, "unit", "KiB");
		add_distances(node, plan, i);
	}
}

/* A socket for each cell, so that the guest's scheduler sees the same borders; only where they are alike. */
static void
add_topology(xmlNode *cpu, const struct vm_plan *plan)
{
	unsigned cells = (unsigned)plan->n_cells;

	if (plan->n_cpus % cells)
		return;
	xmlNode *topology = vm_xml_add(cpu, "topology");
	vm_xml_number(topology, "sockets", cells);
	vm_xml_attr(topology, "dies", "1");
	vm_xml_number(topology, "cores", plan->n_cpus / cells);
	vm_xml_attr(topology, "threads", "1");
}

/* The guest's address width, in which the devices' memory must fit: QEMU's own default is 40 bits, a terabyte. */
static void
add_address_width(xmlNode *cpu, const struct vm_plan *plan, bool emulated)
{
	bool given = plan->spec->cpu && plan->spec->cpu->has_phys_bits;

	if (emulated && !plan->phys_bits)
		return;
	xmlNode *width = vm_xml_add(cpu, "maxphysaddr");
	vm_xml_attr(width, "mode", emulated || given ? "emulate" : "passthrough");
	if (emulated || given)
		vm_xml_number(width, "bits", plan->phys_bits);
}

static void
add_cpu(xmlNode *domain, const struct vm_plan *plan)
{
	static const char *const modes[] = { [GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_PASSTHROUGH] = "host-passthrough",
					     [GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_MODEL] = "host-model",
					     [GDR__VM_CPU_MODE__VM_CPU_MODE_MAXIMUM] = "maximum" };
	const Gdr__VmCpu *spec = plan->spec->cpu;
	unsigned mode = spec && spec->has_mode ? spec->mode : GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_PASSTHROUGH;
	xmlNode *cpu = vm_xml_add(domain, "cpu");

	vm_xml_attr(cpu, "mode", modes[mode]);
	vm_xml_attr(cpu, "check", mode == GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_MODEL ? "partial" : "none");
	add_topology(cpu, plan);
	add_address_width(cpu, plan, mode != GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_PASSTHROUGH);
	for (size_t i = 0; spec && i < spec->n_require; i++) {
		xmlNode *feature = vm_xml_add(cpu, "feature");
		vm_xml_attr(feature, "policy", "require");
		vm_xml_attr(feature, "name", spec->require[i]);
	}
	add_cells(cpu, plan);
}

/* --- firmware and clocks ----------------------------------------------------------------------------- */

static void
add_oem_strings(xmlNode *domain, xmlNode *os, const struct vm_identity *identity)
{
	vm_xml_attr(vm_xml_add(os, "smbios"), "mode", "sysinfo");
	xmlNode *info = vm_xml_add(domain, "sysinfo");
	vm_xml_attr(info, "type", "smbios");
	xmlNode *strings = vm_xml_add(info, "oemStrings");
	if (identity->credential)
		(void)vm_xml_text(strings, "entry", identity->credential);
	if (identity->topology)
		(void)vm_xml_text(strings, "entry", identity->topology);
}

static void
add_os(xmlNode *domain, const struct vm_plan *plan, const struct vm_identity *identity)
{
	xmlNode *os = vm_xml_add(domain, "os");
	xmlNode *type = vm_xml_text(os, "type", "hvm");

	if (plan->spec->has_firmware && plan->spec->firmware == GDR__VM_FIRMWARE__VM_FIRMWARE_OVMF) {
		xmlNode *feature;
		vm_xml_attr(os, "firmware", "efi");
		feature = vm_xml_add(vm_xml_add(os, "firmware"), "feature");
		vm_xml_attr(feature, "enabled", "no");
		vm_xml_attr(feature, "name", "secure-boot"); /* NVIDIA's modules may not be signed. */
	}
	vm_xml_attr(type, "arch", "x86_64");
	vm_xml_attr(type, "machine", plan->q35 ? "q35" : "pc");
	vm_xml_attr(vm_xml_add(os, "boot"), "dev", "hd");
	if (identity->credential || identity->topology)
		add_oem_strings(domain, os, identity);
}

static void
add_features(xmlNode *domain, const struct vm_plan *plan)
{
	xmlNode *features = vm_xml_add(domain, "features");

	(void)vm_xml_add(features, "acpi");
	(void)vm_xml_add(features, "apic");
	if (plan->n_cpus > VM_XML_APIC_CPUS)
		vm_xml_attr(vm_xml_add(features, "ioapic"), "driver", "qemu");
}

static void
add_clock(xmlNode *domain)
{
	static const struct {
		const char *name, *attr, *value;
	} timers[] = { { "rtc", "tickpolicy", "catchup" },
		       { "pit", "tickpolicy", "delay" },
		       { "hpet", "present", "no" } };
	xmlNode *clock = vm_xml_add(domain, "clock");

	vm_xml_attr(clock, "offset", "utc");
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		xmlNode *timer = vm_xml_add(clock, "timer");
		vm_xml_attr(timer, "name", timers[i].name);
		vm_xml_attr(timer, timers[i].attr, timers[i].value);
	}
}

/* Neither sleep nor hibernation: devices of the host cannot be saved. */
static void
add_power(xmlNode *domain)
{
	(void)vm_xml_text(domain, "on_poweroff", "destroy");
	(void)vm_xml_text(domain, "on_reboot", "restart");
	(void)vm_xml_text(domain, "on_crash", "destroy");
	xmlNode *pm = vm_xml_add(domain, "pm");
	vm_xml_attr(vm_xml_add(pm, "suspend-to-mem"), "enabled", "no");
	vm_xml_attr(vm_xml_add(pm, "suspend-to-disk"), "enabled", "no");
}

/* --- all of it --------------------------------------------------------------------------------------- */

static void
fill(xmlNode *domain, const struct vm_plan *plan, const struct vm_identity *identity)
{
	vm_xml_attr(domain, "type", "kvm");
	(void)vm_xml_text(domain, "name", plan->name);
	if (identity->uuid)
		(void)vm_xml_text(domain, "uuid", identity->uuid);
	add_metadata(domain, plan);
	add_memory(domain, plan);
	add_vcpus(domain, plan);
	add_numatune(domain, plan);
	add_os(domain, plan, identity);
	add_features(domain, plan);
	add_cpu(domain, plan);
	add_clock(domain);
	add_power(domain);
	vm_xml_devices(domain, plan);
}

int
vm_xml_write(const struct vm_plan *plan, const struct vm_identity *identity, char **out, struct err *err)
{
	xmlDoc *doc = xmlNewDoc(XML "1.0");
	xmlNode *domain = xmlNewNode(NULL, XML "domain");
	xmlBuffer *text = xmlBufferCreate();
	int rc = 0;

	(void)xmlDocSetRootElement(doc, domain);
	fill(domain, plan, identity);
	if (plan->spec->overlay)
		rc = vm_xml_overlay(domain, plan->spec->overlay, err);
	if (rc == 0) {
		(void)xmlNodeDump(text, doc, domain, 0, 1);
		*out = xasprintf("%s\n", (const char *)xmlBufferContent(text));
	}
	xmlBufferFree(text);
	xmlFreeDoc(doc);
	return rc;
}
