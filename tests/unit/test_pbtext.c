/* Links: common */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"
#include "proto/spec.pb-c.h"
#include "proto/wire.pb-c.h"

#define PROFILE &gdr__profile__descriptor
#define NODE    &gdr__node__descriptor
#define SPEC    &gdr__spec__descriptor
#define GDRD    &gdr__gdrd_config__descriptor

static ProtobufCMessage *
parse(const ProtobufCMessageDescriptor *type, const char *text)
{
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	if (pbtext_parse(type, "f.yaml", text, strlen(text), &message, &err) < 0)
		fail_msg("%s\n%s", err.msg, text);
	return message;
}

static char *
print(const ProtobufCMessage *message, enum pbtext_form form)
{
	struct buf out = { 0 };

	pbtext_print(message, NULL, form, &out);
	return buf_steal(&out);
}

/* --- what is read, and how it is written --- */

static const struct {
	const ProtobufCMessageDescriptor *type;
	const char *in;
	const char *yaml; /* NULL: as 'in'. */
	const char *json; /* In one line. */
} texts[] = {
	{ NODE, "{}\n", NULL, "{}" },
	{ NODE, "", "{}\n", "{}" },
	{ NODE, "# nothing but a comment\n", "{}\n", "{}" },
	{ NODE, "---\n...\n", "{}\n", "{}" },
	{ NODE, "name: n1\n", NULL, "{\"name\": \"n1\"}" },
	{ NODE, "\xef\xbb\xbfname: n1\r\n", "name: n1\n", "{\"name\": \"n1\"}" },
	{ NODE, "{\n\t\"name\": \"n1\",\n\t\"mode\": \"hold\"\n}\n", "name: n1\nmode: hold\n",
	  "{\"name\": \"n1\", \"mode\": \"hold\"}" },
	/* fields in the order of the proto file, maps by key, scalars of maps as their text */
	{ NODE, "labels: {rack: r7, gen: 2, spare: true, x: 1.50, 7: 'y'}\nname: n1\n",
	  "name: n1\nlabels:\n  \"7\": \"y\"\n  gen: \"2\"\n  rack: r7\n  spare: \"true\"\n  x: \"1.50\"\n",
	  "{\"name\": \"n1\", \"labels\": {\"7\": \"y\", \"gen\": \"2\", \"rack\": \"r7\", \"spare\": \"true\", \"x\": "
	  "\"1.50\"}}" },
	{ NODE, "labels: {a: \"\"}\n", "labels:\n  a: \"\"\n", "{\"labels\": {\"a\": \"\"}}" },
	{ NODE, "labels: {}\n", "{}\n", "{}" },
	/* enums in any case */
	{ NODE, "mode: AUDIT\n", "mode: audit\n", "{\"mode\": \"audit\"}" },
	{ SPEC, "pci: [{match: GDR_path-Ports, acs: [SV, rr]}]\n",
	  "pci:\n  - match: gdr-path-ports\n    acs: [sv, rr]\n",
	  "{\"pci\": [{\"match\": \"gdr-path-ports\", \"acs\": [\"sv\", \"rr\"]}]}" },
	/* empty messages are not absent ones */
	{ SPEC, "bios: {}\npci: [{}, {ats: false}, {}]\n", "bios: {}\npci:\n  - {}\n  - ats: false\n  - {}\n",
	  "{\"bios\": {}, \"pci\": [{}, {\"ats\": false}, {}]}" },
	{ SPEC, "pci: []\n", "{}\n", "{}" },
	/* numbers */
	{ SPEC, "hugepages: {size: 0x40000000, count: 0}\n", "hugepages:\n  size: 1G\n  count: 0\n",
	  "{\"hugepages\": {\"size\": \"1G\", \"count\": 0}}" },
	{ SPEC, "hugepages: {size: 2097153}\n", "hugepages:\n  size: 2097153\n",
	  "{\"hugepages\": {\"size\": 2097153}}" },
	/* a word in place of a number */
	{ SPEC, "hugepages: {count: vm}\nvm: [{gpus: all, nvswitches: 6}]\n",
	  "hugepages:\n  count: vm\nvm:\n  - gpus: all\n    nvswitches: 6\n",
	  "{\"hugepages\": {\"count\": \"vm\"}, \"vm\": [{\"gpus\": \"all\", \"nvswitches\": 6}]}" },
	{ SPEC, "hugepages: {size: '3M'}\n", "hugepages:\n  size: 3M\n", "{\"hugepages\": {\"size\": \"3M\"}}" },
	{ &gdr__pci_device__descriptor, "{numa_node: -1, iommu_group: -2147483648, vendor: 4294967295}",
	  "vendor: 4294967295\nnuma_node: -1\niommu_group: -2147483648\n",
	  "{\"vendor\": 4294967295, \"numa_node\": -1, \"iommu_group\": -2147483648}" },
	{ &gdr__lease__descriptor, "generation: 18446744073709551615\n", NULL,
	  "{\"generation\": 18446744073709551615}" },
	/* durations */
	{ GDRD, "lease: 90s\nlost_after: 60m\nreboot: {deadline: 1500ms}\n",
	  "lease: 90s\nlost_after: 1h\nreboot:\n  deadline: 1500ms\n",
	  "{\"lease\": \"90s\", \"lost_after\": \"1h\", \"reboot\": {\"deadline\": \"1500ms\"}}" },
	/* a text that looks like a number is the text */
	{ SPEC, "kernel: {min_version: 5.10, cmdline: [true, 0x10, 1e3]}\n",
	  "kernel:\n  min_version: \"5.10\"\n  cmdline:\n    - \"true\"\n    - \"0x10\"\n    - \"1e3\"\n",
	  "{\"kernel\": {\"min_version\": \"5.10\", \"cmdline\": [\"true\", \"0x10\", \"1e3\"]}}" },
	/* bytes */
	{ &gdr__lease__descriptor, "report_digest: 00FFa0\n", "report_digest: \"00ffa0\"\n",
	  "{\"report_digest\": \"00ffa0\"}" },
	{ &gdr__lease__descriptor, "report_digest: ''\n", "report_digest: \"\"\n", "{\"report_digest\": \"\"}" },
	/* one of several */
	{ &gdr__from_agent__descriptor, "hello: {node: n1}\n", "hello:\n  node: n1\n",
	  "{\"hello\": {\"node\": \"n1\"}}" },
	/* a default that is given is given */
	{ GDRD, "state: /var/lib/gdrfleet\nlease: 30s\n", NULL,
	  "{\"state\": \"/var/lib/gdrfleet\", \"lease\": \"30s\"}" },
	{ GDRD, "advertise: \"\\ufeff\\u2028\\x85\\x1b\"\n", "advertise: \"\\ufeff\\u2028\\x85\\x1b\"\n",
	  "{\"advertise\": \"\\ufeff\\u2028\\u0085\\u001b\"}" },
	/* YAML's own ways to write texts */
	{ GDRD, "advertise: |\n  a\n  b\ndatabase: >-\n  c\n  d\nagents: 'it''s'\n",
	  "database: c d\nagents: it's\nadvertise: \"a\\nb\\n\"\n",
	  "{\"database\": \"c d\", \"agents\": \"it's\", \"advertise\": \"a\\nb\\n\"}" },
	{ GDRD, "{\"advertise\": \"\\ud83d\\ude00 \\u00e9 \\/ \\\"\"}",
	  "advertise: \"\xf0\x9f\x98\x80 \xc3\xa9 / \\\"\"\n",
	  "{\"advertise\": \"\xf0\x9f\x98\x80 \xc3\xa9 / \\\"\"}" },
};

