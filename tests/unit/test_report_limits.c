/* Links: controller */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "common/pb.h"
#include "controller/report_limits.h"

enum who {
	HOST,
	GUEST,
};

/* So many items in one layer, the last with a 'why' of so many bytes. */
static int
check(enum who who, size_t items, size_t text, size_t why)
{
	Gdr__Report *report = xcalloc(1, sizeof(*report));
	Gdr__LayerReport *layer = xcalloc(1, sizeof(*layer));
	struct err err = { 0 };

	gdr__report__init(report);
	gdr__layer_report__init(layer);
	layer->items = xcalloc(items + 1, sizeof(Gdr__Item *));
	for (size_t i = 0; i < items; i++) {
		Gdr__Item *item = layer->items[layer->n_items++] = xcalloc(1, sizeof(*item));
		gdr__item__init(item);
	}
	if (items > 0) {
		layer->items[items - 1]->why = xcalloc(1, text + 1);
		memset(layer->items[items - 1]->why, 'x', text);
	}
	report->layers = xcalloc(1, sizeof(Gdr__LayerReport *));
	report->layers[report->n_layers++] = layer;
	report->why = xcalloc(1, why + 1);
	memset(report->why, 'x', why);
	int rc = report_limits_check(report, protobuf_c_message_get_packed_size(&report->base), who == GUEST, &err);
	assert_int_equal(err.code, rc);
	pb_free(&report->base);
	return rc;
}

static void
what_an_honest_agent_says_is_taken(void **state)
{
	(void)state;
	assert_int_equal(check(HOST, 0, 0, 0), 0);
	assert_int_equal(check(GUEST, 0, 0, 0), 0);
	assert_int_equal(check(GUEST, 1000, 4096, 511), 0);
	assert_int_equal(check(HOST, 10000, 4096, 511), 0);
}

static void
what_nobody_could_read_is_not(void **state)
{
	(void)state;
	assert_int_equal(check(GUEST, 1999, 0, 0), 0); /* The layer counts, too. */
	assert_int_equal(check(GUEST, 2000, 0, 0), -E2BIG);
	assert_int_equal(check(HOST, 2000, 0, 0), 0);
	assert_int_equal(check(HOST, 20000, 0, 0), -E2BIG);
	assert_int_equal(check(HOST, 1, 8192, 0), 0);
	assert_int_equal(check(HOST, 1, 8193, 0), -E2BIG);
	assert_int_equal(check(HOST, 1, 0, 1024), 0);
	assert_int_equal(check(HOST, 1, 0, 1025), -E2BIG);
}

/* Whatever it consists of: each byte of a frame may cost some of memory. */
static void
a_guest_has_less_to_say_than_a_frame_holds(void **state)
{
	Gdr__Report report = GDR__REPORT__INIT;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(report_limits_check(&report, 256 << 10, true, &err), 0);
	assert_int_equal(report_limits_check(&report, (256 << 10) + 1, true, &err), -E2BIG);
	assert_int_equal(report_limits_check(&report, 1 << 20, false, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_honest_agent_says_is_taken),
		cmocka_unit_test(what_nobody_could_read_is_not),
		cmocka_unit_test(a_guest_has_less_to_say_than_a_frame_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
