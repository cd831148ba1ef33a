#include "common/rules.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "common/utf8.h"

/* In the order of the file, and of their names from the first search on: each value of each report asks. */
static struct rule rules[] = {
#define RULE(message_, field_, kind_, min_, max_) \
	{ .message = #message_, .field = #field_, .kind = (kind_), .min = (min_), .max = (max_) },
#include "common/rules.def"
#undef RULE
};

static int
by_name(const void *a, const void *b)
{
	const struct rule *x = a;
	const struct rule *y = b;
	int order = strcmp(x->message, y->message);

	return order ? order : strcmp(x->field, y->field);
}

const struct rule *
rules_find(const ProtobufCMessageDescriptor *type, const char *field)
{
	static bool sorted;
	const struct rule wanted = { .message = type->short_name, .field = field };

	if (!sorted)
		qsort(rules, sizeof(rules) / sizeof(rules[0]), sizeof(rules[0]), by_name);
	sorted = true;
	return bsearch(&wanted, rules, sizeof(rules) / sizeof(rules[0]), sizeof(rules[0]), by_name);
}

const char *
rules_word(const struct rule *rule)
{
	if (!rule)
		return NULL;
	return rule->kind == RULE_OR_ALL ? "all" : rule->kind == RULE_OR_VM ? "vm" : NULL;
}

static void
add_number(struct buf *out, const struct rule *rule, uint64_t value)
{
	if (rule->kind == RULE_BYTES)
		pbtext_bytes_print(value, out);
	else if (rule->kind == RULE_DURATION)
		pbtext_duration_print(value, out);
	else
		buf_printf(out, "%" PRIu64, value);
}

int
rules_check_number(const struct rule *rule, uint64_t value, struct err *err)
{
	auto_buf struct buf text = { 0 };

	if (!rule)
		return 0;
	bool power2 = rule->kind == RULE_POWER2;
	if (value == RULES_WORD && rules_word(rule))
		return 0;
	if (value >= rule->min && value <= rule->max && (!power2 || (value & (value - 1)) == 0))
		return 0;
	add_number(&text, rule, value);
	buf_puts(&text, power2 ? " is not a power of two between " : " is not between ");
	add_number(&text, rule, rule->min);
	buf_puts(&text, " and ");
	add_number(&text, rule, rule->max);
	return err_set(err, -ERANGE, "%s", text.text);
}

/* Of ASCII alone, whatever the locale. */
static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_of(char c, const char *more)
{
	return is_alnum(c) || strchr(more, c);
}

/* Letters and digits, and 'more' in between. */
static bool
is_word(const char *value, const char *more)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < len; i++)
		if (!is_of(value[i], i == 0 || i == len - 1 ? "" : more))
			return false;
	return true;
}

