/* agents.c - one process full of agents: each has its own key and its own connection, and speaks as proto/wire.proto
 * says; what it has instead of a machine is a report. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <zmq.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "tests/fleetsim/fleetsim.h"

#define MUTE_MS  20000 /* A handshake that got stuck. */
#define HELLO_MS 2000
#define ROUND_MS 50 /* Between two looks at everybody's clocks. */
#define EVENTS   512
#define LEASE_MS 30000 /* Until a welcome says otherwise. */

struct agent {
	struct identity *id;
	struct wire *wire;
	bool live;
	uint64_t generation;
	char *spec_hash;
	bool troubled;  /* Its last report says that something is wrong. */
	bool committed; /* That report is. */
	uint8_t digest[PB_DIGEST_LEN];
	int64_t reported_ms; /* When it was sent; 0: it is acknowledged, and counted. */
	int64_t hello_ms;
	int64_t lease_ms;
	int64_t heard_ms;
	int64_t report_ms; /* When something new happens to it. */
};

struct agents {
	const struct load *load;
	struct tally *tally;
	struct agent *all;
	size_t n;
	int poll;
	uint32_t lease;
	bool report;
};

/* --- what they say ---------------------------------------------------------------------------------------------- */

static void
send_up(struct agent *agent, const Gdr__FromAgent *up)
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
	hello.node = agent->id->name;
	hello.boot_id = agent->id->name;
	up.body_case = GDR__FROM_AGENT__BODY_HELLO;
	up.hello = &hello;
	send_up(agent, &up);
	agent->hello_ms = clock_ms() + HELLO_MS;
}

static void
send_report(const struct agents *agents, struct agent *agent)
{
	static char trouble[] = "simulated trouble";
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Report report = *agents->load->report;
	size_t len;

	report.has_generation = report.has_outcome = true;
	report.generation = agent->generation;
	report.spec_hash = agent->spec_hash;
	report.boot_id = agent->id->name;
	report.outcome = agent->troubled ? GDR__OUTCOME__OUTCOME_WORKING : GDR__OUTCOME__OUTCOME_SETTLED;
	report.why = agent->troubled ? trouble : NULL;
	auto_free uint8_t *data = pb_pack(&report.base, &len);
	pb_digest(data, len, agent->digest);
	up.body_case = GDR__FROM_AGENT__BODY_REPORT;
	up.report = &report;
	send_up(agent, &up);
	agent->committed = false;
	agent->reported_ms = clock_ms();
}

static void
send_lease(const struct agents *agents, struct agent *agent)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Lease lease = GDR__LEASE__INIT;

	lease.has_generation = lease.has_report_digest = true;
	lease.generation = agent->generation;
	lease.boot_id = agent->id->name;
	lease.report_digest = (ProtobufCBinaryData){ .len = PB_DIGEST_LEN, .data = agent->digest };
	up.body_case = GDR__FROM_AGENT__BODY_LEASE;
	up.lease = &lease;
	send_up(agent, &up);
	agent->lease_ms = clock_ms() + agents->lease;
}

/* --- what they are told ------------------------------------------------------------------------------------------- */

static void
take_welcome(struct agents *agents, struct agent *agent, const Gdr__Welcome *welcome)
{
	agent->live = welcome->answer == GDR__WELCOME__ANSWER__ACCEPTED;
	agents->lease = welcome->lease_ms;
	agent->lease_ms = clock_ms() + agents->lease;
	if (!agent->live)
		agent->hello_ms = clock_ms() + welcome->retry_after_ms;
}

static void
take_desired(const struct agents *agents, struct agent *agent, const Gdr__Desired *desired)
{
	agent->generation = desired->generation;
	free(agent->spec_hash);
	agent->spec_hash = desired->spec_hash ? xstrdup(desired->spec_hash) : NULL;
	agent->troubled = false;
	send_lease(agents, agent);
	send_report(agents, agent);
}

static void
take_lease_ok(const struct agents *agents, struct agent *agent, const Gdr__LeaseOk *ok)
{
	agent->committed = ok->report_digest.len == PB_DIGEST_LEN &&
			   memcmp(ok->report_digest.data, agent->digest, PB_DIGEST_LEN) == 0 &&
			   ok->generation == agent->generation;
	if (!agent->committed || !agent->reported_ms)
		return;
	int64_t took = clock_ms() - agent->reported_ms;
	agents->tally->acks[took < ACK_MAX_MS ? took : ACK_MAX_MS]++;
	agent->reported_ms = 0;
}

static void
take(struct agents *agents, struct agent *agent, const Gdr__ToAgent *down)
{
	switch ((int)down->body_case) {
	case GDR__TO_AGENT__BODY_WELCOME: take_welcome(agents, agent, down->welcome); break;
	case GDR__TO_AGENT__BODY_DESIRED: take_desired(agents, agent, down->desired); break;
	case GDR__TO_AGENT__BODY_LEASE_OK: take_lease_ok(agents, agent, down->lease_ok); break;
	default: break;
	}
}

