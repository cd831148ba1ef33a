#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/machine/netlink.h"
#include "agent/mended.h"
#include "agent/pass.h"
#include "agent/reboot.h"
#include "agent/settings.h"
#include "agent/textfile.h"
#include "agent/vm/virt.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/signals.h"

#define SOON_MS    2000
#define REPORT_MAX (1U << 20)
#define SETTLE_MS  500 /* Events come in groups, and a device that is let go of takes a moment. */

struct worker {
	const struct settings *settings;
	struct host *host;
	struct journal *journal;
	struct reboot *reboot;
	Gdr__Report *last;               /* Of the last pass, be it of another worker; NULL: there was none. */
	uint8_t reported[PB_DIGEST_LEN]; /* Of the report on disk. */
	char last_why[512];
	int signals;
	int watch;             /* -1: there is no folder to watch yet. */
	struct host_watch vms; /* What libvirt tells of them. */
	int links;             /* What the kernel tells of interfaces; -1: nobody wants to know. */
	bool soon;             /* Something came to light that the next pass can put right. */
	int lock;
};

/* Everything outside 'mode: enforce' only looks. */
static enum converge_how
how_of(const Gdr__Desired *desired)
{
	if (!desired || (desired->has_mode && desired->mode != GDR__MODE__MODE_ENFORCE))
		return CONVERGE_LOOK;
	return CONVERGE_ENFORCE;
}

static int
write_report(struct worker *worker, const Gdr__Report *report, struct err *err)
{
	size_t len;
	auto_free uint8_t *data = pb_pack(&report->base, &len);
	uint8_t digest[PB_DIGEST_LEN];

	pb_digest(data, len, digest);
	if (memcmp(digest, worker->reported, sizeof(digest)) == 0) {
		/* Nothing new, but looked at: its time tells comm that we are alive. */
		(void)utimensat(AT_FDCWD, worker->settings->report_file, NULL, 0);
		return 0;
	}
	int rc = file_replace(worker->settings->report_file, data, len, 0644, err);
	if (rc == 0)
		memcpy(worker->reported, digest, sizeof(digest));
	return rc;
}

/* The last that was written, by us or by who was here before us; NULL: there is none. */
static Gdr__Report *
read_report(const struct settings *settings)
{
	auto_free char *data = NULL;
	struct err ignored = { 0 };
	size_t len = 0;

	if (file_read(settings->report_file, REPORT_MAX, &data, &len, &ignored) < 0)
		return NULL;
	return (Gdr__Report *)pb_unpack(&gdr__report__descriptor, data, len, &ignored);
}

static void
log_mended(const Gdr__Report *report, size_t n_new)
{
	for (size_t i = report->n_mended - n_new; i < report->n_mended; i++)
		log_info("%s: %s put right (was %s, is %s again)", report->mended[i]->layer, report->mended[i]->key,
			 report->mended[i]->had, report->mended[i]->have);
}

static void
log_outcome(struct worker *worker, const Gdr__Report *report)
{
	static const char *const text[] = { [GDR__OUTCOME__OUTCOME_SETTLED] = "settled",
					    [GDR__OUTCOME__OUTCOME_WORKING] = "not as wanted",
					    [GDR__OUTCOME__OUTCOME_WANTS_REBOOT] = "wants a reboot",
					    [GDR__OUTCOME__OUTCOME_STUCK] = "stuck" };
	char line[sizeof(worker->last_why)];

	(void)snprintf(line, sizeof(line), "generation %llu: %s%s%s", (unsigned long long)report->generation,
		       text[report->outcome], report->why ? ": " : "", report->why ? report->why : "");
	if (strcmp(line, worker->last_why) != 0)
		log_info("%s", line);
	memcpy(worker->last_why, line, sizeof(line));
}

static bool
looks_after_vms(const Gdr__Report *report)
{
	for (size_t i = 0; i < report->n_layers; i++)
		if (strcmp(report->layers[i]->name, "vm") == 0)
			return true;
	return false;
}

/* A VM that starts or ends resets devices, and with them registers that we look after; so does one that nobody wants any
 * more. */
static void
watch_vms(struct worker *worker, const Gdr__Report *report)
{
	bool on = looks_after_vms(report);
	struct err ignored;

	if (on && !worker->vms.pid)
		(void)virt_watch(worker->host, &worker->vms, &ignored);
	if (!on)
		host_unwatch(&worker->vms);
}

/* An interface that is plugged in has none of what is wanted of it. */
static void
watch_links(struct worker *worker, const Gdr__Desired *desired)
{
	if (worker->links < 0 && desired && desired->spec && desired->spec->guest && desired->spec->guest->n_link)
		worker->links = netlink_watch(worker->host);
}

