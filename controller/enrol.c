#include "controller/enrol.h"

#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "controller/answers.h"
#include "controller/fleet/fleet.h"
#include "proto/wire.pb-c.h"

struct enrol {
	struct wire *wire;
	struct fleet *fleet;
	struct turn turn;
	struct answers answers;
	struct log_burst garbage;
};

static void
answer(struct enrol *enrol, const struct wire_peer *peer, const char *why)
{
	Gdr__EnrolReply reply = GDR__ENROL_REPLY__INIT;
	auto_free char *text = why ? xstrdup(why) : NULL;
	size_t len;

	reply.has_accepted = true;
	reply.accepted = why == NULL;
	reply.why = text;
	uint8_t *data = pb_pack(&reply.base, &len);
	answers_add(&enrol->answers, peer, data, len);
}

static void
on_one(struct enrol *enrol, const struct wire_frame *frame)
{
	struct err err = { 0 };
	auto_pb Gdr__Enrol *request = (Gdr__Enrol *)pb_unpack(&gdr__enrol__descriptor, frame->data, frame->len, &err);

	if (!request) {
		log_burst(&enrol->garbage, "enrolment: %s: %s", frame->peer.address, err.msg);
		wire_cut(&frame->peer);
		return;
	}
	int rc = fleet_enrol(enrol->fleet, frame->peer.key, request->node, request->key, (uint64_t)zclock_time(), &err);
	if (rc < 0)
		log_warn("enrolment: %s: node %.63s: %s", frame->peer.address, request->node ? request->node : "?",
			 err.msg);
	answer(enrol, &frame->peer, rc < 0 ? err.msg : NULL);
}

static int
on_frames(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct enrol *enrol = arg;
	struct wire_frame frame;

	(void)loop;
	(void)item;
	for (int i = 0; i < 64 && wire_recv(enrol->wire, &frame) > 0; i++)
		on_one(enrol, &frame);
	enrol->turn.end(enrol->turn.arg);
	return 0;
}

void
enrol_flush(struct enrol *enrol, const char *failed)
{
	struct answers waiting = enrol->answers;

	if (failed) {
		enrol->answers = (struct answers){ 0 };
		for (size_t i = 0; i < waiting.n; i++)
			answer(enrol, &waiting.all[i].peer, failed);
		answers_clear(&waiting);
	}
	answers_send(&enrol->answers, enrol->wire);
}

void
enrol_tick(struct enrol *enrol)
{
	log_burst_tick(&enrol->garbage);
}

struct enrol *
enrol_new(struct wire *wire, struct fleet *fleet, const struct turn *turn)
{
	struct enrol *enrol = xcalloc(1, sizeof(*enrol));
	zmq_pollitem_t item = { .socket = wire_socket(wire), .events = ZMQ_POLLIN };

	enrol->wire = wire;
	enrol->fleet = fleet;
	enrol->turn = *turn;
	(void)zloop_poller(turn->loop, &item, on_frames, enrol);
	return enrol;
}

void
enrol_free(struct enrol *enrol)
{
	if (!enrol)
		return;
	answers_clear(&enrol->answers);
	wire_close(enrol->wire);
	free(enrol);
}
