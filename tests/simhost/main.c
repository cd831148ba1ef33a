/* main.c - gdr-simhost: makes, boots, runs and breaks a simulated GPU host. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "tests/simhost/boot.h"
#include "tests/simhost/faults.h"
#include "tests/simhost/guest_gpu.h"
#include "tests/simhost/ip_tool.h"
#include "tests/simhost/links.h"
#include "tests/simhost/nic.h"
#include "tests/simhost/registers.h"
#include "tests/simhost/run.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/vms.h"

#define MAX_OPERANDS 64

struct arguments {
	struct sim sim; /* What --name ... --ats say. */
	const char *check_interval;
	const char *agent;
	const char *log;
	unsigned reboot_ms;
	bool now;
	char *operands[MAX_OPERANDS];
	int n;
};

/* --- commands: 0 or a negative errno ----------------------------------------------------------- */

static const char *
last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A node's name is written into files as it is. */
static bool
node_name(const char *text, char **out)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";

	if (!*text || strlen(text) > 63 || text[strspn(text, good)])
		return false;
	free(*out);
	*out = xstrdup(text);
	return true;
}

static int
run_create(struct arguments *arguments, struct err *err)
{
	struct sim *sim = &arguments->sim;
	auto_free char *dir = xstrdup(arguments->operands[0]);

	for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
		dir[n - 1] = '\0';
	if (!sim->name && !node_name(last_component(dir), &sim->name))
		return err_set(err, -EINVAL, "'%s' is no node name: lower case, digits, '-', '.' (--name)",
			       last_component(dir));
	int rc = sim_create(sim, dir, arguments->check_interval, err);
	return rc < 0 ? rc : boot(sim, err);
}

static int
run_boot(struct arguments *arguments, struct err *err)
{
	auto_close int lock = -1;
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);

	if (rc == 0)
		rc = sim_lock(&arguments->sim, &lock, err);
	if (rc == -EBUSY)
		return err_set(err, rc, "%s is running: gdr-simhost reboot", arguments->operands[0]);
	if (rc == 0 && sim_broken(&arguments->sim, "reboot-hang"))
		return err_set(err, -ETIMEDOUT, "it hangs (fault reboot-hang)");
	return rc < 0 ? rc : boot(&arguments->sim, err);
}

static int
run_reboot(struct arguments *arguments, struct err *err)
{
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);

	return rc < 0 ? rc : run_request_reboot(&arguments->sim, err);
}

static int
run_run(struct arguments *arguments, struct err *err)
{
	const struct run_options options = { arguments->agent, arguments->log, arguments->reboot_ms };
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);

	return rc < 0 ? rc : run(&arguments->sim, &options, err);
}

static int
run_break(struct arguments *arguments, struct err *err)
{
	int rc = sim_open_any(&arguments->sim, arguments->operands[0], err);

	for (int i = 1; rc == 0 && i < arguments->n; i++)
		rc = faults_break(&arguments->sim, arguments->operands[i], arguments->now, err);
	return rc;
}

static int
run_mend(struct arguments *arguments, struct err *err)
{
	int rc = sim_open_any(&arguments->sim, arguments->operands[0], err);

	if (rc == 0 && arguments->n == 1)
		return faults_mend(&arguments->sim, NULL, arguments->now, err);
	for (int i = 1; rc == 0 && i < arguments->n; i++)
		rc = faults_mend(&arguments->sim, arguments->operands[i], arguments->now, err);
	return rc;
}

static int
run_faults(struct arguments *arguments, struct err *err)
{
	if (arguments->n == 0) {
		faults_print(NULL);
		return 0;
	}
	int rc = sim_open_any(&arguments->sim, arguments->operands[0], err);
	if (rc == 0)
		faults_print(&arguments->sim);
	return rc;
}

static int
run_peek(struct arguments *arguments, struct err *err)
{
	unsigned value = 0;
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);

	if (rc == 0)
		rc = register_peek(&arguments->sim, arguments->operands[1], arguments->operands[2], &value, err);
	if (rc == 0)
		(void)printf("%04x\n", value);
	return rc;
}

