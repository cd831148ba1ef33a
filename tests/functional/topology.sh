#!/bin/bash
# topology.sh - a topology file judged by all three programs: by itself, and on the machine that shall read it.
. "$(dirname "$0")/lib.sh"

root=$WORK/guest
mkdir -p "$root/proc" "$root/sys/devices/system/cpu" "$root/sys/devices/system/node"
printf 'processor : 0\n' >"$root/proc/cpuinfo"
printf '0-7\n' >"$root/sys/devices/system/cpu/online"
printf '0\n' >"$root/sys/devices/system/node/online"
mkdir -p "$root/proc/driver/nvidia/gpus/0000:05:00.0"

cat >"$WORK/good.xml" <<'END'
<system version="1">
  <cpu numaid="0" affinity="ff">
    <pci busid="ffff:ff:01.0" class="0x060400" link_speed="16 GT/s" link_width="16">
      <pci busid="0000:05:00.0" class="0x030200"/>
    </pci>
  </cpu>
</system>
END
sed 's/ff">/fff">/; s/05:00.0/06:00.0/' "$WORK/good.xml" >"$WORK/elsewhere.xml"
{ printf '<?xml version="1.0"?>\n'; cat "$WORK/good.xml"; } >"$WORK/prolog.xml"
ln -s good.xml "$WORK/link.xml"

note 'by itself'
for words in gdrctl gdr-agent "gdr-guest --root $root"; do
	read -ra lint <<<"$BIN/$words topology lint"
	for file in good link; do
		expect 0 "${lint[@]}" "$WORK/$file.xml"
		[ -z "$OUT$ERR" ] || broken "something found in a good file: $OUT"
	done
	expect 3 "${lint[@]}" "$WORK/prolog.xml"
	says "^$WORK/prolog.xml:1:1: error E1: .*prolog"
	expect 3 "${lint[@]}" -o json "$WORK/prolog.xml"
	says '"errors": 1,'
	expect 1 "${lint[@]}" "$WORK/nowhere.xml"
	complains 'nowhere.xml: No such file'
	one_line
	expect 2 "${lint[@]}"
done

note 'on its machine'
expect 0 "$BIN/gdrctl" topology lint "$WORK/elsewhere.xml"
expect 3 "$BIN/gdr-guest" --root "$root" topology lint "$WORK/elsewhere.xml"
says ':2:19: error E7: there is no CPU 8'
note 'what the host writes for a VM, and whether it is needed'
expect 0 "$BIN/gdr-simhost" create "$WORK/host" --name n1
expect 0 "$BIN/gdr-simhost" boot "$WORK/host"
# template MACHINE: the file for one VM with all that the host has.
template() {
	cat >"$WORK/vm.yaml" <<-END
		kind: Profile
		name: vm
		spec:
		  hugepages: {size: 1G, count: vm}
		  vm: [{name: a, machine: $1, vcpus: 48, memory: 100G, gpus: all, nvswitches: all, nic_vfs: 1}]
	END
	expect 0 "$BIN/gdr-agent" --root "$WORK/host" nccl-topology --profile "$WORK/vm.yaml"
	printf '%s\n' "$OUT" >"$WORK/template.xml"
}
template q35
says '^<!-- a: needed for bandwidth: '
[ "$(grep -c 'class="0x030200" link_speed="16 GT/s" link_width="16"' <<<"$OUT")" -eq 8 ] || broken 'not eight GPUs'
expect 0 "$BIN/gdrctl" topology lint "$WORK/template.xml"
[ -z "$OUT" ] || broken 'something is wrong with it'
template i440fx
says '^<!-- a: needed: .* in 16 of 16 pairs'
expect 0 "$BIN/gdrctl" topology lint "$WORK/template.xml"
[ "$(grep -c 'warning W15' <<<"$OUT")" -eq 8 ] || broken 'the guest must name eight nets there'
[ "$(grep -vc 'warning W15' <<<"$OUT")" -eq 0 ] || broken 'something else is wrong with it'
expect 1 "$BIN/gdr-agent" --root "$WORK/host" nccl-topology b --profile "$WORK/vm.yaml"
complains 'no VM called b'
note 'what the fleet shows of its VMs'
gdrd_up
host_up n1
# placed MACHINE: the node is to have such a VM, and tells of it; it need not make it for that.
placed() {
	template "$1"
	printf -- '---\nkind: Node\nname: n1\nprofile: vm\nmode: audit\n' >>"$WORK/vm.yaml"
	expect 0 ctl apply -f "$WORK/vm.yaml"
	within 20 vm_is "$1"
	expect 0 ctl vm show n1/a
}
vm_is() {
	ctl vm list n1 | grep -qE "^n1 +a .* $1 +8 +8$"
}
placed q35
[ "$(grep -cE '^  0000:.* PIX +PIX +- +-$' <<<"$OUT")" -eq 16 ] || broken 'not every GPU has its two NICs near'
says '^  and 48 far apart'
says '^  gpu +0000:3d:00.0 +0000:ca:00.0 +0 +0000:3b:00.0'
placed i440fx
[ "$(grep -cE '^  0000:.* PIX +PHB +- +i440fx has no switches: lost without the topology file, PIX with it; the guest does not have it' <<<"$OUT")" -eq 16 ] || broken 'it does not say what was lost'
expect 1 ctl vm show n1/b
complains "there is no VM 'b' there"
note 'what sysfs lost is near again with the file, which the guest makes of its host'"'"'s template'
cat >"$WORK/guest.yaml" <<-'END'
	kind: Profile
	name: guest
	spec:
	  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
	  hugepages: {size: 1G, count: vm}
	  vm: [{name: "{node}-gpu0", machine: i440fx, vcpus: 16, memory: 64G, gpus: all, nvswitches: all, nic_vfs: 1, state: running}]
	  guest: {nccl: {topology: /var/run/nvidia-topologyd/virtualTopology.xml}}
END
expect 0 ctl apply -f "$WORK/guest.yaml"
host_up n2
expect 0 ctl node assign n2 guest
within 60 node_is n2/n2-gpu0 ready
expect 0 ctl node show n2/n2-gpu0
says 'topology/from +.*definition +definition'
expect 0 ctl vm show n2/n2-gpu0
[ "$(grep -cE '^  0000:.* PIX +PHB +PIX +i440fx has no switches: .* PIX with it$' <<<"$OUT")" -eq 16 ] ||
	broken 'the file does not bring them near'
note 'done'
