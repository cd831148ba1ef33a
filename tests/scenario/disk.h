#pragma once

/* disk.h - the real SQLite driver on a disk that fails and fills up.
 *
 * A gdrd that is gone leaves the database open for the next one, as opening it anew takes longer than a whole turn;
 * what it had not committed is undone, as a death undoes it. */

#include <stdbool.h>

#include "controller/db.h"

extern const struct db_driver disk_driver;

/* The so-manieth statement from now on that writes fails; 0: none does. */
void disk_fail_at(int statement);
/* Each statement that writes fails, until it is not. */
void disk_full(bool full);
/* The database is closed, as the power goes; the next gdrd opens it anew. */
void disk_close(void);
/* All that is in it is gone: the next fleet is another. */
void disk_wipe(void);
/* Closed, and its files are gone. */
void disk_remove(const char *path);
