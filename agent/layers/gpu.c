/* gpu.c - persistence and clocks of NVIDIA GPUs: what the recipe does by nvidia-smi -pm, -rac, -ac, -lgc, -lmc, -cc.
 *
 * Spec:     gpu: {persistence: true, graphics_clock: max, memory_clock: max, application_clocks: max, cuda_clocks: true}
 * Reads:    the driver's table of GPUs and of the clocks they can hold (agent/machine/gpus.h); the inventory; /run/gdrfleet/gpu:
 *           what the driver said to each setting in this boot.
 * Changes:  what differs, GPU by GPU, and judges by looking again: nvidia-smi exits 0 on much that it did not do.  What
 *           a card or a driver does not have is right as it is, and the item says so; a GPU that the driver lost, or that
 *           denies, is for a person. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/layer.h"
#include "agent/layers/gpu.h"
#include "agent/layers/gpu_notes.h"
#include "agent/machine/gpus.h"
#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

/* Clocks move in steps; drivers round down to one. */
#define CLOCK_STEP_MHZ 15

/* What one look has of the machine. */
struct view {
	const Gdr__GpuSpec *spec;
	const struct nvsmi_gpus *gpus;
	struct nvsmi_pairs pairs;
	struct gpu_notes notes;
};

/* --- the settings ------------------------------------------------------------------------------------------- */

