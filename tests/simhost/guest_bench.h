#pragma once

/* guest_bench.h - the measuring tools of a simulated guest: all_reduce_perf, mpirun, ib_write_bw, dcgmi.
 *
 * They print what the real ones print on a healthy machine of eight A100 with 100 Gb/s ports, or go by the faults that begin
 * with "bench-". */

struct tree;

void guest_bench_write(struct tree *tree);
/* Lines of guest.yaml's `tools`; 'root' is the guest's root.  The caller frees. */
char *guest_bench_tools(const char *root);
