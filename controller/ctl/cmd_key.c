/* cmd_key.c - gdrctl key rotate: an operator's own key. */

#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/link.h"

static int
send_key(struct ctl *ctl, char *key, struct err *err)
{
	Gdr__Request request = GDR__REQUEST__INIT;
	Gdr__KeyRotate rotate = GDR__KEY_ROTATE__INIT;
	auto_pb Gdr__Response *response = NULL;

	rotate.key = key;
	request.body_case = GDR__REQUEST__BODY_KEY_ROTATE;
	request.key_rotate = &rotate;
	return ctl_call_change(ctl, &request, &response, err);
}

/* 'context' is one of 'config', which is to be saved with the new pair in it. */
static void
put_pair(Gdr__Context *context, const struct keypair *pair)
{
	free(context->public_key);
	free(context->secret_key);
	context->public_key = xstrdup(pair->public_key);
	context->secret_key = xstrdup(pair->secret_key);
}

/* The new key is on disk before the controller knows it, and stays there unless the controller said no: without an
 * answer, and with a link that is refused, either key may be the one in force. */
static int
rotate(struct ctl *ctl, const char *path, const char *fresh, const Gdr__CtlConfig *config, char *key, struct err *err)
{
	int rc = link_config_save(fresh, config, err);

	if (rc != 0)
		return rc;
	rc = send_key(ctl, key, err);
	if (rc == CTL_ERROR || rc == CTL_USAGE)
		(void)unlink(fresh);
	else if (rc != 0)
		(void)fprintf(
			ctl->diag,
			"%s is kept: if `gdrctl --config %s status` is answered, its key is the one in force: move "
			"it over %s; else remove it and rotate again\n",
			fresh, fresh, path);
	if (rc != 0)
		return rc;
	rc = link_config_save(path, config, err);
	if (rc != 0)
		return err_wrap(err, "the new key is in force, and in %s alone", fresh);
	(void)unlink(fresh);
	(void)fprintf(ctl->diag, "%s has the new key; the old one is revoked\n", path);
	return 0;
}

static int
run_rotate(struct ctl *ctl, struct err *err)
{
	auto_pb Gdr__CtlConfig *config = NULL;
	const Gdr__Context *own = NULL;
	auto_free char *path = link_config_path(ctl);
	auto_free char *fresh = xasprintf("%s.new", path);
	struct keypair pair;
	int rc = link_config_load(path, &config, err);

	if (rc == 0)
		rc = link_context(ctl, config, path, &own, err);
	if (rc != 0)
		return rc;
	if (access(fresh, F_OK) == 0)
		return err_set(err, CTL_ERROR,
			       "%s is there, of a rotation without an answer: if `gdrctl --config %s status` is "
			       "answered, move it over %s; else remove it",
			       fresh, fresh, path);
	keys_generate(&pair);
	for (size_t i = 0; i < config->n_contexts; i++)
		if (config->contexts[i] == own)
			put_pair(config->contexts[i], &pair);
	rc = rotate(ctl, path, fresh, config, pair.public_key, err);
	explicit_bzero(&pair, sizeof(pair));
	return rc;
}

const struct command command_key_rotate = {
	.name = "key rotate",
	.args = "",
	.help = "replace your own key, in the settings file and at the controller",
	.more = "The old key is revoked by the same commit.  Other copies of the settings file go out of use with it.\n"
		"A host's key: remove /var/lib/gdrfleet-comm/key there, and join by a token that is made for the host\n"
		"(`gdrctl token create --node NAME`).  Another user's: `gdrctl user remove`, then `user add`.",
	.examples = "  gdrctl key rotate\n"
		    "  gdrctl -c production key rotate",
	.run = run_rotate,
};
