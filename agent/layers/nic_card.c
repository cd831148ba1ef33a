#include "agent/layers/nic_card.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"
#define JSON_MAX (4U << 20)

char *
nic_card_tool(struct host *host, const char *what)
{
	static const char *const makers[] = { "mst", "mlx" };

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		auto_free char *name = xasprintf("%s%s", makers[i], what);
		auto_free char *path = host_tool(host, name);

		if (path)
			return steal(&name);
	}
	return NULL;
}

/* The kernel's mode, in brackets: "none [integrity] confidentiality". */
bool
nic_card_locked_down(struct host *host)
{
	auto_free char *text = NULL;
	struct err ignored;

	(void)host_read_line(host, LOCKDOWN, &text, &ignored);
	return text && (strstr(text, "[integrity]") || strstr(text, "[confidentiality]"));
}

static char *
why_not(struct host *host, const char *tool, const struct host_result *result)
{
	auto_free char *reason = NULL;
	enum mlx_said said = mlxconfig_said(result->out, result->err, &reason);

	if ((said == MLX_NO_DEVICE || said == MLX_LOCKED) && nic_card_locked_down(host))
		return xasprintf(
			"the kernel is locked down (Secure Boot) and keeps %s from the card: switch Secure Boot "
			"off, or use a kernel with fwctl (6.15) and a tool that knows it",
			tool);
	switch ((int)said) {
	case MLX_LOCKED:
		return xasprintf("%s may not write to the card's registers (%s): is it root, is Secure Boot on?", tool,
				 reason);
	case MLX_NO_DEVICE: return xasprintf("%s: %s: is the card dead, or off the bus?", tool, reason);
	case MLX_TOO_OLD:
		return xasprintf("%s: %s: the tool is too old for this card, install a newer mstflint", tool, reason);
	case MLX_NO_ACCESS:
		return xasprintf("%s: %s: the card's firmware does not give access; power cycle the host", tool,
				 reason);
	case MLX_BUSY: return xasprintf("%s: %s: another program has the card", tool, reason);
	default:
		return xasprintf("%s: exit status %d, no table of settings%s%s", tool, result->status,
				 *reason ? ": " : "", reason);
	}
}

/* The table with rows that is this card's; NULL: there is none. */
static struct mlx_device *
own_table(const struct mlx_output *out, const char *address)
{
	for (size_t i = 0; i < out->n; i++) {
		struct mlx_device *device = &out->devices[i];

		if (device->n && (!device->address || strcasecmp(device->address, address) == 0))
			return device;
	}
	return NULL;
}

static void
note_hang(struct nic_card *out)
{
	out->hangs = true;
	out->why = xasprintf("%s did not end in time (tool_timeout in agent.yaml): the card hangs, or another program "
			     "has it",
			     out->tool);
}

/* What the tool wrote, if it is good; status 3 comes with a good table too. */
static bool
take_json(int fd, const struct host_result *result, struct nic_card *out)
{
	auto_free char *text = NULL;
	struct err ignored;
	struct mlx_device *table = NULL;

	if ((result->status == 0 || result->status == 3) &&
	    file_read_fd(fd, "query", JSON_MAX, &text, NULL, &ignored) == 0 &&
	    mlxconfig_parse_json(text, &out->out, &ignored) == 0)
		table = own_table(&out->out, out->address);
	if (!table)
		mlxconfig_free(&out->out);
	else if (result->status != 0)
		(void)mlxconfig_said(result->out, result->err, &table->trouble);
	out->table = table;
	return table != NULL;
}

/* 4.31 and newer write JSON, which has no columns to count.  False: ask for the text, which all versions print, and
 * which says what is wrong with a card. */
static bool
query_json(struct host *host, struct nic_card *out)
{
	static bool too_old; /* A newer tool is noticed with the next start of the agent. */
	auto_free char *path = NULL;
	struct err ignored;
	auto_close int fd = too_old ? -1 : host_scratch(host, &path, &ignored);
	struct host_result result = { 0 };
	const char *const argv[] = { out->tool, "-d", out->address, "-e", "-j", path, "query", NULL };

	if (fd < 0 || host_run(host, argv, 0, &result, &ignored) < 0)
		return false;
	too_old = strstr(result.out, "invalid argument") != NULL;
	bool done = result.timed_out || take_json(fd, &result, out);
	if (result.timed_out)
		note_hang(out);
	host_result_free(&result);
	return done;
}

