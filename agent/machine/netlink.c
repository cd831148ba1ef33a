#include "agent/machine/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/machine/host.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define TOOL       "netlink"
#define PATIENCE_S 5
#define ANSWER_MAX (4U << 20)
#define LINKS_MAX  4096

/* --- attributes ---------------------------------------------------------------------------------------------- */

struct attributes {
	const struct nlattr **table;
	uint16_t max;
};

static int
keep_attribute(const struct nlattr *attribute, void *arg)
{
	const struct attributes *to = arg;
	uint16_t type = mnl_attr_get_type(attribute);

	if (type <= to->max)
		to->table[type] = attribute;
	return MNL_CB_OK;
}

static uint32_t
number(const struct nlattr *attribute)
{
	return attribute && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t) ? mnl_attr_get_u32(attribute) : 0;
}

static void
text(const struct nlattr *attribute, char *out, size_t size)
{
	if (attribute)
		(void)snprintf(out, size, "%.*s", (int)mnl_attr_get_payload_len(attribute),
			       mnl_attr_get_str(attribute));
}

/* An empty answer has no text at all; and libmnl takes a length beyond INT_MAX for a negative one, which fits. */
static bool
is_whole(const struct nlmsghdr *message, int left)
{
	return message && mnl_nlmsg_ok(message, left) && message->nlmsg_len <= (uint32_t)left;
}

/* --- what answers say ---------------------------------------------------------------------------------------- */

static void
read_kind(const struct nlattr *info, struct link *link)
{
	const struct nlattr *table[IFLA_INFO_MAX + 1] = { 0 };
	struct attributes to = { table, IFLA_INFO_MAX };

	if (info && mnl_attr_parse_nested(info, keep_attribute, &to) >= 0)
		text(table[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
}

static void
read_link(const struct nlmsghdr *message, struct link *link)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[IFLA_MAX + 1] = { 0 };
	struct attributes to = { table, IFLA_MAX };

	*link = (struct link){ .index = head->ifi_index,
			       .up = head->ifi_flags & IFF_UP,
			       .loopback = head->ifi_flags & IFF_LOOPBACK };
	(void)mnl_attr_parse(message, sizeof(*head), keep_attribute, &to);
	text(table[IFLA_IFNAME], link->name, sizeof(link->name));
	link->mtu = number(table[IFLA_MTU]);
	link->max_mtu = number(table[IFLA_MAX_MTU]);
	link->txqueuelen = number(table[IFLA_TXQLEN]);
	read_kind(table[IFLA_LINKINFO], link);
	if (table[IFLA_ADDRESS] && mnl_attr_get_payload_len(table[IFLA_ADDRESS]) == 6) {
		const uint8_t *mac = mnl_attr_get_payload(table[IFLA_ADDRESS]);
		(void)snprintf(link->mac, sizeof(link->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
			       mac[3], mac[4], mac[5]);
	}
}

void
netlink_read_links(const void *data, size_t len, struct link **links, size_t *n)
{
	const struct nlmsghdr *message = data;
	int left = (int)len;

	for (; is_whole(message, left) && *n < LINKS_MAX; message = mnl_nlmsg_next(message, &left)) {
		struct link link = { 0 };

		if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof(struct ifinfomsg))
			continue;
		read_link(message, &link);
		if (!*link.name)
			continue;
		*links = xrealloc(*links, *n + 1, sizeof(**links));
		(*links)[(*n)++] = link;
	}
}

static int
index_of(const struct nlattr *header)
{
	const struct nlattr *table[ETHTOOL_A_HEADER_MAX + 1] = { 0 };
	struct attributes to = { table, ETHTOOL_A_HEADER_MAX };

	if (!header || mnl_attr_parse_nested(header, keep_attribute, &to) < 0)
		return 0;
	return (int)number(table[ETHTOOL_A_HEADER_DEV_INDEX]);
}

void
netlink_read_rings(const void *data, size_t len, struct link *links, size_t n)
{
	const struct nlmsghdr *message = data;
	int left = (int)len;

	for (; is_whole(message, left); message = mnl_nlmsg_next(message, &left)) {
		const struct nlattr *table[ETHTOOL_A_RINGS_MAX + 1] = { 0 };
		struct attributes to = { table, ETHTOOL_A_RINGS_MAX };

		if (message->nlmsg_type < NLMSG_MIN_TYPE ||
		    mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr))
			continue;
		(void)mnl_attr_parse(message, sizeof(struct genlmsghdr), keep_attribute, &to);
		int index = index_of(table[ETHTOOL_A_RINGS_HEADER]);
		for (size_t i = 0; i < n; i++) {
			if (links[i].index != index)
				continue;
			links[i].rx = number(table[ETHTOOL_A_RINGS_RX]);
			links[i].rx_max = number(table[ETHTOOL_A_RINGS_RX_MAX]);
			links[i].tx = number(table[ETHTOOL_A_RINGS_TX]);
			links[i].tx_max = number(table[ETHTOOL_A_RINGS_TX_MAX]);
			links[i].has_ring = links[i].rx_max > 0 || links[i].tx_max > 0;
		}
	}
}

