/* xml_devices.c - the domain's devices, each at an address that is written: nothing is left to libvirt's choice, so
 * that the guest's bus numbers are those of the plan. */

#include <stdio.h>

#include "agent/vm/plan_internal.h"
#include "agent/vm/xml_internal.h"
#include "common/mem.h"

/* Slots of the root bus; plan_bus.c keeps them free. */
enum {
	SLOT_SCREEN = 2,
	SLOT_NETWORK = 4,
	SLOT_USB = 5,
	SLOT_DISK = 6,
};

/* --- addresses --------------------------------------------------------------------------------------- */

static void
hex(xmlNode *node, const char *name, int digits, unsigned value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "0x%0*x", digits, value);
	vm_xml_attr(node, name, text);
}

static void
fill_address(xmlNode *address, const struct vm_address *at)
{
	hex(address, "domain", 4, at->domain);
	hex(address, "bus", 2, at->bus);
	hex(address, "slot", 2, at->slot);
	hex(address, "function", 1, at->function);
}

/* Where it sits in the guest: 'bus' is the index of a controller. */
static void
place(xmlNode *device, unsigned bus, unsigned slot)
{
	struct vm_address at = { .bus = bus, .slot = slot };
	xmlNode *address = vm_xml_add(device, "address");

	vm_xml_attr(address, "type", "pci");
	fill_address(address, &at);
}

static void
add_alias(xmlNode *device, const char *name)
{
	auto_free char *alias = xasprintf("ua-%s", name);

	for (char *c = alias; *c; c++)
		if (*c == ':' || *c == '.')
			*c = '-';
	vm_xml_attr(vm_xml_add(device, "alias"), "name", alias);
}

/* --- its own ----------------------------------------------------------------------------------------- */

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static void
add_disk(xmlNode *devices, const struct vm_plan *plan)
{
	auto_free char *path = vm_plan_disk(plan);
	bool block = strncmp(path, "/dev/", strlen("/dev/")) == 0;
	xmlNode *disk = vm_xml_add(devices, "disk");
	xmlNode *driver = vm_xml_add(disk, "driver");
	xmlNode *source = vm_xml_add(disk, "source");
	xmlNode *target = vm_xml_add(disk, "target");

	vm_xml_attr(disk, "type", block ? "block" : "file");
	vm_xml_attr(disk, "device", "disk");
	vm_xml_attr(driver, "name", "qemu");
	vm_xml_attr(driver, "type", ends_with(path, ".qcow2") ? "qcow2" : "raw");
	vm_xml_attr(source, block ? "dev" : "file", path);
	vm_xml_attr(target, "dev", "vda");
	vm_xml_attr(target, "bus", "virtio");
	add_alias(disk, "disk0");
	place(disk, 0, SLOT_DISK);
}

static void
add_network(xmlNode *devices, const struct vm_plan *plan)
{
	xmlNode *interface = vm_xml_add(devices, "interface");

	vm_xml_attr(interface, "type", "network");
	vm_xml_attr(vm_xml_add(interface, "mac"), "address", plan->mac);
	vm_xml_attr(vm_xml_add(interface, "source"), "network", plan->spec->network);
	vm_xml_attr(vm_xml_add(interface, "model"), "type", "virtio");
	add_alias(interface, "net0");
	place(interface, 0, SLOT_NETWORK);
}

static void
add_console(xmlNode *devices)
{
	xmlNode *serial = vm_xml_add(devices, "serial");
	xmlNode *port = vm_xml_add(serial, "target");
	xmlNode *console = vm_xml_add(devices, "console");
	xmlNode *target = vm_xml_add(console, "target");

	vm_xml_attr(serial, "type", "pty");
	vm_xml_attr(port, "type", "isa-serial");
	vm_xml_attr(port, "port", "0");
	vm_xml_attr(vm_xml_add(port, "model"), "name", "isa-serial");
	vm_xml_attr(console, "type", "pty");
	vm_xml_attr(target, "type", "serial");
	vm_xml_attr(target, "port", "0");
}

static void
add_screen(xmlNode *devices)
{
	xmlNode *input = vm_xml_add(devices, "input");
	xmlNode *graphics = vm_xml_add(devices, "graphics");
	xmlNode *listen = vm_xml_add(graphics, "listen");
	xmlNode *video = vm_xml_add(devices, "video");
	xmlNode *model = vm_xml_add(video, "model");

	vm_xml_attr(input, "type", "tablet");
	vm_xml_attr(input, "bus", "usb");
	vm_xml_attr(graphics, "type", "vnc");
	vm_xml_attr(graphics, "port", "-1");
	vm_xml_attr(graphics, "autoport", "yes");
	vm_xml_attr(graphics, "listen", "127.0.0.1");
	vm_xml_attr(listen, "type", "address");
	vm_xml_attr(listen, "address", "127.0.0.1");
	vm_xml_attr(model, "type", "cirrus");
	vm_xml_attr(model, "vram", "16384");
	vm_xml_attr(model, "heads", "1");
	vm_xml_attr(model, "primary", "yes");
	place(video, 0, SLOT_SCREEN);
}

/* Without a screen there is nothing for it, and libvirt would add one by itself. */
static void
add_usb(xmlNode *devices, bool screen)
{
	xmlNode *usb = vm_xml_add(devices, "controller");

	vm_xml_attr(usb, "type", "usb");
	vm_xml_attr(usb, "index", "0");
	vm_xml_attr(usb, "model", screen ? "qemu-xhci" : "none");
	if (screen)
		place(usb, 0, SLOT_USB);
}

