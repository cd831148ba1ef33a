#pragma once

/* guest.h - the machine inside a running VM of a simulated host: a tree of its own, DIR/.sim/guests/NAME.
 *
 * 'proc', 'sys' and 'run' are made anew at each start of the VM, 'etc' and 'var' stay, as on its disk. */

struct err;
struct sim;

/* The guest's root; the caller frees. */
char *guest_root(const struct sim *sim, const char *vm);
/* What it finds when it starts, by the definition that it was started with, and by the addresses that its host's plan
 * foretells (the last report of the host's agent).  -EAGAIN: that does not know it yet. */
int guest_boot(const struct sim *sim, const char *vm, struct err *err);
