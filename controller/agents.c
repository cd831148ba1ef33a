#include "controller/agents.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "controller/fleet/fleet.h"
#include "controller/keyring.h"
#include "controller/report_limits.h"
#include "proto/wire.pb-c.h"

#define FRAMES_A_TURN 512     /* One commit for all of them; */
#define TURN_MS       100     /* but nobody else waits longer than this. */
#define CLONE_RETRY   60000   /* ms: two machines with one key do not flap faster. */
#define RETIRED_GRACE 5000    /* ms, at most; half a lease where that is less. */
#define BURST_US      5000000 /* What a session may send at once: that of so long. */
#define HELLO_GAP     1000 /* ms between two sessions of one node, or half a lease: each takes others' turn to come in. */

struct session {
	struct wire_peer peer;
	char id[33]; /* Routing id in hex: the table's key. */
	char *node;
	int64_t opened_ms; /* zclock_mono() */
	int64_t heard_ms;
	int64_t retired_ms; /* A newer Hello of this node came on another connection; 0: none. */
	int64_t paid_us;    /* For the frames that it has sent: see is_flooding(). */
};

struct agents {
	struct wire *wire;
	struct fleet *fleet;
	const struct keyring *keyring;
	const Gdr__GdrdConfig *config;
	zhashx_t *sessions;     /* id -> struct session */
	zhashx_t *current;      /* node name -> struct session, not owned */
	int64_t next_admission; /* zclock_mono() in microseconds: when the next Hello may come in, */
	int64_t next_return;    /* and when the last one that had to wait is to come back. */
	struct turn turn;
	struct log_burst strangers;
	struct log_burst garbage;
	unsigned long dropped; /* As last logged. */
	struct log_burst impostors;
	struct log_burst clones;
	struct log_burst floods;
};

static void
session_free(void **item)
{
	struct session *session = *item;

	free(session->node);
	free(session);
	*item = NULL;
}

static uint64_t
now_ms(void)
{
	return (uint64_t)zclock_time();
}

/* --- sending ------------------------------------------------------------------------------------------------ */

static void
send_down(struct agents *agents, const struct wire_peer *peer, const Gdr__ToAgent *message)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&message->base, &len);

	/* If it does not get there the agent's next lease says so. */
	(void)wire_send(agents->wire, peer, data, len);
}

static void
send_welcome(struct agents *agents, const struct wire_peer *peer, Gdr__Welcome__Answer answer, const char *why,
	     uint32_t retry_after_ms)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	Gdr__Welcome welcome = GDR__WELCOME__INIT;
	auto_free char *text = why ? xstrdup(why) : NULL;

	welcome.has_answer = true;
	welcome.answer = answer;
	welcome.why = text;
	welcome.has_retry_after_ms = answer != GDR__WELCOME__ANSWER__ACCEPTED;
	welcome.retry_after_ms = retry_after_ms;
	welcome.has_lease_ms = welcome.has_report_ms = true;
	welcome.lease_ms = agents->config->lease;
	welcome.report_ms = agents->config->report_interval;
	down.body_case = GDR__TO_AGENT__BODY_WELCOME;
	down.welcome = &welcome;
	send_down(agents, peer, &down);
}

static void
send_desired(struct agents *agents, const struct session *session, const struct node *node)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	auto_pb Gdr__Desired *desired = fleet_desired(agents->fleet, node);

	down.body_case = GDR__TO_AGENT__BODY_DESIRED;
	down.desired = desired;
	send_down(agents, &session->peer, &down);
}

static void
send_lease_ok(struct agents *agents, const struct session *session, struct node *node)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	Gdr__LeaseOk ok = GDR__LEASE_OK__INIT;

	ok.has_generation = true;
	ok.generation = node->generation;
	ok.has_report_digest = node->report != NULL;
	ok.report_digest = (ProtobufCBinaryData){ .len = sizeof(node->digest), .data = node->digest };
	down.body_case = GDR__TO_AGENT__BODY_LEASE_OK;
	down.lease_ok = &ok;
	send_down(agents, &session->peer, &down);
}

