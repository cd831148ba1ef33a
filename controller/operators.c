#include "controller/operators.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/rules.h"
#include "common/wire.h"
#include "controller/answers.h"
#include "controller/fleet/query.h"
#include "controller/keyring.h"
#include "controller/zap.h"
#include "proto/api.pb-c.h"

#define FRAMES_A_TURN 64
#define DEFAULT_TTL   3600000U
#define PREFIX_MIN    4 /* Characters that mean a pending key. */

struct operators {
	struct wire *wire;
	struct fleet *fleet;
	struct keyring *keyring;
	struct zap *zap;
	struct endpoints endpoints;
	struct turn turn;
	struct answers answers;
	struct log_burst garbage;
};

/* --- nodes that wait at the door ------------------------------------------------------------------------------- */

static void
add_pending(struct operators *operators, Gdr__Response *answer)
{
	struct zap_pending *pending;
	size_t n = zap_pending(operators->zap, &pending);

	answer->nodes = xrealloc(answer->nodes, answer->n_nodes + n + 1, sizeof(*answer->nodes));
	for (size_t i = 0; i < n; i++) {
		Gdr__NodeView *view = xcalloc(1, sizeof(*view));
		char fingerprint[KEY_FINGERPRINT_LEN + 1];

		keys_fingerprint(pending[i].key, fingerprint);
		gdr__node_view__init(view);
		view->name = xstrdup(fingerprint);
		view->has_state = view->has_since_ms = view->has_seen_ms = true;
		view->state = GDR__NODE_STATE__NODE_PENDING;
		view->why = xasprintf("an unknown key from %s, %lu tries", pending[i].address, pending[i].tries);
		view->remedy = xasprintf(
			"compare the fingerprint with the host's log, then `gdrctl node accept %s --name NAME`, or "
			"reject it",
			fingerprint);
		view->since_ms = pending[i].first_ms;
		view->seen_ms = pending[i].last_ms;
		view->key = xstrdup(pending[i].key);
		view->address = xstrdup(pending[i].address);
		answer->nodes[answer->n_nodes++] = view;
	}
	free(pending);
}

