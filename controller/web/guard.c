#include "controller/web/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/web/request.h"

#define TOKENS_MAX (64U << 10) /* Bytes of their file. */
#define TOKEN_MIN  16          /* Characters: what is shorter can be guessed. */

struct guard {
	const Gdr__WebConfig *config;
	char *name;
	uint8_t (*digests)[PB_DIGEST_LEN]; /* Of the tokens: compared as such, the time tells nothing of the token. */
	size_t n;
};

/* --- tokens -------------------------------------------------------------------------------------------------- */

static int
add_token(struct guard *guard, const char *path, char *line, struct err *err)
{
	line[strcspn(line, " \t\r")] = '\0';
	if (*line == '\0' || *line == '#')
		return 0;
	if (strlen(line) < TOKEN_MIN)
		return err_set(err, -EINVAL, "%s: a token of %zu characters: at least %d", path, strlen(line),
			       TOKEN_MIN);
	guard->digests = xrealloc(guard->digests, guard->n + 1, sizeof(*guard->digests));
	pb_digest(line, strlen(line), guard->digests[guard->n++]);
	return 0;
}

static int
read_tokens(struct guard *guard, const char *path, struct err *err)
{
	auto_free char *text = NULL;
	struct stat st;
	int rc = file_read(path, TOKENS_MAX, &text, NULL, err);

	if (rc == 0 && stat(path, &st) == 0 && (st.st_mode & 077))
		rc = err_set(err, -EACCES, "%s: others may read it: chmod 600 %s, and make new tokens", path, path);
	for (char *line = text, *next = NULL; rc == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		rc = add_token(guard, path, line, err);
	}
	if (rc == 0 && guard->n == 0)
		rc = err_set(err, -EINVAL, "%s: holds no token", path);
	return rc;
}

static bool
has_token(const struct guard *guard, const char *authorization)
{
	static const char bearer[] = "Bearer ";
	uint8_t digest[PB_DIGEST_LEN];
	bool found = false;

	if (!authorization || strncasecmp(authorization, bearer, strlen(bearer)) != 0)
		return false;
	const char *token = authorization + strlen(bearer);
	pb_digest(token, strlen(token), digest);
	for (size_t i = 0; i < guard->n; i++)
		found = memcmp(digest, guard->digests[i], sizeof(digest)) == 0 || found;
	return found;
}

/* --- Host ---------------------------------------------------------------------------------------------------- */

/* The name in "name:7480", "[::1]:7480", "10.0.0.1"; false if it is too long to be one. */
static bool
host_name(const char *host, char *out, size_t size)
{
	const char *begin = *host == '[' ? host + 1 : host;
	size_t len = *host == '[' ? strcspn(begin, "]") : strcspn(begin, ":");

	if (len == 0 || len >= size)
		return false;
	memcpy(out, begin, len);
	out[len] = '\0';
	return true;
}

/* An address is what was asked for; a name is whatever its owner makes it point to. */
static bool
is_own_host(const struct guard *guard, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[256];

	if (!host || !host_name(host, name, sizeof(name)))
		return false;
	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 ||
	    strcasecmp(name, "localhost") == 0 || (guard->name && strcasecmp(name, guard->name) == 0))
		return true;
	for (size_t i = 0; i < guard->config->n_hosts; i++)
		if (strcasecmp(name, guard->config->hosts[i]) == 0)
			return true;
	return false;
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

bool
guard_check(const struct guard *guard, const struct web_request *request, bool open, struct web_answer *answer)
{
	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		web_refuse(answer, 405, "only GET and HEAD: over HTTP nothing of the fleet can be changed");
	else if (!is_own_host(guard, request->host))
		web_refuse(answer, 421, "this is not %s: name it in web.hosts of gdrd.yaml",
			   request->host ? request->host : "a host without a name");
	else if (!open && guard->n > 0 && !has_token(guard, request->authorization))
		web_refuse(answer, 401, "this takes a bearer token");
	else
		return true;
	return false;
}

int
guard_open(const Gdr__WebConfig *config, bool loopback, const char *name, struct guard **out, struct err *err)
{
	struct guard *guard = xcalloc(1, sizeof(*guard));
	int rc = 0;

	guard->config = config;
	guard->name = name ? xstrdup(name) : NULL;
	if (!config->certificate != !config->key)
		rc = err_set(err, -EINVAL, "web: certificate and key go together");
	else if (!loopback && (!config->certificate || !config->tokens))
		rc = err_set(
			err, -EPERM,
			"web.listen: beyond loopback it takes TLS (certificate, key) and tokens; set them, or listen on "
			"127.0.0.1");
	else if (config->tokens)
		rc = read_tokens(guard, config->tokens, err);
	if (rc < 0) {
		guard_free(guard);
		return rc;
	}
	*out = guard;
	return 0;
}

void
guard_free(struct guard *guard)
{
	if (!guard)
		return;
	free(guard->digests);
	free(guard->name);
	free(guard);
}
