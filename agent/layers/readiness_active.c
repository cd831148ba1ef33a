/* readiness_active.c - R22 to R25: what only a measurement tells.
 *
 * Each leaves a note, /run/gdrfleet/active/R22: when, state, what was measured, what it was before that, and a line about it.
 * The checks judge by the note; it is made when the profile's 'active' says so, or by gdr-guest check --active. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/layers/readiness.h"
#include "agent/machine/host.h"
#include "agent/machine/nccltests.h"
#include "common/buf.h"
#include "common/mem.h"

#define NOTES       READY_FOLDER "/active"
#define TIMEOUT_MS  600000U
#define INTERVAL_MS 86400000U
#define DAY_FORMAT  "%Y-%m-%d %H:%M UTC"

/* One large size: what is larger than any cache, and where busbw has levelled off. */
#define SIZE "4G"

struct note {
	time_t when;
	enum ready_state state;
	double value;
	double before; /* Negative: none. */
	char text[160];
};

/* --- notes ---------------------------------------------------------------------------------------------------------- */

/* WHEN STATE VALUE BEFORE TEXT, as write_note() has it. */
static bool
read_note(struct host *host, const char *id, struct note *out)
{
	auto_free char *path = xasprintf(NOTES "/%s", id);
	auto_free char *text = NULL;
	struct err ignored;
	char *at;

	*out = (struct note){ .before = -1 };
	(void)host_read_line(host, path, &text, &ignored);
	if (!text)
		return false;
	out->when = (time_t)strtoll(text, &at, 10);
	unsigned long state = strtoul(at, &at, 10);
	out->state = (enum ready_state)state;
	out->value = strtod(at, &at);
	out->before = strtod(at, &at);
	(void)snprintf(out->text, sizeof(out->text), "%s", at + strspn(at, " "));
	return out->when > 0 && state <= READY_FAIL;
}

static int
write_note(struct host *host, const char *id, enum ready_state state, double value, const char *text, struct err *err)
{
	auto_free char *path = xasprintf(NOTES "/%s", id);
	struct note old;
	bool had = read_note(host, id, &old);
	auto_free char *line = xasprintf("%lld %d %.2f %.2f %.*s\n", (long long)time(NULL), (int)state, value,
					 had && old.state != READY_UNKNOWN ? old.value : -1, (int)strcspn(text, "\n"),
					 text);

	return host_replace(host, path, line, 0644, err);
}

/* --- judging ---------------------------------------------------------------------------------------------------------- */

static bool
is_due(const struct ready_look *look, const struct note *note)
{
	const Gdr__ReadinessSpec *wants = look->wants;
	uint32_t interval = wants->has_active_interval ? wants->active_interval : INTERVAL_MS;
	struct err ignored;

	return wants->active == GDR__ACTIVE__ACTIVE_WHEN_IDLE && (time(NULL) - note->when) * 1000 >= (time_t)interval &&
	       !look->no_gpus.code && gpus_processes(look->machine->host, GPUS_TIMEOUT_MS, &ignored) == 0;
}

static char *
when_text(time_t when)
{
	char text[32];
	struct tm tm;

	(void)gmtime_r(&when, &tm);
	(void)strftime(text, sizeof(text), DAY_FORMAT, &tm);
	return xstrdup(text);
}

/* By the note against 'min'; 0: the tool's own word counts. */
static void
judge(const struct ready_look *look, const char *id, bool wanted, unsigned min, const char *unit,
      struct ready_finding *out)
{
	auto_free char *expected = min ? xasprintf("%u %s", min, unit) : xstrdup("pass");
	struct note note;

	if (!wanted) {
		ready_set(out, READY_SKIPPED, "-", "the profile asks for none of it");
		return;
	}
	bool had = read_note(look->machine->host, id, &note);
	out->wanted = true;
	out->due = is_due(look, &note);
	if (!had) {
		ready_set(out, READY_SKIPPED, expected, "not measured yet: gdr-guest check --active");
		return;
	}
	auto_free char *when = when_text(note.when);
	out->when = note.when;
	free(out->evidence);
	out->evidence = note.before >= 0 && min ? xasprintf("measured %s; before that %.1f %s", when, note.before, unit)
						: xasprintf("measured %s", when);
	if (note.state == READY_UNKNOWN || min == 0)
		ready_set(out, note.state, expected, "%s", *note.text ? note.text : "no reason");
	else
		ready_set(out, note.state == READY_PASS && note.value >= min ? READY_PASS : READY_FAIL, expected,
			  "%.1f %s%s%s", note.value, unit, *note.text ? ", " : "", note.text);
}

static void
judge_node(const struct ready_look *look, struct ready_finding *out)
{
	judge(look, "R22", look->wants->has_min_busbw, look->wants->min_busbw, "GB/s", out);
}

