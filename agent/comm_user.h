#pragma once

/* comm_user.h - leaving root behind. */

struct err;

/* As root: makes 'folder' and what is in it 'user''s, then becomes that user for good.  Otherwise only
 * makes the folder. */
int comm_user_become(const char *user, const char *folder, struct err *err);
