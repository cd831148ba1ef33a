/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/layers/vm_devices.h"

/* iproute2 6.1, and 4.15. */
static const char new_style[] =
	"6: enp63s0f0np0: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc mq state UP mode DEFAULT group default qlen 1000\n"
	"    link/ether 04:3f:72:3f:00:00 brd ff:ff:ff:ff:ff:ff\n"
	"    vf 0     link/ether 02:67:64:5C:0e:74 brd ff:ff:ff:ff:ff:ff, vlan 100, spoof checking off, trust off\n"
	"    vf 1     link/ether 00:00:00:00:00:00 brd ff:ff:ff:ff:ff:ff, spoof checking off, link-state auto\n"
	"    vf 10     link/ether 02:67:64:00:00:10 brd ff:ff:ff:ff:ff:ff, vlan 7\n";
static const char old_style[] =
	"6: ens1f0: <BROADCAST> mtu 1500\n    link/ether 04:3f:72:3f:00:00 brd ff:ff:ff:ff:ff:ff\n"
	"    vf 0 MAC 02:67:64:00:00:01, vlan 4, spoof checking off\n";

static void
expect_vf(const char *text, unsigned vf, const char *mac, unsigned vlan)
{
	char found[18];
	unsigned tag = 99;

	assert_true(vm_vf_parse(text, vf, found, &tag));
	assert_string_equal(found, mac);
	assert_int_equal(tag, vlan);
}

static void
reads_what_ip_says_of_vfs(void **state)
{
	(void)state;
	expect_vf(new_style, 0, "02:67:64:5c:0e:74", 100);
	expect_vf(new_style, 1, "00:00:00:00:00:00", 0);
	expect_vf(new_style, 10, "02:67:64:00:00:10", 7);
	expect_vf(old_style, 0, "02:67:64:00:00:01", 4);
}

static void
knows_what_is_not_there(void **state)
{
	static const char *const bad[] = {
		"", "vf 0", "vf 0 ", "vf 0 link/ether", "vf 0 link/ether 02:67", "xvf 0 MAC 02:67:64:00:00:01"
	};
	char mac[18];
	unsigned vlan;

	(void)state;
	assert_false(vm_vf_parse(new_style, 2, mac, &vlan));
	assert_false(vm_vf_parse(old_style, 1, mac, &vlan));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(vm_vf_parse(bad[i], 0, mac, &vlan));
}

static void
tells_its_items_from_those_of_vms(void **state)
{
	(void)state;
	assert_true(vm_devices_own("0000:3f:00.0/vfs"));
	assert_true(vm_devices_own("0000:3f:00.2/driver"));
	assert_false(vm_devices_own("sim1-gpu0/driver"));
	assert_false(vm_devices_own("sim1-gpu0/0000:3f:00.0"));
	assert_false(vm_devices_own("0000:3f:00.2"));
	assert_false(vm_devices_own("libvirt"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_ip_says_of_vfs),
		cmocka_unit_test(knows_what_is_not_there),
		cmocka_unit_test(tells_its_items_from_those_of_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