static bool
is_name(const char *value)
{
	for (const char *c = value; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			return false;
	return is_word(value, "-._");
}

static bool
is_label(const char *value)
{
	return is_word(value, "-._/");
}

static bool
is_module(const char *value)
{
	for (; *value; value++)
		if (!is_of(*value, "_-"))
			return false;
	return true;
}

static bool
is_parameter(const char *value)
{
	for (; *value; value++)
		if (*value <= ' ' || *value > '~' || strchr("\"'$`\\;", *value))
			return false;
	return true;
}

static bool
is_pci_id(const char *value)
{
	for (size_t i = 0; i < 9; i++)
		if (i == 4 ? value[i] != ':' : !isxdigit((unsigned char)value[i]))
			return false;
	return value[9] == '\0';
}

static bool
is_hex(const char *value)
{
	for (; *value; value++)
		if (!isxdigit((unsigned char)*value))
			return false;
	return true;
}

/* Source: mstflint's database of parameters; "MAX_ACC_OUT_READ", "NAME[3]", "per_mkey", "_256KB(1)". */
static bool
is_nv(const char *value)
{
	size_t len = 0;

	while (value[len] && is_of(value[len], "_"))
		len++;
	if (len == 0 || value[len] == '\0')
		return len > 0;
	const char *digits = value + len + 1;
	size_t n = strspn(digits, "0123456789");
	return n > 0 && strcmp(digits + n, value[len] == '[' ? "]" : ")") == 0 && strchr("[(", value[len]);
}

static bool
is_share(const char *value)
{
	size_t digits = strspn(value, "0123456789");
	bool percent = value[digits] == '%';

	if (digits == 0 || value[0] == '0' || digits > (percent ? 3 : 6) || value[digits + percent] != '\0')
		return false;
	return !percent || digits < 3 || strcmp(value, "100%") == 0;
}

static bool
is_time(const char *value)
{
	bool digits = strlen(value) == 5 && value[2] == ':' && strspn(value, "0123456789") == 2 &&
		      strspn(value + 3, "0123456789") == 2;

	return digits && strncmp(value, "24", 2) < 0 && value[3] < '6';
}

static bool
is_line(const char *value)
{
	size_t left = strlen(value);

	while (left > 0) {
		uint32_t c;
		size_t n = utf8_next(value, left, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029)
			return false;
		value += n;
		left -= n;
	}
	return true;
}

static bool
is_template(const char *value)
{
	static const char node[] = "{node}";
	const char *hole = strstr(value, node);

	if (!hole)
		return is_name(value);
	size_t before = (size_t)(hole - value);
	size_t after = strlen(hole) - (sizeof(node) - 1);
	char name[64];

	/* With a letter in its place the rest decides. */
	if (before + after + 2 > sizeof(name))
		return false;
	memcpy(name, value, before);
	name[before] = 'n';
	memcpy(name + before + 1, hole + sizeof(node) - 1, after + 1);
	return is_name(name);
}

/* 'form' has an h for each lower-case hex digit, all else stands for itself. */
static bool
is_formed(const char *value, const char *form)
{
	for (; *value && *form; value++, form++)
		if (*form == 'h' ? !strchr("0123456789abcdef", *value) : *value != *form)
			return false;
	return *value == *form;
}

static bool
is_address(const char *value)
{
	return is_formed(value, "hhhh:hh:hh.h");
}

static bool
is_oui(const char *value)
{
	return is_formed(value, "hh:hh:hh") && strchr("02468ace", value[1]);
}

static bool
is_cpulist(const char *value)
{
	return value[strspn(value, "0123456789,-")] == '\0' && value[0] >= '0' && value[0] <= '9';
}

static bool
is_text(const char *value)
{
	size_t len = strlen(value);
	char *line = memcpy(xcalloc(len + 1, 1), value, len);

	for (char *p = line; (p = strpbrk(p, "\n\t"));)
		*p = ' ';
	bool is = is_line(line);
	free(line);
	return is;
}

static const struct {
	bool (*is)(const char *value);
	const char *what;
} forms[] = {
	[RULE_NAME] = { is_name, "a name (a-z, 0-9, and -._ in between)" },
	[RULE_LABEL] = { is_label, "a label (letters, digits, and -._/ in between)" },
	[RULE_MODULE] = { is_module, "a module's name (letters, digits, _ and -)" },
	[RULE_CMDLINE] = { is_parameter, "one kernel parameter (no blanks, quotes, $, `, \\ or ;)" },
	[RULE_PCI_ID] = { is_pci_id, "a vendor:device pair in hex such as 10de:20b0" },
	[RULE_HEX] = { is_hex, "a hexadecimal number" },
	[RULE_NV] = { is_nv, "a parameter or value of a NIC (letters, digits and _, at the end [3] or (3))" },
	[RULE_SHARE] = { is_share, "a number from 1 or a percentage such as 10%" },
	[RULE_TEMPLATE] = { is_template, "a name (a-z, 0-9, and -._ in between) in which {node} may stand" },
	[RULE_ADDRESS] = { is_address, "a PCI address such as 0000:3f:00.0" },
	[RULE_OUI] = { is_oui, "the first three bytes of a MAC address such as 02:67:64" },
	[RULE_CPULIST] = { is_cpulist, "a list of CPUs such as 0,1,48-51" },
	[RULE_TEXT] = { is_text, "text" },
	[RULE_TIME] = { is_time, "a time of day such as 22:00" },
	[RULE_LINE] = { is_line, "one line of text" },
};

static int
check_form(const struct rule *rule, const char *value, struct err *err)
{
	if (rule->kind >= sizeof(forms) / sizeof(forms[0]) || !forms[rule->kind].is || forms[rule->kind].is(value))
		return 0;
	(void)err_set(err, -EINVAL, "'%.80s' is not %s", value, forms[rule->kind].what);
	utf8_clean(err->msg); /* It goes to logs and terminals. */
	return err->code;
}

int
rules_check_text(const struct rule *rule, const char *value, struct err *err)
{
	size_t len = strlen(value);

	if (!rule)
		return 0;
	if (len == 0 && rule->min > 0)
		return err_set(err, -ERANGE, "may not be empty");
	if (check_form(rule, value, err) < 0)
		return err->code;
	if (len < rule->min)
		return err_set(err, -ERANGE, "'%s' is shorter than %" PRIu64 " characters", value, rule->min);
	if (len > rule->max)
		return err_set(err, -ERANGE, "is %zu characters long, at most %" PRIu64 " are allowed", len, rule->max);
	return 0;
}
