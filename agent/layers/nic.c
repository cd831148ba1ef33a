/* nic.c - non-volatile settings of ConnectX cards, stored by mstconfig or mlxconfig and loaded at a boot.
 *
 * Spec:     nic: [{match: {vendor: 15b3, device: [101d]}, settings: {ADVANCED_PCI_SETTINGS: True, MAX_ACC_OUT_READ: 44},
 *           unlock: {MAX_ACC_OUT_READ: ADVANCED_PCI_SETTINGS}, on_unset: restore, firmware: {min: 22.36.1010}}]
 * Reads:    one full query of each physical function that a rule matches (agent/mlxconfig.h), the journal: what was
 *           staged in which boot, and what cards had before us; /sys/kernel/security/lockdown where a card is closed.
 * Changes:  the cards' stored settings, by one `set` a card with all that differs; /run/gdrfleet-agent/nic: how it
 *           ended.  Never reset, --with_default, -yy, or a firmware reset. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/host.h"
#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/layers/kernel_params.h"
#include "agent/layers/nic_card.h"
#include "agent/layers/nic_judge.h"
#include "agent/layers/nic_notes.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

#define NAME           "nic"
#define VENDOR_DEFAULT "15b3"

/* Between a look and what is done about it, in one pass. */
struct list {
	char **v;
	size_t n;
};
static struct {
	struct list ripe; /* Keys of what the last look found to be set. */
	struct list done; /* Cards that were set since then. */
} last;

static void
list_add(struct list *list, const char *text)
{
	list->v = xrealloc(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = xstrdup(text);
}

static bool
list_has(const struct list *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return true;
	return false;
}

static void
list_clear(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct list){ 0 };
}

/* --- what is wanted of a card ---------------------------------------------------------------------------- */

struct wants {
	struct nic_want *v;
	size_t n;
	bool allow_dpu;
	const Gdr__NicFirmware *firmware;
};

static void
wants_free(struct wants *wants)
{
	for (size_t i = 0; i < wants->n; i++)
		free(wants->v[i].value);
	free(wants->v);
}

static bool
is_id(const char *text, uint32_t id)
{
	return strtoul(text, NULL, 16) == id;
}

static bool
matches(const Gdr__NicRule *rule, const Gdr__PciDevice *device)
{
	const Gdr__NicMatch *match = rule->match;

	if (device->kind != GDR__PCI_DEVICE__KIND__NIC || device->physfn ||
	    !is_id(match && match->vendor ? match->vendor : VENDOR_DEFAULT, device->vendor))
		return false;
	for (size_t i = 0; match && i < match->n_device; i++)
		if (is_id(match->device[i], device->device))
			return true;
	return !match || match->n_device == 0;
}

static struct nic_want *
add_want(struct wants *wants, const char *name)
{
	for (size_t i = 0; i < wants->n; i++)
		if (strcmp(wants->v[i].name, name) == 0) {
			free(wants->v[i].value);
			return &wants->v[i];
		}
	wants->v = xrealloc(wants->v, wants->n + 1, sizeof(*wants->v));
	return &wants->v[wants->n++];
}

static void
add_setting(struct wants *wants, const Gdr__NicRule *rule, const Gdr__NicRule__SettingsEntry *setting)
{
	bool restore = rule->has_on_unset && rule->on_unset == GDR__UNSET__UNSET_RESTORE;
	const char *unlock = PB_MAP_GET(rule->unlock, rule->n_unlock, setting->key);

	*add_want(wants, setting->key) = (struct nic_want){ .name = setting->key,
							    .value = mlxconfig_argument(setting->value),
							    .unlock = unlock,
							    .keep = restore ? KEEP_RESTORE : KEEP_VALUE };
}

static void
add_rule(struct wants *wants, const Gdr__NicRule *rule)
{
	for (size_t i = 0; i < rule->n_settings; i++)
		add_setting(wants, rule, rule->settings[i]);
	wants->allow_dpu = wants->allow_dpu || rule->allow_dpu;
	wants->firmware = rule->firmware ? rule->firmware : wants->firmware;
}

static bool
is_wanted(const struct wants *wants, const char *name)
{
	for (size_t i = 0; i < wants->n; i++)
		if (strcmp(wants->v[i].name, name) == 0)
			return true;
	return false;
}

/* The parameter of a key, if the key is this card's; NULL: another's. */
static const char *
parameter_of(const char *key, const char *address)
{
	size_t len = strlen(address);

	return key && strncmp(key, address, len) == 0 && key[len] == '/' ? key + len + 1 : NULL;
}