static void
reads_and_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		auto_pb ProtobufCMessage *message = parse(texts[i].type, texts[i].in);
		auto_free char *yaml = print(message, PBTEXT_YAML);
		auto_free char *json = print(message, PBTEXT_JSON_LINE);

		assert_string_equal(yaml, texts[i].yaml ? texts[i].yaml : texts[i].in);
		assert_string_equal(json, texts[i].json);
	}
}

/* Whatever form it is written in: it reads back as the same message, and that is written as the same text. */
static void
assert_fixed_point(const ProtobufCMessage *message)
{
	for (int form = PBTEXT_YAML; form <= PBTEXT_JSON_LINE; form++) {
		auto_free char *once = print(message, (enum pbtext_form)form);
		auto_pb ProtobufCMessage *back = parse(message->descriptor, once);
		auto_free char *twice = print(back, (enum pbtext_form)form);

		if (!pb_equal(message, back))
			fail_msg("another message came back of:\n%s", once);
		assert_string_equal(once, twice);
	}
}

static void
writing_and_reading_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		auto_pb ProtobufCMessage *message = parse(texts[i].type, texts[i].in);

		assert_fixed_point(message);
	}
}

/* Texts that YAML readers like to take for something else. */
static const char *const odd_texts[] = {
	"",
	" ",
	"~",
	"null",
	"Null",
	"true",
	"FALSE",
	"yes",
	"No",
	"on",
	"OFF",
	"y",
	"N",
	"=",
	"<<",
	"-",
	"--- a",
	"...",
	"- a",
	"-1",
	"+1",
	".5",
	"1_000",
	"0x1f",
	"0o7",
	"010",
	"1e3",
	".inf",
	"-.INF",
	".nan",
	"12:30:45",
	"2026-07-28",
	"2026-07-28T10:00:00Z",
	"a: b",
	"a:",
	":a",
	"a:b",
	"a #b",
	"a#b",
	"#a",
	" a",
	"a ",
	"a\tb",
	"\t",
	"[a",
	"{a}",
	"a]",
	"a, b",
	"&a",
	"*a",
	"!a",
	"!!str a",
	"|",
	">",
	"'",
	"\"",
	"a'b",
	"a\"b",
	"a\\b",
	"%a",
	"@a",
	"`a",
	"? a",
	"a\nb",
	"\n",
	"a\n",
	"\na",
	"\r",
	"a\r\nb",
	"\x01",
	"\x1b[2J",
	"\x7f",
	"\xc2\x85",
	"\xc2\xa0",
	"\xc2\xa0 a",
	"\xe2\x80\xa8",
	"\xe2\x80\xa9",
	"\xef\xbb\xbf",
	"\xef\xbf\xbe",
	"\xef\xbf\xbd",
	"\xc3\xa9",
	"\xf0\x9f\x98\x80",
	"\xf4\x8f\xbf\xbf",
	"\\n",
	"\\u0041",
	"\xe2\x80\x8b",
	"0000:17:00.0",
	"10de:20b0",
	"a  b",
	"x: #",
	"tcp://[::1]:7470",
};

