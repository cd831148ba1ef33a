/* Each script has one case a command: its options, and what may follow them.  Names of nodes, profiles
 * and contexts are asked of gdrctl itself when the key is pressed. */

#include "controller/ctl/completion.h"

#include <stddef.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/ctl/args.h"
#include "controller/ctl/ctl.h"

/* What "@nodes" stands for in a script. */
struct source {
	const char *values;
	const char *shell; /* Prints the words. */
};
static const struct source sources[] = {
	{ "@nodes", "gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||'" },
	{ "@profiles", "gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||'" },
	{ "@rollouts", "gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||'" },
	{ "@vms", "gdrctl vm list -o name --timeout 2s 2>/dev/null | sed 's|^vm/||'" },
	{ "@contexts", "gdrctl config get-contexts -o name 2>/dev/null" },
};

static bool
is_file(const char *values)
{
	return values && strcmp(values, "@file") == 0;
}

/* Appends the commands that print what 'values' stands for: "@nodes @profiles". */
static void
add_words(struct buf *out, const char *values)
{
	bool any = false;

	for (size_t i = 0; values && i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (!strstr(values, sources[i].values))
			continue;
		buf_printf(out, "%s%s", any ? "; " : "", sources[i].shell);
		any = true;
	}
}

/* answer=...: literal words, or what a command prints. */
static void
add_answer(struct buf *out, const char *values)
{
	if (is_file(values)) {
		buf_printf(out, "answer=@file");
	} else if (values && values[0] == '@') {
		buf_printf(out, "answer=$(");
		add_words(out, values);
		buf_printf(out, ")");
	} else {
		buf_printf(out, "answer='%s'", values ? values : "");
	}
}

/* The first word of a command's name, "" if an earlier command had it. */
static char *
new_head(size_t command)
{
	const char *name = args_commands[command]->name;
	size_t len = strcspn(name, " ");

	for (size_t i = 0; i < command; i++)
		if (strncmp(args_commands[i]->name, name, len) == 0 &&
		    (args_commands[i]->name[len] == ' ' || args_commands[i]->name[len] == '\0'))
			return xstrdup("");
	return xasprintf("%.*s", (int)len, name);
}

static void
add_heads(struct buf *out)
{
	for (size_t i = 0; args_commands[i]; i++) {
		auto_free char *head = new_head(i);

		if (*head)
			buf_printf(out, "%s%s", i > 0 ? " " : "", head);
	}
}

/* Second words of the group 'head'. */
static void
add_tails(struct buf *out, const char *head)
{
	size_t len = strlen(head);
	bool any = false;

	for (size_t i = 0; args_commands[i]; i++) {
		const char *name = args_commands[i]->name;

		if (strncmp(name, head, len) != 0 || name[len] != ' ')
			continue;
		buf_printf(out, "%s%s", any ? " " : "", name + len + 1);
		any = true;
	}
}

static void
add_option_names(struct buf *out, const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++)
		buf_printf(out, " --%s", o->name);
}

/* --- bash, and zsh through the same words --- */

/* case PATTERN) ... ;; for what follows an option that has a value. */
static void
add_value_cases(struct buf *out, const struct option *options)
{
	for (const struct option *o = options; o && o->name; o++) {
		if (!o->value)
			continue;
		buf_printf(out, "\t\t--%s", o->name);
		if (o->letter)
			buf_printf(out, "|-%c", o->letter);
		buf_printf(out, ") ");
		add_answer(out, o->values);
		buf_printf(out, "; return ;;\n");
	}
}

static void
add_group_cases(struct buf *out)
{
	for (size_t i = 0; args_commands[i]; i++) {
		auto_free char *head = new_head(i);

		if (!*head || strcmp(head, args_commands[i]->name) == 0)
			continue;
		buf_printf(out, "\t'%s') answer='", head);
		add_tails(out, head);
		buf_printf(out, "'; return ;;\n");
	}
}

static void
add_command_case(struct buf *out, const struct command *command)
{
	buf_printf(out, "\t'%s')\n", command->name);
	if (command->options) {
		buf_printf(out, "\t\tcase $2 in\n");
		add_value_cases(out, command->options);
		buf_printf(out, "\t\tesac\n");
	}
	buf_printf(out, "\t\tcase $3 in\n\t\t-*) answer=\"$global");
	add_option_names(out, command->options);
	buf_printf(out, "\" ;;\n\t\t*) ");
	add_answer(out, command->values);
	buf_printf(out, " ;;\n\t\tesac ;;\n");
}

