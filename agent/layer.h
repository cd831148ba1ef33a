#pragma once

/* layer.h - the contract between converge.c and one layer of a machine.
 *
 * A layer compares what the spec wants with what the machine has, item by item, and can put one item right.
 * It never decides whether to act, in what order, or when to reboot: converge.c does, from the items alone.
 * Layers run one at a time, in the worker process, and may block.
 *
 * To add one: a message in proto/spec.proto, agent/layers/NAME.c that defines 'const struct layer
 * layer_NAME', and its line in common/layers.def.  Nothing else knows a layer by name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

struct err;
struct host;
struct journal;
struct pci;

/* What a layer may look at during one pass. */
struct machine {
	struct host *host;
	struct pci *pci; /* NULL: no PCI bus here. */
	const Gdr__Inventory *inventory;
	const struct journal *journal; /* Values before our changes: agent/journal.h. */
};

enum fix {
	FIX_NONE = GDR__FIX__FIX_NONE,     /* It is right. */
	FIX_LIVE = GDR__FIX__FIX_LIVE,     /* apply() does it now. */
	FIX_STAGE = GDR__FIX__FIX_STAGE,   /* apply() stages it for the next boot; then it is FIX_BOOT. */
	FIX_BOOT = GDR__FIX__FIX_BOOT,     /* Staged: only the reboot is missing. */
	FIX_MANUAL = GDR__FIX__FIX_MANUAL, /* A person must act, for example in the BIOS. */
};

/* What becomes of the value that an item had before our very first change. */
enum keep {
	KEEP_NOT,
	KEEP_VALUE,   /* The journal keeps it. */
	KEEP_RESTORE, /* And the layer puts it back once nobody wants the item any more: journal_kept(). */
	KEEP_BACK,    /* This item is just that: once it is right, the journal forgets the value. */
};

/* One line of a report.  The wire, the store, gdrctl and the dashboard show it as it is. */
struct item {
	char *key; /* Unique within the layer: "node0", "0000:17:00.0/acs". */
	char *want;
	char *have;
	enum fix fix;
	char *why;            /* NULL, or one line: why it is not right and what to do about it. */
	char *factory;        /* NULL, or what its maker set, */
	char *next;           /* and what the next boot loads, where that is kept apart from what it has. */
	Gdr__Check *check;    /* NULL, or what a check of readiness says beyond that. */
	uint64_t measured_ms; /* When, if it was not at this pass; 0: it was. */
	/* For converge.c alone, and not reported: */
	unsigned boots; /* FIX_STAGE, FIX_BOOT: boots until it is right, 0 for one.  FIX_BOOT with more than one: it can
			   be staged only in a boot to come, and nothing of it is yet. */
	enum keep keep;
	char *unlock; /* NULL, or the key of the item without which this one is hidden. */
	bool reload;  /* FIX_BOOT: reload() may do instead of the boot. */
	char *had;    /* NULL, or what this pass found before it put the item right: converge.c's. */
	/* For layer readiness: right, as it is all that this machine can do, and less than the spec asks. */
	bool clamped;
};

/* What one layer found.  It owns its items and their strings. */
struct report {
	struct item *items;
	size_t n;
	Gdr__Vm **vms; /* For the report to the controller: what no item can say of the VMs. */
	size_t n_vms;
};

/* Adds an item as the layer judged it (want and have need not be equal texts to be right); copies.
 * 'why' may be NULL and is a printf format otherwise. */
void report_add(struct report *out, const char *key, const char *want, const char *have, enum fix fix, const char *why,
		...) __attribute__((format(printf, 6, 7)));
void report_free(struct report *report);

struct layer {
	/* True if 'spec' says something about this layer. */
	bool (*wanted)(const Gdr__Spec *spec);

	/* Adds one item for each thing it looks after.  Reads only.  0 or a negative errno. */
	int (*inspect)(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err);

	/* Does one FIX_LIVE or FIX_STAGE item; must be safe to repeat.  Success is not believed but seen: converge.c
	 * inspects again, and an item that still asks for the same has failed. */
	int (*apply)(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err);

	/* Loads what is staged without a boot, for those items of the last inspect() that say 'reload'; the host is
	 * drained.  May be NULL.  Success is seen here, too: what is not loaded goes on waiting for a boot. */
	int (*reload)(const struct machine *machine, const struct report *report, struct err *err);
};

struct named_layer {
	const char *name;
	const struct layer *layer;
};
