#pragma once

/* ib.h - RDMA devices as sysfs shows them: ports, network devices, and GIDs with their types. */

#include <stdbool.h>
#include <stddef.h>

struct host;

struct ib_gid {
	unsigned index;
	char text[40];   /* "0000:0000:0000:0000:0000:ffff:0a04:0001" */
	char ipv4[16];   /* "10.4.0.1"; "" if it is none of IPv4. */
	char netdev[32]; /* "" if the kernel does not say. */
	bool v2;         /* RoCE v2. */
	bool link_local;
};
struct ib_port {
	char name[64]; /* Of the device: "mlx5_0" */
	unsigned port;
	char address[16]; /* Of its PCI function: "0000:b7:00.0"; "" if it has none. */
	char netdev[32];  /* "" if it has none. */
	char state[32];   /* "ACTIVE" */
	char phys[32];    /* "LinkUp" */
	char firmware[32];
	bool ethernet;
	unsigned gbps;       /* 0: not known. */
	struct ib_gid *gids; /* Those that are there; empty slots are left out. */
	size_t n_gids;
};
struct ib_ports {
	struct ib_port *v; /* In the order of their names. */
	size_t n;
};

/* What cannot be read is not there. */
void ib_read(struct host *host, struct ib_ports *out);
void ib_free(struct ib_ports *ports);

bool ib_up(const struct ib_port *port); /* ACTIVE and LinkUp. */
/* The RoCE v2 GID of IPv4, of the port's own network device; with 'network' ("10.4.0.0/16") of that network alone.
 * NULL: it has none. */
const struct ib_gid *ib_gid(const struct ib_port *port, const char *network);
/* A counter of the port ("link_downed") or of its hardware ("out_of_sequence"); false: there is none. */
bool ib_counter(struct host *host, const struct ib_port *port, const char *name, unsigned long long *out);

/* "4: ACTIVE" without its number, "100 Gb/sec (2X HDR)" as a number, and a GID as it is printed. */
void ib_parse_state(const char *text, char out[32]);
unsigned ib_parse_rate(const char *text);
bool ib_parse_gid(const char *text, struct ib_gid *out);
