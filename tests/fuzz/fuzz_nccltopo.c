/* Links: common */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/nccltopo_lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static const struct nccltopo_device devices[] = { { "0000:b7:00.0", 0x030200, 0x20b2, 0, false },
						  { "0000:b8:00.0", 0x020000, 0x101e, 1, true } };
static const struct nccltopo_hca hcas[] = { { "mlx5_0", "0000:b8:00.0", 100000 } };
static const char *const gpus[] = { "0000:b7:00.0", NULL };
static const struct nccltopo_facts facts = {
	.devices = devices,
	.n_devices = 2,
	.hcas = hcas,
	.n_hcas = 1,
	.gpus = gpus,
	.online = "0-3,8",
	.nodes = "0-1",
};

/* What is written is read again as the same, by every version. */
static void
check_tree(const struct nccltopo_node *root)
{
	struct nccltopo_error error = { 0 };
	auto_buf struct buf once = { 0 };
	auto_buf struct buf twice = { 0 };

	nccltopo_write(root, &once);
	struct nccltopo_node *again = nccltopo_parse(once.text ? once.text : "", once.len, NCCLTOPO_VERSION(2, 8, 3),
						     &error);
	check(again != NULL);
	nccltopo_write(again, &twice);
	check(once.len == twice.len && (once.len == 0 || strcmp(once.text, twice.text) == 0));
	const struct nccltopo_node *first = nccltopo_next(again);
	for (const struct nccltopo_node *node = first; node; node = nccltopo_next(node)) {
		check(nccltopo_distance(node, node) == NCCLTOPO_LOC);
		check(nccltopo_distance(first, node) == nccltopo_distance(node, first));
		(void)nccltopo_bandwidth(node, NULL);
	}
	nccltopo_free(again);
}

/* The first half of the file, to the second, as paths. */
static void
check_climb(const char *text, size_t size)
{
	auto_free char *head = xcalloc(size / 2 + 1, 1);
	const char *tail = text + size / 2;

	memcpy(head, text, size / 2);
	check(nccltopo_climb(head, 0, tail, 1) == nccltopo_climb(tail, 1, head, 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xcalloc(size + 1, 1);
	struct nccltopo_findings findings;
	struct nccltopo_error error = { 0 };
	auto_buf struct buf out = { 0 };

	if (size > 0)
		memcpy(text, data, size);
	struct nccltopo_node *root = nccltopo_parse(text, size, 0, &error);
	if (root)
		check_tree(root);
	else
		check(error.line > 0 && error.col > 0 && error.what[0]);
	nccltopo_lint(text, size, &facts, &findings);
	check(root || (findings.n == 1 && findings.errors == 1));
	nccltopo_findings_print(&findings, "f", true, &out);
	nccltopo_findings_free(&findings);
	nccltopo_free(root);
	check_climb(text, size);
	return 0;
}
