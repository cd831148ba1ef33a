/* cmd_nodechange.c - gdrctl node remove, label, hold, release, audit, assign, reboot. */

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/wait.h"

#define NAMED_MAX 5 /* Nodes that a question names. */

/* --- what is asked before it is done --- */

/* Replaces a selector by the nodes that it fits now: what was confirmed is what is done. */
static void
pin(Gdr__Selection *of, char ***names, const Gdr__Response *response)
{
	char **pinned = xcalloc(response->n_nodes + 1, sizeof(*pinned));

	for (size_t i = 0; i < response->n_nodes; i++)
		pinned[i] = xstrdup(response->nodes[i]->name ? response->nodes[i]->name : "");
	mem_strv_p(names);
	*names = pinned;
	of->selector = NULL;
	of->names = pinned;
	of->n_names = response->n_nodes;
}

static void
add_question(const char *verb, const Gdr__Selection *of, struct buf *out)
{
	buf_printf(out, "%s %zu node%s (", verb, of->n_names, of->n_names == 1 ? "" : "s");
	for (size_t i = 0; i < of->n_names && i < NAMED_MAX; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", of->names[i]);
	buf_printf(out, "%s)?", of->n_names > NAMED_MAX ? ", ..." : "");
}

/* Asks the operator, unless --yes was given. */
static int
confirm(struct ctl *ctl, const char *verb, Gdr__Selection *of, char ***names, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;
	auto_buf struct buf question = { 0 };
	int rc = 0;

	if (ctl_flag(ctl, "yes") || !ctl->in_tty)
		return ctl_confirm(ctl, verb, err);
	query.of = of;
	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	rc = ctl_call(ctl, &request, &response, err);
	if (rc != 0)
		return rc;
	if (response->n_nodes == 0)
		return err_set(err, CTL_UNMET, "no such nodes");
	pin(of, names, response);
	add_question(verb, of, &question);
	return ctl_confirm(ctl, question.text, err);
}

/* --- node remove --- */

static int
run_remove(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeRemove remove = GDR__NODE_REMOVE__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	int rc = ctl_selection_required(ctl, ctl->args.n_words, &of, &names, err);

	if (rc == 0)
		rc = confirm(ctl, "Revoke the keys of, and forget,", &of, &names, err);
	if (rc != 0)
		return rc;
	remove.of = &of;
	request.body_case = GDR__REQUEST__BODY_NODE_REMOVE;
	request.node_remove = &remove;
	return ctl_change(ctl, &request, err);
}

const struct command command_node_remove = {
	.name = "node remove",
	.args = "NAME...",
	.help = "forget nodes: their keys are revoked, their links cut",
	.more = "Nothing changes on the hosts themselves.",
	.examples = "  gdrctl node remove n17\n  gdrctl node remove -l rack=r9 --yes",
	.values = "@nodes",
	.options = (const struct option[]){ OPTION_SELECTOR, OPTION_YES, { 0 } },
	.max = -1,
	.run = run_remove,
};

/* --- node label --- */

/* The first of the last words that are labels: "k=v", "k-". */
static size_t
first_label(const struct args *args)
{
	size_t i = args->n_words;

	while (i > 0) {
		const char *word = args->words[i - 1];
		size_t len = strlen(word);

		if (!strchr(word, '=') && (len < 2 || word[len - 1] != '-'))
			break;
		i--;
	}
	return i;
}

struct labels {
	Gdr__NodeLabel__SetEntry *entries;
	Gdr__NodeLabel__SetEntry **set;
	char **texts; /* Behind all of them. */
	char **remove;
	size_t n_set;
	size_t n_remove;
};

static void
read_labels(const struct args *args, size_t first, struct labels *out)
{
	size_t n = args->n_words - first;

	out->entries = xcalloc(n + 1, sizeof(*out->entries));
	out->set = xcalloc(n + 1, sizeof(Gdr__NodeLabel__SetEntry *));
	out->remove = xcalloc(n + 1, sizeof(char *));
	out->texts = xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		char *text = xstrdup(args->words[first + i]);
		char *equals = strchr(text, '=');
		Gdr__NodeLabel__SetEntry *entry = &out->entries[i];

		out->texts[i] = text;
		gdr__node_label__set_entry__init(entry);
		if (equals) {
			*equals = '\0';
			entry->key = text;
			entry->value = equals + 1;
			out->set[out->n_set++] = entry;
		} else {
			text[strlen(text) - 1] = '\0';
			out->remove[out->n_remove++] = text;
		}
	}
}

