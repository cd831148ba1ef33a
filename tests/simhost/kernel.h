#pragma once

/* kernel.h - the running kernel: files of /sys and /proc do what was written into them.
 *
 * A write is seen a moment after it happened: unlike a kernel it cannot refuse it, only put the file right. */

#include <stdbool.h>

struct err;
struct kernel;
struct sim;

/* For one boot: a new one after the next. */
int kernel_start(const struct sim *sim, struct kernel **out, struct err *err);
void kernel_stop(struct kernel *kernel);

int kernel_fd(const struct kernel *kernel); /* Readable: kernel_work(). */
/* True if somebody asked for a reboot. */
bool kernel_work(struct kernel *kernel);
/* /proc/uptime */
void kernel_tick(struct kernel *kernel, double seconds);
