#include "controller/ctl/nodeshow.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/buf.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"

/* "Name:       n1"; nothing if the value is empty. */
static void __attribute__((format(printf, 4, 5)))
line(const struct ctl *ctl, struct buf *out, const char *key, const char *fmt, ...)
{
	auto_free char *raw = NULL;
	auto_buf struct buf clean = { 0 };
	auto_free char *left = xasprintf("%-12s", key);
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&raw, fmt, ap) < 0)
		raw = NULL;
	va_end(ap);
	text_clean(&clean, raw ? raw : "", false);
	if (clean.len == 0)
		return;
	text_paint(out, ctl->colour, TEXT_BOLD, left);
	buf_printf(out, " %s\n", clean.text);
}

static char *
age(const struct ctl *ctl, protobuf_c_boolean has, uint64_t then_ms)
{
	struct buf out = { 0 };

	if (has && then_ms > 0)
		text_age(&out, then_ms, ctl->ops->wall_ms(ctl->arg));
	return buf_steal(&out);
}

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

static void
show_state(const struct ctl *ctl, const Gdr__NodeView *node, struct buf *out)
{
	auto_free char *since = age(ctl, node->has_since_ms, node->since_ms);
	auto_free char *left = xasprintf("%-12s", "State:");

	line(ctl, out, "Name:", "%s", or_empty(node->name));
	text_paint(out, ctl->colour, TEXT_BOLD, left);
	buf_add(out, " ", 1);
	text_paint(out, ctl->colour, views_state_colour(node), views_state(node));
	buf_printf(out, "%s%s\n", *since ? " since " : "", since);
	line(ctl, out, "Why:", "%s", or_empty(node->why));
	line(ctl, out, "Remedy:", "%s", or_empty(node->remedy));
	if (node->cloned)
		line(ctl, out, "Cloned:", "its key speaks from two places: remove the node and join it with a new key");
}

static void
show_wanted(const struct ctl *ctl, const Gdr__NodeView *node, struct buf *out)
{
	line(ctl, out, "Profile:", "%s", or_empty(node->profile));
	if (node->has_mode)
		line(ctl, out, "Mode:", "%s", pbtext_enum(&gdr__mode__descriptor, (int)node->mode));
	if (node->has_generation)
		line(ctl, out, "Generation:", "%" PRIu64 " wanted, %" PRIu64 " seen", node->generation,
		     node->observed_generation);
	if (node->has_reboots_used && node->has_reboot_budget)
		line(ctl, out, "Reboots:", "%" PRIu32 " of %" PRIu32, node->reboots_used, node->reboot_budget);
	if (node->has_granted_ms && node->granted_ms > 0) {
		auto_free char *granted = age(ctl, true, node->granted_ms);

		line(ctl, out, "Grant:", "may reboot since %s", granted);
	}
}

static void
show_link(const struct ctl *ctl, const Gdr__NodeView *node, struct buf *out)
{
	auto_free char *seen = age(ctl, node->has_seen_ms, node->seen_ms);
	char fingerprint[KEY_FINGERPRINT_LEN + 1] = "";
	auto_buf struct buf labels = { 0 };

	line(ctl, out, "Boot:", "%s", or_empty(node->boot_id));
	if (node->unconfirmed)
		line(ctl, out, "Agent:", "not heard since gdrd started: what it says here is from before");
	else
		line(ctl, out, "Agent:", "%s%s%s%s", or_empty(node->version), *seen ? ", seen " : "", seen,
		     *seen ? " ago" : "");
	line(ctl, out, "Address:", "%s", or_empty(node->address));
	if (keys_valid(node->key)) {
		keys_fingerprint(node->key, fingerprint);
		line(ctl, out, "Key:", "%s (%s)", fingerprint, node->key);
	}
	views_labels(node, &labels);
	line(ctl, out, "Labels:", "%s", or_empty(labels.text));
}

static size_t
count_kind(const Gdr__Inventory *machine, Gdr__PciDevice__Kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < machine->n_pci; i++)
		n += machine->pci[i]->has_kind && machine->pci[i]->kind == kind && !machine->pci[i]->physfn;
	return n;
}

