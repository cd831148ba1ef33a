/* nic_tool.c - mstconfig, as far as an agent asks it: query, set, their layouts by version, and their errors.
 * Formats and texts: mlxconfig/mlxcfg_ui.cpp and mlxcfg_generic_commander.cpp of github.com/Mellanox/mstflint. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/nic.h"
#include "tests/simhost/nic_state.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define RC_ERROR 3

struct call {
	const struct sim *sim;
	struct tree tree;
	unsigned bus, fn;
	const char *device;
	bool all;         /* -e */
	const char *json; /* -j: where to; NULL: text. */
	bool yes;
	unsigned version; /* 421, 433, 436 */
	struct nic_state state;
	char *const *names; /* What follows query or set. */
	int n;
};

static int __attribute__((format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	(void)printf("-E- ");
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)printf("\n");
	return RC_ERROR;
}

/* --- values ------------------------------------------------------------------------------------------- */

/* The caller frees; NULL: the enum has no such value. */
static char *
enum_name(const char *names, unsigned value)
{
	auto_free char *copy = xstrdup(names);
	char *rest = copy;

	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
		if (value-- == 0)
			return xstrdup(name);
	return NULL;
}

static char *
shown(const struct nic_kind *kind, unsigned value)
{
	if (kind->type == NIC_ARRAY)
		return xstrdup("Array[0..7]");
	if (kind->type == NIC_BOOL)
		return xstrdup(value ? "True(1)" : "False(0)");
	auto_free char *name = kind->type == NIC_ENUM ? enum_name(kind->names, value) : NULL;
	return name ? xasprintf("%s(%u)", name, value) : xasprintf("%u", value);
}

