/* kernel_params.c - what the kernel must be told. */

#include "agent/layers/kernel_params.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/machine/bootloader.h"
#include "agent/machine/inventory.h"
#include "agent/vm/pages.h"
#include "common/buf.h"
#include "common/mem.h"

/* --- lists ------------------------------------------------------------------------------------------------- */

static int
by_text(const void *a, const void *b)
{
	const char *left;
	const char *right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return strcmp(left, right);
}

/* The comma-separated values of 'text', sorted and each once. */
static char *
sorted(const char *text)
{
	auto_free char *copy = xstrdup(text);
	auto_free const char **v = xcalloc(strlen(text) + 1, sizeof(*v));
	struct buf out = { 0 };
	size_t n = 0;
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		v[n++] = p;
	if (n)
		qsort(v, n, sizeof(*v), by_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(v[i], v[i - 1]) != 0)
			buf_printf(&out, "%s%s", out.len ? "," : "", v[i]);
	return buf_steal(&out);
}

static void
lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'F')
			*text = (char)(*text + 'a' - 'A');
}

static bool
holds_all(const char *list, const char *values)
{
	auto_free char *copy = xstrdup(values);
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (!cmdline_lists(list, p))
			return false;
	return true;
}

/* The values of every parameter of this name in 'line', joined by commas. */
static char *
values_of(const char *const line[], const char *name)
{
	struct buf out = { 0 };

	for (size_t i = 0; line[i]; i++) {
		const char *value = cmdline_value(line[i], name);
		if (value && *value)
			buf_printf(&out, "%s%s", out.len ? "," : "", value);
	}
	return buf_steal(&out);
}

/* --- VFIO and modprobe --------------------------------------------------------------------------------------- */

bool
vfio_wants(const Gdr__Spec *spec, const Gdr__PciDevice *device)
{
	const Gdr__VfioSpec *vfio = spec->kernel ? spec->kernel->vfio : NULL;

	if (!vfio || device->physfn)
		return false;
	return (vfio->gpus && device->kind == GDR__PCI_DEVICE__KIND__GPU) ||
	       (vfio->nvswitches && device->kind == GDR__PCI_DEVICE__KIND__NVSWITCH);
}

char *
vfio_ids(const struct machine *machine, const Gdr__Spec *spec)
{
	const Gdr__VfioSpec *vfio = spec->kernel ? spec->kernel->vfio : NULL;
	auto_buf struct buf ids = { 0 };

	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = machine->inventory->pci[i];
		if (vfio_wants(spec, device))
			buf_printf(&ids, "%04x:%04x,", device->vendor, device->device);
	}
	for (size_t i = 0; vfio && i < vfio->n_ids; i++)
		buf_printf(&ids, "%s,", vfio->ids[i]);
	if (!ids.text)
		return xstrdup("");
	lower(ids.text);
	return sorted(ids.text);
}

/* man modprobe.d(5): 'blacklist' only keeps a module's aliases from loading it, 'install' keeps everything else. */
char *
modprobe_wanted(const struct machine *machine, const Gdr__Spec *spec)
{
	const Gdr__KernelSpec *kernel = spec->kernel;
	auto_free char *ids = vfio_ids(machine, spec);
	struct buf out = { 0 };

	if (!kernel || (!kernel->n_blacklist && !*ids))
		return NULL;
	buf_puts(&out, "# gdrfleet.conf - written by gdr-agent from the node's profile; a change here is undone.\n");
	for (size_t i = 0; i < kernel->n_blacklist; i++)
		buf_printf(&out, "blacklist %s\ninstall %s /bin/false\n", kernel->blacklist[i], kernel->blacklist[i]);
	if (*ids)
		buf_printf(&out,
			   "options vfio-pci ids=%s\n"
			   "softdep nouveau pre: vfio-pci\n"
			   "softdep nvidia pre: vfio-pci\n",
			   ids);
	return buf_steal(&out);
}

