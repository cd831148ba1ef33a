/* main.c - gdrd: settings, store, keys, sockets, one loop. */

#include <czmq.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "common/signals.h"
#include "common/wire.h"
#include "controller/agents.h"
#include "controller/commits.h"
#include "controller/enrol.h"
#include "controller/fleet/fleet.h"
#include "controller/hooks.h"
#include "controller/keyring.h"
#include "controller/operators.h"
#include "controller/settings.h"
#include "controller/store.h"
#include "controller/web.h"
#include "controller/zap.h"

#define TICK_MS   1000
#define SPARE_FDS 1024
#define KNOCK_MS  3600000 /* Who waits to be accepted tries some times a minute; who has not for so long is gone. */

struct gdrd {
	struct gdrd_settings *settings;
	struct keypair key;
	struct store *store;
	struct zap *zap;
	struct keyring *keyring;
	struct fleet *fleet;
	struct agents *agents;
	struct operators *operators;
	struct enrol *enrol;
	struct hooks *hooks;
	struct web *web;
	struct commits commits;
	char *agents_at;
	char *enrol_at;
	zloop_t *loop;
	struct log_burst commit_failed;
	struct log_burst refused;
	unsigned long refused_before;
};

/* --- the loop -------------------------------------------------------------------------------------------------- */

/* The end of every turn: one commit for all that it brought, and only then a word to anybody. */
static void
end_turn(void *arg)
{
	struct gdrd *gdrd = arg;
	struct err err = { 0 };
	int64_t begun_us = zclock_usecs();
	bool failed = fleet_commit(gdrd->fleet, &err) < 0;

	commits_note(&gdrd->commits, zclock_usecs() - begun_us, failed);
	if (failed)
		log_burst(&gdrd->commit_failed, "%s: nothing of this turn was done; agents and operators ask again",
			  err.msg);
	if (!failed && gdrd->agents)
		agents_flush(gdrd->agents);
	fleet_turn_over(gdrd->fleet);
	if (gdrd->enrol)
		enrol_flush(gdrd->enrol, failed ? err.msg : NULL);
	if (gdrd->operators)
		operators_flush(gdrd->operators, failed ? err.msg : NULL);
}

/* The ZAP handler only counts: its thread waits for nothing, the log's reader included. */
static void
log_refusals(struct gdrd *gdrd)
{
	unsigned long refused = zap_counts(gdrd->zap).refused;

	if (refused != gdrd->refused_before)
		log_burst(
			&gdrd->refused,
			"a key that nobody knows was refused, %lu times in all; `gdrctl node list --state pending` shows hosts",
			refused);
	gdrd->refused_before = refused;
	log_burst_tick(&gdrd->refused);
}

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
	struct gdrd *gdrd = arg;

	(void)loop;
	(void)timer;
	log_refusals(gdrd);
	zap_expire(gdrd->zap, (uint64_t)zclock_time() - KNOCK_MS);
	log_burst_tick(&gdrd->commit_failed);
	operators_tick(gdrd->operators);
	enrol_tick(gdrd->enrol);
	agents_tick(gdrd->agents);
	fleet_tick(gdrd->fleet, (uint64_t)zclock_time());
	end_turn(gdrd);
	hooks_tick(gdrd->hooks); /* What is committed may be acted on. */
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

/* --- start ------------------------------------------------------------------------------------------------------- */

