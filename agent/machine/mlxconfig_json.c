/* mlxconfig_json.c - what `mlxconfig -e -j FILE query` writes.
 *
 *   {"Device #1": {"device": "0000:3b:00.0", "device_type": ..., "name": ..., "tlv_configuration":
 *       {"PARAM": {"read_only": bool, "next_value": V, "modified": bool, "default_value": V, "current_value": V}}}}
 *
 * V is a number, or a text such as "True(1)", "Array[0..7]", "N/A".  Source: printOpening() and writeParamToJson() of
 * mlxconfig/mlxcfg_ui.cpp, v4.31 to v4.36.  libfyaml's place is common/pbtext.c; so little JSON needs no library. */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/machine/mlxconfig.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define DEEPEST 8

struct reader {
	const char *at;
	bool bad;
};

static void
blanks(struct reader *in)
{
	while (*in->at && strchr(" \t\r\n", *in->at))
		in->at++;
}

/* Takes 'c' if it is next. */
static bool
take(struct reader *in, char c)
{
	blanks(in);
	if (in->bad || *in->at != c)
		return false;
	in->at++;
	return true;
}

/* A text, without its quotes; what is escaped other than a quote or a backslash does not occur in names and values,
 * and becomes '?'. */
static char *
read_text(struct reader *in)
{
	auto_buf struct buf out = { 0 };

	if (!take(in, '"')) {
		in->bad = true;
		return xstrdup("");
	}
	while (*in->at && *in->at != '"') {
		char c = *in->at++;

		if (c == '\\' && *in->at) {
			c = strchr("\"\\/", *in->at) ? *in->at : '?';
			in->at++;
		}
		buf_add(&out, (unsigned char)c < ' ' ? "?" : &c, 1);
	}
	if (*in->at == '"')
		in->at++;
	else
		in->bad = true;
	return buf_steal(&out);
}

/* Number, true, false, null: as it stands. */
static char *
bare(struct reader *in)
{
	blanks(in);
	size_t len = 0;
	while (isalnum((unsigned char)in->at[len]) || (in->at[len] && strchr("+-.", in->at[len])))
		len++;
	if (len == 0)
		in->bad = true;
	char *out = xasprintf("%.*s", (int)len, in->at);
	in->at += len;
	return out;
}

static char *
scalar(struct reader *in)
{
	blanks(in);
	return *in->at == '"' ? read_text(in) : bare(in);
}

/* NOLINTNEXTLINE(misc-no-recursion): at most DEEPEST deep. */
static void
skip(struct reader *in, unsigned depth)
{
	bool object = take(in, '{');
	char end = object ? '}' : ']';

	if (depth >= DEEPEST)
		in->bad = true;
	if (!object && !take(in, '[')) {
		free(scalar(in));
		return;
	}
	if (take(in, end))
		return;
	do {
		if (object)
			free(read_text(in));
		if (object && !take(in, ':'))
			in->bad = true;
		if (!in->bad)
			skip(in, depth + 1);
	} while (take(in, ','));
	if (!take(in, end))
		in->bad = true;
}

/* Calls 'member' for each key of the object that is next; it takes the value. */
static void
object(struct reader *in, void (*member)(struct reader *in, const char *key, void *arg), void *arg)
{
	if (!take(in, '{')) {
		in->bad = true;
		return;
	}
	if (take(in, '}'))
		return;
	do {
		auto_free char *key = read_text(in);

		if (!take(in, ':'))
			in->bad = true;
		if (!in->bad)
			member(in, key, arg);
	} while (take(in, ','));
	if (!take(in, '}'))
		in->bad = true;
}

/* --- what it means ------------------------------------------------------------------------------------ */

static void
row_member(struct reader *in, const char *key, void *arg)
{
	static const char *const columns[MLX_COLUMNS] = { "default_value", "current_value", "next_value", NULL };
	struct mlx_row *row = arg;
	bool flag = strcmp(key, "modified") == 0 || strcmp(key, "read_only") == 0;

	for (unsigned c = 0; c < MLX_NEW; c++) {
		if (strcmp(key, columns[c]) != 0)
			continue;
		free(row->value[c]);
		row->value[c] = scalar(in);
		return;
	}
	if (!flag) {
		skip(in, 0);
		return;
	}
	auto_free char *value = scalar(in);
	*(*key == 'm' ? &row->changed : &row->read_only) = strcmp(value, "true") == 0;
}

static void
table_member(struct reader *in, const char *key, void *arg)
{
	struct mlx_device *device = arg;
	struct mlx_row row = { 0 };

	object(in, row_member, &row);
	row.name = xstrdup(key);
	for (unsigned c = 0; c < MLX_COLUMNS; c++)
		device->shown[c] = device->shown[c] || row.value[c];
	device->rows = xrealloc(device->rows, device->n + 1, sizeof(*device->rows));
	device->rows[device->n++] = row;
}

static void
replace(char **field, char *with)
{
	free(*field);
	*field = with;
}

static void
device_member(struct reader *in, const char *key, void *arg)
{
	struct mlx_device *device = arg;

	blanks(in);
	if (strcmp(key, "device_type") == 0)
		replace(&device->type, scalar(in));
	else if (strcmp(key, "name") == 0)
		replace(&device->name, scalar(in));
	else if (strcmp(key, "device") == 0)
		replace(&device->address, scalar(in));
	else if (strcmp(key, "tlv_configuration") == 0 && *in->at == '{')
		object(in, table_member, device);
	else
		skip(in, 0);
}

static void
top_member(struct reader *in, const char *key, void *arg)
{
	struct mlx_output *out = arg;

	if (strncmp(key, "Device #", 8) != 0) {
		skip(in, 0);
		return;
	}
	out->devices = xrealloc(out->devices, out->n + 1, sizeof(*out->devices));
	out->devices[out->n] = (struct mlx_device){ 0 };
	object(in, device_member, &out->devices[out->n++]);
}

int
mlxconfig_parse_json(const char *text, struct mlx_output *out, struct err *err)
{
	struct reader in = { .at = text };

	*out = (struct mlx_output){ 0 };
	object(&in, top_member, out);
	blanks(&in);
	if (in.bad || *in.at)
		return err_set(err, -EBADMSG, "no JSON of mlxconfig, at byte %zu", (size_t)(in.at - text));
	for (size_t i = 0; i < out->n; i++)
		if (out->devices[i].n)
			return 0;
	return err_set(err, -EBADMSG, "it wrote no settings");
}
