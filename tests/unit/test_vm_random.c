/* Links: agent */

/* A thousand random hosts and wishes: each plan is refused with a reason, or keeps every rule that libvirt, QEMU and
 * firmware have; and the addresses that it predicts are those at which a model of firmware finds the devices.  The
 * model reads the definition, not the plan. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <libxml/parser.h>

#include "agent/vm/xml.h"
#include "common/err.h"
#include "tests/unit/test_ctl_assert.h"
#include "tests/unit/vm_host.h"

#define XML (const xmlChar *)

#define ROUNDS 1000

/* --- chance ------------------------------------------------------------------------------------------ */

static uint64_t seed;
static unsigned round_no;

/* 0 ... n - 1; Knuth's MMIX generator. */
static unsigned
any(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static bool
maybe(unsigned percent)
{
	return any(100) < percent;
}

#define CHECK(that)                                                                            \
	do {                                                                                   \
		if (!(that))                                                                   \
			fail_msg("round %u: not so: %s (line %d)", round_no, #that, __LINE__); \
	} while (0)

/* --- a host ------------------------------------------------------------------------------------------ */

static unsigned next_bus;

static const char *
port_of(unsigned bus, unsigned slot, char text[16])
{
	return host_at(text, bus, slot, 0);
}

static void
add_endpoint(Gdr__Inventory *host, unsigned bus, const char *parent, int node)
{
	char at[16];
	unsigned ports = 1 + any(2);

	if (maybe(50)) {
		host_gpu(host, host_at(at, bus, 0, 0), parent, node, GIB << any(9));
		return;
	}
	for (unsigned fn = 0; fn < ports; fn++)
		host_nic(host, host_at(at, bus, 0, fn), parent, node, maybe(99) ? 8 : 0);
}

/* A switch with endpoints, now and then with another switch in place of one. */
static void
add_switch(Gdr__Inventory *host, const char *above, int node, unsigned depth)
{
	unsigned up = next_bus++;
	unsigned down = next_bus++;
	unsigned n = 1 + any(4);
	char at[16];
	char parent[16];

	(void)host_add(host, GDR__PCI_DEVICE__KIND__UPSTREAM_PORT, host_at(at, up, 0, 0), above, node);
	for (unsigned i = 0; i < n && next_bus < 230; i++) {
		(void)host_add(host, GDR__PCI_DEVICE__KIND__DOWNSTREAM_PORT, port_of(down, i, parent), at, node);
		if (depth > 0 && maybe(25))
			add_switch(host, parent, node, depth - 1);
		else
			add_endpoint(host, next_bus++, parent, node);
	}
}

static void
add_root(Gdr__Inventory *host, int node)
{
	unsigned root = next_bus++;
	char parent[16];

	(void)host_add(host, GDR__PCI_DEVICE__KIND__ROOT_PORT, port_of(root, 1, parent), NULL, node);
	if (maybe(75))
		add_switch(host, parent, node, 1);
	else
		add_endpoint(host, next_bus++, parent, node);
}

static void
add_nodes(Gdr__Inventory *host)
{
	unsigned nodes = 1 + any(4);
	unsigned per_node = 4 + any(60);

	for (unsigned i = 0; i < nodes; i++) {
		auto_free char *cpus = xasprintf("%u-%u", i * per_node, (i + 1) * per_node - 1);
		auto_free char *distances = xasprintf("%d %d %d %d", i == 0 ? 10 : 21, i == 1 ? 10 : 21,
						      i == 2 ? 10 : 21, i == 3 ? 10 : 21);
		host_node(host, i > 0 && maybe(15) ? "" : cpus, 64 + any(1000), distances);
	}
}

static Gdr__Inventory *
random_host(void)
{
	Gdr__Inventory *host = host_new(maybe(90) ? 39 + any(14) : 0);
	unsigned roots = 1 + any(9);
	unsigned fabric = any(7);

	next_bus = 1;
	add_nodes(host);
	for (unsigned i = 0; i < roots && next_bus < 220; i++)
		add_root(host, maybe(95) ? (int)any((unsigned)host->n_numa) : -1);
	for (unsigned i = 0; i < fabric; i++) {
		char at[16];
		host_nvswitch(host, host_at(at, next_bus++, 0, 0), NULL, (int)any((unsigned)host->n_numa));
	}
	return host_done(host);
}

/* --- a wish ------------------------------------------------------------------------------------------ */

static void
random_wish(struct wanted *wanted)
{
	want(wanted, 1 + any(2), 0, 0);
	if (maybe(20))
		wanted->pages.count = any(2000);
	for (size_t i = 0; i < wanted->spec.n_vm; i++) {
		Gdr__VmSpec *vm = &wanted->vm[i];
		vm->vcpus = 1 + any(maybe(90) ? 32 : 300);
		vm->memory = (1 + any(maybe(80) ? 300 : 1500)) * GIB;
		vm->gpus = maybe(50) ? UINT32_MAX : any(4);
		vm->nvswitches = maybe(70) ? UINT32_MAX : any(3);
		vm->nic_vfs = maybe(50) ? any(4) : 0;
		vm->has_machine = maybe(40);
		vm->machine = GDR__VM_MACHINE__VM_MACHINE_I440FX;
		vm->has_firmware = maybe(30);
		vm->firmware = GDR__VM_FIRMWARE__VM_FIRMWARE_OVMF;
		vm->has_numa = maybe(30);
		vm->numa = GDR__VM_NUMA__VM_NUMA_ALL;
		vm->has_spare_buses = maybe(20);
		vm->spare_buses = any(33);
		vm->has_pair_by_node = vm->pair_by_node = maybe(20);
		vm->has_vnc = vm->vnc = maybe(20);
	}
}

/* --- firmware ---------------------------------------------------------------------------------------- */

/* What has a place on a bus: a controller (then its index is the number of the bus behind it) or a device. */
struct element {
	bool bridge;
	bool expander;
	unsigned index;
	unsigned on;
	unsigned devfn;
	unsigned number; /* Of an expander: its own. */
	char host[16];
	char found[16]; /* Where firmware finds it. */
};
static struct element elements[512];
static size_t n_elements;

static unsigned
value_of(xmlNode *node, const char *name)
{
	xmlChar *text = xmlGetProp(node, XML name);
	unsigned value = text ? (unsigned)strtoul((const char *)text, NULL, 0) : 0;

	xmlFree(text);
	return value;
}

static xmlNode *
child(xmlNode *node, const char *name)
{
	for (xmlNode *it = node ? node->children : NULL; it; it = it->next)
		if (it->type == XML_ELEMENT_NODE && xmlStrcmp(it->name, XML name) == 0)
			return it;
	return NULL;
}

static void
read_element(xmlNode *node)
{
	bool controller = xmlStrcmp(node->name, XML "controller") == 0;
	struct element *it = &elements[n_elements];
	xmlNode *address = child(node, "address");
	xmlChar *type = xmlGetProp(node, XML "type");
	xmlChar *model = xmlGetProp(node, XML "model");
	bool is = controller ? xmlStrcmp(type, XML "pci") == 0 && address : xmlStrcmp(node->name, XML "hostdev") == 0;

	if (is) {
		*it = (struct element){ .bridge = controller,
					.expander = controller && strstr((const char *)model, "expander"),
					.index = value_of(node, "index"),
					.on = value_of(address, "bus"),
					.devfn = value_of(address, "slot") * 8 + value_of(address, "function"),
					.number = value_of(child(node, "target"), "busNr") };
		xmlNode *source = child(child(node, "source"), "address");
		if (source)
			(void)host_at(it->host, value_of(source, "bus"), value_of(source, "slot"),
				      value_of(source, "function"));
		n_elements++;
	}
	xmlFree(type);
	xmlFree(model);
}

/* As SeaBIOS, src/fw/pciinit.c pci_bios_init_bus_rec(): slot by slot, and into each bridge at once. */
static unsigned
scan(unsigned index, unsigned bus, unsigned last)
{
	for (unsigned devfn = 0; devfn < 256; devfn++)
		for (size_t i = 0; i < n_elements; i++) {
			struct element *it = &elements[i];
			if (it->on != index || it->devfn != devfn || it->expander)
				continue;
			(void)host_at(it->found, bus, devfn >> 3, devfn & 7);
			if (it->bridge)
				last = scan(it->index, last + 1, last + 1);
		}
	return last;
}

/* The expanders' buses, lowest first; QEMU's conventional expander has a bridge of its own at slot 0. */
static void
enumerate(bool q35)
{
	unsigned last = 0;

	for (unsigned bus = 1; bus < 256; bus++)
		for (size_t i = 0; i < n_elements; i++) {
			if (!elements[i].expander || elements[i].number != bus)
				continue;
			CHECK(bus > last); /* Else two host bridges would have one bus. */
			last = q35 ? scan(elements[i].index, bus, bus) : scan(elements[i].index, bus + 1, bus + 1);
			CHECK(last < 256);
		}
}

static void
check_prediction(const struct vm_plan *plan)
{
	static const struct vm_identity anyone = { 0 };
	auto_free char *xml = NULL;
	struct err err = { 0 };
	size_t found = 0;

	CHECK(vm_xml_write(plan, &anyone, &xml, &err) == 0);
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), "domain", NULL, XML_PARSE_NONET);
	xmlNode *devices = child(xmlDocGetRootElement(doc), "devices");
	CHECK(devices);
	n_elements = 0;
	for (xmlNode *node = devices ? devices->children : NULL; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE)
			read_element(node);
	xmlFreeDoc(doc);
	enumerate(plan->q35);
	for (size_t i = 0; i < plan->n_devices; i++)
		for (size_t k = 0; k < n_elements; k++)
			if (strcmp(elements[k].host, plan->devices[i].host) == 0) {
				CHECK(strcmp(elements[k].found, plan->devices[i].guest) == 0);
				found++;
			}
	CHECK(found == plan->n_devices);
}

