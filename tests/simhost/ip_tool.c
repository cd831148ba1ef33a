/* ip_tool.c - ip(8) of a simulated host, as far as an agent asks it: VFs' MAC and VLAN, in DIR/.sim/vfs/NETDEV/N. */

#include "tests/simhost/ip_tool.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

struct vf {
	char mac[18];
	unsigned vlan;
};

static int
complain(const char *text)
{
	(void)fprintf(stderr, "%s\n", text);
	return 1;
}

static unsigned
vfs_of(const struct tree *tree, const char *net)
{
	auto_free char *path = xasprintf("sys/class/net/%s/device/sriov_numvfs", net);

	return (unsigned)tree_read_u64(tree, path);
}

static char *
file_of(const char *net, unsigned vf)
{
	return xasprintf(".sim/vfs/%s/%u", net, vf);
}

static void
load(const struct tree *tree, const char *net, unsigned n, struct vf *out)
{
	auto_free char *path = file_of(net, n);
	auto_free char *text = tree_read(tree, path);

	*out = (struct vf){ .mac = "00:00:00:00:00:00" };
	if (text)
		(void)sscanf(text, "%17s %u", out->mac, &out->vlan); /* NOLINT(cert-err34-c): our own file. */
}

static int
show(const struct tree *tree, const char *net)
{
	(void)printf("6: %s: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP mode DEFAULT group default "
		     "qlen 1000\n    link/ether 04:3f:72:3f:00:00 brd ff:ff:ff:ff:ff:ff\n",
		     net);
	for (unsigned i = 0; i < vfs_of(tree, net); i++) {
		struct vf vf;

		load(tree, net, i, &vf);
		(void)printf("    vf %u     link/ether %s brd ff:ff:ff:ff:ff:ff", i, vf.mac);
		if (vf.vlan)
			(void)printf(", vlan %u", vf.vlan);
		(void)printf(", spoof checking off, link-state auto, trust off, query_rss off\n");
	}
	return 0;
}

/* set dev NET vf N mac|vlan VALUE */
static int
change(struct tree *tree, char *const words[])
{
	unsigned n = (unsigned)strtoul(words[4], NULL, 10);
	auto_free char *path = file_of(words[2], n);
	struct vf vf;

	if (n >= vfs_of(tree, words[2]))
		return complain("RTNETLINK answers: Invalid argument");
	load(tree, words[2], n, &vf);
	if (strcmp(words[5], "mac") == 0)
		(void)snprintf(vf.mac, sizeof(vf.mac), "%s", words[6]);
	else
		vf.vlan = (unsigned)strtoul(words[6], NULL, 10);
	tree_printf(tree, path, "%s %u\n", vf.mac, vf.vlan);
	return 0;
}

int
ip_tool(const struct sim *sim, char *const words[], int n)
{
	struct err err = { 0 };
	struct tree tree;
	int status = 255;

	if (sim_tree(sim, &tree, &err) < 0)
		return complain(err.msg);
	auto_free char *entry = n > 3 ? xasprintf("sys/class/net/%s", words[3]) : NULL;
	if (n < 4 || strcmp(words[0], "link") != 0 || strcmp(words[2], "dev") != 0)
		status = complain("ip: this one only knows 'link show dev' and 'link set dev ... vf'");
	else if (!tree_exists(&tree, entry))
		status = complain("Device does not exist.");
	else if (strcmp(words[1], "show") == 0)
		status = show(&tree, words[3]);
	else if (n == 8 && strcmp(words[1], "set") == 0 && strcmp(words[4], "vf") == 0)
		status = change(&tree, words + 1);
	if (tree_close(&tree) < 0)
		status = complain(err.msg);
	return status;
}
