#pragma once

/* netlink_answers.h - a program that answers for the kernel's interfaces, and its answers, built as the kernel builds
 * them.  Include after layer.h. */

#include <libmnl/libmnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>

#include "agent/machine/netlink.h"
#include "common/buf.h"

#define ETHTOOL_FAMILY 0x15

/* Its log is /opt/log: a line for each question.  By protocol, type and, of ethtool, command. */
static const char netlink_script[] = "#!/bin/sh\n"
				     "dir=${0%/*}\n"
				     "echo \"$1 $2\" >>\"$dir/log\"\n"
				     "case \"$1 $2\" in\n"
				     "'0 '????????1200*) cat \"$dir/links\" ;;\n"
				     "'16 '????????1000*) cat \"$dir/family\" ;;\n"
				     "'16 '????????1500????????????????????0f*) cat \"$dir/rings\" ;;\n"
				     "*) cat \"$dir/set\" ;;\n"
				     "esac\n";

struct answer {
	struct buf hex;
};

static MAY_BE_UNUSED void
add_bytes(struct answer *to, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_printf(&to->hex, "%02x", ((const uint8_t *)data)[i]);
}

static MAY_BE_UNUSED void
add_link(struct answer *to, const struct link *link)
{
	static const uint8_t mac[] = { 2, 0x67, 0x64, 0, 0, 1 };
	union {
		struct nlmsghdr head;
		char room[1024];
	} m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = RTM_NEWLINK;
	head->nlmsg_flags = NLM_F_MULTI;
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(head, sizeof(*info));
	info->ifi_index = link->index;
	info->ifi_flags = (link->up ? IFF_UP : 0) | (link->loopback ? IFF_LOOPBACK : 0);
	mnl_attr_put_strz(head, IFLA_IFNAME, link->name);
	mnl_attr_put_u32(head, IFLA_MTU, link->mtu);
	mnl_attr_put_u32(head, IFLA_MAX_MTU, link->max_mtu);
	mnl_attr_put_u32(head, IFLA_TXQLEN, link->txqueuelen);
	mnl_attr_put(head, IFLA_ADDRESS, sizeof(mac), mac);
	if (*link->kind) {
		struct nlattr *nest = mnl_attr_nest_start(head, IFLA_LINKINFO);

		mnl_attr_put_strz(head, IFLA_INFO_KIND, link->kind);
		mnl_attr_nest_end(head, nest);
	}
	add_bytes(to, head, head->nlmsg_len);
}

static MAY_BE_UNUSED void
add_generic(struct answer *to, uint16_t type, uint8_t command,
	    void (*fill)(struct nlmsghdr *head, const struct link *link), const struct link *link)
{
	union {
		struct nlmsghdr head;
		char room[1024];
	} m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = type;
	struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(head, sizeof(*generic));
	generic->cmd = command;
	fill(head, link);
	add_bytes(to, head, head->nlmsg_len);
}

static MAY_BE_UNUSED void
fill_family(struct nlmsghdr *head, const struct link *link)
{
	(void)link;
	mnl_attr_put_strz(head, CTRL_ATTR_FAMILY_NAME, "ethtool");
	mnl_attr_put_u16(head, CTRL_ATTR_FAMILY_ID, ETHTOOL_FAMILY);
}

static MAY_BE_UNUSED void
fill_rings(struct nlmsghdr *head, const struct link *link)
{
	struct nlattr *nest = mnl_attr_nest_start(head, ETHTOOL_A_RINGS_HEADER);

	mnl_attr_put_u32(head, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)link->index);
	mnl_attr_put_strz(head, ETHTOOL_A_HEADER_DEV_NAME, link->name);
	mnl_attr_nest_end(head, nest);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_RX_MAX, link->rx_max);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_TX_MAX, link->tx_max);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_RX, link->rx);
	mnl_attr_put_u32(head, ETHTOOL_A_RINGS_TX, link->tx);
}

static MAY_BE_UNUSED void
add_done(struct answer *to)
{
	struct nlmsghdr head = { .nlmsg_len = sizeof(head), .nlmsg_type = NLMSG_DONE };

	add_bytes(to, &head, sizeof(head));
}

/* An acknowledgement (code 0) or a refusal, in the kernel's words. */
static MAY_BE_UNUSED void
add_ack(struct answer *to, int code, const char *words)
{
	union {
		struct nlmsghdr head;
		char room[1024];
	} m = { 0 };
	struct nlmsghdr *head = mnl_nlmsg_put_header(m.room);

	head->nlmsg_type = NLMSG_ERROR;
	head->nlmsg_flags = NLM_F_CAPPED | (words ? NLM_F_ACK_TLVS : 0);
	struct nlmsgerr *error = mnl_nlmsg_put_extra_header(head, sizeof(*error));
	error->error = code;
	if (words)
		mnl_attr_put_strz(head, NLMSGERR_ATTR_MSG, words);
	add_bytes(to, head, head->nlmsg_len);
}

static MAY_BE_UNUSED void
put_answer(const char *path, struct answer *answer)
{
	put(path, answer->hex.text ? answer->hex.text : "");
	buf_free(&answer->hex);
	*answer = (struct answer){ 0 };
}

/* These interfaces are there from now on, and what is asked of them is done. */
static MAY_BE_UNUSED void
put_links(const struct link *links, size_t n)
{
	struct answer answer = { 0 };

	for (size_t i = 0; i < n; i++)
		add_link(&answer, &links[i]);
	add_done(&answer);
	put_answer("/opt/links", &answer);
	for (size_t i = 0; i < n; i++)
		if (links[i].has_ring)
			add_generic(&answer, ETHTOOL_FAMILY, ETHTOOL_MSG_RINGS_GET_REPLY, fill_rings, &links[i]);
	add_done(&answer);
	put_answer("/opt/rings", &answer);
	add_generic(&answer, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, fill_family, NULL);
	add_ack(&answer, 0, NULL);
	put_answer("/opt/family", &answer);
	add_ack(&answer, 0, NULL);
	put_answer("/opt/set", &answer);
}
