#include "tests/simhost/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/boot.h"
#include "tests/simhost/machine.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

struct watch;

/* 'text' is what was written. */
typedef void reaction(struct kernel *kernel, const struct watch *watch, const char *text);

struct watch {
	int wd;
	reaction *react;
	char *path;
	char *subject; /* Address or driver. */
};

struct kernel {
	const struct sim *sim;
	struct err err; /* Of 'tree'. */
	struct tree tree;
	int inotify;
	struct watch *watches;
	size_t n;
	struct memory memory;
	struct pci_model *model;
	struct pci_boot how;
};

/* --- reactions --------------------------------------------------------------------------------- */

static void
pages_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	(void)watch;
	(void)text;
	memory_sync(&kernel->tree, &kernel->memory);
}

/* What was written to a file is left in it: to clear it could wipe out what somebody writes meanwhile. */
static void
probe_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	(void)watch;
	pci_probe(&kernel->tree, kernel->model, text);
}

static void
bind_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	(void)pci_bind(&kernel->tree, text, watch->subject);
}

static void
unbind_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	auto_free char *entry = xasprintf("sys/bus/pci/drivers/%s/%s", watch->subject, text);

	if (tree_exists(&kernel->tree, entry))
		pci_unbind(&kernel->tree, text);
}

/* "10de 20b2": the driver takes every such device that nobody has. */
static void
new_id_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	char *end = NULL;
	unsigned long vendor = strtoul(text, &end, 16);
	unsigned long device = strtoul(end, NULL, 16);

	for (size_t i = 0; i < kernel->model->n; i++) {
		const struct pci_dev *dev = &kernel->model->devs[i];

		if (dev->kind->vendor == vendor && dev->kind->device == device)
			(void)pci_bind(&kernel->tree, dev->address, watch->subject);
	}
}

static unsigned
vfs_of(const struct kernel *kernel, const struct pci_dev *pf)
{
	unsigned n = 0;

	for (; n < pf->kind->total_vfs; n++) {
		auto_free char *link = xasprintf("%s/virtfn%u", pf->path, n);
		auto_free char *target = tree_target(&kernel->tree, link);

		if (!target)
			break;
	}
	return n;
}

/* As the kernel has it: no more than the card can do, and from one number to another only through 0. */
static void
vfs_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	const struct pci_dev *pf = pci_model_find(kernel->model, watch->subject);
	auto_free char *autoprobe = xasprintf("%s/sriov_drivers_autoprobe", pf->path);
	unsigned had = vfs_of(kernel, pf);
	unsigned long n = strtoul(text, NULL, 10);

	if (n == had)
		return;
	if (n > pf->kind->total_vfs || (n && had)) {
		tree_printf(&kernel->tree, watch->path, "%u\n", had);
		return;
	}
	auto_free char *net = xasprintf("%s/net", pf->path);
	auto_strv char **nets = tree_list(&kernel->tree, net);
	auto_free char *told = xasprintf(".sim/vfs/%s", *nets ? *nets : "none");
	tree_remove(&kernel->tree, told);
	pci_sysfs_set_vfs(&kernel->tree, pf, &kernel->how, (unsigned)n);
	for (unsigned i = 0; i < n && tree_read_u64(&kernel->tree, autoprobe); i++) {
		struct pci_dev vf;

		pci_model_vf(pf, i, &vf);
		pci_probe(&kernel->tree, kernel->model, vf.address);
	}
}

static void
config_written(struct kernel *kernel, const struct watch *watch, const char *text)
{
	(void)text;
	register_settle(kernel->sim, watch->subject);
}

/* --- what is watched --------------------------------------------------------------------------- */

static void
watch(struct kernel *kernel, reaction *react, const char *subject, char *path)
{
	auto_free char *full = xasprintf("%s/%s", kernel->sim->dir, path);
	int wd = inotify_add_watch(kernel->inotify, full, IN_CLOSE_WRITE);

	if (wd < 0) {
		free(path);
		return;
	}
	kernel->watches = xrealloc(kernel->watches, kernel->n + 1, sizeof(*kernel->watches));
	kernel->watches[kernel->n++] =
		(struct watch){ .wd = wd, .react = react, .path = path, .subject = xstrdup(subject) };
}