/* --- the rules --------------------------------------------------------------------------------------- */

static enum vm_model
above(const struct vm_plan *plan, unsigned bus)
{
	return plan->controllers[bus].model;
}

static void
check_controllers(const struct vm_plan *plan)
{
	bool slots[32] = { false };
	unsigned number = 0;

	CHECK(plan->n_controllers <= 256); /* Their indexes are chassis numbers, of eight bits. */
	CHECK(plan->controllers[0].model == VM_ROOT);
	for (unsigned i = 1; i < plan->n_controllers; i++) {
		const struct vm_controller *it = &plan->controllers[i];
		CHECK(it->bus < i && it->slot < 32);
		CHECK(it->model == VM_PXB || plan->q35);
		switch (it->model) {
		case VM_ROOT: CHECK(false); break;
		case VM_PXB:
			CHECK(it->bus == 0 && it->slot > 0 && it->slot < 31 && !slots[it->slot]);
			CHECK(it->slot != 2 && it->slot != 4 && it->slot != 5 && it->slot != 6);
			CHECK(plan->q35 || it->slot != 1);
			CHECK(it->number > number && it->number >= 8 && it->number <= 254);
			CHECK(it->cell < plan->n_cells);
			slots[it->slot] = true;
			number = it->number;
			break;
		case VM_ROOT_PORT: CHECK(above(plan, it->bus) == VM_PXB && it->slot == 0); break;
		case VM_UPSTREAM: CHECK(above(plan, it->bus) == VM_ROOT_PORT && it->slot == 0); break;
		case VM_DOWNSTREAM: CHECK(above(plan, it->bus) == VM_UPSTREAM); break;
		}
	}
}

