/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

#include "agent/program.h"
#include "agent/settings.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "tests/unit/folder.h"

static char *folder;
static char *config; /* agent.yaml in it. */
static char *root;   /* A machine with next to nothing. */

static void
put(const char *name, const char *text)
{
	auto_free char *path = xasprintf("%s/%s", folder, name);
	auto_free char *parent = xstrdup(path);
	struct err err = { 0 };

	*strrchr(parent, '/') = '\0';
	assert_int_equal(file_mkdirs(parent, 0755, &err), 0);
	folder_write(path, text, strlen(text));
}

static int
setup(void **state)
{
	if (folder_make(state) != 0)
		return -1;
	folder = *state;
	config = xasprintf("%s/agent.yaml", folder);
	root = xasprintf("%s/root", folder);
	assert_int_equal(chmod(folder, 0755), 0);
	auto_free char *text = xasprintf("node: n1\nuser: root\nroot: %s\nstate: %s/state\ncomm_state: %s/comm\n", root,
					 folder, folder);
	put("agent.yaml", text);
	put("root/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Some CPU\n\n");
	put("root/proc/sys/kernel/random/boot_id", "aaaaaaaa-0000-4000-8000-000000000001\n");
	put("p.yaml", "kind: Profile\nname: p\nspec:\n  bios: {iommu: true}\n");
	return 0;
}

static int
teardown(void **state)
{
	free(steal(&config));
	free(steal(&root));
	return folder_remove(state);
}

/* --- agent.yaml --------------------------------------------------------------------------------------------------- */

static struct settings *
loaded(const char *text, const char *with_root)
{
	struct settings *settings = NULL;
	struct err err = { 0 };

	put("agent.yaml", text);
	assert_int_equal(settings_load(&gdr_agent, config, with_root, &settings, &err), 0);
	return settings;
}

static void
every_setting_has_a_default(void **state)
{
	struct settings *settings = loaded("node: n1\n", NULL);

	(void)state;
	assert_string_equal(settings->node, "n1");
	assert_string_equal(settings->config->root, "/");
	assert_string_equal(settings->config->state, "/var/lib/gdrfleet-agent");
	assert_string_equal(settings->config->comm_state, "/var/lib/gdrfleet-comm");
	assert_string_equal(settings->config->user, "gdrfleet");
	assert_string_equal(settings->config->hooks, "/etc/gdrfleet/hooks.d");
	assert_int_equal(settings->config->check_interval, 60000);
	assert_int_equal(settings->config->tool_timeout, 120000);
	assert_int_equal(settings->config->retry, 60000);
	assert_null(settings->config->controller);
	assert_string_equal(settings->key_file, "/var/lib/gdrfleet-comm/key");
	assert_string_equal(settings->controller_file, "/var/lib/gdrfleet-comm/controller.yaml");
	assert_string_equal(settings->desired_file, "/var/lib/gdrfleet-comm/desired");
	assert_string_equal(settings->report_file, "/var/lib/gdrfleet-agent/report");
	assert_string_equal(settings->journal_file, "/var/lib/gdrfleet-agent/journal.yaml");
	settings_free(settings);
	settings_free(NULL);
}

static void
what_is_written_counts(void **state)
{
	struct settings *settings = loaded("node: n1\nstate: /s\ncomm_state: /c\nroot: /r\ncheck_interval: 5m\n"
					   "tools: {update-grub: /opt/update-grub}\n",
					   NULL);

	(void)state;
	assert_string_equal(settings->config->root, "/r");
	assert_string_equal(settings->desired_file, "/c/desired");
	assert_string_equal(settings->journal_file, "/s/journal.yaml");
	assert_int_equal(settings->config->check_interval, 300000);
	assert_int_equal(settings->config->n_tools, 1);
	settings_free(settings);
	/* The option is stronger than the file. */
	settings = loaded("node: n1\nroot: /r\n", "/other");
	assert_string_equal(settings->config->root, "/other");
	settings_free(settings);
	settings = loaded("node: n1\n", "/other");
	assert_string_equal(settings->config->root, "/other");
	settings_free(settings);
}

static void
without_a_name_it_has_the_hosts(void **state)
{
	struct settings *settings = loaded("{}\n", NULL);
	char name[256] = "";

	(void)state;
	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	name[strcspn(name, ".")] = '\0';
	assert_int_equal(strcasecmp(settings->node, name), 0);
	for (const char *c = settings->node; *c; c++)
		assert_false(*c >= 'A' && *c <= 'Z');
	settings_free(settings);
}

