#include "agent/settings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>

#include "agent/program.h"
#include "common/err.h"
#include "common/file.h"
#include "common/keys.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "common/wire.h"

#define SETTINGS_MAX (256U << 10)

static int
load_config(const struct program *program, const char *path, Gdr__AgentConfig **out, struct err *err)
{
	auto_free char *text = NULL;
	ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc;

	if (!path && access(program->config, F_OK) != 0) {
		*out = xcalloc(1, sizeof(**out));
		gdr__agent_config__init(*out);
		return 0;
	}
	path = path ? path : program->config;
	rc = file_read(path, SETTINGS_MAX, &text, &len, err);
	if (rc == 0)
		rc = pbtext_parse(&gdr__agent_config__descriptor, path, text, len, &message, err);
	*out = (Gdr__AgentConfig *)message;
	return rc;
}

char *
settings_node_name(const char *hostname)
{
	char *name = xasprintf("%.*s", (int)strcspn(hostname, "."), hostname);

	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return name;
}

static char *
own_node_name(void)
{
	char name[HOST_NAME_MAX + 1] = "";

	(void)gethostname(name, sizeof(name) - 1);
	return settings_node_name(name);
}

int
settings_load(const struct program *program, const char *path, const char *root, struct settings **out, struct err *err)
{
	Gdr__AgentConfig *config = NULL;
	int rc = load_config(program, path, &config, err);

	if (!config)
		return rc;
	struct settings *settings = xcalloc(1, sizeof(*settings));
	settings->program = program;
	settings->config = config;
	if (root) {
		if (config->root != gdr__agent_config__root__default_value)
			free(config->root);
		config->root = xstrdup(root);
	}
	settings->node = config->node ? xstrdup(config->node) : own_node_name();
	settings->key_file = xasprintf("%s/key", config->comm_state);
	settings->controller_file = xasprintf("%s/controller.yaml", config->comm_state);
	settings->desired_file = xasprintf("%s/desired", config->comm_state);
	settings->report_file = xasprintf("%s/report", config->state);
	settings->journal_file = xasprintf("%s/journal.yaml", config->state);
	*out = settings;
	return 0;
}

void
settings_free(struct settings *settings)
{
	if (!settings)
		return;
	pb_free(&settings->config->base);
	free(settings->node);
	free(settings->key_file);
	free(settings->controller_file);
	free(settings->desired_file);
	free(settings->report_file);
	free(settings->journal_file);
	free(settings);
}

int
settings_read_desired(const struct settings *settings, Gdr__Desired **out, struct err *err)
{
	auto_free char *data = NULL;
	auto_pb ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc = file_read(settings->desired_file, WIRE_MAX, &data, &len, err);

	if (rc < 0)
		return rc;
	message = pb_unpack(&gdr__desired__descriptor, data, len, err);
	if (!message)
		return err_wrap(err, "%s", settings->desired_file);
	rc = pb_check(message, err);
	const Gdr__Desired *desired = (const Gdr__Desired *)message;
	if (rc == 0 && desired->spec && !desired->spec_hash) /* Its reboots would be charged to no budget. */
		rc = err_set(err, -EBADMSG, "a spec without spec_hash");
	if (rc < 0)
		return err_wrap(err, "%s", settings->desired_file);
	*out = (Gdr__Desired *)steal(&message);
	return 0;
}

int
settings_lock(const struct settings *settings, int *fd, struct err *err)
{
	auto_free char *path = xasprintf("%s/lock", settings->config->state);
	int rc = file_mkdirs(settings->config->state, 0755, err);

	if (rc == 0)
		rc = file_lock(path, fd, err);
	return rc == -EBUSY ? err_wrap(err, "the worker or another `%s apply` is at work here", settings->program->name)
			    : rc;
}

int
settings_watch(const char *folder)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd >= 0 && inotify_add_watch(fd, folder, IN_MOVED_TO) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
settings_watched(int fd)
{
	char events[4096];

	while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
		continue;
}

static void
overrule(char **setting, const char *with)
{
	if (!with)
		return;
	free(*setting);
	*setting = xstrdup(with);
}

int
settings_controller(const Gdr__AgentConfig *config, Gdr__JoinToken **out, struct err *err)
{
	auto_free char *file = xasprintf("%s/controller.yaml", config->comm_state);
	auto_free char *text = NULL;
	auto_pb ProtobufCMessage *message = NULL;
	size_t len;
	int rc = 0;

	if (config->controller && config->server_key) {
		message = xcalloc(1, sizeof(Gdr__JoinToken));
		gdr__join_token__init((Gdr__JoinToken *)message);
	} else {
		rc = file_read(file, SETTINGS_MAX, &text, &len, err);
		if (rc == 0)
			rc = pbtext_parse(&gdr__join_token__descriptor, file, text, len, &message, err);
	}
	if (!message)
		return rc;
	Gdr__JoinToken *found = (Gdr__JoinToken *)message;
	overrule(&found->agents, config->controller);
	overrule(&found->server_key, config->server_key);
	if (!found->agents || !keys_valid(found->server_key))
		return err_set(err, -EINVAL, "controller: server_key: expected 40 characters of Z85");
	*out = (Gdr__JoinToken *)steal(&message);
	return 0;
}
