/* Links: agent */
/* Captures of nvidia-smi: tests/fixtures/nvidia-smi, and what others published where it is at hand. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/machine/nvsmi.h"
#include "tests/unit/folder.h"

#define FIXTURES TESTS_DIR "/fixtures/nvidia-smi/"
#define SAMPLES  SOURCE_DIR "/../shared/samples/nvidia-smi/"

static struct nvsmi_gpus gpus;

static char *
fixture(const char *name)
{
	auto_free char *path = xasprintf(FIXTURES "%s", name);
	size_t len;

	return folder_read(path, &len);
}

static void
parse(const char *text)
{
	struct err err;

	nvsmi_gpus_free(&gpus);
	assert_int_equal(nvsmi_parse_gpus(text, &gpus, &err), 0);
}

static void
parse_fixture(const char *name)
{
	auto_free char *text = fixture(name);

	parse(text);
}

static int
teardown(void **state)
{
	(void)state;
	nvsmi_gpus_free(&gpus);
	return 0;
}

static void
healthy(void **state)
{
	(void)state;
	parse_fixture("healthy.csv");
	assert_int_equal(gpus.n, 2);
	assert_string_equal(gpus.v[0].address, "0000:b9:00.0");
	assert_false(gpus.v[0].lost);
	assert_string_equal(nvsmi_value(&gpus.v[0], NVSMI_PERSISTENCE), "Enabled");
	assert_int_equal(nvsmi_number(&gpus.v[1], NVSMI_CLOCK_GRAPHICS), 1410);
	assert_null(nvsmi_value(&gpus.v[0], NVSMI_FABRIC_STATE));
	assert_int_equal(gpus.v[0].cells[NVSMI_FABRIC_STATE].has, NVSMI_NOT_THERE);
}

static void
cells_that_are_no_values(void **state)
{
	(void)state;
	parse_fixture("deprecated-590.csv");
	assert_int_equal(gpus.v[0].cells[NVSMI_APP_GRAPHICS].has, NVSMI_GONE);
	parse_fixture("no-permission.csv");
	assert_int_equal(gpus.v[0].cells[NVSMI_PERSISTENCE].has, NVSMI_NOT_ALLOWED);
	parse_fixture("driver-450.csv");
	assert_int_equal(gpus.v[0].cells[NVSMI_RECOVERY].has, NVSMI_SILENT);
	assert_string_equal(nvsmi_value(&gpus.v[0], NVSMI_HW_SLOWDOWN), "Not Active");
	assert_int_equal(nvsmi_number(&gpus.v[0], NVSMI_HW_SLOWDOWN), -1);
}

static void
units_are_cut(void **state)
{
	(void)state;
	parse("pci.bus_id, clocks.max.graphics [MHz], name\n00000001:0B:00.0, 1980 MHz, NVIDIA H100\n");
	assert_string_equal(gpus.v[0].address, "0001:0b:00.0");
	assert_int_equal(nvsmi_number(&gpus.v[0], NVSMI_MAX_GRAPHICS), 1980);
}

static void
expect_lost(const char *name)
{
	size_t lost = 0;

	parse_fixture(name);
	assert_int_equal(gpus.n, 2);
	for (size_t i = 0; i < gpus.n; i++)
		if (gpus.v[i].lost) {
			lost++;
			assert_string_equal(gpus.v[i].address, "0000:99:00.0");
		}
	assert_int_equal(lost, 1);
}

static void
a_lost_gpu(void **state)
{
	(void)state;
	expect_lost("lost-one.csv");
	expect_lost("lost-newer.csv");
	expect_lost("lost-row.csv");
}

static void
no_table(void **state)
{
	auto_free char *text = fixture("no-driver.txt");
	auto_free char *reason = NULL;
	struct err err;

	(void)state;
	nvsmi_gpus_free(&gpus);
	assert_int_equal(nvsmi_parse_gpus(text, &gpus, &err), -EBADMSG);
	assert_int_equal(nvsmi_said(text, "", 9, &reason), NVSMI_NO_DRIVER);
}

static void
the_best_pair_is_a_pair(void **state)
{
	auto_free char *text = fixture("pairs.csv");
	struct nvsmi_pairs pairs;

	(void)state;
	nvsmi_parse_pairs(text, &pairs);
	const struct nvsmi_pair *best = nvsmi_best_pair(&pairs, "0000:99:00.0");
	assert_non_null(best);
	assert_int_equal(best->memory, 1593);
	assert_int_equal(best->graphics, 1410); /* Not 1500, which goes with 1215 alone. */
	assert_null(nvsmi_best_pair(&pairs, "0000:9a:00.0"));
	nvsmi_pairs_free(&pairs);
	nvsmi_parse_pairs("00000000:B9:00.0, [N/A], [N/A]\nUnable to ...\n", &pairs);
	assert_int_equal(pairs.n, 0);
	nvsmi_pairs_free(&pairs);
}

static void
nvlinks(void **state)
{
	auto_free char *text = fixture("nvlink-one-down.txt");
	unsigned inactive;

	(void)state;
	assert_int_equal(nvsmi_nvlinks(text, 0, &inactive), 12);
	assert_int_equal(inactive, 0);
	assert_int_equal(nvsmi_nvlinks(text, 1, &inactive), 11);
	assert_int_equal(inactive, 1);
	assert_int_equal(nvsmi_nvlinks(text, 2, &inactive), -1);
}