/* NULL: none, or one of the key that the node had before. */
static const struct session *
session_of(struct agents *agents, const struct node *node)
{
	const struct session *session = zhashx_lookup(agents->current, node->name);

	return session && node->key && strcmp(session->peer.key, node->key) == 0 ? session : NULL;
}

void
agents_flush(struct agents *agents)
{
	size_t n;
	struct node **nodes = fleet_touched(agents->fleet, &n);

	for (size_t i = 0; i < n; i++) {
		const struct session *session = session_of(agents, nodes[i]);

		if (session && nodes[i]->push)
			send_desired(agents, session, nodes[i]);
		if (session && nodes[i]->acknowledge)
			send_lease_ok(agents, session, nodes[i]);
		nodes[i]->push = nodes[i]->acknowledge = false;
	}
}

/* --- sessions ----------------------------------------------------------------------------------------------- */

static void
hex_id(const struct wire_peer *peer, char out[33])
{
	for (size_t i = 0; i < peer->id_len; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", peer->id[i]);
}

static void
drop_session(struct agents *agents, struct session *session)
{
	struct node *node = fleet_node(agents->fleet, session->node);

	if (zhashx_lookup(agents->current, session->node) == session) {
		zhashx_delete(agents->current, session->node);
		if (node)
			node->connected = false;
	}
	zhashx_delete(agents->sessions, session->id);
}

/* The connection's, if it is this node's: a key may have been removed and accepted as another node meanwhile. */
static struct session *
find_session(struct agents *agents, const struct wire_peer *peer, const struct node *node)
{
	char id[33] = "";

	hex_id(peer, id);
	struct session *session = zhashx_lookup(agents->sessions, id);
	if (!session || strcmp(session->node, node->name) == 0)
		return session;
	drop_session(agents, session);
	return NULL;
}

static struct session *
open_session(struct agents *agents, const struct wire_peer *peer, const struct node *node)
{
	struct session *session = find_session(agents, peer, node);
	struct session *older = zhashx_lookup(agents->current, node->name);

	if (!session) {
		session = xcalloc(1, sizeof(*session));
		session->peer = *peer;
		hex_id(peer, session->id);
		session->node = xstrdup(node->name);
		session->opened_ms = zclock_mono();
		(void)zhashx_insert(agents->sessions, session->id, session);
	}
	if (older && older != session)
		older->retired_ms = zclock_mono();
	zhashx_update(agents->current, node->name, session);
	return session;
}

/* --- what agents say ------------------------------------------------------------------------------------------ */

/* Paced: 0 to come in now, else how long to wait.  Who comes in is counted (up to a second's worth at once); who has to
 * wait is given a time of its own, so that those who were turned away do not meet again. */
static uint32_t
wait_for_slot(struct agents *agents)
{
	int64_t now_us = zclock_mono() * 1000;
	int64_t gap_us = 1000000 / agents->config->admit_per_second;

	if (agents->next_admission < now_us - 1000000)
		agents->next_admission = now_us - 1000000;
	if (agents->next_admission <= now_us) {
		agents->next_admission += gap_us;
		return 0;
	}
	/* More than all nodes can hardly wait: who says Hello again and again does not send the others far away. */
	if (agents->next_return < now_us || agents->next_return > now_us + agents->config->max_nodes * gap_us)
		agents->next_return = now_us;
	agents->next_return += gap_us;
	return (uint32_t)((agents->next_return - now_us) / 1000) + 1;
}

/* The same for a connection that has no session yet. */
static uint32_t
wait_for_session(struct agents *agents, const struct node *node)
{
	const struct session *current = zhashx_lookup(agents->current, node->name);
	uint32_t gap = agents->config->lease / 2 < HELLO_GAP ? agents->config->lease / 2 : HELLO_GAP;

	if (current && zclock_mono() - current->opened_ms < gap)
		return gap;
	return wait_for_slot(agents);
}

static void
take_hello(struct agents *agents, const struct wire_frame *frame, struct node *node, const Gdr__Hello *hello)
{
	if (hello->protocol != PROTOCOL) {
		send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__REFUSED,
			     "another version of the protocol: upgrade the agent", 600000);
		return;
	}
	if (!hello->node || strcmp(hello->node, node->name) != 0) {
		log_burst(&agents->impostors, "%s: the key of node %s says it is another node: refused",
			  frame->peer.address, node->name);
		send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__REFUSED, "this key is another node's", 60000);
		return;
	}
	uint32_t wait = find_session(agents, &frame->peer, node) ? 0 : wait_for_session(agents, node);
	if (wait) {
		send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__BUSY, NULL, wait);
		return;
	}
	struct session *session = open_session(agents, &frame->peer, node);
	session->heard_ms = zclock_mono();
	send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__ACCEPTED, NULL, 0);
	fleet_hello(agents->fleet, node, hello, now_ms());
}

