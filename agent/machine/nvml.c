/* nvml.c - declarations of what is used of nvml.h, from NVIDIA's NVML API reference; every version since R450 has them. */

#include "agent/machine/nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

typedef struct nvml_device *nvml_device;

enum nvml_return {
	NVML_SUCCESS = 0,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_DEPRECATED = 26,
};
enum {
	CLOCK_GRAPHICS = 0,
	CLOCK_MEMORY = 2
};
enum {
	ECC_UNCORRECTED = 1,
	ECC_VOLATILE = 0
};
#define CLOCKS_MAX 512

/* Bits of nvmlDeviceGetCurrentClocksThrottleReasons(). */
#define REASON_SW_POWER   0x4ULL
#define REASON_HW_SLOW    0x8ULL
#define REASON_SW_THERMAL 0x20ULL
#define REASON_HW_THERMAL 0x40ULL
#define REASON_HW_BRAKE   0x80ULL

struct nvml_pci {
	char bus_id_legacy[16];
	unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
	char bus_id[32];
};

/* nvmlGpuFabricInfo_t; room behind it for what newer libraries may add. */
struct nvml_fabric {
	unsigned char cluster[16];
	int status;
	unsigned clique;
	unsigned char state; /* 1 not started, 2 in progress, 3 completed */
	unsigned char room[64];
};

