#include "agent/machine/smbios.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

#define OEM_STRINGS "/sys/firmware/dmi/entries/11-*/raw"
#define OEM_TYPE    11 /* System Management BIOS specification, 7.12 */

static void
wipe(char **text)
{
	if (*text)
		sodium_memzero(*text, strlen(*text));
	free(*text);
}
#define auto_wipe __attribute__((cleanup(wipe)))

char *
smbios_credential(const char *name, const char *data, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	auto_wipe char *base64 = xcalloc(size, 1);

	(void)sodium_bin2base64(base64, size, (const unsigned char *)data, len, sodium_base64_VARIANT_ORIGINAL);
	return xasprintf(SMBIOS_CREDENTIAL "%s=%s", name, base64);
}

static char *
decoded(const char *base64, size_t *len)
{
	size_t room = strlen(base64) / 4 * 3 + 4;
	char *out = xcalloc(room, 1);

	if (sodium_base642bin((uint8_t *)out, room - 1, base64, strlen(base64), NULL, len, NULL,
			      sodium_base64_VARIANT_ORIGINAL) == 0)
		return out;
	sodium_memzero(out, room);
	free(out);
	return NULL;
}

/* Type, length of the formatted part, handle, number of strings; then the strings, each ended by NUL. */
char *
smbios_find(const char *raw, size_t raw_len, const char *name, size_t *len)
{
	auto_free char *prefix = xasprintf(SMBIOS_CREDENTIAL "%s=", name);
	size_t at = raw_len > 1 ? (uint8_t)raw[1] : 0;

	if (raw_len < 5 || (uint8_t)raw[0] != OEM_TYPE || at < 5)
		return NULL;
	while (at < raw_len && raw[at] != '\0') {
		auto_wipe char *text = xasprintf("%.*s", (int)(raw_len - at), raw + at);

		if (strncmp(text, prefix, strlen(prefix)) == 0)
			return decoded(text + strlen(prefix), len);
		at += strlen(text) + 1;
	}
	return NULL;
}

int
smbios_read(struct host *host, const char *name, char **out, size_t *len, struct err *err)
{
	auto_strv char **entries = host_glob(host, OEM_STRINGS);

	for (char **entry = entries; *entry; entry++) {
		auto_free char *raw = NULL;
		size_t raw_len = 0;
		int rc = host_read(host, *entry, &raw, &raw_len, err);

		if (rc < 0)
			return rc;
		*out = smbios_find(raw, raw_len, name, len);
		sodium_memzero(raw, raw_len);
		if (*out)
			return 0;
	}
	return err_set(err, -ENOENT, "this VM's definition has no credential %s", name);
}
