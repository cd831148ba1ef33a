/* Links: ctl */

#include "tests/unit/test_ctl_world.h"

#include <sys/stat.h>
#include <time.h>

#define GOLDEN(name) TESTS_DIR "/golden/ctl/" name

#define OK "code: ok\n"
#define N1                                                                                                  \
	"- name: n1\n  state: ready\n  since_ms: 1789999900000\n  labels: {rack: r7, gpu: a100}\n"          \
	"  profile: vela-a100@3\n  mode: enforce\n  generation: 7\n  observed_generation: 7\n"              \
	"  layers:\n  - {name: bios, right: 5}\n  - {name: kernel, right: 4}\n  - {name: pci, right: 14}\n" \
	"  reboots_used: 2\n  reboot_budget: 3\n  boot_id: 0d6c1a52-96a7-4d6c-9a6e-3f1a0f6f6f10\n"          \
	"  seen_ms: 1789999997000\n  version: 0.1.0\n"
#define N2                                                                                                      \
	"- name: n2\n  state: stuck\n  since_ms: 1789992000000\n  profile: vela-a100@3\n"                       \
	"  why: \"bios: above_4g is off\\e[31m\"\n  remedy: \"switch it on in the set-up menu\\nand reboot\"\n" \
	"  generation: 7\n  observed_generation: 6\n"                                                           \
	"  layers:\n  - {name: bios, right: 4, wrong: 1, worst: manual}\n  - {name: kernel, failed: true}\n"    \
	"  - {name: pci, right: 12, wrong: 2, worst: live}\n"                                                   \
	"  reboots_used: 0\n  reboot_budget: 3\n"
#define PENDING                                                                                          \
	"- name: 3f2a-91c0-77de-1b04\n  state: pending\n  why: an unknown key from 10.0.0.7, 12 tries\n" \
	"  since_ms: 1789999940000\n  address: 10.0.0.7\n  key: \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n"
#define CHANGED(object) OK "changes: [{object: " object ", done: configured, detail: generation 8}]\n"

static void
lists_of_nodes_in_every_format(void **state)
{
	struct world world = { .answers = { OK "nodes:\n" N1 N2 PENDING } };

	(void)state;
	assert_int_equal(world_run(&world, "node list"), 0);
	assert_golden(GOLDEN("node-list.txt"), world.out);
	assert_has_not(world.out, "\033");
	assert_int_equal(world_run(&world, "node list -o wide"), 0);
	assert_golden(GOLDEN("node-list-wide.txt"), world.out);
	assert_int_equal(world_run(&world, "node list -o json"), 0);
	assert_golden(GOLDEN("node-list.json"), world.out);
	assert_int_equal(world_run(&world, "node list -o yaml"), 0);
	assert_golden(GOLDEN("node-list.yaml"), world.out);
	assert_int_equal(world_run(&world, "node list -o name"), 0);
	assert_string_equal(world.out, "node/n1\nnode/n2\nnode/3f2a-91c0-77de-1b04\n");
	world_close(&world);
}

static void
colours_are_for_terminals(void **state)
{
	struct world world = { .answers = { OK "nodes:\n" N1 }, .ctl.out_tty = true };

	(void)state;
	(void)unsetenv("NO_COLOR");
	assert_int_equal(world_run(&world, "node list"), 0);
	assert_has(world.out, "\033[32mready\033[0m");
	assert_int_equal(world_run(&world, "node list --no-color"), 0);
	assert_has_not(world.out, "\033");
	(void)setenv("NO_COLOR", "1", 1);
	assert_int_equal(world_run(&world, "node list"), 0);
	assert_has_not(world.out, "\033");
	(void)unsetenv("NO_COLOR");
	world_close(&world);
}

