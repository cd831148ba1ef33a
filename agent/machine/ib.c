#include "agent/machine/ib.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/machine/host.h"
#include "common/err.h"
#include "common/mem.h"

#define CLASS    "/sys/class/infiniband"
#define GIDS_MAX 256 /* Slots of an mlx5 port. */

/* --- values -------------------------------------------------------------------------------------------------- */

void
ib_parse_state(const char *text, char out[32])
{
	const char *colon = strchr(text, ':');
	const char *word = colon ? colon + 1 : text;

	(void)snprintf(out, 32, "%.31s", word + strspn(word, " "));
}

unsigned
ib_parse_rate(const char *text)
{
	unsigned long value = strtoul(text, NULL, 10);

	return value < 100000 && strstr(text, "Gb/sec") ? (unsigned)value : 0;
}

bool
ib_parse_gid(const char *text, struct ib_gid *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t zero[16] = { 0 };
	uint8_t bytes[16];

	if (strlen(text) >= sizeof(out->text) || inet_pton(AF_INET6, text, bytes) != 1 ||
	    memcmp(bytes, zero, sizeof(zero)) == 0)
		return false;
	(void)snprintf(out->text, sizeof(out->text), "%s", text);
	out->link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
		(void)inet_ntop(AF_INET, bytes + 12, out->ipv4, sizeof(out->ipv4));
	return true;
}

/* --- sysfs ------------------------------------------------------------------------------------------------------ */

static char *
line_of(struct host *host, const char *folder, const char *file)
{
	auto_free char *path = xasprintf("%s/%s", folder, file);
	char *text = NULL;
	struct err ignored;

	(void)host_read_line(host, path, &text, &ignored);
	return text;
}

/* An empty slot's type cannot be read (EINVAL), and its GID is all zero. */
static void
read_gid(struct host *host, const char *folder, unsigned index, struct ib_port *port)
{
	auto_free char *gid_file = xasprintf("gids/%u", index);
	auto_free char *type_file = xasprintf("gid_attrs/types/%u", index);
	auto_free char *netdev_file = xasprintf("gid_attrs/ndevs/%u", index);
	auto_free char *text = line_of(host, folder, gid_file);
	auto_free char *type = line_of(host, folder, type_file);
	auto_free char *netdev = line_of(host, folder, netdev_file);
	struct ib_gid gid = { .index = index };

	if (!text || !type || !ib_parse_gid(text, &gid))
		return;
	gid.v2 = strcmp(type, "RoCE v2") == 0;
	(void)snprintf(gid.netdev, sizeof(gid.netdev), "%s", netdev ? netdev : "");
	port->gids = xrealloc(port->gids, port->n_gids + 1, sizeof(*port->gids));
	port->gids[port->n_gids++] = gid;
}

static void
read_gids(struct host *host, const char *folder, struct ib_port *port)
{
	auto_free char *pattern = xasprintf("%s/gids/*", folder);
	auto_strv char **paths = host_glob(host, pattern);

	for (size_t i = 0; paths[i] && i < GIDS_MAX; i++)
		read_gid(host, folder, (unsigned)strtoul(strrchr(paths[i], '/') + 1, NULL, 10), port);
}

static void
copy(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text ? text : "");
}

/* Of several interfaces of one device (representors) the one that the port's GIDs are of. */
static const char *
netdev_of(const struct ib_port *port, char *const *netdevs)
{
	for (size_t i = 0; i < port->n_gids; i++)
		for (char *const *netdev = netdevs; *netdev; netdev++)
			if (strcmp(strrchr(*netdev, '/') + 1, port->gids[i].netdev) == 0)
				return port->gids[i].netdev;
	return netdevs[0] ? strrchr(netdevs[0], '/') + 1 : NULL;
}

