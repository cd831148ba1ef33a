/* Links: agent */
/* layers/gpu.c over a stub nvidia-smi that prints tests/fixtures/nvidia-smi and keeps what it was told. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/machine/gpus.h"
#include "common/buf.h"
#include "common/file.h"
#include "tests/unit/layer.h"

extern const struct layer layer_gpu;

#define GPU "0000:b9:00.0"
#define STUB                                                                      \
	"#!/bin/sh\n"                                                             \
	"cd \"$GDR_ROOT/smi\" || exit 1\n"                                        \
	"echo \"$*\" >>log\n"                                                     \
	"[ ! -e hang ] || sleep 60\n"                                             \
	"case $1 in\n"                                                            \
	"--query-gpu=*) cat table; exit $(cat status 2>/dev/null || echo 0) ;;\n" \
	"--query-supported-clocks=*) cat pairs ;;\n"                              \
	"-i) [ ! -e after ] || cp after table\n"                                  \
	"    cat said; exit $(cat said-status 2>/dev/null || echo 0) ;;\n"        \
	"esac\n"

static Gdr__GuestSpec guest;
static Gdr__GpuSpec gpu;
static char max_text[] = "max";

static void
put_fixture(const char *to, const char *name)
{
	auto_free char *path = xasprintf(TESTS_DIR "/fixtures/nvidia-smi/%s", name);
	auto_free char *text = NULL;
	struct err err;

	assert_int_equal(file_read(path, 1 << 20, &text, NULL, &err), 0);
	put(to, text);
}

static int
setup(void **state)
{
	(void)machine_setup(state);
	put("/proc/cpuinfo", "processor\t: 0\n");
	put_device(GPU, cfg_new(0x10de, 0x20b2, 0x030200), 0);
	put_device("0000:99:00.0", cfg_new(0x10de, 0x20b2, 0x030200), 1);
	memset(&agent_config, 0, sizeof(agent_config));
	gdr__agent_config__init(&agent_config);
	add_tool("nvidia-smi", STUB);
	put_fixture("/smi/table", "healthy.csv");
	put_fixture("/smi/pairs", "pairs.csv");
	put("/smi/said", "All done.\n");
	gdr__guest_spec__init(&guest);
	gdr__gpu_spec__init(&gpu);
	guest.gpu = &gpu;
	spec.guest = &guest;
	gpu.has_persistence = gpu.persistence = true;
	gpu.graphics_clock = max_text;
	gpu.has_timeout = true;
	gpu.timeout = 5000;
	return 0;
}

static void
as_wanted(void **state)
{
	(void)state;
	gpu.memory_clock = gpu.application_clocks = max_text;
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_NONE, "1");
	expect_item(GPU "/graphics_clock", FIX_NONE, "1410");
	expect_item(GPU "/memory_clock", FIX_NONE, "1593");
	expect_item("0000:99:00.0/application_clocks", FIX_NONE, "1593,1410");
	assert_int_equal(report.n, 8);
}

static void
what_differs_is_set_and_seen(void **state)
{
	(void)state;
	put_fixture("/smi/table", "off.csv");
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_LIVE, "0");
	expect_item(GPU "/graphics_clock", FIX_LIVE, "210");
	assert_string_equal(item(GPU "/graphics_clock")->want, "1410");
	put_fixture("/smi/after", "healthy.csv");
	apply_well(&layer_gpu, GPU "/graphics_clock");
	auto_free char *log = got("/smi/log");
	assert_non_null(strstr(log, "-i " GPU " -lgc 1410,1410\n"));
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_NONE, "1410");
}

/* nvidia-smi exits 0 and says "All done." on what it did not do. */
static void
done_is_not_believed(void **state)
{
	(void)state;
	put_fixture("/smi/table", "off.csv");
	look_well(&layer_gpu);
	apply_well(&layer_gpu, GPU "/graphics_clock");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_LIVE, "210");
	expect_why(GPU "/graphics_clock", "reads back 210");
}

static void
held_down_is_no_fault(void **state)
{
	(void)state;
	put_fixture("/smi/table", "throttled.csv");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_LIVE, "1095");
	apply_well(&layer_gpu, GPU "/graphics_clock");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_NONE, "1095");
	expect_why(GPU "/graphics_clock", "the power cap");
}