static void
query_text(struct host *host, struct nic_card *out)
{
	const char *const argv[] = { out->tool, "-d", out->address, "-e", "query", NULL };
	struct host_result result = { 0 };
	struct err err = { 0 };

	if (host_run(host, argv, 0, &result, &err) < 0)
		out->why = xstrdup(err.msg);
	else if (result.timed_out)
		note_hang(out);
	else if ((result.status != 0 && result.status != 3) || mlxconfig_parse(result.out, &out->out, &err) < 0)
		out->why = why_not(host, out->tool, &result);
	else if (!(out->table = own_table(&out->out, out->address)))
		out->why = xasprintf("%s answered, but not for this card", out->tool);
	host_result_free(&result);
}

void
nic_card_query(struct host *host, const char *address, struct nic_card *out)
{
	*out = (struct nic_card){ .address = address, .tool = nic_card_tool(host, "config") };
	if (!out->tool)
		out->why = xstrdup("neither mstconfig nor mlxconfig is on this host: install mstflint");
	else if (!query_json(host, out))
		query_text(host, out);
}

void
nic_card_free(struct nic_card *card)
{
	mlxconfig_free(&card->out);
	free(card->why);
	free(card->tool);
	*card = (struct nic_card){ 0 };
}

bool
nic_card_tool_too_old(struct host *host, const struct nic_card *card, const char *parameter)
{
	const char *const argv[] = { card->tool, "-d", card->address, "query", parameter, NULL };
	auto_free char *reason = NULL;
	struct host_result result = { 0 };
	struct err ignored = { 0 };

	if (host_run(host, argv, 0, &result, &ignored) < 0)
		return false;
	enum mlx_said said = mlxconfig_said(result.out, result.err, &reason);
	host_result_free(&result);
	return said == MLX_UNKNOWN_NAME;
}

/* Separated host (0) and NIC mode (offload engine disabled, 1) are as other cards. */
bool
nic_card_is_dpu(const struct nic_card *card)
{
	const struct mlx_device *table = card->table;

	if (!table || !table->type || strncasecmp(table->type, "BlueField", 9) != 0)
		return false;
	const struct mlx_row *model = mlxconfig_find(table, "INTERNAL_CPU_MODEL");
	const struct mlx_row *engine = mlxconfig_find(table, "INTERNAL_CPU_OFFLOAD_ENGINE");
	enum mlx_column column = table->shown[MLX_CURRENT] ? MLX_CURRENT : MLX_NEXT;
	bool separated = model && mlxconfig_is_off(mlxconfig_value(model, column));
	bool nic_mode = engine && !mlxconfig_is_off(mlxconfig_value(engine, column));

	return !separated && !nic_mode;
}

int
nic_card_set(struct host *host, const struct nic_card *card, char *const assignments[], enum mlx_said *said,
	     char **reason, struct err *err)
{
	struct host_result result = { 0 };
	size_t n = 0;

	while (assignments[n])
		n++;
	auto_free const char **argv = xcalloc(n + 6, sizeof(*argv));
	const char *const first[] = { card->tool, "-d", card->address, "-y", "set" };
	memcpy(argv, first, sizeof(first));
	for (size_t i = 0; i < n; i++)
		argv[5 + i] = assignments[i];
	int rc = host_run(host, argv, 0, &result, err);
	if (!result.out)
		return rc;
	bool timed_out = result.timed_out;
	int status = result.status;
	*said = mlxconfig_said(result.out, result.err, reason);
	host_result_free(&result);
	if (timed_out)
		rc = err_set(err, -ETIMEDOUT, "%s did not end in time", card->tool);
	else if (*said == MLX_UNKNOWN_NAME || *said == MLX_LACKS_NAME)
		*said = MLX_REFUSED;
	else if (*said > MLX_REFUSED)
		rc = err_set(err, -EIO, "%s: exit status %d: %s", card->tool, status, *reason);
	else if (*said != MLX_REFUSED && status != 0)
		rc = err_set(err, -EIO, "%s: exit status %d after it said that all is well", card->tool, status);
	return rc;
}
