/* badclient.c - a client of the agents' endpoint that does not keep to the protocol: what hostile.sh and hostileguest.sh
 * attack with.
 *
 *   badclient ENDPOINT SERVER_KEY KEYFILE|plain ACTION [ARGUMENT]
 *   badclient ENDPOINT SERVER_KEY KEYFILE as NODE ATTACK [ARGUMENT]
 *
 * The second says Hello first, and attacks once it is accepted.
 * KEYFILE is made where there is none; "plain" speaks without CURVE.  Prints one line: what came back. */

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <zmq.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/wire.h"
#include "proto/wire.pb-c.h"

#define ANSWER_MS 3000
#define EVENTS    (ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED)

static char boot_id[] = "00000000-0000-4000-8000-000000000001";
static void *socket_;
static void *monitor;
static unsigned busy_ms; /* What the last answer says: come again after so long; 0: it does not. */

static int
open_socket(const char *endpoint, const char *server_key, const char *key_file)
{
	struct keypair key;
	struct err err = { 0 };
	int linger = 1000;
	int patience = ANSWER_MS;

	socket_ = zmq_socket(wire_context(), ZMQ_DEALER);
	(void)zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
	(void)zmq_setsockopt(socket_, ZMQ_SNDTIMEO, &patience, sizeof(patience));
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
	(void)zmq_send(socket_, data, len, 0);
}

static void
send_hello(char *name)
{
	Gdr__Hello hello = GDR__HELLO__INIT;

	hello.has_protocol = true;
	hello.protocol = PROTOCOL;
	hello.node = name;
	hello.boot_id = boot_id;
	send_message(GDR__FROM_AGENT__BODY_HELLO, &hello.base);
}

