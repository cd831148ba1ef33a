/* vm_devices.c - SR-IOV and vfio-pci, through sysfs; the MAC and VLAN of VFs, through `ip`. */

#include "agent/layers/vm_devices.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "common/err.h"
#include "common/mem.h"

#define DEVICES "/sys/bus/pci/devices"
#define TRIES   40 /* For the kernel to show what was asked for, */
#define TRY_MS  50 /* so long each. */

/* --- what is seen -------------------------------------------------------------------------------------------- */

static char *
file_of(const char *address, const char *file)
{
	return xasprintf(DEVICES "/%s/%s", address, file);
}

static int
read_count(struct host *host, const char *pf, const char *file, uint64_t *out, struct err *err)
{
	auto_free char *path = file_of(pf, file);

	return host_read_u64(host, path, out, err);
}

static bool
is_there(struct host *host, const char *address)
{
	auto_free char *path = xasprintf(DEVICES "/%s", address);

	return host_exists(host, path);
}

/* NULL: it has none. */
static char *
driver_of(struct host *host, const char *address)
{
	auto_free char *path = file_of(address, "driver");

	return host_link_name(host, path);
}

/* The network device of a port, or NULL. */
static char *
net_of(struct host *host, const char *pf)
{
	auto_free char *pattern = file_of(pf, "net/*");
	auto_strv char **found = host_glob(host, pattern);

	return *found ? xstrdup(strrchr(*found, '/') + 1) : NULL;
}

/* What stands behind "vf N " at the beginning of a word, to the end of its line; NULL: it is not there.  The caller
 * frees. */
static char *
vf_line(const char *text, unsigned vf)
{
	auto_free char *start = xasprintf("vf %u ", vf);

	for (const char *at = strstr(text, start); at; at = strstr(at + 1, start))
		if (at == text || isspace((unsigned char)at[-1]))
			return xasprintf("%.*s", (int)strcspn(at, "\n"), at);
	return NULL;
}

/* What stands behind the first of 'words' that is there; NULL: none is. */
static const char *
behind(const char *line, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = strstr(line, words[i]);
		if (at)
			return at + strlen(words[i]);
	}
	return NULL;
}

static bool
copy_mac(const char *from, char out[18])
{
	if (strspn(from, "0123456789abcdefABCDEF:") != 17)
		return false;
	for (int i = 0; i < 17; i++)
		out[i] = (char)(from[i] >= 'A' && from[i] <= 'F' ? from[i] | 0x20 : from[i]);
	out[17] = '\0';
	return true;
}

bool
vm_vf_parse(const char *text, unsigned vf, char mac[18], unsigned *vlan)
{
	static const char *const macs[] = { "link/ether ", "MAC " }; /* Of today, and of iproute2 before 5.0. */
	static const char *const vlans[] = { "vlan " };
	auto_free char *line = vf_line(text, vf);
	const char *address = line ? behind(line, macs, 2) : NULL;

	if (!address || !copy_mac(address, mac))
		return false;
	const char *tag = behind(line, vlans, 1);
	*vlan = tag ? (unsigned)strtoul(tag, NULL, 10) : 0;
	return true;
}

/* --- VFs --------------------------------------------------------------------------------------------------------- */

static void
report_vfs(const struct machine *machine, const char *pf, unsigned wanted, struct report *out)
{
	auto_free char *key = xasprintf("%s/vfs", pf);
	auto_free char *want = xasprintf("%u", wanted);
	struct err err;
	uint64_t total = 0;
	uint64_t n = 0;

	if (read_count(machine->host, pf, "sriov_totalvfs", &total, &err) < 0 ||
	    read_count(machine->host, pf, "sriov_numvfs", &n, &err) < 0) {
		report_add(out, key, want, "no SR-IOV", FIX_MANUAL,
			   "the port can have no VFs: SR-IOV in the BIOS, SRIOV_EN in the NIC's settings");
		return;
	}
	auto_free char *have = xasprintf("%" PRIu64, n);
	if (n >= wanted)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else if (total < wanted)
		report_add(out, key, want, have, FIX_MANUAL,
			   "the port can have %" PRIu64 " at most: NUM_OF_VFS in the NIC's settings", total);
	else if (n > 0)
		report_add(out, key, want, have, FIX_MANUAL,
			   "the number changes only through 0, which takes the VFs away from whoever has them: stop "
			   "what uses them and write 0 to sriov_numvfs");
	else
		report_add(out, key, want, have, FIX_LIVE, NULL);
}

