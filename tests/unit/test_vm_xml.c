/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <unistd.h>

#include "agent/vm/xml.h"
#include "common/err.h"
#include "tests/unit/test_ctl_assert.h"
#include "tests/unit/vm_host.h"

#define XML (const xmlChar *)

static struct wanted wanted;

static int
setup(void **state)
{
	(void)state;
	want(&wanted, 1, 48, 750);
	return 0;
}

/* The definition of the first VM on 'host', which is given up; '*rc' as vm_xml_write() returns it. */
static char *
define_or_not(Gdr__Inventory *host, const struct vm_identity *identity, int *rc, struct err *err)
{
	struct vm_plans plans;
	char *xml = NULL;

	vm_plans_make(host, &wanted.spec, "sim1", &plans);
	if (plans.plan[0].refused)
		fail_msg("refused: %s", plans.plan[0].refused);
	*rc = vm_xml_write(&plans.plan[0], identity, &xml, err);
	vm_plans_free(&plans);
	inventory_free(host);
	return xml;
}

static char *
define_as(Gdr__Inventory *host, const struct vm_identity *identity)
{
	struct err err = { 0 };
	int rc;
	char *xml = define_or_not(host, identity, &rc, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
	return xml;
}

static char *
define(Gdr__Inventory *host)
{
	return define_as(host, &(struct vm_identity){ 0 });
}

/* --- asking a document ------------------------------------------------------------------------------- */

static xmlDoc *
parse(const char *xml)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), "domain", NULL, XML_PARSE_NONET | XML_PARSE_NOBLANKS);

	assert_non_null(doc);
	return doc;
}

/* What the expression is in the document, as text; the caller frees. */
static char *
ask(xmlDoc *doc, const char *expression)
{
	xmlXPathContext *context = xmlXPathNewContext(doc);
	xmlXPathObject *object = xmlXPathEvalExpression(XML expression, context);
	if (!object)
		fail_msg("not XPath: %s", expression);
	xmlChar *text = xmlXPathCastToString(object);
	char *out = xstrdup((const char *)text);

	xmlFree(text);
	xmlXPathFreeObject(object);
	xmlXPathFreeContext(context);
	return out;
}

static void
expect(xmlDoc *doc, const char *expression, const char *value)
{
	auto_free char *have = ask(doc, expression);

	if (strcmp(have, value) != 0)
		fail_msg("%s: '%s', not '%s'", expression, have, value);
}

/* --- the published definitions ----------------------------------------------------------------------- */

struct property {
	const char *expression;
	const char *value;
};

