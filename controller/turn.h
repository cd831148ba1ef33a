#pragma once

/* turn.h - the loop that a socket is served by, and how each of its turns ends: with a commit, and only then a word
 * to anybody.  Whoever reads a socket calls end() when it has read what was there. */

#include <czmq.h>

struct turn {
	zloop_t *loop;
	void (*end)(void *arg);
	void *arg;
};
