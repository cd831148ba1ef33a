#include "controller/settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"

#define SETTINGS_FILE "/etc/gdrfleet/gdrd.yaml"
#define SETTINGS_MAX  (256U << 10)

int
gdrd_settings_load(const char *path, struct gdrd_settings **out, struct err *err)
{
	auto_free char *text = NULL;
	ProtobufCMessage *message = NULL;
	size_t len = 0;
	int rc = 0;

	if (!path && access(SETTINGS_FILE, F_OK) == 0)
		path = SETTINGS_FILE;
	if (path)
		rc = file_read(path, SETTINGS_MAX, &text, &len, err);
	if (path && rc == 0)
		rc = pbtext_parse(&gdr__gdrd_config__descriptor, path, text, len, &message, err);
	if (rc < 0)
		return rc;
	if (!message) {
		message = xcalloc(1, sizeof(Gdr__GdrdConfig));
		gdr__gdrd_config__init((Gdr__GdrdConfig *)message);
	}
	struct gdrd_settings *settings = xcalloc(1, sizeof(*settings));
	settings->config = (Gdr__GdrdConfig *)message;
	settings->database = settings->config->database ? xstrdup(settings->config->database)
							: xasprintf("sqlite:%s/gdrd.db", settings->config->state);
	settings->key_file = xasprintf("%s/server.key", settings->config->state);
	settings->admin_context = xasprintf("%s/admin.yaml", settings->config->state);
	*out = settings;
	return 0;
}

void
gdrd_settings_free(struct gdrd_settings *settings)
{
	if (!settings)
		return;
	pb_free(&settings->config->base);
	free(settings->database);
	free(settings->key_file);
	free(settings->admin_context);
	free(settings);
}

char *
gdrd_settings_advertised(const struct gdrd_settings *settings, const char *bound)
{
	const char *port = strrchr(bound, ':');
	const char *host = strstr(bound, "://");
	char own[HOST_NAME_MAX + 1] = "localhost";

	if (!port || !host || port <= host + 3)
		return xstrdup(bound);
	host += 3;
	auto_free char *endpoint_host = xasprintf("%.*s", (int)(port - host), host);
	bool wildcard = strcmp(endpoint_host, "0.0.0.0") == 0 || strcmp(endpoint_host, "*") == 0 ||
			strcmp(endpoint_host, "[::]") == 0;
	if (settings->config->advertise)
		return xasprintf("tcp://%s%s", settings->config->advertise, port);
	if (!wildcard)
		return xstrdup(bound);
	(void)gethostname(own, sizeof(own) - 1);
	return xasprintf("tcp://%s%s", own, port);
}

int
gdrd_settings_write_context(const struct gdrd_settings *settings, const char *endpoint, const char *server_key,
			    const struct keypair *admin, struct err *err)
{
	auto_buf struct buf text = { 0 };
	auto_pb Gdr__CtlConfig *file = xcalloc(1, sizeof(*file));
	Gdr__Context *context = xcalloc(1, sizeof(*context));

	gdr__ctl_config__init(file);
	gdr__context__init(context);
	file->contexts = xcalloc(1, sizeof(*file->contexts));
	file->contexts[file->n_contexts++] = context;
	file->current = xstrdup("default");
	context->name = xstrdup("default");
	context->endpoint = xstrdup(endpoint);
	context->server_key = xstrdup(server_key);
	context->public_key = xstrdup(admin->public_key);
	context->secret_key = xstrdup(admin->secret_key);
	buf_printf(
		&text,
		"# The first admin of this fleet. GDRCTL_CONFIG=FILE, or copy it to ~/.config/gdrfleet/gdrctl.yaml\n");
	pbtext_print(&file->base, NULL, PBTEXT_YAML, &text);
	return file_replace(settings->admin_context, text.text, text.len, 0600, err);
}