/* A ROUTER without descriptors spins instead of accepting. */
static int
raise_limits(const Gdr__GdrdConfig *config, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return err_set(err, -errno, "getrlimit: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < config->max_nodes + SPARE_FDS)
		return err_set(err, -EMFILE,
			       "%u nodes need %u file descriptors and the limit is %llu: raise LimitNOFILE or lower "
			       "max_nodes",
			       config->max_nodes, config->max_nodes + SPARE_FDS, (unsigned long long)limit.rlim_max);
	return 0;
}

static int
open_stores(struct gdrd *gdrd, struct err *err)
{
	const Gdr__GdrdConfig *config = gdrd->settings->config;
	int rc = raise_limits(config, err);

	if (rc == 0)
		rc = file_mkdirs(config->state, 0700, err);
	if (rc == 0)
		rc = store_open(gdrd->settings->database, &gdrd->store, err);
	if (rc == 0)
		rc = keys_load_or_make(gdrd->settings->key_file, &gdrd->key,
				       "the controller's key: agents and operators pin its public half", err);
	if (rc == 0)
		rc = zap_open(config->max_pending, &gdrd->zap, err);
	if (rc == 0)
		rc = zap_self_test(err);
	if (rc < 0)
		return rc;
	gdrd->refused_before = zap_counts(gdrd->zap).refused; /* The self-test's own. */
	gdrd->keyring = keyring_new(gdrd->store, gdrd->zap);
	return fleet_open(gdrd->store, gdrd->keyring, config, (uint64_t)zclock_time(), &gdrd->fleet, err);
}

static int
open_sockets(struct gdrd *gdrd, struct err *err)
{
	const Gdr__GdrdConfig *config = gdrd->settings->config;
	const struct turn turn = { gdrd->loop, end_turn, gdrd };
	struct wire *agents = NULL;
	struct wire *operators = NULL;
	struct wire *enrol = NULL;
	int rc = wire_listen(config->operators, &gdrd->key, zap_domain_name(ZAP_OPERATORS), &operators, err);

	if (rc == 0)
		rc = wire_listen(config->enrol, &gdrd->key, zap_domain_name(ZAP_ENROL), &enrol, err);
	if (rc == 0)
		rc = wire_listen(config->agents, &gdrd->key, zap_domain_name(ZAP_AGENTS), &agents, err);
	if (rc < 0) {
		wire_close(operators);
		wire_close(enrol);
		return rc;
	}
	gdrd->agents_at = gdrd_settings_advertised(gdrd->settings, wire_endpoint(agents));
	gdrd->enrol_at = gdrd_settings_advertised(gdrd->settings, wire_endpoint(enrol));
	const struct endpoints endpoints = { gdrd->agents_at, gdrd->enrol_at, gdrd->key.public_key };
	log_info("agents at %s, operators at %s, enrolment at %s", wire_endpoint(agents), wire_endpoint(operators),
		 wire_endpoint(enrol));
	gdrd->agents = agents_new(agents, gdrd->fleet, gdrd->keyring, config, &turn);
	gdrd->operators = operators_new(operators, gdrd->fleet, gdrd->keyring, gdrd->zap, &endpoints, &turn);
	gdrd->enrol = enrol_new(enrol, gdrd->fleet, &turn);
	gdrd->hooks = hooks_new(gdrd->fleet, config, &turn);
	return 0;
}

/* After all that it shows. */
static int
open_web(struct gdrd *gdrd, struct err *err)
{
	const struct metrics_sources sources = {
		.fleet = gdrd->fleet, .zap = gdrd->zap, .agents = gdrd->agents, .commits = &gdrd->commits
	};
	int rc = web_open(gdrd->settings->config, &sources, gdrd->operators, gdrd->loop, &gdrd->web, err);

	if (rc == 0 && gdrd->web)
		log_info("dashboard, REST and metrics at %s", web_url(gdrd->web));
	return rc;
}

/* Without a user nobody could ever ask for one. */
static int
make_first_admin(struct gdrd *gdrd, struct err *err)
{
	const struct ask ask = { .actor = "gdrd", .now_ms = (uint64_t)zclock_time() };
	char name[] = "admin";
	struct principal admin = { .name = name, .role = GDR__ROLE__ROLE_ADMIN, .created_ms = ask.now_ms };
	struct keypair pair;

	if (keyring_users(gdrd->keyring) > 0)
		return 0;
	keys_generate(&pair);
	memcpy(admin.key, pair.public_key, sizeof(admin.key));
	auto_free char *endpoint = gdrd_settings_advertised(gdrd->settings, gdrd->settings->config->operators);
	int rc = gdrd_settings_write_context(gdrd->settings, endpoint, gdrd->key.public_key, &pair, err);
	if (rc == 0)
		rc = fleet_note(gdrd->fleet, &ask, "user.added", "user/admin", "the first", err);
	if (rc == 0)
		rc = keyring_add(gdrd->keyring, &admin, err);
	if (rc == 0)
		rc = fleet_commit(gdrd->fleet, err);
	if (rc == 0)
		log_info("the first admin's context is in %s", gdrd->settings->admin_context);
	return rc;
}

static void
close_all(struct gdrd *gdrd)
{
	web_close(gdrd->web);
	agents_free(gdrd->agents);
	operators_free(gdrd->operators);
	enrol_free(gdrd->enrol);
	hooks_free(gdrd->hooks);
	fleet_close(gdrd->fleet);
	keyring_free(gdrd->keyring);
	zap_close(gdrd->zap);
	store_close(gdrd->store);
	zloop_destroy(&gdrd->loop);
	free(gdrd->agents_at);
	free(gdrd->enrol_at);
}

static int
run(struct gdrd_settings *settings)
{
	struct gdrd gdrd = { .settings = settings };
	struct err err = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	zsys_handler_set(NULL);
	zmq_pollitem_t signals = { .fd = signals_to_end(), .events = ZMQ_POLLIN };
	gdrd.loop = zloop_new();
	int rc = open_stores(&gdrd, &err);
	if (rc == 0)
		rc = make_first_admin(&gdrd, &err);
	if (rc == 0)
		rc = open_sockets(&gdrd, &err);
	if (rc == 0)
		rc = open_web(&gdrd, &err);
	if (rc == 0) {
		(void)zloop_poller(gdrd.loop, &signals, on_signal, NULL);
		(void)zloop_timer(gdrd.loop, TICK_MS, 0, on_tick, &gdrd);
		log_info("gdrd %s serves %zu nodes", GDR_VERSION, fleet_size(gdrd.fleet));
		(void)sd_notify(0, "READY=1");
		(void)zloop_start(gdrd.loop);
		log_info("ending");
	} else {
		log_error("%s", err.msg);
	}
	close_all(&gdrd);
	return rc == 0 ? 0 : 1;
}

/* --- other commands ------------------------------------------------------------------------------------------------ */

static int
check_config(const struct gdrd_settings *settings)
{
	auto_buf struct buf text = { 0 };

	pbtext_print_all(&settings->config->base, PBTEXT_YAML, &text);
	(void)fwrite(text.text, 1, text.len, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
backup(const struct gdrd_settings *settings, const char *path)
{
	struct err err = { 0 };

	if (!path) {
		(void)fprintf(stderr, "gdrd: backup needs a file name: gdrd backup FILE\n");
		return 2;
	}
	if (store_backup(settings->database, path, &err) < 0) {
		(void)fprintf(stderr, "gdrd: %s\n", err.msg);
		return 1;
	}
	(void)printf("%s: backup of %s\n", path, settings->database);
	return 0;
}

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage: gdrd [--config FILE] [--log-format auto|human|journal|json] [COMMAND]\n\n"
			  "  run            serve the fleet (the default)\n"
			  "  check-config   print the settings in effect, or what is wrong with them\n"
			  "  backup FILE    copy the database, also while gdrd runs\n\n"
			  "The settings' default file is /etc/gdrfleet/gdrd.yaml.\n");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "log-format", required_argument, NULL, 'l' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 { NULL, 0, NULL, 0 } };
	struct gdrd_settings *settings = NULL;
	const char *config = NULL;
	const char *format = "auto";
	struct err err = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		switch (c) {
		case 'c': config = optarg; break;
		case 'l': format = optarg; break;
		case 'h': usage(stdout); return 0;
		case 'V': (void)printf("gdrd %s\n", GDR_VERSION); return 0;
		default: return 2;
		}
	const char *command = optind < argc ? argv[optind] : "run";
	if (!log_init("gdrd", format)) {
		(void)fprintf(stderr, "gdrd: --log-format %s: expected auto, human, journal or json\n", format);
		return 2;
	}
	if (gdrd_settings_load(config, &settings, &err) < 0) {
		(void)fprintf(stderr, "gdrd: %s\n", err.msg);
		return 1;
	}
	int rc = 2;
	if (strcmp(command, "run") == 0)
		rc = run(settings);
	else if (strcmp(command, "check-config") == 0)
		rc = check_config(settings);
	else if (strcmp(command, "backup") == 0)
		rc = backup(settings, argv[optind + 1]);
	else
		(void)fprintf(stderr, "gdrd: unknown command '%s' (run, check-config or backup)\n", command);
	gdrd_settings_free(settings);
	return rc;
}
