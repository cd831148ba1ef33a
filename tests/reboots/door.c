/* door.c - what the agent's code meets where the machine would be: calls of these functions are turned here by the
 * linker (--wrap=..., tests/CMakeLists.txt); all else of the agent is as it is. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/pci.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "tests/reboots/world.h"

#define NOTES "/run/gdrfleet-agent/nic"

/* The linker's names. */
int64_t __wrap_clock_ms(void);
int __wrap_file_read(const char *path, size_t max, char **out, size_t *len, struct err *err);
int __wrap_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
int __wrap_host_read(struct host *host, const char *path, char **out, size_t *len, struct err *err);
int __wrap_host_read_line(struct host *host, const char *path, char **out, struct err *err);
char *__wrap_host_link_name(struct host *host, const char *path);
char **__wrap_host_glob(struct host *host, const char *pattern);
int __wrap_host_replace(struct host *host, const char *path, const char *text, mode_t mode, struct err *err);
char *__wrap_host_tool(struct host *host, const char *name);
char **__wrap_host_programs(struct host *host, const char *folder);
int __wrap_host_run(struct host *host, const char *const argv[], unsigned timeout_ms, struct host_result *out,
		    struct err *err);
int __wrap_host_do(struct host *host, const char *const argv[], struct err *err);
int __wrap_pci_open(struct host *host, struct pci **out, struct err *err);
void __wrap_pci_close(struct pci *pci);
const char *const *__wrap_pci_devices(const struct pci *pci);
unsigned __wrap_pci_cap(struct pci *pci, const char *address, unsigned id);
int __wrap_pci_read8(struct pci *pci, const char *address, unsigned offset, uint8_t *out, struct err *err);

/* --- clock and disk: the journal is the only file of our own ----------------------------------------------------- */

int64_t
__wrap_clock_ms(void)
{
	return world.now_ms;
}

int
__wrap_file_read(const char *path, size_t max, char **out, size_t *len, struct err *err)
{
	(void)max;
	if (!world.journal)
		return err_set(err, -ENOENT, "%s: not there", path);
	*out = xstrdup(world.journal);
	if (len)
		*len = strlen(world.journal);
	return 0;
}

int
__wrap_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	(void)mode;
	world_moment("before the journal is written");
	if (world_chance(world.faults, 10000))
		return err_set(err, -ENOSPC, "%s: no space", path);
	free(world.journal);
	world.journal = xasprintf("%.*s", (int)len, (const char *)data);
	world_moment("the journal is written");
	return 0;
}

/* --- files of the machine ------------------------------------------------------------------------------------------ */

static char *
text_of(const char *path)
{
	static const char *const fields[][2] = {
		{ "/vendor", "0x15b3\n" },
		{ "/device", "0x101d\n" },
		{ "/class", "0x020000\n" },
		{ "/numa_node", "0\n" },
	};

	if (strcmp(path, "/proc/cpuinfo") == 0)
		return xstrdup("processor : 0\nvendor_id : GenuineIntel\nflags : fpu vmx\n");
	if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		return xstrdup(world.boot_id);
	if (strcmp(path, NOTES) == 0)
		return world.notes ? xstrdup(world.notes) : NULL;
	for (size_t i = 0; strncmp(path, "/sys/bus/pci/devices/", 21) == 0 && i < 4; i++)
		if (strcmp(path + 33, fields[i][0]) == 0)
			return xstrdup(fields[i][1]);
	return NULL;
}

int
__wrap_host_read(struct host *host, const char *path, char **out, size_t *len, struct err *err)
{
	char *text = text_of(path);

	(void)host;
	if (!text)
		return err_set(err, -ENOENT, "%s: not there", path);
	if (len)
		*len = strlen(text);
	*out = text;
	return 0;
}

int
__wrap_host_read_line(struct host *host, const char *path, char **out, struct err *err)
{
	int rc = __wrap_host_read(host, path, out, NULL, err);

	if (rc == 0)
		(*out)[strcspn(*out, "\n")] = '\0';
	return rc;
}

