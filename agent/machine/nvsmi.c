#include "agent/machine/nvsmi.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define COLUMNS_MAX 256

/* The newest name first, and what it was called before. */
static const char *const names[NVSMI_FIELDS][2] = {
	[NVSMI_BUS] = { "pci.bus_id" },
	[NVSMI_NAME] = { "name" },
	[NVSMI_UUID] = { "uuid" },
	[NVSMI_DRIVER] = { "driver_version" },
	[NVSMI_PERSISTENCE] = { "persistence_mode" },
	[NVSMI_MIG] = { "mig.mode.current" },
	[NVSMI_CLOCK_GRAPHICS] = { "clocks.current.graphics" },
	[NVSMI_CLOCK_MEMORY] = { "clocks.current.memory" },
	[NVSMI_MAX_GRAPHICS] = { "clocks.max.graphics" },
	[NVSMI_MAX_MEMORY] = { "clocks.max.memory" },
	[NVSMI_APP_GRAPHICS] = { "clocks.applications.graphics" },
	[NVSMI_APP_MEMORY] = { "clocks.applications.memory" },
	[NVSMI_ECC] = { "ecc.errors.uncorrected.volatile.total" },
	[NVSMI_REMAP_PENDING] = { "remapped_rows.pending" },
	[NVSMI_REMAP_FAILURE] = { "remapped_rows.failure" },
	[NVSMI_RECOVERY] = { "gpu_recovery_action" },
	[NVSMI_HW_SLOWDOWN] = { "clocks_event_reasons.hw_slowdown", "clocks_throttle_reasons.hw_slowdown" },
	[NVSMI_HW_THERMAL] = { "clocks_event_reasons.hw_thermal_slowdown",
			       "clocks_throttle_reasons.hw_thermal_slowdown" },
	[NVSMI_HW_BRAKE] = { "clocks_event_reasons.hw_power_brake_slowdown",
			     "clocks_throttle_reasons.hw_power_brake_slowdown" },
	[NVSMI_SW_THERMAL] = { "clocks_event_reasons.sw_thermal_slowdown",
			       "clocks_throttle_reasons.sw_thermal_slowdown" },
	[NVSMI_SW_POWER] = { "clocks_event_reasons.sw_power_cap", "clocks_throttle_reasons.sw_power_cap" },
	[NVSMI_LINK_GEN] = { "pcie.link.gen.current" },
	[NVSMI_LINK_GEN_MAX] = { "pcie.link.gen.max" },
	[NVSMI_LINK_WIDTH] = { "pcie.link.width.current" },
	[NVSMI_LINK_WIDTH_MAX] = { "pcie.link.width.max" },
	[NVSMI_FABRIC_STATE] = { "fabric.state" },
	[NVSMI_FABRIC_STATUS] = { "fabric.status" },
};

const char *
nvsmi_field_name(enum nvsmi_field field)
{
	return names[field][0];
}

/* --- words ------------------------------------------------------------------------------------------------ */

/* The next line without blanks around it; NULL: that was the last.  Cuts '*rest' up. */
static char *
next_line(char **rest)
{
	char *line = strsep(rest, "\n");

	if (!line)
		return NULL;
	line += strspn(line, " \t\r");
	for (size_t n = strlen(line); n > 0 && strchr(" \t\r", line[n - 1]); n--)
		line[n - 1] = '\0';
	return line;
}

/* The next cell of a row, likewise. */
static char *
next_cell(char **rest)
{
	char *cell = strsep(rest, ",");

	return cell ? next_line(&cell) : NULL;
}

bool
nvsmi_address(const char *text, char out[24])
{
	unsigned domain;
	unsigned bus;
	unsigned slot;
	unsigned fn;
	int end = 0;

	if (text[strspn(text, "0123456789abcdefABCDEF:.")])
		return false;
	/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &fn, &end) != 4 || text[end])
		return false;
	(void)snprintf(out, 24, "%04x:%02x:%02x.%x", domain, bus, slot, fn);
	return true;
}

