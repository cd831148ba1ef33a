#pragma once

/* nccl_env.h - NCCL's variables for this machine: what the spec says, and for "auto" what is found. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/layer.h"
#include "agent/machine/ib.h"

struct buf;

struct nccl_var {
	char *name;
	char *value; /* NULL: left to NCCL, or not to be found ('wrong'). */
	char *why;   /* NULL, or one line about it. */
	bool wrong;  /* A person must act. */
	bool job;    /* For the job's environment alone: CUDA reads it, not NCCL. */
};
struct nccl_env {
	struct nccl_var *v; /* In the order of their names. */
	size_t n;
	struct ib_ports ports;
	bool *uses;       /* Of each port: GPUs send through it. */
	unsigned version; /* NCCLTOPO_VERSION() of the oldest NCCL here; 0: not known. */
};

/* Reads only.  'spec' may be NULL: then there are ports alone. */
void nccl_env_read(const struct machine *machine, const Gdr__NcclSpec *spec, struct nccl_env *out);
void nccl_env_free(struct nccl_env *env);

/* The text of /etc/nccl.conf. */
void nccl_env_print_conf(const struct nccl_env *env, struct buf *out);
/* "export NAME='VALUE'" for a job's shell: all of it, CUDA's as well. */
void nccl_env_print_shell(const struct nccl_env *env, struct buf *out);

/* True if both share an emulated switch, or a conventional bus. */
bool nccl_env_beside(const Gdr__Inventory *inventory, const char *a, const char *b);
/* True if some GPU is beside it. */
bool nccl_env_near_gpu(const Gdr__Inventory *inventory, const char *address);
