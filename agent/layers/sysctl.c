/* sysctl.c - kernel parameters of a guest, now and for later boots.
 *
 * Spec:     guest: {sysctl: {values: {net.ipv4.conf.all.arp_ignore: "2"}, never_lower: ["net.core.*"]}}
 * Reads:    /proc/sys, sysctl.d(5) files that are read after ours
 * Changes:  /proc/sys, now; /etc/sysctl.d/90-gdrfleet.conf, which is ours as a whole, for later boots.
 *
 * Of some parameters of network interfaces what counts is not the interface's own value but what the kernel makes of
 * it and of 'all'; those are looked at for every interface that is there ('default' is for those to come). */

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/machine/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"

#define NAME   "sysctl"
#define FILE_  "90-gdrfleet.conf"
#define PATH   "/etc/sysctl.d/" FILE_
#define ITEM   "file" /* Our file's. */
#define ABSENT "absent"
#define CONF   "/proc/sys/net/ipv4/conf"
#define HEAD   "# " FILE_ " - written by gdr-guest from the node's profile; a change here is undone.\n"

/* What is worth knowing of a parameter, or of one of its values. */
static const struct note {
	const char *key;
	const char *value; /* NULL: any. */
	bool no_op;        /* It does nothing, so that there is nothing to miss where it is not. */
	const char *text;
} notes[] = {
	{ "net.ipv4.tcp_low_latency", NULL, true, "without effect since Linux 4.14" },
	{ "net.ipv4.tcp_timestamps", "0", false,
	  "without time stamps old segments can be taken for new ones at 100 Gb/s (PAWS)" },
	{ "net.ipv4.conf.*.arp_ignore", "2", false,
	  "ARP is answered only to senders of the same subnet: not in routed designs" },
};

/* include/linux/inetdevice.h: IN_DEV_ORCONF, IN_DEV_MAXCONF. */
static const struct combined {
	const char *name;
	enum {
		BY_OR,
		BY_MAX
	} how;
} combined[] = {
	{ "arp_filter", BY_OR }, { "arp_ignore", BY_MAX }, { "arp_announce", BY_MAX }, { "rp_filter", BY_MAX }
};

static const struct note *
note_of(const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (fnmatch(notes[i].key, key, 0) == 0 && (!notes[i].value || strcmp(notes[i].value, value) == 0))
			return &notes[i];
	return NULL;
}

static bool
never_lower(const Gdr__SysctlSpec *spec, const char *key)
{
	for (size_t i = 0; i < spec->n_never_lower; i++)
		if (fnmatch(spec->never_lower[i], key, 0) == 0)
			return true;
	return false;
}

/* sysctl(8): dots part the names, and a slash is a dot within one ("net.ipv4.conf.eth0/100.arp_filter"), but where the
 * first of the two that comes is a slash it is the other way round.  NULL: that is no parameter's name. */
static char *
path_of(const char *key)
{
	char *path = xasprintf("/proc/sys/%s", key);
	char *name = path + strlen("/proc/sys/");
	const char *first = strpbrk(name, "./");
	bool dots = first && *first == '.';

	for (char *c = name; dots && *c; c++)
		*c = (char)(*c == '.' ? '/' : *c == '/' ? '.' : *c);
	if (*key && !strstr(path, "//") && !strstr(path, "/../") && !strstr(path, "/./") &&
	    path[strlen(path) - 1] != '/')
		return path;
	free(path);
	return NULL;
}

/* Single blanks between numbers, as people write them; the kernel writes tabs. */
static char *
squeezed(const char *text)
{
	char *out = xcalloc(strlen(text) + 1, 1);
	size_t n = 0;

	for (; *text; text++) {
		bool blank = isspace((unsigned char)*text) != 0;
		if (!blank || (n > 0 && out[n - 1] != ' '))
			out[n++] = (char)(blank ? ' ' : *text);
	}
	while (n > 0 && out[n - 1] == ' ')
		out[--n] = '\0';
	return out;
}

/* Number by number the greater; what is not as many numbers in both is 'want' as it is. */
static char *
raised(const char *want, const char *have)
{
	struct buf out = { 0 };
	const char *w = want;
	const char *h = have;

	while (*w && *h) {
		char *w_end;
		char *h_end;
		long long a = strtoll(w, &w_end, 10);
		long long b = strtoll(h, &h_end, 10);

		if (w_end == w || h_end == h || (*w_end && *w_end != ' ') || (*h_end && *h_end != ' '))
			break;
		buf_printf(&out, "%s%lld", out.len ? " " : "", a > b ? a : b);
		w = w_end;
		h = h_end;
	}
	if (!*w && !*h && out.len)
		return buf_steal(&out);
	buf_free(&out);
	return xstrdup(want);
}

/* What 'entry' is to be on this machine: the caller frees.  'have' may be NULL. */
static char *
wanted_value(const Gdr__SysctlSpec *spec, const Gdr__SysctlSpec__ValuesEntry *entry, const char *have)
{
	auto_free char *want = squeezed(entry->value);

	return have && never_lower(spec, entry->key) ? raised(want, have) : steal(&want);
}

