/* Links: agent controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "common/pb.h"
#include "common/wire.h"
#include "controller/zap.h"
#include "proto/wire.pb-c.h"
#include "tests/unit/comm_process.h"

/* comm_run() against a controller that does what each test says.  It runs in a process of its own, this program
 * started again, because it is killed and comes back. */

static char *report_file;
static char *desired_file;
static struct keypair server_key;
static struct keypair node_key;
static struct zap *zap;
static struct wire *server;
static char endpoint[256];
static struct wire_peer peer; /* Who spoke last. */

/* --- the controller ------------------------------------------------------------------------------------------- */

static void
configure_controller(void)
{
	auto_free char *more = xasprintf("controller: %s\nserver_key: \"%s\"\n", endpoint, server_key.public_key);

	configure(more);
}

static void
open_server(void)
{
	struct err err = { 0 };

	/* The port of the one before is free as soon as libzmq's own thread closed it. */
	for (int i = 0; i < 100; i++) {
		if (wire_listen(*endpoint ? endpoint : "tcp://127.0.0.1:*", &server_key, "agents", &server, &err) == 0)
			break;
		sleep_ms(20);
	}
	assert_non_null(server);
	(void)snprintf(endpoint, sizeof(endpoint), "%s", wire_endpoint(server));
}

/* The next message; NULL: none for so long. */
static Gdr__FromAgent *
next(int ms)
{
	struct wire_frame frame;
	struct err err = { 0 };

	if (wire_wait(server, ms, &frame) <= 0)
		return NULL;
	assert_string_equal(frame.peer.key, node_key.public_key);
	peer = frame.peer;
	ProtobufCMessage *up = pb_unpack(&gdr__from_agent__descriptor, frame.data, frame.len, &err);
	assert_non_null(up);
	assert_int_equal(pb_check(up, &err), 0);
	return (Gdr__FromAgent *)up;
}

#define HELLO  GDR__FROM_AGENT__BODY_HELLO
#define REPORT GDR__FROM_AGENT__BODY_REPORT
#define LEASE  GDR__FROM_AGENT__BODY_LEASE

/* The next of this kind; others are passed over. */
static Gdr__FromAgent *
next_of(Gdr__FromAgent__BodyCase kind, int ms)
{
	for (int64_t until = now_ms() + ms; now_ms() < until;) {
		Gdr__FromAgent *up = next((int)(until - now_ms()) + 1);

		if (up && up->body_case == kind)
			return up;
		pb_free(up ? &up->base : NULL);
	}
	return NULL;
}

static Gdr__FromAgent *
expect(Gdr__FromAgent__BodyCase kind)
{
	Gdr__FromAgent *up = next_of(kind, 5000);

	assert_non_null(up);
	return up;
}

static void
skip_to(Gdr__FromAgent__BodyCase kind)
{
	pb_free(&expect(kind)->base);
}

static void
send_down(Gdr__ToAgent *down)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&down->base, &len);

	assert_int_equal(wire_send(server, &peer, data, len), 0);
}

static void
welcome(Gdr__Welcome__Answer answer, uint32_t ms, uint32_t report_ms)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	Gdr__Welcome message = GDR__WELCOME__INIT;

	message.has_answer = message.has_lease_ms = message.has_report_ms = message.has_retry_after_ms = true;
	message.answer = answer;
	message.why = (char[]){ "because" };
	message.lease_ms = message.retry_after_ms = ms;
	message.report_ms = report_ms;
	down.body_case = GDR__TO_AGENT__BODY_WELCOME;
	down.welcome = &message;
	send_down(&down);
}

#define ACCEPTED GDR__WELCOME__ANSWER__ACCEPTED
#define BUSY     GDR__WELCOME__ANSWER__BUSY
#define REFUSED  GDR__WELCOME__ANSWER__REFUSED

static void
let_in(uint32_t lease_ms)
{
	skip_to(HELLO);

	welcome(ACCEPTED, lease_ms, 100);
}

