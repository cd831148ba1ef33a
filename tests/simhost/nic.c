/* nic.c - the settings of the simulated NICs, and what a boot makes of them. */

#include "tests/simhost/nic.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/nic_state.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define FIRMWARE "22.36.1010"

const struct nic_kind nic_kinds[] = {
	{ "MEMIC_BAR_SIZE", NIC_NUMBER, NULL, 0, false },
	{ "ESWITCH_HAIRPIN_DESCRIPTORS", NIC_ARRAY, NULL, 0, false },
	{ "NUM_OF_VFS", NIC_NUMBER, NULL, 8, false },
	{ "PCI_ATOMIC_MODE", NIC_ENUM, "PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED PCI_ATOMIC_ENABLED_EXT_ATOMIC_DISABLED",
	  0, false },
	{ "MAX_ACC_OUT_READ", NIC_NUMBER, NULL, 0, false },
	{ "RDMA_SELECTIVE_REPEAT_EN", NIC_BOOL, NULL, 0, false },
	{ "PCI_WR_ORDERING", NIC_ENUM, "per_mkey force_relax", 0, true },
	{ "P2P_ORDERING_MODE", NIC_ENUM, "DEVICE_DEFAULT SECURE_NONE SECURE_TRUST SECURE_ALL", 0, false },
	{ "ATS_ENABLED", NIC_BOOL, NULL, 0, false },
	{ "ADVANCED_PCI_SETTINGS", NIC_BOOL, NULL, 0, false },
};
const size_t nic_kinds_len = sizeof(nic_kinds) / sizeof(nic_kinds[0]);

static bool
is_pf(const struct pci_dev *dev)
{
	return dev->kind->vendor == 0x15b3 && dev->kind->device == 0x101d;
}

/* Calls 'each' for every card: the bus of its functions. */
static void
each_card(const struct sim *sim, void (*each)(void *arg, unsigned bus), void *arg)
{
	auto_free struct pci_model *model = xcalloc(1, sizeof(*model));

	pci_model_build(model, sim);
	for (size_t i = 0; i < model->n; i++)
		if (is_pf(&model->devs[i]) && model->devs[i].fn == 0)
			each(arg, model->devs[i].bus);
}

/* --- state ---------------------------------------------------------------------------------------- */

static char *
state_path(unsigned bus)
{
	return xasprintf(".sim/nic/0000:%02x:00", bus);
}

static void
factory(struct nic_state *state)
{
	for (size_t i = 0; i < nic_kinds_len; i++)
		for (unsigned fn = 0; fn < NIC_FUNCTIONS; fn++)
			state->v[i][fn] = (struct nic_value){ nic_kinds[i].factory, nic_kinds[i].factory };
}

static void
read_line(struct nic_state *state, const char *line)
{
	char name[64];
	unsigned current;
	unsigned next;

	/* NOLINTNEXTLINE(cert-err34-c): our own file. */
	if (sscanf(line, "%63s %u %u", name, &current, &next) != 3)
		return;
	for (size_t i = 0; i < nic_kinds_len; i++) {
		size_t len = strlen(nic_kinds[i].name);

		if (strncmp(name, nic_kinds[i].name, len) != 0)
			continue;
		for (unsigned fn = 0; fn < NIC_FUNCTIONS; fn++)
			if (name[len] == '\0' || (name[len] == '.' && name[len + 1] == (char)('0' + fn)))
				state->v[i][fn] = (struct nic_value){ current, next };
	}
}

void
nic_state_read(const struct tree *tree, unsigned bus, struct nic_state *out)
{
	auto_free char *path = state_path(bus);
	auto_free char *text = tree_read(tree, path);
	char *rest = text;

	factory(out);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		read_line(out, line);
}

void
nic_state_write(struct tree *tree, unsigned bus, const struct nic_state *state)
{
	auto_free char *path = state_path(bus);
	auto_buf struct buf out = { 0 };

	for (size_t i = 0; i < nic_kinds_len; i++)
		for (unsigned fn = 0; fn < (nic_kinds[i].own ? NIC_FUNCTIONS : 1U); fn++) {
			buf_puts(&out, nic_kinds[i].name);
			if (nic_kinds[i].own)
				buf_printf(&out, ".%u", fn);
			buf_printf(&out, " %u %u\n", state->v[i][fn].current, state->v[i][fn].next);
		}
	tree_printf(tree, path, "%s", out.text);
}

size_t
nic_kind_index(const char *name)
{
	size_t i = 0;

	while (i < nic_kinds_len && strcmp(nic_kinds[i].name, name) != 0)
		i++;
	return i;
}

bool
nic_fault(const struct sim *sim, const char *name, unsigned bus)
{
	auto_free char *value = sim_fault(sim, name);
	auto_free char *card = xasprintf("0000:%02x:00", bus);

	return value && (!*value || strncmp(value, card, strlen(card)) == 0);
}

/* --- boots ------------------------------------------------------------------------------------------ */

struct boot {
	const struct sim *sim;
	struct tree *tree;
};

static void
create_card(void *arg, unsigned bus)
{
	struct nic_state state;

	factory(&state);
	nic_state_write(arg, bus, &state);
}

void
nic_create(struct tree *tree, const struct sim *sim)
{
	tree_printf(tree, ".sim/nic/version", "4.33.0\n");
	each_card(sim, create_card, tree);
}

