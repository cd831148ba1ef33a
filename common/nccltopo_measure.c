#include "common/nccltopo.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What a node of the tree is to NCCL (src/graph/topo.cc), and how far two of them are apart (paths.cc). */

enum nccltopo_role
nccltopo_role(const struct nccltopo_node *node)
{
	/* In NCCL's order: by the beginning of the text. */
	static const struct {
		const char *class;
		enum nccltopo_role role;
	} classes[] = {
		{ "0x060400", NCCLTOPO_BRIDGE },
		{ "0x068000", NCCLTOPO_NVSWITCH },
		{ "0x03", NCCLTOPO_GPU },
		{ "0x02", NCCLTOPO_NIC },
	};

	if (strcmp(node->name, "pci") != 0)
		return NCCLTOPO_OTHER;
	if (nccltopo_child(node, "nic"))
		return NCCLTOPO_NIC;
	if (nccltopo_child(node, "gpu"))
		return NCCLTOPO_GPU;
	const char *class = nccltopo_get(node, "class");
	if (!class)
		return nccltopo_child(node, "pci") ? NCCLTOPO_BRIDGE : NCCLTOPO_OTHER;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(class, classes[i].class, strlen(classes[i].class)) == 0)
			return classes[i].role;
	return NCCLTOPO_BRIDGE;
}

bool
nccltopo_virtual(const struct nccltopo_node *pci)
{
	const char *busid = nccltopo_get(pci, "busid");

	return busid && strncmp(busid, "ffff:", 5) == 0;
}