/* NULL: this kernel has none. */
static char *
current(struct host *host, const char *key)
{
	auto_free char *path = path_of(key);
	auto_free char *text = NULL;
	struct err ignored = { 0 };

	if (!path || host_read(host, path, &text, NULL, &ignored) < 0)
		return NULL;
	return squeezed(text);
}

/* What keeps anybody from writing it here; NULL: nothing. */
static const char *
refusal(struct host *host, const char *path)
{
	switch (host_writable(host, path)) {
	case -EROFS: return "/proc/sys is read-only here, as in a container: set it where the container is made";
	case -EACCES:
		return "nobody may write it here: the kernel takes it in the machine's own network namespace alone, if "
		       "at all";
	default: return NULL;
	}
}

/* --- parameters ---------------------------------------------------------------------------------------------- */

static void
report_absent(const char *key, const char *want, struct report *out)
{
	const struct note *note = note_of(key, want);

	if (note && note->no_op)
		report_add(out, key, want, ABSENT, FIX_NONE, "%s, and this kernel has it no more", note->text);
	else
		report_add(
			out, key, want, "unknown", FIX_MANUAL,
			"there is no such parameter in this kernel, or not in this network namespace: take it out of "
			"the profile, or load the module that has it");
}

static void
report_differing(struct host *host, const char *key, const char *want, const char *have, struct report *out)
{
	auto_free char *path = path_of(key);
	const char *refused = refusal(host, path);
	const struct note *note = note_of(key, want);
	const char *why = refused ? refused : note ? note->text : NULL;

	report_add(out, key, want, have, refused ? FIX_MANUAL : FIX_LIVE, why ? "%s" : NULL, why);
}

static void
report_value(struct host *host, const Gdr__SysctlSpec *spec, const Gdr__SysctlSpec__ValuesEntry *entry,
	     struct report *out)
{
	auto_free char *have = current(host, entry->key);
	auto_free char *want = wanted_value(spec, entry, have);
	auto_free char *written = squeezed(entry->value);
	const struct note *note = note_of(entry->key, want);

	if (!have)
		report_absent(entry->key, want, out);
	else if (strcmp(want, have) != 0)
		report_differing(host, entry->key, want, have, out);
	else if (strcmp(want, written) != 0)
		report_add(out, entry->key, want, have, FIX_NONE,
			   "higher than the %s of the profile, and never lowered", written);
	else
		report_add(out, entry->key, want, have, FIX_NONE, note ? "%s" : NULL, note ? note->text : NULL);
}

/* --- what counts for an interface ---------------------------------------------------------------------------- */

static bool
number_of(struct host *host, const char *interface, const char *name, unsigned long *out)
{
	auto_free char *path = xasprintf(CONF "/%s/%s", interface, name);
	struct err ignored = { 0 };
	uint64_t value = 0;

	if (host_read_u64(host, path, &value, &ignored) < 0)
		return false;
	*out = (unsigned long)value;
	return true;
}

static unsigned long
effective(const struct combined *rule, unsigned long own, unsigned long all)
{
	if (rule->how == BY_OR)
		return own || all;
	return own > all ? own : all;
}

static void
report_interface(struct host *host, const struct combined *rule, const char *interface, const char *want,
		 struct report *out)
{
	auto_free char *key = xasprintf("%s/%s", interface, rule->name);
	auto_free char *path = xasprintf(CONF "/%s", key);
	unsigned long own = 0;
	unsigned long all = 0;

	if (!number_of(host, interface, rule->name, &own) || !number_of(host, "all", rule->name, &all))
		return; /* It went meanwhile. */
	auto_free char *have = xasprintf("%lu", effective(rule, own, all));
	const char *refused = refusal(host, path);
	if (strcmp(have, want) == 0)
		report_add(out, key, want, have, FIX_NONE, NULL);
	else
		report_add(out, key, want, have, refused ? FIX_MANUAL : FIX_LIVE,
			   "all has %lu and the interface %lu: the kernel goes by %s of them%s%s", all, own,
			   rule->how == BY_OR ? "either" : "the greater", refused ? "; " : "", refused ? refused : "");
}

static void
report_combined(struct host *host, const struct combined *rule, const char *want, struct report *out)
{
	auto_strv char **interfaces = host_glob(host, CONF "/*");

	for (char **path = interfaces; *path; path++) {
		const char *interface = strrchr(*path, '/') + 1;

		if (strcmp(interface, "all") != 0 && strcmp(interface, "default") != 0 && strcmp(interface, "lo") != 0)
			report_interface(host, rule, interface, want, out);
	}
}

/* NULL: not managed. */
static const char *
wanted_of_all(const Gdr__SysctlSpec *spec, const char *name)
{
	auto_free char *key = xasprintf("net.ipv4.conf.all.%s", name);

	return PB_MAP_GET(spec->values, spec->n_values, key);
}

static void
report_effective(struct host *host, const Gdr__SysctlSpec *spec, struct report *out)
{
	for (size_t i = 0; i < sizeof(combined) / sizeof(combined[0]); i++) {
		const char *want = wanted_of_all(spec, combined[i].name);

		if (want)
			report_combined(host, &combined[i], want, out);
	}
}