static void
load(const struct sim *sim, struct tree *tree, unsigned bus)
{
	bool reverts = nic_fault(sim, "nic-reverts", bus);
	size_t kept = nic_kind_index("ADVANCED_PCI_SETTINGS");
	struct nic_state state;

	nic_state_read(tree, bus, &state);
	for (size_t i = 0; i < nic_kinds_len; i++)
		for (unsigned fn = 0; fn < NIC_FUNCTIONS; fn++) {
			struct nic_value *value = &state.v[i][fn];

			/* It keeps the switch, and throws away what it was for. */
			if (reverts && i != kept)
				value->next = value->current;
			value->current = value->next;
		}
	nic_state_write(tree, bus, &state);
}

static void
boot_card(void *arg, unsigned bus)
{
	const struct boot *boot = arg;

	if (!nic_fault(boot->sim, "nic-not-loaded", bus) && !nic_fault(boot->sim, "nic-power-cycle", bus) &&
	    !nic_fault(boot->sim, "nic-not-armed", bus))
		load(boot->sim, boot->tree, bus);
}

int
nic_boot(const struct sim *sim, struct err *err)
{
	struct nic_firmware firmware;
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	nic_firmware_read(&tree, &firmware);
	memcpy(firmware.running, firmware.stored, sizeof(firmware.running));
	nic_firmware_write(&tree, &firmware);
	each_card(sim, boot_card, &(struct boot){ sim, &tree });
	return tree_close(&tree);
}

int
nic_reset_card(const struct sim *sim, unsigned bus, struct err *err)
{
	unsigned reads = sim_broken(sim, "bios-mrrs") ? 0x2000 : 0x5000;
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	load(sim, &tree, bus);
	rc = tree_close(&tree);
	for (unsigned fn = 0; rc == 0 && fn < NIC_FUNCTIONS; fn++) {
		auto_free char *address = xasprintf("0000:%02x:00.%u", bus, fn);

		rc = register_update(sim, address, "CAP_EXP+8", 0x7000, reads, err);
	}
	return rc;
}

/* --- firmware --------------------------------------------------------------------------------------- */

void
nic_firmware_read(const struct tree *tree, struct nic_firmware *out)
{
	auto_free char *text = tree_read(tree, ".sim/nic/firmware");

	*out = (struct nic_firmware){ FIRMWARE, FIRMWARE };
	if (text)
		(void)sscanf(text, "%31s %31s", out->running, out->stored);
}

void
nic_firmware_write(struct tree *tree, const struct nic_firmware *firmware)
{
	tree_printf(tree, ".sim/nic/firmware", "%s %s\n", firmware->running, firmware->stored);
}

/* --- what has no ATS --------------------------------------------------------------------------------- */

struct no_ats {
	struct tree tree;
	uint8_t *out;
};

static void
note_ats(void *arg, unsigned bus)
{
	struct no_ats *note = arg;
	struct nic_state state;

	nic_state_read(&note->tree, bus, &state);
	if (!state.v[nic_kind_index("ATS_ENABLED")][0].current)
		*note->out++ = (uint8_t)bus;
}

void
nic_no_ats(const struct sim *sim, uint8_t out[NIC_CARDS])
{
	struct no_ats note = { .out = out };
	struct err ignored;

	memset(out, 0, NIC_CARDS);
	if (sim_tree(sim, &note.tree, &ignored) < 0)
		return;
	each_card(sim, note_ats, &note);
	(void)tree_close(&note.tree);
}

/* --- what drivers tell -------------------------------------------------------------------------------- */

static void
add_field(struct buf *out, const char *keyword, const char *value)
{
	buf_puts(out, keyword);
	buf_add(out, &(unsigned char){ (unsigned char)strlen(value) }, 1);
	buf_puts(out, value);
}

/* PCI local bus specification 3.0, appendix I: a name, read-only fields, the end. */
static void
write_vpd(struct tree *tree, unsigned bus)
{
	auto_free char *serial = xasprintf("MT2201SIM%02X", bus);
	auto_buf struct buf fields = { 0 };
	auto_buf struct buf out = { 0 };
	static const char name[] = "ConnectX-6 Dx EN adapter card";

	add_field(&fields, "PN", "MCX623106AN-SIM");
	add_field(&fields, "EC", "A1");
	add_field(&fields, "SN", serial);
	buf_add(&out, (const unsigned char[]){ 0x82, sizeof(name) - 1, 0 }, 3);
	buf_puts(&out, name);
	buf_add(&out, (const unsigned char[]){ 0x90, (unsigned char)fields.len, 0 }, 3);
	buf_add(&out, fields.text, fields.len);
	buf_add(&out, (const unsigned char[]){ 0x78 }, 1);
	tree_write(tree, "vpd", out.text, out.len);
}

void
nic_sysfs(struct tree *next, const struct tree *tree, const struct pci_model *model)
{
	struct nic_firmware firmware;

	for (size_t i = 0; i < model->n; i++) {
		if (!is_pf(&model->devs[i]))
			continue;
		tree_cd(next, "%s", model->devs[i].path);
		write_vpd(next, model->devs[i].bus);
	}
	tree_cd(next, "%s", "");
	nic_firmware_read(tree, &firmware);
	nic_firmware_write(next, &firmware); /* For the drivers that are about to be bound there. */
}
