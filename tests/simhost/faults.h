#pragma once

/* faults.h - what can go wrong on a host, and in the guest of one of its VMs: a table each, for people and for tests. */

#include <stdbool.h>

struct err;
struct sim;

/* 'text' is NAME or NAME=VALUE. 'now': what acts at the next boot acts at once as well. */
int faults_break(const struct sim *sim, const char *text, bool now, struct err *err);
/* 'name' NULL: all that are on. */
int faults_mend(const struct sim *sim, const char *name, bool now, struct err *err);
/* A guest that starts has everything whole: what is on is brought about again. */
int faults_boot(const struct sim *sim, struct err *err);
/* Both tables, on stdout; with a machine: its own, and what is on. */
void faults_print(const struct sim *sim);