/* --- our file ------------------------------------------------------------------------------------------------ */

/* The first of ours that a sysctl.d(5) file sets too; NULL: none. */
static const char *
set_again_in(const char *text, const Gdr__SysctlSpec *spec)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, " \t=\n");

		for (size_t i = 0; len > 0 && i < spec->n_values; i++)
			if (strlen(spec->values[i]->key) == len && strncmp(spec->values[i]->key, line, len) == 0)
				return spec->values[i]->key;
	}
	return NULL;
}

/* Of the files that fit 'pattern' one that is read after ours and sets one of ours again; NULL: none.  The caller
 * frees. */
static char *
overruled_in(struct host *host, const char *pattern, const Gdr__SysctlSpec *spec)
{
	auto_strv char **files = host_glob(host, pattern);

	for (char **file = files; *file; file++) {
		auto_free char *text = NULL;
		struct err ignored = { 0 };

		if (strcmp(strrchr(*file, '/') + 1, FILE_) <= 0 || host_read(host, *file, &text, NULL, &ignored) < 0)
			continue;
		const char *key = set_again_in(text, spec);
		if (key)
			return xasprintf("%s sets %s after it: later boots begin with that", *file, key);
	}
	return NULL;
}

static char *
overruled(struct host *host, const Gdr__SysctlSpec *spec)
{
	static const char *const patterns[] = { "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf",
						"/usr/lib/sysctl.d/*.conf" };
	char *found = NULL;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]) && !found; i++)
		found = overruled_in(host, patterns[i], spec);
	return found;
}

/* NULL: there is to be none. */
static char *
wanted_file(struct host *host, const Gdr__SysctlSpec *spec)
{
	struct buf out = { 0 };

	if (!spec)
		return NULL;
	buf_puts(&out, HEAD);
	for (size_t i = 0; i < spec->n_values; i++) {
		auto_free char *have = current(host, spec->values[i]->key);
		auto_free char *want = wanted_value(spec, spec->values[i], have);

		if (have)
			buf_printf(&out, "%s = %s\n", spec->values[i]->key, want);
	}
	return buf_steal(&out);
}

static void
report_file(struct host *host, const Gdr__SysctlSpec *spec, struct report *out)
{
	auto_free char *want = wanted_file(host, spec);
	auto_free char *have = NULL;
	auto_free char *again = spec ? overruled(host, spec) : NULL;
	struct err ignored = { 0 };

	(void)host_read(host, PATH, &have, NULL, &ignored);
	bool right = want && have ? strcmp(want, have) == 0 : !want && !have;
	report_add(out, ITEM, want ? PATH : ABSENT,
		   !have            ? ABSENT
		   : want && !right ? "differs"
				    : PATH,
		   right ? FIX_NONE : FIX_LIVE, again ? "%s" : NULL, again);
	out->items[out->n - 1].keep = spec ? KEEP_RESTORE : KEEP_BACK;
}

/* --- the layer ----------------------------------------------------------------------------------------------- */

static const Gdr__SysctlSpec *
own_part(const Gdr__Spec *spec)
{
	return spec->guest && spec->guest->sysctl && spec->guest->sysctl->n_values > 0 ? spec->guest->sysctl : NULL;
}

static bool
sysctl_wanted(const Gdr__Spec *spec)
{
	return own_part(spec) != NULL;
}

static int
sysctl_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	const Gdr__SysctlSpec *own = own_part(spec);

	(void)err;
	for (size_t i = 0; own && i < own->n_values; i++)
		report_value(machine->host, own, own->values[i], out);
	if (own)
		report_effective(machine->host, own, out);
	report_file(machine->host, own, out);
	return 0;
}

static int
apply_file(struct host *host, const Gdr__SysctlSpec *spec, struct err *err)
{
	auto_free char *text = wanted_file(host, spec);

	return text ? host_replace(host, PATH, text, 0644, err) : host_remove(host, PATH, err);
}

/* INTERFACE/NAME: its own value is written only where it is in the way of what 'all' makes of it. */
static int
apply_interface(struct host *host, const struct item *item, struct err *err)
{
	auto_free char *path = xasprintf(CONF "/%s", item->key);
	uint64_t own = 0;
	int rc = host_read_u64(host, path, &own, err);

	return rc < 0 || own <= strtoull(item->want, NULL, 10) ? rc : host_write(host, path, item->want, err);
}

static int
sysctl_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	const Gdr__SysctlSpec *own = own_part(spec);

	if (strcmp(item->key, ITEM) == 0)
		return apply_file(machine->host, own, err);
	if (!own || !PB_MAP_GET(own->values, own->n_values, item->key))
		return apply_interface(machine->host, item, err);
	auto_free char *path = path_of(item->key);
	return path ? host_write(machine->host, path, item->want, err) : err_set(err, -EINVAL, "no parameter's name");
}

const struct layer layer_sysctl = {
	.wanted = sysctl_wanted,
	.inspect = sysctl_inspect,
	.apply = sysctl_apply,
};
