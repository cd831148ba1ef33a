#include "agent/vm/virt.h"

#include <dlfcn.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/vm/xml.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

#define LIBRARY     "libvirt.so.0"
#define LOOK_MS     20000U  /* Or tool_timeout, if that is less. */
#define CHANGE_MS   120000U /* A first start probes QEMU, and pins hundreds of GiB. */
#define STOP_MARGIN 10000U
#define ASK_MS      200U

/* --- the library ------------------------------------------------------------------------------------------- */

#define FUNCTIONS(F)                        \
	F(virInitialize)                    \
	F(virSetErrorFunc)                  \
	F(virGetLastErrorMessage)           \
	F(virConnectOpen)                   \
	F(virConnectGetLibVersion)          \
	F(virConnectIsAlive)                \
	F(virConnectSetKeepAlive)           \
	F(virConnectListAllDomains)         \
	F(virConnectListAllNetworks)        \
	F(virConnectDomainEventRegisterAny) \
	F(virDomainLookupByName)            \
	F(virDomainGetName)                 \
	F(virDomainGetUUIDString)           \
	F(virDomainGetState)                \
	F(virDomainGetAutostart)            \
	F(virDomainGetMetadata)             \
	F(virDomainGetXMLDesc)              \
	F(virDomainDefineXML)               \
	F(virDomainSetAutostart)            \
	F(virDomainCreate)                  \
	F(virDomainShutdown)                \
	F(virNetworkGetName)                \
	F(virNetworkIsActive)               \
	F(virEventRegisterDefaultImpl)      \
	F(virEventRunDefaultImpl)

struct api {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name. */
#define MEMBER(name) __typeof__(&(name)) name;
	FUNCTIONS(MEMBER)
#undef MEMBER
};

static const char *const symbols[] = {
#define NAME(name) #name,
	FUNCTIONS(NAME)
#undef NAME
};
_Static_assert(sizeof(struct api) == sizeof(symbols) / sizeof(symbols[0]) * sizeof(void *), "a name for each");

struct talk;
typedef int subject(struct talk *talk, struct buf *out, struct err *err);

/* One conversation: it lives in a child, which ends with it, so nothing of it is freed. */
struct talk {
	subject *about;
	const char *library;
	const char *uri;
	const char *name; /* Of the domain that is spoken of, */
	const char *xml;  /* and what it is to be. */
	bool on;
	unsigned timeout_ms;
	struct api api;
	virConnectPtr connection;
};

static int
load(struct talk *talk, struct err *err)
{
	void *library = dlopen(talk->library, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return err_set(err, -ENOENT, "no libvirt on this host: %s", dlerror());
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(library, symbols[i]);
		if (!symbol)
			return err_set(err, -ENOENT, "%s has no %s: it is too old", talk->library, symbols[i]);
		memcpy((char *)&talk->api + i * sizeof(symbol), &symbol, sizeof(symbol));
	}
	return 0;
}

/* Its own error handler would write to stderr. */
static void
be_quiet(void *arg, virErrorPtr error)
{
	(void)arg;
	(void)error;
}

static int
refused(const struct talk *talk, struct err *err, const char *what)
{
	return err_set(err, -EIO, "libvirt: %s: %s", what, talk->api.virGetLastErrorMessage());
}

static int
begin(struct talk *talk, struct err *err)
{
	int rc = load(talk, err);

	if (rc < 0)
		return rc;
	talk->api.virSetErrorFunc(NULL, be_quiet);
	if (talk->api.virInitialize() == 0)
		talk->connection = talk->api.virConnectOpen(talk->uri);
	return talk->connection ? 0 : err_set(err, -ENOTCONN, "libvirt: %s", talk->api.virGetLastErrorMessage());
}

/* --- looking ------------------------------------------------------------------------------------------------- */

static const char *
state_text(int state)
{
	switch (state) {
	case VIR_DOMAIN_RUNNING: return "running";
	case VIR_DOMAIN_BLOCKED: return "blocked";
	case VIR_DOMAIN_PAUSED: return "paused";
	case VIR_DOMAIN_SHUTDOWN: return "shutting-down";
	case VIR_DOMAIN_SHUTOFF: return "shutoff";
	case VIR_DOMAIN_CRASHED: return "crashed";
	case VIR_DOMAIN_PMSUSPENDED: return "suspended";
	default: return "unknown";
	}
}

/* The mark in what the next start has.  A domain without such a thing is nobody's to redefine. */
static bool
is_ours(const struct talk *talk, virDomainPtr domain)
{
	return talk->api.virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, VM_XML_NAMESPACE,
					      VIR_DOMAIN_AFFECT_CONFIG);
}

