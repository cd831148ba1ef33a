/* kernel.c - the kernel's version and boot command line, and which driver has the GPUs.
 *
 * Spec:     kernel: {min_version: "5.15", iommu: passthrough, vfio: {gpus: true}, blacklist: [nouveau], cmdline: [...]}
 *           hugepages: {size: 1G, count: 750}: what is reserved at boot; layers/hugepages.c looks after it later.
 * Reads:    /proc/cmdline, /proc/modules, /sys/module/NAME/initstate, /etc/modprobe.d/gdrfleet.conf, the boot loader's
 *           entries (agent/machine/bootloader.c), the inventory: kernel, CPU vendor, PCI ids and drivers.
 * Changes:  the boot loader's configuration and /etc/modprobe.d/gdrfleet.conf, for the next boot; now:
 *           /sys/bus/pci/devices/ADDRESS/driver_override and /sys/bus/pci/drivers_probe of a GPU without a driver. */

#include <stdio.h>

#include "agent/layer.h"
#include "agent/layers/kernel_params.h"
#include "agent/machine/bootloader.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define MODPROBE_CONF "/etc/modprobe.d/gdrfleet.conf"
#define SYSFS_PCI     "/sys/bus/pci"

/* What the items are judged by. */
struct look {
	const struct machine *machine;
	const Gdr__Spec *spec;
	char **running; /* /proc/cmdline */
	char **next;    /* What the next boot will have. */
	struct staged staged;
	struct params params;
	char trouble[300]; /* Why nothing can be staged; "": it can. */
};

static const char *const *
const_strv(char **v)
{
	return (const char *const *)v;
}

static void
look_free(struct look *look)
{
	mem_strv_p(&look->running);
	mem_strv_p(&look->next);
	staged_free(&look->staged);
	params_free(&look->params);
}

/* Ours comes last on the line. */
static char **
next_line(const struct staged *staged)
{
	auto_free char *others = cmdline_join(const_strv(staged->others));
	auto_free char *ours = cmdline_join(const_strv(staged->ours));
	auto_free char *all = xasprintf("%s %s", others, ours);

	return cmdline_split(all, true);
}

static int
look_at(const struct machine *machine, const Gdr__Spec *spec, struct look *look, struct err *err)
{
	auto_free char *text = NULL;
	struct err staged_err = { 0 };
	int rc = host_read_line(machine->host, "/proc/cmdline", &text, err);

	if (!text)
		return rc;
	look->machine = machine;
	look->spec = spec;
	look->running = cmdline_split(text, false);
	rc = bootloader_staged(machine->host, &look->staged, &staged_err);
	if (rc < 0)
		(void)snprintf(look->trouble, sizeof(look->trouble), "%.250s", staged_err.msg);
	else if (!look->staged.loader)
		(void)snprintf(look->trouble, sizeof(look->trouble), "no boot loader that is known here");
	if (!look->staged.others)
		look->staged.others = xcalloc(1, sizeof(char *));
	if (!look->staged.ours)
		look->staged.ours = xcalloc(1, sizeof(char *));
	look->next = next_line(&look->staged);
	params_wanted(machine, spec, const_strv(look->staged.others), &look->params);
	return 0;
}

static char *
all_params(const struct look *look)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < look->params.n; i++)
		buf_printf(&out, "%s%s", i ? " " : "", param_staged(&look->params.v[i]));
	return buf_steal(&out);
}

/* --- version ----------------------------------------------------------------------------------------------- */

static void
report_version(const struct look *look, struct report *out)
{
	const Gdr__KernelSpec *kernel = look->spec->kernel;
	const char *have = look->machine->inventory->kernel;

	if (!kernel || !kernel->min_version)
		return;
	auto_free char *want = xasprintf("%s or newer", kernel->min_version);
	if (have && version_compare(have, kernel->min_version) >= 0)
		report_add(out, "version", want, have, FIX_NONE, NULL);
	else
		report_add(out, "version", want, have ? have : "unknown", FIX_MANUAL,
			   "boot a newer kernel: install one, or choose it in the boot loader");
}

