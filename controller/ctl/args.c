#include "controller/ctl/args.h"

#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"

#define NAMES_MAX 127 /* That are looked through for what an unknown word may have meant. */

#define COMMAND(x) extern const struct command command_##x;
#include "controller/ctl/commands.def"
#undef COMMAND

const struct command *const args_commands[] = {
#define COMMAND(x) &command_##x,
#include "controller/ctl/commands.def"
#undef COMMAND
	NULL,
};

const struct option args_global[] = {
	{ 'c', "context", "NAME", "@contexts", "context of the settings file to use" },
	{ 0, "config", "FILE", "@file", "settings file (default: $GDRCTL_CONFIG, ~/.config/gdrfleet/gdrctl.yaml)" },
	{ 'o', "output", "FORMAT", "table wide json yaml name", "table, wide, json, yaml or name" },
	{ 0, "timeout", "DURATION", NULL, "for an answer (default 10s); with --wait: for the end (default: none)" },
	{ 0, "no-color", NULL, NULL, "no colours (nor with NO_COLOR set, nor into a file)" },
	{ 'h', "help", NULL, NULL, "this help" },
	{ 0, "version", NULL, NULL, "the version" },
	{ 0 },
};

/* Is 'name' the group of 'command', the first of its two words? */
static bool
is_in_group(const struct command *command, const char *name)
{
	size_t len = strlen(name);

	return strncmp(command->name, name, len) == 0 && command->name[len] == ' ';
}

static bool
is_group(const char *name)
{
	for (size_t i = 0; args_commands[i]; i++)
		if (is_in_group(args_commands[i], name))
			return true;
	return false;
}

const struct command *
args_find(const char *const *words, size_t n, const char **group)
{
	*group = NULL;
	if (n == 0)
		return NULL;

	auto_free char *both = n > 1 ? xasprintf("%s %s", words[0], words[1]) : xstrdup(words[0]);

	for (size_t i = 0; args_commands[i]; i++)
		if (strcmp(args_commands[i]->name, both) == 0 || strcmp(args_commands[i]->name, words[0]) == 0)
			return args_commands[i];
	if (is_group(words[0]))
		*group = words[0];
	return NULL;
}

/* "unknown X 'word', did you mean 'y'?" */
static int
unknown(const char *what, const char *word, const char *const *names, const char *help, struct err *err)
{
	const char *near = pbtext_nearest(word, names);

	if (near)
		return err_set(err, CTL_USAGE, "unknown %s '%s', did you mean '%s'?", what, word, near);
	return err_set(err, CTL_USAGE, "unknown %s '%s'; see `gdrctl %s`", what, word, help);
}

static int
unknown_command(const char *word, struct err *err)
{
	auto_strv char **names = xcalloc(NAMES_MAX + 1, sizeof(*names));

	for (size_t i = 0; args_commands[i] && i < NAMES_MAX; i++)
		names[i] = strndup(args_commands[i]->name, strcspn(args_commands[i]->name, " "));
	return unknown("command", word, (const char *const *)names, "help", err);
}

static int
unknown_subcommand(const char *group, const char *word, struct err *err)
{
	const char *names[NAMES_MAX + 1] = { 0 };
	auto_free char *what = xasprintf("command of `gdrctl %s`", group);
	auto_free char *help = xasprintf("help %s", group);
	size_t n = 0;

	for (size_t i = 0; args_commands[i] && n < NAMES_MAX; i++)
		if (is_in_group(args_commands[i], group))
			names[n++] = args_commands[i]->name + strlen(group) + 1;
	return unknown(what, word, names, help, err);
}