static const Gdr__PciDevice *
nearest_switch(const Gdr__Inventory *host, const Gdr__PciDevice *a, const Gdr__PciDevice *b)
{
	for (const Gdr__PciDevice *up = a; (up = inventory_above(host, up));)
		if (up->kind == GDR__PCI_DEVICE__KIND__UPSTREAM_PORT && inventory_is_below(host, up, b))
			return up;
	return NULL;
}

/* A pair that the guest shows as near is near on the host, and the other way round for the nearest pairs. */
static void
check_group(const Gdr__Inventory *host, const struct vm_plan *plan, const struct vm_device *a,
	    const struct vm_device *b)
{
	bool pair = (a->kind == GDR__PCI_DEVICE__KIND__GPU) != (b->kind == GDR__PCI_DEVICE__KIND__GPU) &&
		    a->kind != GDR__PCI_DEVICE__KIND__NVSWITCH && b->kind != GDR__PCI_DEVICE__KIND__NVSWITCH;

	if (!pair || a->group != b->group || plan->groups[a->group].host[0] == '\0')
		return;
	CHECK(nearest_switch(host, a->seen, b->seen) != NULL);
}

static bool
is_cell(const Gdr__Inventory *host, int node)
{
	return node >= 0 && host->numa[node]->cpulist[0] != '\0';
}

static void
check_devices(const Gdr__Inventory *host, const struct vm_plan *plan)
{
	for (size_t i = 0; i < plan->n_devices; i++) {
		const struct vm_device *it = &plan->devices[i];
		const struct vm_cell *cell = &plan->cells[plan->groups[it->group].cell];
		CHECK(plan->q35 ? above(plan, it->bus) == VM_DOWNSTREAM && it->slot == 0
				: above(plan, it->bus) == VM_PXB && it->slot < 32);
		if (it->kind != GDR__PCI_DEVICE__KIND__NVSWITCH && is_cell(host, it->seen->numa_node))
			CHECK(cell->host_node == (uint32_t)it->seen->numa_node);
		for (size_t k = i + 1; k < plan->n_devices; k++) {
			CHECK(plan->devices[k].bus != it->bus || plan->devices[k].slot != it->slot);
			check_group(host, plan, it, &plan->devices[k]);
		}
	}
}

