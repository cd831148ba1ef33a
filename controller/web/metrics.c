#include "controller/web/metrics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/agents.h"
#include "controller/commits.h"
#include "controller/fleet/query.h"
#include "controller/web/http.h"
#include "controller/web/process.h"
#include "controller/zap.h"

#define STATES     (GDR__NODE_STATE__NODE_NEW + 1)
#define FIXES      (GDR__FIX__FIX_MANUAL + 1)
#define LAYERS_MAX 32 /* common/layers.def has fewer. */

/* What is counted in one pass over the nodes. */
struct count {
	unsigned long states[STATES];
	unsigned long connected;
	unsigned long cloned;
	unsigned long grants;
	unsigned long behind; /* Its report is of an older generation. */
	uint64_t waits_since_ms;
	uint64_t silent_since_ms;
	const char *layers[LAYERS_MAX];
	unsigned long items[LAYERS_MAX][FIXES];
	size_t n_layers;
};

struct scrape {
	const struct metrics_sources *from;
	const struct metric *metric;
	struct buf *out;
	struct count count;
	struct process process;
	const Gdr__Response *rollouts;
	uint64_t now_ms;
};

struct metric {
	const char *name;
	const char *type;
	const char *help;
	void (*print)(const struct scrape *scrape);
};

/* --- samples -------------------------------------------------------------------------------------------------- */

static void
sample(const struct scrape *scrape, const char *suffix, const char *label, const char *value, double number)
{
	buf_printf(scrape->out, "%s%s", scrape->metric->name, suffix);
	if (label)
		buf_printf(scrape->out, "{%s=\"%s\"}", label, value);
	buf_printf(scrape->out, " %.17g\n", number);
}

static void
only(const struct scrape *scrape, double number)
{
	sample(scrape, "", NULL, NULL, number);
}

static double
age_s(const struct scrape *scrape, uint64_t since_ms)
{
	return since_ms && scrape->now_ms > since_ms ? (double)(scrape->now_ms - since_ms) / 1000 : 0;
}

/* --- the fleet ------------------------------------------------------------------------------------------------ */

static size_t
layer_place(struct count *count, const char *name)
{
	size_t i = 0;

	while (i < count->n_layers && strcmp(count->layers[i], name) != 0)
		i++;
	if (i == count->n_layers && i < LAYERS_MAX)
		count->layers[count->n_layers++] = name;
	return i;
}

static void
count_items(struct count *count, const Gdr__Report *report)
{
	for (size_t i = 0; i < report->n_layers; i++) {
		size_t place = layer_place(count, report->layers[i]->name ? report->layers[i]->name : "");

		for (size_t j = 0; place < LAYERS_MAX && j < report->layers[i]->n_items; j++)
			if (report->layers[i]->items[j]->fix < FIXES)
				count->items[place][report->layers[i]->items[j]->fix]++;
	}
}

static void
keep_oldest(uint64_t *oldest, uint64_t ms)
{
	if (ms && (*oldest == 0 || ms < *oldest))
		*oldest = ms;
}

static void
count_nodes(struct count *count, struct fleet *fleet)
{
	for (const struct node *node = fleet_first(fleet); node; node = fleet_next(fleet)) {
		if (node->state < STATES)
			count->states[node->state]++;
		count->connected += node->connected;
		count->cloned += node->cloned;
		count->grants += node->grant_boot != NULL;
		count->behind += node->profile && (!node->report || node->report->generation != node->generation);
		if (node->state != GDR__NODE_STATE__NODE_READY && node->profile)
			keep_oldest(&count->waits_since_ms, node->since_ms);
		if (node->connected)
			keep_oldest(&count->silent_since_ms, node->seen_ms);
		if (node->report)
			count_items(count, node->report);
	}
}

