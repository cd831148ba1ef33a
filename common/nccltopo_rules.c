#include "common/nccltopo_lint.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The rules, in three parts: what NCCL reads, what the machine is, what the file says of itself.  Where they come
 * from: NCCL's src/graph/xml.cc and topo.cc, and what went wrong with files that others published. */

#define IS(node, element) (strcmp((node)->name, element) == 0)

/* Attribute or "". */
static const char *
text_of(const struct nccltopo_node *node, const char *attr)
{
	const char *value = nccltopo_get(node, attr);

	return value ? value : "";
}

/* --- reading ------------------------------------------------------------------------------------------- */

/* W1, of the file as a whole: with a version known the parser has judged it. */
static void
check_quotes(struct nccltopo_judge *judge, const struct nccltopo_node *root)
{
	struct nccltopo_error error = { 0 };
	struct nccltopo_node *tree;
	struct nccltopo_node at = *root;

	if (judge->facts->nccl)
		return;
	tree = nccltopo_parse(judge->text, judge->len, NCCLTOPO_VERSION(2, 27, 2), &error);
	nccltopo_free(tree);
	if (tree)
		return;
	at.line = error.line;
	at.col = error.col;
	nccltopo_find(judge, &at, NULL, "%s", error.what);
}

static void
check_system(struct nccltopo_judge *judge, const struct nccltopo_node *root)
{
	size_t systems = 0;

	for (size_t i = 0; i < root->n_nodes; i++) {
		const struct nccltopo_node *node = root->nodes[i];
		const char *version = nccltopo_get(node, "version");

		if (node->ignored)
			continue;
		if (systems++ > 0)
			nccltopo_find(judge, node, NULL, "a second system element");
		if (!version)
			nccltopo_find(judge, node, NULL, "system without a version: NCCL ends with an error");
		else if (strtol(version, NULL, 0) != 1)
			nccltopo_find(judge, node, "version", "system of version '%s': NCCL knows 1 alone", version);
	}
	if (systems == 0)
		nccltopo_find(judge, root, NULL, "no system element: to NCCL the file says nothing");
}

static bool
has_form(const char *busid)
{
	static const char form[] = "hhhh:hh:hh.7";

	if (strlen(busid) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++) {
		const char *fit = form[i] == 'h' ? "0123456789abcdef" : form[i] == '7' ? "01234567" : NULL;

		if (fit ? !strchr(fit, busid[i]) : busid[i] != form[i])
			return false;
	}
	return true;
}

static void
check_busid(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const char *busid = nccltopo_get(pci, "busid");

	if (!busid) {
		nccltopo_find(judge, pci, NULL, "pci without a busid");
		return;
	}
	if (!has_form(busid))
		nccltopo_find(judge, pci, "busid", "busid '%s': NCCL compares with 'dddd:bb:dd.f' in lower case",
			      busid);
	if (nccltopo_find_pci(judge->root, busid) != pci)
		nccltopo_find(judge, pci, "busid", "busid %s stands a second time", busid);
}

static size_t
node_limit(const struct nccltopo_judge *judge)
{
	return judge->facts->nccl && judge->facts->nccl < NCCLTOPO_VERSION(2, 21, 0) ? 1024 : 256;
}

static void
check_count(struct nccltopo_judge *judge, const struct nccltopo_node *root)
{
	size_t n = 0;

	for (const struct nccltopo_node *node = nccltopo_next(root); node; node = nccltopo_next(node))
		if (++n == node_limit(judge))
			nccltopo_find(judge, node, NULL, "the %zuth element: NCCL gives up here", n);
}

/* A gpu, a nic and a net, where the file has none yet. */
static void
check_room(struct nccltopo_judge *judge, const struct nccltopo_node *root)
{
	size_t n = 0;
	size_t more = 0;

	for (const struct nccltopo_node *node = nccltopo_next(root); node; node = nccltopo_next(node)) {
		enum nccltopo_role role = nccltopo_role(node);

		n++;
		more += role == NCCLTOPO_GPU && !nccltopo_child(node, "gpu") ? 1 : 0;
		more += role == NCCLTOPO_NIC && !nccltopo_child(node, "nic") ? 2 : 0;
	}
	if (n < node_limit(judge) && n + more >= node_limit(judge))
		nccltopo_find(judge, root, NULL, "%zu elements, and NCCL adds %zu of its own: it keeps fewer than %zu",
			      n, more, node_limit(judge));
}

