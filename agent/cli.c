#include "agent/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli_internal.h"
#include "agent/journal.h"
#include "agent/machine/host.h"
#include "agent/machine/inventory.h"
#include "agent/machine/pci.h"
#include "agent/pass.h"
#include "agent/program.h"
#include "agent/settings.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pb.h"
#include "common/pbtext.h"

#define PROFILE_MAX (1U << 20)

int
cli_complain(const struct settings *settings, const struct err *err)
{
	(void)fprintf(stderr, "%s: %s\n", settings->program->name, err->msg);
	return 1;
}

/* A damaged journal was set aside and is an empty one now. */
static int
open_journal(const struct settings *settings, enum converge_how how, const char *boot_id, struct journal **out,
	     struct err *err)
{
	int rc = journal_open(how == CONVERGE_ENFORCE ? settings->journal_file : NULL, boot_id, out, err);

	if (rc != -EBADMSG)
		return rc;
	(void)cli_complain(settings, err);
	*err = (struct err){ 0 };
	return 0;
}

/* The message in the form that -o asks for; false for a table. */
static bool
print_message(const ProtobufCMessage *message, const char *output)
{
	auto_buf struct buf text = { 0 };

	if (strcmp(output, "table") == 0)
		return false;
	pbtext_print(message, NULL, strcmp(output, "yaml") == 0 ? PBTEXT_YAML : PBTEXT_JSON, &text);
	(void)fwrite(text.text, 1, text.len, stdout);
	return true;
}

/* --- what is wanted -------------------------------------------------------------------------------- */

static int
from_profile(const char *path, Gdr__Desired **out, struct err *err)
{
	static const struct pbtext_kind kinds[] = { { "Profile", &gdr__profile__descriptor },
						    { "Node", &gdr__node__descriptor },
						    { NULL, NULL } };
	auto_free char *text = NULL;
	struct pbtext_document *documents = NULL;
	size_t n = 0;
	size_t len;
	char hash[PB_HASH_LEN + 1];
	int rc = file_read(path, PROFILE_MAX, &text, &len, err);

	if (rc == 0)
		rc = pbtext_parse_documents(kinds, path, text, len, &documents, &n, err);
	if (!documents)
		return rc;
	const Gdr__Profile *profile = (const Gdr__Profile *)documents[0].message;
	if (n != 1 || documents[0].kind != &kinds[0] || !profile->spec) {
		pbtext_documents_free(documents, n);
		return err_set(err, -EINVAL, "%s: expected one document of kind Profile with a spec", path);
	}
	Gdr__Desired *desired = xcalloc(1, sizeof(*desired));
	gdr__desired__init(desired);
	desired->profile = profile->name ? xstrdup(profile->name) : NULL;
	desired->spec = (Gdr__Spec *)pb_copy(&profile->spec->base);
	pb_hash(&desired->spec->base, hash);
	desired->spec_hash = xstrdup(hash);
	pbtext_documents_free(documents, n);
	*out = desired;
	return 0;
}

int
cli_find_desired(const struct settings *settings, const struct cli_options *options, Gdr__Desired **out,
		 struct err *err)
{
	if (options->profile)
		return from_profile(options->profile, out, err);
	int rc = settings_read_desired(settings, out, err);
	if (rc == -ENOENT)
		return err_set(
			err, rc,
			"there is no desired state on this host yet: name a profile with --profile FILE, or join a "
			"controller");
	if (rc == -EACCES)
		return err_set(err, rc, "%s cannot be read: run as root, or name a profile with --profile FILE",
			       settings->desired_file);
	return rc;
}

/* --- tables ------------------------------------------------------------------------------------------ */

static void
print_item(const char *layer, const Gdr__Item *item)
{
	static const char *const mark[] = { [GDR__FIX__FIX_NONE] = "ok",
					    [GDR__FIX__FIX_LIVE] = "live",
					    [GDR__FIX__FIX_STAGE] = "stage",
					    [GDR__FIX__FIX_BOOT] = "boot",
					    [GDR__FIX__FIX_MANUAL] = "manual" };

	(void)printf("%-10s %-34s %-7s %-32s %s\n", layer, item->key, mark[item->fix], item->want, item->have);
	if (item->why)
		(void)printf("%-10s   %s\n", "", item->why);
}

static void
print_report(const Gdr__Report *report)
{
	unsigned right = 0;
	unsigned wrong = 0;

	(void)printf("%-10s %-34s %-7s %-32s %s\n", "LAYER", "ITEM", "FIX", "WANT", "HAVE");
	for (size_t i = 0; i < report->n_layers; i++) {
		const Gdr__LayerReport *layer = report->layers[i];

		for (size_t j = 0; j < layer->n_items; j++) {
			print_item(layer->name, layer->items[j]);
			*(layer->items[j]->fix == GDR__FIX__FIX_NONE ? &right : &wrong) += 1;
		}
		if (layer->error)
			(void)printf("%-10s error: %s\n", layer->name, layer->error);
	}
	if (report->reboots_wanted)
		(void)printf("it takes %u reboot%s\n", report->reboots_wanted, report->reboots_wanted > 1 ? "s" : "");
	(void)printf("%u right, %u not; outcome: %s%s%s\n", right, wrong,
		     pbtext_enum(&gdr__outcome__descriptor, report->outcome), report->why ? ": " : "",
		     report->why ? report->why : "");
}

