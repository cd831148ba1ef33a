#pragma once

/* cells.h - the cells of a table's columns (output.h): most show one field of their message. */

#include <inttypes.h>

#include "common/buf.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/text.h"

#define CELL(name) static void name(const struct ctl *ctl, const void *message, struct buf *out)

/* 'text' is an expression over 'message'; NULL: nothing. */
#define CELL_OF(name, text)          \
	CELL(name)                   \
	{                            \
		(void)ctl;           \
		cell_put(out, text); \
	}

/* One field as text, as a number, or its age. */
#define CELL_TEXT(name, type, field) CELL_OF(name, ((const type *)message)->field)
#define CELL_NUMBER(name, type, field)                                  \
	CELL(name)                                                      \
	{                                                               \
		const type *shown = message;                            \
		(void)ctl;                                              \
		cell_put_number(out, shown->has_##field, shown->field); \
	}
#define CELL_AGE(name, type, field)                                       \
	CELL(name)                                                        \
	{                                                                 \
		const type *shown = message;                              \
		cell_put_age(ctl, out, shown->has_##field, shown->field); \
	}

static inline void
cell_put(struct buf *out, const char *text)
{
	buf_puts(out, text ? text : "");
}

static inline void
cell_put_number(struct buf *out, protobuf_c_boolean has, uint64_t value)
{
	if (has)
		buf_printf(out, "%" PRIu64, value);
}

static inline void
cell_put_age(const struct ctl *ctl, struct buf *out, protobuf_c_boolean has, uint64_t then_ms)
{
	if (has && then_ms > 0)
		text_age(out, then_ms, ctl->ops->wall_ms(ctl->arg));
}