static bool
asks_for_pending(const Gdr__NodeQuery *query)
{
	bool asked = query->n_states == 0;

	for (size_t i = 0; i < query->n_states; i++)
		asked = asked || query->states[i] == GDR__NODE_STATE__NODE_PENDING;
	return asked && !query->layer && !query->item && !query->after &&
	       (!query->of || (query->of->n_names == 0 && (!query->of->selector || !*query->of->selector)));
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* The pending key that 'what' (a beginning of the key or of its fingerprint, or the address that it comes from) means;
 * a whole key need not be pending. */
static int
find_pending(struct operators *operators, const char *what, char out[KEY_LEN + 1], struct err *err)
{
	struct zap_pending *pending;
	size_t n;
	size_t found = 0;

	/* An unset variable in a script must not let in whoever happens to wait. */
	if (strlen(what) < PREFIX_MIN)
		return err_set(err, -EINVAL, "'%s': give at least %d characters of the key or its fingerprint", what,
			       PREFIX_MIN);
	n = zap_pending(operators->zap, &pending);

	for (size_t i = 0; i < n; i++) {
		char fingerprint[KEY_FINGERPRINT_LEN + 1];

		keys_fingerprint(pending[i].key, fingerprint);
		if (!begins(pending[i].key, what) && !begins(fingerprint, what) &&
		    strcmp(pending[i].address, what) != 0)
			continue;
		found++;
		memcpy(out, pending[i].key, KEY_LEN + 1);
	}
	free(pending);
	if (found == 1)
		return 0;
	if (found > 1)
		return err_set(err, -EINVAL, "'%s' fits %zu pending keys: give more of the fingerprint", what, found);
	if (!keys_valid(what))
		return err_set(err, -ENOENT,
			       "no pending key begins with '%s'; `gdrctl node list --state pending` shows them", what);
	memcpy(out, what, KEY_LEN + 1);
	return 0;
}

/* --- handlers ----------------------------------------------------------------------------------------------------- */

static int
do_apply(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_apply(o->fleet, ask, r->apply, err);
}

static int
do_export(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_export(o->fleet, ask, r->export, err);
}

static int
do_nodes(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	int rc = fleet_query_nodes(o->fleet, ask, r->nodes, err);

	if (rc == 0 && asks_for_pending(r->nodes))
		add_pending(o, ask->answer);
	return rc;
}

static int
do_accept(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	const struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	const Gdr__NodeAccept *accept = r->node_accept;
	const char *what = accept->key;
	char key[KEY_LEN + 1];

	if (!what)
		return err_set(err, -EINVAL, "which key? `gdrctl node list --state pending` shows them");
	if (!accept->name)
		return err_set(err, -EINVAL, "a node needs a name: gdrctl node accept %s --name NAME", what);
	if (rules_check_text(&rule, accept->name, err) < 0)
		return err_wrap(err, "--name");
	if (find_pending(o, what, key, err) < 0)
		return err->code;
	if (keyring_find(o->keyring, key))
		return err_set(err, -EEXIST, "this key is %s's already", keyring_find(o->keyring, key)->name);
	return fleet_accept(o->fleet, ask, key, accept->name, err);
}

static int
do_reject(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	char key[KEY_LEN + 1];
	char fingerprint[KEY_FINGERPRINT_LEN + 1];

	if (!r->node_reject->key)
		return err_set(err, -EINVAL, "which key?");
	if (find_pending(o, r->node_reject->key, key, err) < 0)
		return err->code;
	keys_fingerprint(key, fingerprint);
	if (keyring_find(o->keyring, key))
		return err_set(err, -EEXIST, "this key is %s's: it is removed, not rejected",
			       keyring_find(o->keyring, key)->name);
	if (ask->dry_run)
		return 0;
	zap_forget(o->zap, key, true);
	auto_free char *object = xasprintf("key/%s", fingerprint);
	return fleet_note(o->fleet, ask, "node.rejected", object, "not listed again until gdrd restarts", err);
}

static int
do_remove(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_remove(o->fleet, ask, r->node_remove->of, err);
}

static int
do_label(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_label(o->fleet, ask, r->node_label, err);
}

static int
do_mode(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	if (!r->node_mode->has_mode)
		return err_set(err, -EINVAL, "which mode?");
	return fleet_mode(o->fleet, ask, r->node_mode, err);
}

static int
do_assign(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_assign(o->fleet, ask, r->node_assign, err);
}

static int
do_reboot(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_reboot(o->fleet, ask, r->node_reboot, err);
}

static int
do_profiles(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_profiles(o->fleet, ask, r->profiles, err);
}

static int
do_events(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_events(o->fleet, ask, r->events, err);
}

static int
do_drift(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_drift(o->fleet, ask, r->drift, err);
}

static int
do_vms(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_vms(o->fleet, ask, r->vms, err);
}

static int
do_status(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_status(o->fleet, ask, r->status, err);
}

static int
do_rollout_plan(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_rollout_plan(o->fleet, ask, r->rollout_plan->plan, err);
}

static int
do_rollout_start(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_rollout_start(o->fleet, ask, r->rollout_start->plan, err);
}

static int
do_rollouts(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_rollouts(o->fleet, ask, r->rollouts, err);
}

static int
do_rollout_change(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_rollout_change(o->fleet, ask, r->rollout_change, err);
}

static int
do_windows(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_query_windows(o->fleet, ask, r->windows, err);
}

static int
do_window_remove(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	return fleet_window_remove(o->fleet, ask, r->window_remove, err);
}

static char *
rfc3339(uint64_t ms)
{
	char text[32] = "";
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return xstrdup(text);
}

static int
do_token(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	const struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	const Gdr__TokenCreate *create = r->token_create;
	struct token token = { .node = create->node };
	struct keypair pair;

	if (create->node && rules_check_text(&rule, create->node, err) < 0)
		return err_wrap(err, "--node");
	keys_generate(&pair);
	memcpy(token.key, pair.public_key, sizeof(token.key));
	token.expires_ms = ask->now_ms + (create->has_ttl_ms ? create->ttl_ms : DEFAULT_TTL);
	if (ask->dry_run)
		return 0;
	auto_free char *object = create->node ? xasprintf("node/%s", create->node) : xstrdup("fleet");
	int rc = fleet_note(o->fleet, ask, "token.created", object, "", err);
	if (rc == 0)
		rc = keyring_add_token(o->keyring, &token, err);
	if (rc < 0)
		return rc;
	Gdr__JoinToken *out = xcalloc(1, sizeof(*out));
	gdr__join_token__init(out);
	out->agents = xstrdup(o->endpoints.agents);
	out->enrol = xstrdup(o->endpoints.enrol);
	out->server_key = xstrdup(o->endpoints.server_key);
	out->secret = xstrdup(pair.secret_key);
	out->node = create->node ? xstrdup(create->node) : NULL;
	out->expires = rfc3339(token.expires_ms);
	ask->answer->token = out;
	return 0;
}

static int
do_user_add(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	const struct rule rule = { .kind = RULE_NAME, .min = 1, .max = 63 };
	const Gdr__UserAdd *add = r->user_add;
	struct principal principal = { .name = add->name, .role = add->role, .created_ms = ask->now_ms };

	if (!add->name)
		return err_set(err, -EINVAL, "a user needs a name");
	if (rules_check_text(&rule, add->name, err) < 0)
		return err_wrap(err, "user name");
	if (!add->has_role)
		return err_set(err, -EINVAL, "which role? viewer, operator or admin");
	if (!keys_valid(add->key))
		return err_set(err, -EINVAL, "key: expected 40 characters of Z85");
	if (keyring_find(o->keyring, add->key))
		return err_set(err, -EEXIST, "this key is %s's already", keyring_find(o->keyring, add->key)->name);
	if (keyring_find_user(o->keyring, add->name))
		return err_set(err, -EEXIST, "there is a user '%s' already: remove it first", add->name);
	if (ask->dry_run)
		return 0;
	memcpy(principal.key, add->key, sizeof(principal.key));
	auto_free char *object = xasprintf("user/%s", add->name);
	int rc = fleet_note(o->fleet, ask, "user.added", object, pbtext_enum(&gdr__role__descriptor, (int)add->role),
			    err);
	return rc == 0 ? keyring_add(o->keyring, &principal, err) : rc;
}

static void
count_admin(void *arg, const struct principal *principal)
{
	*(size_t *)arg += principal->role == GDR__ROLE__ROLE_ADMIN;
}

static int
do_user_remove(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	const char *name = r->user_remove->name ? r->user_remove->name : "";
	const struct principal *user = keyring_find_user(o->keyring, name);
	size_t admins = 0;

	if (!user)
		return err_set(err, -ENOENT, "there is no user '%s'; `gdrctl user list` shows them", name);
	keyring_each_user(o->keyring, count_admin, &admins);
	if (user->role == GDR__ROLE__ROLE_ADMIN && admins == 1)
		return err_set(err, -EPERM, "'%s' is the only admin: without one nobody could add another", name);
	if (ask->dry_run)
		return 0;
	auto_free char *object = xasprintf("user/%s", name);
	auto_free char *key = xstrdup(user->key);
	int rc = fleet_note(o->fleet, ask, "user.removed", object, "", err);
	return rc == 0 ? keyring_remove(o->keyring, key, err) : rc;
}

static int
do_key_rotate(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	const struct principal *user = keyring_find_user(o->keyring, ask->actor + strlen("user/"));
	const char *key = r->key_rotate->key;

	if (!user)
		return err_set(err, -ENOENT, "%s has no key", ask->actor);
	if (!keys_valid(key))
		return err_set(err, -EINVAL, "key: expected 40 characters of Z85");
	if (keyring_find(o->keyring, key))
		return err_set(err, -EEXIST, "this key is %s's already", keyring_find(o->keyring, key)->name);
	if (ask->dry_run)
		return 0;
	auto_free char *name = xstrdup(user->name);
	auto_free char *old = xstrdup(user->key);
	struct principal rotated = { .name = name, .role = user->role, .created_ms = user->created_ms };
	memcpy(rotated.key, key, sizeof(rotated.key));
	int rc = fleet_note(o->fleet, ask, "user.key-rotated", ask->actor, "", err);
	if (rc == 0)
		rc = keyring_remove(o->keyring, old, err);
	return rc == 0 ? keyring_add(o->keyring, &rotated, err) : rc;
}

static void
add_user(void *arg, const struct principal *principal)
{
	Gdr__Response *answer = arg;
	Gdr__User *user = xcalloc(1, sizeof(*user));

	gdr__user__init(user);
	user->name = xstrdup(principal->name);
	user->key = xstrdup(principal->key);
	user->has_role = user->has_created_ms = true;
	user->role = principal->role;
	user->created_ms = principal->created_ms;
	answer->users = xrealloc(answer->users, answer->n_users + 1, sizeof(*answer->users));
	answer->users[answer->n_users++] = user;
}

static int
do_users(struct operators *o, const struct ask *ask, const Gdr__Request *r, struct err *err)
{
	(void)r;
	(void)err;
	keyring_each_user(o->keyring, add_user, ask->answer);
	return 0;
}

/* Who may ask what: the only place that says so. */
static const struct handler {
	Gdr__Request__BodyCase body;
	Gdr__Role role;
	bool changes;
	int (*handle)(struct operators *operators, const struct ask *ask, const Gdr__Request *request, struct err *err);
} handlers[] = {
	{ GDR__REQUEST__BODY_STATUS, GDR__ROLE__ROLE_VIEWER, false, do_status },
	{ GDR__REQUEST__BODY_NODES, GDR__ROLE__ROLE_VIEWER, false, do_nodes },
	{ GDR__REQUEST__BODY_PROFILES, GDR__ROLE__ROLE_VIEWER, false, do_profiles },
	{ GDR__REQUEST__BODY_EVENTS, GDR__ROLE__ROLE_VIEWER, false, do_events },
	{ GDR__REQUEST__BODY_DRIFT, GDR__ROLE__ROLE_VIEWER, false, do_drift },
	{ GDR__REQUEST__BODY_VMS, GDR__ROLE__ROLE_VIEWER, false, do_vms },
	{ GDR__REQUEST__BODY_EXPORT, GDR__ROLE__ROLE_VIEWER, false, do_export },
	{ GDR__REQUEST__BODY_ROLLOUTS, GDR__ROLE__ROLE_VIEWER, false, do_rollouts },
	{ GDR__REQUEST__BODY_ROLLOUT_PLAN, GDR__ROLE__ROLE_VIEWER, false, do_rollout_plan },
	{ GDR__REQUEST__BODY_ROLLOUT_START, GDR__ROLE__ROLE_OPERATOR, true, do_rollout_start },
	{ GDR__REQUEST__BODY_ROLLOUT_CHANGE, GDR__ROLE__ROLE_OPERATOR, true, do_rollout_change },
	{ GDR__REQUEST__BODY_WINDOWS, GDR__ROLE__ROLE_VIEWER, false, do_windows },
	{ GDR__REQUEST__BODY_WINDOW_REMOVE, GDR__ROLE__ROLE_OPERATOR, true, do_window_remove },
	{ GDR__REQUEST__BODY_APPLY, GDR__ROLE__ROLE_OPERATOR, true, do_apply },
	{ GDR__REQUEST__BODY_NODE_LABEL, GDR__ROLE__ROLE_OPERATOR, true, do_label },
	{ GDR__REQUEST__BODY_NODE_MODE, GDR__ROLE__ROLE_OPERATOR, true, do_mode },
	{ GDR__REQUEST__BODY_NODE_ASSIGN, GDR__ROLE__ROLE_OPERATOR, true, do_assign },
	{ GDR__REQUEST__BODY_NODE_REBOOT, GDR__ROLE__ROLE_OPERATOR, true, do_reboot },
	{ GDR__REQUEST__BODY_NODE_ACCEPT, GDR__ROLE__ROLE_ADMIN, true, do_accept },
	{ GDR__REQUEST__BODY_NODE_REJECT, GDR__ROLE__ROLE_ADMIN, true, do_reject },
	{ GDR__REQUEST__BODY_NODE_REMOVE, GDR__ROLE__ROLE_ADMIN, true, do_remove },
	{ GDR__REQUEST__BODY_TOKEN_CREATE, GDR__ROLE__ROLE_ADMIN, true, do_token },
	{ GDR__REQUEST__BODY_USER_ADD, GDR__ROLE__ROLE_ADMIN, true, do_user_add },
	{ GDR__REQUEST__BODY_USER_REMOVE, GDR__ROLE__ROLE_ADMIN, true, do_user_remove },
	{ GDR__REQUEST__BODY_USERS, GDR__ROLE__ROLE_ADMIN, false, do_users },
	{ GDR__REQUEST__BODY_KEY_ROTATE, GDR__ROLE__ROLE_VIEWER, true, do_key_rotate },
};

static const struct handler *
find_handler(Gdr__Request__BodyCase body)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].body == body)
			return &handlers[i];
	return NULL;
}

