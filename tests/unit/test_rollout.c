/* Links: controller */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/rollout/rollout.h"

#define NODES 6
#define NOW   1700000000000

/* n0 ... n5, ready on p@1; the world is what a test makes of it. */
struct fixture {
	char names[NODES][4];
	struct rollout_seen seen[NODES];
	struct rollout_world world;
	Gdr__Node document;
	Gdr__RolloutRecord *record;
};

static void
set_up(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	gdr__node__init(&f->document);
	for (size_t i = 0; i < NODES; i++) {
		(void)snprintf(f->names[i], sizeof(f->names[i]), "n%zu", i);
		f->seen[i] = (struct rollout_seen){ .name = f->names[i],
						    .profile = "p",
						    .revision = 1,
						    .last_ready = "p@1",
						    .boot_id = "b1",
						    .generation = 1,
						    .state = GDR__NODE_STATE__NODE_READY,
						    .mode = GDR__MODE__MODE_ENFORCE,
						    .connected = true,
						    .measured = true,
						    .settled = true,
						    .selected = true,
						    .document = &f->document };
	}
	f->world = (struct rollout_world){ .nodes = f->seen, .n = NODES };
}

static int
plan(struct fixture *f, const char *yaml, struct err *err)
{
	auto_free char *text = xasprintf("{name: x, profile: p@2, selector: all, soak: 10s%s%s}", *yaml ? ", " : "",
					 yaml);
	auto_pb ProtobufCMessage *message = NULL;
	uint32_t unchanged;

	if (pbtext_parse(&gdr__rollout__descriptor, "test", text, strlen(text), &message, err) < 0)
		fail_msg("%s", err->msg);
	return rollout_plan(&f->world, (Gdr__Rollout *)message, NOW, &f->record, &unchanged, err);
}

static void
planned(struct fixture *f, const char *yaml)
{
	struct err err = { 0 };

	if (plan(f, yaml, &err) < 0)
		fail_msg("%s", err.msg);
}

/* One step; the actions are done in the world: "n0>2". */
static char *
step(struct fixture *f, uint64_t now_ms)
{
	struct rollout_effects effects = { 0 };
	struct buf out = { 0 };

	rollout_step(&f->world, f->record, now_ms, &effects);
	for (size_t i = 0; i < effects.n_actions; i++) {
		size_t at = (size_t)(effects.actions[i].node->name[1] - '0');

		f->seen[at].revision = effects.actions[i].revision;
		f->seen[at].state = GDR__NODE_STATE__NODE_CONVERGING;
		f->seen[at].measured = f->seen[at].settled = false;
		buf_printf(&out, "%s%s>%u", out.len ? " " : "", effects.actions[i].node->name,
			   effects.actions[i].revision);
	}
	rollout_effects_free(&effects);
	return buf_steal(&out);
}

static void
steps(struct fixture *f, uint64_t now_ms, const char *want)
{
	auto_free char *have = step(f, now_ms);

	assert_string_equal(have, want);
}

static void
settle(struct fixture *f, size_t i)
{
	f->seen[i].state = GDR__NODE_STATE__NODE_READY;
	f->seen[i].measured = f->seen[i].settled = true;
}

/* The waves as text: "n0 | n1 n2 | n3". */
static void
waves(const struct fixture *f, const char *want)
{
	auto_buf struct buf have = { 0 };

	for (size_t i = 0; i < f->record->n_nodes; i++) {
		const Gdr__RolloutNode *node = f->record->nodes[i];
		bool next = i > 0 && node->wave != f->record->nodes[i - 1]->wave;

		if (node->has_wave)
			buf_printf(&have, "%s%s%s", have.len ? " " : "", next && have.len ? "| " : "", node->name);
	}
	assert_string_equal(have.text ? have.text : "", want);
}

static void
tear_down(struct fixture *f)
{
	pb_free((ProtobufCMessage *)f->record);
}