static void
odd_texts_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(odd_texts) / sizeof(odd_texts[0]); i++) {
		Gdr__AgentConfig__ToolsEntry entry = GDR__AGENT_CONFIG__TOOLS_ENTRY__INIT;
		Gdr__AgentConfig__ToolsEntry *tools[] = { &entry };
		Gdr__AgentConfig config = GDR__AGENT_CONFIG__INIT;
		auto_free char *text = xstrdup(odd_texts[i]);

		config.controller = text;
		entry.key = *text ? text : config.hooks; /* No key is empty. */
		entry.value = text;
		config.n_tools = 1;
		config.tools = tools;
		assert_fixed_point(&config.base);

		Gdr__ProfileQuery other = GDR__PROFILE_QUERY__INIT;
		Gdr__NodeLabel lists = GDR__NODE_LABEL__INIT;
		char *both[] = { text, text };
		other.name = text;
		assert_fixed_point(&other.base);
		lists.n_remove = 2;
		lists.remove = both;
		assert_fixed_point(&lists.base);
	}
}

/* From the network may come what is no UTF-8; it is shown, and what is shown is stable. */
static void
what_is_not_utf8_is_written_as_such(void **state)
{
	Gdr__ProfileQuery query = GDR__PROFILE_QUERY__INIT;
	char bad[] = "a\xff"
		     "b";

	(void)state;
	query.name = bad;
	auto_free char *yaml = print(&query.base, PBTEXT_YAML);
	auto_free char *json = print(&query.base, PBTEXT_JSON_LINE);
	assert_string_equal(yaml, "name: \"a\xef\xbf\xbd"
				  "b\"\n");
	assert_string_equal(json, "{\"name\": \"a\xef\xbf\xbd"
				  "b\"}");
	auto_pb ProtobufCMessage *back = parse(query.base.descriptor, yaml);
	assert_fixed_point(back);
}

static void
unknown_enum_numbers_are_shown(void **state)
{
	Gdr__Node node = GDR__NODE__INIT;

	(void)state;
	node.has_mode = true;
	node.mode = (Gdr__Mode)77;
	auto_free char *yaml = print(&node.base, PBTEXT_YAML);
	assert_string_equal(yaml, "mode: \"?\"\n");
}

static void
json_is_indented(void **state)
{
	auto_pb ProtobufCMessage *message = parse(SPEC, "hugepages: {count: 1, per_node: {0: 1}}\nbios: {}\n"
							"pci: [{acs: [sv, rr]}, {}]");
	auto_free char *json = print(message, PBTEXT_JSON);

	(void)state;
	assert_string_equal(json, "{\n"
				  "  \"bios\": {},\n"
				  "  \"hugepages\": {\n"
				  "    \"count\": 1,\n"
				  "    \"per_node\": {\n"
				  "      \"0\": \"1\"\n"
				  "    }\n"
				  "  },\n"
				  "  \"pci\": [\n"
				  "    {\n"
				  "      \"acs\": [\"sv\", \"rr\"]\n"
				  "    },\n"
				  "    {}\n"
				  "  ]\n"
				  "}\n");
}

