#include "agent/machine/pci.h"

#include <errno.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

#define DEVICES "/sys/bus/pci/devices"

struct device {
	struct pci_dev *dev;
	char *address;
	bool scanned; /* Its capability lists were walked. */
};

struct pci {
	struct pci_access *access;
	struct device *devices; /* By address. */
	size_t n;
	const char **addresses;
};

/* libpci reports what it cannot do by calling a function that must not return, without a context argument. */
static struct {
	jmp_buf env;
	bool armed;
	char text[200];
} trap;

static void on_error(char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
on_error(char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(trap.text, sizeof(trap.text), fmt, ap);
	va_end(ap);
	if (!trap.armed)
		abort();
	longjmp(trap.env, 1);
}

static void on_warning(char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
on_warning(char *fmt, ...) /* NOLINT(readability-non-const-parameter): libpci's type. */
{
	(void)fmt;
}

/* Calls 'f' where libpci may give up; nothing of ours is on the stack between. */
static int
guarded(void (*f)(void *arg), void *arg, struct err *err)
{
	if (setjmp(trap.env) != 0) {
		trap.armed = false;
		return err_set(err, -EIO, "libpci: %s", trap.text);
	}
	trap.armed = true;
	f(arg);
	trap.armed = false;
	return 0;
}

static void
do_init(void *arg)
{
	pci_init(arg);
}

static int
access_open(struct host *host, struct pci *pci, struct err *err)
{
	auto_free char *path = host_path(host, "/sys/bus/pci");
	auto_free char *devices = host_path(host, DEVICES);
	char param[] = "sysfs.path";

	if (!path || !devices)
		return err_set(err, -ENOENT, "no PCI bus: " DEVICES " is not there");
	pci->access = pci_alloc();
	pci->access->method = PCI_ACCESS_SYS_BUS_PCI;
	pci->access->error = on_error;
	pci->access->warning = on_warning;
	pci->access->debug = on_warning;
	if (pci_set_param(pci->access, param, path) < 0)
		return err_set(err, -ENOSYS, "libpci has no parameter %s", param);
	return guarded(do_init, pci->access, err);
}

static int
by_address(const void *a, const void *b)
{
	const struct pci_dev *left = ((const struct device *)a)->dev;
	const struct pci_dev *right = ((const struct device *)b)->dev;
	int rc = (left->domain > right->domain) - (left->domain < right->domain);

	if (!rc)
		rc = left->bus - right->bus;
	if (!rc)
		rc = left->dev - right->dev;
	return rc ? rc : left->func - right->func;
}

/* Not by libpci's own scan: it gives up at the first entry that it does not understand. */
static void
add_device(struct host *host, struct pci *pci, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	auto_free char *config = xasprintf("%s/config", path);
	auto_free char *plain = host_path(host, config);
	unsigned domain;
	unsigned bus;
	unsigned dev;
	unsigned func;
	int end = 0;

	/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
	if (sscanf(name, "%8x:%2x:%2x.%1x%n", &domain, &bus, &dev, &func, &end) != 4 || name[end] || !plain)
		return;
	if (domain > INT32_MAX || dev > 31 || func > 7)
		return;
	pci->devices = xrealloc(pci->devices, pci->n + 1, sizeof(*pci->devices));
	pci->devices[pci->n++] = (struct device){
		.dev = pci_get_dev(pci->access, (int)domain, (int)bus, (int)dev, (int)func),
		.address = xasprintf("%04x:%02x:%02x.%x", domain, bus, dev, func),
	};
}

int
pci_open(struct host *host, struct pci **out, struct err *err)
{
	struct pci *pci = xcalloc(1, sizeof(*pci));
	int rc = access_open(host, pci, err);

	if (rc < 0) {
		pci_close(pci);
		return rc;
	}
	auto_strv char **paths = host_glob(host, DEVICES "/*");
	for (char **path = paths; *path; path++)
		add_device(host, pci, *path);
	if (pci->n)
		qsort(pci->devices, pci->n, sizeof(*pci->devices), by_address);
	pci->addresses = xcalloc(pci->n + 1, sizeof(*pci->addresses));
	for (size_t i = 0; i < pci->n; i++)
		pci->addresses[i] = pci->devices[i].address;
	*out = pci;
	return 0;
}

void
pci_close(struct pci *pci)
{
	if (!pci)
		return;
	for (size_t i = 0; i < pci->n; i++) {
		pci_free_dev(pci->devices[i].dev);
		free(pci->devices[i].address);
	}
	if (pci->access)
		pci_cleanup(pci->access);
	free(pci->devices);
	free(pci->addresses);
	free(pci);
}

const char *const *
pci_devices(const struct pci *pci)
{
	return pci->addresses;
}

static struct device *
find(struct pci *pci, const char *address)
{
	for (size_t i = 0; i < pci->n; i++)
		if (strcmp(pci->devices[i].address, address) == 0)
			return &pci->devices[i];
	return NULL;
}

static void
do_scan(void *arg)
{
	(void)pci_fill_info(arg, PCI_FILL_CAPS | PCI_FILL_EXT_CAPS);
}

static unsigned
capability(struct pci *pci, const char *address, unsigned id, unsigned type)
{
	struct device *device = find(pci, address);
	struct err ignored;

	if (!device)
		return 0;
	if (!device->scanned)
		(void)guarded(do_scan, device->dev, &ignored);
	device->scanned = true;
	const struct pci_cap *cap = pci_find_cap(device->dev, id, type);
	return cap ? cap->addr : 0;
}

unsigned
pci_cap(struct pci *pci, const char *address, unsigned id)
{
	return capability(pci, address, id, PCI_CAP_NORMAL);
}

unsigned
pci_ext_cap(struct pci *pci, const char *address, unsigned id)
{
	return capability(pci, address, id, PCI_CAP_EXTENDED);
}

/* --- registers --------------------------------------------------------------------------------------- */

struct transfer {
	struct pci_dev *dev;
	unsigned offset;
	uint8_t data[4]; /* Little endian, as configuration space is. */
	unsigned len;
	int done; /* As libpci says: 0 is failure. */
};

static void
do_read(void *arg)
{
	struct transfer *t = arg;

	t->done = pci_read_block(t->dev, (int)t->offset, t->data, (int)t->len);
}

static void
do_write(void *arg)
{
	struct transfer *t = arg;

	t->done = pci_write_block(t->dev, (int)t->offset, t->data, (int)t->len);
}

static int
transfer(struct pci *pci, const char *address, struct transfer *t, void (*how)(void *arg), struct err *err)
{
	const struct device *device = find(pci, address);
	const char *verb = how == do_write ? "written" : "read";

	if (!device)
		return err_set(err, -ENODEV, "%s: no such PCI device", address);
	t->dev = device->dev;
	int rc = guarded(how, t, err);
	if (rc < 0)
		return err_wrap(err, "%s", address);
	if (!t->done)
		return err_set(err, -EIO, "%s: register 0x%x cannot be %s", address, t->offset, verb);
	return 0;
}

int
pci_read8(struct pci *pci, const char *address, unsigned offset, uint8_t *out, struct err *err)
{
	struct transfer t = { .offset = offset, .len = 1 };
	int rc = transfer(pci, address, &t, do_read, err);

	if (rc == 0)
		*out = t.data[0];
	return rc;
}

int
pci_read16(struct pci *pci, const char *address, unsigned offset, uint16_t *out, struct err *err)
{
	struct transfer t = { .offset = offset, .len = 2 };
	int rc = transfer(pci, address, &t, do_read, err);

	if (rc == 0)
		*out = (uint16_t)(t.data[0] | t.data[1] << 8);
	return rc;
}

int
pci_read32(struct pci *pci, const char *address, unsigned offset, uint32_t *out, struct err *err)
{
	struct transfer t = { .offset = offset, .len = 4 };
	int rc = transfer(pci, address, &t, do_read, err);

	if (rc == 0)
		*out = t.data[0] | (uint32_t)t.data[1] << 8 | (uint32_t)t.data[2] << 16 | (uint32_t)t.data[3] << 24;
	return rc;
}

int
pci_update16(struct pci *pci, const char *address, unsigned offset, uint16_t mask, uint16_t value, uint16_t *before,
	     struct err *err)
{
	uint16_t old = 0;
	uint16_t now = 0;
	int rc = pci_read16(pci, address, offset, &old, err);

	if (rc < 0)
		return rc;
	if (before)
		*before = old;
	if (((old ^ value) & mask) == 0)
		return 0;

	uint16_t set = (uint16_t)((old & ~mask) | (value & mask));
	struct transfer t = { .offset = offset, .len = 2, .data = { (uint8_t)set, (uint8_t)(set >> 8) } };
	rc = transfer(pci, address, &t, do_write, err);
	if (rc == 0)
		rc = pci_read16(pci, address, offset, &now, err);
	if (rc < 0)
		return rc;
	if (((now ^ value) & mask) != 0)
		return err_set(err, -EIO, "%s: register 0x%x was %04x, wrote %04x, reads %04x", address, offset, old,
			       set, now);
	return 0;
}