static void
mistakes_are_pointed_at(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} table[] = {
		{ "node: n1\ncheck_intervall: 5s\n", "agent.yaml:2:1: unknown field 'check_intervall'" },
		{ "node: n1\ncheck_intervall: 5s\n", "did you mean 'check_interval'?" },
		{ "node: Not A Name\n", "agent.yaml:1:7: " },
		{ "retry: 1ms\n", "agent.yaml:1:8: " },
		{ "check_interval: soon\n", "agent.yaml:1:17: " },
		{ "node: a\nnode: b\n", "agent.yaml:2:1: " },
		{ "node: [\n", "agent.yaml:" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct settings *settings = NULL;
		struct err err = { 0 };

		put("agent.yaml", table[i].text);
		assert_true(settings_load(&gdr_agent, config, NULL, &settings, &err) < 0);
		assert_null(settings);
		if (!strstr(err.msg, table[i].why))
			fail_msg("'%s' does not hold '%s'", err.msg, table[i].why);
	}
	struct settings *settings = NULL;
	struct err err = { 0 };
	assert_int_equal(settings_load(&gdr_agent, "/nowhere/agent.yaml", NULL, &settings, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nowhere/agent.yaml"));
}

/* --- the files between the two halves ------------------------------------------------------------------------------ */

static void
desired_state_is_checked_before_it_is_believed(void **state)
{
	auto_free char *text = xasprintf("node: n1\ncomm_state: %s\n", folder);
	struct settings *settings = loaded(text, NULL);
	Gdr__Desired desired = GDR__DESIRED__INIT;
	Gdr__Spec spec = GDR__SPEC__INIT;
	Gdr__HugepagesSpec pages = GDR__HUGEPAGES_SPEC__INIT;
	Gdr__Desired *found = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(settings_read_desired(settings, &found, &err), -ENOENT);
	put("desired", "\xff\xff\xff");
	assert_true(settings_read_desired(settings, &found, &err) < 0);
	assert_non_null(strstr(err.msg, settings->desired_file));
	assert_null(found);

	desired.has_generation = true;
	desired.generation = 7;
	desired.spec = &spec;
	spec.hugepages = &pages;
	pages.has_size = true;
	for (int i = 0; i < 3; i++) {
		char hash[] = "0123456789abcdef0123456789abcdef";
		size_t len;

		pages.size = i == 0 ? 4096 : 2 << 20;
		desired.spec_hash = i == 1 ? NULL : hash;
		auto_free uint8_t *data = pb_pack(&desired.base, &len);
		folder_write(settings->desired_file, data, len);
		err = (struct err){ 0 };
		int rc = settings_read_desired(settings, &found, &err);
		assert_int_equal(rc == 0, i == 2);
		assert_int_equal(strstr(err.msg, "hugepages.size") != NULL, i == 0);
		assert_int_equal(strstr(err.msg, "spec_hash") != NULL, i == 1);
	}
	assert_int_equal(found->generation, 7);
	assert_int_equal(found->spec->hugepages->size, 2 << 20);
	pb_free(&found->base);
	settings_free(settings);
}

static bool
tells(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool news = poll(&p, 1, 100) > 0;

	settings_watched(fd);
	return news;
}

static void
a_watch_tells_of_replaced_files(void **state)
{
	auto_free char *path = xasprintf("%s/desired", folder);
	auto_close int fd = settings_watch(folder);
	struct err err = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_false(tells(fd));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(file_replace(path, "x", 1, 0600, &err), 0);
		assert_true(tells(fd));
		assert_false(tells(fd));
	}
	assert_int_equal(settings_watch("/nowhere"), -1);
	settings_watched(-1);
}

/* Once is once: a second round of the worker for nothing costs a look at the whole machine. */
static void
one_replacement_is_one_event(void **state)
{
	auto_free char *path = xasprintf("%s/desired", folder);
	auto_close int fd = settings_watch(folder);
	struct err err = { 0 };
	char events[4096];

	(void)state;
	assert_int_equal(file_replace(path, "x", 1, 0600, &err), 0);
	ssize_t n = read(fd, events, sizeof(events));
	/* One struct inotify_event and the name, padded. */
	assert_in_range(n, 16, 47);
}

static void
only_one_changes_the_machine(void **state)
{
	auto_free char *text = xasprintf("node: n1\nstate: %s/deep/state\n", folder);
	struct settings *settings = loaded(text, NULL);
	auto_free char *pid = xasprintf("held by pid %ld", (long)getpid());
	struct err err = { 0 };
	int fd = -1;
	int second = -1;

	(void)state;
	assert_int_equal(settings_lock(settings, &fd, &err), 0);
	assert_int_equal(settings_lock(settings, &second, &err), -EBUSY);
	assert_non_null(strstr(err.msg, pid));
	assert_int_equal(close(fd), 0);
	assert_int_equal(settings_lock(settings, &fd, &err), 0);
	assert_int_equal(close(fd), 0);
	settings_free(settings);
}

/* --- gdr-agent, as people call it ------------------------------------------------------------------------------------ */

struct ran {
	int status;
	char *out;
	char *err;
};

static void
ran_free(struct ran *ran)
{
	free(ran->out);
	free(ran->err);
}
#define auto_ran __attribute__((cleanup(ran_free)))

static char *
agent_path(void)
{
	char self[4096] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	*strrchr(self, '/') = '\0';
	return xasprintf("%s/gdr-agent", self);
}

static struct ran
run_as(uid_t uid, const char *const words[])
{
	auto_free char *program = agent_path();
	auto_free char *out = xasprintf("%s/out", folder);
	auto_free char *err = xasprintf("%s/err", folder);
	const char *argv[16] = { "gdr-agent" };
	int status = 0;

	if (access(program, X_OK) != 0)
		skip();
	for (size_t i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	pid_t pid = fork();
	if (pid == 0) {
		char *const *args;

		memcpy(&args, &(const char *const *){ argv }, sizeof(args));
		(void)!freopen(out, "w", stdout);
		(void)!freopen(err, "w", stderr);
		if (uid != geteuid() && setresuid(uid, uid, uid) != 0)
			_exit(126);
		(void)execv(program, args);
		_exit(126);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (struct ran){ WEXITSTATUS(status), folder_read(out, NULL), folder_read(err, NULL) };
}

#define RUN(...) run_as(geteuid(), (const char *const[]){ __VA_ARGS__, NULL })

static void
assert_says(const struct ran *ran, int status, const char *what)
{
	if (ran->status != status || !strstr(ran->err, what))
		fail_msg("status %d, '%s' does not hold '%s'", ran->status, ran->err, what);
	/* One line. */
	assert_ptr_equal(strchr(ran->err, '\n'), ran->err + strlen(ran->err) - 1);
}

static void
usage_is_told_from_errors(void **state)
{
	(void)state;
	auto_ran struct ran typo = RUN("chekc");
	assert_says(&typo, 2, "unknown command 'chekc', did you mean 'check'?");
	auto_ran struct ran option = RUN("check", "--nonsense");
	assert_says(&option, 2, "nonsense");
	auto_ran struct ran output = RUN("-o", "xml", "check");
	assert_says(&output, 2, "-o xml: expected table, json or yaml");
	auto_ran struct ran more = RUN("check", "n1");
	assert_says(&more, 2, "one word too many: 'n1'");
	auto_ran struct ran no_file = RUN("--config", config, "join");
	assert_says(&no_file, 2, "gdr-agent join FILE");
	auto_ran struct ran nothing = RUN("-o", "json");
	assert_int_equal(nothing.status, 2);
	assert_non_null(strstr(nothing.err, "usage: gdr-agent"));
	assert_string_equal(nothing.out, "");
	auto_ran struct ran help = RUN("--help");
	assert_int_equal(help.status, 0);
	assert_non_null(strstr(help.out, "usage: gdr-agent"));
	auto_ran struct ran version = RUN("--version");
	assert_int_equal(version.status, 0);
	assert_string_equal(version.out, "gdr-agent " GDR_VERSION "\n");
}

static void
without_desired_state_it_says_what_to_do(void **state)
{
	static const char *const commands[] = { "check", "apply", "desired" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		auto_ran struct ran ran = RUN("--config", config, commands[i]);
		assert_says(&ran, 1, "name a profile with --profile FILE, or join a controller");
		assert_string_equal(ran.out, "");
	}
}

static void
profiles_that_are_none_are_named(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} table[] = {
		{ "", "p.yaml: holds no document" },
		{ "kind: Node\nname: n1\n", "expected one document of kind Profile with a spec" },
		{ "kind: Profile\nname: p\n", "expected one document of kind Profile with a spec" },
		{ "kind: Profile\nname: p\nspec: {}\n---\nkind: Profile\nname: q\nspec: {}\n",
		  "expected one document" },
		{ "kind: Profile\nname: p\nspec: {hugepage: {}}\n", "p.yaml:3:8: unknown field 'hugepage'" },
		{ "kind: Profil\n", "Profil" },
	};
	auto_free char *profile = xasprintf("%s/p.yaml", folder);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		put("p.yaml", table[i].text);
		auto_ran struct ran ran = RUN("--config", config, "--profile", profile, "check");
		assert_says(&ran, 1, table[i].why);
	}
	auto_ran struct ran none = RUN("--config", config, "--profile", "/nowhere.yaml", "check");
	assert_says(&none, 1, "/nowhere.yaml");
}

static void
json_is_json_and_yaml_is_yaml(void **state)
{
	static const char *const forms[] = { "json", "yaml" };
	auto_free char *profile = xasprintf("%s/p.yaml", folder);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		auto_pb ProtobufCMessage *report = NULL;
		auto_pb ProtobufCMessage *inventory = NULL;
		auto_pb ProtobufCMessage *desired = NULL;
		struct err err = { 0 };

		auto_ran struct ran ran = RUN("--config", config, "--profile", profile, "-o", forms[i], "check");
		assert_int_equal(ran.status, 3); /* There is no IOMMU in that tree. */
		assert_string_equal(ran.err, "");
		assert_int_equal(*ran.out == '{', i == 0);
		assert_int_equal(pbtext_parse(&gdr__report__descriptor, "-", ran.out, strlen(ran.out), &report, &err),
				 0);
		const Gdr__Report *read = (const Gdr__Report *)report;
		assert_int_equal(read->n_layers, 1);
		assert_string_equal(read->layers[0]->name, "bios");
		assert_true(read->has_outcome && read->outcome != GDR__OUTCOME__OUTCOME_SETTLED);

		auto_ran struct ran seen = RUN("--config", config, "-o", forms[i], "inventory");
		assert_int_equal(seen.status, 0);
		assert_int_equal(
			pbtext_parse(&gdr__inventory__descriptor, "-", seen.out, strlen(seen.out), &inventory, &err),
			0);
		assert_string_equal(((const Gdr__Inventory *)inventory)->cpu_model, "Some CPU");

		auto_ran struct ran want = RUN("--config", config, "--profile", profile, "-o", forms[i], "desired");
		assert_int_equal(want.status, 0);
		assert_int_equal(
			pbtext_parse(&gdr__desired__descriptor, "-", want.out, strlen(want.out), &desired, &err), 0);
		assert_true(((const Gdr__Desired *)desired)->spec->bios->iommu);
		assert_int_equal(strlen(((const Gdr__Desired *)desired)->spec_hash), PB_HASH_LEN);
	}
	auto_ran struct ran table = RUN("--config", config, "--profile", profile, "check");
	assert_int_equal(table.status, 3);
	assert_non_null(strstr(table.out, "LAYER"));
	assert_non_null(strstr(table.out, "outcome: "));
	/* Looking left nothing behind. */
	auto_free char *left = folder_list(folder, "state");
	assert_string_equal(left, "");
}