/* Name in the library, result and parameters: one line a function. */
#define FUNCTIONS(F)                                                                                                \
	F(init, "nvmlInit_v2", (void))                                                                              \
	F(shutdown, "nvmlShutdown", (void))                                                                         \
	F(driver, "nvmlSystemGetDriverVersion", (char *, unsigned))                                                 \
	F(count, "nvmlDeviceGetCount_v2", (unsigned *))                                                             \
	F(by_index, "nvmlDeviceGetHandleByIndex_v2", (unsigned, nvml_device *))                                     \
	F(by_bus, "nvmlDeviceGetHandleByPciBusId_v2", (const char *, nvml_device *))                                \
	F(pci, "nvmlDeviceGetPciInfo_v3", (nvml_device, struct nvml_pci *))                                         \
	F(name, "nvmlDeviceGetName", (nvml_device, char *, unsigned))                                               \
	F(uuid, "nvmlDeviceGetUUID", (nvml_device, char *, unsigned))                                               \
	F(persistence, "nvmlDeviceGetPersistenceMode", (nvml_device, int *))                                        \
	F(set_persistence, "nvmlDeviceSetPersistenceMode", (nvml_device, int))                                      \
	F(mig, "nvmlDeviceGetMigMode", (nvml_device, unsigned *, unsigned *))                                       \
	F(clock, "nvmlDeviceGetClockInfo", (nvml_device, int, unsigned *))                                          \
	F(max_clock, "nvmlDeviceGetMaxClockInfo", (nvml_device, int, unsigned *))                                   \
	F(app_clock, "nvmlDeviceGetApplicationsClock", (nvml_device, int, unsigned *))                              \
	F(set_app, "nvmlDeviceSetApplicationsClocks", (nvml_device, unsigned, unsigned))                            \
	F(lock_graphics, "nvmlDeviceSetGpuLockedClocks", (nvml_device, unsigned, unsigned))                         \
	F(lock_memory, "nvmlDeviceSetMemoryLockedClocks", (nvml_device, unsigned, unsigned))                        \
	F(memory_clocks, "nvmlDeviceGetSupportedMemoryClocks", (nvml_device, unsigned *, unsigned *))               \
	F(graphics_clocks, "nvmlDeviceGetSupportedGraphicsClocks", (nvml_device, unsigned, unsigned *, unsigned *)) \
	F(ecc, "nvmlDeviceGetTotalEccErrors", (nvml_device, int, int, unsigned long long *))                        \
	F(remapped, "nvmlDeviceGetRemappedRows", (nvml_device, unsigned *, unsigned *, unsigned *, unsigned *))     \
	F(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons", (nvml_device, unsigned long long *))                \
	F(fabric, "nvmlDeviceGetGpuFabricInfo", (nvml_device, struct nvml_fabric *))                                \
	F(link_gen, "nvmlDeviceGetCurrPcieLinkGeneration", (nvml_device, unsigned *))                               \
	F(link_gen_max, "nvmlDeviceGetMaxPcieLinkGeneration", (nvml_device, unsigned *))                            \
	F(link_width, "nvmlDeviceGetCurrPcieLinkWidth", (nvml_device, unsigned *))                                  \
	F(link_width_max, "nvmlDeviceGetMaxPcieLinkWidth", (nvml_device, unsigned *))

struct nvml {
	void *library;
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name and type. */
#define F(field, symbol, parameters) int(*field) parameters;
	FUNCTIONS(F)
#undef F
};

/* A function that this library lacks stays NULL: what it would tell is "not supported". */
static int
nvml_open(struct nvml *nvml, const char *path)
{
	*nvml = (struct nvml){ .library = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
	if (!nvml->library)
		return -ENOENT;
#define F(field, symbol, parameters)                                                     \
	{                                                                                \
		void *found = dlsym(nvml->library, symbol);                              \
		memcpy(&nvml->field, &found, sizeof(found)); /* C has no cast for it. */ \
	}
	FUNCTIONS(F)
#undef F
	if (!nvml->init || !nvml->count || !nvml->by_index || !nvml->by_bus || !nvml->pci)
		return -ENOENT;
	return nvml->init() == NVML_SUCCESS ? 0 : -ENODEV;
}

static void
nvml_close(struct nvml *nvml)
{
	if (nvml->shutdown)
		(void)nvml->shutdown();
	/* The library stays loaded: the process ends with this call. */
}

/* The driver's words for a return code, as nvidia-smi has them. */
static const char *
words(int code)
{
	switch (code) {
	case NVML_SUCCESS: return "All done.";
	case NVML_ERROR_NOT_SUPPORTED: return "Not Supported";
	case NVML_ERROR_NO_PERMISSION: return "Insufficient Permissions";
	case NVML_ERROR_DRIVER_NOT_LOADED: return "Driver Not Loaded";
	case NVML_ERROR_GPU_IS_LOST: return "GPU is lost";
	case NVML_ERROR_DEPRECATED: return "Requested functionality has been deprecated";
	default: return "Unknown Error";
	}
}

/* --- one cell a field -------------------------------------------------------------------------------------- */

static void
add_unknown(struct buf *out, int code)
{
	buf_printf(out, "[%s]", words(code));
}

static void
add_number(struct buf *out, int code, unsigned long long value)
{
	if (code == NVML_SUCCESS)
		buf_printf(out, "%llu", value);
	else
		add_unknown(out, code);
}

/* Reads by a function of the form f(device, unsigned *), f(device, which, unsigned *). */
#define ASK(function, ...) ((function) ? (function)(__VA_ARGS__) : NVML_ERROR_NOT_SUPPORTED)

static void
add_plain(struct buf *out, int (*function)(nvml_device, unsigned *), nvml_device device)
{
	unsigned value = 0;
	int code = ASK(function, device, &value);

	add_number(out, code, value);
}

static void
add_clock(struct buf *out, int (*function)(nvml_device, int, unsigned *), nvml_device device, int which)
{
	unsigned value = 0;
	int code = ASK(function, device, which, &value);

	add_number(out, code, value);
}

static void
add_text(struct buf *out, int (*function)(nvml_device, char *, unsigned), nvml_device device)
{
	char text[96] = "";
	int code = ASK(function, device, text, sizeof(text) - 1);

	if (code == NVML_SUCCESS)
		buf_puts(out, text);
	else
		add_unknown(out, code);
}

static void
add_switch(struct buf *out, int code, bool on, const char *yes, const char *no)
{
	if (code == NVML_SUCCESS)
		buf_puts(out, on ? yes : no);
	else
		add_unknown(out, code);
}

static void
add_reason(struct buf *out, const struct nvml *nvml, nvml_device device, unsigned long long bit)
{
	unsigned long long reasons = 0;
	int code = ASK(nvml->reasons, device, &reasons);

	add_switch(out, code, reasons & bit, "Active", "Not Active");
}

static void
add_remapped(struct buf *out, const struct nvml *nvml, nvml_device device, bool failure)
{
	unsigned v[4] = { 0 };
	int code = ASK(nvml->remapped, device, &v[0], &v[1], &v[2], &v[3]);

	add_switch(out, code, v[failure ? 3 : 2], "Yes", "No");
}

static void
add_fabric(struct buf *out, const struct nvml *nvml, nvml_device device, bool status)
{
	static const char *const states[] = { "N/A", "Not Started", "In Progress", "Completed" };
	struct nvml_fabric fabric = { 0 };
	int code = ASK(nvml->fabric, device, &fabric);

	if (code != NVML_SUCCESS)
		add_unknown(out, code);
	else if (fabric.state == 0 || fabric.state >= sizeof(states) / sizeof(states[0]))
		buf_puts(out, states[0]);
	else if (status)
		buf_puts(out, fabric.status == NVML_SUCCESS ? "Success" : words(fabric.status));
	else
		buf_puts(out, states[fabric.state]);
}

static void
add_field(struct buf *out, const struct nvml *nvml, nvml_device device, enum nvsmi_field field)
{
	unsigned now = 0;
	unsigned pending = 0;
	unsigned long long errors = 0;
	struct nvml_pci pci = { 0 };
	char version[96] = "";
	int on = 0;
	int code;

	switch (field) {
	case NVSMI_BUS:
		(void)nvml->pci(device, &pci);
		buf_puts(out, pci.bus_id);
		break;
	case NVSMI_NAME: add_text(out, nvml->name, device); break;
	case NVSMI_UUID: add_text(out, nvml->uuid, device); break;
	case NVSMI_DRIVER:
		(void)ASK(nvml->driver, version, sizeof(version) - 1);
		buf_puts(out, version);
		break;
	case NVSMI_PERSISTENCE:
		code = ASK(nvml->persistence, device, &on);
		add_switch(out, code, on, "Enabled", "Disabled");
		break;
	case NVSMI_MIG:
		code = ASK(nvml->mig, device, &now, &pending);
		add_switch(out, code, now, "Enabled", "Disabled");
		break;
	case NVSMI_CLOCK_GRAPHICS: add_clock(out, nvml->clock, device, CLOCK_GRAPHICS); break;
	case NVSMI_CLOCK_MEMORY: add_clock(out, nvml->clock, device, CLOCK_MEMORY); break;
	case NVSMI_MAX_GRAPHICS: add_clock(out, nvml->max_clock, device, CLOCK_GRAPHICS); break;
	case NVSMI_MAX_MEMORY: add_clock(out, nvml->max_clock, device, CLOCK_MEMORY); break;
	case NVSMI_APP_GRAPHICS: add_clock(out, nvml->app_clock, device, CLOCK_GRAPHICS); break;
	case NVSMI_APP_MEMORY: add_clock(out, nvml->app_clock, device, CLOCK_MEMORY); break;
	case NVSMI_ECC:
		code = ASK(nvml->ecc, device, ECC_UNCORRECTED, ECC_VOLATILE, &errors);
		add_number(out, code, errors);
		break;
	case NVSMI_REMAP_PENDING: add_remapped(out, nvml, device, false); break;
	case NVSMI_REMAP_FAILURE: add_remapped(out, nvml, device, true); break;
	case NVSMI_HW_SLOWDOWN: add_reason(out, nvml, device, REASON_HW_SLOW); break;
	case NVSMI_HW_THERMAL: add_reason(out, nvml, device, REASON_HW_THERMAL); break;
	case NVSMI_HW_BRAKE: add_reason(out, nvml, device, REASON_HW_BRAKE); break;
	case NVSMI_SW_THERMAL: add_reason(out, nvml, device, REASON_SW_THERMAL); break;
	case NVSMI_SW_POWER: add_reason(out, nvml, device, REASON_SW_POWER); break;
	case NVSMI_LINK_GEN: add_plain(out, nvml->link_gen, device); break;
	case NVSMI_LINK_GEN_MAX: add_plain(out, nvml->link_gen_max, device); break;
	case NVSMI_LINK_WIDTH: add_plain(out, nvml->link_width, device); break;
	case NVSMI_LINK_WIDTH_MAX: add_plain(out, nvml->link_width_max, device); break;
	case NVSMI_FABRIC_STATE: add_fabric(out, nvml, device, false); break;
	case NVSMI_FABRIC_STATUS: add_fabric(out, nvml, device, true); break;
	case NVSMI_RECOVERY: break; /* Not a column here: it comes in structs that differ from driver to driver. */
	}
}

static void
add_device(struct buf *out, const struct nvml *nvml, unsigned index)
{
	nvml_device device;
	int code = nvml->by_index(index, &device);

	if (code != NVML_SUCCESS) {
		buf_printf(out, "Unable to determine the device handle for GPU%u: %s\n", index, words(code));
		return;
	}
	for (int i = 0; i < NVSMI_FIELDS; i++) {
		if (i == NVSMI_RECOVERY)
			continue;
		buf_puts(out, i ? ", " : "");
		add_field(out, nvml, device, (enum nvsmi_field)i);
	}
	buf_puts(out, "\n");
}

int
nvml_print_gpus(const char *path, struct buf *out)
{
	struct nvml nvml;
	unsigned n = 0;
	int rc = nvml_open(&nvml, path);

	if (rc < 0)
		return rc;
	for (int i = 0; i < NVSMI_FIELDS; i++)
		if (i != NVSMI_RECOVERY)
			buf_printf(out, "%s%s", i ? ", " : "", nvsmi_field_name((enum nvsmi_field)i));
	buf_puts(out, "\n");
	(void)nvml.count(&n);
	for (unsigned i = 0; i < n; i++)
		add_device(out, &nvml, i);
	nvml_close(&nvml);
	return 0;
}

static void
add_pairs(struct buf *out, const struct nvml *nvml, nvml_device device)
{
	struct nvml_pci pci = { 0 };
	unsigned memory[CLOCKS_MAX];
	unsigned graphics[CLOCKS_MAX];
	unsigned n = CLOCKS_MAX;

	if (nvml->pci(device, &pci) != NVML_SUCCESS || ASK(nvml->memory_clocks, device, &n, memory) != NVML_SUCCESS)
		return;
	for (unsigned i = 0; i < n && i < CLOCKS_MAX; i++) {
		unsigned m = CLOCKS_MAX;
		if (ASK(nvml->graphics_clocks, device, memory[i], &m, graphics) != NVML_SUCCESS)
			continue;
		for (unsigned k = 0; k < m && k < CLOCKS_MAX; k++)
			buf_printf(out, "%s, %u, %u\n", pci.bus_id, memory[i], graphics[k]);
	}
}

int
nvml_print_pairs(const char *path, struct buf *out)
{
	struct nvml nvml;
	nvml_device device;
	unsigned n = 0;
	int rc = nvml_open(&nvml, path);

	if (rc < 0)
		return rc;
	(void)nvml.count(&n);
	for (unsigned i = 0; i < n; i++)
		if (nvml.by_index(i, &device) == NVML_SUCCESS)
			add_pairs(out, &nvml, device);
	nvml_close(&nvml);
	return 0;
}

/* --- setters ------------------------------------------------------------------------------------------------- */

bool
nvml_can_set(enum gpus_setting setting)
{
	return setting != GPUS_CUDA;
}

static int
set(const struct nvml *nvml, nvml_device device, enum gpus_setting setting, unsigned a, unsigned b)
{
	switch (setting) {
	case GPUS_PERSISTENCE: return ASK(nvml->set_persistence, device, a != 0);
	case GPUS_APPLICATION: return ASK(nvml->set_app, device, a, b);
	case GPUS_GRAPHICS: return ASK(nvml->lock_graphics, device, a, a);
	case GPUS_MEMORY: return ASK(nvml->lock_memory, device, a, a);
	case GPUS_CUDA: break;
	}
	return NVML_ERROR_NOT_SUPPORTED;
}

int
nvml_set(const char *path, const char *address, enum gpus_setting setting, const char *value, struct buf *out)
{
	struct nvml nvml;
	nvml_device device;
	char *end;
	unsigned a = (unsigned)strtoul(value, &end, 10);
	unsigned b = *end == ',' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
	int rc = nvml_open(&nvml, path);

	if (rc < 0)
		return rc;
	int code = nvml.by_bus(address, &device);
	if (code == NVML_SUCCESS)
		code = set(&nvml, device, setting, a, b);
	buf_puts(out, words(code));
	nvml_close(&nvml);
	return 0;
}
