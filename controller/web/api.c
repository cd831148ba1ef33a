#include "controller/web/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/operators.h"
#include "controller/web/request.h"
#include "proto/api.pb-c.h"

#define PAGE        100
#define PAGE_MAX    1000
#define DETAIL_MAX  20
#define ACTOR       "web"
#define VALUE_PARTS 64 /* Of a list. */

const struct api_resource api_resources[] = {
	{ "nodes", "nodes", "nodes", "names",
	  "Nodes in order of their names; one of them with report and desired state", false },
	{ "profiles", "profiles", "profiles", "name", "Profiles, each with its newest revision; one: all its revisions",
	  false },
	{ "rollouts", "rollouts", "rollouts", "name", "Rollouts, newest first; one: with its nodes", false },
	{ "events", "events", "events", "after", "What happened, oldest first; one by its id", false },
	{ "vms", "vms", "vms", NULL, "VMs that hosts tell of; with detail=true, how far their GPUs are from their NICs",
	  false },
	{ "windows", "windows", "windows", "name", "Maintenance windows: whether they are open, and until when", true },
	{ "drift", "drift", "drift", NULL, "Items that are not as wanted, over the fleet", false },
	{ "summary", "status", "status", NULL, "Counts by state, and the nodes that need a person first", false },
};
const size_t api_n_resources = sizeof(api_resources) / sizeof(api_resources[0]);

/* --- a URL as a Request, by way of its JSON -------------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *
query_of(const struct api_resource *resource)
{
	return protobuf_c_message_descriptor_get_field_by_name(&gdr__request__descriptor, resource->query)->descriptor;
}

/* The field that parameter 'name' means: "state" is one of "states". */
static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *type, const char *name)
{
	auto_free char *plural = xasprintf("%ss", name);
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(type, name);

	return field ? field : protobuf_c_message_descriptor_get_field_by_name(type, plural);
}

/* What is no text is left as it is, so that the parser can say what it expected. */
static void
put_scalar(struct buf *json, const ProtobufCFieldDescriptor *field, const char *value, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (field->type != PROTOBUF_C_TYPE_STRING && len > 0 && strspn(value, plain) >= len) {
		buf_add(json, value, len);
		return;
	}
	auto_buf struct buf text = { 0 };
	buf_add(&text, value, len);
	buf_json(json, text.text);
}

static void
put_list(struct buf *json, const ProtobufCFieldDescriptor *field, const char *value)
{
	buf_puts(json, "[");
	for (int i = 0; i < VALUE_PARTS && value; i++) {
		size_t len = strcspn(value, ",");

		buf_puts(json, i ? ", " : "");
		put_scalar(json, field, value, len);
		value = value[len] ? value + len + 1 : NULL;
	}
	buf_puts(json, "]");
}

static void
put_field(struct buf *json, const ProtobufCFieldDescriptor *field, const char *value)
{
	buf_puts(json, json->text && json->text[json->len - 1] != '{' ? ", " : "");
	buf_json(json, field->name);
	buf_puts(json, ": ");
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		put_list(json, field, value);
	else
		put_scalar(json, field, value, strlen(value));
}

/* Every parameter that 'type' has a field for; 'used' says which. */
static void
put_args(struct buf *json, const ProtobufCMessageDescriptor *type, const struct web_request *request, bool *used)
{
	for (size_t i = 0; i < request->n_args; i++) {
		const ProtobufCFieldDescriptor *field = find_field(type, request->args[i].name);

		if (used[i] || !field || field->type == PROTOBUF_C_TYPE_MESSAGE)
			continue;
		used[i] = true;
		put_field(json, field, request->args[i].value);
	}
}

static int
check_used(const struct web_request *request, const ProtobufCMessageDescriptor *type, const bool *used, struct err *err)
{
	auto_buf struct buf names = { 0 };

	for (size_t i = 0; i < request->n_args; i++) {
		if (used[i])
			continue;
		for (unsigned j = 0; j < type->n_fields; j++)
			buf_printf(&names, "%s%s", j ? ", " : "",
				   type->fields[j].type == PROTOBUF_C_TYPE_MESSAGE ? "names, selector"
										   : type->fields[j].name);
		return err_set(err, -EINVAL, "no parameter '%s' here; there are: %s", request->args[i].name,
			       names.text ? names.text : "none");
	}
	return 0;
}

/* {"nodes": {"of": {"selector": "rack=r7"}, "states": [stuck]}} */
static int
request_of(const struct api_resource *resource, const struct web_request *url, Gdr__Request **out, struct err *err)
{
	const ProtobufCMessageDescriptor *type = query_of(resource);
	bool used[WEB_ARGS_MAX] = { false };
	auto_buf struct buf of = { 0 };
	auto_buf struct buf query = { 0 };
	auto_buf struct buf json = { 0 };

	buf_puts(&query, "{");
	buf_puts(&of, "{");
	put_args(&query, type, url, used);
	if (protobuf_c_message_descriptor_get_field_by_name(type, "of")) {
		put_args(&of, &gdr__selection__descriptor, url, used);
		buf_printf(&query, "%s\"of\": %s}", query.len > 1 ? ", " : "", of.text);
	}
	buf_puts(&query, "}");
	if (check_used(url, type, used, err) < 0)
		return err->code;
	buf_printf(&json, "{\"%s\": %s}", resource->query, query.text);
	return pbtext_parse(&gdr__request__descriptor, "query", json.text, json.len, (ProtobufCMessage **)out, err);
}

/* --- pages ----------------------------------------------------------------------------------------------------- */