/* What both have, point by point. */
static const struct property published[] = {
	{ "string(/domain/@type)", "kvm" },
	{ "string(/domain/memory)", "786432000" },
	{ "string(/domain/currentMemory/@unit)", "KiB" },
	{ "string(/domain/memoryBacking/hugepages/page/@size)", "1048576" },
	{ "string(/domain/vcpu)", "48" },
	{ "string(/domain/vcpu/@placement)", "static" },
	{ "string(/domain/vcpu/@cpuset)", "0-47" },
	{ "count(/domain/cputune/vcpupin[@vcpu = @cpuset])", "48" },
	{ "string(/domain/numatune/memory/@mode)", "strict" },
	{ "string(/domain/numatune/memory/@nodeset)", "0-1" },
	{ "count(/domain/numatune/memnode[@mode = 'strict'][@cellid = @nodeset])", "2" },
	{ "string(/domain/os/type)", "hvm" },
	{ "string(/domain/os/type/@arch)", "x86_64" },
	{ "string(/domain/os/boot/@dev)", "hd" },
	{ "count(/domain/os/loader)", "0" },
	{ "count(/domain/features/acpi) + count(/domain/features/apic)", "2" },
	{ "string(/domain/cpu/@mode)", "host-model" },
	{ "string(/domain/cpu/@check)", "partial" },
	{ "count(/domain/cpu/feature[@policy = 'require'])", "3" },
	{ "count(/domain/cpu/feature[@name = 'x2apic' or @name = 'hypervisor' or @name = 'lahf_lm'])", "3" },
	{ "count(/domain/cpu/numa/cell[@memory = '393216000'][@unit = 'KiB'])", "2" },
	{ "string(/domain/cpu/numa/cell[@id = '0']/@cpus)", "0-23" },
	{ "string(/domain/cpu/numa/cell[@id = '1']/@cpus)", "24-47" },
	{ "string(/domain/clock/@offset)", "utc" },
	{ "string(/domain/clock/timer[@name = 'rtc']/@tickpolicy)", "catchup" },
	{ "string(/domain/clock/timer[@name = 'pit']/@tickpolicy)", "delay" },
	{ "string(/domain/clock/timer[@name = 'hpet']/@present)", "no" },
	{ "string(/domain/on_poweroff)", "destroy" },
	{ "string(/domain/on_reboot)", "restart" },
	{ "string(/domain/on_crash)", "destroy" },
	{ "string(/domain/pm/suspend-to-mem/@enabled)", "no" },
	{ "string(/domain/pm/suspend-to-disk/@enabled)", "no" },
	{ "string(//disk/@type)", "file" },
	{ "string(//disk/driver/@type)", "qcow2" },
	{ "string(//disk/target/@dev)", "vda" },
	{ "string(//disk/target/@bus)", "virtio" },
	{ "string(//disk/address/@slot)", "0x06" },
	{ "string(//interface/@type)", "network" },
	{ "string(//interface/source/@network)", "public" },
	{ "string(//interface/model/@type)", "virtio" },
	{ "string(//serial/target/@type)", "isa-serial" },
	{ "string(//console/target/@type)", "serial" },
	{ "string(//graphics/@type)", "vnc" },
	{ "string(//video/model/@type)", "cirrus" },
	{ "string(//memballoon/@model)", "none" },
	{ "count(//hostdev)", "12" },
	{ "count(//hostdev[@mode = 'subsystem'][@type = 'pci'][@managed = 'yes'])", "12" },
	{ "count(//hostdev[driver/@name = 'vfio'])", "12" },
	{ "count(//hostdev/address[@type = 'pci'][@function = '0x0'])", "12" },
	/* 4a: on every PCI controller; 4c: each expander bus has its node. */
	{ "count(//controller[@type = 'pci'][not(driver/@ats = 'on')])", "0" },
	{ "count(//controller[contains(@model, 'expander')][not(target/node)])", "0" },
	{ "count(//controller[contains(@model, 'expander')][not(target/@busNr)])", "0" },
	{ "/domain/cputune/emulatorpin", "" }, /* All 48 CPUs have a vCPU. */
};

/* Where ours are better. */
static const struct property better[] = {
	{ "count(//hostdev[rom/@bar = 'off'])", "12" },
	{ "string(/domain/cpu/maxphysaddr/@bits)", "46" }, /* In place of the -hpb machine types. */
	{ "string(/domain/cpu/topology/@sockets)", "2" },
	{ "count(//controller[contains(@model, 'port')][target][not(target/@hotplug = 'off')])", "0" },
	{ "string(/domain/metadata/*/@node)", "sim1" },
	{ "count(//hostdev/alias[starts-with(@name, 'ua-0000-')])", "12" },
};

/* Which devices of the host are together, and on which node of the guest. */
static const struct {
	const char *bus[3];
	const char *node;
} together[] = {
	{ { "0x48", "0x3f", "0x3f" }, "0" },
	{ { "0x8c", "0x93", "0x93" }, "1" },
	{ { "0xb7", "0xb9", "0xbc" }, NULL }, /* The NVSwitches' node means nothing. */
};

/* On which controller that one sits. */
static unsigned
bus_of(xmlDoc *doc, unsigned index)
{
	auto_free char *path = xasprintf("string(//controller[@type = 'pci'][@index = '%u']/address/@bus)", index);
	auto_free char *text = ask(doc, path);

	return (unsigned)strtoul(text, NULL, 0);
}

