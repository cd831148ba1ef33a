#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/cli_internal.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/nccl_facts.h"
#include "agent/machine/pci.h"
#include "agent/settings.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

#define FILE_MAX (1U << 20)

/* Links are followed: the file in /run may be one. */
static int
read_file(const char *path, char **text, size_t *len, struct err *err)
{
	auto_free char *real = realpath(path, NULL);

	return real ? file_read(real, FILE_MAX, text, len, err) : err_set(err, -errno, "%s: %s", path, strerror(errno));
}

static int
read_facts(const struct settings *settings, struct nccl_facts **out, struct err *err)
{
	struct host *host = host_open(settings->config->root, settings->config);
	struct pci *pci = NULL;
	Gdr__Inventory *inventory = NULL;
	struct err ignored = { 0 };

	(void)pci_open(host, &pci, &ignored);
	int rc = inventory_read(host, pci, &inventory, err);
	if (rc == 0)
		*out = nccl_facts_read(host, inventory);
	inventory_free(inventory);
	pci_close(pci);
	host_free(host);
	return rc;
}

int
cli_topology_lint(const struct settings *settings, const struct cli_options *options, const char *file, bool here)
{
	static const struct nccltopo_facts nothing;
	struct nccl_facts *facts = NULL;
	struct nccltopo_findings findings = { 0 };
	auto_free char *text = NULL;
	auto_buf struct buf out = { 0 };
	struct err err = { 0 };
	size_t len = 0;

	if (read_file(file, &text, &len, &err) < 0 || (here && read_facts(settings, &facts, &err) < 0))
		return cli_complain(settings, &err);
	nccltopo_lint(text, len, facts ? nccl_facts_get(facts) : &nothing, &findings);
	nccltopo_findings_print(&findings, file, strcmp(options->output, "table") != 0, &out);
	(void)fwrite(out.text, 1, out.len, stdout);
	int rc = findings.errors > 0 ? 3 : 0;
	nccltopo_findings_free(&findings);
	nccl_facts_free(facts);
	return rc;
}
