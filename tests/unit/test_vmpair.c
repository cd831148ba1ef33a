/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/vmpair.h"

/* Two switches on two nodes: 01 has GPU 48 and the port 3f, 02 has GPU 8c and the port 93. */
static const char host[] =
	"pci:\n"
	"- {address: '0000:01:00.0', kind: root-port}\n"
	"- {address: '0000:02:00.0', kind: upstream-port, parent: '0000:01:00.0'}\n"
	"- {address: '0000:03:00.0', kind: downstream-port, parent: '0000:02:00.0'}\n"
	"- {address: '0000:03:01.0', kind: downstream-port, parent: '0000:02:00.0'}\n"
	"- {address: '0000:48:00.0', kind: gpu, parent: '0000:03:00.0', numa_node: 0}\n"
	"- {address: '0000:3f:00.0', kind: nic, parent: '0000:03:01.0', numa_node: 0, max_vfs: 8, vf_offset: 2, "
	"vf_stride: 1}\n"
	"- {address: '0000:81:00.0', kind: root-port}\n"
	"- {address: '0000:8c:00.0', kind: gpu, parent: '0000:81:00.0', numa_node: 1}\n"
	"- {address: '0000:82:00.0', kind: root-port, parent: '0000:82:00.0'}\n" /* A ring. */
	"- {address: '0000:93:00.2', kind: nic, parent: '0000:82:00.0', numa_node: 1, physfn: '0000:93:00.0'}\n";

#define GPU48(cell, group) "- {host: '0000:48:00.0', kind: gpu, cell: " cell ", group: " group "}\n"
#define VF3F(cell, group)  "- {host: '0000:3f:00.3', kind: nic, cell: " cell ", group: " group "}\n"
#define GPU8C(cell, group) "- {host: '0000:8c:00.0', kind: gpu, cell: " cell ", group: " group "}\n"
#define VF93(cell, group)  "- {host: '0000:93:00.2', kind: nic, cell: " cell ", group: " group "}\n"

static ProtobufCMessage *
parsed(const ProtobufCMessageDescriptor *type, const char *text)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	if (pbtext_parse(type, "test", text, strlen(text), &message, &err) < 0)
		fail_msg("%s", err.msg);
	return message;
}

static bool file; /* The guest has one. */

/* "48-3f PIX/PIX WHY" a line; '-' for a distance that is not known. */
static void
assert_pairs(const char *vm_text, bool with_host, const char *want)
{
	auto_pb Gdr__Vm *vm = (Gdr__Vm *)parsed(&gdr__vm__descriptor, vm_text);
	auto_pb Gdr__Inventory *inventory = (Gdr__Inventory *)parsed(&gdr__inventory__descriptor, host);
	auto_buf struct buf out = { 0 };
	size_t n;
	auto_free struct vmpair *pairs = vmpair_list(vm, with_host ? inventory : NULL, &n);

	for (size_t i = 0; i < n; i++) {
		auto_free char *why = vmpair_why(&pairs[i], file);

		buf_printf(&out, "%.2s-%.2s %s/%s%s%s\n", pairs[i].gpu->host + 5, pairs[i].nic->host + 5,
			   pairs[i].known ? nccltopo_distance_name(pairs[i].host) : "-",
			   nccltopo_distance_name(pairs[i].guest), why ? " " : "", why ? why : "");
	}
	assert_string_equal(out.text ? out.text : "", want);
}

static void
near_pairs_stay_near_on_q35(void **state)
{
	(void)state;
	assert_pairs("machine: q35\ndevices:\n" GPU48("0", "a") VF3F("0", "a") GPU8C("1", "b") VF93("1", "c"), true,
		     "48-3f PIX/PIX\n"
		     "48-93 SYS/SYS\n"
		     "8c-3f SYS/SYS\n"
		     "8c-93 PHB/PHB\n");
}

static void
what_was_lost_says_where(void **state)
{
	(void)state;
	assert_pairs(
		"machine: i440fx\ndevices:\n" GPU48("0", "a") VF3F("0", "a"), true,
		"48-3f PIX/PHB i440fx has no switches: lost without the topology file, PIX with it; the guest does "
		"not have it\n");
	file = true;
	assert_pairs("machine: i440fx\ndevices:\n" GPU48("0", "a") VF3F("0", "a"), true,
		     "48-3f PIX/PHB i440fx has no switches: lost without the topology file, PIX with it\n");
	file = false;
	assert_pairs("machine: q35\ndevices:\n" GPU48("0", "a") VF3F("0", "b"), true,
		     "48-3f PIX/PHB the definition puts them below different switches, a and b\n");
	assert_pairs("machine: q35\ndevices:\n" GPU48("0", "a") VF3F("1", "''"), true,
		     "48-3f PIX/SYS the definition puts them into different cells, 0 and 1\n");
	assert_pairs("machine: q35\ndevices:\n" GPU8C("0", "a") VF93("1", "b"), true,
		     "8c-93 PHB/SYS the definition puts them into different cells, 0 and 1\n");
}

static void
what_was_gained_is_no_gift(void **state)
{
	(void)state;
	assert_pairs("machine: q35\ndevices:\n" GPU8C("1", "a") VF93("1", "a"), true,
		     "8c-93 PHB/PIX the guest says nearer than it is: on the host no switch is above both (PHB)\n");
}

static void
what_the_host_does_not_show_is_not_known(void **state)
{
	(void)state;
	assert_pairs("devices:\n" GPU48("0", "a") "- {host: '0000:3f:01.3', kind: nic, cell: 0, group: a}\n", true,
		     "48-3f -/PIX\n");
	assert_pairs("devices:\n" GPU48("0", "a") VF3F("0", "a"), false, "48-3f -/PIX\n");
	assert_pairs("devices:\n- {kind: nvswitch}\n- {}\n", true, "");
	assert_pairs("{}", true, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_pairs_stay_near_on_q35),
		cmocka_unit_test(what_was_lost_says_where),
		cmocka_unit_test(what_was_gained_is_no_gift),
		cmocka_unit_test(what_the_host_does_not_show_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
