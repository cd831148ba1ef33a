#pragma once

/* host_internal.h - what host.c and host_run.c share; nobody else includes it. */

#include <stdbool.h>

#include "proto/config.pb-c.h"

struct host {
	char *root;      /* "/" or a directory, without a trailing slash. */
	bool is_machine; /* The root is "/". */
	int fd;          /* O_PATH of the root; -1: there is none. */
	const Gdr__AgentConfig *config;
};
