/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "agent/machine/inventory_internal.h"
#include "common/mem.h"

#define NAME           \
	"\x82\x04\x00" \
	"Card"
#define FIELDS   \
	"PN\x05" \
	"MCX6 "  \
	"SN\x03" \
	"A\x01"  \
	"B"
#define GOOD NAME "\x90\x0e\x00" FIELDS "\x78"

static char *
field(const char *data, size_t len, const char *keyword)
{
	/* Of its own size, so that a read beyond it is seen. */
	auto_free char *copy = xcalloc(len ? len : 1, 1);

	memcpy(copy, data, len);
	return inventory_vpd(copy, len, keyword);
}

static void
fields_are_found(void **state)
{
	auto_free char *part = field(GOOD, sizeof(GOOD) - 1, "PN");
	auto_free char *serial = field(GOOD, sizeof(GOOD) - 1, "SN");

	(void)state;
	assert_string_equal(part, "MCX6");
	assert_string_equal(serial, "A?B");
	assert_null(field(GOOD, sizeof(GOOD) - 1, "EC"));
}

static void
damage_is_survived(void **state)
{
	char data[sizeof(GOOD)] = GOOD;

	(void)state;
	for (size_t len = 0; len < sizeof(GOOD) - 1; len++)
		free(field(GOOD, len, "SN"));
	for (size_t i = 0; i < sizeof(GOOD) - 1; i++) {
		data[i] = (char)0xff;
		free(field(data, sizeof(GOOD) - 1, "SN"));
		data[i] = GOOD[i];
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found),
		cmocka_unit_test(damage_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
