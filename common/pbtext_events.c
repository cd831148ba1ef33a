/* pbtext_events.c - libfyaml behind a small door: events with positions, syntax errors as ours. */

#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext_internal.h"
#include "common/utf8.h"

#define TEXT_MAX (1 << 20)

/* --- errors --- */

void
pbtext_where(const struct pbtext_reader *in, size_t pos, int *line, int *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < pos && i < in->len; i++)
		if (in->text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)in->text[i] & 0xc0) != 0x80) { /* Characters, not bytes. */
			++*column;
		}
}

/* Puts "file:line:column: " before what err->msg says, and makes one line of it. */
static int
position(const struct pbtext_reader *in, int line, int column)
{
	(void)err_wrap(in->err, "%s:%d:%d", in->file, line, column);
	utf8_clean(in->err->msg);
	return in->err->code;
}

/* The same for what stands at 'pos'. */
int
pbtext_placed(const struct pbtext_reader *in, size_t pos)
{
	int line;
	int column;

	pbtext_where(in, pos, &line, &column);
	return position(in, line, column);
}

int
pbtext_fail(const struct pbtext_reader *in, size_t pos, const char *fmt, ...)
{
	char text[sizeof(in->err->msg)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_set(in->err, -EINVAL, "%s", text);
	return pbtext_placed(in, pos);
}

/* Does line 'n' (from 1) begin with blanks that are not all spaces? */
static bool
has_tab(const struct pbtext_reader *in, int n)
{
	const char *end = in->text + in->len;
	const char *c = in->text;

	for (; n > 1 && c; n--) {
		c = memchr(c, '\n', (size_t)(end - c));
		c = c ? c + 1 : NULL;
	}
	while (c && c < end && *c == ' ')
		c++;
	return c && c < end && *c == '\t';
}

/* Fails with what libfyaml says, at its own position. */
static int
syntax_error(const struct pbtext_reader *in)
{
	void *iterator = NULL;
	const struct fy_diag_error *said = fy_diag_errors_iterate(in->diag, &iterator);

	if (!said)
		return pbtext_fail(in, in->pos, "this is no YAML");
	/* libfyaml's words for a tab are about what it took the line for; it may stop at the line before. */
	bool tab = has_tab(in, said->line) || has_tab(in, said->line + 1);
	(void)err_set(in->err, -EINVAL, "%s%s", said->msg, tab ? " (indented by a tab: YAML wants spaces)" : "");
	return position(in, said->line, said->column);
}

/* --- events --- */

static struct fy_token *
token_of(const struct fy_event *event)
{
	switch (event->type) {
	case FYET_SCALAR: return event->scalar.value;
	case FYET_MAPPING_START: return event->mapping_start.mapping_start;
	case FYET_SEQUENCE_START: return event->sequence_start.sequence_start;
	case FYET_ALIAS: return event->alias.anchor;
	default: return NULL;
	}
}

static bool
is_quoted(struct fy_token *token)
{
	enum fy_scalar_style style = fy_token_scalar_style(token);

	return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

static bool
has_extras(const struct fy_event *event)
{
	switch (event->type) {
	case FYET_SCALAR: return event->scalar.anchor || event->scalar.tag;
	case FYET_MAPPING_START: return event->mapping_start.anchor || event->mapping_start.tag;
	case FYET_SEQUENCE_START: return event->sequence_start.anchor || event->sequence_start.tag;
	case FYET_ALIAS: return true;
	default: return false;
	}
}

int
pbtext_next(struct pbtext_reader *in)
{
	fy_parser_event_free(in->parser, in->event);
	in->event = fy_parser_parse(in->parser);
	if (!in->event)
		return syntax_error(in);
	struct fy_token *token = token_of(in->event);
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
	if (mark) {
		/* libfyaml says where a text begins, people see where its quote does. */
		in->pos = mark->input_pos - (mark->input_pos > 0 && is_quoted(token));
		in->line = mark->line + 1;
	}
	if (has_extras(in->event))
		return pbtext_fail(in, in->pos, "anchors, aliases and tags are not understood here");
	return 0;
}

/* A copy of the scalar that is being looked at; '*text' owns it. */
int
pbtext_take(const struct pbtext_reader *in, struct pbtext_scalar *out, char **text)
{
	struct fy_token *token = in->event->scalar.value;
	size_t len = 0;
	const char *data = token ? fy_token_get_text(token, &len) : NULL;
	uint32_t c;

	*out = (struct pbtext_scalar){ 0 };
	if (!data)
		return 0;
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_next(data + i, len - i, &c);
		if (n == 0) /* From an escape: the file itself was looked at before. */
			return pbtext_fail(in, in->pos, "a text that is not UTF-8");
		if (c == 0)
			return pbtext_fail(in, in->pos, "a text may not contain the character 0");
	}
	*text = out->text = xasprintf("%.*s", (int)len, data);
	out->quoted = fy_token_scalar_style(token) != FYSS_PLAIN;
	return 0;
}

int
pbtext_fail_expected(const struct pbtext_reader *in, const char *name, const char *what)
{
	auto_free char *text = NULL;
	struct pbtext_scalar scalar;

	if (in->event->type == FYET_MAPPING_START)
		return pbtext_fail(in, in->pos, "%s: expected %s, got a mapping", name, what);
	if (in->event->type == FYET_SEQUENCE_START)
		return pbtext_fail(in, in->pos, "%s: expected %s, got a list", name, what);
	int rc = pbtext_take(in, &scalar, &text);
	if (rc < 0)
		return rc;
	if (pbtext_scalar_is_null(&scalar))
		return pbtext_fail(in, in->pos, "%s: expected %s, got nothing", name, what);
	return pbtext_fail(in, in->pos, "%s: expected %s, got '%.60s'", name, what, scalar.text);
}

/* --- files --- */

void
pbtext_close(struct pbtext_reader *in)
{
	if (in->parser) {
		fy_parser_event_free(in->parser, in->event);
		fy_parser_destroy(in->parser);
	}
	if (in->diag)
		fy_diag_destroy(in->diag);
}

static bool
is_printable(uint32_t c)
{
	if (c < ' ')
		return c == '\t' || c == '\n' || c == '\r';
	return c != 0x7f && (c < 0x80 || c >= 0xa0 || c == 0x85) && c != 0xfffe && c != 0xffff;
}

/* What no YAML may hold, before libfyaml sees it. */
static int
check_text(const struct pbtext_reader *in)
{
	uint32_t c;

	if (in->len > TEXT_MAX)
		return err_set(in->err, -EFBIG, "%s: is larger than %d KiB", in->file, TEXT_MAX / 1024);
	for (size_t i = 0, n; i < in->len; i += n) {
		n = utf8_next(in->text + i, in->len - i, &c);
		if (n == 0)
			return pbtext_fail(in, i, "byte 0x%02x is not UTF-8", (unsigned int)(unsigned char)in->text[i]);
		if (!is_printable(c))
			return pbtext_fail(in, i, "control character 0x%02x", c);
	}
	return 0;
}

int
pbtext_open(struct pbtext_reader *in, const char *file, const char *text, size_t len, struct err *err)
{
	bool bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
	struct fy_diag_cfg quiet;

	*in = (struct pbtext_reader){ .file = strcmp(file, "-") == 0 ? "<stdin>" : file, .err = err };
	in->text = len > 0 ? text + (bom ? 3 : 0) : "";
	in->len = len - (bom ? 3 : 0);
	int rc = check_text(in);
	if (rc < 0)
		return rc;
	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	in->diag = fy_diag_create(&quiet);
	if (!in->diag)
		return err_set(err, -ENOMEM, "%s: no memory for the parser", in->file);
	fy_diag_set_collect_errors(in->diag, true);
	const struct fy_parse_cfg cfg = {
		.flags = (enum fy_parse_cfg_flags)(FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE),
		.diag = in->diag,
	};
	in->parser = fy_parser_create(&cfg);
	if (!in->parser || fy_parser_set_string(in->parser, in->text, in->len) != 0)
		return err_set(err, -ENOMEM, "%s: no memory for the parser", in->file);
	return 0;
}

static bool
at_null(const struct pbtext_reader *in)
{
	auto_free char *text = NULL;
	struct pbtext_scalar scalar;

	if (in->event->type != FYET_SCALAR)
		return false;
	struct err ignored = { 0 };
	struct pbtext_reader quiet = *in;
	quiet.err = &ignored;
	return pbtext_take(&quiet, &scalar, &text) == 0 && pbtext_scalar_is_null(&scalar);
}

/* Goes to the mapping that the next document is: 1; documents that hold nothing are passed over; 0: no more. */
int
pbtext_next_document(struct pbtext_reader *in)
{
	for (;;) {
		int rc = pbtext_next(in);
		if (rc < 0)
			return rc;
		if (in->event->type == FYET_STREAM_END)
			return 0;
		if (in->event->type != FYET_DOCUMENT_START)
			continue;
		rc = pbtext_next(in);
		if (rc < 0)
			return rc;
		if (in->event->type == FYET_MAPPING_START)
			return 1;
		if (!at_null(in))
			return pbtext_fail_expected(in, "document", "a mapping");
	}
}