static void
lease_ok(const uint8_t *digest)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	Gdr__LeaseOk ok = GDR__LEASE_OK__INIT;
	uint8_t copy[PB_DIGEST_LEN] = { 0 };

	if (digest)
		memcpy(copy, digest, sizeof(copy));
	ok.has_report_digest = digest != NULL;
	ok.report_digest = (ProtobufCBinaryData){ .len = sizeof(copy), .data = copy };
	down.body_case = GDR__TO_AGENT__BODY_LEASE_OK;
	down.lease_ok = &ok;
	send_down(&down);
}

struct want {
	const char *node;
	uint64_t generation;
	const char *grant;
	uint64_t page_size; /* 0: none. */
	size_t parameters;
};

static void
send_desired(struct want want)
{
	Gdr__ToAgent down = GDR__TO_AGENT__INIT;
	auto_pb Gdr__Desired *desired = xcalloc(1, sizeof(*desired));

	gdr__desired__init(desired);
	desired->node = xstrdup(want.node);
	desired->has_generation = true;
	desired->generation = want.generation;
	desired->profile = xstrdup("p@1");
	desired->spec_hash = xstrdup("1111");
	desired->may_reboot_from = want.grant ? xstrdup(want.grant) : NULL;
	desired->spec = xcalloc(1, sizeof(*desired->spec));
	gdr__spec__init(desired->spec);
	desired->spec->hugepages = xcalloc(1, sizeof(*desired->spec->hugepages));
	gdr__hugepages_spec__init(desired->spec->hugepages);
	desired->spec->hugepages->has_size = want.page_size != 0;
	desired->spec->hugepages->size = want.page_size;
	desired->spec->kernel = xcalloc(1, sizeof(*desired->spec->kernel));
	gdr__kernel_spec__init(desired->spec->kernel);
	desired->spec->kernel->cmdline = xcalloc(want.parameters + 1, sizeof(char *));
	for (size_t i = 0; i < want.parameters; i++)
		desired->spec->kernel->cmdline[desired->spec->kernel->n_cmdline++] = xasprintf("%0200zu", i);
	down.body_case = GDR__TO_AGENT__BODY_DESIRED;
	down.desired = desired;
	send_down(&down);
}

/* True if a lease with this generation comes. */
static bool
acknowledges(uint64_t generation, int ms)
{
	for (int64_t until = now_ms() + ms; now_ms() < until;) {
		auto_pb Gdr__FromAgent *up = next_of(LEASE, (int)(until - now_ms()) + 1);

		if (up && up->lease->generation == generation)
			return true;
		if (up)
			lease_ok(up->lease->has_report_digest ? up->lease->report_digest.data : NULL);
	}
	return false;
}

/* What stands on disk for the worker, now. */
static uint64_t
on_disk(void)
{
	auto_free char *config = in_folder("agent.yaml");
	auto_pb Gdr__Desired *desired = NULL;
	struct settings *settings = NULL;
	struct err err = { 0 };

	assert_int_equal(settings_load(&gdr_agent, config, NULL, &settings, &err), 0);
	int rc = settings_read_desired(settings, &desired, &err);
	settings_free(settings);
	assert_true(rc == 0 || rc == -ENOENT);
	return desired ? desired->generation : 0;
}

/* Replaces the report as the worker does; its digest in 'digest'. */
static void
put_report(uint64_t number, uint8_t digest[PB_DIGEST_LEN])
{
	Gdr__Report report = GDR__REPORT__INIT;
	struct err err = { 0 };
	size_t len;

	report.has_generation = true;
	report.generation = number;
	report.boot_id = (char[]){ "boot-1" };
	report.why = (char[]){ "h\xc3\xbcgel" };
	auto_free uint8_t *data = pb_pack(&report.base, &len);
	if (digest)
		pb_digest(data, len, digest);
	assert_int_equal(file_replace(report_file, data, len, 0644, &err), 0);
}