/* The controller on which the k-th host device of that bus sits, or for a switch's port the switch. */
static unsigned
switch_of(xmlDoc *doc, const char *bus, unsigned k)
{
	auto_free char *path = xasprintf("string(//hostdev[source/address/@bus = '%s'][%u]/address/@bus)", bus, k);
	auto_free char *text = ask(doc, path);
	unsigned index = (unsigned)strtoul(text, NULL, 0);
	auto_free char *is_port = xasprintf("count(//controller[@index = '%u'][contains(@model, 'downstream')])",
					    index);
	auto_free char *port = ask(doc, is_port);

	assert_int_not_equal(index, 0);
	return *port == '1' ? bus_of(doc, index) : index;
}

static char *
node_of(xmlDoc *doc, unsigned index)
{
	unsigned up = bus_of(doc, index);

	if (up)
		return node_of(doc, up);
	auto_free char *path = xasprintf("string(//controller[@type = 'pci'][@index = '%u']/target/node)", index);
	return ask(doc, path);
}

static void
check_published(xmlDoc *doc)
{
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		expect(doc, published[i].expression, published[i].value);
	for (size_t i = 0; i < sizeof(together) / sizeof(together[0]); i++) {
		unsigned first = switch_of(doc, together[i].bus[0], 1);
		auto_free char *node = node_of(doc, first);
		assert_int_equal(switch_of(doc, together[i].bus[1], 1), first);
		assert_int_equal(switch_of(doc, together[i].bus[2], i < 2 ? 2 : 1), first);
		if (together[i].node)
			assert_string_equal(node, together[i].node);
	}
	assert_int_not_equal(switch_of(doc, "0x48", 1), switch_of(doc, "0x8c", 1));
}

/* The definition itself, where it is at hand: what is said of it above is true. */
static void
check_sample(const char *name)
{
	auto_free char *path = xasprintf("%s/../shared/samples/vela/%s", SOURCE_DIR, name);

	if (access(path, R_OK) != 0)
		return;
	xmlDoc *doc = xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOBLANKS);
	assert_non_null(doc);
	check_published(doc);
	xmlFreeDoc(doc);
}

/* As the recipe has it: sections 4a to 4d and the two definitions. */
static void
want_published(bool q35)
{
	static char disk[] = "/var/lib/libvirt/images/{vm}.qcow2";
	static char network[] = "public";
	static char x2apic[] = "x2apic";
	static char hypervisor[] = "hypervisor";
	static char lahf[] = "lahf_lm";
	static char *require[] = { x2apic, hypervisor, lahf };
	Gdr__VmSpec *vm = &wanted.vm[0];

	vm->has_machine = !q35;
	vm->machine = GDR__VM_MACHINE__VM_MACHINE_I440FX;
	vm->disk = disk;
	vm->network = network;
	vm->has_ats_driver = vm->ats_driver = vm->has_vnc = vm->vnc = true;
	vm->cpu = &wanted.cpu;
	wanted.cpu.has_mode = true;
	wanted.cpu.mode = GDR__VM_CPU_MODE__VM_CPU_MODE_HOST_MODEL;
	wanted.cpu.require = require;
	wanted.cpu.n_require = 3;
}

static void
the_published_properties(bool q35)
{
	want_published(q35);
	auto_free char *xml = define(host_vela());
	xmlDoc *doc = parse(xml);

	check_published(doc);
	for (size_t i = 0; i < sizeof(better) / sizeof(better[0]); i++)
		expect(doc, better[i].expression, better[i].value);
	expect(doc, "string(/domain/os/type/@machine)", q35 ? "q35" : "pc");
	expect(doc, "count(//controller[contains(@model, 'expander')])", "3");
	expect(doc, "count(//controller[@model = 'pcie-switch-downstream-port'])", q35 ? "12" : "0");
	expect(doc, "count(//controller[@model = 'pcie-root-port'])", q35 ? "3" : "0");
	xmlFreeDoc(doc);
}

static void
the_published_q35(void **state)
{
	(void)state;
	check_sample("sample-optimized-a100-vm-q35.xml");
	the_published_properties(true);
}

static void
the_published_i440fx(void **state)
{
	(void)state;
	check_sample("sample-optimized-a100-vm-i440fx.xml");
	the_published_properties(false);
}

/* --- goldens ----------------------------------------------------------------------------------------- */

