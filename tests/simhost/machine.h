#pragma once

/* machine.h - the host beside its PCI bus: CPUs, firmware's tables, memory and its huge pages. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/simhost/sim.h"

struct tree;

/* "0-23,48-71": the CPUs of a NUMA node. */
const char *machine_cpulist(unsigned node);

/* CPUs, firmware, identity: the same in every boot but for what is broken in the BIOS. */
void machine_write(struct tree *tree, const struct sim *sim);
void machine_write_cpuinfo(struct tree *tree, bool vmx);

enum page_size {
	PAGES_2M,
	PAGES_1G,
};
#define PAGE_SIZES 2

struct memory {
	uint64_t total_kib;  /* Of each node. */
	uint64_t usable_kib; /* That pages may take. */
	uint64_t pages[PAGE_SIZES][SIM_NODES];
	uint64_t asked[PAGE_SIZES][SIM_NODES]; /* By the nodes' files, when they were last read. */
	enum page_size usual;                  /* Of /proc/meminfo and /proc/sys/vm. */
};

void memory_init(struct memory *memory, const struct sim *sim);
/* The pages that the files in 'tree' tell of. */
void memory_load(struct memory *memory, const struct sim *sim, const struct tree *tree);
/* Wants so many pages on one node, or spread over all; gets what fits. */
void memory_set_node(struct memory *memory, enum page_size size, unsigned node, uint64_t pages);
void memory_set_all(struct memory *memory, enum page_size size, uint64_t pages);
/* All files that tell of it; 'changed_only': those alone that say something else. */
void memory_write(struct tree *tree, const struct memory *memory, bool changed_only);
/* Takes up what somebody wrote into the kernel's files, as the kernel would. */
void memory_sync(struct tree *tree, struct memory *memory);

#define KIB_2M 2048U
#define KIB_1G 1048576U
uint64_t memory_kib(enum page_size size);