/* Whatever a node says, no format hands a terminal its control characters. */
static void
escape_sequences_stay_away_from_terminals(void **state)
{
	static const char *const formats[] = { "table", "wide", "json", "yaml", "name" };
	struct world world = { .answers = { OK "nodes:\n- {name: \"n\\e[2J\\x9b\", why: \"\\u009b2J\\u202e\"}\n" },
			       .ctl.out_tty = true };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		auto_free char *line = xasprintf("node list --no-color -o %s", formats[i]);

		assert_int_equal(world_run(&world, line), 0);
		assert_has_not(world.out, "\033");
		assert_has_not(world.out, "\xc2\x9b");
		assert_has_not(world.out, "\xe2\x80\xae");
	}
	world_close(&world);
}

static void
an_empty_list_is_still_a_list(void **state)
{
	struct world world = { .answers = { OK } };

	(void)state;
	assert_int_equal(world_run(&world, "node list"), 0);
	assert_string_equal(world.out ? world.out : "", "");
	assert_string_equal(world.diag, "no nodes\n");
	assert_int_equal(world_run(&world, "node list -o json"), 0);
	assert_string_equal(world.out, "{\n  \"nodes\": []\n}\n");
	assert_int_equal(world_run(&world, "node list -o yaml"), 0);
	assert_string_equal(world.out, "nodes: []\n");
	world_close(&world);
}

static void
a_query_says_what_was_asked(void **state)
{
	struct world world = { .answers = { OK } };

	(void)state;
	assert_int_equal(world_run(&world, "node list -l rack=r7 --state stuck,wants-reboot --layer pci --item */acs"),
			 0);
	assert_string_equal(
		world.asked.text,
		"{\"nodes\": {\"of\": {\"selector\": \"rack=r7\"}, \"states\": [\"stuck\", \"wants-reboot\"], "
		"\"layer\": \"pci\", \"item\": \"*/acs\"}}\n");
	assert_int_equal(world_run(&world, "node list n1 node/n2"), 0);
	assert_string_equal(world.asked.text, "{\"nodes\": {\"of\": {\"names\": [\"n1\", \"n2\"]}}}\n");
	assert_int_equal(world_run(&world, "node list n1 -l rack=r7"), CTL_USAGE);
	assert_int_equal(world_run(&world, "node hold"), CTL_USAGE);
	assert_has(world.diag, "which nodes?");
	world_close(&world);
}

static void
a_node_in_full(void **state)
{
	static const char answer[] = OK
		"nodes:\n" N2
		"  report:\n    generation: 6\n    inventory: {product: 'HGX A100', cpus: 96, cpu_model: 'Xeon 8358',\n"
		"      memory: 1099511627776, os: Debian 12, kernel: 6.1.0, bios_vendor: AMI, bios_version: '2.1',\n"
		"      numa: [{id: 0}, {id: 1}], pci: [{address: '0000:17:00.0', kind: gpu}, {address: '0000:18:00.0', kind: nic}]}\n"
		"    layers:\n    - name: bios\n      items:\n"
		"      - {key: above_4g, want: 'on', have: 'off', fix: manual, since_ms: 1789992000000,\n"
		"         why: switch it on in the set-up menu}\n"
		"      - {key: iommu, want: 'on', have: 'on', fix: none}\n"
		"    - {name: kernel, error: 'cannot read /proc/cmdline'}\n";
	struct world world = { .answers = { answer } };

	(void)state;
	assert_int_equal(world_run(&world, "node show n2"), 0);
	assert_golden(GOLDEN("node-show.txt"), world.out);
	assert_has(world.asked.text, "\"detail\": true");
	assert_int_equal(world_run(&world, "node show n2 -o json"), 0);
	assert_has(world.out, "\"inventory\"");
	assert_int_equal(world_run(&world, "node show n2 -o name"), 0);
	assert_string_equal(world.out, "node/n2\n");
	world.answers[0] = OK;
	assert_int_equal(world_run(&world, "node show n2"), CTL_ERROR);
	assert_has(world.diag, "gdrctl: no node 'n2'");
	world_close(&world);
}

