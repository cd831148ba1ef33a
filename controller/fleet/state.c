/* state.c - what a node is in, why, since when, and what to do about it: one pure judgement. */

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/fleet/guest.h"
#include "controller/fleet/impl.h"

struct judgement {
	Gdr__NodeState state;
	char *why;
	char *remedy;
};

static struct judgement
judged(Gdr__NodeState state, char *why, const char *remedy)
{
	return (struct judgement){ state, why, remedy ? xstrdup(remedy) : NULL };
}

bool
fleet_report_is_current(const struct node *node)
{
	const Gdr__Report *report = node->report;

	return report && report->generation == node->generation && same_text(report->spec_hash, node->spec_hash);
}

static bool
is_lost(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	uint64_t seen = node->seen_ms > fleet->patient_since_ms ? node->seen_ms : fleet->patient_since_ms;

	return now_ms > seen + fleet->config->lost_after;
}

/* What the host says of the boot that it may end: why it wants to, or why it has not ("postponed: hook ..."). */
static const char *
last_words(const struct node *node)
{
	const Gdr__Report *report = node->report;
	bool of_it = report && same_text(report->boot_id, node->grant_boot) &&
		     report->outcome == GDR__OUTCOME__OUTCOME_WANTS_REBOOT;

	return of_it && report->why ? report->why : "";
}

char *
fleet_reboot_count(const struct node *node)
{
	const Gdr__Report *report = node->report;

	if (!report || !report->reboots_wanted || node->leave_boot)
		return xstrdup("");
	return xasprintf("reboot %u of %u: ", report->reboots_used + 1, report->reboots_used + report->reboots_wanted);
}

bool
fleet_reboot_is_late(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	static const Gdr__RebootLimits defaults = GDR__REBOOT_LIMITS__INIT;
	const Gdr__RebootLimits *limits = fleet->config->reboot ? fleet->config->reboot : &defaults;

	return node->grant_boot && now_ms > node->granted_ms + limits->deadline;
}

static struct judgement
rebooting(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	uint32_t used = node->report ? node->report->reboots_used : 0;
	uint32_t budget = node->report ? node->report->reboot_budget : 0;
	uint32_t wanted = node->report ? node->report->reboots_wanted : 0;
	const char *said = last_words(node);
	const char *colon = *said ? ": " : "";

	if (fleet_reboot_is_late(fleet, node, now_ms))
		return judged(
			GDR__NODE_STATE__NODE_LOST,
			xasprintf("a reboot was granted %llu min ago and the host has not come back%s%s",
				  (unsigned long long)(now_ms - node->granted_ms) / 60000, colon, said),
			"look at its console; it keeps its place in the reboot budget until it is back or removed");
	if (!node->leave_boot && wanted)
		return judged(GDR__NODE_STATE__NODE_REBOOTING,
			      xasprintf("reboot %u of %u%s%s", used + 1, used + wanted, colon, said), NULL);
	if (!node->leave_boot && budget)
		return judged(GDR__NODE_STATE__NODE_REBOOTING,
			      xasprintf("reboot %u of at most %u%s%s", used + 1, budget, colon, said), NULL);
	return judged(GDR__NODE_STATE__NODE_REBOOTING, xstrdup(*said ? said : "an operator asked for it"), NULL);
}

/* A guest's mode is its host's. */
static char *
release(const struct node *node, const char *then)
{
	return xasprintf("`gdrctl node release %s` %s", node->host ? node->host->name : node->name, then);
}

/* The first item that a person has to do something about says more than the outcome's own line. */
static char *
remedy_of(const Gdr__Report *report)
{
	for (size_t i = 0; i < report->n_layers; i++)
		for (size_t j = 0; j < report->layers[i]->n_items; j++) {
			const Gdr__Item *item = report->layers[i]->items[j];

			if (item->fix == GDR__FIX__FIX_MANUAL && item->why)
				return xasprintf("%s %s: %s", report->layers[i]->name ? report->layers[i]->name : "",
						 item->key ? item->key : "", item->why);
		}
	return NULL;
}

static struct judgement
by_report(const struct node *node)
{
	const Gdr__Report *report = node->report;
	char *why = report->why ? xstrdup(report->why) : NULL;

	if (report->outcome == GDR__OUTCOME__OUTCOME_SETTLED)
		return (struct judgement){ GDR__NODE_STATE__NODE_READY, why, NULL };
	if (node->mode == GDR__MODE__MODE_AUDIT)
		return (struct judgement){ GDR__NODE_STATE__NODE_DRIFTED, why,
					   release(node, "lets the agent put it right (mode is audit)") };
	switch ((int)report->outcome) {
	case GDR__OUTCOME__OUTCOME_WANTS_REBOOT: {
		auto_free char *count = fleet_reboot_count(node);
		auto_free char *said = why;

		why = xasprintf("%s%s", count, node->wait_why ? node->wait_why : said ? said : "");
		return judged(GDR__NODE_STATE__NODE_WANTS_REBOOT, why, NULL);
	}
	case GDR__OUTCOME__OUTCOME_STUCK:
		return (struct judgement){ GDR__NODE_STATE__NODE_STUCK, why, remedy_of(report) };
	default: return judged(GDR__NODE_STATE__NODE_CONVERGING, why, NULL);
	}
}

