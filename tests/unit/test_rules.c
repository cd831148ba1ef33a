/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/rules.h"
#include "proto/config.pb-c.h"
#include "proto/rollout.pb-c.h"
#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

static void
finds_by_message_and_field(void **state)
{
	const struct rule *rule = rules_find(&gdr__hugepages_spec__descriptor, "size");

	(void)state;
	assert_non_null(rule);
	assert_int_equal(rule->kind, RULE_BYTES);
	assert_int_equal(rule->min, 2 << 20);
	assert_null(rules_find(&gdr__kernel_spec__descriptor, "size"));
	assert_null(rules_find(&gdr__hugepages_spec__descriptor, "siz"));
}

/* A rule for a field that is not there would never be asked. */
static void
every_rule_names_a_field(void **state)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&gdr__profile__descriptor,        &gdr__node__descriptor,          &gdr__bios_spec__descriptor,
		&gdr__kernel_spec__descriptor,    &gdr__vfio_spec__descriptor,     &gdr__hugepages_spec__descriptor,
		&gdr__pci_rule__descriptor,       &gdr__reboot_spec__descriptor,   &gdr__gdrd_config__descriptor,
		&gdr__reboot_limits__descriptor,  &gdr__agent_config__descriptor,  &gdr__nic_rule__descriptor,
		&gdr__nic_match__descriptor,      &gdr__nic_firmware__descriptor,  &gdr__rollout__descriptor,
		&gdr__vm_spec__descriptor,        &gdr__vm_cpu__descriptor,        &gdr__guest_credential__descriptor,
		&gdr__link_rule__descriptor,      &gdr__link_match__descriptor,    &gdr__link_ring__descriptor,
		&gdr__sysctl_spec__descriptor,    &gdr__rollout_check__descriptor, &gdr__window__descriptor,
		&gdr__window_hours__descriptor,   &gdr__gpu_spec__descriptor,      &gdr__nccl_spec__descriptor,
		&gdr__readiness_spec__descriptor, &gdr__web_config__descriptor,
	};
	static const char *const rules[][2] = {
#define RULE(message, field, kind, min, max) { #message, #field },
#include "common/rules.def"
#undef RULE
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		bool found = false;

		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
			if (strcmp(types[t]->short_name, rules[i][0]) == 0)
				found = protobuf_c_message_descriptor_get_field_by_name(types[t], rules[i][1]);
		if (!found)
			fail_msg("rules.def: %s has no field %s", rules[i][0], rules[i][1]);
	}
}

