#!/bin/bash
# guest.sh - a VM's own agent: its host's definition lets it in, its profile converges it, and what is wrong inside it is
# its host's state too; a guest that lies or is gone harms nobody else.
. "$(dirname "$0")/lib.sh"

[ -x "$BIN/gdr-guest" ] || { echo "skipped: no program $BIN/gdr-guest"; exit 77; }
# link NAME FIELD [VALUE]: what the guest's kernel has of an interface, or makes it so.
link() {
	if [ $# -gt 2 ]; then
		awk -v name="$1" -v at="$2" -v value="$3" '$2 == name { $at = value } { print }' "$G/.sim/links" >"$WORK/links" &&
			cat "$WORK/links" >"$G/.sim/links"
	else
		awk -v name="$1" -v at="$2" '$2 == name { print $at }' "$G/.sim/links"
	fi
}
MTU=4 RX=8 # Fields of it.
link_is() {
	[ "$(link "$1" "$2")" = "$3" ]
}
# boots NUMBER: so often the VM was powered on.
boots() {
	[ "$(grep -c 'h1-gpu0 booted' "$WORK/h1.log")" -eq "$1" ]
}
# why NODE PATTERN: it is not ready for this reason.
why() {
	ctl node show "$1" | grep -qE "^Why: +.*$2"
}

cat >"$WORK/profile.yaml" <<'TEXT'
kind: Profile
name: guests
spec:
  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
  hugepages: {size: 1G, count: vm}
  pci: [{match: gdr-path-ports, acs: [sv, rr, cr, uf, dt]}]
  vm: [{name: "{node}-gpu0", vcpus: 16, memory: 64G, gpus: all, nvswitches: all, nic_vfs: 1, state: running, autostart: true}]
  guest:
    link: [{match: {driver: mlx5_core}, mtu: 9000, txqueuelen: 10000, ring: {rx: 8192, tx: 8192}, roce_mtu: 4096}]
    sysctl: {values: {net.ipv4.conf.all.arp_ignore: "2", net.ipv4.tcp_rmem: 4096 87380 4194304}, never_lower: ["net.ipv4.tcp_?mem"]}
TEXT

note 'a host, its VM, and the agent in it'
gdrd_up
expect 0 ctl apply -f "$WORK/profile.yaml"
host_up h1
expect 0 ctl node assign h1 guests
within 90 node_is h1/h1-gpu0 ready
within 20 node_is h1 ready
link_is ens1 $MTU 9000 || broken "the MTU is not as wanted"
link_is ens1 $RX 8192 || broken "the ring is not as wanted"
expect 0 ctl status
says '1 nodes.* 1 of 1 guests ready'
expect 0 ctl node show h1
says 'h1/h1-gpu0 +ready'
expect 0 guest desired
says 'node: h1/h1-gpu0'
grep -q 'vm:' <<<"$OUT" && broken 'a guest is told of its host'
grep -q 'tcp_rmem = 4096 131072 6291456' "$G/etc/sysctl.d/90-gdrfleet.conf" || broken 'never_lower lowered it'

note 'what somebody changes inside is put right; what only looks says so, and the host with it'
link ens1 $RX 1024
within 20 link_is ens1 $RX 8192
expect 0 ctl node audit h1
link ens2 $RX 512
within 20 why h1/h1-gpu0 'ens2/ring.rx: want 8192, have 512'
within 20 why h1 'guest h1-gpu0: .*ens2/ring.rx'
expect 3 ctl status
expect 0 ctl node release h1
within 20 link_is ens2 $RX 8192
within 20 node_is h1 ready

note 'a VM that ends takes its agent along, and one that comes back is the same node'
expect 0 "$BIN/gdr-simhost" vm "$(root_of h1)" h1-gpu0 stop
within 30 boots 2
within 30 link_is ens1 $RX 8192
within 30 node_is h1/h1-gpu0 ready
within 20 node_is h1 ready

note 'a guest that cannot read SMBIOS joins by the file that its host prints, and goes on so'
expect 1 "$BIN/gdr-agent" --config "$(root_of h1)/etc/gdrfleet/agent.yaml" vm-credential no-such-vm
complains 'no-such-vm has no key'
expect 0 "$BIN/gdr-agent" --config "$(root_of h1)/etc/gdrfleet/agent.yaml" vm-credential h1-gpu0
(umask 077 && printf '%s\n' "$OUT" >"$WORK/credential")
mv "$G/sys/firmware/dmi/entries/11-0/raw" "$WORK/raw"
mv "$G/var/lib/gdrfleet-comm/controller.yaml" "$WORK/controller.yaml"
expect 1 guest join
expect 0 guest join "$WORK/credential"
says '^joined as h1/h1-gpu0$'
expect 0 guest join
says 'goes on as h1/h1-gpu0'
mv "$WORK/raw" "$G/sys/firmware/dmi/entries/11-0/raw"
within 20 node_is h1/h1-gpu0 ready

note 'another machine with its key is noticed'
echo bbbbbbbb-0000-4000-8000-00000000000b >"$G/sys/class/dmi/id/product_uuid"
within 20 why h1/h1-gpu0 'UUID bbbbbbbb'
within 20 why h1 'guest h1-gpu0: .*UUID bbbbbbbb'

note 'what is done to hosts is not done to guests'
expect 2 ctl node hold h1/h1-gpu0
complains 'is a guest'
expect 0 ctl export
grep -q 'h1-gpu0' <<<"$(grep -A2 'kind: Node' <<<"$OUT")" && broken 'a guest is exported'

note 'a host that is removed takes its guests along'
expect 0 ctl node remove h1 --yes
expect 0 ctl node list -o name
[ -z "$OUT" ] || broken 'they are still there'
