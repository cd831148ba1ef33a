/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "common/buf.h"
#include "common/pbtext.h"
#include "proto/api.pb-c.h"
#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

static void
enum_names(void **state)
{
	int value = 0;

	(void)state;
	assert_string_equal(pbtext_enum(&gdr__node_state__descriptor, GDR__NODE_STATE__NODE_WANTS_REBOOT),
			    "wants-reboot");
	assert_string_equal(pbtext_enum(&gdr__outcome__descriptor, GDR__OUTCOME__OUTCOME_STUCK), "stuck");
	assert_string_equal(pbtext_enum(&gdr__pci_device__kind__descriptor, GDR__PCI_DEVICE__KIND__ROOT_PORT),
			    "root-port");
	assert_string_equal(pbtext_enum(&gdr__pci_device__kind__descriptor, GDR__PCI_DEVICE__KIND__GPU), "gpu");
	assert_string_equal(pbtext_enum(&gdr__code__descriptor, GDR__CODE__CODE_OK), "ok");
	assert_string_equal(pbtext_enum(&gdr__mode__descriptor, 99), "?");
	assert_true(pbtext_enum_parse(&gdr__node_state__descriptor, "Wants_Reboot", &value));
	assert_int_equal(value, GDR__NODE_STATE__NODE_WANTS_REBOOT);
	assert_false(pbtext_enum_parse(&gdr__node_state__descriptor, "wants", &value));
	assert_false(pbtext_enum_parse(&gdr__node_state__descriptor, "wants-reboots", &value));
	assert_false(pbtext_enum_parse(&gdr__node_state__descriptor, "?", &value));
	assert_false(pbtext_enum_parse(&gdr__node_state__descriptor, "", &value));
	assert_ptr_equal(pbtext_enum(&gdr__mode__descriptor, 1), pbtext_enum(&gdr__mode__descriptor, 1));
	assert_string_equal(pbtext_enum_names(&gdr__mode__descriptor)[2], "hold");
	assert_null(pbtext_enum_names(&gdr__mode__descriptor)[3]);
}

/* The prefix ends with a word: what two values happen to begin with is none of it. */
static void
enum_prefixes_are_whole_words(void **state)
{
	static const ProtobufCEnumValue values[] = { { "X_ON", "X_ON", 1 }, { "X_OFF", "X_OFF", 2 } };
	static const ProtobufCEnumDescriptor type = { .n_values = 2, .values = values };

	(void)state;
	assert_string_equal(pbtext_enum_names(&type)[0], "on");
	assert_string_equal(pbtext_enum_names(&type)[1], "off");
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		unsigned long long ms;
		const char *back;
	} good[] = {
		{ "0", 0, "0" },           { "0s", 0, "0" },          { "1ms", 1, "1ms" },
		{ "30s", 30000, "30s" },   { "60s", 60000, "1m" },    { "1500ms", 1500, "1500ms" },
		{ "90m", 5400000, "90m" }, { "24h", 86400000, "1d" }, { "36h", 129600000, "36h" },
		{ "2d", 172800000, "2d" },
	};
	static const char *const bad[] = { "",
					   "s",
					   "30",
					   "-1s",
					   "+1s",
					   " 1s",
					   "1s ",
					   "1 s",
					   "1.5s",
					   "1h30m",
					   "1S",
					   "1min",
					   "0x10s",
					   "99999999999999999999s",
					   "999999999999999999d" };
	unsigned long long ms = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		auto_buf struct buf out = { 0 };

		assert_true(pbtext_duration_parse(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
		pbtext_duration_print(ms, &out);
		assert_string_equal(out.text, good[i].back);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pbtext_duration_parse(bad[i], &ms))
			fail_msg("'%s' is taken for a duration", bad[i]);
}

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		unsigned long long bytes;
		const char *back;
	} good[] = {
		{ "0", 0, "0" },
		{ "1000", 1000, "1000" },
		{ "1024", 1024, "1K" },
		{ "2M", 2 << 20, "2M" },
		{ "0x200000", 2 << 20, "2M" },
		{ "750G", 750ULL << 30, "750G" },
		{ "1024G", 1ULL << 40, "1T" },
		{ "1536K", 1536 << 10, "1536K" },
		{ "16777215T", 16777215ULL << 40, "16777215T" },
		{ "18446744073709551615", 18446744073709551615ULL, "18446744073709551615" },
	};
	static const char *const bad[] = {
		"", "M", "2MB", "2MiB", "2m", "-2M", "1.5G", "2 M", "16777216T", "0x2M", "18446744073709551616"
	};
	unsigned long long bytes = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		auto_buf struct buf out = { 0 };

		assert_true(pbtext_bytes_parse(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
		pbtext_bytes_print(bytes, &out);
		assert_string_equal(out.text, good[i].back);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pbtext_bytes_parse(bad[i], &bytes))
			fail_msg("'%s' is taken for a size", bad[i]);
}

static void
nearest_words(void **state)
{
	static const char *const names[] = { "size", "count", "per_node", "blacklist", "acs", NULL };
	char long_word[200] = "";

	(void)state;
	assert_string_equal(pbtext_nearest("sizes", names), "size");
	assert_string_equal(pbtext_nearest("SIZE", names), "size");
	assert_string_equal(pbtext_nearest("per-node", names), "per_node");
	assert_string_equal(pbtext_nearest("coutn", names), "count"); /* Two letters swapped are one slip. */
	assert_string_equal(pbtext_nearest("asc", names), "acs");
	assert_string_equal(pbtext_nearest("balcklist", names), "blacklist");
	assert_null(pbtext_nearest("hugepages", names));
	assert_null(pbtext_nearest("", names));
	memset(long_word, 'x', sizeof(long_word) - 1);
	assert_null(pbtext_nearest(long_word, names));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(enum_names),    cmocka_unit_test(enum_prefixes_are_whole_words),
		cmocka_unit_test(durations),     cmocka_unit_test(sizes),
		cmocka_unit_test(nearest_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
