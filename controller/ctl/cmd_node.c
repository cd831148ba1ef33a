/* cmd_node.c - gdrctl node list, show, accept, reject: looking at nodes, and letting them in. */

#include <string.h>

#include "common/err.h"
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

/* " bios nic ...": what --layer takes. */
#define HOST(name)  " " #name
#define GUEST(name) HOST(name)
static const char layers[] =
#include "common/layers.def"
	;
#undef GUEST
#undef HOST

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
			{ 0, "layer", "LAYER", &layers[1], "only nodes where this layer is not right" },
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

/* What the controller finds a pending key by: "node/..." is how -o name prints it. */
static char *
pending_key(const struct ctl *ctl)
{
	const char *word = ctl->args.words[0];

	return xstrdup(strncmp(word, "node/", 5) == 0 ? word + 5 : word);
}

static int
run_accept(struct ctl *ctl, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__NodeAccept accept = GDR__NODE_ACCEPT__INIT;
	auto_free char *key = pending_key(ctl);
	auto_free char *name = option_copy(ctl, "name");

	accept.key = key;
	accept.name = name;
	request.body_case = GDR__REQUEST__BODY_NODE_ACCEPT;
	request.node_accept = &accept;
	return ctl_change(ctl, &request, err);
}

const struct command command_node_accept = {
	.name = "node accept",
	.args = "KEY",
	.help = "let in a host whose key was refused",
	.more = "KEY is the key's fingerprint, as `node list --state pending` and the host's log show it, or the key\n"
		"itself; a beginning that is unique will do.  Compare the two: whoever has the key is the node from\n"
		"then on.",
	.examples = "  gdrctl node list --state pending -o wide\n"
		    "  gdrctl node accept 3f2a-91c0-77de-1b04 --name n17",
	.options =
		(const struct option[]){
			{ 0, "name", "NAME", NULL, "the node's name" },
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
	auto_free char *key = pending_key(ctl);

	reject.key = key;
	request.body_case = GDR__REQUEST__BODY_NODE_REJECT;
	request.node_reject = &reject;
	return ctl_change(ctl, &request, err);
}

const struct command command_node_reject = {
	.name = "node reject",
	.args = "KEY",
	.help = "take a refused key off the list",
	.examples = "  gdrctl node reject 3f2a-91c0-77de-1b04",
	.min = 1,
	.max = 1,
	.run = run_reject,
};
