#include "agent/comm.h"

#include <czmq.h>
#include <errno.h>
#include <libgen.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "agent/comm_user.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/signals.h"
#include "common/wire.h"

#define TICK_MS       100
#define HELLO_AGAIN   3000 /* ms without a Welcome */
#define LEASES_MISSED 3
#define BUSY_MAX      3600000 /* ms: no controller sends us away for longer. */
#define MUTE_MS       20000   /* Longer than a handshake may take (common/wire.c): it broke off, perhaps for good. */
#define LOOK_MS       1000    /* Between two looks for the report where nothing tells of a new one. */
#define SPREAD_MS     16000   /* libzmq's own reconnects: each agent has a fixed random interval up to this. */

struct comm {
	const struct settings *settings;
	struct keypair key;
	Gdr__JoinToken *controller; /* agents, server_key, and node: who we are. */
	struct wire *wire;
	bool live;
	bool met;         /* Was live on this socket. */
	int attempts;     /* Since we were last live. */
	int64_t begun_ms; /* All times of zclock_mono(). */
	int64_t due_connect_ms;
	int64_t due_hello_ms;
	int64_t due_lease_ms;
	int64_t heard_ms;
	int64_t not_mute_ms; /* The last time that the connection was in another state. */
	int64_t sent_report_ms;
	uint32_t lease_ms;
	uint32_t report_ms;
	uint64_t generation; /* On disk. */
	char *may_reboot_from;
	char *boot_id; /* Of the last report. */
	uint8_t *report;
	size_t report_len;
	uint8_t digest[PB_DIGEST_LEN];
	bool report_due;
	enum wire_state said; /* The last state of the connection that was logged. */
	int watch;            /* -1: the worker's folder is not there yet, or the kernel has no watch to give. */
	int64_t due_look_ms;
	int signals;
	struct log_burst refused;
	struct log_burst unreadable;
};

static void
disconnect(struct comm *comm, zloop_t *loop)
{
	if (comm->wire) {
		zmq_pollitem_t item = { .socket = wire_socket(comm->wire), .events = ZMQ_POLLIN };
		zloop_poller_end(loop, &item);
		wire_close(comm->wire);
	}
	comm->wire = NULL;
	comm->live = comm->met = false;
}

/* The next attempt: after a random time in a window that doubles up to the 'retry' setting, so that a fleet
 * whose controller returns does not come back all at once. */
static void
come_back_later(struct comm *comm, zloop_t *loop, uint32_t at_least_ms)
{
	uint32_t max = comm->settings->config->retry;
	uint32_t window = comm->attempts < 16 ? 500U << comm->attempts : max;

	window = window < max ? window : max;
	comm->attempts++;
	disconnect(comm, loop);
	comm->due_connect_ms = zclock_mono() + at_least_ms + (int64_t)randombytes_uniform(window) + 1;
}

static void
send_up(struct comm *comm, Gdr__FromAgent *message)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&message->base, &len);

	/* Lost or not: the next lease tells. */
	(void)wire_send(comm->wire, NULL, data, len);
}

static void
send_hello(struct comm *comm)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Hello hello = GDR__HELLO__INIT;
	char version[] = GDR_VERSION;

	hello.has_protocol = true;
	hello.protocol = PROTOCOL;
	hello.node = comm->controller->node;
	hello.version = version;
	hello.boot_id = comm->boot_id;
	hello.has_generation = true;
	hello.generation = comm->generation;
	hello.may_reboot_from = comm->may_reboot_from;
	up.body_case = GDR__FROM_AGENT__BODY_HELLO;
	up.hello = &hello;
	send_up(comm, &up);
	comm->due_hello_ms = zclock_mono() + HELLO_AGAIN + randombytes_uniform(1000);
}

/* Seconds since the worker last looked at the machine, if that is too long for one that is alive: it touches its
 * report after every pass, and a pass takes no longer than its tools may.  Of before we ran nothing is held against it: the
 * host may have been off. */