static Gdr__VirtDomain *
look_at(const struct talk *talk, virDomainPtr domain)
{
	Gdr__VirtDomain *out = xcalloc(1, sizeof(*out));
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	const char *name = talk->api.virDomainGetName(domain);
	int state = VIR_DOMAIN_NOSTATE;
	int autostart = 0;

	gdr__virt_domain__init(out);
	(void)talk->api.virDomainGetUUIDString(domain, uuid);
	(void)talk->api.virDomainGetState(domain, &state, NULL, 0);
	(void)talk->api.virDomainGetAutostart(domain, &autostart);
	out->name = xstrdup(name ? name : "");
	out->uuid = xstrdup(uuid);
	out->state = xstrdup(state_text(state));
	out->has_ours = out->has_autostart = true;
	out->ours = is_ours(talk, domain);
	out->autostart = autostart;
	if (!out->ours)
		return out;
	out->definition = talk->api.virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	if (state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_CRASHED)
		out->running = talk->api.virDomainGetXMLDesc(domain, 0);
	return out;
}

static int
look_at_domains(const struct talk *talk, Gdr__VirtLook *out, struct err *err)
{
	virDomainPtr *domains = NULL;
	int n = talk->api.virConnectListAllDomains(talk->connection, &domains, 0);

	if (n < 0)
		return refused(talk, err, "list of domains");
	out->domains = xcalloc((size_t)n + 1, sizeof(Gdr__VirtDomain *));
	for (int i = 0; i < n; i++)
		out->domains[out->n_domains++] = look_at(talk, domains[i]);
	return 0;
}

/* A driver without networks has none. */
static void
look_at_networks(const struct talk *talk, Gdr__VirtLook *out)
{
	virNetworkPtr *networks = NULL;
	int n = talk->api.virConnectListAllNetworks(talk->connection, &networks, 0);

	out->networks = xcalloc(n > 0 ? (size_t)n : 1, sizeof(Gdr__VirtNetwork *));
	for (int i = 0; i < n; i++) {
		Gdr__VirtNetwork *network = xcalloc(1, sizeof(*network));
		const char *name = talk->api.virNetworkGetName(networks[i]);

		gdr__virt_network__init(network);
		network->name = xstrdup(name ? name : "");
		network->has_active = true;
		network->active = talk->api.virNetworkIsActive(networks[i]) == 1;
		out->networks[out->n_networks++] = network;
	}
}

static int
look(struct talk *talk, struct buf *out, struct err *err)
{
	Gdr__VirtLook found = GDR__VIRT_LOOK__INIT;
	unsigned long version = 0;
	size_t len;
	int rc = begin(talk, err);

	if (rc == 0)
		rc = look_at_domains(talk, &found, err);
	if (rc < 0)
		return rc;
	look_at_networks(talk, &found);
	(void)talk->api.virConnectGetLibVersion(talk->connection, &version);
	found.version = xasprintf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
	auto_free uint8_t *data = pb_pack(&found.base, &len);
	buf_add(out, data, len);
	return 0;
}

/* --- changing ------------------------------------------------------------------------------------------------ */

static int
not_ours(const struct talk *talk, struct err *err)
{
	return err_set(err, -EPERM, "domain %s is not ours", talk->name);
}

/* The domain that is spoken of, if it is ours. */
static int
find(struct talk *talk, virDomainPtr *out, struct err *err)
{
	int rc = begin(talk, err);

	if (rc < 0)
		return rc;
	*out = talk->api.virDomainLookupByName(talk->connection, talk->name);
	if (!*out)
		return refused(talk, err, talk->name);
	return is_ours(talk, *out) ? 0 : not_ours(talk, err);
}

static int
define(struct talk *talk, struct buf *out, struct err *err)
{
	int rc = begin(talk, err);

	(void)out;
	if (rc < 0)
		return rc;
	virDomainPtr old = talk->api.virDomainLookupByName(talk->connection, talk->name);
	if (old && !is_ours(talk, old))
		return not_ours(talk, err);
	return talk->api.virDomainDefineXML(talk->connection, talk->xml) ? 0 : refused(talk, err, "define");
}

static int
autostart(struct talk *talk, struct buf *out, struct err *err)
{
	virDomainPtr domain;
	int rc = find(talk, &domain, err);

	(void)out;
	if (rc < 0)
		return rc;
	return talk->api.virDomainSetAutostart(domain, talk->on) == 0 ? 0 : refused(talk, err, "autostart");
}

static int
start(struct talk *talk, struct buf *out, struct err *err)
{
	virDomainPtr domain;
	int rc = find(talk, &domain, err);

	(void)out;
	if (rc < 0)
		return rc;
	return talk->api.virDomainCreate(domain) == 0 ? 0 : refused(talk, err, "start");
}