static void
unsupported_is_said_once(void **state)
{
	(void)state;
	put_fixture("/smi/table", "off.csv");
	put("/smi/said", "Setting locked Memory clocks is not supported for GPU 00000000:B9:00.0.\n"
			 "Treating as warning and moving on.\n");
	look_well(&layer_gpu);
	apply_well(&layer_gpu, GPU "/graphics_clock");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_NONE, "unsupported");
	expect_why(GPU "/graphics_clock", "not supported for GPU");
	/* Another value is another question. */
	char lower[] = "1200";
	gpu.graphics_clock = lower;
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_LIVE, "210");
}

static void
deprecated_by_the_drivers_own_word(void **state)
{
	(void)state;
	put_fixture("/smi/table", "deprecated-590.csv");
	gpu.application_clocks = max_text;
	look_well(&layer_gpu);
	expect_item(GPU "/application_clocks", FIX_NONE, "deprecated");
	expect_why(GPU "/application_clocks", "graphics_clock");
}

static void
denied_is_for_a_person(void **state)
{
	(void)state;
	put_fixture("/smi/table", "off.csv");
	put("/smi/said", "The current user does not have permission to change clocks for GPU 00000000:B9:00.0\n");
	put("/smi/said-status", "4");
	look_well(&layer_gpu);
	apply_well(&layer_gpu, GPU "/graphics_clock");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_MANUAL, "denied");
	put_fixture("/smi/table", "no-permission.csv");
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_MANUAL, "denied");
}

static void
failed_is_an_error_and_tried_again(void **state)
{
	struct err err;

	(void)state;
	put_fixture("/smi/table", "off.csv");
	put("/smi/said", "Unable to set persistence mode for GPU 00000000:B9:00.0: Unknown Error\n");
	put("/smi/said-status", "255");
	look_well(&layer_gpu);
	assert_int_equal(apply(&layer_gpu, GPU "/persistence", &err), -EIO);
	assert_non_null(strstr(err.msg, "Unknown Error"));
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_LIVE, "0");
	expect_why(GPU "/persistence", "failed the last time");
}

static void
cuda_clocks_cannot_be_read_back(void **state)
{
	(void)state;
	gpu.has_cuda_clocks = gpu.cuda_clocks = true;
	look_well(&layer_gpu);
	expect_item(GPU "/cuda_clocks", FIX_LIVE, "unknown");
	apply_well(&layer_gpu, GPU "/cuda_clocks");
	look_well(&layer_gpu);
	expect_item(GPU "/cuda_clocks", FIX_NONE, "applied");
	expect_why(GPU "/cuda_clocks", "no driver tells");
}

static void
a_lost_gpu_leaves_the_others(void **state)
{
	(void)state;
	put_fixture("/smi/table", "lost-one.csv");
	look_well(&layer_gpu);
	expect_item("0000:99:00.0/driver", FIX_MANUAL, "lost");
	expect_item(GPU "/persistence", FIX_NONE, "1");
	assert_null(find_item("0000:99:00.0/persistence"));
}

static void
a_gpu_that_the_driver_does_not_list(void **state)
{
	(void)state;
	put_fixture("/smi/table", "throttled.csv");
	look_well(&layer_gpu);
	expect_item("0000:99:00.0/driver", FIX_MANUAL, "absent");
}

static void
mig_mode(void **state)
{
	(void)state;
	put_fixture("/smi/table", "mig.csv");
	look_well(&layer_gpu);
	expect_item(GPU "/mig", FIX_MANUAL, "Enabled");
	assert_null(find_item("0000:99:00.0/mig"));
}

static void
no_driver(void **state)
{
	(void)state;
	put_fixture("/smi/table", "no-driver.txt");
	put("/smi/status", "9");
	look_well(&layer_gpu);
	assert_int_equal(report.n, 1);
	expect_item("driver", FIX_MANUAL, "none");
	expect_why("driver", "2 GPUs are on the PCI bus");
	agent_config.n_tools = 0;
	look_well(&layer_gpu);
	expect_item("driver", FIX_MANUAL, "none");
	expect_why("driver", "neither");
}