static int
unknown_option(const struct args *args, const char *word, struct err *err)
{
	const char *names[NAMES_MAX + 1] = { 0 };
	auto_free char *help = args->command ? xasprintf("%s --help", args->command->name) : xstrdup("help");
	auto_free char *name = strndup(word, strcspn(word, "="));
	size_t n = 0;

	for (const struct option *o = args_global; o->name && n < NAMES_MAX; o++)
		names[n++] = o->name;
	for (const struct option *o = args->command ? args->command->options : NULL; o && o->name && n < NAMES_MAX; o++)
		names[n++] = o->name;

	const char *near = word[1] == '-' ? pbtext_nearest(name + 2, names) : NULL;
	if (near)
		return err_set(err, CTL_USAGE, "unknown option '%s', did you mean '--%s'?", name, near);
	if (!args->command)
		return err_set(err, CTL_USAGE, "unknown option '%s'; options of a command stand after it", name);
	return err_set(err, CTL_USAGE, "unknown option '%s'; see `gdrctl %s`", name, help);
}

static bool
fits(const struct option *option, char letter, const char *name, size_t len)
{
	if (letter)
		return option->letter == letter;
	return strlen(option->name) == len && strncmp(option->name, name, len) == 0;
}

/* By letter, or where that is 0 by name. */
static const struct option *
find_option(const struct args *args, char letter, const char *name, size_t len)
{
	for (const struct option *o = args_global; o->name; o++)
		if (fits(o, letter, name, len))
			return o;
	for (const struct option *o = args->command ? args->command->options : NULL; o && o->name; o++)
		if (fits(o, letter, name, len))
			return o;
	return NULL;
}

static void
take(struct args *args, const struct option *option, const char *value)
{
	args->given = xrealloc(args->given, args->n_given + 1, sizeof(*args->given));
	args->given[args->n_given++] = (struct given){ option, value };
}

/* argv, walked. */
struct walk {
	const char *const *at;
	const char *const *end;
};

/* Value of 'option': what stands in the same word, or the next word. */
static int
take_value(struct args *args, struct walk *walk, const struct option *option, const char *here, struct err *err)
{
	if (here) {
		take(args, option, here);
		return 0;
	}
	if (walk->at == walk->end)
		return err_set(err, CTL_USAGE, "option --%s needs a value: --%s %s", option->name, option->name,
			       option->value);
	take(args, option, *walk->at++);
	return 0;
}

static int
parse_long(struct args *args, struct walk *walk, const char *word, struct err *err)
{
	size_t len = strcspn(word + 2, "=");
	const char *here = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
	const struct option *option = find_option(args, 0, word + 2, len);

	if (!option)
		return unknown_option(args, word, err);
	if (option->value)
		return take_value(args, walk, option, here, err);
	if (here)
		return err_set(err, CTL_USAGE, "option --%s takes no value", option->name);
	take(args, option, "");
	return 0;
}

static int
parse_letters(struct args *args, struct walk *walk, const char *word, struct err *err)
{
	for (const char *c = word + 1; *c; c++) {
		const struct option *option = find_option(args, *c, NULL, 0);
		const char shown[] = { '-', *c, '\0' };

		if (!option)
			return unknown_option(args, shown, err);
		if (option->value)
			return take_value(args, walk, option, c[1] ? c + 1 : NULL, err);
		take(args, option, "");
	}
	return 0;
}

static int
parse_word(struct args *args, const char *word, struct err *err)
{
	const char *words[] = { args->group ? args->group : word, word };
	const char *group;

	if (args->command) {
		args->words = xrealloc(args->words, args->n_words + 1, sizeof(*args->words));
		args->words[args->n_words++] = word;
		return 0;
	}
	args->command = args_find(words, args->group ? 2 : 1, &group);
	if (args->command)
		return 0;
	if (args->group)
		return unknown_subcommand(args->group, word, err);
	if (!group)
		return unknown_command(word, err);
	args->group = word;
	return 0;
}

static int
parse_all(struct args *args, struct walk *walk, struct err *err)
{
	bool options = true;
	int rc = 0;

	while (rc == 0 && walk->at < walk->end) {
		const char *word = *walk->at++;

		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && strncmp(word, "--", 2) == 0)
			rc = parse_long(args, walk, word, err);
		else if (options && word[0] == '-' && word[1] != '\0')
			rc = parse_letters(args, walk, word, err);
		else
			rc = parse_word(args, word, err);
	}
	return rc;
}

