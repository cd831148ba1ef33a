/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "agent/layers/vm_compare.h"
#include "common/err.h"
#include "common/mem.h"

static struct vm_differences found;

static int
teardown(void **state)
{
	(void)state;
	vm_differences_free(&found);
	return 0;
}

static void
compare_as(const char *want, const char *have, bool running)
{
	struct err err;

	vm_differences_free(&found);
	if (vm_compare(want, have, running, &found, &err) < 0)
		fail_msg("%s", err.msg);
}

static void
compare(const char *want, const char *have)
{
	compare_as(want, have, false);
}

static void
same(const char *want, const char *have)
{
	compare(want, have);
	if (found.n)
		fail_msg("%s: want %s, have %s", found.list[0].path, found.list[0].want, found.list[0].have);
}

/* The one difference that there is. */
static void
differs(const char *want, const char *have, const char *path, const char *wanted, const char *had)
{
	compare(want, have);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.list[0].path, path);
	assert_string_equal(found.list[0].want, wanted);
	assert_string_equal(found.list[0].have, had);
}

#define DOMAIN(text)  "<domain type='kvm'>" text "</domain>"
#define DEVICES(text) DOMAIN("<devices>" text "</devices>")

static void
what_libvirt_rewrites_is_no_difference(void **state)
{
	(void)state;
	same(DOMAIN("<memory unit='GiB'>750</memory>"), DOMAIN("<memory unit='KiB'>786432000</memory>"));
	same(DOMAIN("<memory unit='bytes'>4096</memory>"), DOMAIN("<memory>4</memory>"));
	same(DOMAIN("<os><type arch='x86_64' machine='q35'>hvm</type></os>"),
	     DOMAIN("<os>\n <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n <boot dev='hd'/></os>"));
	same(DOMAIN("<os><type machine='pc'>hvm</type></os>"),
	     DOMAIN("<os><type machine='pc-i440fx-7.2'>hvm</type></os>"));
	same(DOMAIN("<cputune><vcpupin vcpu='1' cpuset='3'/><vcpupin vcpu='0' cpuset='0,1,2'/></cputune>"),
	     DOMAIN("<cputune><vcpupin vcpu='0' cpuset='0-2'/><vcpupin vcpu='1' cpuset='3'/></cputune>"));
	same(DOMAIN("<cpu><numa><cell id='0' cpus='0-1' memory='2' unit='GiB'/></numa></cpu>"),
	     DOMAIN("<cpu check='none'><numa><cell id='0' cpus='0-1' memory='2097152' unit='KiB'/></numa></cpu>"));
	same(DEVICES("<controller type='pci' index='1' model='pcie-root-port'><target chassis='1' port='16'/>"
		     "</controller>"),
	     DEVICES("<controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/>"
		     "<target chassis='1' port='0x10'/></controller>"));
	same(DEVICES("<interface type='network'><mac address='52:54:00:AA:bb:01'/></interface>"),
	     DEVICES("<interface type='network'><mac address='52:54:00:aa:bb:01'/><model type='rtl8139'/></interface>"));
}

static void
what_libvirt_adds_is_no_difference(void **state)
{
	(void)state;
	same(DOMAIN("<name>a</name><devices/>"),
	     DOMAIN("<name>a</name><uuid>1-2</uuid><currentMemory unit='KiB'>4</currentMemory>"
		    "<resource><partition>/machine</partition></resource><on_poweroff>destroy</on_poweroff>"
		    "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><input type='mouse' bus='ps2'/>"
		    "<controller type='usb' index='0' model='qemu-xhci'/><controller type='pci' index='0' "
		    "model='pcie-root'/><memballoon model='virtio'/></devices>"));
}

static void
what_somebody_changed_is_one(void **state)
{
	(void)state;
	differs(DOMAIN("<vcpu>4</vcpu>"), DOMAIN("<vcpu>8</vcpu>"), "vcpu", "4", "8");
	differs(DOMAIN("<name>a</name>"), "<domain type='qemu'><name>a</name></domain>", "domain", "type='kvm'",
		"type='qemu'");
	differs(DOMAIN("<cputune><vcpupin vcpu='0' cpuset='0-2'/></cputune>"),
		DOMAIN("<cputune><vcpupin vcpu='0' cpuset='0-3'/></cputune>"), "cputune/vcpupin[0]", "cpuset='0-2'",
		"cpuset='0-3'");
	differs(DOMAIN("<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>"), DOMAIN("<cputune/>"), "cputune/vcpupin[0]",
		"vcpu='0' cpuset='0'", "absent");
	differs(DOMAIN("<memory unit='GiB'>2</memory>"), DOMAIN("<memory unit='MiB'>2</memory>"), "memory", "2 GiB",
		"2 MiB");
	differs(DEVICES("<memballoon model='none'/>"), DEVICES("<memballoon model='virtio'/>"), "memballoon",
		"model='none'", "model='virtio'");
}

static void
what_somebody_added_is_one(void **state)
{
	(void)state;
	differs(DEVICES(""), DEVICES("<disk type='file'><target dev='vdb'/></disk>"), "disk[vdb]", "absent",
		"type='file'");
	differs(DEVICES(""), DEVICES("<controller type='pci' index='7' model='pcie-expander-bus'/>"),
		"controller[pci 7]", "absent", "type='pci' index='7' model='pcie-expander-bus'");
	differs(DOMAIN(""), DOMAIN("<memtune><hard_limit>1</hard_limit></memtune>"), "memtune", "absent", "present");
	differs(DOMAIN("<cputune/>"), DOMAIN("<cputune><shares>2048</shares></cputune>"), "cputune/shares", "absent",
		"2048");
	differs(DOMAIN(""),
		"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:commandline/></domain>",
		"commandline", "absent", "present");
}

