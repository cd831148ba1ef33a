#include "tests/simhost/registers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/sim.h"

struct space {
	int fd;
	uint8_t bytes[PCI_SPACE];
};

static const struct {
	const char *name;
	unsigned id;
	bool extended;
} names[] = {
	{ "CAP_PM", 0x01, false },   { "CAP_MSI", 0x05, false }, { "CAP_EXP", 0x10, false },
	{ "CAP_MSIX", 0x11, false }, { "ECAP_AER", 0x01, true }, { "ECAP_ACS", 0x0d, true },
	{ "ECAP_ARI", 0x0e, true },  { "ECAP_ATS", 0x0f, true }, { "ECAP_SRIOV", 0x10, true },
};

static int
open_space(const struct sim *sim, const char *address, int flags, struct space *out, struct err *err)
{
	auto_free char *path = xasprintf("sys/bus/pci/devices/%s/config", address);

	if (strchr(address, '/'))
		return err_set(err, -EINVAL, "'%s' is no address", address);
	out->fd = openat(sim->fd, path, flags | O_CLOEXEC);
	if (out->fd < 0)
		return err_set(err, -errno, "no device %s (like 0000:3f:00.0)", address);
	if (pread(out->fd, out->bytes, PCI_SPACE, 0) != PCI_SPACE) {
		close(out->fd);
		return err_set(err, -EIO, "%s: cannot read its configuration space", address);
	}
	return 0;
}

/* Where 'where' is in this space; a negative errno. */
static int
locate(const struct space *space, const char *where, struct err *err)
{
	size_t len = strcspn(where, "+");
	const char *rest = where;
	unsigned base = 0;
	char *end = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) != len || strncasecmp(where, names[i].name, len) != 0)
			continue;
		base = names[i].extended ? pci_space_ext_cap(space->bytes, names[i].id)
					 : pci_space_cap(space->bytes, names[i].id);
		if (base == 0)
			return err_set(err, -ENOENT, "the device has no %s", names[i].name);
		rest = where[len] ? where + len + 1 : "0";
	}
	unsigned long offset = strtoul(rest, &end, 16);
	if (end == rest || (*end && strcmp(end, ".w") != 0) || base + offset > PCI_SPACE - 2)
		return err_set(err, -EINVAL, "'%s' is no register (like 68, CAP_EXP+8, ECAP_ACS+6)", where);
	return (int)(base + offset);
}

static unsigned
get(const struct space *space, unsigned at)
{
	return space->bytes[at] | (unsigned)space->bytes[at + 1] << 8;
}

int
register_peek(const struct sim *sim, const char *address, const char *where, unsigned *out, struct err *err)
{
	struct space space = { .fd = -1 };
	int rc = open_space(sim, address, O_RDONLY, &space, err);

	if (rc < 0)
		return rc;
	auto_close int fd = space.fd;
	(void)fd;
	int at = locate(&space, where, err);
	if (at < 0)
		return at;
	*out = get(&space, (unsigned)at);
	return 0;
}

int
register_update(const struct sim *sim, const char *address, const char *where, unsigned mask, unsigned value,
		struct err *err)
{
	struct space space = { .fd = -1 };
	int rc = open_space(sim, address, O_RDWR, &space, err);

	if (rc < 0)
		return rc;
	auto_close int fd = space.fd;
	int at = locate(&space, where, err);
	if (at < 0)
		return at;
	unsigned whole = (get(&space, (unsigned)at) & ~mask) | (value & mask);
	uint8_t bytes[2] = { (uint8_t)whole, (uint8_t)(whole >> 8) };
	if (pwrite(fd, bytes, 2, at) != 2)
		return err_set(err, -errno, "%s: %s", address, strerror(errno));
	return 0;
}

int
register_poke(const struct sim *sim, const char *address, const char *where, unsigned value, struct err *err)
{
	return register_update(sim, address, where, 0xffff, value, err);
}

void
register_settle(const struct sim *sim, const char *address)
{
	struct err ignored = { 0 };
	unsigned cap = 0;
	unsigned control = 0;

	if (register_peek(sim, address, "ECAP_ACS+4", &cap, &ignored) == 0 &&
	    register_peek(sim, address, "ECAP_ACS+6", &control, &ignored) == 0 && (control & ~cap))
		(void)register_poke(sim, address, "ECAP_ACS+6", control & cap, &ignored);
	/* Initiate Function Level Reset reads 0. */
	if (register_peek(sim, address, "CAP_EXP+8", &control, &ignored) == 0 && (control & 0x8000))
		(void)register_poke(sim, address, "CAP_EXP+8", control & 0x7fffU, &ignored);
}