static void
nodes(const struct scrape *s)
{
	for (int state = GDR__NODE_STATE__NODE_READY; state < STATES; state++)
		sample(s, "", "state", pbtext_enum(&gdr__node_state__descriptor, state),
		       (double)s->count.states[state]);
}

static void
nodes_connected(const struct scrape *s)
{
	only(s, (double)s->count.connected);
}

static void
nodes_cloned(const struct scrape *s)
{
	only(s, (double)s->count.cloned);
}

static void
nodes_behind(const struct scrape *s)
{
	only(s, (double)s->count.behind);
}

static void
not_ready_seconds(const struct scrape *s)
{
	only(s, age_s(s, s->count.waits_since_ms));
}

static void
silence_seconds(const struct scrape *s)
{
	only(s, age_s(s, s->count.silent_since_ms));
}

static void
items(const struct scrape *s)
{
	for (size_t i = 0; i < s->count.n_layers; i++)
		for (int fix = GDR__FIX__FIX_NONE; fix < FIXES; fix++)
			buf_printf(s->out, "%s{fix=\"%s\",layer=\"%s\"} %lu\n", s->metric->name,
				   pbtext_enum(&gdr__fix__descriptor, fix), s->count.layers[i], s->count.items[i][fix]);
}

static void
grants_open(const struct scrape *s)
{
	only(s, (double)s->count.grants);
}

/* --- rollouts --------------------------------------------------------------------------------------------------- */

static void
rollouts(const struct scrape *s)
{
	for (int state = GDR__ROLLOUT_STATE__ROLLOUT_RUNNING; state <= GDR__ROLLOUT_STATE__ROLLOUT_ROLLBACK_FAILED;
	     state++) {
		unsigned n = 0;

		for (size_t i = 0; i < s->rollouts->n_rollouts; i++)
			n += (int)s->rollouts->rollouts[i]->record->state == state;
		sample(s, "", "state", pbtext_enum(&gdr__rollout_state__descriptor, state), n);
	}
}

static bool
is_at_work(const Gdr__RolloutView *view)
{
	return view->record->state == GDR__ROLLOUT_STATE__ROLLOUT_RUNNING ||
	       view->record->state == GDR__ROLLOUT_STATE__ROLLOUT_PAUSED ||
	       view->record->state == GDR__ROLLOUT_STATE__ROLLOUT_ROLLING_BACK;
}

static void
rollout_nodes(const struct scrape *s)
{
	unsigned total = 0;
	unsigned done = 0;
	unsigned failed = 0;

	for (size_t i = 0; i < s->rollouts->n_rollouts; i++) {
		const Gdr__RolloutView *view = s->rollouts->rollouts[i];

		if (!is_at_work(view))
			continue;
		total += view->total;
		done += view->done;
		failed += view->failed;
	}
	sample(s, "", "progress", "done", done);
	sample(s, "", "progress", "failed", failed);
	sample(s, "", "progress", "open", total > done + failed ? total - done - failed : 0);
}

static void
rollout_gates(const struct scrape *s)
{
	for (int result = GDR__ROLLOUT_GATE_RESULT__GATE_PASS; result <= GDR__ROLLOUT_GATE_RESULT__GATE_UNKNOWN;
	     result++) {
		unsigned n = 0;

		for (size_t i = 0; i < s->rollouts->n_rollouts; i++)
			for (size_t j = 0; j < s->rollouts->rollouts[i]->record->n_gates; j++)
				n += is_at_work(s->rollouts->rollouts[i]) &&
				     (int)s->rollouts->rollouts[i]->record->gates[j]->result == result;
		sample(s, "", "result", pbtext_enum(&gdr__rollout_gate_result__descriptor, result), n);
	}
}

static void
rollout_paused_seconds(const struct scrape *s)
{
	uint64_t since_ms = 0;

	for (size_t i = 0; i < s->rollouts->n_rollouts; i++)
		if (s->rollouts->rollouts[i]->record->state == GDR__ROLLOUT_STATE__ROLLOUT_PAUSED)
			keep_oldest(&since_ms, s->rollouts->rollouts[i]->record->since_ms);
	only(s, age_s(s, since_ms));
}

