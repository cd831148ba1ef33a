#pragma once

/* gpus.h - the machine's NVIDIA GPUs as their driver tells of them: by NVML where its library is there, else by
 * nvidia-smi, in the same words.  Either is asked in a process of its own with a time-out, so that a driver that
 * hangs hangs nobody else.  One door for both; agent/machine/nvsmi.h understands the words. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/machine/nvsmi.h"

struct err;
struct host;

/* Default of 'timeout_ms' in all that follows. */
#define GPUS_TIMEOUT_MS 20000U

/* All GPUs that the driver knows, lost ones as well.  Reads only.  -ENOENT: neither library nor tool; -ENODEV: no
 * driver; -ETIMEDOUT: it does not answer.  Free '*out' in any case. */
int gpus_read(struct host *host, unsigned timeout_ms, struct nvsmi_gpus *out, struct err *err);

/* The pairs of clocks that each GPU can hold. */
int gpus_clocks(struct host *host, unsigned timeout_ms, struct nvsmi_pairs *out, struct err *err);

/* How many processes use a GPU; negative: an error. */
int gpus_processes(struct host *host, unsigned timeout_ms, struct err *err);

enum gpus_setting {
	GPUS_PERSISTENCE, /* 1 */
	GPUS_APPLICATION, /* MEMORY,GRAPHICS */
	GPUS_GRAPHICS,    /* MHz */
	GPUS_MEMORY,      /* MHz */
	GPUS_CUDA,        /* 1; no library has it */
};
/* Asks the driver for a setting.  What it says is no proof: gpus_read() shows what came of it.  '*reason' is one line
 * (the caller frees). */
enum nvsmi_said gpus_set(struct host *host, unsigned timeout_ms, const char *address, enum gpus_setting setting,
			 const char *value, char **reason);
