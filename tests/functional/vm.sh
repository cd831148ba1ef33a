#!/bin/bash
# vm.sh - the VM of one host: defined, started and kept so through libvirt; what somebody changed by hand is seen and put
# right, a running VM is never touched, other people's domains neither, and libvirt may be away or hang.
. "$(dirname "$0")/lib.sh"

H=$WORK/hosts/host
VM=host-gpu0
VF=0000:3f:00.2 PF=0000:3f:00.0 PORT_ABOVE=0000:3c:00.0
sim() {
	"$BIN/gdr-simhost" "$@"
}
agent() {
	"$BIN/gdr-agent" --config "$H/etc/gdrfleet/agent.yaml" "$@"
}
passes() {
	run agent apply --profile "$WORK/profile.yaml"
}
looks() {
	run agent check --profile "$WORK/profile.yaml"
}
outcome() {
	says "outcome: $1"
}
# item KEY FIX [HAVE]: WANT may be anything.
item() {
	says "^vm +$1 +$2 +.*${3-}"
}
# profile [LINE...]: what the VM is beside what all of them are.
profile() {
	{
		cat <<-'TEXT'
			kind: Profile
			name: vms
			spec:
			  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
			  hugepages: {size: 1G, count: vm}
			  pci: [{match: gdr-path-ports, acs: [sv, rr, cr, uf, dt]}]
			  vm:
			  - name: "{node}-gpu0"
			    memory: 64G
			    gpus: all
			    nic_vfs: 1
			    vf_mac: "02:67:64"
			    vf_vlan: 100
			    network: public
		TEXT
		printf '    %s\n' "$@"
	} >"$WORK/profile.yaml"
}
state_is() {
	sim vm "$H" | grep -qE "^$VM +$1\$"
}
definition() {
	cat "$H/.sim/vms/$VM/definition.xml"
}
running() {
	stat -c '%i %Y' "$H/.sim/vms/$VM/running.xml"
}
# by_hand SED: somebody edits the definition, as virsh edit does.
by_hand() {
	definition | sed "$1" >"$WORK/edited.xml"
	cmp -s "$WORK/edited.xml" "$H/.sim/vms/$VM/definition.xml" && broken "nothing to edit: $1"
	expect 0 sim vm "$H" define "$WORK/edited.xml"
}

note 'nothing is defined before the host is ready for it'
profile 'vcpus: 16' 'autostart: true' 'state: running'
mkdir -p "$WORK/hosts"
expect 0 sim create "$H" --name host --gpus 2 --nics 2 --check-interval 10m
sed -i 's/^tools:/tool_timeout: 3s\n&/' "$H/etc/gdrfleet/agent.yaml"
printf '#!/bin/sh\nexec sleep 100000\n' >"$WORK/no-agent"
chmod +x "$WORK/no-agent"
cat >"$WORK/tenant.xml" <<'TEXT'
<domain type='kvm'><name>tenant</name><memory>1048576</memory><os><type machine='pc'>hvm</type></os></domain>
TEXT
expect 0 sim vm "$H" define "$WORK/tenant.xml"
cp "$H/.sim/vms/tenant/definition.xml" "$WORK/tenant-before.xml"
passes
outcome wants-reboot
expect 0 sim vm "$H"
[[ $OUT != *"$VM"* ]] || broken 'the VM is defined already'
expect 0 sim boot "$H"
spawn kernel "$BIN/gdr-simhost" run "$H" --agent "$WORK/no-agent"
within 10 grep -q running "$WORK/kernel.log"

note 'an image or network that is not there: said, and nothing is defined'
profile 'vcpus: 16' 'state: running' 'disk: /var/lib/libvirt/images/{vm}.img'
passes
item "$VM/disk" manual none
item "$VM/definition" manual undefined
item "$VM/state" manual undefined
profile 'vcpus: 16' 'autostart: true' 'state: running'
sed -i 's/network: public/network: private/' "$WORK/profile.yaml"
passes
item "$VM/network" manual none
expect 0 sim vm "$H"
[[ $OUT != *"$VM"* ]] || broken 'the VM was defined'