static int
setup(void **state)
{
	struct err err = { 0 };

	if (folder_make(state) != 0)
		return -1;
	folder = *state;
	report_file = in_folder("state/report");
	desired_file = in_folder("comm/desired");
	log_file = in_folder("log");
	auto_free char *key_file = in_folder("comm/key");
	auto_free char *comm = in_folder("comm");
	auto_free char *worker = in_folder("state");
	assert_int_equal(file_mkdirs(comm, 0700, &err), 0);
	assert_int_equal(file_mkdirs(worker, 0755, &err), 0);
	keys_generate(&server_key);
	keys_generate(&node_key);
	assert_int_equal(keys_save(key_file, &node_key, "test", &err), 0);
	assert_int_equal(zap_open(10, &zap, &err), 0);
	zap_allow(zap, ZAP_AGENTS, node_key.public_key);
	*endpoint = '\0';
	open_server();
	configure_controller();
	return 0;
}

static int
teardown(void **state)
{
	if (child > 0)
		(void)end(SIGKILL);
	wire_close(steal(&server));
	zap_close(steal(&zap));
	free(steal(&report_file));
	free(steal(&desired_file));
	free(steal(&log_file));
	return folder_remove(state);
}

/* --- hello, desired, lease --------------------------------------------------------------------------------------- */

