#include "agent/credential.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "agent/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"

#define NAME           "gdrfleet.guest"
#define OEM_PREFIX     "io.systemd.credential.binary:" NAME "="
#define OEM_STRINGS    "/sys/firmware/dmi/entries/11-*/raw"
#define OEM_TYPE       11 /* System Management BIOS specification, 7.12 */
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

/* --- SMBIOS ------------------------------------------------------------------------------------------------- */

static char *
decoded(const char *base64)
{
	size_t room = strlen(base64) / 4 * 3 + 4;
	auto_free char *text = xcalloc(room, 1);
	size_t len = 0;

	if (sodium_base642bin((uint8_t *)text, room - 1, base64, strlen(base64), NULL, &len, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return NULL;
	return steal(&text);
}

/* Type, length of the formatted part, handle, number of strings; then the strings, each ended by NUL. */
char *
credential_in_smbios(const char *raw, size_t len)
{
	size_t at = len > 1 ? (uint8_t)raw[1] : 0;

	if (len < 5 || (uint8_t)raw[0] != OEM_TYPE || at < 5)
		return NULL;
	while (at < len && raw[at] != '\0') {
		auto_wipe char *text = xasprintf("%.*s", (int)(len - at), raw + at);
		size_t prefix = strlen(OEM_PREFIX);

		if (strncmp(text, OEM_PREFIX, prefix) == 0)
			return decoded(text + prefix);
		at += strlen(text) + 1;
	}
	return NULL;
}

static int
from_smbios(struct host *host, Gdr__GuestCredential **out, struct err *err)
{
	auto_strv char **entries = host_glob(host, OEM_STRINGS);

	for (char **entry = entries; *entry; entry++) {
		auto_free char *raw = NULL;
		size_t len = 0;
		int rc = host_read(host, *entry, &raw, &len, err);

		if (rc < 0)
			return rc;
		auto_wipe char *text = credential_in_smbios(raw, len);
		sodium_memzero(raw, len);
		if (text)
			return parse(*entry, text, strlen(text), out, err);
	}
	return err_set(err, -ENOENT,
		       "this VM's definition holds no credential for it: its host's layer vm puts it there; "
		       "or name a file: gdr-guest join FILE");
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
credential_to_smbios(const Gdr__GuestCredential *credential)
{
	auto_buf struct buf text = { 0 };

	pbtext_print(&credential->base, NULL, PBTEXT_YAML, &text);
	size_t size = sodium_base64_encoded_len(text.len, sodium_base64_VARIANT_ORIGINAL);
	auto_wipe char *base64 = xcalloc(size, 1);
	(void)sodium_bin2base64(base64, size, (const unsigned char *)text.text, text.len,
				sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(text.text, text.len);
	return xasprintf(OEM_PREFIX "%s", base64);
}