/* --- command line --------------------------------------------------------------------------------------------- */

static bool
is_staged(const struct look *look, const struct param *param)
{
	struct param merged = *param;
	auto_free char *text = xstrdup(param_staged(param));

	merged.text = text;
	return !*look->trouble && param_holds(&merged, const_strv(look->next));
}

/* The words on 'line' that undo 'param', joined; "" if there are none.  The caller frees. */
static char *
against(const struct look *look, const struct param *param, const char *const line[])
{
	struct buf out = { 0 };
	auto_free const char **ours = xcalloc(look->params.n + 1, sizeof(*ours));

	for (size_t i = 0; i < look->params.n; i++)
		ours[i] = look->params.v[i].text;
	for (size_t i = 0; line[i]; i++)
		if (cmdline_value(line[i], param->name) && !cmdline_has(ours, line[i]) &&
		    cmdline_contradicts(line, i, ours))
			buf_printf(&out, "%s%s", out.len ? " " : "", line[i]);
	return buf_steal(&out);
}

/* The recipe's rdblaclist is a misspelling, and dracut dropped rdblacklist for rd.driver.blacklist. */
static const char *
without_effect(const struct look *look, const struct param *param)
{
	if (strcmp(param->name, "modprobe.blacklist") != 0)
		return NULL;
	for (char **word = look->running; *word; word++)
		if (cmdline_value(*word, "rdblaclist") || cmdline_value(*word, "rdblacklist"))
			return *word;
	return NULL;
}

static void
report_wrong_param(const struct look *look, const struct param *param, const char *key, const char *have,
		   struct report *out)
{
	auto_free char *bad_now = against(look, param, const_strv(look->running));
	auto_free char *bad_next = against(look, param, const_strv(look->staged.others));
	const char *want = param_staged(param);

	if (*look->trouble) {
		auto_free char *all = all_params(look);
		report_add(out, key, want, have, FIX_MANUAL,
			   "%s: give the kernel these parameters by hand, then reboot: %s%s%s", look->trouble, all,
			   *bad_now ? "; and take out " : "", bad_now);
	} else if (is_staged(look, param)) {
		report_add(out, key, want, have, FIX_BOOT, "%s has it for the next boot%s%s", look->staged.loader,
			   *bad_now ? ", without " : "", bad_now);
	} else if (*bad_next) {
		report_add(out, key, want, have, FIX_STAGE,
			   "%s, which others set, undoes it wherever it stands: it is taken out", bad_next);
	} else {
		report_add(out, key, want, have, FIX_STAGE, NULL);
	}
}

static char *
key_of(const struct param *param)
{
	return xasprintf("cmdline/%s", param->kind == PARAM_EXACT ? param->text : param->name);
}

static void
report_param(const struct look *look, const struct param *param, struct report *out)
{
	auto_free char *key = key_of(param);
	auto_free char *have = param_seen(param, const_strv(look->running));
	const char *odd = without_effect(look, param);

	if (!param_holds(param, const_strv(look->running)))
		report_wrong_param(look, param, key, have, out);
	else if (!*look->trouble && !is_staged(look, param))
		report_add(out, key, param_staged(param), have, FIX_STAGE,
			   "this boot has it, but the next would not: %s lacks it", look->staged.loader);
	else if (odd)
		report_add(out, key, param_staged(param), have, FIX_NONE,
			   "%s on the command line is without effect, and harmless", odd);
	else
		report_add(out, key, param_staged(param), have, FIX_NONE, NULL);
}

/* What we staged once and nobody wants any more. */
static bool
is_stale(const struct look *look, const char *word)
{
	for (size_t i = 0; i < look->params.n; i++)
		if (cmdline_value(word, look->params.v[i].name))
			return false;
	return true;
}

static void
report_stale(const struct look *look, struct report *out)
{
	for (char **word = look->staged.ours; *word; word++) {
		if (!is_stale(look, *word))
			continue;
		auto_free char *key = xasprintf("cmdline/%s", *word);
		report_add(out, key, "absent", *word, FIX_STAGE, "the profile no longer asks for it");
	}
}