static void
hello_welcome_desired_lease(void **state)
{
	struct stat st;

	(void)state;
	start();
	auto_pb Gdr__FromAgent *hello = expect(HELLO);
	assert_int_equal(hello->hello->protocol, PROTOCOL);
	assert_string_equal(hello->hello->node, "n1");
	assert_string_equal(hello->hello->version, GDR_VERSION);
	assert_int_equal(hello->hello->generation, 0);
	assert_null(hello->hello->may_reboot_from);
	welcome(ACCEPTED, 30000, 100);
	auto_pb Gdr__FromAgent *first = expect(LEASE);
	assert_int_equal(first->lease->generation, 0);
	assert_false(first->lease->has_report_digest);

	send_desired((struct want){ "n1", 5, "boot-1", 1 << 30, 0 });
	auto_pb Gdr__FromAgent *lease = expect(LEASE);
	assert_int_equal(on_disk(), 5);
	assert_int_equal(lease->lease->generation, 5);
	assert_string_equal(lease->lease->may_reboot_from, "boot-1");
	assert_int_equal(stat(desired_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* The grant comes and goes within a generation. */
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	auto_pb Gdr__FromAgent *later = expect(LEASE);
	assert_int_equal(later->lease->generation, 5);
	assert_null(later->lease->may_reboot_from);
	/* No chatter. */
	auto_pb Gdr__FromAgent *more = next(500);
	assert_null(more);
	assert_int_equal(end(SIGTERM), 0);
}

static void
what_is_not_on_disk_is_not_acknowledged(void **state)
{
	auto_free char *comm = in_folder("comm");
	auto_free char *away = in_folder("away");

	(void)state;
	start();
	let_in(100);
	assert_true(acknowledges(0, 2000));
	assert_int_equal(rename(comm, away), 0);
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	assert_false(acknowledges(5, 600));
	assert_true(logged("desired state refused: "));
	assert_int_equal(rename(away, comm), 0);
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	assert_true(acknowledges(5, 2000));
	assert_int_equal(on_disk(), 5);
}

static void
what_is_not_for_us_or_not_right_is_refused(void **state)
{
	static const struct {
		struct want want;
		const char *why;
	} table[] = {
		{ { "n2", 6, NULL, 1 << 30, 0 }, "desired state of node 'n2', we are 'n1'" },
		{ { "", 6, NULL, 1 << 30, 0 }, "desired state of node ''" },
		{ { "n1", 4, NULL, 1 << 30, 0 }, "generation 4 is older than ours, 5" },
		{ { "n1", 6, NULL, 4096, 0 }, "hugepages.size" },
		{ { "n1", 6, NULL, 1 << 30, 6000 }, "at most 1048576 are allowed" },
	};

	(void)state;
	start();
	let_in(100);
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	assert_true(acknowledges(5, 2000));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		send_desired(table[i].want);
		assert_false(acknowledges(table[i].want.generation, 250));
		assert_true(logs(table[i].why, 2000));
		assert_int_equal(on_disk(), 5);
	}
	/* And it is none the worse for it. */
	send_desired((struct want){ "n1", 7, NULL, 1 << 21, 100 });
	assert_true(acknowledges(7, 2000));
	assert_int_equal(on_disk(), 7);
}

static void
bytes_that_are_no_message_are_passed_over(void **state)
{
	(void)state;
	start();
	let_in(30000);
	skip_to(LEASE);
	assert_int_equal(wire_send(server, &peer, "\xff\xff\xff", 3), 0);
	assert_int_equal(wire_send(server, &peer, "", 0), 0);
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	assert_true(acknowledges(5, 2000));
}

/* --- reports ---------------------------------------------------------------------------------------------------- */

static void
a_new_report_is_sent_until_it_is_committed(void **state)
{
	uint8_t digest[PB_DIGEST_LEN];
	uint8_t other[PB_DIGEST_LEN] = { 1 };

	(void)state;
	start();
	let_in(30000);
	put_report(1, digest);
	auto_pb Gdr__FromAgent *up = expect(REPORT);
	assert_int_equal(up->report->generation, 1);
	assert_string_equal(up->report->boot_id, "boot-1");
	size_t len;
	auto_free uint8_t *data = pb_pack(&up->report->base, &len);
	uint8_t seen[PB_DIGEST_LEN];
	pb_digest(data, len, seen);
	assert_memory_equal(seen, digest, sizeof(digest));

	lease_ok(digest);
	auto_pb Gdr__FromAgent *nothing = next_of(REPORT, 500);
	assert_null(nothing);
	lease_ok(other);
	skip_to(REPORT);
	lease_ok(NULL);
	skip_to(REPORT);
	/* The lease says which one it was. */
	send_desired((struct want){ "n1", 1, NULL, 1 << 30, 0 });
	auto_pb Gdr__FromAgent *lease = expect(LEASE);
	assert_int_equal(lease->lease->report_digest.len, sizeof(digest));
	assert_memory_equal(lease->lease->report_digest.data, digest, sizeof(digest));
	assert_string_equal(lease->lease->boot_id, "boot-1");
	/* The same bytes again are no news. */
	lease_ok(digest);
	put_report(1, digest);
	auto_pb Gdr__FromAgent *same = next_of(REPORT, 500);
	assert_null(same);
}

static void
what_was_reported_before_is_sent_at_once(void **state)
{
	(void)state;
	put_report(3, NULL);
	start();
	auto_pb Gdr__FromAgent *hello = expect(HELLO);
	assert_string_equal(hello->hello->boot_id, "boot-1");
	welcome(ACCEPTED, 30000, 100);
	auto_pb Gdr__FromAgent *up = expect(REPORT);
	assert_int_equal(up->report->generation, 3);
}

static void
reports_are_no_denser_than_agreed(void **state)
{
	int n = 0;
	uint64_t newest = 0;

	(void)state;
	start();
	skip_to(HELLO);
	welcome(ACCEPTED, 30000, 400);
	int64_t began = now_ms();
	for (uint64_t i = 1; i <= 60; i++) {
		put_report(i, NULL);
		auto_pb Gdr__FromAgent *up = next_of(REPORT, 25);
		if (!up)
			continue;
		newest = up->report->generation;
		n++;
	}
	int64_t took = now_ms() - began;
	assert_true(n >= 2 && n <= took / 400 + 2);
	for (int i = 0; i < 3 && newest != 60; i++) {
		auto_pb Gdr__FromAgent *up = next_of(REPORT, 1000);
		newest = up ? up->report->generation : newest;
	}
	assert_int_equal(newest, 60);
}

/* On a host that is new, comm may be first. */
static void
the_workers_folder_may_come_later(void **state)
{
	auto_free char *worker = in_folder("state");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(rmdir(worker), 0);
	start();
	let_in(30000);
	skip_to(LEASE);
	assert_int_equal(file_mkdirs(worker, 0755, &err), 0);
	put_report(1, NULL);
	skip_to(REPORT);
	put_report(2, NULL);
	auto_pb Gdr__FromAgent *later = expect(REPORT);
	assert_int_equal(later->report->generation, 2);
}

static void
a_report_that_is_none_is_told_of(void **state)
{
	struct err err = { 0 };

	(void)state;
	start();
	let_in(30000);
	skip_to(LEASE);
	assert_int_equal(file_replace(report_file, "\xff\xff", 2, 0644, &err), 0);
	assert_true(logs(report_file, 3000));
	put_report(1, NULL);
	skip_to(REPORT);
}

/* --- when it is not let in, or cut off --------------------------------------------------------------------------- */

static void
busy_means_later(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 2; i++) {
		skip_to(HELLO);
		int64_t at = now_ms();

		welcome(BUSY, 500, 100);
		auto_pb Gdr__FromAgent *crossed = next(480);
		if (crossed) { /* It was on its way before ours was heard. */
			at = now_ms();
			welcome(BUSY, 500, 100);
			auto_pb Gdr__FromAgent *early = next(480);
			assert_null(early);
		}
		auto_pb Gdr__FromAgent *up = next(1500);
		assert_non_null(up);
		assert_int_equal(up->body_case, HELLO);
		assert_true(now_ms() - at >= 480);
		welcome(BUSY, 1, 100);
	}
	let_in(30000);
	skip_to(LEASE);
	/* A session that the controller lost is told so in answer to a lease. */
	welcome(BUSY, 1, 100);
	let_in(30000);
}

