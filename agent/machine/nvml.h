#pragma once

/* nvml.h - the one door to NVML, NVIDIA's library, loaded when it is there: no GPU is needed to build, and none to run.
 *
 * For agent/machine/gpus.c alone, and only in a process of its own: a call may never return. */

#include <stdbool.h>

#include "agent/machine/gpus.h"

struct buf;

/* What nvidia-smi would print for the query of all fields, header and all, from the library at 'path'.  0 or a
 * negative errno: -ENOENT it cannot be loaded, -ENODEV no driver. */
int nvml_print_gpus(const char *path, struct buf *out);
/* What nvidia-smi would print for its supported clocks. */
int nvml_print_pairs(const char *path, struct buf *out);

/* True if the library has a function for it. */
bool nvml_can_set(enum gpus_setting setting);
/* The driver's answer in its words, to be read by nvsmi_said(); 0 if it was "done". */
int nvml_set(const char *path, const char *address, enum gpus_setting setting, const char *value, struct buf *out);
