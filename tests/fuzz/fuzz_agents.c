/* Links: controller */

/* What agents say, byte by byte and by the rules, between operators' changes, commits that fail and the clock: the
 * invariants of the model hold after each. */

#include <stdint.h>
#include <stdlib.h>

#include "proto/wire.pb-c.h"
#include "tests/fuzz/fake_fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define START_MS 1700000000000
#define N_NODES  3

struct input {
	const uint8_t *data;
	size_t size;
};

struct run {
	struct fake *fake;
	uint64_t now;
	uint64_t generations[N_NODES];
};

static char *const names[] = { (char[]){ "n1" }, (char[]){ "n2" }, (char[]){ "n3" } };
static char *const boots[] = { (char[]){ "a" }, (char[]){ "b" }, (char[]){ "c" }, (char[]){ "" } };

static uint8_t
byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* --- what must hold -------------------------------------------------------------------------------------------------- */

static void
check_node(struct run *run, const struct node *node)
{
	/* A grant is for the boot that is. */
	fake_check(!node->grant_boot || same_text(node->grant_boot, node->boot_id));
	fake_check(!node->leave_boot || same_text(node->leave_boot, node->boot_id));
	fake_check(!node->push || node->touched);
	fake_check(!node->acknowledge || node->touched);
	fake_check(node->generation > 0);
	for (size_t i = 0; i < N_NODES; i++)
		if (strcmp(node->name, names[i]) == 0) {
			fake_check(node->generation >= run->generations[i]);
			run->generations[i] = node->generation;
		}
	if (node->state != GDR__NODE_STATE__NODE_READY)
		return;
	fake_check(node->report && node->key && node->profile && !node->grant_boot);
}

static void
check_view(struct run *run, const struct node *node)
{
	char *selected[] = { node->name };
	Gdr__Selection of = GDR__SELECTION__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	const struct ask ask = { .actor = "fuzz", .now_ms = run->now, .answer = answer };
	struct err err = { 0 };

	gdr__response__init(answer);
	of.n_names = 1;
	of.names = selected;
	query.of = &of;
	query.has_detail = query.detail = true;
	fake_check(fleet_query_nodes(run->fake->fleet, &ask, &query, &err) == 0 && answer->n_nodes == 1);
	const Gdr__NodeView *view = answer->nodes[0];
	if (view->state != GDR__NODE_STATE__NODE_READY)
		return;
	/* Ready: settled, of this content and this boot. */
	fake_check(view->report->has_outcome && view->report->outcome == GDR__OUTCOME__OUTCOME_SETTLED);
	fake_check(same_text(view->report->boot_id, view->boot_id));
	fake_check(same_text(view->report->spec_hash, view->desired->spec_hash));
	fake_check(view->observed_generation == view->generation);
}

