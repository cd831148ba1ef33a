/* Links: agent */
/* Whatever nvidia-smi prints. */

#include <stdint.h>

#include "agent/machine/nvsmi.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xasprintf("%.*s", (int)size, (const char *)data);
	auto_free char *reason = NULL;
	struct nvsmi_gpus gpus;
	struct nvsmi_pairs pairs;
	struct err err;
	unsigned inactive;

	free(nvsmi_query(text));
	(void)nvsmi_parse_gpus(text, &gpus, &err);
	for (size_t i = 0; i < gpus.n; i++)
		for (int k = 0; k < NVSMI_FIELDS; k++)
			(void)nvsmi_number(&gpus.v[i], (enum nvsmi_field)k);
	nvsmi_gpus_free(&gpus);
	nvsmi_parse_pairs(text, &pairs);
	(void)nvsmi_best_pair(&pairs, "0000:b9:00.0");
	nvsmi_pairs_free(&pairs);
	(void)nvsmi_nvlinks(text, 0, &inactive);
	(void)nvsmi_count(text);
	(void)nvsmi_said(text, "", 0, &reason);
	return 0;
}