/* __gdrctl_words COMMAND PREVIOUS CURRENT: sets $answer. */
static void
add_words_function(struct buf *out)
{
	buf_printf(out, "# Sets $answer to what may stand where CURRENT is: \"@file\" for files.\n"
			"__gdrctl_words() { # COMMAND PREVIOUS CURRENT\n"
			"\tlocal global='");
	for (const struct option *o = args_global; o->name; o++)
		buf_printf(out, "%s--%s", o == args_global ? "" : " ", o->name);
	buf_printf(out, "'\n\tanswer=\n\tcase $2 in\n");
	add_value_cases(out, args_global);
	buf_printf(out, "\tesac\n\tcase $1 in\n\t'')\n"
			"\t\tcase $3 in\n\t\t-*) answer=$global ;;\n\t\t*) answer='");
	add_heads(out);
	buf_printf(out, "' ;;\n\t\tesac ;;\n");
	add_group_cases(out);
	for (size_t i = 0; args_commands[i]; i++)
		add_command_case(out, args_commands[i]);
	buf_printf(out, "\tesac\n}\n\n");
}

/* Options with a value among all, for finding the command between them. */
static void
add_skipped(struct buf *out)
{
	bool first = true;

	for (const struct option *o = args_global; o->name; o++) {
		if (!o->value)
			continue;
		buf_printf(out, "%s--%s", first ? "" : "|", o->name);
		if (o->letter)
			buf_printf(out, "|-%c", o->letter);
		first = false;
	}
}

/* __gdrctl_command WORD...: sets $command to "node list" for the words before the cursor. */
static void
add_command_function(struct buf *out)
{
	bool any = false;

	buf_printf(out, "# Sets $command to the command that the words name so far.\n"
			"__gdrctl_command() { # WORD...\n"
			"\tcommand=\n"
			"\twhile [ $# -gt 0 ]; do\n"
			"\t\tcase $1 in\n\t\t");
	add_skipped(out);
	buf_printf(out, ") shift ;;\n\t\t-*) ;;\n\t\t*)\n\t\t\tcase $command in\n\t\t\t'') command=$1 ;;\n\t\t\t");
	for (size_t i = 0; args_commands[i]; i++) {
		auto_free char *head = new_head(i);

		if (!*head || strcmp(head, args_commands[i]->name) == 0)
			continue;
		buf_printf(out, "%s'%s'", any ? "|" : "", head);
		any = true;
	}
	buf_printf(out, ") command=\"$command $1\" ;;\n\t\t\tesac ;;\n\t\tesac\n"
			"\t\t[ $# -gt 0 ] && shift\n\tdone\n}\n\n");
}

static void
make_bash(struct buf *out)
{
	buf_printf(out, "# bash completion for gdrctl, made by `gdrctl completion bash`.\n\n");
	add_command_function(out);
	add_words_function(out);
	buf_printf(out, "_gdrctl() {\n"
			"\tlocal current=$2 previous=$3 command answer\n"
			"\t__gdrctl_command \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
			"\t__gdrctl_words \"$command\" \"$previous\" \"$current\"\n"
			"\tif [ \"$answer\" = @file ]; then\n"
			"\t\tcompopt -o default\n"
			"\t\tCOMPREPLY=()\n"
			"\telse\n"
			"\t\tmapfile -t COMPREPLY < <(compgen -W \"$answer\" -- \"$current\")\n"
			"\tfi\n"
			"}\n"
			"complete -F _gdrctl gdrctl\n");
}

static void
make_zsh(struct buf *out)
{
	buf_printf(out, "#compdef gdrctl\n# zsh completion for gdrctl, made by `gdrctl completion zsh`.\n\n");
	add_command_function(out);
	add_words_function(out);
	buf_printf(out, "__gdrctl_complete() {\n"
			"\tlocal current=$words[CURRENT] previous=$words[CURRENT-1] command answer\n"
			"\tlocal -a line\n"
			"\tline=(\"${(@)words[2,CURRENT-1]}\")\n"
			"\t__gdrctl_command \"${(@)line}\"\n"
			"\t__gdrctl_words \"$command\" \"$previous\" \"$current\"\n"
			"\tif [[ $answer == @file ]]; then\n"
			"\t\t_files\n"
			"\telse\n"
			"\t\tcompadd -- ${=answer}\n"
			"\tfi\n"
			"}\n"
			"if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
			"\t__gdrctl_complete \"$@\"\n"
			"else\n"
			"\tcompdef __gdrctl_complete gdrctl\n"
			"fi\n");
}

