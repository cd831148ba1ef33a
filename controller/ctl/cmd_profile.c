/* cmd_profile.c - gdrctl profile list, show, diff, history, lint. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/docs.h"
#include "controller/ctl/output.h"
#include "controller/ctl/profilelint.h"
#include "controller/ctl/textdiff.h"
#include "controller/ctl/views.h"

static int
ask(struct ctl *ctl, Gdr__ProfileQuery *query, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;

	request.body_case = GDR__REQUEST__BODY_PROFILES;
	request.profiles = query;
	return ctl_call(ctl, &request, out, err);
}

static int
no_such_profile(const char *word, struct err *err)
{
	return err_set(err, CTL_ERROR, "no profile '%s'; see `gdrctl profile list` and `gdrctl profile history NAME`",
		       word);
}

/* "NAME" or "NAME@REVISION"; the caller frees '*name'. */
static int
parse_reference(const char *word, char **name, Gdr__ProfileQuery *query, struct err *err)
{
	const char *start = strncmp(word, "profile/", 8) == 0 ? word + 8 : word;
	const char *at = strchr(start, '@');
	char *end = NULL;

	*name = at ? strndup(start, (size_t)(at - start)) : xstrdup(start);
	query->name = *name;
	if (!at)
		return 0;
	errno = 0;
	unsigned long revision = strtoul(at + 1, &end, 10);
	if (errno || end == at + 1 || *end || revision == 0 || revision > UINT32_MAX || at[1] == '-')
		return err_set(err, CTL_USAGE, "'%s': a revision is a number, as in %s@3", word, *name);
	query->has_revision = true;
	query->revision = (uint32_t)revision;
	return 0;
}

/* The revision that 'word' names, the newest without one; it belongs to '*response'. */
static int
get(struct ctl *ctl, const char *word, Gdr__Response **response, const Gdr__ProfileView **out, struct err *err)
{
	Gdr__ProfileQuery query = GDR__PROFILE_QUERY__INIT;
	auto_free char *name = NULL;
	const Gdr__ProfileView *found = NULL;
	int rc = parse_reference(word, &name, &query, err);

	if (rc == 0)
		rc = ask(ctl, &query, response, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < (*response)->n_profiles; i++) {
		const Gdr__ProfileView *one = (*response)->profiles[i];

		if (!found || one->revision > found->revision)
			found = one;
	}
	if (!found || !found->profile)
		return no_such_profile(word, err);
	*out = found;
	return 0;
}

/* --- list --- */

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__ProfileQuery query = GDR__PROFILE_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;
	int rc = ask(ctl, &query, &response, err);

	if (rc == 0)
		output_list(ctl, &view_profiles, response);
	return rc;
}

const struct command command_profile_list = {
	.name = "profile list",
	.args = "",
	.help = "profiles, their newest revisions, and how many nodes have these",
	.examples = "  gdrctl profile list -o wide",
	.run = run_list,
};

/* --- show --- */

/* What YAML leaves out goes into comments, so that the text can be applied. */
static void
print_document(struct ctl *ctl, const Gdr__ProfileView *view)
{
	auto_buf struct buf head = { 0 };
	auto_buf struct buf out = { 0 };

	buf_printf(&head, "%s@%" PRIu32 ", by %s", view->name ? view->name : "", view->revision,
		   view->author ? view->author : "?");
	if (view->has_created_ms) {
		buf_add(&head, ", ", 2);
		text_time(&head, view->created_ms);
	}
	buf_printf(&head, ", on %" PRIu32 " nodes", view->nodes);
	if (view->comment && *view->comment)
		buf_printf(&head, ": %s", view->comment);
	buf_add(&out, "# ", 2);
	text_clean(&out, head.text, false);
	buf_add(&out, "\n", 1);

	struct buf document = { 0 };
	pbtext_print(&view->profile->base, "Profile", PBTEXT_YAML, &document);
	buf_add(&out, document.text, document.len);
	buf_free(&document);
	output_data(ctl, &out);
}

static int
run_show(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	const Gdr__ProfileView *view = NULL;
	const char *format = ctl_option(ctl, "output");
	int rc = get(ctl, ctl->args.words[0], &response, &view, err);

	if (rc != 0 || !view)
		return rc;
	if (output_human(ctl) || (format && strcmp(format, "yaml") == 0)) {
		print_document(ctl, view);
		return 0;
	}
	auto_free char *name = xasprintf("profile/%s@%" PRIu32, view->name ? view->name : "", view->revision);
	output_object(ctl, view, NULL, name);
	return 0;
}

