/* Links: agent */
/* Files that NCCL and shells read, and what sysfs says of RDMA devices. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/machine/ib.h"
#include "agent/machine/ncclconf.h"
#include "common/buf.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written reads back the same. */
static void
round_trip(const struct ncclconf *conf)
{
	for (size_t i = 0; i < conf->n; i++) {
		auto_buf struct buf out = { 0 };
		struct ncclconf again;

		if (!ncclconf_add(&out, conf->v[i].key, conf->v[i].value))
			continue;
		ncclconf_parse(out.text, &again);
		assert(again.n == 1 && strcmp(again.v[0].value, conf->v[i].value) == 0);
		ncclconf_free(&again);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xasprintf("%.*s", (int)size, (const char *)data);
	struct ncclconf conf;
	struct ib_gid gid = { 0 };
	char state[32];

	ncclconf_parse(text, &conf);
	round_trip(&conf);
	ncclconf_free(&conf);
	ncclconf_parse_shell(text, &conf);
	ncclconf_free(&conf);
	(void)ib_parse_gid(text, &gid);
	(void)ib_parse_rate(text);
	ib_parse_state(text, state);
	return 0;
}
