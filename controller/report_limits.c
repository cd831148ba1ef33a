#include "controller/report_limits.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/pb.h"
#include "common/wire.h"

#define WHY_MAX  1024 /* Shown in every list of nodes; converge.c's are half of that. */
#define TEXT_MAX 8192 /* A kernel's command line has 4096. */

/* An eight-GPU guest's report has 12 KiB and 240 parts, a host's with every layer some times that. */
static const struct limits {
	size_t bytes;
	size_t parts; /* Messages within it: items, PCI devices, VMs, and what those consist of. */
} limits[] = { [false] = { WIRE_MAX, 20000 }, [true] = { 256U << 10, 2000 } };

static int
check_text(const ProtobufCFieldDescriptor *field, const char *text, struct err *err)
{
	if (strnlen(text, TEXT_MAX + 1) <= TEXT_MAX)
		return 0;
	return err_set(err, -E2BIG, "%s: a text of more than %d bytes", field->name, TEXT_MAX);
}

/* Counts '*left' down.  Ends, as no message of a report holds another of its own kind. */
static int
check_parts(const ProtobufCMessage *message, size_t *left, struct err *err)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	int rc = 0;

	for (unsigned f = 0; f < type->n_fields; f++) {
		const ProtobufCFieldDescriptor *field = &type->fields[f];
		size_t n = pb_count(message, field);

		for (size_t i = 0; i < n && rc == 0; i++) {
			const void *value = pb_value(message, field, i);

			if (field->type == PROTOBUF_C_TYPE_STRING)
				rc = check_text(field, *(const char *const *)value, err);
			else if (field->type == PROTOBUF_C_TYPE_MESSAGE && (*left)-- == 0)
				rc = err_set(err, -E2BIG, "%s: more than a machine has", field->name);
			else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
				rc = check_parts(*(const ProtobufCMessage *const *)value, left, err);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
report_limits_check(const Gdr__Report *report, size_t len, bool guest, struct err *err)
{
	size_t left = limits[guest].parts;

	if (len > limits[guest].bytes)
		return err_set(err, -E2BIG, "a report of %zu bytes", len);
	if (report->why && strnlen(report->why, WHY_MAX + 1) > WHY_MAX)
		return err_set(err, -E2BIG, "why: a reason of more than %d bytes", WHY_MAX);
	return check_parts(&report->base, &left, err);
}