static void
free_labels(struct labels *labels)
{
	mem_strv_p(&labels->texts);
	free(labels->entries);
	free(labels->set);
	free(labels->remove);
}

static int
run_label(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeLabel label = GDR__NODE_LABEL__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	struct labels labels = { 0 };
	auto_strv char **names = NULL;
	size_t first = first_label(&ctl->args);

	if (first == ctl->args.n_words)
		return err_set(err, CTL_USAGE, "which labels? KEY=VALUE sets one, KEY- takes it away");
	for (size_t i = first; i < ctl->args.n_words; i++)
		if (ctl->args.words[i][0] == '=' || strcmp(ctl->args.words[i], "-") == 0)
			return err_set(err, CTL_USAGE, "'%s': of which label? KEY=VALUE sets one, KEY- takes it away",
				       ctl->args.words[i]);
	int rc = ctl_selection_required(ctl, first, &of, &names, err);
	if (rc != 0)
		return rc;
	read_labels(&ctl->args, first, &labels);
	label.of = &of;
	label.set = labels.set;
	label.n_set = labels.n_set;
	label.remove = labels.remove;
	label.n_remove = labels.n_remove;
	request.body_case = GDR__REQUEST__BODY_NODE_LABEL;
	request.node_label = &label;
	rc = ctl_change(ctl, &request, err);
	free_labels(&labels);
	return rc;
}

const struct command command_node_label = {
	.name = "node label",
	.args = "NAME... KEY=VALUE... KEY-...",
	.help = "set labels (KEY=VALUE) and take them away (KEY-)",
	.examples = "  gdrctl node label n1 n2 rack=r7 canary-\n  gdrctl node label -l rack=r7 leaf=l3",
	.values = "@nodes",
	.options = (const struct option[]){ OPTION_SELECTOR, { 0 } },
	.min = 1,
	.max = -1,
	.run = run_label,
};

/* --- node hold, release, audit --- */

static int
set_mode(struct ctl *ctl, Gdr__Mode mode, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeMode change = GDR__NODE_MODE__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	const char *why = ctl_option(ctl, "message");
	auto_free char *own = why ? xstrdup(why) : NULL;
	int rc = ctl_selection_required(ctl, ctl->args.n_words, &of, &names, err);

	if (rc != 0)
		return rc;
	change.of = &of;
	change.has_mode = true;
	change.mode = mode;
	change.why = own;
	request.body_case = GDR__REQUEST__BODY_NODE_MODE;
	request.node_mode = &change;
	return ctl_change(ctl, &request, err);
}

static int
run_hold(struct ctl *ctl, struct err *err)
{
	return set_mode(ctl, GDR__MODE__MODE_HOLD, err);
}

static int
run_release(struct ctl *ctl, struct err *err)
{
	return set_mode(ctl, GDR__MODE__MODE_ENFORCE, err);
}

static int
run_audit(struct ctl *ctl, struct err *err)
{
	return set_mode(ctl, GDR__MODE__MODE_AUDIT, err);
}

#define MODE_OPTIONS                         \
	(const struct option[])              \
	{                                    \
		OPTION_SELECTOR, OPTION_WHY, \
		{                            \
			0                    \
		}                            \
	}