/* No answer is so large that agents would wait for it. */
static void
bound(Gdr__Request *request)
{
	if (request->body_case != GDR__REQUEST__BODY_NODES)
		return;
	Gdr__NodeQuery *query = request->nodes;
	uint32_t most = query->detail ? DETAIL_MAX : PAGE_MAX;

	query->limit = query->has_limit ? query->limit : PAGE;
	query->limit = query->limit == 0 || query->limit > most ? most : query->limit;
	query->has_limit = true;
}

/* The page behind an event list's last one. */
static void
add_next(const Gdr__Request *request, Gdr__Response *answer)
{
	uint32_t limit = request->body_case != GDR__REQUEST__BODY_EVENTS ? 0
			 : request->events->has_limit                    ? request->events->limit
									 : PAGE;

	if (limit > 0 && !request->events->newest && answer->n_events == limit)
		answer->next = xasprintf("%llu", (unsigned long long)answer->events[answer->n_events - 1]->id);
}

/* --- one of it -------------------------------------------------------------------------------------------------- */

/* /nodes/NAME as ?names=NAME; events are asked for by what is before them. */
static struct web_request
as_query(const struct api_resource *resource, const struct web_request *url, const char *name, char *number,
	 size_t size)
{
	struct web_request query = *url;

	query.n_args = 1;
	query.args[0] = (struct web_arg){ resource->one, name };
	if (strcmp(resource->one, "after") == 0) {
		unsigned long long id = strtoull(name, NULL, 10);

		(void)snprintf(number, size, "%llu", id ? id - 1 : 0);
		query.args[0].value = number;
		query.args[query.n_args++] = (struct web_arg){ "limit", "1" };
	}
	if (strcmp(resource->one, "names") == 0)
		query.args[query.n_args++] = (struct web_arg){ "detail", "true" };
	return query;
}

static bool
is_event(const Gdr__Response *answer, const char *id)
{
	char text[24];

	if (answer->n_events != 1)
		return false;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)answer->events[0]->id);
	return strcmp(text, id) == 0;
}

/* Of a profile all revisions, of the others the one. */
static const ProtobufCMessage *
pick(const struct api_resource *resource, const Gdr__Response *answer, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(&gdr__response__descriptor, resource->reply);

	if (!resource->one)
		return *(ProtobufCMessage *const *)pb_value(&answer->base, field, 0);
	if (strcmp(resource->name, "profiles") == 0)
		return &answer->base;
	if (pb_count(&answer->base, field) != 1 || (answer->events && !is_event(answer, name)))
		return NULL;
	return *(ProtobufCMessage *const *)pb_value(&answer->base, field, 0);
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static unsigned
status_of(Gdr__Code code, bool one)
{
	switch ((int)code) {
	case GDR__CODE__CODE_OK: return 200;
	case GDR__CODE__CODE_USAGE: return 400;
	case GDR__CODE__CODE_NOT_ALLOWED: return 403;
	default: return one ? 404 : 500;
	}
}

static void
ask(struct operators *operators, const struct api_resource *resource, const struct web_request *url, const char *name,
    struct web_answer *out)
{
	auto_pb Gdr__Request *request = NULL;
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));
	struct err err = { 0 };

	gdr__response__init(answer);
	if (request_of(resource, url, &request, &err) < 0 || !request) {
		web_refuse(out, 400, "%s", err.msg);
		return;
	}
	bound(request);
	operators_view(operators, ACTOR, request, answer);
	unsigned status = status_of(answer->code, name != NULL);
	const ProtobufCMessage *shown = name || strcmp(resource->reply, "status") == 0 ? NULL : &answer->base;
	if (status == 200 && !shown && !(shown = pick(resource, answer, name ? name : "")))
		status = 404;
	if (status != 200) {
		web_refuse(out, status, "%s", answer->message ? answer->message : "there is none of that name");
		return;
	}
	answer->has_code = false;
	add_next(request, answer);
	out->status = status;
	out->type = "application/json";
	pbtext_print(shown, NULL, PBTEXT_JSON, &out->body);
}

/* 'name': what stands behind "/", or NULL. */
static const struct api_resource *
find_resource(const char *path, const char **name)
{
	const char *rest = path + strlen(API_ROOT);
	size_t len = strcspn(rest, "/");

	*name = rest[len] == '/' && rest[len + 1] ? rest + len + 1 : NULL;
	for (size_t i = 0; i < api_n_resources; i++) {
		const struct api_resource *resource = &api_resources[i];

		if (strncmp(rest, resource->name, len) == 0 && !resource->name[len] && (!*name || resource->one))
			return resource;
	}
	return NULL;
}

bool
api_by_clock(const char *path)
{
	const char *name;
	const struct api_resource *resource = find_resource(path, &name);

	return resource && resource->by_clock;
}

bool
api_answer(struct operators *operators, const struct web_request *request, struct web_answer *answer)
{
	const char *name;
	const struct api_resource *resource = find_resource(request->path, &name);
	char number[24];
	struct web_request one = { 0 };

	if (!resource)
		return false;
	if (name)
		one = as_query(resource, request, name, number, sizeof(number));
	ask(operators, resource, name ? &one : request, name, answer);
	return true;
}

void
api_summary(struct operators *operators, struct buf *out)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__StatusQuery query = GDR__STATUS_QUERY__INIT;
	auto_pb Gdr__Response *answer = xcalloc(1, sizeof(*answer));

	gdr__response__init(answer);
	request.body_case = GDR__REQUEST__BODY_STATUS;
	request.status = &query;
	operators_view(operators, ACTOR, &request, answer);
	if (answer->status)
		pbtext_print(&answer->status->base, NULL, PBTEXT_JSON_LINE, out);
	else
		buf_puts(out, "{}");
}
