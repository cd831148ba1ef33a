#!/bin/bash
# vmxml.sh - definitions of VMs: what gdr-agent prints for a simulated host is the golden of that host, every golden is
# what libvirt's own schema has, huge pages follow the VMs, and what cannot be says which number does not fit.
. "$(dirname "$0")/lib.sh"

H=$WORK/sim1
agent() {
	"$BIN/gdr-agent" --config "$H/etc/gdrfleet/agent.yaml" "$@" --profile "$WORK/profile.yaml"
}
# profile FIELDS: of the only VM.
profile() {
	cat >"$WORK/profile.yaml" <<-END
		kind: Profile
		name: vms
		spec:
		  hugepages: {size: 1G, count: vm}
		  kernel: {iommu: passthrough}
		  vm:
		    - {name: "{node}-gpu0", vcpus: 48, nvswitches: all, nic_vfs: 1, $1}
	END
}

note 'an eight-GPU host'
expect 0 "$BIN/gdr-simhost" create "$H" --name sim1
profile 'memory: 750G, gpus: all'
expect 0 agent vm-xml
[ "$OUT" == "$(<"$SOURCE/tests/golden/vm/hgx-a100.xml")" ] || broken 'it is not tests/golden/vm/hgx-a100.xml'
expect 0 agent vm-xml sim1-gpu0
says '<name>sim1-gpu0</name>'

note 'huge pages follow the VM, node by node'
run agent check
says '^hugepages +node0 +live +375 '
says '^kernel .* hugepages=750'

note 'what cannot be; the pages stay as they are then'
expect 1 agent vm-xml sim1-gpu1
complains 'no VM called sim1-gpu1 is wanted here'
profile 'memory: 1100G, gpus: all'
expect 1 agent vm-xml
complains 'sim1-gpu0 cannot be: 550 pages of 1024 MiB are wanted on node 0, which has [0-9]+ for them'
one_line
run agent check
says '^hugepages +node0 +ok +0 '
profile 'memory: 750G, gpus: all, cpu: {phys_bits: 40}'
expect 1 agent vm-xml
complains "the devices' memory takes 1536 GiB; the window for it has 1024 GiB"
profile 'memory: 750G, gpus: all, overlay: "<domain><cpu></domain>"'
expect 1 agent vm-xml
complains 'sim1-gpu0: overlay: line 1: '
profile 'memory: 750G, gpus: some'
expect 1 agent vm-xml
complains 'expected a number or all'

if ! command -v virt-xml-validate >/dev/null; then
	note 'no virt-xml-validate (package libvirt-clients): the schema is not asked'
	exit 0
fi
note "libvirt's schema"
for file in "$SOURCE"/tests/golden/vm/*.xml; do
	expect 0 virt-xml-validate "$file" domain
done
