#include "agent/vm/pages.h"

#include <stdio.h>

#include "agent/vm/plan.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/rules.h"

bool
pages_are_wanted(const Gdr__Spec *spec)
{
	const Gdr__HugepagesSpec *pages = spec->hugepages;

	return pages && pages->has_size && (pages->has_count || pages->n_per_node);
}

bool
pages_follow_vms(const Gdr__HugepagesSpec *pages)
{
	return pages->has_count && pages->count == RULES_WORD && !pages->n_per_node;
}

static bool
has_memory(const Gdr__NumaNode *node)
{
	return node->memory > 0;
}

/* The share of an even spread; what does not divide goes to the first nodes. */
static uint64_t
share_of(const Gdr__Inventory *inventory, uint64_t count, uint32_t node)
{
	uint64_t nodes = 0;
	uint64_t index = 0;
	bool found = false;

	for (size_t i = 0; i < inventory->n_numa; i++) {
		if (!has_memory(inventory->numa[i]))
			continue;
		found |= inventory->numa[i]->id == node;
		index += !found;
		nodes++;
	}
	return found ? count / nodes + (index < count % nodes) : 0;
}

uint64_t
pages_of_node(const Gdr__Inventory *inventory, const Gdr__HugepagesSpec *pages, uint32_t node)
{
	char id[16];

	if (!pages->n_per_node)
		return share_of(inventory, pages->count, node);
	(void)snprintf(id, sizeof(id), "%u", node);
	const char *own = PB_MAP_GET(pages->per_node, pages->n_per_node, id);
	return own ? strtoull(own, NULL, 10) : 0;
}

static uint64_t
total_of(const Gdr__Inventory *inventory, uint64_t size, uint32_t node)
{
	for (size_t i = 0; i < inventory->n_numa; i++) {
		const Gdr__NumaNode *it = inventory->numa[i];
		for (size_t k = 0; it->id == node && k < it->n_hugepages; k++)
			if (it->hugepages[k]->size == size)
				return it->hugepages[k]->total;
	}
	return 0;
}

uint64_t
pages_wanted(const Gdr__Inventory *inventory, const Gdr__Spec *spec, uint32_t node)
{
	struct vm_plans plans;
	bool refused = false;

	if (!pages_follow_vms(spec->hugepages))
		return pages_of_node(inventory, spec->hugepages, node);
	vm_plans_make(inventory, spec, "", &plans);
	uint64_t pages = vm_plans_memory(&plans, node) / spec->hugepages->size;
	for (size_t i = 0; i < plans.n; i++)
		refused |= plans.plan[i].refused != NULL;
	vm_plans_free(&plans);
	/* It may be possible again: pages that are given back may not be had again without a reboot. */
	if (refused)
		pages = total_of(inventory, spec->hugepages->size, node);
	return pages;
}

uint64_t
pages_wanted_in_all(const Gdr__Inventory *inventory, const Gdr__Spec *spec)
{
	uint64_t pages = 0;

	if (!pages_follow_vms(spec->hugepages) && !spec->hugepages->n_per_node)
		return spec->hugepages->count; /* However many nodes there are. */
	for (size_t i = 0; i < inventory->n_numa; i++)
		pages += pages_wanted(inventory, spec, inventory->numa[i]->id);
	return pages;
}
