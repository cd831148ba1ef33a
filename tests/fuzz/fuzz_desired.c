/* Links: agent */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/pass.h"
#include "agent/program.h"
#include "agent/reboot.h"
#include "agent/settings.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/dev/shm/gdr-fuzz-desired-XXXXXX";
static char desired_file[64];
static struct settings settings = { .desired_file = desired_file };
static Gdr__AgentConfig config;

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
put(const char *name, const void *data, size_t len)
{
	auto_free char *path = xasprintf("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	check(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static void
clean_up(void)
{
	static const char *const names[] = { "proc/cpuinfo", "proc", "desired", "" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_free char *path = xasprintf("%s/%s", folder, names[i]);
		(void)remove(path);
	}
}

/* A machine with a CPU and nothing else. */
static void
set_up(void)
{
	static const char cpuinfo[] = "processor\t: 0\nvendor_id\t: GenuineIntel\n\n";

	check(mkdtemp(folder) != NULL);
	(void)snprintf(desired_file, sizeof(desired_file), "%s/desired", folder);
	auto_free char *proc = xasprintf("%s/proc", folder);
	check(mkdir(proc, 0700) == 0);
	put("proc/cpuinfo", cpuinfo, sizeof(cpuinfo) - 1);
	gdr__agent_config__init(&config);
	check(atexit(clean_up) == 0);
}

/* What the worker does with it, but for changes; and what `gdr-agent desired` prints can be read again. */
static void
use(const Gdr__Desired *desired)
{
	struct host *host = host_open(folder, &config);
	auto_pb Gdr__Report *report = NULL;
	auto_pb ProtobufCMessage *again = NULL;
	auto_buf struct buf text = { 0 };
	struct journal *journal = NULL;
	struct err err = { 0 };

	check(journal_open(NULL, "boot-1", &journal, &err) == 0);
	struct reboot *reboot = reboot_open(&gdr_agent, host, journal, &config);
	check(pass_run(&gdr_agent, host, journal, desired, CONVERGE_LOOK, &report, &err) == 0);
	bool go = reboot_judge(reboot, report, desired);
	check(!go || (desired->may_reboot_from && strcmp(desired->may_reboot_from, "boot-1") == 0 &&
		      desired->mode != GDR__MODE__MODE_HOLD));
	check(pb_check(&report->base, &err) == 0);
	pbtext_print(&desired->base, NULL, PBTEXT_JSON, &text);
	(void)pbtext_parse(&gdr__desired__descriptor, "-", text.text, text.len, &again, &err);
	reboot_close(reboot);
	journal_free(journal);
	host_free(host);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_pb Gdr__Desired *desired = NULL;
	struct err err = { 0 };

	if (!*desired_file)
		set_up();
	put("desired", data, size);
	int rc = settings_read_desired(&settings, &desired, &err);
	check((rc == 0) == (desired != NULL) && rc == err.code);
	if (desired)
		use(desired);
	return 0;
}
