#pragma once

/* vms.h - the virtual machines of a simulated host, as its libvirt keeps them.
 *
 * DIR/.sim/vms/NAME/: 'definition.xml', what the next start has; 'running.xml', while it runs, what it was started
 * with; 'state', while it runs; 'autostart', if it is on.  DIR/.sim/vms-events: a line for each start and end. */

#include <stdbool.h>

struct err;
struct sim;

char **vms_list(const struct sim *sim); /* auto_strv */
bool vms_exists(const struct sim *sim, const char *name);

/* Checks it as libvirt does, adds what libvirt adds, and keeps it; '*name' is the caller's. */
int vms_define(const struct sim *sim, const char *xml, char **name, struct err *err);
/* NULL: there is none.  The caller frees. */
char *vms_xml(const struct sim *sim, const char *name, bool running);
/* What a definition says of itself: "uuid" ... or the metadata element of a namespace.  The caller frees, or NULL. */
char *vms_child(const char *xml, const char *element);
char *vms_metadata(const char *xml, const char *space);

/* "shutoff", "running", "paused".  The caller frees. */
char *vms_state(const struct sim *sim, const char *name);
int vms_set_state(const struct sim *sim, const char *name, const char *state, struct err *err);
int vms_start(const struct sim *sim, const char *name, struct err *err);
int vms_stop(const struct sim *sim, const char *name, const char *why, struct err *err);
bool vms_autostart(const struct sim *sim, const char *name);
int vms_set_autostart(const struct sim *sim, const char *name, bool on, struct err *err);

/* Power went: nothing runs.  Then libvirt starts those that it is to start, as far as it can. */
void vms_boot(const struct sim *sim);