static void
check_ignored(struct nccltopo_judge *judge, const struct nccltopo_node *node)
{
	if (node->n_dropped > 0)
		nccltopo_find(judge, node, NULL, "%zu attribute%s too many", node->n_dropped,
			      node->n_dropped > 1 ? "s" : "");
	for (size_t i = 0; i < node->n_nodes; i++)
		if (node->nodes[i]->ignored)
			nccltopo_find(judge, node->nodes[i], NULL, "NCCL reads past a %s %s%s", node->nodes[i]->name,
				      node->parent ? "in a " : "here", node->name);
}

/* --- the machine ---------------------------------------------------------------------------------------- */

static const struct nccltopo_device *
find_device(const struct nccltopo_facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->n_devices; i++)
		if (strcasecmp(facts->devices[i].address, address) == 0)
			return &facts->devices[i];
	return NULL;
}

static void
check_exists(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const char *busid = nccltopo_get(pci, "busid");
	enum nccltopo_role role = nccltopo_role(pci);

	if (!busid || !judge->facts->devices || nccltopo_virtual(pci) || (role != NCCLTOPO_GPU && role != NCCLTOPO_NIC))
		return;
	const struct nccltopo_device *device = find_device(judge->facts, busid);
	if (!device)
		nccltopo_find(judge, pci, "busid", "there is no device %s", busid);
	else if (device->class >> 16 != (role == NCCLTOPO_GPU ? 0x03 : 0x02))
		nccltopo_find(judge, pci, "class", "%s is no %s: its class is 0x%06x", busid,
			      role == NCCLTOPO_GPU ? "GPU" : "network card", device->class);
}

/* In whatever case: E3 is about that. */
static bool
is_listed(const struct nccltopo_node *root, const char *address)
{
	for (const struct nccltopo_node *node = nccltopo_next(root); node; node = nccltopo_next(node))
		if (IS(node, "pci") && strcasecmp(text_of(node, "busid"), address) == 0)
			return true;
	return false;
}

/* A file may leave all of them to sysfs, but not some. */
static void
check_gpus(struct nccltopo_judge *judge, const struct nccltopo_node *root)
{
	bool any = false;

	for (const char *const *gpu = judge->facts->gpus; gpu && *gpu; gpu++)
		any = any || is_listed(root, *gpu);
	for (const char *const *gpu = judge->facts->gpus; any && *gpu; gpu++)
		if (!is_listed(root, *gpu))
			nccltopo_find(judge, root, NULL, "the GPU %s is not in the file", *gpu);
}

/* A list of the kernel's: "0-3,8". */
static bool
in_list(const char *list, unsigned long wanted)
{
	char *end;

	for (const char *at = list; *at; at = *end == ',' ? end + 1 : end) {
		unsigned long first = strtoul(at, &end, 10);
		unsigned long last = first;

		if (end == at)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (wanted >= first && wanted <= last)
			return true;
		if (*end && *end != ',')
			return false;
	}
	return false;
}

static void
check_numaid(struct nccltopo_judge *judge, const struct nccltopo_node *cpu)
{
	const char *id = nccltopo_get(cpu, "numaid");

	if (!id) {
		nccltopo_find(judge, cpu, NULL, "cpu without a numaid");
		return;
	}
	for (size_t i = 0; cpu->parent->nodes[i] != cpu; i++)
		if (IS(cpu->parent->nodes[i], "cpu") && strcmp(text_of(cpu->parent->nodes[i], "numaid"), id) == 0) {
			nccltopo_find(judge, cpu, "numaid", "numaid %s stands a second time: two CPUs to NCCL", id);
			break;
		}
	/* -1 is where NCCL looks for what has no node. */
	if (judge->facts->nodes && strcmp(id, "-1") != 0 &&
	    (strspn(id, "0123456789") != strlen(id) || !*id || !in_list(judge->facts->nodes, strtoul(id, NULL, 10))))
		nccltopo_find(judge, cpu, "numaid", "there is no NUMA node '%s' (there are %s)", id,
			      judge->facts->nodes);
}

