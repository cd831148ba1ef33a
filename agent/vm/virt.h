#pragma once

/* virt.h - the one door to libvirt.
 *
 * libvirt.so.0 (or the path that agent.yaml's tools have for "libvirt.so.0") is loaded, and the daemon spoken to, in
 * a child process that a deadline ends: a library that is not there, a daemon that is away, hangs, crashes or was
 * restarted costs one errno and one line.  Nothing is kept between two calls.
 *
 * Only domains that bear our mark (agent/vm/xml.h) are told of beyond their name and state, and only such are
 * changed: every call that changes one looks for the mark itself. */

#include <stdbool.h>

#include "agent/machine/host.h"
#include "proto/virt.pb-c.h"

struct err;

/* Everything there is.  -ENOENT: no libvirt on this host; -ENOTCONN: no daemon; -ETIMEDOUT: it does not answer. */
int virt_look(struct host *host, Gdr__VirtLook **out, struct err *err);

/* Defines or redefines; the next start has it.  XML with the uuid of the domain that it replaces. */
int virt_define(struct host *host, const char *name, const char *xml, struct err *err);
int virt_autostart(struct host *host, const char *name, bool on, struct err *err);
int virt_start(struct host *host, const char *name, struct err *err);
/* Asks the guest, and waits until it is off; never by force.  -ETIMEDOUT: it is not. */
int virt_stop(struct host *host, const char *name, unsigned timeout_ms, struct err *err);

/* A byte for each domain that began or ended to run, and each that was defined; until the daemon goes away. */
int virt_watch(struct host *host, struct host_watch *out, struct err *err);