/* Until nothing waits: libzmq wakes us only for what comes after that. */
static void
read_all(struct agents *agents, struct agent *agent)
{
	struct wire_frame frame;
	struct err err = { 0 };

	while (wire_recv(agent->wire, &frame) > 0) {
		auto_pb Gdr__ToAgent *down = (Gdr__ToAgent *)pb_unpack(&gdr__to_agent__descriptor, frame.data,
								       frame.len, &err);

		agent->heard_ms = clock_ms();
		if (down)
			take(agents, agent, down);
	}
}

/* --- one of them ---------------------------------------------------------------------------------------------------- */

static void
connect_agent(const struct agents *agents, struct agent *agent)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = agent };
	struct err err = { 0 };
	int fd;
	size_t len = sizeof(fd);

	wire_close(agent->wire); /* Which takes its descriptor out of the set. */
	agent->wire = NULL;
	agent->live = false;
	agent->heard_ms = clock_ms();
	if (wire_connect(agents->load->endpoint, agents->load->context->server_key, &agent->id->key, 1000, &agent->wire,
			 &err) < 0 ||
	    zmq_getsockopt(wire_socket(agent->wire), ZMQ_FD, &fd, &len) != 0 ||
	    epoll_ctl(agents->poll, EPOLL_CTL_ADD, fd, &event) != 0)
		abort(); /* Out of sockets: there is nothing to measure any more. */
}

/* As agent/comm.c does: silence for three leases, or a handshake that leads nowhere, ends the connection. */
static bool
is_silent(const struct agents *agents, const struct agent *agent, int64_t now)
{
	return now - agent->heard_ms > (agent->live ? 3LL * agents->lease : MUTE_MS) && now >= agent->hello_ms;
}

/* Something has happened to it, or was put right; not to all at once. */
static void
report_anew(const struct agents *agents, struct agent *agent, int64_t now)
{
	bool first = agent->report_ms == 0;

	agent->report_ms = now + (first ? rand() % agents->load->report_ms : agents->load->report_ms);
	if (first || !agent->live || !agent->generation)
		return;
	agent->troubled = !agent->troubled;
	send_report(agents, agent);
}

static void
tend(struct agents *agents, struct agent *agent, int64_t now)
{
	if (is_silent(agents, agent, now))
		connect_agent(agents, agent);
	if (!agent->live && now >= agent->hello_ms && wire_state(agent->wire) == WIRE_UP)
		send_hello(agent);
	if (agents->report && now >= agent->report_ms)
		report_anew(agents, agent, now);
	if (agent->live && now >= agent->lease_ms)
		send_lease(agents, agent);
	read_all(agents, agent);
}

/* --- all of them ----------------------------------------------------------------------------------------------------- */

static void
tend_all(struct agents *agents)
{
	int64_t now = clock_ms();
	size_t live = 0;
	size_t committed = 0;

	for (size_t i = 0; i < agents->n; i++) {
		struct agent *agent = &agents->all[i];

		tend(agents, agent, now);
		live += agent->live;
		committed += agent->live && agent->spec_hash && agent->committed;
	}
	agents->tally->live = live;
	agents->tally->committed = committed;
}

static void
turn(struct agents *agents)
{
	struct epoll_event events[EVENTS];
	int64_t end = clock_ms() + ROUND_MS;

	for (int64_t left = ROUND_MS; left > 0; left = end - clock_ms()) {
		int n = epoll_wait(agents->poll, events, EVENTS, (int)left);

		for (int i = 0; i < n; i++)
			read_all(agents, events[i].data.ptr);
	}
	tend_all(agents);
}

/* Who is out, and how far its connection got. */
static void
name_the_missing(const struct agents *agents)
{
	static const char *const text[] = { [WIRE_DOWN] = "no connection",
					    [WIRE_MUTE] = "no handshake",
					    [WIRE_UP] = "connected, not welcomed",
					    [WIRE_REFUSED] = "refused" };

	for (size_t i = 0; i < agents->n; i++)
		if (agents->all[i].wire && !agents->all[i].live)
			(void)printf("  %s: %s\n", agents->all[i].id->name, text[wire_state(agents->all[i].wire)]);
	(void)fflush(stdout);
}

void
agents_run(const struct load *load, size_t from, size_t to, const struct board *board, struct tally *tally)
{
	struct agents agents = { .load = load, .tally = tally, .n = to - from, .lease = LEASE_MS };

	agents.poll = epoll_create1(EPOLL_CLOEXEC);
	agents.all = xcalloc(agents.n, sizeof(*agents.all));
	srand((unsigned)from);
	while (board->order == ORDER_WAIT)
		(void)poll(NULL, 0, ROUND_MS);
	for (size_t i = 0; i < agents.n && board->order != ORDER_END; i++) {
		agents.all[i].id = &load->all[from + i];
		connect_agent(&agents, &agents.all[i]);
	}
	while (board->order != ORDER_END) {
		agents.report = board->order == ORDER_REPORT;
		turn(&agents);
	}
	name_the_missing(&agents);
	for (size_t i = 0; i < agents.n; i++) {
		wire_close(agents.all[i].wire);
		free(agents.all[i].spec_hash);
	}
	free(agents.all);
	(void)close(agents.poll);
}
