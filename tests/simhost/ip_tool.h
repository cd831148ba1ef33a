#pragma once

/* ip_tool.h - what DIR/.sim/bin/ip runs: its exit status. */

struct sim;

int ip_tool(const struct sim *sim, char *const words[], int n);
