/* nvml.c - an NVML without GPUs: libnvidia-ml.so.1 for tests and simulated guests.
 *
 * It finds its machine by the path that it was loaded by: FOLDER/nvml.gpus has a line a GPU, "BUS-ID PERSISTENCE
 * GRAPHICS MEMORY MAX-GRAPHICS" or "lost"; setters rewrite it.  FOLDER/nvml.refuse has lines "WHAT CODE" (persistence,
 * graphics, memory, app); nvml.hang and nvml.crash do what they say. */

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPUS_MAX 16

enum {
	SUCCESS = 0,
	ARGUMENT = 2,
	NOT_SUPPORTED = 3,
	NOT_FOUND = 6,
	NO_DRIVER = 9,
	LOST = 15
};

struct gpu {
	char bus[32];
	unsigned persistence, graphics, memory, max;
	int lost;
};
static struct gpu gpus[GPUS_MAX];
static unsigned n_gpus;
static char folder[512];

struct pci {
	char legacy[16];
	unsigned domain, bus, device, ids, sub;
	char bus_id[32];
};

/* The functions that agent/machine/nvml.c looks up by name. */
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *out, unsigned len);
int nvmlDeviceGetCount_v2(unsigned *out);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct gpu **out);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, struct gpu **out);
int nvmlDeviceGetPciInfo_v3(struct gpu *gpu, struct pci *out);
int nvmlDeviceGetName(struct gpu *gpu, char *out, unsigned len);
int nvmlDeviceGetUUID(struct gpu *gpu, char *out, unsigned len);
int nvmlDeviceGetPersistenceMode(struct gpu *gpu, int *out);
int nvmlDeviceSetPersistenceMode(struct gpu *gpu, int on);
int nvmlDeviceGetMigMode(struct gpu *gpu, unsigned *now, unsigned *pending);
int nvmlDeviceGetClockInfo(struct gpu *gpu, int which, unsigned *out);
int nvmlDeviceGetMaxClockInfo(struct gpu *gpu, int which, unsigned *out);
int nvmlDeviceGetApplicationsClock(struct gpu *gpu, int which, unsigned *out);
int nvmlDeviceSetApplicationsClocks(struct gpu *gpu, unsigned memory, unsigned graphics);
int nvmlDeviceSetGpuLockedClocks(struct gpu *gpu, unsigned low, unsigned high);
int nvmlDeviceSetMemoryLockedClocks(struct gpu *gpu, unsigned low, unsigned high);
int nvmlDeviceGetSupportedMemoryClocks(struct gpu *gpu, unsigned *n, unsigned *out);
int nvmlDeviceGetSupportedGraphicsClocks(struct gpu *gpu, unsigned memory, unsigned *n, unsigned *out);
int nvmlDeviceGetTotalEccErrors(struct gpu *gpu, int kind, int counter, unsigned long long *out);
int nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, unsigned long long *out);

static FILE *
file(const char *name, const char *mode)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/nvml.%s", folder, name);
	return fopen(path, mode);
}

static int
there(const char *name)
{
	FILE *f = file(name, "r");

	if (f)
		(void)fclose(f);
	return f != NULL;
}

/* The code that the test wants for 'what', or SUCCESS. */
static int
refusal(const char *what)
{
	FILE *f = file("refuse", "r");
	char word[32];
	int code;
	int found = SUCCESS;

	while (f && fscanf(f, "%31s %d", word, &code) == 2)
		found = strcmp(word, what) == 0 ? code : found;
	if (f)
		(void)fclose(f);
	return found;
}

static int
save(void)
{
	FILE *f = file("gpus", "w");

	for (unsigned i = 0; f && i < n_gpus; i++)
		if (gpus[i].lost)
			(void)fprintf(f, "lost\n");
		else
			(void)fprintf(f, "%s %u %u %u %u\n", gpus[i].bus, gpus[i].persistence, gpus[i].graphics,
				      gpus[i].memory, gpus[i].max);
	return f && fclose(f) == 0 ? SUCCESS : ARGUMENT;
}

int
nvmlInit_v2(void)
{
	Dl_info info;
	char line[256];

	if (!dladdr((void *)(uintptr_t)nvmlInit_v2, &info))
		return NO_DRIVER;
	(void)snprintf(folder, sizeof(folder), "%s", info.dli_fname);
	*strrchr(folder, '/') = '\0';
	while (there("hang"))
		(void)pause();
	if (there("crash"))
		(void)raise(SIGSEGV);
	FILE *f = file("gpus", "r");
	for (n_gpus = 0; f && n_gpus < GPUS_MAX && fgets(line, sizeof(line), f); n_gpus++) {
		struct gpu *gpu = &gpus[n_gpus];
		*gpu = (struct gpu){ 0 };
		gpu->lost = sscanf(line, "%31s %u %u %u %u", gpu->bus, &gpu->persistence, &gpu->graphics, &gpu->memory,
				   &gpu->max) != 5;
	}
	if (f)
		(void)fclose(f);
	return n_gpus ? SUCCESS : NO_DRIVER;
}

