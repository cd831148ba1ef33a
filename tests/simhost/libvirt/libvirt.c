/* libvirt.c - libvirt.so.0 of a simulated host: the calls that agent/vm/virt.c makes, over the files of vms.h.
 *
 * Its URI is "sim:DIR".  Faults: libvirt-away, libvirt-hangs, libvirt-refuses, vm-start-fails, vm-deaf. */

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"
#include "tests/simhost/vms.h"

#define VERSION 9000000UL
#define TICK_MS 500

struct _virConnect {
	struct sim sim;
};
struct _virDomain {
	virConnectPtr connection;
	char *name;
};
struct _virNetwork {
	char *name;
};

static struct err last;
static virConnectDomainEventCallback news;
static void *news_arg;
static virConnectPtr news_from;
static size_t news_read; /* Lines of vms-events that were told. */

static int
failed(void)
{
	return -1;
}

/* A daemon that hangs does so in every call. */
static void
maybe_hang(virConnectPtr connection)
{
	while (sim_broken(&connection->sim, "libvirt-hangs"))
		(void)poll(NULL, 0, TICK_MS);
}

int
virInitialize(void)
{
	return 0;
}

void
virSetErrorFunc(void *userData, virErrorFunc handler)
{
	(void)userData;
	(void)handler;
}

const char *
virGetLastErrorMessage(void)
{
	return last.code ? last.msg : "no error";
}

virConnectPtr
virConnectOpen(const char *name)
{
	virConnectPtr connection = xcalloc(1, sizeof(*connection));

	connection->sim.fd = -1;
	if (!name || strncmp(name, "sim:", 4) != 0 || sim_open(&connection->sim, name + 4, &last) < 0) {
		(void)err_set(&last, -EINVAL, "no connection driver available for %s", name ? name : "");
		free(connection);
		return NULL;
	}
	if (sim_broken(&connection->sim, "libvirt-away")) {
		(void)err_set(&last, -ENOENT,
			      "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory");
		free(connection);
		return NULL;
	}
	maybe_hang(connection);
	return connection;
}

int
virConnectGetLibVersion(virConnectPtr conn, unsigned long *libVer)
{
	(void)conn;
	*libVer = VERSION;
	return 0;
}

int
virConnectIsAlive(virConnectPtr connection)
{
	return !sim_broken(&connection->sim, "libvirt-away") && !sim_broken(&connection->sim, "libvirt-hangs");
}

int
virConnectSetKeepAlive(virConnectPtr connection, int interval, unsigned int count)
{
	(void)connection;
	(void)interval;
	(void)count;
	return 0;
}

/* --- networks: "public" is there ------------------------------------------------------------------------------- */

int
virConnectListAllNetworks(virConnectPtr conn, virNetworkPtr **nets, unsigned int flags)
{
	virNetworkPtr network = xcalloc(1, sizeof(*network));

	(void)flags;
	(void)conn;
	network->name = xstrdup("public");
	*nets = xcalloc(2, sizeof(**nets));
	(*nets)[0] = network;
	return 1;
}

const char *
virNetworkGetName(virNetworkPtr network)
{
	return network->name;
}

int
virNetworkIsActive(virNetworkPtr network)
{
	(void)network;
	return 1;
}

/* --- domains ------------------------------------------------------------------------------------------------------ */

static virDomainPtr
domain_new(virConnectPtr connection, const char *name)
{
	virDomainPtr domain = xcalloc(1, sizeof(*domain));

	domain->connection = connection;
	domain->name = xstrdup(name);
	return domain;
}

int
virConnectListAllDomains(virConnectPtr connection, virDomainPtr **domains, unsigned int flags)
{
	auto_strv char **names = vms_list(&connection->sim);
	int n = 0;

	(void)flags;
	maybe_hang(connection);
	while (names[n])
		n++;
	*domains = xcalloc((size_t)n + 1, sizeof(**domains));
	for (int i = 0; i < n; i++)
		(*domains)[i] = domain_new(connection, names[i]);
	return n;
}

virDomainPtr
virDomainLookupByName(virConnectPtr connection, const char *name)
{
	maybe_hang(connection);
	if (vms_exists(&connection->sim, name))
		return domain_new(connection, name);
	(void)err_set(&last, -ENOENT, "Domain not found: no domain with matching name '%s'", name);
	return NULL;
}

