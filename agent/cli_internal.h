#pragma once

/* cli_internal.h - what the commands for people share. */

#include "agent/cli.h"
#include "proto/wire.pb-c.h"

struct err;

/* What is wanted: of --profile, else what the controller sent.  Free with auto_pb. */
int cli_find_desired(const struct settings *settings, const struct cli_options *options, Gdr__Desired **out,
		     struct err *err);
/* Says it on stderr; returns 1, the exit status. */
int cli_complain(const struct settings *settings, const struct err *err);
