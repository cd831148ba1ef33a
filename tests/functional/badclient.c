/* badclient.c - a client of the agents' endpoint that does not keep to the protocol: what hostile.sh attacks with.
 *
 *   badclient ENDPOINT SERVER_KEY KEYFILE|plain ACTION [ARGUMENT]
 *
 * KEYFILE is made where there is none; "plain" speaks without CURVE.  Prints one line: what came back. */

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "proto/wire.pb-c.h"

#define ANSWER_MS 3000
#define EVENTS    (ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED)

static void *socket_;
static void *monitor;

static int
open_socket(const char *endpoint, const char *server_key, const char *key_file)
{
	struct keypair key;
	struct err err = { 0 };
	int linger = 1000;

	socket_ = zmq_socket(wire_context(), ZMQ_DEALER);
	(void)zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
	if (strcmp(key_file, "plain") != 0) {
		if (keys_load_or_make(key_file, &key, "of a bad client", &err) < 0) {
			(void)fprintf(stderr, "badclient: %s\n", err.msg);
			return 1;
		}
		(void)zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, server_key, KEY_LEN + 1);
		(void)zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, key.public_key, KEY_LEN + 1);
		(void)zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, key.secret_key, KEY_LEN + 1);
	}
	(void)zmq_socket_monitor(socket_, "inproc://monitor", EVENTS);
	monitor = zmq_socket(wire_context(), ZMQ_PAIR);
	(void)zmq_connect(monitor, "inproc://monitor");
	return zmq_connect(socket_, endpoint) == 0 ? 0 : 1;
}

static void
send_message(Gdr__FromAgent__BodyCase which, ProtobufCMessage *body)
{
	Gdr__FromAgent message = GDR__FROM_AGENT__INIT;
	size_t len;

	message.body_case = which;
	message.hello = (Gdr__Hello *)body; /* A union of pointers. */
	auto_free uint8_t *data = pb_pack(&message.base, &len);
	(void)zmq_send(socket_, data, len, ZMQ_DONTWAIT);
}

static void
send_hello(char *name)
{
	Gdr__Hello hello = GDR__HELLO__INIT;
	char boot[] = "00000000-0000-4000-8000-000000000001";

	hello.has_protocol = true;
	hello.protocol = PROTOCOL;
	hello.node = name;
	hello.boot_id = boot;
	send_message(GDR__FROM_AGENT__BODY_HELLO, &hello.base);
}

/* "All is well", of a generation that was never given out. */
static void
send_report(void)
{
	Gdr__Report report = GDR__REPORT__INIT;
	char boot[] = "00000000-0000-4000-8000-000000000001";

	report.has_generation = true;
	report.generation = UINT64_MAX;
	report.boot_id = boot;
	report.has_outcome = true;
	report.outcome = GDR__OUTCOME__OUTCOME_SETTLED;
	send_message(GDR__FROM_AGENT__BODY_REPORT, &report.base);
}

static void
send_garbage(long count)
{
	uint8_t data[4096];

	for (long i = 0; i < count; i++) {
		(void)!getrandom(data, 256, 0);
		size_t len = (size_t)(data[0] | data[1] << 8) % sizeof(data);
		for (size_t at = 0; at < len; at += 256)
			(void)!getrandom(data + at, len - at < 256 ? len - at : 256, 0);
		(void)zmq_send(socket_, data, len, 0);
	}
}

static void
send_big(long bytes)
{
	auto_free uint8_t *data = xcalloc(1, (size_t)bytes);

	(void)zmq_send(socket_, data, (size_t)bytes, 0);
}

static void
send_parts(long count)
{
	for (long i = 1; i <= count; i++)
		(void)zmq_send(socket_, "part", 4, i < count ? ZMQ_SNDMORE : 0);
}

static void
print_answer(const Gdr__ToAgent *answer)
{
	const Gdr__Welcome *welcome = answer->body_case == GDR__TO_AGENT__BODY_WELCOME ? answer->welcome : NULL;

	if (!welcome)
		(void)printf("%s\n", answer->body_case == GDR__TO_AGENT__BODY_DESIRED ? "desired" : "lease-ok");
	else if (welcome->answer == GDR__WELCOME__ANSWER__ACCEPTED)
		(void)printf("accepted\n");
	else
		(void)printf("%s: %s\n", welcome->answer == GDR__WELCOME__ANSWER__BUSY ? "busy" : "refused",
			     welcome->why ? welcome->why : "");
}

static void
print_event(void)
{
	uint8_t event[6] = { 0 };

	(void)zmq_recv(monitor, event, sizeof(event), 0);
	(void)zmq_recv(monitor, NULL, 0, 0);
	unsigned what = event[0] | (unsigned)event[1] << 8;
	(void)printf("%s\n", what == ZMQ_EVENT_DISCONNECTED ? "cut" : "not admitted");
}

/* The first thing that comes back. */
static void
await(void)
{
	zmq_pollitem_t items[] = { { .socket = socket_, .events = ZMQ_POLLIN },
				   { .socket = monitor, .events = ZMQ_POLLIN } };
	struct err err = { 0 };
	zmq_msg_t frame;

	if (zmq_poll(items, 2, ANSWER_MS) <= 0) {
		(void)printf("silence\n");
		return;
	}
	if (!(items[0].revents & ZMQ_POLLIN)) {
		print_event();
		return;
	}
	(void)zmq_msg_init(&frame);
	(void)zmq_msg_recv(&frame, socket_, 0);
	auto_pb Gdr__ToAgent *answer = (Gdr__ToAgent *)pb_unpack(&gdr__to_agent__descriptor, zmq_msg_data(&frame),
								 zmq_msg_size(&frame), &err);
	if (answer)
		print_answer(answer);
	else
		(void)printf("nonsense: %s\n", err.msg);
	(void)zmq_msg_close(&frame);
}

static int
act(const char *action, char *argument)
{
	long number = strtol(argument, NULL, 10);

	if (strcmp(action, "hello") == 0)
		send_hello(argument);
	else if (strcmp(action, "report") == 0)
		send_report();
	else if (strcmp(action, "garbage") == 0)
		send_garbage(number);
	else if (strcmp(action, "big") == 0)
		send_big(number);
	else if (strcmp(action, "parts") == 0)
		send_parts(number);
	else
		return 2;
	await();
	return 0;
}

int
main(int argc, char **argv)
{
	char none[] = "";

	if (argc < 5) {
		(void)fprintf(stderr, "usage: badclient ENDPOINT SERVER_KEY KEYFILE|plain "
				      "hello|report|garbage|big|parts [ARGUMENT]\n");
		return 2;
	}
	int rc = open_socket(argv[1], argv[2], argv[3]);
	if (rc == 0)
		rc = act(argv[4], argc > 5 ? argv[5] : none);
	(void)zmq_close(monitor);
	(void)zmq_close(socket_);
	(void)zmq_ctx_term(wire_context());
	return rc;
}
