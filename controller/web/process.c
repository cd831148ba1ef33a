#include "controller/web/process.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

static unsigned long
count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned long n = 0;

	if (!folder)
		return 0;
	for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		n += entry->d_name[0] != '.';
	(void)closedir(folder);
	return n - 1; /* The folder's own. */
}

/* The second number of statm is in pages. */
static unsigned long long
resident(void)
{
	auto_free char *text = NULL;
	struct err ignored = { 0 };

	if (file_read("/proc/self/statm", 4096, &text, NULL, &ignored) < 0)
		return 0;
	const char *second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) * (unsigned long long)sysconf(_SC_PAGESIZE) : 0;
}

void
process_read(struct process *out)
{
	struct rusage usage;
	struct rlimit limit;

	*out = (struct process){ .open_fds = count_fds(), .resident = resident() };
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		out->max_fds = (unsigned long)limit.rlim_cur;
}
