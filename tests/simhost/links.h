#pragma once

/* links.h - the network interfaces of a simulated guest, and the kernel that answers for them.
 *
 * .sim/links in its root has a line for each: "INDEX NAME MAC MTU MAX-MTU TXQUEUELEN UP RX RX-MAX TX TX-MAX"; a maximum of 0 is a
 * driver that has no rings.  .sim/bin/netlink is what agent/machine/netlink.h asks. */

#include <net/if.h>
#include <stdbool.h>

struct sim;
struct tree;

struct sim_link {
	int index;
	char name[IF_NAMESIZE];
	unsigned char mac[6];
	unsigned mtu, max_mtu;
	unsigned txqueuelen;
	unsigned up;
	unsigned rx, rx_max;
	unsigned tx, tx_max;
};

#define LINKS_MAX 64

/* How many there are. */
int links_load(const struct tree *tree, struct sim_link links[LINKS_MAX]);
void links_save(struct tree *tree, const struct sim_link *links, int n);

/* VM PROTOCOL HEX: what the guest's .sim/bin/netlink is asked; prints the answer in hex.  Its exit status. */
int links_tool(const struct sim *sim, char *const words[], int n);
