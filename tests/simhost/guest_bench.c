/* guest_bench.c - measuring tools as scripts in the guest's folder. */

#include "tests/simhost/guest_bench.h"

#include "common/buf.h"
#include "common/mem.h"
#include "tests/simhost/tree.h"

/* What each begins with: hanging and the bandwidth are the same for all. */
#define HEAD                                                                       \
	"#!/bin/sh\n"                                                              \
	"tool=${0##*/}\n"                                                          \
	"faults=${0%/*}/../faults\n"                                               \
	"fault() {\n"                                                              \
	"	[ -e \"$faults/bench-$1\" ] || return 1\n"                               \
	"	whom=$(cat \"$faults/bench-$1\")\n"                                      \
	"	[ \"${whom:-all_reduce_perf}\" = \"$tool\" ]\n"                          \
	"}\n"                                                                      \
	"bandwidth() { cat \"$faults/bench-slow\" 2>/dev/null || echo \"$1\"; }\n" \
	"if fault hangs; then exec sleep 100000; fi\n"

/* The average at the end is over all sizes of a whole run, and far below what the largest row shows.  Without peer access
 * all goes through the host's memory. */
static const char all_reduce_perf[] = HEAD
	"busbw=$(bandwidth 232.81)\n"
	"grep -qs '^NCCL_P2P_DISABLE=1$' \"${0%/*}/../../etc/nccl.conf\" && busbw=21.34\n"
	"cat <<'TEXT'\n"
	"# nThread 1 nGpus 8 minBytes 1073741824 maxBytes 4294967296 step: 2(factor) warmup iters: 5 iters: 10 agg iters: 1 validation: 1 graph: 0\n"
	"#\n"
	"# Using devices\n"
	"TEXT\n"
	"for rank in 0 1 2 3 4 5 6 7; do\n"
	"	echo \"#  Rank  $rank Group  0 Pid   4242 on  simulated device  $rank [0x0$rank] NVIDIA A100-SXM4-80GB\"\n"
	"done\n"
	"if fault fails; then\n"
	"	echo \"simulated: Test NCCL failure common.cu:958 'unhandled system error / '\"\n"
	"	exit 3\n"
	"fi\n"
	"cat <<TEXT\n"
	"#\n"
	"#                                                              out-of-place                       in-place          \n"
	"#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong\n"
	"#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)       \n"
	"  1073741824     268435456     float     sum      -1   8244.5  130.24  227.91      0   8252.7  130.11  227.69      0\n"
	"  4294967296    1073741824     float     sum      -1    32285  133.03  $busbw      0    32268  133.10  $busbw      0\n"
	"# Out of bounds values : 0 OK\n"
	"# Avg bus bandwidth    : 72.7724 \n"
	"#\n"
	"TEXT\n";

/* mpirun --allow-run-as-root -H HOSTS PROGRAM...: the program, among lines of its own. */
static const char mpirun[] = HEAD
	"if fault fails; then echo 'mpirun was unable to launch the specified application' >&2; exit 133; fi\n"
	"shift 3\n"
	"echo '8 more processes have sent help message help-mtl-ofi.txt / OFI call fail'\n"
	"exec \"$@\"\n";

/* One side listens and says little; what is measured is printed by the side that has a server's name. */
static const char ib_write_bw[] = HEAD
	"for word; do :; done\n"
	"[ \"$word\" = 127.0.0.1 ] || exec sleep 100000\n"
	"if fault fails; then echo \" Couldn't allocate GPU memory\"; exit 1; fi\n"
	"average=$(bandwidth 97.52)\n"
	"cat <<TEXT\n"
	"---------------------------------------------------------------------------------------\n"
	"                    RDMA_Write BW Test\n"
	" Dual-port       : OFF\t\tDevice         : $2\n"
	" Number of qps   : 1\t\tTransport type : IB\n"
	" Mtu             : 4096[B]\n"
	" Link type       : Ethernet\n"
	" GID index       : 3\n"
	"---------------------------------------------------------------------------------------\n"
	" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n"
	" 65536      558012           0.00               $average             0.186007\n"
	"---------------------------------------------------------------------------------------\n"
	"TEXT\n";

static const char dcgmi[] = HEAD "pcie='Pass - All'\n"
				 "if fault fails; then pcie='Fail - GPU: 3'; fi\n"
				 "cat <<TEXT\n"
				 "Successfully ran diagnostic for group.\n"
				 "+---------------------------+------------------------------------------------+\n"
				 "| Diagnostic                | Result                                         |\n"
				 "+===========================+================================================+\n"
				 "|-----  Metadata  ----------+------------------------------------------------|\n"
				 "| DCGM Version              | 3.3.5                                          |\n"
				 "| Driver Version Detected   | 535.161.08                                     |\n"
				 "|-----  Deployment  --------+------------------------------------------------|\n"
				 "| Denylist                  | Pass                                           |\n"
				 "| NVML Library              | Pass                                           |\n"
				 "| Permissions and OS Blocks | Pass                                           |\n"
				 "| Graphics Processes        | Pass                                           |\n"
				 "+-----  Integration  -------+------------------------------------------------+\n"
				 "| PCIe                      | $pcie                                     |\n"
				 "+-----  Hardware  ----------+------------------------------------------------+\n"
				 "| GPU Memory                | Skip - All                                     |\n"
				 "+---------------------------+------------------------------------------------+\n"
				 "TEXT\n"
				 "if fault fails; then exit 226; fi\n";

static const struct {
	const char *name;
	const char *text;
} tools[] = {
	{ "all_reduce_perf", all_reduce_perf },
	{ "mpirun", mpirun },
	{ "ib_write_bw", ib_write_bw },
	{ "dcgmi", dcgmi },
};

void
guest_bench_write(struct tree *tree)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		auto_free char *path = xasprintf(".sim/bin/%s", tools[i].name);
		tree_program(tree, path, tools[i].text);
	}
}

char *
guest_bench_tools(const char *root)
{
	struct buf out = { 0 };

	buf_puts(&out, "  sh: /bin/sh\n");
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		buf_printf(&out, "  %s: \"%s/.sim/bin/%s\"\n", tools[i].name, root, tools[i].name);
	return buf_steal(&out);
}