char *
__wrap_host_link_name(struct host *host, const char *path)
{
	(void)host;
	return strcmp(path + strlen(path) - 7, "/driver") == 0 ? xstrdup("mlx5_core") : NULL;
}

char **
__wrap_host_glob(struct host *host, const char *pattern)
{
	(void)host;
	(void)pattern;
	return xcalloc(1, sizeof(char *));
}

int
__wrap_host_replace(struct host *host, const char *path, const char *text, mode_t mode, struct err *err)
{
	(void)host;
	(void)mode;
	if (strcmp(path, NOTES) != 0)
		return err_set(err, -EACCES, "%s: who asked for that?", path);
	world_moment("before a note is written");
	free(world.notes);
	world.notes = xstrdup(text);
	world_moment("a note is written");
	return 0;
}

/* --- programs ------------------------------------------------------------------------------------------------------ */

char *
__wrap_host_tool(struct host *host, const char *name)
{
	bool there = strcmp(name, "mstconfig") == 0 || (strcmp(name, "mstfwreset") == 0 && world.has_reset);

	(void)host;
	return there ? xstrdup(name) : NULL;
}

char **
__wrap_host_programs(struct host *host, const char *folder)
{
	char **hooks = xcalloc(2, sizeof(*hooks));

	(void)host;
	(void)folder;
	hooks[0] = xstrdup("/hook");
	return hooks;
}

int
__wrap_host_run(struct host *host, const char *const argv[], unsigned timeout_ms, struct host_result *out,
		struct err *err)
{
	(void)host;
	(void)timeout_ms;
	*out = (struct host_result){ 0 };
	if (strncmp(argv[0], "mst", 3) != 0)
		return err_set(err, -ENOENT, "no program %s on this host", argv[0]);
	world_moment("before a tool runs");
	out->status = card_tool(argv, &out->out, &out->err, &out->timed_out);
	world_moment("a tool ended");
	return 0;
}

static int
reboot(struct err *err)
{
	if (!world.may_reboot)
		world_broken("2: a reboot without a grant for this boot");
	if (world.refusing) {
		world.refusing--;
		return err_set(err, -EIO, "systemctl: refused");
	}
	if (world.ignoring) {
		world.ignoring--;
		return 0;
	}
	if (!world.reboot_due)
		world.reboot_at_ms = world.now_ms + (int64_t)world_random(world.faults ? 900000 : 1);
	world.reboot_due = true;
	return 0;
}

int
__wrap_host_do(struct host *host, const char *const argv[], struct err *err)
{
	struct host_result result = { 0 };

	if (strcmp(argv[0], "systemctl") == 0) {
		world_moment("before systemctl");
		int rc = reboot(err);
		world_moment("systemctl ended");
		return rc;
	}
	if (*argv[0] == '/') {
		world_moment("a hook runs");
		return world_chance(world.faults, 3000) ? err_set(err, -EIO, "not now") : 0;
	}
	int rc = __wrap_host_run(host, argv, 0, &result, err);
	if (rc == 0 && (result.status != 0 || result.timed_out))
		rc = err_set(err, -EIO, "exit status %d", result.status);
	host_result_free(&result);
	return rc;
}

/* --- PCI: two cards of two functions --------------------------------------------------------------------------------- */

int
__wrap_pci_open(struct host *host, struct pci **out, struct err *err)
{
	static int there;

	(void)host;
	(void)err;
	*out = (struct pci *)&there;
	return 0;
}

void
__wrap_pci_close(struct pci *pci)
{
	(void)pci;
}

const char *const *
__wrap_pci_devices(const struct pci *pci)
{
	static const char *const devices[] = { "0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:02:00.1", NULL };

	(void)pci;
	return devices;
}

unsigned
__wrap_pci_cap(struct pci *pci, const char *address, unsigned id)
{
	(void)pci;
	(void)address;
	(void)id;
	return 0;
}

int
__wrap_pci_read8(struct pci *pci, const char *address, unsigned offset, uint8_t *out, struct err *err)
{
	(void)pci;
	(void)address;
	(void)offset;
	*out = 0;
	(void)err;
	return 0;
}
