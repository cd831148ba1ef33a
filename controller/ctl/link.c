#include "controller/ctl/link.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/wire.h"
#include "controller/ctl/ctl.h"

#define CONFIG_MAX (1 << 20)
#define RETRY_MS   500 /* Between two attempts to connect, at most. */
#define POLL_MS    20  /* Until the connection takes a frame. */

/* Without an answer a request is sent again after this, then after twice as long, up to the second. */
#define RESEND_MS     2000
#define RESEND_MAX_MS 8000

/* --- settings --- */

char *
link_config_path(const struct ctl *ctl)
{
	const char *option = ctl_option(ctl, "config");
	const char *own = getenv("GDRCTL_CONFIG");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (option)
		return xstrdup(option);
	if (own && *own)
		return xstrdup(own);
	if (xdg && *xdg)
		return xasprintf("%s/gdrfleet/gdrctl.yaml", xdg);
	return xasprintf("%s/.config/gdrfleet/gdrctl.yaml", home ? home : "");
}

/* The file itself, where 'path' is a link to it; the caller frees. */
static int
resolve(const char *path, char **out, struct err *err)
{
	struct stat st;

	*out = realpath(path, NULL);
	if (!*out && errno == ENOENT)
		return err_set(
			err, -ENOENT,
			"no settings at %s: ask an admin for `gdrctl user add NAME --role viewer --new FILE` and "
			"name that FILE by --config or GDRCTL_CONFIG",
			path);
	if (!*out || stat(*out, &st) != 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, -EPERM, "%s: others can read the secret key in it (mode %04o): chmod 600 %s", path,
			       (unsigned)(st.st_mode & 07777), *out);
	return 0;
}

int
link_config_load(const char *path, Gdr__CtlConfig **out, struct err *err)
{
	auto_free char *real = NULL;
	auto_free char *text = NULL;
	ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc = resolve(path, &real, err);

	if (rc == 0)
		rc = file_read(real, CONFIG_MAX, &text, &len, err);
	if (rc == 0)
		rc = pbtext_parse(&gdr__ctl_config__descriptor, path, text, len, &message, err);
	if (rc == 0)
		*out = (Gdr__CtlConfig *)message;
	return rc;
}

int
link_config_save(const char *path, const Gdr__CtlConfig *config, struct err *err)
{
	auto_buf struct buf text = { 0 };

	pbtext_print(&config->base, NULL, PBTEXT_YAML, &text);
	return file_replace(path, text.text, text.len, 0600, err);
}

static int
no_context(const Gdr__CtlConfig *config, const char *path, const char *name, struct err *err)
{
	auto_free const char **names = xcalloc(config->n_contexts + 1, sizeof(*names));

	for (size_t i = 0; i < config->n_contexts; i++)
		names[i] = config->contexts[i]->name ? config->contexts[i]->name : "";
	auto_free char *flag = xasprintf("%s: ", path);
	return ctl_unknown(flag, "context", name, names, err);
}

int
link_context(const struct ctl *ctl, const Gdr__CtlConfig *config, const char *path, const Gdr__Context **out,
	     struct err *err)
{
	const char *name = ctl_option(ctl, "context");

	if (!name)
		name = config->current;
	if (!name && config->n_contexts == 1) {
		*out = config->contexts[0];
		return 0;
	}
	if (!name)
		return err_set(err, CTL_ERROR,
			       "%s: no current context: choose one by -c NAME or `gdrctl config use-context NAME`",
			       path);
	for (size_t i = 0; i < config->n_contexts; i++) {
		const Gdr__Context *context = config->contexts[i];

		if (context->name && strcmp(context->name, name) == 0) {
			*out = context;
			return 0;
		}
	}
	return no_context(config, path, name, err);
}

/* --- the connection --- */

struct link {
	const struct ctl *ctl;
	struct wire *wire;
};

/* One request on its way. */
struct call {
	const char *id;
	uint8_t *data;
	size_t len;
	uint64_t end_ms;
};

struct link *
link_new(const struct ctl *ctl)
{
	struct link *link = xcalloc(1, sizeof(*link));

	link->ctl = ctl;
	return link;
}

void
link_free(struct link *link)
{
	if (link)
		wire_close(link->wire);
	free(link);
}

static int
check_context(const Gdr__Context *context, const char *path, struct err *err)
{
	const char *name = context->name ? context->name : "?";

	if (!context->endpoint)
		return err_set(err, CTL_ERROR, "%s: context '%s' has no endpoint", path, name);
	if (!keys_valid(context->server_key))
		return err_set(err, CTL_ERROR, "%s: context '%s': server_key is not a key of 40 characters", path,
			       name);
	if (!keys_valid(context->secret_key))
		return err_set(err, CTL_ERROR, "%s: context '%s': secret_key is not a key of 40 characters", path,
			       name);
	return 0;
}

static int
connect_context(struct link *link, const Gdr__Context *context, const char *path, struct err *err)
{
	struct keypair self = { 0 };
	int rc = check_context(context, path, err);

	if (rc != 0)
		return rc;
	memcpy(self.secret_key, context->secret_key, KEY_LEN);
	if (!keys_public(self.secret_key, self.public_key))
		return err_set(err, CTL_ERROR, "%s: context '%s': secret_key is no key", path, context->name);
	rc = wire_connect(context->endpoint, context->server_key, &self, RETRY_MS, &link->wire, err);
	explicit_bzero(&self, sizeof(self));
	return rc;
}

