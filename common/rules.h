#pragma once

/* rules.h - what a field may hold beyond its type: common/rules.def, one line a field.  Asked by
 * pbtext.c (with a position) and by pb_check() (without). */

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

enum rule_kind {
	RULE_NONE,
	RULE_NUMBER,   /* min ... max */
	RULE_POWER2,   /* A power of two, min ... max. */
	RULE_BYTES,    /* The same as RULE_NUMBER, written with K, M, G, T. */
	RULE_DURATION, /* Milliseconds, min ... max, written with ms, s, m, h, d. */
	RULE_OR_ALL,   /* The same as RULE_NUMBER, or the word "all": RULES_WORD. */
	RULE_OR_VM,    /* The same as RULE_NUMBER, or the word "vm": RULES_WORD. */
	RULE_NAME,     /* [a-z0-9]([-a-z0-9._]*[a-z0-9])?, at most 63 characters. */
	RULE_LABEL,    /* [A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?, at most 63; keys and values of a map. */
	RULE_MODULE,   /* [A-Za-z0-9_-]+ */
	RULE_CMDLINE,  /* One kernel parameter: printable ASCII without blanks, quotes, $, `, \ and ;. */
	RULE_PCI_ID,   /* hhhh:hhhh in hex. */
	RULE_HEX,      /* Hex digits, min ... max of them. */
	RULE_NV,       /* A NIC's parameter or value: letters, digits and _, then (N) or [N] at most. */
	RULE_SHARE,    /* A number above 0, or a percentage: 5, 10%. */
	RULE_TEMPLATE, /* A name in which {node} may stand. */
	RULE_ADDRESS,  /* A PCI address in full and lower case: 0000:3f:00.0 */
	RULE_OUI,      /* The first three bytes of a MAC address that is no group's: 02:67:64 */
	RULE_CPULIST,  /* 0,1,48-51 */
	RULE_TEXT,     /* RULE_LINE of several lines. */
	RULE_TIME,     /* Of a day: 00:00 ... 23:59. */
	RULE_LINE,     /* No control characters; length min ... max. */
};

/* What a 32-bit number holds where a word stands for it. */
#define RULES_WORD UINT32_MAX

struct rule {
	const char *message; /* "HugepagesSpec" */
	const char *field;
	enum rule_kind kind;
	uint64_t min;
	uint64_t max;
};

/* The field's rule, or NULL. */
const struct rule *rules_find(const ProtobufCMessageDescriptor *type, const char *field);

/* The word that may stand for a number, or NULL.  'rule' may be NULL, here and below. */
const char *rules_word(const struct rule *rule);

/* 0, or -ERANGE / -EINVAL with "5000 is not a power of two between 128 and 4096". */
int rules_check_number(const struct rule *rule, uint64_t value, struct err *err);
int rules_check_text(const struct rule *rule, const char *value, struct err *err);