static int
stop(struct talk *talk, struct buf *out, struct err *err)
{
	const struct timespec pause = { .tv_nsec = ASK_MS * 1000000L };
	virDomainPtr domain;
	int state = VIR_DOMAIN_RUNNING;
	int rc = find(talk, &domain, err);

	(void)out;
	if (rc < 0)
		return rc;
	if (talk->api.virDomainShutdown(domain) < 0)
		return refused(talk, err, "shutdown");
	for (unsigned waited = 0; waited <= talk->timeout_ms; waited += ASK_MS) {
		if (talk->api.virDomainGetState(domain, &state, NULL, 0) < 0)
			return refused(talk, err, "state");
		if (state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return err_set(err, -ETIMEDOUT, "the guest was asked to shut down and has not within %u s",
		       talk->timeout_ms / 1000);
}

/* --- events ---------------------------------------------------------------------------------------------------- */

/* A start that failed is no news: it changed nothing, and we may have been the one who tried. */
static int
lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *arg)
{
	const int *fd = arg;

	(void)connection;
	(void)domain;
	if (event == VIR_DOMAIN_EVENT_STOPPED && detail == VIR_DOMAIN_EVENT_STOPPED_FAILED)
		return 0;
	if (event == VIR_DOMAIN_EVENT_STARTED || event == VIR_DOMAIN_EVENT_STOPPED || event == VIR_DOMAIN_EVENT_CRASHED)
		(void)!write(*fd, "!", 1);
	return 0;
}

static void
watch(void *arg, int fd)
{
	struct talk *talk = arg;
	struct err ignored;

	if (load(talk, &ignored) < 0 || talk->api.virEventRegisterDefaultImpl() < 0 || begin(talk, &ignored) < 0)
		return;
	/* A daemon that hangs is one that went away. */
	(void)talk->api.virConnectSetKeepAlive(talk->connection, 5, 3);
	if (talk->api.virConnectDomainEventRegisterAny(talk->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
						       VIR_DOMAIN_EVENT_CALLBACK(lifecycle), &fd, NULL) < 0)
		return;
	while (talk->api.virConnectIsAlive(talk->connection) == 1)
		if (talk->api.virEventRunDefaultImpl() < 0)
			return;
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

static int
with_library(struct host *host, struct talk *talk, char **library, struct err *err)
{
	const Gdr__AgentConfig *config = host_config(host);

	*library = host_library(host, LIBRARY);
	talk->library = *library;
	talk->uri = config ? config->libvirt_uri : gdr__agent_config__libvirt_uri__default_value;
	return *library ? 0 : err_set(err, -ENOENT, "no libvirt on this host");
}

/* In the child: what comes back is the answer, or libvirt's words. */
static int
talk_apart(void *arg, struct buf *out)
{
	struct talk *talk = arg;
	struct err err = { 0 };
	int rc = talk->about(talk, out, &err);

	if (rc < 0) {
		buf_free(out);
		buf_puts(out, err.msg);
	}
	return rc;
}

static int
ask(struct host *host, struct talk *talk, unsigned timeout_ms, char **out, size_t *len, struct err *err)
{
	auto_free char *library = NULL;
	struct err silence = { 0 };
	int rc = with_library(host, talk, &library, err);

	if (rc < 0)
		return rc;
	rc = host_apart(host, talk_apart, talk, timeout_ms, out, len, &silence);
	if (silence.code)
		return err_set(err, rc, "libvirt: %s", silence.msg);
	return rc < 0 ? err_set(err, rc, "%s", *out) : 0;
}

static int
tell(struct host *host, struct talk *talk, unsigned timeout_ms, struct err *err)
{
	auto_free char *nothing = NULL;

	return ask(host, talk, timeout_ms, &nothing, NULL, err);
}

int
virt_look(struct host *host, Gdr__VirtLook **out, struct err *err)
{
	struct talk talk = { .about = look };
	auto_free char *data = NULL;
	size_t len = 0;
	const Gdr__AgentConfig *config = host_config(host);
	unsigned limit = config && config->tool_timeout < LOOK_MS ? config->tool_timeout : LOOK_MS;
	int rc = ask(host, &talk, limit, &data, &len, err);

	if (rc < 0)
		return rc;
	*out = (Gdr__VirtLook *)pb_unpack(&gdr__virt_look__descriptor, data, len, err);
	return *out ? 0 : err->code;
}

int
virt_define(struct host *host, const char *name, const char *xml, struct err *err)
{
	struct talk talk = { .about = define, .name = name, .xml = xml };

	return tell(host, &talk, CHANGE_MS, err);
}

int
virt_autostart(struct host *host, const char *name, bool on, struct err *err)
{
	struct talk talk = { .about = autostart, .name = name, .on = on };

	return tell(host, &talk, LOOK_MS, err);
}

int
virt_start(struct host *host, const char *name, struct err *err)
{
	struct talk talk = { .about = start, .name = name };

	return tell(host, &talk, CHANGE_MS, err);
}

int
virt_stop(struct host *host, const char *name, unsigned timeout_ms, struct err *err)
{
	struct talk talk = { .about = stop, .name = name, .timeout_ms = timeout_ms };

	return tell(host, &talk, timeout_ms + STOP_MARGIN, err);
}

int
virt_watch(struct host *host, struct host_watch *out, struct err *err)
{
	struct talk talk = { 0 };
	auto_free char *library = NULL;
	int rc = with_library(host, &talk, &library, err);

	return rc < 0 ? rc : host_watch(watch, &talk, out, err);
}
