#pragma once

/* pages.h - how many huge pages are wanted on each NUMA node. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

/* True if the spec says how many pages of what size. */
bool pages_are_wanted(const Gdr__Spec *spec);
/* Of a node, whether its pages are given one by one, spread evenly, or those of the VMs: then they stay as they are
 * while a VM cannot be. */
uint64_t pages_wanted(const Gdr__Inventory *inventory, const Gdr__Spec *spec, uint32_t node);
uint64_t pages_wanted_in_all(const Gdr__Inventory *inventory, const Gdr__Spec *spec);

/* True if the pages are as many as the VMs have: `count: vm`. */
bool pages_follow_vms(const Gdr__HugepagesSpec *pages);
/* pages_wanted() where they do not. */
uint64_t pages_of_node(const Gdr__Inventory *inventory, const Gdr__HugepagesSpec *pages, uint32_t node);