static void
waves_say_how_far_they_go(void **state)
{
	static const struct {
		const char *plan;
		const char *waves;
	} cases[] = {
		{ "", "n0 | n1 n2 n3 n4 n5" },
		{ "canary: 0", "n0 n1 n2 n3 n4 n5" },
		{ "waves: ['10%', '50%', '100%']", "n0 | n1 n2 | n3 n4 n5" },
		{ "canary: 2, waves: ['1', '4']", "n0 n1 | n2 n3 n4 n5" },
		{ "canary: 9", "n0 n1 n2 n3 n4 n5" },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(&f);
		planned(&f, cases[i].plan);
		waves(&f, cases[i].waves);
		tear_down(&f);
	}
}

static void
who_is_left_out_and_who_comes_last(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.seen[0].state = GDR__NODE_STATE__NODE_STUCK;
	f.seen[0].settled = false;
	f.seen[1].mode = GDR__MODE__MODE_HOLD;
	f.seen[2].state = GDR__NODE_STATE__NODE_LOST;
	f.seen[3].mode = GDR__MODE__MODE_AUDIT;
	planned(&f, "");
	waves(&f, "n4 | n5 n0");
	assert_int_equal(f.record->n_nodes, 6);
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_HELD);
	assert_int_equal(f.record->nodes[1]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_SKIPPED);
	assert_int_equal(f.record->nodes[2]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_EXEMPT);
	assert_true(f.record->nodes[5]->baseline);
	tear_down(&f);
}

static void
the_canary_covers_the_hardware(void **state)
{
	Gdr__Inventory machines[3] = { GDR__INVENTORY__INIT, GDR__INVENTORY__INIT, GDR__INVENTORY__INIT };
	Gdr__PciDevice nic = GDR__PCI_DEVICE__INIT;
	Gdr__PciDevice *nics[] = { &nic };
	char kernels[3][8] = { "5.15", "6.1", "6.8" };
	char firmware[] = "22.36.1010";
	struct fixture f;

	(void)state;
	set_up(&f);
	nic.kind = GDR__PCI_DEVICE__KIND__NIC;
	nic.vendor = 0x15b3;
	nic.device = 0x101d;
	nic.firmware = firmware;
	for (size_t i = 0; i < 3; i++)
		machines[i].kernel = kernels[i];
	machines[2].pci = nics;
	machines[2].n_pci = 1;
	for (size_t i = 0; i < NODES; i++)
		f.seen[i].inventory = &machines[i / 2];
	planned(&f, "canary: 2");
	waves(&f, "n4 n0 | n1 n2 n3 n5"); /* What is two things at once comes first. */
	assert_int_equal(f.record->n_not_covered, 1);
	assert_string_equal(f.record->not_covered[0], "kernel 6.1");
	pb_free(&f.record->base);
	planned(&f, "canary: 1");
	assert_int_equal(f.record->n_not_covered, 2);
	for (size_t i = 0; i < NODES; i++)
		f.seen[i].inventory = &machines[i / 2 ? 2 : 0];
	pb_free(&f.record->base);
	machines[0].kernel = kernels[2];
	machines[0].bios_version = kernels[0];
	planned(&f, "canary: 1");
	assert_int_equal(f.record->n_not_covered, 1);
	assert_string_equal(f.record->not_covered[0], "NIC 15b3:101d with firmware 22.36.1010");
	tear_down(&f);
}

static void
no_wave_before_the_gate(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "max_unavailable: '2'");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	settle(&f, 0);
	steps(&f, NOW + 2000, ""); /* Soaks. */
	steps(&f, NOW + 11000, "");
	f.seen[0].connected = false;
	steps(&f, NOW + 13000, ""); /* Unknown. */
	assert_int_equal(f.record->gates[0]->result, GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN);
	steps(&f, NOW + 14000, "");
	f.seen[0].connected = true;
	steps(&f, NOW + 15000, ""); /* Passes, */
	assert_int_equal(f.record->gates[1]->result, GDR__ROLLOUT_GATE_RESULT__GATE_PASS);
	steps(&f, NOW + 16000, ""); /* claims, */
	steps(&f, NOW + 17000, "n1>2 n2>2");
	tear_down(&f);
}