static bool
told_before(const struct vm_plans *plans, size_t plan, size_t device)
{
	const char *pf = plans->plan[plan].devices[device].pf;

	for (size_t i = 0; i <= plan; i++)
		for (size_t k = 0; !plans->plan[i].refused && k < plans->plan[i].n_devices; k++) {
			if (i == plan && k == device)
				return false;
			if (plans->plan[i].devices[k].pf && strcmp(plans->plan[i].devices[k].pf, pf) == 0)
				return true;
		}
	return false;
}

/* --- one device ---------------------------------------------------------------------------------------------------- */

static void
report_one(struct report *out, const char *address, const char *what, const char *want, const char *have, bool busy)
{
	auto_free char *key = xasprintf("%s/%s", address, what);

	if (strcmp(want, have) == 0)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else if (busy)
		report_add(out, key, want, have, FIX_MANUAL, "its VM runs with it: set before the VM's next start");
	else
		report_add(out, key, want, have, FIX_LIVE, NULL);
}

static void
report_addresses(const struct machine *machine, const struct vm_plan *plan, const struct vm_device *device, bool busy,
		 struct report *out)
{
	auto_free char *net = net_of(machine->host, device->pf);
	const char *const argv[] = { "ip", "link", "show", "dev", net ? net : "?", NULL };
	struct host_result result = { 0 };
	char mac[18] = "unknown";
	unsigned vlan = 0;
	struct err ignored;

	bool known = net && host_run(machine->host, argv, 0, &result, &ignored) == 0 && result.status == 0 &&
		     vm_vf_parse(result.out, device->vf, mac, &vlan);
	auto_free char *want = xasprintf("%u", plan->spec->vf_vlan);
	auto_free char *have = known ? xasprintf("%u", vlan) : xstrdup("unknown");
	host_result_free(&result);
	if (device->mac)
		report_one(out, device->host, "mac", device->mac, mac, busy);
	if (plan->spec->has_vf_vlan)
		report_one(out, device->host, "vlan", want, have, busy);
}

/* Layer kernel tells of those that it gives to vfio-pci at boot. */
static bool
is_kernels(const Gdr__Spec *spec, const struct vm_device *device)
{
	const Gdr__VfioSpec *vfio = spec->kernel ? spec->kernel->vfio : NULL;

	return vfio && ((vfio->gpus && device->kind == GDR__PCI_DEVICE__KIND__GPU) ||
			(vfio->nvswitches && device->kind == GDR__PCI_DEVICE__KIND__NVSWITCH));
}

static void
report_driver(const struct machine *machine, const struct vm_device *device, struct report *out)
{
	auto_free char *key = xasprintf("%s/driver", device->host);
	auto_free char *driver = driver_of(machine->host, device->host);

	if (driver && strcmp(driver, "vfio-pci") == 0)
		report_add(out, key, "vfio-pci", driver, FIX_NONE, NULL);
	else if (!driver || device->pf)
		report_add(out, key, "vfio-pci", driver ? driver : "none", FIX_LIVE, NULL);
	else
		report_add(out, key, "vfio-pci", driver, FIX_MANUAL,
			   "%s may be at work with it: layer kernel's vfio gives it to vfio-pci at boot", driver);
}

static void
report_device(const struct machine *machine, const Gdr__Spec *spec, const struct vm_plan *plan,
	      const struct vm_device *device, bool busy, struct report *out)
{
	if (device->pf && (device->mac || plan->spec->has_vf_vlan))
		report_addresses(machine, plan, device, busy, out);
	if (!is_kernels(spec, device))
		report_driver(machine, device, out);
}

void
vm_devices_inspect(const struct machine *machine, const Gdr__Spec *spec, const struct vm_plans *plans,
		   bool (*busy)(const struct vm_plan *plan, const void *arg), const void *arg, struct report *out)
{
	for (size_t i = 0; i < plans->n; i++) {
		const struct vm_plan *plan = &plans->plan[i];
		bool runs = busy(plan, arg);

		for (size_t k = 0; !plan->refused && k < plan->n_devices; k++) {
			if (plan->devices[k].pf && !told_before(plans, i, k))
				report_vfs(machine, plan->devices[k].pf, vm_plans_vfs(plans, plan->devices[k].pf), out);
			report_device(machine, spec, plan, &plan->devices[k], runs, out);
		}
	}
}