static void
changes_are_sent_and_shown(void **state)
{
	static const char *const runs[][2] = {
		{ "node label n1 n2 rack=r7 canary- a=b=c",
		  "{\"node_label\": {\"of\": {\"names\": [\"n1\", \"n2\"]}, \"set\": {\"a\": \"b=c\", \"rack\": \"r7\"}, "
		  "\"remove\": [\"canary\"]}}\n" },
		{ "node label -l rack=r7 leaf=l3",
		  "{\"node_label\": {\"of\": {\"selector\": \"rack=r7\"}, \"set\": {\"leaf\": \"l3\"}}}\n" },
		{ "node hold n1 -m new~disk",
		  "{\"node_mode\": {\"of\": {\"names\": [\"n1\"]}, \"mode\": \"hold\", \"why\": \"new disk\"}}\n" },
		{ "node audit n1", "{\"node_mode\": {\"of\": {\"names\": [\"n1\"]}, \"mode\": \"audit\"}}\n" },
		{ "node release -l x", "{\"node_mode\": {\"of\": {\"selector\": \"x\"}, \"mode\": \"enforce\"}}\n" },
		{ "node assign n1 vela-a100@3",
		  "{\"node_assign\": {\"of\": {\"names\": [\"n1\"]}, \"profile\": \"vela-a100@3\"}}\n" },
		{ "node assign profile/vela-a100 -l rack=r7",
		  "{\"node_assign\": {\"of\": {\"selector\": \"rack=r7\"}, \"profile\": \"vela-a100\"}}\n" },
		{ "node accept node/3f2a --name n17", "{\"node_accept\": {\"key\": \"3f2a\", \"name\": \"n17\"}}\n" },
		{ "node reject 3f2a", "{\"node_reject\": {\"key\": \"3f2a\"}}\n" },
		{ "node remove n1 --yes", "{\"node_remove\": {\"of\": {\"names\": [\"n1\"]}}}\n" },
		{ "node reboot n1 -y -m kernel",
		  "{\"node_reboot\": {\"of\": {\"names\": [\"n1\"]}, \"why\": \"kernel\"}}\n" },
		{ "user remove user/alice", "{\"user_remove\": {\"name\": \"alice\"}}\n" },
		{ "user add ci --role viewer --key rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
		  "{\"user_add\": {\"name\": \"ci\", \"key\": \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\", "
		  "\"role\": \"viewer\"}}\n" },
	};
	struct world world = { .answers = { CHANGED("node/n1") } };

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		assert_int_equal(world_run(&world, runs[i][0]), 0);
		assert_string_equal(world.asked.text, runs[i][1]);
		assert_string_equal(world.out, "node/n1  configured  generation 8\n");
	}
	assert_int_equal(world_run(&world, "node hold n1 -o name"), 0);
	assert_string_equal(world.out, "node/n1\n");
	assert_int_equal(world_run(&world, "node label n1"), CTL_USAGE);
	assert_int_equal(world_run(&world, "node assign vela-a100"), CTL_USAGE);
	assert_int_equal(world_run(&world, "user add ci --key x --role viewer"), CTL_USAGE);
	assert_int_equal(world_run(&world, "user add ci --role viewer"), CTL_USAGE);
	assert_int_equal(world_run(&world, "user add ci --role viewr --key x"), CTL_USAGE);
	world_close(&world);
}

static void
what_cannot_be_undone_is_asked(void **state)
{
	struct world world = { .answers = { OK "nodes:\n" N1 N2, CHANGED("node/n1") },
			       .ctl.in_tty = true,
			       .in = "y\n" };

	(void)state;
	assert_int_equal(world_run(&world, "node remove -l rack=r7"), 0);
	assert_has(world.diag, "2 nodes (n1, n2)? [y/N]");
	/* What was confirmed is what is done, whatever the selector fits by then. */
	assert_has(world.asked.text, "{\"node_remove\": {\"of\": {\"names\": [\"n1\", \"n2\"]}}}");
	world.in = "\n";
	world.next = 0;
	assert_int_equal(world_run(&world, "node reboot n1 n2"), CTL_ERROR);
	assert_has_not(world.asked.text, "node_reboot");
	world.ctl.in_tty = false;
	assert_int_equal(world_run(&world, "node remove n1"), CTL_USAGE);
	assert_has(world.diag, "--yes");
	assert_int_equal(world.asked.len, 0);
	world_close(&world);
}

