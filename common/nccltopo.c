#include "common/nccltopo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"

/* --- the tree ------------------------------------------------------------------------------------------ */

struct nccltopo_node *
nccltopo_new(void)
{
	struct nccltopo_node *root = xcalloc(1, sizeof(*root));

	root->name = xstrdup("");
	return root;
}

static void
cut_out(const struct nccltopo_node *node)
{
	struct nccltopo_node *parent = node->parent;
	size_t i = 0;

	if (!parent)
		return;
	while (parent->nodes[i] != node)
		i++;
	parent->n_nodes--;
	memmove(parent->nodes + i, parent->nodes + i + 1, (parent->n_nodes - i) * sizeof(*parent->nodes));
}

void
nccltopo_free(struct nccltopo_node *node)
{
	if (!node)
		return;
	while (node->n_nodes > 0)
		nccltopo_free(node->nodes[node->n_nodes - 1]);
	cut_out(node);
	for (size_t i = 0; i < node->n_attrs; i++) {
		free(node->attrs[i].name);
		free(node->attrs[i].value);
	}
	free(node->attrs);
	free(node->nodes);
	free(node->name);
	free(node);
}

/* As NCCL has it, the first of several of that name counts. */
static struct nccltopo_attr *
find_attr(const struct nccltopo_node *node, const char *name)
{
	for (size_t i = 0; i < node->n_attrs; i++)
		if (strcmp(node->attrs[i].name, name) == 0)
			return &node->attrs[i];
	return NULL;
}

const char *
nccltopo_get(const struct nccltopo_node *node, const char *attr)
{
	const struct nccltopo_attr *found = find_attr(node, attr);

	return found ? found->value : NULL;
}

void
nccltopo_set(struct nccltopo_node *node, const char *attr, const char *value)
{
	struct nccltopo_attr *found = find_attr(node, attr);

	if (!found) {
		node->attrs = xrealloc(node->attrs, node->n_attrs + 1, sizeof(*node->attrs));
		found = &node->attrs[node->n_attrs++];
		*found = (struct nccltopo_attr){ .name = xstrdup(attr) };
	}
	char *old = found->value;
	found->value = xstrdup(value);
	free(old);
}

struct nccltopo_node *
nccltopo_add(struct nccltopo_node *node, const char *name)
{
	struct nccltopo_node *child = xcalloc(1, sizeof(*child));

	child->name = xstrdup(name);
	child->parent = node;
	node->nodes = xrealloc(node->nodes, node->n_nodes + 1, sizeof(struct nccltopo_node *));
	node->nodes[node->n_nodes++] = child;
	return child;
}

struct nccltopo_node *
nccltopo_child(const struct nccltopo_node *node, const char *name)
{
	for (size_t i = 0; i < node->n_nodes; i++)
		if (!node->nodes[i]->ignored && strcmp(node->nodes[i]->name, name) == 0)
			return node->nodes[i];
	return NULL;
}

/* The first child from 'i' on that NCCL does not read past. */
static struct nccltopo_node *
child_from(const struct nccltopo_node *node, size_t i)
{
	while (i < node->n_nodes && node->nodes[i]->ignored)
		i++;
	return i < node->n_nodes ? node->nodes[i] : NULL;
}

struct nccltopo_node *
nccltopo_next(const struct nccltopo_node *node)
{
	struct nccltopo_node *next = child_from(node, 0);

	for (; !next && node->parent; node = node->parent) {
		size_t i = 0;

		while (node->parent->nodes[i] != node)
			i++;
		next = child_from(node->parent, i + 1);
	}
	return next;
}

struct nccltopo_node *
nccltopo_find_pci(const struct nccltopo_node *root, const char *busid)
{
	for (struct nccltopo_node *node = nccltopo_next(root); node; node = nccltopo_next(node)) {
		const char *have = strcmp(node->name, "pci") == 0 ? nccltopo_get(node, "busid") : NULL;

		if (have && strcmp(have, busid) == 0)
			return node;
	}
	return NULL;
}

/* --- the writer ---------------------------------------------------------------------------------------- */

static void
write_start(const struct nccltopo_node *node, struct buf *out)
{
	buf_printf(out, "<%s", node->name);
	for (size_t i = 0; i < node->n_attrs; i++) {
		const struct nccltopo_attr *attr = &node->attrs[i];

		if (!attr->name[0]) /* Two blanks in a row are an attribute without a name to NCCL. */
			continue;
		buf_printf(out, " %s=\"", attr->name);
		for (const char *c = attr->value; *c; c++) /* One in single quotes may hold a double one. */
			buf_add(out, *c == '"' ? "'" : c, 1);
		buf_puts(out, "\"");
	}
}

static void
write_nodes(const struct nccltopo_node *node, int indent, struct buf *out)
{
	for (size_t i = 0; i < node->n_nodes; i++) {
		const struct nccltopo_node *sub = node->nodes[i];

		if (sub->ignored)
			continue;
		buf_printf(out, "%*s", indent, "");
		write_start(sub, out);
		if (!child_from(sub, 0)) {
			buf_puts(out, "/>\n");
			continue;
		}
		buf_puts(out, ">\n");
		write_nodes(sub, indent + 2, out);
		buf_printf(out, "%*s</%s>\n", indent, "", sub->name);
	}
}

void
nccltopo_write(const struct nccltopo_node *root, struct buf *out)
{
	write_nodes(root, 0, out);
}

/* --- values -------------------------------------------------------------------------------------------- */

void
nccltopo_set_link(struct nccltopo_node *pci, const char *speed, unsigned width)
{
	double gts = speed ? strtod(speed, NULL) : 0;
	auto_free char *written = gts > 0 && gts <= 32 ? xasprintf("%g GT/s", gts)
						       : xstrdup(gts > 0 ? speed : "16 GT/s");
	auto_free char *lanes = xasprintf("%u", width ? width : 16);

	nccltopo_set(pci, "link_speed", written);
	nccltopo_set(pci, "link_width", lanes);
}

#define WORDS 32 /* 1024 CPUs, as many as NCCL has bits for. */

/* "0-23" or "48", of which '*at' becomes what follows; false: neither. */
static bool
take_range(const char **at, unsigned long *first, unsigned long *last)
{
	char *end;

	*first = *last = strtoul(*at, &end, 10);
	if (end == *at)
		return false;
	if (*end == '-') {
		const char *from = end + 1;

		*last = strtoul(from, &end, 10);
		if (end == from)
			return false;
	}
	*at = *end == ',' ? end + 1 : end;
	return *last >= *first && (!*end || *end == ',');
}

char *
nccltopo_affinity(const char *list, unsigned total)
{
	uint32_t words[WORDS] = { 0 };
	unsigned n = (total + 31) / 32;
	unsigned long first;
	unsigned long last;
	struct buf out = { 0 };

	if (n > WORDS)
		return NULL;
	while (*list) {
		if (!take_range(&list, &first, &last) || last >= total)
			return NULL;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			words[cpu / 32] |= 1U << cpu % 32;
	}
	while (n-- > 0)
		buf_printf(&out, "%s%08x", out.len ? "," : "", words[n]);
	return buf_steal(&out);
}
