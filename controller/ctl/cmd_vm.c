/* cmd_vm.c - gdrctl vm list, show. */

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/cells.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"

static int
ask(struct ctl *ctl, Gdr__VmQuery *query, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;

	request.body_case = GDR__REQUEST__BODY_VMS;
	request.vms = query;
	return ctl_call(ctl, &request, out, err);
}

/* --- list ------------------------------------------------------------------------------------------------ */

static const Gdr__Vm *
vm_of(const void *message)
{
	static const Gdr__Vm none = GDR__VM__INIT;
	const Gdr__VmView *view = message;

	return view->vm ? view->vm : &none;
}

static void
add_count(const void *message, Gdr__PciDevice__Kind kind, struct buf *out)
{
	const Gdr__Vm *vm = vm_of(message);
	size_t n = 0;

	for (size_t i = 0; i < vm->n_devices; i++)
		n += vm->devices[i]->kind == kind;
	buf_printf(out, "%zu", n);
}

CELL_TEXT(cell_node, Gdr__VmView, node)

CELL_OF(cell_name, vm_of(message)->name)

CELL_OF(cell_state, vm_of(message)->state)

CELL(cell_guest)
{
	const Gdr__VmView *view = message;

	(void)ctl;
	if (view->has_guest)
		cell_put(out, pbtext_enum(&gdr__node_state__descriptor, (int)view->guest));
}

CELL_OF(cell_machine, vm_of(message)->machine)

CELL(cell_gpus)
{
	(void)ctl;
	add_count(message, GDR__PCI_DEVICE__KIND__GPU, out);
}

CELL(cell_nics)
{
	(void)ctl;
	add_count(message, GDR__PCI_DEVICE__KIND__NIC, out);
}

CELL_OF(cell_uuid, vm_of(message)->uuid)

static enum text_colour
state_colour(const void *message)
{
	const char *state = vm_of(message)->state;

	return state && strcmp(state, "running") == 0 ? TEXT_GREEN : TEXT_YELLOW;
}

static void
view_name(const void *message, struct buf *out)
{
	const Gdr__VmView *view = message;

	buf_printf(out, "vm/%s/%s", view->node ? view->node : "", vm_of(message)->name ? vm_of(message)->name : "");
}

static const struct column columns[] = {
	{ "NODE", cell_node, NULL, false, false },
	{ "VM", cell_name, NULL, false, false },
	{ "STATE", cell_state, state_colour, false, false },
	{ "GUEST", cell_guest, NULL, false, false },
	{ "MACHINE", cell_machine, NULL, false, false },
	{ "GPUS", cell_gpus, NULL, false, false },
	{ "NICS", cell_nics, NULL, false, false },
	{ "UUID", cell_uuid, NULL, true, false },
	{ 0 },
};
static const struct view view_vms = { "vms", columns, view_name, "no host tells of a VM", false };

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__VmQuery query = GDR__VM_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	auto_pb Gdr__Response *response = NULL;
	int rc = ctl_selection(ctl, ctl->args.n_words, &of, &names, err);

	if (rc != 0)
		return rc;
	query.of = &of;
	rc = ask(ctl, &query, &response, err);
	if (rc == 0)
		output_list(ctl, &view_vms, response);
	return rc;
}

static const struct option list_options[] = { OPTION_SELECTOR, { 0 } };

const struct command command_vm_list = {
	.name = "vm list",
	.args = "[NODE...]",
	.help = "the VMs that hosts are to have: how they are, and what they have",
	.examples = "  gdrctl vm list -l rack=r7",
	.values = "@nodes",
	.options = list_options,
	.max = -1,
	.run = run_list,
};

/* --- show ------------------------------------------------------------------------------------------------ */

CELL(device_kind)
{
	const Gdr__VmDevice *device = message;

	(void)ctl;
	if (device->has_kind)
		cell_put(out, pbtext_enum(&gdr__pci_device__kind__descriptor, (int)device->kind));
}
CELL_TEXT(device_host, Gdr__VmDevice, host)
CELL_TEXT(device_guest, Gdr__VmDevice, guest)
CELL_TEXT(device_group, Gdr__VmDevice, group)
CELL(device_cell)
{
	const Gdr__VmDevice *device = message;

	(void)ctl;
	if (device->has_cell)
		buf_printf(out, "%" PRIu32, device->cell);
}

static const struct column device_columns[] = {
	{ "KIND", device_kind, NULL, false, false },   { "HOST", device_host, NULL, false, false },
	{ "GUEST", device_guest, NULL, false, false }, { "CELL", device_cell, NULL, false, false },
	{ "GROUP", device_group, NULL, false, false }, { 0 },
};

CELL_TEXT(pair_gpu, Gdr__VmPair, gpu)
CELL_TEXT(pair_nic, Gdr__VmPair, nic)
CELL_TEXT(pair_host, Gdr__VmPair, host)
CELL_TEXT(pair_guest, Gdr__VmPair, guest)
CELL_TEXT(pair_file, Gdr__VmPair, file)
CELL_TEXT(pair_why, Gdr__VmPair, why)

