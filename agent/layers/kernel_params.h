#pragma once

/* kernel_params.h - from the spec and the machine to what the kernel must be told: its parameters, and what modprobe
 * must know. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/layer.h"

/* How a parameter on the running command line is compared with ours. */
enum param_kind {
	PARAM_EXACT,  /* The whole word is there. */
	PARAM_OPTION, /* Our value is among its comma-separated ones, and "off" is not. */
	PARAM_LIST,   /* All our values are among its comma-separated ones. */
	PARAM_SIZE,   /* default_hugepagesz, hugepagesz: the same size. */
	PARAM_PAGES,  /* hugepages: what counts for our size. */
};

struct param {
	enum param_kind kind;
	char *name;    /* "iommu" */
	char *text;    /* "iommu=pt": what is wanted, and staged. */
	char *merged;  /* PARAM_LIST: 'text' with the values that others gave; else NULL. */
	uint64_t size; /* PARAM_PAGES. */
};

struct params {
	struct param *v;
	size_t n;
};
#define auto_params __attribute__((cleanup(params_free)))

/* Everything that 'spec' and the devices of the machine ask for, in the order in which it goes on the line; 'others'
 * is what the next boot has from elsewhere. */
void params_wanted(const struct machine *machine, const Gdr__Spec *spec, const char *const others[],
		   struct params *out);
void params_free(struct params *params);
/* True if 'line', split, gives the kernel what 'param' asks for. */
bool param_holds(const struct param *param, const char *const line[]);
/* As it is staged. */
const char *param_staged(const struct param *param);
/* The words of 'line' with this parameter's name, joined; "absent" if there is none.  The caller frees. */
char *param_seen(const struct param *param, const char *const line[]);

/* "10de:1af1,10de:20b0": GPUs and NVSwitches that vfio-pci shall have, and the spec's own ids; sorted, each once; ""
 * if there is none.  The caller frees. */
char *vfio_ids(const struct machine *machine, const Gdr__Spec *spec);
/* True if vfio-pci shall have this device. */
bool vfio_wants(const Gdr__Spec *spec, const Gdr__PciDevice *device);
/* /etc/modprobe.d/gdrfleet.conf as it shall be; NULL: nothing for it.  The caller frees. */
char *modprobe_wanted(const struct machine *machine, const Gdr__Spec *spec);
/* Numbers of "5.15.0-91-generic" one by one: < 0, 0, > 0; what 'b' does not say does not count. */
int version_compare(const char *a, const char *b);