static int
ensure_connected(struct link *link, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	const Gdr__Context *context = NULL;

	if (link->wire)
		return 0;
	auto_free char *path = link_config_path(link->ctl);
	int rc = link_config_load(path, &config, err);
	if (rc == 0)
		rc = link_context(link->ctl, config, path, &context, err);
	return rc == 0 ? connect_context(link, context, path, err) : rc;
}

static uint64_t
now_ms(const struct link *link)
{
	return link->ctl->ops->mono_ms(link->ctl->arg);
}

static uint64_t
left_ms(const struct link *link, const struct call *call)
{
	uint64_t now = now_ms(link);

	return call->end_ms > now ? call->end_ms - now : 0;
}

static int
refused(const struct link *link, struct err *err)
{
	return err_set(err, CTL_NOT_ALLOWED,
		       "%s refuses this key: an admin can add it by `gdrctl user add NAME --role ROLE --key KEY` "
		       "(KEY: `gdrctl config view`)",
		       wire_endpoint(link->wire));
}

static int
no_answer(const struct link *link, struct err *err)
{
	const char *endpoint = wire_endpoint(link->wire);

	switch (wire_state(link->wire)) {
	case WIRE_MUTE:
		return err_set(
			err, CTL_NO_CONTROLLER,
			"%s takes connections but does not talk to us: is server_key in `gdrctl config view` still "
			"that controller's, and does gdrd run well?",
			endpoint);
	case WIRE_UP:
		return err_set(err, CTL_NO_CONTROLLER,
			       "%s is connected but does not answer in time: see gdrd's log, or give --timeout",
			       endpoint);
	default:
		return err_set(
			err, CTL_NO_CONTROLLER,
			"no connection to %s: is gdrd running there (systemctl status gdrd), and is the endpoint right "
			"(gdrctl config view)?",
			endpoint);
	}
}

/* Is the frame the answer to 'call'?  Answers to what was sent before are dropped. */
static int
take_answer(const struct call *call, const struct wire_frame *frame, Gdr__Response **out, struct err *err)
{
	auto_pb Gdr__Response *response = (Gdr__Response *)pb_unpack(&gdr__response__descriptor, frame->data,
								     frame->len, err);

	if (!response)
		return err_wrap(err, "an answer that this gdrctl cannot read (is gdrd much newer?)");
	if (!response->id || strcmp(response->id, call->id) != 0)
		return 0;
	*out = steal(&response);
	return 1;
}

/* Waits up to 'ms' for the answer; 1 with it, 0 without, or a negative errno. */
static int
wait_answer(struct link *link, const struct call *call, uint64_t ms, Gdr__Response **out, struct err *err)
{
	uint64_t end = now_ms(link) + ms;
	int rc;

	do {
		struct wire_frame frame;
		uint64_t now = now_ms(link);

		rc = wire_wait(link->wire, now < end ? (int)(end - now) : 0, &frame);
		if (rc < 0)
			return err_set(err, rc, "%s: %s", wire_endpoint(link->wire), strerror(-rc));
		if (rc == 0)
			return 0;
		rc = take_answer(call, &frame, out, err);
	} while (rc == 0);
	return rc;
}

static int
send_frame(struct link *link, const struct call *call, bool *sent, struct err *err)
{
	int rc = wire_send(link->wire, NULL, call->data, call->len);

	*sent = rc == 0;
	if (rc == -EMSGSIZE)
		return err_set(err, CTL_ERROR, "the request is %zu bytes, the most is %d: split it", call->len,
			       WIRE_MAX);
	if (rc < 0 && rc != -EAGAIN && rc != -EINTR)
		return err_set(err, CTL_ERROR, "%s: %s", wire_endpoint(link->wire), strerror(-rc));
	return 0;
}

/* Sends the request and waits for 'resend' at most; 1 with the answer, 0 without, or an error. */
static int
attempt(struct link *link, const struct call *call, uint64_t *resend, Gdr__Response **out, struct err *err)
{
	bool sent = false;
	uint64_t left = left_ms(link, call);
	int rc = send_frame(link, call, &sent, err);

	if (rc != 0)
		return -EIO;
	uint64_t wait = sent ? *resend : POLL_MS;
	if (sent && *resend < RESEND_MAX_MS)
		*resend *= 2;
	return wait_answer(link, call, wait < left ? wait : left, out, err);
}

static int
exchange(struct link *link, const struct call *call, Gdr__Response **out, struct err *err)
{
	uint64_t resend = RESEND_MS;
	int rc;

	do {
		rc = attempt(link, call, &resend, out, err);
		if (rc == 0 && wire_refused(link->wire))
			return refused(link, err);
	} while (rc == 0 && left_ms(link, call) > 0);
	if (rc == 0)
		return no_answer(link, err);
	return rc < 0 ? rc : 0;
}

int
link_call(struct link *link, const Gdr__Request *request, uint64_t timeout_ms, Gdr__Response **out, struct err *err)
{
	struct call call = { .id = request->id };
	int rc = ensure_connected(link, err);

	if (rc != 0)
		return rc;
	call.end_ms = now_ms(link) + timeout_ms;
	call.data = pb_pack(&request->base, &call.len);
	rc = exchange(link, &call, out, err);
	free(call.data);
	if (rc == CTL_NOT_ALLOWED) {
		/* A refused key is not tried again by libzmq: a later call starts anew. */
		wire_close(link->wire);
		link->wire = NULL;
	}
	return rc;
}
