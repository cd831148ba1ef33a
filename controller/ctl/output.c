#include "controller/ctl/output.h"

#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"

struct format {
	const char *name;
	bool human;
	bool wide;
	void (*list)(struct ctl *ctl, const struct view *view, const Gdr__Response *response);
	void (*object)(struct ctl *ctl, const ProtobufCMessage *message, const char *kind, const char *name);
	void (*rows)(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths);
};

const void *
output_item(const void *array, size_t i)
{
	const void *item;

	memcpy(&item, (const char *)array + i * sizeof(item), sizeof(item));
	return item;
}

void
output_text(struct ctl *ctl, const struct buf *text)
{
	if (text->len > 0)
		(void)fwrite(text->text, 1, text->len, ctl->out);
}

void
output_data(struct ctl *ctl, const struct buf *text)
{
	auto_buf struct buf clean = { 0 };

	if (text->len > 0 && ctl->out_tty)
		text_clean(&clean, text->text, true);
	output_text(ctl, ctl->out_tty ? &clean : text);
	if (text->len > 0 && text->text[text->len - 1] != '\n')
		(void)fputc('\n', ctl->out);
}

/* --- tables --- */

static size_t
columns_shown(const struct ctl *ctl, const struct column *columns, const struct column **out)
{
	size_t n = 0;

	for (const struct column *c = columns; c->header && n < COLUMNS_MAX; c++)
		if (!c->wide || output_wide(ctl))
			out[n++] = c;
	return n;
}

/* The cleaned text of one cell; the caller frees. */
static char *
cell_text(const struct ctl *ctl, const struct column *column, const void *message)
{
	auto_buf struct buf raw = { 0 };
	struct buf clean = { 0 };

	column->cell(ctl, message, &raw);
	text_clean(&clean, raw.len > 0 ? raw.text : "-", false);
	return buf_steal(&clean);
}

static void
pad(struct buf *out, size_t n)
{
	buf_printf(out, "%*s", (int)n, "");
}

/* A cell and what goes between it and the next. */
static void
add_cell(struct buf *out, const char *text, size_t width, bool last)
{
	size_t have = text_width(text);

	if (!last)
		pad(out, (width > have ? width - have : 0) + 2);
}

static void
measure(const struct ctl *ctl, const struct column *const *columns, size_t n_columns, const void *array, size_t n,
	struct widths *widths)
{
	for (size_t c = 0; c < n_columns; c++) {
		size_t most = strlen(columns[c]->header);

		for (size_t i = 0; i < n; i++) {
			auto_free char *text = cell_text(ctl, columns[c], output_item(array, i));
			size_t width = text_width(text);

			most = width > most ? width : most;
		}
		widths->of[c] = most > widths->of[c] ? most : widths->of[c];
	}
}

static void
add_row(const struct ctl *ctl, const struct column *const *columns, size_t n_columns, const void *message,
	const struct widths *widths, struct buf *out)
{
	for (size_t c = 0; c < n_columns; c++) {
		auto_free char *text = cell_text(ctl, columns[c], message);
		enum text_colour colour = columns[c]->colour ? columns[c]->colour(message) : TEXT_PLAIN;

		text_paint(out, ctl->colour, colour, text);
		add_cell(out, text, widths->of[c], c + 1 == n_columns);
	}
	while (out->len > 0 && out->text[out->len - 1] == ' ')
		out->text[--out->len] = '\0';
	buf_add(out, "\n", 1);
}

static void
add_header(const struct ctl *ctl, const struct column *const *columns, size_t n_columns, const struct widths *widths,
	   struct buf *out)
{
	for (size_t c = 0; c < n_columns; c++) {
		text_paint(out, ctl->colour, TEXT_BOLD, columns[c]->header);
		add_cell(out, columns[c]->header, widths->of[c], c + 1 == n_columns);
	}
	buf_add(out, "\n", 1);
}

void
output_table(const struct ctl *ctl, const struct column *columns, const void *array, size_t n, const char *indent,
	     struct widths *widths, struct buf *out)
{
	const struct column *shown[COLUMNS_MAX];
	size_t n_shown = columns_shown(ctl, columns, shown);
	struct widths own = { 0 };
	struct widths *w = widths ? widths : &own;

	measure(ctl, shown, n_shown, array, n, w);
	if (!w->header) {
		buf_printf(out, "%s", indent);
		add_header(ctl, shown, n_shown, w, out);
	}
	w->header = true;
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s", indent);
		add_row(ctl, shown, n_shown, output_item(array, i), w, out);
	}
}

/* --- the formats --- */

const void *
output_list_of(const struct view *view, const Gdr__Response *response, size_t *n)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(&gdr__response__descriptor, view->field);
	const void *array;

	memcpy(n, (const char *)response + field->quantifier_offset, sizeof(*n));
	memcpy(&array, (const char *)response + field->offset, sizeof(array));
	return array;
}