static void
codes_of_answers_are_exit_codes(void **state)
{
	static const char *const answers[] = { "error", "usage", "unmet", "timeout", "not-allowed", "no-controller" };

	(void)state;
	for (int i = 0; i < 6; i++) {
		auto_free char *answer = xasprintf("code: %s\nmessage: \"why\\nnot\\e[0m\"\n", answers[i]);
		struct world world = { .answers = { answer } };

		assert_int_equal(world_run(&world, "node list"), i + 1);
		assert_string_equal(world.diag, "gdrctl: why not?[0m\n");
		world_close(&world);
	}
}

static void
no_controller_and_a_refused_key(void **state)
{
	struct world world = { .answers = { NO_ANSWER } };

	(void)state;
	assert_int_equal(world_run(&world, "node list"), CTL_NO_CONTROLLER);
	world.answers[0] = REFUSED_KEY;
	assert_int_equal(world_run(&world, "node list"), CTL_NOT_ALLOWED);
	world_close(&world);
}

#define STATUS(ready, stuck)                                                                \
	OK "status:\n  nodes: 12\n  connected: 11\n  open_grants: 1\n  max_rebooting: 10\n" \
	   "  version: 0.1.0\n  started_ms: 1789500000000\n  counts:\n"                     \
	   "  - {state: ready, nodes: " ready "}\n  - {state: stuck, nodes: " stuck "}\n"   \
	   "  - {state: pending, nodes: 1}\n"
#define ATTENTION                                                                                         \
	"  attention:\n  - {name: n2, state: stuck, since_ms: 1789992000000, why: bios above_4g is off, " \
	"remedy: switch it on}\n"

static void
status_in_one_screen(void **state)
{
	struct world world = { .answers = { STATUS("11", "1") ATTENTION } };

	(void)state;
	assert_int_equal(world_run(&world, "status"), CTL_UNMET);
	assert_golden(GOLDEN("status.txt"), world.out);
	assert_string_equal(world.diag ? world.diag : "", "");
	assert_int_equal(world_run(&world, "status -o json"), CTL_UNMET);
	assert_has(world.out, "\"connected\": 11");
	world.answers[0] = STATUS("12", "0");
	assert_int_equal(world_run(&world, "status"), 0);
	world.answers[0] = OK "status: {nodes: 0}\n";
	assert_int_equal(world_run(&world, "status"), CTL_UNMET);
	world_close(&world);
}

#define COUNTS(list) OK "status:\n  nodes: 2\n  counts: [" list "]\n"
#define READY        COUNTS("{state: ready, nodes: 2}")
#define AT_WORK      COUNTS("{state: ready, nodes: 1}, {state: rebooting, nodes: 1}")
#define ONE_STUCK    AT_WORK "  attention: [{name: n2, state: stuck, why: no SR-IOV, remedy: set it in the BIOS}]\n"

static void
waiting_ends_when_all_are_ready(void **state)
{
	struct world world = { .answers = { CHANGED("node/n1"), AT_WORK, NO_ANSWER, AT_WORK, READY }, .pauses = 10 };

	(void)state;
	assert_int_equal(world_run(&world, "node assign n1 n2 vela-a100 --wait"), 0);
	assert_string_equal(world.diag, "ready 1/2  rebooting 1\n"
					"the controller does not answer; trying again\n"
					"ready 1/2  rebooting 1\n"
					"ready 2/2\n");
	assert_has(world.asked.text, "{\"status\": {\"of\": {\"names\": [\"n1\", \"n2\"]}}}\n");
	assert_int_equal(world.elapsed_ms, 3000);
	world_close(&world);
}

