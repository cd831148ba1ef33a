/* readiness.c - whether a job would run well here: 25 checks, each an item, and a verdict.
 *
 * Spec:     readiness: {gpus: 8, hcas: 8, gdr: true, nvlinks: 12, min_busbw: 180}
 * Reads:    what the checks look at (readiness_checks.c, readiness_active.c)
 * Changes:  /run/gdrfleet/ready (there while a job may be started; "ready" or "degraded"), /run/gdrfleet/readiness (a line a
 *           check; the one before it in readiness.before), /run/gdrfleet/counters, the file of readiness.metrics; and it
 *           measures, where the profile or a person says so.
 *
 * A check that could not be told is no pass: a fatal one makes the node not ready, as if it had failed. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/layers/readiness.h"
#include "agent/machine/host.h"
#include "common/buf.h"
#include "common/mem.h"
#include "common/pb.h"

#define READY_FILE  READY_FOLDER "/ready"
#define STATE_FILE  READY_FOLDER "/readiness"
#define BEFORE_FILE READY_FOLDER "/readiness.before"
#define VERDICT_KEY "verdict"
#define PUBLISH_KEY "published"
#define LOG_MS      10000U

enum verdict {
	VERDICT_READY,
	VERDICT_DEGRADED,
	VERDICT_NOT_READY,
};
static const char *const verdicts[] = { "ready", "degraded", "not ready" };
static const char *const states[] = {
	[READY_UNKNOWN] = "unknown", [READY_PASS] = "pass",       [READY_FAIL] = "fail",
	[READY_SKIPPED] = "skipped", [READY_CLAMPED] = "clamped",
};
static const char *const severities[] = { "info", "degraded", "fatal" };

/* --- looking ------------------------------------------------------------------------------------------------------- */

/* NULL: it cannot be read. */
static char *
kernel_log(struct host *host)
{
	const char *const argv[] = { "dmesg", NULL };
	struct host_result result = { 0 };
	struct err ignored;
	char *log = NULL;

	if (host_run(host, argv, LOG_MS, &result, &ignored) == 0 && result.status == 0 && !result.timed_out)
		log = xstrdup(result.out);
	host_result_free(&result);
	return log;
}

static void
look_open(const struct machine *machine, const Gdr__Spec *spec, struct ready_look *look)
{
	const Gdr__GpuSpec *gpu = spec->guest->gpu;

	*look = (struct ready_look){ .machine = machine, .spec = spec, .wants = spec->guest->readiness };
	(void)gpus_read(machine->host, gpu && gpu->has_timeout ? gpu->timeout : GPUS_TIMEOUT_MS, &look->gpus,
			&look->no_gpus);
	nccl_env_read(machine, spec->guest->nccl, &look->env);
	look->log = kernel_log(machine->host);
}

static void
look_close(struct ready_look *look)
{
	nvsmi_gpus_free(&look->gpus);
	nccl_env_free(&look->env);
	free(look->log);
}

/* --- one result ------------------------------------------------------------------------------------------------------ */

struct result {
	const struct ready_check *check;
	enum ready_severity severity;
	struct ready_finding found;
};
struct results {
	struct result *v;
	size_t n;
};

static bool
is_skipped(const Gdr__ReadinessSpec *wants, const char *id)
{
	for (size_t i = 0; i < wants->n_skip; i++)
		if (strcmp(wants->skip[i], id) == 0)
			return true;
	return false;
}

static enum ready_severity
severity_of(const Gdr__ReadinessSpec *wants, const struct ready_check *check)
{
	const char *own = PB_MAP_GET(wants->severity, wants->n_severity, check->id);

	for (enum ready_severity i = READY_INFO; own && i <= READY_FATAL; i++)
		if (strcmp(severities[i], own) == 0)
			return i;
	return check->severity;
}

static void
add_result(const struct ready_look *look, const struct ready_check *check, struct results *out)
{
	struct result result = { .check = check, .severity = severity_of(look->wants, check) };

	if (is_skipped(look->wants, check->id))
		ready_set(&result.found, READY_SKIPPED, "-", "the profile leaves it out");
	else
		check->judge(look, &result.found);
	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = result;
}

static void
run_checks(const struct ready_look *look, struct results *out)
{
	*out = (struct results){ 0 };
	for (size_t i = 0; i < ready_passive_len; i++)
		add_result(look, &ready_passive[i], out);
	for (size_t i = 0; i < ready_active_len; i++)
		add_result(look, &ready_active[i], out);
}

static void
results_free(struct results *results)
{
	for (size_t i = 0; i < results->n; i++) {
		free(results->v[i].found.expected);
		free(results->v[i].found.actual);
		free(results->v[i].found.evidence);
	}
	free(results->v);
}

static bool
is_bad(const struct result *result)
{
	return result->found.state == READY_FAIL || result->found.state == READY_UNKNOWN;
}

