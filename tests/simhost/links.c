/* links.c - rtnetlink and ethtool netlink, as far as an agent asks: one question, one answer. */

#include "tests/simhost/links.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/simhost/guest.h"
#include "tests/simhost/tree.h"

#define FILE_    ".sim/links"
#define FAMILY   21 /* ethtool's number among generic netlink's families: any. */
#define QUESTION 1024

/* --- the file ------------------------------------------------------------------------------------------- */

/* "02:67:64:00:00:01" */
static void
parse_mac(const char *text, unsigned char out[6])
{
	for (int i = 0; i < 6 && strlen(text) >= 2; i++, text += text[2] ? 3 : 2)
		out[i] = (unsigned char)strtoul(text, NULL, 16);
}

static bool
parse(char *line, struct sim_link *out)
{
	unsigned *const numbers[] = { &out->mtu, &out->max_mtu, &out->txqueuelen, &out->up,
				      &out->rx,  &out->rx_max,  &out->tx,         &out->tx_max };
	const char *index = strsep(&line, " ");
	const char *name = strsep(&line, " ");
	const char *mac = strsep(&line, " ");

	if (!mac)
		return false;
	out->index = (int)strtol(index, NULL, 10);
	(void)snprintf(out->name, sizeof(out->name), "%.15s", name);
	parse_mac(mac, out->mac);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const char *word = strsep(&line, " ");

		if (!word)
			return false;
		*numbers[i] = (unsigned)strtoul(word, NULL, 10);
	}
	return true;
}

int
links_load(const struct tree *tree, struct sim_link links[LINKS_MAX])
{
	auto_free char *text = tree_read(tree, FILE_);
	char *rest = text;
	int n = 0;

	while (rest && n < LINKS_MAX)
		n += parse(strsep(&rest, "\n"), &links[n]);
	return n;
}

void
links_save(struct tree *tree, const struct sim_link *links, int n)
{
	auto_buf struct buf out = { 0 };

	for (int i = 0; i < n; i++) {
		const struct sim_link *l = &links[i];
		const unsigned char *m = l->mac;

		buf_printf(&out, "%d %s %02x:%02x:%02x:%02x:%02x:%02x %u %u %u %u %u %u %u %u\n", l->index, l->name,
			   m[0], m[1], m[2], m[3], m[4], m[5], l->mtu, l->max_mtu, l->txqueuelen, l->up, l->rx,
			   l->rx_max, l->tx, l->tx_max);
		auto_free char *mtu = xasprintf("sys/class/net/%s/mtu", l->name);
		tree_printf(tree, mtu, "%u\n", l->mtu);
	}
	tree_printf(tree, FILE_, "%s", out.text ? out.text : "");
}

/* --- answers ---------------------------------------------------------------------------------------------- */

union message {
	struct nlmsghdr head;
	char room[1024];
};

static void
say(const union message *message)
{
	const unsigned char *bytes = (const unsigned char *)message->room;

	for (uint32_t i = 0; i < message->head.nlmsg_len; i++)
		(void)printf("%02x", bytes[i]);
}

static void
say_end(uint16_t type, int code, const char *words)
{
	union message m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = type;
	head->nlmsg_flags = (uint16_t)(NLM_F_CAPPED | (words ? NLM_F_ACK_TLVS : 0));
	if (type == NLMSG_ERROR) {
		struct nlmsgerr *error = mnl_nlmsg_put_extra_header(head, sizeof(*error));
		error->error = code;
	}
	if (words)
		mnl_attr_put_strz(head, NLMSGERR_ATTR_MSG, words);
	say(&m);
}

static void
say_link(const struct sim_link *link)
{
	union message m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = RTM_NEWLINK;
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(head, sizeof(*info));
	info->ifi_index = link->index;
	info->ifi_flags = (link->up ? (unsigned)IFF_UP : 0U) |
			  (strcmp(link->name, "lo") == 0 ? (unsigned)IFF_LOOPBACK : 0U);
	mnl_attr_put_strz(head, IFLA_IFNAME, link->name);
	mnl_attr_put_u32(head, IFLA_MTU, link->mtu);
	mnl_attr_put_u32(head, IFLA_MAX_MTU, link->max_mtu);
	mnl_attr_put_u32(head, IFLA_TXQLEN, link->txqueuelen);
	mnl_attr_put(head, IFLA_ADDRESS, sizeof(link->mac), link->mac);
	say(&m);
}

static void
say_rings(const struct sim_link *link)
{
	union message m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = FAMILY;
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(head, sizeof(*generic));
	generic->cmd = ETHTOOL_MSG_RINGS_GET_REPLY;
	struct nlattr *nest = mnl_attr_nest_start(head, ETHTOOL_A_RINGS_HEADER);
	mnl_attr_put_u32(head, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)link->index);
	mnl_attr_nest_end(head, nest);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_RX_MAX, link->rx_max);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_TX_MAX, link->tx_max);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_RX, link->rx);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_TX, link->tx);
	say(&m);
}

static void
say_family(void)
{
	union message m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = GENL_ID_CTRL;
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(head, sizeof(*generic));
	generic->cmd = CTRL_CMD_NEWFAMILY;
	mnl_attr_put_u16(head, CTRL_ATTR_FAMILY_ID, FAMILY);
	say(&m);
	say_end(NLMSG_ERROR, 0, NULL);
}

/* --- questions -------------------------------------------------------------------------------------------- */

struct asked {
	int index;
	uint32_t value[64]; /* By attribute. */
	bool has[64];
};

static int
note(const struct nlattr *attribute, void *arg)
{
	struct asked *asked = arg;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type < 64 && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)) {
		asked->has[type] = true;
		asked->value[type] = mnl_attr_get_u32(attribute);
	}
	return MNL_CB_OK;
}

