/* Links: agent */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/journal.h"
#include "common/err.h"
#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/dev/shm/gdr-fuzz-journal-XXXXXX";
static char file[64];

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
clean_up(void)
{
	auto_free char *aside = xasprintf("%s.damaged", file);

	(void)unlink(file);
	(void)unlink(aside);
	(void)rmdir(folder);
}

static struct journal *
opened(const char *boot_id, int allowed)
{
	struct journal *journal = NULL;
	struct err err = { 0 };
	int rc = journal_open(file, boot_id, &journal, &err);

	check(journal && (rc == 0 || rc == allowed) && rc == err.code);
	return journal;
}

/* Whatever stands in the file: it can be used, and what it writes it can read.  'text' is a value of some machine. */
static void
use(const char *text)
{
	struct journal *journal = opened("boot-1", -EBADMSG);
	struct err err = { 0 };

	(void)journal_came_back(journal);
	check(!journal_came_back(journal));
	journal_settled(journal, "kernel", text);
	check(journal_change(journal, "kernel", text, text, text, true, &err) == 0);
	check(journal_change(journal, "kernel", text, text, text, false, &err) == 0);
	unsigned used = journal_reboots(journal, "1111");
	check(journal_reboot(journal, "1111", text, &err) == 0);
	check(journal_reboots(journal, "1111") >= used);
	used = journal_reboots(journal, "1111");
	journal_free(journal);

	journal = opened("boot-2", 0);
	check(journal_reboots(journal, "1111") == used);
	check(journal_came_back(journal) && !journal_came_back(journal));
	check(journal_before(journal, "kernel", text) == NULL);
	journal_free(journal);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xcalloc(size + 1, 1);

	if (!*file) {
		check(mkdtemp(folder) != NULL);
		(void)snprintf(file, sizeof(file), "%s/j", folder);
		check(atexit(clean_up) == 0);
	}
	FILE *f = fopen(file, "w");
	check(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
	if (size > 0)
		memcpy(text, data, size);
	use(text);
	return 0;
}