static void
numbers(void **state)
{
	static const struct {
		struct rule rule;
		uint64_t value;
		const char *says; /* NULL: right. */
	} cases[] = {
		{ { .kind = RULE_NUMBER, .min = 1, .max = 10 }, 1, NULL },
		{ { .kind = RULE_NUMBER, .min = 1, .max = 10 }, 10, NULL },
		{ { .kind = RULE_NUMBER, .min = 1, .max = 10 }, 0, "0 is not between 1 and 10" },
		{ { .kind = RULE_NUMBER, .min = 1, .max = 10 }, 11, "11 is not between 1 and 10" },
		{ { .kind = RULE_POWER2, .min = 128, .max = 4096 }, 128, NULL },
		{ { .kind = RULE_POWER2, .min = 128, .max = 4096 }, 4096, NULL },
		{ { .kind = RULE_POWER2, .min = 128, .max = 4096 },
		  129,
		  "129 is not a power of two between 128 and 4096" },
		{ { .kind = RULE_POWER2, .min = 128, .max = 4096 },
		  8192,
		  "8192 is not a power of two between 128 and 4096" },
		{ { .kind = RULE_POWER2, .min = 128, .max = 4096 },
		  64,
		  "64 is not a power of two between 128 and 4096" },
		{ { .kind = RULE_BYTES, .min = 2 << 20, .max = 1 << 30 }, 1000, "1000 is not between 2M and 1G" },
		{ { .kind = RULE_DURATION, .min = 100, .max = 3600000 }, 5400000, "90m is not between 100ms and 1h" },
		{ { .kind = RULE_DURATION, .min = 100, .max = 3600000 }, 0, "0 is not between 100ms and 1h" },
		{ { .kind = RULE_OR_ALL, .max = 64 }, RULES_WORD, NULL },
		{ { .kind = RULE_OR_VM, .max = 64 }, 65, "65 is not between 0 and 64" },
		{ { .kind = RULE_NUMBER, .max = 64 }, RULES_WORD, "4294967295 is not between 0 and 64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(rules_check_number(&cases[i].rule, cases[i].value, &err), cases[i].says ? -ERANGE : 0);
		assert_string_equal(err.msg, cases[i].says ? cases[i].says : "");
	}
	struct err err = { 0 };
	assert_int_equal(rules_check_number(NULL, UINT64_MAX, &err), 0);
}

static bool
allows(enum rule_kind kind, uint64_t min, uint64_t max, const char *value)
{
	struct rule rule = { .kind = kind, .min = min, .max = max };
	struct err err = { 0 };
	int rc = rules_check_text(&rule, value, &err);

	assert_true((rc == 0) == (err.msg[0] == '\0'));
	return rc == 0;
}

static void
names_and_labels(void **state)
{
	static const char sixty_three[] = "a23456789012345678901234567890123456789012345678901234567890123";

	(void)state;
	assert_true(allows(RULE_NAME, 1, 63, "vela-a100"));
	assert_true(allows(RULE_NAME, 1, 63, "0.a_b"));
	assert_true(allows(RULE_NAME, 1, 63, "x"));
	assert_true(allows(RULE_NAME, 1, 63, sixty_three));
	assert_false(allows(RULE_NAME, 1, 62, sixty_three));
	assert_false(allows(RULE_NAME, 1, 63, ""));
	assert_false(allows(RULE_NAME, 1, 63, "-a"));
	assert_false(allows(RULE_NAME, 1, 63, "a-"));
	assert_false(allows(RULE_NAME, 1, 63, "A"));
	assert_false(allows(RULE_NAME, 1, 63, "a/b"));
	assert_false(allows(RULE_NAME, 1, 63, "a b"));
	assert_false(allows(RULE_NAME, 1, 63, "\xc3\xa9"));
	assert_true(allows(RULE_LABEL, 0, 63, ""));
	assert_true(allows(RULE_LABEL, 0, 63, "R7/x.Y"));
	assert_false(allows(RULE_LABEL, 0, 63, "/x"));
	assert_false(allows(RULE_LABEL, 0, 63, "a=b"));
}

static void
kernel_texts(void **state)
{
	(void)state;
	assert_true(allows(RULE_MODULE, 1, 55, "nvidia_drm-x"));
	assert_false(allows(RULE_MODULE, 1, 55, "a b"));
	assert_false(allows(RULE_MODULE, 1, 55, "../x"));
	assert_true(allows(RULE_CMDLINE, 1, 256, "vfio-pci.ids=10de:20b0,10de:1af1"));
	assert_true(allows(RULE_CMDLINE, 1, 256, "isolcpus=1-3"));
	for (const char *c = " \t\n\"'$`\\;\x7f"; *c; c++) {
		const char value[] = { 'a', *c, 'b', '\0' };

		if (allows(RULE_CMDLINE, 1, 256, value))
			fail_msg("0x%02x is allowed on a kernel command line", (unsigned int)*c);
	}
	assert_false(allows(RULE_CMDLINE, 1, 256, "\xc3\xa9"));
	assert_true(allows(RULE_PCI_ID, 9, 9, "10de:20B0"));
	assert_false(allows(RULE_PCI_ID, 9, 9, "10de:20b"));
	assert_false(allows(RULE_PCI_ID, 9, 9, "10de:20b00"));
	assert_false(allows(RULE_PCI_ID, 9, 9, "10de-20b0"));
	assert_false(allows(RULE_PCI_ID, 9, 9, "g0de:20b0"));
	assert_false(allows(RULE_PCI_ID, 9, 9, ""));
}

static void
texts_of_vms(void **state)
{
	(void)state;
	assert_true(allows(RULE_TEMPLATE, 1, 63, "{node}-gpu0") && allows(RULE_TEMPLATE, 1, 63, "gpu0"));
	assert_true(allows(RULE_TEMPLATE, 1, 63, "{node}") && allows(RULE_TEMPLATE, 1, 63, "a-{node}"));
	assert_false(allows(RULE_TEMPLATE, 1, 63, "{host}") || allows(RULE_TEMPLATE, 1, 63, "{node}{node}"));
	assert_false(allows(RULE_TEMPLATE, 1, 63, "-{node}") || allows(RULE_TEMPLATE, 1, 63, "{node}/a"));
	assert_true(allows(RULE_ADDRESS, 12, 12, "0000:3f:00.0"));
	assert_false(allows(RULE_ADDRESS, 12, 12, "0000:3F:00.0") || allows(RULE_ADDRESS, 12, 12, "3f:00.0"));
	assert_false(allows(RULE_ADDRESS, 12, 12, "0000:3f:00.00") || allows(RULE_ADDRESS, 12, 12, "0000-3f:00.0"));
	assert_true(allows(RULE_OUI, 8, 8, "02:67:64"));
	assert_false(allows(RULE_OUI, 8, 8, "03:67:64") || allows(RULE_OUI, 8, 8, "02:67"));
	assert_true(allows(RULE_CPULIST, 1, 256, "0,1,48-51"));
	assert_false(allows(RULE_CPULIST, 1, 256, ",1") || allows(RULE_CPULIST, 1, 256, "1;2"));
	assert_true(allows(RULE_TEXT, 1, 99, "<a>\n\t<b/>\n</a>\n"));
	assert_false(allows(RULE_TEXT, 1, 99, "a\x1b") || allows(RULE_TEXT, 1, 99, "\xff"));
}

static void
lines(void **state)
{
	(void)state;
	assert_true(allows(RULE_HEX, 4, 4, "15b3") && allows(RULE_HEX, 4, 4, "101D"));
	assert_false(allows(RULE_HEX, 4, 4, "15b") || allows(RULE_HEX, 4, 4, "15bx") || allows(RULE_HEX, 4, 4, "0x15"));
	assert_true(allows(RULE_NV, 1, 64, "MAX_ACC_OUT_READ") && allows(RULE_NV, 1, 64, "per_mkey"));
	assert_true(allows(RULE_NV, 1, 64, "_256KB(1)") && allows(RULE_NV, 1, 64, "NAME[0]"));
	assert_false(allows(RULE_NV, 1, 64, "A=1") || allows(RULE_NV, 1, 64, "A B") || allows(RULE_NV, 1, 64, "-yy"));
	assert_false(allows(RULE_NV, 1, 64, "A[0..7]") || allows(RULE_NV, 1, 64, "A(1") ||
		     allows(RULE_NV, 1, 64, "(1)"));
	assert_true(allows(RULE_LINE, 0, 10, ""));
	assert_true(allows(RULE_LINE, 0, 10, "caf\xc3\xa9 *"));
	assert_false(allows(RULE_LINE, 1, 10, ""));
	assert_false(allows(RULE_LINE, 0, 10, "a\nb"));
	assert_false(allows(RULE_LINE, 0, 10, "a\x1b[m"));
	assert_false(allows(RULE_LINE, 0, 10, "\xc2\x85"));
	assert_false(allows(RULE_LINE, 0, 10, "\xff"));
	assert_true(allows(RULE_LINE, 0, 10, "1234567890"));
	assert_false(allows(RULE_LINE, 0, 10, "12345678901"));
}

static void
messages_are_clean(void **state)
{
	struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(rules_check_text(&rule, "a\n\x1b[2J", &err), -EINVAL);
	assert_string_equal(err.msg, "'a??[2J' is not a name (a-z, 0-9, and -._ in between)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_by_message_and_field),
		cmocka_unit_test(every_rule_names_a_field),
		cmocka_unit_test(numbers),
		cmocka_unit_test(names_and_labels),
		cmocka_unit_test(kernel_texts),
		cmocka_unit_test(texts_of_vms),
		cmocka_unit_test(lines),
		cmocka_unit_test(messages_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