static bool
parse_value(const struct nic_kind *kind, const char *text, unsigned *out)
{
	char *end = NULL;

	*out = (unsigned)strtoul(text, &end, 10);
	if (end != text && !*end)
		return true;
	if (kind->type == NIC_BOOL && (strcmp(text, "True") == 0 || strcmp(text, "False") == 0)) {
		*out = *text == 'T';
		return true;
	}
	for (unsigned i = 0; kind->type == NIC_ENUM && i < 8; i++) {
		auto_free char *name = enum_name(kind->names, i);

		if (name && strcmp(name, text) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* The tool looks at what is stored, some firmware at what is in effect; and old tools know less. */
static bool
is_shown(const struct call *call, size_t i)
{
	const struct nic_value *gate = &call->state.v[nic_kind_index("ADVANCED_PCI_SETTINGS")][call->fn];

	if (call->version < 421 && strcmp(nic_kinds[i].name, "RDMA_SELECTIVE_REPEAT_EN") == 0)
		return false;
	if (strcmp(nic_kinds[i].name, "MAX_ACC_OUT_READ") != 0)
		return true;
	return gate->next && (gate->current || sim_broken(call->sim, "nic-shows-early"));
}

/* 0 or an exit status, and the error printed. */
static int
find(const struct call *call, const char *name, size_t *out)
{
	*out = nic_kind_index(name);
	bool unknown = *out == nic_kinds_len || (call->version < 421 && strcmp(name, "RDMA_SELECTIVE_REPEAT_EN") == 0);
	if (unknown && call->version >= 434)
		return fail("Failed to find Param / TLV with name '%s' port 0 module -1", name);
	if (unknown)
		return fail("Unknown Parameter: %s", name);
	if (!is_shown(call, *out))
		return fail("The Device doesn't support %s parameter", name);
	return 0;
}

/* --- output --------------------------------------------------------------------------------------------- */

static void
preamble(const struct call *call)
{
	int label = call->version < 426 ? 16 : 20;

	(void)printf("\nDevice #1:\n----------\n\n");
	(void)printf("%-*s%-*s\n", label, "Device type:", label, "ConnectX6DX");
	(void)printf("%-*s%-*s\n", label, "Name:", label, "MCX623106AN-SIM_Ax");
	(void)printf("%-*s%-*s\n", label, "Description:", label, "ConnectX-6 Dx EN adapter card; simulated; Dual-port");
	(void)printf("%-*s%-*s\n\n", label, "Device:", label, call->device);
}

/* Firmware without the bit for it, and then there is no such column. */
static bool
hides_current(const struct call *call)
{
	return nic_fault(call->sim, "nic-no-current", call->bus);
}

static void
header(const struct call *call)
{
	const char *begin = "Configurations:";

	if (!call->all)
		(void)printf("%-*s%*s\n", call->version < 426 ? 16 : 20, begin, call->version < 426 ? 54 : 46,
			     "Next Boot");
	else if (hides_current(call))
		(void)printf("%-16s%40s%32s\n", begin, "Default", "Next Boot");
	else if (call->version < 426)
		(void)printf("%-16s%36s%16s%18s\n", begin, "Default", "Current", "Next Boot");
	else if (call->version < 436)
		(void)printf("%-20s%44s%20s%18s\n", begin, "Default", "Current", "Next Boot");
	else
		(void)printf("%-56s%-34s%-34s%-33s\n", begin, "Default", "Current", "Next Boot");
}

/* A value as wide as its column is followed by one blank. */
static void
cell(const struct call *call, const char *text, bool last)
{
	int width = call->version < 426 ? 16 : call->version < 436 ? 20 : 33;
	bool always = call->version >= 426;

	(void)printf("%-*s%s", width, text, !last && (always || strlen(text) >= (size_t)width) ? " " : "");
}

static void
row(const struct call *call, size_t i)
{
	const struct nic_kind *kind = &nic_kinds[i];
	const struct nic_value *value = &call->state.v[i][call->fn];
	auto_free char *factory = shown(kind, kind->factory);
	auto_free char *current = shown(kind, value->current);
	auto_free char *next = shown(kind, value->next);
	bool star = call->all && (value->next != value->current || value->next != kind->factory);
	int name = call->version < 422 ? 36 : call->version < 436 ? 44 : 48;
	bool locked = nic_fault(call->sim, "nic-read-only", call->bus) && strcmp(kind->name, "ATS_ENABLED") == 0;
	bool unread = nic_fault(call->sim, "nic-unread", call->bus);

	(void)printf("%c%-2s%s%-*s", star ? '*' : ' ', locked ? "RO" : "", call->version < 425 ? "      " : "     ",
		     name, kind->name);
	if (call->all) {
		cell(call, factory, false);
		if (!hides_current(call))
			cell(call, unread ? "N/A" : current, false);
	}
	cell(call, next, true);
	(void)printf("\n");
}

/* --- commands --------------------------------------------------------------------------------------------- */

static void
json_value(FILE *to, const char *key, const char *value)
{
	bool bare = value[strspn(value, "0123456789")] == '\0';

	(void)fprintf(to, bare ? "\t\t\t\t\"%s\" : %s,\n" : "\t\t\t\t\"%s\" : \"%s\",\n", key, value);
}

static void
json_row(const struct call *call, FILE *to, size_t i, bool last)
{
	const struct nic_kind *kind = &nic_kinds[i];
	const struct nic_value *value = &call->state.v[i][call->fn];
	auto_free char *factory = shown(kind, kind->factory);
	auto_free char *current = shown(kind, value->current);
	auto_free char *next = shown(kind, value->next);
	bool locked = nic_fault(call->sim, "nic-read-only", call->bus) && strcmp(kind->name, "ATS_ENABLED") == 0;
	bool unread = nic_fault(call->sim, "nic-unread", call->bus);

	(void)fprintf(to, "\t\t\t\"%s\" : \n\t\t\t{\n", kind->name);
	if (!hides_current(call))
		json_value(to, "current_value", unread ? "N/A" : current);
	json_value(to, "default_value", factory);
	(void)fprintf(to, "\t\t\t\t\"modified\" : %s,\n", value->next != value->current ? "true" : "false");
	json_value(to, "next_value", next);
	(void)fprintf(to, "\t\t\t\t\"read_only\" : %s\n\t\t\t}%s\n", locked ? "true" : "false", last ? "" : ",");
}

static int
query_json(const struct call *call)
{
	FILE *to = fopen(call->json, "w");
	size_t last = 0;

	if (!to)
		return fail("Failed to open file: %s", call->json);
	for (size_t i = 0; i < nic_kinds_len; i++)
		last = is_shown(call, i) ? i : last;
	(void)fprintf(to,
		      "{\n\t\"Device #1\" : \n\t{\n\t\t\"device\" : \"%s\",\n\t\t\"device_type\" : \"ConnectX6DX\",\n"
		      "\t\t\"name\" : \"MCX623106AN-SIM_Ax\",\n\t\t\"tlv_configuration\" : \n\t\t{\n",
		      call->device);
	for (size_t i = 0; i < nic_kinds_len; i++)
		if (is_shown(call, i))
			json_row(call, to, i, i == last);
	(void)fprintf(to, "\t\t}\n\t}\n}\n");
	(void)fclose(to);
	if (!nic_fault(call->sim, "nic-partial", call->bus)) {
		(void)printf("Query output saved to %s successfully\n", call->json);
		return 0;
	}
	(void)fail("Failed to query some of the TLVs:");
	(void)printf("Query output saved to %s but one or more devices had an error.\n", call->json);
	return RC_ERROR;
}

static int
query(const struct call *call)
{
	if (call->json)
		return query_json(call);
	preamble(call);
	header(call);
	for (int i = 0; i < call->n; i++) {
		size_t index = 0;
		int rc = find(call, call->names[i], &index);

		if (rc)
			return rc;
		row(call, index);
	}
	for (size_t i = 0; call->n == 0 && i < nic_kinds_len; i++)
		if (is_shown(call, i))
			row(call, i);
	if (call->all)
		(void)printf("The '*' shows parameters with next value different from default/current value.\n");
	if (hides_current(call))
		(void)printf("Device Firmware does not support reading default and current configurations\n");
	if (nic_fault(call->sim, "nic-partial", call->bus)) {
		(void)fail("Failed to query some of the TLVs:");
		(void)printf("    Failed to query the current values of the following TLVs:\n    nv_x_P0_M-1\n");
		return RC_ERROR;
	}
	return 0;
}

static int
check_argument(const struct call *call, const char *argument, size_t *index, unsigned *value)
{
	const char *equals = strchr(argument, '=');
	auto_free char *name = xasprintf("%.*s", (int)strcspn(argument, "="), argument);

	if (!equals)
		return fail("Invalid Configuration argument %s", argument);
	int rc = find(call, name, index);
	if (rc)
		return rc;
	return parse_value(&nic_kinds[*index], equals + 1, value) ? 0 : fail("Unknown value %s", equals + 1);
}

static void
store(struct call *call, size_t index, unsigned value)
{
	for (unsigned fn = 0; fn < NIC_FUNCTIONS; fn++)
		if (!nic_kinds[index].own || fn == call->fn)
			call->state.v[index][fn].next = value;
}

static int
store_all(struct call *call)
{
	bool refuses = nic_fault(call->sim, "nic-refuses", call->bus);

	for (int i = 0; i < call->n; i++) {
		size_t index = 0;
		unsigned value = 0;

		if (check_argument(call, call->names[i], &index, &value))
			return RC_ERROR;
		/* One part of the settings after the other. */
		if (refuses && strcmp(nic_kinds[index].name, "ATS_ENABLED") == 0) {
			(void)printf("Applying... Failed!\n");
			return fail("Failed to set nv_pci_conf settings The configuration is rejected (1).");
		}
		if (!nic_fault(call->sim, "nic-forgets", call->bus))
			store(call, index, value);
	}
	return 0;
}

/* Whoever sets is counted: a test can see how often flash was written. */
static void
note_set(struct call *call)
{
	auto_free char *old = tree_read(&call->tree, ".sim/nic/sets");

	tree_printf(&call->tree, ".sim/nic/sets", "%s%s%s", old ? old : "", old ? "\n" : "", call->device);
	for (int i = 0; i < call->n; i++) {
		auto_free char *line = tree_read(&call->tree, ".sim/nic/sets");

		tree_printf(&call->tree, ".sim/nic/sets", "%s %s", line ? line : "", call->names[i]);
	}
}

static int
set(struct call *call)
{
	size_t index = 0;
	unsigned value = 0;

	if (call->n == 0)
		return fail("missing configuration arguments. For more information please run mstconfig -h|--help.");
	for (int i = 0; i < call->n; i++)
		if (check_argument(call, call->names[i], &index, &value))
			return RC_ERROR;
	preamble(call);
	(void)printf("Configurations:                                          Next Boot       New\n");
	for (int i = 0; i < call->n; i++) {
		if (check_argument(call, call->names[i], &index, &value))
			return RC_ERROR;
		auto_free char *now = shown(&nic_kinds[index], call->state.v[index][call->fn].next);
		auto_free char *then = shown(&nic_kinds[index], value);

		(void)printf("        %-44s%-20s %-20s\n", nic_kinds[index].name, now, then);
	}
	(void)printf("\n Apply new Configuration? (y/n) [n] : %s", call->yes ? "y\n" : "");
	if (!call->yes) {
		(void)fail("Aborted by user.");
		return 2;
	}
	note_set(call);
	int rc = store_all(call);
	nic_state_write(&call->tree, call->bus, &call->state);
	if (rc)
		return rc;
	(void)printf("Applying... Done!\n");
	if (nic_fault(call->sim, "nic-power-cycle", call->bus))
		(void)printf("-I- Please power cycle machine to load new configurations.\n");
	else if (nic_fault(call->sim, "nic-not-armed", call->bus))
		(void)printf("-I- Skipped reset preparation\n");
	else
		(void)printf("-I- Please reboot machine to load new configurations.\n");
	return 0;
}

/* --- arguments ---------------------------------------------------------------------------------------------- */

static bool
parse_device(struct call *call)
{
	unsigned domain;
	auto_free char *path = NULL;

	/* NOLINTNEXTLINE(cert-err34-c): what is too large is no card's. */
	if (!call->device || sscanf(call->device, "%x:%x:00.%u", &domain, &call->bus, &call->fn) != 3 || domain != 0 ||
	    call->fn >= NIC_FUNCTIONS)
		return false;
	path = xasprintf(".sim/nic/0000:%02x:00", call->bus);
	return tree_exists(&call->tree, path);
}

/* What is broken about the way to the card; 0: nothing. */
static int
open_card(const struct call *call)
{
	if (nic_fault(call->sim, "nic-hangs", call->bus))
		for (;;)
			(void)pause();
	if (sim_broken(call->sim, "nic-garbage")) {
		(void)printf("\033[31m%c%c Segmentation fault (core dumped)\nConfig", 1, 0xff);
		return 139;
	}
	if (sim_broken(call->sim, "nic-locked")) {
		(void)fprintf(stderr, "write counter to semaphore: Operation not permitted\n");
		return fail("Failed to open the device");
	}
	if (nic_fault(call->sim, "nic-sick-card", call->bus))
		return fail("Failed to open the device");
	return 0;
}

static int
execute(struct call *call, const char *verb)
{
	bool is_query = verb && (strcmp(verb, "q") == 0 || strcmp(verb, "query") == 0);
	bool is_set = verb && (strcmp(verb, "s") == 0 || strcmp(verb, "set") == 0);

	if (call->json && call->version < 431)
		return fail("invalid argument: -j");
	if (!is_query && !is_set)
		return fail("invalid argument: %s", verb ? verb : "");
	if (!parse_device(call))
		return fail("Failed to open the device");
	int rc = open_card(call);
	if (rc)
		return rc;
	nic_state_read(&call->tree, call->bus, &call->state);
	return is_query ? query(call) : set(call);
}

int
nic_tool(const struct sim *sim, char *const argv[], int argc)
{
	struct call call = { .sim = sim, .version = 433 };
	struct err err;
	int i = 0;

	if (sim_tree(sim, &call.tree, &err) < 0)
		return fail("%s", err.msg);
	auto_free char *version = tree_read(&call.tree, ".sim/nic/version");
	unsigned major;
	unsigned minor;
	/* NOLINTNEXTLINE(cert-err34-c): our own file. */
	if (version && sscanf(version, "%u.%u", &major, &minor) == 2)
		call.version = major * 100 + minor;
	if (sim_broken(sim, "nic-old-tool"))
		call.version = 417;
	for (; i < argc && *argv[i] == '-'; i++) {
		call.all = call.all || strcmp(argv[i], "-e") == 0;
		call.yes = call.yes || strcmp(argv[i], "-y") == 0;
		if (strcmp(argv[i], "-d") == 0 && i + 1 < argc)
			call.device = argv[++i];
		else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
			call.json = argv[++i];
	}
	call.names = argv + i + 1;
	call.n = i + 1 < argc ? argc - i - 1 : 0;
	int rc = execute(&call, i < argc ? argv[i] : NULL);
	(void)tree_close(&call.tree);
	return rc;
}