static enum verdict
verdict_of(const struct results *results, const struct result **worst)
{
	enum verdict verdict = VERDICT_READY;

	*worst = NULL;
	for (size_t i = 0; i < results->n; i++) {
		const struct result *result = &results->v[i];
		enum verdict own = !is_bad(result)                      ? VERDICT_READY
				   : result->severity == READY_FATAL    ? VERDICT_NOT_READY
				   : result->severity == READY_DEGRADED ? VERDICT_DEGRADED
									: VERDICT_READY;
		if (own <= verdict)
			continue;
		verdict = own;
		*worst = result;
	}
	return verdict;
}

/* --- what is published ------------------------------------------------------------------------------------------------ */

static char *
read_text(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	return text;
}

/* Of a measurement its state, and of the rest what it saw: so that only news changes the file. */
static void
print_state(const struct results *results, enum verdict verdict, struct buf *out)
{
	buf_printf(out, "verdict %s\n", verdicts[verdict]);
	for (size_t i = 0; i < results->n; i++) {
		const struct result *result = &results->v[i];
		buf_printf(out, "%s %s %s %s: want %s, have %s\n", result->check->id, states[result->found.state],
			   severities[result->severity], result->check->name, result->found.expected,
			   result->found.actual);
	}
}

/* The text format of Prometheus. */
static void
print_metrics(const struct results *results, enum verdict verdict, struct buf *out)
{
	buf_puts(out, "# HELP gdrfleet_guest_ready 1 ready, 0.5 degraded, 0 not ready.\n"
		      "# TYPE gdrfleet_guest_ready gauge\n");
	buf_printf(out, "gdrfleet_guest_ready %s\n",
		   verdict == VERDICT_READY      ? "1"
		   : verdict == VERDICT_DEGRADED ? "0.5"
						 : "0");
	buf_puts(out, "# HELP gdrfleet_guest_check Whether a readiness check is in that state.\n"
		      "# TYPE gdrfleet_guest_check gauge\n");
	for (size_t i = 0; i < results->n; i++)
		buf_printf(out, "gdrfleet_guest_check{id=\"%s\",name=\"%s\",severity=\"%s\",state=\"%s\"} 1\n",
			   results->v[i].check->id, results->v[i].check->name, severities[results->v[i].severity],
			   states[results->v[i].found.state]);
}

static bool
differs(struct host *host, const char *path, const char *want)
{
	auto_free char *have = read_text(host, path);

	return want ? !have || strcmp(have, want) != 0 : have != NULL;
}

static int
put_file(struct host *host, const char *path, const char *want, struct err *err)
{
	if (!differs(host, path, want))
		return 0;
	return want ? host_replace(host, path, want, 0644, err) : host_remove(host, path, err);
}

struct texts {
	char *ready; /* NULL: the file is not there. */
	char *state;
	char *metrics; /* NULL: nobody asked for it. */
};

static void
make_texts(const struct ready_look *look, const struct results *results, struct texts *out)
{
	const struct result *worst;
	enum verdict verdict = verdict_of(results, &worst);
	struct buf state = { 0 };
	struct buf metrics = { 0 };

	print_state(results, verdict, &state);
	print_metrics(results, verdict, &metrics);
	*out = (struct texts){ .ready = verdict == VERDICT_NOT_READY ? NULL : xasprintf("%s\n", verdicts[verdict]),
			       .state = buf_steal(&state),
			       .metrics = buf_steal(&metrics) };
	if (!look->wants->metrics) {
		free(out->metrics);
		out->metrics = NULL;
	}
}

static void
texts_free(struct texts *texts)
{
	free(texts->ready);
	free(texts->state);
	free(texts->metrics);
}

static int
publish(const struct ready_look *look, const struct results *results, struct err *err)
{
	struct host *host = look->machine->host;
	auto_free char *old = read_text(host, STATE_FILE);
	auto_buf struct buf counters = { 0 };
	struct texts texts;
	int rc;

	make_texts(look, results, &texts);
	ready_counters_print(look->machine, &look->env, &counters);
	/* The ready file goes first where it goes, and comes last. */
	rc = texts.ready ? 0 : put_file(host, READY_FILE, NULL, err);
	if (rc == 0 && old && strcmp(old, texts.state) != 0)
		rc = host_replace(host, BEFORE_FILE, old, 0644, err);
	if (rc == 0)
		rc = put_file(host, STATE_FILE, texts.state, err);
	if (rc == 0 && counters.len && !host_exists(host, READY_COUNTERS))
		rc = host_replace(host, READY_COUNTERS, counters.text, 0644, err);
	if (rc == 0 && texts.metrics)
		rc = put_file(host, look->wants->metrics, texts.metrics, err);
	if (rc == 0 && texts.ready)
		rc = put_file(host, READY_FILE, texts.ready, err);
	texts_free(&texts);
	return rc;
}

/* --- items ------------------------------------------------------------------------------------------------------------- */