static void
a_driver_that_hangs(void **state)
{
	(void)state;
	put("/smi/hang", "");
	gpu.timeout = 200;
	look_well(&layer_gpu);
	expect_item("driver", FIX_MANUAL, "hangs");
}

/* --- the library ------------------------------------------------------------------------------------------ */

static void
use_library(void)
{
	auto_free char *real = tree_path("/lib/libnvidia-ml.so.1");

	add_tool("libnvidia-ml.so.1", "");
	tool_list[1]->value = tool_paths[1];
	(void)snprintf(tool_paths[1], sizeof(tool_paths[1]), "%s", real);
	put_dir("/lib");
	assert_int_equal(symlink(MOCK_NVML, real), 0);
	put("/lib/nvml.gpus", "00000000:B9:00.0 0 210 1593 1410\n00000000:99:00.0 0 1410 1593 1410\n");
}

static void
the_library_is_asked_first(void **state)
{
	(void)state;
	use_library();
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_LIVE, "0");
	expect_item(GPU "/graphics_clock", FIX_LIVE, "210");
	expect_item("0000:99:00.0/graphics_clock", FIX_NONE, "1410");
	apply_well(&layer_gpu, GPU "/persistence");
	apply_well(&layer_gpu, GPU "/graphics_clock");
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_NONE, "1");
	expect_item(GPU "/graphics_clock", FIX_NONE, "1410");
	/* The tool was not. */
	auto_free char *log = tree_path("/smi/log");
	assert_int_not_equal(access(log, F_OK), 0);
}

static void
what_the_library_refuses(void **state)
{
	(void)state;
	use_library();
	gpu.application_clocks = max_text;
	put("/lib/nvml.refuse", "app 26\ngraphics 3\npersistence 4\n");
	look_well(&layer_gpu);
	expect_item(GPU "/application_clocks", FIX_NONE, "deprecated");
	apply_well(&layer_gpu, GPU "/graphics_clock");
	apply_well(&layer_gpu, GPU "/persistence");
	look_well(&layer_gpu);
	expect_item(GPU "/graphics_clock", FIX_NONE, "unsupported");
	expect_item(GPU "/persistence", FIX_MANUAL, "denied");
}

static void
a_library_that_hangs_or_crashes(void **state)
{
	(void)state;
	use_library();
	put("/lib/nvml.hang", "");
	gpu.timeout = 200;
	look_well(&layer_gpu);
	expect_item("driver", FIX_MANUAL, "hangs");
	drop("/lib/nvml.hang");
	gpu.timeout = 5000;
	put("/lib/nvml.crash", "");
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_NONE, "1"); /* By the tool. */
	drop("/lib/nvml.crash");
	put("/lib/nvml.gpus", "");
	look_well(&layer_gpu);
	expect_item("driver", FIX_MANUAL, "none");
}

static void
the_library_loses_a_gpu(void **state)
{
	(void)state;
	use_library();
	put("/lib/nvml.gpus", "00000000:B9:00.0 1 1410 1593 1410\nlost\n");
	look_well(&layer_gpu);
	expect_item(GPU "/persistence", FIX_NONE, "1");
	expect_item("gpu/driver", FIX_MANUAL, "lost");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		TEST(as_wanted),
		TEST(what_differs_is_set_and_seen),
		TEST(done_is_not_believed),
		TEST(held_down_is_no_fault),
		TEST(unsupported_is_said_once),
		TEST(deprecated_by_the_drivers_own_word),
		TEST(denied_is_for_a_person),
		TEST(failed_is_an_error_and_tried_again),
		TEST(cuda_clocks_cannot_be_read_back),
		TEST(a_lost_gpu_leaves_the_others),
		TEST(a_gpu_that_the_driver_does_not_list),
		TEST(mig_mode),
		TEST(no_driver),
		TEST(a_driver_that_hangs),
		TEST(the_library_is_asked_first),
		TEST(what_the_library_refuses),
		TEST(a_library_that_hangs_or_crashes),
		TEST(the_library_loses_a_gpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
