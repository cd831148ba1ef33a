/* vmdiff.c - vmdiff WANTED EXISTING: two domain definitions compared as layer vm does; a line for each difference, and
 * then exit 3. */

#include <stdio.h>

#include "agent/layers/vm_compare.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

#define XML_MAX (4U << 20)

int
main(int argc, char **argv)
{
	struct vm_differences differences = { 0 };
	auto_free char *want = NULL;
	auto_free char *have = NULL;
	struct err err = { 0 };
	size_t len;

	if (argc != 3)
		return 2;
	int rc = file_read(argv[1], XML_MAX, &want, &len, &err);
	if (rc == 0)
		rc = file_read(argv[2], XML_MAX, &have, &len, &err);
	if (rc == 0)
		rc = vm_compare(want, have, false, &differences, &err);
	if (rc < 0) {
		(void)fprintf(stderr, "vmdiff: %s\n", err.msg);
		return 1;
	}
	for (size_t i = 0; i < differences.n; i++)
		(void)printf("%s: want %s, have %s\n", differences.list[i].path, differences.list[i].want,
			     differences.list[i].have);
	rc = differences.n ? 3 : 0;
	vm_differences_free(&differences);
	return rc;
}