double
nccltopo_bandwidth(const struct nccltopo_node *pci, bool *known)
{
	/* By the beginning of the text, in units of 100 Mb/s a lane: "16.0 GT/s" without its " PCIe" is not there. */
	static const struct {
		const char *text;
		int speed;
	} speeds[] = {
		{ "2.5 GT/s", 15 },        { "5 GT/s", 30 },          { "8 GT/s", 60 },
		{ "16 GT/s", 120 },        { "32 GT/s", 240 },        { "5.0 GT/s PCIe", 30 },
		{ "8.0 GT/s PCIe", 60 },   { "16.0 GT/s PCIe", 120 }, { "32.0 GT/s PCIe", 240 },
		{ "64.0 GT/s PCIe", 480 },
	};
	const char *text = nccltopo_get(pci, "link_speed");
	const char *width = nccltopo_get(pci, "link_width");
	long lanes = width ? strtol(width, NULL, 0) : 0;
	int speed = 60;
	bool found = false;

	for (size_t i = 0; text && !found && i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (strncmp(text, speeds[i].text, strlen(speeds[i].text)) == 0) {
			speed = speeds[i].speed;
			found = true;
		}
	if (known)
		*known = found;
	return (double)(lanes == 0 ? 16 : lanes) * speed / 80;
}

bool
nccltopo_version(const char *text, unsigned *out)
{
	unsigned part[3] = { 0 };
	size_t n = 0;

	for (const char *at = text;; at++) {
		char *end;
		unsigned long value = strtoul(at, &end, 10);

		if (!isdigit((unsigned char)*at) || value > 99)
			return false;
		part[n++] = (unsigned)value;
		at = end;
		if (!*at)
			break;
		if (*at != '.' || n == 3)
			return false;
	}
	*out = NCCLTOPO_VERSION(part[0], part[1], part[2]);
	return n >= 2;
}

/* --- distance ------------------------------------------------------------------------------------------ */

const char *
nccltopo_distance_name(enum nccltopo_distance distance)
{
	static const char *const names[] = { [NCCLTOPO_LOC] = "LOC",
					     [NCCLTOPO_PIX] = "PIX",
					     [NCCLTOPO_PXB] = "PXB",
					     [NCCLTOPO_PHB] = "PHB",
					     [NCCLTOPO_SYS] = "SYS" };

	return names[distance];
}

static bool
is_above(const struct nccltopo_node *node, const struct nccltopo_node *below)
{
	while (below && below != node)
		below = below->parent;
	return below != NULL;
}

static unsigned long
id_of(const struct nccltopo_node *pci, const char *attr)
{
	const char *text = nccltopo_get(pci, attr);

	return text ? strtoul(text, NULL, 0) : 0;
}

/* Broadcom's switches show a second level that is none.  NCCL knows them by their ids, generation 4 and 5, and takes
 * such a bridge below another for one with it. */
static bool
is_one_switch(const struct nccltopo_node *upper, const struct nccltopo_node *lower)
{
	unsigned long device = id_of(upper, "device");
	unsigned long sub_upper = id_of(upper, "subsystem_device") & 0xf000;
	unsigned long sub_lower = id_of(lower, "subsystem_device") & 0xf000;

	for (int i = 0; i < 2; i++) {
		const struct nccltopo_node *pci = i == 0 ? upper : lower;

		if (id_of(pci, "vendor") != 0x1000 || id_of(pci, "subsystem_vendor") != 0x1000 ||
		    id_of(pci, "device") != device)
			return false;
	}
	return (device == 0xc010 && sub_upper == 0xa000 && sub_lower == 0xa000) ||
	       (device == 0xc030 && sub_upper == 0 && sub_lower == 0x1000);
}

/* Bridges from 'node' up to where 'above' is the parent. */
static size_t
hops(const struct nccltopo_node *node, const struct nccltopo_node *above)
{
	size_t n = 0;

	for (; node->parent != above; node = node->parent)
		n += strcmp(node->parent->name, "pci") == 0 && !is_one_switch(node->parent->parent, node->parent);
	return n;
}

enum nccltopo_distance
nccltopo_distance(const struct nccltopo_node *a, const struct nccltopo_node *b)
{
	const struct nccltopo_node *common = a->parent;

	if (a == b)
		return NCCLTOPO_LOC;
	while (common && !is_above(common, b))
		common = common->parent;
	if (!common || strcmp(common->name, "pci") != 0)
		return common && strcmp(common->name, "cpu") == 0 ? NCCLTOPO_PHB : NCCLTOPO_SYS;
	return common == b || hops(a, common) + hops(b, common) == 0 ? NCCLTOPO_PIX : NCCLTOPO_PXB;
}

static bool
is_address(const char *text, size_t len)
{
	static const char form[] = "hhhh:hh:hh.h";

	if (len != strlen(form))
		return false;
	for (size_t i = 0; i < len; i++)
		if (form[i] == 'h' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

/* 'len' of the path one component up, which must be a PCI address; else 0. */
static size_t
parent_address(const char *path, size_t len)
{
	size_t name;

	while (len > 0 && path[len - 1] != '/')
		len--;
	if (len == 0)
		return 0;
	for (name = --len; name > 0 && path[name - 1] != '/'; name--)
		;
	return is_address(path + name, len - name) ? len : 0;
}

/* The bridge that NCCL takes for the parent of the path's first 'len' characters: two up, over a port of which it
 * knows nothing.  0: that is the CPU. */
static size_t
climb(const char *path, size_t len)
{
	len = parent_address(path, len);
	return len > 0 ? parent_address(path, len) : 0;
}

enum nccltopo_distance
nccltopo_climb(const char *path_a, int numa_a, const char *path_b, int numa_b)
{
	bool direct_a = true;

	if (strcmp(path_a, path_b) == 0)
		return NCCLTOPO_LOC;
	for (size_t a = climb(path_a, strlen(path_a)); a > 0; a = climb(path_a, a)) {
		bool direct_b = true;

		for (size_t b = climb(path_b, strlen(path_b)); b > 0; b = climb(path_b, b)) {
			if (a == b && memcmp(path_a, path_b, a) == 0)
				return direct_a && direct_b ? NCCLTOPO_PIX : NCCLTOPO_PXB;
			direct_b = false;
		}
		direct_a = false;
	}
	return numa_a == numa_b ? NCCLTOPO_PHB : NCCLTOPO_SYS;
}
