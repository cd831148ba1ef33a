/* guest_gpu.c - what a guest's GPUs look like to its kernel and to its driver's files. */

#include "tests/simhost/guest_gpu.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "tests/simhost/pci.h"
#include "tests/simhost/sim.h"
#include "tests/simhost/tree.h"

/* QEMU's ports: pcie-root-port, x3130-upstream, xio3130-downstream.  Of the link they show what no card has. */
static const struct pci_kind root_port = {
	0x1b36, 0x000c, 0, 0, 0x060400, 0, .port = ROOT_PORT, .speed = 4, .width = 32, .caps = { { 0x10, 0x54 } },
};
static const struct pci_kind upstream = {
	0x104c, 0x8232, 0, 0, 0x060400, 2, .port = UPSTREAM, .speed = 1, .width = 1, .caps = { { 0x10, 0x90 } },
};
static const struct pci_kind downstream = {
	0x104c, 0x8233, 0, 0, 0x060400, 1, .port = DOWNSTREAM, .caps = { { 0x10, 0x90 } },
};

static const char smi[] = "#!/bin/sh\n"
			  "# The guest's GPUs are simulated by the program that made this folder.\n"
			  "here=$(cd \"$(dirname \"$0\")\" && pwd -P) || exit 1\n"
			  "root=${here%/.sim/bin}\n"
			  "read -r program <\"$root/../../program\" || exit 1\n"
			  "exec \"$program\" nvidia-smi \"$root/../../..\" \"${root##*/}\" \"$@\"\n";
static const char dmesg[] = "#!/bin/sh\n"
			    "exec cat \"${0%/*}/../../var/log/dmesg\"\n";
static const char systemctl[] = "#!/bin/sh\n"
				"# Knows that services run and that the manager reads its settings again.\n"
				"case $1 in\n"
				"is-active)\n"
				"\t[ ! -e \"${0%/*}/../faults/fabric-down\" ] || { echo failed; exit 3; }\n"
				"\techo active ;;\n"
				"daemon-re*) ;;\n"
				"*) exit 1 ;;\n"
				"esac\n";

static const char fabric_manager[] =
	"#!/bin/sh\n"
	"version=$(cat \"${0%/*}/../faults/fabric-version\" 2>/dev/null) || version=535.161.08\n"
	"echo \"Fabric Manager version is : ${version:-535.104.05}\"\n";

/* --- switches ------------------------------------------------------------------------------------------------ */

static struct pci_dev *
add(struct pci_model *guest, const struct pci_kind *kind, unsigned bus, unsigned slot, unsigned last)
{
	struct pci_dev *dev = &guest->devs[guest->n++];

	*dev = (struct pci_dev){ .kind = kind,
				 .bus = (uint8_t)bus,
				 .slot = (uint8_t)slot,
				 .secondary = (uint8_t)(bus + 1),
				 .subordinate = (uint8_t)last,
				 .parent = -1,
				 .filled = true };
	(void)snprintf(dev->address, sizeof(dev->address), "0000:%02x:%02x.0", bus & 0xff, slot & 0x1f);
	return dev;
}

static void
hang_below(struct pci_dev *dev, const struct pci_dev *above)
{
	dev->root_bus = above->root_bus;
	dev->numa = above->numa;
	auto_free char *path = xasprintf("%s/%s", above->path, dev->address);
	(void)snprintf(dev->path, sizeof(dev->path), "%s", path);
}

/* The endpoints of one group, by their place in 'guest'. */
static void
add_switch(struct pci_model *guest, const size_t *members, size_t n)
{
	unsigned first = guest->devs[members[0]].bus;
	unsigned last = guest->devs[members[n - 1]].bus;
	int numa = guest->devs[members[0]].numa;

	if (first < 3 || guest->n + 2 + n > sizeof(guest->devs) / sizeof(guest->devs[0]))
		return;
	struct pci_dev *root = add(guest, &root_port, first - 3, 0, last);
	root->root_bus = root->bus;
	root->numa = numa;
	(void)snprintf(root->path, sizeof(root->path), "sys/devices/pci0000:%02x/%s", root->bus, root->address);
	struct pci_dev *up = add(guest, &upstream, first - 2, 0, last);
	hang_below(up, root);
	for (size_t i = 0; i < n; i++) {
		struct pci_dev *dev = &guest->devs[members[i]];
		struct pci_dev *down = add(guest, &downstream, first - 1, (unsigned)i, dev->bus);
		down->secondary = dev->bus;
		hang_below(down, up);
		hang_below(dev, down);
	}
}