/* --- one request ------------------------------------------------------------------------------------------------- */

static Gdr__Code
code_of(int rc)
{
	switch (rc) {
	case 0: return GDR__CODE__CODE_OK;
	case -EPERM:
	case -EACCES: return GDR__CODE__CODE_NOT_ALLOWED;
	case -EINVAL: return GDR__CODE__CODE_USAGE;
	default: return GDR__CODE__CODE_ERROR;
	}
}

static void
conclude(Gdr__Response *answer, int rc, const char *message)
{
	answer->has_code = true;
	answer->code = code_of(rc);
	if (!message)
		return;
	free(answer->message);
	answer->message = xstrdup(message);
}

/* True if it was answered before. */
static bool
repeat(struct operators *operators, const Gdr__Request *request, Gdr__Response *answer)
{
	char *message = NULL;
	int code = request->idempotency_key ? fleet_answered(operators->fleet, request->idempotency_key, &message) : -1;

	if (code < 0)
		return false;
	answer->has_code = true;
	answer->code = (Gdr__Code)code;
	answer->message = message;
	return true;
}

static void
handle(struct operators *operators, const struct principal *who, const Gdr__Request *request, Gdr__Response *answer)
{
	const struct handler *handler = find_handler(request->body_case);
	auto_free char *actor = xasprintf("user/%s", who->name);
	struct ask ask = { .actor = actor,
			   .now_ms = (uint64_t)zclock_time(),
			   .dry_run = request->has_dry_run && request->dry_run,
			   .answer = answer };
	struct err err = { 0 };

	if (!handler) {
		conclude(answer, -EINVAL, "this gdrd does not know that request: is gdrctl newer?");
		return;
	}
	if (who->role < handler->role) {
		auto_free char *why = xasprintf("user '%s' has the role %s; this takes the role %s", who->name,
						pbtext_enum(&gdr__role__descriptor, (int)who->role),
						pbtext_enum(&gdr__role__descriptor, (int)handler->role));
		conclude(answer, -EPERM, why);
		return;
	}
	if (handler->changes && repeat(operators, request, answer))
		return;
	int rc = handler->handle(operators, &ask, request, &err);
	conclude(answer, rc, rc < 0 ? err.msg : NULL);
	if (handler->changes && rc == 0 && request->idempotency_key && !ask.dry_run)
		fleet_remember_answer(operators->fleet, request->idempotency_key, (int)answer->code, answer->message);
}