/* A session that was replaced and still speaks is a copy of the node; but what its connection brought before it was
 * replaced may be read a little later. */
static void
take_retired(struct agents *agents, const struct wire_frame *frame, struct node *node, struct session *session)
{
	int64_t grace = agents->config->lease / 2 < RETIRED_GRACE ? agents->config->lease / 2 : RETIRED_GRACE;

	if (zclock_mono() - session->retired_ms < grace)
		return;
	log_burst(&agents->clones, "node %s speaks from two places, also from %s: is one a copy of the other?",
		  node->name, frame->peer.address);
	fleet_cloned(agents->fleet, node, frame->peer.address, now_ms());
	send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__REFUSED, "another machine uses this key", CLONE_RETRY);
	drop_session(agents, session);
}

/* An agent reports at most once each report_interval and says little else.  What is more than twice that, beyond a burst
 * of some seconds, is not even looked at: each report is a write. */
static bool
is_flooding(const struct agents *agents, struct session *session)
{
	int64_t now_us = zclock_mono() * 1000;
	int64_t price_us = 1000000 / (20 + 2000 / (int64_t)agents->config->report_interval);

	if (session->paid_us < now_us - BURST_US)
		session->paid_us = now_us - BURST_US;
	if (session->paid_us > now_us)
		return true;
	session->paid_us += price_us;
	return false;
}

static void
take(struct agents *agents, const struct wire_frame *frame, struct node *node, Gdr__FromAgent *up)
{
	struct session *session = find_session(agents, &frame->peer, node);

	if (session && session->retired_ms) {
		take_retired(agents, frame, node, session);
		return;
	}
	if (up->body_case == GDR__FROM_AGENT__BODY_HELLO) {
		take_hello(agents, frame, node, up->hello);
		return;
	}
	/* Only sessions may say more than Hello. */
	if (!session) {
		send_welcome(agents, &frame->peer, GDR__WELCOME__ANSWER__BUSY, NULL, 1);
		return;
	}
	session->heard_ms = zclock_mono();
	if (up->body_case == GDR__FROM_AGENT__BODY_REPORT)
		fleet_report(agents->fleet, node, &up->report, now_ms());
	else
		fleet_lease(agents->fleet, node, up->lease, now_ms());
}