const char *
virDomainGetName(virDomainPtr domain)
{
	return domain->name;
}

int
virDomainGetUUIDString(virDomainPtr domain, char *buffer)
{
	auto_free char *xml = vms_xml(&domain->connection->sim, domain->name, false);
	auto_free char *uuid = xml ? vms_child(xml, "uuid") : NULL;

	(void)snprintf(buffer, VIR_UUID_STRING_BUFLEN, "%s", uuid ? uuid : "");
	return 0;
}

int
virDomainGetState(virDomainPtr domain, int *state,
		  int *reason, /* NOLINT(readability-non-const-parameter): libvirt's. */
		  unsigned int flags)
{
	auto_free char *text = vms_state(&domain->connection->sim, domain->name);

	(void)flags;
	(void)reason;
	*state = strcmp(text, "running") == 0  ? VIR_DOMAIN_RUNNING
		 : strcmp(text, "paused") == 0 ? VIR_DOMAIN_PAUSED
					       : VIR_DOMAIN_SHUTOFF;
	return 0;
}

int
virDomainGetAutostart(virDomainPtr domain, int *autostart)
{
	*autostart = vms_autostart(&domain->connection->sim, domain->name);
	return 0;
}

int
virDomainSetAutostart(virDomainPtr domain, int autostart)
{
	return vms_set_autostart(&domain->connection->sim, domain->name, autostart, &last) < 0 ? failed() : 0;
}

char *
virDomainGetMetadata(virDomainPtr domain, int type, const char *uri, unsigned int flags)
{
	auto_free char *xml = vms_xml(&domain->connection->sim, domain->name, false);

	(void)type;
	(void)flags;
	return xml ? vms_metadata(xml, uri) : NULL;
}

char *
virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	const struct sim *sim = &domain->connection->sim;
	char *running = flags & VIR_DOMAIN_XML_INACTIVE ? NULL : vms_xml(sim, domain->name, true);

	return running ? running : vms_xml(sim, domain->name, false);
}

virDomainPtr
virDomainDefineXML(virConnectPtr connection, const char *xml)
{
	auto_free char *name = NULL;

	maybe_hang(connection);
	return vms_define(&connection->sim, xml, &name, &last) < 0 ? NULL : domain_new(connection, name);
}

int
virDomainCreate(virDomainPtr domain)
{
	maybe_hang(domain->connection);
	return vms_start(&domain->connection->sim, domain->name, &last) < 0 ? failed() : 0;
}

/* The guest is asked; one that is deaf (vm-deaf) says nothing. */
int
virDomainShutdown(virDomainPtr domain)
{
	const struct sim *sim = &domain->connection->sim;

	if (sim_broken(sim, "vm-deaf"))
		return 0;
	return vms_stop(sim, domain->name, "stopped", &last) < 0 ? failed() : 0;
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

int
virEventRegisterDefaultImpl(void)
{
	return 0;
}

static char *
events(void)
{
	struct err ignored = { 0 };
	struct tree tree;

	if (sim_tree(&news_from->sim, &tree, &ignored) < 0)
		return NULL;
	char *text = tree_read(&tree, ".sim/vms-events");
	(void)tree_close(&tree);
	return text;
}

static size_t
tell(bool quietly)
{
	auto_free char *text = events();
	char *rest = text;
	size_t n = 0;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *what = strrchr(line, ' ');
		if (!what || n++ < news_read || quietly)
			continue;
		auto_free char *name = xasprintf("%.*s", (int)(what - line), line);
		bool started = strcmp(what, " started") == 0;
		/* Detail 0: booted, or shut down. */
		(void)news(news_from, domain_new(news_from, name),
			   started ? VIR_DOMAIN_EVENT_STARTED : VIR_DOMAIN_EVENT_STOPPED, 0, news_arg);
	}
	return n;
}

int
virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr dom, int eventID,
				 virConnectDomainEventGenericCallback cb, void *opaque, virFreeCallback freecb)
{
	(void)dom;
	(void)eventID;
	(void)freecb;
	memcpy(&news, &cb, sizeof(news));
	news_arg = opaque;
	news_from = conn;
	news_read = tell(true);
	return 0;
}

int
virEventRunDefaultImpl(void)
{
	(void)poll(NULL, 0, TICK_MS);
	if (news_from)
		news_read = tell(false);
	return 0;
}
