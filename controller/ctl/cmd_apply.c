/* cmd_apply.c - gdrctl apply, diff, export: desired state as files. */

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/docs.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"
#include "controller/ctl/wait.h"

static int
ask_export(struct ctl *ctl, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__Export everything = GDR__EXPORT__INIT;

	request.body_case = GDR__REQUEST__BODY_EXPORT;
	request.export = &everything;
	int rc = ctl_call(ctl, &request, out, err);
	if (rc == 0 && !(*out)->exported)
		return err_set(err, CTL_ERROR, "the controller sent no documents (is it another version?)");
	return rc;
}

/* The controller's own check of the documents; it tells what each change would be. */
static int
ask_dry_run(struct ctl *ctl, const struct docs *docs, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__Apply apply = GDR__APPLY__INIT;

	docs_fill(docs, &apply);
	request.has_dry_run = true;
	request.dry_run = true;
	request.body_case = GDR__REQUEST__BODY_APPLY;
	request.apply = &apply;
	int rc = ctl_call(ctl, &request, out, err);
	docs_unfill(&apply);
	return rc;
}

static bool
any_change(const Gdr__Response *response)
{
	for (size_t i = 0; i < response->n_changes; i++)
		if (response->changes[i]->done && strcmp(response->changes[i]->done, "unchanged") != 0)
			return true;
	return false;
}

/* Prints the difference between the documents and what the controller has; '*differs': is there one? */
static int
show_diff(struct ctl *ctl, const struct docs *docs, const Gdr__Response *changes, bool *differs, struct err *err)
{
	auto_pb Gdr__Response *have = NULL;
	auto_buf struct buf out = { 0 };
	int rc = ask_export(ctl, &have, err);

	if (rc != 0)
		return rc;
	*differs = docs_diff(docs, have->exported, changes, ctl->colour, &out) || (changes && any_change(changes));
	output_text(ctl, &out);
	return 0;
}

/* --- apply --- */

/* The nodes that the documents touch, as a selection of names. */
static int
touched(struct ctl *ctl, const struct docs *docs, Gdr__Selection *of, char ***names, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;

	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	int rc = ctl_call(ctl, &request, &response, err);
	if (rc != 0)
		return rc;
	*names = xcalloc(response->n_nodes + 1, sizeof(**names));
	of->names = *names;
	for (size_t i = 0; i < response->n_nodes; i++)
		if (response->nodes[i]->name && docs_touch(docs, response->nodes[i]))
			(*names)[of->n_names++] = xstrdup(response->nodes[i]->name);
	return 0;
}

static int
wait_touched(struct ctl *ctl, const struct docs *docs, struct err *err)
{
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	int rc = touched(ctl, docs, &of, &names, err);

	if (rc != 0)
		return rc;
	if (of.n_names == 0) {
		(void)fputs("no node uses what was applied\n", ctl->diag);
		return 0;
	}
	return wait_ready(ctl, &of, err);
}

static int
apply_now(struct ctl *ctl, const struct docs *docs, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__Apply apply = GDR__APPLY__INIT;
	const char *message = ctl_option(ctl, "message");
	auto_free char *comment = message ? xstrdup(message) : NULL;

	docs_fill(docs, &apply);
	apply.comment = comment;
	request.body_case = GDR__REQUEST__BODY_APPLY;
	request.apply = &apply;
	int rc = ctl_change(ctl, &request, err);
	docs_unfill(&apply);
	if (rc == 0 && ctl_flag(ctl, "wait"))
		rc = wait_touched(ctl, docs, err);
	return rc;
}

static int
apply_dry(struct ctl *ctl, const struct docs *docs, struct err *err)
{
	auto_pb Gdr__Response *changes = NULL;
	bool differs = false;
	int rc = ask_dry_run(ctl, docs, &changes, err);

	if (rc == 0 && output_human(ctl))
		rc = show_diff(ctl, docs, changes, &differs, err);
	if (rc != 0)
		return rc;
	output_list(ctl, &view_changes, changes);
	(void)fputs("dry run: nothing was changed\n", ctl->diag);
	return 0;
}

static int
run_apply(struct ctl *ctl, struct err *err)
{
	struct docs docs = { 0 };
	int rc = docs_read(ctl, &docs, err);

	if (rc == 0)
		rc = ctl_flag(ctl, "dry-run") ? apply_dry(ctl, &docs, err) : apply_now(ctl, &docs, err);
	docs_free(&docs);
	return rc;
}

#define OPTION_FILE                                                                                                    \
	{                                                                                                              \
		'f', "file", "FILE", "@file", "documents: a file, a folder (its *.yaml), - for stdin; may be repeated" \
	}

