/* The shortest edit after Myers, "An O(ND) difference algorithm" (1986): equal heads and tails are cut
 * off first, then the furthest reaching points of each distance are kept, and walked back through.
 * Texts too different for that are shown as one replacement. */

#include "controller/ctl/textdiff.h"

#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/ctl/text.h"

#define CONTEXT      3
#define DISTANCE_MAX 4000 /* Keeps the trace below 64 MiB. */

struct line {
	const char *text;
	size_t len;
};

struct side {
	struct line *lines;
	int n;
};

struct step {
	char op; /* ' ', '-', '+' */
	struct line line;
};

struct script {
	struct step *steps;
	int n;
};

static struct side
split(const char *text)
{
	struct side side = { .lines = xcalloc(1, sizeof(*side.lines)) };

	while (*text) {
		size_t len = strcspn(text, "\n");

		side.lines = xrealloc(side.lines, (size_t)side.n + 1, sizeof(*side.lines));
		side.lines[side.n++] = (struct line){ text, len };
		text += len + (text[len] == '\n');
	}
	return side;
}

static bool
same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void
push(struct script *script, char op, struct line line)
{
	script->steps = xrealloc(script->steps, (size_t)script->n + 1, sizeof(*script->steps));
	script->steps[script->n++] = (struct step){ op, line };
}

/* One distance's furthest x on each diagonal -d ... d; 'v[k + d]'. */
struct reach {
	int *v;
};

static int
from_above(const struct reach *before, int d, int k)
{
	return before->v[k + 1 + d - 1];
}

static bool
goes_down(const struct reach *before, int d, int k)
{
	return k == -d || (k != d && before->v[k - 1 + d - 1] < from_above(before, d, k));
}

/* Furthest point on diagonal 'k' at distance 'd'. */
static int
furthest(const struct side *a, const struct side *b, const struct reach *before, int d, int k)
{
	int x = 0;

	if (d > 0)
		x = goes_down(before, d, k) ? from_above(before, d, k) : before->v[k - 1 + d - 1] + 1;
	while (x < a->n && x - k < b->n && x - k >= 0 && same(&a->lines[x], &b->lines[x - k]))
		x++;
	return x;
}

/* Fills 'trace' up to the distance that reaches both ends, and returns that; -1: too far. */
static int
search(const struct side *a, const struct side *b, struct reach *trace)
{
	for (int d = 0; d < DISTANCE_MAX && d <= a->n + b->n; d++) {
		trace[d].v = xcalloc((size_t)d * 2 + 1, sizeof(int));
		for (int k = -d; k <= d; k += 2) {
			int x = furthest(a, b, d > 0 ? &trace[d - 1] : NULL, d, k);

			trace[d].v[k + d] = x;
			if (x >= a->n && x - k >= b->n)
				return d;
		}
	}
	return -1;
}

/* The steps from the end to the start. */
static void
walk_back(const struct side *a, const struct side *b, const struct reach *trace, int d, struct script *out)
{
	int x = a->n;
	int y = b->n;

	for (; d > 0; d--) {
		const struct reach *before = &trace[d - 1];
		int k = x - y;
		bool down = goes_down(before, d, k);
		int start = down ? from_above(before, d, k) : before->v[k - 1 + d - 1] + 1;

		for (; x > start; x--, y--)
			push(out, ' ', a->lines[x - 1]);
		if (down)
			push(out, '+', b->lines[--y]);
		else
			push(out, '-', a->lines[--x]);
	}
	for (; x > 0; x--)
		push(out, ' ', a->lines[x - 1]);
}

static void
reverse(struct script *script)
{
	for (int i = 0; i < script->n / 2; i++) {
		struct step kept = script->steps[i];

		script->steps[i] = script->steps[script->n - 1 - i];
		script->steps[script->n - 1 - i] = kept;
	}
}

static void
replace_all(const struct side *a, const struct side *b, struct script *out)
{
	for (int i = 0; i < a->n; i++)
		push(out, '-', a->lines[i]);
	for (int i = 0; i < b->n; i++)
		push(out, '+', b->lines[i]);
}