/* --- who speaks to us --------------------------------------------------------------------------------------------- */

static void
zap_requests(const struct scrape *s)
{
	struct zap_counts counts = zap_counts(s->from->zap);

	sample(s, "", "result", "admitted", (double)counts.admitted);
	sample(s, "", "result", "malformed", (double)counts.malformed);
	sample(s, "", "result", "refused", (double)counts.refused);
}

static void
pending_keys(const struct scrape *s)
{
	struct zap_pending *all = NULL;

	only(s, (double)zap_pending(s->from->zap, &all));
	free(all);
}

static void
sessions(const struct scrape *s)
{
	only(s, (double)agents_counts(s->from->agents).sessions);
}

static void
agent_messages_dropped(const struct scrape *s)
{
	struct agents_counts counts = agents_counts(s->from->agents);

	sample(s, "", "reason", "flood", (double)counts.floods);
	sample(s, "", "reason", "garbage", (double)counts.garbage);
	sample(s, "", "reason", "impostor", (double)counts.impostors);
	sample(s, "", "reason", "revoked", (double)counts.strangers);
}

static void
http_requests(const struct scrape *s)
{
	static const char *const classes[HTTP_CLASSES] = { "", "1xx", "2xx", "3xx", "4xx", "5xx" };

	for (int i = 2; i < HTTP_CLASSES; i++)
		sample(s, "", "code", classes[i], (double)s->from->http->answers[i]);
}

static void
http_connections(const struct scrape *s)
{
	only(s, s->from->http->connections);
}

static void
http_streams(const struct scrape *s)
{
	only(s, s->from->http->streams);
}

static void
http_cut(const struct scrape *s)
{
	only(s, (double)s->from->http->cut);
}

/* --- the store ------------------------------------------------------------------------------------------------------ */

static void
commit_seconds(const struct scrape *s)
{
	const struct commits *commits = s->from->commits;
	unsigned long n = 0;
	char bound[32];

	for (int i = 0; i < COMMITS_BUCKETS; i++) {
		n += commits->buckets[i];
		(void)snprintf(bound, sizeof(bound), "%g", commits_bounds[i]);
		sample(s, "_bucket", "le", bound, (double)n);
	}
	n += commits->buckets[COMMITS_BUCKETS];
	sample(s, "_bucket", "le", "+Inf", (double)n);
	sample(s, "_sum", NULL, NULL, commits->seconds);
	sample(s, "_count", NULL, NULL, (double)n);
}

static void
commit_failures(const struct scrape *s)
{
	only(s, (double)s->from->commits->failed);
}

/* --- the process ------------------------------------------------------------------------------------------------------ */

static void
build_info(const struct scrape *s)
{
	sample(s, "", "version", GDR_VERSION, 1);
}

static void
start_time(const struct scrape *s)
{
	only(s, (double)fleet_started_ms(s->from->fleet) / 1000);
}

static void
cpu_seconds(const struct scrape *s)
{
	only(s, s->process.cpu_seconds);
}

static void
resident(const struct scrape *s)
{
	only(s, (double)s->process.resident);
}

static void
open_fds(const struct scrape *s)
{
	only(s, (double)s->process.open_fds);
}

static void
max_fds(const struct scrape *s)
{
	only(s, (double)s->process.max_fds);
}

/* --- the table ------------------------------------------------------------------------------------------------------- */