static void
mig_devices_are_no_gpus(void **state)
{
	auto_free char *text = fixture("list-mig.txt");

	(void)state;
	assert_int_equal(nvsmi_count(text), 2);
}

static void
what_setters_say(void **state)
{
	static const struct {
		const char *out;
		const char *err;
		int status;
		enum nvsmi_said said;
	} cases[] = {
		{ "Enabled persistence mode for GPU 00000000:03:00.0.\nAll done.\n", "", 0, NVSMI_APPLIED },
		{ "Persistence mode is already Enabled for GPU 00000003:01:00.0.\nAll done.\n", "", 0, NVSMI_APPLIED },
		{ "Setting locked Memory clocks is not supported for GPU 00000000:01:00.0.\n"
		  "Treating as warning and moving on.\n",
		  "", 0, NVSMI_UNSUPPORTED },
		{ "Specified clock combination \"(MEM 715, SM 111)\" is not supported for GPU 00000002:01:00.0. Run "
		  "'nvidia-smi -q -d SUPPORTED_CLOCKS' to see list of supported clock combinations\nTreating as "
		  "warning and moving on.\n",
		  "", 0, NVSMI_FAILED },
		{ "The current user does not have permission to change clocks for GPU 00000000:01:00.0\n", "", 4,
		  NVSMI_DENIED },
		{ "", "Unable to determine the device handle for GPU3: 0000:5F:00.0: Unknown Error\n", 0, NVSMI_LOST },
		{ "Requested functionality has been deprecated\n", "", 0, NVSMI_DEPRECATED },
		{ "", "", 9, NVSMI_NO_DRIVER },
		{ "", "Segmentation fault\n", 139, NVSMI_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *reason = NULL;

		if (nvsmi_said(cases[i].out, cases[i].err, cases[i].status, &reason) != cases[i].said)
			fail_msg("case %zu: %s", i, reason);
	}
}

static void
only_known_fields_are_asked_for(void **state)
{
	auto_free char *all = nvsmi_query(NULL);
	auto_free char *old = nvsmi_query("\"pci.bus_id\" or \"gpu_bus_id\"\nthe address\n"
					  "\"clocks_throttle_reasons.hw_slowdown\"\nSomething\n");

	(void)state;
	assert_non_null(strstr(all, "clocks_event_reasons.hw_slowdown"));
	assert_non_null(strstr(all, "gpu_recovery_action"));
	assert_string_equal(old, "pci.bus_id,clocks_throttle_reasons.hw_slowdown");
}

/* What others have captured of real drivers. */
static void
published(void **state)
{
	static const char *const tables[] = { "query-gpu-all-h100-80gb-hbm3.csv", "query-gpu-all-h200.csv" };
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		auto_free char *path = xasprintf(SAMPLES "%s", tables[i]);
		if (access(path, R_OK) < 0)
			skip();
		auto_free char *text = folder_read(path, &len);
		parse(text);
		assert_true(gpus.n >= 1);
		assert_true(*gpus.v[0].address);
		assert_int_equal(gpus.v[0].cells[NVSMI_APP_GRAPHICS].has, NVSMI_GONE);
		assert_int_equal(nvsmi_number(&gpus.v[0], NVSMI_MAX_GRAPHICS), 1980);
		for (int k = 0; k < NVSMI_FIELDS; k++)
			assert_int_not_equal(gpus.v[0].cells[k].has, NVSMI_SILENT);
	}
	unsigned inactive;
	auto_free char *links = folder_read(SAMPLES "gpud-nvidia-smi.nvlink.status.a100", &len);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(nvsmi_nvlinks(links, i, &inactive), 12);
		assert_int_equal(inactive, 0);
	}
	auto_free char *mig = folder_read(SAMPLES "list-a100-mig.txt", &len);
	assert_int_equal(nvsmi_count(mig), 2);
	auto_free char *eight = folder_read(SAMPLES "list-a100x8.txt", &len);
	assert_int_equal(nvsmi_count(eight), 8);
	auto_free char *lost = folder_read(SAMPLES "query-gpu-lost-one.txt", &len);
	parse(lost);
	assert_true(gpus.v[0].lost);
	assert_string_equal(gpus.v[0].address, "0000:04:00.0");
	auto_free char *capture = folder_read(SAMPLES "capture-linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt",
					      &len);
	auto_free char *query = nvsmi_query(capture);
	auto_free char *all = nvsmi_query(NULL);
	assert_string_equal(query, all); /* Its help knows every field by the name that we ask for. */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy),          cmocka_unit_test(cells_that_are_no_values),
		cmocka_unit_test(units_are_cut),    cmocka_unit_test(a_lost_gpu),
		cmocka_unit_test(no_table),         cmocka_unit_test(the_best_pair_is_a_pair),
		cmocka_unit_test(nvlinks),          cmocka_unit_test(mig_devices_are_no_gpus),
		cmocka_unit_test(what_setters_say), cmocka_unit_test(only_known_fields_are_asked_for),
		cmocka_unit_test(published),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