/* The steps of the part that is left when equal heads and tails are off. */
static void
edit_middle(const struct side *a, const struct side *b, struct script *out)
{
	struct reach *trace = xcalloc(DISTANCE_MAX, sizeof(*trace));
	struct script back = { 0 };
	int d = search(a, b, trace);

	if (d >= 0)
		walk_back(a, b, trace, d, &back);
	reverse(&back);
	for (int i = 0; i < back.n; i++)
		push(out, back.steps[i].op, back.steps[i].line);
	if (d < 0)
		replace_all(a, b, out);
	for (int i = 0; i < DISTANCE_MAX && trace[i].v; i++)
		free(trace[i].v);
	free(trace);
	free(back.steps);
}

static struct script
edit(const struct side *a, const struct side *b)
{
	struct script out = { 0 };
	int head = 0;
	int tail = 0;

	while (head < a->n && head < b->n && same(&a->lines[head], &b->lines[head]))
		head++;
	while (tail < a->n - head && tail < b->n - head && same(&a->lines[a->n - 1 - tail], &b->lines[b->n - 1 - tail]))
		tail++;

	struct side mid_a = { a->lines + head, a->n - head - tail };
	struct side mid_b = { b->lines + head, b->n - head - tail };

	for (int i = 0; i < head; i++)
		push(&out, ' ', a->lines[i]);
	edit_middle(&mid_a, &mid_b, &out);
	for (int i = a->n - tail; i < a->n; i++)
		push(&out, ' ', a->lines[i]);
	return out;
}

static void
print_line(struct buf *out, char op, const struct line *line, bool colour)
{
	struct buf raw = { 0 };
	auto_buf struct buf clean = { 0 };

	buf_add(&raw, &op, 1);
	buf_add(&raw, line->text, line->len);
	text_clean(&clean, raw.text, false);
	buf_free(&raw);
	text_paint(out, colour, op == '-' ? TEXT_RED : op == '+' ? TEXT_GREEN : TEXT_PLAIN, clean.text);
	buf_add(out, "\n", 1);
}

/* First step after the hunk that begins at 'start': changes less than twice CONTEXT apart are one hunk. */
static int
hunk_end(const struct script *script, int start)
{
	int last = start;

	for (int i = start; i < script->n && i - last <= 2 * CONTEXT; i++)
		if (script->steps[i].op != ' ')
			last = i;
	return last + 1 + CONTEXT < script->n ? last + 1 + CONTEXT : script->n;
}

/* Lines of the side without 'other' in steps 'from' to 'to'. */
static int
count(const struct script *script, int from, int to, char other)
{
	int n = 0;

	for (int i = from; i < to; i++)
		n += script->steps[i].op != other;
	return n;
}

static void
print_hunk(const struct script *script, int from, int to, bool colour, struct buf *out)
{
	int old_n = count(script, from, to, '+');
	int new_n = count(script, from, to, '-');
	int old_at = count(script, 0, from, '+') + (old_n > 0);
	int new_at = count(script, 0, from, '-') + (new_n > 0);
	auto_free char *head = xasprintf("@@ -%d,%d +%d,%d @@", old_at, old_n, new_at, new_n);

	text_paint(out, colour, TEXT_CYAN, head);
	buf_add(out, "\n", 1);
	for (int i = from; i < to; i++)
		print_line(out, script->steps[i].op, &script->steps[i].line, colour);
}

static void
print_hunks(const struct script *script, bool colour, struct buf *out)
{
	for (int i = 0; i < script->n; i++) {
		int from = i > CONTEXT ? i - CONTEXT : 0;

		if (script->steps[i].op == ' ')
			continue;
		int end = hunk_end(script, i);
		print_hunk(script, from, end, colour, out);
		i = end - 1;
	}
}

bool
textdiff(const char *old_name, const char *old_text, const char *new_name, const char *new_text, bool colour,
	 struct buf *out)
{
	auto_free char *heads = xasprintf("--- %s\n+++ %s", old_name, new_name);

	if (strcmp(old_text, new_text) == 0)
		return false;

	struct side a = split(old_text);
	struct side b = split(new_text);
	struct script script = edit(&a, &b);

	text_paint(out, colour, TEXT_BOLD, heads);
	buf_add(out, "\n", 1);
	print_hunks(&script, colour, out);
	free(script.steps);
	free(a.lines);
	free(b.lines);
	return true;
}
