#pragma once

/* signals.h - how a daemon is told to end, as one more descriptor of its loop. */

/* Blocks SIGTERM and SIGINT for good; the descriptor is readable once one has come.  Before any thread is started.
 * -1 where the kernel has none to give. */
int signals_to_end(void);