static void
check_node(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const struct nccltopo_device *device = find_device(judge->facts, text_of(pci, "busid"));
	const struct nccltopo_node *cpu = pci;

	while (cpu->parent && !IS(cpu, "cpu"))
		cpu = cpu->parent;
	if (!device || !cpu->parent || device->numa_node == (int)strtol(text_of(cpu, "numaid"), NULL, 10))
		return;
	nccltopo_find(judge, pci, "busid", "%s is of NUMA node %d, the file says %s", device->address,
		      device->numa_node, text_of(cpu, "numaid"));
}

/* Of a net's name, which is "a+b" where NCCL has fused two: what the machine has of it. */
static const struct nccltopo_hca *
find_hca(const struct nccltopo_facts *facts, const char *name, size_t len)
{
	for (size_t i = 0; i < facts->n_hcas; i++)
		if (strlen(facts->hcas[i].name) == len && strncmp(facts->hcas[i].name, name, len) == 0)
			return &facts->hcas[i];
	return NULL;
}

static void
check_net(struct nccltopo_judge *judge, const struct nccltopo_node *net)
{
	const char *name = nccltopo_get(net, "name");
	const char *busid = nccltopo_get(net->parent->parent, "busid");
	const char *elsewhere = NULL;
	bool here = !busid;

	if (!name || !judge->facts->hcas)
		return;
	for (const char *at = name; at; at = strchr(at, '+') ? strchr(at, '+') + 1 : NULL) {
		const struct nccltopo_hca *hca = find_hca(judge->facts, at, strcspn(at, "+"));

		if (!hca) {
			nccltopo_find(judge, net, "name", "there is no RDMA device %.*s", (int)strcspn(at, "+"), at);
			return;
		}
		here = here || !hca->address[0] || strcasecmp(hca->address, busid) == 0;
		elsewhere = hca->address;
	}
	if (!here)
		nccltopo_find(judge, net, "name", "%s is at %s, the file has it at %s", name, elsewhere, busid);
}

static void
check_vf(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const struct nccltopo_device *device = find_device(judge->facts, text_of(pci, "busid"));
	const char *id = nccltopo_get(pci, "device");

	if (device && device->vf && id && strtoul(id, NULL, 16) != device->device)
		nccltopo_find(judge, pci, "device", "%s is a virtual function, of device 0x%04x", device->address,
			      device->device);
}

/* --- CPUs ------------------------------------------------------------------------------------------------ */

#define WORDS 32 /* CPU_SETSIZE is 1024 CPUs. */

struct mask {
	uint32_t words[WORDS]; /* The least significant first. */
};

/* False: not as NCCL reads one. */
static bool
read_mask(const char *text, struct mask *out)
{
	*out = (struct mask){ 0 };
	for (;;) {
		size_t digits = strspn(text, "0123456789abcdefABCDEF");

		if (digits == 0 || digits > 8 || out->words[WORDS - 1])
			return false;
		memmove(out->words + 1, out->words, (WORDS - 1) * sizeof(*out->words));
		out->words[0] = (uint32_t)strtoul(text, NULL, 16);
		text += digits;
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
	}
}

static bool
has_cpu(const struct mask *mask, unsigned cpu)
{
	return mask->words[cpu / 32] >> cpu % 32 & 1;
}

/* -1: none. */
static int
first_common(const struct mask *a, const struct mask *b)
{
	for (unsigned cpu = 0; cpu < WORDS * 32; cpu++)
		if (has_cpu(a, cpu) && has_cpu(b, cpu))
			return (int)cpu;
	return -1;
}

static void
check_overlap(struct nccltopo_judge *judge, const struct nccltopo_node *cpu, const struct mask *mask)
{
	for (size_t i = 0; cpu->parent->nodes[i] != cpu; i++) {
		const struct nccltopo_node *other = cpu->parent->nodes[i];
		struct mask its;

		if (other->ignored || !read_mask(text_of(other, "affinity"), &its) || first_common(mask, &its) < 0)
			continue;
		nccltopo_find(judge, cpu, "affinity", "CPU %d is also of the cpu with numaid %s",
			      first_common(mask, &its), text_of(other, "numaid"));
		return;
	}
}

