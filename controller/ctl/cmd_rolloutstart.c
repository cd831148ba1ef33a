/* cmd_rolloutstart.c - gdrctl rollout plan, start. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"
#include "controller/ctl/rolloutshow.h"
#include "controller/ctl/rolloutwait.h"

/* --- from a document --- */

static const struct pbtext_kind kinds[] = { { "Rollout", &gdr__rollout__descriptor }, { 0 } };

static int
read_document(struct ctl *ctl, const char *path, Gdr__Rollout **out, struct err *err)
{
	auto_buf struct buf text = { 0 };
	struct pbtext_document *documents = NULL;
	size_t n = 0;
	int rc = ctl_read(ctl, path, &text, err);

	if (rc == 0)
		rc = pbtext_parse_documents(kinds, path, text.text ? text.text : "", text.len, &documents, &n, err);
	if (rc == 0 && n != 1)
		rc = err_set(err, CTL_USAGE, "%s: expected one `kind: Rollout`, found %zu", path, n);
	if (rc == 0)
		*out = (Gdr__Rollout *)steal(&documents[0].message);
	pbtext_documents_free(documents, n);
	return rc;
}

/* --- from options --- */

/* Every option is a field of the document: its value is read as the document's is. */
static const struct {
	const char *option;
	const char *field;
	enum {
		SCALAR,
		LIST, /* With commas. */
		MAP,  /* KEY=VALUE, with commas. */
		FLAG,
	} form;
} fields[] = {
	{ "name", "name", SCALAR },
	{ "selector", "selector", SCALAR },
	{ "message", "reason", SCALAR },
	{ "canary", "canary", SCALAR },
	{ "waves", "waves", LIST },
	{ "soak", "soak", SCALAR },
	{ "max-unavailable", "max_unavailable", SCALAR },
	{ "per-label", "per_label", MAP },
	{ "failure-budget", "failure_budget", SCALAR },
	{ "node-deadline", "node_deadline", SCALAR },
	{ "wave-deadline", "wave_deadline", SCALAR },
	{ "deadline", "deadline", SCALAR },
	{ "unreachable", "unreachable", SCALAR },
	{ "on-failure", "on_failure", SCALAR },
	{ "promotion", "promotion", SCALAR },
	{ "window", "window", SCALAR },
	{ "supersede", "supersede", FLAG },
	{ "drain", "drain", SCALAR },
	{ "notify", "notify", LIST },
	{ "compare", "compare", MAP },
};

static void
add_scalar(struct buf *out, const char *text, size_t len)
{
	auto_free char *one = xasprintf("%.*s", (int)len, text);
	bool number = len > 0 && len < 10 && strspn(one, "0123456789") == len;

	/* Numbers stay numbers; text is quoted, so that it is text whatever it looks like. */
	if (number)
		buf_puts(out, one);
	else
		buf_json(out, one);
}

static void
add_list(struct buf *out, const char *value, bool map)
{
	buf_puts(out, map ? "{" : "[");
	for (const char *at = value; *at;) {
		size_t len = strcspn(at, ",");
		const char *equals = map ? memchr(at, '=', len) : NULL;
		auto_free char *key = equals ? xasprintf("%.*s", (int)(equals - at), at) : NULL;
		const char *from = equals ? equals + 1 : at;
		auto_free char *text = xasprintf("%.*s", (int)(len - (size_t)(from - at)), from);

		if (key) {
			buf_json(out, key);
			buf_puts(out, ": ");
		}
		buf_json(out, text);
		at += len;
		if (*at == ',' && *++at)
			buf_puts(out, ", ");
	}
	buf_puts(out, map ? "}" : "]");
}

/* "PROGRAM ARG..." as {"program": "PROGRAM", "args": ["ARG", ...]}. */
static void
add_check(struct buf *out, const char *words)
{
	size_t len = strcspn(words, " ");
	auto_free char *program = xasprintf("%.*s", (int)len, words);
	const char *comma = "";

	buf_puts(out, "{\"program\": ");
	buf_json(out, program);
	buf_puts(out, ", \"args\": [");
	for (const char *at = words + len; *(at += strspn(at, " ")); at += len) {
		len = strcspn(at, " ");
		auto_free char *word = xasprintf("%.*s", (int)len, at);

		buf_puts(out, comma);
		buf_json(out, word);
		comma = ", ";
	}
	buf_puts(out, "]}");
}