/* The state that the check had before the last change; NULL: the same, or not known. */
static const char *
state_before(const char *before, const struct result *result)
{
	auto_free char *key = xasprintf("\n%s ", result->check->id);
	const char *at = before ? strstr(before, key) : NULL;

	for (size_t i = 0; at && i < sizeof(states) / sizeof(states[0]); i++) {
		size_t len = strlen(states[i]);
		const char *word = at + strlen(key);
		if (strncmp(word, states[i], len) == 0 && word[len] == ' ' && i != result->found.state)
			return states[i];
	}
	return NULL;
}

static Gdr__Check *
new_check(const struct result *result)
{
	Gdr__Check *check = xcalloc(1, sizeof(*check));
	const char *evidence = result->found.evidence;

	gdr__check__init(check);
	check->has_state = check->has_severity = true;
	check->state = (Gdr__Check__State)result->found.state;
	check->severity = (Gdr__Check__Severity)result->severity;
	check->evidence = evidence ? xstrdup(evidence) : NULL;
	check->remedy = is_bad(result) ? xstrdup(result->check->remedy) : NULL;
	return check;
}

static void
report_result(const struct result *result, const char *before, struct report *out)
{
	const struct ready_finding *found = &result->found;
	auto_free char *key = xasprintf("%s/%s", result->check->id, result->check->name);
	auto_free char *have = xasprintf("%s: %s", states[found->state], found->actual);
	const char *was = state_before(before, result);
	auto_buf struct buf why = { 0 };
	bool bad = is_bad(result);

	if (bad)
		buf_printf(&why, "%s", severities[result->severity]);
	if (found->evidence)
		buf_printf(&why, "%s%s", why.len ? "; " : "", found->evidence);
	if (was)
		buf_printf(&why, "%sbefore: %s", why.len ? "; " : "", was);
	if (bad)
		buf_printf(&why, "; %s", result->check->remedy);
	report_add(out, key, found->expected, have,
		   found->due                               ? FIX_LIVE
		   : bad && result->severity == READY_FATAL ? FIX_MANUAL
							    : FIX_NONE,
		   why.len ? "%s" : NULL, why.text);
	out->items[out->n - 1].measured_ms = (uint64_t)found->when * 1000;
	out->items[out->n - 1].check = new_check(result);
}

/* What differs on disk is put right last, so that it tells of measurements too. */
static void
report_published(const struct ready_look *look, const struct results *results, struct report *out)
{
	struct host *host = look->machine->host;
	const struct result *worst;
	enum verdict verdict = verdict_of(results, &worst);
	struct texts texts;

	if (verdict == VERDICT_READY)
		report_add(out, VERDICT_KEY, "ready", "ready", FIX_NONE, NULL);
	else
		report_add(out, VERDICT_KEY, "ready", verdicts[verdict],
			   verdict == VERDICT_NOT_READY ? FIX_MANUAL : FIX_NONE, "%s %s: %s",
			   worst ? worst->check->id : "", worst ? worst->check->name : "",
			   worst ? worst->found.actual : "");
	make_texts(look, results, &texts);
	bool old = differs(host, READY_FILE, texts.ready) || differs(host, STATE_FILE, texts.state) ||
		   (texts.metrics && differs(host, look->wants->metrics, texts.metrics));
	report_add(out, PUBLISH_KEY, verdicts[verdict], old ? "outdated" : verdicts[verdict], old ? FIX_LIVE : FIX_NONE,
		   NULL);
	texts_free(&texts);
}

static bool
readiness_wanted(const Gdr__Spec *spec)
{
	return spec->guest && spec->guest->readiness;
}

static int
readiness_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	auto_free char *before = read_text(machine->host, BEFORE_FILE);
	struct ready_look look;
	struct results results;

	(void)err;
	look_open(machine, spec, &look);
	run_checks(&look, &results);
	for (size_t i = 0; i < results.n; i++)
		report_result(&results.v[i], before, out);
	report_published(&look, &results, out);
	results_free(&results);
	look_close(&look);
	return 0;
}

static int
readiness_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	struct ready_look look;
	struct results results;

	for (size_t i = 0; i < ready_active_len; i++) {
		size_t len = strlen(ready_active[i].id);
		if (strncmp(item->key, ready_active[i].id, len) == 0 && item->key[len] == '/')
			return ready_active[i].measure(machine, spec, ready_active[i].id, err);
	}
	look_open(machine, spec, &look);
	run_checks(&look, &results);
	int rc = publish(&look, &results, err);
	results_free(&results);
	look_close(&look);
	return rc;
}

int
readiness_measure(const struct machine *machine, const Gdr__Spec *spec, struct err *err)
{
	struct ready_look look;
	struct results results;
	int rc = 0;

	look_open(machine, spec, &look);
	run_checks(&look, &results);
	for (size_t i = 0; i < results.n && rc == 0; i++)
		if (results.v[i].found.wanted)
			rc = results.v[i].check->measure(machine, spec, results.v[i].check->id, err);
	results_free(&results);
	look_close(&look);
	return rc;
}

const struct layer layer_readiness = {
	.wanted = readiness_wanted,
	.inspect = readiness_inspect,
	.apply = readiness_apply,
};