static void
assert_definition(const char *name, Gdr__Inventory *host)
{
	auto_free char *path = xasprintf(TESTS_DIR "/golden/vm/%s.xml", name);
	auto_free char *xml = define(host);

	assert_golden(path, xml);
}

static void
definitions_of_many_hosts(void **state)
{
	(void)state;
	assert_definition("hgx-a100", host_hgx_a100());
	want(&wanted, 1, 16, 128);
	assert_definition("one-node", host_one_node());
	want(&wanted, 1, 32, 512);
	assert_definition("four-nodes", host_four_nodes());
	want(&wanted, 1, 16, 256);
	assert_definition("memory-only-nodes", host_cxl());
	want(&wanted, 1, 16, 256);
	wanted.vm[0].has_pair_by_node = wanted.vm[0].pair_by_node = true;
	assert_definition("no-switch", host_no_switch());
	want(&wanted, 1, 32, 1600);
	assert_definition("hgx-h100", host_hgx_h100(128 * GIB));
	want(&wanted, 1, 32, 1600);
	wanted.vm[0].has_firmware = true;
	wanted.vm[0].firmware = GDR__VM_FIRMWARE__VM_FIRMWARE_OVMF;
	assert_definition("hgx-h200-ovmf", host_hgx_h100(256 * GIB));
	want(&wanted, 1, 48, 750);
	want_published(true);
	assert_definition("vela-q35", host_vela());
	want_published(false);
	assert_definition("vela-i440fx", host_vela());
	want(&wanted, 1, 288, 512);
	wanted.vm[0].has_gpus = wanted.vm[0].has_nic_vfs = wanted.vm[0].has_nvswitches = false;
	wanted.vm[0].nic_vfs = 0;
	Gdr__Inventory *big = host_new(46);
	host_node(big, "0-299", 2000, "10");
	assert_definition("many-cpus", host_done(big));
}

/* --- single things ----------------------------------------------------------------------------------- */

static void
who_it_is(void **state)
{
	const struct vm_identity identity = { .uuid = "5f4e7a5c-8a86-4b4c-9d9e-0b2f5e5a7b11",
					      .credential = "io.systemd.credential.binary:a=PT0&",
					      .topology = "io.systemd.credential.binary:b=Yg==" };

	(void)state;
	auto_free char *xml = define_as(host_vela(), &identity);
	xmlDoc *doc = parse(xml);
	expect(doc, "string(/domain/uuid)", identity.uuid);
	expect(doc, "string(/domain/name)", "sim1-gpu0");
	expect(doc, "string(/domain/sysinfo[@type = 'smbios']/oemStrings/entry)", identity.credential);
	expect(doc, "string(//oemStrings/entry[2])", identity.topology);
	expect(doc, "string(/domain/os/smbios/@mode)", "sysinfo");
	expect(doc, "namespace-uri(/domain/metadata/*)", VM_XML_NAMESPACE);
	expect(doc, "string(//controller[@type = 'usb']/@model)", "none");
	expect(doc, "count(//disk) + count(//interface) + count(//video)", "0");
	xmlFreeDoc(doc);
}

static void
disks_and_windows(void **state)
{
	char block[] = "/dev/vg0/{node}";
	char raw[] = "/images/{vm}.img";

	(void)state;
	wanted.vm[0].disk = block;
	wanted.vm[0].has_pci_hole64 = true;
	wanted.vm[0].pci_hole64 = 2048 * GIB;
	auto_free char *xml = define(host_vela());
	xmlDoc *doc = parse(xml);
	expect(doc, "string(//disk[@type = 'block']/source/@dev)", "/dev/vg0/sim1");
	expect(doc, "string(//pcihole64)", "2147483648");
	xmlFreeDoc(doc);
	wanted.vm[0].disk = raw;
	auto_free char *other = define(host_vela());
	doc = parse(other);
	expect(doc, "string(//disk[driver/@type = 'raw']/source/@file)", "/images/sim1-gpu0.img");
	xmlFreeDoc(doc);
}

/* --- the overlay ------------------------------------------------------------------------------------- */

static xmlDoc *
overlaid(const char *fragment)
{
	auto_free char *copy = xstrdup(fragment);

	want_published(true);
	wanted.vm[0].overlay = copy;
	auto_free char *xml = define(host_vela());
	return parse(xml);
}

