/* nic.c - non-volatile settings of ConnectX cards, stored by mstconfig or mlxconfig and loaded at a boot.
 *
 * Spec:     nic: [{match: {vendor: 15b3, device: [101d]}, settings: {ADVANCED_PCI_SETTINGS: True, MAX_ACC_OUT_READ: 44},
 *           unlock: {MAX_ACC_OUT_READ: ADVANCED_PCI_SETTINGS}, on_unset: restore, firmware: {min: 22.36.1010},
 *           load: reset}]
 * Reads:    one full query of each physical function that a rule matches (agent/machine/mlxconfig.h), the journal: what was
 *           staged in which boot, and what cards had before us; /sys/kernel/security/lockdown where a card is closed.
 * Changes:  the cards' stored settings, by one `set` a card with all that differs; /run/gdrfleet-agent/nic: how it
 *           ended.  Never the tool's reset verb, --with_default or -yy.
 * Reload:   a firmware reset (agent/layers/nic_reset.h), where the profile asks for it. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/layers/kernel_params.h"
#include "agent/layers/nic_card.h"
#include "agent/layers/nic_judge.h"
#include "agent/layers/nic_notes.h"
#include "agent/layers/nic_reset.h"
#include "agent/machine/host.h"
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
	bool reset; /* A firmware reset may load what is stored. */
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
	wants->reset = rule->has_load ? rule->load == GDR__NIC_LOAD__LOAD_RESET : wants->reset;
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