static void
waiting_shows_a_bar_on_a_terminal(void **state)
{
	struct world world = { .answers = { AT_WORK, READY }, .pauses = 10, .ctl.diag_tty = true };

	(void)state;
	assert_int_equal(world_run(&world, "status --wait"), 0);
	assert_has(world.diag, "\r[##########..........] ready 1/2  rebooting 1\033[K");
	assert_has(world.diag, "\r[####################] ready 2/2\033[K\n");
	world_close(&world);
}

static void
waiting_ends_at_once_where_a_person_is_needed(void **state)
{
	struct world world = { .answers = { ONE_STUCK }, .pauses = 10 };

	(void)state;
	assert_int_equal(world_run(&world, "status --wait"), CTL_UNMET);
	assert_has(world.diag, "gdrctl: n2 is stuck: no SR-IOV; set it in the BIOS");
	assert_int_equal(world.elapsed_ms, 0);
	assert_int_equal(world_run(&world, "status --wait --keep-waiting --timeout 5s"), CTL_TIMEOUT);
	assert_has(world.diag, "timed out: 1 of 2 nodes are ready");
	/* What was seen before the change is no reason to give up. */
	world.answers[0] = AT_WORK "  attention: [{name: n2, state: stuck, generation: 8, observed_generation: 7}]\n";
	world.pauses = 10;
	assert_int_equal(world_run(&world, "status --wait --timeout 3s"), CTL_TIMEOUT);
	world_close(&world);
}

static void
waiting_times_out_without_a_controller(void **state)
{
	struct world world = { .answers = { NO_ANSWER }, .pauses = 100 };

	(void)state;
	assert_int_equal(world_run(&world, "status --wait --timeout 30s"), CTL_TIMEOUT);
	assert_int_equal(world.elapsed_ms, 30000);
	world.answers[0] = COUNTS("{state: pending, nodes: 3}");
	assert_int_equal(world_run(&world, "status --wait"), CTL_UNMET);
	assert_has(world.diag, "no nodes to wait for");
	world_close(&world);
}

static void
a_reboot_is_waited_for(void **state)
{
	struct world world = { .answers = { OK "nodes: [{name: n1, state: ready, boot_id: a}]\n", CHANGED("node/n1"),
					    OK "nodes: [{name: n1, state: ready, boot_id: a}]\n",
					    OK "nodes: [{name: n1, state: rebooting, boot_id: a}]\n",
					    OK "nodes: [{name: n1, state: converging, boot_id: b}]\n", AT_WORK, READY },
			       .pauses = 100 };

	(void)state;
	assert_int_equal(world_run(&world, "node reboot n1 --yes --wait"), 0);
	assert_has(world.diag, "rebooted 0/1\n");
	assert_has(world.diag, "ready 2/2\n");
	assert_int_equal(world.elapsed_ms, 4000);
	world_close(&world);
}

static void
a_watch_shows_what_changed(void **state)
{
	struct world world = { .answers = { OK "nodes:\n" N1 N2, OK "nodes:\n" N1 N2, NO_ANSWER,
					    OK "nodes:\n- {name: n1, state: lost}\n" N2 },
			       .pauses = 4 };

	(void)state;
	assert_int_equal(world_run(&world, "node list -w"), 0);
	assert_golden(GOLDEN("node-watch.txt"), world.out);
	assert_has(world.diag, "no connection; trying again");
	world.next = 0;
	world.pauses = 4;
	assert_int_equal(world_run(&world, "node list -w -o json"), 0);
	assert_golden(GOLDEN("node-watch.jsonl"), world.out);
	world_close(&world);
}

static void
a_watch_redraws_a_terminal(void **state)
{
	struct world world = { .answers = { STATUS("11", "1") }, .pauses = 1, .ctl.out_tty = true };

	(void)state;
	assert_int_equal(world_run(&world, "status -w --no-color"), 0);
	assert_has(world.out, "\033[H\033[2J12 nodes");
	assert_has(strstr(world.out, "12 nodes") + 1, "\033[H\033[2J12 nodes");
	world_close(&world);
}

#define EVENT(id, text)                                                                                        \
	"- {id: " id ", at_ms: 1790000000000, actor: user/alice, kind: node.assigned, object: node/n1, text: " \
	"\"" text "\"}\n"