/* It is there and looks at its machine: what is wanted of it, and what it has measured. */
static struct judgement
by_wish(const struct node *node)
{
	if (node->mode == GDR__MODE__MODE_HOLD)
		return (struct judgement){ GDR__NODE_STATE__NODE_HELD, node->mode_why ? xstrdup(node->mode_why) : NULL,
					   release(node, "when it may go on") };
	if (!node->profile)
		return judged(GDR__NODE_STATE__NODE_UNASSIGNED, xstrdup("no profile"),
			      "`gdrctl node assign NODE PROFILE`");
	if (!fleet_report_is_current(node))
		return judged(
			GDR__NODE_STATE__NODE_CONVERGING,
			xasprintf("generation %llu has not been measured yet", (unsigned long long)node->generation),
			NULL);
	if (!same_text(node->report->boot_id, node->boot_id))
		return judged(GDR__NODE_STATE__NODE_CONVERGING, xstrdup("this boot has not been measured yet"), NULL);
	return by_report(node);
}

/* What its host says of its VM comes before what it says itself.  READY: nothing that speaks against it. */
static struct judgement
by_host(const struct node *guest)
{
	const Gdr__Vm *vm = fleet_vm(guest);

	if (!vm || !vm->uuid || fleet_vm_is(guest, "undefined"))
		return judged(GDR__NODE_STATE__NODE_NEW, xstrdup("its VM is not defined yet"), NULL);
	if (fleet_vm_is(guest, "shutoff"))
		return judged(GDR__NODE_STATE__NODE_HELD, xstrdup("its VM is shut off"),
			      "`virsh start` it on its host, or let the profile say `state: running`");
	if (vm->state && !fleet_vm_is(guest, "running") && !fleet_vm_is(guest, "unknown"))
		return judged(GDR__NODE_STATE__NODE_STUCK, xasprintf("its VM is %.40s", vm->state),
			      "`virsh domstate --reason` on its host");
	if (!guest->key)
		return judged(GDR__NODE_STATE__NODE_NEW, xstrdup("its host has given it no key that is its own"), NULL);
	if (!guest->boot_id && !guest->seen_ms)
		return judged(GDR__NODE_STATE__NODE_NEW, xstrdup("it has never connected"),
			      "install gdr-guest in the VM's image, with its two services enabled");
	if (fleet_guest_is_another(guest))
		return judged(
			GDR__NODE_STATE__NODE_STUCK,
			xasprintf("it speaks from a machine with UUID %.36s, its VM's is %.36s",
				  guest->report->inventory->product_uuid, vm->uuid),
			"its key is in another machine: a copy of its disk? Undefine the VM, so that its host makes "
			"a new one");
	return (struct judgement){ .state = GDR__NODE_STATE__NODE_READY };
}

static struct judgement
judge_alone(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	struct judgement first = { .state = GDR__NODE_STATE__NODE_READY };

	if (node->host)
		first = by_host(node);
	if (first.state != GDR__NODE_STATE__NODE_READY)
		return first;
	if (!node->key)
		return judged(GDR__NODE_STATE__NODE_NEW, xstrdup("declared, and has not joined"),
			      "`gdrctl token create --node NAME`, then `gdr-agent join` on the host");
	if (node->grant_boot)
		return rebooting(fleet, node, now_ms);
	if (!node->boot_id && !node->seen_ms)
		return judged(GDR__NODE_STATE__NODE_NEW, xstrdup("joined, and has never connected"),
			      "start gdr-agent-worker and gdr-agent-comm on the host");
	if (is_lost(fleet, node, now_ms))
		return judged(
			GDR__NODE_STATE__NODE_LOST, xstrdup("its agent does not report"),
			node->host ? "look at the VM's console, its network, and `journalctl -u gdr-guest-comm` in it"
				   : "look at the host, its network, and `journalctl -u gdr-agent-comm` there");
	if (node->silent_s)
		return judged(
			GDR__NODE_STATE__NODE_STUCK,
			xasprintf("its root half has not looked at the machine for %u s", node->silent_s),
			node->host ? "`systemctl status gdr-guest-worker` in the VM: it is stopped, or a tool hangs"
				   : "`systemctl status gdr-agent-worker` on the host: it is stopped, or a tool hangs");
	return by_wish(node);
}

/* READY: it is as wanted, or nobody needs it to be. */
static struct judgement
judge_guest(const struct fleet *fleet, const struct node *guest, uint64_t now_ms)
{
	struct judgement found = judge_alone(fleet, guest, now_ms);

	if (found.state == GDR__NODE_STATE__NODE_READY || fleet_vm_is(guest, "shutoff")) {
		free(found.why);
		free(found.remedy);
		return (struct judgement){ .state = GDR__NODE_STATE__NODE_READY };
	}
	char *why = xasprintf("guest %s: %s", guest->name + strlen(guest->host->name) + 1,
			      found.why ? found.why : pbtext_enum(&gdr__node_state__descriptor, (int)found.state));
	free(found.why);
	found.why = why;
	return found;
}