static int
run_poke(struct arguments *arguments, struct err *err)
{
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);
	char *end = NULL;
	unsigned long value = strtoul(arguments->operands[3], &end, 16);

	if (rc == 0 && (*end || end == arguments->operands[3] || value > 0xffff))
		return err_set(err, -EINVAL, "'%s' is no 16-bit hexadecimal number", arguments->operands[3]);
	if (rc == 0)
		rc = register_poke(&arguments->sim, arguments->operands[1], arguments->operands[2], (unsigned)value,
				   err);
	return rc;
}

static void
list_vms(const struct sim *sim)
{
	auto_strv char **names = vms_list(sim);

	for (char **name = names; *name; name++) {
		auto_free char *state = vms_state(sim, *name);
		(void)printf("%-20s %s\n", *name, state);
	}
}

static int
print_vm(const struct sim *sim, const char *name, struct err *err)
{
	auto_free char *xml = vms_xml(sim, name, false);

	if (!xml)
		return err_set(err, -ENOENT, "no VM %s", name);
	(void)printf("%s\n", xml);
	return 0;
}

/* As virsh define: from the file that is named. */
static int
define_vm(const struct sim *sim, const char *file, struct err *err)
{
	auto_free char *xml = NULL;
	auto_free char *name = NULL;
	size_t len;
	int rc = file_read(file, 1U << 20, &xml, &len, err);

	return rc < 0 ? rc : vms_define(sim, xml, &name, err);
}

static int
run_vm(struct arguments *arguments, struct err *err)
{
	const char *name = arguments->operands[1];
	const char *verb = arguments->operands[2];
	int rc = sim_open(&arguments->sim, arguments->operands[0], err);

	if (rc == 0 && !name)
		list_vms(&arguments->sim);
	if (rc < 0 || !name)
		return rc;
	if (!verb || strcmp(verb, "xml") == 0)
		return print_vm(&arguments->sim, name, err);
	if (strcmp(verb, "start") == 0)
		return vms_start(&arguments->sim, name, err);
	if (strcmp(verb, "stop") == 0)
		return vms_stop(&arguments->sim, name, "stopped", err);
	if (strcmp(verb, "pause") == 0)
		return vms_set_state(&arguments->sim, name, "paused", err);
	if (strcmp(name, "define") == 0)
		return define_vm(&arguments->sim, verb, err);
	return err_set(err, -EINVAL, "a VM can be told to start, stop, pause or xml, not '%s'", verb);
}