static bool
has(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

/* --- tables ------------------------------------------------------------------------------------------------ */

/* Column headers carry the unit, cells too unless the caller asked for none. */
static int
field_of(char *header)
{
	header[strcspn(header, " ")] = '\0';
	for (int i = 0; i < NVSMI_FIELDS; i++)
		if (strcmp(header, names[i][0]) == 0 || (names[i][1] && strcmp(header, names[i][1]) == 0))
			return i;
	return -1;
}

static enum nvsmi_has
has_of(const char *text)
{
	if (has(text, "deprecated"))
		return NVSMI_GONE;
	if (has(text, "permission"))
		return NVSMI_NOT_ALLOWED;
	if (has(text, "error]") || has(text, "requires reset") || has(text, "is lost"))
		return NVSMI_TROUBLE;
	if (!*text || strcmp(text, "N/A") == 0 || has(text, "[N/A]") || has(text, "[not supported]") ||
	    has(text, "[not found]"))
		return NVSMI_NOT_THERE;
	return NVSMI_VALUE;
}

static void
cut_unit(char *text)
{
	static const char *const units[] = { " MHz", " MiB", " W", " %", " us" };
	size_t len = strlen(text);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = strlen(units[i]);
		if (len > n && strcmp(text + len - n, units[i]) == 0) {
			text[len - n] = '\0';
			return;
		}
	}
}

static struct nvsmi_gpu *
add_gpu(struct nvsmi_gpus *gpus)
{
	gpus->v = xrealloc(gpus->v, gpus->n + 1, sizeof(*gpus->v));
	gpus->v[gpus->n] = (struct nvsmi_gpu){ 0 };
	return &gpus->v[gpus->n++];
}

/* "Unable to determine the device handle for GPU3: 0000:5F:00.0: Unknown Error", in newer tools without "3: ". */
static bool
add_lost(const char *line, struct nvsmi_gpus *gpus)
{
	const char *at = strstr(line, "Unable to determine the device handle for GPU");
	char address[24];

	if (!at)
		return false;
	at += strlen("Unable to determine the device handle for GPU");
	const char *colon = strstr(at, ": ");
	for (const char *from = at; colon; from = colon + 2, colon = strstr(from, ": ")) {
		auto_free char *word = xasprintf("%.*s", (int)(colon - from), from + strspn(from, " "));
		if (!nvsmi_address(word, address))
			continue;
		struct nvsmi_gpu *gpu = add_gpu(gpus);
		gpu->lost = true;
		memcpy(gpu->address, address, sizeof(address));
		return true;
	}
	add_gpu(gpus)->lost = true;
	return true;
}

static void
add_row(char *line, const int *columns, size_t n, struct nvsmi_gpus *gpus)
{
	struct nvsmi_gpu *gpu = add_gpu(gpus);

	for (size_t i = 0; i < n; i++) {
		char *cell = next_cell(&line);
		if (!cell)
			break;
		if (columns[i] < 0 || gpu->cells[columns[i]].text)
			continue;
		struct nvsmi_cell *to = &gpu->cells[columns[i]];
		to->has = has_of(cell);
		cut_unit(cell);
		to->text = xstrdup(cell);
	}
	const char *bus = nvsmi_value(gpu, NVSMI_BUS);
	if (bus)
		(void)nvsmi_address(bus, gpu->address);
	/* A GPU that fell off the bus is listed by some drivers, with nothing but errors in its row. */
	gpu->lost = gpu->cells[NVSMI_PERSISTENCE].has == NVSMI_TROUBLE ||
		    gpu->cells[NVSMI_CLOCK_GRAPHICS].has == NVSMI_TROUBLE;
}

/* True if the line is a table's header. */
static bool
read_header(const char *line, int *columns, size_t *n)
{
	auto_free char *copy = xstrdup(line);
	char *rest = copy;
	bool bus = false;

	*n = 0;
	for (char *cell = next_cell(&rest); cell && *n < COLUMNS_MAX; cell = next_cell(&rest)) {
		columns[*n] = field_of(cell);
		bus = bus || columns[*n] == NVSMI_BUS;
		(*n)++;
	}
	return bus;
}