/* --- putting it right -------------------------------------------------------------------------------------------------- */

static void
pause_a_little(void)
{
	const struct timespec pause = { .tv_nsec = TRY_MS * 1000000L };

	(void)nanosleep(&pause, NULL);
}

/* VFs that no driver of the host takes first: their MAC can be set, and nothing has to let go of them. */
static int
make_vfs(const struct machine *machine, const char *pf, const char *count, struct err *err)
{
	auto_free char *probe = file_of(pf, "sriov_drivers_autoprobe");
	auto_free char *path = file_of(pf, "sriov_numvfs");
	auto_free char *first = file_of(pf, "virtfn0");
	int rc = host_exists(machine->host, probe) ? host_write(machine->host, probe, "0", err) : 0;

	if (rc == 0)
		rc = host_write(machine->host, path, count, err);
	for (int i = 0; rc == 0 && i < TRIES && !host_exists(machine->host, first); i++)
		pause_a_little();
	return rc;
}

static int
set_address(const struct machine *machine, const struct vm_device *device, const char *what, const char *value,
	    struct err *err)
{
	auto_free char *net = net_of(machine->host, device->pf);
	auto_free char *vf = xasprintf("%u", device->vf);
	const char *const argv[] = { "ip", "link", "set", "dev", net ? net : "?", "vf", vf, what, value, NULL };

	if (!net)
		return err_set(err, -ENODEV, "port %s has no network device: its driver is not loaded", device->pf);
	return host_do(machine->host, argv, err);
}

static bool
has_driver(const struct machine *machine, const char *address, const char *name)
{
	auto_free char *driver = driver_of(machine->host, address);

	return driver && strcmp(driver, name) == 0;
}

/* driver_override names the one driver that may take it from now on; Documentation/ABI/testing/sysfs-bus-pci. */
static int
bind(const struct machine *machine, const char *address, struct err *err)
{
	auto_free char *override = file_of(address, "driver_override");
	auto_free char *old = driver_of(machine->host, address);
	auto_free char *unbind = xasprintf("/sys/bus/pci/drivers/%s/unbind", old ? old : "");
	int rc;

	if (!is_there(machine->host, address))
		return err_set(err, -ENODEV, "no such device");
	rc = host_write(machine->host, override, "vfio-pci", err);
	if (rc == 0 && old)
		rc = host_write(machine->host, unbind, address, err);
	for (int i = 0; rc == 0 && old && i < TRIES && has_driver(machine, address, old); i++)
		pause_a_little();
	if (rc == 0)
		rc = host_write(machine->host, "/sys/bus/pci/drivers_probe", address, err);
	for (int i = 0; rc == 0 && i < TRIES && !has_driver(machine, address, "vfio-pci"); i++)
		pause_a_little();
	return rc;
}

static const struct vm_device *
find_device(const struct vm_plans *plans, const char *address)
{
	for (size_t i = 0; i < plans->n; i++)
		for (size_t k = 0; !plans->plan[i].refused && k < plans->plan[i].n_devices; k++)
			if (strcmp(plans->plan[i].devices[k].host, address) == 0)
				return &plans->plan[i].devices[k];
	return NULL;
}

bool
vm_devices_own(const char *key)
{
	static const char *const ends[] = { "/vfs", "/mac", "/vlan", "/driver" };
	const char *slash = strrchr(key, '/');

	for (size_t i = 0; slash && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(slash, ends[i]) == 0 && strcspn(key, ":") == 4 && slash - key == 12)
			return true;
	return false;
}

int
vm_devices_apply(const struct machine *machine, const struct vm_plans *plans, const struct item *item, struct err *err)
{
	const char *what = strrchr(item->key, '/') + 1;
	auto_free char *address = xasprintf("%.*s", (int)strcspn(item->key, "/"), item->key);
	const struct vm_device *device = find_device(plans, address);

	if (strcmp(what, "vfs") == 0)
		return make_vfs(machine, address, item->want, err);
	if (!device)
		return err_set(err, -ENODEV, "no VM has it");
	if (strcmp(what, "driver") == 0)
		return bind(machine, address, err);
	return set_address(machine, device, what, item->want, err);
}