static void
check_all(struct run *run)
{
	struct fleet *fleet = run->fake->fleet;
	unsigned open = 0;
	unsigned open_r7 = 0;

	for (struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		check_node(run, node);
		open += node->grant_boot != NULL;
		open_r7 += node->grant_boot && node->document->n_labels > 0;
	}
	fake_check(open <= 2 && open_r7 <= 1);
	for (size_t i = 0; i < N_NODES; i++)
		if (fleet_node(fleet, names[i]))
			check_view(run, fleet_node(fleet, names[i]));
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */

static void
take(struct run *run, struct node *node, Gdr__FromAgent *up)
{
	if (up->body_case == GDR__FROM_AGENT__BODY_HELLO)
		fleet_hello(run->fake->fleet, node, up->hello, run->now);
	else if (up->body_case == GDR__FROM_AGENT__BODY_REPORT)
		fleet_report(run->fake->fleet, node, &up->report, run->now);
	else
		fleet_lease(run->fake->fleet, node, up->lease, run->now);
}

/* As agents.c does with a frame. */
static void
raw_message(struct run *run, struct node *node, struct input *in)
{
	size_t len = (size_t)byte(in) << 8 | byte(in);
	struct err err = { 0 };

	len = len < in->size ? len : in->size;
	auto_pb Gdr__FromAgent *up = (Gdr__FromAgent *)pb_unpack(&gdr__from_agent__descriptor, in->data, len, &err);
	in->data += len;
	in->size -= len;
	if (up && up->body_case != GDR__FROM_AGENT__BODY__NOT_SET && pb_check(&up->base, &err) == 0)
		take(run, node, up);
}

static void
report(struct run *run, struct node *node, uint8_t how)
{
	Gdr__Report *report = xcalloc(1, sizeof(*report));
	static const char *const wrong[] = { "x", NULL };

	gdr__report__init(report);
	report->has_generation = true;
	report->generation = node->generation + (how & 1) - (how >> 1 & 1);
	report->has_outcome = (how & 4) == 0;
	report->outcome = (Gdr__Outcome)(1 + (how >> 3 & 3));
	report->boot_id = xstrdup(boots[how >> 5 & 1 ? (how >> 6) : 0]);
	const char *hash = (how & 0x10) && (how & 1) == 0 ? wrong[how >> 7] : node->spec_hash;
	report->spec_hash = hash ? xstrdup(hash) : NULL;
	fleet_report(run->fake->fleet, node, &report, run->now);
	pb_free((ProtobufCMessage *)report);
}

static void
hello(struct run *run, struct node *node, uint8_t how)
{
	Gdr__Hello hello = GDR__HELLO__INIT;

	hello.boot_id = boots[how & 3];
	hello.has_generation = true;
	hello.generation = how & 0x80 ? (uint64_t)-1 - how : (uint64_t)(how >> 2);
	hello.may_reboot_from = how & 4 ? boots[how >> 3 & 3] : NULL;
	fleet_hello(run->fake->fleet, node, &hello, run->now);
}

static void
lease(struct run *run, struct node *node, uint8_t how)
{
	Gdr__Lease lease = GDR__LEASE__INIT;

	lease.boot_id = boots[how & 3];
	lease.has_generation = true;
	lease.generation = node->generation + (how >> 2 & 1) - (how >> 3 & 1);
	lease.may_reboot_from = how & 0x10 ? node->grant_boot : NULL;
	fleet_lease(run->fake->fleet, node, &lease, run->now);
}

static void
operator_asks(struct run *run, struct node *node, uint8_t how)
{
	static char p[] = "p";
	static char q[] = "q@1";
	char *selected[] = { node->name };
	Gdr__Selection of = GDR__SELECTION__INIT;
	Gdr__NodeMode mode = GDR__NODE_MODE__INIT;
	Gdr__NodeAssign assign = GDR__NODE_ASSIGN__INIT;
	Gdr__NodeReboot reboot = GDR__NODE_REBOOT__INIT;
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	const struct ask ask = { .actor = "fuzz", .now_ms = run->now, .answer = answer };
	struct err err = { 0 };

	gdr__response__init(answer);
	of.n_names = 1;
	of.names = selected;
	mode.of = assign.of = reboot.of = &of;
	mode.has_mode = true;
	mode.mode = (Gdr__Mode)(1 + (how >> 2) % 3);
	assign.profile = how & 4 ? p : q;
	switch (how & 3) {
	case 0: (void)fleet_mode(run->fake->fleet, &ask, &mode, &err); break;
	case 1: (void)fleet_assign(run->fake->fleet, &ask, &assign, &err); break;
	case 2: (void)fleet_reboot(run->fake->fleet, &ask, &reboot, &err); break;
	default: fleet_cloned(run->fake->fleet, node, "10.0.0.1", run->now); break;
	}
}

static void
end_turn(struct run *run, bool fails)
{
	struct err err = { 0 };
	size_t n;

	fake_fails = fails;
	bool failed = fleet_commit(run->fake->fleet, &err) < 0;
	struct node **touched = fleet_touched(run->fake->fleet, &n);
	for (size_t i = 0; i < n; i++) {
		auto_pb Gdr__Desired *desired = fleet_desired(run->fake->fleet, touched[i]);

		fake_check(desired->generation == touched[i]->generation);
		touched[i]->push = touched[i]->acknowledge = false;
	}
	fleet_turn_over(run->fake->fleet);
	fake_fails = false;
	if (failed) /* Back to the beginning. */
		memset(run->generations, 0, sizeof(run->generations));
}

static void
step(struct run *run, struct input *in)
{
	uint8_t op = byte(in);
	struct node *node = fleet_node(run->fake->fleet, names[(op >> 4) % N_NODES]);

	switch (op & 15) {
	case 0:
	case 1: raw_message(run, node, in); break;
	case 2:
	case 3:
	case 4: report(run, node, byte(in)); break;
	case 5: hello(run, node, byte(in)); break;
	case 6:
	case 7: lease(run, node, byte(in)); break;
	case 8:
	case 9: operator_asks(run, node, byte(in)); break;
	case 10:
		run->now += (uint64_t)byte(in) * 1000;
		fleet_tick(run->fake->fleet, run->now);
		break;
	case 11: end_turn(run, byte(in) > 240); break;
	default:
		run->now += 1000;
		fleet_tick(run->fake->fleet, run->now);
		end_turn(run, false);
		break;
	}
	check_all(run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake fake;
	struct input in = { data, size };
	struct run run = { .fake = &fake, .now = START_MS };

	if (!fake.fleet)
		fake_start(&fake, START_MS);
	fleet_tick(fake.fleet, START_MS);
	fake_reset(&fake, START_MS);
	while (in.size > 0)
		step(&run, &in);
	return 0;
}