static bool
worker_is_silent(const struct comm *comm, uint32_t *silent_s)
{
	const Gdr__AgentConfig *config = comm->settings->config;
	int64_t patience_s = (3 * (int64_t)config->check_interval + 2 * (int64_t)config->tool_timeout) / 1000;
	struct stat st;

	if (stat(comm->settings->report_file, &st) != 0)
		return false;
	int64_t age_s = time(NULL) - st.st_mtime;
	int64_t ours_s = (zclock_mono() - comm->begun_ms) / 1000;
	age_s = age_s < ours_s ? age_s : ours_s;
	*silent_s = age_s > 0 ? (uint32_t)age_s : 0;
	return age_s > patience_s;
}

static void
send_lease(struct comm *comm)
{
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;
	Gdr__Lease lease = GDR__LEASE__INIT;

	lease.has_silent_s = worker_is_silent(comm, &lease.silent_s);

	lease.has_generation = true;
	lease.generation = comm->generation;
	lease.may_reboot_from = comm->may_reboot_from;
	lease.boot_id = comm->boot_id;
	lease.has_report_digest = comm->report != NULL;
	lease.report_digest = (ProtobufCBinaryData){ .len = PB_DIGEST_LEN, .data = comm->digest };
	up.body_case = GDR__FROM_AGENT__BODY_LEASE;
	up.lease = &lease;
	send_up(comm, &up);
	comm->due_lease_ms = zclock_mono() + comm->lease_ms;
}

/* The report's own bytes are what its digest is of, so they travel as they are in the outer message. */
static void
send_report(struct comm *comm)
{
	struct err err = { 0 };
	auto_pb ProtobufCMessage *report = pb_unpack(&gdr__report__descriptor, comm->report, comm->report_len, &err);
	Gdr__FromAgent up = GDR__FROM_AGENT__INIT;

	comm->report_due = false;
	if (!report)
		return;
	up.body_case = GDR__FROM_AGENT__BODY_REPORT;
	up.report = (Gdr__Report *)report;
	send_up(comm, &up);
	comm->sent_report_ms = zclock_mono();
}

static void
read_report(struct comm *comm)
{
	struct err err = { 0 };
	char *data = NULL;
	size_t len = 0;

	if (file_read(comm->settings->report_file, WIRE_MAX - 1024, &data, &len, &err) < 0) {
		if (err.code != -ENOENT)
			log_burst(&comm->unreadable, "%s", err.msg);
		return;
	}
	auto_pb Gdr__Report *report = (Gdr__Report *)pb_unpack(&gdr__report__descriptor, data, len, &err);
	uint8_t digest[PB_DIGEST_LEN];
	pb_digest(data, len, digest);
	if (!report)
		log_burst(&comm->unreadable, "%s: %s", comm->settings->report_file, err.msg);
	if (!report || (comm->report && memcmp(digest, comm->digest, sizeof(digest)) == 0)) {
		free(data);
		return;
	}
	free(comm->report);
	comm->report = (uint8_t *)data;
	comm->report_len = len;
	memcpy(comm->digest, digest, sizeof(digest));
	free(comm->boot_id);
	comm->boot_id = report->boot_id ? xstrdup(report->boot_id) : NULL;
	comm->report_due = true;
}

static void
remember(struct comm *comm, const Gdr__Desired *desired)
{
	comm->generation = desired->generation;
	free(comm->may_reboot_from);
	comm->may_reboot_from = desired->may_reboot_from ? xstrdup(desired->may_reboot_from) : NULL;
}

