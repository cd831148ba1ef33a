/* vm_keys.c - guests' key pairs and credentials. */

#include "agent/layers/vm_keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "agent/credential.h"
#include "agent/machine/host.h"
#include "agent/settings.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"

static char *
file_of(const Gdr__AgentConfig *config, const char *vm)
{
	return xasprintf("%s/vms/%s.key", config->state, vm);
}

static void
fill_credential(const Gdr__JoinToken *controller, const char *node, const char *vm, struct keypair *pair,
		struct vm_key *out)
{
	auto_free char *name = xasprintf("%s/%s", node, vm);
	Gdr__GuestCredential credential = GDR__GUEST_CREDENTIAL__INIT;

	credential.node = name;
	credential.agents = controller->agents;
	credential.server_key = controller->server_key;
	credential.public_key = pair->public_key;
	credential.secret_key = pair->secret_key;
	out->credential = credential_to_smbios(&credential);
	out->document = credential_to_yaml(&credential);
}

int
vm_key_load(struct host *host, const char *node, const char *vm, struct vm_key *out, struct err *err)
{
	const Gdr__AgentConfig *config = host_config(host);
	auto_pb Gdr__JoinToken *controller = NULL;
	struct keypair pair = { 0 };

	*out = (struct vm_key){ 0 };
	if (!config)
		return 0;
	auto_free char *path = file_of(config, vm);
	int rc = settings_controller(config, &controller, err);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	out->wanted = true;
	rc = keys_load(path, &pair, err);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	out->made = true;
	out->public_key = xstrdup(pair.public_key);
	fill_credential(controller, node, vm, &pair, out);
	sodium_memzero(&pair, sizeof(pair));
	return 0;
}

int
vm_key_make(struct host *host, const char *vm, struct err *err)
{
	const Gdr__AgentConfig *config = host_config(host);
	auto_free char *path = file_of(config, vm);
	auto_free char *folder = xasprintf("%s/vms", config->state);
	struct keypair pair;
	int rc = file_mkdirs(folder, 0700, err);

	if (rc == 0)
		rc = keys_load_or_make(path, &pair, "The key pair of a guest of this host.", err);
	sodium_memzero(&pair, sizeof(pair));
	return rc;
}

void
vm_key_free(struct vm_key *key)
{
	char *const secrets[] = { key->credential, key->document };

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		if (secrets[i])
			sodium_memzero(secrets[i], strlen(secrets[i]));
		free(secrets[i]);
	}
	free(key->public_key);
	*key = (struct vm_key){ 0 };
}