void
operators_view(struct operators *operators, const char *name, const Gdr__Request *request, Gdr__Response *answer)
{
	auto_free char *copy = xstrdup(name);
	const struct principal who = { .name = copy, .role = GDR__ROLE__ROLE_VIEWER };

	handle(operators, &who, request, answer);
}

static uint8_t *
too_large(char *id, size_t *len)
{
	Gdr__Response answer = GDR__RESPONSE__INIT;

	answer.id = id;
	conclude(&answer, -E2BIG, "the answer is too large: select fewer nodes, or ask without detail");
	uint8_t *data = pb_pack(&answer.base, len);
	free(answer.message);
	return data;
}

uint8_t *
operators_answer(struct operators *operators, const struct wire_peer *peer, const void *asked, size_t asked_len,
		 size_t *len)
{
	const struct principal *who = keyring_find(operators->keyring, peer->key);
	struct err err = { 0 };

	if (!who || who->is_node)
		return NULL;
	auto_pb Gdr__Request *request = (Gdr__Request *)pb_unpack(&gdr__request__descriptor, asked, asked_len, &err);
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	gdr__response__init(answer);
	if (!request) {
		log_burst(&operators->garbage, "user %s (%s): not a request: %s", who->name, peer->address, err.msg);
		conclude(answer, -EINVAL, "not a request");
	} else {
		answer->id = request->id ? xstrdup(request->id) : NULL;
		if (pb_check(&request->base, &err) < 0)
			conclude(answer, -EINVAL, err.msg);
		else
			handle(operators, who, request, answer);
	}
	uint8_t *data = pb_pack(&answer->base, len);
	if (*len > WIRE_ANSWER_MAX) {
		free(data);
		data = too_large(answer->id, len);
	}
	return data;
}

