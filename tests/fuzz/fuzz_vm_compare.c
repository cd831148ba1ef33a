/* Links: agent */

/* fuzz_vm_compare.c - two definitions, parted by a NUL, compared both ways; and the first as what `ip` says of VFs. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/layers/vm_compare.h"
#include "agent/layers/vm_devices.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
compare(const char *want, const char *have, bool running)
{
	struct vm_differences differences = { 0 };
	struct err err = { 0 };
	int rc = vm_compare(want, have, running, &differences, &err);

	for (size_t i = 0; i < differences.n; i++)
		if (!*differences.list[i].path)
			abort();
	if (rc < 0 && !*err.msg)
		abort();
	vm_differences_free(&differences);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_free char *want = xcalloc(len + 1, 1);
	char mac[18];
	unsigned vlan;

	memcpy(want, data, len);
	size_t first = strlen(want);
	const char *have = first < len ? want + first + 1 : "";
	compare(want, have, true);
	compare(have, want, false);
	(void)vm_vf_parse(want, len ? data[0] % 4 : 0, mac, &vlan);
	return 0;
}
