/* link.c - network interfaces of a guest: MTU, queue, rings, up.
 *
 * Spec:     guest: {link: [{match: {driver: mlx5_core}, mtu: 9000, txqueuelen: 10000, ring: {rx: 8192, tx: 8192}}]}
 * Reads:    rtnetlink and ethtool netlink (agent/machine/netlink.h), /sys/class/net/NAME/device/{driver,infiniband}
 * Changes:  the same by netlink, now, in the order in which one depends on the other: rings, MTU, queue, up;
 *           /etc/systemd/network/10-gdrfleet-NAME.link, one for each interface, for later boots.
 *
 * What a device cannot do is clamped to what it can, and said; what its driver rounds is right, and said; what it refuses
 * is an error in the kernel's words. */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "agent/journal.h"
#include "agent/layer.h"
#include "agent/machine/host.h"
#include "agent/machine/netlink.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"

#define NAME        "link"
#define FOLDER      "/etc/systemd/network"
#define FILE_KEY    "/file" /* NAME/file */
#define ABSENT      "absent"
#define ALIGNED     128  /* Drivers round a ring up to a power of two, or by a step of up to 128 (vmxnet3). */
#define ROCE_HEADER 96   /* drivers/infiniband: iboe_get_mtu(), what RoCE v2 puts around a packet. */
#define ROCE_MAX    4096 /* InfiniBand Architecture specification: the largest path MTU. */

/* What the rules say of one interface; 0: nothing. */
struct wish {
	uint32_t mtu;
	uint32_t txqueuelen;
	uint32_t rx;
	uint32_t tx;
	uint32_t roce_mtu;
	bool up;
};

/* --- which interfaces ---------------------------------------------------------------------------------------- */

static bool
has_rdma(struct host *host, const struct link *link)
{
	auto_free char *pattern = xasprintf("/sys/class/net/%s/device/infiniband/*", link->name);
	auto_strv char **devices = host_glob(host, pattern);

	return *devices != NULL;
}

/* Of one that is made its kind does for it. */
static bool
driver_fits(struct host *host, const struct link *link, const char *pattern)
{
	auto_free char *path = xasprintf("/sys/class/net/%s/device/driver", link->name);
	auto_free char *driver = host_link_name(host, path);

	return fnmatch(pattern, driver ? driver : link->kind, 0) == 0;
}

static bool
fits(struct host *host, const struct link *link, const Gdr__LinkMatch *match)
{
	if (!match)
		return true;
	return (!match->name || fnmatch(match->name, link->name, 0) == 0) &&
	       (!match->driver || driver_fits(host, link, match->driver)) &&
	       (!match->has_rdma || (match->rdma != 0) == has_rdma(host, link));
}

static void
add_rule(struct wish *wish, const Gdr__LinkRule *rule)
{
	const Gdr__LinkRing *ring = rule->ring;

	wish->mtu = rule->has_mtu ? rule->mtu : wish->mtu;
	wish->txqueuelen = rule->has_txqueuelen ? rule->txqueuelen : wish->txqueuelen;
	wish->rx = ring && ring->has_rx ? ring->rx : wish->rx;
	wish->tx = ring && ring->has_tx ? ring->tx : wish->tx;
	wish->roce_mtu = rule->has_roce_mtu ? rule->roce_mtu : wish->roce_mtu;
	wish->up = rule->has_up ? rule->up != 0 : wish->up;
}

/* False: no rule is about it. */
static bool
wish_of(struct host *host, const Gdr__Spec *spec, const struct link *link, struct wish *out)
{
	bool any = false;

	*out = (struct wish){ 0 };
	for (size_t i = 0; spec->guest && i < spec->guest->n_link && !link->loopback; i++) {
		if (!fits(host, link, spec->guest->link[i]->match))
			continue;
		add_rule(out, spec->guest->link[i]);
		any = true;
	}
	return any;
}

/* What there is to be, of what is wanted: the device has a limit, or (0) names none. */
static uint32_t
clamped(uint32_t want, uint32_t max)
{
	return max && want > max ? max : want;
}

/* --- items --------------------------------------------------------------------------------------------------- */

static bool
is_rounded(uint32_t want, uint32_t have)
{
	uint32_t power = 1;

	while (power < want && power < 1U << 31)
		power <<= 1;
	return have == power || (have > want && have - want < ALIGNED);
}

static void
report_number(const struct link *link, const char *what, uint32_t want, uint32_t max, uint32_t have, struct report *out)
{
	auto_free char *key = xasprintf("%s/%s", link->name, what);
	auto_free char *want_text = xasprintf("%u", clamped(want, max));
	auto_free char *have_text = xasprintf("%u", have);
	enum fix fix = have == clamped(want, max) ? FIX_NONE : FIX_LIVE;

	bool less = clamped(want, max) < want;

	if (less)
		report_add(out, key, want_text, have_text, fix, "clamped: %u is wanted, the device can do %u at most",
			   want, max);
	else
		report_add(out, key, want_text, have_text, fix, NULL);
	out->items[out->n - 1].clamped = less;
}

