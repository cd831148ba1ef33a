/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/mlxconfig.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

#define OURS    TESTS_DIR "/fixtures/mlxconfig/"
#define SAMPLES SOURCE_DIR "/../shared/samples/mlxconfig/"

static char *
read_all(const char *path)
{
	struct err err = { 0 };
	char *text = NULL;
	size_t len;

	if (file_read(path, 1U << 20, &text, &len, &err) < 0)
		fail_msg("%s", err.msg);
	return text;
}

static char *
fixture(const char *name)
{
	auto_free char *path = xasprintf(OURS "%s", name);

	return read_all(path);
}

static size_t
all_rows(const struct mlx_output *out)
{
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++)
		n += out->devices[i].n;
	return n;
}

/* Rows by eye: after "Configurations:", lines that begin with eight columns of blanks, '*' and RO, and a name in
 * capitals behind them. */
static bool
is_row_by_eye(const char *line)
{
	char name[64] = "";

	return strspn(line, "* RO") >= 8 && line[7] == ' ' && sscanf(line + 8, " %63[A-Z0-9_x]", name) == 1 &&
	       strlen(name) > 3;
}

static size_t
rows_by_eye(const char *text)
{
	bool table = false;
	size_t n = 0;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		if (strncmp(at, "Configurations:", 15) == 0)
			table = true;
		else if (strncmp(at, "-E-", 3) == 0 || strncmp(at, "Device #", 8) == 0)
			table = false;
		else if (table)
			n += is_row_by_eye(at);
	}
	return n;
}

static void
parse_well(const char *text, struct mlx_output *out)
{
	struct err err = { 0 };

	if (mlxconfig_parse(text, out, &err) < 0)
		fail_msg("%s", err.msg);
}

static void
expect_row(const struct mlx_device *device, const char *name, const char *factory, const char *current,
	   const char *next)
{
	const struct mlx_row *row = mlxconfig_find(device, name);
	const char *want[] = { factory, current, next };

	if (!row)
		fail_msg("no row %s", name);
	for (unsigned c = 0; c < 3; c++) {
		if (want[c])
			assert_string_equal(row->value[c], want[c]);
		else
			assert_null(row->value[c]);
	}
}

static void
every_generation_reads_alike(void **state)
{
	static const char *const versions[] = { "4.21", "4.23", "4.25", "4.28", "4.33", "4.36" };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		auto_free char *name = xasprintf("query-e-%s.txt", versions[i]);
		auto_free char *text = fixture(name);
		struct mlx_output out;

		parse_well(text, &out);
		assert_int_equal(out.n, 1);
		const struct mlx_device *device = &out.devices[0];
		assert_int_equal(device->n, 13);
		assert_int_equal(device->odd, 0);
		assert_null(device->trouble);
		assert_string_equal(device->type, "ConnectX6DX");
		assert_string_equal(device->name, "MCX623106TEST_Ax");
		assert_string_equal(device->address, "0000:17:00.0");
		assert_true(device->shown[MLX_DEFAULT] && device->shown[MLX_CURRENT] && device->shown[MLX_NEXT]);
		assert_false(device->shown[MLX_NEW]);
		expect_row(device, "UNKNOWN_UPLINK_ACTION", "UNRESTRICTED(1)", "DEVICE_DEFAULT(0)", "UNRESTRICTED(1)");
		expect_row(device, "TRACER_ENABLE", "DEVICE_DEFAULT(0)", "148", "DEVICE_DEFAULT(0)");
		expect_row(device, "EXP_ROM_UEFI_x86_ENABLE", "False(0)", "False(0)", "True(1)");
		expect_row(device, "ATS_ENABLED", "False(0)", "N/A", "True(1)");
		assert_null(mlxconfig_value(mlxconfig_find(device, "ATS_ENABLED"), MLX_CURRENT));
		assert_true(mlxconfig_find(device, "NUM_OF_VFS")->changed);
		assert_false(mlxconfig_find(device, "LINK_TYPE_P1")->changed);
		assert_int_equal(mlxconfig_find(device, "ADVANCED_PCI_SETTINGS")->read_only,
				 strcmp(versions[i], "4.25") >= 0);
		assert_null(mlxconfig_find(device, "ADVANCED_PCI"));
		mlxconfig_free(&out);
	}
}

