/* Links: controller */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "controller/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Gdr__Node__LabelsEntry rack = { .key = (char[]){ "rack" }, .value = (char[]){ "r7" } };
	Gdr__Node__LabelsEntry canary = { .key = (char[]){ "canary" } };
	Gdr__Node__LabelsEntry *labels[] = { &rack, &canary };
	auto_free char *text = xcalloc(size + 1, 1);
	struct selector *selector = NULL;
	struct err err = { 0 };

	if (size > 0)
		memcpy(text, data, size);
	if (selector_parse(text, &selector, &err) < 0) {
		check(!selector && strncmp(err.msg, "selector: ", 10) == 0 && !strchr(err.msg, '\n'));
		return 0;
	}
	/* Its opposite, where it is one bare label. */
	bool fits = selector_matches(selector, "n1", labels, 2);
	selector_free(selector);
	if (!strpbrk(text, "!=(), \t")) {
		auto_free char *opposite = xasprintf("!%s", text);

		if (selector_parse(opposite, &selector, &err) == 0) {
			check(selector_matches(selector, "n1", labels, 2) != fits);
			selector_free(selector);
		}
	}
	return 0;
}
