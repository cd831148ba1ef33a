#pragma once

/* mlxconfig.h - what mlxconfig and mstconfig say, understood: tables of non-volatile settings, the endings of
 * `set`, and errors.  Pure: text in, structs out; layers/nic.c runs the tool.
 *
 * One rule reads the text of every version from 4.6 to 4.36, which differ in widths, columns and labels: neither
 * names nor values hold blanks, so a row is split at blanks and has as many values as the header has columns.
 * Widths and the labels' positions mean nothing. */

#include <stdbool.h>
#include <stddef.h>

struct err;

enum mlx_column {
	MLX_DEFAULT, /* The factory's. */
	MLX_CURRENT, /* Loaded at the last reset. */
	MLX_NEXT,    /* Stored: what the next reset loads. */
	MLX_NEW,     /* What `set` is about to store. */
};
#define MLX_COLUMNS 4

struct mlx_row {
	char *name;               /* "MAX_ACC_OUT_READ", "ESWITCH_HAIRPIN_DESCRIPTORS[3]" */
	char *value[MLX_COLUMNS]; /* "True(1)", "44", "N/A"; NULL: no such column. */
	bool changed;             /* '*': next differs from default or current; not that a reboot is pending. */
	bool read_only;
};

struct mlx_device {
	char *type;    /* "ConnectX6DX"; any of these may be NULL. */
	char *name;    /* Part number, or "N/A". */
	char *address; /* As the tool was asked: "0000:3b:00.0", "/dev/mst/..." */
	bool shown[MLX_COLUMNS];
	struct mlx_row *rows;
	size_t n;
	size_t odd;    /* Lines that look like rows and are none: the table is not whole. */
	char *trouble; /* The "-E-" after the rows, or NULL. */
};

struct mlx_output {
	struct mlx_device *devices;
	size_t n;
};

/* Everything that a query printed on stdout.  No table at all is -EBADMSG, with the tool's reason.  Free '*out' in
 * any case. */
int mlxconfig_parse(const char *text, struct mlx_output *out, struct err *err);
/* The same from the file that `-j FILE` writes (4.31 and newer). */
int mlxconfig_parse_json(const char *text, struct mlx_output *out, struct err *err);
void mlxconfig_free(struct mlx_output *out);

/* The row with exactly this name, or NULL. */
const struct mlx_row *mlxconfig_find(const struct mlx_device *device, const char *name);

/* The value in a column, or NULL: no such column, or the tool could not read it ("N/A"). */
const char *mlxconfig_value(const struct mlx_row *row, enum mlx_column column);

enum mlx_match {
	MLX_SAME,
	MLX_OTHER,
	MLX_NO_TELLING, /* A name here and a bare number there: this tool does not know the name. */
};
/* By meaning: "true", "True", "1" and "True(1)" are the same. */
enum mlx_match mlxconfig_compare(const char *want, const char *shown);
/* False, 0 or absent. */
bool mlxconfig_is_off(const char *value);
/* 'value' as `set` takes it; the caller frees. */
char *mlxconfig_argument(const char *value);

enum mlx_said {
	MLX_REBOOT,       /* set: stored, a reboot loads it. */
	MLX_POWER_CYCLE,  /* set: stored, but a warm reboot would not load it. */
	MLX_NOT_ARMED,    /* set: stored, "Skipped reset preparation": neither would one load this. */
	MLX_DONE,         /* set: stored, without a word about what loads it. */
	MLX_REFUSED,      /* set: the firmware took it not, or not all of it. */
	MLX_ABORTED,      /* The tool asked a question and got no answer. */
	MLX_UNKNOWN_NAME, /* The tool knows no such parameter: it is too old (or the name is wrong). */
	MLX_LACKS_NAME,   /* The card does not have the parameter, or hides it. */
	MLX_TOO_OLD,      /* The tool does not know an option or the card. */
	MLX_LOCKED,       /* The kernel keeps the tool from the card: lockdown, or not root. */
	MLX_NO_DEVICE,    /* It cannot be opened. */
	MLX_NO_ACCESS,    /* The firmware does not let the tool at its settings. */
	MLX_BUSY,         /* Somebody else has the card: worth another try. */
	MLX_FAILED,       /* Anything else. */
};
/* What the tool's stdout and stderr come down to; '*reason' gets one line of it (the caller frees). */
enum mlx_said mlxconfig_said(const char *out, const char *err_text, char **reason);
