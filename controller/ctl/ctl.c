#include "controller/ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/args.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"

#define CALL_MS  10000 /* For an answer, without --timeout. */
#define FILE_MAX (16 << 20)

const char *
ctl_option(const struct ctl *ctl, const char *name)
{
	return args_value(&ctl->args, name);
}

bool
ctl_flag(const struct ctl *ctl, const char *name)
{
	return ctl_option(ctl, name) != NULL;
}

int
ctl_number(const struct ctl *ctl, const char *name, uint32_t min, uint32_t max, uint32_t *out, struct err *err)
{
	const char *text = ctl_option(ctl, name);
	char *end = NULL;

	if (!text)
		return 0;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		return err_set(err, CTL_USAGE, "--%s: '%s' is not a number from %" PRIu32 " to %" PRIu32, name, text,
			       min, max);
	*out = (uint32_t)value;
	return 0;
}

int
ctl_duration(const struct ctl *ctl, const char *name, uint64_t *out_ms, struct err *err)
{
	const char *text = ctl_option(ctl, name);
	unsigned long long ms = 0;

	if (!text)
		return 0;
	if (!pbtext_duration_parse(text, &ms) || ms == 0)
		return err_set(err, CTL_USAGE, "--%s: '%s' is not a duration like 200ms, 30s, 5m, 2h", name, text);
	*out_ms = ms;
	return 0;
}

int
ctl_unknown(const char *flag, const char *what, const char *word, const char *const *names, struct err *err)
{
	const char *near = pbtext_nearest(word, names);
	auto_buf struct buf all = { 0 };

	if (near)
		return err_set(err, CTL_USAGE, "%sunknown %s '%s', did you mean '%s'?", flag, what, word, near);
	for (size_t i = 0; names[i]; i++)
		buf_printf(&all, "%s%s", i > 0 ? ", " : "", names[i]);
	return err_set(err, CTL_USAGE, "%sunknown %s '%s'; there are %s", flag, what, word, all.text);
}

/* --- files --- */

static int
read_stdin(struct ctl *ctl, struct buf *out, struct err *err)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), ctl->in)) > 0) {
		buf_add(out, chunk, n);
		if (out->len > FILE_MAX)
			return err_set(err, -EFBIG, "<stdin>: more than %d bytes", FILE_MAX);
	}
	return ferror(ctl->in) ? err_set(err, -EIO, "<stdin>: read error") : 0;
}

int
ctl_read(struct ctl *ctl, const char *path, struct buf *out, struct err *err)
{
	if (strcmp(path, "-") == 0)
		return read_stdin(ctl, out, err);
	auto_free char *real = realpath(path, NULL);
	return real ? file_read(real, FILE_MAX, &out->text, &out->len, err)
		    : err_set(err, -errno, "%s: %s", path, strerror(errno));
}

/* --- requests --- */

static void
random_id(char out[33])
{
	unsigned char raw[16];

	randombytes_buf(raw, sizeof(raw));
	(void)sodium_bin2hex(out, 33, raw, sizeof(raw));
}

int
ctl_call(struct ctl *ctl, Gdr__Request *request, Gdr__Response **out, struct err *err)
{
	char id[33];
	auto_pb Gdr__Response *response = NULL;

	random_id(id);
	request->id = id;
	int rc = ctl->ops->call(ctl->arg, request, ctl->call_ms, &response, err);
	request->id = NULL;
	if (rc != 0)
		return rc;
	if (response->has_code && response->code != GDR__CODE__CODE_OK)
		return err_set(err, (int)response->code, "%s",
			       response->message ? response->message : "the controller refused, and did not say why");
	*out = steal(&response);
	return 0;
}

int
ctl_call_change(struct ctl *ctl, Gdr__Request *request, Gdr__Response **out, struct err *err)
{
	char key[33];

	random_id(key);
	request->idempotency_key = key;
	int rc = ctl_call(ctl, request, out, err);
	request->idempotency_key = NULL;
	return rc;
}

int
ctl_change(struct ctl *ctl, Gdr__Request *request, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;
	int rc = ctl_call_change(ctl, request, &response, err);

	if (rc != 0 || !response)
		return rc;
	output_list(ctl, &view_changes, response);
	if (response->n_changes == 0 && response->message && output_human(ctl)) {
		auto_buf struct buf text = { 0 };

		text_clean(&text, response->message, false);
		(void)fprintf(ctl->diag, "%s\n", text.text ? text.text : "");
	}
	return 0;
}

/* --- which nodes --- */

