/* Links: ctl */

#include "tests/unit/test_ctl_world.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/keys.h"

#define GOLDEN(name) TESTS_DIR "/golden/ctl/" name
#define OK           "code: ok\n"
#define SERVER       "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define SECRET       "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

#define PROFILE                                                                                         \
	"kind: Profile\nname: vela-a100\nspec:\n  kernel:\n    min_version: \"5.15\"\n    blacklist:\n" \
	"      - nouveau\n"
#define NODE "kind: Node\nname: n1\nlabels:\n  rack: r7\nprofile: vela-a100\n"
#define HAS                                                                                     \
	OK "exported:\n  profiles: [{name: vela-a100, spec: {kernel: {min_version: '5.4'}}}]\n" \
	   "  nodes: [{name: n1, labels: {rack: r7}, profile: vela-a100@3}]\n"

static char folder[64];

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/test_ctl_XXXXXX");
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "a.yaml",       "b.yaml",          "bad.yaml", "fleet/1.yaml",
					     "fleet/2.yaml", "fleet/notes.txt", "ctl.yaml", "ctl.yaml.new",
					     "link.yaml",    "alice.yaml" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(names[i]);
	(void)rmdir("fleet");
	return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void
put(const char *name, const char *text, mode_t mode)
{
	struct err err = { 0 };

	if (file_replace(name, text, strlen(text), mode, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(chmod(name, mode), 0);
}

/* --- topology files --- */

static void
a_topology_is_judged_without_a_controller(void **state)
{
	struct world world = { .in = "<system version='1'>\n  <cpu numaid=\"0\" affinity=\"0-23\"/>\n</system>\n" };

	(void)state;
	assert_int_equal(world_run(&world, "topology lint -"), CTL_UNMET);
	assert_has(world.out, "<stdin>:1:17: warning W1: ");
	assert_has(world.out, "<stdin>:2:19: error E7: affinity '0-23'");
	assert_int_equal(world_run(&world, "topology lint - --nccl 2.27.3 -o json"), CTL_UNMET);
	assert_has(world.out, "\"errors\": 1,\n  \"warnings\": 0,");
	assert_int_equal(world_run(&world, "topology lint - --nccl new"), CTL_USAGE);
	assert_has(world.diag, "--nccl: 'new' is no version");
	assert_int_equal(world_run(&world, "topology lint nowhere.xml"), CTL_ERROR);
	put("a.yaml", "<system version='1'>\n</system>\n", 0644);
	assert_int_equal(world_run(&world, "topology lint a.yaml"), 0);
	assert_has(world.out, "a.yaml:1:17: warning W1: ");
	world_close(&world);
}

/* --- profiles judged --- */

static void
a_profile_is_judged_from_a_file_or_by_name(void **state)
{
	struct world world = { 0 };

	(void)state;
	put("a.yaml",
	    "kind: Profile\nname: p\nspec:\n  kernel: {cmdline: [rdblaclist=nouveau]}\n"
	    "  guest: {nccl: {env: {NCCL_ALGO: Ring}}}\n---\n" NODE,
	    0644);
	assert_int_equal(world_run(&world, "profile lint -f a.yaml"), CTL_UNMET);
	assert_has(world.out, "a.yaml:4:22: kernel.cmdline[0] (rdblaclist=nouveau): error blacklist: ");
	assert_has(world.out, "\n    https://man7.org/");
	assert_has(world.out, "a.yaml:5:24: guest.nccl.env.NCCL_ALGO (Ring): warning algo: ");
	assert_int_equal(world_run(&world, "profile lint -f a.yaml -o json"), CTL_UNMET);
	assert_has(world.out, "\"errors\": 1,\n  \"warnings\": 1,\n  \"notes\": 0,");
	assert_has(world.out, "\"file\": \"a.yaml\", \"line\": 4, \"column\": 22, \"path\"");
	assert_has(world.out, "\"path\": \"kernel.cmdline[0]\", \"have\": \"rdblaclist=nouveau\"");
	world.answers[0] = OK "profiles:\n- {name: p, revision: 1, profile: {name: p, spec: {guest: {nccl: {env: "
			      "{NCCL_ALGO: Ring}}}}}}\n";
	assert_int_equal(world_run(&world, "profile lint p@1"), 0);
	assert_has(world.out, "p: guest.nccl.env.NCCL_ALGO (Ring): ");
	assert_int_equal(world_run(&world, "profile lint p@1 --strict"), CTL_UNMET);
	assert_int_equal(world_run(&world, "profile lint --rules"), 0);
	assert_has(world.out, "error device-control: setpci 68.w=5930");
	assert_int_equal(world_run(&world, "profile lint"), CTL_USAGE);
	assert_int_equal(world_run(&world, "profile lint p -f a.yaml"), CTL_USAGE);
	world_close(&world);
}

/* What is shipped does what it seems to; what the mended profiles mend is no matter of price either. */
static void
shipped_profiles_are_judged(void **state)
{
	struct world world = { 0 };

	(void)state;
	assert_int_equal(world_run(&world, "profile lint -f " SOURCE_DIR "/deploy/profiles"), 0);
	assert_int_equal(world_run(&world, "profile lint --strict -f " SOURCE_DIR "/deploy/profiles/hgx-a100.yaml"), 0);
	assert_int_equal(world_run(&world, "profile lint --strict -f " SOURCE_DIR "/deploy/profiles/hgx-h100.yaml"), 0);
	world_close(&world);
}

/* --- documents --- */

static void
apply_sends_all_documents(void **state)
{
	struct world world = { .answers = { OK
					    "changes: [{object: profile/vela-a100, done: created, detail: revision 1}, "
					    "{object: node/n1, done: unchanged}]\n" } };

	(void)state;
	put("a.yaml", PROFILE "---\n" NODE, 0644);
	assert_int_equal(world_run(&world, "apply -f a.yaml -m ticket~1"), 0);
	assert_string_equal(
		world.asked.text,
		"{\"apply\": {\"profiles\": [{\"name\": \"vela-a100\", \"spec\": {\"kernel\": "
		"{\"min_version\": \"5.15\", \"blacklist\": [\"nouveau\"]}}}], \"nodes\": [{\"name\": \"n1\", "
		"\"labels\": {\"rack\": \"r7\"}, \"profile\": \"vela-a100\"}], \"comment\": \"ticket 1\"}}\n");
	assert_golden(GOLDEN("apply.txt"), world.out);
	world.in = NODE;
	assert_int_equal(world_run(&world, "apply -f -"), 0);
	assert_has(world.asked.text, "{\"apply\": {\"nodes\": [{\"name\": \"n1\"");
	world_close(&world);
}

static void
a_folder_is_its_yaml_files(void **state)
{
	struct world world = { .answers = { OK } };

	(void)state;
	assert_int_equal(mkdir("fleet", 0755), 0);
	assert_int_equal(world_run(&world, "apply -f fleet"), CTL_ERROR);
	assert_has(world.diag, "no *.yaml in it");
	put("fleet/2.yaml", NODE, 0644);
	put("fleet/1.yaml", "kind: Node\nname: n0\n", 0644);
	put("fleet/notes.txt", "not: a document\n", 0644);
	assert_int_equal(world_run(&world, "apply -f fleet"), 0);
	assert_has(world.asked.text, "[{\"name\": \"n0\"}, {\"name\": \"n1\"");
	world_close(&world);
}

static void
mistakes_are_found_before_anything_is_sent(void **state)
{
	struct world world = { 0 };

	(void)state;
	put("bad.yaml", "kind: Node\nname: n1\nlabel: {}\n", 0644);
	assert_int_equal(world_run(&world, "apply -f bad.yaml"), CTL_ERROR);
	assert_has(world.diag, "gdrctl: bad.yaml:3:1: ");
	assert_has(world.diag, "'labels'");
	put("a.yaml", NODE, 0644);
	put("b.yaml", PROFILE "---\n" NODE, 0644);
	assert_int_equal(world_run(&world, "apply -f a.yaml -f b.yaml"), CTL_ERROR);
	assert_has(world.diag, "node/n1 is in a.yaml:1 already");
	put("bad.yaml", "kind: Node\nlabels: {rack: r7}\n", 0644);
	assert_int_equal(world_run(&world, "apply -f bad.yaml"), CTL_ERROR);
	assert_has(world.diag, "bad.yaml:1: this Node has no name");
	assert_int_equal(world_run(&world, "apply"), CTL_USAGE);
	assert_int_equal(world_run(&world, "apply -f nowhere.yaml"), CTL_ERROR);
	world.in = "";
	assert_int_equal(world_run(&world, "apply -f -"), CTL_ERROR);
	world_close(&world);
}

static void
a_dry_run_shows_the_difference(void **state)
{
	static const char check[] = OK "changes: [{object: profile/vela-a100, done: configured, detail: revision 4}, "
				       "{object: node/n1, done: configured}]\n";
	struct world world = { .answers = { check, HAS } };

	(void)state;
	put("a.yaml", PROFILE "---\n" NODE, 0644);
	assert_int_equal(world_run(&world, "apply -f a.yaml --dry-run"), 0);
	assert_golden(GOLDEN("dry-run.txt"), world.out);
	assert_has(world.asked.text, "{\"dry_run\": true, \"apply\": ");
	assert_has(world.diag, "nothing was changed");
	world_close(&world);
}

static void
diff_says_whether_there_is_one(void **state)
{
	struct world world = { .answers = { OK "changes: [{object: profile/vela-a100, done: unchanged}, "
					       "{object: node/n1, done: unchanged}]\n",
					    HAS } };

	(void)state;
	put("a.yaml", PROFILE "---\n" NODE, 0644);
	assert_int_equal(world_run(&world, "diff -f a.yaml"), 0);
	assert_string_equal(world.out ? world.out : "", "");

	/* A viewer may compare the texts. */
	world.next = 0;
	world.answers[0] = "code: not-allowed\nmessage: no\n";
	assert_int_equal(world_run(&world, "diff -f a.yaml"), CTL_UNMET);
	assert_has(world.out, "-    min_version: \"5.4\"\n+    min_version: \"5.15\"\n");
	assert_has_not(world.out, "vela-a100@3");

	world.next = 0;
	world.answers[0] = "code: error\nmessage: profile vela-b100 is not there\n";
	assert_int_equal(world_run(&world, "diff -f a.yaml"), CTL_ERROR);
	assert_has(world.diag, "gdrctl: profile vela-b100 is not there");
	world_close(&world);
}

static void
export_is_what_apply_takes(void **state)
{
	struct world world = { .answers = { HAS } };
	struct world back = { .answers = { OK } };

	(void)state;
	assert_int_equal(world_run(&world, "export"), 0);
	assert_golden(GOLDEN("export.yaml"), world.out);
	back.in = world.out;
	assert_int_equal(world_run(&back, "apply -f -"), 0);
	assert_has(back.asked.text, "\"profiles\": [{\"name\": \"vela-a100\"");
	assert_has(back.asked.text, "\"profile\": \"vela-a100@3\"");
	world_close(&back);
	assert_int_equal(world_run(&world, "export node/n1"), 0);
	assert_has_not(world.out, "Profile");
	assert_int_equal(world_run(&world, "export -o name"), 0);
	assert_string_equal(world.out, "profile/vela-a100\nnode/n1\n");
	assert_int_equal(world_run(&world, "export n1 n9"), CTL_ERROR);
	assert_has(world.diag, "'n9'");
	world_close(&world);
}

static void
apply_waits_for_the_nodes_it_touches(void **state)
{
	struct world world = {
		.answers = { OK "changes: [{object: profile/vela-a100, done: configured}]\n",
			     OK "nodes: [{name: n1, profile: vela-a100@4}, {name: n2, profile: vela-a100x@1}, "
				"{name: n3, profile: vela-a100@4}]\n",
			     OK "status: {nodes: 2, counts: [{state: ready, nodes: 2}]}\n" }
	};

	(void)state;
	put("a.yaml", PROFILE, 0644);
	assert_int_equal(world_run(&world, "apply -f a.yaml --wait"), 0);
	assert_has(world.asked.text, "{\"status\": {\"of\": {\"names\": [\"n1\", \"n3\"]}}}\n");
	world.next = 0;
	world.answers[1] = OK;
	assert_int_equal(world_run(&world, "apply -f a.yaml --wait"), 0);
	assert_has(world.diag, "no node uses what was applied");
	world_close(&world);
}

/* --- settings --- */

#define CONTEXT(name, port)                                                             \
	"  - name: " name "\n    endpoint: tcp://c:" port "\n    server_key: \"" SERVER \
	"\"\n    secret_key: \"" SECRET "\"\n"
#define SETTINGS "current: prod\ncontexts:\n" CONTEXT("prod", "7471") CONTEXT("lab", "7571")

static void
secrets_are_kept(void **state)
{
	struct world world = { 0 };

	(void)state;
	put("ctl.yaml", SETTINGS, 0600);
	assert_int_equal(world_run(&world, "config view --config ctl.yaml"), 0);
	assert_golden(GOLDEN("config-view.txt"), world.out);
	assert_has_not(world.out, SECRET);
	assert_int_equal(world_run(&world, "config get-contexts -o json --config ctl.yaml"), 0);
	assert_has_not(world.out, SECRET);
	assert_int_equal(world_run(&world, "config get-contexts -o name --config ctl.yaml"), 0);
	assert_string_equal(world.out, "prod\nlab\n");
	put("ctl.yaml", SETTINGS, 0640);
	assert_int_equal(world_run(&world, "config view --config ctl.yaml"), CTL_ERROR);
	assert_has(world.diag, "others can read the secret key");
	assert_has(world.diag, "chmod 600 ");
	world_close(&world);
}

static void
contexts_are_chosen(void **state)
{
	struct world world = { 0 };

	(void)state;
	put("ctl.yaml", SETTINGS, 0600);
	assert_int_equal(symlink("ctl.yaml", "link.yaml"), 0);
	assert_int_equal(setenv("GDRCTL_CONFIG", "link.yaml", 1), 0);
	assert_int_equal(world_run(&world, "config use-context lab"), 0);
	assert_int_equal(world_run(&world, "config view"), 0);
	assert_has(world.out, "current: lab\n");
	assert_int_equal(world_run(&world, "config use-context labb"), CTL_USAGE);
	assert_has(world.diag, "did you mean 'lab'?");
	assert_int_equal(setenv("GDRCTL_CONFIG", "nowhere.yaml", 1), 0);
	assert_int_equal(world_run(&world, "config view"), CTL_ERROR);
	assert_has(world.diag, "no settings at nowhere.yaml");
	assert_int_equal(unsetenv("GDRCTL_CONFIG"), 0);
	world_close(&world);
}

static void
a_new_user_gets_a_context(void **state)
{
	struct world world = { .answers = { OK "changes: [{object: user/alice, done: added}]\n" } };
	struct stat st;

	(void)state;
	put("ctl.yaml", SETTINGS, 0600);
	assert_int_equal(world_run(&world, "user add alice --role operator --new alice.yaml --config ctl.yaml"), 0);
	assert_int_equal(stat("alice.yaml", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(world_run(&world, "config view --config alice.yaml"), 0);
	assert_has(world.out, "endpoint: tcp://c:7471");
	assert_has_not(world.out, "lab");
	assert_int_equal(world_run(&world, "user add alice --role operator --new alice.yaml --config ctl.yaml"),
			 CTL_ERROR);
	assert_has(world.diag, "alice.yaml exists");

	/* A key that was not let in is not left behind. */
	assert_int_equal(unlink("alice.yaml"), 0);
	world.answers[0] = "code: not-allowed\nmessage: needs an admin\n";
	assert_int_equal(world_run(&world, "user add alice --role admin --new alice.yaml --config ctl.yaml"),
			 CTL_NOT_ALLOWED);
	assert_int_equal(access("alice.yaml", F_OK), -1);
	world_close(&world);
}

static void
a_key_is_rotated(void **state)
{
	struct world world = { .answers = { OK } };
	auto_free char *before = NULL;
	auto_free char *after = NULL;
	struct err err;
	struct stat st;

	(void)state;
	put("ctl.yaml", SETTINGS, 0600);
	assert_int_equal(file_read("ctl.yaml", 65536, &before, NULL, &err), 0);
	assert_int_equal(world_run(&world, "key rotate --config ctl.yaml"), 0);
	assert_has(world.diag, "the old one is revoked");
	assert_int_equal(stat("ctl.yaml", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access("ctl.yaml.new", F_OK), -1);
	assert_int_equal(file_read("ctl.yaml", 65536, &after, NULL, &err), 0);
	assert_string_not_equal(before, after);
	assert_int_equal(world_run(&world, "config view --config ctl.yaml"), 0);
	assert_has(world.out, "endpoint: tcp://c:7471");

	/* The controller said no: all is as before. */
	world.answers[0] = "code: error\nmessage: no\n";
	assert_int_equal(world_run(&world, "key rotate --config ctl.yaml"), CTL_ERROR);
	assert_int_equal(access("ctl.yaml.new", F_OK), -1);

	/* It said nothing that we heard: either key may be the one in force, and neither is lost. */
	world.answers[0] = "code: no-controller\nmessage: away\n";
	assert_int_equal(world_run(&world, "key rotate --config ctl.yaml"), CTL_NO_CONTROLLER);
	assert_has(world.diag, "ctl.yaml.new is kept");
	assert_int_equal(access("ctl.yaml.new", F_OK), 0);
	world.answers[0] = OK;
	assert_int_equal(world_run(&world, "key rotate --config ctl.yaml"), CTL_ERROR);
	assert_has(world.diag, "of a rotation without an answer");
	free(before);
	before = NULL;
	assert_int_equal(file_read("ctl.yaml", 65536, &before, NULL, &err), 0);
	assert_string_equal(before, after);
	world_close(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_topology_is_judged_without_a_controller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_profile_is_judged_from_a_file_or_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shipped_profiles_are_judged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(apply_sends_all_documents, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_folder_is_its_yaml_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(mistakes_are_found_before_anything_is_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dry_run_shows_the_difference, set_up, tear_down),
		cmocka_unit_test_setup_teardown(diff_says_whether_there_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(export_is_what_apply_takes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(apply_waits_for_the_nodes_it_touches, set_up, tear_down),
		cmocka_unit_test_setup_teardown(secrets_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_is_rotated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(contexts_are_chosen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_user_gets_a_context, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
