#pragma once

/* netlink.h - the only door to the kernel's network interfaces: rtnetlink and ethtool netlink, by libmnl.
 *
 * One question, one answer, each with a time-out.  On the machine itself the kernel answers.  A tree that stands for a
 * machine names a program that answers in its place, `netlink` among the settings' tools: it is called with the
 * protocol's number and the message in hex digits, and prints the messages of the answer likewise.  Everything above that
 * is the same. */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct host;

struct link {
	int index;
	char name[IF_NAMESIZE];
	char kind[IF_NAMESIZE]; /* Of one that is made: "veth", "dummy"; "" of a device. */
	char mac[18];           /* "02:67:64:00:00:01" */
	bool loopback;
	bool up; /* Administratively. */
	uint32_t mtu;
	uint32_t max_mtu; /* 0: the driver names none. */
	uint32_t txqueuelen;
	bool has_ring; /* Else the driver has none that could be asked for. */
	uint32_t rx, rx_max;
	uint32_t tx, tx_max;
};

/* All interfaces, by index; the caller frees '*out'. */
int netlink_links(struct host *host, struct link **out, size_t *n, struct err *err);

/* The kernel's own words for a refusal are in 'err'. */
int netlink_set_mtu(struct host *host, int index, uint32_t mtu, struct err *err);
int netlink_set_txqueuelen(struct host *host, int index, uint32_t length, struct err *err);
int netlink_set_up(struct host *host, int index, struct err *err);
int netlink_set_ring(struct host *host, int index, bool rx, uint32_t size, struct err *err);

/* True: its driver shows rings and lets nobody set them (virtio before Linux 6.0).  Asked by a change of nothing. */
bool netlink_rings_fixed(struct host *host, int index);

/* A descriptor that becomes readable when an interface comes, goes or changes; -1 where nobody tells. */
int netlink_watch(struct host *host);
void netlink_watched(int fd); /* Empties it. */

/* What an answer's messages say: adds links, and rings to links that are there.  Of any bytes. */
void netlink_read_links(const void *data, size_t len, struct link **links, size_t *n);
void netlink_read_rings(const void *data, size_t len, struct link *links, size_t n);
