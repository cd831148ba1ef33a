/* main.c - gdr-fleetsim: thousands of agents in one process, against a real gdrd.
 *
 * Each agent has its own key and its own connection and speaks the protocol of proto/wire.proto; what it has instead
 * of a machine is a report that says "settled".  It declares its nodes, lets their keys in, connects them, moves
 * them to a profile, and says how long each step took.  It is told whom to load by a gdrctl.yaml of an admin. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zmq.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/wire.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"
#include "proto/wire.pb-c.h"

#define LABEL    "fleetsim"
#define PATIENCE 60000 /* ms for any one step */
#define MUTE_MS  20000 /* A handshake that got stuck. */
#define HELLO_MS 2000
#define TURN_MS  100
#define CHUNK    500 /* Node documents an apply */

struct agent {
	char name[32];
	struct keypair key;
	struct wire *wire;
	bool live;
	uint64_t generation;
	bool committed; /* The report of this generation is. */
	uint8_t digest[PB_DIGEST_LEN];
	long long hello_ms;
	long long lease_ms;
	long long heard_ms;
};

struct sim {
	struct agent *agents;
	size_t n;
	const Gdr__Context *context;
	struct wire *operator_wire;
	const char *endpoint;
	const char *profile;
	uint32_t lease;
	zmq_pollitem_t *items;
};

static long long
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- as an operator --------------------------------------------------------------------------------------------- */

static int
ask(struct sim *sim, Gdr__Request *request, struct err *err)
{
	struct wire_frame frame;
	size_t len;
	auto_free uint8_t *data = pb_pack(&request->base, &len);
	long long end = now_ms() + PATIENCE;
	int rc;

	while ((rc = wire_send(sim->operator_wire, NULL, data, len)) == -EAGAIN && now_ms() < end)
		(void)wire_wait(sim->operator_wire, 20, &frame);
	if (rc < 0 || wire_wait(sim->operator_wire, PATIENCE, &frame) <= 0)
		return err_set(err, -ETIMEDOUT, "%s: no answer", sim->context->endpoint);
	auto_pb Gdr__Response *answer = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, frame.data, frame.len,
								   err);
	if (!answer)
		return err->code;
	if (answer->code != GDR__CODE__CODE_OK)
		return err_set(err, -EIO, "%s", answer->message ? answer->message : "refused");
	return 0;
}

static int
declare(struct sim *sim, size_t from, size_t to, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__Apply apply = GDR__APPLY__INIT;
	Gdr__Node nodes[CHUNK];
	Gdr__Node *pointers[CHUNK];
	char key[] = LABEL;
	char value[] = "yes";
	Gdr__Node__LabelsEntry label = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry *labels[] = { &label };

	label.key = key;
	label.value = value;
	for (size_t i = from; i < to; i++) {
		Gdr__Node *node = &nodes[i - from];

		gdr__node__init(node);
		node->name = sim->agents[i].name;
		node->n_labels = 1;
		node->labels = labels;
		pointers[i - from] = node;
	}
	apply.n_nodes = to - from;
	apply.nodes = pointers;
	request.body_case = GDR__REQUEST__BODY_APPLY;
	request.apply = &apply;
	return ask(sim, &request, err);
}

static int
let_in(struct sim *sim, struct agent *agent, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAccept accept = GDR__NODE_ACCEPT__INIT;

	accept.key = agent->key.public_key;
	accept.name = agent->name;
	request.body_case = GDR__REQUEST__BODY_NODE_ACCEPT;
	request.node_accept = &accept;
	return ask(sim, &request, err);
}

static int
assign(struct sim *sim, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAssign move = GDR__NODE_ASSIGN__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	char selector[] = LABEL "=yes";
	auto_free char *profile = xstrdup(sim->profile);

	of.selector = selector;
	move.of = &of;
	move.profile = profile;
	request.body_case = GDR__REQUEST__BODY_NODE_ASSIGN;
	request.node_assign = &move;
	return ask(sim, &request, err);
}

