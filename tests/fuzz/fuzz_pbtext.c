/* Links: common */

/* Any text: an error, or documents that come back the same from what is written of them. */

#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "proto/api.pb-c.h"
#include "proto/config.pb-c.h"
#include "proto/spec.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a little memory on some broken flow mappings.  The unit tests see ours. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libfyaml.so\n";
}

/* Besides what operators write: every type of field that there is. */
static const struct pbtext_kind kinds[] = {
	{ "Profile", &gdr__profile__descriptor },        { "Node", &gdr__node__descriptor },
	{ "GdrdConfig", &gdr__gdrd_config__descriptor }, { "Request", &gdr__request__descriptor },
	{ "Response", &gdr__response__descriptor },      { 0 },
};

static void
assert_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			abort();
}

static void
assert_same(const struct pbtext_document *a, size_t n, const struct pbtext_document *b, size_t m)
{
	if (n != m)
		abort();
	for (size_t i = 0; i < n; i++)
		if (a[i].kind != b[i].kind || !pb_equal(a[i].message, b[i].message))
			abort();
}

static char *
print_all(const struct pbtext_document *documents, size_t n)
{
	struct buf out = { 0 };

	for (size_t i = 0; i < n; i++)
		pbtext_print(documents[i].message, documents[i].kind->kind, PBTEXT_YAML, &out);
	return buf_steal(&out);
}

static void
assert_json_same(const struct pbtext_document *document, enum pbtext_form form)
{
	auto_buf struct buf json = { 0 };
	struct pbtext_document *back = NULL;
	struct err err = { 0 };
	size_t n = 0;

	pbtext_print(document->message, document->kind->kind, form, &json);
	if (pbtext_parse_documents(kinds, "json", json.text, json.len, &back, &n, &err) < 0)
		abort();
	assert_same(document, 1, back, n);
	pbtext_documents_free(back, n);
}

/* Whatever was read stands somewhere behind where its document begins. */
static void
assert_located(const struct pbtext_document *document, const char *text, size_t size)
{
	int line;
	int column;

	pbtext_locate(text, size, document->line, "spec.vm[1].name", &line, &column);
	if (line < document->line || column < 1)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pbtext_document *documents = NULL;
	struct pbtext_document *back = NULL;
	struct err err = { 0 };
	size_t n = 0;
	size_t m = 0;

	if (pbtext_parse_documents(kinds, "fuzz", (const char *)data, size, &documents, &n, &err) < 0) {
		assert_one_line(err.msg);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (pb_check(documents[i].message, &err) < 0)
			abort(); /* Both ways in ask the same rules. */
		assert_located(&documents[i], (const char *)data, size);
		assert_json_same(&documents[i], PBTEXT_JSON);
		assert_json_same(&documents[i], PBTEXT_JSON_LINE);
	}
	auto_free char *once = print_all(documents, n);
	if (pbtext_parse_documents(kinds, "yaml", once, strlen(once), &back, &m, &err) < 0)
		abort();
	assert_same(documents, n, back, m);
	auto_free char *twice = print_all(back, m);
	if (strcmp(once, twice) != 0)
		abort();
	pbtext_documents_free(documents, n);
	pbtext_documents_free(back, m);
	return 0;
}
