#pragma once

/* link.h - the way to the controller: a context of the settings file, and requests over it. */

#include <stdint.h>

#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"

struct ctl;
struct err;

/* The settings file in use; the caller frees. */
char *link_config_path(const struct ctl *ctl);
/* Reads it; one that others may read is refused, since it holds the secret key. */
int link_config_load(const char *path, Gdr__CtlConfig **out, struct err *err);
/* Writes it, mode 0600; with 'fresh' there must be none yet. */
int link_config_save(const char *path, const Gdr__CtlConfig *config, struct err *err);
/* The context that -c names, or the current one; '*out' points into 'config'. */
int link_context(const struct ctl *ctl, const Gdr__CtlConfig *config, const char *path, const Gdr__Context **out,
		 struct err *err);

struct link;
/* Connects at the first call. 'ctl' outlives it. */
struct link *link_new(const struct ctl *ctl);
void link_free(struct link *link);
/* ctl_ops.call: sends, and sends again with the same id, since what was lost with a connection is not
 * coming.  CTL_NO_CONTROLLER without an answer in time, CTL_NOT_ALLOWED where the key is refused. */
int link_call(struct link *link, const Gdr__Request *request, uint64_t timeout_ms, Gdr__Response **out,
	      struct err *err);
