/* pbtext_locate.c - a path of fields back to where it stands in the text. */

#include <libfyaml.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pbtext.h"
#include "common/pbtext_internal.h"

/* True if the path goes on in what the key has; it is cut off then.  Keys of maps may have dots themselves. */
static bool
cut_key(const char **path, const char *key)
{
	size_t len = strlen(key);

	if (strncmp(*path, key, len) != 0 || !strchr(".[", (*path)[len]))
		return false;
	*path += len + ((*path)[len] == '.');
	return true;
}

/* All three go to what the next part of the path has and say where that begins: 1; 0: it is not there. */
static int
enter_mapping(struct pbtext_reader *in, const char **path, size_t *pos)
{
	int rc;

	while ((rc = pbtext_next(in)) == 0 && in->event->type == FYET_SCALAR) {
		auto_free char *key = NULL;
		struct pbtext_scalar scalar;
		size_t begin = in->pos;

		rc = pbtext_take(in, &scalar, &key);
		if (rc == 0)
			rc = pbtext_next(in);
		if (rc < 0)
			return rc;
		if (key && cut_key(path, key)) {
			*pos = begin;
			return 1;
		}
		rc = pbtext_skip(in);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
enter_list(struct pbtext_reader *in, const char **path, size_t *pos)
{
	char *end;
	unsigned long index = strtoul(*path + 1, &end, 10);
	int rc;

	while ((rc = pbtext_next(in)) == 0 && in->event->type != FYET_SEQUENCE_END) {
		if (index-- == 0 && *end == ']') {
			*path = end + 1 + (end[1] == '.');
			*pos = in->pos;
			return 1;
		}
		rc = pbtext_skip(in);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int
enter(struct pbtext_reader *in, const char **path, size_t *pos)
{
	if (in->event->type == FYET_MAPPING_START)
		return enter_mapping(in, path, pos);
	if (in->event->type == FYET_SEQUENCE_START && **path == '[')
		return enter_list(in, path, pos);
	return 0;
}

void
pbtext_locate(const char *text, size_t len, int document, const char *path, int *line, int *column)
{
	struct err ignored = { 0 };
	auto_reader struct pbtext_reader in = { 0 };
	int rc = pbtext_open(&in, "", text, len, &ignored);

	*line = document;
	*column = 1;
	if (rc == 0)
		rc = pbtext_next_document(&in);
	while (rc > 0 && in.line < document)
		rc = pbtext_next_document(&in);
	if (rc <= 0)
		return;
	size_t pos = in.pos;
	while (rc > 0 && *path)
		rc = enter(&in, &path, &pos);
	pbtext_where(&in, pos, line, column);
}
