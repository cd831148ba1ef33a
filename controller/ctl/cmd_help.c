/* cmd_help.c - gdrctl help, version, completion. */

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "controller/ctl/args.h"
#include "controller/ctl/completion.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/output.h"

/* --- help --- */

static int
run_help(struct ctl *ctl, struct err *err)
{
	auto_buf struct buf out = { 0 };
	const char *group = NULL;
	const struct command *command = args_find(ctl->args.words, ctl->args.n_words, &group);

	if (command)
		args_help_command(command, &out);
	else if (group && ctl->args.n_words == 1)
		args_help_group(group, &out);
	else if (ctl->args.n_words == 0)
		args_help(&out);
	else
		return err_set(err, CTL_USAGE, "no command '%s%s%s'; see `gdrctl help`", ctl->args.words[0],
			       ctl->args.n_words > 1 ? " " : "", ctl->args.n_words > 1 ? ctl->args.words[1] : "");
	output_text(ctl, &out);
	return 0;
}

const struct command command_help = {
	.name = "help",
	.args = "[COMMAND]",
	.help = "all commands, or all about one",
	.examples = "  gdrctl help node list",
	.max = 2,
	.run = run_help,
};

/* --- version --- */

static int
run_version(struct ctl *ctl, struct err *err)
{
	(void)err;
	(void)fprintf(ctl->out, "gdrctl %s\n", GDR_VERSION);
	return 0;
}

const struct command command_version = {
	.name = "version",
	.args = "",
	.help = "the version of gdrctl (`gdrctl status` has gdrd's)",
	.examples = "  gdrctl version",
	.run = run_version,
};

/* --- completion --- */

static int
run_completion(struct ctl *ctl, struct err *err)
{
	auto_buf struct buf out = { 0 };
	const char *word = ctl->args.words[0];

	if (!completion(word, &out))
		return ctl_unknown("", "shell", word, completion_shells, err);
	output_text(ctl, &out);
	return 0;
}

const struct command command_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.help = "a completion script for the shell",
	.examples = "  source <(gdrctl completion bash)\n"
		    "  gdrctl completion zsh > ~/.zfunc/_gdrctl\n"
		    "  gdrctl completion fish > ~/.config/fish/completions/gdrctl.fish",
	.values = "bash zsh fish",
	.min = 1,
	.max = 1,
	.run = run_completion,
};