note 'VFs, MAC, VLAN, vfio-pci, definition, start: one pass'
profile 'vcpus: 16' 'autostart: true' 'state: running'
passes
outcome settled
item "$PF/vfs" ok 1
item "$VF/vlan" ok 100
item "$VF/driver" ok vfio-pci
item "$VM/autostart" ok yes
state_is running || broken 'it does not run'
grep -q '^02:67:64:.* 100$' "$H"/.sim/vfs/*/0 || broken 'the VF has not its MAC and VLAN'
definition | grep -q 'urn:gdrfleet:vm:1' || broken 'it bears no mark'
uuid=$(definition | grep '<uuid>')
begun=$(running)

note 'what somebody edits by hand is put right, in the definition alone'
by_hand "s/<vcpupin vcpu=.3. cpuset=.*/<vcpupin vcpu='3' cpuset='95'\\/>/; s/<memballoon model=.none./<memballoon model='virtio'/"
looks
item "$VM/cputune/vcpupin\[3\]" live "cpuset='95'"
item "$VM/memballoon" live "model='virtio'"
item "$VM/running" ok
outcome working
expect 3 agent vm-xml --diff "$VM" --profile "$WORK/profile.yaml"
says "^definition: memballoon: want model='none', have model='virtio'"
passes
outcome settled
expect 0 agent vm-xml --diff "$VM" --profile "$WORK/profile.yaml"
by_hand '/<hostdev/,/<\/hostdev>/{/<hostdev/h;d}'
passes
outcome settled
[ "$uuid" = "$(definition | grep '<uuid>')" ] || broken 'another uuid'
[ "$begun" = "$(running)" ] || broken 'the running VM was touched'

note 'a changed profile waits for the next start, and says so'
profile 'vcpus: 14' 'autostart: true' 'state: running'
passes
outcome stuck
item "$VM/definition" ok
item "$VM/running" manual otherwise
says 'vcpu: want .*14, have .*16.*next start'
[ "$begun" = "$(running)" ] || broken 'the running VM was touched'
profile 'vcpus: 14' 'autostart: true' 'state: running' 'restart: granted'
passes
outcome wants-reboot
item "$VM/running" boot otherwise
expect 0 sim vm "$H" "$VM" stop
passes
outcome settled
state_is running || broken 'it does not run again'

note 'a VF that is taken away is made again; a VM is stopped only by the profile, and never by force'
echo 0 >"$H/sys/bus/pci/devices/$PF/sriov_numvfs"
within 5 test ! -e "$H/sys/bus/pci/devices/$VF"
looks
item "$PF/vfs" live 0
passes
item "$PF/vfs" ok 1
state_is running || broken 'the VM was stopped'
expect 0 sim vm "$H" "$VM" stop
passes
outcome settled
profile 'vcpus: 14' 'autostart: true' 'state: shutoff' 'stop_timeout: 1s'
expect 0 sim break "$H" vm-deaf
passes
item "$VM/state" live running
says 'not within 1 s'
state_is running || broken 'it was ended by force'
expect 0 sim mend "$H" vm-deaf
passes
outcome settled
state_is shutoff || broken 'it runs'

note 'a GPU that is gone: no smaller VM behind anybody'"'"'s back'
profile 'vcpus: 14' 'autostart: true' 'state: running'
passes
outcome settled
before=$(definition)
expect 0 sim break "$H" gpu-gone --now
passes
item "$VM/0000:3d:00.0" manual gone
item "$VM/definition" manual
[ "$before" = "$(definition)" ] || broken 'it was redefined'
state_is running || broken 'the VM was stopped'
sed -i 's/gpus: all/gpus: 1/' "$WORK/profile.yaml"
passes
item "$VM/definition" ok
item "$VM/running" manual otherwise
expect 0 sim mend "$H" gpu-gone
stop kernel
expect 0 sim boot "$H"
spawn kernel "$BIN/gdr-simhost" run "$H" --agent "$WORK/no-agent"
within 10 grep -q 'running again' "$WORK/kernel.log"