/* --- fish --- */

/* A string in single quotes. */
static void
add_quoted(struct buf *out, const char *text)
{
	buf_add(out, "'", 1);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_add(out, "\\", 1);
		buf_add(out, text, 1);
	}
	buf_add(out, "'", 1);
}

static void
add_fish_words(struct buf *out, const char *values)
{
	auto_buf struct buf words = { 0 };
	auto_buf struct buf command = { 0 };

	if (!values || is_file(values))
		return;
	add_words(&words, values);
	if (words.text)
		buf_printf(&command, "(%s)", words.text);
	else
		buf_printf(&command, "%s", values);
	buf_printf(out, " -a ");
	add_quoted(out, command.text);
}

static void
add_fish_option(struct buf *out, const char *when, const struct option *option)
{
	buf_printf(out, "complete -c gdrctl%s -l %s", when, option->name);
	if (option->letter)
		buf_printf(out, " -s %c", option->letter);
	if (option->value)
		buf_printf(out, is_file(option->values) ? " -r -F" : " -x");
	if (option->value)
		add_fish_words(out, option->values);
	buf_printf(out, " -d ");
	add_quoted(out, option->help);
	buf_printf(out, "\n");
}

static void
add_fish_command(struct buf *out, const struct command *command)
{
	auto_free char *when = xasprintf(" -n '__gdrctl_is \"%s\"'", command->name);
	const char *space = strchr(command->name, ' ');
	size_t head = space ? (size_t)(space - command->name) : 0;

	buf_printf(out, "complete -c gdrctl -n '__gdrctl_is \"%.*s\"' -a %s -d ", (int)head, command->name,
		   space ? space + 1 : command->name);
	add_quoted(out, command->help);
	buf_printf(out, "\n");
	if (command->values) {
		buf_printf(out, "complete -c gdrctl%s", when);
		add_fish_words(out, command->values);
		buf_printf(out, "\n");
	}
	for (const struct option *o = command->options; o && o->name; o++)
		add_fish_option(out, when, o);
}

static void
make_fish(struct buf *out)
{
	buf_printf(out, "# fish completion for gdrctl, made by `gdrctl completion fish`.\n\n"
			"# Is this the command that the line names so far?\n"
			"function __gdrctl_is\n"
			"    set -l command\n"
			"    set -l skip 0\n"
			"    for word in (commandline -opc)[2..-1]\n"
			"        if test $skip = 1\n"
			"            set skip 0\n"
			"        else if string match -qr -- '^(");
	add_skipped(out);
	buf_printf(out, ")$' $word\n"
			"            set skip 1\n"
			"        else if not string match -q -- '-*' $word\n"
			"            if test (count $command) = 0; or contains -- \"$command\"");
	for (size_t i = 0; args_commands[i]; i++) {
		auto_free char *head = new_head(i);

		if (*head && strcmp(head, args_commands[i]->name) != 0)
			buf_printf(out, " %s", head);
	}
	buf_printf(out, "\n"
			"                set -a command $word\n"
			"            end\n"
			"        end\n"
			"    end\n"
			"    test \"$command\" = \"$argv\"\n"
			"end\n\n"
			"complete -c gdrctl -f\n");
	for (const struct option *o = args_global; o->name; o++)
		add_fish_option(out, "", o);
	for (size_t i = 0; args_commands[i]; i++) {
		auto_free char *head = new_head(i);

		if (*head && strcmp(head, args_commands[i]->name) != 0)
			buf_printf(out, "complete -c gdrctl -n '__gdrctl_is \"\"' -a %s\n", head);
		add_fish_command(out, args_commands[i]);
	}
}

/* --- --- */

const char *const completion_shells[] = { "bash", "zsh", "fish", NULL };

bool
completion(const char *shell, struct buf *out)
{
	static void (*const makers[])(struct buf * out) = { make_bash, make_zsh, make_fish };

	for (size_t i = 0; completion_shells[i]; i++) {
		if (strcmp(completion_shells[i], shell) != 0)
			continue;
		makers[i](out);
		return true;
	}
	return false;
}
