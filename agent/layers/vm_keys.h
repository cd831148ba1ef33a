#pragma once

/* vm_keys.h - the key pair that the host makes for each guest, and the credential that the guest gets it by.
 *
 * A file for each VM in the agent's own state, STATE/vms/NAME.key, mode 0600.  The public half goes to the controller
 * with the report, which admits it as HOST/VM and nothing else; the whole goes into the VM's definition. */

#include <stdbool.h>

struct err;
struct host;

struct vm_key {
	bool wanted;      /* There is a controller that the guest could speak with. */
	bool made;        /* The rest is there. */
	char *public_key; /* Z85 */
	char *credential; /* SMBIOS OEM string, from which systemd makes $CREDENTIALS_DIRECTORY/gdrfleet.guest, */
	char *document;   /* and what it holds, for a guest that cannot read SMBIOS. */
};

/* Reads only. */
int vm_key_load(struct host *host, const char *node, const char *vm, struct vm_key *out, struct err *err);
int vm_key_make(struct host *host, const char *vm, struct err *err);
void vm_key_free(struct vm_key *key);
