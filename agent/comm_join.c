#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "agent/comm.h"
#include "agent/comm_user.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/wire.h"

#define ANSWER_MS 10000

static int
load_token(const char *path, Gdr__JoinToken **out, struct err *err)
{
	auto_free char *text = NULL;
	auto_pb ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc = file_read(path, 65536, &text, &len, err);

	if (rc == 0)
		rc = pbtext_parse(&gdr__join_token__descriptor, path, text, len, &message, err);
	if (!message)
		return rc;
	const Gdr__JoinToken *token = (const Gdr__JoinToken *)message;
	if (!token->agents || !token->enrol || !keys_valid(token->server_key) || !keys_valid(token->secret))
		return err_set(err, -EINVAL,
			       "%s: a join token has agents, enrol, server_key and secret (`gdrctl token create`)",
			       path);
	*out = (Gdr__JoinToken *)steal(&message);
	return 0;
}

static int
no_answer(struct wire *wire, const Gdr__JoinToken *token, struct err *err)
{
	switch (wire_state(wire)) {
	case WIRE_REFUSED:
		return err_set(err, -EACCES,
			       "%s does not admit this token: it was used, has expired, or was never made there",
			       token->enrol);
	case WIRE_MUTE:
		return err_set(err, -EPROTO, "%s: no handshake: the token's server_key is not this controller's",
			       token->enrol);
	case WIRE_DOWN:
	case WIRE_UP: break;
	}
	return err_set(err, -ETIMEDOUT, "%s: no answer: is gdrd running there, and the port open?", token->enrol);
}

/* One question, one answer, on the enrolment endpoint, as the token. */
static int
enrol(const struct settings *settings, const Gdr__JoinToken *token, struct keypair *node_key, struct err *err)
{
	Gdr__Enrol request = GDR__ENROL__INIT;
	struct keypair token_key;
	struct wire *wire = NULL;
	struct wire_frame frame;
	char version[] = GDR_VERSION;
	size_t len;

	memcpy(token_key.secret_key, token->secret, KEY_LEN + 1);
	(void)keys_public(token->secret, token_key.public_key);
	request.node = settings->node;
	request.key = node_key->public_key;
	request.version = version;
	auto_free uint8_t *data = pb_pack(&request.base, &len);

	int rc = wire_connect(token->enrol, token->server_key, &token_key, 500, &wire, err);
	if (rc < 0)
		return rc;
	/* The first send waits for the connection: without one there is nothing to queue for. */
	int waited = 0;
	while ((rc = wire_send(wire, NULL, data, len)) == -EAGAIN && waited < ANSWER_MS && !wire_refused(wire)) {
		(void)wire_wait(wire, 50, &frame);
		waited += 50;
	}
	rc = rc == 0 ? wire_wait(wire, ANSWER_MS, &frame) : 0;
	if (rc <= 0) {
		rc = no_answer(wire, token, err);
	} else {
		auto_pb Gdr__EnrolReply *reply = (Gdr__EnrolReply *)pb_unpack(&gdr__enrol_reply__descriptor, frame.data,
									      frame.len, err);
		rc = !reply ? -EBADMSG
		     : reply->accepted
			     ? 0
			     : err_set(err, -EACCES, "%s: %s", token->enrol, reply->why ? reply->why : "refused");
	}
	wire_close(wire);
	return rc;
}

static int
remember(const struct settings *settings, const Gdr__JoinToken *controller, struct err *err)
{
	auto_buf struct buf text = { 0 };

	buf_printf(&text, "# Written by `%s join`.\n", settings->program->name);
	pbtext_print(&controller->base, NULL, PBTEXT_YAML, &text);
	return file_replace(settings->controller_file, text.text, text.len, 0600, err);
}

int
comm_join(const struct settings *settings, const char *token_file, struct err *err)
{
	auto_pb Gdr__JoinToken *token = NULL;
	struct keypair key;
	int rc = load_token(token_file, &token, err);

	if (!token)
		return rc;
	if (token->node && strcmp(token->node, settings->node) != 0)
		return err_set(err, -EPERM, "this token is for node '%s', and we are '%s' (agent.yaml, `node:`)",
			       token->node, settings->node);
	rc = comm_user_become(settings->config->user, settings->config->comm_state, err);
	if (rc == 0)
		rc = keys_load_or_make(settings->key_file, &key, "this node's key for gdrfleet", err);
	if (rc == 0)
		rc = enrol(settings, token, &key, err);
	if (rc < 0)
		return rc;

	/* The token is spent; where and who the controller is stays, and who we are. */
	free(token->secret);
	token->secret = NULL;
	free(token->expires);
	token->expires = NULL;
	free(token->node);
	token->node = xstrdup(settings->node);
	return remember(settings, token, err);
}

int
comm_adopt(const struct settings *settings, const Gdr__GuestCredential *credential, struct err *err)
{
	Gdr__JoinToken controller = GDR__JOIN_TOKEN__INIT;
	struct keypair key = { 0 };
	int rc = comm_user_become(settings->config->user, settings->config->comm_state, err);

	(void)keys_public(credential->secret_key, key.public_key);
	memcpy(key.secret_key, credential->secret_key, KEY_LEN + 1);
	controller.node = credential->node;
	controller.agents = credential->agents;
	controller.server_key = credential->server_key;
	if (rc == 0)
		rc = keys_save(settings->key_file, &key, "this guest's key for gdrfleet, made by its host", err);
	if (rc == 0)
		rc = remember(settings, &controller, err);
	sodium_memzero(&key, sizeof(key));
	return rc;
}
