/* cmd_event.c - gdrctl event list, watch; node reboots; drift. */

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"

#define LIST_DEFAULT 50
#define LIMIT_MAX    1000 /* Of one answer, by api.proto. */
#define WATCH_FIRST  10   /* Events from before that a watch begins with. */
#define POLL_MS      1000

static int
ask(struct ctl *ctl, Gdr__EventQuery *query, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;

	request.body_case = GDR__REQUEST__BODY_EVENTS;
	request.events = query;
	return ctl_call(ctl, &request, out, err);
}

static int
by_id(const void *a, const void *b)
{
	const Gdr__Event *x = output_item(a, 0);
	const Gdr__Event *y = output_item(b, 0);

	return (x->id > y->id) - (x->id < y->id);
}

static void
oldest_first(Gdr__Response *response)
{
	if (response->n_events > 0)
		qsort(response->events, response->n_events, sizeof(Gdr__Event *), by_id);
}

/* --- list --- */

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__EventQuery query = GDR__EVENT_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;
	const char *object = ctl_option(ctl, "object");
	auto_free char *own = object ? xstrdup(object) : NULL;
	int rc;

	query.object = own;
	query.has_newest = true;
	query.newest = true;
	query.has_limit = true;
	query.limit = LIST_DEFAULT;
	rc = ctl_number(ctl, "limit", 1, LIMIT_MAX, &query.limit, err);
	if (rc == 0)
		rc = ask(ctl, &query, &response, err);
	if (rc != 0)
		return rc;
	oldest_first(response);
	output_list(ctl, &view_events, response);
	return 0;
}

#define OPTION_OBJECT                                                                           \
	{                                                                                       \
		0, "object", "OBJECT", NULL, "only events about it: node/n1, profile/vela-a100" \
	}

const struct command command_event_list = {
	.name = "event list",
	.args = "",
	.help = "who changed what, and what happened: the newest events",
	.examples = "  gdrctl event list --object node/n1 -n 20",
	.options =
		(const struct option[]){
			OPTION_OBJECT,
			{ 'n', "limit", "N", NULL, "at most so many (default 50)" },
			{ 0 },
		},
	.run = run_list,
};

/* --- node reboots --- */

/* Who wanted a boot, who granted it and why, how long it took, and what it brought: the state right after it. */
static bool
tells_of_reboots(const Gdr__Event *event, bool *back)
{
	const char *kind = event->kind ? event->kind : "";
	bool reboot = strncmp(kind, "node.reboot", 11) == 0 || strcmp(kind, "node.wants-reboot") == 0;
	bool brought = *back && strncmp(kind, "node.", 5) == 0;

	*back = strcmp(kind, "node.rebooted") == 0;
	return reboot || brought;
}

static void
keep_reboots(Gdr__Response *response)
{
	bool back = false;
	size_t n = 0;

	for (size_t i = 0; i < response->n_events; i++) {
		Gdr__Event *event = response->events[i];

		if (tells_of_reboots(event, &back))
			response->events[n++] = event;
		else
			pb_free(&event->base);
	}
	response->n_events = n;
}

/* One that was removed has had its reboots; one that never was has a name that is mistyped. */
static int
check_node(struct ctl *ctl, char *name, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_pb Gdr__Response *response = NULL;

	of.names = &name;
	of.n_names = 1;
	query.of = &of;
	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	return ctl_call(ctl, &request, &response, err);
}

static int
run_reboots(struct ctl *ctl, struct err *err)
{
	Gdr__EventQuery query = GDR__EVENT_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;
	const char *word = ctl->args.words[0];
	auto_free char *object = xasprintf("node/%s", strncmp(word, "node/", 5) == 0 ? word + 5 : word);
	int rc;

	query.object = object;
	query.has_newest = true;
	query.newest = true;
	query.has_limit = true;
	query.limit = LIMIT_MAX;
	rc = ask(ctl, &query, &response, err);
	if (rc != 0)
		return rc;
	oldest_first(response);
	keep_reboots(response);
	if (response->n_events == 0)
		rc = check_node(ctl, object + strlen("node/"), err);
	if (rc == 0)
		output_list(ctl, &view_events, response);
	return rc;
}

const struct command command_node_reboots = {
	.name = "node reboots",
	.args = "NAME",
	.help = "a node's reboots: when and why, who granted them, how long they took, what they brought",
	.more = "From the node's newest 1000 events.",
	.examples = "  gdrctl node reboots n1",
	.values = "@nodes",
	.min = 1,
	.max = 1,
	.run = run_reboots,
};

