/* mlxconfig.c - the text of a query.
 *
 * Formats: mlxconfig/mlxcfg_ui.cpp of github.com/Mellanox/mstflint, tags v4.6 to v4.36. */

#include "agent/machine/mlxconfig.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>

#include "common/err.h"
#include "common/mem.h"

#define BLANKS " \t\r"

/* A piece of the text that is being read. */
struct span {
	const char *at;
	size_t len;
};

static char *
copy(struct span span)
{
	return xasprintf("%.*s", (int)span.len, span.at);
}

static bool
is(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

/* The next word of '*rest', taken off it; empty at the end. */
static struct span
word(struct span *rest)
{
	struct span out;

	while (rest->len && strchr(BLANKS, *rest->at)) {
		rest->at++;
		rest->len--;
	}
	out = *rest;
	for (out.len = 0; out.len < rest->len && !strchr(BLANKS, rest->at[out.len]);)
		out.len++;
	rest->at += out.len;
	rest->len -= out.len;
	return out;
}

static struct span
line(const char **text)
{
	struct span out = { *text, strcspn(*text, "\n") };

	*text += out.len;
	if (**text == '\n')
		(*text)++;
	return out;
}

/* --- devices ------------------------------------------------------------------------------------- */

static struct mlx_device *
add_device(struct mlx_output *out)
{
	out->devices = xrealloc(out->devices, out->n + 1, sizeof(*out->devices));
	out->devices[out->n] = (struct mlx_device){ 0 };
	return &out->devices[out->n++];
}

static void
free_device(struct mlx_device *device)
{
	for (size_t i = 0; i < device->n; i++) {
		free(device->rows[i].name);
		for (unsigned c = 0; c < MLX_COLUMNS; c++)
			free(device->rows[i].value[c]);
	}
	free(device->rows);
	free(device->type);
	free(device->name);
	free(device->address);
	free(device->trouble);
}

void
mlxconfig_free(struct mlx_output *out)
{
	for (size_t i = 0; i < out->n; i++)
		free_device(&out->devices[i]);
	free(out->devices);
	*out = (struct mlx_output){ 0 };
}

/* --- before the table ------------------------------------------------------------------------------ */

/* What stands after "LABEL:" at the beginning of the line; false: another line. */
static bool
labelled(struct span from, const char *label, struct span *out)
{
	size_t len = strlen(label);

	if (from.len <= len || memcmp(from.at, label, len) != 0 || from.at[len] != ':')
		return false;
	*out = (struct span){ from.at + len + 1, from.len - len - 1 };
	while (out->len && strchr(BLANKS, *out->at)) {
		out->at++;
		out->len--;
	}
	while (out->len && strchr(BLANKS, out->at[out->len - 1]))
		out->len--;
	return true;
}

static void
preamble(struct mlx_device *device, struct span from)
{
	const struct {
		const char *label;
		char **field;
	} fields[] = { { "Device type", &device->type },
		       { "Name", &device->name },
		       { "Device", &device->address },
		       { "PCI device", &device->address } }; /* Before 4.10. */
	struct span value;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (*fields[i].field || !labelled(from, fields[i].label, &value))
			continue;
		*fields[i].field = copy(value);
		return;
	}
}

/* Which columns there are; labels are not above their values, but in their order. */
static void
header(struct mlx_device *device, struct span labels)
{
	for (struct span name = word(&labels); name.len; name = word(&labels)) {
		device->shown[MLX_DEFAULT] = device->shown[MLX_DEFAULT] || is(name, "Default");
		device->shown[MLX_CURRENT] = device->shown[MLX_CURRENT] || is(name, "Current");
		device->shown[MLX_NEXT] = device->shown[MLX_NEXT] || is(name, "Next");
		device->shown[MLX_NEW] = device->shown[MLX_NEW] || is(name, "New");
	}
}

/* --- rows -------------------------------------------------------------------------------------------- */

static bool
is_name(struct span name)
{
	size_t i = 0;

	if (!name.len || !isalpha((unsigned char)*name.at))
		return false;
	while (i < name.len && (isalnum((unsigned char)name.at[i]) || name.at[i] == '_'))
		i++;
	if (i == name.len)
		return true;
	if (name.at[i] != '[' || name.at[name.len - 1] != ']')
		return false;
	for (i++; i < name.len - 1; i++)
		if (!isdigit((unsigned char)name.at[i]) && name.at[i] != '.')
			return false;
	return true;
}

static size_t
count_columns(const struct mlx_device *device)
{
	size_t n = 0;

	for (unsigned c = 0; c < MLX_COLUMNS; c++)
		n += device->shown[c];
	return n;
}

