/* Links: agent */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/textfile.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/folder.h"

static Gdr__Report *
report_of(const char *yaml)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	if (pbtext_parse(&gdr__report__descriptor, "test", yaml, strlen(yaml), &message, &err) < 0)
		fail_msg("%s", err.msg);
	return (Gdr__Report *)message;
}

static void
has(const struct buf *text, const char *line)
{
	if (!strstr(text->text, line))
		fail_msg("no '%s' in\n%s", line, text->text);
}

static void
counts_items_by_layer_and_fix(void **state)
{
	auto_pb Gdr__Report *report = report_of(
		"{outcome: stuck, generation: 7, reboots_used: 1, reboot_budget: 3, layers: [{name: nic, items: "
		"[{key: a, fix: manual}, {key: b, fix: none}, {key: c, fix: none}]}, {name: pci, error: gone}]}");
	auto_buf struct buf text = { 0 };

	(void)state;
	textfile_print(report, 1700000000, &text);
	has(&text, "gdr_agent_outcome{outcome=\"stuck\"} 1\n");
	has(&text, "gdr_agent_outcome{outcome=\"settled\"} 0\n");
	has(&text, "gdr_agent_items{fix=\"none\",layer=\"nic\"} 2\n");
	has(&text, "gdr_agent_items{fix=\"manual\",layer=\"nic\"} 1\n");
	has(&text, "gdr_agent_layer_failed{layer=\"nic\"} 0\n");
	has(&text, "gdr_agent_layer_failed{layer=\"pci\"} 1\n");
	has(&text, "gdr_agent_generation 7\n");
	has(&text, "gdr_agent_reboots_used 1\n");
	has(&text, "gdr_agent_look_timestamp_seconds 1700000000\n");
}

static void
is_replaced(void **state)
{
	auto_free char *path = xasprintf("%s/gdrfleet.prom", (const char *)*state);
	auto_pb Gdr__Report *report = report_of("{outcome: settled, generation: 1}");
	auto_free char *text = NULL;
	struct err err = { 0 };

	assert_int_equal(textfile_write(path, report, 1, &err), 0);
	assert_int_equal(textfile_write(path, report, 2, &err), 0);
	assert_int_equal(file_read(path, 1 << 16, &text, NULL, &err), 0);
	assert_non_null(strstr(text, "gdr_agent_look_timestamp_seconds 2\n"));
	assert_null(strstr(text, "gdr_agent_items"));
	assert_int_equal(textfile_write("/proc/nowhere/x", report, 2, &err), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_items_by_layer_and_fix),
		cmocka_unit_test_setup_teardown(is_replaced, folder_make, folder_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