static void
without_e_there_is_the_next_boot_alone(void **state)
{
	static const char *const versions[] = { "4.21", "4.23", "4.25", "4.28", "4.33", "4.36" };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		auto_free char *name = xasprintf("query-%s.txt", versions[i]);
		auto_free char *text = fixture(name);
		struct mlx_output out;

		parse_well(text, &out);
		assert_int_equal(all_rows(&out), 13);
		expect_row(&out.devices[0], "NUM_OF_VFS", NULL, NULL, "16");
		mlxconfig_free(&out);
	}
}

static void
columns_that_are_missing(void **state)
{
	auto_free char *text = fixture("no-current-4.33.txt");
	auto_free char *bare = fixture("no-labels.txt");
	struct mlx_output out;

	(void)state;
	parse_well(text, &out);
	assert_int_equal(all_rows(&out), 13);
	assert_int_equal(out.devices[0].odd, 0);
	expect_row(&out.devices[0], "P2P_ORDERING_MODE", "DEVICE_DEFAULT(0)", NULL, "SECURE_NONE(1)");
	mlxconfig_free(&out);
	parse_well(bare, &out);
	assert_int_equal(all_rows(&out), 13);
	expect_row(&out.devices[0], "NUM_OF_VFS", NULL, NULL, "16");
	mlxconfig_free(&out);
}

static void
several_devices_and_half_a_failure(void **state)
{
	auto_free char *two = fixture("two-devices-4.21.txt");
	auto_free char *partial = fixture("partial-rc3-4.33.txt");
	struct mlx_output out;

	(void)state;
	parse_well(two, &out);
	assert_int_equal(out.n, 2);
	assert_int_equal(all_rows(&out), 26);
	assert_string_equal(out.devices[0].address, "0000:17:00.0");
	assert_string_equal(out.devices[1].address, "0001:17:00.1");
	mlxconfig_free(&out);
	parse_well(partial, &out);
	assert_int_equal(all_rows(&out), 13);
	assert_int_equal(out.devices[0].odd, 0);
	assert_string_equal(out.devices[0].trouble, "-E- Failed to query some of the TLVs:");
	mlxconfig_free(&out);
}

static void
a_row_that_is_cut_off_is_missed(void **state)
{
	struct mlx_output out;

	(void)state;
	parse_well("Configurations:   Default  Current  Next Boot\n"
		   "         NUM_OF_VFS     0   8   8\n         ADVANCED_PCI_SETTINGS    False(0)\n",
		   &out);
	assert_int_equal(all_rows(&out), 1);
	assert_int_equal(out.devices[0].odd, 1);
	mlxconfig_free(&out);
}