static void
check_affinity(struct nccltopo_judge *judge, const struct nccltopo_node *cpu)
{
	const char *affinity = nccltopo_get(cpu, "affinity");
	struct mask mask;
	bool any = false;

	if (!affinity)
		return;
	if (!read_mask(affinity, &mask)) {
		nccltopo_find(judge, cpu, "affinity", "affinity '%s' is no list of 32-bit words in hex", affinity);
		return;
	}
	for (unsigned i = 0; i < WORDS * 32; i++) {
		any = any || has_cpu(&mask, i);
		if (has_cpu(&mask, i) && judge->facts->online && !in_list(judge->facts->online, i)) {
			nccltopo_find(judge, cpu, "affinity", "there is no CPU %u (there are %s)", i,
				      judge->facts->online);
			break;
		}
	}
	if (!any)
		nccltopo_find(judge, cpu, "affinity", "the affinity is empty");
	check_overlap(judge, cpu, &mask);
}

/* All CPUs of the machine belong to some cpu, if each says which are its own. */
static void
check_union(struct nccltopo_judge *judge, const struct nccltopo_node *system)
{
	struct mask all = { 0 };

	for (size_t i = 0; i < system->n_nodes; i++) {
		struct mask mask;

		if (system->nodes[i]->ignored)
			continue;
		if (!read_mask(text_of(system->nodes[i], "affinity"), &mask))
			return;
		for (size_t w = 0; w < WORDS; w++)
			all.words[w] |= mask.words[w];
	}
	for (unsigned cpu = 0; judge->facts->online && system->n_nodes > 0 && cpu < WORDS * 32; cpu++)
		if (in_list(judge->facts->online, cpu) && !has_cpu(&all, cpu)) {
			nccltopo_find(judge, system, NULL, "CPU %u is in no affinity (there are %s)", cpu,
				      judge->facts->online);
			return;
		}
}

/* --- bridges and what is behind them ------------------------------------------------------------------- */

static bool
is_below(const struct nccltopo_node *node, const struct nccltopo_node *above)
{
	while (node && node != above)
		node = node->parent;
	return node != NULL;
}

/* The next node below 'above' after 'node' of that role. */
static const struct nccltopo_node *
next_below(const struct nccltopo_node *above, const struct nccltopo_node *node, enum nccltopo_role role)
{
	do
		node = nccltopo_next(node);
	while (node && is_below(node, above) && nccltopo_role(node) != role);
	return node && is_below(node, above) ? node : NULL;
}

static void
check_bridge(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	static const char *const needed[] = { "class", "link_speed", "link_width" };

	if (!nccltopo_virtual(pci))
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!nccltopo_get(pci, needed[i]))
			nccltopo_find(judge, pci, "busid", "%s is in no sysfs and has no %s", text_of(pci, "busid"),
				      needed[i]);
}

static void
check_speed(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const char *speed = nccltopo_get(pci, "link_speed");
	bool known;

	(void)nccltopo_bandwidth(pci, &known);
	if (speed && !known)
		nccltopo_find(judge, pci, "link_speed", "link_speed '%s' is not known to NCCL, which takes 8 GT/s",
			      speed);
}

/* Of a NIC in GB/s, as far as its own link carries it; 0: not known. */
static double
line_rate(const struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const struct nccltopo_node *nic = nccltopo_child(pci, "nic");
	double mbps = 0;
	bool known;
	double link = nccltopo_bandwidth(pci, &known);

	for (size_t i = 0; nic && i < nic->n_nodes; i++)
		mbps += (double)strtol(text_of(nic->nodes[i], "speed"), NULL, 0);
	for (size_t i = 0; mbps == 0 && i < judge->facts->n_hcas; i++)
		if (strcasecmp(judge->facts->hcas[i].address, text_of(pci, "busid")) == 0)
			mbps = judge->facts->hcas[i].mbps;
	return known && mbps / 8000 > link ? link : mbps / 8000;
}

