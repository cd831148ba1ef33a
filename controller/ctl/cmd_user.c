/* cmd_user.c - gdrctl token create; user add, list, remove: who may do what. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/link.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"

/* --- token create --- */

static void
print_token(struct ctl *ctl, const Gdr__JoinToken *token)
{
	auto_buf struct buf text = { 0 };

	pbtext_print(&token->base, NULL, PBTEXT_YAML, &text);
	(void)fputs("# A join token: good once, and a secret until then.  On the host, as root:\n"
		    "#   gdr-agent join FILE\n",
		    ctl->out);
	output_data(ctl, &text);
}

static int
run_token(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__TokenCreate create = GDR__TOKEN_CREATE__INIT;
	auto_pb Gdr__Response *response = NULL;
	const char *node = ctl_option(ctl, "node");
	const char *format = ctl_option(ctl, "output");
	auto_free char *own = node ? xstrdup(node) : NULL;
	uint64_t ttl_ms = 0;
	int rc = ctl_duration(ctl, "ttl", &ttl_ms, err);

	if (rc == 0 && ttl_ms > UINT32_MAX)
		rc = err_set(err, CTL_USAGE, "--ttl: at most 49d");
	if (rc != 0)
		return rc;
	create.node = own;
	create.has_ttl_ms = ttl_ms > 0;
	create.ttl_ms = (uint32_t)ttl_ms;
	request.body_case = GDR__REQUEST__BODY_TOKEN_CREATE;
	request.token_create = &create;
	rc = ctl_call_change(ctl, &request, &response, err);
	if (rc != 0)
		return rc;
	if (!response->token)
		return err_set(err, CTL_ERROR, "the token got lost on its way: make another");
	if (format && strcmp(format, "json") == 0)
		output_object(ctl, response->token, NULL, "");
	else
		print_token(ctl, response->token);
	return 0;
}

const struct command command_token_create = {
	.name = "token create",
	.args = "",
	.help = "a token that lets one new node in by itself",
	.examples = "  (umask 077; gdrctl token create --node n17 > n17.token)\n"
		    "  ssh n17 gdr-agent join /dev/stdin < n17.token",
	.options =
		(const struct option[]){
			{ 0, "node", "NAME", NULL, "the only name that it may enrol" },
			{ 0, "ttl", "DURATION", NULL, "how long it is good (default 1h)" },
			{ 0 },
		},
	.run = run_token,
};

/* --- user add --- */

static int
parse_role(const struct ctl *ctl, Gdr__Role *out, struct err *err)
{
	static const char *const roles[] = { "viewer", "operator", "admin", NULL };
	const char *text = ctl_option(ctl, "role");
	int role = 0;

	if (!text)
		return err_set(err, CTL_USAGE, "which role? Give --role viewer, operator or admin");
	if (!pbtext_enum_parse(&gdr__role__descriptor, text, &role))
		return ctl_unknown("--role: ", "role", text, roles, err);
	*out = (Gdr__Role)role;
	return 0;
}

static int
send_user(struct ctl *ctl, char *key, Gdr__Role role, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__UserAdd add = GDR__USER_ADD__INIT;
	auto_free char *name = xstrdup(ctl->args.words[0]);

	add.name = name;
	add.key = key;
	add.has_role = true;
	add.role = role;
	request.body_case = GDR__REQUEST__BODY_USER_ADD;
	request.user_add = &add;
	return ctl_change(ctl, &request, err);
}

/* Our own context with the new user's keys. */
static int
save_context(const struct ctl *ctl, const char *file, struct keypair *pair, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	const Gdr__Context *own = NULL;
	auto_free char *path = link_config_path(ctl);
	int rc = link_config_load(path, &config, err);

	if (rc == 0)
		rc = link_context(ctl, config, path, &own, err);
	if (rc != 0)
		return rc;

	Gdr__CtlConfig made = GDR__CTL_CONFIG__INIT;
	Gdr__Context context = *own;
	Gdr__Context *contexts[] = { &context };

	made.current = context.name;
	made.contexts = contexts;
	made.n_contexts = 1;
	context.public_key = pair->public_key;
	context.secret_key = pair->secret_key;
	return link_config_save(file, &made, err);
}

