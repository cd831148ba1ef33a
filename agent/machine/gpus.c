#include "agent/machine/gpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/host.h"
#include "agent/machine/nvml.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define LIBRARY "libnvidia-ml.so.1"
#define TOOL    "nvidia-smi"

#define EXIT_ARGUMENT 2 /* nvidia-smi(1), RETURN VALUE */

/* --- the library ------------------------------------------------------------------------------------------- */

/* agent.yaml's tools, else by the loader's rules, on this machine alone; NULL: there is none. */
static char *
library(struct host *host)
{
	auto_free char *own = host_tool(host, LIBRARY);

	return own || host_is_machine(host) ? xstrdup(own ? own : LIBRARY) : NULL;
}

struct call {
	const char *path;
	const char *address;
	enum gpus_setting setting;
	const char *value;
};

static int
print_gpus(void *arg, struct buf *out)
{
	const struct call *call = arg;

	return nvml_print_gpus(call->path, out);
}

static int
print_pairs(void *arg, struct buf *out)
{
	const struct call *call = arg;

	return nvml_print_pairs(call->path, out);
}

static int
set_one(void *arg, struct buf *out)
{
	const struct call *call = arg;

	return nvml_set(call->path, call->address, call->setting, call->value, out);
}

/* -ENOENT, -EIO: no library, or none that works; then there is the tool. */
static int
ask_library(struct host *host, unsigned timeout_ms, int (*work)(void *arg, struct buf *out), struct call *call,
	    char **out, struct err *err)
{
	auto_free char *path = library(host);

	*out = NULL;
	if (!path)
		return -ENOENT;
	call->path = path;
	int rc = host_apart(host, work, call, timeout_ms, out, NULL, err);
	if (rc == -ETIMEDOUT)
		return err_wrap(err, "the driver hangs: NVML");
	if (rc == -ENODEV)
		return err_set(err, rc, "the NVIDIA driver is not loaded");
	if (rc == -EIO) /* It crashed, and then there is the tool. */
		*err = (struct err){ 0 };
	return rc;
}

/* --- the tool ------------------------------------------------------------------------------------------------ */

static int
run_tool(struct host *host, unsigned timeout_ms, const char *const argv[], struct host_result *result, struct err *err)
{
	int rc = host_run(host, argv, timeout_ms, result, err);

	if (rc == -ENOENT)
		return err_set(err, rc, "no NVIDIA driver: neither " LIBRARY " nor " TOOL " is here");
	if (rc == 0 && result->timed_out)
		return err_set(err, -ETIMEDOUT, "the driver hangs: " TOOL " was killed after %u ms", timeout_ms);
	return rc;
}

/* A field that a driver does not know fails the whole query, so then it is asked what it knows. */
static int
query_again(struct host *host, unsigned timeout_ms, struct host_result *result, struct err *err)
{
	const char *const help[] = { TOOL, "--help-query-gpu", NULL };

	host_result_free(result);
	int rc = run_tool(host, timeout_ms, help, result, err);
	if (rc < 0)
		return rc;
	auto_free char *fields = nvsmi_query(result->out);
	auto_free char *query = xasprintf("--query-gpu=%s", fields);
	const char *const argv[] = { TOOL, query, "--format=csv,nounits", NULL };
	host_result_free(result);
	return run_tool(host, timeout_ms, argv, result, err);
}

static int
query_tool(struct host *host, unsigned timeout_ms, struct nvsmi_gpus *out, struct err *err)
{
	auto_free char *fields = nvsmi_query(NULL);
	auto_free char *query = xasprintf("--query-gpu=%s", fields);
	const char *const argv[] = { TOOL, query, "--format=csv,nounits", NULL };
	struct host_result result = { 0 };
	auto_free char *reason = NULL;
	int rc = run_tool(host, timeout_ms, argv, &result, err);

	if (rc == 0 && result.status == EXIT_ARGUMENT)
		rc = query_again(host, timeout_ms, &result, err);
	if (rc == 0 && nvsmi_said(result.out, result.err, result.status, &reason) == NVSMI_NO_DRIVER)
		rc = err_set(err, -ENODEV, "the NVIDIA driver is not loaded: %s", reason);
	if (rc == 0) {
		/* Lost GPUs are told of on either. */
		auto_free char *both = xasprintf("%s\n%s", result.out, result.err);
		rc = nvsmi_parse_gpus(both, out, err);
		if (rc < 0)
			rc = err_set(err, rc, TOOL ": exit status %d: %.200s", result.status, reason ? reason : "");
	}
	host_result_free(&result);
	return rc;
}