static const struct command {
	const char *name;
	const char *operands;
	const char *help;
	int min, max; /* Operands. */
	int (*run)(struct arguments *arguments, struct err *err);
} commands[] = {
	{ "create", "DIR", "make a host, booted once", 1, 1, run_create },
	{ "run", "DIR", "be its first process: keep the agent running, reboot it when asked", 1, 1, run_run },
	{ "boot", "DIR", "one boot, without any process", 1, 1, run_boot },
	{ "reboot", "DIR", "ask the running one, or boot at once", 1, 1, run_reboot },
	{ "break", "DIR[/VM] FAULT[=VALUE]...", "bring faults about, on a host or in the guest of its VM", 2,
	  MAX_OPERANDS, run_break },
	{ "mend", "DIR[/VM] [FAULT...]", "end these faults, or all", 1, MAX_OPERANDS, run_mend },
	{ "faults", "[DIR[/VM]]", "list what can break, and what is broken", 0, 1, run_faults },
	{ "peek", "DIR ADDRESS REGISTER", "read 16 bits: 1a0, CAP_EXP+8, ECAP_ACS+6", 3, 3, run_peek },
	{ "poke", "DIR ADDRESS REGISTER HEX", "write 16 bits", 4, 4, run_poke },
	{ "vm", "DIR [NAME start|stop|pause|xml]", "its VMs, as virsh would; or: vm DIR define FILE", 1, 3, run_vm },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* --- command line ------------------------------------------------------------------------------ */

static void
usage(FILE *to)
{
	(void)fprintf(to, "usage: gdr-simhost [options] COMMAND\n\ncommands:\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		auto_free char *left = xasprintf("%s %s", commands[i].name, commands[i].operands);

		(void)fprintf(to, "  %-29s %s\n", left, commands[i].help);
	}
	(void)fprintf(to, "\noptions of create:\n"
			  "  --name NAME             its name (default: the folder's)\n"
			  "  --gpus N, --nics N      8 GPUs and 4 two-port NICs, or fewer\n"
			  "  --memory GIB            for each of the 2 NUMA nodes (default 512)\n"
			  "  --pages-memory PERCENT  how much of it huge pages can take (default 97)\n"
			  "  --ats kernel|not-pt|off who enables ATS: the kernel, only without iommu=pt, or nobody\n"
			  "  --check-interval TIME   of its agent (default 2s)\n"
			  "options of run:\n"
			  "  --agent PATH            gdr-agent (default: beside this program)\n"
			  "  --reboot-time TIME      how long it is off (default 3s)\n"
			  "  --log FILE              one line for each event (default: stderr)\n"
			  "options of break and mend:\n"
			  "  --now                   what acts at the next boot acts now too\n"
			  "'gdr-simhost faults' lists all that can break, on hosts and in guests.\n\n"
			  "examples:\n"
			  "  gdr-simhost create hosts/sim1 --name sim1\n"
			  "  gdr-simhost run hosts/sim1 --agent build/bin/gdr-agent --reboot-time 1s\n"
			  "  gdr-simhost faults\n"
			  "  gdr-simhost break hosts/sim1 acs-cleared=0000:3c:00.0\n"
			  "  gdr-simhost break hosts/sim1/sim1-gpu0 gid-gone=mlx5_1\n"
			  "  lspci -A linux-sysfs -O sysfs.path=$PWD/hosts/sim1/sys/bus/pci -tv\n\n"
			  "exit status: 0 done, 1 error, 2 usage\n");
}

static bool
number(const char *text, unsigned max, unsigned *out)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);

	*out = (unsigned)value;
	return end != text && !*end && *text != '-' && value <= max;
}

static bool
duration(const char *text, unsigned *ms)
{
	unsigned long long value = 0;

	if (!pbtext_duration_parse(text, &value) || value > 86400000)
		return false;
	*ms = (unsigned)value;
	return true;
}

enum {
	OPT_NAME = 256,
	OPT_GPUS,
	OPT_NICS,
	OPT_MEMORY,
	OPT_PAGES_MEMORY,
	OPT_ATS,
	OPT_CHECK_INTERVAL,
	OPT_AGENT,
	OPT_REBOOT_TIME,
	OPT_LOG,
	OPT_NOW,
};

/* False if the value is not right for the option. */
static bool
option(struct arguments *out, int c, const char *value)
{
	unsigned ms;

	switch (c) {
	case OPT_NAME: return node_name(value, &out->sim.name);
	case OPT_GPUS: return number(value, 8, &out->sim.gpus);
	case OPT_NICS: return number(value, 4, &out->sim.nics);
	case OPT_MEMORY: return number(value, 4096, &out->sim.memory) && out->sim.memory >= 8;
	case OPT_PAGES_MEMORY: return number(value, 100, &out->sim.pages_memory);
	case OPT_ATS: return sim_ats_parse(value, &out->sim.ats);
	case OPT_CHECK_INTERVAL: out->check_interval = value; return duration(value, &ms);
	case OPT_AGENT: out->agent = value; return true;
	case OPT_REBOOT_TIME: return duration(value, &out->reboot_ms);
	case OPT_LOG: out->log = value; return true;
	case OPT_NOW: out->now = true; return true;
	default: return false;
	}
}