#define HOSTDEV(bus, guest)                                                                                      \
	"<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='" bus "' slot='0' function='0'/>" \
	"</source><address type='pci' bus='" guest "'/></hostdev>"

static void
devices_are_known_by_their_address_on_the_host(void **state)
{
	(void)state;
	same(DEVICES(HOSTDEV("0x48", "0x13") HOSTDEV("0x8c", "0x14")),
	     DEVICES(HOSTDEV("0x8c", "20") HOSTDEV("0x48", "19")));
	differs(DEVICES(HOSTDEV("0x48", "0x13")), DEVICES(HOSTDEV("0x48", "0x14")), "hostdev[0000:48:00.0]/address",
		"bus='0x13'", "bus='0x14'");
	compare(DEVICES(HOSTDEV("0x48", "0x13")), DEVICES(HOSTDEV("0x49", "0x13")));
	assert_int_equal(found.n, 2);
	assert_string_equal(found.list[0].path, "hostdev[0000:48:00.0]");
	assert_string_equal(found.list[0].have, "absent");
	assert_string_equal(found.list[1].path, "hostdev[0000:49:00.0]");
	assert_string_equal(found.list[1].want, "absent");
}

/* A running VM of host-model has the host's own model; everything else must be as it was. */
static void
a_running_domain_has_another_cpu_model(void **state)
{
	static const char want[] = DOMAIN("<cpu mode='host-model' check='partial'/><vcpu>4</vcpu>");
	static const char have[] = DOMAIN("<cpu mode='custom' match='exact'><model>EPYC</model></cpu><vcpu>4</vcpu>");

	(void)state;
	compare_as(want, have, true);
	assert_int_equal(found.n, 0);
	compare_as(want, have, false);
	assert_int_equal(found.n, 1);
}

#define CREDENTIAL(value)                                                                                     \
	DOMAIN("<sysinfo type='smbios'><oemStrings><entry>io.systemd.credential.binary:gdrfleet.guest=" value \
	       "</entry></oemStrings></sysinfo>")

static void
a_secret_is_not_told(void **state)
{
	(void)state;
	compare(CREDENTIAL("c2VjcmV0"), CREDENTIAL("b3RoZXI="));
	assert_int_equal(found.n, 1);
	assert_null(strstr(found.list[0].want, "c2VjcmV0"));
	assert_null(strstr(found.list[0].have, "b3RoZXI"));
	assert_string_not_equal(found.list[0].want, found.list[0].have);
	compare(CREDENTIAL("c2VjcmV0"), DOMAIN(""));
	assert_int_equal(found.n, 1);
	assert_string_equal(found.list[0].have, "absent");
}

#define STRINGS(entries) DOMAIN("<sysinfo type='smbios'><oemStrings>" entries "</oemStrings></sysinfo>")
#define OEM(name, value) "<entry>io.systemd.credential.binary:gdrfleet." name "=" value "</entry>"

static void
a_template_waits_for_the_next_start(void **state)
{
	(void)state;
	compare(STRINGS(OEM("guest", "YQ==") OEM("nccl-topology", "Yg==")),
		STRINGS(OEM("nccl-topology", "Yg==") OEM("guest", "YQ==")));
	assert_int_equal(found.n, 0);
	compare(STRINGS(OEM("guest", "YQ==") OEM("nccl-topology", "Yg==")), STRINGS(OEM("guest", "YQ==")));
	assert_int_equal(found.n, 1);
	assert_string_equal(found.list[0].path,
			    "sysinfo/oemStrings/entry[io.systemd.credential.binary:gdrfleet.nccl-topology]");
	compare_as(STRINGS(OEM("guest", "YQ==") OEM("nccl-topology", "Yg==")), STRINGS(OEM("guest", "YQ==")), true);
	assert_int_equal(found.n, 0);
	compare_as(STRINGS(OEM("guest", "YQ==")), STRINGS(OEM("guest", "YQ==") OEM("nccl-topology", "Yg==")), true);
	assert_int_equal(found.n, 0);
	compare_as(STRINGS(OEM("guest", "YQ==")), STRINGS(OEM("guest", "Yw==") OEM("nccl-topology", "Yg==")), true);
	assert_int_equal(found.n, 1);
}

static void
what_is_no_definition_is_refused(void **state)
{
	static const char *const bad[] = { "", "no xml", "<network/>", "<domain>",
					   "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(vm_compare(DOMAIN(""), bad[i], false, &found, &err) < 0);
		assert_non_null(strstr(err.msg, "existing"));
		assert_true(vm_compare(bad[i], DOMAIN(""), false, &found, &err) < 0);
		assert_non_null(strstr(err.msg, "wanted"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_libvirt_rewrites_is_no_difference, teardown),
		cmocka_unit_test_teardown(what_libvirt_adds_is_no_difference, teardown),
		cmocka_unit_test_teardown(what_somebody_changed_is_one, teardown),
		cmocka_unit_test_teardown(what_somebody_added_is_one, teardown),
		cmocka_unit_test_teardown(devices_are_known_by_their_address_on_the_host, teardown),
		cmocka_unit_test_teardown(a_running_domain_has_another_cpu_model, teardown),
		cmocka_unit_test_teardown(a_secret_is_not_told, teardown),
		cmocka_unit_test_teardown(a_template_waits_for_the_next_start, teardown),
		cmocka_unit_test_teardown(what_is_no_definition_is_refused, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
