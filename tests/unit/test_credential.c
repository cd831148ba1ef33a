/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/credential.h"
#include "agent/machine/smbios.h"
#include "common/buf.h"
#include "common/keys.h"
#include "tests/unit/tree.h"

#define NAME  "gdrfleet.guest"
#define ENTRY "/sys/firmware/dmi/entries/11-0/raw"

static struct keypair server;
static struct keypair guest;
static struct host *host;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	host = host_open(tree, NULL);
	keys_generate(&server);
	keys_generate(&guest);
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	host_free(host);
	tree_drop();
	return 0;
}

static char *
document(const char *node, const char *server_key, const char *public_key, const char *secret_key)
{
	return xasprintf("node: %s\nagents: tcp://192.0.2.1:7480\nserver_key: \"%s\"\n"
			 "public_key: \"%s\"\nsecret_key: \"%s\"\n",
			 node, server_key, public_key, secret_key);
}

static char *
good(void)
{
	return document("h1/vm0", server.public_key, guest.public_key, guest.secret_key);
}

/* An SMBIOS structure of type 11 with these strings. */
static void
put_oem(const char *entry, const char *first, const char *second)
{
	auto_buf struct buf raw = { 0 };

	buf_add(&raw, (const char[]){ 11, 5, 0, 1, 2 }, 5);
	buf_add(&raw, first, strlen(first) + 1);
	if (second)
		buf_add(&raw, second, strlen(second) + 1);
	buf_add(&raw, "", 1);
	put_bytes(entry, raw.text, raw.len);
}

static int
read_from(const char *file, Gdr__GuestCredential **out, struct err *err)
{
	*out = NULL;
	*err = (struct err){ 0 };
	int rc = credential_read(host, file, out, err);
	assert_int_equal(err->code, rc);
	return rc;
}

static void
reads_it(const char *file)
{
	Gdr__GuestCredential *found;
	struct err err;

	if (read_from(file, &found, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(found->node, "h1/vm0");
	assert_string_equal(found->agents, "tcp://192.0.2.1:7480");
	assert_string_equal(found->server_key, server.public_key);
	assert_string_equal(found->secret_key, guest.secret_key);
	credential_free(found);
}

/* And what is said of it holds no part of a key. */
static void
refuses(const char *file, int code, const char *why)
{
	Gdr__GuestCredential *found;
	struct err err;

	assert_int_equal(read_from(file, &found, &err), code);
	assert_null(found);
	if (!strstr(err.msg, why))
		fail_msg("%s", err.msg);
	assert_null(strstr(err.msg, guest.secret_key));
}

/* --- where it comes from --- */

static void
from_the_vms_definition(void **state)
{
	auto_free char *text = good();
	auto_free char *oem = smbios_credential(NAME, text, strlen(text));

	(void)state;
	put_oem(ENTRY, oem, NULL);
	reads_it(NULL);
	/* Others' strings before it, and in other structures. */
	put_oem("/sys/firmware/dmi/entries/11-0/raw", "vendor's own", "io.systemd.credential:other=x");
	put_oem("/sys/firmware/dmi/entries/11-1/raw", "io.systemd.credential.binary:" NAME "2=YQ==", oem);
	reads_it(NULL);
}

static void
what_a_host_writes_a_guest_reads(void **state)
{
	Gdr__GuestCredential credential = GDR__GUEST_CREDENTIAL__INIT;
	char node[] = "h1/vm0";
	char agents[] = "tcp://192.0.2.1:7480";

	(void)state;
	credential.node = node;
	credential.agents = agents;
	credential.server_key = server.public_key;
	credential.public_key = guest.public_key;
	credential.secret_key = guest.secret_key;
	auto_free char *oem = credential_to_smbios(&credential);
	put_oem(ENTRY, oem, NULL);
	reads_it(NULL);
}

static void
from_systemd_or_a_file(void **state)
{
	auto_free char *text = good();
	auto_free char *folder = tree_path("/run/credentials/unit");
	auto_free char *file = tree_path("/srv/credential");

	(void)state;
	put("/run/credentials/unit/" NAME, text);
	refuses(NULL, -ENOENT, "gdr-guest join FILE");
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
	reads_it(NULL);
	/* What systemd found comes before SMBIOS, and what a person names before both. */
	put_oem(ENTRY, "io.systemd.credential.binary:" NAME "=bm9uc2Vuc2U=", NULL);
	reads_it(NULL);
	drop("/run/credentials/unit/" NAME);
	refuses(NULL, -EBADMSG, "no guest's credential");
	put("/srv/credential", text);
	reads_it(file);
	drop("/srv/credential");
	refuses(file, -ENOENT, "/srv/credential");
}

/* --- what is none --- */

static void
damaged_strings_are_none(void **state)
{
	static const char *const damaged[] = { "=%%%", "=bm9uc2Vuc2", "", "2=bm9uc2Vuc2U=" };

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		auto_free char *oem = xasprintf(SMBIOS_CREDENTIAL NAME "%s", damaged[i]);
		put_oem(ENTRY, oem, NULL);
		refuses(NULL, -ENOENT, "holds no credential");
	}
	put_bytes(ENTRY, (const char[]){ 11, 5 }, 2);
	refuses(NULL, -ENOENT, "holds no credential");
	put_bytes(ENTRY, (const char[]){ 11, 120, 0, 1, 1, 'a' }, 6);
	refuses(NULL, -ENOENT, "holds no credential");
	put_bytes(ENTRY, (const char[]){ 1, 5, 0, 1, 1, 'a', 0, 0 }, 8);
	refuses(NULL, -ENOENT, "holds no credential");
}

static void
a_file_is_refused(const char *text, int code)
{
	auto_free char *file = tree_path("/srv/credential");

	put("/srv/credential", text);
	refuses(file, code, "/srv/credential");
}

static void
another_document_is_none(void **state)
{
	struct keypair other;

	(void)state;
	keys_generate(&other);
	const struct {
		const char *node, *server_key, *public_key, *secret_key;
	} cases[] = {
		{ "h1", server.public_key, guest.public_key, guest.secret_key }, /* A host. */
		{ "h1/vm0", server.public_key, other.public_key, guest.secret_key },
		{ "h1/vm0", "short", guest.public_key, guest.secret_key },
		{ "h1/vm0", server.public_key, guest.public_key, "short" },
		{ "[h1/vm0", server.public_key, guest.public_key, guest.secret_key }, /* No YAML. */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *text = document(cases[i].node, cases[i].server_key, cases[i].public_key,
						cases[i].secret_key);
		a_file_is_refused(text, -EBADMSG);
	}
	a_file_is_refused("", -EBADMSG);
	a_file_is_refused("kind: Node\nname: h1\n", -EBADMSG);
	auto_free char *long_text = xcalloc(1, 5001);
	memset(long_text, '#', 5000);
	a_file_is_refused(long_text, -EFBIG);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(from_the_vms_definition),  TEST(what_a_host_writes_a_guest_reads), TEST(from_systemd_or_a_file),
		TEST(damaged_strings_are_none), TEST(another_document_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