/* Durable before it is acknowledged, by the lease that follows. */
static void
take_desired(struct comm *comm, const Gdr__Desired *desired)
{
	struct err err = { 0 };
	size_t len;
	auto_free uint8_t *data = pb_pack(&desired->base, &len);

	if (!desired->node || strcmp(desired->node, comm->controller->node) != 0)
		(void)err_set(&err, -EPERM, "desired state of node '%s', we are '%s'",
			      desired->node ? desired->node : "", comm->controller->node);
	else if (desired->generation < comm->generation)
		(void)err_set(&err, -ESTALE, "generation %llu is older than ours, %llu",
			      (unsigned long long)desired->generation, (unsigned long long)comm->generation);
	else if (len > WIRE_MAX)
		(void)err_set(&err, -EFBIG, "it has %zu bytes, at most %d are allowed", len, WIRE_MAX);
	else if (pb_check(&desired->base, &err) == 0)
		(void)file_replace(comm->settings->desired_file, data, len, 0600, &err);
	if (err.code) {
		log_error("desired state refused: %s", err.msg);
		return;
	}
	if (desired->generation != comm->generation)
		log_info("generation %llu: %s", (unsigned long long)desired->generation,
			 desired->profile ? desired->profile : "no profile");
	remember(comm, desired);
	send_lease(comm);
}

static void
take_welcome(struct comm *comm, zloop_t *loop, const Gdr__Welcome *welcome)
{
	uint32_t retry = welcome->has_retry_after_ms ? welcome->retry_after_ms : HELLO_AGAIN;

	retry = retry < BUSY_MAX ? retry : BUSY_MAX;
	switch ((int)welcome->answer) {
	case GDR__WELCOME__ANSWER__ACCEPTED:
		if (!comm->live)
			log_info("connected to %s", comm->controller->agents);
		comm->live = comm->met = true;
		comm->attempts = 0;
		if (welcome->has_lease_ms)
			comm->lease_ms = welcome->lease_ms >= 10 ? welcome->lease_ms : 10;
		if (welcome->has_report_ms)
			comm->report_ms = welcome->report_ms;
		comm->report_due = comm->report != NULL;
		send_lease(comm);
		break;
	case GDR__WELCOME__ANSWER__BUSY:
		comm->live = false;
		comm->due_hello_ms = zclock_mono() + retry + randombytes_uniform(retry / 4 + 1);
		comm->heard_ms = comm->due_hello_ms; /* Until then silence is what was agreed on. */
		break;
	default:
		log_burst(&comm->refused, "the controller refuses this node: %s", welcome->why ? welcome->why : "?");
		come_back_later(comm, loop, retry);
		break;
	}
}

static void
take_lease_ok(struct comm *comm, const Gdr__LeaseOk *ok)
{
	bool same = ok->has_report_digest && ok->report_digest.len == PB_DIGEST_LEN &&
		    memcmp(ok->report_digest.data, comm->digest, PB_DIGEST_LEN) == 0;

	if (comm->report && !same)
		comm->report_due = true;
}

static void
take_frame(struct comm *comm, zloop_t *loop, const struct wire_frame *frame)
{
	struct err err = { 0 };
	auto_pb Gdr__ToAgent *down = (Gdr__ToAgent *)pb_unpack(&gdr__to_agent__descriptor, frame->data, frame->len,
							       &err);

	if (!down)
		return;
	comm->heard_ms = zclock_mono();
	switch ((int)down->body_case) {
	case GDR__TO_AGENT__BODY_WELCOME: take_welcome(comm, loop, down->welcome); break;
	case GDR__TO_AGENT__BODY_DESIRED: take_desired(comm, down->desired); break;
	case GDR__TO_AGENT__BODY_LEASE_OK: take_lease_ok(comm, down->lease_ok); break;
	default: break;
	}
}

static int
on_frame(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct comm *comm = arg;
	struct wire_frame frame;

	(void)item;
	while (comm->wire && wire_recv(comm->wire, &frame) > 0)
		take_frame(comm, loop, &frame);
	return 0;
}

static int
on_report(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct comm *comm = arg;

	(void)loop;
	(void)item;
	settings_watched(comm->watch);
	read_report(comm);
	return 0;
}