/* What nobody wants any more and is to be put back. */
static void
add_kept(struct wants *wants, const struct journal *journal, const char *address)
{
	const Gdr__Journal__Kept *kept;

	for (size_t i = 0; (kept = journal_kept(journal, NAME, i)); i++) {
		const char *name = parameter_of(kept->key, address);

		if (!name || !kept->restore || is_wanted(wants, name) || strcmp(kept->value, "N/A") == 0)
			continue;
		wants->v = xrealloc(wants->v, wants->n + 1, sizeof(*wants->v));
		wants->v[wants->n++] = (struct nic_want){ .name = name,
							  .value = mlxconfig_argument(kept->value),
							  .unlock = kept->unlock ? parameter_of(kept->unlock, address)
										 : NULL,
							  .keep = KEEP_BACK };
	}
}

static void
wants_of(const struct machine *machine, const Gdr__Spec *spec, const Gdr__PciDevice *device, struct wants *out)
{
	*out = (struct wants){ 0 };
	for (size_t i = 0; i < spec->n_nic; i++)
		if (matches(spec->nic[i], device))
			add_rule(out, spec->nic[i]);
	add_kept(out, machine->journal, device->address);
}

static bool
nic_wanted(const Gdr__Spec *spec)
{
	return spec->n_nic > 0;
}

/* --- inspect -------------------------------------------------------------------------------------------------- */

static void
report_want(const struct machine *machine, const struct nic_card *card, const struct nic_view *view,
	    const struct nic_want *want, struct report *out)
{
	auto_free char *key = nic_key(view->address, want->name);
	struct nic_verdict verdict;

	nic_judge(view, want, &verdict);
	if (verdict.absent && nic_card_tool_too_old(machine->host, card, want->name))
		(void)snprintf(verdict.why, sizeof(verdict.why),
			       "%s knows no such parameter: the tool is too old for it, or the name is wrong",
			       card->tool);
	if (verdict.fix == FIX_STAGE) {
		list_add(&last.ripe, key);
		size_t len = strlen(verdict.why);

		(void)snprintf(verdict.why + len, sizeof(verdict.why) - len, "; %s -d %s -y set %s=%s", card->tool,
			       view->address, want->name, want->value);
	}
	report_add(out, key, want->value, nic_have(view, want), verdict.fix, *verdict.why ? "%s" : NULL, verdict.why);
	out->items[out->n - 1].boots = verdict.boots;
	out->items[out->n - 1].keep = want->keep;
	out->items[out->n - 1].unlock = want->unlock ? nic_key(view->address, want->unlock) : NULL;
}

static void
report_firmware(const Gdr__PciDevice *device, const Gdr__NicFirmware *want, struct report *out)
{
	const char *have = device->firmware;

	if (!want || (!want->exact && !want->min))
		return;
	auto_free char *key = nic_key(device->address, "firmware");
	auto_free char *text = want->exact ? xstrdup(want->exact) : xasprintf("%s or newer", want->min);
	bool right = have && (!want->exact || strcmp(have, want->exact) == 0) &&
		     (!want->min || version_compare(have, want->min) >= 0);
	if (right)
		report_add(out, key, text, have, FIX_NONE, NULL);
	else if (have)
		report_add(out, key, text, have, FIX_MANUAL, "burn the firmware that the profile asks for (PSID %s)",
			   device->psid ? device->psid : "unknown");
	else
		report_add(out, key, text, "unknown", FIX_MANUAL,
			   "mlx5_core does not run the card and tell its version");
}

/* A card that does not answer takes none of the others with it. */
static void
report_sick(const struct nic_card *card, const struct wants *wants, struct report *out)
{
	for (size_t i = 0; i < wants->n; i++) {
		auto_free char *key = nic_key(card->address, wants->v[i].name);

		report_add(out, key, wants->v[i].value, "unknown", FIX_MANUAL, "%s", card->why);
	}
}

/* The same card, another function. */
static bool
is_neighbour(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	return b && strcspn(b, ".") == len && strncmp(a, b, len) == 0;
}

static void
inspect_card(const struct machine *machine, const struct nic_notes *notes, const Gdr__PciDevice *device,
	     const struct wants *wants, const char **hung, struct report *out)
{
	struct nic_card card = { .address = device->address };

	if (is_neighbour(device->address, *hung))
		card.why = xasprintf("not asked: %s of the same card did not answer in time", *hung);
	else
		nic_card_query(machine->host, device->address, &card);
	if (card.hangs)
		*hung = device->address;
	struct nic_view view = { .address = device->address,
				 .table = card.table,
				 .wants = wants->v,
				 .n = wants->n,
				 .notes = notes,
				 .journal = machine->journal,
				 .dpu = !wants->allow_dpu && nic_card_is_dpu(&card) };
	if (!card.table)
		report_sick(&card, wants, out);
	for (size_t i = 0; card.table && i < wants->n; i++)
		report_want(machine, &card, &view, &wants->v[i], out);
	nic_card_free(&card);
}