/* "All is well", of a generation that was never given out. */
static void
send_report(void)
{
	Gdr__Report report = GDR__REPORT__INIT;

	report.has_generation = true;
	report.generation = UINT64_MAX;
	report.boot_id = boot_id;
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

	busy_ms = welcome && welcome->answer == GDR__WELCOME__ANSWER__BUSY ? welcome->retry_after_ms + 1 : 0;
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

/* As often as it is told to come again. */
static void
greet(char *name)
{
	int tries = 0;

	do {
		(void)usleep(busy_ms * 1000);
		send_hello(name);
		await();
	} while (busy_ms && ++tries < 20);
}

/* --- with a session: what is well formed, and still no report of an honest agent ------------------------------------- */

#define ITEMS 20000
#define BYTES 900000

static char name_layer[] = "link";

static void
send_own(Gdr__Report *report)
{
	report->boot_id = boot_id;
	report->has_outcome = true;
	report->outcome = GDR__OUTCOME__OUTCOME_STUCK;
	send_message(GDR__FROM_AGENT__BODY_REPORT, &report->base);
}

/* As many items as there is room for. */
static void
attack_items(const char *argument)
{
	auto_free char *value = xstrdup(argument);
	auto_free Gdr__Item *items = xcalloc(ITEMS, sizeof(*items));
	auto_free Gdr__Item **all = xcalloc(ITEMS, sizeof(*all));
	Gdr__LayerReport layer = GDR__LAYER_REPORT__INIT;
	Gdr__LayerReport *layers[] = { &layer };
	Gdr__Report report = GDR__REPORT__INIT;

	for (size_t i = 0; i < ITEMS; i++) {
		gdr__item__init(&items[i]);
		items[i].key = xasprintf("%zu", i);
		items[i].want = items[i].have = value;
		items[i].has_fix = true;
		items[i].fix = GDR__FIX__FIX_MANUAL;
		all[i] = &items[i];
	}
	layer.name = name_layer;
	layer.items = all;
	layer.n_items = ITEMS;
	report.layers = layers;
	report.n_layers = 1;
	send_own(&report);
	for (size_t i = 0; i < ITEMS; i++)
		free(items[i].key);
}

/* One reason, as long as there is room for. */
static void
attack_text(const char *argument)
{
	auto_free char *text = xcalloc(1, BYTES + 1);
	Gdr__Report report = GDR__REPORT__INIT;

	memset(text, *argument, BYTES);
	report.why = text;
	send_own(&report);
}

/* What is no UTF-8, ends a line and speaks to a terminal, wherever a person will read it. */
static void
attack_bytes(const char *argument)
{
	static char bad[] = "\xff\xc0\xaf\033[2J\033]0;owned\007\r\n\"</script>\\";
	Gdr__Item item = GDR__ITEM__INIT;
	Gdr__Item *items[] = { &item };
	Gdr__LayerReport layer = GDR__LAYER_REPORT__INIT;
	Gdr__LayerReport *layers[] = { &layer };
	Gdr__Mended mended = GDR__MENDED__INIT;
	Gdr__Mended *all_mended[] = { &mended };
	Gdr__Report report = GDR__REPORT__INIT;

	(void)argument;
	item.key = item.want = item.have = item.why = bad;
	item.has_fix = true;
	item.fix = GDR__FIX__FIX_MANUAL;
	layer.name = layer.error = mended.layer = mended.key = mended.had = mended.have = bad;
	layer.items = items;
	layer.n_items = 1;
	report.layers = layers;
	report.n_layers = 1;
	report.mended = all_mended;
	report.n_mended = 1;
	report.why = report.version = report.spec_hash = bad;
	send_own(&report);
}

/* "NAME=KEY": this VM is mine, and its guest speaks with this key. */
static void
attack_vms(const char *argument)
{
	static char running[] = "running";
	static char uuid[] = "aaaaaaaa-0000-4000-8000-00000000000a";
	auto_free char *copy = xstrdup(argument);
	char *key = copy;
	char *name = strsep(&key, "=");
	Gdr__Vm vm = GDR__VM__INIT;
	Gdr__Vm *vms[] = { &vm };
	Gdr__Report report = GDR__REPORT__INIT;

	vm.name = name;
	vm.guest_key = key;
	vm.uuid = uuid;
	vm.state = running;
	report.vms = vms;
	report.n_vms = 1;
	send_own(&report);
}

/* So many reports, each another, as fast as they go. */
static void
attack_flood(const char *argument)
{
	long n = strtol(argument, NULL, 10);

	for (long i = 0; i < n; i++) {
		auto_free char *text = xasprintf("flood %ld", i);
		Gdr__Report report = GDR__REPORT__INIT;

		report.why = text;
		send_own(&report);
	}
}

static const struct attack {
	const char *name;
	void (*run)(const char *argument);
} attacks[] = {
	{ "items", attack_items }, { "text", attack_text },   { "bytes", attack_bytes },
	{ "vms", attack_vms },     { "flood", attack_flood },
};

/* ARGUMENT of `as`: the node's name, the attack, its own argument. */
static int
act_as(char *const words[], int n)
{
	static const char none[] = "x";

	greet(words[0]);
	for (size_t i = 0; n > 1 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(words[1], attacks[i].name) == 0) {
			attacks[i].run(n > 2 ? words[2] : none);
			await();
			return 0;
		}
	return 2;
}

static int
act(const char *action, char *argument)
{
	long number = strtol(argument, NULL, 10);

	if (strcmp(action, "hello") == 0) {
		greet(argument);
		return 0;
	}
	if (strcmp(action, "report") == 0)
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
				      "hello|report|garbage|big|parts|as [ARGUMENT...]\n");
		return 2;
	}
	int rc = open_socket(argv[1], argv[2], argv[3]);
	if (rc == 0 && strcmp(argv[4], "as") == 0 && argc > 6)
		rc = act_as(argv + 5, argc - 5);
	else if (rc == 0)
		rc = act(argv[4], argc > 5 ? argv[5] : none);
	(void)zmq_close(monitor);
	(void)zmq_close(socket_);
	(void)zmq_ctx_term(wire_context());
	return rc;
}
