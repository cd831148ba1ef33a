#include "agent/machine/nccltests.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "common/mem.h"

#define COLUMNS_MAX 24

/* Splits 'line' at blanks in place. */
static size_t
split(char *line, char *words[COLUMNS_MAX])
{
	size_t n = 0;

	for (char *word = strsep(&line, " \t\r"); word && n < COLUMNS_MAX; word = strsep(&line, " \t\r"))
		if (*word)
			words[n++] = word;
	return n;
}

static bool
is_number(const char *word)
{
	return isdigit((unsigned char)*word) && word[strspn(word, "0123456789.")] == '\0';
}

/* size count type redop root, then time algbw busbw #wrong for out-of-place and in-place; newer versions add columns
 * behind them. */
static bool
read_row(char *const *words, size_t n, struct nccltests *out)
{
	if (n < 13 || !is_number(words[0]) || !is_number(words[1]) || !isalpha((unsigned char)*words[2]))
		return false;
	for (size_t i = 5; i < 12; i++)
		if (i != 8 && !is_number(words[i]))
			return false;
	unsigned long long bytes = strtoull(words[0], NULL, 10);
	out->rows++;
	out->wrong = out->wrong || strtod(words[8], NULL) > 0 || strtod(words[12], NULL) > 0;
	if (bytes < out->bytes)
		return true;
	out->bytes = bytes;
	out->out_of_place = strtod(words[7], NULL);
	out->in_place = strtod(words[11], NULL);
	return true;
}

static void
read_comment(const char *line, struct nccltests *out)
{
	const char *word = line + 1 + strspn(line + 1, " ");

	out->ranks += strncmp(word, "Rank ", 5) == 0 && strstr(word, " Group ") != NULL;
	out->wrong = out->wrong || (strstr(line, "Out of bounds values") && strstr(line, "FAILED"));
	out->failed = out->failed || (strstr(line, "Avg bus bandwidth") && strstr(line, "FAILED"));
}

int
nccltests_parse(const char *text, struct nccltests *out, struct err *err)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	char *words[COLUMNS_MAX];

	*out = (struct nccltests){ 0 };
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (*line == '#') {
			read_comment(line, out);
			continue;
		}
		out->failed = out->failed || strstr(line, "Test NCCL failure") || strstr(line, "Test CUDA failure");
		(void)read_row(words, split(line, words), out);
	}
	if (out->rows == 0)
		return err_set(err, -EBADMSG, "no row of measurements%s", out->failed ? ": the test failed" : "");
	return 0;
}

double
nccltests_busbw(const struct nccltests *tests)
{
	return tests->in_place < tests->out_of_place ? tests->in_place : tests->out_of_place;
}

/* #bytes #iterations peak average rate */
double
nccltests_ib_write(const char *text)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	char *words[COLUMNS_MAX];
	double average = -1;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		size_t n = split(line, words);
		bool row = n >= 5;
		for (size_t i = 0; i < 5 && row; i++)
			row = is_number(words[i]);
		if (row)
			average = strtod(words[3], NULL);
	}
	return average;
}

/* The second cell of a row, which a word of NVIDIA's begins: "| PCIe | Fail - GPU: 3 |".  "": there is none. */
static const char *
second_cell(const char *line)
{
	const char *bar = strchr(line + 1, '|');

	return bar ? bar + 1 + strspn(bar + 1, " ") : "";
}

/* "PCIe: Fail - GPU: 3" */
static char *
row_text(const char *line, const char *cell)
{
	size_t cell_len = strcspn(cell, "|");
	size_t len;

	line += strspn(line, "| ");
	len = strcspn(line, "|");
	while (len > 0 && line[len - 1] == ' ')
		len--;
	while (cell_len > 0 && cell[cell_len - 1] == ' ')
		cell_len--;
	return xasprintf("%.*s: %.*s", (int)len, line, (int)cell_len, cell);
}

/* Rows "| NAME | Pass |"; what was aborted has none, and one of a test that was skipped says "Skip". */
enum nccltests_diag
nccltests_dcgmi(const char *text, int status, char **what)
{
	auto_free char *copy = xstrdup(text);
	char *rest = copy;
	bool passed = false;

	*what = NULL;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (*line != '|')
			continue;
		const char *cell = second_cell(line);
		passed = passed || strncmp(cell, "Pass", 4) == 0;
		if (strncasecmp(cell, "fail", 4) == 0 && !*what)
			*what = row_text(line, cell);
	}
	if (*what)
		return NCCLTESTS_FAIL;
	return passed && status == 0 ? NCCLTESTS_PASS : NCCLTESTS_UNKNOWN;
}