/* --- parameters ---------------------------------------------------------------------------------------------- */

static struct param *
add(struct params *out, enum param_kind kind, const char *name, const char *value)
{
	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n] = (struct param){ .kind = kind, .name = xstrdup(name), .text = xasprintf("%s=%s", name, value) };
	return &out->v[out->n++];
}

static void
add_list(struct params *out, const char *name, const char *values, const char *const others[])
{
	auto_free char *theirs = values_of(others, name);
	auto_free char *all = xasprintf("%s,%s", values, theirs);
	auto_free char *merged = sorted(all);
	struct param *param = add(out, PARAM_LIST, name, values);

	param->merged = xasprintf("%s=%s", name, merged);
}

/* On AMD the IOMMU is on without being asked, and the kernel takes amd_iommu=on as a word that says nothing. */
static void
add_iommu(const struct machine *machine, const Gdr__KernelSpec *kernel, struct params *out)
{
	const char *vendor = machine->inventory->cpu_vendor;
	bool amd = vendor && (strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "HygonGenuine") == 0);

	if (!kernel->has_iommu)
		return;
	if (amd)
		(void)add(out, PARAM_OPTION, "amd_iommu", "on");
	else
		(void)add(out, PARAM_OPTION, "intel_iommu", "on");
	if (kernel->iommu == GDR__IOMMU__IOMMU_PASSTHROUGH)
		(void)add(out, PARAM_OPTION, "iommu", "pt");
}

static char *
size_text(uint64_t bytes)
{
	if (bytes % (1U << 30) == 0)
		return xasprintf("%" PRIu64 "G", bytes >> 30);
	return xasprintf("%" PRIu64 "M", bytes >> 20);
}

/* "0:375,1:375" is understood from Linux 5.16 on; before that the total, which layer hugepages spreads. */
static char *
pages_text(const struct machine *machine, const Gdr__Spec *spec)
{
	const Gdr__Inventory *inventory = machine->inventory;
	bool given = spec->hugepages->n_per_node || pages_follow_vms(spec->hugepages);
	bool by_node = inventory->kernel && version_compare(inventory->kernel, "5.16") >= 0;
	struct buf nodes = { 0 };

	for (size_t i = 0; given && by_node && i < inventory->n_numa; i++) {
		uint32_t id = inventory->numa[i]->id;
		uint64_t pages = pages_wanted(inventory, spec, id);
		if (pages)
			buf_printf(&nodes, "%s%u:%" PRIu64, nodes.len ? "," : "", id, pages);
	}
	if (nodes.len)
		return buf_steal(&nodes);
	return xasprintf("%" PRIu64, pages_wanted_in_all(inventory, spec));
}

static void
add_hugepages(const struct machine *machine, const Gdr__Spec *spec, struct params *out)
{
	if (!pages_are_wanted(spec))
		return;
	uint64_t bytes = spec->hugepages->size;
	auto_free char *size = size_text(bytes);
	auto_free char *pages = pages_text(machine, spec);
	add(out, PARAM_SIZE, "default_hugepagesz", size)->size = bytes;
	add(out, PARAM_SIZE, "hugepagesz", size)->size = bytes;
	add(out, PARAM_PAGES, "hugepages", pages)->size = bytes;
}

static void
add_blacklist(const Gdr__KernelSpec *kernel, const char *const others[], struct params *out)
{
	auto_buf struct buf modules = { 0 };

	if (!kernel->n_blacklist)
		return;
	for (size_t i = 0; i < kernel->n_blacklist; i++)
		buf_printf(&modules, "%s,", kernel->blacklist[i]);
	auto_free char *list = sorted(modules.text);
	add_list(out, "modprobe.blacklist", list, others);
}