static void
on_one(struct agents *agents, const struct wire_frame *frame)
{
	const struct principal *who = keyring_find(agents->keyring, frame->peer.key);
	struct node *node = who && who->is_node ? fleet_node(agents->fleet, who->name) : NULL;
	struct err err = { 0 };

	if (!node) {
		/* Was admitted once, and is nobody's key any more: ZAP is asked at the handshake only. */
		log_burst(&agents->strangers, "%s: its key was revoked: link cut", frame->peer.address);
		wire_cut(&frame->peer);
		return;
	}
	struct session *session = find_session(agents, &frame->peer, node);
	if (session && is_flooding(agents, session)) {
		log_burst(&agents->floods, "node %s (%s): more messages than an agent sends: not read", node->name,
			  frame->peer.address);
		return;
	}
	auto_pb Gdr__FromAgent *up = (Gdr__FromAgent *)pb_unpack(&gdr__from_agent__descriptor, frame->data, frame->len,
								 &err);
	bool sound = up && up->body_case != GDR__FROM_AGENT__BODY__NOT_SET && pb_check(&up->base, &err) == 0;
	if (sound && up->body_case == GDR__FROM_AGENT__BODY_REPORT)
		sound = report_limits_check(up->report, frame->len, node->host != NULL, &err) == 0;
	if (!sound) {
		log_burst(&agents->garbage, "node %s (%s): not a message of the protocol: %s", node->name,
			  frame->peer.address, err.code ? err.msg : "empty");
		return;
	}
	take(agents, frame, node, up);
}

static int
on_frames(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct agents *agents = arg;
	int64_t end = zclock_mono() + TURN_MS;
	struct wire_frame frame;

	(void)loop;
	(void)item;
	for (int i = 0; i < FRAMES_A_TURN && zclock_mono() < end && wire_recv(agents->wire, &frame) > 0; i++)
		on_one(agents, &frame);
	agents->turn.end(agents->turn.arg);
	return 0;
}

void
agents_tick(struct agents *agents)
{
	int64_t oldest = zclock_mono() - 2 * (int64_t)agents->config->lost_after;
	int64_t silent = zclock_mono() - (int64_t)agents->config->lost_after;
	zlistx_t *dead = zlistx_new();

	if (wire_dropped(agents->wire) != agents->dropped)
		log_burst(&agents->garbage, "messages of no or several frames were dropped, %lu in all",
			  wire_dropped(agents->wire));
	agents->dropped = wire_dropped(agents->wire);
	log_burst_tick(&agents->strangers);
	log_burst_tick(&agents->garbage);
	log_burst_tick(&agents->impostors);
	log_burst_tick(&agents->clones);
	log_burst_tick(&agents->floods);
	for (struct session *s = zhashx_first(agents->sessions); s; s = zhashx_next(agents->sessions)) {
		struct node *node = fleet_node(agents->fleet, s->node);
		bool own = node && node->key && strcmp(s->peer.key, node->key) == 0;

		if (own && !s->retired_ms)
			node->connected = s->heard_ms > silent;
		if (!own)
			wire_cut(&s->peer);
		if (!own || s->heard_ms < oldest)
			(void)zlistx_add_end(dead, s);
	}
	for (struct session *s = zlistx_first(dead); s; s = zlistx_next(dead))
		drop_session(agents, s);
	zlistx_destroy(&dead);
}

struct agents_counts
agents_counts(const struct agents *agents)
{
	return (struct agents_counts){ .sessions = zhashx_size(agents->sessions),
				       .strangers = agents->strangers.total,
				       .garbage = agents->garbage.total,
				       .impostors = agents->impostors.total,
				       .floods = agents->floods.total };
}

struct agents *
agents_new(struct wire *wire, struct fleet *fleet, const struct keyring *keyring, const Gdr__GdrdConfig *config,
	   const struct turn *turn)
{
	struct agents *agents = xcalloc(1, sizeof(*agents));
	zmq_pollitem_t item = { .socket = wire_socket(wire), .events = ZMQ_POLLIN };

	agents->wire = wire;
	agents->fleet = fleet;
	agents->keyring = keyring;
	agents->config = config;
	agents->turn = *turn;
	agents->sessions = zhashx_new();
	agents->current = zhashx_new();
	zhashx_set_destructor(agents->sessions, session_free);
	(void)zloop_poller(turn->loop, &item, on_frames, agents);
	return agents;
}

void
agents_free(struct agents *agents)
{
	if (!agents)
		return;
	zhashx_destroy(&agents->current);
	zhashx_destroy(&agents->sessions);
	wire_close(agents->wire);
	free(agents);
}