/* --- as the agents ------------------------------------------------------------------------------------------------ */

static void
send_up(struct agent *agent, Gdr__FromAgent *up)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&up->base, &len);

	(void)wire_send(agent->wire, NULL, data, len);
}

static void
send_hello(struct agent *agent)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Hello hello = GDR__HELLO__INIT;

	hello.has_protocol = hello.has_generation = true;
	hello.protocol = PROTOCOL;
	hello.generation = agent->generation;
	hello.node = agent->name;
	hello.boot_id = agent->name;
	up.body_case = GDR__FROM_AGENT__BODY_HELLO;
	up.hello = &hello;
	send_up(agent, &up);
	agent->hello_ms = now_ms() + HELLO_MS;
}

static void
send_report(struct agent *agent, char *spec_hash)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Report report = GDR__REPORT__INIT;
	size_t len;

	report.has_generation = report.has_outcome = true;
	report.generation = agent->generation;
	report.spec_hash = spec_hash;
	report.boot_id = agent->name;
	report.outcome = GDR__OUTCOME__OUTCOME_SETTLED;
	auto_free uint8_t *data = pb_pack(&report.base, &len);
	pb_digest(data, len, agent->digest);
	up.body_case = GDR__FROM_AGENT__BODY_REPORT;
	up.report = &report;
	send_up(agent, &up);
}

static void
send_lease(const struct sim *sim, struct agent *agent)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Lease lease = GDR__LEASE__INIT;

	lease.has_generation = lease.has_report_digest = true;
	lease.generation = agent->generation;
	lease.boot_id = agent->name;
	lease.report_digest = (ProtobufCBinaryData){ .len = PB_DIGEST_LEN, .data = agent->digest };
	up.body_case = GDR__FROM_AGENT__BODY_LEASE;
	up.lease = &lease;
	send_up(agent, &up);
	agent->lease_ms = now_ms() + sim->lease;
}

static void
take(struct sim *sim, struct agent *agent, const Gdr__ToAgent *down)
{
	switch ((int)down->body_case) {
	case GDR__TO_AGENT__BODY_WELCOME:
		agent->live = down->welcome->answer == GDR__WELCOME__ANSWER__ACCEPTED;
		sim->lease = down->welcome->lease_ms;
		agent->lease_ms = now_ms() + sim->lease;
		if (!agent->live)
			agent->hello_ms = now_ms() + down->welcome->retry_after_ms;
		break;
	case GDR__TO_AGENT__BODY_DESIRED:
		agent->generation = down->desired->generation;
		agent->committed = false;
		send_lease(sim, agent);
		send_report(agent, down->desired->spec_hash);
		break;
	case GDR__TO_AGENT__BODY_LEASE_OK:
		agent->committed = down->lease_ok->report_digest.len == PB_DIGEST_LEN &&
				   memcmp(down->lease_ok->report_digest.data, agent->digest, PB_DIGEST_LEN) == 0 &&
				   down->lease_ok->generation == agent->generation;
		break;
	default: break;
	}
}

static int
connect_agent(struct sim *sim, size_t i, struct err *err)
{
	struct agent *agent = &sim->agents[i];

	wire_close(agent->wire);
	agent->wire = NULL;
	agent->live = false;
	agent->heard_ms = now_ms();
	if (wire_connect(sim->endpoint, sim->context->server_key, &agent->key, 1000, &agent->wire, err) < 0)
		return err->code;
	sim->items[i] = (zmq_pollitem_t){ .socket = wire_socket(agent->wire), .events = ZMQ_POLLIN };
	return 0;
}

/* As agent/comm.c does: silence for three leases, or a handshake that leads nowhere, ends the connection. */
static bool
is_silent(const struct sim *sim, const struct agent *agent, long long now)
{
	return now - agent->heard_ms > (agent->live ? 3LL * sim->lease : MUTE_MS) && now >= agent->hello_ms;
}