static const char *
group_of(const Gdr__Vm *vm, const char *address)
{
	for (size_t i = 0; i < vm->n_devices; i++)
		if (vm->devices[i]->guest && strcmp(vm->devices[i]->guest, address) == 0)
			return vm->devices[i]->group;
	return NULL;
}

void
guest_gpu_switches(struct pci_model *guest, const Gdr__Vm *vm)
{
	size_t endpoints = guest->n;

	if (!vm->machine || strcmp(vm->machine, "q35") != 0)
		return;
	for (size_t i = 0; i < endpoints; i++) {
		const char *group = group_of(vm, guest->devs[i].address);
		size_t members[32];
		size_t n = 0;
		bool had = false;
		for (size_t k = 0; k < endpoints && group && n < 32; k++) {
			const char *other = group_of(vm, guest->devs[k].address);
			if (!other || strcmp(other, group) != 0)
				continue;
			had = had || k < i;
			members[n++] = k;
		}
		if (n > 0 && !had)
			add_switch(guest, members, n);
	}
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void
write_driver(struct tree *tree, const struct pci_model *guest)
{
	tree_printf(tree, "proc/driver/nvidia/version",
		    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Mar  9 01:24:22 UTC 2024\n");
	tree_printf(tree, "sys/module/nvidia/version", "535.161.08\n");
	tree_printf(tree, "sys/module/nvidia_peermem/version", "535.161.08\n");
	for (size_t i = 0; i < guest->n; i++) {
		auto_free char *path = xasprintf("proc/driver/nvidia/gpus/%s/information", guest->devs[i].address);
		if (pci_is_gpu(&guest->devs[i]))
			tree_printf(tree, path, "Model: \t\t NVIDIA A100-SXM4-80GB\n");
	}
}

/* As at power on: persistence off, clocks low. */
static void
write_state(struct tree *tree, const struct pci_model *guest)
{
	auto_free char *text = xstrdup("");

	for (size_t i = 0; i < guest->n; i++) {
		if (!pci_is_gpu(&guest->devs[i]))
			continue;
		char *more = xasprintf("%s%s 0 210 1593\n", text, guest->devs[i].address);
		free(text);
		text = more;
	}
	tree_printf(tree, ".sim/gpus", "%s", text);
}

static void
write_counters(struct tree *tree, const char *folder)
{
	static const char *const names[] = { "counters/link_downed", "counters/symbol_error",
					     "hw_counters/out_of_sequence", "hw_counters/local_ack_timeout_err" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_free char *path = xasprintf("%s/%s", folder, names[i]);
		tree_printf(tree, path, "0\n");
	}
}

void
guest_gpu_write(struct tree *tree, const struct pci_model *guest)
{
	auto_strv char **hcas = tree_list(tree, "sys/class/infiniband");

	write_driver(tree, guest);
	write_state(tree, guest);
	for (char **hca = hcas; *hca; hca++) {
		auto_free char *link = xasprintf("sys/class/infiniband/%s", *hca);
		auto_free char *device = tree_target(tree, link);
		auto_free char *folder = xasprintf("%s/ports/1", device ? device : link);
		write_counters(tree, folder);
	}
	for (unsigned node = 0; node < SIM_NODES; node++) {
		auto_free char *path = xasprintf("sys/devices/system/node/node%u/meminfo", node);
		tree_printf(tree, path, "Node %u MemTotal:       33554432 kB\n", node);
	}
	tree_printf(tree, "usr/lib/x86_64-linux-gnu/libnccl.so.2.23.4", "%s", "");
	tree_printf(tree, "var/log/dmesg", "[    0.000000] Linux version 6.1.0 (simulated)\n");
	tree_program(tree, ".sim/bin/nvidia-smi", smi);
	tree_program(tree, ".sim/bin/dmesg", dmesg);
	tree_program(tree, ".sim/bin/systemctl", systemctl);
	tree_program(tree, ".sim/bin/nv-fabricmanager", fabric_manager);
}

char *
guest_gpu_tools(const char *root)
{
	return xasprintf("  nvidia-smi: \"%s/.sim/bin/nvidia-smi\"\n"
			 "  dmesg: \"%s/.sim/bin/dmesg\"\n"
			 "  systemctl: \"%s/.sim/bin/systemctl\"\n"
			 "  nv-fabricmanager: \"%s/.sim/bin/nv-fabricmanager\"\n",
			 root, root, root, root);
}
