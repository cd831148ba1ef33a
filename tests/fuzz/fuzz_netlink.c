/* Links: agent */

/* fuzz_netlink.c - answers about network interfaces, and the OEM strings of an SMBIOS table: bytes of any form. */

#include <stdlib.h>
#include <string.h>

#include "agent/machine/netlink.h"
#include "agent/machine/smbios.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy: as aligned as a buffer of ours, and guarded right behind its end. */
	auto_free char *copy = xcalloc(size ? size : 1, 1);
	auto_free struct link *links = NULL;
	size_t n = 0;

	memcpy(copy, data, size);
	netlink_read_links(copy, size, &links, &n);
	for (size_t i = 0; i < n; i++)
		if (!*links[i].name || !memchr(links[i].name, '\0', sizeof(links[i].name)) ||
		    !memchr(links[i].kind, '\0', sizeof(links[i].kind)))
			abort();
	netlink_read_rings(copy, size, links, n);
	free(smbios_find(copy, size, "gdrfleet.guest", &n));
	return 0;
}