/* --- the PCI tree ------------------------------------------------------------------------------------ */

static const struct {
	const char *model[2]; /* On i440fx, on q35. */
	const char *name[2];
} models[] = {
	[VM_ROOT] = { { "pci-root", "pcie-root" }, { NULL, NULL } },
	[VM_PXB] = { { "pci-expander-bus", "pcie-expander-bus" }, { "pxb", "pxb-pcie" } },
	[VM_ROOT_PORT] = { { NULL, "pcie-root-port" }, { NULL, "pcie-root-port" } },
	[VM_UPSTREAM] = { { NULL, "pcie-switch-upstream-port" }, { NULL, "x3130-upstream" } },
	[VM_DOWNSTREAM] = { { NULL, "pcie-switch-downstream-port" }, { NULL, "xio3130-downstream" } },
};

static void
add_pxb_target(xmlNode *controller, const struct vm_controller *pxb)
{
	auto_free char *cell = xasprintf("%u", pxb->cell);
	xmlNode *target = vm_xml_add(controller, "target");

	vm_xml_number(target, "busNr", pxb->number);
	(void)vm_xml_text(target, "node", cell);
}

/* No hot-plugging: OVMF keeps 16 KiB of I/O space behind each port that has it, and then assigns nothing at all. */
static void
add_port_target(xmlNode *controller, const struct vm_controller *port, unsigned index)
{
	xmlNode *target = vm_xml_add(controller, "target");

	vm_xml_number(target, "chassis", index);
	hex(target, "port", 1, port->slot);
	vm_xml_attr(target, "hotplug", "off");
}

static void
add_controller(xmlNode *devices, const struct vm_plan *plan, unsigned index)
{
	const struct vm_controller *it = &plan->controllers[index];
	const char *name = models[it->model].name[plan->q35];
	xmlNode *controller = vm_xml_add(devices, "controller");

	vm_xml_attr(controller, "type", "pci");
	vm_xml_number(controller, "index", index);
	vm_xml_attr(controller, "model", models[it->model].model[plan->q35]);
	if (name)
		vm_xml_attr(vm_xml_add(controller, "model"), "name", name);
	if (it->model == VM_PXB)
		add_pxb_target(controller, it);
	if (it->model == VM_ROOT_PORT || it->model == VM_DOWNSTREAM)
		add_port_target(controller, it, index);
	if (it->model == VM_ROOT && plan->spec->has_pci_hole64) {
		auto_free char *kib = xasprintf("%llu", (unsigned long long)plan->spec->pci_hole64 >> 10);
		vm_xml_attr(vm_xml_text(controller, "pcihole64", kib), "unit", "KiB");
	}
	if (plan->spec->ats_driver)
		vm_xml_attr(vm_xml_add(controller, "driver"), "ats", "on");
	if (it->model != VM_ROOT)
		place(controller, it->bus, it->slot);
}

/* Its ROM would be run by the guest's firmware, which has no use for it and waits. */
static void
add_hostdev(xmlNode *devices, const struct vm_device *device)
{
	xmlNode *hostdev = vm_xml_add(devices, "hostdev");
	struct vm_address at = { 0 };

	(void)vm_address_read(device->host, &at);
	vm_xml_attr(hostdev, "mode", "subsystem");
	vm_xml_attr(hostdev, "type", "pci");
	vm_xml_attr(hostdev, "managed", "yes");
	vm_xml_attr(vm_xml_add(hostdev, "driver"), "name", "vfio");
	fill_address(vm_xml_add(vm_xml_add(hostdev, "source"), "address"), &at);
	add_alias(hostdev, device->host);
	vm_xml_attr(vm_xml_add(hostdev, "rom"), "bar", "off");
	place(hostdev, device->bus, device->slot);
}

/* With more vCPUs than an APIC id of 8 bits can tell apart, interrupts must be remapped. */
static void
add_iommu(xmlNode *devices)
{
	xmlNode *iommu = vm_xml_add(devices, "iommu");
	xmlNode *driver = vm_xml_add(iommu, "driver");

	vm_xml_attr(iommu, "model", "intel");
	vm_xml_attr(driver, "intremap", "on");
	vm_xml_attr(driver, "eim", "on");
}

/* --- all of it --------------------------------------------------------------------------------------- */

void
vm_xml_devices(xmlNode *domain, const struct vm_plan *plan)
{
	xmlNode *devices = vm_xml_add(domain, "devices");

	if (plan->spec->disk)
		add_disk(devices, plan);
	add_usb(devices, plan->spec->vnc);
	for (unsigned i = 0; i < plan->n_controllers; i++)
		add_controller(devices, plan, i);
	if (plan->spec->network)
		add_network(devices, plan);
	add_console(devices);
	if (plan->spec->vnc)
		add_screen(devices);
	for (size_t i = 0; i < plan->n_devices; i++)
		add_hostdev(devices, &plan->devices[i]);
	/* It cannot take memory that devices of the host may write to at any time. */
	vm_xml_attr(vm_xml_add(devices, "memballoon"), "model", "none");
	if (plan->n_cpus > VM_XML_APIC_CPUS)
		add_iommu(devices);
}