int
nvsmi_parse_gpus(const char *text, struct nvsmi_gpus *out, struct err *err)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	int columns[COLUMNS_MAX];
	size_t n = 0;
	bool table = false;

	*out = (struct nvsmi_gpus){ 0 };
	for (char *line = next_line(&rest); line; line = next_line(&rest)) {
		if (add_lost(line, out))
			continue;
		if (!table)
			table = read_header(line, columns, &n);
		else if (strchr(line, ','))
			add_row(line, columns, n, out);
	}
	if (!table && out->n == 0)
		return err_set(err, -EBADMSG, "nvidia-smi printed no table of GPUs");
	return 0;
}

void
nvsmi_gpus_free(struct nvsmi_gpus *gpus)
{
	for (size_t i = 0; i < gpus->n; i++)
		for (int k = 0; k < NVSMI_FIELDS; k++)
			free(gpus->v[i].cells[k].text);
	free(gpus->v);
	*gpus = (struct nvsmi_gpus){ 0 };
}

const char *
nvsmi_value(const struct nvsmi_gpu *gpu, enum nvsmi_field field)
{
	return gpu->cells[field].has == NVSMI_VALUE ? gpu->cells[field].text : NULL;
}

long
nvsmi_number(const struct nvsmi_gpu *gpu, enum nvsmi_field field)
{
	const char *text = nvsmi_value(gpu, field);
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return -1;
	long value = strtol(text, &end, 10);
	return *end ? -1 : value;
}

/* In the help a field stands in quotes at the start of its paragraph: "pci.bus_id" or "gpu_bus_id". */
static bool
help_knows(const char *help, const char *name)
{
	auto_free char *quoted = xasprintf("\"%s\"", name);

	return strstr(help, quoted) != NULL;
}

char *
nvsmi_query(const char *help)
{
	struct buf out = { 0 };

	for (int i = 0; i < NVSMI_FIELDS; i++)
		for (int k = 0; k < 2 && names[i][k]; k++) {
			if (help && !help_knows(help, names[i][k]))
				continue;
			buf_printf(&out, "%s%s", out.len ? "," : "", names[i][k]);
			break;
		}
	return buf_steal(&out);
}

/* --- clocks, links, lists --------------------------------------------------------------------------------- */

static bool
read_mhz(const char *text, unsigned *out)
{
	unsigned long value = isdigit((unsigned char)*text) ? strtoul(text, NULL, 10) : 0;

	*out = (unsigned)value;
	return value > 0 && value < 100000;
}

void
nvsmi_parse_pairs(const char *text, struct nvsmi_pairs *out)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;

	*out = (struct nvsmi_pairs){ 0 };
	for (char *line = next_line(&rest); line; line = next_line(&rest)) {
		const char *bus = next_cell(&line);
		struct nvsmi_pair pair = { 0 };
		const char *memory = line ? next_cell(&line) : NULL;
		const char *graphics = line ? next_cell(&line) : NULL;
		if (!graphics || !nvsmi_address(bus, pair.address) || !read_mhz(memory, &pair.memory) ||
		    !read_mhz(graphics, &pair.graphics))
			continue;
		out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = pair;
	}
}

void
nvsmi_pairs_free(struct nvsmi_pairs *pairs)
{
	free(pairs->v);
	*pairs = (struct nvsmi_pairs){ 0 };
}

const struct nvsmi_pair *
nvsmi_best_pair(const struct nvsmi_pairs *pairs, const char *address)
{
	const struct nvsmi_pair *best = NULL;

	for (size_t i = 0; i < pairs->n; i++) {
		const struct nvsmi_pair *pair = &pairs->v[i];
		if (strcmp(pair->address, address) == 0 &&
		    (!best || pair->memory > best->memory ||
		     (pair->memory == best->memory && pair->graphics > best->graphics)))
			best = pair;
	}
	return best;
}