static int
decide(struct fixture *f, Gdr__RolloutAction action, uint64_t now_ms)
{
	Gdr__RolloutChange change = GDR__ROLLOUT_CHANGE__INIT;
	struct rollout_effects effects = { 0 };
	struct err err = { 0 };

	change.has_action = true;
	change.action = action;
	int rc = rollout_decide(f->record, &change, "user/test", now_ms, &effects, &err);
	rollout_effects_free(&effects);
	return rc;
}

static void
no_clock_runs_while_it_is_paused(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "node_deadline: 60s");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_PAUSE, NOW + 2000), 0);
	steps(&f, NOW + 3600000, "");
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_RESUME, NOW + 3602000), 0);
	steps(&f, NOW + 3603000, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING);
	for (uint64_t t = 3604000; t < 3662000; t += 1000)
		steps(&f, NOW + t, "");
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_TIMED_OUT);
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED);
	/* What has ended stays so. */
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_ABORT, NOW + 3700000), 0);
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_RESUME, NOW + 3700000), -EBUSY);
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_ROLLBACK, NOW + 3700000), -EBUSY);
	tear_down(&f);
}

static void
time_in_which_gdrd_was_away_is_no_ones(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "node_deadline: 60s");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	steps(&f, NOW + 7200000, ""); /* Two hours, */
	steps(&f, NOW - 7200000, ""); /* and the clock set back. */
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_ASSIGNED);
	settle(&f, 0);
	steps(&f, NOW - 7199000, "");
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE);
	tear_down(&f);
}

static void
a_failed_canary_goes_back_alone(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "on_failure: rollback, failure_budget: 5");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	f.seen[0].state = GDR__NODE_STATE__NODE_STUCK;
	f.seen[0].measured = f.seen[0].stuck = true;
	steps(&f, NOW + 2000, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK);
	steps(&f, NOW + 3000, "n0>1");
	f.seen[0].stuck = false;
	settle(&f, 0);
	steps(&f, NOW + 4000, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_ROLLED_BACK);
	tear_down(&f);
}

/* While another one moves nodes. */
static void
the_limits_of_all_rollouts_hold(void **state)
{
	Gdr__Node__LabelsEntry label = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry *labels[] = { &label };
	char rack[] = "rack";
	char r1[] = "r1";
	struct fixture other;
	struct fixture f;

	(void)state;
	set_up(&other);
	for (size_t i = 1; i < NODES; i++)
		other.seen[i].selected = false;
	planned(&other, "canary: 1, max_unavailable: '3', per_label: {rack: '2'}");
	set_up(&f);
	f.seen[0].selected = false;
	label.key = rack;
	label.value = r1;
	f.document.labels = labels;
	f.document.n_labels = 1;
	planned(&f, "canary: 0, max_unavailable: '6'");
	const Gdr__RolloutRecord *active[] = { other.record, f.record };
	f.world.active = active;
	f.world.n_active = 2;
	other.record->nodes[0]->state = GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_ASSIGNED;
	f.seen[0].taken = true;
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n1>2"); /* The second of its rack. */
	f.document.n_labels = 0;
	steps(&f, NOW + 2000, "");
	steps(&f, NOW + 3000, "n2>2"); /* The third of the fleet. */
	other.record->nodes[0]->state = GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE;
	f.seen[0].taken = false;
	steps(&f, NOW + 4000, "");
	steps(&f, NOW + 5000, "n3>2 n4>2 n5>2");
	f.document.labels = NULL;
	tear_down(&other);
	tear_down(&f);
}

