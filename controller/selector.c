/* selector.c - one pass from left to right, one character ahead. */

#include "controller/selector.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

struct term {
	char *label;
	bool opposite; /* Of: */
	bool any;      /* it is there; */
	char **values; /* else: it is one of these, ended by NULL. */
	size_t n_values;
};

struct selector {
	struct term *terms;
	size_t n_terms;
};

struct parser {
	const char *text;
	const char *at;
	struct err *err;
};

static int
expected(const struct parser *p, const char *what)
{
	long position = p->at - p->text + 1;
	unsigned char c = (unsigned char)*p->at;

	if (c == '\0')
		return err_set(p->err, -EINVAL, "selector: character %ld: %s is expected, found the end", position,
			       what);
	if (c < ' ' || c > '~')
		return err_set(p->err, -EINVAL, "selector: character %ld: %s is expected, found byte 0x%02x", position,
			       what, c);
	return err_set(p->err, -EINVAL, "selector: character %ld: %s is expected, found '%c'", position, what, c);
}

static void
skip_blanks(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
}

static bool
accept(struct parser *p, const char *token)
{
	size_t len = strlen(token);

	skip_blanks(p);
	if (strncmp(p->at, token, len) != 0)
		return false;
	p->at += len;
	return true;
}

static size_t
word_length(const char *s)
{
	size_t n = 0;

	while (isascii(s[n]) && (isalnum((unsigned char)s[n]) || (s[n] != '\0' && strchr("-._/", s[n]))))
		n++;
	return n;
}

/* What labels are made of (RULE_LABEL). */
static int
parse_word(struct parser *p, const char *what, char **out)
{
	skip_blanks(p);
	size_t len = word_length(p->at);
	if (len == 0)
		return expected(p, what);
	*out = xasprintf("%.*s", (int)len, p->at);
	p->at += len;
	return 0;
}

static int
parse_value(struct parser *p, struct term *term)
{
	char *value = NULL;
	int rc = parse_word(p, "a value", &value);

	if (rc < 0)
		return rc;
	term->values = xrealloc(term->values, term->n_values + 2, sizeof(*term->values));
	term->values[term->n_values++] = value;
	term->values[term->n_values] = NULL;
	return 0;
}

static int
parse_values(struct parser *p, struct term *term)
{
	int rc;

	if (!accept(p, "("))
		return expected(p, "'('");
	do {
		rc = parse_value(p, term);
		if (rc < 0)
			return rc;
	} while (accept(p, ","));
	return accept(p, ")") ? 0 : expected(p, "',' or ')'");
}

/* The word that is next, and not only the beginning of a longer one. */
static bool
accept_word(struct parser *p, const char *word)
{
	skip_blanks(p);
	return word_length(p->at) == strlen(word) && accept(p, word);
}

static int
parse_term(struct parser *p, struct term *term)
{
	bool absent = accept(p, "!");
	int rc = parse_word(p, "a label's name", &term->label);

	if (rc < 0)
		return rc;
	term->opposite = absent;
	term->any = absent;
	if (absent)
		return 0;
	if (accept(p, "==") || accept(p, "="))
		return parse_value(p, term);
	if (accept(p, "!=")) {
		term->opposite = true;
		return parse_value(p, term);
	}
	if (accept_word(p, "in"))
		return parse_values(p, term);
	if (accept_word(p, "notin")) {
		term->opposite = true;
		return parse_values(p, term);
	}
	term->any = true;
	return 0;
}

static int
parse_terms(struct parser *p, struct selector *selector)
{
	do {
		selector->terms = xrealloc(selector->terms, selector->n_terms + 1, sizeof(*selector->terms));
		struct term *term = &selector->terms[selector->n_terms++];
		*term = (struct term){ 0 };
		int rc = parse_term(p, term);
		if (rc < 0)
			return rc;
	} while (accept(p, ","));
	if (*p->at == '\0')
		return 0;
	const struct term *last = &selector->terms[selector->n_terms - 1];
	return expected(p, last->any && !last->opposite ? "',', '=', '!=', 'in' or 'notin'" : "','");
}

int
selector_parse(const char *text, struct selector **out, struct err *err)
{
	struct parser parser = { .text = text, .at = text, .err = err };
	struct selector *selector;
	int rc;

	if (strnlen(text, SELECTOR_MAX + 1) > SELECTOR_MAX)
		return err_set(err, -EINVAL, "selector: it has more than %d characters", SELECTOR_MAX);
	selector = xcalloc(1, sizeof(*selector));
	rc = parse_terms(&parser, selector);
	if (rc < 0)
		selector_free(selector);
	else
		*out = selector;
	return rc;
}

void
selector_free(struct selector *selector)
{
	if (!selector)
		return;
	for (size_t i = 0; i < selector->n_terms; i++) {
		free(selector->terms[i].label);
		mem_strv_p(&selector->terms[i].values);
	}
	free(selector->terms);
	free(selector);
}

/* 'value' NULL: the node has no such label. */
static bool
holds(const struct term *term, const char *value)
{
	bool found = value && term->any;

	for (size_t i = 0; value && !found && i < term->n_values; i++)
		found = strcmp(term->values[i], value) == 0;
	return found != term->opposite;
}

static const char *
value_of(const char *label, const char *name, Gdr__Node__LabelsEntry *const *labels, size_t n_labels)
{
	return strcmp(label, "name") == 0 ? name : PB_MAP_GET(labels, n_labels, label);
}

bool
selector_matches(const struct selector *selector, const char *name, Gdr__Node__LabelsEntry *const *labels,
		 size_t n_labels)
{
	for (size_t i = 0; i < selector->n_terms; i++) {
		const struct term *term = &selector->terms[i];

		if (!holds(term, value_of(term->label, name, labels, n_labels)))
			return false;
	}
	return true;
}