static struct sim_link *
find(struct sim_link *links, int n, int index)
{
	for (int i = 0; i < n; i++)
		if (links[i].index == index)
			return &links[i];
	say_end(NLMSG_ERROR, -ENODEV, NULL);
	return NULL;
}

/* True: something changed. */
static bool
set_link(const struct nlmsghdr *head, struct sim_link *links, int n)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(head);
	struct asked asked = { 0 };
	struct sim_link *link = find(links, n, info->ifi_index);

	(void)mnl_attr_parse(head, sizeof(*info), note, &asked);
	if (!link)
		return false;
	if (asked.has[IFLA_MTU] && link->max_mtu && asked.value[IFLA_MTU] > link->max_mtu) {
		say_end(NLMSG_ERROR, -EINVAL, "mtu greater than device maximum");
		return false;
	}
	link->mtu = asked.has[IFLA_MTU] ? asked.value[IFLA_MTU] : link->mtu;
	link->txqueuelen = asked.has[IFLA_TXQLEN] ? asked.value[IFLA_TXQLEN] : link->txqueuelen;
	link->up = info->ifi_change & IFF_UP ? (info->ifi_flags & IFF_UP) != 0 : link->up;
	say_end(NLMSG_ERROR, 0, NULL);
	return true;
}

/* As mlx5 does: a power of two. */
static unsigned
rounded(uint32_t size)
{
	unsigned power = 1;

	while (power < size)
		power *= 2;
	return power;
}

static bool
set_rings(const struct nlmsghdr *head, struct sim_link *links, int n)
{
	struct asked header = { 0 };
	struct asked asked = { 0 };
	const struct nlattr *first = mnl_nlmsg_get_payload_offset(head, sizeof(struct genlmsghdr));

	(void)mnl_attr_parse(head, sizeof(struct genlmsghdr), note, &asked);
	(void)mnl_attr_parse_nested(first, note, &header);
	struct sim_link *link = find(links, n, (int)header.value[ETHTOOL_A_HEADER_DEV_INDEX]);
	if (!link)
		return false;
	uint32_t rx = asked.has[ETHTOOL_A_RINGS_RX] ? asked.value[ETHTOOL_A_RINGS_RX] : link->rx;
	uint32_t tx = asked.has[ETHTOOL_A_RINGS_TX] ? asked.value[ETHTOOL_A_RINGS_TX] : link->tx;
	if (!link->rx_max || rx > link->rx_max || tx > link->tx_max) {
		say_end(NLMSG_ERROR, link->rx_max ? -EINVAL : -EOPNOTSUPP,
			link->rx_max ? "requested ring size exceeds maximum" : NULL);
		return false;
	}
	link->rx = rounded(rx);
	link->tx = rounded(tx);
	say_end(NLMSG_ERROR, 0, NULL);
	return true;
}

static bool
is_setter(int protocol, const struct nlmsghdr *head)
{
	const struct genlmsghdr *generic = mnl_nlmsg_get_payload(head);

	return protocol == NETLINK_ROUTE ? head->nlmsg_type == RTM_NEWLINK
					 : head->nlmsg_type == FAMILY && generic->cmd == ETHTOOL_MSG_RINGS_SET;
}

/* True: something changed. */
static bool
change(int protocol, const struct nlmsghdr *head, bool refuses, struct sim_link *links, int n)
{
	if (refuses)
		say_end(NLMSG_ERROR, -EPERM, NULL);
	else if (protocol == NETLINK_ROUTE)
		return set_link(head, links, n);
	else
		return set_rings(head, links, n);
	return false;
}

static void
tell(int protocol, const struct nlmsghdr *head, const struct sim_link *links, int n)
{
	if (protocol == NETLINK_GENERIC && head->nlmsg_type == GENL_ID_CTRL) {
		say_family();
		return;
	}
	for (int i = 0; i < n; i++)
		if (protocol == NETLINK_ROUTE)
			say_link(&links[i]);
		else if (links[i].rx_max)
			say_rings(&links[i]);
	say_end(NLMSG_DONE, 0, NULL);
}

int
links_tool(const struct sim *sim, char *const words[], int n)
{
	struct sim_link links[LINKS_MAX] = { 0 };
	union {
		struct nlmsghdr head;
		unsigned char bytes[QUESTION];
	} question = { 0 };
	struct err err = { 0 };
	struct tree tree;
	size_t len = 0;

	if (n != 3)
		return 2;
	auto_free char *root = guest_root(sim, words[0]);
	for (const char *c = words[2]; c[0] && c[1] && len < QUESTION; c += 2) {
		const char pair[] = { c[0], c[1], '\0' };
		question.bytes[len++] = (unsigned char)strtoul(pair, NULL, 16);
	}
	if (!mnl_nlmsg_ok(&question.head, (int)len) ||
	    mnl_nlmsg_get_payload_len(&question.head) < sizeof(struct genlmsghdr) ||
	    tree_open(&tree, AT_FDCWD, root, &err) < 0)
		return 1;
	(void)flock(tree.fd, LOCK_EX); /* Others change them, too. */
	int n_links = links_load(&tree, links);
	int protocol = (int)strtol(words[1], NULL, 10);
	bool refuses = tree_exists(&tree, ".sim/faults/link-refuses");
	if (!is_setter(protocol, &question.head))
		tell(protocol, &question.head, links, n_links);
	else if (change(protocol, &question.head, refuses, links, n_links))
		links_save(&tree, links, n_links);
	return tree_close(&tree) < 0 ? 1 : 0;
}