static void
no_table_is_an_error(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = { { "", "it printed no table of settings" },
		      { "-E- Failed to open the device\n-E- Failed to open the device\n", "Failed to open the device" },
		      { "Device #1:\n----------\n\nDevice type:    ConnectX4\n", "no table" },
		      { "NUM_OF_VFS                                  1\nSRIOV_EN       True(1)\n", "no table" },
		      { "\033[2J\001garbage\n", "?[2J?garbage" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mlx_output out;
		struct err err = { 0 };

		assert_int_equal(mlxconfig_parse(cases[i].text, &out, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, cases[i].why));
		mlxconfig_free(&out);
	}
}

static void
endings_of_set(void **state)
{
	static const struct {
		const char *file;
		enum mlx_said said;
		const char *reason;
	} cases[] = { { "set-reboot.txt", MLX_REBOOT, NULL },
		      { "set-power-cycle.txt", MLX_POWER_CYCLE, NULL },
		      { "set-not-armed.txt", MLX_NOT_ARMED, NULL },
		      { "set-refused.txt", MLX_REFUSED,
			"Failed to set nv_pci_conf settings The configuration is rejected (1)." } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *text = fixture(cases[i].file);
		auto_free char *reason = NULL;
		struct mlx_output out;

		assert_int_equal(mlxconfig_said(text, "", &reason), cases[i].said);
		if (cases[i].reason)
			assert_string_equal(reason, cases[i].reason);
		parse_well(text, &out);
		assert_int_equal(all_rows(&out), 2);
		assert_int_equal(out.devices[0].odd, 0);
		assert_string_equal(mlxconfig_find(&out.devices[0], "ATS_ENABLED")->value[MLX_NEW], "True(1)");
		mlxconfig_free(&out);
	}
}

static void
errors_have_a_meaning(void **state)
{
	static const struct {
		const char *out, *err;
		enum mlx_said said;
	} cases[] = {
		{ "-E- Failed to open the device\n", "", MLX_NO_DEVICE },
		{ "-E- Failed to open the device\n", "write counter to semaphore: Operation not permitted\n",
		  MLX_LOCKED },
		{ "-E- Failed to open the device\n", "write counter to semaphore: Permission denied\n", MLX_LOCKED },
		{ "-E- Unsupported device\n", "", MLX_TOO_OLD },
		{ "-E- invalid argument: -j\n    NAME:\n        mstconfig\n", "", MLX_TOO_OLD },
		{ "-E- Error when trying to check if NV access registers are supported\n", "", MLX_NO_ACCESS },
		{ "-E- The Device doesn't support MAX_ACC_OUT_READ parameter\n", "", MLX_LACKS_NAME },
		{ "-E- Unknown Parameter: MAX_ACC_OUT_READ\n", "", MLX_UNKNOWN_NAME },
		{ "-E- Failed to find Param / TLV with name 'X' port 0 module -1\n", "", MLX_UNKNOWN_NAME },
		{ " Apply new Configuration? (y/n) [n] : -E- Aborted by user.\n", "", MLX_ABORTED },
		{ "-E- Failed to set x settings Timed out trying to take the ICMD semaphore\n", "", MLX_BUSY },
		{ "-E- Operation is not supported (Read only TLV: nv_x)\n", "", MLX_REFUSED },
		{ "-E- something that nobody has seen before\n", "", MLX_FAILED },
		{ "", "", MLX_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *reason = NULL;

		if (mlxconfig_said(cases[i].out, cases[i].err, &reason) != cases[i].said)
			fail_msg("%s", cases[i].out);
	}
}

static void
values_are_compared_by_meaning(void **state)
{
	static const struct {
		const char *want, *shown;
		enum mlx_match match;
	} cases[] = {
		{ "True", "True(1)", MLX_SAME },
		{ "true", "1", MLX_SAME },
		{ "1", "True(1)", MLX_SAME },
		{ "True(1)", "True", MLX_SAME },
		{ "false", "False(0)", MLX_SAME },
		{ "true", "False(0)", MLX_OTHER },
		{ "44", "44", MLX_SAME },
		{ "44", "0", MLX_OTHER },
		{ "0x2c", "44", MLX_SAME },
		{ "secure_none", "SECURE_NONE(1)", MLX_SAME },
		{ "SECURE_NONE", "SECURE_TRUST(2)", MLX_OTHER },
		{ "1", "SECURE_NONE(1)", MLX_SAME },
		{ "per_mkey", "per_mkey(0)", MLX_SAME },
		{ "SECURE_NONE", "148", MLX_NO_TELLING },
		{ "148", "DEVICE_DEFAULT(0)", MLX_OTHER },
		{ "_256KB", "_256KB(1)", MLX_SAME },
		{ "0xffffffffffffffffffffff", "0xFFFFFFFFFFFFFFFFFFFFFF", MLX_SAME },
		{ "Array[0..7]", "Array[0..7]", MLX_SAME },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (mlxconfig_compare(cases[i].want, cases[i].shown) != cases[i].match)
			fail_msg("%s, %s", cases[i].want, cases[i].shown);
	auto_free char *yes = mlxconfig_argument("true");
	auto_free char *none = mlxconfig_argument("SECURE_NONE(1)");
	auto_free char *number = mlxconfig_argument("44");
	assert_string_equal(yes, "True");
	assert_string_equal(none, "SECURE_NONE");
	assert_string_equal(number, "44");
	assert_true(mlxconfig_is_off("False(0)") && mlxconfig_is_off("0") && mlxconfig_is_off(NULL));
	assert_false(mlxconfig_is_off("True(1)") || mlxconfig_is_off("44"));
}

static void
json_reads_as_the_text_does(void **state)
{
	auto_free char *json = fixture("query-e.json");
	auto_free char *text = fixture("query-e-4.33.txt");
	struct mlx_output a;
	struct mlx_output b;
	struct err err = { 0 };

	(void)state;
	parse_well(text, &a);
	if (mlxconfig_parse_json(json, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(all_rows(&a), all_rows(&b));
	assert_string_equal(a.devices[0].address, b.devices[0].address);
	assert_string_equal(a.devices[0].type, b.devices[0].type);
	for (size_t i = 0; i < a.devices[0].n; i++) {
		const struct mlx_row *row = &a.devices[0].rows[i];

		expect_row(&b.devices[0], row->name, row->value[0], row->value[1], row->value[2]);
		assert_int_equal(row->read_only, mlxconfig_find(&b.devices[0], row->name)->read_only);
	}
	mlxconfig_free(&a);
	mlxconfig_free(&b);
}

static void
json_without_settings_is_an_error(void **state)
{
	static const char *const cases[] = {
		"",    "{}",        "{\"Device #1\": {\"tlv_configuration\" : null}}",
		"[]",  "{\"a\": {", "{\"Device #1\": {\"tlv_configuration\": {\"A\": {\"next_value\": 1}}}",
		"null"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mlx_output out;
		struct err err = { 0 };

		assert_int_equal(mlxconfig_parse_json(cases[i], &out, &err), -EBADMSG);
		assert_true(*err.msg);
		mlxconfig_free(&out);
	}
}

/* --- real outputs, where they are at hand --------------------------------------------------------------- */

static void
check_sample(const char *path, size_t *tables)
{
	auto_free char *text = read_all(path);
	size_t by_eye = rows_by_eye(text);
	struct mlx_output out;
	struct err err = { 0 };
	bool is_table = strstr(text, "Configurations:") != NULL;

	assert_int_equal(mlxconfig_parse(text, &out, &err), is_table ? 0 : -EBADMSG);
	if (all_rows(&out) != by_eye)
		fail_msg("%s: %zu rows, by eye %zu", path, all_rows(&out), by_eye);
	for (size_t i = 0; i < out.n; i++)
		assert_int_equal(out.devices[i].odd, 0);
	*tables += is_table;
	mlxconfig_free(&out);
}

static void
no_row_is_lost(void **state)
{
	static const char *const patterns[] = { OURS "*.txt", SAMPLES "*.txt", SAMPLES "synthetic/*.txt" };
	size_t tables = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		glob_t found = { 0 };

		if (glob(patterns[i], 0, NULL, &found) == 0)
			for (size_t j = 0; j < found.gl_pathc; j++)
				check_sample(found.gl_pathv[j], &tables);
		globfree(&found);
	}
	assert_true(tables >= 18);
	print_message("%zu tables\n", tables);
}

static void
json_of_the_samples(void **state)
{
	static const struct {
		const char *file;
		size_t rows;
	} cases[] = { { "15-bf3-json-infra-controller-testdata.json", 5 },
		      { "16-GENERATED-cx6dx-e.json", 8 },
		      { "16b-GENERATED-open-ok-query-failed.json", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *path = xasprintf(SAMPLES "%s", cases[i].file);
		struct mlx_output out;
		struct err err = { 0 };
		glob_t found = { 0 };

		if (glob(path, 0, NULL, &found) == 0) {
			auto_free char *text = read_all(path);

			assert_int_equal(mlxconfig_parse_json(text, &out, &err), cases[i].rows ? 0 : -EBADMSG);
			assert_int_equal(all_rows(&out), cases[i].rows);
			mlxconfig_free(&out);
		}
		globfree(&found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_generation_reads_alike),
		cmocka_unit_test(without_e_there_is_the_next_boot_alone),
		cmocka_unit_test(columns_that_are_missing),
		cmocka_unit_test(several_devices_and_half_a_failure),
		cmocka_unit_test(a_row_that_is_cut_off_is_missed),
		cmocka_unit_test(no_table_is_an_error),
		cmocka_unit_test(endings_of_set),
		cmocka_unit_test(errors_have_a_meaning),
		cmocka_unit_test(values_are_compared_by_meaning),
		cmocka_unit_test(json_reads_as_the_text_does),
		cmocka_unit_test(json_without_settings_is_an_error),
		cmocka_unit_test(no_row_is_lost),
		cmocka_unit_test(json_of_the_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