#define GAUGE   "gauge"
#define COUNTER "counter"
static const struct metric metrics[] = {
	{ "gdrfleet_build_info", GAUGE, "The version that runs.", build_info },
	{ "gdrfleet_nodes", GAUGE, "Nodes by state; all states together are the fleet.", nodes },
	{ "gdrfleet_nodes_connected", GAUGE, "Nodes whose agent reports.", nodes_connected },
	{ "gdrfleet_nodes_cloned", GAUGE, "Nodes whose key speaks from two machines.", nodes_cloned },
	{ "gdrfleet_nodes_behind", GAUGE, "Nodes that have not measured the newest generation of what they should be.",
	  nodes_behind },
	{ "gdrfleet_not_ready_seconds", GAUGE, "For how long the node that has waited longest is not ready.",
	  not_ready_seconds },
	{ "gdrfleet_agent_silence_seconds", GAUGE, "Since the connected agent that is silent longest was heard.",
	  silence_seconds },
	{ "gdrfleet_items", GAUGE, "Items on all nodes, by layer and what it takes to put them right.", items },
	{ "gdrfleet_reboot_grants", GAUGE, "Reboots that are granted and not over.", grants_open },
	{ "gdrfleet_rollouts", GAUGE, "Rollouts that are remembered, by state.", rollouts },
	{ "gdrfleet_rollout_nodes", GAUGE, "Nodes of the rollouts at work, by progress.", rollout_nodes },
	{ "gdrfleet_rollout_gates", GAUGE, "Judgements on waves of the rollouts at work, by result.", rollout_gates },
	{ "gdrfleet_rollout_paused_seconds", GAUGE, "For how long the rollout that is paused longest is.",
	  rollout_paused_seconds },
	{ "gdrfleet_agent_sessions", GAUGE, "Connections of agents.", sessions },
	{ "gdrfleet_agent_messages_dropped_total", COUNTER, "Messages of agents that were not taken, by reason.",
	  agent_messages_dropped },
	{ "gdrfleet_zap_requests_total", COUNTER, "Keys that asked to be let in, by result.", zap_requests },
	{ "gdrfleet_pending_keys", GAUGE, "Unknown keys that wait to be accepted.", pending_keys },
	{ "gdrfleet_commit_seconds", "histogram", "Duration of the commit that ends each turn.", commit_seconds },
	{ "gdrfleet_commit_failures_total", COUNTER, "Commits that failed; what they held was not done.",
	  commit_failures },
	{ "gdrfleet_http_requests_total", COUNTER, "HTTP requests by class of answer.", http_requests },
	{ "gdrfleet_http_connections", GAUGE, "HTTP connections.", http_connections },
	{ "gdrfleet_http_streams", GAUGE, "Pages that are kept up to date.", http_streams },
	{ "gdrfleet_http_cut_total", COUNTER, "HTTP connections that were cut because they were too slow.", http_cut },
	{ "process_cpu_seconds_total", COUNTER, "User and system time.", cpu_seconds },
	{ "process_resident_memory_bytes", GAUGE, "Resident memory.", resident },
	{ "process_open_fds", GAUGE, "Open file descriptors.", open_fds },
	{ "process_max_fds", GAUGE, "Limit of file descriptors.", max_fds },
	{ "process_start_time_seconds", GAUGE, "When it started, in Unix time.", start_time },
};

void
metrics_print(const struct metrics_sources *sources, struct buf *out)
{
	auto_pb Gdr__Response *rollouts_now = xcalloc(1, sizeof(*rollouts_now));
	struct scrape scrape = { .from = sources, .out = out, .rollouts = rollouts_now };
	Gdr__RolloutQuery all = GDR__ROLLOUT_QUERY__INIT;
	struct err ignored = { 0 }; /* It cannot fail without a name. */
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	scrape.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	gdr__response__init(rollouts_now);
	const struct ask ask = { .actor = "web", .now_ms = scrape.now_ms, .answer = rollouts_now };
	(void)fleet_query_rollouts(sources->fleet, &ask, &all, &ignored);
	count_nodes(&scrape.count, sources->fleet);
	process_read(&scrape.process);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		scrape.metric = &metrics[i];
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name,
			   metrics[i].type);
		metrics[i].print(&scrape);
	}
}