static int
on_signal(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	(void)loop;
	(void)item;
	(void)arg;
	return -1; /* Ends the loop. */
}

static void
connect_now(struct comm *comm, zloop_t *loop)
{
	uint32_t spread = comm->settings->config->retry < SPREAD_MS ? comm->settings->config->retry : SPREAD_MS;
	struct err err = { 0 };

	if (wire_connect(comm->controller->agents, comm->controller->server_key, &comm->key, (int)spread, &comm->wire,
			 &err) < 0) {
		log_error("%s", err.msg);
		come_back_later(comm, loop, 1000);
		return;
	}
	zmq_pollitem_t item = { .socket = wire_socket(comm->wire), .events = ZMQ_POLLIN };
	(void)zloop_poller(loop, &item, on_frame, comm);
	comm->heard_ms = comm->not_mute_ms = zclock_mono();
	send_hello(comm);
	comm->due_hello_ms = zclock_mono() + TICK_MS;
}

static void
say_state(struct comm *comm, enum wire_state state)
{
	char fingerprint[KEY_FINGERPRINT_LEN + 1];

	if (state == comm->said)
		return;
	comm->said = state;
	keys_fingerprint(comm->key.public_key, fingerprint);
	if (state == WIRE_REFUSED)
		log_warn("%s does not know our key: `gdrctl node accept %s --name %s` lets it in, or join with a token",
			 comm->controller->agents, fingerprint, comm->controller->node);
	else if (state == WIRE_MUTE)
		log_warn("%s: no handshake: is server_key the controller's?", comm->controller->agents);
	else if (state == WIRE_DOWN)
		log_warn("%s: nobody answers; going on with what is on disk", comm->controller->agents);
}

/* How long nothing may be heard on a connection. */
static int64_t
patience(const struct comm *comm)
{
	return comm->met ? LEASES_MISSED * (int64_t)comm->lease_ms : 30000;
}

/* What is due while there is a connection. */
static void
tend(struct comm *comm, zloop_t *loop, int64_t now)
{
	enum wire_state state = wire_state(comm->wire);

	if (comm->live && state != WIRE_UP) {
		/* libzmq connects anew by itself, and a connection begins with Hello. */
		comm->live = false;
		comm->due_hello_ms = now;
	}
	if (state != WIRE_MUTE)
		comm->not_mute_ms = now;
	if (state == WIRE_REFUSED || now - comm->heard_ms > patience(comm) || now - comm->not_mute_ms > MUTE_MS) {
		say_state(comm, state == WIRE_UP ? WIRE_DOWN : state);
		come_back_later(comm, loop, 0);
		return;
	}
	if (now - comm->heard_ms > 5000)
		say_state(comm, state);
	else if (comm->live)
		comm->said = WIRE_UP;
	if (!comm->live && now >= comm->due_hello_ms && state == WIRE_UP)
		send_hello(comm);
	if (comm->live && now >= comm->due_lease_ms)
		send_lease(comm);
	if (comm->live && comm->report_due && now - comm->sent_report_ms >= comm->report_ms)
		send_report(comm);
}

/* Where there is no watch: perhaps there can be one now. */
static void
look_for_report(struct comm *comm, zloop_t *loop)
{
	comm->due_look_ms = zclock_mono() + LOOK_MS;
	comm->watch = settings_watch(comm->settings->config->state);
	if (comm->watch >= 0) {
		zmq_pollitem_t watch = { .fd = comm->watch, .events = ZMQ_POLLIN };
		(void)zloop_poller(loop, &watch, on_report, comm);
	}
	read_report(comm);
}

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
	struct comm *comm = arg;
	int64_t now = zclock_mono();

	(void)timer;
	log_burst_tick(&comm->refused);
	log_burst_tick(&comm->unreadable);
	if (comm->watch < 0 && now >= comm->due_look_ms)
		look_for_report(comm, loop);
	if (comm->wire)
		tend(comm, loop, now);
	else if (now >= comm->due_connect_ms)
		connect_now(comm, loop);
	return 0;
}