/* Each --check is one of the list. */
static void
add_checks(const struct ctl *ctl, bool any, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ctl->args.n_given; i++) {
		if (strcmp(ctl->args.given[i].option->name, "check") != 0)
			continue;
		if (n++ == 0)
			buf_puts(out, any ? ", \"checks\": [" : "\"checks\": [");
		else
			buf_puts(out, ", ");
		add_check(out, ctl->args.given[i].value);
	}
	if (n)
		buf_puts(out, "]");
}

/* The options as a document of their own: {"canary": 1, "waves": ["10%"]}. */
static char *
options_text(const struct ctl *ctl)
{
	struct buf out = { 0 };
	bool any = false;

	buf_puts(&out, "{");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = ctl_option(ctl, fields[i].option);

		if (!value)
			continue;
		buf_printf(&out, "%s\"%s\": ", any ? ", " : "", fields[i].field);
		switch (fields[i].form) {
		case SCALAR: add_scalar(&out, value, strlen(value)); break;
		case LIST:
		case MAP: add_list(&out, value, fields[i].form == MAP); break;
		case FLAG: buf_puts(&out, "true"); break;
		}
		any = true;
	}
	add_checks(ctl, any, &out);
	buf_puts(&out, "}");
	return buf_steal(&out);
}

static int
read_options(const struct ctl *ctl, ProtobufCMessage **out, struct err *err)
{
	auto_free char *text = options_text(ctl);

	if (pbtext_parse(&gdr__rollout__descriptor, "options", text, strlen(text), out, err) < 0)
		return err_set(err, CTL_USAGE, "%s", strstr(err->msg, ": ") ? strstr(err->msg, ": ") + 2 : err->msg);
	return 0;
}

/* The document, if there is one, with the options laid over it. */
static int
read_plan(struct ctl *ctl, Gdr__Rollout **out, struct err *err)
{
	const char *file = ctl_option(ctl, "file");
	const char *word = ctl->args.n_words ? ctl->args.words[0] : NULL;
	auto_pb Gdr__Rollout *document = NULL;
	auto_pb ProtobufCMessage *options = NULL;
	int rc = file ? read_document(ctl, file, &document, err) : 0;

	if (rc == 0)
		rc = read_options(ctl, &options, err);
	if (rc != 0)
		return rc;
	*out = (Gdr__Rollout *)pb_merge(document ? &document->base : NULL, options);
	if (word) {
		free((*out)->profile);
		(*out)->profile = xstrdup(strncmp(word, "profile/", 8) == 0 ? word + 8 : word);
	}
	return 0;
}

/* --- plan --- */

static int
ask_plan(struct ctl *ctl, Gdr__Rollout *plan, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__RolloutPlan body = GDR__ROLLOUT_PLAN__INIT;

	body.plan = plan;
	request.body_case = GDR__REQUEST__BODY_ROLLOUT_PLAN;
	request.rollout_plan = &body;
	int rc = ctl_call(ctl, &request, out, err);
	if (rc == 0 && ((*out)->n_rollouts == 0 || !(*out)->rollouts[0]->record || !(*out)->rollouts[0]->record->plan))
		return err_set(err, CTL_ERROR, "the controller sent no plan (is it another version?)");
	return rc;
}

static int
run_plan(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Rollout *plan = NULL;
	auto_pb Gdr__Response *response = NULL;
	int rc = read_plan(ctl, &plan, err);

	if (rc == 0)
		rc = ask_plan(ctl, plan, &response, err);
	if (rc != 0)
		return rc;
	const Gdr__RolloutView *view = response->rollouts[0];
	auto_free char *object = xasprintf("rollout/%s", view->record->plan->name);
	if (output_human(ctl))
		rolloutshow_plan(ctl, view);
	else
		output_object(ctl, view, NULL, object);
	return view->record->n_waves > 0 ? CTL_UNMET : 0;
}