const struct command command_apply = {
	.name = "apply",
	.args = "",
	.help = "make the fleet as the documents say: profiles and nodes",
	.more = "All documents are applied, or none.  A profile that changed becomes a new revision.",
	.examples = "  gdrctl apply -f fleet.yaml --dry-run\n"
		    "  gdrctl apply -f profiles/ -f nodes.yaml -m 'ticket 4711' --wait --timeout 1h\n"
		    "  gdrctl export | gdrctl apply -f -",
	.options =
		(const struct option[]){
			OPTION_FILE,
			{ 0, "dry-run", NULL, NULL, "check, show the difference, change nothing" },
			{ 'm', "message", "COMMENT", NULL, "why, for the history" },
			OPTION_WAIT,
			{ 0 },
		},
	.run = run_apply,
};

/* --- diff --- */

static int
run_diff(struct ctl *ctl, struct err *err)
{
	struct docs docs = { 0 };
	struct err denied = { 0 };
	auto_pb Gdr__Response *changes = NULL;
	bool differs = false;
	int rc = docs_read(ctl, &docs, err);

	/* A viewer may not ask for the controller's check; the texts are compared all the same. */
	if (rc == 0)
		rc = ask_dry_run(ctl, &docs, &changes, &denied);
	if (rc == CTL_NOT_ALLOWED)
		rc = 0;
	else if (denied.msg[0])
		*err = denied;
	if (rc == 0)
		rc = show_diff(ctl, &docs, changes, &differs, err);
	docs_free(&docs);
	return rc == 0 && differs ? CTL_UNMET : rc;
}

const struct command command_diff = {
	.name = "diff",
	.args = "",
	.help = "what apply would change; exit 0: nothing, 3: something",
	.examples = "  gdrctl diff -f fleet.yaml",
	.options = (const struct option[]){ OPTION_FILE, { 0 } },
	.run = run_diff,
};

/* --- export --- */

/* Does 'word' ("n1", "node/n1") mean this object? */
static bool
means(const char *word, const char *kind, const char *name)
{
	auto_free char *object = xasprintf("%s/%s", kind, name ? name : "");

	return strcmp(word, object) == 0 || strcmp(word, object + strlen(kind) + 1) == 0;
}

static bool
is_wanted(const struct ctl *ctl, const char *kind, const char *name)
{
	for (size_t i = 0; i < ctl->args.n_words; i++)
		if (means(ctl->args.words[i], kind, name))
			return true;
	return ctl->args.n_words == 0;
}

/* Leaves in 'all' what was asked for. */
static void
keep_wanted(const struct ctl *ctl, Gdr__Export *all)
{
	for (size_t kind = 0; kind < DOCS_KINDS; kind++) {
		size_t *n;
		void **list = docs_list(all, kind, &n);
		size_t kept = 0;

		for (size_t i = 0; i < *n; i++) {
			if (is_wanted(ctl, docs_prefix(kind), docs_name(kind, list[i])))
				list[kept++] = list[i];
			else
				pb_free(list[i]);
		}
		*n = kept;
	}
}

static bool
is_there(Gdr__Export *all, const char *word)
{
	for (size_t kind = 0; kind < DOCS_KINDS; kind++) {
		size_t *n;
		void **list = docs_list(all, kind, &n);

		for (size_t i = 0; i < *n; i++)
			if (means(word, docs_prefix(kind), docs_name(kind, list[i])))
				return true;
	}
	return false;
}

static int
check_all_there(const struct ctl *ctl, Gdr__Export *all, struct err *err)
{
	for (size_t i = 0; i < ctl->args.n_words; i++)
		if (!is_there(all, ctl->args.words[i]))
			return err_set(err, CTL_ERROR, "nothing is called '%s'; see `gdrctl export -o name`",
				       ctl->args.words[i]);
	return 0;
}

/* As YAML documents, or (names) a line each. */
static void
add_all(Gdr__Export *all, bool names, struct buf *out)
{
	for (size_t kind = 0; kind < DOCS_KINDS; kind++) {
		size_t *n;
		void **list = docs_list(all, kind, &n);

		for (size_t i = 0; i < *n; i++) {
			if (names)
				buf_printf(out, "%s/%s\n", docs_prefix(kind), docs_name(kind, list[i]));
			else
				pbtext_print(list[i], docs_kind(kind), PBTEXT_YAML, out);
		}
	}
}

static int
run_export(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	auto_buf struct buf out = { 0 };
	const char *format = ctl_option(ctl, "output");
	int rc = ask_export(ctl, &response, err);

	if (rc != 0)
		return rc;
	Gdr__Export *all = response->exported;
	rc = check_all_there(ctl, all, err);
	if (rc != 0)
		return rc;
	keep_wanted(ctl, all);
	if (format && strcmp(format, "json") == 0)
		pbtext_print(&all->base, NULL, PBTEXT_JSON, &out);
	else
		add_all(all, format && strcmp(format, "name") == 0, &out);
	output_data(ctl, &out);
	return 0;
}

const struct command command_export = {
	.name = "export",
	.args = "[NAME...]",
	.help = "profiles, nodes and windows as the documents that apply takes",
	.examples = "  gdrctl export > fleet.yaml\n  gdrctl export profile/vela-a100",
	.max = -1,
	.run = run_export,
};
