/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fleet_world.h"

#define KEY_HOST  "1111111111111111111111111111111111111111"
#define KEY_OTHER "2222222222222222222222222222222222222222"
#define KEY_GUEST "3333333333333333333333333333333333333333"
#define KEY_NEW   "4444444444444444444444444444444444444444"

#define UUID "aaaaaaaa-0000-4000-8000-00000000000a"

#define PROFILE(mtu)                                                                                              \
	"{name: p, spec: {hugepages: {size: 1G, count: 4}, guest: {link: [{match: {driver: mlx5_core}, mtu: " mtu \
	"}]}}}"
#define VM(state, key) ", vms: [{name: gpu0, uuid: " UUID ", state: " state ", guest_key: \"" key "\"}]"

/* Host n1 of a profile that says how its guests are, settled in boot b1, with one VM. */
static int
make(void **state)
{
	if (world_set_up(state) != 0)
		return -1;
	struct world *w = *state;
	world_does(w, "apply: {profiles: [" PROFILE("9000") "]}", "profile/p created");
	world_settled(w, "n1", KEY_HOST);
	world_does(w, "node_label: {of: {names: [n1]}, set: {rack: r7}}", "node/n1 labelled");
	return 0;
}

static void
host_says(struct world *w, const char *vms)
{
	world_report(w, "n1", world_node(w, "n1")->generation, "b1", "settled", vms);
	world_commit(w);
}

static void
guest_says(struct world *w, const char *outcome, const char *more)
{
	world_report(w, "n1/gpu0", world_node(w, "n1/gpu0")->generation, "g1", outcome, more);
	world_commit(w);
}

/* The guest has joined and is as wanted. */
static void
join(struct world *w)
{
	host_says(w, VM("running", KEY_GUEST));
	world_hello(w, "n1/gpu0", 0, "g1");
	guest_says(w, "settled", ", inventory: {product_uuid: " UUID "}");
	world_state(w, "n1/gpu0", "ready");
	world_state(w, "n1", "ready");
}

/* --- coming and going ---------------------------------------------------------------------------------------- */

static void
a_guest_is_there_as_long_as_its_host_reports_it(void **state)
{
	struct world *w = *state;

	host_says(w, VM("running", KEY_GUEST));
	assert_string_equal(keyring_find(w->keyring, KEY_GUEST)->name, "n1/gpu0");
	assert_ptr_equal(world_node(w, "n1/gpu0")->host, world_node(w, "n1"));
	assert_int_equal(fleet_size(w->fleet), 2);
	assert_int_equal(fleet_hosts(w->fleet), 1);
	world_restart(w);
	assert_string_equal(keyring_find(w->keyring, KEY_GUEST)->name, "n1/gpu0");
	world_hello(w, "n1", 1, "b1");
	host_says(w, VM("running", KEY_NEW));
	assert_null(keyring_find(w->keyring, KEY_GUEST));
	assert_string_equal(keyring_find(w->keyring, KEY_NEW)->name, "n1/gpu0");
	host_says(w, "");
	assert_null(fleet_node(w->fleet, "n1/gpu0"));
	assert_null(keyring_find(w->keyring, KEY_NEW));
	assert_int_equal(fleet_hosts(w->fleet), 1);
	world_state(w, "n1", "ready");
}

static void
a_removed_host_takes_its_guests_along(void **state)
{
	struct world *w = *state;

	join(w);
	world_does(w, "node_remove: {of: {names: [n1]}}", "node/n1 removed");
	assert_null(fleet_node(w->fleet, "n1/gpu0"));
	assert_null(keyring_find(w->keyring, KEY_GUEST));
	assert_int_equal(fleet_size(w->fleet), 0);
	world_restart(w);
	assert_int_equal(fleet_size(w->fleet), 0);
}

/* Whatever a host says, it speaks for names below its own, and takes nobody's key away. */
static void
a_host_is_trusted_for_its_own_guests_alone(void **state)
{
	struct world *w = *state;

	world_does(w, "node_accept: {key: \"" KEY_OTHER "\", name: n2}", "");
	host_says(w, ", vms: [{name: ../n2, uuid: " UUID ", guest_key: \"" KEY_GUEST
		     "\"}, {name: a/b}, {name: N2}, {uuid: x}]");
	assert_int_equal(fleet_size(w->fleet), 2);
	host_says(w, VM("running", KEY_OTHER));
	assert_string_equal(keyring_find(w->keyring, KEY_OTHER)->name, "n2");
	world_state(w, "n1/gpu0", "new: its host has given it no key that is its own");
	host_says(w, VM("running", KEY_HOST));
	assert_string_equal(keyring_find(w->keyring, KEY_HOST)->name, "n1");
	host_says(w, VM("running", "short"));
	assert_null(world_node(w, "n1/gpu0")->key);
}