static void
apply_waits_for_nobody(void **state)
{
	auto_free char *profile = xasprintf("%s/p.yaml", folder);
	auto_free char *journal = xasprintf("%s/state/journal.yaml", folder);
	struct settings *settings = NULL;
	struct err err = { 0 };
	int fd = -1;

	(void)state;
	auto_ran struct ran ran = RUN("--config", config, "--profile", profile, "apply");
	assert_int_equal(ran.status, 3);
	assert_string_equal(ran.err, "");
	/* While the worker is there it is the one. */
	assert_int_equal(settings_load(&gdr_agent, config, NULL, &settings, &err), 0);
	assert_int_equal(settings_lock(settings, &fd, &err), 0);
	auto_ran struct ran busy = RUN("--config", config, "--profile", profile, "apply");
	assert_says(&busy, 1, "held by pid");
	auto_ran struct ran check = RUN("--config", config, "--profile", profile, "check");
	assert_int_equal(check.status, 3);
	assert_int_equal(close(fd), 0);
	settings_free(settings);
	/* A damaged journal is said, and is no reason to leave a host as it is. */
	folder_write(journal, "[", 1);
	auto_ran struct ran damaged = RUN("--config", config, "--profile", profile, "apply");
	assert_says(&damaged, 3, "journal.yaml.damaged");
	assert_non_null(strstr(damaged.out, "outcome: "));
}

static void
apply_on_this_machine_is_for_root(void **state)
{
	static const char *const words[] = { "apply", "--profile", "/nowhere.yaml", "--root", "/", NULL };

	(void)state;
	auto_ran struct ran ran = run_as(geteuid() ? geteuid() : 65534, words);
	if (ran.status == 126)
		skip(); /* Nobody else may run what was built here. */
	assert_says(&ran, 1, "needs root (check does not)");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_setting_has_a_default),
		TEST(what_is_written_counts),
		TEST(without_a_name_it_has_the_hosts),
		TEST(mistakes_are_pointed_at),
		TEST(desired_state_is_checked_before_it_is_believed),
		TEST(a_watch_tells_of_replaced_files),
		TEST(one_replacement_is_one_event),
		TEST(only_one_changes_the_machine),
		TEST(usage_is_told_from_errors),
		TEST(without_desired_state_it_says_what_to_do),
		TEST(profiles_that_are_none_are_named),
		TEST(json_is_json_and_yaml_is_yaml),
		TEST(apply_waits_for_nobody),
		TEST(apply_on_this_machine_is_for_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
