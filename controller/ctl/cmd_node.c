/* cmd_node.c - gdrctl node list, show, accept, reject: looking at nodes, and letting them in. */

#include <errno.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/nodeshow.h"
#include "controller/ctl/output.h"
#include "controller/ctl/views.h"
#include "controller/ctl/wait.h"

/* --- node list --- */

static int
unknown_state(const char *word, struct err *err)
{
	const char *names[32] = { 0 };
	const ProtobufCEnumDescriptor *type = &gdr__node_state__descriptor;

	for (unsigned i = 0; i < type->n_values && i < 31; i++)
		names[i] = pbtext_enum(type, type->values[i].value);
	return ctl_unknown("--state: ", "state", word, names, err);
}

/* "stuck,lost" */
static int
parse_states(const char *text, Gdr__NodeQuery *query, struct err *err)
{
	while (text) {
		size_t len = strcspn(text, ",");
		auto_free char *word = xasprintf("%.*s", (int)len, text);
		int state = 0;

		if (!pbtext_enum_parse(&gdr__node_state__descriptor, word, &state))
			return unknown_state(word, err);
		query->states = xrealloc(query->states, query->n_states + 1, sizeof(*query->states));
		query->states[query->n_states++] = (Gdr__NodeState)state;
		text = text[len] == ',' ? text + len + 1 : NULL;
	}
	return 0;
}

static int
ask_list(struct ctl *ctl, Gdr__NodeQuery *query, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	auto_pb Gdr__Response *response = NULL;

	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = query;
	if (ctl_flag(ctl, "watch"))
		return watch_list(ctl, &view_nodes, &request, err);
	int rc = ctl_call(ctl, &request, &response, err);
	if (rc == 0)
		output_list(ctl, &view_nodes, response);
	return rc;
}

/* A copy that the request may point to. */
static char *
option_copy(const struct ctl *ctl, const char *name)
{
	const char *value = ctl_option(ctl, name);

	return value ? xstrdup(value) : NULL;
}

static int
run_list(struct ctl *ctl, struct err *err)
{
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	auto_free char *layer = option_copy(ctl, "layer");
	auto_free char *item = option_copy(ctl, "item");
	int rc = ctl_selection(ctl, ctl->args.n_words, &of, &names, err);

	query.of = &of;
	query.layer = layer;
	query.item = item;
	if (rc == 0)
		rc = parse_states(ctl_option(ctl, "state"), &query, err);
	if (rc == 0)
		rc = ask_list(ctl, &query, err);
	free(query.states);
	return rc;
}

const struct command command_node_list = {
	.name = "node list",
	.args = "[NAME...]",
	.help = "nodes and how they are",
	.more = "LAYERS shows for each layer 'ok', or how many of its items are not right: 'pci 14!'.",
	.examples = "  gdrctl node list -l rack=r7 --state stuck,lost\n"
		    "  gdrctl node list --item '*/acs' -o name | xargs -n 1 gdrctl node show",
	.values = "@nodes",
	.options =
		(const struct option[]){
			OPTION_SELECTOR,
			{ 0, "state", "STATE,...",
			  "ready converging wants-reboot rebooting stuck drifted held lost unassigned new pending",
			  "only nodes in one of these states" },
			{ 0, "layer", "LAYER", "bios kernel hugepages pci",
			  "only nodes where this layer is not right" },
			{ 0, "item", "PATTERN", NULL, "only nodes where such an item is not right (a shell pattern)" },
			OPTION_WATCH,
			{ 0 },
		},
	.max = -1,
	.run = run_list,
};

/* --- node show --- */

static int
run_show(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	Gdr__Selection of = GDR__SELECTION__INIT;
	auto_strv char **names = NULL;
	auto_pb Gdr__Response *response = NULL;
	int rc = ctl_selection(ctl, 1, &of, &names, err);

	if (rc != 0)
		return rc;
	query.of = &of;
	query.has_detail = true;
	query.detail = true;
	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	rc = ctl_call(ctl, &request, &response, err);
	if (rc != 0)
		return rc;
	if (response->n_nodes == 0)
		return err_set(err, CTL_ERROR, "no node '%s'; see `gdrctl node list`", names[0]);
	if (output_human(ctl)) {
		nodeshow(ctl, response->nodes[0]);
		return 0;
	}
	auto_free char *name = xasprintf("node/%s", names[0]);
	output_object(ctl, response->nodes[0], NULL, name);
	return 0;
}

