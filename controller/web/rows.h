#pragma once

/* rows.h - the fleet as one JSON object a node: what the matrix of the dashboard is drawn from.
 *
 * A row is a NodeView without what nobody sees there, rendered once when its node changes; ten thousand of them are
 * then as cheap as a copy.  Each change has a serial, by which a page that was told up to one is told the rest. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct fleet;
struct rows;

struct rows *rows_new(struct fleet *fleet);
void rows_free(struct rows *rows);

/* Renders nodes that changed, those that wait longest first, for at most 'budget_ms'. */
void rows_update(struct rows *rows, uint64_t now_ms, int64_t budget_ms);

/* The newest serial. */
uint64_t rows_serial(const struct rows *rows);
/* Rows are gone since: who has seen only that looks at all of them again. */
bool rows_must_reset(const struct rows *rows, uint64_t since);
/* Appends rows with a serial above 'since', comma between; all of them, by name, if it is 0.  At most 'max', oldest first; the
 * serial that they reach to. */
uint64_t rows_print(const struct rows *rows, uint64_t since, size_t max, struct buf *out);
