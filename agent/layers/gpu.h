#pragma once

/* gpu.h - what layer gpu makes of a table of GPUs, for those that have read one. */

#include "agent/layer.h"
#include "agent/machine/nvsmi.h"

struct err;

/* The layer's items.  'no_gpus' is what gpus_read() said. */
void gpu_judge(const struct machine *machine, const Gdr__GpuSpec *spec, const struct nvsmi_gpus *gpus,
	       const struct err *no_gpus, struct report *out);