const struct command command_node_show = {
	.name = "node show",
	.args = "NAME",
	.help = "everything about one node: items, reboots, machine",
	.more = "Each item: what is wanted, what is there, and what it takes: 'live' and 'stage' the agent does by\n"
		"itself, 'boot' waits for a reboot, 'manual' for a person.  -o json also has the inventory.",
	.examples = "  gdrctl node show n1",
	.values = "@nodes",
	.min = 1,
	.max = 1,
	.run = run_show,
};

/* --- node accept, reject --- */

static int
ask_pending(struct ctl *ctl, Gdr__Response **out, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeQuery query = GDR__NODE_QUERY__INIT;
	Gdr__NodeState pending = GDR__NODE_STATE__NODE_PENDING;

	query.states = &pending;
	query.n_states = 1;
	request.body_case = GDR__REQUEST__BODY_NODES;
	request.nodes = &query;
	return ctl_call(ctl, &request, out, err);
}

static bool
is_fingerprint(const Gdr__NodeView *node, const char *word)
{
	char fingerprint[KEY_FINGERPRINT_LEN + 1];

	if (!keys_valid(node->key))
		return false;
	keys_fingerprint(node->key, fingerprint);
	return strcmp(fingerprint, word) == 0;
}

/* What an operator wrote, as the pending list knows it: a name that is claimed, a fingerprint as the list
 * shows it, or else a key or its beginning. */
static int
name_pending(struct ctl *ctl, const char *word, char **key, char **claim, struct err *err)
{
	auto_pb Gdr__Response *response = NULL;

	if (keys_valid(word)) {
		*key = xstrdup(word);
		return 0;
	}
	int rc = ask_pending(ctl, &response, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < response->n_nodes; i++) {
		const Gdr__NodeView *node = response->nodes[i];

		if (node->name && strcmp(node->name, word) == 0) {
			*claim = xstrdup(word);
			return 0;
		}
		if (is_fingerprint(node, word)) {
			*key = xstrdup(node->key);
			return 0;
		}
	}
	*key = xstrdup(word);
	return 0;
}

static int
run_accept(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAccept accept = GDR__NODE_ACCEPT__INIT;
	auto_free char *key = NULL;
	auto_free char *claim = NULL;
	auto_free char *name = option_copy(ctl, "name");
	int rc = name_pending(ctl, ctl->args.words[0], &key, &claim, err);

	if (rc != 0)
		return rc;
	accept.key = key;
	accept.claim = claim;
	accept.name = name;
	request.body_case = GDR__REQUEST__BODY_NODE_ACCEPT;
	request.node_accept = &accept;
	return ctl_change(ctl, &request, err);
}

const struct command command_node_accept = {
	.name = "node accept",
	.args = "KEY|NAME",
	.help = "let in a node whose key was refused",
	.more = "Compare the fingerprint (`node list --state pending -o wide`) with what the host says\n"
		"(`gdr-agent key`): whoever has the key is the node from then on.  KEY is the key, a beginning of it\n"
		"that is unique, or its fingerprint; NAME is the name that a pending key claims.",
	.examples = "  gdrctl node list --state pending -o wide\n"
		    "  gdrctl node accept 3f2a-91c0-77de-1b04 --name n17",
	.options =
		(const struct option[]){
			{ 0, "name", "NAME", NULL, "name to give (default: what it claims)" },
			{ 0 },
		},
	.min = 1,
	.max = 1,
	.run = run_accept,
};

static int
run_reject(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeReject reject = GDR__NODE_REJECT__INIT;
	auto_free char *key = NULL;
	auto_free char *claim = NULL;
	int rc = name_pending(ctl, ctl->args.words[0], &key, &claim, err);

	if (rc != 0)
		return rc;
	if (!key)
		return err_set(err, CTL_USAGE, "'%s' is a name that anyone may claim: give the key or its fingerprint",
			       claim);
	reject.key = key;
	request.body_case = GDR__REQUEST__BODY_NODE_REJECT;
	request.node_reject = &reject;
	return ctl_change(ctl, &request, err);
}

const struct command command_node_reject = {
	.name = "node reject",
	.args = "KEY",
	.help = "forget a pending key",
	.examples = "  gdrctl node reject 3f2a-91c0-77de-1b04",
	.min = 1,
	.max = 1,
	.run = run_reject,
};
