#include "agent/credential.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/smbios.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"

#define NAME           "gdrfleet.guest"
#define CREDENTIAL_MAX 4096

static void
wipe(char **text)
{
	if (*text)
		sodium_memzero(*text, strlen(*text));
	free(*text);
}
#define auto_wipe __attribute__((cleanup(wipe)))

void
credential_free(Gdr__GuestCredential *credential)
{
	if (!credential)
		return;
	if (credential->secret_key)
		sodium_memzero(credential->secret_key, strlen(credential->secret_key));
	pb_free(&credential->base);
}

/* A parser's words may quote what it could not read, and this is a secret. */
static int
parse(const char *where, const char *text, size_t len, Gdr__GuestCredential **out, struct err *err)
{
	ProtobufCMessage *message = NULL;
	char public_key[KEY_LEN + 1];
	struct err said = { 0 };

	if (pbtext_parse(&gdr__guest_credential__descriptor, NAME, text, len, &message, &said) < 0 || !message)
		return err_set(err, -EBADMSG, "%s: this is no guest's credential", where);
	Gdr__GuestCredential *found = (Gdr__GuestCredential *)message;
	bool whole = found->node && strchr(found->node, '/') && found->agents && keys_valid(found->server_key) &&
		     found->secret_key && keys_public(found->secret_key, public_key) &&
		     (!found->public_key || strcmp(found->public_key, public_key) == 0);
	if (!whole) {
		credential_free(found);
		return err_set(err, -EBADMSG,
			       "%s: a guest's credential has node (HOST/VM), agents, server_key and a "
			       "key pair",
			       where);
	}
	*out = found;
	return 0;
}

static int
from_smbios(struct host *host, Gdr__GuestCredential **out, struct err *err)
{
	auto_wipe char *text = NULL;
	size_t len = 0;
	int rc = smbios_read(host, NAME, &text, &len, err);

	if (rc == -ENOENT)
		return err_set(err, -ENOENT,
			       "this VM's definition holds no credential for it: its host's layer vm puts it there; "
			       "or name a file: gdr-guest join FILE");
	return rc < 0 ? rc : parse("the VM's definition", text, len, out, err);
}

static int
from_file(const char *path, Gdr__GuestCredential **out, struct err *err)
{
	auto_wipe char *text = NULL;
	size_t len = 0;
	int rc = file_read(path, CREDENTIAL_MAX, &text, &len, err);

	return rc < 0 ? rc : parse(path, text, len, out, err);
}

int
credential_read(struct host *host, const char *file, Gdr__GuestCredential **out, struct err *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	auto_free char *offered = folder ? xasprintf("%s/" NAME, folder) : NULL;

	if (file)
		return from_file(file, out, err);
	if (offered && access(offered, F_OK) == 0)
		return from_file(offered, out, err);
	return from_smbios(host, out, err);
}

char *
credential_to_yaml(const Gdr__GuestCredential *credential)
{
	struct buf text = { 0 };

	pbtext_print(&credential->base, NULL, PBTEXT_YAML, &text);
	return buf_steal(&text);
}

char *
credential_to_smbios(const Gdr__GuestCredential *credential)
{
	auto_wipe char *text = credential_to_yaml(credential);

	return smbios_credential(NAME, text, strlen(text));
}