static void
report_ring(struct host *host, const struct link *link, const char *what, uint32_t want, uint32_t max, uint32_t have,
	    struct report *out)
{
	auto_free char *key = xasprintf("%s/%s", link->name, what);
	auto_free char *want_text = xasprintf("%u", clamped(want, max));
	auto_free char *have_text = xasprintf("%u", have);
	bool right = have == clamped(want, max);

	if (!link->has_ring || !max) {
		report_add(out, key, want_text, "none", FIX_NONE, "clamped: this driver has no ring that could be set");
		out->items[out->n - 1].clamped = true;
	} else if (!right && is_rounded(clamped(want, max), have)) {
		report_add(out, key, want_text, have_text, FIX_NONE, "the driver rounds %s to %s", want_text,
			   have_text);
	} else if (!right && netlink_rings_fixed(host, link->index)) {
		report_add(out, key, want_text, have_text, FIX_NONE, "clamped: this driver lets nobody set its rings");
		out->items[out->n - 1].clamped = true;
	} else {
		report_number(link, what, want, max, have, out);
	}
}

/* By the kernel's rule: the largest path MTU that fits into the interface's with what RoCE needs around it. */
static uint32_t
roce_mtu(uint32_t mtu)
{
	uint32_t path = ROCE_MAX;

	while (path > 256 && path + ROCE_HEADER > mtu)
		path /= 2;
	return path;
}

static void
report_roce(struct host *host, const struct link *link, uint32_t want, struct report *out)
{
	auto_free char *key = xasprintf("%s/roce_mtu", link->name);
	auto_free char *want_text = xasprintf("%u", want);
	auto_free char *have_text = xasprintf("%u", roce_mtu(link->mtu));

	if (!has_rdma(host, link))
		report_add(out, key, want_text, "none", FIX_MANUAL,
			   "it has no RDMA device: is its driver's RDMA part "
			   "(mlx5_ib) loaded?");
	else if (roce_mtu(link->mtu) >= want)
		report_add(out, key, want_text, have_text, FIX_NONE, NULL);
	else
		report_add(
			out, key, want_text, have_text, FIX_MANUAL,
			"the interface's MTU is %u, and RDMA needs %u for it: here, on the host's port and on the switch",
			link->mtu, want + ROCE_HEADER);
}

/* --- files for later boots ----------------------------------------------------------------------------------- */

static char *
file_of(const char *name)
{
	return xasprintf(FOLDER "/10-gdrfleet-%s.link", name);
}

/* A VF has a new address each time that its host makes it, and its place on the bus stays. */
static void
add_match(struct host *host, const struct link *link, struct buf *out)
{
	auto_free char *path = xasprintf("/sys/class/net/%s/device", link->name);
	auto_free char *device = host_link_name(host, path);

	if (device && fnmatch("[0-9a-f]*:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]", device, 0) == 0)
		buf_printf(out, "Path=pci-%s*\n", device);
	else
		buf_printf(out, "MACAddress=%s\n", link->mac);
}

/* The first file that fits an interface is the only one that counts: what 99-default.link says is said here too. */
static char *
wanted_file(struct host *host, const struct link *link, const struct wish *wish)
{
	struct buf out = { 0 };

	buf_printf(&out,
		   "# 10-gdrfleet-%s.link - written by gdr-guest from the node's profile; a change here is undone.\n"
		   "[Match]\n",
		   link->name);
	add_match(host, link, &out);
	buf_puts(&out, "\n[Link]\n"
		       "NamePolicy=keep kernel database onboard slot path\n"
		       "AlternativeNamesPolicy=database onboard slot path\n"
		       "MACAddressPolicy=persistent\n");
	if (wish->mtu)
		buf_printf(&out, "MTUBytes=%u\n", clamped(wish->mtu, link->max_mtu));
	if (wish->txqueuelen)
		buf_printf(&out, "TransmitQueueLength=%u\n", wish->txqueuelen);
	if (wish->rx && link->rx_max)
		buf_printf(&out, "RxBufferSize=%u\n", clamped(wish->rx, link->rx_max));
	if (wish->tx && link->tx_max)
		buf_printf(&out, "TxBufferSize=%u\n", clamped(wish->tx, link->tx_max));
	return buf_steal(&out);
}

static void
report_file(struct host *host, const char *name, const char *want, struct report *out)
{
	auto_free char *key = xasprintf("%s" FILE_KEY, name);
	auto_free char *path = file_of(name);
	auto_free char *have = NULL;
	struct err ignored = { 0 };

	(void)host_read(host, path, &have, NULL, &ignored);
	bool right = want && have ? strcmp(want, have) == 0 : !want && !have;
	report_add(out, key, want ? path : ABSENT,
		   !have            ? ABSENT
		   : want && !right ? "differs"
				    : path,
		   right ? FIX_NONE : FIX_LIVE, NULL);
	out->items[out->n - 1].keep = want ? KEEP_RESTORE : KEEP_BACK;
}