/* One line a card, of its first function. */
static void
show_card(const struct ctl *ctl, const Gdr__PciDevice *nic, struct buf *out)
{
	bool other = nic->firmware_stored && strcmp(nic->firmware, nic->firmware_stored) != 0;
	auto_free char *stored = other ? xasprintf(" (%s stored)", nic->firmware_stored) : xstrdup("");

	line(ctl, out, "NIC:", "%s %s, firmware %s%s, PSID %s, serial %s", or_empty(nic->address),
	     nic->part_number ? nic->part_number : "?", nic->firmware, stored, nic->psid ? nic->psid : "?",
	     nic->serial ? nic->serial : "?");
}

static void
show_machine(const struct ctl *ctl, const Gdr__Inventory *machine, struct buf *out)
{
	auto_buf struct buf memory = { 0 };

	if (!machine)
		return;
	text_bytes(&memory, machine->memory);
	line(ctl, out, "Machine:", "%s", or_empty(machine->product));
	line(ctl, out, "BIOS:", "%s %s", or_empty(machine->bios_vendor), or_empty(machine->bios_version));
	line(ctl, out, "System:", "%s, kernel %s", or_empty(machine->os), or_empty(machine->kernel));
	line(ctl, out, "CPU:", "%" PRIu32 " x %s, %zu NUMA nodes, %s", machine->cpus, or_empty(machine->cpu_model),
	     machine->n_numa, memory.text);
	line(ctl, out, "Devices:", "%zu GPUs, %zu NVSwitches, %zu NICs, %zu PCI devices in all",
	     count_kind(machine, GDR__PCI_DEVICE__KIND__GPU), count_kind(machine, GDR__PCI_DEVICE__KIND__NVSWITCH),
	     count_kind(machine, GDR__PCI_DEVICE__KIND__NIC), machine->n_pci);
	for (size_t i = 0; i < machine->n_pci; i++) {
		const char *function = machine->pci[i]->address ? strrchr(machine->pci[i]->address, '.') : NULL;

		if (machine->pci[i]->firmware && function && strcmp(function, ".0") == 0)
			show_card(ctl, machine->pci[i], out);
	}
}

static size_t
count_wrong(const Gdr__LayerReport *layer)
{
	size_t n = 0;

	for (size_t i = 0; i < layer->n_items; i++)
		n += !layer->items[i]->has_fix || layer->items[i]->fix != GDR__FIX__FIX_NONE;
	return n;
}

static void
show_layer(const struct ctl *ctl, const Gdr__LayerReport *layer, struct buf *out)
{
	size_t wrong = count_wrong(layer);
	auto_buf struct buf name = { 0 };
	auto_buf struct buf error = { 0 };

	text_clean(&name, layer->name && *layer->name ? layer->name : "?", false);
	buf_add(out, "\n", 1);
	text_paint(out, ctl->colour, TEXT_BOLD, name.text);
	if (wrong > 0)
		buf_printf(out, ": %zu of %zu not right\n", wrong, layer->n_items);
	else
		buf_printf(out, ": %s, %zu items\n", layer->error ? "could not look" : "ok", layer->n_items);
	if (layer->error) {
		text_clean(&error, layer->error, false);
		buf_printf(out, "  error: %s\n", or_empty(error.text));
	}
	if (layer->n_items > 0)
		output_table(ctl, columns_items, layer->items, layer->n_items, "  ", NULL, out);
}

void
nodeshow(struct ctl *ctl, const Gdr__NodeView *node)
{
	auto_buf struct buf out = { 0 };

	show_state(ctl, node, &out);
	show_wanted(ctl, node, &out);
	show_link(ctl, node, &out);
	if (node->n_guests > 0) {
		buf_add(&out, "\n", 1);
		output_table(ctl, columns_attention, node->guests, node->n_guests, "", NULL, &out);
		buf_add(&out, "\n", 1);
	}
	if (node->report) {
		show_machine(ctl, node->report->inventory, &out);
		for (size_t i = 0; i < node->report->n_layers; i++)
			show_layer(ctl, node->report->layers[i], &out);
	}
	output_text(ctl, &out);
}