/* Up to here NCCL uses GPU Direct RDMA. */
static bool
is_near(const char *distance)
{
	static const char *const near[] = { "LOC", "PIX", "PXB" };

	for (size_t i = 0; distance && i < sizeof(near) / sizeof(near[0]); i++)
		if (strcmp(distance, near[i]) == 0)
			return true;
	return false;
}

static enum text_colour
pair_colour(const void *message)
{
	const Gdr__VmPair *pair = message;

	return pair->why ? TEXT_YELLOW : TEXT_GREEN;
}

static enum text_colour
file_colour(const void *message)
{
	const Gdr__VmPair *pair = message;

	return is_near(pair->host) && !is_near(pair->file) ? TEXT_YELLOW : TEXT_GREEN;
}

static const struct column pair_columns[] = {
	{ "GPU", pair_gpu, NULL, false, false },
	{ "NIC", pair_nic, NULL, false, false },
	{ "HOST", pair_host, NULL, false, false },
	{ "GUEST", pair_guest, pair_colour, false, false },
	{ "FILE", pair_file, file_colour, false, false },
	{ "WHY", pair_why, NULL, false, false },
	{ 0 },
};

/* GPU Direct RDMA between the two, on the host or in the guest, or something to say of them. */
static bool
is_of_interest(const Gdr__VmPair *pair)
{
	return is_near(pair->host) || is_near(pair->guest) || is_near(pair->file) || pair->why;
}

static void
show_pairs(const struct ctl *ctl, const Gdr__VmView *view, struct buf *out)
{
	auto_free Gdr__VmPair **shown = xcalloc(view->n_pairs + 1, sizeof(*shown));
	size_t n = 0;

	for (size_t i = 0; i < view->n_pairs; i++)
		if (is_of_interest(view->pairs[i]))
			shown[n++] = view->pairs[i];
	if (view->n_pairs > 0)
		buf_puts(out,
			 "\nDistance, as NCCL counts it (up to PXB: GPU Direct RDMA): from sysfs, and from the guest's "
			 "topology file\n");
	if (n > 0)
		output_table(ctl, pair_columns, shown, n, "  ", NULL, out);
	if (n < view->n_pairs)
		buf_printf(out, "  %s%zu far apart on the host and in the guest\n", n > 0 ? "and " : "",
			   view->n_pairs - n);
}

static void
show(struct ctl *ctl, const Gdr__VmView *view)
{
	const Gdr__Vm *vm = vm_of(view);
	auto_buf struct buf head = { 0 };
	auto_buf struct buf out = { 0 };

	buf_printf(&head, "%s/%s", view->node ? view->node : "", vm->name ? vm->name : "");
	buf_printf(&head, ", %s, %s", vm->machine ? vm->machine : "?", vm->state ? vm->state : "?");
	if (view->has_guest)
		buf_printf(&head, ", guest %s", pbtext_enum(&gdr__node_state__descriptor, (int)view->guest));
	if (vm->uuid)
		buf_printf(&head, ", uuid %s", vm->uuid);
	text_clean(&out, head.text, false);
	buf_puts(&out, "\n");
	if (vm->n_devices > 0) {
		buf_puts(&out, "\nDevices\n");
		output_table(ctl, device_columns, vm->devices, vm->n_devices, "  ", NULL, &out);
	}
	show_pairs(ctl, view, &out);
	output_text(ctl, &out);
}

/* "NODE/VM", "vm/NODE/VM" */
static int
run_show(struct ctl *ctl, struct err *err)
{
	const char *word = ctl->args.words[0];
	const char *start = strncmp(word, "vm/", 3) == 0 ? word + 3 : word;
	const char *slash = strrchr(start, '/');
	Gdr__VmQuery query = GDR__VM_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_pb Gdr__Response *response = NULL;

	if (!slash || slash == start || !slash[1])
		return err_set(err, CTL_USAGE, "'%s': a VM is NODE/NAME, as `gdrctl vm list -o name` prints it", word);
	auto_free char *node = xasprintf("%.*s", (int)(slash - start), start);
	auto_free char *name = xstrdup(slash + 1);
	char *nodes[] = { node };
	of.names = nodes;
	of.n_names = 1;
	query.of = &of;
	query.vm = name;
	query.has_detail = query.detail = true;
	int rc = ask(ctl, &query, &response, err);
	if (rc != 0)
		return rc;
	if (response->n_vms == 0)
		return err_set(err, CTL_ERROR, "no VM '%s'; see `gdrctl vm list`", word);
	if (output_human(ctl)) {
		show(ctl, response->vms[0]);
		return 0;
	}
	auto_free char *object = xasprintf("vm/%s/%s", node, name);
	output_object(ctl, response->vms[0], NULL, object);
	return 0;
}

const struct command command_vm_show = {
	.name = "vm show",
	.args = "NODE/VM",
	.help = "where a VM's devices are, on the host and in the guest, and how far GPUs and NICs are apart",
	.more = "A pair that is near on the host and far in the guest has lost GPU Direct RDMA, unless FILE, the guest's "
		"topology file, says so; WHY says where.",
	.examples = "  gdrctl vm show gpu-r7-u12/gpu-r7-u12-gpu0",
	.values = "@vms",
	.min = 1,
	.max = 1,
	.run = run_show,
};