static void
events_oldest_first(void **state)
{
	struct world world = { .answers = { OK "events:\n" EVENT("12", "to vela-a100@3") EVENT("11", "to\\nvela") } };

	(void)state;
	assert_int_equal(world_run(&world, "event list -n 20 --object node/n1"), 0);
	assert_golden(GOLDEN("event-list.txt"), world.out);
	assert_string_equal(world.asked.text,
			    "{\"events\": {\"limit\": 20, \"object\": \"node/n1\", \"newest\": true}}\n");
	world_close(&world);
}

static void
reboots_and_what_they_brought(void **state)
{
	struct world world = { .answers = { OK "events:\n"
					       "- {id: 7, kind: node.ready, text: after}\n"
					       "- {id: 1, kind: node.labelled, text: before}\n"
					       "- {id: 2, kind: node.wants-reboot, text: staged}\n"
					       "- {id: 3, kind: node.reboot-granted, text: reboot 1 of 2}\n"
					       "- {id: 4, kind: node.rebooted, text: back after 43 s}\n"
					       "- {id: 5, kind: node.stuck, text: brought}\n"
					       "- {id: 6, kind: node.labelled, text: later}\n" } };

	(void)state;
	assert_int_equal(world_run(&world, "node reboots n1 -o json"), 0);
	assert_has(world.asked.text, "\"object\": \"node/n1\", \"newest\": true");
	assert_has(world.out, "staged");
	assert_has(world.out, "reboot 1 of 2");
	assert_has(world.out, "back after 43 s");
	assert_has(world.out, "brought");
	assert_has_not(world.out, "before");
	assert_has_not(world.out, "later");
	assert_has_not(world.out, "\"after\"");
	world_close(&world);
}

/* Of a node that is there it is no error to have none. */
static void
no_reboots_of_what_never_was(void **state)
{
	struct world none = { .answers = { OK, OK "nodes: [{name: n1}]\n" } };
	struct world mistyped = { .answers = { OK, "code: error\nmessage: there is no node 'n9'\n" } };

	(void)state;
	assert_int_equal(world_run(&none, "node reboots n1"), 0);
	assert_has(none.diag, "no events");
	assert_int_equal(world_run(&mistyped, "node reboots n9"), CTL_ERROR);
	assert_has(mistyped.asked.text, "\"names\": [\"n9\"]");
	assert_has(mistyped.diag, "there is no node 'n9'");
	world_close(&none);
	world_close(&mistyped);
}

static void
event_watch_misses_none(void **state)
{
	struct world world = { .answers = { OK "events:\n" EVENT("11", "a") EVENT("12", "b"), OK, NO_ANSWER,
					    OK "events:\n" EVENT("12", "b") EVENT("13", "c"), OK },
			       .pauses = 5 };

	(void)state;
	assert_int_equal(world_run(&world, "event watch -o json"), 0);
	assert_golden(GOLDEN("event-watch.jsonl"), world.out);
	assert_has(world.asked.text, "{\"events\": {\"limit\": 10, \"newest\": true}}\n"
				     "{\"events\": {\"after\": 12, \"limit\": 1000}}\n");
	assert_has(world.asked.text, "{\"events\": {\"after\": 13, \"limit\": 1000}}\n");
	world.next = 0;
	world.pauses = 0;
	assert_int_equal(world_run(&world, "event watch --after 10"), 0);
	assert_has(world.asked.text, "{\"events\": {\"after\": 10, \"limit\": 1000}}\n");
	assert_int_equal(world_run(&world, "event watch --after x"), CTL_USAGE);
	world_close(&world);
}