static void
tend(struct sim *sim, size_t i)
{
	struct agent *agent = &sim->agents[i];
	struct wire_frame frame;
	struct err err = { 0 };
	long long now = now_ms();

	while (wire_recv(agent->wire, &frame) > 0) {
		auto_pb Gdr__ToAgent *down = (Gdr__ToAgent *)pb_unpack(&gdr__to_agent__descriptor, frame.data,
								       frame.len, &err);

		agent->heard_ms = now;
		if (down)
			take(sim, agent, down);
	}
	if (is_silent(sim, agent, now) && connect_agent(sim, i, &err) < 0)
		abort(); /* Out of sockets: there is nothing to measure any more. */
	if (!agent->live && now >= agent->hello_ms && wire_state(agent->wire) == WIRE_UP)
		send_hello(agent);
	if (agent->live && now >= agent->lease_ms)
		send_lease(sim, agent);
}

/* Until 'done' is true of every agent, or 'ms' are over; the number of which it is. */
static size_t
turn_until(struct sim *sim, bool (*done)(const struct agent *agent), long long ms)
{
	long long end = now_ms() + ms;
	size_t n = 0;

	while (now_ms() < end) {
		(void)zmq_poll(sim->items, (int)sim->n, 20);
		n = 0;
		for (size_t i = 0; i < sim->n; i++) {
			tend(sim, i);
			n += done(&sim->agents[i]);
		}
		if (n == sim->n)
			break;
	}
	return n;
}

static bool
is_live(const struct agent *agent)
{
	return agent->live;
}

static bool
is_committed(const struct agent *agent)
{
	return agent->live && agent->generation > 0 && agent->committed;
}

static bool
never(const struct agent *agent)
{
	(void)agent;
	return false;
}

/* Who is out, and how far its connection got. */
static void
name_the_missing(const struct sim *sim)
{
	static const char *const text[] = { [WIRE_DOWN] = "no connection",
					    [WIRE_MUTE] = "no handshake",
					    [WIRE_UP] = "connected, not welcomed",
					    [WIRE_REFUSED] = "refused" };

	for (size_t i = 0; i < sim->n; i++)
		if (!sim->agents[i].live)
			(void)printf("  %s: %s\n", sim->agents[i].name, text[wire_state(sim->agents[i].wire)]);
}

/* --- the story --------------------------------------------------------------------------------------------------- */

static int
step(const struct sim *sim, const char *what, long long begun, size_t n)
{
	double seconds = (double)(now_ms() - begun) / 1000;

	(void)printf("%-28s %6zu of %zu in %7.2f s  (%.0f a second)\n", what, n, sim->n, seconds,
		     seconds > 0 ? (double)n / seconds : 0);
	(void)fflush(stdout);
	return n == sim->n ? 0 : 1;
}

static int
prepare(struct sim *sim, struct err *err)
{
	long long begun = now_ms();
	int rc = 0;

	for (size_t i = 0; i < sim->n; i++) {
		(void)snprintf(sim->agents[i].name, sizeof(sim->agents[i].name), "load-%05zu", i + 1);
		keys_generate(&sim->agents[i].key);
	}
	for (size_t i = 0; rc == 0 && i < sim->n; i += CHUNK)
		rc = declare(sim, i, i + CHUNK < sim->n ? i + CHUNK : sim->n, err);
	for (size_t i = 0; rc == 0 && i < sim->n; i++)
		rc = let_in(sim, &sim->agents[i], err);
	if (rc == 0)
		(void)step(sim, "declared and let in", begun, sim->n);
	return rc;
}

static int
connect_all(struct sim *sim, struct err *err)
{
	sim->items = xcalloc(sim->n, sizeof(*sim->items));
	for (size_t i = 0; i < sim->n; i++)
		if (connect_agent(sim, i, err) < 0)
			return err->code;
	return 0;
}