const struct command command_profile_show = {
	.name = "profile show",
	.args = "NAME[@REVISION]",
	.help = "a profile as a document: its newest revision, or the one that is named",
	.examples = "  gdrctl profile show vela-a100@2",
	.values = "@profiles",
	.min = 1,
	.max = 1,
	.run = run_show,
};

/* --- diff --- */

static void
add_document(const Gdr__ProfileView *view, struct buf *out)
{
	pbtext_print(&view->profile->base, "Profile", PBTEXT_YAML, out);
}

static char *
reference(const Gdr__ProfileView *view)
{
	return xasprintf("%s@%" PRIu32, view->name ? view->name : "", view->revision);
}

static int
run_diff(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__Response *old_response = NULL;
	auto_pb Gdr__Response *new_response = NULL;
	const Gdr__ProfileView *old_view = NULL;
	const Gdr__ProfileView *new_view = NULL;
	int rc = get(ctl, ctl->args.words[0], &old_response, &old_view, err);

	if (rc == 0)
		rc = get(ctl, ctl->args.words[1], &new_response, &new_view, err);
	if (rc != 0 || !old_view || !new_view)
		return rc;

	auto_buf struct buf old_text = { 0 };
	auto_buf struct buf new_text = { 0 };
	auto_buf struct buf out = { 0 };
	auto_free char *old_name = reference(old_view);
	auto_free char *new_name = reference(new_view);

	add_document(old_view, &old_text);
	add_document(new_view, &new_text);
	bool differs = textdiff(old_name, old_text.text, new_name, new_text.text, ctl->colour, &out);
	output_text(ctl, &out);
	return differs ? CTL_UNMET : 0;
}

const struct command command_profile_diff = {
	.name = "profile diff",
	.args = "A[@REVISION] B[@REVISION]",
	.help = "what differs between two profiles; exit 0: nothing, 3: something",
	.examples = "  gdrctl profile diff vela-a100@2 vela-a100",
	.values = "@profiles",
	.min = 2,
	.max = 2,
	.run = run_diff,
};

/* --- history --- */

static int
run_history(struct ctl *ctl, struct err *err)
{
	Gdr__ProfileQuery query = GDR__PROFILE_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;
	auto_free char *name = NULL;
	int rc = parse_reference(ctl->args.words[0], &name, &query, err);

	if (rc == 0)
		rc = ask(ctl, &query, &response, err);
	if (rc != 0)
		return rc;
	if (response->n_profiles == 0)
		return no_such_profile(ctl->args.words[0], err);
	output_list(ctl, &view_revisions, response);
	return 0;
}

const struct command command_profile_history = {
	.name = "profile history",
	.args = "NAME",
	.help = "all revisions of a profile: when, by whom, why",
	.examples = "  gdrctl profile history vela-a100",
	.values = "@profiles",
	.min = 1,
	.max = 1,
	.run = run_history,
};

/* --- lint --- */

static void
add_json(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, ", \"%s\": ", key);
	buf_json(out, value);
}

/* 'place' NULL: it is from no file. */
static void
print_finding(const struct profilelint_finding *finding, const char *name, const struct docs_place *place,
	      struct buf *out)
{
	const struct profilelint_rule *rule = finding->rule;

	if (place)
		buf_printf(out, "%s:%d:%d: ", place->file, place->line, place->column);
	else
		buf_printf(out, "%s: ", name);
	buf_printf(out, "%s (%s): %s %s: %s\n    %s\n    %s\n", finding->path,
		   finding->have ? finding->have : "not there", profilelint_severity_name(rule->severity), rule->id,
		   rule->text, rule->remedy, rule->source);
}

static void
print_finding_json(const struct profilelint_finding *finding, const char *name, const struct docs_place *place,
		   struct buf *out)
{
	const struct profilelint_rule *rule = finding->rule;

	buf_printf(out, "%s\n    {\"rule\": \"%s\"", out->len > 0 ? "," : "", rule->id);
	add_json(out, "severity", profilelint_severity_name(rule->severity));
	add_json(out, "profile", name);
	if (place) {
		add_json(out, "file", place->file);
		buf_printf(out, ", \"line\": %d, \"column\": %d", place->line, place->column);
	}
	add_json(out, "path", finding->path);
	add_json(out, "have", finding->have ? finding->have : "");
	add_json(out, "text", rule->text);
	add_json(out, "remedy", rule->remedy);
	add_json(out, "source", rule->source);
	buf_puts(out, "}");
}