static void
all_has_the_defaults(void **state)
{
	auto_pb ProtobufCMessage *message = parse(GDRD, "lease: 45s\n");
	auto_buf struct buf out = { 0 };

	(void)state;
	pbtext_print_all(message, PBTEXT_YAML, &out);
	assert_string_equal(out.text, "state: /var/lib/gdrfleet\n"
				      "agents: tcp://0.0.0.0:7470\n"
				      "operators: tcp://127.0.0.1:7471\n"
				      "enrol: tcp://0.0.0.0:7472\n"
				      "lease: 45s\n"
				      "lost_after: 90s\n"
				      "report_interval: 1s\n"
				      "admit_per_second: 200\n"
				      "max_nodes: 10000\n"
				      "max_pending: 1000\n"
				      "reboot:\n"
				      "  max: 10\n"
				      "  deadline: 20m\n"
				      "events_kept: 1000000\n"
				      "web:\n"
				      "  listen: \"127.0.0.1:7480\"\n"
				      "  connections: 256\n"
				      "  streams: 64\n"
				      "  patience: 30s\n"
				      "hooks: /etc/gdrfleet/rollout-hooks\n"
				      "hook_timeout: 5m\n"
				      "hook_retry: 30s\n");
	auto_pb ProtobufCMessage *back = parse(GDRD, out.text); /* It is itself a file of settings. */
	assert_int_equal(((const Gdr__GdrdConfig *)back)->reboot->max, 10);
}

/* --- errors --- */