static void
a_node_that_is_refused_comes_back_later(void **state)
{
	(void)state;
	start();
	skip_to(HELLO);
	welcome(REFUSED, 600, 100);
	auto_pb Gdr__FromAgent *early = next(580);
	assert_null(early);
	let_in(30000);
	skip_to(LEASE);
	assert_true(logged("the controller refuses this node: because"));
}

static void
a_refused_key_makes_no_tight_loop(void **state)
{
	struct zap_pending *pending = NULL;

	(void)state;
	zap_deny(zap, ZAP_AGENTS, node_key.public_key);
	start();
	sleep_ms(2000);
	assert_int_equal(zap_pending(zap, &pending), 1);
	assert_string_equal(pending[0].key, node_key.public_key);
	/* At most every 100 ms by the clock of on_tick(), about every 300 ms by the window. */
	assert_in_range(pending[0].tries, 1, 16);
	free(pending);
	assert_true(logged("does not know our key"));
	zap_allow(zap, ZAP_AGENTS, node_key.public_key);
	let_in(30000);
}

static void
gone_and_back_it_connects_by_itself(void **state)
{
	(void)state;
	start();
	let_in(30000);
	send_desired((struct want){ "n1", 5, "boot-1", 1 << 30, 0 });
	assert_true(acknowledges(5, 2000));
	for (int i = 0; i < 2; i++) {
		wire_close(steal(&server));
		sleep_ms(700);
		open_server();
		/* Not a lease, 30 s later: a connection begins with Hello. */
		auto_pb Gdr__FromAgent *up = next(5000);
		assert_non_null(up);
		assert_int_equal(up->body_case, HELLO);
		assert_int_equal(up->hello->generation, 5);
		assert_string_equal(up->hello->may_reboot_from, "boot-1");
		welcome(ACCEPTED, 30000, 100);
		skip_to(LEASE);
	}
}

/* It is there, and does not answer any more. */
static void
three_leases_without_an_answer_are_enough(void **state)
{
	(void)state;
	start();
	let_in(150);
	int64_t at = now_ms();
	skip_to(HELLO);
	assert_in_range(now_ms() - at, 400, 5000);
	/* Answered, it stays. */
	welcome(ACCEPTED, 100, 100);
	for (int i = 0; i < 10; i++) {
		auto_pb Gdr__FromAgent *up = next(1000);

		assert_non_null(up);
		assert_int_equal(up->body_case, LEASE);
		lease_ok(NULL);
	}
}

static void
another_servers_key_is_told_apart(void **state)
{
	struct keypair other;

	(void)state;
	keys_generate(&other);
	auto_free char *more = xasprintf("controller: %s\nserver_key: \"%s\"\n", endpoint, other.public_key);
	configure(more);
	start();
	assert_true(logs("is server_key the controller's?", 12000));
	auto_pb Gdr__FromAgent *up = next(100);
	assert_null(up);
}

/* --- crashes ---------------------------------------------------------------------------------------------------- */