static uint16_t
read_family(const void *data, size_t len)
{
	const struct nlmsghdr *message = data;
	const struct nlattr *table[CTRL_ATTR_MAX + 1] = { 0 };
	struct attributes to = { table, CTRL_ATTR_MAX };

	if (!is_whole(message, (int)len) || message->nlmsg_type != GENL_ID_CTRL ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr))
		return 0;
	(void)mnl_attr_parse(message, sizeof(struct genlmsghdr), keep_attribute, &to);
	const struct nlattr *id = table[CTRL_ATTR_FAMILY_ID];
	return id && mnl_attr_get_payload_len(id) == sizeof(uint16_t) ? mnl_attr_get_u16(id) : 0;
}

/* The kernel's extended acknowledgement: its own words; NULL: it has none. */
static const char *
said(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1] = { 0 };
	struct attributes to = { table, NLMSGERR_ATTR_MAX };
	size_t skip = sizeof(*error);

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(message->nlmsg_flags & NLM_F_CAPPED) && error->msg.nlmsg_len > sizeof(error->msg))
		skip += MNL_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	if (skip > mnl_nlmsg_get_payload_len(message))
		return NULL;
	(void)mnl_attr_parse(message, (unsigned)skip, keep_attribute, &to);
	const struct nlattr *words = table[NLMSGERR_ATTR_MSG];
	return words && mnl_attr_validate(words, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(words) : NULL;
}

/* 1: the answer is whole; 0: more comes; else the refusal. */
static int
judge(const void *data, size_t len, struct err *err)
{
	const struct nlmsghdr *message = data;
	int left = (int)len;

	for (; is_whole(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(message) < sizeof(struct nlmsgerr))
			continue;
		int code = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
		const char *words = said(message);
		if (code < 0 && code > -4096)
			return err_set(err, code, "the kernel refuses: %s%s%s", strerror(-code), words ? ": " : "",
				       words ? words : "");
		return 1;
	}
	return 0;
}

/* --- asking the kernel, or who stands for it ----------------------------------------------------------------- */

static struct mnl_socket *
open_socket(int bus, unsigned groups, int flags, struct err *err)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC | flags);
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int on = 1;

	if (!socket || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
		(void)err_set(err, -errno, "netlink: %s", strerror(errno));
		if (socket)
			(void)mnl_socket_close(socket);
		return NULL;
	}
	(void)setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	return socket;
}

/* All parts of the answer. */
static int
hear(const struct mnl_socket *socket, struct buf *answer, struct err *err)
{
	size_t size = (size_t)MNL_SOCKET_BUFFER_SIZE * 4;
	auto_free char *part = xcalloc(1, size);
	int rc = 0;

	while (rc == 0 && answer->len < ANSWER_MAX) {
		ssize_t n = mnl_socket_recvfrom(socket, part, size);

		if (n <= 0)
			return err_set(err, n < 0 ? -errno : -EPIPE, "netlink: %s", strerror(n < 0 ? errno : EPIPE));
		buf_add(answer, part, (size_t)n);
		rc = judge(part, (size_t)n, err);
	}
	return rc < 0 ? rc : 0;
}

