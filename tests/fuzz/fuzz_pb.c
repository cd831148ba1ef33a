/* Links: common */

/* Any bytes from any peer: the first says what they are taken for. */

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/api.pb-c.h"
#include "proto/wire.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(const ProtobufCMessage *message)
{
	auto_buf struct buf out = { 0 };
	char hash[PB_HASH_LEN + 1];
	struct err err = { 0 };

	(void)pb_check(message, &err);
	for (int form = PBTEXT_YAML; form <= PBTEXT_JSON_LINE; form++)
		pbtext_print(message, NULL, (enum pbtext_form)form, &out);
	pb_hash(message, hash);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&gdr__from_agent__descriptor, &gdr__to_agent__descriptor, &gdr__request__descriptor,
		&gdr__enrol__descriptor,      &gdr__response__descriptor,
	};
	struct err err = { 0 };

	if (size == 0)
		return 0;
	const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
	auto_pb ProtobufCMessage *message = pb_unpack(type, data + 1, size - 1, &err);
	if (!message)
		return 0;
	look_at(message);

	auto_pb ProtobufCMessage *copy = pb_copy(message);
	if (!pb_equal(message, copy))
		abort();
	auto_pb ProtobufCMessage *merged = pb_merge(message, copy);
	if (!pb_equal(message, merged)) /* Laid on itself nothing changes. */
		abort();
	return 0;
}
