#include "controller/web/stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/mem.h"
#include "controller/fleet_query.h"
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

/* "START-SERIAL-VERSION", numbers in hex: serials of another gdrd mean nothing here. */
struct stream_place
stream_resume(const struct stream *stream, const char *id)
{
	struct stream_place place = { 0 };
	uint64_t start = 0;

	if (!id || sscanf(id, "%" SCNx64 "-%" SCNx64 "-%" SCNx64, &start, &place.serial, &place.version) != 3 ||
	    start != fleet_started_ms(stream->fleet))
		place = (struct stream_place){ 0 };
	return place;
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