static int
ask_kernel(int bus, const struct nlmsghdr *question, struct buf *answer, struct err *err)
{
	struct mnl_socket *socket = open_socket(bus, 0, 0, err);
	int rc;

	if (!socket)
		return err->code;
	if (mnl_socket_sendto(socket, question, question->nlmsg_len) < 0)
		rc = err_set(err, -errno, "netlink: %s", strerror(errno));
	else
		rc = hear(socket, answer, err);
	(void)mnl_socket_close(socket);
	return rc;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
ask_program(struct host *host, int bus, const struct nlmsghdr *question, struct buf *answer, struct err *err)
{
	auto_free char *protocol = xasprintf("%d", bus);
	auto_free char *hex = xcalloc(2 * (size_t)question->nlmsg_len + 1, 1);
	const char *const argv[] = { TOOL, protocol, hex, NULL };
	struct host_result result;

	for (size_t i = 0; i < question->nlmsg_len; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)question)[i]);
	int rc = host_run(host, argv, 0, &result, err);
	if (rc < 0)
		return rc;
	for (const char *c = result.out; digit(c[0]) >= 0 && digit(c[1]) >= 0; c += 2) {
		uint8_t byte = (uint8_t)(digit(c[0]) << 4 | digit(c[1]));
		buf_add(answer, &byte, 1);
	}
	if (result.status != 0 || !answer->text)
		rc = err_set(err, -EIO, TOOL ": no answer, exit status %d", result.status);
	else
		rc = judge(answer->text, answer->len, err);
	host_result_free(&result);
	return rc < 0 ? rc : 0;
}

static int
ask(struct host *host, int bus, const struct nlmsghdr *question, struct buf *answer, struct err *err)
{
	auto_free char *tool = host_tool(host, TOOL);

	if (tool)
		return ask_program(host, bus, question, answer, err);
	if (host_is_machine(host))
		return ask_kernel(bus, question, answer, err);
	return err_set(err, -ENOENT, "nobody answers for the network interfaces of this tree");
}

/* --- questions ----------------------------------------------------------------------------------------------- */

/* A question's buffer is of the size that libmnl needs for any that is asked here. */
union question {
	struct nlmsghdr head;
	char room[512];
};

