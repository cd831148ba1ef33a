/* bootloader.c - one driver a kind of boot loader, in the table at the end. */

#include "agent/machine/bootloader.h"

#include <errno.h>
#include <stdio.h>

#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define GRUB_DROPIN "/etc/default/grub.d/gdrfleet.cfg"
#define RECORD      "/etc/gdrfleet/boot-parameters"

typedef const char *const *strv;

/* What is to be written. */
struct change {
	strv params;
	strv old;   /* Ours until now. */
	strv drops; /* Others' that contradict. */
};

struct loader {
	const char *name;
	const char *record; /* Where "# parameters: ..." and "# taken out: ..." tell ours from others'. */
	bool (*here)(struct host *host);
	/* The command lines of all entries but those for rescue; NULL-terminated. */
	char **(*entries)(struct host *host);
	int (*write)(struct host *host, const struct change *change, struct err *err);
};

static char *
text_of(struct host *host, const char *path)
{
	char *text = NULL;
	struct err ignored;

	(void)host_read(host, path, &text, NULL, &ignored);
	return text;
}

static bool
has_tool(struct host *host, const char *name)
{
	auto_free char *path = host_tool(host, name);

	return path != NULL;
}

static void
push(char ***v, char *text)
{
	size_t n = 0;

	while (*v && (*v)[n])
		n++;
	*v = xrealloc(*v, n + 2, sizeof(**v));
	(*v)[n] = text;
	(*v)[n + 1] = NULL;
}

/* Keeps our parameters apart where the loader's own file does not. */
static int
write_record(struct host *host, strv params, strv more, strv drops, struct err *err)
{
	auto_free char *ours = cmdline_join(params);
	auto_free char *old = cmdline_join(more);
	auto_free char *dropped = cmdline_join(drops);
	auto_free char *text = xasprintf("# boot-parameters - which of the kernel's parameters are gdr-agent's.\n"
					 "# parameters: %s%s%s\n# taken out: %s\n",
					 ours, *old ? " " : "", old, dropped);

	return host_replace(host, RECORD, text, 0644, err);
}

/* --- GRUB with update-grub: Debian, Ubuntu ---------------------------------------------------------------- */

static bool
grub_here(struct host *host)
{
	return host_exists(host, "/etc/default/grub") && has_tool(host, "update-grub");
}

/* The parameters of "linux /boot/vmlinuz-5.15 root=... ro quiet", or NULL if the line is no such entry of ours:
 * recovery mode has "recovery" (Ubuntu) or "single", and memtest has no root=. */
static char *
grub_entry(const char *line)
{
	line += strspn(line, " \t");
	size_t word = strcspn(line, " \t");
	if (strncmp(line, "linux", 5) != 0 || (word != 5 && strncmp(line, "linuxefi", word) != 0))
		return NULL;
	line += word;
	line += strspn(line, " \t");
	line += strcspn(line, " \t");
	auto_strv char **params = cmdline_split(line, false);
	bool normal = false;
	for (size_t i = 0; params[i]; i++) {
		if (strcmp(params[i], "recovery") == 0 || strcmp(params[i], "single") == 0)
			return NULL;
		normal = normal || cmdline_value(params[i], "root");
	}
	return normal ? xstrdup(line) : NULL;
}

