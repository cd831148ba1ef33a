/* Links: agent */
/* The kernel's log, and what measuring tools print. */

#include <stdint.h>

#include "agent/machine/kmsg.h"
#include "agent/machine/nccltests.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xasprintf("%.*s", (int)size, (const char *)data);
	auto_free char *what = NULL;
	struct nccltests tests;
	struct kmsg kmsg;
	struct err err;

	(void)nccltests_parse(text, &tests, &err);
	(void)nccltests_busbw(&tests);
	(void)nccltests_ib_write(text);
	(void)nccltests_dcgmi(text, 0, &what);
	kmsg_parse(text, &kmsg);
	for (size_t i = 0; i < kmsg.n; i++)
		(void)kmsg_fatal(&kmsg.v[i]);
	kmsg_free(&kmsg);
	return 0;
}