/* --- commands ---------------------------------------------------------------------------------------- */

static int
look(const struct settings *settings, const struct cli_options *options, enum converge_how how)
{
	auto_pb Gdr__Desired *desired = NULL;
	auto_pb Gdr__Report *report = NULL;
	auto_free char *boot_id = NULL;
	auto_close int lock = -1;
	struct journal *journal = NULL;
	struct err err = { 0 };
	struct host *host = host_open(settings->config->root, settings->config);
	int rc = cli_find_desired(settings, options, &desired, &err);

	if (rc == 0)
		rc = pass_boot_id(host, &boot_id, &err);
	if (rc == 0 && how == CONVERGE_ENFORCE)
		rc = settings_lock(settings, &lock, &err);
	if (rc == 0)
		rc = open_journal(settings, how, boot_id, &journal, &err);
	if (rc == 0)
		rc = pass_run(settings->program, host, journal, desired, how, &report, &err);
	if (rc == 0 && !print_message(&report->base, options->output))
		print_report(report);
	journal_free(journal);
	host_free(host);
	if (rc < 0 || !report)
		return cli_complain(settings, &err);
	return report->outcome == GDR__OUTCOME__OUTCOME_SETTLED ? 0 : 3;
}

int
cli_check(const struct settings *settings, const struct cli_options *options)
{
	return look(settings, options, CONVERGE_LOOK);
}

int
cli_apply(const struct settings *settings, const struct cli_options *options)
{
	if (strcmp(settings->config->root, "/") == 0 && geteuid() != 0) {
		(void)fprintf(stderr, "%s: apply changes this machine and needs root (check does not)\n",
			      settings->program->name);
		return 1;
	}
	return look(settings, options, CONVERGE_ENFORCE);
}

static void
print_device(const Gdr__PciDevice *device)
{
	auto_free char *vfs = device->has_max_vfs ? xasprintf("%u/%u", device->vfs, device->max_vfs) : xstrdup("-");

	(void)printf("%-13s %-15s %04x:%04x %4d  %-14s %-7s %s", device->address,
		     pbtext_enum(&gdr__pci_device__kind__descriptor, device->kind), device->vendor, device->device,
		     device->has_numa_node ? device->numa_node : -1, device->driver ? device->driver : "-", vfs,
		     device->switch_group ? device->switch_group : "-");
	if (device->firmware)
		(void)printf("  %s", device->firmware);
	if (device->firmware && device->firmware_stored && strcmp(device->firmware, device->firmware_stored) != 0)
		(void)printf(" (%s stored)", device->firmware_stored);
	(void)printf("\n");
}

static void
print_inventory(const Gdr__Inventory *inventory)
{
	(void)printf("host     %s, %s\n", inventory->hostname ? inventory->hostname : "?",
		     inventory->product ? inventory->product : "?");
	(void)printf("bios     %s %s\n", inventory->bios_vendor ? inventory->bios_vendor : "?",
		     inventory->bios_version ? inventory->bios_version : "?");
	(void)printf("system   %s, Linux %s\n", inventory->os ? inventory->os : "?",
		     inventory->kernel ? inventory->kernel : "?");
	(void)printf("cpu      %u x %s\n", inventory->cpus, inventory->cpu_model ? inventory->cpu_model : "?");
	(void)printf("memory   %.1f GiB\n", (double)inventory->memory / (1 << 30));
	for (size_t i = 0; i < inventory->n_numa; i++)
		(void)printf("node %u   cpus %s, %.1f GiB\n", inventory->numa[i]->id,
			     inventory->numa[i]->cpulist ? inventory->numa[i]->cpulist : "-",
			     (double)inventory->numa[i]->memory / (1 << 30));
	(void)printf("\n%-13s %-15s %-9s %4s  %-14s %-7s %-12s  %s\n", "ADDRESS", "KIND", "ID", "NUMA", "DRIVER", "VFS",
		     "SWITCH", "FIRMWARE");
	for (size_t i = 0; i < inventory->n_pci; i++)
		print_device(inventory->pci[i]);
}

int
cli_inventory(const struct settings *settings, const struct cli_options *options)
{
	struct host *host = host_open(settings->config->root, settings->config);
	struct pci *pci = NULL;
	Gdr__Inventory *inventory = NULL;
	struct err err = { 0 };

	if (pci_open(host, &pci, &err) < 0)
		pci = NULL;
	int rc = inventory_read(host, pci, &inventory, &err);
	if (rc == 0 && !print_message(&inventory->base, options->output))
		print_inventory(inventory);
	inventory_free(inventory);
	pci_close(pci);
	host_free(host);
	return rc == 0 ? 0 : cli_complain(settings, &err);
}

int
cli_desired(const struct settings *settings, const struct cli_options *options)
{
	auto_pb Gdr__Desired *desired = NULL;
	struct err err = { 0 };

	if (cli_find_desired(settings, options, &desired, &err) < 0)
		return cli_complain(settings, &err);
	(void)print_message(&desired->base, strcmp(options->output, "table") == 0 ? "yaml" : options->output);
	return 0;
}
