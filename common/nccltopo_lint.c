#include "common/nccltopo_lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/utf8.h"

/* Keeps them in the order of the file; takes 'text'. */
static void
add(struct nccltopo_findings *out, const struct nccltopo_rule *rule, unsigned line, unsigned col, char *text)
{
	size_t at = out->n;

	utf8_clean(text);
	out->list = xrealloc(out->list, out->n + 1, sizeof(*out->list));
	while (at > 0 &&
	       (out->list[at - 1].line > line || (out->list[at - 1].line == line && out->list[at - 1].col > col)))
		at--;
	memmove(out->list + at + 1, out->list + at, (out->n - at) * sizeof(*out->list));
	out->list[at] = (struct nccltopo_finding){ .rule = rule, .line = line, .col = col, .text = text };
	out->n++;
	out->errors += rule->severity == NCCLTOPO_ERROR;
}

void
nccltopo_find(struct nccltopo_judge *judge, const struct nccltopo_node *node, const char *attr, const char *fmt, ...)
{
	unsigned line = node->line;
	unsigned col = node->col;
	char text[512];
	va_list args;

	for (size_t i = 0; attr && i < node->n_attrs; i++)
		if (strcmp(node->attrs[i].name, attr) == 0) {
			line = node->attrs[i].line;
			col = node->attrs[i].col;
			break;
		}
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add(judge->out, judge->rule, line, col, xstrdup(text));
}

/* The root stands for the file. */
static bool
looks_at(const struct nccltopo_rule *rule, const struct nccltopo_node *node)
{
	return rule->check && (!rule->on || strcmp(rule->on, node->name) == 0);
}

void
nccltopo_lint(const char *text, size_t len, const struct nccltopo_facts *facts, struct nccltopo_findings *out)
{
	struct nccltopo_error error = { 0 };
	struct nccltopo_node *root = nccltopo_parse(text, len, facts->nccl, &error);
	struct nccltopo_judge judge = { .text = text, .len = len, .root = root, .facts = facts, .out = out };

	*out = (struct nccltopo_findings){ 0 };
	if (!root)
		add(out, &nccltopo_rules[0], error.line, error.col, xstrdup(error.what));
	for (const struct nccltopo_node *node = root; node; node = nccltopo_next(node))
		for (size_t i = 0; i < nccltopo_rules_len; i++) {
			judge.rule = &nccltopo_rules[i];
			if (looks_at(judge.rule, node))
				judge.rule->check(&judge, node);
		}
	nccltopo_free(root);
}

void
nccltopo_findings_free(struct nccltopo_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		free(findings->list[i].text);
	free(findings->list);
	*findings = (struct nccltopo_findings){ 0 };
}

/* --- printed ------------------------------------------------------------------------------------------- */

static const char *
severity(const struct nccltopo_rule *rule)
{
	return rule->severity == NCCLTOPO_ERROR ? "error" : "warning";
}

static void
print_line(const struct nccltopo_finding *finding, const char *file, struct buf *out)
{
	buf_puts(out, file);
	if (finding->line)
		buf_printf(out, ":%u:%u", finding->line, finding->col);
	buf_printf(out, ": %s %s: %s; %s\n", severity(finding->rule), finding->rule->id, finding->text,
		   finding->rule->remedy);
}

static void
print_object(const struct nccltopo_finding *finding, struct buf *out)
{
	buf_printf(out, "    {\"rule\": \"%s\", \"severity\": \"%s\", \"line\": %u, \"column\": %u, \"text\": ",
		   finding->rule->id, severity(finding->rule), finding->line, finding->col);
	buf_json(out, finding->text);
	buf_puts(out, ", \"remedy\": ");
	buf_json(out, finding->rule->remedy);
	buf_puts(out, "}");
}

void
nccltopo_findings_print(const struct nccltopo_findings *findings, const char *file, bool json, struct buf *out)
{
	if (json) {
		buf_puts(out, "{\n  \"file\": ");
		buf_json(out, file);
		buf_printf(out, ",\n  \"errors\": %zu,\n  \"warnings\": %zu,\n  \"findings\": [", findings->errors,
			   findings->n - findings->errors);
	}
	for (size_t i = 0; i < findings->n; i++) {
		if (!json) {
			print_line(&findings->list[i], file, out);
			continue;
		}
		buf_puts(out, i > 0 ? ",\n" : "\n");
		print_object(&findings->list[i], out);
	}
	if (json)
		buf_puts(out, findings->n > 0 ? "\n  ]\n}\n" : "]\n}\n");
}
