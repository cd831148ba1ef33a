#include "controller/web/stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/fleet/query.h"
#include "controller/web/api.h"
#include "controller/web/rows.h"

#define ROWS_MAX 1000 /* In a message: the rest comes with the next. */

struct stream {
	struct fleet *fleet;
	struct operators *operators;
	struct rows *rows;
	/* The newest message, and from where to where it leads: most pages are at the same place. */
	struct stream_message *message;
	struct stream_place from;
	struct stream_place to;
};

static bool
same(const struct stream_place *a, const struct stream_place *b)
{
	return a->serial == b->serial && a->version == b->version;
}

static struct stream_message *
new_message(struct buf *text)
{
	struct stream_message *message = xcalloc(1, sizeof(*message));

	message->refs = 1;
	message->len = text->len;
	message->text = buf_steal(text);
	return message;
}

void
stream_give_back(struct stream_message *message)
{
	if (!message || --message->refs > 0)
		return;
	free(message->text);
	free(message);
}

/* A number in hex with 'end' behind it; '*text' goes on behind that. */
static bool
take_hex(const char **text, char end, uint64_t *out)
{
	size_t digits = strspn(*text, "0123456789abcdef");

	if (digits == 0 || digits > 16 || (*text)[digits] != end)
		return false;
	*out = strtoull(*text, NULL, 16);
	*text += digits + 1;
	return true;
}

/* "START-SERIAL-VERSION": serials of another gdrd mean nothing here. */
struct stream_place
stream_resume(const struct stream *stream, const char *id)
{
	struct stream_place place;
	uint64_t start;

	if (id && take_hex(&id, '-', &start) && take_hex(&id, '-', &place.serial) &&
	    take_hex(&id, '\0', &place.version) && start == fleet_started_ms(stream->fleet))
		return place;
	return (struct stream_place){ 0 };
}

static struct stream_message *
render(const struct stream *stream, const struct stream_place *from, struct stream_place *to)
{
	bool reset = from->version == 0 || rows_must_reset(stream->rows, from->serial);
	struct buf nodes = { 0 };
	struct buf text = { 0 };

	to->version = fleet_version(stream->fleet);
	/* Whoever must look at all of it anew does so by itself. */
	to->serial = reset ? rows_serial(stream->rows) : rows_print(stream->rows, from->serial, ROWS_MAX, &nodes);
	buf_printf(&text, "id: %" PRIx64 "-%" PRIx64 "-%" PRIx64 "\nevent: %s\ndata: {\"nodes\": [",
		   fleet_started_ms(stream->fleet), to->serial, to->version, reset ? "reset" : "change");
	for (char *c = nodes.text; c && *c; c++)
		if (*c == '\n')
			*c = ' ';
	buf_puts(&text, nodes.text ? nodes.text : "");
	buf_puts(&text, "], \"status\": ");
	api_summary(stream->operators, &text);
	buf_puts(&text, "}\n\n");
	buf_free(&nodes);
	return new_message(&text);
}

struct stream_message *
stream_next(struct stream *stream, struct stream_place *place)
{
	const struct stream_place now = { rows_serial(stream->rows), fleet_version(stream->fleet) };

	if (same(place, &now))
		return NULL;
	bool kept = stream->message && same(place, &stream->from) && stream->to.version == now.version &&
		    stream->to.serial == now.serial;
	if (!kept) {
		stream_give_back(stream->message);
		stream->from = *place;
		stream->message = render(stream, place, &stream->to);
	}
	*place = stream->to;
	stream->message->refs++;
	return stream->message;
}

struct stream_message *
stream_alive(void)
{
	struct buf text = { 0 };

	buf_puts(&text, "event: alive\ndata: {}\n\n");
	return new_message(&text);
}

struct stream *
stream_new(struct fleet *fleet, struct operators *operators, struct rows *rows)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->fleet = fleet;
	stream->operators = operators;
	stream->rows = rows;
	return stream;
}

void
stream_free(struct stream *stream)
{
	if (!stream)
		return;
	stream_give_back(stream->message);
	free(stream);
}