static int
story(struct sim *sim, long long run_ms, struct err *err)
{
	struct keypair self = { 0 };
	int rc;

	(void)snprintf(self.public_key, sizeof(self.public_key), "%s", sim->context->public_key);
	(void)snprintf(self.secret_key, sizeof(self.secret_key), "%s", sim->context->secret_key);
	rc = wire_connect(sim->context->endpoint, sim->context->server_key, &self, 100, &sim->operator_wire, err);
	if (rc == 0)
		rc = prepare(sim, err);
	long long begun = now_ms();
	if (rc == 0)
		rc = connect_all(sim, err);
	if (rc < 0)
		return rc;
	int failed = step(sim, "connected and welcomed", begun, turn_until(sim, is_live, PATIENCE));
	begun = now_ms();
	rc = assign(sim, err);
	if (rc < 0)
		return rc;
	failed |= step(sim, "pushed, reported, committed", begun, turn_until(sim, is_committed, PATIENCE));
	if (run_ms) {
		begun = now_ms();
		(void)turn_until(sim, never, run_ms);
		failed |= step(sim, "connected in the end", begun, turn_until(sim, is_live, TURN_MS));
	}
	if (failed)
		name_the_missing(sim);
	return failed;
}

static void
usage(FILE *to)
{
	(void)fprintf(
		to,
		"usage: gdr-fleetsim --context GDRCTL.YAML --agents tcp://HOST:PORT --profile NAME [--nodes N] [--run 30s]\n\n"
		"Loads a gdrd with N agents (default 100) and says how long each step took.\n"
		"Exit status: 0 every agent got through, 1 not, 2 usage.\n");
}

static int
load_context(const char *path, ProtobufCMessage **file, struct err *err)
{
	auto_free char *text = NULL;
	size_t len = 0;
	int rc = file_read(path, 65536, &text, &len, err);

	if (rc == 0)
		rc = pbtext_parse(&gdr__ctl_config__descriptor, path, text, len, file, err);
	if (rc == 0 &&
	    (((Gdr__CtlConfig *)*file)->n_contexts == 0 || !((Gdr__CtlConfig *)*file)->contexts[0]->endpoint))
		rc = err_set(err, -EINVAL, "%s: no context", path);
	return rc;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "context", required_argument, NULL, 'c' },
		{ "agents", required_argument, NULL, 'a' },
		{ "profile", required_argument, NULL, 'p' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "run", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct rlimit files;
	struct sim sim = { .n = 100, .lease = 30000 };
	auto_pb ProtobufCMessage *file = NULL;
	const char *context = NULL;
	unsigned long long run_ms = 0;
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "c:a:p:n:r:h", options, NULL)) != -1)
		switch (c) {
		case 'c': context = optarg; break;
		case 'a': sim.endpoint = optarg; break;
		case 'p': sim.profile = optarg; break;
		case 'n': sim.n = strtoul(optarg, NULL, 10); break;
		case 'r':
			if (!pbtext_duration_parse(optarg, &run_ms))
				return 2;
			break;
		case 'h': usage(stdout); return 0;
		default: return 2;
		}
	if (!context || !sim.endpoint || !sim.profile || sim.n == 0) {
		usage(stderr);
		return 2;
	}
	/* Each agent takes four descriptors. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	int rc = load_context(context, &file, &err);
	if (rc == 0) {
		sim.context = ((Gdr__CtlConfig *)file)->contexts[0];
		sim.agents = xcalloc(sim.n, sizeof(*sim.agents));
		rc = story(&sim, (long long)run_ms, &err);
	}
	if (rc < 0)
		(void)fprintf(stderr, "gdr-fleetsim: %s\n", err.msg);
	wire_close(sim.operator_wire);
	for (size_t i = 0; sim.agents && i < sim.n; i++)
		wire_close(sim.agents[i].wire);
	free(sim.agents);
	free(sim.items);
	return rc == 0 ? 0 : 1;
}
