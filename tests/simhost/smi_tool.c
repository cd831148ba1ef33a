/* smi_tool.c - nvidia-smi, as far as an agent asks it: tables, supported clocks, NVLink, setters, and their endings.
 * The texts are those that the tool of driver 535 prints. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/guest.h"
#include "tests/simhost/guest_gpu.h"
#include "tests/simhost/tree.h"

#define GPUS_MAX     16
#define MAX_GRAPHICS 1410U
#define MAX_MEMORY   1593U

/* nvidia-smi(1), RETURN VALUE. */
enum {
	EXIT_ARGUMENT = 2,
	EXIT_PERMISSION = 4,
	EXIT_NOT_FOUND = 6,
	EXIT_NO_DRIVER = 9,
};

struct gpu {
	char address[16];
	unsigned persistence, graphics, memory;
};
struct call {
	struct tree tree;
	struct gpu gpus[GPUS_MAX];
	size_t n;
};

/* --- state ------------------------------------------------------------------------------------------------------- */

/* NULL: it is whole.  The caller frees. */
static char *
fault(const struct call *call, const char *name)
{
	auto_free char *path = xasprintf(".sim/faults/%s", name);

	return tree_read(&call->tree, path);
}

static void
load(struct call *call)
{
	auto_free char *text = tree_read(&call->tree, ".sim/gpus");
	char *rest = text;

	for (char *line = strsep(&rest, "\n"); line && call->n < GPUS_MAX; line = strsep(&rest, "\n")) {
		struct gpu *gpu = &call->gpus[call->n];
		/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
		call->n += sscanf(line, "%15s %9u %9u %9u", gpu->address, &gpu->persistence, &gpu->graphics,
				  &gpu->memory) == 4;
	}
}

static void
save(struct call *call)
{
	auto_buf struct buf out = { 0 };

	for (size_t i = 0; i < call->n; i++)
		buf_printf(&out, "%s %u %u %u\n", call->gpus[i].address, call->gpus[i].persistence,
			   call->gpus[i].graphics, call->gpus[i].memory);
	tree_printf(&call->tree, ".sim/gpus", "%s", out.text ? out.text : "");
}

/* The fault names this GPU, or none and this is the first. */
static bool
has_fault(const struct call *call, const struct gpu *gpu, const char *name)
{
	auto_free char *which = fault(call, name);

	return which && (!*which ? gpu == &call->gpus[0] : strcmp(which, gpu->address) == 0);
}

static bool
is_lost(const struct call *call, const struct gpu *gpu)
{
	return has_fault(call, gpu, "gpu-lost");
}

