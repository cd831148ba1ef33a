/* Links: ctl */

#include "tests/unit/test_ctl_world.h"

#include "controller/ctl/args.h"

static int
parse(struct args *args, const char *const *argv, struct err *err)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return args_parse(args, argc, argv, err);
}

#define PARSE(args, err, ...) parse(args, (const char *const[]){ "gdrctl", __VA_ARGS__, NULL }, err)

static void
options_stand_anywhere(void **state)
{
	struct args args = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		PARSE(&args, &err, "-o", "json", "node", "list", "n1", "-lrack=r7", "--timeout=5s", "n2", "-w"), 0);
	assert_string_equal(args.command->name, "node list");
	assert_int_equal(args.n_words, 2);
	assert_string_equal(args.words[0], "n1");
	assert_string_equal(args.words[1], "n2");
	assert_string_equal(args_value(&args, "output"), "json");
	assert_string_equal(args_value(&args, "selector"), "rack=r7");
	assert_string_equal(args_value(&args, "timeout"), "5s");
	assert_string_equal(args_value(&args, "watch"), "");
	assert_null(args_value(&args, "state"));
	args_free(&args);
}

static void
two_dashes_end_options(void **state)
{
	struct args args = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(PARSE(&args, &err, "node", "list", "--", "-l", "-"), 0);
	assert_int_equal(args.n_words, 2);
	assert_string_equal(args.words[0], "-l");
	args_free(&args);
}

static void
the_last_value_counts_and_letters_combine(void **state)
{
	struct args args = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(PARSE(&args, &err, "-o", "yaml", "node", "reboot", "-ym", "new kernel", "n1", "-o", "json"),
			 0);
	assert_string_equal(args_value(&args, "output"), "json");
	assert_string_equal(args_value(&args, "message"), "new kernel");
	assert_string_equal(args_value(&args, "yes"), "");
	args_free(&args);
}

static void
assert_usage(const char *line, const char *message)
{
	struct world world = { 0 };

	if (world_run(&world, line) != CTL_USAGE)
		fail_msg("`gdrctl %s` is no usage error: %s", line, world.diag);
	assert_has(world.diag, message);
	assert_int_equal(world.out_len, 0);
	assert_ptr_equal(strchr(world.diag, '\n'), world.diag + world.diag_len - 1);
	world_close(&world);
}

static void
errors_say_what_was_meant(void **state)
{
	(void)state;
	assert_usage("", "no command");
	assert_usage("node", "`gdrctl node` needs a command");
	assert_usage("nod list", "unknown command 'nod', did you mean 'node'?");
	assert_usage("node lst", "unknown command of `gdrctl node` 'lst', did you mean 'list'?");
	assert_usage("node list --stat x", "unknown option '--stat', did you mean '--state'?");
	assert_usage("node list -x", "unknown option '-x'; see `gdrctl node list --help`");
	assert_usage("-l x node list", "options of a command stand after it");
	assert_usage("node list --state", "option --state needs a value: --state STATE,...");
	assert_usage("node list --watch=1", "option --watch takes no value");
	assert_usage("node list --state stuk", "unknown state 'stuk', did you mean 'stuck'?");
	assert_usage("node show", "too few arguments; usage: gdrctl node show NAME");
	assert_usage("node show a b", "'b' is one argument too many");
	assert_usage("version x", "'x' is one argument too many; usage: gdrctl version");
	assert_usage("version -o jsn", "unknown format 'jsn', did you mean 'json'?");
	assert_usage("version -o qqqqq", "there are table, wide, json, yaml, name");
	assert_usage("version --timeout 5", "is not a duration");
	assert_usage("event list -n 0", "is not a number from 1 to 1000");
	assert_usage("event list -n -5", "is not a number from 1 to 1000");
	assert_usage("help node lst", "no command 'node lst'");
	assert_usage("completion bsh", "unknown shell 'bsh', did you mean 'bash'?");
}

/* Every command has what help and completion need. */
static void
commands_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; args_commands[i]; i++) {
		const struct command *command = args_commands[i];

		assert_non_null(command->name);
		assert_non_null(command->args);
		assert_non_null(command->help);
		assert_non_null(command->examples);
		assert_non_null(command->run);
		assert_null(strchr(command->help, '\n'));
		assert_has(command->examples, "gdrctl ");
		assert_true(command->max == -1 || command->max >= command->min);
		for (const struct option *o = command->options; o && o->name; o++)
			assert_non_null(o->help);
	}
}

/* A letter or a name means one thing in one command. */
static void
options_are_distinct(void **state)
{
	(void)state;
	for (size_t i = 0; args_commands[i]; i++) {
		for (const struct option *o = args_commands[i]->options; o && o->name; o++) {
			for (const struct option *g = args_global; g->name; g++)
				assert_true(strcmp(o->name, g->name) != 0 && (!o->letter || o->letter != g->letter));
			for (const struct option *p = o + 1; p->name; p++)
				assert_true(strcmp(o->name, p->name) != 0 && (!o->letter || o->letter != p->letter));
		}
	}
}

static void
help_for_all_and_each(void **state)
{
	struct world world = { 0 };

	(void)state;
	assert_int_equal(world_run(&world, "help"), 0);
	assert_golden(TESTS_DIR "/golden/ctl/help.txt", world.out);
	assert_int_equal(world_run(&world, "node --help"), 0);
	assert_golden(TESTS_DIR "/golden/ctl/help-node.txt", world.out);
	assert_int_equal(world_run(&world, "node list -h"), 0);
	assert_golden(TESTS_DIR "/golden/ctl/help-node-list.txt", world.out);
	assert_int_equal(world_run(&world, "help node list"), 0);
	assert_golden(TESTS_DIR "/golden/ctl/help-node-list.txt", world.out);
	assert_int_equal(world_run(&world, "--version"), 0);
	assert_string_equal(world.out, "gdrctl " GDR_VERSION "\n");
	world_close(&world);
}

static void
completion_follows_the_commands(void **state)
{
	static const char *const scripts[][2] = {
		{ "completion bash", SOURCE_DIR "/deploy/completion/gdrctl.bash" },
		{ "completion zsh", SOURCE_DIR "/deploy/completion/_gdrctl" },
		{ "completion fish", SOURCE_DIR "/deploy/completion/gdrctl.fish" },
	};
	struct world world = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		assert_int_equal(world_run(&world, scripts[i][0]), 0);
		assert_golden(scripts[i][1], world.out);
	}
	world_close(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(two_dashes_end_options),
		cmocka_unit_test(the_last_value_counts_and_letters_combine),
		cmocka_unit_test(errors_say_what_was_meant),
		cmocka_unit_test(commands_are_complete),
		cmocka_unit_test(options_are_distinct),
		cmocka_unit_test(help_for_all_and_each),
		cmocka_unit_test(completion_follows_the_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
