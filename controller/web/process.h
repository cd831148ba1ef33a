#pragma once

/* process.h - what this process uses of the machine. */

struct process {
	double cpu_seconds;
	unsigned long long resident; /* Bytes. */
	unsigned long open_fds;
	unsigned long max_fds;
};

/* What cannot be read is 0. */
void process_read(struct process *out);