static int
check(const struct args *args, struct err *err)
{
	const struct command *command = args->command;

	if (args_value(args, "help") || args_value(args, "version"))
		return 0;
	if (!command && args->group)
		return err_set(err, CTL_USAGE, "`gdrctl %s` needs a command; see `gdrctl help %s`", args->group,
			       args->group);
	if (!command)
		return err_set(err, CTL_USAGE, "no command; see `gdrctl help`");
	if ((int)args->n_words < command->min)
		return err_set(err, CTL_USAGE, "too few arguments; usage: gdrctl %s %s", command->name, command->args);
	if (command->max >= 0 && (int)args->n_words > command->max)
		return err_set(err, CTL_USAGE, "'%s' is one argument too many; usage: gdrctl %s%s%s",
			       args->words[command->max], command->name, *command->args ? " " : "", command->args);
	return 0;
}

int
args_parse(struct args *args, int argc, const char *const *argv, struct err *err)
{
	struct walk walk = { argv + (argc > 0), argv + argc };
	int rc = parse_all(args, &walk, err);

	return rc == 0 ? check(args, err) : rc;
}

void
args_free(struct args *args)
{
	free(args->given);
	free(args->words);
	*args = (struct args){ 0 };
}

const char *
args_value(const struct args *args, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < args->n_given; i++)
		if (strcmp(args->given[i].option->name, name) == 0)
			value = args->given[i].value;
	return value;
}

static void
help_options(const struct option *options, struct buf *out)
{
	for (const struct option *o = options; o->name; o++) {
		auto_free char *left = xasprintf("%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
						 o->letter ? ", " : "  ", o->name, o->value ? " " : "",
						 o->value ? o->value : "");

		buf_printf(out, "  %-26s  %s\n", left, o->help);
	}
}

void
args_help_command(const struct command *command, struct buf *out)
{
	buf_printf(out, "%s\n\nUsage: gdrctl %s%s%s%s\n", command->help, command->name,
		   command->options ? " [OPTIONS]" : "", *command->args ? " " : "", command->args);
	if (command->more)
		buf_printf(out, "\n%s\n", command->more);
	if (command->options) {
		buf_printf(out, "\nOptions:\n");
		help_options(command->options, out);
	}
	buf_printf(out, "\nGlobal options:\n");
	help_options(args_global, out);
	if (command->examples)
		buf_printf(out, "\nExamples:\n%s\n", command->examples);
}

static void
help_line(const struct command *command, struct buf *out)
{
	auto_free char *left = xasprintf("%s %s", command->name, command->args);

	if (strlen(left) > 34)
		buf_printf(out, "  %s\n  %-34s  %s\n", left, "", command->help);
	else
		buf_printf(out, "  %-34s  %s\n", left, command->help);
}

void
args_help_group(const char *group, struct buf *out)
{
	buf_printf(out, "Usage: gdrctl %s COMMAND\n\n", group);
	for (size_t i = 0; args_commands[i]; i++)
		if (is_in_group(args_commands[i], group))
			help_line(args_commands[i], out);
	buf_printf(out, "\n`gdrctl %s COMMAND --help` tells all about one.\n", group);
}

void
args_help(struct buf *out)
{
	buf_printf(out, "gdrctl - the fleet's command line\n\nUsage: gdrctl [OPTIONS] COMMAND\n\nCommands:\n");
	for (size_t i = 0; args_commands[i]; i++)
		help_line(args_commands[i], out);
	buf_printf(out, "\nOptions, before or after the command:\n");
	help_options(args_global, out);
	buf_printf(out, "\nExit codes: 0 done, 1 error, 2 usage, 3 the condition does not hold, 4 timed out,\n"
			"5 not allowed, 6 no controller.  `gdrctl COMMAND --help` tells all about a command.\n");
}