static const struct option long_options[] = {
	{ "name", required_argument, NULL, OPT_NAME },
	{ "gpus", required_argument, NULL, OPT_GPUS },
	{ "nics", required_argument, NULL, OPT_NICS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "pages-memory", required_argument, NULL, OPT_PAGES_MEMORY },
	{ "ats", required_argument, NULL, OPT_ATS },
	{ "check-interval", required_argument, NULL, OPT_CHECK_INTERVAL },
	{ "agent", required_argument, NULL, OPT_AGENT },
	{ "reboot-time", required_argument, NULL, OPT_REBOOT_TIME },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "now", no_argument, NULL, OPT_NOW },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int
parse(int argc, char **argv, struct arguments *out)
{
	int index = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == 'V') {
			(void)printf("gdr-simhost %s\n", GDR_VERSION);
			return 0;
		}
		if (c == '?')
			return 2;
		if (!option(out, c, optarg)) {
			(void)fprintf(stderr, "gdr-simhost: --%s: '%s' cannot be (see gdr-simhost --help)\n",
				      long_options[index].name, optarg);
			return 2;
		}
	}
	return -1;
}

static const struct command *
find_command(const char *name)
{
	const char *names[COMMANDS + 1] = { 0 };

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		names[i] = commands[i].name;
	}
	const char *near = pbtext_nearest(name, names);
	(void)fprintf(stderr, "gdr-simhost: unknown command '%s'%s%s%s (see gdr-simhost --help)\n", name,
		      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

static int
execute(const struct command *command, struct arguments *arguments)
{
	struct err err = { 0 };

	if (arguments->n < command->min || arguments->n > command->max) {
		(void)fprintf(stderr, "usage: gdr-simhost %s %s\n", command->name, command->operands);
		return 2;
	}
	if (command->run(arguments, &err) == 0)
		return 0;
	(void)fprintf(stderr, "gdr-simhost: %s\n", err.msg);
	return 1;
}

/* What DIR/.sim/bin/NAME runs: its arguments are none of ours. */
static const struct tool {
	const char *name;
	int (*run)(const struct sim *sim, char *const argv[], int argc);
} tools[] = { { "mstconfig", nic_tool }, { "mstflint", nic_flint }, { "mstfwreset", nic_fwreset },
	      { "ip", ip_tool },         { "netlink", links_tool }, { "nvidia-smi", smi_tool } };

static const struct tool *
find_tool(const char *name)
{
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
		if (strcmp(tools[i].name, name) == 0)
			return &tools[i];
	return NULL;
}

static int
as_tool(const struct tool *tool, int argc, char **argv)
{
	struct sim sim = { .fd = -1 };
	struct err err = { 0 };
	int status = 3;

	if (sim_open(&sim, argv[0], &err) == 0)
		status = tool->run(&sim, argv + 1, argc - 1);
	else
		(void)fprintf(stderr, "gdr-simhost: %s\n", err.msg);
	sim_close(&sim);
	return status;
}

int
main(int argc, char **argv)
{
	const struct tool *tool = argc > 2 ? find_tool(argv[1]) : NULL;

	if (tool)
		return as_tool(tool, argc - 2, argv + 2);

	struct arguments arguments = {
		.sim = { .fd = -1, .gpus = 8, .nics = 4, .memory = 512, .pages_memory = 97 },
		.check_interval = "2s",
		.reboot_ms = 3000,
	};
	int status = parse(argc, argv, &arguments);

	(void)log_init("gdr-simhost", "auto");
	if (status < 0 && optind == argc) {
		usage(stderr);
		status = 2;
	}
	if (status < 0) {
		const struct command *command = find_command(argv[optind]);

		for (int i = optind + 1; i < argc && arguments.n < MAX_OPERANDS; i++)
			arguments.operands[arguments.n++] = argv[i];
		status = command ? execute(command, &arguments) : 2;
	}
	sim_close(&arguments.sim);
	return status;
}
