#pragma once

/* readiness_judge.h - what several checks of layer readiness stand on: findings, every GPU in turn, other layers' items. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/layers/readiness.h"

/* It is nothing to this machine, or nobody asked for it. */
void ready_skip(struct ready_finding *out, const char *why);
void ready_finding_free(struct ready_finding *found);

/* So many devices of that kind are on the PCI bus. */
size_t ready_on_bus(const struct ready_look *look, Gdr__PciDevice__Kind kind);
/* True: the driver did not answer, and what it would have told is unknown. */
bool ready_no_answer(const struct ready_look *look, struct ready_finding *out);
/* Which driver this is; NULL: it did not tell. */
const char *ready_driver_version(const struct ready_look *look);
/* Calls 'bad' for each usable GPU; the first that it says something about fails the check. */
void ready_each_gpu(const struct ready_look *look, struct ready_finding *out, const char *expected,
		    char *(*bad)(const struct nvsmi_gpu *gpu, bool *unknown));

/* By the first item that is wrong, of those whose keys 'mine' takes (NULL: all); else by the first that is clamped. */
void ready_judge_items(const struct report *report, bool (*mine)(const char *key), struct ready_finding *out);
/* The same of what a layer finds; one that is not asked for is skipped. */
void ready_judge_layer(const struct ready_look *look, const Gdr__Spec *spec, const char *name,
		       bool (*mine)(const char *key), struct ready_finding *out);
