#include "tests/simhost/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "tests/simhost/tree.h"

static const char *const ats_names[] = { "kernel", "not-pt", "off" };

bool
sim_ats_parse(const char *text, enum sim_ats *out)
{
	for (unsigned i = 0; i < sizeof(ats_names) / sizeof(ats_names[0]); i++)
		if (strcmp(text, ats_names[i]) == 0) {
			*out = (enum sim_ats)i;
			return true;
		}
	return false;
}

char *
sim_uuid(void)
{
	unsigned char id[16];

	if (getentropy(id, sizeof(id)) < 0)
		abort();
	return xasprintf("%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1], id[2],
			 id[3], id[4], id[5], id[6] & 15U, id[7], id[8] & 15U, id[9], id[10], id[11], id[12], id[13],
			 id[14], id[15]);
}

static int
open_folder(struct sim *sim, const char *dir, struct err *err)
{
	sim->dir = realpath(dir, NULL);
	if (!sim->dir)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	sim->fd = open(sim->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sim->fd < 0)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	return 0;
}

int
sim_tree(const struct sim *sim, struct tree *out, struct err *err)
{
	return tree_open(out, sim->fd, ".", err);
}

/* An empty folder, or one that was a simulated host before: everything in it goes. */
static int
make_room(struct sim *sim, struct err *err)
{
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	auto_strv char **names = tree_list(&tree, ".");
	if (names[0] && !tree_exists(&tree, ".sim/host")) {
		(void)tree_close(&tree);
		return err_set(err, -ENOTEMPTY, "%s is not empty and no simulated host", sim->dir);
	}
	auto_close int lock = -1;
	if (names[0] && sim_lock(sim, &lock, err) < 0) {
		(void)tree_close(&tree);
		return err->code;
	}
	for (char **name = names; *name; name++)
		tree_remove(&tree, *name);
	return tree_close(&tree);
}

int
sim_create(struct sim *sim, const char *dir, const char *check_interval, struct err *err)
{
	struct tree tree;
	int rc = file_mkdirs(dir, 0755, err);

	if (rc == 0)
		rc = open_folder(sim, dir, err);
	if (rc == 0)
		rc = make_room(sim, err);
	if (rc == 0)
		rc = sim_tree(sim, &tree, err);
	if (rc < 0)
		return rc;
	tree_printf(&tree, ".sim/host", "name: %s\ngpus: %u\nnics: %u\nmemory: %u\npages-memory: %u\nats: %s\n",
		    sim->name, sim->gpus, sim->nics, sim->memory, sim->pages_memory, ats_names[sim->ats]);
	tree_mkdir(&tree, ".sim/faults");
	disk_write(&tree, sim, check_interval);
	return tree_close(&tree);
}

static void
read_line(struct sim *sim, const char *line)
{
	char name[65];
	char ats[16];

	if (sscanf(line, "name: %64s", name) == 1) {
		free(sim->name);
		sim->name = xstrdup(name);
	} else if (sscanf(line, "ats: %15s", ats) == 1) {
		(void)sim_ats_parse(ats, &sim->ats);
	} else {
		/* NOLINTBEGIN(cert-err34-c): our own file; a number out of range only makes an odd machine. */
		(void)sscanf(line, "gpus: %u", &sim->gpus);
		(void)sscanf(line, "nics: %u", &sim->nics);
		(void)sscanf(line, "memory: %u", &sim->memory);
		(void)sscanf(line, "pages-memory: %u", &sim->pages_memory);
		/* NOLINTEND(cert-err34-c) */
	}
}

int
sim_open(struct sim *sim, const char *dir, struct err *err)
{
	struct tree tree;
	int rc = open_folder(sim, dir, err);

	if (rc == 0)
		rc = sim_tree(sim, &tree, err);
	if (rc < 0)
		return rc;
	auto_free char *text = tree_read(&tree, ".sim/host");
	(void)tree_close(&tree);
	if (!text)
		return err_set(err, -EINVAL, "%s is no simulated host (gdr-simhost create makes one)", dir);
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		read_line(sim, line);
	if (!sim->name)
		return err_set(err, -EINVAL, "%s/.sim/host: no name", dir);
	return 0;
}

int
sim_open_guest(struct sim *sim, const char *root, const char *vm, struct err *err)
{
	sim->in_vm = true;
	sim->name = xstrdup(vm);
	return open_folder(sim, root, err);
}

int
sim_open_any(struct sim *sim, const char *dir, struct err *err)
{
	const char *vm = strrchr(dir, '/');
	auto_free char *host = vm ? xasprintf("%.*s", (int)(vm - dir), dir) : NULL;
	auto_free char *mark = xasprintf("%s/.sim/host", host ? host : "");
	auto_free char *root = xasprintf("%s/.sim/guests/%s", host ? host : "", vm ? vm + 1 : "");

	if (access(dir, F_OK) == 0 || access(mark, F_OK) < 0)
		return sim_open(sim, dir, err);
	if (access(root, F_OK) < 0)
		return err_set(err, -ENOENT, "%s has no VM '%s' that ever ran", host, vm + 1);
	return sim_open_guest(sim, root, vm + 1, err);
}

void
sim_close(struct sim *sim)
{
	free(sim->dir);
	free(sim->name);
	if (sim->fd >= 0)
		close(sim->fd);
}

char *
sim_fault(const struct sim *sim, const char *name)
{
	struct err ignored = { 0 };
	struct tree tree;
	char *text;

	if (sim_tree(sim, &tree, &ignored) < 0)
		return NULL;
	tree_cd(&tree, ".sim/faults");
	text = tree_read(&tree, name);
	(void)tree_close(&tree);
	return text;
}

bool
sim_broken(const struct sim *sim, const char *name)
{
	auto_free char *text = sim_fault(sim, name);

	return text != NULL;
}

int
sim_lock(const struct sim *sim, int *fd, struct err *err)
{
	auto_free char *path = xasprintf("%s/.sim/run.pid", sim->dir);

	return file_lock(path, fd, err);
}
