/* Links: agent */

/* fuzz_cmdline.c - the kernel's command line as text: whatever stands there is split, read and judged. */

#include <stddef.h>
#include <stdint.h>

#include "agent/layers/kernel_params.h"
#include "agent/machine/bootloader.h"
#include "agent/machine/inventory.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ours[] = { "intel_iommu=on", "iommu=pt",      "default_hugepagesz=1G",
				    "hugepagesz=1G",  "hugepages=750", NULL };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xcalloc(size + 1, 1);

	memcpy(text, data, size);
	auto_strv char **words = cmdline_split(text, false);
	auto_strv char **raw = cmdline_split(text, true);
	const char *const *line = (const char *const *)words;
	auto_free char *joined = cmdline_join((const char *const *)raw);
	auto_strv char **again = cmdline_split(joined, true);
	for (size_t i = 0; raw[i]; i++)
		if (!again[i] || strcmp(raw[i], again[i]) != 0)
			abort(); /* Joined and split again is the same. */
	for (size_t i = 0; words[i]; i++) {
		(void)cmdline_contradicts(line, i, ours);
		(void)cmdline_size(words[i]);
		(void)version_compare(words[i], "5.15");
		(void)version_compare("5.15", words[i]);
	}
	(void)cmdline_hugepages(line, 1U << 30);
	auto_free char *flags = inventory_field(text, "flags");
	auto_free char *name = inventory_field(text, "PRETTY_NAME");
	(void)flags;
	(void)name;
	return 0;
}