/* What is found goes to 'out', in the form of -o; '*count' adds up.  'docs' NULL: the profile is from no file. */
static void
lint_one(const struct ctl *ctl, const Gdr__Profile *profile, const struct docs *docs, size_t count[3], struct buf *out)
{
	static const Gdr__Spec nothing = GDR__SPEC__INIT;
	const char *name = profile->name ? profile->name : "?";
	struct profilelint_findings findings;

	profilelint(profile->spec ? profile->spec : &nothing, &findings);
	for (size_t i = 0; i < findings.n; i++) {
		const struct profilelint_finding *finding = &findings.list[i];
		auto_free char *path = xasprintf("spec.%s", finding->path);
		struct docs_place place = { 0 };

		if (docs)
			place = docs_locate(docs, profile, path);
		(output_human(ctl) ? print_finding : print_finding_json)(finding, name, docs ? &place : NULL, out);
	}
	for (size_t i = 0; i < 3; i++)
		count[i] += findings.count[i];
	profilelint_free(&findings);
}

static int
lint_documents(struct ctl *ctl, size_t count[3], struct buf *out, struct err *err)
{
	struct docs docs = { 0 };
	Gdr__Apply apply = GDR__APPLY__INIT;
	int rc = docs_read(ctl, &docs, err);

	if (rc == 0) {
		docs_fill(&docs, &apply);
		for (size_t i = 0; i < apply.n_profiles; i++)
			lint_one(ctl, apply.profiles[i], &docs, count, out);
		docs_unfill(&apply);
	}
	docs_free(&docs);
	return rc;
}

static int
lint_stored(struct ctl *ctl, size_t count[3], struct buf *out, struct err *err)
{
	for (size_t i = 0; i < ctl->args.n_words; i++) {
		auto_pb Gdr__Response *response = NULL;
		const Gdr__ProfileView *view = NULL;
		int rc = get(ctl, ctl->args.words[i], &response, &view, err);

		if (rc != 0 || !view)
			return rc;
		lint_one(ctl, view->profile, NULL, count, out);
	}
	return 0;
}

static void
print_rules(struct ctl *ctl)
{
	auto_buf struct buf out = { 0 };

	for (size_t i = 0; i < profilelint_rules_len; i++) {
		const struct profilelint_rule *rule = &profilelint_rules[i];

		buf_printf(&out, "%s %s: %s\n    %s\n    %s\n", profilelint_severity_name(rule->severity), rule->id,
			   rule->text, rule->remedy, rule->source);
	}
	output_text(ctl, &out);
}

static int
run_lint(struct ctl *ctl, struct err *err)
{
	size_t count[3] = { 0 };
	auto_buf struct buf found = { 0 };
	auto_buf struct buf out = { 0 };
	bool files = ctl_option(ctl, "file") != NULL;

	if (ctl_flag(ctl, "rules")) {
		print_rules(ctl);
		return 0;
	}
	if (files == (ctl->args.n_words > 0))
		return err_set(err, CTL_USAGE, "which profiles? Give names, or -f FILE");
	int rc = files ? lint_documents(ctl, count, &found, err) : lint_stored(ctl, count, &found, err);
	if (rc != 0)
		return rc;
	if (output_human(ctl))
		buf_puts(&out, found.text ? found.text : "");
	else
		buf_printf(
			&out,
			"{\n  \"errors\": %zu,\n  \"warnings\": %zu,\n  \"notes\": %zu,\n  \"findings\": [%s%s]\n}\n",
			count[PROFILELINT_ERROR], count[PROFILELINT_WARNING], count[PROFILELINT_NOTE],
			found.text ? found.text : "", found.text ? "\n  " : "");
	output_data(ctl, &out);
	bool strict = ctl_flag(ctl, "strict") && count[PROFILELINT_WARNING] > 0;
	return count[PROFILELINT_ERROR] > 0 || strict ? CTL_UNMET : 0;
}

static const struct option lint_options[] = {
	{ 'f', "file", "FILE", "@file", "documents: a file, a folder (its *.yaml), - for stdin; may be repeated" },
	{ 0, "strict", NULL, NULL, "exit 3 for warnings, too" },
	{ 0, "rules", NULL, NULL, "all that is looked for, and what the published recipe does besides" },
	{ 0 },
};

const struct command command_profile_lint = {
	.name = "profile lint",
	.args = "[NAME[@REVISION]...]",
	.help = "what a profile asks for that does not do what it seems to; exit 0: no errors, 3: some",
	.more = "Each finding says what is wrong, what to write in its place, and where that is known from.\n"
		"Files are read without asking the controller.",
	.examples = "  gdrctl profile lint -f deploy/profiles/\n"
		    "  gdrctl profile lint --strict vela-a100@3",
	.values = "@profiles",
	.options = lint_options,
	.max = -1,
	.run = run_lint,
};