static void
says(Gdr__Item *item, const char *have)
{
	free(item->have);
	item->have = have ? xstrdup(have) : NULL;
}

/* On the same machine, before and after. */
static void
worse_than_before_is_a_failure(void **state)
{
	char layer_name[] = "readiness";
	char key[] = "busbw";
	Gdr__Item item = GDR__ITEM__INIT;
	Gdr__Item *items[] = { &item };
	Gdr__LayerReport layer = GDR__LAYER_REPORT__INIT;
	Gdr__LayerReport *layers[] = { &layer };
	Gdr__Report report = GDR__REPORT__INIT;
	const struct rollout_part part = { "n0/vm", &report };
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	item.key = key;
	layer.name = layer_name;
	layer.items = items;
	layer.n_items = 1;
	report.layers = layers;
	report.n_layers = 1;
	set_up(&f);
	f.seen[0].parts = &part;
	f.seen[0].n_parts = 1;
	says(&item, "pass: 180.5 GB/s");
	item.has_measured_ms = true;
	item.measured_ms = 7;
	planned(&f, "compare: {'readiness/bus*': '-5%'}, max_unavailable: '1'");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	settle(&f, 0);
	says(&item, "none yet");
	steps(&f, NOW + 2000, "");
	steps(&f, NOW + 13000, ""); /* Done, soaked, and nobody can tell. */
	assert_int_equal(f.record->gates[0]->result, GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN);
	says(&item, "pass: 178 GB/s");
	steps(&f, NOW + 13500, ""); /* That was before the move. */
	assert_int_equal(f.record->n_gates, 1);
	item.measured_ms = 8;
	steps(&f, NOW + 14000, "");
	assert_int_equal(f.record->gates[1]->result, GDR__ROLLOUT_GATE_RESULT__GATE_PASS);
	assert_non_null(strstr(f.record->gates[1]->evidence, "readiness/bus*: 1 compared, -1.4% at worst"));
	pb_free(&f.record->base);
	f.seen[0].revision = 1;
	item.has_measured_ms = false;
	says(&item, "180.5 GB/s");
	planned(&f, "compare: {'readiness/bus*': '-5%'}");
	steps(&f, NOW, "");
	steps(&f, NOW + 1000, "n0>2");
	settle(&f, 0);
	says(&item, "120 GB/s");
	steps(&f, NOW + 2000, "");
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_FAILED);
	assert_string_equal(f.record->nodes[0]->why, "n0/vm readiness/busbw was 180.5 and is 120: -33.5%, -5% allowed");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED);
	assert_string_equal(f.record->gates[0]->evidence,
			    "1 node failed in the canary, 0 allowed: n0 (n0/vm readiness/busbw was 180.5 and is 120: "
			    "-33.5%, -5% allowed)");
	says(&item, "181 GB/s"); /* It came right after all. */
	steps(&f, NOW + 3000, "");
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_DONE);
	tear_down(&f);
	assert_int_equal(plan(&f, "compare: {'a/b': '5%'}", &err), -EINVAL);
	assert_int_equal(plan(&f, "compare: {'a/b': '-x%'}", &err), -EINVAL);
	says(&item, NULL);
}

/* A program that ran too long, or for a gdrd that is gone, may have done its work: it is never taken to have. */
static void
what_may_have_been_undrained_is_drained_again(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "drain: d, max_unavailable: '1'");
	steps(&f, NOW, "");
	Gdr__RolloutNode *node = f.record->nodes[0];
	assert_true(node->has_drain);
	node->drain = GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINED;
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_PAUSE, NOW + 500), 0);
	assert_int_equal(node->drain, GDR__ROLLOUT_DRAIN__ROLLOUT_DRAINING);
	assert_int_equal(decide(&f, GDR__ROLLOUT_ACTION__ROLLOUT_RESUME, NOW + 600), 0);
	steps(&f, NOW + 1000, "");
	steps(&f, NOW + 2000, "");
	assert_int_equal(node->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_CLAIMED);
	tear_down(&f);
}