static void
one_pass(struct worker *worker)
{
	auto_pb Gdr__Desired *desired = NULL;
	auto_pb Gdr__Report *report = NULL;
	struct err err = { 0 };
	int rc = settings_read_desired(worker->settings, &desired, &err);

	if (rc < 0 && rc != -ENOENT) {
		log_error("%s: waiting for the controller to send it again", err.msg);
		return;
	}
	err = (struct err){ 0 };
	if (pass_run(worker->settings->program, worker->host, worker->journal, desired, how_of(desired), &report,
		     &err) < 0) {
		log_error("%s", err.msg);
		return;
	}
	log_mended(report, mended_carry(worker->last, report));
	bool go = reboot_judge(worker->reboot, report, desired);
	log_outcome(worker, report);
	if (write_report(worker, report, &err) < 0)
		log_error("%s", err.msg);
	const char *textfile = worker->settings->config->textfile;
	if (textfile && textfile_write(textfile, report, (uint64_t)time(NULL), &err) < 0)
		log_error("textfile: %s", err.msg);
	watch_vms(worker, report);
	watch_links(worker, desired);
	worker->soon = how_of(desired) == CONVERGE_ENFORCE && report->outcome == GDR__OUTCOME__OUTCOME_WORKING;
	if (go)
		(void)reboot_go(worker->reboot, report, desired, &err); /* Logs, and reports with the next look. */
	pb_free(worker->last ? &worker->last->base : NULL);
	worker->last = steal(&report);
}

/* Takes what libvirt told; false: it went away, which is for the next look to tell. */
static bool
vms_told(struct worker *worker)
{
	char bytes[64];
	ssize_t n = read(worker->vms.fd, bytes, sizeof(bytes));

	if (n == 0)
		host_unwatch(&worker->vms);
	return n > 0;
}

/* Until something changed or it is time to look; false: a signal says that it is time to end. */
static bool
wait_for_news(struct worker *worker)
{
	if (worker->watch < 0) {
		worker->watch = settings_watch(worker->settings->config->comm_state);
		if (worker->watch >= 0)
			return true; /* Who knows what came before. */
	}
	struct pollfd fds[] = { { .fd = worker->signals, .events = POLLIN },
				{ .fd = worker->watch, .events = POLLIN },
				{ .fd = worker->vms.pid ? worker->vms.fd : -1, .events = POLLIN },
				{ .fd = worker->links, .events = POLLIN } };

	const int usual = (int)worker->settings->config->check_interval;
	const int interval = worker->soon && usual > SOON_MS ? SOON_MS : usual;
	(void)poll(fds, 4, interval);
	if (fds[2].revents && !vms_told(worker)) {
		/* A daemon that is being upgraded is back soon; what it tells until then is told to nobody. */
		fds[2].fd = -1;
		(void)poll(fds, 4, usual > SOON_MS ? SOON_MS : usual);
	}
	if (fds[2].revents || fds[3].revents)
		(void)poll(fds, 1, SETTLE_MS);
	settings_watched(worker->watch);
	netlink_watched(worker->links);
	return !(fds[0].revents & POLLIN);
}

static int
open_worker(struct worker *worker, struct err *err)
{
	const Gdr__AgentConfig *config = worker->settings->config;
	auto_free char *boot_id = NULL;
	int rc;

	rc = settings_lock(worker->settings, &worker->lock, err);
	if (rc < 0)
		return rc;
	worker->host = host_open(config->root, config);
	rc = pass_boot_id(worker->host, &boot_id, err);
	if (rc < 0)
		return rc;
	if (journal_open(worker->settings->journal_file, boot_id, &worker->journal, err) < 0)
		log_warn("%s", err->msg);
	worker->last = read_report(worker->settings);
	worker->reboot = reboot_open(worker->settings->program, worker->host, worker->journal, config);
	worker->watch = settings_watch(config->comm_state);
	return 0;
}

int
worker_run(const struct settings *settings)
{
	struct worker worker = { .settings = settings, .watch = -1, .links = -1, .lock = -1 };
	struct err err = { 0 };

	worker.signals = signals_to_end();
	int rc = open_worker(&worker, &err);
	if (rc == 0) {
		(void)sd_notify(0, "READY=1");
		reboot_came_back(worker.reboot);
		do
			one_pass(&worker);
		while (wait_for_news(&worker));
	} else {
		log_error("%s", err.msg);
	}
	host_unwatch(&worker.vms);
	if (worker.links >= 0)
		(void)close(worker.links);
	reboot_close(worker.reboot);
	pb_free(worker.last ? &worker.last->base : NULL);
	journal_free(worker.journal);
	host_free(worker.host);
	return rc == 0 ? 0 : 1;
}