/* A host that is right itself is what its worst guest is: lost or new is the guest, the host needs help with it. */
static struct judgement
by_guests(const struct fleet *fleet, const struct node *host, uint64_t now_ms)
{
	struct judgement found = { .state = GDR__NODE_STATE__NODE_READY };

	for (size_t i = 0; i < host->n_guests && found.state == GDR__NODE_STATE__NODE_READY; i++)
		found = judge_guest(fleet, host->guests[i], now_ms);
	if (found.state == GDR__NODE_STATE__NODE_LOST)
		found.state = GDR__NODE_STATE__NODE_STUCK;
	else if (found.state == GDR__NODE_STATE__NODE_NEW)
		found.state = GDR__NODE_STATE__NODE_CONVERGING;
	return found;
}

bool
fleet_guests_are_ready(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	struct judgement found = { .state = GDR__NODE_STATE__NODE_READY };

	if (node->needs_guests)
		found = by_guests(fleet, node, now_ms);
	free(found.why);
	free(found.remedy);
	return found.state == GDR__NODE_STATE__NODE_READY;
}

static struct judgement
judge(const struct fleet *fleet, const struct node *node, uint64_t now_ms)
{
	struct judgement found = judge_alone(fleet, node, now_ms);

	if (found.state != GDR__NODE_STATE__NODE_READY || !node->needs_guests)
		return found;
	free(found.why);
	free(found.remedy);
	return by_guests(fleet, node, now_ms);
}

Gdr__NodeState
fleet_state(const struct fleet *fleet, const struct node *node, uint64_t now_ms, char **why, char **remedy)
{
	struct judgement judgement = judge(fleet, node, now_ms);

	if (node->cloned && !judgement.remedy) {
		free(judgement.why);
		judgement.why = xstrdup("its key speaks from two machines: one of them is a copy");
		judgement.remedy =
			xstrdup("give the copy a key of its own: remove its COMM_STATE folder and join it anew");
	}
	if (why)
		*why = judgement.why;
	else
		free(judgement.why);
	if (remedy)
		*remedy = judgement.remedy;
	else
		free(judgement.remedy);
	return judgement.state;
}

/* Not those that an operator brought about, and not silence. */
static bool
is_own_word(Gdr__NodeState state)
{
	switch (state) {
	case GDR__NODE_STATE__NODE_READY:
	case GDR__NODE_STATE__NODE_CONVERGING:
	case GDR__NODE_STATE__NODE_WANTS_REBOOT:
	case GDR__NODE_STATE__NODE_STUCK:
	case GDR__NODE_STATE__NODE_DRIFTED: return true;
	default: return false;
	}
}

bool
fleet_is_unconfirmed(const struct node *node)
{
	return !node->seen_ms && node->boot_id && is_own_word(node->state);
}

/* States whose beginning is worth a line in the audit log. */
static bool
noteworthy(Gdr__NodeState state)
{
	switch (state) {
	case GDR__NODE_STATE__NODE_READY:
	case GDR__NODE_STATE__NODE_STUCK:
	case GDR__NODE_STATE__NODE_DRIFTED:
	case GDR__NODE_STATE__NODE_WANTS_REBOOT:
	case GDR__NODE_STATE__NODE_LOST: return true;
	default: return false;
	}
}

/* What a rollback goes back to. */
static void
note_ready(struct fleet *fleet, struct node *node)
{
	char now[80];

	(void)snprintf(now, sizeof(now), "%s@%u", node->profile ? node->profile : "", node->revision);
	if (node->mode != GDR__MODE__MODE_ENFORCE || (node->last_ready && strcmp(node->last_ready, now) == 0))
		return;
	fleet_set_text(&node->last_ready, now);
	fleet_touch(fleet, node);
	node->dirty = true;
}

static void
refresh(struct fleet *fleet, struct node *node, uint64_t now_ms)
{
	auto_free char *why = NULL;
	Gdr__NodeState state = fleet_state(fleet, node, now_ms, &why, NULL);

	if (state == GDR__NODE_STATE__NODE_READY)
		note_ready(fleet, node);
	if (state == node->state && node->since_ms)
		return;
	node->state = state;
	node->since_ms = now_ms;
	fleet_touch(fleet, node);
	node->dirty = true;
	if (!noteworthy(state) || !fleet_may_note(node, now_ms))
		return;
	auto_free char *object = xasprintf("node/%s", node->name);
	auto_free char *kind = xasprintf("node.%s", pbtext_enum(&gdr__node_state__descriptor, (int)state));
	fleet_event(fleet, now_ms, "gdrd", kind, object, "%s", why ? why : "");
}

void
fleet_refresh(struct fleet *fleet, struct node *node, uint64_t now_ms)
{
	refresh(fleet, node, now_ms);
	if (node->host)
		refresh(fleet, node->host, now_ms);
}