static void
on_one(struct operators *operators, const struct wire_frame *frame)
{
	size_t len;
	uint8_t *data = operators_answer(operators, &frame->peer, frame->data, frame->len, &len);

	if (data)
		answers_add(&operators->answers, &frame->peer, data, len);
	else
		wire_cut(&frame->peer);
}

static int
on_frames(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
	struct operators *operators = arg;
	struct wire_frame frame;

	(void)loop;
	(void)item;
	for (int i = 0; i < FRAMES_A_TURN && wire_recv(operators->wire, &frame) > 0; i++)
		on_one(operators, &frame);
	operators->turn.end(operators->turn.arg);
	return 0;
}

/* The same answers, as failures: with the ids by which their askers know them. */
static void
fail_all(struct operators *operators, const char *failed)
{
	struct answers waiting = operators->answers;

	operators->answers = (struct answers){ 0 };
	for (size_t i = 0; i < waiting.n; i++) {
		struct err err = { 0 };
		auto_pb Gdr__Response *was = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, waiting.all[i].data,
									waiting.all[i].len, &err);
		Gdr__Response answer = GDR__RESPONSE__INIT;
		auto_free char *message = xasprintf("nothing was done: %s", failed);
		size_t len;

		answer.id = was ? was->id : NULL;
		answer.has_code = true;
		answer.code = GDR__CODE__CODE_ERROR;
		answer.message = message;
		uint8_t *data = pb_pack(&answer.base, &len);
		answers_add(&operators->answers, &waiting.all[i].peer, data, len);
	}
	answers_clear(&waiting);
}

void
operators_flush(struct operators *operators, const char *failed)
{
	if (failed)
		fail_all(operators, failed);
	answers_send(&operators->answers, operators->wire);
}

void
operators_tick(struct operators *operators)
{
	log_burst_tick(&operators->garbage);
}

struct operators *
operators_new(struct wire *wire, struct fleet *fleet, struct keyring *keyring, struct zap *zap,
	      const struct endpoints *endpoints, const struct turn *turn)
{
	struct operators *operators = xcalloc(1, sizeof(*operators));
	zmq_pollitem_t item = { .socket = wire_socket(wire), .events = ZMQ_POLLIN };

	operators->wire = wire;
	operators->fleet = fleet;
	operators->keyring = keyring;
	operators->zap = zap;
	operators->endpoints = *endpoints;
	operators->turn = *turn;
	(void)zloop_poller(turn->loop, &item, on_frames, operators);
	return operators;
}

void
operators_free(struct operators *operators)
{
	if (!operators)
		return;
	answers_clear(&operators->answers);
	wire_close(operators->wire);
	free(operators);
}