static void
an_overlay_merges_replaces_and_adds(void **state)
{
	(void)state;
	xmlDoc *doc = overlaid(
		"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
		"<title>a &lt; b</title><on_crash>coredump-restart</on_crash>"
		"<resource><partition>/machine</partition></resource>"
		"<cpu><feature policy='disable' name='x2apic'/><feature policy='disable' name='svm'/></cpu>"
		"<clock><timer name='rtc' tickpolicy='delay'/></clock>"
		"<devices><interface><alias name='ua-net0'/><mtu size='9000'/></interface>"
		"<interface type='bridge'><source bridge='br0'/></interface>"
		"<hostdev><alias name='ua-0000-48-00-0'/><rom bar='on'/></hostdev>"
		"<controller type='pci' index='1'><target busNr='100'/></controller>"
		"<memballoon model='virtio'/></devices>"
		"<qemu:commandline><qemu:env name='DEPLOYER' value='net20'/><qemu:arg value='-s'/>"
		"<qemu:arg value='-S'/></qemu:commandline></domain>");
	expect(doc, "string(/domain/@type)", "qemu");
	expect(doc, "string(/domain/title)", "a < b");
	expect(doc, "count(/domain/on_crash)", "1");
	expect(doc, "string(/domain/on_crash)", "coredump-restart");
	expect(doc, "string(/domain/resource/partition)", "/machine");
	expect(doc, "count(/domain/cpu/feature)", "4");
	expect(doc, "string(/domain/cpu/feature[@name = 'x2apic']/@policy)", "disable");
	expect(doc, "count(/domain/clock/timer)", "3");
	expect(doc, "string(/domain/clock/timer[@name = 'rtc']/@tickpolicy)", "delay");
	expect(doc, "count(//interface)", "2");
	expect(doc, "string(//interface[source/@network = 'public']/mtu/@size)", "9000");
	expect(doc, "string(//interface[source/@bridge = 'br0']/@type)", "bridge");
	expect(doc, "count(//hostdev)", "12");
	expect(doc, "string(//hostdev[source/address/@bus = '0x48']/rom/@bar)", "on");
	expect(doc, "string(//controller[@index = '1']/target/@busNr)", "100");
	expect(doc, "string(//memballoon/@model)", "virtio");
	expect(doc, "count(//*[local-name() = 'arg'])", "2");
	expect(doc, "namespace-uri(//*[local-name() = 'env'])", "http://libvirt.org/schemas/domain/qemu/1.0");
	expect(doc, "string(/domain/memory)", "786432000");
	xmlFreeDoc(doc);
}

static void
what_is_no_overlay(void **state)
{
	char broken[] = "<domain>\n<cpu></domain>";
	char other[] = "<network/>";
	char nothing[] = "not XML";
	char entity[] = "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain><title>&a;</title></domain>";
	const struct vm_identity anyone = { 0 };
	struct err err = { 0 };
	int rc;

	(void)state;
	wanted.vm[0].overlay = broken;
	assert_null(define_or_not(host_vela(), &anyone, &rc, &err));
	assert_true(rc < 0);
	assert_string_equal(err.msg, "overlay: line 2: Premature end of data in tag domain line 1");
	wanted.vm[0].overlay = other;
	assert_null(define_or_not(host_vela(), &anyone, &rc, &err));
	assert_string_equal(err.msg, "overlay: it must be a <domain>");
	wanted.vm[0].overlay = entity;
	assert_null(define_or_not(host_vela(), &anyone, &rc, &err));
	assert_string_equal(err.msg, "overlay: it may have no <!DOCTYPE>");
	wanted.vm[0].overlay = nothing;
	assert_null(define_or_not(host_vela(), &anyone, &rc, &err));
	assert_has(err.msg, "overlay: line 1: ");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(the_published_q35),  TEST(the_published_i440fx), TEST(definitions_of_many_hosts),
		TEST(who_it_is),          TEST(disks_and_windows),    TEST(an_overlay_merges_replaces_and_adds),
		TEST(what_is_no_overlay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