note 'libvirt away, silent, or refusing: an item, and the rest of the host is looked after'
profile 'vcpus: 14' 'autostart: true' 'state: running'
passes
outcome settled
expect 0 sim break "$H" libvirt-away
passes
item libvirt live silent
says 'Failed to connect'
expect 0 sim mend "$H" libvirt-away
expect 0 sim break "$H" libvirt-hangs
looks
item libvirt manual silent
says 'no answer within 3000 ms'
says '^pci +.*/acs +ok'
expect 0 sim mend "$H" libvirt-hangs
expect 0 sim break "$H" libvirt-refuses
profile 'vcpus: 12' 'autostart: true' 'state: running'
passes
says 'fault libvirt-refuses'
item "$VM/vcpu" live 14
expect 0 sim mend "$H" libvirt-refuses
sed -i '/^  libvirt/d' "$H/etc/gdrfleet/agent.yaml"
looks
item libvirt manual silent
says 'no libvirt on this host'

note 'other people'"'"'s domains are as they were'
cmp "$WORK/tenant-before.xml" "$H/.sim/vms/tenant/definition.xml" || broken 'the tenant'"'"'s domain was changed'
stop kernel
rm -rf "$H"

note 'under a controller: a VM that ends is started at once, and the registers are set again at once'
gdrd_up
profile 'vcpus: 16' 'autostart: true' 'state: running' 'restart: granted'
expect 0 ctl apply -f "$WORK/profile.yaml"
expect 0 sim create "$H" --name host --gpus 2 --nics 2 --check-interval 10m
expect 0 ctl token create --node host
(umask 077 && printf '%s\n' "$OUT" >"$WORK/token")
expect 0 agent join "$WORK/token"
expect 0 ctl node assign host vms
spawn host "$BIN/gdr-simhost" run "$H" --agent "$BIN/gdr-agent" --reboot-time 1s
within 60 node_is host ready
state_is running || broken 'it does not run'
definition | grep -q 'io.systemd.credential.binary:gdrfleet.guest=' || broken 'its guest gets no credential'
[ "$(stat -c %a "$H/var/lib/gdrfleet-agent/vms/$VM.key")" = 600 ] || broken 'others can read the key of the guest'
acs() {
	[ "$(sim peek "$H" $PORT_ABOVE ECAP_ACS+6)" = 005d ]
}
within 10 acs
expect 0 sim vm "$H" "$VM" stop
within 15 state_is running
within 15 acs

note 'restart: granted is the reboot that the controller grants'
profile 'vcpus: 12' 'autostart: true' 'state: running' 'restart: granted'
expect 0 ctl apply -f "$WORK/profile.yaml"
expect 0 ctl node assign host vms
twelve() {
	grep -q '<vcpu[^>]*>12<' "$H/.sim/vms/$VM/running.xml"
}
within 60 twelve
within 30 node_is host ready
expect 0 ctl node reboots host
says 'vm'
note 'a VM that no profile wants any more is said as long as it is there, and left to a person'
awk '/^  vm:/ { exit } { print }' "$WORK/profile.yaml" | grep -v '^  hugepages:' >"$WORK/without.yaml"
expect 0 ctl apply -f "$WORK/without.yaml"
expect 0 ctl node assign host vms
remembered() {
	awk '/^[a-z]/ { inside = /^kept:/ } inside' "$H/var/lib/gdrfleet-agent/journal.yaml" | grep -q "$VM/definition"
}
leftover() {
	ctl node show host | grep -qE "^ *$VM/definition +.*undefined +$1" &&
		ctl node show host | grep -qF "${2}virsh undefine --nvram $VM"
}
within 20 leftover running "virsh shutdown $VM, and then "
remembered || broken 'it would not be known after a restart'
expect 0 sim vm "$H" "$VM" stop
within 15 leftover shutoff 'yours to end: '
state_is shutoff || broken 'it was started'
rm -r "$H/.sim/vms/$VM"
expect 0 ctl node audit host
expect 0 ctl node release host
within 30 node_is host ready
if remembered; then broken 'it is not forgotten'; fi
note 'done'