static const struct {
	const ProtobufCMessageDescriptor *type;
	const char *text;
	const char *says;
} errors[] = {
	/* keys */
	{ SPEC, "hugepages:\n  sizes: 1G\n",
	  "f.yaml:2:3: unknown field 'sizes' in HugepagesSpec, did you mean 'size'?" },
	{ SPEC, "hugepages: {page: 1G}\n",
	  "f.yaml:1:13: unknown field 'page' in HugepagesSpec, it has size, count, per_node" },
	{ GDRD, "zzz: 1\n", "f.yaml:1:1: unknown field 'zzz' in GdrdConfig" },
	{ SPEC, "Hugepages: {}\n", "f.yaml:1:1: unknown field 'Hugepages' in Spec, did you mean 'hugepages'?" },
	{ NODE, "name: a\nlabels: {}\nname: b\n", "f.yaml:3:1: duplicate key 'name', first on line 1" },
	{ NODE, "labels:\n  b: 1\n  a: 1\n  b: 2\n", "f.yaml:4:3: duplicate key 'b', first on line 2" },
	{ NODE, "labels: {'': x}\n", "f.yaml:1:10: labels: a key has 1 to 128 characters" },
	{ NODE, "labels: {: x}\n", "f.yaml:1:9: expected a key, got nothing" },
	{ NODE, "? [name]\n: a\n", "f.yaml:1:3: expected a key, got a list" },
	{ NODE, "name: a\n<<: {mode: hold}\n", "f.yaml:2:1: merge keys are not understood here" },
	{ NODE, "kind: Node\n",
	  "f.yaml:1:1: unknown field 'kind' in Node, it has name, labels, profile, mode, override" },
	{ &gdr__from_agent__descriptor, "hello: {}\nlease: {}\n",
	  "f.yaml:2:1: 'lease' and 'hello' exclude each other" },
	{ &gdr__agent_config__descriptor, "tools:\n  a: b\n  \"\\n\\u00e9\": [c]\n",
	  "f.yaml:3:15: ?\xc3\xa9: expected a single value, got a list" },
	/* kinds of values */
	{ SPEC, "hugepages:\n  size: 1G\n  count: lots\n", "f.yaml:3:10: count: expected a number or vm, got 'lots'" },
	{ SPEC, "hugepages: {count: \"5\"}\n", "f.yaml:1:20: count: expected a number or vm, got the text '5'" },
	{ SPEC, "hugepages: {count: 1.5}\n", "f.yaml:1:20: count: expected a number or vm, got '1.5'" },
	{ SPEC, "hugepages: {count: 010}\n", "f.yaml:1:20: count: expected a number or vm, got '010'" },
	{ SPEC, "hugepages: {count: +1}\n", "f.yaml:1:20: count: expected a number or vm, got '+1'" },
	{ SPEC, "hugepages: {count: 0x}\n", "f.yaml:1:20: count: expected a number or vm, got '0x'" },
	{ SPEC, "hugepages: {count: }\n", "f.yaml:1:13: count: expected a number or vm, got nothing" },
	{ SPEC, "hugepages: {count: ~}\n", "f.yaml:1:20: count: expected a number or vm, got nothing" },
	{ SPEC, "hugepages: {count: [1]}\n", "f.yaml:1:20: count: expected a single value, got a list" },
	{ SPEC, "bios: {iommu: yes}\n", "f.yaml:1:15: iommu: expected true or false, got 'yes'" },
	{ SPEC, "bios: {iommu: 'true'}\n", "f.yaml:1:15: iommu: expected true or false, got the text 'true'" },
	{ SPEC, "bios: {iommu: True}\n", "f.yaml:1:15: iommu: expected true or false, got 'True'" },
	{ SPEC, "bios: x\n", "f.yaml:1:7: bios: expected a mapping, got 'x'" },
	{ SPEC, "bios:\n", "f.yaml:1:1: bios: expected a mapping, got nothing" },
	{ SPEC, "bios: [1]\n", "f.yaml:1:7: bios: expected a mapping, got a list" },
	{ SPEC, "kernel:\n  blacklist: nouveau\n", "f.yaml:2:14: blacklist: expected a list, got 'nouveau'" },
	{ SPEC, "kernel: {blacklist: {a: b}}\n", "f.yaml:1:21: blacklist: expected a list, got a mapping" },
	{ SPEC, "kernel: {blacklist: [[a]]}\n", "f.yaml:1:22: blacklist: expected a single value, got a list" },
	{ SPEC, "pci: {match: gpus}\n", "f.yaml:1:6: pci: expected a list, got a mapping" },
	{ SPEC, "pci:\n  - gpus\n", "f.yaml:2:5: pci: expected a mapping, got 'gpus'" },
	{ NODE, "labels: [a]\n", "f.yaml:1:9: labels: expected a mapping, got a list" },
	{ NODE, "labels: {a: [b]}\n", "f.yaml:1:13: a: expected a single value, got a list" },
	{ NODE, "labels: {a: }\n", "f.yaml:1:10: a: expected a text, got nothing; an empty one is \"\"" },
	{ NODE, "name: {a: b}\n", "f.yaml:1:7: name: expected a single value, got a mapping" },
	{ NODE, "name: null\n", "f.yaml:1:7: name: expected a text, got nothing; an empty one is \"\"" },
	{ NODE, "- a\n", "f.yaml:1:1: document: expected a mapping, got a list" },
	{ NODE, "word\n", "f.yaml:1:1: document: expected a mapping, got 'word'" },
	{ &gdr__lease__descriptor, "report_digest: 0f0\n",
	  "f.yaml:1:16: report_digest: expected bytes as pairs of hex digits, got '0f0'" },
	{ &gdr__lease__descriptor, "report_digest: 0g\n",
	  "f.yaml:1:16: report_digest: expected bytes as pairs of hex digits, got '0g'" },
	/* values */
	{ SPEC, "pci:\n  - match: nics\n    max_read_request: 5000\n",
	  "f.yaml:3:23: max_read_request: 5000 is not a power of two between 128 and 4096" },
	{ SPEC, "hugepages: {count: 99999999999}\n", "f.yaml:1:20: count: 99999999999 is not between 0 and 1048576" },
	{ SPEC, "hugepages: {count: -1}\n", "f.yaml:1:20: count: -1 is too small, at least 0 is possible" },
	{ SPEC, "hugepages: {count: 99999999999999999999}\n", "f.yaml:1:20: count: 99999999999999999999 is too large" },
	{ SPEC, "hugepages: {size: 4K}\n", "f.yaml:1:19: size: 4K is not between 2M and 1G" },
	{ SPEC, "hugepages: {size: 2MB}\n", "f.yaml:1:19: size: expected a size such as 512K, 2M or 1G, got '2MB'" },
	{ SPEC, "hugepages: {size: 99999999999999T}\n",
	  "f.yaml:1:19: size: expected a size such as 512K, 2M or 1G, got '99999999999999T'" },
	{ GDRD, "lease: 30\n", "f.yaml:1:8: lease: expected a duration such as 200ms, 30s, 5m, 2h or 1d, got '30'" },
	{ GDRD, "lease: 2h\n", "f.yaml:1:8: lease: 2h is not between 100ms and 1h" },
	{ &gdr__pci_device__descriptor, "numa_node: 2147483648\n",
	  "f.yaml:1:12: numa_node: 2147483648 is too large, at most 2147483647 is possible" },
	{ &gdr__pci_device__descriptor, "numa_node: -2147483649\n",
	  "f.yaml:1:12: numa_node: -2147483649 is too small, at least -2147483648 is possible" },
	{ &gdr__pci_device__descriptor, "vendor: 4294967296\n",
	  "f.yaml:1:9: vendor: 4294967296 is too large, at most 4294967295 is possible" },
	{ NODE, "mode: audti\n", "f.yaml:1:7: mode: 'audti' is none of enforce, audit, hold; did you mean 'audit'?" },
	{ NODE, "mode: 7\n", "f.yaml:1:7: mode: '7' is none of enforce, audit, hold" },
	{ NODE, "mode:\n", "f.yaml:1:1: mode: expected one of enforce, audit, hold, got nothing" },
	{ NODE, "name: N1\n", "f.yaml:1:7: name: 'N1' is not a name (a-z, 0-9, and -._ in between)" },
	{ NODE, "labels: {rack: 'a b'}\n",
	  "f.yaml:1:16: rack: 'a b' is not a label (letters, digits, and -._/ in between)" },
	{ NODE, "name: \"\\0\"\n", "f.yaml:1:7: a text may not contain the character 0" },
	/* positions count characters */
	{ NODE, "labels: {\"\\u00e9\": x}\n",
	  "f.yaml:1:10: labels: '\xc3\xa9' is not a label (letters, digits, and -._/ in between)" },
	{ &gdr__agent_config__descriptor, "tools: {\xc3\xa9\xe2\x82\xac: a, b: [c]}\n",
	  "f.yaml:1:19: b: expected a single value, got a list" },
	{ NODE, "\xef\xbb\xbfnam: x\n", "f.yaml:1:1: unknown field 'nam' in Node, did you mean 'name'?" },
	{ NODE, "{\n\t\"nam\": \"x\"}\n", "f.yaml:2:2: unknown field 'nam' in Node, did you mean 'name'?" },
	/* YAML */
	{ NODE, "name: &a x\nprofile: *a\n", "f.yaml:1:10: anchors, aliases and tags are not understood here" },
	{ NODE, "name: *a\n", "f.yaml:1:8: anchors, aliases and tags are not understood here" },
	{ NODE, "name: !!str x\n", "f.yaml:1:13: anchors, aliases and tags are not understood here" },
	{ NODE, "labels: {a: b\n", "f.yaml:2:1: missing comma in flow mapping" },
	{ NODE, "labels:\n\ta: b\n",
	  "f.yaml:2:1: tab character may not be used as indentation (indented by a tab: YAML "
	  "wants spaces)" },
	{ NODE, "name: a\nlabels: \"x\n", "f.yaml:2:10: double-quoted scalar without closing quote" },
	{ NODE, "name: a\n---\nname: b\n", "f.yaml:3:1: a second document begins here, only one is expected" },
	{ NODE, "name: a\nprofile: \xff\n", "f.yaml:2:10: byte 0xff is not UTF-8" },
	{ NODE, "name: \xed\xa0\x80\n", "f.yaml:1:7: byte 0xed is not UTF-8" },
	{ NODE, "name: a\x01\n", "f.yaml:1:8: control character 0x01" },
};