static void
what_makes_no_plan(void **state)
{
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(plan(&f, "waves: ['50%', '10%']", &err), -EINVAL);
	assert_int_equal(plan(&f, "per_label: {rack: '0'}", &err), -EINVAL);
	f.seen[3].taken = true;
	assert_int_equal(plan(&f, "", &err), -EBUSY);
	f.seen[3].taken = false;
	f.seen[3].state = GDR__NODE_STATE__NODE_LOST;
	assert_int_equal(plan(&f, "unreachable: fail", &err), -EHOSTUNREACH);
}

/* The programs that are wanted now: "drain n0, check 0". */
static void
wants(const struct fixture *f, const char *want)
{
	static const char *const kinds[] = { "drain", "undrain", "check", "notify" };
	auto_buf struct buf have = { 0 };
	struct rollout_call *calls;
	size_t n = rollout_calls(f->record, &calls);

	for (size_t i = 0; i < n; i++)
		buf_printf(&have, "%s%s %s", have.len ? ", " : "", kinds[calls[i].kind],
			   calls[i].n_words > 0
				   ? calls[i].words[calls[i].kind == ROLLOUT_NOTIFY ? 0 : calls[i].n_words - 1]
				   : "");
	free(calls);
	assert_string_equal(have.text ? have.text : "", want);
}

/* The first of this kind ends so. */
static void
answer(struct fixture *f, enum rollout_call_kind kind, int status, const char *text)
{
	struct rollout_effects effects = { 0 };
	struct rollout_call *calls;
	size_t n = rollout_calls(f->record, &calls);
	size_t i = 0;

	while (i < n && calls[i].kind != kind)
		i++;
	assert_true(i < n);
	rollout_called(f->record, &calls[i], status, text, &effects);
	rollout_effects_free(&effects);
	free(calls);
}

static void
drained_before_it_is_moved(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "drain: d, max_unavailable: '1'");
	wants(&f, "");
	steps(&f, NOW, "");
	wants(&f, "drain n0");
	steps(&f, NOW + 1000, "");
	answer(&f, ROLLOUT_DRAIN, 75, "two jobs run");
	steps(&f, NOW + 2000, "");
	assert_string_equal(f.record->nodes[0]->why, "two jobs run");
	wants(&f, "drain n0"); /* Until it is. */
	answer(&f, ROLLOUT_DRAIN, 0, "");
	wants(&f, "");
	steps(&f, NOW + 3000, "n0>2");
	settle(&f, 0);
	steps(&f, NOW + 4000, "");
	wants(&f, "undrain n0"); /* It is done. */
	answer(&f, ROLLOUT_UNDRAIN, 1, "no");
	wants(&f, "undrain n0");
	answer(&f, ROLLOUT_UNDRAIN, 0, "");
	wants(&f, "");
	steps(&f, NOW + 14000, ""); /* The canary's gate. */
	steps(&f, NOW + 15000, "");
	wants(&f, "drain n1");
	answer(&f, ROLLOUT_DRAIN, 3, "by ann"); /* Not ours to undo. */
	steps(&f, NOW + 16000, "n1>2");
	f.seen[1].state = GDR__NODE_STATE__NODE_STUCK;
	f.seen[1].measured = f.seen[1].stuck = true;
	steps(&f, NOW + 17000, "");
	wants(&f, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED);
	tear_down(&f);
}

static void
who_was_claimed_and_not_moved_is_undrained(void **state)
{
	Gdr__RolloutChange change = GDR__ROLLOUT_CHANGE__INIT;
	struct rollout_effects effects = { 0 };
	struct err err = { 0 };
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "drain: d");
	steps(&f, NOW, "");
	change.has_action = true;
	change.action = GDR__ROLLOUT_ACTION__ROLLOUT_ABORT;
	assert_int_equal(rollout_decide(f.record, &change, "u", NOW + 1000, &effects, &err), 0);
	rollout_effects_free(&effects);
	wants(&f, "undrain n0"); /* It may have been drained: nobody has said. */
	answer(&f, ROLLOUT_UNDRAIN, 0, "");
	wants(&f, "");
	tear_down(&f);
}

