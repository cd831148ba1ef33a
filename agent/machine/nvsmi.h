#pragma once

/* nvsmi.h - what nvidia-smi says, understood: tables of --query-gpu and of supported clocks, NVLink, and the endings
 * of its setters.  Pure: text in, structs out; agent/machine/gpus.h runs the tool.
 *
 * Columns are found by the header's names, which drivers rename and drop; a cell is a value or the reason why there
 * is none.  The exit status says little: setters exit 0 on "not supported ... moving on". */

#include <stdbool.h>
#include <stddef.h>

struct err;

/* What is asked of a GPU; the names are in nvsmi.c. */
enum nvsmi_field {
	NVSMI_BUS,
	NVSMI_NAME,
	NVSMI_UUID,
	NVSMI_DRIVER,
	NVSMI_PERSISTENCE,
	NVSMI_MIG,
	NVSMI_CLOCK_GRAPHICS,
	NVSMI_CLOCK_MEMORY,
	NVSMI_MAX_GRAPHICS,
	NVSMI_MAX_MEMORY,
	NVSMI_APP_GRAPHICS,
	NVSMI_APP_MEMORY,
	NVSMI_ECC,
	NVSMI_REMAP_PENDING,
	NVSMI_REMAP_FAILURE,
	NVSMI_RECOVERY,
	NVSMI_HW_SLOWDOWN,
	NVSMI_HW_THERMAL,
	NVSMI_HW_BRAKE,
	NVSMI_SW_THERMAL,
	NVSMI_SW_POWER,
	NVSMI_LINK_GEN,
	NVSMI_LINK_GEN_MAX,
	NVSMI_LINK_WIDTH,
	NVSMI_LINK_WIDTH_MAX,
	NVSMI_FABRIC_STATE,
	NVSMI_FABRIC_STATUS,
};
#define NVSMI_FIELDS 27

enum nvsmi_has {
	NVSMI_SILENT,      /* This driver has no such column. */
	NVSMI_VALUE,       /* 'text' is it, without its unit. */
	NVSMI_NOT_THERE,   /* [N/A], [Not Supported]: the card has none. */
	NVSMI_GONE,        /* [Requested functionality has been deprecated] */
	NVSMI_NOT_ALLOWED, /* [Insufficient Permissions] */
	NVSMI_TROUBLE,     /* [Unknown Error], [GPU requires reset], [GPU is lost] */
};
struct nvsmi_cell {
	enum nvsmi_has has;
	char *text; /* As it is printed; NULL where 'has' is NVSMI_SILENT. */
};

struct nvsmi_gpu {
	char address[24]; /* As sysfs has it: "0000:b9:00.0"; "" if the tool did not say. */
	bool lost;        /* The driver cannot reach it any more; it has no cells. */
	struct nvsmi_cell cells[NVSMI_FIELDS];
};
struct nvsmi_gpus {
	struct nvsmi_gpu *v;
	size_t n;
};

/* The argument of --query-gpu, of every field that 'help' (what --help-query-gpu prints) knows; NULL: all, by their
 * newest names.  The caller frees. */
char *nvsmi_query(const char *help);
/* What a query printed, with its header; lost GPUs are told of in lines between.  -EBADMSG: there is no table. */
int nvsmi_parse_gpus(const char *text, struct nvsmi_gpus *out, struct err *err);
void nvsmi_gpus_free(struct nvsmi_gpus *gpus);

/* The value, or NULL: there is none. */
const char *nvsmi_value(const struct nvsmi_gpu *gpu, enum nvsmi_field field);
/* Its number, or -1. */
long nvsmi_number(const struct nvsmi_gpu *gpu, enum nvsmi_field field);
/* "00000000:0B:00.0" as sysfs has it: "0000:0b:00.0".  False: it is no address. */
bool nvsmi_address(const char *text, char out[24]);
/* Of a field, as the newest tools call it: "clocks.max.graphics". */
const char *nvsmi_field_name(enum nvsmi_field field);

struct nvsmi_pair {
	char address[24];
	unsigned memory, graphics; /* MHz */
};
struct nvsmi_pairs {
	struct nvsmi_pair *v;
	size_t n;
};
/* --query-supported-clocks=gpu_bus_id,mem,gr --format=csv,noheader,nounits: rows that are none are left out. */
void nvsmi_parse_pairs(const char *text, struct nvsmi_pairs *out);
void nvsmi_pairs_free(struct nvsmi_pairs *pairs);
/* The highest memory clock, with the highest graphics clock that goes with it (not the highest of all).  NULL: none. */
const struct nvsmi_pair *nvsmi_best_pair(const struct nvsmi_pairs *pairs, const char *address);

/* `nvidia-smi nvlink -s`: how many links of each GPU are up, in the order of the list.  -1: no GPU 'index'. */
int nvsmi_nvlinks(const char *text, unsigned index, unsigned *inactive);
/* `nvidia-smi -L`: GPUs, without their MIG devices. */
size_t nvsmi_count(const char *list);

enum nvsmi_said {
	NVSMI_APPLIED,
	NVSMI_UNSUPPORTED, /* The card cannot. */
	NVSMI_DEPRECATED,  /* The driver no longer can. */
	NVSMI_DENIED,      /* Not root, or the hypervisor keeps it. */
	NVSMI_LOST,        /* That GPU is not reachable. */
	NVSMI_NO_DRIVER,
	NVSMI_FAILED, /* Anything else. */
};
/* What stdout and stderr come down to; '*reason' gets one line of it (the caller frees). */
enum nvsmi_said nvsmi_said(const char *out, const char *err_text, int status, char **reason);
const char *nvsmi_said_name(enum nvsmi_said said); /* "applied" */