/* A header without labels: the first row tells how many there are. */
static void
guess_columns(struct mlx_device *device, size_t n)
{
	if (count_columns(device) || n == 0 || n > 3)
		return;
	device->shown[MLX_NEXT] = true;
	device->shown[MLX_DEFAULT] = n > 1;
	device->shown[MLX_CURRENT] = n > 2;
}

static void
add_row(struct mlx_device *device, struct span name, const struct span values[], bool changed, bool read_only)
{
	struct mlx_row *row;
	size_t next = 0;

	device->rows = xrealloc(device->rows, device->n + 1, sizeof(*device->rows));
	row = &device->rows[device->n++];
	*row = (struct mlx_row){ .name = copy(name), .changed = changed, .read_only = read_only };
	for (unsigned c = 0; c < MLX_COLUMNS; c++)
		if (device->shown[c])
			row->value[c] = copy(values[next++]);
}

/* What stands before the name is taken off '*rest': '*', RO, both, or nothing. */
static struct span
name_of(struct span *rest, bool *changed, bool *read_only)
{
	struct span name = word(rest);

	*changed = is(name, "*") || is(name, "*RO");
	*read_only = is(name, "RO") || is(name, "*RO");
	if (is(name, "*") || *read_only)
		name = word(rest);
	if (is(name, "RO") && !*read_only) {
		*read_only = true;
		name = word(rest);
	}
	return name;
}

/* A row is indented or marked; so is not all that stands between rows. */
static bool
may_be_row(struct span from)
{
	return from.len && (strchr(BLANKS, *from.at) || *from.at == '*' || strncmp(from.at, "RO ", 3) == 0) &&
	       strncmp(from.at, " Apply ", 7) != 0;
}

/* "*RO     NAME   VALUE..." */
static void
row(struct mlx_device *device, struct span from)
{
	struct span values[MLX_COLUMNS];
	struct span rest = from;
	bool changed;
	bool read_only;
	struct span name = name_of(&rest, &changed, &read_only);
	size_t n = 0;

	if (!may_be_row(from) || !is_name(name))
		return;
	for (struct span value = word(&rest); value.len; value = word(&rest)) {
		if (n < MLX_COLUMNS)
			values[n] = value;
		n++;
	}
	guess_columns(device, n);
	if (n > 0 && n == count_columns(device))
		add_row(device, name, values, changed, read_only);
	else
		device->odd++;
}

/* --- the whole ----------------------------------------------------------------------------------------- */

enum where {
	BEFORE, /* No device yet. */
	DEVICE,
	TABLE,
	AFTER, /* An error ended the table. */
};

static enum where
begin_table(struct mlx_output *out, enum where where, struct span labels)
{
	bool another = out->n == 0 || where == TABLE || where == AFTER;

	header(another ? add_device(out) : &out->devices[out->n - 1], labels);
	return TABLE;
}

/* A line of a device: before its table, of the table, or the error that ends it. */
static enum where
take_line(struct mlx_device *device, enum where where, struct span from)
{
	if (where != AFTER && memmem(from.at, from.len, "-E- ", 4)) {
		if (!device->trouble)
			device->trouble = copy(from);
		return AFTER;
	}
	if (where == DEVICE)
		preamble(device, from);
	if (where == TABLE)
		row(device, from);
	return where;
}

/* One line, and where it leaves us. */
static enum where
take(struct mlx_output *out, enum where where, struct span from, bool *table)
{
	static const char begin[] = "Configurations:";
	size_t len = sizeof(begin) - 1;

	if (from.len > 8 && memcmp(from.at, "Device #", 8) == 0) {
		add_device(out);
		return DEVICE;
	}
	if (from.len >= len && memcmp(from.at, begin, len) == 0) {
		*table = true;
		return begin_table(out, where, (struct span){ from.at + len, from.len - len });
	}
	return out->n ? take_line(&out->devices[out->n - 1], where, from) : where;
}

int
mlxconfig_parse(const char *text, struct mlx_output *out, struct err *err)
{
	enum where where = BEFORE;
	bool table = false;

	*out = (struct mlx_output){ 0 };
	for (const char *at = text; *at;)
		where = take(out, where, line(&at), &table);
	if (table)
		return 0;
	auto_free char *reason = NULL;
	(void)mlxconfig_said(text, "", &reason);
	return err_set(err, -EBADMSG, "it printed no table of settings%s%s", *reason ? ": " : "", reason);
}

const struct mlx_row *
mlxconfig_find(const struct mlx_device *device, const char *name)
{
	for (size_t i = 0; i < device->n; i++)
		if (strcmp(device->rows[i].name, name) == 0)
			return &device->rows[i];
	return NULL;
}

const char *
mlxconfig_value(const struct mlx_row *row, enum mlx_column column)
{
	const char *value = row ? row->value[column] : NULL;

	return value && strcmp(value, "N/A") != 0 ? value : NULL;
}