/* "0000:b9:00.0" as the tool prints it: "00000000:B9:00.0". */
static void
print_bus(const struct gpu *gpu)
{
	(void)printf("0000");
	for (const char *c = gpu->address; *c; c++)
		(void)putchar(*c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
}

/* --- tables -------------------------------------------------------------------------------------------------------- */

enum cell {
	CELL_TEXT, /* 'text', if no fault says otherwise. */
	CELL_BUS,
	CELL_UUID,
	CELL_PERSISTENCE,
	CELL_GRAPHICS,
	CELL_MEMORY,
};
static const struct field {
	const char *name;
	const char *unit; /* In the header; NULL: none. */
	enum cell cell;
	const char *text;
} fields[] = {
	{ "pci.bus_id", NULL, CELL_BUS, NULL },
	{ "name", NULL, CELL_TEXT, "NVIDIA A100-SXM4-80GB" },
	{ "uuid", NULL, CELL_UUID, NULL },
	{ "driver_version", NULL, CELL_TEXT, "535.161.08" },
	{ "persistence_mode", NULL, CELL_PERSISTENCE, NULL },
	{ "mig.mode.current", NULL, CELL_TEXT, "Disabled" },
	{ "clocks.current.graphics", "MHz", CELL_GRAPHICS, NULL },
	{ "clocks.current.memory", "MHz", CELL_MEMORY, NULL },
	{ "clocks.max.graphics", "MHz", CELL_TEXT, "1410" },
	{ "clocks.max.memory", "MHz", CELL_TEXT, "1593" },
	{ "clocks.applications.graphics", "MHz", CELL_TEXT, "1410" },
	{ "clocks.applications.memory", "MHz", CELL_TEXT, "1593" },
	{ "ecc.errors.uncorrected.volatile.total", NULL, CELL_TEXT, "0" },
	{ "remapped_rows.pending", NULL, CELL_TEXT, "No" },
	{ "remapped_rows.failure", NULL, CELL_TEXT, "No" },
	{ "clocks_event_reasons.hw_slowdown", NULL, CELL_TEXT, "Not Active" },
	{ "clocks_event_reasons.hw_thermal_slowdown", NULL, CELL_TEXT, "Not Active" },
	{ "clocks_event_reasons.hw_power_brake_slowdown", NULL, CELL_TEXT, "Not Active" },
	{ "clocks_event_reasons.sw_thermal_slowdown", NULL, CELL_TEXT, "Not Active" },
	{ "clocks_event_reasons.sw_power_cap", NULL, CELL_TEXT, "Not Active" },
	{ "pcie.link.gen.current", NULL, CELL_TEXT, "4" },
	{ "pcie.link.gen.max", NULL, CELL_TEXT, "4" },
	{ "pcie.link.width.current", NULL, CELL_TEXT, "16" },
	{ "pcie.link.width.max", NULL, CELL_TEXT, "16" },
	{ "fabric.state", NULL, CELL_TEXT, "N/A" },
	{ "fabric.status", NULL, CELL_TEXT, "N/A" },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* What a fault makes of a field. */
static const struct {
	const char *fault;
	const char *field;
	const char *text;
} broken_fields[] = {
	{ "gpu-mig", "mig.mode.current", "Enabled" },
	{ "gpu-ecc", "ecc.errors.uncorrected.volatile.total", "2" },
	{ "gpu-throttled", "clocks_event_reasons.hw_slowdown", "Active" },
};

static const char *
text_of(const struct call *call, const struct gpu *gpu, const struct field *field)
{
	for (size_t i = 0; i < sizeof(broken_fields) / sizeof(broken_fields[0]); i++)
		if (strcmp(field->name, broken_fields[i].field) == 0 && has_fault(call, gpu, broken_fields[i].fault))
			return broken_fields[i].text;
	return field->text;
}

static void
print_cell(const struct call *call, const struct gpu *gpu, const struct field *field)
{
	switch (field->cell) {
	case CELL_TEXT: (void)printf("%s", text_of(call, gpu, field)); break;
	case CELL_BUS: print_bus(gpu); break;
	case CELL_UUID: (void)printf("GPU-%08x-0000-4000-8000-0000000000a1", (unsigned)(gpu - call->gpus)); break;
	case CELL_PERSISTENCE: (void)printf("%s", gpu->persistence ? "Enabled" : "Disabled"); break;
	case CELL_GRAPHICS: (void)printf("%u", gpu->graphics); break;
	case CELL_MEMORY: (void)printf("%u", gpu->memory); break;
	}
}

/* The fields that are asked for, or -1 and the tool's complaint. */
static int
choose(const char *list, const struct field *chosen[FIELDS])
{
	auto_free char *copy = xstrdup(list);
	char *rest = copy;
	int n = 0;

	for (const char *name = strsep(&rest, ","); name && n < (int)FIELDS; name = strsep(&rest, ",")) {
		size_t i = 0;
		while (i < FIELDS && strcmp(fields[i].name, name) != 0)
			i++;
		if (i == FIELDS) {
			(void)printf("Field \"%s\" is not a valid field to query.\n\n", name);
			return -1;
		}
		chosen[n++] = &fields[i];
	}
	return n;
}

static void
print_row(const struct call *call, const struct gpu *gpu, const struct field *const *chosen, int n)
{
	for (int i = 0; i < n; i++) {
		(void)printf("%s", i ? ", " : "");
		print_cell(call, gpu, chosen[i]);
	}
	(void)printf("\n");
}

static int
query(const struct call *call, const char *list)
{
	const struct field *chosen[FIELDS];
	int n = choose(list, chosen);

	if (n < 0)
		return EXIT_ARGUMENT;
	for (size_t i = 0; i < call->n; i++)
		if (is_lost(call, &call->gpus[i]))
			(void)printf("Unable to determine the device handle for GPU%zu: %s: Unknown Error\n", i,
				     call->gpus[i].address);
	for (int i = 0; i < n; i++)
		(void)printf(chosen[i]->unit ? "%s%s [%s]" : "%s%s", i ? ", " : "", chosen[i]->name, chosen[i]->unit);
	(void)printf("\n");
	for (size_t i = 0; i < call->n; i++)
		if (!is_lost(call, &call->gpus[i]))
			print_row(call, &call->gpus[i], chosen, n);
	return 0;
}

static int
help(void)
{
	(void)printf("List of valid properties to query for the switch \"--query-gpu=\":\n\n");
	for (size_t i = 0; i < FIELDS; i++)
		(void)printf("\"%s\"\nSee the manual.\n\n", fields[i].name);
	return 0;
}

static int
clocks(const struct call *call)
{
	for (size_t i = 0; i < call->n; i++)
		for (unsigned graphics = MAX_GRAPHICS; graphics >= 210 && !is_lost(call, &call->gpus[i]);
		     graphics -= 15) {
			print_bus(&call->gpus[i]);
			(void)printf(", %u, %u\n", MAX_MEMORY, graphics);
		}
	return 0;
}

static int
processes(const struct call *call)
{
	auto_free char *busy = fault(call, "gpu-busy");

	if (busy)
		(void)printf("4242\n");
	return 0;
}

static int
nvlinks(const struct call *call)
{
	for (size_t i = 0; i < call->n; i++) {
		(void)printf("GPU %zu: NVIDIA A100-SXM4-80GB (UUID: GPU-%08zx-0000-4000-8000-0000000000a1)\n", i, i);
		bool down = has_fault(call, &call->gpus[i], "nvlink-down");
		for (unsigned link = 0; link < 12; link++)
			(void)printf(down && link == 5 ? "\t Link %u: <inactive>\n" : "\t Link %u: 25 GB/s\n", link);
	}
	return 0;
}

/* --- setters ------------------------------------------------------------------------------------------------------- */

static int
set_one(struct call *call, struct gpu *gpu, const char *option, const char *value)
{
	unsigned a = (unsigned)strtoul(value, NULL, 10);

	if (strcmp(option, "-pm") == 0) {
		gpu->persistence = a;
		(void)printf("%s persistence mode for GPU ", a ? "Enabled" : "Disabled");
	} else if (strcmp(option, "-lgc") == 0) {
		gpu->graphics = a > MAX_GRAPHICS ? MAX_GRAPHICS : a - a % 15;
		(void)printf("GPU clocks set to \"(gpuClkMin %u, gpuClkMax %u)\" for GPU ", a, a);
	} else if (strcmp(option, "-ac") == 0) {
		(void)printf("Applications clocks set to \"(MEM %u, SM %u)\" for GPU ", MAX_MEMORY, MAX_GRAPHICS);
	} else if (strcmp(option, "-lmc") == 0) {
		(void)printf(
			"Setting locked Memory clocks is not supported for GPU %s.\nTreating as warning and moving "
			"on.\n",
			gpu->address);
		return 0;
	} else if (strcmp(option, "-cc") == 0) {
		(void)printf("CUDA clocks set to \"%s\" for GPU ", a ? "OVERRIDE" : "RESTORE_DEFAULT");
	} else {
		(void)printf("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n");
		return EXIT_ARGUMENT;
	}
	print_bus(gpu);
	(void)printf(".\nAll done.\n");
	save(call);
	return 0;
}

static int
set(struct call *call, const char *address, const char *option, const char *value)
{
	auto_free char *denied = fault(call, "smi-denied");

	if (denied) {
		(void)printf("Insufficient Permissions\nTerminating early due to previous errors.\n");
		return EXIT_PERMISSION;
	}
	for (size_t i = 0; i < call->n; i++)
		if (strcmp(call->gpus[i].address, address) == 0 && !is_lost(call, &call->gpus[i]))
			return set_one(call, &call->gpus[i], option, value);
	(void)printf("No devices were found\n");
	return EXIT_NOT_FOUND;
}

/* --- the tool --------------------------------------------------------------------------------------------------------- */

static int
answer(struct call *call, char *const words[], int n)
{
	static const char query_gpu[] = "--query-gpu=";
	auto_free char *absent = fault(call, "driver-absent");
	auto_free char *hangs = fault(call, "smi-hangs");

	while (hangs)
		(void)pause();
	if (absent) {
		(void)printf(
			"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the "
			"latest NVIDIA driver is installed and running.\n\n");
		return EXIT_NO_DRIVER;
	}
	(void)flock(call->tree.fd, LOCK_EX); /* Others change them, too. */
	load(call);
	if (n == 2 && strncmp(words[0], query_gpu, strlen(query_gpu)) == 0)
		return query(call, words[0] + strlen(query_gpu));
	if (n == 1 && strcmp(words[0], "--help-query-gpu") == 0)
		return help();
	if (n == 2 && strncmp(words[0], "--query-supported-clocks=", 25) == 0)
		return clocks(call);
	if (n == 2 && strncmp(words[0], "--query-compute-apps=", 21) == 0)
		return processes(call);
	if (n == 2 && strcmp(words[0], "nvlink") == 0)
		return nvlinks(call);
	if (n == 4 && strcmp(words[0], "-i") == 0)
		return set(call, words[1], words[2], words[3]);
	(void)printf("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n");
	return EXIT_ARGUMENT;
}

int
smi_tool(const struct sim *sim, char *const words[], int n)
{
	struct call call = { 0 };
	struct err err = { 0 };
	auto_free char *root = guest_root(sim, n > 0 ? words[0] : "");

	if (n < 1 || tree_open(&call.tree, AT_FDCWD, root, &err) < 0) {
		(void)fprintf(stderr, "nvidia-smi: no such guest: %s\n", root);
		return 255;
	}
	int status = answer(&call, words + 1, n - 1);
	if (tree_close(&call.tree) < 0) {
		(void)fprintf(stderr, "nvidia-smi: %s\n", err.msg);
		return 255;
	}
	return status;
}