static void
judge_ib(const struct ready_look *look, struct ready_finding *out)
{
	judge(look, "R23", look->wants->has_min_ib_bw, look->wants->min_ib_bw, "Gb/s", out);
}

static void
judge_peers(const struct ready_look *look, struct ready_finding *out)
{
	judge(look, "R24", look->wants->has_min_node_busbw && look->wants->n_peers, look->wants->min_node_busbw, "GB/s",
	      out);
}

/* dcgmi is asked where it is and something is measured at all. */
static void
judge_dcgmi(const struct ready_look *look, struct ready_finding *out)
{
	auto_free char *tool = host_tool(look->machine->host, "dcgmi");

	judge(look, "R25", tool && look->wants->has_active, 0, "", out);
}

/* --- measuring -------------------------------------------------------------------------------------------------------- */

/* Runs a tool; "" or why it did not come to its end. */
static char *
run_tool(const struct machine *machine, const Gdr__Spec *spec, const char *const argv[], struct host_result *result)
{
	const Gdr__ReadinessSpec *wants = spec->guest->readiness;
	unsigned timeout_ms = wants->has_active_timeout ? wants->active_timeout : TIMEOUT_MS;
	struct err err = { 0 };

	if (host_run(machine->host, argv, timeout_ms, result, &err) < 0)
		return xstrdup(err.msg);
	if (result->timed_out)
		return xasprintf("it did not end within %u s", timeout_ms / 1000);
	return xstrdup("");
}

/* The path of a tool that another one starts; as it is named, where there is none. */
static char *
tool_path(struct host *host, const char *name)
{
	char *path = host_tool(host, name);

	return path ? path : xstrdup(name);
}

/* By the table that a test of NCCL's printed. */
static int
note_table(struct host *host, const char *id, const struct host_result *result, struct err *err)
{
	auto_free char *status = xasprintf("exit status %d", result->status);
	struct nccltests tests;
	struct err own = { 0 };

	if (nccltests_parse(result->out, &tests, &own) < 0)
		return write_note(host, id, READY_UNKNOWN, 0, result->status ? status : own.msg, err);
	if (tests.wrong || tests.failed || result->status)
		return write_note(host, id, READY_FAIL, nccltests_busbw(&tests),
				  tests.wrong ? "the data that came out is wrong" : status, err);
	return write_note(host, id, READY_PASS, nccltests_busbw(&tests), "", err);
}

static int
note_busbw(const struct machine *machine, const Gdr__Spec *spec, const char *id, const char *const argv[],
	   struct err *err)
{
	struct host_result result = { 0 };
	auto_free char *trouble = run_tool(machine, spec, argv, &result);
	int rc = *trouble ? write_note(machine->host, id, READY_UNKNOWN, 0, trouble, err)
			  : note_table(machine->host, id, &result, err);

	host_result_free(&result);
	return rc;
}

static unsigned
gpus_of(const struct machine *machine)
{
	unsigned n = 0;

	for (size_t i = 0; i < machine->inventory->n_pci; i++)
		n += machine->inventory->pci[i]->kind == GDR__PCI_DEVICE__KIND__GPU;
	return n;
}

static int
measure_node(const struct machine *machine, const Gdr__Spec *spec, const char *id, struct err *err)
{
	auto_free char *gpus = xasprintf("%u", gpus_of(machine));
	const char *const argv[] = { "all_reduce_perf", "-b", SIZE, "-e", SIZE, "-g", gpus, "-n", "10", NULL };

	return note_busbw(machine, spec, id, argv, err);
}

static int
measure_peers(const struct machine *machine, const Gdr__Spec *spec, const char *id, struct err *err)
{
	const Gdr__ReadinessSpec *wants = spec->guest->readiness;
	auto_free char *gpus = xasprintf("%u", gpus_of(machine));
	auto_free char *tool = tool_path(machine->host, "all_reduce_perf");
	auto_buf struct buf hosts = { 0 };

	buf_printf(&hosts, "localhost:%s", gpus);
	for (size_t i = 0; i < wants->n_peers; i++)
		buf_printf(&hosts, ",%s", wants->peers[i]);
	const char *const argv[] = {
		"mpirun", "--allow-run-as-root", "-H", hosts.text, tool, "-b", SIZE, "-e", SIZE, "-g", "1", "-n", "10",
		NULL
	};
	return note_busbw(machine, spec, id, argv, err);
}