/* --- modprobe.d and modules -------------------------------------------------------------------------------------- */

/* The lines of a modprobe.d file without its comments, as one line; "absent" if there is none. */
static char *
one_line(const char *text)
{
	struct buf out = { 0 };

	for (const char *line = text; line && *line; line += strspn(line, "\n")) {
		size_t len = strcspn(line, "\n");
		if (*line != '#' && len)
			buf_printf(&out, "%s%.*s", out.len ? "; " : "", (int)(len < 200 ? len : 200), line);
		line += len;
	}
	if (!out.len)
		buf_puts(&out, "absent");
	return buf_steal(&out);
}

static void
report_modprobe(const struct look *look, struct report *out)
{
	auto_free char *wanted = modprobe_wanted(look->machine, look->spec);
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read(look->machine->host, MODPROBE_CONF, &text, NULL, &ignored);
	if (!wanted && !text)
		return;
	auto_free char *want = one_line(wanted);
	auto_free char *have = one_line(text);
	bool right = wanted && text && strcmp(wanted, text) == 0;
	report_add(out, "modprobe.d", want, have, right ? FIX_NONE : FIX_STAGE, NULL);
}

static bool
is_loaded(struct host *host, const char *module)
{
	auto_free char *name = xstrdup(module);
	auto_free char *modules = NULL;
	struct err ignored;

	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	auto_free char *state = xasprintf("/sys/module/%s/initstate", name); /* What is built in has none. */
	if (host_exists(host, state))
		return true;
	auto_free char *begin = xasprintf("%s ", name);
	auto_free char *line = xasprintf("\n%s ", name);
	(void)host_read(host, "/proc/modules", &modules, NULL, &ignored);
	return modules && (strncmp(modules, begin, strlen(begin)) == 0 || strstr(modules, line));
}

static const struct param *
find_param(const struct look *look, const char *name)
{
	for (size_t i = 0; i < look->params.n; i++)
		if (strcmp(look->params.v[i].name, name) == 0)
			return &look->params.v[i];
	return NULL;
}

/* What it takes to have 'param' in the running kernel: FIX_NONE if it is there. */
static enum fix
fix_of(const struct look *look, const struct param *param)
{
	if (param && param_holds(param, const_strv(look->running)))
		return FIX_NONE;
	if (!param || *look->trouble)
		return FIX_MANUAL;
	return is_staged(look, param) ? FIX_BOOT : FIX_STAGE;
}

static void
report_module(const struct look *look, const char *module, struct report *out)
{
	auto_free char *key = xasprintf("module/%s", module);
	enum fix fix = fix_of(look, find_param(look, "modprobe.blacklist"));

	if (!is_loaded(look->machine->host, module))
		report_add(out, key, "not loaded", "not loaded", FIX_NONE, NULL);
	else if (fix == FIX_BOOT || fix == FIX_STAGE)
		report_add(out, key, "not loaded", "loaded", fix, "the next boot comes up without it");
	else if (fix == FIX_NONE)
		report_add(out, key, "not loaded", "loaded", FIX_MANUAL,
			   "loaded although the command line blacklists it: something loads it by name (an initramfs, "
			   "/etc/modules); take it out there and reboot, or `rmmod %s`",
			   module);
	else
		report_add(out, key, "not loaded", "loaded", FIX_MANUAL, "%s: blacklist it by hand and reboot",
			   look->trouble);
}

/* --- VFIO -------------------------------------------------------------------------------------------------------- */

