#pragma once

/* faults.h - what can go wrong on a host: one table, for people and for tests. */

#include <stdbool.h>

struct err;
struct sim;

/* 'text' is NAME or NAME=VALUE. 'now': what acts at the next boot acts at once as well. */
int faults_break(const struct sim *sim, const char *text, bool now, struct err *err);
/* 'name' NULL: all that are on. */
int faults_mend(const struct sim *sim, const char *name, bool now, struct err *err);
/* The table, on stdout; with a host: also what is on. */
void faults_print(const struct sim *sim);
