#pragma once

/* cli.h - what gdr-agent and gdr-guest do for people, without a controller: each command reads argv after its name and
 * returns the exit status (0 done, 1 error, 2 usage, 3 not as wanted). */

#include <stdbool.h>

struct settings;

struct cli_options {
	const char *profile; /* --profile FILE: instead of the desired state on disk. */
	const char *output;  /* -o table|json|yaml */
	bool active;         /* --active: measure first. */
	bool diff;           /* --diff: what differs from it in libvirt. */
};

int cli_check(const struct settings *settings, const struct cli_options *options);
int cli_apply(const struct settings *settings, const struct cli_options *options);
int cli_inventory(const struct settings *settings, const struct cli_options *options);
int cli_desired(const struct settings *settings, const struct cli_options *options);

/* A topology file of NCCL's, judged by itself or, with 'here', as this machine would read it. */
int cli_topology_lint(const struct settings *settings, const struct cli_options *options, const char *file, bool here);
/* The domain XML of a VM, or of all (NULL); or what differs from it, and then 3. */
int cli_vm_xml(const struct settings *settings, const struct cli_options *options, const char *name);
/* What lets its guest in, where that cannot read it from the VM's definition: the file of `gdr-guest join FILE`, a secret. */
int cli_vm_credential(const struct settings *settings, const char *vm);
/* Its template of NCCL's topology file, and whether one is needed at all. */
int cli_nccl_topology(const struct settings *settings, const struct cli_options *options, const char *name);
/* NCCL's variables for a job's shell; and the measurements of readiness, whose results `check` shows. */
int cli_env(const struct settings *settings, const struct cli_options *options);
int cli_measure(const struct settings *settings, const struct cli_options *options);