static void
check_cells(const Gdr__Inventory *host, const struct vm_plan *plan)
{
	uint64_t memory = 0;
	unsigned vcpus = 0;

	CHECK(plan->n_cpus == plan->spec->vcpus && (plan->q35 || plan->n_cpus <= 255));
	for (size_t i = 0; i < plan->n_cells; i++) {
		const struct vm_cell *cell = &plan->cells[i];
		unsigned first = 0;
		unsigned last = 0;
		CHECK(sscanf(host->numa[cell->host_node]->cpulist, "%u-%u", &first, &last) == 2);
		CHECK(cell->first_vcpu == vcpus && cell->n_vcpus > 0);
		for (unsigned k = 0; k < cell->n_vcpus; k++)
			CHECK(plan->cpus[vcpus + k] >= first && plan->cpus[vcpus + k] <= last);
		vcpus += cell->n_vcpus;
		memory += cell->memory;
		CHECK(cell->memory > 0 && cell->memory % plan->page == 0);
	}
	CHECK(vcpus == plan->n_cpus && memory == plan->spec->memory);
}

/* What two VMs of a host may not share. */
static void
check_apart(const struct vm_plan *a, const struct vm_plan *b)
{
	for (size_t i = 0; i < a->n_devices; i++)
		for (size_t k = 0; k < b->n_devices; k++)
			CHECK(strcmp(a->devices[i].host, b->devices[k].host) != 0);
	for (size_t i = 0; i < a->n_cpus; i++)
		for (size_t k = 0; k < b->n_cpus; k++)
			CHECK(a->cpus[i] != b->cpus[k]);
}

static void
check_memory(const Gdr__Inventory *host, const struct vm_plans *plans)
{
	for (uint32_t i = 0; i < host->n_numa; i++)
		CHECK(vm_plans_memory(plans, i) <= host->numa[i]->memory);
}

/* Places BAR after BAR, the largest first, as firmware does: the last must end within the address width. */
static void
check_space(const struct vm_plan *plan)
{
	uint64_t at = 4 * GIB + plan->memory;

	for (uint64_t size = UINT64_C(1) << 50; size >= 1 << 20 && plan->phys_bits; size >>= 1)
		for (size_t i = 0; i < plan->n_devices; i++)
			for (size_t k = 0; k < plan->devices[i].seen->n_bars; k++) {
				const Gdr__PciBar *bar = plan->devices[i].seen->bars[k];
				if (bar->space != GDR__PCI_BAR__SPACE__MEM64 || bar->size != size ||
				    bar->vf != (plan->devices[i].pf != NULL))
					continue;
				at = (at + size - 1) / size * size + size;
				CHECK(at <= UINT64_C(1) << plan->phys_bits);
			}
}

/* --- a thousand -------------------------------------------------------------------------------------- */

static void
check_plan(const Gdr__Inventory *host, const struct vm_plans *plans, const struct vm_plan *plan)
{
	check_controllers(plan);
	check_devices(host, plan);
	check_cells(host, plan);
	check_space(plan);
	check_prediction(plan);
	for (const struct vm_plan *other = plans->plan; other < plan; other++)
		check_apart(plan, other);
}

static void
refused_with_a_reason_or_right(void **state)
{
	unsigned refused = 0;
	unsigned right = 0;
	unsigned devices = 0;

	(void)state;
	for (round_no = 0; round_no < ROUNDS; round_no++) {
		struct wanted wanted = { 0 };
		struct vm_plans plans;
		seed = round_no * UINT64_C(0x9e3779b97f4a7c15) + 1;
		Gdr__Inventory *host = random_host();
		random_wish(&wanted);
		vm_plans_make(host, &wanted.spec, "random", &plans);
		for (size_t i = 0; i < plans.n; i++) {
			const struct vm_plan *plan = &plans.plan[i];
			if (plan->refused) {
				CHECK(strlen(plan->refused) > 10 && plan->n_devices == 0);
				refused++;
				continue;
			}
			check_plan(host, &plans, plan);
			devices += (unsigned)plan->n_devices;
			right++;
		}
		if (wanted.pages.count == UINT32_MAX)
			check_memory(host, &plans);
		vm_plans_free(&plans);
		inventory_free(host);
	}
	/* Chance must bring up enough of both. */
	if (right < ROUNDS / 2 || refused < ROUNDS / 4 || devices < ROUNDS * 4)
		fail_msg("only %u plans with %u devices, and %u refusals", right, devices, refused);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused_with_a_reason_or_right) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