/* What is behind a bridge, in GB/s. */
struct load {
	double nics;   /* The line rates of all NICs together. */
	double nic;    /* Of the fastest. */
	double device; /* The widest link of one device. */
};

static struct load
load_of(const struct nccltopo_judge *judge, const struct nccltopo_node *bridge)
{
	struct load load = { 0 };

	for (const struct nccltopo_node *node = nccltopo_next(bridge); node && is_below(node, bridge);
	     node = nccltopo_next(node)) {
		enum nccltopo_role role = nccltopo_role(node);
		double rate = role == NCCLTOPO_NIC ? line_rate(judge, node) : 0;
		bool known;
		double link = nccltopo_bandwidth(node, &known);

		load.nics += rate;
		if (rate > load.nic)
			load.nic = rate;
		if ((role == NCCLTOPO_NIC || role == NCCLTOPO_GPU) && known && link > load.device)
			load.device = link;
	}
	return load;
}

/* An author's mistake, where the bridge is the author's invention; else W10 says it. */
static bool
is_bottleneck(const struct nccltopo_node *bridge, const struct load *load)
{
	return nccltopo_virtual(bridge) && nccltopo_bandwidth(bridge, NULL) < load->nic;
}

static void
check_bottleneck(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	if (nccltopo_role(pci) != NCCLTOPO_BRIDGE || !nccltopo_get(pci, "link_speed"))
		return;
	const struct load load = load_of(judge, pci);
	if (is_bottleneck(pci, &load))
		nccltopo_find(judge, pci, "link_speed", "%s x%s is %.4g GB/s to NCCL, for a NIC of %.4g GB/s",
			      text_of(pci, "link_speed"), text_of(pci, "link_width"), nccltopo_bandwidth(pci, NULL),
			      load.nic);
}

/* Two ports of a card share its slot: a tenth is within what people build. */
static void
check_narrow(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	double bandwidth = nccltopo_bandwidth(pci, NULL);

	if (nccltopo_role(pci) != NCCLTOPO_BRIDGE || !nccltopo_get(pci, "link_speed"))
		return;
	const struct load load = load_of(judge, pci);
	if (is_bottleneck(pci, &load))
		return;
	if (bandwidth < 0.9 * load.nics)
		nccltopo_find(judge, pci, "link_speed", "%.4g GB/s to NCCL, for NICs of %.4g GB/s together", bandwidth,
			      load.nics);
	else if (bandwidth < load.device)
		nccltopo_find(judge, pci, "link_speed", "%.4g GB/s to NCCL, for a device with a link of %.4g GB/s",
			      bandwidth, load.device);
}

/* Where the file names NICs at all, and the GPU shares its bridge with none. */
static void
check_lonely(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	if (nccltopo_role(pci) == NCCLTOPO_GPU && IS(pci->parent, "pci") &&
	    next_below(judge->root, judge->root, NCCLTOPO_NIC) && !next_below(pci->parent, pci->parent, NCCLTOPO_NIC))
		nccltopo_find(judge, pci, "busid", "the GPU %s shares its bridge with no NIC", text_of(pci, "busid"));
}

/* NCCL zeroes the slot and function of a Mellanox NIC's path and looks for that. */
static void
check_merged(struct nccltopo_judge *judge, const struct nccltopo_node *pci)
{
	const char *busid = text_of(pci, "busid");
	const char *vendor = nccltopo_get(pci, "vendor");
	const struct nccltopo_node *nic = nccltopo_child(pci, "nic");
	const struct nccltopo_node *net = nic ? nccltopo_child(nic, "net") : NULL;

	if (judge->facts->merge_vfs_off || nccltopo_role(pci) != NCCLTOPO_NIC || !has_form(busid) ||
	    strcmp(busid + strlen("dddd:bb:"), "00.0") == 0 || (vendor && strcmp(vendor, "0x15b3") != 0) ||
	    (net && nccltopo_get(net, "name")))
		return;
	nccltopo_find(judge, pci, "busid", "a NIC at %s without a named net: NCCL looks for it at %.8s00.0", busid,
		      busid);
}

