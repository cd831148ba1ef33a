#include "common/keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/config.pb-c.h"

#define KEY_FILE_MAX 4096

void
keys_generate(struct keypair *out)
{
	if (zmq_curve_keypair(out->public_key, out->secret_key) != 0)
		abort(); /* libzmq without CURVE: nothing of ours can work. */
}

bool
keys_public(const char *secret, char out[KEY_LEN + 1])
{
	return keys_valid(secret) && zmq_curve_public(out, secret) == 0;
}

bool
keys_valid(const char *key)
{
	uint8_t raw[32];

	return key && strlen(key) == KEY_LEN && zmq_z85_decode(raw, key) != NULL;
}

static int
check_mode(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return err_set(err, -ELOOP, "%s: is a symbolic link", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, -EPERM,
			       "%s: others can read this secret key (mode %04o): make a new one, or chmod 600 it "
			       "if it never leaked",
			       path, (unsigned)(st.st_mode & 07777));
	return 0;
}

/* What a parser says of a file may quote it, and this one holds a secret: only "PATH:LINE:COLUMN" is kept. */
static int
no_key_file(const char *path, struct err *err)
{
	struct err said = *err;
	size_t at = strncmp(said.msg, path, strlen(path)) == 0 ? strlen(path) : 0;
	size_t position = at ? strspn(said.msg + at, ":0123456789") : 0;

	while (position > 0 && said.msg[at + position - 1] == ':')
		position--;
	return err_set(err, said.code, "%s%.*s: is no key file (public_key and secret_key, each 40 characters of Z85)",
		       path, (int)position, said.msg + at);
}

int
keys_load(const char *path, struct keypair *out, struct err *err)
{
	auto_free char *text = NULL;
	auto_pb ProtobufCMessage *message = NULL;
	struct keypair pair = { 0 };
	size_t len = 0;
	int rc = check_mode(path, err);

	if (rc == 0)
		rc = file_read(path, KEY_FILE_MAX, &text, &len, err);
	if (rc < 0)
		return rc;
	rc = pbtext_parse(&gdr__key_file__descriptor, path, text, len, &message, err);
	if (rc < 0) {
		sodium_memzero(text, len);
		return no_key_file(path, err);
	}

	const Gdr__KeyFile *file = (const Gdr__KeyFile *)message;
	if (!keys_valid(file->secret_key) || !keys_public(file->secret_key, pair.public_key))
		return err_set(err, -EBADMSG, "%s: secret_key: expected 40 characters of Z85", path);
	if (file->public_key && strcmp(file->public_key, pair.public_key) != 0)
		return err_set(err, -EBADMSG, "%s: public_key is not the one of secret_key", path);
	memcpy(pair.secret_key, file->secret_key, KEY_LEN + 1);
	*out = pair;
	sodium_memzero(text, len);
	return 0;
}

int
keys_save(const char *path, const struct keypair *pair, const char *comment, struct err *err)
{
	auto_buf struct buf text = { 0 };
	struct keypair copy = *pair;
	Gdr__KeyFile file = GDR__KEY_FILE__INIT;

	file.public_key = copy.public_key;
	file.secret_key = copy.secret_key;
	buf_printf(&text, "# %s\n", comment);
	pbtext_print(&file.base, NULL, PBTEXT_YAML, &text);
	int rc = file_replace(path, text.text, text.len, 0600, err);
	sodium_memzero(text.text, text.len);
	sodium_memzero(&copy, sizeof(copy));
	return rc;
}

int
keys_load_or_make(const char *path, struct keypair *out, const char *comment, struct err *err)
{
	struct stat st;

	/* Whatever is there, be it a link to nowhere, is not replaced. */
	if (lstat(path, &st) == 0 || errno != ENOENT)
		return keys_load(path, out, err);
	keys_generate(out);
	return keys_save(path, out, comment, err);
}

void
keys_fingerprint(const char *public_key, char out[KEY_FINGERPRINT_LEN + 1])
{
	uint8_t raw[32] = { 0 };
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void)zmq_z85_decode(raw, public_key);
	(void)crypto_generichash(hash, sizeof(hash), raw, sizeof(raw), NULL, 0);
	(void)snprintf(out, KEY_FINGERPRINT_LEN + 1, "%02x%02x-%02x%02x-%02x%02x-%02x%02x", hash[0], hash[1], hash[2],
		       hash[3], hash[4], hash[5], hash[6], hash[7]);
}