static void
there_is_an_end_to_the_guests_of_a_host(void **state)
{
	struct world *w = *state;
	auto_buf struct buf vms = { 0 };

	buf_printf(&vms, ", vms: [");
	for (int i = 0; i < 100; i++)
		buf_printf(&vms, "%s{name: v%d, uuid: " UUID "}", i ? ", " : "", i);
	buf_printf(&vms, "]");
	host_says(w, vms.text);
	assert_int_equal(world_node(w, "n1")->n_guests, 64);
}

/* A guest that reports VMs, as hosts do, brings nobody in. */
static void
a_guest_has_no_guests(void **state)
{
	struct world *w = *state;

	join(w);
	guest_says(w, "settled", VM("running", KEY_NEW));
	assert_int_equal(fleet_size(w->fleet), 2);
	assert_null(keyring_find(w->keyring, KEY_NEW));
}

/* --- what it should be --------------------------------------------------------------------------------------- */

static void
what_is_wanted_is_parted(void **state)
{
	struct world *w = *state;

	join(w);
	auto_pb Gdr__Desired *host = fleet_desired(w->fleet, world_node(w, "n1"));
	auto_pb Gdr__Desired *guest = fleet_desired(w->fleet, world_node(w, "n1/gpu0"));
	assert_non_null(host->spec->hugepages);
	assert_null(host->spec->guest);
	assert_null(guest->spec->hugepages);
	assert_int_equal(guest->spec->guest->link[0]->mtu, 9000);
	assert_string_equal(guest->node, "n1/gpu0");
	assert_string_equal(guest->profile, "p@1");
	assert_int_equal(guest->mode, GDR__MODE__MODE_ENFORCE);
}

/* Each has a generation of its own, which rises with its own part. */
static void
a_change_inside_is_none_of_the_host(void **state)
{
	struct world *w = *state;

	join(w);
	uint64_t host = world_node(w, "n1")->generation;
	uint64_t guest = world_node(w, "n1/gpu0")->generation;
	world_does(w, "apply: {profiles: [" PROFILE("4200") "]}", "profile/p configured");
	world_does(w, "node_assign: {of: {names: [n1]}, profile: p}", "node/n1 assigned");
	world_sends(w, "n1/gpu0+");
	assert_int_equal(world_node(w, "n1")->generation, host);
	assert_int_equal(world_node(w, "n1/gpu0")->generation, guest + 1);
	world_state(w, "n1", "converging: guest gpu0: generation 2 has not been measured yet");
	guest_says(w, "settled", "");
	world_state(w, "n1", "ready");
	world_does(w, "node_mode: {of: {names: [n1]}, mode: audit}", "node/n1 set");
	assert_int_equal(world_node(w, "n1/gpu0")->mode, GDR__MODE__MODE_AUDIT);
}

/* --- how they are -------------------------------------------------------------------------------------------- */

static void
a_host_is_ready_when_its_guests_are(void **state)
{
	struct world *w = *state;

	host_says(w, VM("running", KEY_GUEST));
	world_state(w, "n1", "converging: guest gpu0: it has never connected");
	join(w);
	guest_says(w, "stuck", ", why: \"link: ens3/ring.rx: want 8192, have 1024\"");
	world_state(w, "n1", "stuck: guest gpu0: link: ens3/ring.rx: want 8192, have 1024");
	guest_says(w, "settled", "");
	world_state(w, "n1", "ready");
	world_lease(w, "n1", 1, "b1", NULL);
	world_tick(w, 2000);
	world_lease(w, "n1", 1, "b1", NULL);
	world_tick(w, 2000);
	world_state(w, "n1/gpu0", "lost: its agent does not report");
	world_state(w, "n1", "stuck: guest gpu0: its agent does not report");
}

static void
a_vm_that_is_meant_to_be_off_is_not_waited_for(void **state)
{
	struct world *w = *state;

	join(w);
	host_says(w, VM("crashed", KEY_GUEST));
	world_state(w, "n1", "stuck: guest gpu0: its VM is crashed");
	host_says(w, VM("shutoff", KEY_GUEST));
	world_state(w, "n1/gpu0", "held: its VM is shut off");
	world_state(w, "n1", "ready");
}

static void
another_machine_with_its_key_is_noticed(void **state)
{
	struct world *w = *state;

	join(w);
	guest_says(w, "settled", ", inventory: {product_uuid: AAAAAAAA-0000-4000-8000-00000000000A}");
	world_state(w, "n1", "ready"); /* Case is none of it. */
	guest_says(w, "settled", ", inventory: {product_uuid: bbbbbbbb-0000-4000-8000-00000000000b}");
	world_state(
		w, "n1/gpu0",
		"stuck: it speaks from a machine with UUID bbbbbbbb-0000-4000-8000-00000000000b, its VM's is " UUID);
	world_state(w, "n1",
		    "stuck: guest gpu0: it speaks from a machine with UUID bbbbbbbb-0000-4000-8000-00000000000b, "
		    "its VM's is " UUID);
}

