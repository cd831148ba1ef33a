#pragma once

/* guest.h - guests: what the fleet's own files share about them (guest.c, state.c).
 *
 * A guest is the node "HOST/VM"; nobody declares it.  It is there as long as its host reports its VM; its profile, mode and
 * labels are its host's, and what it should be is the part 'guest' of its host's spec. */

#include "controller/fleet/impl.h"

/* What its host's last report says of a guest's VM; NULL: nothing. */
const Gdr__Vm *fleet_vm(const struct node *guest);
bool fleet_vm_is(const struct node *guest, const char *state);
/* It reports from a machine with another UUID than its VM has. */
bool fleet_guest_is_another(const struct node *guest);
/* False: a guest, or a host by its guests, has filled the events enough for now. */
bool fleet_may_note(struct node *node, uint64_t now_ms);
/* Profile and mode. */
void fleet_follow_host(struct node *guest);
/* After a host's report: its guests are those of it. */
void fleet_take_vms(struct fleet *fleet, struct node *host, uint64_t now_ms);
/* With its key. */
void fleet_drop_guest(struct fleet *fleet, struct node *guest, const char *why, uint64_t now_ms);
/* No guest that 'host' needs is anything but ready. */
bool fleet_guests_are_ready(const struct fleet *fleet, const struct node *host, uint64_t now_ms);

/* Of news.c: 'key' is what 'node' speaks with from now on; an older one is nobody's. */
int fleet_give_key(struct fleet *fleet, struct node *node, const char *key, uint64_t now_ms, struct err *err);
