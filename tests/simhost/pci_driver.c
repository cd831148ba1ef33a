/* pci_driver.c - drivers bind and unbind, and what they bring: network and RDMA devices. */

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/simhost/nic_state.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/tree.h"

/* "sys/devices/..." of an address; the caller frees; NULL: no such device. */
static char *
path_of(const struct tree *tree, const char *address)
{
	auto_free char *link = xasprintf("sys/bus/pci/devices/%s", address);

	return tree_target(tree, link);
}

/* --- network ----------------------------------------------------------------------------------- */

static char *
net_name(const char *address, bool is_vf)
{
	unsigned bus = 0;
	unsigned slot = 0;
	unsigned fn = 0;

	/* NOLINTNEXTLINE(cert-err34-c): an address of our own. */
	(void)sscanf(address, "%*x:%x:%x.%x", &bus, &slot, &fn);
	if (bus == 3)
		return xasprintf("eno%u", fn + 1);
	return is_vf ? xasprintf("enp%us%uf%u", bus, slot, fn) : xasprintf("enp%us%uf%unp%u", bus, slot, fn, fn);
}

static void
add_net(struct tree *tree, const char *path, const char *address)
{
	auto_free char *physfn = xasprintf("%s/physfn", path);
	auto_free char *physfn_target = tree_target(tree, physfn);
	auto_free char *name = net_name(address, physfn_target != NULL);
	auto_free char *folder = xasprintf("%s/net/%s", path, name);
	auto_free char *entry = xasprintf("sys/class/net/%s", name);

	tree_cd(tree, "%s", folder);
	tree_printf(tree, "address", "04:3f:72:%.2s:%.2s:0%c\n", address + 5, address + 8, address[11]);
	tree_printf(tree, "mtu", "1500\n");
	tree_printf(tree, "operstate", "up\n");
	tree_printf(tree, "carrier", "1\n");
	tree_printf(tree, "tx_queue_len", "1000\n");
	tree_printf(tree, "speed", "%s\n", strncmp(name, "eno", 3) == 0 ? "10000" : "100000");
	tree_link(tree, "device", path);
	tree_cd(tree, "%s", "");
	tree_link(tree, entry, folder);
}

static void
add_rdma(struct tree *tree, const char *path, const char *address)
{
	auto_strv char **names = tree_list(tree, "sys/class/infiniband");
	unsigned n = 0;

	for (char **name = names; *name; name++) {
		unsigned taken = (unsigned)strtoul(*name + strlen("mlx5_"), NULL, 10);

		n = taken >= n ? taken + 1 : n;
	}
	auto_free char *folder = xasprintf("%s/infiniband/mlx5_%u", path, n);
	auto_free char *entry = xasprintf("sys/class/infiniband/mlx5_%u", n);
	struct nic_firmware firmware;
	nic_firmware_read(tree, &firmware);
	tree_cd(tree, "%s", folder);
	tree_printf(tree, "fw_ver", "%s\n", firmware.running);
	tree_printf(tree, "hca_type", "MT4125\n");
	tree_printf(tree, "board_id", "MT_0000000359\n");
	tree_printf(tree, "node_guid", "043f:7203:00%.2s:%.2s0%c\n", address + 5, address + 8, address[11]);
	tree_printf(tree, "node_type", "1: CA\n");
	tree_printf(tree, "ports/1/state", "4: ACTIVE\n");
	tree_printf(tree, "ports/1/phys_state", "5: LinkUp\n");
	tree_printf(tree, "ports/1/link_layer", "Ethernet\n");
	tree_printf(tree, "ports/1/rate", "100 Gb/sec (4X EDR)\n");
	tree_link(tree, "device", path);
	tree_cd(tree, "%s", "");
	tree_link(tree, entry, folder);
}

/* Class entries and folder of 'class' beneath a device. */
static void
remove_class(struct tree *tree, const char *path, const char *class)
{
	auto_free char *folder = xasprintf("%s/%s", path, class);
	auto_strv char **names = tree_list(tree, folder);

	for (char **name = names; *name; name++) {
		auto_free char *entry = xasprintf("sys/class/%s/%s", class, *name);

		tree_remove(tree, entry);
	}
	tree_remove(tree, folder);
}

/* --- drivers ----------------------------------------------------------------------------------- */

bool
pci_bind(struct tree *tree, const char *address, const char *driver)
{
	auto_free char *path = path_of(tree, address);
	auto_free char *folder = xasprintf("sys/bus/pci/drivers/%s", driver);

	if (!path || !tree_exists(tree, folder))
		return false;
	auto_free char *link = xasprintf("%s/driver", path);
	auto_free char *group = xasprintf("%s/iommu_group", path);
	auto_free char *old = tree_target(tree, link);
	bool is_vfio = strcmp(driver, "vfio-pci") == 0;
	if (old || (is_vfio && !tree_exists(tree, group)))
		return false;
	auto_free char *entry = xasprintf("%s/%s", folder, address);
	auto_free char *enable = xasprintf("%s/enable", path);
	tree_link(tree, link, folder);
	tree_link(tree, entry, path);
	tree_printf(tree, enable, "%d\n", is_vfio ? 0 : 1);
	if (strcmp(driver, "mlx5_core") == 0 || strcmp(driver, "ixgbe") == 0)
		add_net(tree, path, address);
	if (strcmp(driver, "mlx5_core") == 0)
		add_rdma(tree, path, address);
	return true;
}

void
pci_unbind(struct tree *tree, const char *address)
{
	auto_free char *path = path_of(tree, address);

	if (!path)
		return;
	auto_free char *link = xasprintf("%s/driver", path);
	auto_free char *folder = tree_target(tree, link);
	if (!folder)
		return;
	auto_free char *entry = xasprintf("%s/%s", folder, address);
	auto_free char *enable = xasprintf("%s/enable", path);
	remove_class(tree, path, "net");
	remove_class(tree, path, "infiniband");
	tree_remove(tree, entry);
	tree_remove(tree, link);
	tree_printf(tree, enable, "0\n");
}

void
pci_probe(struct tree *tree, const struct pci_model *model, const char *address)
{
	auto_free char *path = path_of(tree, address);

	if (!path)
		return;
	tree_cd(tree, "%s", path);
	auto_free char *override = tree_read(tree, "driver_override");
	uint64_t vendor = tree_read_u64(tree, "vendor");
	uint64_t device = tree_read_u64(tree, "device");
	tree_cd(tree, "%s", "");
	if (override && *override && strcmp(override, "(null)") != 0) {
		(void)pci_bind(tree, address, override);
		return;
	}
	if (device == 0x101e)
		(void)pci_bind(tree, address, "mlx5_core");
	for (size_t i = 0; i < model->n; i++) {
		const struct pci_kind *kind = model->devs[i].kind;

		if (kind->driver && kind->vendor == vendor && kind->device == device) {
			(void)pci_bind(tree, address, kind->driver);
			return;
		}
	}
}