static void
check_dump(struct nccltopo_judge *judge, const struct nccltopo_node *node)
{
	static const struct {
		const char *element;
		const char *attr;
	} filled[] = { { "cpu", "host_hash" }, { "gpu", "rank" }, { "gpu", "dev" } };

	for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++)
		if (IS(node, filled[i].element) && nccltopo_get(node, filled[i].attr))
			nccltopo_find(judge, node, filled[i].attr, "%s %s is for NCCL to fill in", filled[i].element,
				      filled[i].attr);
}

/* --- the table ------------------------------------------------------------------------------------------ */

#define E NCCLTOPO_ERROR
#define W NCCLTOPO_WARNING

const struct nccltopo_rule nccltopo_rules[] = {
	{ "E1", E, "", NULL, "NCCL's parser takes the file",
	  "write an element a line, one blank between attributes, double quotes, and no prolog" },
	{ "W1", W, "", check_quotes, "NCCL's parser of every version takes the file", "write double quotes" },
	{ "E2", E, "", check_system, "one system element of version 1", "write <system version=\"1\"> around all" },
	{ "E3", E, "pci", check_busid, "each pci has a busid as the driver writes it, and each its own",
	  "write it in lower case, as in /sys/bus/pci/devices; a virtual bridge is ffff:ff:NN.0" },
	{ "E4", E, "pci", check_exists, "each GPU and NIC is there", "write the file anew for this machine" },
	{ "E5", E, "", check_gpus, "each GPU that the driver has is in the file, or none is",
	  "write the file anew for this machine" },
	{ "E6", E, "pci", check_bridge, "a virtual bridge says what it is and how fast",
	  "write class=\"0x060400\" and the link of the slot that it stands for" },
	{ "E7", E, "cpu", check_affinity, "an affinity is a mask of this machine's CPUs, of no other cpu's",
	  "write all 32-bit words in hex, the most significant first, as in the node's cpumap; or leave it out" },
	{ "W7", W, "system", check_union, "each CPU belongs to some affinity",
	  "a process there is bound to none of them; write every node's cpumap" },
	{ "E8", E, "cpu", check_numaid, "each cpu is a NUMA node of this machine, and each another",
	  "write the number of the node, as in /sys/devices/system/node" },
	{ "W8", W, "pci", check_node, "each device is below its own NUMA node",
	  "move it, or mend the VM's definition: its expander bridge names the node" },
	{ "E9", E, "pci", check_speed, "NCCL knows each link_speed",
	  "write \"16 GT/s\" or \"32.0 GT/s PCIe\", or leave the attribute out where the device exists" },
	{ "E10", E, "pci", check_bottleneck, "a virtual bridge is no bottleneck",
	  "write the link of the real slot: \"16 GT/s\" or \"32.0 GT/s PCIe\", x16" },
	{ "W10", W, "pci", check_narrow, "a bridge carries what is behind it",
	  "write the uplink of the real switch, if that is wider" },
	{ "E11", E, "net", check_net, "each named net is there, at that address",
	  "write the names of /sys/class/infiniband, each below its own pci" },
	{ "W12", W, "pci", check_lonely, "each GPU shares a bridge with a NIC",
	  "its traffic takes another GPU's NIC, over NVLink at best" },
	{ "W13", W, "pci", check_vf, "the ids of a virtual function are its own", "write its own, or leave them out" },
	{ "E14", E, "", check_count, "NCCL has room for the file",
	  "leave out what sysfs has right: attributes cost nothing, elements do" },
	{ "W14", W, "", check_room, "NCCL has room for what it adds", "leave out what sysfs has right" },
	{ "W15", W, "pci", check_merged, "a NIC is found where it is",
	  "name its net: <nic><net name=\"mlx5_0\"/></nic>, or set NCCL_IB_MERGE_VFS=0" },
	{ "W16", W, NULL, check_dump, "what NCCL fills in is left to it",
	  "leave it out: a dump (NCCL_TOPO_DUMP_FILE) is of one run" },
	{ "W17", W, NULL, check_ignored, "NCCL reads all of it", "leave it out, or put it where NCCL looks for it" },
};
const size_t nccltopo_rules_len = sizeof(nccltopo_rules) / sizeof(nccltopo_rules[0]);