/* Nobody grants it, and it fills no log. */
static void
a_guest_that_wants_to_reboot_harms_nobody(void **state)
{
	struct world *w = *state;

	join(w);
	guest_says(w, "wants-reboot", ", why: me");
	world_tick(w, 1000);
	world_commit(w);
	assert_null(world_node(w, "n1/gpu0")->grant_boot);
	for (int i = 0; i < 100; i++) {
		auto_free char *boot = xasprintf("boot-%d", i);

		world_report(w, "n1/gpu0", 1, boot, i % 2 ? "stuck" : "settled", "");
		world_commit(w);
	}
	assert_in_range(world_count_events(w, "node.rebooted") + world_count_events(w, "node.stuck"), 1, 70);
}

/* Each once, however often it is reported; and there is an end to it. */
static void
what_its_agent_mended_is_an_event(void **state)
{
	static const char mended[] =
		", mended: [{layer: link, key: ens1/ring.rx, had: '1024', have: '8192', at_ms: 1}%s]";
	struct world *w = *state;
	auto_free char *one = xasprintf(mended, "");
	auto_free char *two = xasprintf(mended,
					", {layer: link, key: ens1/ring.rx, had: '512', have: '8192', at_ms: 9}");

	join(w);
	guest_says(w, "settled", one);
	guest_says(w, "settled", one);
	assert_int_equal(world_count_events(w, "node.mended"), 1);
	guest_says(w, "settled", two);
	guest_says(w, "settled", two);
	assert_int_equal(world_count_events(w, "node.mended"), 2);
	for (int i = 0; i < 100; i++)
		guest_says(w, "settled", i % 2 ? one : "");
	assert_in_range(world_count_events(w, "node.mended"), 3, 40);
}

/* --- operators ----------------------------------------------------------------------------------------------- */

static void
what_is_done_to_hosts_is_not_done_to_guests(void **state)
{
	struct world *w = *state;

	join(w);
	world_refuses(w, "node_mode: {of: {names: [n1/gpu0]}, mode: hold}", -EINVAL, "is a guest");
	world_refuses(w, "node_remove: {of: {names: [n1, n1/gpu0]}}", -EINVAL, "name that one");
	world_does(w, "node_mode: {of: {selector: rack=r7}, mode: hold}", "node/n1 set");
	auto_free char *exported = world_answer(w, "export: {}");
	assert_null(strstr(exported, "gpu0"));
	auto_free char *profiles = world_answer(w, "profiles: {}");
	assert_non_null(strstr(profiles, "nodes: 1\n"));
}

static void
queries_know_guests(void **state)
{
	struct world *w = *state;
	auto_pb Gdr__Response *nodes = NULL;
	auto_pb Gdr__Response *status = NULL;

	world_does(w, "node_accept: {key: \"" KEY_OTHER "\", name: n1-b}", "");
	join(w);
	assert_int_equal(world_ask(w, "nodes: {}", &nodes), 0);
	assert_int_equal(nodes->n_nodes, 3);
	assert_string_equal(nodes->nodes[1]->name, "n1/gpu0");
	assert_string_equal(nodes->nodes[1]->labels[0]->value, "r7");
	assert_string_equal(nodes->nodes[2]->name, "n1-b");
	assert_int_equal(nodes->nodes[0]->n_guests, 1);
	assert_string_equal(nodes->nodes[0]->guests[0]->name, "n1/gpu0");
	assert_int_equal(world_ask(w, "status: {of: {selector: rack=r7}}", &status), 0);
	assert_int_equal(status->status->nodes, 1);
	assert_int_equal(status->status->guests, 1);
	assert_int_equal(status->status->guests_ready, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, world_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_is_there_as_long_as_its_host_reports_it),
		TEST(a_removed_host_takes_its_guests_along),
		TEST(a_host_is_trusted_for_its_own_guests_alone),
		TEST(there_is_an_end_to_the_guests_of_a_host),
		TEST(a_guest_has_no_guests),
		TEST(what_is_wanted_is_parted),
		TEST(a_change_inside_is_none_of_the_host),
		TEST(a_host_is_ready_when_its_guests_are),
		TEST(a_vm_that_is_meant_to_be_off_is_not_waited_for),
		TEST(another_machine_with_its_key_is_noticed),
		TEST(a_guest_that_wants_to_reboot_harms_nobody),
		TEST(what_its_agent_mended_is_an_event),
		TEST(what_is_done_to_hosts_is_not_done_to_guests),
		TEST(queries_know_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
