#pragma once

/* keys.h - CURVE key pairs and the files that hold them.
 *
 * A key file is text, mode 0600: "# comment" lines, then `public: Z85` and `secret: Z85` (YAML; Z85 is
 * ZeroMQ's RFC 32).  A file that group or others may read is refused, so that a leaked key is noticed. */

#include <stdbool.h>

struct err;

#define KEY_LEN 40 /* Characters of a Z85 key. */

struct keypair {
	char public_key[KEY_LEN + 1];
	char secret_key[KEY_LEN + 1];
};

void keys_generate(struct keypair *out);
/* The public half of a secret one; false if 'secret' is no key. */
bool keys_public(const char *secret, char out[KEY_LEN + 1]);
/* 40 characters of Z85. */
bool keys_valid(const char *key);

int keys_load(const char *path, struct keypair *out, struct err *err);
int keys_save(const char *path, const struct keypair *pair, const char *comment, struct err *err);
/* Loads, or makes and saves where there is none yet. */
int keys_load_or_make(const char *path, struct keypair *out, const char *comment, struct err *err);

/* How people compare keys: the first 16 hex digits of BLAKE2b, in fours: "3f2a-91c0-...". */
#define KEY_FINGERPRINT_LEN 19
void keys_fingerprint(const char *public_key, char out[KEY_FINGERPRINT_LEN + 1]);
