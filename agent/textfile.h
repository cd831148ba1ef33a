#pragma once

/* textfile.h - a report as metrics, for the textfile collector of the node_exporter that runs beside the agent. */

#include <stdint.h>

#include "proto/wire.pb-c.h"

struct buf;
struct err;

void textfile_print(const Gdr__Report *report, uint64_t now_s, struct buf *out);

/* Replaces 'path', which others may read. */
int textfile_write(const char *path, const Gdr__Report *report, uint64_t now_s, struct err *err);