/* The file comes first: a key that nobody has must not be let in. */
static int
add_new(struct ctl *ctl, const char *file, Gdr__Role role, struct err *err)
{
	struct keypair pair;
	int rc;

	if (access(file, F_OK) == 0)
		return err_set(err, -EEXIST, "%s exists: name a new file", file);
	keys_generate(&pair);
	rc = save_context(ctl, file, &pair, err);
	if (rc == 0) {
		rc = send_user(ctl, pair.public_key, role, err);
		if (rc == CTL_NO_CONTROLLER)
			(void)fprintf(ctl->diag, "%s is kept: the controller may know its key by now\n", file);
		else if (rc != 0)
			(void)unlink(file);
	}
	explicit_bzero(&pair, sizeof(pair));
	if (rc == 0)
		(void)fprintf(ctl->diag, "%s has the key: hand it over safely; used by `gdrctl --config FILE`\n", file);
	return rc;
}

static int
run_user_add(struct ctl *ctl, struct err *err)
{
	const char *key = ctl_option(ctl, "key");
	const char *file = ctl_option(ctl, "new");
	Gdr__Role role = GDR__ROLE__ROLE_VIEWER;
	int rc = parse_role(ctl, &role, err);

	if (rc != 0)
		return rc;
	if (!key == !file)
		return err_set(err, CTL_USAGE, "give the user's public key by --key KEY, or --new FILE to make one");
	if (file)
		return add_new(ctl, file, role, err);
	if (!keys_valid(key))
		return err_set(err, CTL_USAGE, "--key: not a public key (40 characters of Z85)");
	auto_free char *own = xstrdup(key);
	return send_user(ctl, own, role, err);
}

const struct command command_user_add = {
	.name = "user add",
	.args = "NAME",
	.help = "let an operator in",
	.more = "viewer: reads; operator: changes nodes and profiles; admin: changes keys, too.",
	.examples = "  gdrctl user add alice --role operator --new alice.yaml\n"
		    "  gdrctl user add ci --role viewer --key 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'",
	.options =
		(const struct option[]){
			{ 0, "role", "ROLE", "viewer operator admin", "viewer, operator or admin" },
			{ 0, "key", "KEY", NULL, "the user's public key" },
			{ 0, "new", "FILE", "@file", "make a key, and write a settings file with it (mode 0600)" },
			{ 0 },
		},
	.min = 1,
	.max = 1,
	.run = run_user_add,
};

/* --- user list, remove --- */

static int
run_user_list(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__UserQuery query = GDR__USER_QUERY__INIT;
	auto_pb Gdr__Response *response = NULL;

	request.body_case = GDR__REQUEST__BODY_USERS;
	request.users = &query;
	int rc = ctl_call(ctl, &request, &response, err);
	if (rc == 0)
		output_list(ctl, &view_users, response);
	return rc;
}

const struct command command_user_list = {
	.name = "user list",
	.args = "",
	.help = "operators and what they may do",
	.examples = "  gdrctl user list",
	.run = run_user_list,
};

static int
run_user_remove(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__UserRemove remove = GDR__USER_REMOVE__INIT;
	const char *word = ctl->args.words[0];
	auto_free char *name = xstrdup(strncmp(word, "user/", 5) == 0 ? word + 5 : word);

	remove.name = name;
	request.body_case = GDR__REQUEST__BODY_USER_REMOVE;
	request.user_remove = &remove;
	return ctl_change(ctl, &request, err);
}

const struct command command_user_remove = {
	.name = "user remove",
	.args = "NAME",
	.help = "revoke an operator's key and cut its links",
	.examples = "  gdrctl user remove alice",
	.min = 1,
	.max = 1,
	.run = run_user_remove,
};
