#pragma once

/* completion.h - completion scripts, made from the command table. */

#include <stdbool.h>

struct buf;

extern const char *const completion_shells[]; /* Ended by NULL. */

/* Appends the script for 'shell'; false if it is none of these. */
bool completion(const char *shell, struct buf *out);