/* Both clocks of application_clocks are two fields; of the others 'field' alone counts. */
static const struct setting {
	const char *name;
	enum gpus_setting id;
	enum nvsmi_field field;
} settings[] = {
	{ "persistence", GPUS_PERSISTENCE, NVSMI_PERSISTENCE },
	{ "application_clocks", GPUS_APPLICATION, NVSMI_APP_GRAPHICS },
	{ "graphics_clock", GPUS_GRAPHICS, NVSMI_CLOCK_GRAPHICS },
	{ "memory_clock", GPUS_MEMORY, NVSMI_CLOCK_MEMORY },
	{ "cuda_clocks", GPUS_CUDA, NVSMI_NAME },
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* "max" by the pair that the GPU can hold, else as it is told, else by the GPU's own maximum.  NULL: nobody knows. */
static char *
clock_want(const struct view *view, const struct nvsmi_gpu *gpu, const char *text, bool memory)
{
	const struct nvsmi_pair *best = nvsmi_best_pair(&view->pairs, gpu->address);

	if (strcmp(text, "max") != 0)
		return xstrdup(text);
	if (best)
		return xasprintf("%u", memory ? best->memory : best->graphics);
	const char *own = nvsmi_value(gpu, memory ? NVSMI_MAX_MEMORY : NVSMI_MAX_GRAPHICS);
	return own ? xstrdup(own) : NULL;
}

static char *
pair_want(const struct view *view, const struct nvsmi_gpu *gpu)
{
	const struct nvsmi_pair *best = nvsmi_best_pair(&view->pairs, gpu->address);

	if (strcmp(view->spec->application_clocks, "max") != 0)
		return xstrdup(view->spec->application_clocks);
	return best ? xasprintf("%u,%u", best->memory, best->graphics) : NULL;
}

static bool
is_wanted(const Gdr__GpuSpec *spec, enum gpus_setting id)
{
	switch (id) {
	case GPUS_PERSISTENCE: return spec->has_persistence;
	case GPUS_APPLICATION: return spec->application_clocks;
	case GPUS_GRAPHICS: return spec->graphics_clock;
	case GPUS_MEMORY: return spec->memory_clock;
	case GPUS_CUDA: return spec->has_cuda_clocks;
	}
	return false;
}

/* As the item shows it and the driver takes it.  NULL: nobody knows the maximum. */
static char *
want_of(const struct view *view, const struct nvsmi_gpu *gpu, enum gpus_setting id)
{
	switch (id) {
	case GPUS_PERSISTENCE: return xstrdup(view->spec->persistence ? "1" : "0");
	case GPUS_APPLICATION: return pair_want(view, gpu);
	case GPUS_GRAPHICS: return clock_want(view, gpu, view->spec->graphics_clock, false);
	case GPUS_MEMORY: return clock_want(view, gpu, view->spec->memory_clock, true);
	case GPUS_CUDA: return xstrdup(view->spec->cuda_clocks ? "1" : "0");
	}
	return NULL;
}

/* What the driver tells of it; NULL: nothing. */
static char *
have_of(const struct nvsmi_gpu *gpu, const struct setting *setting)
{
	const char *value = nvsmi_value(gpu, setting->field);
	const char *memory = nvsmi_value(gpu, NVSMI_APP_MEMORY);

	if (setting->id == GPUS_CUDA || !value)
		return NULL;
	if (setting->id == GPUS_PERSISTENCE)
		return xstrdup(strcmp(value, "Enabled") == 0 ? "1" : "0");
	if (setting->id == GPUS_APPLICATION)
		return xasprintf("%s,%s", memory ? memory : "?", value);
	return xstrdup(value);
}

static bool
same(const struct setting *setting, const char *want, const char *have)
{
	if (setting->id != GPUS_GRAPHICS && setting->id != GPUS_MEMORY)
		return strcmp(want, have) == 0;
	long missing = strtol(want, NULL, 10) - strtol(have, NULL, 10);
	return missing >= 0 && missing < CLOCK_STEP_MHZ;
}

/* --- judging ------------------------------------------------------------------------------------------------ */

/* What keeps a locked clock down for now; asking for it again would change nothing.  NULL: nothing does. */
static const char *
held_down(const struct nvsmi_gpu *gpu)
{
	static const struct {
		enum nvsmi_field field;
		const char *what;
	} reasons[] = {
		{ NVSMI_HW_THERMAL, "heat" },
		{ NVSMI_SW_THERMAL, "heat" },
		{ NVSMI_HW_BRAKE, "the power brake" },
		{ NVSMI_SW_POWER, "the power cap" },
		{ NVSMI_HW_SLOWDOWN, "a hardware slowdown" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const char *active = nvsmi_value(gpu, reasons[i].field);
		if (active && strcmp(active, "Active") == 0)
			return reasons[i].what;
	}
	return NULL;
}

/* It is right without being as wanted: there is no more to be had here. */
static void
mark_clamped(struct report *out)
{
	out->items[out->n - 1].clamped = true;
}

struct judged {
	const char *key;
	const char *want;
	const char *have;
	const struct gpu_note *note; /* What the driver said to just this; NULL: it was not asked. */
};

/* The driver took it, but it does not read so. */
static void
report_not_taken(const struct nvsmi_gpu *gpu, const struct setting *setting, const struct judged *judged,
		 struct report *out)
{
	bool clock = setting->id == GPUS_GRAPHICS || setting->id == GPUS_MEMORY;
	const char *down = clock ? held_down(gpu) : NULL;

	if (down)
		report_add(out, judged->key, judged->want, judged->have, FIX_NONE, "applied, and held down by %s",
			   down);
	else
		report_add(out, judged->key, judged->want, judged->have, FIX_LIVE,
			   "the driver said it was done, but it reads back %s", judged->have);
}

static void
report_noted(const struct nvsmi_gpu *gpu, const struct setting *setting, const struct judged *judged,
	     struct report *out)
{
	const struct gpu_note *note = judged->note;
	const char *name = nvsmi_said_name(note->said);

	switch (note->said) {
	case NVSMI_APPLIED:
		if (setting->id == GPUS_CUDA)
			report_add(out, judged->key, judged->want, "applied", FIX_NONE,
				   "the driver took it; no driver tells what it is");
		else
			report_not_taken(gpu, setting, judged, out);
		break;
	case NVSMI_UNSUPPORTED:
	case NVSMI_DEPRECATED:
		report_add(out, judged->key, judged->want, name, FIX_NONE, "%s: nothing can be done here: %s", name,
			   note->reason);
		mark_clamped(out);
		break;
	case NVSMI_DENIED:
		report_add(
			out, judged->key, judged->want, name, FIX_MANUAL,
			"the driver lets only its administrator: run as root, or ask whoever runs the hypervisor: %s",
			note->reason);
		break;
	case NVSMI_LOST:
	case NVSMI_NO_DRIVER:
	case NVSMI_FAILED:
		report_add(out, judged->key, judged->want, judged->have, FIX_LIVE, "%s the last time: %s", name,
			   note->reason);
		break;
	}
}

/* The driver's own word on what it no longer or never had, or did not let us see. */
static bool
report_cell(const struct nvsmi_gpu *gpu, const struct setting *setting, const struct judged *judged, struct report *out)
{
	switch (gpu->cells[setting->field].has) {
	case NVSMI_NOT_THERE:
		report_add(out, judged->key, judged->want, nvsmi_said_name(NVSMI_UNSUPPORTED), FIX_NONE,
			   "this card has none");
		mark_clamped(out);
		return true;
	case NVSMI_GONE:
		report_add(out, judged->key, judged->want, nvsmi_said_name(NVSMI_DEPRECATED), FIX_NONE,
			   "this driver has none any more%s",
			   setting->id == GPUS_APPLICATION ? ": graphics_clock locks it instead" : "");
		mark_clamped(out);
		return true;
	case NVSMI_NOT_ALLOWED:
		report_add(out, judged->key, judged->want, nvsmi_said_name(NVSMI_DENIED), FIX_MANUAL,
			   "the driver does not let us see it: run as root");
		return true;
	case NVSMI_SILENT:
	case NVSMI_VALUE:
	case NVSMI_TROUBLE: break;
	}
	return false;
}

static void
report_setting(const struct view *view, const struct nvsmi_gpu *gpu, const struct setting *setting, struct report *out)
{
	auto_free char *key = xasprintf("%s/%s", gpu->address, setting->name);
	auto_free char *want = want_of(view, gpu, setting->id);
	auto_free char *have = have_of(gpu, setting);
	struct judged judged = { .key = key, .want = want ? want : "max", .have = have ? have : "unknown" };

	if (want && have && same(setting, want, have)) {
		report_add(out, key, want, have, FIX_NONE, NULL);
		return;
	}
	if (setting->id != GPUS_CUDA && report_cell(gpu, setting, &judged, out))
		return;
	if (!want) {
		report_add(out, key, "max", judged.have, FIX_NONE,
			   "unsupported: the driver tells no clocks that this GPU can hold");
		mark_clamped(out);
		return;
	}
	judged.note = gpu_notes_find(&view->notes, gpu->address, setting->name, want);
	if (judged.note)
		report_noted(gpu, setting, &judged, out);
	else
		report_add(out, key, want, judged.have, FIX_LIVE, NULL);
}

/* A mode that the recipe does not know: the GPU's parts get no peer-to-peer, so no GPU Direct between them. */
static void
report_mig(const struct nvsmi_gpu *gpu, struct report *out)
{
	auto_free char *key = xasprintf("%s/mig", gpu->address);
	const char *mode = nvsmi_value(gpu, NVSMI_MIG);

	if (mode && strcmp(mode, "Enabled") == 0)
		report_add(out, key, "Disabled", mode, FIX_MANUAL,
			   "a GPU in MIG mode has no NVLink and no peer-to-peer: nvidia-smi -i %s -mig 0, with nothing "
			   "running on it",
			   gpu->address);
}

static void
report_gpu(const struct view *view, const struct nvsmi_gpu *gpu, struct report *out)
{
	auto_free char *key = xasprintf("%s/driver", *gpu->address ? gpu->address : "gpu");

	if (gpu->lost || !*gpu->address) {
		report_add(
			out, key, "present", "lost", FIX_MANUAL,
			"the driver cannot reach this GPU any more (see Xid in dmesg): shut the VM down and start it "
			"again");
		return;
	}
	report_mig(gpu, out);
	for (size_t i = 0; i < SETTINGS; i++)
		if (is_wanted(view->spec, settings[i].id))
			report_setting(view, gpu, &settings[i], out);
}

/* --- the layer ------------------------------------------------------------------------------------------------ */

static unsigned
timeout_of(const Gdr__GpuSpec *spec)
{
	return spec->has_timeout ? spec->timeout : GPUS_TIMEOUT_MS;
}

static size_t
gpus_on_bus(const Gdr__Inventory *inventory)
{
	size_t n = 0;

	for (size_t i = 0; i < inventory->n_pci; i++)
		n += inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU;
	return n;
}

/* On the bus, but not among the driver's. */
static void
report_missing(const struct machine *machine, const struct view *view, struct report *out)
{
	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = machine->inventory->pci[i];
		bool known = device->kind != GDR__PCI_DEVICE__KIND__GPU;
		for (size_t k = 0; k < view->gpus->n && !known; k++)
			known = strcmp(view->gpus->v[k].address, device->address) == 0;
		if (known)
			continue;
		auto_free char *key = xasprintf("%s/driver", device->address);
		report_add(out, key, "present", "absent", FIX_MANUAL,
			   "the GPU is on the bus, but the driver does not list it: see NVRM in dmesg");
	}
}

static void
report_no_driver(const struct machine *machine, const struct err *trouble, struct report *out)
{
	size_t n = gpus_on_bus(machine->inventory);

	if (n == 0)
		report_add(out, "driver", "GPUs", "none", FIX_MANUAL,
			   "no GPU is on the PCI bus: see the VM's definition");
	else
		report_add(out, "driver", "loaded", trouble->code == -ETIMEDOUT ? "hangs" : "none", FIX_MANUAL,
			   "%zu GPUs are on the PCI bus, but %s", n, trouble->msg);
}

static bool
gpu_wanted(const Gdr__Spec *spec)
{
	return spec->guest && spec->guest->gpu;
}

static bool
wants_max(const Gdr__GpuSpec *spec)
{
	const char *const clocks[] = { spec->application_clocks, spec->graphics_clock, spec->memory_clock };

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		if (clocks[i] && strcmp(clocks[i], "max") == 0)
			return true;
	return false;
}

void
gpu_judge(const struct machine *machine, const Gdr__GpuSpec *spec, const struct nvsmi_gpus *gpus,
	  const struct err *no_gpus, struct report *out)
{
	struct view view = { .spec = spec, .gpus = gpus };
	struct err trouble = *no_gpus;

	if (!trouble.code && wants_max(spec))
		(void)gpus_clocks(machine->host, timeout_of(spec), &view.pairs, &trouble);
	if (trouble.code || gpus->n == 0) {
		report_no_driver(machine, &trouble, out);
	} else {
		gpu_notes_read(machine->host, &view.notes);
		for (size_t i = 0; i < gpus->n; i++)
			report_gpu(&view, &gpus->v[i], out);
		report_missing(machine, &view, out);
	}
	gpu_notes_free(&view.notes);
	nvsmi_pairs_free(&view.pairs);
}

static int
gpu_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	struct nvsmi_gpus gpus;
	struct err trouble = { 0 };

	(void)err;
	(void)gpus_read(machine->host, timeout_of(spec->guest->gpu), &gpus, &trouble);
	gpu_judge(machine, spec->guest->gpu, &gpus, &trouble, out);
	nvsmi_gpus_free(&gpus);
	return 0;
}

static int
gpu_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	char *name = strchr(item->key, '/') + 1;
	auto_free char *address = xasprintf("%.*s", (int)(name - 1 - item->key), item->key);
	auto_free char *reason = NULL;
	const struct setting *setting = &settings[0];

	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			setting = &settings[i];
	enum nvsmi_said said = gpus_set(machine->host, timeout_of(spec->guest->gpu), address, setting->id, item->want,
					&reason);
	int rc = gpu_notes_add(
		machine->host,
		&(struct gpu_note){
			.address = address, .setting = name, .want = item->want, .said = said, .reason = reason },
		err);
	if (rc == 0 && (said == NVSMI_FAILED || said == NVSMI_LOST || said == NVSMI_NO_DRIVER))
		return err_set(err, -EIO, "%s: %s", nvsmi_said_name(said), reason);
	return rc;
}

const struct layer layer_gpu = {
	.wanted = gpu_wanted,
	.inspect = gpu_inspect,
	.apply = gpu_apply,
};