int
gpus_read(struct host *host, unsigned timeout_ms, struct nvsmi_gpus *out, struct err *err)
{
	struct call call = { 0 };
	auto_free char *text = NULL;

	*out = (struct nvsmi_gpus){ 0 };
	int rc = ask_library(host, timeout_ms, print_gpus, &call, &text, err);
	if (rc == -ENOENT || rc == -EIO)
		return query_tool(host, timeout_ms, out, err);
	return rc < 0 ? rc : nvsmi_parse_gpus(text, out, err);
}

int
gpus_clocks(struct host *host, unsigned timeout_ms, struct nvsmi_pairs *out, struct err *err)
{
	const char *const argv[] = { TOOL, "--query-supported-clocks=gpu_bus_id,mem,gr",
				     "--format=csv,noheader,nounits", NULL };
	struct host_result result = { 0 };
	struct call call = { 0 };
	auto_free char *text = NULL;

	*out = (struct nvsmi_pairs){ 0 };
	int rc = ask_library(host, timeout_ms, print_pairs, &call, &text, err);
	if (rc == 0)
		nvsmi_parse_pairs(text, out);
	if (rc != -ENOENT && rc != -EIO)
		return rc;
	rc = run_tool(host, timeout_ms, argv, &result, err);
	if (rc == 0)
		nvsmi_parse_pairs(result.out, out);
	host_result_free(&result);
	return rc;
}

int
gpus_processes(struct host *host, unsigned timeout_ms, struct err *err)
{
	const char *const argv[] = { TOOL, "--query-compute-apps=pid", "--format=csv,noheader", NULL };
	struct host_result result = { 0 };
	int n = 0;
	int rc = run_tool(host, timeout_ms, argv, &result, err);

	if (rc == 0 && result.status != 0)
		rc = err_set(err, -EIO, TOOL ": exit status %d", result.status);
	for (const char *line = rc == 0 ? result.out : NULL; line && *line; line = strchr(line, '\n')) {
		line += strspn(line, "\n");
		n += *line >= '0' && *line <= '9';
	}
	host_result_free(&result);
	return rc < 0 ? rc : n;
}

/* --- setters ------------------------------------------------------------------------------------------------- */

static enum nvsmi_said
set_by_tool(struct host *host, unsigned timeout_ms, const char *address, const char *option, const char *value,
	    char **reason)
{
	const char *const argv[] = { TOOL, "-i", address, option, value, NULL };
	struct host_result result = { 0 };
	struct err err = { 0 };
	enum nvsmi_said said = NVSMI_FAILED;

	if (run_tool(host, timeout_ms, argv, &result, &err) < 0)
		*reason = xstrdup(err.msg);
	else
		said = nvsmi_said(result.out, result.err, result.status, reason);
	host_result_free(&result);
	return said;
}

enum nvsmi_said
gpus_set(struct host *host, unsigned timeout_ms, const char *address, enum gpus_setting setting, const char *value,
	 char **reason)
{
	static const char *const options[] = { [GPUS_PERSISTENCE] = "-pm",
					       [GPUS_APPLICATION] = "-ac",
					       [GPUS_GRAPHICS] = "-lgc",
					       [GPUS_MEMORY] = "-lmc",
					       [GPUS_CUDA] = "-cc" };
	bool locked = setting == GPUS_GRAPHICS || setting == GPUS_MEMORY;
	auto_free char *pair = locked ? xasprintf("%s,%s", value, value) : xstrdup(value);
	struct call call = { .address = address, .setting = setting, .value = value };
	auto_free char *text = NULL;
	struct err err = { 0 };
	int rc = nvml_can_set(setting) ? ask_library(host, timeout_ms, set_one, &call, &text, &err) : -ENOENT;

	if (rc == -ENOENT || rc == -EIO)
		return set_by_tool(host, timeout_ms, address, options[setting], pair, reason);
	if (rc == 0)
		return nvsmi_said(text, "", strcmp(text, "All done.") == 0 ? 0 : EXIT_ARGUMENT, reason);
	*reason = xstrdup(err.msg);
	return rc == -ENODEV ? NVSMI_NO_DRIVER : NVSMI_FAILED;
}
