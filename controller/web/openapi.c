#include "controller/web/openapi.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <string.h>

#include "common/buf.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/rules.h"
#include "controller/web/api.h"
#include "proto/api.pb-c.h"

#define TYPES_MAX 128

/* Every message type that an answer may hold, each once. */
struct types {
	const ProtobufCMessageDescriptor *all[TYPES_MAX];
	size_t n;
};

static void
collect(struct types *types, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < types->n; i++)
		if (types->all[i] == type)
			return;
	if (types->n == TYPES_MAX)
		return;
	types->all[types->n++] = type;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE && !pb_is_map(&type->fields[i]))
			collect(types, type->fields[i].descriptor);
}

/* --- schemas --------------------------------------------------------------------------------------------------- */

static void
print_enum(const ProtobufCEnumDescriptor *type, struct buf *out)
{
	const char *const *names = pbtext_enum_names(type);

	buf_puts(out, "{\"type\": \"string\", \"enum\": [");
	for (size_t i = 0; names[i]; i++) {
		buf_puts(out, i ? ", " : "");
		buf_json(out, names[i]);
	}
	buf_puts(out, "]}");
}

static void
print_scalar(const ProtobufCMessageDescriptor *of, const ProtobufCFieldDescriptor *field, struct buf *out)
{
	const struct rule *rule = rules_find(of, field->name);
	bool text = rule && (rule->kind == RULE_DURATION || rule->kind == RULE_BYTES);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL: buf_puts(out, "{\"type\": \"boolean\"}"); break;
	case PROTOBUF_C_TYPE_ENUM: print_enum(field->descriptor, out); break;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES: buf_puts(out, "{\"type\": \"string\"}"); break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE: buf_puts(out, "{\"type\": \"number\"}"); break;
	default:
		if (rules_word(rule))
			buf_printf(out,
				   "{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"string\", \"enum\": [\"%s\"]}]}",
				   rules_word(rule));
		else
			buf_puts(out, text ? "{\"type\": \"string\"}" : "{\"type\": \"integer\"}");
		break;
	}
}

static void
print_ref(const ProtobufCMessageDescriptor *type, struct buf *out)
{
	buf_printf(out, "{\"$ref\": \"#/components/schemas/%s\"}", type->name);
}

static void
print_field(const ProtobufCMessageDescriptor *of, const ProtobufCFieldDescriptor *field, struct buf *out)
{
	bool list = field->label == PROTOBUF_C_LABEL_REPEATED;

	if (pb_is_map(field)) {
		buf_puts(out, "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"string\"}}");
		return;
	}
	buf_puts(out, list ? "{\"type\": \"array\", \"items\": " : "");
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		print_ref(field->descriptor, out);
	else
		print_scalar(of, field, out);
	buf_puts(out, list ? "}" : "");
}

static void
print_schema(const ProtobufCMessageDescriptor *type, struct buf *out)
{
	buf_json(out, type->name);
	buf_puts(out, ": {\"type\": \"object\", \"additionalProperties\": false, \"properties\": {");
	for (unsigned i = 0; i < type->n_fields; i++) {
		buf_puts(out, i ? ", " : "");
		buf_json(out, type->fields[i].name);
		buf_puts(out, ": ");
		print_field(type, &type->fields[i], out);
	}
	buf_puts(out, "}}");
}

/* --- paths ------------------------------------------------------------------------------------------------------ */

static void
print_parameters(const ProtobufCMessageDescriptor *query, struct buf *out, bool *any)
{
	for (unsigned i = 0; i < query->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &query->fields[i];

		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			print_parameters(field->descriptor, out, any);
			continue;
		}
		buf_puts(out, *any ? ", " : "");
		*any = true;
		buf_puts(out, "{\"in\": \"query\", \"name\": ");
		buf_json(out, field->name);
		buf_puts(out,
			 field->label == PROTOBUF_C_LABEL_REPEATED ? ", \"style\": \"form\", \"explode\": false" : "");
		buf_puts(out, ", \"schema\": ");
		print_field(query, field, out);
		buf_puts(out, "}");
	}
}

static void
print_answer(const struct api_resource *resource, const ProtobufCMessageDescriptor *type, struct buf *out)
{
	buf_puts(out, "\"summary\": ");
	buf_json(out, resource->says);
	buf_puts(out, ", \"responses\": {\"200\": {\"description\": \"as asked\", \"content\": {\"application/json\": "
		      "{\"schema\": ");
	print_ref(type, out);
	buf_puts(out,
		 "}}}, \"default\": {\"description\": \"why not\", \"content\": {\"application/json\": {\"schema\": "
		 "{\"$ref\": \"#/components/schemas/Refusal\"}}}}}");
}

static const ProtobufCMessageDescriptor *
field_type(const ProtobufCMessageDescriptor *of, const char *field)
{
	return protobuf_c_message_descriptor_get_field_by_name(of, field)->descriptor;
}

static void
print_paths(const struct api_resource *resource, struct buf *out)
{
	const ProtobufCMessageDescriptor *answer = &gdr__response__descriptor;
	const ProtobufCMessageDescriptor *item = field_type(answer, resource->reply);
	bool any = false;

	buf_printf(out, "\"" API_ROOT "%s\": {\"get\": {\"parameters\": [", resource->name);
	print_parameters(field_type(&gdr__request__descriptor, resource->query), out, &any);
	buf_puts(out, "], ");
	/* What there is only one of is not put in a list. */
	bool single = strcmp(resource->reply, "status") == 0;
	print_answer(resource, single ? item : answer, out);
	buf_puts(out, "}}");
	if (!resource->one)
		return;
	buf_printf(out,
		   ",\n\"" API_ROOT "%s/{name}\": {\"get\": {\"parameters\": [{\"in\": \"path\", \"name\": \"name\", "
		   "\"required\": true, \"schema\": {\"type\": \"string\"}}], ",
		   resource->name);
	/* Of a profile all revisions. */
	print_answer(resource, strcmp(resource->name, "profiles") == 0 ? answer : item, out);
	buf_puts(out, "}}");
}

void
openapi_print(struct buf *out)
{
	struct types types = { 0 };

	collect(&types, &gdr__response__descriptor);
	buf_puts(out,
		 "{\"openapi\": \"3.0.3\", \"info\": {\"title\": \"gdrfleet\", \"version\": \"" GDR_VERSION "\"},\n"
		 "\"paths\": {\n");
	for (size_t i = 0; i < api_n_resources; i++) {
		buf_puts(out, i ? ",\n" : "");
		print_paths(&api_resources[i], out);
	}
	buf_puts(
		out,
		"},\n\"components\": {\"schemas\": {\n\"Refusal\": {\"type\": \"object\", \"properties\": {\"message\": "
		"{\"type\": \"string\"}}, \"required\": [\"message\"]}");
	for (size_t i = 0; i < types.n; i++) {
		buf_puts(out, ",\n");
		print_schema(types.all[i], out);
	}
	buf_puts(out, "}}}\n");
}
