/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/keys.h"
#include "tests/unit/folder.h"

static struct err why;

static void
loads(const char *path, int code, const char *message)
{
	struct keypair pair;

	why = (struct err){ 0 };
	memset(&pair, 'x', sizeof(pair));
	assert_int_equal(keys_load(path, &pair, &why), code);
	if (code < 0 && !strstr(why.msg, message))
		fail_msg("'%s' is not in '%s'", message, why.msg);
	if (code < 0)
		assert_int_equal(pair.secret_key[0], 'x'); /* Untouched. */
}

static void
writes(const char *path, const char *text)
{
	folder_write(path, text, strlen(text));
	assert_int_equal(chmod(path, 0600), 0);
}

static void
what_is_saved_is_loaded(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	struct keypair made;
	struct keypair loaded;
	struct stat st;
	char public_key[KEY_LEN + 1];

	keys_generate(&made);
	assert_true(keys_valid(made.public_key));
	assert_true(keys_public(made.secret_key, public_key));
	assert_string_equal(public_key, made.public_key);
	assert_int_equal(keys_save(path, &made, "a comment", &why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keys_load(path, &loaded, &why), 0);
	assert_memory_equal(&made, &loaded, sizeof(made));
	auto_free char *text = folder_read(path, NULL);
	assert_true(strncmp(text, "# a comment\n", 12) == 0);
}

static void
made_once_and_then_loaded(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	auto_free char *nowhere = xasprintf("%s/no/key", (char *)*state);
	struct keypair first;
	struct keypair second;

	assert_int_equal(keys_load_or_make(path, &first, "c", &why), 0);
	assert_int_equal(keys_load_or_make(path, &second, "c", &why), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(keys_load_or_make(nowhere, &first, "c", &why), -ENOENT);
	/* What is there and cannot be used is not replaced. */
	writes(path, "garbage");
	assert_true(keys_load_or_make(path, &first, "c", &why) < 0);
	auto_free char *text = folder_read(path, NULL);
	assert_string_equal(text, "garbage");
}

static void
what_others_can_read_is_refused(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	static const mode_t modes[] = { 0640, 0604, 0601, 0620, 0660, 0666, 0777, 0610 };
	struct keypair pair;

	keys_generate(&pair);
	assert_int_equal(keys_save(path, &pair, "c", &why), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		loads(path, -EPERM, "others can read this secret key");
		assert_int_equal(keys_load_or_make(path, &pair, "c", &why), -EPERM);
	}
	assert_int_equal(chmod(path, 0400), 0);
	loads(path, 0, "");
}

static void
a_link_is_refused(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	auto_free char *link = xasprintf("%s/link", (char *)*state);
	auto_free char *dangling = xasprintf("%s/dangling", (char *)*state);
	struct keypair pair;

	keys_generate(&pair);
	assert_int_equal(keys_save(path, &pair, "c", &why), 0);
	assert_int_equal(symlink(path, link), 0);
	loads(link, -ELOOP, "is a symbolic link");
	loads(*state, -EINVAL, "not a regular file");
	/* Nor is one made through a link that leads nowhere yet. */
	assert_int_equal(symlink("/nowhere/key", dangling), 0);
	assert_true(keys_load_or_make(dangling, &pair, "c", &why) < 0);
}

static void
garbage_is_refused(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	struct keypair one;
	struct keypair two;

	keys_generate(&one);
	keys_generate(&two);
	static const char *const texts[] = { "",
					     "garbage",
					     "secret_key: short\n",
					     "public_key: x\n",
					     "[]\n",
					     "a: b\n",
					     "secret_key: \"0123456789012345678901234567890123456789'\"\n" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct keypair pair;

		writes(path, texts[i]);
		if (keys_load(path, &pair, &why) == 0)
			fail_msg("%s was taken", texts[i]);
		assert_non_null(strstr(why.msg, path));
		assert_null(strchr(why.msg, '\n'));
	}
	auto_free char *mixed = xasprintf("public_key: \"%s\"\nsecret_key: \"%s\"\n", one.public_key, two.secret_key);
	writes(path, mixed);
	loads(path, -EBADMSG, "public_key is not the one of secret_key");
	auto_free char *lonely = xasprintf("secret_key: \"%s\"\n", two.secret_key);
	writes(path, lonely);
	loads(path, 0, "");
	auto_free char *big = xcalloc(1, 5001);
	memset(big, '#', 5000);
	writes(path, big);
	loads(path, -EFBIG, "larger than");
	auto_free char *none = xasprintf("%s/none", (char *)*state);
	loads(none, -ENOENT, none);
}

/* A message about a key file never shows the key. */
static void
messages_do_not_show_the_secret(void **state)
{
	auto_free char *path = xasprintf("%s/key", (char *)*state);
	struct keypair pair;

	keys_generate(&pair);
	static const char *const forms[] = {
		"secret_key: \"%s\"\nsecret_key: \"%s\"\n", "secret_keys: \"%s%s\"\n", "secret_key: {a: \"%s%s\"}\n",
		"secret_key: [\"%s\", \"%s\"]\n",           "secret_key: \"%s%s\"\n",  "%s %s\n"
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct keypair loaded;
		struct buf text = { 0 };

		for (const char *c = forms[i]; *c; c++)
			if (c[0] == '%' && c[1] == 's') {
				buf_add(&text, pair.secret_key, KEY_LEN);
				c++;
			} else {
				buf_add(&text, c, 1);
			}
		auto_free char *owned = buf_steal(&text);
		writes(path, owned);
		assert_true(keys_load(path, &loaded, &why) < 0);
		assert_null(strstr(why.msg, pair.secret_key));
	}
}

static void
what_is_a_key(void **state)
{
	struct keypair pair;
	char public_key[KEY_LEN + 1];

	(void)state;
	keys_generate(&pair);
	assert_false(keys_valid(NULL));
	assert_false(keys_valid(""));
	assert_false(keys_public(NULL, public_key));
	pair.public_key[KEY_LEN - 1] = '\0';
	assert_false(keys_valid(pair.public_key));
	assert_false(keys_valid("01234567890123456789012345678901234567890"));
	assert_false(keys_valid("0123456789 123456789012345678901234567890"));
	assert_false(keys_valid("012345678901234567890123456789012345678\\"));
	assert_false(keys_valid("\xff"
				"123456789012345678901234567890123456789"));
	assert_false(keys_valid("#####123456789012345678901234567890123456"));
}

static void
a_fingerprint_is_of_the_key(void **state)
{
	char one[KEY_FINGERPRINT_LEN + 1];
	char same[KEY_FINGERPRINT_LEN + 1];
	char other[KEY_FINGERPRINT_LEN + 1];

	(void)state;
	keys_fingerprint("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", one);
	keys_fingerprint("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", same);
	keys_fingerprint("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", other);
	assert_string_equal(one, same);
	assert_string_not_equal(one, other);
	assert_int_equal(strlen(one), KEY_FINGERPRINT_LEN);
	assert_int_equal(strspn(one, "0123456789abcdef-"), KEY_FINGERPRINT_LEN);
	assert_true(one[4] == '-' && one[9] == '-' && one[14] == '-');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_saved_is_loaded),
		TEST(made_once_and_then_loaded),
		TEST(what_others_can_read_is_refused),
		TEST(a_link_is_refused),
		TEST(garbage_is_refused),
		TEST(messages_do_not_show_the_secret),
		cmocka_unit_test(what_is_a_key),
		cmocka_unit_test(a_fingerprint_is_of_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
