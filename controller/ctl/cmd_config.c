/* cmd_config.c - gdrctl config view, use-context, get-contexts: the settings file. */

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/link.h"
#include "controller/ctl/output.h"

static void
hide_secrets(Gdr__CtlConfig *config)
{
	for (size_t i = 0; i < config->n_contexts; i++) {
		Gdr__Context *context = config->contexts[i];

		if (!context->secret_key)
			continue;
		explicit_bzero(context->secret_key, strlen(context->secret_key));
		free(context->secret_key);
		context->secret_key = xstrdup("(hidden)");
	}
}

static int
load(const struct ctl *ctl, Gdr__CtlConfig **out, char **path, struct err *err)
{
	*path = link_config_path(ctl);
	return link_config_load(*path, out, err);
}

/* --- view --- */

static int
run_view(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	auto_free char *path = NULL;
	int rc = load(ctl, &config, &path, err);

	if (rc != 0)
		return rc;
	hide_secrets(config);
	if (output_human(ctl))
		(void)fprintf(ctl->out, "# %s\n", path);
	output_object(ctl, config, NULL, config->current ? config->current : "");
	return 0;
}

const struct command command_config_view = {
	.name = "config view",
	.args = "",
	.help = "the settings in use, without the secret keys",
	.examples = "  gdrctl config view",
	.run = run_view,
};

/* --- use-context --- */

static int
run_use_context(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	auto_free char *path = NULL;
	const char *name = ctl->args.words[0];
	int rc = load(ctl, &config, &path, err);

	if (rc != 0)
		return rc;
	free(config->current);
	config->current = xstrdup(name);

	/* Is there such a context?  -c would say otherwise. */
	const Gdr__Context *context = NULL;
	if (ctl_option(ctl, "context"))
		return err_set(err, CTL_USAGE, "-c has no meaning here");
	rc = link_context(ctl, config, path, &context, err);
	if (rc == 0)
		rc = link_config_save(path, config, err);
	if (rc == 0)
		(void)fprintf(ctl->out, "%s\n", name);
	return rc;
}

const struct command command_config_use_context = {
	.name = "config use-context",
	.args = "NAME",
	.help = "use this context from now on",
	.examples = "  gdrctl config use-context lab",
	.values = "@contexts",
	.min = 1,
	.max = 1,
	.run = run_use_context,
};

/* --- get-contexts --- */

static void
context_name(const struct ctl *ctl, const void *message, struct buf *out)
{
	const Gdr__Context *context = message;

	(void)ctl;
	buf_printf(out, "%s", context->name ? context->name : "");
}

static void
context_endpoint(const struct ctl *ctl, const void *message, struct buf *out)
{
	const Gdr__Context *context = message;

	(void)ctl;
	buf_printf(out, "%s", context->endpoint ? context->endpoint : "");
}

static void
context_server_key(const struct ctl *ctl, const void *message, struct buf *out)
{
	const Gdr__Context *context = message;

	(void)ctl;
	buf_printf(out, "%s", context->server_key ? context->server_key : "");
}

static const struct column columns[] = {
	{ "NAME", context_name, NULL, false, false },
	{ "ENDPOINT", context_endpoint, NULL, false, false },
	{ "SERVER-KEY", context_server_key, NULL, true, false },
	{ 0 },
};

static int
run_get_contexts(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	auto_free char *path = NULL;
	auto_buf struct buf out = { 0 };
	const char *format = ctl_option(ctl, "output");
	int rc = load(ctl, &config, &path, err);

	if (rc != 0)
		return rc;
	hide_secrets(config);
	if (format && strcmp(format, "name") == 0) {
		for (size_t i = 0; i < config->n_contexts; i++)
			buf_printf(&out, "%s\n", config->contexts[i]->name ? config->contexts[i]->name : "");
		output_data(ctl, &out);
		return 0;
	}
	if (!output_human(ctl)) {
		output_object(ctl, config, NULL, "");
		return 0;
	}
	output_table(ctl, columns, config->contexts, config->n_contexts, "", NULL, &out);
	output_text(ctl, &out);
	if (config->current)
		(void)fprintf(ctl->diag, "current: %s\n", config->current);
	return 0;
}

const struct command command_config_get_contexts = {
	.name = "config get-contexts",
	.args = "",
	.help = "the contexts that there are",
	.examples = "  gdrctl config get-contexts",
	.run = run_get_contexts,
};
