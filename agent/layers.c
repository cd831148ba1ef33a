/* layers.c - the table that converge.c walks: gdr-guest is built with GDR_GUEST, gdr-agent without. */

#include "agent/layer.h"

#ifdef GDR_GUEST
#define HOST(name)
#define GUEST(name) LAYER(name)
#else
#define HOST(name) LAYER(name)
#define GUEST(name)
#endif

#define LAYER(name) extern const struct layer layer_##name;
#include "common/layers.def"
#undef LAYER

#define LAYER(name) { #name, &layer_##name },
const struct named_layer layer_table[] = {
#include "common/layers.def"
};
#undef LAYER

const size_t layer_table_len = sizeof(layer_table) / sizeof(layer_table[0]);