/* What follows "WORD NUMBER:" at the start of a line; NULL: it begins otherwise. */
static const char *
after_number(const char *line, const char *word, unsigned long *number)
{
	size_t len = strlen(word);
	char *end;

	if (strncmp(line, word, len) != 0 || !isdigit((unsigned char)line[len]))
		return NULL;
	*number = strtoul(line + len, &end, 10);
	return *end == ':' ? end + 1 : NULL;
}

int
nvsmi_nvlinks(const char *text, unsigned index, unsigned *inactive)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	int active = -1;
	unsigned long number;
	bool here = false;

	*inactive = 0;
	for (char *line = next_line(&rest); line; line = next_line(&rest)) {
		if (after_number(line, "GPU ", &number)) {
			here = number == index;
			active = here ? 0 : active;
			continue;
		}
		const char *state = here ? after_number(line, "Link ", &number) : NULL;
		if (!state)
			continue;
		if (has(state, "inactive"))
			(*inactive)++;
		else
			active++;
	}
	return active;
}

size_t
nvsmi_count(const char *list)
{
	size_t n = 0;

	for (const char *line = list; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		n += strncmp(line, "GPU ", 4) == 0 && isdigit((unsigned char)line[4]);
	}
	return n;
}

/* --- endings of setters ----------------------------------------------------------------------------------- */

static const struct {
	const char *part;
	enum nvsmi_said said;
} phrases[] = {
	{ "deprecated", NVSMI_DEPRECATED },
	{ "clock combination", NVSMI_FAILED }, /* "... is not supported": of these clocks, not of the card. */
	{ "not supported", NVSMI_UNSUPPORTED },
	{ "permission", NVSMI_DENIED },
	{ "operation not permitted", NVSMI_DENIED },
	{ "couldn't communicate with the nvidia driver", NVSMI_NO_DRIVER },
	{ "driver not loaded", NVSMI_NO_DRIVER },
	{ "no devices were found", NVSMI_LOST },
	{ "unable to determine the device handle", NVSMI_LOST },
	{ "gpu is lost", NVSMI_LOST },
};

/* nvidia-smi(1), RETURN VALUE. */
static const struct {
	int status;
	enum nvsmi_said said;
} statuses[] = {
	{ 0, NVSMI_APPLIED }, { 3, NVSMI_UNSUPPORTED }, { 4, NVSMI_DENIED },
	{ 6, NVSMI_LOST },    { 9, NVSMI_NO_DRIVER },   { 15, NVSMI_LOST },
};

static bool
find_phrase(const char *text, enum nvsmi_said *said, char **reason)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;

	for (const char *line = next_line(&rest); line; line = next_line(&rest))
		for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
			if (has(line, phrases[i].part)) {
				*said = phrases[i].said;
				*reason = xstrdup(line);
				return true;
			}
	return false;
}

/* The first line that says something. */
static char *
first_line(const char *text)
{
	size_t blank = strspn(text, " \t\r\n");

	return xasprintf("%.*s", (int)strcspn(text + blank, "\r\n"), text + blank);
}

enum nvsmi_said
nvsmi_said(const char *out, const char *err_text, int status, char **reason)
{
	enum nvsmi_said said = NVSMI_FAILED;

	if (find_phrase(out, &said, reason) || find_phrase(err_text, &said, reason))
		return said;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			said = statuses[i].said;
	*reason = first_line(*err_text ? err_text : out);
	return said;
}

const char *
nvsmi_said_name(enum nvsmi_said said)
{
	static const char *const said_names[] = {
		[NVSMI_APPLIED] = "applied",
		[NVSMI_UNSUPPORTED] = "unsupported",
		[NVSMI_DEPRECATED] = "deprecated",
		[NVSMI_DENIED] = "denied",
		[NVSMI_LOST] = "lost",
		[NVSMI_NO_DRIVER] = "no driver",
		[NVSMI_FAILED] = "failed",
	};

	return said_names[said];
}