/* A parameter that is wanted twice is wanted once. */
static void
add_exact(const char *text, struct params *out)
{
	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->v[i].text, text) == 0)
			return;
	auto_free char *name = xasprintf("%.*s", (int)strcspn(text, "="), text);
	struct param *param = add(out, PARAM_EXACT, name, "");
	free(param->text);
	param->text = xstrdup(text);
}

void
params_wanted(const struct machine *machine, const Gdr__Spec *spec, const char *const others[], struct params *out)
{
	const Gdr__KernelSpec *kernel = spec->kernel;
	auto_free char *ids = vfio_ids(machine, spec);

	if (kernel) {
		add_iommu(machine, kernel, out);
		if (*ids)
			add_list(out, "vfio-pci.ids", ids, others);
		add_blacklist(kernel, others, out);
	}
	add_hugepages(machine, spec, out);
	for (size_t i = 0; kernel && i < kernel->n_cmdline; i++)
		add_exact(kernel->cmdline[i], out);
}

void
params_free(struct params *params)
{
	for (size_t i = 0; i < params->n; i++) {
		free(params->v[i].name);
		free(params->v[i].text);
		free(params->v[i].merged);
	}
	free(params->v);
	*params = (struct params){ 0 };
}

const char *
param_staged(const struct param *param)
{
	return param->merged ? param->merged : param->text;
}

char *
param_seen(const struct param *param, const char *const line[])
{
	struct buf out = { 0 };

	for (size_t i = 0; line[i]; i++)
		if (cmdline_value(line[i], param->name))
			buf_printf(&out, "%s%s", out.len ? " " : "", line[i]);
	if (!out.len)
		buf_puts(&out, "absent");
	return buf_steal(&out);
}

static bool
holds_option(const struct param *param, const char *const line[])
{
	const char *want = cmdline_value(param->text, param->name);
	auto_free char *all = values_of(line, param->name);

	return !cmdline_lists(all, "off") && cmdline_lists(all, want);
}

/* mm/hugetlb.c: of several default_hugepagesz= the first counts; hugepagesz= needs only be there. */
static bool
holds_size(const struct param *param, const char *const line[])
{
	bool is_default = strcmp(param->name, "default_hugepagesz") == 0;

	for (size_t i = 0; line[i]; i++) {
		const char *value = cmdline_value(line[i], param->name);
		if (value && (is_default || cmdline_size(value) == param->size))
			return cmdline_size(value) == param->size;
	}
	return false;
}

/* vfio_pci takes the last ids= it is given; modprobe.blacklist= adds up. */
static bool
holds_list(const struct param *param, const char *const line[])
{
	const char *want = cmdline_value(param->text, param->name);
	auto_free char *all = values_of(line, param->name);
	const char *last = NULL;

	if (strcmp(param->name, "vfio-pci.ids") != 0)
		return holds_all(all, want);
	for (size_t i = 0; line[i]; i++) {
		const char *value = cmdline_value(line[i], param->name);
		last = value ? value : last;
	}
	return last && holds_all(last, want);
}

bool
param_holds(const struct param *param, const char *const line[])
{
	const char *pages;

	switch (param->kind) {
	case PARAM_OPTION: return holds_option(param, line);
	case PARAM_LIST: return holds_list(param, line);
	case PARAM_SIZE: return holds_size(param, line);
	case PARAM_PAGES:
		pages = cmdline_hugepages(line, param->size);
		return pages && strcmp(pages, cmdline_value(param->text, param->name)) == 0;
	case PARAM_EXACT:
	default: return cmdline_has(line, param->text);
	}
}

int
version_compare(const char *a, const char *b)
{
	while (isdigit((unsigned char)*b)) {
		char *a_end;
		char *b_end;
		unsigned long left = strtoul(a, &a_end, 10);
		unsigned long right = strtoul(b, &b_end, 10);

		if (a_end == a || left != right)
			return a_end != a && left > right ? 1 : -1;
		a = a_end + (*a_end == '.');
		b = b_end + (*b_end == '.');
	}
	return 0;
}
