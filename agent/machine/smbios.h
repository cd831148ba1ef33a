#pragma once

/* smbios.h - what a host hands to a guest in the VM's definition: systemd's credentials, each an SMBIOS OEM string
 * "io.systemd.credential.binary:NAME=BASE64".  The guest finds them again as root alone, whatever its init is.
 *
 * They may be secrets: nothing of them is left in memory that was freed here. */

#include <stddef.h>

struct err;
struct host;

/* All names begin so, and what the definition has for one stands behind the '='. */
#define SMBIOS_CREDENTIAL "io.systemd.credential.binary:"

/* The OEM string.  The caller frees, and wipes what is secret. */
char *smbios_credential(const char *name, const char *data, size_t len);

/* What this machine's definition has under that name; NUL-terminated.  -ENOENT: nothing.  The caller frees. */
int smbios_read(struct host *host, const char *name, char **out, size_t *len, struct err *err);

/* The same of one structure, as /sys/firmware/dmi/entries/11-0/raw has it, or NULL. */
char *smbios_find(const char *raw, size_t raw_len, const char *name, size_t *len);