static void
killed_it_goes_on(void **state)
{
	uint64_t acknowledged = 0;

	(void)state;
	for (uint64_t i = 1; i <= 8; i++) {
		start();
		auto_pb Gdr__FromAgent *hello = expect(HELLO);
		assert_true(hello->hello->generation >= acknowledged);
		assert_int_equal(hello->hello->generation, on_disk());
		welcome(ACCEPTED, 30000, 10);
		send_desired((struct want){ "n1", i * 100, "boot-1", 1 << 30, 0 });
		if (acknowledges(i * 100, 2000))
			acknowledged = i * 100;
		/* In the middle of a stream of them. */
		for (uint64_t j = 1; j < 50; j++) {
			send_desired((struct want){ "n1", i * 100 + j, "boot-1", 1 << 30, 500 });
			put_report(i * 100 + j, NULL);
			if (j == 10 + 4 * i)
				assert_true(WIFSIGNALED(end(SIGKILL)));
			if (child < 0)
				break;
		}
		assert_true(on_disk() >= acknowledged);
	}
	assert_int_equal(acknowledged, 800);
	start();
	let_in(30000);
	auto_pb Gdr__FromAgent *up = expect(REPORT);
	assert_int_equal(up->report->generation, 842);
	send_desired((struct want){ "n1", 900, NULL, 1 << 30, 0 });
	assert_true(acknowledges(900, 2000));
}

static void
a_damaged_file_is_asked_for_again(void **state)
{
	(void)state;
	folder_write(desired_file, "\xff\xff\xff", 3);
	start();
	auto_pb Gdr__FromAgent *hello = expect(HELLO);
	assert_int_equal(hello->hello->generation, 0);
	assert_true(logged("asking the controller for it again"));
	welcome(ACCEPTED, 30000, 100);
	send_desired((struct want){ "n1", 5, NULL, 1 << 30, 0 });
	assert_true(acknowledges(5, 2000));
	assert_int_equal(on_disk(), 5);
}

/* --- whom it calls ------------------------------------------------------------------------------------------------ */

static void
put_controller(const char *agents)
{
	auto_free char *path = in_folder("comm/controller.yaml");
	auto_free char *text = xasprintf("agents: %s\nserver_key: \"%s\"\n", agents, server_key.public_key);

	folder_write(path, text, strlen(text));
}

static void
what_join_wrote_is_what_counts_where_the_settings_are_silent(void **state)
{
	(void)state;
	configure("");
	put_controller(endpoint);
	start();
	let_in(30000);
	assert_int_equal(end(SIGTERM), 0);
	/* Moved to another address, with the key that it always had. */
	put_controller("tcp://127.0.0.1:1");
	auto_free char *more = xasprintf("controller: %s\n", endpoint);
	configure(more);
	start();
	let_in(30000);
}

static void
before_it_joined_it_waits(void **state)
{
	(void)state;
	configure("");
	start();
	assert_true(logs("no controller is known", 3000));
	put_controller(endpoint);
	let_in(30000);
	assert_int_equal(end(SIGTERM), 0);
	configure("server_key: \"too short\"\n");
	start();
	assert_true(logs("expected 40 characters of Z85", 3000));
	int status = end(SIGCONT);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(hello_welcome_desired_lease),
		TEST(what_is_not_on_disk_is_not_acknowledged),
		TEST(what_is_not_for_us_or_not_right_is_refused),
		TEST(bytes_that_are_no_message_are_passed_over),
		TEST(a_new_report_is_sent_until_it_is_committed),
		TEST(what_was_reported_before_is_sent_at_once),
		TEST(reports_are_no_denser_than_agreed),
		TEST(the_workers_folder_may_come_later),
		TEST(a_report_that_is_none_is_told_of),
		TEST(busy_means_later),
		TEST(a_node_that_is_refused_comes_back_later),
		TEST(a_refused_key_makes_no_tight_loop),
		TEST(gone_and_back_it_connects_by_itself),
		TEST(three_leases_without_an_answer_are_enough),
		TEST(another_servers_key_is_told_apart),
		TEST(killed_it_goes_on),
		TEST(a_damaged_file_is_asked_for_again),
		TEST(what_join_wrote_is_what_counts_where_the_settings_are_silent),
		TEST(before_it_joined_it_waits),
	};

	if (argc == 2)
		return be_comm(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