static void
drift_by_number_of_nodes(void **state)
{
	struct world world = {
		.answers = { OK
			     "drift:\n"
			     "- {layer: pci, key: '0000:17:00.0/acs', want: '0x5d', have: '0x1d', fix: live, count: 1, nodes: [n1]}\n"
			     "- {layer: bios, key: above_4g, want: 'on', have: 'off', fix: manual, count: 30, nodes: [n2, n3]}\n" }
	};

	(void)state;
	assert_int_equal(world_run(&world, "drift"), CTL_UNMET);
	assert_golden(GOLDEN("drift.txt"), world.out);
	assert_int_equal(world_run(&world, "drift -o wide"), CTL_UNMET);
	assert_has(world.out, "n2,n3,...");
	world.answers[0] = OK;
	assert_int_equal(world_run(&world, "drift"), 0);
	world_close(&world);
}

/* --- VMs --- */

#define VM                                                                                                      \
	"vms:\n- node: n1\n  guest: ready\n  vm: {name: n1-gpu0, uuid: 0a1b, state: running, machine: i440fx, " \
	"devices: [{host: '0000:48:00.0', guest: '0000:dd:00.0', cell: 0, group: '0000:40:00.0', kind: gpu}, "  \
	"{host: '0000:3f:00.2', guest: '0000:dd:01.0', cell: 0, group: '0000:40:00.0', kind: nic}, "            \
	"{host: '0000:93:00.2', guest: '0000:8d:01.0', cell: 1, group: '0000:90:00.0', kind: nic}]}\n"

static void
vms_and_how_far_their_devices_are_apart(void **state)
{
	struct world world = { .answers = { OK VM } };

	(void)state;
	assert_int_equal(world_run(&world, "vm list n1"), 0);
	assert_string_equal(world.asked.text, "{\"vms\": {\"of\": {\"names\": [\"n1\"]}}}\n");
	assert_golden(GOLDEN("vm-list.txt"), world.out);
	assert_int_equal(world_run(&world, "vm list -o name"), 0);
	assert_string_equal(world.out, "vm/n1/n1-gpu0\n");
	world.answers[0] = OK VM
		"  pairs:\n  - {gpu: '0000:48:00.0', nic: '0000:3f:00.2', host: PIX, guest: PHB, file: PIX, why: i440fx}\n"
		"  - {gpu: '0000:48:00.0', nic: '0000:93:00.2', host: SYS, guest: SYS}\n";
	world.next = 0;
	assert_int_equal(world_run(&world, "vm show vm/n1/n1-gpu0"), 0);
	assert_string_equal(world.asked.text, "{\"vms\": {\"of\": {\"names\": [\"n1\"]}, \"vm\": \"n1-gpu0\", "
					      "\"detail\": true}}\n");
	assert_golden(GOLDEN("vm-show.txt"), world.out);
	assert_int_equal(world_run(&world, "vm show n1/n1-gpu0 -o json"), 0);
	assert_has(world.out, "\"why\": \"i440fx\"");
	assert_int_equal(world_run(&world, "vm show n1-gpu0"), CTL_USAGE);
	world.answers[0] = OK;
	assert_int_equal(world_run(&world, "vm show n1/x"), CTL_ERROR);
	world_close(&world);
}

#define REVISION(n, version)                                                                                        \
	"- {name: vela-a100, revision: " n ", hash: 0a1b, author: user/alice, created_ms: 1789900000000, nodes: " n \
	", comment: ticket " n ", profile: {name: vela-a100, spec: {kernel: {min_version: '" version "'}}}}\n"

static void
profiles(void **state)
{
	struct world world = { .answers = { OK "profiles:\n" REVISION("2", "6.1") REVISION("1", "5.15") } };

	(void)state;
	assert_int_equal(world_run(&world, "profile list"), 0);
	assert_golden(GOLDEN("profile-list.txt"), world.out);
	assert_int_equal(world_run(&world, "profile history vela-a100"), 0);
	assert_golden(GOLDEN("profile-history.txt"), world.out);
	assert_int_equal(world_run(&world, "profile show vela-a100"), 0);
	assert_golden(GOLDEN("profile-show.yaml"), world.out);
	assert_int_equal(world_run(&world, "profile show vela-a100@x"), CTL_USAGE);
	world.answers[0] = OK "profiles:\n" REVISION("1", "5.15");
	world.answers[1] = OK "profiles:\n" REVISION("2", "6.1");
	assert_int_equal(world_run(&world, "profile diff vela-a100@1 vela-a100"), CTL_UNMET);
	assert_golden(GOLDEN("profile-diff.txt"), world.out);
	assert_string_equal(world.asked.text, "{\"profiles\": {\"name\": \"vela-a100\", \"revision\": 1}}\n"
					      "{\"profiles\": {\"name\": \"vela-a100\"}}\n");
	assert_int_equal(world_run(&world, "profile diff vela-a100@2 vela-a100"), 0);
	world.answers[1] = OK;
	assert_int_equal(world_run(&world, "profile show vela"), CTL_ERROR);
	world_close(&world);
}

