#pragma once

/* clock.h - time that only goes forward: for waits and intervals, never for people. */

#include <stdint.h>

/* Milliseconds since some moment before this boot's first process. */
int64_t clock_ms(void);
