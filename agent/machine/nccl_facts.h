#pragma once

/* nccl_facts.h - what this machine is to NCCL: what a topology file is judged against (common/nccltopo_lint.h). */

#include "common/nccltopo_lint.h"
#include "proto/wire.pb-c.h"

struct host;
struct nccl_facts;

/* Reads only; what cannot be read is not known.  The version of NCCL is the library's that the loader would find. */
struct nccl_facts *nccl_facts_read(struct host *host, const Gdr__Inventory *inventory);
/* They belong to 'facts'. */
const struct nccltopo_facts *nccl_facts_get(const struct nccl_facts *facts);
void nccl_facts_free(struct nccl_facts *facts);