/* Both ends on one device: the way from GPU memory to the NIC and back. */
static const char loopback[] = "\"$0\" -d \"$1\" --use_cuda=\"$2\" --report_gbits -D 3 -p 18600 >/dev/null 2>&1 &\n"
			       "server=$!\n"
			       "sleep 1\n"
			       "\"$0\" -d \"$1\" --use_cuda=\"$2\" --report_gbits -D 3 -p 18600 127.0.0.1\n"
			       "status=$?\n"
			       "kill $server 2>/dev/null\n"
			       "exit $status\n";

/* In the driver's order: by address.  The GPU beside the port; 0 if there is none. */
static unsigned
gpu_beside(const struct machine *machine, const char *address)
{
	unsigned index = 0;

	for (size_t i = 0; i < machine->inventory->n_pci; i++) {
		const Gdr__PciDevice *device = machine->inventory->pci[i];
		if (device->kind != GDR__PCI_DEVICE__KIND__GPU)
			continue;
		if (nccl_env_beside(machine->inventory, device->address, address))
			return index;
		index++;
	}
	return 0;
}

/* What one device does, Gb/s; negative: nothing was measured, and '*trouble' tells why (the caller frees). */
static double
measure_port(const struct machine *machine, const Gdr__Spec *spec, const struct ib_port *port, char **trouble)
{
	auto_free char *gpu = xasprintf("%u", gpu_beside(machine, port->address));
	auto_free char *tool = host_tool(machine->host, "ib_write_bw");
	const char *const argv[] = { "sh", "-c", loopback, tool, port->name, gpu, NULL };
	struct host_result result = { 0 };
	double value = -1;

	*trouble = tool ? run_tool(machine, spec, argv, &result) : xstrdup("no program ib_write_bw");
	if (!**trouble) {
		value = nccltests_ib_write(result.out);
		free(*trouble);
		*trouble = value < 0 ? xasprintf("%s: ib_write_bw measured nothing, exit status %d", port->name,
						 result.status)
				     : NULL;
	}
	host_result_free(&result);
	return value;
}

/* The slowest device is what counts; the first that does not measure ends it. */
static int
measure_ib(const struct machine *machine, const Gdr__Spec *spec, const char *id, struct err *err)
{
	struct nccl_env env;
	const struct ib_port *slowest = NULL;
	auto_free char *trouble = NULL;
	double worst = 0;
	int rc;

	nccl_env_read(machine, spec->guest->nccl, &env);
	for (size_t i = 0; i < env.ports.n && !trouble; i++) {
		double value = env.uses[i] ? measure_port(machine, spec, &env.ports.v[i], &trouble) : 0;
		if (!env.uses[i] || (slowest && value >= worst))
			continue;
		worst = value;
		slowest = &env.ports.v[i];
	}
	if (trouble || !slowest)
		rc = write_note(machine->host, id, READY_UNKNOWN, 0, trouble ? trouble : "no RDMA device", err);
	else
		rc = write_note(machine->host, id, READY_PASS, worst, slowest->name, err);
	nccl_env_free(&env);
	return rc;
}

static int
measure_dcgmi(const struct machine *machine, const Gdr__Spec *spec, const char *id, struct err *err)
{
	static const enum ready_state states[] = {
		[NCCLTESTS_PASS] = READY_PASS, [NCCLTESTS_FAIL] = READY_FAIL, [NCCLTESTS_UNKNOWN] = READY_UNKNOWN
	};
	const char *const argv[] = { "dcgmi", "diag", "-r", "2", NULL };
	struct host_result result = { 0 };
	auto_free char *what = NULL;
	auto_free char *trouble = run_tool(machine, spec, argv, &result);
	enum nccltests_diag diag = *trouble ? NCCLTESTS_UNKNOWN : nccltests_dcgmi(result.out, result.status, &what);
	int rc = write_note(machine->host, id, states[diag], 0,
			    what                     ? what
			    : *trouble               ? trouble
			    : diag == NCCLTESTS_PASS ? "every test passed"
						     : "it did not come to its end",
			    err);

	host_result_free(&result);
	return rc;
}

const struct ready_check ready_active[] = {
	{ "R22", "all-reduce", READY_DEGRADED, judge_node, measure_node,
	  "see R07, R08 and R10; then nvidia-smi topo -m and nvlink -e" },
	{ "R23", "ib-write", READY_DEGRADED, judge_ib, measure_ib,
	  "GPU Direct or ATS is off on the way: see R12, R16 and the host's layers nic and pci" },
	{ "R24", "all-reduce-peers", READY_DEGRADED, judge_peers, measure_peers,
	  "see R12 to R14 and R23 on both sides; then the fabric" },
	{ "R25", "dcgmi", READY_DEGRADED, judge_dcgmi, measure_dcgmi, "dcgmi diag -r 2 tells which part" },
};
const size_t ready_active_len = sizeof(ready_active) / sizeof(ready_active[0]);