const struct command command_node_hold = {
	.name = "node hold",
	.args = "NAME...",
	.help = "do nothing new on these nodes, and no reboot",
	.examples = "  gdrctl node hold n1 -m 'disk is being replaced'",
	.values = "@nodes",
	.options = MODE_OPTIONS,
	.max = -1,
	.run = run_hold,
};

const struct command command_node_release = {
	.name = "node release",
	.args = "NAME...",
	.help = "converge again: the end of hold and audit",
	.examples = "  gdrctl node release n1",
	.values = "@nodes",
	.options = MODE_OPTIONS,
	.max = -1,
	.run = run_release,
};

const struct command command_node_audit = {
	.name = "node audit",
	.args = "NAME...",
	.help = "look and report only, change nothing",
	.examples = "  gdrctl node audit -l rack=r7 -m 'what would the new profile change?'",
	.values = "@nodes",
	.options = MODE_OPTIONS,
	.max = -1,
	.run = run_audit,
};

/* --- node assign --- */

static int
run_assign(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAssign assign = GDR__NODE_ASSIGN__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	const char *last = ctl->args.words[ctl->args.n_words - 1];
	auto_free char *profile = xstrdup(strncmp(last, "profile/", 8) == 0 ? last + 8 : last);
	int rc = ctl_selection_required(ctl, ctl->args.n_words - 1, &of, &names, err);

	if (rc != 0)
		return rc;
	assign.of = &of;
	assign.profile = profile;
	request.body_case = GDR__REQUEST__BODY_NODE_ASSIGN;
	request.node_assign = &assign;
	rc = ctl_change(ctl, &request, err);
	if (rc == 0 && ctl_flag(ctl, "wait"))
		rc = wait_ready(ctl, &of, err);
	return rc;
}

const struct command command_node_assign = {
	.name = "node assign",
	.args = "NAME... PROFILE[@REVISION]",
	.help = "give nodes a profile: its newest revision, or the one that is named",
	.examples = "  gdrctl node assign n1 n2 vela-a100\n"
		    "  gdrctl node assign -l rack=r7 vela-a100@3 --wait --timeout 1h",
	.values = "@nodes @profiles",
	.options = (const struct option[]){ OPTION_SELECTOR, OPTION_WAIT, { 0 } },
	.min = 1,
	.max = -1,
	.run = run_assign,
};

/* --- node reboot --- */

static int
reboot(struct ctl *ctl, Gdr__Selection *of, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeReboot change = GDR__NODE_REBOOT__INIT;
	struct boots before = { 0 };
	const char *why = ctl_option(ctl, "message");
	auto_free char *own = why ? xstrdup(why) : NULL;
	bool wait = ctl_flag(ctl, "wait");
	int rc = wait ? wait_boots_before(ctl, of, &before, err) : 0;

	change.of = of;
	change.why = own;
	request.body_case = GDR__REQUEST__BODY_NODE_REBOOT;
	request.node_reboot = &change;
	if (rc == 0)
		rc = ctl_change(ctl, &request, err);
	if (rc == 0 && wait)
		rc = wait_rebooted(ctl, of, &before, err);
	wait_boots_free(&before);
	return rc;
}

static int
run_reboot(struct ctl *ctl, struct err *err)
{
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	int rc = ctl_selection_required(ctl, ctl->args.n_words, &of, &names, err);

	if (rc == 0)
		rc = confirm(ctl, "Reboot", &of, &names, err);
	return rc == 0 ? reboot(ctl, &of, err) : rc;
}

const struct command command_node_reboot = {
	.name = "node reboot",
	.args = "NAME...",
	.help = "reboot nodes, each when the reboot budget allows",
	.examples =
		"  gdrctl node reboot n1 -m 'new kernel'\n  gdrctl node reboot -l rack=r7 --yes --wait --timeout 2h",
	.values = "@nodes",
	.options = (const struct option[]){ OPTION_SELECTOR, OPTION_WHY, OPTION_YES, OPTION_WAIT, { 0 } },
	.max = -1,
	.run = run_reboot,
};