static void
errors_say_where_and_what(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ProtobufCMessage *message = NULL;
		struct err err = { 0 };
		int rc = pbtext_parse(errors[i].type, "f.yaml", errors[i].text, strlen(errors[i].text), &message, &err);

		if (rc >= 0)
			fail_msg("this was taken:\n%s", errors[i].text);
		assert_string_equal(err.msg, errors[i].says);
		assert_int_equal(err.code, rc);
		assert_null(message);
	}
}

static void
a_nul_byte_is_no_end(void **state)
{
	static const char text[] = "name: a\n\0mode: hold\n";
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	(void)state;
	assert_true(pbtext_parse(NODE, "-", text, sizeof(text) - 1, &message, &err) < 0);
	assert_string_equal(err.msg, "<stdin>:2:1: control character 0x00");
}

static void
too_large_a_file_is_refused(void **state)
{
	size_t len = (1 << 20) + 1;
	auto_free char *text = xcalloc(1, len);
	ProtobufCMessage *message = NULL;
	struct err err = { 0 };

	(void)state;
	memset(text, '\n', len);
	assert_int_equal(pbtext_parse(NODE, "f.yaml", text, len, &message, &err), -EFBIG);
	assert_string_equal(err.msg, "f.yaml: is larger than 1024 KiB");
	assert_int_equal(pbtext_parse(NODE, "f.yaml", text, len - 1, &message, &err), 0);
	pb_free(message);
}