static void
watch_pages(struct kernel *kernel)
{
	watch(kernel, pages_written, "", xstrdup("proc/sys/vm/nr_hugepages"));
	for (unsigned size = 0; size < PAGE_SIZES; size++) {
		unsigned kib = (unsigned)memory_kib((enum page_size)size);

		watch(kernel, pages_written, "", xasprintf("sys/kernel/mm/hugepages/hugepages-%ukB/nr_hugepages", kib));
		for (unsigned node = 0; node < SIM_NODES; node++)
			watch(kernel, pages_written, "",
			      xasprintf("sys/devices/system/node/node%u/hugepages/hugepages-%ukB/nr_hugepages", node,
					kib));
	}
}

static void
watch_pci(struct kernel *kernel)
{
	auto_strv char **drivers = tree_list(&kernel->tree, "sys/bus/pci/drivers");

	watch(kernel, probe_written, "", xstrdup("sys/bus/pci/drivers_probe"));
	for (char **driver = drivers; *driver; driver++) {
		watch(kernel, bind_written, *driver, xasprintf("sys/bus/pci/drivers/%s/bind", *driver));
		watch(kernel, unbind_written, *driver, xasprintf("sys/bus/pci/drivers/%s/unbind", *driver));
		watch(kernel, new_id_written, *driver, xasprintf("sys/bus/pci/drivers/%s/new_id", *driver));
	}
	for (size_t i = 0; i < kernel->model->n; i++) {
		const struct pci_dev *dev = &kernel->model->devs[i];

		watch(kernel, config_written, dev->address, xasprintf("%s/config", dev->path));
		if (dev->kind->total_vfs)
			watch(kernel, vfs_written, dev->address, xasprintf("%s/sriov_numvfs", dev->path));
	}
}

int
kernel_start(const struct sim *sim, struct kernel **out, struct err *err)
{
	struct kernel *kernel = xcalloc(1, sizeof(*kernel));

	*out = kernel;
	kernel->sim = sim;
	kernel->model = xcalloc(1, sizeof(*kernel->model));
	kernel->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	kernel->tree.fd = -1;
	if (kernel->inotify < 0)
		return err_set(err, -errno, "inotify: %s", strerror(errno));
	if (sim_tree(sim, &kernel->tree, &kernel->err) < 0)
		return err_set(err, kernel->err.code, "%s", kernel->err.msg);
	pci_model_build(kernel->model, sim);
	boot_pci(sim, &kernel->tree, &kernel->how);
	memory_load(&kernel->memory, sim, &kernel->tree);
	watch(kernel, NULL, "", xstrdup(".sim"));
	watch_pages(kernel);
	watch_pci(kernel);
	/* Every host has more than this: without them it would be deaf (fs.inotify.max_user_watches). */
	if (kernel->n < 16)
		return err_set(err, -ENOSPC, "%s: cannot watch its files", sim->dir);
	return 0;
}

void
kernel_stop(struct kernel *kernel)
{
	if (!kernel)
		return;
	for (size_t i = 0; i < kernel->n; i++) {
		free(kernel->watches[i].path);
		free(kernel->watches[i].subject);
	}
	free(kernel->watches);
	free(kernel->model);
	free(kernel->how.no_dt);
	if (kernel->inotify >= 0)
		close(kernel->inotify);
	(void)tree_close(&kernel->tree);
	free(kernel);
}

int
kernel_fd(const struct kernel *kernel)
{
	return kernel->inotify;
}

static void
react(struct kernel *kernel, int wd)
{
	for (size_t i = 0; i < kernel->n; i++) {
		const struct watch *watch = &kernel->watches[i];

		if (watch->wd != wd || !watch->react)
			continue;
		auto_free char *text = tree_read(&kernel->tree, watch->path);
		/* Registers may begin with a 0 byte; elsewhere nothing there is the beginning of the next writing. */
		if (text && (*text || watch->react == config_written))
			watch->react(kernel, watch, text);
		/* A file that went away meanwhile is no reason to end. */
		kernel->tree.rc = 0;
	}
}

bool
kernel_work(struct kernel *kernel)
{
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(kernel->inotify, buffer, sizeof(buffer));

	for (ssize_t at = 0; at < n;) {
		struct inotify_event event;

		memcpy(&event, buffer + at, sizeof(event));
		at += (ssize_t)(sizeof(event) + event.len);
		react(kernel, event.wd);
	}
	return tree_exists(&kernel->tree, ".sim/reboot-request");
}

void
kernel_tick(struct kernel *kernel, double seconds)
{
	tree_printf(&kernel->tree, "proc/uptime", "%.2f %.2f\n", seconds, seconds * 90);
	kernel->tree.rc = 0;
}