static void
a_token_is_a_file_with_instructions(void **state)
{
	struct world world = {
		.answers = { OK "token: {agents: 'tcp://c:7470', enrol: 'tcp://c:7472', secret: abc, node: n17}\n" }
	};

	(void)state;
	assert_int_equal(world_run(&world, "token create --node n17 --ttl 30m"), 0);
	assert_golden(GOLDEN("token.yaml"), world.out);
	assert_string_equal(world.asked.text, "{\"token_create\": {\"node\": \"n17\", \"ttl_ms\": 1800000}}\n");
	assert_int_equal(world_run(&world, "token create -o json"), 0);
	assert_has(world.out, "\"secret\": \"abc\"");
	assert_int_equal(world_run(&world, "token create --ttl 100d"), CTL_USAGE);
	world_close(&world);
}

static void
output_that_cannot_be_written_is_an_error(void **state)
{
	static const struct ctl_ops ops = { world_call, world_wall, world_mono, world_pause };
	struct world world = { 0 };
	const char *const argv[] = { "gdrctl", "version" };

	(void)state;
	world.ctl.ops = &ops;
	world.ctl.arg = &world;
	world.ctl.out = fopen("/dev/full", "w");
	world.ctl.diag = open_memstream(&world.diag, &world.diag_len);
	assert_non_null(world.ctl.out);
	assert_int_equal(ctl_run(&world.ctl, 2, argv), CTL_ERROR);
	(void)fclose(world.ctl.out);
	(void)fclose(world.ctl.diag);
	assert_has(world.diag, "gdrctl: the output could not be written");
	world_close(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_nodes_in_every_format),
		cmocka_unit_test(colours_are_for_terminals),
		cmocka_unit_test(escape_sequences_stay_away_from_terminals),
		cmocka_unit_test(an_empty_list_is_still_a_list),
		cmocka_unit_test(a_query_says_what_was_asked),
		cmocka_unit_test(a_node_in_full),
		cmocka_unit_test(changes_are_sent_and_shown),
		cmocka_unit_test(what_cannot_be_undone_is_asked),
		cmocka_unit_test(codes_of_answers_are_exit_codes),
		cmocka_unit_test(no_controller_and_a_refused_key),
		cmocka_unit_test(status_in_one_screen),
		cmocka_unit_test(waiting_ends_when_all_are_ready),
		cmocka_unit_test(waiting_shows_a_bar_on_a_terminal),
		cmocka_unit_test(waiting_ends_at_once_where_a_person_is_needed),
		cmocka_unit_test(waiting_times_out_without_a_controller),
		cmocka_unit_test(a_reboot_is_waited_for),
		cmocka_unit_test(a_watch_shows_what_changed),
		cmocka_unit_test(a_watch_redraws_a_terminal),
		cmocka_unit_test(events_oldest_first),
		cmocka_unit_test(reboots_and_what_they_brought),
		cmocka_unit_test(no_reboots_of_what_never_was),
		cmocka_unit_test(event_watch_misses_none),
		cmocka_unit_test(drift_by_number_of_nodes),
		cmocka_unit_test(vms_and_how_far_their_devices_are_apart),
		cmocka_unit_test(profiles),
		cmocka_unit_test(a_token_is_a_file_with_instructions),
		cmocka_unit_test(output_that_cannot_be_written_is_an_error),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
