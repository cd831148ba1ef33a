#pragma once

/* credential.h - a guest's credential, as its host put it into the VM's definition.
 *
 * Read by `gdr-guest join` alone, as root: SMBIOS tables are nobody else's to read. */

#include "proto/wire.pb-c.h"

struct err;
struct host;

/* From 'file'; where it is NULL, from systemd's $CREDENTIALS_DIRECTORY, else from SMBIOS.  -ENOENT: there is none.  The
 * keys are valid and belong together.  The caller frees '*out' with credential_free(), which wipes it. */
int credential_read(struct host *host, const char *file, Gdr__GuestCredential **out, struct err *err);
void credential_free(Gdr__GuestCredential *credential);

/* The other way: the document, and the OEM string of it that a host puts into a VM's definition.  The caller wipes and frees. */
char *credential_to_yaml(const Gdr__GuestCredential *credential);
char *credential_to_smbios(const Gdr__GuestCredential *credential);