/* "node/n1", as -o name prints it, is n1. */
static const char *
node_name(const char *word)
{
	return strncmp(word, "node/", 5) == 0 ? word + 5 : word;
}

int
ctl_selection(const struct ctl *ctl, size_t end, Gdr__Selection *out, char ***names, struct err *err)
{
	const char *selector = ctl_option(ctl, "selector");

	*names = NULL;
	if (selector && end > 0)
		return err_set(err, CTL_USAGE, "give names or -l SELECTOR, not both");
	if (selector && !*selector)
		return err_set(err, CTL_USAGE, "-l: an empty selector selects nothing");
	if (selector) {
		*names = xcalloc(2, sizeof(**names));
		**names = xstrdup(selector);
		out->selector = **names;
		return 0;
	}
	*names = xcalloc(end + 1, sizeof(**names));
	for (size_t i = 0; i < end; i++)
		(*names)[i] = xstrdup(node_name(ctl->args.words[i]));
	out->names = *names;
	out->n_names = end;
	return 0;
}

int
ctl_selection_required(const struct ctl *ctl, size_t end, Gdr__Selection *out, char ***names, struct err *err)
{
	if (end == 0 && !ctl_option(ctl, "selector")) {
		*names = NULL;
		return err_set(err, CTL_USAGE, "which nodes? Give names or -l SELECTOR");
	}
	return ctl_selection(ctl, end, out, names, err);
}

int
ctl_confirm(struct ctl *ctl, const char *prompt, struct err *err)
{
	auto_buf struct buf clean = { 0 };
	char answer[16] = "";

	if (ctl_flag(ctl, "yes"))
		return 0;
	if (!ctl->in_tty)
		return err_set(err, CTL_USAGE, "nobody can be asked here: add --yes if it shall be done");
	text_clean(&clean, prompt, false);
	(void)fprintf(ctl->diag, "%s [y/N] ", clean.text);
	(void)fflush(ctl->diag);
	if (fgets(answer, sizeof(answer), ctl->in) && (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	return err_set(err, CTL_ERROR, "nothing was changed");
}

/* --- the run --- */

static int
set_up(struct ctl *ctl, struct err *err)
{
	const char *output = ctl_option(ctl, "output");
	const char *no_color = getenv("NO_COLOR");

	ctl->colour = ctl->out_tty && !ctl_flag(ctl, "no-color") && !(no_color && *no_color);
	ctl->format = output_format(output ? output : "table");
	if (!ctl->format)
		return ctl_unknown("-o: ", "format", output, output_formats, err);
	int rc = ctl_duration(ctl, "timeout", &ctl->timeout_ms, err);
	ctl->call_ms = ctl->timeout_ms > 0 ? ctl->timeout_ms : CALL_MS;
	return rc;
}

static void
show_help(struct ctl *ctl)
{
	auto_buf struct buf out = { 0 };

	if (ctl->args.command)
		args_help_command(ctl->args.command, &out);
	else if (ctl->args.group)
		args_help_group(ctl->args.group, &out);
	else
		args_help(&out);
	output_text(ctl, &out);
}

static int
run(struct ctl *ctl, int argc, const char *const *argv, struct err *err)
{
	int rc = args_parse(&ctl->args, argc, argv, err);

	if (rc == 0)
		rc = set_up(ctl, err);
	if (rc != 0)
		return rc;
	if (ctl_flag(ctl, "help")) {
		show_help(ctl);
		return 0;
	}
	if (ctl_flag(ctl, "version")) {
		(void)fprintf(ctl->out, "gdrctl %s\n", GDR_VERSION);
		return 0;
	}
	return ctl->args.command->run(ctl, err);
}

static int
finish(struct ctl *ctl, int rc)
{
	errno = 0;
	if (fflush(ctl->out) == 0 && !ferror(ctl->out))
		return rc;
	(void)fprintf(ctl->diag, "gdrctl: the output could not be written%s%s\n", errno ? ": " : "",
		      errno ? strerror(errno) : "");
	return rc == CTL_OK ? CTL_ERROR : rc;
}

int
ctl_run(struct ctl *ctl, int argc, const char *const *argv)
{
	struct err err = { 0 };

	text_init();
	int rc = run(ctl, argc, argv, &err);
	if (rc != 0 && err.msg[0]) {
		auto_buf struct buf clean = { 0 };

		(void)fflush(ctl->out);
		text_clean(&clean, err.msg, false);
		(void)fprintf(ctl->diag, "gdrctl: %s\n", clean.text);
	}
	args_free(&ctl->args);
	return finish(ctl, rc < 0 ? CTL_ERROR : rc);
}
