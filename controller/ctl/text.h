#pragma once

/* text.h - how gdrctl shows single values to people: cleaned, measured, coloured, as ages and times.
 *
 * Nodes choose much of what is shown, so nothing of theirs reaches a terminal before text_clean(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum text_colour {
	TEXT_PLAIN,
	TEXT_GREEN,
	TEXT_YELLOW,
	TEXT_RED,
	TEXT_CYAN,
	TEXT_DIM,
	TEXT_BOLD,
};

/* Sets the character type locale that text_width() measures in. */
void text_init(void);

/* Appends 's' with what could steer a terminal or break a line replaced: control characters (C0, DEL,
 * C1), bidirectional overrides and broken UTF-8 by '?', line breaks and tabs by a blank, unless 'lines'. */
void text_clean(struct buf *out, const char *s, bool lines);

/* Columns that 's', cleaned, takes on a terminal. */
size_t text_width(const char *s);

/* "45s", "3m", "2h", "5d" from 'then' to 'now' (Unix time, milliseconds); "0s" if that is the future. */
void text_age(struct buf *out, uint64_t then_ms, uint64_t now_ms);
/* A length of time by its two largest units: "45s", "4m10s", "2h", "5d3h". */
void text_span(struct buf *out, uint64_t ms);
/* "2026-05-01 12:30:05", local time. */
void text_time(struct buf *out, uint64_t ms);
/* "64 GiB" */
void text_bytes(struct buf *out, uint64_t bytes);

/* 's' in 'colour', or as it is if 'on' is false. */
void text_paint(struct buf *out, bool on, enum text_colour colour, const char *s);