static void
list_table(struct ctl *ctl, const struct view *view, const Gdr__Response *response)
{
	struct widths widths = { .header = view->bare };
	auto_buf struct buf out = { 0 };
	size_t n;
	const void *array = output_list_of(view, response, &n);

	if (n > 0)
		output_table(ctl, view->columns, array, n, "", &widths, &out);
	else if (view->none)
		(void)fprintf(ctl->diag, "%s\n", view->none);
	output_text(ctl, &out);
}

/* A Response that has nothing but the list prints as the object that is wanted. */
static void
list_print(struct ctl *ctl, const struct view *view, const Gdr__Response *response, enum pbtext_form form)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(&gdr__response__descriptor, view->field);
	Gdr__Response only = GDR__RESPONSE__INIT;
	auto_buf struct buf out = { 0 };
	size_t n;
	const void *array = output_list_of(view, response, &n);

	memcpy((char *)&only + field->quantifier_offset, &n, sizeof(n));
	memcpy((char *)&only + field->offset, &array, sizeof(array));
	if (n > 0)
		pbtext_print(&only.base, NULL, form, &out);
	else
		buf_printf(&out, form == PBTEXT_YAML ? "%s: []\n" : "{\n  \"%s\": []\n}\n", view->field);
	output_data(ctl, &out);
}

static void
list_json(struct ctl *ctl, const struct view *view, const Gdr__Response *response)
{
	list_print(ctl, view, response, PBTEXT_JSON);
}

static void
list_yaml(struct ctl *ctl, const struct view *view, const Gdr__Response *response)
{
	list_print(ctl, view, response, PBTEXT_YAML);
}

static void
add_name(const struct view *view, const void *message, struct buf *out)
{
	auto_buf struct buf raw = { 0 };

	view->name(message, &raw);
	text_clean(out, raw.len > 0 ? raw.text : "-", false);
	buf_add(out, "\n", 1);
}

static void
print_one(struct ctl *ctl, const ProtobufCMessage *message, const char *kind, enum pbtext_form form)
{
	auto_buf struct buf out = { 0 };

	pbtext_print(message, kind, form, &out);
	output_data(ctl, &out);
}

static void
object_json(struct ctl *ctl, const ProtobufCMessage *message, const char *kind, const char *name)
{
	(void)name;
	print_one(ctl, message, kind, PBTEXT_JSON);
}

static void
object_yaml(struct ctl *ctl, const ProtobufCMessage *message, const char *kind, const char *name)
{
	(void)name;
	print_one(ctl, message, kind, PBTEXT_YAML);
}

static void
object_name(struct ctl *ctl, const ProtobufCMessage *message, const char *kind, const char *name)
{
	auto_buf struct buf out = { 0 };

	(void)message;
	(void)kind;
	text_clean(&out, name, false);
	buf_add(&out, "\n", 1);
	output_text(ctl, &out);
}

static void
rows_table(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths)
{
	auto_buf struct buf out = { 0 };

	if (n > 0)
		output_table(ctl, view->columns, array, n, "", widths, &out);
	output_text(ctl, &out);
}

static void
rows_json(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths)
{
	(void)view;
	(void)widths;
	for (size_t i = 0; i < n; i++)
		print_one(ctl, output_item(array, i), NULL, PBTEXT_JSON_LINE);
}

static void
rows_yaml(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths)
{
	(void)view;
	for (size_t i = 0; i < n; i++) {
		if (widths->header)
			(void)fputs("---\n", ctl->out);
		widths->header = true;
		print_one(ctl, output_item(array, i), NULL, PBTEXT_YAML);
	}
}

static void
rows_name(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths)
{
	auto_buf struct buf out = { 0 };

	(void)widths;
	for (size_t i = 0; i < n; i++)
		add_name(view, output_item(array, i), &out);
	output_text(ctl, &out);
}

static void
list_name(struct ctl *ctl, const struct view *view, const Gdr__Response *response)
{
	size_t n;
	const void *array = output_list_of(view, response, &n);

	rows_name(ctl, view, array, n, NULL);
}

static const struct format formats[] = {
	{ "table", true, false, list_table, object_yaml, rows_table },
	{ "wide", true, true, list_table, object_yaml, rows_table },
	{ "json", false, false, list_json, object_json, rows_json },
	{ "yaml", false, false, list_yaml, object_yaml, rows_yaml },
	{ "name", false, false, list_name, object_name, rows_name },
};
const char *const output_formats[] = { "table", "wide", "json", "yaml", "name", NULL };

const struct format *
output_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

bool
output_human(const struct ctl *ctl)
{
	return ctl->format->human;
}

bool
output_wide(const struct ctl *ctl)
{
	return ctl->format->wide;
}

void
output_list(struct ctl *ctl, const struct view *view, const Gdr__Response *response)
{
	ctl->format->list(ctl, view, response);
}

void
output_object(struct ctl *ctl, const void *message, const char *kind, const char *name)
{
	ctl->format->object(ctl, message, kind, name);
}

void
output_rows(struct ctl *ctl, const struct view *view, const void *array, size_t n, struct widths *widths)
{
	ctl->format->rows(ctl, view, array, n, widths);
}