static void
read_port(struct host *host, const char *device, const char *folder, struct ib_ports *out)
{
	auto_free char *link = xasprintf("%s/device", device);
	auto_free char *net = xasprintf("%s/device/net/*", device);
	auto_free char *address = host_link_name(host, link);
	auto_strv char **netdevs = host_glob(host, net);
	auto_free char *layer = line_of(host, folder, "link_layer");
	auto_free char *state = line_of(host, folder, "state");
	auto_free char *phys = line_of(host, folder, "phys_state");
	auto_free char *rate = line_of(host, folder, "rate");
	auto_free char *firmware = line_of(host, device, "fw_ver");

	out->v = xrealloc(out->v, out->n + 1, sizeof(*out->v));
	struct ib_port *port = &out->v[out->n++];
	*port = (struct ib_port){ .port = (unsigned)strtoul(strrchr(folder, '/') + 1, NULL, 10) };
	copy(port->name, sizeof(port->name), strrchr(device, '/') + 1);
	copy(port->address, sizeof(port->address), address);
	copy(port->firmware, sizeof(port->firmware), firmware);
	ib_parse_state(state ? state : "", port->state);
	ib_parse_state(phys ? phys : "", port->phys);
	port->ethernet = layer && strcmp(layer, "Ethernet") == 0;
	port->gbps = rate ? ib_parse_rate(rate) : 0;
	read_gids(host, folder, port);
	copy(port->netdev, sizeof(port->netdev), netdev_of(port, netdevs));
}

void
ib_read(struct host *host, struct ib_ports *out)
{
	auto_strv char **devices = host_glob(host, CLASS "/*");

	*out = (struct ib_ports){ 0 };
	for (char **device = devices; *device; device++) {
		auto_free char *pattern = xasprintf("%s/ports/*", *device);
		auto_strv char **ports = host_glob(host, pattern);

		for (char **port = ports; *port; port++)
			read_port(host, *device, *port, out);
	}
}

void
ib_free(struct ib_ports *ports)
{
	for (size_t i = 0; i < ports->n; i++)
		free(ports->v[i].gids);
	free(ports->v);
	*ports = (struct ib_ports){ 0 };
}

/* --- questions --------------------------------------------------------------------------------------------------- */

bool
ib_up(const struct ib_port *port)
{
	return strcmp(port->state, "ACTIVE") == 0 && strcmp(port->phys, "LinkUp") == 0;
}

static bool
in_network(const char *ipv4, const char *network)
{
	char base[16];
	unsigned bits = 32;
	struct in_addr a;
	struct in_addr b;

	/* NOLINTNEXTLINE(cert-err34-c): the widths bound what is converted. */
	if (sscanf(network, "%15[0-9.]/%2u", base, &bits) < 1 || bits > 32 || inet_pton(AF_INET, base, &a) != 1 ||
	    inet_pton(AF_INET, ipv4, &b) != 1)
		return false;
	uint32_t mask = bits ? UINT32_MAX << (32 - bits) : 0;
	return ((ntohl(a.s_addr) ^ ntohl(b.s_addr)) & mask) == 0;
}

const struct ib_gid *
ib_gid(const struct ib_port *port, const char *network)
{
	for (size_t i = 0; i < port->n_gids; i++) {
		const struct ib_gid *gid = &port->gids[i];
		bool own = !*gid->netdev || !*port->netdev || strcmp(gid->netdev, port->netdev) == 0;

		if (gid->v2 && *gid->ipv4 && own && (!network || in_network(gid->ipv4, network)))
			return gid;
	}
	return NULL;
}

bool
ib_counter(struct host *host, const struct ib_port *port, const char *name, unsigned long long *out)
{
	static const char *const folders[] = { "counters", "hw_counters" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		auto_free char *path = xasprintf(CLASS "/%s/ports/%u/%s/%s", port->name, port->port, folders[i], name);
		uint64_t value;
		struct err ignored;

		if (host_exists(host, path) && host_read_u64(host, path, &value, &ignored) == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}