int
nvmlShutdown(void)
{
	return SUCCESS;
}

int
nvmlSystemGetDriverVersion(char *out, unsigned len)
{
	(void)snprintf(out, len, "535.161.08");
	return SUCCESS;
}

int
nvmlDeviceGetCount_v2(unsigned *out)
{
	*out = n_gpus;
	return SUCCESS;
}

int
nvmlDeviceGetHandleByIndex_v2(unsigned i, struct gpu **out)
{
	if (i >= n_gpus)
		return ARGUMENT;
	*out = &gpus[i];
	return gpus[i].lost ? LOST : SUCCESS;
}

int
nvmlDeviceGetHandleByPciBusId_v2(const char *bus, struct gpu **out)
{
	unsigned want[4];
	unsigned have[4];

	if (sscanf(bus, "%x:%x:%x.%x", &want[0], &want[1], &want[2], &want[3]) != 4)
		return ARGUMENT;
	for (unsigned i = 0; i < n_gpus; i++)
		if (sscanf(gpus[i].bus, "%x:%x:%x.%x", &have[0], &have[1], &have[2], &have[3]) == 4 &&
		    memcmp(want, have, sizeof(want)) == 0) {
			*out = &gpus[i];
			return SUCCESS;
		}
	return NOT_FOUND;
}

int
nvmlDeviceGetPciInfo_v3(struct gpu *gpu, struct pci *out)
{
	(void)snprintf(out->bus_id, sizeof(out->bus_id), "%s", gpu->bus);
	return SUCCESS;
}

int
nvmlDeviceGetName(struct gpu *gpu, char *out, unsigned len)
{
	(void)gpu;
	(void)snprintf(out, len, "NVIDIA A100-SXM4-80GB");
	return SUCCESS;
}

int
nvmlDeviceGetUUID(struct gpu *gpu, char *out, unsigned len)
{
	(void)snprintf(out, len, "GPU-%08x-0000-4000-8000-0000000000a1", (unsigned)(gpu - gpus));
	return SUCCESS;
}

int
nvmlDeviceGetPersistenceMode(struct gpu *gpu, int *out)
{
	*out = gpu->persistence != 0;
	return SUCCESS;
}

int
nvmlDeviceSetPersistenceMode(struct gpu *gpu, int on)
{
	int code = refusal("persistence");

	if (code)
		return code;
	gpu->persistence = on != 0;
	return save();
}

int
nvmlDeviceGetMigMode(struct gpu *gpu, unsigned *now, unsigned *pending)
{
	(void)gpu;
	*now = *pending = 0;
	return SUCCESS;
}

int
nvmlDeviceGetClockInfo(struct gpu *gpu, int which, unsigned *out)
{
	*out = which == 2 ? gpu->memory : gpu->graphics;
	return SUCCESS;
}

int
nvmlDeviceGetMaxClockInfo(struct gpu *gpu, int which, unsigned *out)
{
	*out = which == 2 ? gpu->memory : gpu->max;
	return SUCCESS;
}

int
nvmlDeviceGetApplicationsClock(struct gpu *gpu, int which, unsigned *out)
{
	*out = which == 2 ? gpu->memory : gpu->max;
	return refusal("app");
}

int
nvmlDeviceSetApplicationsClocks(struct gpu *gpu, unsigned memory, unsigned graphics)
{
	(void)gpu;
	(void)memory;
	(void)graphics;
	return refusal("app");
}

int
nvmlDeviceSetGpuLockedClocks(struct gpu *gpu, unsigned low, unsigned high)
{
	int code = refusal("graphics");

	if (code || low > high)
		return code ? code : ARGUMENT;
	gpu->graphics = low;
	return save();
}

int
nvmlDeviceSetMemoryLockedClocks(struct gpu *gpu, unsigned low, unsigned high)
{
	int code = refusal("memory");

	if (code || low > high)
		return code ? code : ARGUMENT;
	gpu->memory = low;
	return save();
}

int
nvmlDeviceGetSupportedMemoryClocks(struct gpu *gpu, unsigned *n, unsigned *out)
{
	if (*n < 1)
		return NOT_SUPPORTED;
	*n = 1;
	out[0] = gpu->memory;
	return SUCCESS;
}

int
nvmlDeviceGetSupportedGraphicsClocks(struct gpu *gpu, unsigned memory, unsigned *n, unsigned *out)
{
	if (memory != gpu->memory || *n < 2)
		return NOT_SUPPORTED;
	*n = 2;
	out[0] = gpu->max;
	out[1] = gpu->max - 15;
	return SUCCESS;
}

int
nvmlDeviceGetTotalEccErrors(struct gpu *gpu, int kind, int counter, unsigned long long *out)
{
	(void)gpu;
	(void)kind;
	(void)counter;
	*out = 0;
	return SUCCESS;
}

int
nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, unsigned long long *out)
{
	(void)gpu;
	*out = 0;
	return SUCCESS;
}
