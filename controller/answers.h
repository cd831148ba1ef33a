#pragma once

/* answers.h - what waits for the commit before it is sent. */

#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"

struct answers {
	struct answer {
		struct wire_peer peer;
		uint8_t *data;
		size_t len;
	} * all;
	size_t n;
};

/* Takes 'data'. */
void answers_add(struct answers *answers, const struct wire_peer *peer, uint8_t *data, size_t len);
/* Sends all and is empty again. */
void answers_send(struct answers *answers, struct wire *wire);
void answers_clear(struct answers *answers);
