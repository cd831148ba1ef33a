/* operator.c - what an admin asks for before there is any load. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "proto/api.pb-c.h"
#include "tests/fleetsim/fleetsim.h"

#define LABEL    "fleetsim"
#define IN_A_ROW 32 /* Requests that are under way at once: gdrd commits once for those that it finds. */

static int
connect_operator(const struct load *load, struct wire **out, struct err *err)
{
	struct keypair self = { 0 };

	(void)snprintf(self.public_key, sizeof(self.public_key), "%s", load->context->public_key);
	(void)snprintf(self.secret_key, sizeof(self.secret_key), "%s", load->context->secret_key);
	return wire_connect(load->context->endpoint, load->context->server_key, &self, 100, out, err);
}

static int
send_request(struct wire *wire, const Gdr__Request *request, struct err *err)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&request->base, &len);
	int64_t end = clock_ms() + PATIENCE_MS;
	int rc;

	/* It is still connecting, or gdrd has yet to read what was sent before. */
	while ((rc = wire_send(wire, NULL, data, len)) == -EAGAIN && clock_ms() < end)
		(void)poll(NULL, 0, 1);
	return rc < 0 ? err_set(err, rc, "a request was not taken: %s", strerror(-rc)) : 0;
}

static int
take_answer(struct wire *wire, struct err *err)
{
	struct wire_frame frame;

	if (wire_wait(wire, PATIENCE_MS, &frame) <= 0)
		return err_set(err, -ETIMEDOUT, "%s: no answer", wire_endpoint(wire));
	auto_pb Gdr__Response *answer = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, frame.data, frame.len,
								   err);
	if (!answer)
		return err->code;
	if (answer->code != GDR__CODE__CODE_OK)
		return err_set(err, -EIO, "%s", answer->message ? answer->message : "refused");
	return 0;
}

static int
ask(struct wire *wire, const Gdr__Request *request, struct err *err)
{
	int rc = send_request(wire, request, err);

	return rc == 0 ? take_answer(wire, err) : rc;
}

static int
declare(struct wire *wire, const struct load *load, struct err *err)
{
	char key[] = LABEL;
	char value[] = "yes";
	Gdr__Node__LabelsEntry label = GDR__NODE__LABELS_ENTRY__INIT;
	Gdr__Node__LabelsEntry *labels[] = { &label };
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__Apply apply = GDR__APPLY__INIT;
	auto_free Gdr__Node *nodes = xcalloc(load->n, sizeof(*nodes));
	auto_free Gdr__Node **pointers = xcalloc(load->n, sizeof(*pointers));

	label.key = key;
	label.value = value;
	for (size_t i = 0; i < load->n; i++) {
		gdr__node__init(&nodes[i]);
		nodes[i].name = load->all[i].name;
		nodes[i].n_labels = 1;
		nodes[i].labels = labels;
		pointers[i] = &nodes[i];
	}
	apply.n_nodes = load->n;
	apply.nodes = pointers;
	request.body_case = GDR__REQUEST__BODY_APPLY;
	request.apply = &apply;
	return ask(wire, &request, err);
}

static int
let_in(struct wire *wire, const struct load *load, struct err *err)
{
	size_t answered = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && answered < load->n;) {
		Gdr__Request request = GDR__REQUEST__INIT;
		Gdr__NodeAccept accept = GDR__NODE_ACCEPT__INIT;

		if (i == load->n || i - answered == IN_A_ROW) {
			rc = take_answer(wire, err);
			answered++;
			continue;
		}
		accept.key = load->all[i].key.public_key;
		accept.name = load->all[i].name;
		request.body_case = GDR__REQUEST__BODY_NODE_ACCEPT;
		request.node_accept = &accept;
		rc = send_request(wire, &request, err);
		i++;
	}
	return rc;
}

int
operator_prepare(const struct load *load, struct err *err)
{
	struct wire *wire;
	int rc = connect_operator(load, &wire, err);

	if (rc < 0)
		return rc;
	rc = declare(wire, load, err);
	if (rc == 0)
		rc = let_in(wire, load, err);
	wire_close(wire);
	return rc;
}

int
operator_assign(const struct load *load, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAssign move = GDR__NODE_ASSIGN__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	char selector[] = LABEL "=yes";
	auto_free char *profile = xstrdup(load->profile);
	struct wire *wire;
	int rc = connect_operator(load, &wire, err);

	if (rc < 0)
		return rc;
	of.selector = selector;
	move.of = &of;
	move.profile = profile;
	request.body_case = GDR__REQUEST__BODY_NODE_ASSIGN;
	request.node_assign = &move;
	rc = ask(wire, &request, err);
	wire_close(wire);
	return rc;
}
