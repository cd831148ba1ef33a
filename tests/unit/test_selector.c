/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/selector.h"

/* The node that all are tried on: "host1", rack=r7, gpu=a100, canary="", tier/zone=a.b-c. */
static bool
fits(const char *text)
{
	Gdr__Node__LabelsEntry rack = { .key = (char[]){ "rack" }, .value = (char[]){ "r7" } };
	Gdr__Node__LabelsEntry gpu = { .key = (char[]){ "gpu" }, .value = (char[]){ "a100" } };
	Gdr__Node__LabelsEntry canary = { .key = (char[]){ "canary" } };
	Gdr__Node__LabelsEntry zone = { .key = (char[]){ "tier/zone" }, .value = (char[]){ "a.b-c" } };
	Gdr__Node__LabelsEntry name = { .key = (char[]){ "name" }, .value = (char[]){ "never-seen" } };
	Gdr__Node__LabelsEntry *labels[] = { &rack, &gpu, &canary, &zone, &name };
	struct selector *selector = NULL;
	struct err err = { 0 };
	bool is;

	if (selector_parse(text, &selector, &err) < 0)
		fail_msg("'%s': %s", text, err.msg);
	is = selector_matches(selector, "host1", labels, 5);
	selector_free(selector);
	return is;
}

static void
expect(bool want, const char *const *texts)
{
	for (; *texts; texts++)
		if (fits(*texts) != want)
			fail_msg("'%s' should %sfit", *texts, want ? "" : "not ");
}

static void
these_fit(void **state)
{
	static const char *const texts[] = { "rack=r7",
					     "rack==r7",
					     " rack = r7 ",
					     "rack",
					     "canary",
					     "!old",
					     "! old",
					     "rack!=r8",
					     "old!=x",
					     "rack in (r7)",
					     "rack in (r1,r7,r9)",
					     "rack in( r1 , r7 )",
					     "rack in(r7)",
					     "rack notin (r1,r2)",
					     "old notin (x)",
					     "tier/zone=a.b-c",
					     "name=host1",
					     "name in (host1,host2)",
					     "name!=host2",
					     "name",
					     "rack=r7,gpu!=v100,canary,!old,rack in (r7,r2),rack notin (r3)",
					     "rack=r7,\track!=r8",
					     NULL };

	(void)state;
	expect(true, texts);
}

static void
these_do_not(void **state)
{
	static const char *const texts[] = { "rack=r8",
					     "rack=R7",
					     "rack=r",
					     "rack=r77",
					     "old",
					     "!rack",
					     "!canary",
					     "canary=x",
					     "rack!=r7",
					     "rack in (r1,r2)",
					     "rack notin (r1,r7)",
					     "old in (x)",
					     "old=x",
					     "name=host2",
					     "name=never-seen",
					     "!name",
					     "rack=r7,gpu=v100",
					     "gpu=v100,rack=r7",
					     NULL };

	(void)state;
	expect(false, texts);
}

/* 'in' and 'notin' are words only where an operator stands. */
static void
operators_may_be_labels(void **state)
{
	static const char *const texts[] = { "!in",        "!notin", "in!=x", "in notin (in)", "notin notin (notin)",
					     "!in,!notin", NULL };

	(void)state;
	expect(true, texts);
}

static void
mistakes_are_told_with_their_place(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{ "", "character 1: a label's name is expected, found the end" },
		{ "   ", "character 4: a label's name is expected, found the end" },
		{ ",", "character 1: a label's name is expected, found ','" },
		{ "rack=r7,", "character 9: a label's name is expected, found the end" },
		{ "rack=r7,,x", "character 9: a label's name is expected, found ','" },
		{ "rack=", "character 6: a value is expected, found the end" },
		{ "rack!=,x", "character 7: a value is expected, found ','" },
		{ "=r7", "character 1: a label's name is expected, found '='" },
		{ "!", "character 2: a label's name is expected, found the end" },
		{ "!!x", "character 2: a label's name is expected, found '!'" },
		{ "!x=y", "character 3: ',' is expected, found '='" },
		{ "rack=r7 gpu", "character 9: ',' is expected, found 'g'" },
		{ "rack r7", "character 6: ',', '=', '!=', 'in' or 'notin' is expected, found 'r'" },
		{ "rack inn (r7)", "character 6: ',', '=', '!=', 'in' or 'notin' is expected, found 'i'" },
		{ "rack in r7", "character 9: '(' is expected, found 'r'" },
		{ "rack in ()", "character 10: a value is expected, found ')'" },
		{ "rack in (r7", "character 12: ',' or ')' is expected, found the end" },
		{ "rack in (r7,)", "character 13: a value is expected, found ')'" },
		{ "rack in (r7 r8)", "character 13: ',' or ')' is expected, found 'r'" },
		{ "rack notin", "character 11: '(' is expected, found the end" },
		{ "rack=\"r7\"", "character 6: a value is expected, found '\"'" },
		{ "r\xc3\xa4"
		  "ck",
		  "character 2: ',', '=', '!=', 'in' or 'notin' is expected, found byte 0xc3" },
		{ "rack\n", "character 5: ',', '=', '!=', 'in' or 'notin' is expected, found byte 0x0a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *want = xasprintf("selector: %s", cases[i].want);
		struct selector *selector = NULL;
		struct err err = { 0 };

		assert_int_equal(selector_parse(cases[i].text, &selector, &err), -EINVAL);
		assert_string_equal(err.msg, want);
		assert_null(selector);
	}
}

static void
length_has_a_limit(void **state)
{
	char text[SELECTOR_MAX + 2];
	struct selector *selector = NULL;
	struct err err = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[SELECTOR_MAX] = '\0';
	assert_int_equal(selector_parse(text, &selector, &err), 0);
	selector_free(selector);
	selector_free(NULL);
	text[SELECTOR_MAX] = 'x';
	text[SELECTOR_MAX + 1] = '\0';
	assert_int_equal(selector_parse(text, &selector, &err), -EINVAL);
	assert_string_equal(err.msg, "selector: it has more than 4096 characters");
}

static void
no_labels_at_all(void **state)
{
	struct selector *selector = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(selector_parse("!rack,gpu!=v100,name=n1", &selector, &err), 0);
	assert_true(selector_matches(selector, "n1", NULL, 0));
	assert_false(selector_matches(selector, "n2", NULL, 0));
	selector_free(selector);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(these_fit),
		cmocka_unit_test(these_do_not),
		cmocka_unit_test(operators_may_be_labels),
		cmocka_unit_test(mistakes_are_told_with_their_place),
		cmocka_unit_test(length_has_a_limit),
		cmocka_unit_test(no_labels_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