/* Up to the end of the canary's soak. */
static void
soaked(struct fixture *f, const char *yaml)
{
	set_up(f);
	planned(f, yaml);
	steps(f, NOW, "");
	steps(f, NOW + 1000, "n0>2");
	settle(f, 0);
	steps(f, NOW + 2000, "");
	wants(f, "");
	steps(f, NOW + 12000, "");
}

static void
checks_are_asked_after_the_soak(void **state)
{
	static const struct {
		int status;
		Gdr__RolloutState after;
	} cases[] = {
		{ 0, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING },
		{ 1, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		soaked(&f, "checks: [{program: c, args: [a, b]}, {program: e, name: other}]");
		wants(&f, "check b, check ");
		answer(&f, ROLLOUT_CHECK, 0, "0.01");
		steps(&f, NOW + 13000, "");
		wants(&f, "check "); /* One alone is no pass. */
		assert_int_equal(f.record->wave, 0);
		answer(&f, ROLLOUT_CHECK, cases[i].status, "7");
		steps(&f, NOW + 14000, "");
		wants(&f, "");
		assert_int_equal(f.record->state, cases[i].after);
		assert_int_equal(f.record->wave, cases[i].status == 0);
		assert_non_null(strstr(f.record->gates[0]->evidence,
				       cases[i].status == 0 ? "c: 0.01; other: 7" : "check other failed: 7"));
		tear_down(&f);
	}
}

static void
a_check_that_cannot_tell_never_passes(void **state)
{
	struct fixture f;

	(void)state;
	soaked(&f, "checks: [{program: c}]");
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING);
		assert_int_equal(f.record->wave, 0);
		answer(&f, ROLLOUT_CHECK, i % 2 ? -1 : 2, "no data");
		steps(&f, NOW + 13000 + i * 1000, "");
	}
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED);
	assert_non_null(strstr(f.record->why, "check c cannot tell: no data"));
	tear_down(&f);
}

static void
an_answer_for_another_time_is_none(void **state)
{
	struct rollout_effects effects = { 0 };
	struct rollout_call *calls;
	struct fixture f;

	(void)state;
	soaked(&f, "checks: [{program: c}]");
	assert_int_equal(rollout_calls(f.record, &calls), 1);
	f.seen[0].settled = false; /* It is not right any more: the soak begins anew. */
	f.seen[0].state = GDR__NODE_STATE__NODE_CONVERGING;
	steps(&f, NOW + 13000, "");
	settle(&f, 0);
	steps(&f, NOW + 14000, "");
	steps(&f, NOW + 24000, "");
	wants(&f, "check ");
	rollout_called(f.record, &calls[0], 0, "stale", &effects);
	rollout_effects_free(&effects);
	free(calls);
	wants(&f, "check ");
	tear_down(&f);
}

static void
each_state_is_told_once(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "notify: [a, b], canary: 0");
	wants(&f, "notify running, notify running");
	answer(&f, ROLLOUT_NOTIFY, 0, "");
	wants(&f, "notify running");
	answer(&f, ROLLOUT_NOTIFY, 1, "nobody listens"); /* Is not asked for ever. */
	wants(&f, "");
	f.record->deadline_ms = NOW;
	steps(&f, NOW + 1000, "");
	wants(&f, "notify failed, notify failed");
	tear_down(&f);
}

