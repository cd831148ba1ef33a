#pragma once

/* settings.h - agent.yaml or guest.yaml, and the few files by which the agent's two processes meet.
 *
 * State flows, also between them: comm replaces COMM_STATE/desired, worker replaces STATE/report, each watches
 * the other's folder.  Nothing queues; either may crash, restart or be stopped at any moment.
 *
 *   COMM_STATE/key              comm's CURVE key                      comm writes
 *   COMM_STATE/controller.yaml  where and who the controller is       `gdr-agent join` writes
 *   COMM_STATE/desired          packed gdr.Desired, the newest        comm writes, worker reads
 *   STATE/report                packed gdr.Report, the newest         worker writes, comm reads
 *   STATE/journal.yaml          what we changed (agent/journal.h)     worker
 *   STATE/lock                  who may change this machine           worker, `gdr-agent apply` */

#include "proto/config.pb-c.h"
#include "proto/wire.pb-c.h"

struct err;
struct program;

struct settings {
	const struct program *program;
	Gdr__AgentConfig *config;
	char *node; /* config->node, or this machine's host name, as a node name. */
	char *key_file;
	char *controller_file;
	char *desired_file;
	char *report_file;
	char *journal_file;
};

/* 'path' NULL: the program's own file if it is there, else the defaults.  'root' not NULL overrides the setting. */
int settings_load(const struct program *program, const char *path, const char *root, struct settings **out,
		  struct err *err);
void settings_free(struct settings *settings);

/* Host names may have upper case and end in a domain; node names are lower case.  The caller frees. */
char *settings_node_name(const char *hostname);

/* -ENOENT: there is none yet.  The bytes are checked (pb_check()) before they are believed. */
int settings_read_desired(const struct settings *settings, Gdr__Desired **out, struct err *err);

/* Where the controller is and who: each the settings' word, else what `join` wrote.  -ENOENT: nobody said. */
int settings_controller(const Gdr__AgentConfig *config, Gdr__JoinToken **out, struct err *err);

/* Only one at a time changes this machine and writes the journal: the worker, or `gdr-agent apply`.  -EBUSY names the
 * process; the lock goes with '*fd', or with the process. */
int settings_lock(const struct settings *settings, int *fd, struct err *err);

/* An inotify descriptor that tells when files in 'folder' are replaced; -1 where the kernel has none to give. */
int settings_watch(const char *folder);
/* Empties it. */
void settings_watched(int fd);