/* "NAME=VALUE" for all that can be stored now and is not, of those in 'ripe' if there is one; NULL-terminated (auto_strv). */
static char **
differences(const struct nic_view *view, const struct list *ripe)
{
	char **out = xcalloc(view->n + 1, sizeof(*out));
	size_t n = 0;

	for (size_t i = 0; i < view->n; i++) {
		auto_free char *key = nic_key(view->address, view->wants[i].name);
		struct nic_verdict verdict;

		nic_judge(view, &view->wants[i], &verdict);
		if (verdict.fix == FIX_STAGE && (!ripe || list_has(ripe, key)))
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

/* What of the card it takes to look at one parameter of it. */
struct look {
	const struct machine *machine;
	const struct nic_card *card;
	const struct nic_view *view;
	const char *assignments; /* "NAME=VALUE NAME=VALUE": all that is to be set now. */
	bool commanded;          /* The command has been told. */
	bool reset;              /* As in struct wants. */
	const char *obstacle;    /* What is in the way of it, or NULL. */
	const char *silent;      /* Another function of the card that did not answer, or NULL. */
};

static void __attribute__((format(printf, 2, 3))) add_why(struct nic_verdict *verdict, const char *fmt, ...)
{
	size_t len = strlen(verdict->why);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(verdict->why + len, sizeof(verdict->why) - len, fmt, ap);
	va_end(ap);
}

/* The exact command, for who only looks: one for all of the card, beside the first that it sets. */
static void
add_command(struct look *look, const struct nic_want *want, struct nic_verdict *verdict)
{
	const char *tool = look->card->tool;
	const char *address = look->view->address;

	if (verdict->fix == FIX_STAGE) {
		add_why(verdict, look->commanded ? "; in the same set" : "; %s -d %s -y set %s", tool, address,
			look->assignments);
		look->commanded = true;
	} else if (verdict->fix == FIX_BOOT && verdict->boots > 1) {
		add_why(verdict, "; %s -d %s -y set %s=%s", tool, address, want->name, want->value);
	} else if (verdict->fix == FIX_BOOT && look->reset) {
		add_why(verdict, look->obstacle ? "; no firmware reset: %s" : "; or loaded by a firmware reset",
			look->obstacle);
	}
}

/* NULL: there is no such row or column, or the card could not read it. */
static char *
value_of(const struct nic_view *view, const char *name, enum mlx_column column)
{
	const char *value = mlxconfig_value(mlxconfig_find(view->table, name), column);

	return value ? xstrdup(value) : NULL;
}

static void
report_want(struct look *look, const struct nic_want *want, struct report *out)
{
	const struct nic_view *view = look->view;
	auto_free char *key = nic_key(view->address, want->name);
	struct nic_verdict verdict;

	nic_judge(view, want, &verdict);
	if (verdict.absent && nic_card_tool_too_old(look->machine->host, look->card, want->name))
		(void)snprintf(verdict.why, sizeof(verdict.why),
			       "%s knows no such parameter: the tool is too old for it, or the name is wrong",
			       look->card->tool);
	if (verdict.fix == FIX_STAGE && look->silent) {
		verdict.fix = FIX_MANUAL;
		add_why(&verdict, "; left alone as long as %s of the same card does not answer", look->silent);
	}
	if (verdict.fix == FIX_STAGE)
		list_add(&last.ripe, key);
	add_command(look, want, &verdict);
	report_add(out, key, want->value, nic_have(view, want), verdict.fix, *verdict.why ? "%s" : NULL, verdict.why);
	struct item *item = &out->items[out->n - 1];
	item->factory = value_of(view, want->name, MLX_DEFAULT);
	item->next = value_of(view, want->name, MLX_NEXT);
	item->boots = verdict.boots;
	item->keep = want->keep;
	item->unlock = want->unlock ? nic_key(view->address, want->unlock) : NULL;
	item->reload = verdict.fix == FIX_BOOT && verdict.boots < 2 && look->reset && !look->obstacle;
}

static void
report_card(struct look *look, struct report *out)
{
	const struct nic_view *view = look->view;
	auto_free char *obstacle = look->reset ? nic_reset_obstacle(look->machine, view->address) : NULL;
	auto_strv char **to_set = differences(view, NULL);
	auto_free char *assignments = join(to_set);

	look->obstacle = obstacle;
	look->assignments = assignments;
	for (size_t i = 0; i < view->n; i++)
		report_want(look, &view->wants[i], out);
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
	else if (have && device->firmware_stored && strcmp(have, device->firmware_stored) != 0)
		report_add(out, key, text, have, FIX_MANUAL, "%s is stored: a power cycle or a firmware reset runs it",
			   device->firmware_stored);
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

/* One function that something is wanted of, and what it showed. */
struct function {
	const Gdr__PciDevice *device;
	struct wants wants;
	struct nic_card card;
};
struct functions {
	struct function *v;
	size_t n;
};

static void
functions_free(struct functions *functions)
{
	for (size_t i = 0; i < functions->n; i++) {
		wants_free(&functions->v[i].wants);
		nic_card_free(&functions->v[i].card);
	}
	free(functions->v);
}

/* A card that hangs costs one time-out, not one a function. */
static void
query_all(const struct machine *machine, struct functions *functions)
{
	const char *hung = NULL;

	for (size_t i = 0; i < functions->n; i++) {
		struct function *function = &functions->v[i];
		const char *address = function->device->address;

		function->card = (struct nic_card){ .address = address };
		if (!function->wants.n)
			continue;
		if (hung && nic_same_card(address, hung))
			function->card.why = xasprintf("not asked: %s of the same card did not answer in time", hung);
		else
			nic_card_query(machine->host, address, &function->card);
		if (function->card.hangs)
			hung = address;
	}
}

static void
find_functions(const struct machine *machine, const Gdr__Spec *spec, struct functions *out)
{
	out->v = xcalloc(machine->inventory->n_pci + 1, sizeof(*out->v));
	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		struct function *function = &out->v[out->n];

		function->device = machine->inventory->pci[i];
		wants_of(machine, spec, function->device, &function->wants);
		if (function->wants.n || function->wants.firmware)
			out->n++;
		else
			wants_free(&function->wants);
	}
}

/* Another function of the card that did not answer.  Most settings are of the whole card: set through one function,
 * they would be changed for the other before anybody saw what it had. */
static const char *
silent_neighbour(const struct functions *functions, const char *address)
{
	for (size_t i = 0; i < functions->n; i++) {
		const struct function *other = &functions->v[i];

		if (other->wants.n && !other->card.table && nic_same_card(other->device->address, address))
			return other->device->address;
	}
	return NULL;
}

static void
report_function(const struct machine *machine, const struct nic_notes *notes, const struct functions *functions,
		const struct function *function, struct report *out)
{
	const struct wants *wants = &function->wants;
	const char *address = function->device->address;
	const struct nic_view view = { .address = address,
				       .table = function->card.table,
				       .wants = wants->v,
				       .n = wants->n,
				       .notes = notes,
				       .journal = machine->journal,
				       .dpu = !wants->allow_dpu && nic_card_is_dpu(&function->card) };
	struct look look = { .machine = machine,
			     .card = &function->card,
			     .view = &view,
			     .reset = wants->reset,
			     .silent = silent_neighbour(functions, address) };

	if (view.table)
		report_card(&look, out);
	else
		report_sick(&function->card, wants, out);
	report_firmware(function->device, wants->firmware, out);
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
	__attribute__((cleanup(functions_free))) struct functions functions = { 0 };
	__attribute__((cleanup(nic_notes_free))) struct nic_notes notes;

	(void)err;
	list_clear(&last.ripe);
	list_clear(&last.done);
	nic_notes_read(machine->host, &notes);
	find_functions(machine, spec, &functions);
	query_all(machine, &functions);
	for (size_t i = 0; i < functions.n; i++)
		report_function(machine, &notes, &functions, &functions.v[i], out);
	for (size_t i = 0; i < spec->n_nic; i++)
		report_missing(machine, spec->nic[i], out);
	return 0;
}

/* --- apply ------------------------------------------------------------------------------------------------------ */

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
	/* What has come to light since the last look is not in the journal yet: it is for the next pass. */
	auto_strv char **assignments = differences(&view, &last.ripe);
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

/* --- reload ----------------------------------------------------------------------------------------------------- */

/* One reset for each card, by the first of its functions that has something to load; the first failure is kept. */
static int
nic_reload(const struct machine *machine, const struct report *report, struct err *err)
{
	struct list done = { 0 };
	struct err first = { 0 };

	for (size_t i = 0; i < report->n; i++) {
		const char *key = report->items[i].key;
		auto_free char *address = xasprintf("%.*s", (int)strcspn(key, "/"), key);
		auto_free char *card = xasprintf("%.*s", (int)strcspn(key, "."), key);
		struct err own = { 0 };

		if (!report->items[i].reload || list_has(&done, card))
			continue;
		list_add(&done, card);
		if (nic_reset(machine, address, &own) < 0 && !first.code)
			first = own;
	}
	list_clear(&done);
	if (first.code)
		*err = first;
	return first.code;
}

const struct layer layer_nic = {
	.wanted = nic_wanted,
	.inspect = nic_inspect,
	.apply = nic_apply,
	.reload = nic_reload,
};