static void
outside_of_the_window_nothing_moves_and_no_time_passes(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "window: nights, node_deadline: 60s, wave_deadline: 120s, deadline: 300s");
	f.world.shut = "window nights opens later";
	for (uint64_t s = 0; s < 1000; s += 5)
		steps(&f, NOW + s * 1000, "");
	f.world.shut = NULL;
	steps(&f, NOW + 1000000, "");
	steps(&f, NOW + 1001000, "n0>2");
	f.world.shut = "window nights opens later";
	for (uint64_t s = 1005; s < 3000; s += 5)
		steps(&f, NOW + s * 1000, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_RUNNING);
	f.world.shut = NULL;
	for (uint64_t s = 3000; s < 3055; s += 5)
		steps(&f, NOW + s * 1000, "");
	assert_int_equal(f.record->nodes[0]->state, GDR__ROLLOUT_NODE_STATE__ROLLOUT_NODE_ASSIGNED);
	for (uint64_t s = 3055; s < 3075; s += 5)
		steps(&f, NOW + s * 1000, "");
	assert_int_equal(f.record->state, GDR__ROLLOUT_STATE__ROLLOUT_PAUSED); /* The canary timed out. */
	tear_down(&f);
}

static void
who_supersedes_takes_over(void **state)
{
	struct rollout_effects effects = { 0 };
	struct fixture f;

	(void)state;
	set_up(&f);
	planned(&f, "drain: d");
	steps(&f, NOW, "");
	answer(&f, ROLLOUT_DRAIN, 0, "");
	steps(&f, NOW + 1000, "n0>2");
	Gdr__RolloutRecord *old = f.record;
	f.seen[0].inherited = true; /* As the fleet says: it was moved by the one that ends, and is broken. */
	f.seen[0].state = f.seen[5].state = GDR__NODE_STATE__NODE_STUCK;
	planned(&f, "drain: d, supersede: true, waves: ['2', '100%']");
	waves(&f, "n0 | n1 | n2 n3 n4 n5"); /* What was broken comes first, what was bad before comes last. */
	assert_int_equal(f.record->n_baseline, 1);
	rollout_supersede(old, f.record, NOW + 2000, &effects);
	rollout_effects_free(&effects);
	assert_int_equal(old->state, GDR__ROLLOUT_STATE__ROLLOUT_SUPERSEDED);
	assert_false(rollout_is_active(old));
	steps(&f, NOW + 3000, "");
	answer(&f, ROLLOUT_DRAIN, 0, ""); /* Asked again: it waited for its turn, and an undrain may have begun. */
	steps(&f, NOW + 4000, "n0>2");
	f.seen[0].state = GDR__NODE_STATE__NODE_READY;
	settle(&f, 0);
	steps(&f, NOW + 5000, "");
	wants(&f, "undrain n0");
	pb_free(&old->base);
	tear_down(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waves_say_how_far_they_go),
		cmocka_unit_test(who_is_left_out_and_who_comes_last),
		cmocka_unit_test(the_canary_covers_the_hardware),
		cmocka_unit_test(no_wave_before_the_gate),
		cmocka_unit_test(no_clock_runs_while_it_is_paused),
		cmocka_unit_test(time_in_which_gdrd_was_away_is_no_ones),
		cmocka_unit_test(a_failed_canary_goes_back_alone),
		cmocka_unit_test(the_limits_of_all_rollouts_hold),
		cmocka_unit_test(worse_than_before_is_a_failure),
		cmocka_unit_test(what_may_have_been_undrained_is_drained_again),
		cmocka_unit_test(what_makes_no_plan),
		cmocka_unit_test(drained_before_it_is_moved),
		cmocka_unit_test(who_was_claimed_and_not_moved_is_undrained),
		cmocka_unit_test(checks_are_asked_after_the_soak),
		cmocka_unit_test(a_check_that_cannot_tell_never_passes),
		cmocka_unit_test(an_answer_for_another_time_is_none),
		cmocka_unit_test(each_state_is_told_once),
		cmocka_unit_test(outside_of_the_window_nothing_moves_and_no_time_passes),
		cmocka_unit_test(who_supersedes_takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