/* --- watch --- */

/* Prints what is new and moves the resume token past it. */
static void
print_new(struct ctl *ctl, Gdr__Response *response, uint64_t *after, struct widths *widths)
{
	size_t known = 0;

	oldest_first(response);
	while (*after && known < response->n_events && response->events[known]->id <= *after)
		known++;
	if (known == response->n_events)
		return;
	output_rows(ctl, &view_events, response->events + known, response->n_events - known, widths);
	*after = response->events[response->n_events - 1]->id;
}

static int
ask_after(struct ctl *ctl, const char *object, bool newest, uint64_t after, Gdr__Response **out, struct err *err)
{
	Gdr__EventQuery query = GDR__EVENT_QUERY__INIT;
	auto_free char *own = object ? xstrdup(object) : NULL;

	query.object = own;
	query.has_limit = true;
	query.limit = newest ? WATCH_FIRST : LIMIT_MAX;
	query.has_newest = newest;
	query.newest = newest;
	query.has_after = !newest;
	query.after = after;
	return ask(ctl, &query, out, err);
}

static int
parse_after(const struct ctl *ctl, uint64_t *after, bool *newest, struct err *err)
{
	const char *text = ctl_option(ctl, "after");
	char *end = NULL;

	*newest = !text;
	if (!text)
		return 0;
	*after = strtoull(text, &end, 10);
	if (end == text || *end || *text == '-')
		return err_set(err, CTL_USAGE, "--after: '%s' is no event's id", text);
	return 0;
}

static int
run_watch(struct ctl *ctl, struct err *err)
{
	struct widths widths = { 0 };
	uint64_t after = 0;
	bool newest = false;
	bool more;
	int rc = parse_after(ctl, &after, &newest, err);

	if (rc != 0)
		return rc;
	do {
		auto_pb Gdr__Response *response = NULL;
		struct err failed = { 0 };

		rc = ask_after(ctl, ctl_option(ctl, "object"), newest, after, &response, &failed);
		more = false;
		if (rc == CTL_NO_CONTROLLER) {
			(void)fprintf(ctl->diag, "gdrctl: %s; trying again\n", failed.msg);
		} else if (rc != 0) {
			return err_set(err, rc, "%s", failed.msg);
		} else {
			more = !newest && response->n_events >= LIMIT_MAX;
			newest = false;
			print_new(ctl, response, &after, &widths);
		}
	} while (fflush(ctl->out) == 0 && (more || ctl->ops->pause(ctl->arg, POLL_MS)));
	return 0;
}

const struct command command_event_watch = {
	.name = "event watch",
	.args = "",
	.help = "events as they happen",
	.more = "Begins with the last few.  With --after ID none is missed and none comes twice: ID is that of the\n"
		"last event that was handled.",
	.examples = "  gdrctl event watch -o json --after 4711",
	.options =
		(const struct option[]){
			OPTION_OBJECT,
			{ 0, "after", "ID", NULL, "all events since this one" },
			{ 0 },
		},
	.run = run_watch,
};

/* --- drift --- */

static int
most_nodes_first(const void *a, const void *b)
{
	const Gdr__DriftView *x = output_item(a, 0);
	const Gdr__DriftView *y = output_item(b, 0);

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	int order = strcmp(x->layer ? x->layer : "", y->layer ? y->layer : "");
	return order ? order : strcmp(x->key ? x->key : "", y->key ? y->key : "");
}

static int
run_drift(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__DriftQuery query = GDR__DRIFT_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	auto_pb Gdr__Response *response = NULL;
	int rc = ctl_selection(ctl, ctl->args.n_words, &of, &names, err);

	if (rc != 0)
		return rc;
	query.of = &of;
	request.body_case = GDR__REQUEST__BODY_DRIFT;
	request.drift = &query;
	rc = ctl_call(ctl, &request, &response, err);
	if (rc != 0)
		return rc;
	if (response->n_drift > 0)
		qsort(response->drift, response->n_drift, sizeof(Gdr__DriftView *), most_nodes_first);
	output_list(ctl, &view_drift, response);
	return response->n_drift > 0 ? CTL_UNMET : 0;
}

const struct command command_drift = {
	.name = "drift",
	.args = "[NAME...]",
	.help = "which items differ, and on how many nodes; exit 3 if any does",
	.examples = "  gdrctl drift -l rack=r7 -o wide",
	.values = "@nodes",
	.options = (const struct option[]){ OPTION_SELECTOR, { 0 } },
	.max = -1,
	.run = run_drift,
};