/* Other systems on other disks have sections of their own in grub.cfg. */
static char **
grub_entries(struct host *host)
{
	auto_free char *text = text_of(host, "/boot/grub/grub.cfg");
	char **out = NULL;

	if (!text)
		text = text_of(host, "/boot/grub2/grub.cfg");
	if (!text)
		return NULL;
	char *begin = strstr(text, "### BEGIN /etc/grub.d/10_linux");
	char *end = begin ? strstr(begin, "### END /etc/grub.d/10_linux") : NULL;
	if (end)
		*end = '\0';
	char *save = NULL;
	for (char *line = strtok_r(begin ? begin : text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *entry = grub_entry(line);
		if (entry)
			push(&out, entry);
	}
	return out;
}

/* GRUB_CMDLINE_LINUX_DEFAULT is for normal entries alone.  GRUB_CMDLINE_LINUX would put our parameters into recovery
 * mode too, which is the way out of a host whose huge pages leave it no memory. */
static int
grub_write(struct host *host, const struct change *change, struct err *err)
{
	const char *const argv[] = { "update-grub", NULL };
	auto_free char *ours = cmdline_join(change->params);
	auto_free char *drops = cmdline_join(change->drops);
	auto_buf struct buf text = { 0 };

	buf_printf(&text,
		   "# gdrfleet.cfg - written by gdr-agent from the node's profile; a change here is undone.\n"
		   "# parameters: %s\n# taken out: %s\n",
		   ours, drops);
	if (*drops)
		buf_printf(
			&text,
			"gdrfleet_keep() {\n\tset -f\n\tfor gdrfleet_word in $1; do\n"
			"\t\tcase \" %s \" in *\" $gdrfleet_word \"*) ;; *) printf '%%s ' \"$gdrfleet_word\" ;; esac\n"
			"\tdone\n}\n"
			"GRUB_CMDLINE_LINUX=\"$(gdrfleet_keep \"$GRUB_CMDLINE_LINUX\")\"\n"
			"GRUB_CMDLINE_LINUX_DEFAULT=\"$(gdrfleet_keep \"$GRUB_CMDLINE_LINUX_DEFAULT\")\"\n",
			drops);
	buf_printf(&text, "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT %s\"\n", ours);
	int rc = host_replace(host, GRUB_DROPIN, text.text, 0644, err);
	return rc < 0 ? rc : host_do(host, argv, err);
}

/* --- Boot Loader Specification entries ---------------------------------------------------------------------- */

/* The 'options' lines of one entry, joined; RHEL 8 keeps them in grubenv, as $kernelopts. */
static char *
bls_options(struct host *host, const char *text)
{
	auto_free char *env = text_of(host, "/boot/grub2/grubenv");
	struct buf out = { 0 };

	for (const char *line = text; *line; line += strspn(line, "\n")) {
		size_t len = strcspn(line, "\n");
		const char *variable = memmem(line, len, "$kernelopts", strlen("$kernelopts"));
		auto_free char *kernelopts = variable && env ? inventory_field(env, "kernelopts") : NULL;
		if (strncmp(line, "options", 7) == 0 && strchr(" \t", line[7]) && len > 7)
			buf_printf(&out, " %.*s %s", (int)len - 8, line + 8, kernelopts ? kernelopts : "");
		line += len;
	}
	return buf_steal(&out);
}

static char **
bls_entries(struct host *host)
{
	static const char *const folders[] = { "/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf",
					       "/efi/loader/entries/*.conf", NULL };
	char **out = NULL;

	for (size_t i = 0; folders[i] && !out; i++) {
		auto_strv char **files = host_glob(host, folders[i]);
		for (char **file = files; *file; file++) {
			auto_free char *text = text_of(host, *file);
			if (text && !strstr(*file, "rescue"))
				push(&out, bls_options(host, text));
		}
	}
	return out;
}

/* --- GRUB with grubby: RHEL and its kin ---------------------------------------------------------------------- */

static bool
grubby_here(struct host *host)
{
	return host_exists(host, "/boot/loader/entries") && has_tool(host, "grubby");
}

static int
grubby_write(struct host *host, const struct change *change, struct err *err)
{
	const char *const none[] = { NULL };
	auto_free char *ours = cmdline_join(change->params);
	auto_free char *old = cmdline_join(change->old);
	auto_free char *drops = cmdline_join(change->drops);
	auto_free char *remove = xasprintf("--remove-args=%s %s", old, drops);
	auto_free char *add = xasprintf("--args=%s", ours);
	const char *const first[] = { "grubby", "--update-kernel=ALL", remove, NULL };
	const char *const then[] = { "grubby", "--update-kernel=ALL", add, NULL };
	int rc = write_record(host, change->params, change->old, change->drops, err);

	if (rc == 0 && (*old || *drops))
		rc = host_do(host, first, err);
	if (rc == 0 && *ours)
		rc = host_do(host, then, err);
	return rc < 0 ? rc : write_record(host, change->params, none, change->drops, err);
}

/* --- systemd-boot with kernel-install ------------------------------------------------------------------------- */

#define KERNEL_CMDLINE "/etc/kernel/cmdline"

static bool
systemd_here(struct host *host)
{
	return host_exists(host, KERNEL_CMDLINE) && has_tool(host, "kernel-install");
}

/* kernel-install(8) writes the entry of one kernel; which of the two places has its image differs by distribution. */
static int
install_kernels(struct host *host, struct err *err)
{
	auto_strv char **modules = host_glob(host, "/lib/modules/*");

	if (!*modules)
		return err_set(err, -ENOENT, "no kernel is in /lib/modules");
	for (char **folder = modules; *folder; folder++) {
		const char *version = strrchr(*folder, '/') + 1;
		auto_free char *image = xasprintf("%s/vmlinuz", *folder);
		if (!host_exists(host, image)) {
			free(image);
			image = xasprintf("/boot/vmlinuz-%s", version);
		}
		const char *const argv[] = { "kernel-install", "add", version, image, NULL };
		int rc = host_exists(host, image) ? host_do(host, argv, err) : 0;
		if (rc < 0)
			return err_wrap(err, "kernel %s", version);
	}
	return 0;
}

static int
systemd_write(struct host *host, const struct change *change, struct err *err)
{
	const char *const none[] = { NULL };
	auto_free char *text = NULL;
	auto_buf struct buf line = { 0 };
	int rc = host_read(host, KERNEL_CMDLINE, &text, NULL, err);

	if (!text)
		return rc;
	auto_strv char **words = cmdline_split(text, true);
	auto_free char *ours = cmdline_join(change->params);
	for (char **word = words; *word; word++)
		if (!cmdline_has(change->old, *word) && !cmdline_has(change->drops, *word))
			buf_printf(&line, "%s ", *word);
	buf_printf(&line, "%s\n", ours);
	rc = write_record(host, change->params, change->old, change->drops, err);
	if (rc == 0)
		rc = host_replace(host, KERNEL_CMDLINE, line.text, 0644, err);
	if (rc == 0)
		rc = install_kernels(host, err);
	return rc < 0 ? rc : write_record(host, change->params, none, change->drops, err);
}

/* --- the door ---------------------------------------------------------------------------------------------- */

static const struct loader loaders[] = {
	{ "GRUB", GRUB_DROPIN, grub_here, grub_entries, grub_write },
	{ "GRUB (grubby)", RECORD, grubby_here, bls_entries, grubby_write },
	{ "systemd-boot", RECORD, systemd_here, bls_entries, systemd_write },
};

static const struct loader *
find(struct host *host)
{
	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (loaders[i].here(host))
			return &loaders[i];
	return NULL;
}

/* "# KEY: ..." of the record, split. */
static char **
recorded(struct host *host, const struct loader *loader, const char *key)
{
	auto_free char *text = text_of(host, loader->record);
	auto_free char *value = text ? inventory_field(text, key) : NULL;

	return cmdline_split(value ? value : "", false);
}

static strv
const_strv(char **v)
{
	return (strv)v;
}

static bool
on_every(char **entries, const char *param)
{
	for (char **entry = entries; *entry; entry++) {
		auto_strv char **params = cmdline_split(*entry, false);
		if (!cmdline_has(const_strv(params), param))
			return false;
	}
	return true;
}

static int
read_staged(struct host *host, const struct loader *loader, struct staged *out, struct err *err)
{
	auto_strv char **entries = loader->entries(host);
	auto_strv char **ours = recorded(host, loader, "# parameters");

	if (!entries)
		return err_set(err, -ENOENT, "%s: no boot entry is found", loader->name);
	auto_strv char **first = cmdline_split(entries[0], false);
	out->loader = loader->name;
	out->ours = xcalloc(1, sizeof(char *));
	out->others = xcalloc(1, sizeof(char *));
	for (char **param = ours; *param; param++)
		if (on_every(entries, *param))
			push(&out->ours, xstrdup(*param));
	for (char **param = first; *param; param++)
		if (!cmdline_has(const_strv(ours), *param))
			push(&out->others, xstrdup(*param));
	return 0;
}

int
bootloader_staged(struct host *host, struct staged *out, struct err *err)
{
	const struct loader *loader = find(host);

	*out = (struct staged){ 0 };
	if (loader)
		return read_staged(host, loader, out, err);
	out->ours = xcalloc(1, sizeof(char *));
	out->others = xcalloc(1, sizeof(char *));
	return 0;
}

void
staged_free(struct staged *staged)
{
	mem_strv_p(&staged->ours);
	mem_strv_p(&staged->others);
	*staged = (struct staged){ 0 };
}

/* What means something to the shells of update-grub, grubby or GRUB itself is never written. */
static bool
is_safe(const char *param)
{
	for (const char *p = param; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || strchr("\"'$`\\;&|<>(){}", *p))
			return false;
	return *param != '\0';
}

/* Others' that contradict: those that are seen now, and those taken out before that still would. */
static char **
contradicting(struct host *host, const struct loader *loader, const struct staged *staged, strv params)
{
	auto_strv char **before = recorded(host, loader, "# taken out");
	char **out = xcalloc(1, sizeof(*out));

	for (size_t i = 0; before[i]; i++)
		if (cmdline_contradicts(const_strv(before), i, params))
			push(&out, xstrdup(before[i]));
	for (size_t i = 0; staged->others[i]; i++)
		if (is_safe(staged->others[i]) && !cmdline_has(const_strv(out), staged->others[i]) &&
		    cmdline_contradicts(const_strv(staged->others), i, params))
			push(&out, xstrdup(staged->others[i]));
	return out;
}

static int
check_staged(struct host *host, const struct loader *loader, strv params, struct err *err)
{
	auto_staged struct staged staged = { 0 };
	int rc = read_staged(host, loader, &staged, err);

	for (size_t i = 0; staged.ours && params[i]; i++)
		if (!cmdline_has(const_strv(staged.ours), params[i]))
			return err_set(err, -EIO, "%s: %s was staged, but not every boot entry has it", loader->name,
				       params[i]);
	return rc;
}

static bool
is_done(const struct staged *staged, strv params, char **old)
{
	auto_free char *want = cmdline_join(params);
	auto_free char *have = cmdline_join(const_strv(old));

	for (size_t i = 0; params[i]; i++)
		if (!cmdline_has(const_strv(staged->ours), params[i]))
			return false;
	for (size_t i = 0; staged->others[i]; i++)
		if (cmdline_contradicts(const_strv(staged->others), i, params))
			return false;
	return strcmp(want, have) == 0;
}

int
bootloader_stage(struct host *host, const char *const params[], struct err *err)
{
	const struct loader *loader = find(host);
	auto_staged struct staged staged = { 0 };

	if (!loader)
		return err_set(err, -ENOSYS, "no boot loader that is known here");
	for (size_t i = 0; params[i]; i++)
		if (!is_safe(params[i]))
			return err_set(err, -EINVAL, "kernel parameter '%s' cannot be written safely", params[i]);
	int rc = read_staged(host, loader, &staged, err);
	if (!staged.ours || !staged.others)
		return rc;
	auto_strv char **old = recorded(host, loader, "# parameters");
	if (is_done(&staged, params, old))
		return 0;
	auto_strv char **drops = contradicting(host, loader, &staged, params);
	struct change change = { params, const_strv(old), const_strv(drops) };
	rc = loader->write(host, &change, err);
	return rc < 0 ? rc : check_staged(host, loader, params, err);
}
