#include "controller/ctl/docs.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"
#include "controller/ctl/ctl.h"
#include "controller/ctl/textdiff.h"

static const struct pbtext_kind kinds[] = {
	{ "Profile", &gdr__profile__descriptor },
	{ "Node", &gdr__node__descriptor },
	{ "Window", &gdr__window__descriptor },
	{ 0 },
};

#define LIST(field)                                                            \
	{ offsetof(Gdr__Apply, n_##field), offsetof(Gdr__Apply, field) },      \
	{                                                                      \
		offsetof(Gdr__Export, n_##field), offsetof(Gdr__Export, field) \
	}

/* Of the same order. */
static const struct {
	const char *prefix;
	size_t name; /* Offset of the document's name; */
	struct {
		size_t n;
		size_t list;
	} apply, export; /* and of its list. */
} places[DOCS_KINDS] = {
	{ "profile", offsetof(Gdr__Profile, name), LIST(profiles) },
	{ "node", offsetof(Gdr__Node, name), LIST(nodes) },
	{ "window", offsetof(Gdr__Window, name), LIST(windows) },
};

struct docs_file {
	char *path;
	struct buf text;
};

struct docs_item {
	ProtobufCMessage *message;
	const struct pbtext_kind *kind;
	char *object; /* "node/n1" */
	char *where;  /* "fleet.yaml:12" */
	const struct docs_file *file;
	int line;
};

/* --- reading --- */

const char *
docs_prefix(size_t kind)
{
	return places[kind].prefix;
}

const char *
docs_kind(size_t kind)
{
	return kinds[kind].kind;
}

const char *
docs_name(size_t kind, const void *document)
{
	return *(char *const *)((const char *)document + places[kind].name);
}

void **
docs_list(Gdr__Export *all, size_t kind, size_t **n)
{
	*n = (size_t *)((char *)all + places[kind].export.n);
	return *(void ***)((char *)all + places[kind].export.list);
}

static size_t
index_of(const struct docs_item *item)
{
	return (size_t)(item->kind - kinds);
}

static const char *
name_of(const struct docs_item *item)
{
	return docs_name(index_of(item), item->message);
}

static const struct docs_item *
find_object(const struct docs *docs, const char *object)
{
	for (size_t i = 0; i < docs->n; i++)
		if (strcmp(docs->items[i].object, object) == 0)
			return &docs->items[i];
	return NULL;
}

static int
add(struct docs *docs, const struct docs_file *file, struct pbtext_document *document, struct err *err)
{
	const struct pbtext_kind *kind = document->kind;
	const char *name = docs_name((size_t)(kind - kinds), document->message);
	auto_free char *where = xasprintf("%s:%d", file->path, document->line);

	if (!name)
		return err_set(err, CTL_ERROR, "%s: this %s has no name", where, kind->kind);
	auto_free char *object = xasprintf("%s/%s", docs_prefix((size_t)(kind - kinds)), name);
	const struct docs_item *other = find_object(docs, object);
	if (other)
		return err_set(err, CTL_ERROR, "%s: %s is in %s already", where, object, other->where);
	docs->items = xrealloc(docs->items, docs->n + 1, sizeof(*docs->items));
	docs->items[docs->n++] = (struct docs_item){ .message = steal(&document->message),
						     .kind = kind,
						     .object = steal(&object),
						     .where = steal(&where),
						     .file = file,
						     .line = document->line };
	return 0;
}

static int
parse(struct docs *docs, const struct docs_file *file, struct err *err)
{
	struct pbtext_document *documents = NULL;
	const char *text = file->text.text ? file->text.text : "";
	size_t n = 0;
	int rc = pbtext_parse_documents(kinds, file->path, text, file->text.len, &documents, &n, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add(docs, file, &documents[i], err);
	pbtext_documents_free(documents, n);
	return rc;
}

static int
read_file(struct ctl *ctl, struct docs *docs, const char *path, struct err *err)
{
	struct docs_file *file = xcalloc(1, sizeof(*file));

	docs->files = xrealloc(docs->files, docs->n_files + 1, sizeof(struct docs_file *));
	docs->files[docs->n_files++] = file;
	file->path = xstrdup(strcmp(path, "-") == 0 ? "<stdin>" : path);
	int rc = ctl_read(ctl, path, &file->text, err);
	return rc == 0 ? parse(docs, file, err) : rc;
}

static int
is_yaml(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && fnmatch("*.yaml", entry->d_name, 0) == 0;
}

static int
read_folder(struct ctl *ctl, struct docs *docs, const char *path, struct err *err)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, is_yaml, alphasort);
	int rc = 0;

	if (n < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (n == 0)
		rc = err_set(err, -ENOENT, "%s: no *.yaml in it", path);
	for (int i = 0; i < n; i++) {
		auto_free char *file = xasprintf("%s/%s", path, entries[i]->d_name);

		if (rc == 0)
			rc = read_file(ctl, docs, file, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int
read_one(struct ctl *ctl, struct docs *docs, const char *path, struct err *err)
{
	struct stat st;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_folder(ctl, docs, path, err);
	return read_file(ctl, docs, path, err);
}

int
docs_read(struct ctl *ctl, struct docs *out, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < ctl->args.n_given; i++) {
		const struct given *given = &ctl->args.given[i];

		if (strcmp(given->option->name, "file") != 0)
			continue;
		any = true;
		int rc = read_one(ctl, out, given->value, err);
		if (rc != 0)
			return rc;
	}
	return any ? 0 : err_set(err, CTL_USAGE, "which files? Give -f FILE, a folder, or -f - for stdin");
}

void
docs_free(struct docs *docs)
{
	for (size_t i = 0; i < docs->n; i++) {
		pb_free(docs->items[i].message);
		free(docs->items[i].object);
		free(docs->items[i].where);
	}
	for (size_t i = 0; i < docs->n_files; i++) {
		free(docs->files[i]->path);
		buf_free(&docs->files[i]->text);
		free(docs->files[i]);
	}
	free(docs->files);
	free(docs->items);
	*docs = (struct docs){ 0 };
}

struct docs_place
docs_locate(const struct docs *docs, const void *message, const char *path)
{
	struct docs_place place = { .file = "", .line = 1, .column = 1 };

	for (size_t i = 0; i < docs->n; i++) {
		const struct docs_item *item = &docs->items[i];

		if (item->message != message)
			continue;
		place.file = item->file->path;
		pbtext_locate(item->file->text.text, item->file->text.len, item->line, path, &place.line,
			      &place.column);
	}
	return place;
}

void
docs_fill(const struct docs *docs, Gdr__Apply *apply)
{
	for (size_t kind = 0; kind < DOCS_KINDS; kind++)
		*(void ***)((char *)apply + places[kind].apply.list) = xcalloc(docs->n + 1, sizeof(void *));
	for (size_t i = 0; i < docs->n; i++) {
		size_t kind = index_of(&docs->items[i]);
		size_t *n = (size_t *)((char *)apply + places[kind].apply.n);

		(*(void ***)((char *)apply + places[kind].apply.list))[(*n)++] = docs->items[i].message;
	}
}

void
docs_unfill(Gdr__Apply *apply)
{
	for (size_t kind = 0; kind < DOCS_KINDS; kind++) {
		void ***list = (void ***)((char *)apply + places[kind].apply.list);

		free(*list);
		*list = NULL;
	}
}

/* --- comparing --- */

static const ProtobufCMessage *
find_document(const Gdr__Export *have, size_t kind, const char *name)
{
	const char *all = (const char *)have;
	size_t n = *(const size_t *)(all + places[kind].export.n);
	ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)(all + places[kind].export.list);

	for (size_t i = 0; i < n; i++) {
		const char *its = docs_name(kind, list[i]);

		if (its && strcmp(its, name) == 0)
			return list[i];
	}
	return NULL;
}

/* A document that names a profile without a revision says nothing against the revision that is in use. */
static void
forget_revision(const Gdr__Node *want, Gdr__Node *have)
{
	char *at = have->profile ? strchr(have->profile, '@') : NULL;

	if (at && want->profile && strlen(want->profile) == (size_t)(at - have->profile) &&
	    strncmp(want->profile, have->profile, strlen(want->profile)) == 0)
		*at = '\0';
}

/* What the controller has of the document's object, as text; "" if nothing. */
static char *
text_of_have(const struct docs_item *item, const Gdr__Export *have)
{
	const ProtobufCMessage *found = find_document(have, index_of(item), name_of(item));
	struct buf out = { 0 };

	if (found) {
		auto_pb ProtobufCMessage *copy = pb_copy(found);

		if (item->kind == &kinds[1])
			forget_revision((const Gdr__Node *)item->message, (Gdr__Node *)copy);
		pbtext_print(copy, item->kind->kind, PBTEXT_YAML, &out);
	}
	return buf_steal(&out);
}

static bool
is_unchanged(const Gdr__Response *changes, const char *object)
{
	for (size_t i = 0; changes && i < changes->n_changes; i++) {
		const Gdr__Change *change = changes->changes[i];

		if (change->object && change->done && strcmp(change->object, object) == 0)
			return strcmp(change->done, "unchanged") == 0;
	}
	return false;
}

bool
docs_diff(const struct docs *docs, const Gdr__Export *have, const Gdr__Response *changes, bool colour, struct buf *out)
{
	bool differs = false;

	for (size_t i = 0; i < docs->n; i++) {
		const struct docs_item *item = &docs->items[i];
		auto_free char *old_text = text_of_have(item, have);
		auto_free char *old_name = xasprintf("controller: %s", item->object);
		auto_free char *new_name = xasprintf("%s: %s", item->where, item->object);
		auto_buf struct buf new_text = { 0 };

		if (is_unchanged(changes, item->object))
			continue;
		pbtext_print(item->message, item->kind->kind, PBTEXT_YAML, &new_text);
		differs = textdiff(*old_text ? old_name : "/dev/null", old_text, new_name, new_text.text, colour,
				   out) ||
			  differs;
	}
	return differs;
}

bool
docs_touch(const struct docs *docs, const Gdr__NodeView *node)
{
	for (size_t i = 0; i < docs->n; i++) {
		const struct docs_item *item = &docs->items[i];
		const char *name = name_of(item);
		size_t len = strlen(name);
		const char *profile = node->profile ? node->profile : "";

		if (item->kind == &kinds[1] && node->name && strcmp(node->name, name) == 0)
			return true;
		if (item->kind == &kinds[0] && strncmp(profile, name, len) == 0 &&
		    (profile[len] == '\0' || profile[len] == '@'))
			return true;
	}
	return false;
}