static struct ifinfomsg *
begin_link(union question *question, uint16_t type, uint16_t flags, int index)
{
	struct nlmsghdr *head = mnl_nlmsg_put_header(question->room);

	head->nlmsg_type = type;
	head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	head->nlmsg_seq = 1;
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(head, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = index;
	return link;
}

static void
begin_generic(union question *question, uint16_t family, uint16_t flags, uint8_t command)
{
	struct nlmsghdr *head = mnl_nlmsg_put_header(question->room);

	head->nlmsg_type = family;
	head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	head->nlmsg_seq = 1;
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(head, sizeof(*generic));
	generic->cmd = command;
	generic->version = 1;
}

/* The number by which this kernel knows ethtool; 0: it does not (before 5.6). */
static uint16_t
ethtool_family(struct host *host)
{
	union question question = { 0 };
	auto_buf struct buf answer = { 0 };
	struct err ignored = { 0 };

	begin_generic(&question, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(&question.head, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME);
	if (ask(host, NETLINK_GENERIC, &question.head, &answer, &ignored) < 0)
		return 0;
	return read_family(answer.text, answer.len);
}

static void
add_rings(struct host *host, struct link *links, size_t n)
{
	union question question = { 0 };
	auto_buf struct buf answer = { 0 };
	struct err ignored = { 0 };
	uint16_t family = ethtool_family(host);

	if (!family)
		return;
	begin_generic(&question, family, NLM_F_DUMP | NLM_F_ACK, ETHTOOL_MSG_RINGS_GET);
	mnl_attr_nest_end(&question.head, mnl_attr_nest_start(&question.head, ETHTOOL_A_RINGS_HEADER));
	/* Without rings an interface is still one. */
	if (ask(host, NETLINK_GENERIC, &question.head, &answer, &ignored) == 0)
		netlink_read_rings(answer.text, answer.len, links, n);
}

int
netlink_links(struct host *host, struct link **out, size_t *n, struct err *err)
{
	union question question = { 0 };
	auto_buf struct buf answer = { 0 };

	*out = NULL;
	*n = 0;
	(void)begin_link(&question, RTM_GETLINK, NLM_F_DUMP, 0);
	int rc = ask(host, NETLINK_ROUTE, &question.head, &answer, err);
	if (rc < 0)
		return rc;
	netlink_read_links(answer.text, answer.len, out, n);
	add_rings(host, *out, *n);
	return 0;
}

static int
set(struct host *host, int bus, const union question *question, struct err *err)
{
	auto_buf struct buf answer = { 0 };

	return ask(host, bus, &question->head, &answer, err);
}

static int
set_number(struct host *host, int index, uint16_t attribute, uint32_t value, struct err *err)
{
	union question question = { 0 };

	(void)begin_link(&question, RTM_NEWLINK, NLM_F_ACK, index);
	mnl_attr_put_u32(&question.head, attribute, value);
	return set(host, NETLINK_ROUTE, &question, err);
}

int
netlink_set_mtu(struct host *host, int index, uint32_t mtu, struct err *err)
{
	return set_number(host, index, IFLA_MTU, mtu, err);
}

int
netlink_set_txqueuelen(struct host *host, int index, uint32_t length, struct err *err)
{
	return set_number(host, index, IFLA_TXQLEN, length, err);
}

int
netlink_set_up(struct host *host, int index, struct err *err)
{
	union question question = { 0 };
	struct ifinfomsg *link = begin_link(&question, RTM_NEWLINK, NLM_F_ACK, index);

	link->ifi_flags = link->ifi_change = IFF_UP;
	return set(host, NETLINK_ROUTE, &question, err);
}

/* 'attribute' 0: nothing is to change. */
static int
set_rings(struct host *host, int index, uint16_t attribute, uint32_t size, struct err *err)
{
	union question question = { 0 };
	uint16_t family = ethtool_family(host);

	if (!family)
		return err_set(err, -EOPNOTSUPP, "this kernel has no ethtool netlink (Linux 5.6 or newer has)");
	begin_generic(&question, family, NLM_F_ACK, ETHTOOL_MSG_RINGS_SET);
	struct nlattr *header = mnl_attr_nest_start(&question.head, ETHTOOL_A_RINGS_HEADER);
	mnl_attr_put_u32(&question.head, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)index);
	mnl_attr_nest_end(&question.head, header);
	if (attribute)
		mnl_attr_put_u32(&question.head, attribute, size);
	return set(host, NETLINK_GENERIC, &question, err);
}

int
netlink_set_ring(struct host *host, int index, bool rx, uint32_t size, struct err *err)
{
	return set_rings(host, index, rx ? ETHTOOL_A_RINGS_RX : ETHTOOL_A_RINGS_TX, size, err);
}

bool
netlink_rings_fixed(struct host *host, int index)
{
	struct err ignored = { 0 };

	return set_rings(host, index, 0, 0, &ignored) == -EOPNOTSUPP;
}

/* --- news ---------------------------------------------------------------------------------------------------- */

int
netlink_watch(struct host *host)
{
	auto_free char *tool = host_tool(host, TOOL);
	struct err ignored = { 0 };
	struct mnl_socket *socket = !tool && host_is_machine(host)
					    ? open_socket(NETLINK_ROUTE, RTMGRP_LINK, SOCK_NONBLOCK, &ignored)
					    : NULL;

	if (!socket)
		return -1;
	int fd = fcntl(mnl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
	(void)mnl_socket_close(socket);
	return fd;
}

void
netlink_watched(int fd)
{
	char bytes[8192];

	while (fd >= 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}