/* A device that a driver has is never taken from it live: what uses it may be running. */
static void
report_vfio(const struct look *look, const Gdr__PciDevice *device, struct report *out)
{
	auto_free char *key = xasprintf("vfio/%s", device->address);
	const char *driver = device->driver ? device->driver : "none";
	enum fix fix = fix_of(look, find_param(look, "vfio-pci.ids"));

	if (strcmp(driver, "vfio-pci") == 0)
		report_add(out, key, "vfio-pci", driver, FIX_NONE, NULL);
	else if (fix == FIX_BOOT || fix == FIX_STAGE)
		report_add(out, key, "vfio-pci", driver, fix, "vfio-pci takes it at the next boot");
	else if (device->driver)
		report_add(out, key, "vfio-pci", driver, FIX_MANUAL,
			   "driver %s has it: stop what uses it, then `echo %s > " SYSFS_PCI
			   "/drivers/%s/unbind`, or keep "
			   "the driver out of the initramfs and reboot",
			   driver, device->address, driver);
	else if (!device->has_iommu_group)
		report_add(
			out, key, "vfio-pci", driver, FIX_MANUAL,
			"it has no IOMMU group, without which vfio-pci refuses it: the IOMMU is off in the firmware or "
			"on the command line");
	else
		report_add(out, key, "vfio-pci", driver, FIX_LIVE, NULL);
}

static int
bind_vfio(struct host *host, const char *address, struct err *err)
{
	auto_free char *override = xasprintf(SYSFS_PCI "/devices/%s/driver_override", address);
	auto_free char *modprobe = host_tool(host, "modprobe");
	const char *const argv[] = { "modprobe", "vfio-pci", NULL };
	int rc = host_write(host, override, "vfio-pci", err);

	if (rc == 0 && modprobe && !host_exists(host, SYSFS_PCI "/drivers/vfio-pci"))
		rc = host_do(host, argv, err);
	return rc < 0 ? rc : host_write(host, SYSFS_PCI "/drivers_probe", address, err);
}

/* --- the layer ----------------------------------------------------------------------------------------------------- */

static bool
kernel_wanted(const Gdr__Spec *spec)
{
	return spec->kernel || spec->hugepages;
}

static int
kernel_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	__attribute__((cleanup(look_free))) struct look look = { 0 };
	int rc = look_at(machine, spec, &look, err);

	if (!look.running)
		return rc;
	report_version(&look, out);
	for (size_t i = 0; i < look.params.n; i++)
		report_param(&look, &look.params.v[i], out);
	report_stale(&look, out);
	report_modprobe(&look, out);
	for (size_t i = 0; spec->kernel && i < spec->kernel->n_blacklist; i++)
		report_module(&look, spec->kernel->blacklist[i], out);
	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		if (vfio_wants(spec, machine->inventory->pci[i]))
			report_vfio(&look, machine->inventory->pci[i], out);
	return 0;
}

/* The whole line is staged for one of its items, the first that lacks it, so that a boot loader's tool that fails or
 * hangs does so once a pass and not once an item. */
static bool
is_first(const struct look *look, const char *item)
{
	for (size_t i = 0; i < look->params.n; i++) {
		auto_free char *key = key_of(&look->params.v[i]);
		if (!is_staged(look, &look->params.v[i]))
			return strcmp(key, item) == 0;
	}
	for (char **word = look->staged.ours; *word; word++) {
		auto_free char *key = xasprintf("cmdline/%s", *word);
		if (is_stale(look, *word))
			return strcmp(key, item) == 0;
	}
	return false;
}

static int
stage(const struct machine *machine, const Gdr__Spec *spec, const char *item, struct err *err)
{
	__attribute__((cleanup(look_free))) struct look look = { 0 };
	int rc = look_at(machine, spec, &look, err);

	if (!look.running || !is_first(&look, item))
		return rc;
	auto_free const char **params = xcalloc(look.params.n + 1, sizeof(*params));
	for (size_t i = 0; i < look.params.n; i++)
		params[i] = param_staged(&look.params.v[i]);
	return bootloader_stage(machine->host, params, err);
}

static int
kernel_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	if (item->fix == FIX_LIVE && strncmp(item->key, "vfio/", 5) == 0)
		return bind_vfio(machine->host, item->key + 5, err);
	if (strcmp(item->key, "modprobe.d") != 0)
		return stage(machine, spec, item->key, err);
	auto_free char *text = modprobe_wanted(machine, spec);
	if (!text)
		return host_remove(machine->host, MODPROBE_CONF, err);
	return host_replace(machine->host, MODPROBE_CONF, text, 0644, err);
}

const struct layer layer_kernel = {
	.wanted = kernel_wanted,
	.inspect = kernel_inspect,
	.apply = kernel_apply,
};
