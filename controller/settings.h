#pragma once

/* settings.h - gdrd.yaml, and what follows from it. */

#include "common/keys.h"
#include "proto/config.pb-c.h"

struct err;

struct gdrd_settings {
	Gdr__GdrdConfig *config;
	char *database;      /* config->database, or sqlite:STATE/gdrd.db */
	char *key_file;      /* STATE/server.key */
	char *admin_context; /* STATE/admin.yaml: a gdrctl.yaml for the first admin, made once. */
};

/* 'path' NULL: /etc/gdrfleet/gdrd.yaml if it is there, else the defaults. */
int gdrd_settings_load(const char *path, struct gdrd_settings **out, struct err *err);
void gdrd_settings_free(struct gdrd_settings *settings);

/* 'bound' (tcp://0.0.0.0:7470) as others reach it: the host is the setting 'advertise', else the endpoint's own, or
 * this machine's name where that is a wildcard.  The caller frees it. */
char *gdrd_settings_advertised(const struct gdrd_settings *settings, const char *bound);

/* Writes the first admin's context; 0600. */
int gdrd_settings_write_context(const struct gdrd_settings *settings, const char *endpoint, const char *server_key,
				const struct keypair *admin, struct err *err);
