/* Links: agent */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/machine/pci.h"
#include "tests/unit/tree_pci.h"

#define DEV "0000:17:00.0"

static struct host *host;

static int
setup(void **state)
{
	(void)state;
	tree_make();
	host = host_open(tree, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	host_free(host);
	tree_drop();
	return 0;
}

static struct pci *
opened(void)
{
	struct pci *pci = NULL;
	struct err err = { 0 };

	assert_int_equal(pci_open(host, &pci, &err), 0);
	return pci;
}

static void
put_nic(const char *address)
{
	struct cfg *cfg = cfg_new(0x15b3, 0x101d, 0x020000);

	cfg_cap(cfg, 0x40, 0x01);
	cfg_express(cfg, 0x60, 0, 0x2930);
	cfg_ext(cfg, 0x100, 0x01);
	cfg_ats(cfg, 0x140, 0x0000);
	cfg_acs(cfg, 0x1c0, 0x5f, 0x1d);
	put_device(address, cfg, 0);
}

static void
no_bus_is_an_error(void **state)
{
	struct pci *pci = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(pci_open(host, &pci, &err), -ENOENT);
	assert_null(pci);
	pci_close(NULL);
}

static void
devices_in_order_and_garbage_left_out(void **state)
{
	(void)state;
	put_nic("0000:9a:00.0");
	put_nic("0000:10:00.1");
	put_nic("0000:10:00.0");
	put_nic("10000:01:1f.7");
	put_device_file("garbage", "config", "");
	put_device_file("0000:zz:00.0", "config", "");
	put_device_file("0000:10:00.0x", "config", "");
	put_device_file("0000:10:3f.0", "config", "");
	put_dir(PCI_DIR "0000:20:00.0"); /* No config. */
	struct pci *pci = opened();
	const char *const *v = pci_devices(pci);
	assert_string_equal(v[0], "0000:10:00.0");
	assert_string_equal(v[1], "0000:10:00.1");
	assert_string_equal(v[2], "0000:9a:00.0");
	assert_string_equal(v[3], "10000:01:1f.7");
	assert_null(v[4]);
	pci_close(pci);
}

static void
links_of_sysfs_are_followed_but_not_out_of_the_root(void **state)
{
	(void)state;
	put_nic(DEV);
	auto_free char *real = tree_path(PCI_DIR DEV);
	auto_free char *moved = tree_path("/sys/devices/pci0000:16/" DEV);
	put_dir("/sys/devices/pci0000:16");
	assert_int_equal(rename(real, moved), 0);
	put_link(PCI_DIR DEV, "../../../devices/pci0000:16/" DEV);
	put_link(PCI_DIR "0000:18:00.0", "/sys/devices/pci0000:16/" DEV); /* Would be this machine's own. */
	put_link(PCI_DIR "0000:19:00.0/config", "/dev/null");
	struct pci *pci = opened();
	uint16_t vendor = 0;
	struct err err = { 0 };
	assert_string_equal(pci_devices(pci)[0], DEV);
	assert_null(pci_devices(pci)[1]);
	assert_int_equal(pci_read16(pci, DEV, 0, &vendor, &err), 0);
	assert_int_equal(vendor, 0x15b3);
	pci_close(pci);
}

static void
capabilities_by_their_lists(void **state)
{
	(void)state;
	put_nic(DEV);
	put_device("0000:00:00.0", cfg_new(0x8086, 0x1234, 0x060000), 0);
	struct pci *pci = opened();
	assert_int_equal(pci_cap(pci, DEV, CAP_EXPRESS), 0x60);
	assert_int_equal(pci_ext_cap(pci, DEV, EXT_CAP_ATS), 0x140);
	assert_int_equal(pci_ext_cap(pci, DEV, EXT_CAP_ACS), 0x1c0);
	assert_int_equal(pci_ext_cap(pci, DEV, EXT_CAP_SRIOV), 0);
	assert_int_equal(pci_cap(pci, "0000:00:00.0", CAP_EXPRESS), 0);
	assert_int_equal(pci_ext_cap(pci, "0000:00:00.0", EXT_CAP_ACS), 0);
	assert_int_equal(pci_cap(pci, "0000:77:00.0", CAP_EXPRESS), 0);
	pci_close(pci);
}

static void
a_loop_in_a_capability_list_ends(void **state)
{
	struct cfg *cfg = cfg_new(0x15b3, 0x101d, 0x020000);

	(void)state;
	cfg_cap(cfg, 0x40, 0x01);
	cfg_express(cfg, 0x60, 0, 0);
	cfg->b[0x61] = 0x40;
	cfg_ext(cfg, 0x100, 0x01);
	cfg_ext(cfg, 0x140, 0x02);
	cfg16(cfg, 0x142, 1U | 0x100U << 4);
	put_device(DEV, cfg, 0);
	struct pci *pci = opened();
	assert_int_equal(pci_cap(pci, DEV, 0x05), 0);
	assert_int_equal(pci_ext_cap(pci, DEV, EXT_CAP_ATS), 0);
	pci_close(pci);
}

static void
an_update_changes_the_masked_bits_alone(void **state)
{
	uint16_t before = 0;
	struct err err = { 0 };

	(void)state;
	put_nic(DEV);
	struct pci *pci = opened();
	assert_int_equal(pci_update16(pci, DEV, 0x68, 0x7000, 0xd6cf, &before, &err), 0);
	assert_int_equal(before, 0x2930);
	assert_int_equal(got16(DEV, 0x68), 0x5930);
	assert_int_equal(got16(DEV, 0x6a), 0);
	assert_int_equal(pci_update16(pci, DEV, 0x68, 0x7000, 0x5000, NULL, &err), 0);
	assert_int_equal(got16(DEV, 0x68), 0x5930);
	pci_close(pci);
}

static void
reads_by_width(void **state)
{
	uint8_t byte = 0;
	uint16_t word = 0;
	uint32_t dword = 0;
	struct err err = { 0 };

	(void)state;
	put_nic(DEV);
	struct pci *pci = opened();
	assert_int_equal(pci_read8(pci, DEV, 3, &byte, &err), 0);
	assert_int_equal(byte, 0x10);
	assert_int_equal(pci_read16(pci, DEV, 2, &word, &err), 0);
	assert_int_equal(word, 0x101d);
	assert_int_equal(pci_read32(pci, DEV, 0, &dword, &err), 0);
	assert_int_equal(dword, 0x101d15b3);
	assert_int_equal(pci_read16(pci, "0000:01:00.0", 0, &word, &err), -ENODEV);
	assert_string_equal(err.msg, "0000:01:00.0: no such PCI device");
	pci_close(pci);
}

/* A plain file keeps every bit; /dev/full takes none, and a short file has nothing to read back. */
static void
what_cannot_be_read_or_written_is_an_error(void **state)
{
	uint16_t word = 7;
	struct err err = { 0 };

	(void)state;
	put_nic(DEV);
	put_device_file("0000:20:00.0", "config", "short");
	struct pci *pci = opened();
	assert_int_equal(pci_read16(pci, "0000:20:00.0", 0x68, &word, &err), -EIO);
	assert_int_equal(word, 7);
	assert_string_equal(err.msg, "0000:20:00.0: register 0x68 cannot be read");
	auto_free char *config = tree_path(PCI_DIR DEV "/config");
	assert_int_equal(unlink(config), 0);
	assert_int_equal(pci_update16(pci, DEV, 0x68, 0x7000, 0x5000, NULL, &err), -EIO);
	pci_close(pci);
}

static void
what_does_not_stick_is_an_error(void **state)
{
	struct err err = { 0 };

	(void)state;
	put_nic(DEV);
	/* A device whose writes are taken and lost: /dev/zero reads 0 whatever was written. */
	auto_free char *config = tree_path(PCI_DIR DEV "/config");
	struct pci *pci = opened();
	assert_int_equal(unlink(config), 0);
	assert_int_equal(symlink("/dev/zero", config), 0);
	assert_int_equal(pci_update16(pci, DEV, 0x68, 0x7000, 0x5000, NULL, &err), -EIO);
	assert_string_equal(err.msg, DEV ": register 0x68 was 0000, wrote 5000, reads 0000");
	pci_close(pci);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_bus_is_an_error),
		TEST(devices_in_order_and_garbage_left_out),
		TEST(links_of_sysfs_are_followed_but_not_out_of_the_root),
		TEST(capabilities_by_their_lists),
		TEST(a_loop_in_a_capability_list_ends),
		TEST(an_update_changes_the_masked_bits_alone),
		TEST(reads_by_width),
		TEST(what_cannot_be_read_or_written_is_an_error),
		TEST(what_does_not_stick_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