static bool
is_reported(const struct report *report, const char *key)
{
	for (size_t i = 0; i < report->n; i++)
		if (strcmp(report->items[i].key, key) == 0)
			return true;
	return false;
}

/* Those that we wrote for interfaces that no rule is about any more. */
static void
report_old_files(const struct machine *machine, struct report *out)
{
	const Gdr__Journal__Kept *kept;

	for (size_t i = 0; machine->journal && (kept = journal_kept(machine->journal, NAME, i)); i++) {
		size_t len = strlen(kept->key);
		size_t name = len > strlen(FILE_KEY) ? len - strlen(FILE_KEY) : 0;
		auto_free char *interface = xasprintf("%.*s", (int)name, kept->key);

		if (name && strcmp(kept->key + name, FILE_KEY) == 0 && !is_reported(out, kept->key))
			report_file(machine->host, interface, NULL, out);
	}
}

/* --- the layer ----------------------------------------------------------------------------------------------- */

static bool
link_wanted(const Gdr__Spec *spec)
{
	return spec->guest && spec->guest->n_link > 0;
}

static void
report_link(struct host *host, const struct link *link, const struct wish *wish, struct report *out)
{
	auto_free char *file = wanted_file(host, link, wish);
	auto_free char *up = xasprintf("%s/up", link->name);

	if (wish->rx)
		report_ring(host, link, "ring.rx", wish->rx, link->rx_max, link->rx, out);
	if (wish->tx)
		report_ring(host, link, "ring.tx", wish->tx, link->tx_max, link->tx, out);
	if (wish->mtu)
		report_number(link, "mtu", wish->mtu, link->max_mtu, link->mtu, out);
	if (wish->txqueuelen)
		report_number(link, "txqueuelen", wish->txqueuelen, 0, link->txqueuelen, out);
	if (wish->up)
		report_add(out, up, "up", link->up ? "up" : "down", link->up ? FIX_NONE : FIX_LIVE, NULL);
	if (wish->roce_mtu)
		report_roce(host, link, wish->roce_mtu, out);
	report_file(host, link->name, file, out);
}

/* A profile for machines that have such interfaces is no use on one that has none. */
static void
report_none(const Gdr__Spec *spec, struct report *out)
{
	if (out->n == 0 && link_wanted(spec))
		report_add(out, "interfaces", "some that a rule fits", "none", FIX_MANUAL,
			   "no interface fits any rule: is the driver loaded, and are the VFs in the VM?");
}

static int
link_inspect(const struct machine *machine, const Gdr__Spec *spec, struct report *out, struct err *err)
{
	auto_free struct link *links = NULL;
	size_t n = 0;
	int rc = link_wanted(spec) ? netlink_links(machine->host, &links, &n, err) : 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct wish wish;

		if (wish_of(machine->host, spec, &links[i], &wish))
			report_link(machine->host, &links[i], &wish, out);
	}
	if (rc == 0) {
		report_none(spec, out);
		report_old_files(machine, out);
	}
	return rc;
}

static const struct link *
find(const struct link *links, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0)
			return &links[i];
	return NULL;
}

static int
apply_file(const struct machine *machine, const Gdr__Spec *spec, const char *name, const struct link *link,
	   struct err *err)
{
	auto_free char *path = file_of(name);
	auto_free char *text = NULL;
	struct wish wish;

	if (link && wish_of(machine->host, spec, link, &wish))
		text = wanted_file(machine->host, link, &wish);
	return text ? host_replace(machine->host, path, text, 0644, err) : host_remove(machine->host, path, err);
}

static int
link_apply(const struct machine *machine, const Gdr__Spec *spec, const struct item *item, struct err *err)
{
	const char *slash = strrchr(item->key, '/');
	auto_free struct link *links = NULL;
	size_t n = 0;
	int rc = netlink_links(machine->host, &links, &n, err);

	if (rc < 0 || !slash)
		return rc;
	auto_free char *name = xasprintf("%.*s", (int)(slash - item->key), item->key);
	const struct link *link = find(links, n, name);
	uint32_t want = (uint32_t)strtoul(item->want, NULL, 10);
	if (strcmp(slash, FILE_KEY) == 0)
		return apply_file(machine, spec, name, link, err);
	if (!link)
		return err_set(err, -ENODEV, "it went away");
	if (strcmp(slash, "/ring.rx") == 0)
		return netlink_set_ring(machine->host, link->index, true, want, err);
	if (strcmp(slash, "/ring.tx") == 0)
		return netlink_set_ring(machine->host, link->index, false, want, err);
	if (strcmp(slash, "/mtu") == 0)
		return netlink_set_mtu(machine->host, link->index, want, err);
	if (strcmp(slash, "/txqueuelen") == 0)
		return netlink_set_txqueuelen(machine->host, link->index, want, err);
	return netlink_set_up(machine->host, link->index, err);
}

const struct layer layer_link = {
	.wanted = link_wanted,
	.inspect = link_inspect,
	.apply = link_apply,
};