/* Nesting that no message has, in files that would make a careless reader recurse or wait. */
static void
deep_nesting_is_an_error(void **state)
{
	static const char *const openings[] = { "[", "{", "- ", "{a: ", "? " };
	static const struct pbtext_kind kinds[] = { { "Node", NODE }, { 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		auto_buf struct buf text = { 0 };
		struct pbtext_document *documents = NULL;
		ProtobufCMessage *message = NULL;
		struct err err = { 0 };
		size_t n = 0;

		buf_puts(&text, "x: ");
		for (int d = 0; d < 20000; d++)
			buf_puts(&text, openings[i]);
		assert_true(pbtext_parse(NODE, "f.yaml", text.text, text.len, &message, &err) < 0);
		assert_true(pbtext_parse_documents(kinds, "f.yaml", text.text, text.len, &documents, &n, &err) < 0);
		assert_null(documents);
	}
}

static void
many_list_elements_and_keys(void **state)
{
	auto_buf struct buf text = { 0 };

	(void)state;
	buf_puts(&text, "kernel: {cmdline: [");
	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "p%d,", i);
	buf_puts(&text, "]}\nhugepages:\n  per_node:\n");
	for (int i = 19999; i >= 0; i--)
		buf_printf(&text, "    k%05d: v\n", i);
	auto_pb ProtobufCMessage *message = parse(SPEC, text.text);
	const Gdr__Spec *spec = (const Gdr__Spec *)message;
	assert_int_equal(spec->kernel->n_cmdline, 20000);
	assert_string_equal(spec->kernel->cmdline[19999], "p19999");
	assert_int_equal(spec->hugepages->n_per_node, 20000);
	assert_string_equal(spec->hugepages->per_node[0]->key, "k00000");
}

/* --- documents --- */

static const struct pbtext_kind kinds[] = { { "Profile", PROFILE }, { "Node", NODE }, { 0 } };