/* A rule without a card is no rule that is kept. */
static void
report_missing(const struct machine *machine, const Gdr__NicRule *rule, struct report *out)
{
	const Gdr__NicMatch *match = rule->match;
	auto_buf struct buf key = { 0 };

	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		if (matches(rule, machine->inventory->pci[i]))
			return;
	buf_printf(&key, "%s:", match && match->vendor ? match->vendor : VENDOR_DEFAULT);
	for (size_t i = 0; match && i < match->n_device; i++)
		buf_printf(&key, "%s%s", i ? "," : "", match->device[i]);
	report_add(out, key.text, "a card", "none", FIX_MANUAL, "no card with these PCI ids is on this host");
}

static int
nic_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const char *hung = NULL;
	struct nic_notes notes;

	(void)err;
	list_clear(&last.ripe);
	list_clear(&last.done);
	nic_notes_read(machine->host, &notes);
	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = machine->inventory->pci[i];
		struct wants wants;

		wants_of(machine, spec, device, &wants);
		if (wants.n)
			inspect_card(machine, &notes, device, &wants, &hung, out);
		report_firmware(device, wants.firmware, out);
		wants_free(&wants);
	}
	for (size_t i = 0; i < spec->n_nic; i++)
		report_missing(machine, spec->nic[i], out);
	nic_notes_free(&notes);
	return 0;
}

/* --- apply ------------------------------------------------------------------------------------------------------ */

/* "NAME=VALUE" for all that can be stored now and is not, NULL-terminated (auto_strv).  What has come to light since
 * the last look is not in the journal yet: it is for the next pass. */
static char **
differences(const struct nic_view *view)
{
	char **out = xcalloc(view->n + 1, sizeof(*out));
	size_t n = 0;

	for (size_t i = 0; i < view->n; i++) {
		struct nic_verdict verdict;

		auto_free char *key = nic_key(view->address, view->wants[i].name);

		nic_judge(view, &view->wants[i], &verdict);
		if (verdict.fix == FIX_STAGE && list_has(&last.ripe, key))
			out[n++] = xasprintf("%s=%s", view->wants[i].name, view->wants[i].value);
	}
	return out;
}

static char *
join(char *const words[])
{
	auto_buf struct buf out = { 0 };

	for (; *words; words++)
		buf_printf(&out, "%s%s", out.len ? " " : "", *words);
	return buf_steal(&out);
}

/* One look and one set. */
static int
set_card(const struct machine *machine, const char *address, const struct wants *wants, struct err *err)
{
	__attribute__((cleanup(nic_card_free))) struct nic_card card;
	__attribute__((cleanup(nic_notes_free))) struct nic_notes notes;
	enum mlx_said said = MLX_FAILED;
	auto_free char *reason = NULL;

	nic_notes_read(machine->host, &notes);
	nic_card_query(machine->host, address, &card);
	if (!card.table)
		return err_set(err, -EIO, "%s", card.why);
	const struct nic_view view = { .address = address,
				       .table = card.table,
				       .wants = wants->v,
				       .n = wants->n,
				       .notes = &notes,
				       .journal = machine->journal,
				       .dpu = !wants->allow_dpu && nic_card_is_dpu(&card) };
	auto_strv char **assignments = differences(&view);
	if (!assignments[0])
		return 0;
	auto_free char *what = join(assignments);
	int rc = nic_card_set(machine->host, &card, assignments, &said, &reason, err);
	if (rc == 0)
		rc = nic_notes_add(machine->host, address, said, what, reason, err);
	return rc;
}

/* All of the card at once, whichever of its items asks for it; the others find it done. */
static int
nic_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	auto_free char *address = xasprintf("%.*s", (int)strcspn(item->key, "/"), item->key);
	struct wants wants = { 0 };

	if (list_has(&last.done, address))
		return 0;
	list_add(&last.done, address);
	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		if (strcmp(machine->inventory->pci[i]->address, address) == 0)
			wants_of(machine, spec, machine->inventory->pci[i], &wants);
	int rc = set_card(machine, address, &wants, err);
	wants_free(&wants);
	return rc;
}

const struct layer layer_nic = {
	.wanted = nic_wanted,
	.inspect = nic_inspect,
	.apply = nic_apply,
};
