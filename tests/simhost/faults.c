#include "tests/simhost/faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "tests/simhost/faults_internal.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

#define NAMES_MAX 128

static const struct fault *
table_of(const struct sim *sim)
{
	return sim->in_vm ? guest_faults : host_faults;
}

/* NULL: the table has none of that name; then 'names' holds those that it has. */
static const struct fault *
look_up(const struct fault *table, const char *name, const char *names[NAMES_MAX])
{
	for (size_t i = 0; table[i].name && i < NAMES_MAX - 1; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
		names[i] = table[i].name;
	}
	return NULL;
}

static const struct fault *
find(const struct sim *sim, const char *name, struct err *err)
{
	const char *others[NAMES_MAX] = { 0 };
	const char *names[NAMES_MAX] = { 0 };

	if (!sim->in_vm && strcmp(name, "acs") == 0)
		name = "acs-cleared";
	const struct fault *found = look_up(table_of(sim), name, names);
	if (found)
		return found;
	const char *near = pbtext_nearest(name, names);
	if (look_up(sim->in_vm ? host_faults : guest_faults, name, others))
		(void)err_set(err, -EINVAL, "'%s' is a fault of %s", name,
			      sim->in_vm ? "hosts: name the host's folder alone" : "guests: name one, DIR/VM");
	else
		(void)err_set(err, -EINVAL, "unknown fault '%s'%s%s%s (see gdr-simhost faults)", name,
			      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

static int
note(const struct sim *sim, const char *name, const char *value, struct err *err)
{
	struct tree tree;
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	tree_cd(&tree, ".sim/faults");
	if (value)
		tree_printf(&tree, name, "%s", value);
	else
		tree_remove(&tree, name);
	return tree_close(&tree);
}

static int
act_now_on(const struct sim *sim, const struct fault *fault, const char *value, bool broken, struct err *err)
{
	struct tree tree;
	const struct act act = { .sim = sim, .tree = &tree, .value = value, .broken = broken };
	int rc = sim_tree(sim, &tree, err);

	if (rc < 0)
		return rc;
	rc = fault->now(&act, err);
	int closed = tree_close(&tree);
	return rc < 0 ? rc : closed;
}

int
faults_break(const struct sim *sim, const char *text, bool now, struct err *err)
{
	size_t len = strcspn(text, "=");
	auto_free char *name = xasprintf("%.*s", (int)len, text);
	const char *value = text[len] ? text + len + 1 : "";
	const struct fault *fault = find(sim, name, err);
	int rc = 0;

	if (!fault)
		return err->code;
	if (*value && !fault->value)
		return err_set(err, -EINVAL, "%s takes no value", fault->name);
	if (now && fault->moment == AT_BOOT && !fault->now)
		return err_set(err, -EINVAL, "%s can only act at the next boot", fault->name);
	if (fault->moment != ONE_TIME && sim_broken(sim, fault->name))
		rc = faults_mend(sim, fault->name, false, err);
	if (rc == 0 && fault->now && (now || fault->moment != AT_BOOT))
		rc = act_now_on(sim, fault, value, true, err);
	if (rc < 0)
		return err_wrap(err, "%s", fault->name);
	return fault->moment == ONE_TIME ? 0 : note(sim, fault->name, value, err);
}

static int
mend(const struct sim *sim, const struct fault *fault, bool now, struct err *err)
{
	auto_free char *value = sim_fault(sim, fault->name);
	int rc;

	if (!value)
		return 0;
	rc = note(sim, fault->name, NULL, err);
	if (rc == 0 && fault->now && (now || fault->moment == AT_ONCE))
		rc = act_now_on(sim, fault, value, false, err);
	return rc < 0 ? err_wrap(err, "%s", fault->name) : 0;
}

int
faults_mend(const struct sim *sim, const char *name, bool now, struct err *err)
{
	const struct fault *one = name ? find(sim, name, err) : NULL;
	int rc = 0;

	if (name)
		return one ? mend(sim, one, now, err) : err->code;
	for (const struct fault *fault = table_of(sim); fault->name && rc == 0; fault++)
		rc = mend(sim, fault, now, err);
	return rc;
}

int
faults_boot(const struct sim *sim, struct err *err)
{
	int rc = 0;

	for (const struct fault *fault = table_of(sim); fault->name && rc == 0; fault++) {
		auto_free char *value = fault->now ? sim_fault(sim, fault->name) : NULL;

		if (value && act_now_on(sim, fault, value, true, err) < 0)
			rc = err_wrap(err, "%s", fault->name);
	}
	return rc;
}

static void
print_table(const struct fault *table, const struct sim *sim)
{
	static const char *const moments[] = { "boot", "now", "once" };

	for (const struct fault *fault = table; fault->name; fault++) {
		auto_free char *text = fault->value ? xasprintf("%s[=%s]", fault->name, fault->value)
						    : xstrdup(fault->name);
		bool on = sim && sim_broken(sim, fault->name);

		(void)printf("%-28s %-6s %s%s\n", text, moments[fault->moment], fault->help, on ? "  [ON]" : "");
	}
}

void
faults_print(const struct sim *sim)
{
	(void)printf("%-28s %-6s %s\n", "FAULT", "ACTS", "WHAT");
	print_table(sim ? table_of(sim) : host_faults, sim);
	if (!sim) {
		(void)printf("\nIn a guest, DIR/VM:\n");
		print_table(guest_faults, NULL);
	}
	(void)printf(
		"\nboot: from the next boot on (break --now: at once too); now: until mended; once: it happens, now\n");
}