static void
reads_documents(void **state)
{
	static const char text[] = "# fleet\n"
				   "kind: Profile\n"
				   "name: p\n"
				   "spec: {bios: {iommu: true}}\n"
				   "---\n"
				   "# nothing\n"
				   "---\n"
				   "name: n1\n"
				   "labels: {kind: x}\n"
				   "kind: Node\n"
				   "...\n"
				   "--- {kind: Node, name: n2}\n";
	struct pbtext_document *documents;
	struct err err = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(pbtext_parse_documents(kinds, "f.yaml", text, sizeof(text) - 1, &documents, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_ptr_equal(documents[0].kind, &kinds[0]);
	assert_int_equal(documents[0].line, 2);
	assert_true(((const Gdr__Profile *)documents[0].message)->spec->bios->iommu);
	assert_ptr_equal(documents[1].kind, &kinds[1]);
	assert_int_equal(documents[1].line, 8);
	assert_string_equal(((const Gdr__Node *)documents[1].message)->labels[0]->key, "kind");
	assert_int_equal(documents[2].line, 12);
	assert_string_equal(((const Gdr__Node *)documents[2].message)->name, "n2");

	/* And written one after the other they are such a file again. */
	auto_buf struct buf out = { 0 };
	for (size_t i = 0; i < n; i++)
		pbtext_print(documents[i].message, documents[i].kind->kind, PBTEXT_YAML, &out);
	assert_string_equal(out.text, "kind: Profile\n"
				      "name: p\n"
				      "spec:\n"
				      "  bios:\n"
				      "    iommu: true\n"
				      "---\n"
				      "kind: Node\n"
				      "name: n1\n"
				      "labels:\n"
				      "  kind: x\n"
				      "---\n"
				      "kind: Node\n"
				      "name: n2\n");
	pbtext_documents_free(documents, n);
	assert_int_equal(pbtext_parse_documents(kinds, "f.yaml", out.text, out.len, &documents, &n, &err), 0);
	assert_int_equal(n, 3);
	pbtext_documents_free(documents, n);
}

static void
reads_json_documents(void **state)
{
	auto_pb ProtobufCMessage *node = parse(NODE, "name: n1");
	auto_buf struct buf out = { 0 };
	struct pbtext_document *documents;
	struct err err = { 0 };
	size_t n;

	(void)state;
	pbtext_print(node, "Node", PBTEXT_JSON, &out);
	assert_string_equal(out.text, "{\n  \"kind\": \"Node\",\n  \"name\": \"n1\"\n}\n");
	assert_int_equal(pbtext_parse_documents(kinds, "f.json", out.text, out.len, &documents, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(pb_equal(documents[0].message, node));
	pbtext_documents_free(documents, n);
}

static void
errors_of_documents(void **state)
{
	static const char *const cases[][2] = {
		{ "", "f.yaml: holds no document" },
		{ "---\n---\n# x\n", "f.yaml: holds no document" },
		{ "kind: Node\n---\nname: x\n", "f.yaml:3:1: this document has no key 'kind'" },
		{ "name: a\nkind: profile\n", "f.yaml:2:7: unknown kind 'profile', did you mean 'Profile'?" },
		{ "kind: Rollout\n", "f.yaml:1:7: unknown kind 'Rollout', known are Profile, Node" },
		{ "kind: [Node]\n", "f.yaml:1:7: kind: expected a single value, got a list" },
		{ "kind:\n", "f.yaml:1:1: kind: expected a single value, got nothing" },
		{ "kind: Node\nname: a\nkind: Node\n", "f.yaml:3:1: duplicate key 'kind', first on line 1" },
		{ "kind: Node\nname: a\n---\nkind: Node\nnames: b\n",
		  "f.yaml:5:1: unknown field 'names' in Node, did you mean 'name'?" },
		{ "kind: Node\noverride: {kind: x}\n",
		  "f.yaml:2:12: unknown field 'kind' in Spec, it has bios, nic, kernel, hugepages, pci, vm, guest, reboot" },
		{ "[a]\n", "f.yaml:1:1: document: expected a mapping, got a list" },
		{ "x: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\nkind: Node\n",
		  "f.yaml:1:36: more than 32 mappings and lists deep" },
		{ "x: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\nkind: Node\n",
		  "f.yaml:1:1: unknown field 'x' in Node, it has name, labels, profile, mode, override" },
		{ "kind: Node\n---\nkind: *x\n", "f.yaml:3:8: anchors, aliases and tags are not understood here" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pbtext_document *documents = NULL;
		struct err err = { 0 };
		size_t n = 7;

		assert_true(pbtext_parse_documents(kinds, "f.yaml", cases[i][0], strlen(cases[i][0]), &documents, &n,
						   &err) < 0);
		assert_string_equal(err.msg, cases[i][1]);
		assert_null(documents);
	}
}

static void
what_was_read_is_found_again(void **state)
{
	static const char text[] = "kind: Node\nname: a\n---\n"
				   "# The second.\n"
				   "name: p\nkind: Profile\nspec:\n"
				   "  kernel: {cmdline: [a, b]}\n"
				   "  guest:\n"
				   "    sysctl:\n"
				   "      values: {net.core.a: 1, \"net.core.ab\": 2}\n"
				   "  pci:\n"
				   "  - {acs: [SV]}\n"
				   "  - ats: true\n";
	static const struct {
		int document;
		const char *path;
		int line;
		int column;
	} cases[] = {
		{ 1, "name", 2, 1 },
		{ 5, "name", 5, 1 },
		{ 5, "spec.kernel.cmdline[1]", 8, 25 },
		{ 5, "spec.guest.sysctl.values.net.core.ab", 11, 31 },
		{ 5, "spec.pci[1].ats", 14, 5 },
		{ 5, "spec.kernel.iommu", 8, 3 }, /* What it would be in. */
		{ 5, "spec.pci[2].ats", 12, 3 },
		{ 5, "spec.pci.ats", 12, 3 },
		{ 5, "", 5, 1 },
		{ 99, "name", 99, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int line;
		int column;

		pbtext_locate(text, strlen(text), cases[i].document, cases[i].path, &line, &column);
		if (line != cases[i].line || column != cases[i].column)
			fail_msg("%s: %d:%d, not %d:%d", cases[i].path, line, column, cases[i].line, cases[i].column);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(writing_and_reading_changes_nothing),
		cmocka_unit_test(odd_texts_come_back),
		cmocka_unit_test(what_is_not_utf8_is_written_as_such),
		cmocka_unit_test(unknown_enum_numbers_are_shown),
		cmocka_unit_test(json_is_indented),
		cmocka_unit_test(all_has_the_defaults),
		cmocka_unit_test(errors_say_where_and_what),
		cmocka_unit_test(a_nul_byte_is_no_end),
		cmocka_unit_test(too_large_a_file_is_refused),
		cmocka_unit_test(deep_nesting_is_an_error),
		cmocka_unit_test(many_list_elements_and_keys),
		cmocka_unit_test(reads_documents),
		cmocka_unit_test(reads_json_documents),
		cmocka_unit_test(what_was_read_is_found_again),
		cmocka_unit_test(errors_of_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
