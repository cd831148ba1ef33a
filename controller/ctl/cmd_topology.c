/* cmd_topology.c - gdrctl topology lint: a file judged by itself.  What a machine adds to that, `gdr-guest topology
 * lint` knows. */

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/nccltopo_lint.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"

/* "2.20" or "2.20.5" */
static int
version(const struct ctl *ctl, unsigned *out, struct err *err)
{
	const char *text = ctl_option(ctl, "nccl");

	if (text && !nccltopo_version(text, out))
		return err_set(err, CTL_USAGE, "--nccl: '%s' is no version like 2.20.5", text);
	return 0;
}

static int
run_lint(struct ctl *ctl, struct err *err)
{
	const char *path = ctl->args.words[0];
	struct nccltopo_facts facts = { 0 };
	struct nccltopo_findings findings;
	auto_buf struct buf text = { 0 };
	auto_buf struct buf out = { 0 };
	int rc = version(ctl, &facts.nccl, err);

	if (rc == 0)
		rc = ctl_read(ctl, path, &text, err);
	if (rc != 0)
		return rc;
	nccltopo_lint(text.text ? text.text : "", text.len, &facts, &findings);
	nccltopo_findings_print(&findings, strcmp(path, "-") == 0 ? "<stdin>" : path, !output_human(ctl), &out);
	if (findings.errors > 0)
		rc = CTL_UNMET;
	nccltopo_findings_free(&findings);
	output_data(ctl, &out);
	return rc;
}

static const struct option options[] = {
	{ 0, "nccl", "VERSION", NULL, "as this version reads it; without: what every version from 2.8 takes" },
	{ 0 },
};

const struct command command_topology_lint = {
	.name = "topology lint",
	.args = "FILE",
	.help = "what NCCL would make of a topology file; exit 0: no errors, 3: some",
	.more = "The file (- for stdin) is read as NCCL reads it, which is not as XML is read.  Lines are\n"
		"FILE:LINE:COLUMN: SEVERITY RULE: TEXT; REMEDY.  In the guest, `gdr-guest topology lint` also\n"
		"compares with the machine.",
	.examples = "  gdrctl topology lint virtualTopology.xml\n"
		    "  gdrctl topology lint -o json --nccl 2.20.5 topo.xml",
	.values = "@file",
	.options = options,
	.min = 1,
	.max = 1,
	.run = run_lint,
};