#define PLAN_OPTIONS                                                                                                 \
	OPTION_SELECTOR, { 'f', "file", "FILE", "@file", "a document `kind: Rollout`, - for stdin; options win" },   \
		{ 0, "name", "NAME", NULL, "of the rollout; default PROFILE-REVISION" }, OPTION_WHY,                 \
		{ 0, "canary", "N", NULL, "nodes of the first wave (default 1; 0: none)" },                          \
		{ 0, "waves", "LIST", NULL, "how far each further wave goes: 10%,50%,100% or 5,20 (default: all)" }, \
		{ 0, "soak", "DURATION", NULL, "each wave stays right so long before its gate (default 5m)" },       \
		{ 0, "max-unavailable", "N|%", NULL, "nodes of the fleet not ready at once (default 10%)" },         \
		{ 0, "per-label", "LABEL=N,...", NULL, "the same of nodes that share a label: rack=1,leaf=4" },      \
		{ 0, "failure-budget", "N", NULL, "failed nodes that do not stop it (default 0)" },                  \
		{ 0, "node-deadline", "DURATION", NULL, "for one node (default 1h)" },                               \
		{ 0, "wave-deadline", "DURATION", NULL, "for one wave (default 12h)" },                              \
		{ 0, "deadline", "DURATION", NULL, "for all of it (default 7d)" },                                   \
		{ 0, "unreachable", "WHAT", "skip wait fail", "with nodes that do not report (default skip)" },      \
		{ 0, "on-failure", "WHAT", "pause abort rollback", "pause (default), abort or rollback" },           \
		{ 0, "window", "NAME", NULL, "only in this maintenance window" },                                    \
		{ 0, "drain", "PROGRAM", NULL, "takes work off a node before it is moved" },                         \
		{ 0, "check", "PROGRAM[ ARG...]", NULL, "asked after each soak; may be given more than once" },      \
		{ 0, "notify", "PROGRAM,...", NULL, "told of each state that the rollout comes to" },                \
		{ 0, "compare", "ITEM=N%,...", NULL, "numbers that may not get worse: readiness/R22*=-5%" },         \
		{ 0, "supersede", NULL, NULL, "end rollouts that have these nodes, and take over" },                 \
	{                                                                                                            \
		0, "promotion", "HOW", "automatic manual", "automatic (default) or manual"                           \
	}

const struct command command_rollout_plan = {
	.name = "rollout plan",
	.args = "[PROFILE[@REVISION]]",
	.help = "what start would do; exit 0: nothing, 3: something",
	.more = "Waves, their nodes in order, who is left out and why, limits, how much of each rack or switch it takes\n"
		"away at once (of each label that groups nodes; -o wide: every value), hardware that no canary node has,\n"
		"and how long it should take, by rollouts before it or else by these nodes' reboots.",
	.examples = "  gdrctl rollout plan vela-a100 -l rack=r7 --canary 1 --waves 10%,50%,100%",
	.values = "@profiles",
	.options = (const struct option[]){ PLAN_OPTIONS, { 0 } },
	.max = 1,
	.run = run_plan,
};

/* --- start --- */

/* It is named before it starts, so that it is known whatever becomes of the answer. */
static int
start(struct ctl *ctl, Gdr__Rollout *plan, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__RolloutStart body = GDR__ROLLOUT_START__INIT;
	auto_pb Gdr__Response *planned = NULL;
	int rc = ask_plan(ctl, plan, &planned, err);

	if (rc != 0)
		return rc;
	const Gdr__RolloutRecord *record = planned->rollouts[0]->record;
	body.plan = record->plan;
	request.body_case = GDR__REQUEST__BODY_ROLLOUT_START;
	request.rollout_start = &body;
	rc = ctl_change(ctl, &request, err);
	if (rc != 0 || record->n_waves == 0 || !ctl_flag(ctl, "wait"))
		return rc;
	return rolloutwait(ctl, record->plan->name, false, err);
}

static int
run_start(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Rollout *plan = NULL;
	int rc = read_plan(ctl, &plan, err);

	return rc == 0 ? start(ctl, plan, err) : rc;
}

const struct command command_rollout_start = {
	.name = "rollout start",
	.args = "[PROFILE[@REVISION]]",
	.help = "move nodes to a revision in waves that stop by themselves",
	.more = "With --wait, exit 0: it succeeded.  3: it is paused, failed, aborted or rolled back.  4: --timeout is\n"
		"over, and it goes on.  Nothing to do is no error.",
	.examples = "  gdrctl rollout start vela-a100 -l rack=r7 --canary 1 --waves 10%,50%,100% --soak 10m --wait\n"
		    "  gdrctl rollout start -f rollout.yaml --on-failure rollback --wait --timeout 4h",
	.values = "@profiles",
	.options = (const struct option[]){ PLAN_OPTIONS,
					    { 0, "wait", NULL, NULL, "wait for its end (--timeout: for that long)" },
					    { 0 } },
	.max = 1,
	.run = run_start,
};