/* Who we are is the settings' word, else what `join` wrote, failing that the machine's name. */
static int
find_controller(struct comm *comm, struct err *err)
{
	const Gdr__AgentConfig *config = comm->settings->config;
	auto_pb Gdr__JoinToken *found = NULL;
	int rc = settings_controller(config, &found, err);

	if (rc == -ENOENT)
		return err_set(
			err, rc,
			"no controller is known: join one with `%s join`, or set controller and server_key in %s",
			comm->settings->program->name, comm->settings->program->config);
	if (rc < 0)
		return rc;
	if (!found->node || config->node) {
		free(found->node);
		found->node = xstrdup(comm->settings->node);
	}
	comm->controller = steal(&found);
	return 0;
}

/* A host may be installed long before it joins: that is no failure.  False: a signal says it is time to end. */
static bool
wait_for_controller(struct comm *comm, struct err *err)
{
	zmq_pollitem_t signals = { .fd = comm->signals, .events = ZMQ_POLLIN };

	if (find_controller(comm, err) != -ENOENT)
		return true;
	log_warn("%s; waiting", err->msg);
	(void)sd_notifyf(0, "READY=1\nSTATUS=waiting for %s join", comm->settings->program->name);
	do {
		*err = (struct err){ 0 };
		if (zmq_poll(&signals, 1, 1000) > 0)
			return false;
	} while (find_controller(comm, err) == -ENOENT);
	return true;
}

static int
open_comm(struct comm *comm, struct err *err)
{
	const Gdr__AgentConfig *config = comm->settings->config;
	auto_pb Gdr__Desired *desired = NULL;
	int rc = comm_user_become(config->user, config->comm_state, err);

	if (rc == 0 && !wait_for_controller(comm, err))
		return -EINTR;
	if (rc == 0)
		rc = err->code;
	if (rc == 0)
		rc = keys_load_or_make(comm->settings->key_file, &comm->key, "this node's key for gdrfleet", err);
	if (rc < 0)
		return rc;
	rc = settings_read_desired(comm->settings, &desired, err);
	if (rc == 0)
		remember(comm, desired);
	else if (rc != -ENOENT)
		log_warn("%s: asking the controller for it again", err->msg);
	comm->watch = settings_watch(config->state);
	read_report(comm);
	return 0;
}

static void
run_loop(struct comm *comm)
{
	zmq_pollitem_t watch = { .fd = comm->watch, .events = ZMQ_POLLIN };
	zmq_pollitem_t signals = { .fd = comm->signals, .events = ZMQ_POLLIN };

	zsys_handler_set(NULL);
	zloop_t *loop = zloop_new();
	(void)zloop_poller(loop, &signals, on_signal, comm);
	if (comm->watch >= 0)
		(void)zloop_poller(loop, &watch, on_report, comm);
	(void)zloop_timer(loop, TICK_MS, 0, on_tick, comm);
	(void)sd_notify(0, "READY=1");
	(void)zloop_start(loop);
	disconnect(comm, loop);
	zloop_destroy(&loop);
}

int
comm_run(const struct settings *settings)
{
	struct comm comm = { .settings = settings, .watch = -1, .lease_ms = 30000, .report_ms = 1000, .said = WIRE_UP };
	struct err err = { 0 };

	comm.begun_ms = zclock_mono();
	comm.signals = signals_to_end();
	int rc = open_comm(&comm, &err);
	if (rc == 0)
		run_loop(&comm);
	else if (rc != -EINTR)
		log_error("%s", err.msg);
	pb_free(comm.controller ? &comm.controller->base : NULL);
	free(comm.may_reboot_from);
	free(comm.boot_id);
	free(comm.report);
	return rc == 0 || rc == -EINTR ? 0 : 1;
}
