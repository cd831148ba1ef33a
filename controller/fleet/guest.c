/* guest.c - guests: the nodes "HOST/VM", which nobody declares.
 *
 * A host's report says which VMs it has and with which key each one's guest speaks.  A host is trusted for its guests, and
 * only for names below its own; a guest is trusted for nothing but itself, and changes nobody's row but its own. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/rules.h"
#include "controller/fleet/guest.h"
#include "controller/keyring.h"
#include "controller/store.h"

#define GUESTS_MAX    64    /* Of one host. */
#define NOTES_AT_ONCE 20    /* Events that a guest can bring about: so many at once, */
#define NOTE_EVERY_MS 30000 /* and in the long run one in this time.  What it says is nothing that we could believe. */

static bool
is_sound(const Gdr__Vm *vm)
{
	const struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	struct err ignored = { 0 };

	return vm->name && rules_check_text(&rule, vm->name, &ignored) == 0;
}

static const Gdr__Vm *
vm_called(const struct node *host, const char *name)
{
	for (size_t i = 0; host->report && i < host->report->n_vms; i++)
		if (host->report->vms[i]->name && strcmp(host->report->vms[i]->name, name) == 0)
			return host->report->vms[i];
	return NULL;
}

const Gdr__Vm *
fleet_vm(const struct node *guest)
{
	return vm_called(guest->host, guest->name + strlen(guest->host->name) + 1);
}

bool
fleet_vm_is(const struct node *guest, const char *state)
{
	const Gdr__Vm *vm = fleet_vm(guest);

	return vm && vm->state && strcmp(vm->state, state) == 0;
}

bool
fleet_guest_is_another(const struct node *guest)
{
	const Gdr__Vm *vm = fleet_vm(guest);
	const Gdr__Inventory *inventory = guest->report ? guest->report->inventory : NULL;

	return vm && vm->uuid && inventory && inventory->product_uuid &&
	       strcasecmp(vm->uuid, inventory->product_uuid) != 0;
}

bool
fleet_may_note(struct node *node, uint64_t now_ms)
{
	if (!node->host && node->n_guests == 0)
		return true;
	if (node->noted_ms + (uint64_t)NOTES_AT_ONCE * NOTE_EVERY_MS < now_ms)
		node->noted_ms = now_ms - (uint64_t)NOTES_AT_ONCE * NOTE_EVERY_MS;
	if (node->noted_ms > now_ms)
		return false;
	node->noted_ms += NOTE_EVERY_MS;
	return true;
}

void
fleet_follow_host(struct node *guest)
{
	fleet_set_text(&guest->profile, guest->host->profile);
	fleet_set_text(&guest->mode_why, guest->host->mode_why);
	guest->revision = guest->host->revision;
	guest->mode = guest->host->mode;
}

void
fleet_drop_guest(struct fleet *fleet, struct node *guest, const char *why, uint64_t now_ms)
{
	auto_free char *object = xasprintf("node/%s", guest->name);

	if (!fleet_writing(fleet))
		return;
	if (guest->key)
		(void)keyring_remove(fleet->keyring, guest->key, &fleet->failed);
	fleet_event(fleet, now_ms, "gdrd", "node.removed", object, "%s", why);
	fleet_drop_node(fleet, guest);
}

/* Somebody else's key stays that one's, whatever a host says. */
static void
take_key(struct fleet *fleet, struct node *guest, const char *key, uint64_t now_ms)
{
	struct err err = { 0 };

	if (!keys_valid(key) || (guest->key && strcmp(guest->key, key) == 0) || keyring_find(fleet->keyring, key))
		return;
	if (fleet_give_key(fleet, guest, key, now_ms, &err) < 0) {
		fleet->failed = err;
		return;
	}
	auto_free char *object = xasprintf("node/%s", guest->name);
	fleet_event(fleet, now_ms, "gdrd", "node.joined", object, "by its host");
}

static void
take_vm(struct fleet *fleet, struct node *host, const Gdr__Vm *vm, uint64_t now_ms)
{
	auto_free char *name = xasprintf("%s/%s", host->name, vm->name);
	struct node *guest = fleet_node(fleet, name);

	if (!guest && host->n_guests >= GUESTS_MAX)
		return;
	if (!guest) {
		guest = fleet_add_node(fleet, name);
		(void)fleet_wanted_changed(fleet, guest);
	}
	take_key(fleet, guest, vm->guest_key, now_ms);
	fleet_refresh(fleet, guest, now_ms);
}

void
fleet_take_vms(struct fleet *fleet, struct node *host, uint64_t now_ms)
{
	for (size_t i = host->n_guests; i-- > 0 && !fleet->failed.code;)
		if (!fleet_vm(host->guests[i]))
			fleet_drop_guest(fleet, host->guests[i], "its host has no such VM any more", now_ms);
	for (size_t i = 0; i < host->report->n_vms; i++)
		if (is_sound(host->report->vms[i]))
			take_vm(fleet, host, host->report->vms[i], now_ms);
}
