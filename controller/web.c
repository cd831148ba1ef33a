#include "controller/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "controller/web/guard.h"
#include "controller/web/http.h"
#include "controller/web/site.h"

#define PEM_MAX (256U << 10)
#define BACKLOG 64

struct web {
	struct metrics_sources sources;
	struct http_counts counts;
	struct guard *guard;
	struct site *site;
	struct http *http;
	char *url;
};

/* --- where to listen -------------------------------------------------------------------------------------------- */

/* "127.0.0.1:7480", "[::1]:7480"; NULL: it is neither.  The caller frees it with freeaddrinfo(). */
static struct addrinfo *
resolve(const char *listen_at, struct err *err)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
					.ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(listen_at, ':');
	const char *host = *listen_at == '[' ? listen_at + 1 : listen_at;
	size_t len = colon ? (size_t)(colon - host) : 0;
	struct addrinfo *at = NULL;

	if (colon && *listen_at == '[' && len > 0)
		len--; /* The bracket. */
	auto_free char *address = xasprintf("%.*s", (int)len, host);
	if (len == 0 || getaddrinfo(address, colon + 1, &hints, &at) != 0)
		(void)err_set(err, -EINVAL, "web.listen: '%s': expected ADDRESS:PORT, or none", listen_at);
	return at;
}

static bool
is_loopback(const struct addrinfo *at)
{
	if (at->ai_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_addr.s_addr) >> 24 == 127;
}

static int
listen_on(const struct addrinfo *at, const char *name, int *out, struct err *err)
{
	int on = 1;
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		(void)err_set(err, -errno, "web.listen: %s: %s", name, strerror(errno));
		(void)close(fd);
		return err->code;
	}
	*out = fd;
	return 0;
}

/* Port 0 is resolved. */
static char *
url_of(int fd, bool tls)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	char host[64] = "";
	char port[16] = "";

	if (getsockname(fd, (struct sockaddr *)&at, &len) == 0)
		(void)getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
				  NI_NUMERICHOST | NI_NUMERICSERV);
	bool six = strchr(host, ':') != NULL;
	return xasprintf("http%s://%s%s%s:%s/", tls ? "s" : "", six ? "[" : "", host, six ? "]" : "", port);
}

/* --- begin and end ------------------------------------------------------------------------------------------------ */

static int
read_pem(const char *path, char **out, struct err *err)
{
	return path ? file_read(path, PEM_MAX, out, NULL, err) : 0;
}

static int
open_on(struct web *web, const Gdr__GdrdConfig *config, const Gdr__WebConfig *own, const struct addrinfo *at,
	struct operators *operators, zloop_t *loop, struct err *err)
{
	auto_free char *certificate = NULL;
	auto_free char *key = NULL;
	int fd = -1;
	int rc = guard_open(own, is_loopback(at), config->advertise, &web->guard, err);

	if (rc == 0)
		rc = read_pem(own->certificate, &certificate, err);
	if (rc == 0)
		rc = read_pem(own->key, &key, err);
	if (rc == 0)
		rc = listen_on(at, own->listen, &fd, err);
	if (rc < 0)
		return rc;
	web->url = url_of(fd, certificate != NULL);
	web->site = site_new(web->guard, operators, &web->sources);
	const struct http_listener listener = { fd, certificate, key };
	rc = http_open(own, &listener, web->site, loop, &web->counts, &web->http, err);
	return rc < 0 ? err_wrap(err, "web") : 0;
}

int
web_open(const Gdr__GdrdConfig *config, const struct metrics_sources *sources, struct operators *operators,
	 zloop_t *loop, struct web **out, struct err *err)
{
	static const Gdr__WebConfig defaults = GDR__WEB_CONFIG__INIT;
	const Gdr__WebConfig *own = config->web ? config->web : &defaults;

	*out = NULL;
	if (strcmp(own->listen, "none") == 0)
		return 0;
	struct addrinfo *at = resolve(own->listen, err);
	if (!at)
		return err->code;
	struct web *web = xcalloc(1, sizeof(*web));
	web->sources = *sources;
	web->sources.http = &web->counts;
	int rc = open_on(web, config, own, at, operators, loop, err);
	freeaddrinfo(at);
	if (rc < 0) {
		web_close(web);
		return rc;
	}
	*out = web;
	return 0;
}

void
web_close(struct web *web)
{
	if (!web)
		return;
	http_close(web->http);
	site_free(web->site);
	guard_free(web->guard);
	free(web->url);
	free(web);
}

const char *
web_url(const struct web *web)
{
	return web->url;
}
