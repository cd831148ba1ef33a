#include "common/nccltopo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* The dialect, character by character as NCCL's src/graph/xml.cc takes it.  What looks odd here is
 * odd there: a token ends at a blank, '>', '/' or a line's end and at nothing else, so a tab is part of a name and a
 * second blank is an attribute without a name; inside of an element that NCCL does not know, any closing tag closes
 * the innermost one. */

#define TOKEN_MAX 254  /* MAX_STR_LEN - 1: with the character that ends it, unless that is '='. */
#define ATTRS_MAX 16   /* MAX_ATTR_COUNT */
#define NODES_MAX 4096 /* Beyond what any NCCL reads (1024 before 2.21), so that a file has a depth we can walk. */

#define SINGLE_QUOTES NCCLTOPO_VERSION(2, 27, 3)

struct reader {
	const char *text;
	size_t len;
	size_t pos;
	unsigned line;
	unsigned col;
	unsigned version;
	size_t n_nodes;
	struct nccltopo_error *error;
};

enum tag {
	TAG_END,
	TAG_OPEN,
	TAG_CLOSE,
	TAG_SINGLE,
	TAG_BAD
};

static enum tag fail(struct reader *reader, unsigned line, unsigned col, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static enum tag
fail(struct reader *reader, unsigned line, unsigned col, const char *fmt, ...)
{
	va_list args;

	reader->error->line = line;
	reader->error->col = col;
	va_start(args, fmt);
	(void)vsnprintf(reader->error->what, sizeof(reader->error->what), fmt, args);
	va_end(args);
	return TAG_BAD;
}

static enum tag
fail_here(struct reader *reader, const char *what)
{
	return fail(reader, reader->line, reader->col, "%s", what);
}

/* Printable, for a message. */
static const char *
name_of(int c, char out[8])
{
	switch (c) {
	case '\t': return "a tab";
	case '\n': return "the end of the line";
	case '\r': return "a carriage return";
	case ' ': return "a blank";
	default: break;
	}
	if (c > ' ' && c < 127)
		(void)snprintf(out, 8, "'%c'", c);
	else
		(void)snprintf(out, 8, "0x%02x", (unsigned)c & 0xff);
	return out;
}

/* The next character, or -1 at the end of the file. */
static int
take(struct reader *reader)
{
	if (reader->pos >= reader->len)
		return -1;
	char c = reader->text[reader->pos++];
	if (c == '\n') {
		reader->line++;
		reader->col = 1;
	} else {
		reader->col++;
	}
	return (unsigned char)c;
}

/* What ends at 'last', a character that take() gave; -1 after a failure. */
struct token {
	size_t pos;
	char text[TOKEN_MAX + 1];
	size_t len;
	int last;
	unsigned line;
	unsigned col;
};

static bool
ends_token(int c)
{
	return c == ' ' || c == '>' || c == '/' || c == '\n' || c == '\r';
}

/* Up to and with a blank, '>', '/', the end of the line, or '='. */
static enum tag
take_token(struct reader *reader, struct token *out)
{
	*out = (struct token){ .pos = reader->pos, .line = reader->line, .col = reader->col };
	for (;;) {
		int c = take(reader);

		if (c <= 0)
			return fail_here(reader, c < 0 ? "the file ends inside of an element" : "a zero byte");
		out->last = c;
		if (c == '=' || (ends_token(c) && out->len < TOKEN_MAX)) {
			out->text[out->len] = '\0';
			return TAG_OPEN;
		}
		if (out->len == TOKEN_MAX)
			return fail(reader, out->line, out->col, "a name longer than %d characters", TOKEN_MAX - 1);
		out->text[out->len++] = (char)c;
	}
}

static enum tag
take_value(struct reader *reader, struct token *out)
{
	*out = (struct token){ .pos = reader->pos, .line = reader->line, .col = reader->col };
	int quote = take(reader);
	if (quote != '"' && quote != '\'')
		return fail(reader, out->line, out->col, "a value without quotes after '=' (a blank is none either)");
	if (quote == '\'' && reader->version && reader->version < SINGLE_QUOTES)
		return fail(reader, out->line, out->col,
			    "a value in single quotes: NCCL before 2.27.3 reads on to the next double quote");
	for (;;) {
		int c = take(reader);

		if (c <= 0)
			return fail(reader, out->line, out->col,
				    c < 0 ? "a quote that is never closed" : "a zero byte");
		if (c == quote)
			break;
		if (out->len == TOKEN_MAX - 1)
			return fail(reader, out->line, out->col, "a value longer than %d characters", TOKEN_MAX - 1);
		out->text[out->len++] = (char)c;
	}
	out->text[out->len] = '\0';
	out->last = take(reader);
	return out->last < 0 ? fail_here(reader, "the file ends inside of an element") : TAG_OPEN;
}

/* --- tags ---------------------------------------------------------------------------------------------- */

/* The reader stands behind the token that began with "!--": its text, '>' too, is the comment's. */
static enum tag
skip_comment(struct reader *reader, const struct token *start)
{
	char end[4] = "...";

	if (start->last == '=')
		return fail(reader, start->line, start->col, "a '=' in the first word of a comment");
	reader->pos = start->pos + strlen("!--");
	reader->line = start->line;
	reader->col = start->col + (unsigned)strlen("!--");
	while (strcmp(end, "-->") != 0) {
		int c = take(reader);

		if (c <= 0)
			return fail(reader, start->line, start->col, "a comment that is never closed");
		memmove(end, end + 1, 2);
		end[2] = (char)c;
	}
	return TAG_OPEN;
}

/* Attributes up to the tag's '>'.  'name' is the element's token, which ended where they begin. */
static enum tag
take_attrs(struct reader *reader, const struct token *name, struct nccltopo_node *node)
{
	int last = name->last;

	for (size_t n = 0; last == ' '; n++) {
		struct token key;
		struct token value = { .len = 0 };

		if (take_token(reader, &key) == TAG_BAD || (key.last == '=' && take_value(reader, &value) == TAG_BAD))
			return TAG_BAD;
		last = key.last == '=' ? value.last : key.last;
		if (n >= ATTRS_MAX) {
			node->n_dropped++;
			continue;
		}
		node->attrs = xrealloc(node->attrs, node->n_attrs + 1, sizeof(*node->attrs));
		node->attrs[node->n_attrs++] = (struct nccltopo_attr){
			.name = xstrdup(key.text), .value = xstrdup(value.text), .line = key.line, .col = key.col
		};
	}
	enum tag tag = last == '/' ? TAG_SINGLE : TAG_OPEN;
	if (tag == TAG_SINGLE) { /* And whatever stands before its '>'. */
		struct token rest;

		if (take_token(reader, &rest) == TAG_BAD)
			return TAG_BAD;
		last = rest.last;
	}
	if (last != '>') {
		char text[8];

		return fail(reader, node->line, node->col,
			    "expected one blank or '>' in <%.40s>, got %s: an element is one line", node->name,
			    name_of(last, text));
	}
	return tag;
}

static enum tag
take_close(struct reader *reader, struct token *name)
{
	if (take_token(reader, name) == TAG_BAD)
		return TAG_BAD;
	if (name->last != '>')
		return fail(reader, name->line, name->col, "expected '>' right after </%.40s", name->text);
	return TAG_CLOSE;
}

/* The next '<', or the end of the file. */
static enum tag
find_tag(struct reader *reader)
{
	char text[8];
	int c;

	do
		c = take(reader);
	while (c == ' ' || c == '\n' || c == '\r');
	if (c < 0)
		return TAG_END;
	if (c == '<')
		return TAG_OPEN;
	if (c == 0xef && reader->pos == 1)
		return fail(reader, 1, 1, "a byte order mark before the first element");
	return fail(reader, reader->line, reader->col - 1, "expected '<', got %s: %s", name_of(c, text),
		    c == '\t' ? "NCCL takes blanks alone for indentation" : "there is no text between elements");
}

/* The next tag that is no comment: what it opens in '*opened', to be freed or adopted, or what it closes in
 * '*closed'. */
static enum tag
take_tag(struct reader *reader, struct nccltopo_node **opened, struct token *closed)
{
	enum tag tag;
	struct token name;

	*opened = NULL;
	for (;;) {
		tag = find_tag(reader);
		if (tag == TAG_END || tag == TAG_BAD)
			return tag;
		if (take_token(reader, &name) == TAG_BAD)
			return TAG_BAD;
		if (strncmp(name.text, "!--", 3) != 0)
			break;
		if (skip_comment(reader, &name) == TAG_BAD)
			return TAG_BAD;
	}
	if (name.last == '=')
		return fail(reader, name.line, name.col, "a '=' in an element's name '%.40s'", name.text);
	if (name.text[0] == '?')
		return fail(reader, name.line, name.col - 1,
			    "a prolog: <?xml ...?> is an element like any other to NCCL");
	if (!name.text[0] && name.last == '/')
		return take_close(reader, closed);
	*opened = nccltopo_new();
	free((*opened)->name);
	(*opened)->name = xstrdup(name.text);
	(*opened)->line = name.line;
	(*opened)->col = name.col - 1;
	return take_attrs(reader, &name, *opened);
}

/* --- the tree ------------------------------------------------------------------------------------------ */

/* NCCL reads past every other element, and past all that it holds. */
static bool
known(const char *parent, const char *name)
{
	static const struct {
		const char *parent;
		const char *name;
	} pairs[] = {
		{ "", "system" },    { "system", "cpu" }, { "cpu", "pci" }, { "cpu", "nic" },
		{ "pci", "pci" },    { "pci", "gpu" },    { "pci", "nic" }, { "pci", "pcilink" },
		{ "gpu", "nvlink" }, { "gpu", "c2c" },    { "nic", "net" },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(pairs[i].parent, parent) == 0 && strcmp(pairs[i].name, name) == 0)
			return true;
	return false;
}

/* Reads past the rest of an element that NCCL does not know. */
static enum tag
skip_element(struct reader *reader, const struct nccltopo_node *node)
{
	for (size_t depth = 1; depth > 0;) {
		struct nccltopo_node *opened;
		struct token closed;
		enum tag tag = take_tag(reader, &opened, &closed);

		nccltopo_free(opened);
		if (tag == TAG_BAD)
			return TAG_BAD;
		if (tag == TAG_END)
			return fail(reader, node->line, node->col, "<%.40s> is never closed", node->name);
		depth += tag == TAG_OPEN;
		depth -= tag == TAG_CLOSE;
	}
	return TAG_CLOSE;
}

/* 'child' was opened in '*in', which becomes what the reader stands in now. */
static enum tag
enter(struct reader *reader, struct nccltopo_node **in, struct nccltopo_node *child, enum tag tag)
{
	struct nccltopo_node *parent = *in;

	child->parent = parent;
	child->ignored = !known(parent->name, child->name);
	parent->nodes = xrealloc(parent->nodes, parent->n_nodes + 1, sizeof(struct nccltopo_node *));
	parent->nodes[parent->n_nodes++] = child;
	if (++reader->n_nodes > NODES_MAX)
		return fail(reader, child->line, child->col, "more than %d elements", NODES_MAX);
	if (tag == TAG_SINGLE)
		return tag;
	if (child->ignored)
		return skip_element(reader, child);
	*in = child;
	return tag;
}

static enum tag
leave(struct reader *reader, struct nccltopo_node **in, const struct token *closed)
{
	if (!(*in)->parent)
		return fail(reader, closed->line, closed->col, "</%.40s> closes nothing", closed->text);
	if (strcmp(closed->text, (*in)->name) != 0)
		return fail(reader, closed->line, closed->col, "</%.40s> closes nothing here: it stands in <%.40s>",
			    closed->text, (*in)->name);
	*in = (*in)->parent;
	return TAG_CLOSE;
}

/* One tag; '*in' is the element that it stands in, before and after. */
static enum tag
step(struct reader *reader, struct nccltopo_node **in)
{
	struct nccltopo_node *opened;
	struct token closed = { .len = 0 };
	enum tag tag = take_tag(reader, &opened, &closed);

	if (opened && tag != TAG_BAD)
		return enter(reader, in, opened, tag);
	nccltopo_free(opened);
	if (tag == TAG_CLOSE)
		return leave(reader, in, &closed);
	if (tag == TAG_END && (*in)->parent)
		return fail(reader, (*in)->line, (*in)->col, "<%.40s> is never closed", (*in)->name);
	return tag;
}

struct nccltopo_node *
nccltopo_parse(const char *text, size_t len, unsigned version, struct nccltopo_error *error)
{
	struct reader reader = { .text = text, .len = len, .line = 1, .col = 1, .version = version, .error = error };
	struct nccltopo_node *root = nccltopo_new();
	struct nccltopo_node *in = root;
	enum tag tag;

	do
		tag = step(&reader, &in);
	while (tag != TAG_END && tag != TAG_BAD);
	if (tag == TAG_END)
		return root;
	nccltopo_free(root);
	return NULL;
}
