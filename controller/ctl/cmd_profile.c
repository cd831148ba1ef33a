/* cmd_profile.c - gdrctl profile list, show, diff, history. */

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
