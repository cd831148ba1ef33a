#!/bin/bash
# vm.sh - the real libvirt and QEMU, in a daemon of its own: it takes every golden definition and what it makes of
# it is no difference; gdr-agent defines through it and sees what somebody edits; a small VM starts under emulation with
# every device at the predicted address and on the planned NUMA node; what libvirt tells of VMs makes the agent look.
. "$(dirname "$0")/../functional/lib.sh"

skip() {
	echo "skipped: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip 'a libvirtd of our own needs root'
for program in libvirtd virsh qemu-system-x86_64 unshare; do
	command -v $program >/dev/null || skip "no $program (apt-get install libvirt-daemon-system libvirt-clients qemu-system-x86)"
done
library=$(ldconfig -p | sed -nE 's/^\s*libvirt\.so\.0 .*=> //p' | head -n 1)
[ -n "$library" ] || skip 'no libvirt.so.0'

# --- a libvirtd that knows nothing of the machine's own ----------------------------------------------------
L=$WORK/libvirt
URI="qemu+unix:///system?socket=$L/run/libvirt-sock"
mkdir -p "$L"/{run,lib,cache,log,etc/qemu}
cat >"$L/etc/qemu.conf" <<'TEXT'
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
TEXT
cat >"$L/etc/libvirtd.conf" <<TEXT
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:file:$L/log/libvirtd.log"
TEXT
: >"$L/etc/libvirt.conf"
mkdir -p /run/libvirt /var/cache/libvirt /var/lib/libvirt /var/log/libvirt /etc/libvirt
unshare -m --propagation private true 2>/dev/null || skip 'no mount namespaces here'

# A QEMU is in a session of its own, and would outlive a test that breaks.
leave() {
	local code=$? file
	for file in "$L"/run/qemu/*.pid; do
		[ -e "$file" ] && kill "$(<"$file")" 2>/dev/null
	done
	(exit $code)
	finish
}
trap leave EXIT

virsh() {
	command virsh -q -c "$URI" "$@"
}
libvirtd_up() {
	# shellcheck disable=SC2016 # For the shell inside the namespace.
	spawn libvirtd unshare -m --propagation private sh -c '
		mount --bind "$1/run" /run/libvirt && mount --bind "$1/lib" /var/lib/libvirt &&
		mount --bind "$1/cache" /var/cache/libvirt && mount --bind "$1/log" /var/log/libvirt &&
		mount --bind "$1/etc" /etc/libvirt && exec libvirtd -p "$1/libvirtd.pid"' sh "$L"
	within 60 virsh version
}
libvirtd_up

# --- definitions ---------------------------------------------------------------------------------------------
note 'every golden definition is taken, and what libvirt makes of it is no difference'
for golden in "$SOURCE"/tests/golden/vm/*.xml; do
	name=$(basename "$golden" .xml)
	sed "s/<domain type=\"kvm\"/<domain type=\"qemu\"/; s|<name>.*</name>|<name>$name</name>|" "$golden" >"$WORK/want.xml"
	expect 0 virsh define "$WORK/want.xml"
	virsh dumpxml --inactive "$name" >"$WORK/have.xml"
	expect 0 "$BIN/vmdiff" "$WORK/want.xml" "$WORK/have.xml"
	expect 0 virsh undefine --nvram "$name"
done

note 'gdr-agent defines through it, sees what is edited, and puts it right'
H=$WORK/host
expect 0 "$BIN/gdr-simhost" create "$H" --name host --gpus 8 --nics 4
sed -i -E "s|^(  libvirt.so.0:).*|\\1 $library|; s|^libvirt_uri:.*|libvirt_uri: \"$URI\"|" "$H/etc/gdrfleet/agent.yaml"
cat >"$WORK/profile.yaml" <<'TEXT'
kind: Profile
name: small
spec:
  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
  vm:
  - name: "{node}-small"
    vcpus: 4
    memory: 512M
    gpus: all
    nvswitches: all
    nic_vfs: 1
    autostart: true
    cpu: {mode: maximum}
    overlay: <domain type='qemu'/>
TEXT
agent() {
	"$BIN/gdr-agent" --config "$H/etc/gdrfleet/agent.yaml" "$@" --profile "$WORK/profile.yaml"
}
item() {
	grep -qE "^vm +host-small/$1 +$2 " <<<"$OUT" || broken "expected $1 $2"
}
run agent apply
says 'outcome: wants-reboot'
expect 0 "$BIN/gdr-simhost" boot "$H"
printf '#!/bin/sh\nexec sleep 100000\n' >"$WORK/no-agent"
chmod +x "$WORK/no-agent"
spawn kernel "$BIN/gdr-simhost" run "$H" --agent "$WORK/no-agent"
within 10 grep -q running "$WORK/kernel.log"
expect 0 agent apply
item definition ok
item autostart ok
uuid=$(virsh domuuid host-small)
virsh dumpxml --inactive host-small | sed "s/<memballoon model='none'/<memballoon model='virtio'/; /<vcpupin vcpu='2'/d" >"$WORK/edited.xml"
expect 0 virsh define "$WORK/edited.xml"
run agent check
item memballoon live
item 'cputune/vcpupin\[2\]' live
run agent apply
item definition ok
[ "$uuid" = "$(virsh domuuid host-small)" ] || broken 'another uuid'

note 'a daemon that hangs, goes away and comes back'
sed -i 's/^tools:/tool_timeout: 2s\n&/' "$H/etc/gdrfleet/agent.yaml"
kill -STOP "$(cat "$L/libvirtd.pid")"
run agent check
says 'vm +libvirt +manual .*silent'
says 'no answer within 2000 ms'
kill -CONT "$(cat "$L/libvirtd.pid")"
stop libvirtd
run agent check
says 'vm +libvirt +live .*silent'
libvirtd_up
run agent check
item definition ok

# --- a small VM ------------------------------------------------------------------------------------------------
# Its real devices are not here: xHCI controllers stand in for them, at the same places under the same names, and this
# machine's first node and CPU for the host's.
stand_ins() {
	awk '
		/<controller type=.usb./ { next }
		/<hostdev / { inside = 1; n++ }
		inside && /<source>/ { source = 1 }
		inside && /<alias / { alias = $0 }
		inside && /<address / && !source { address = $0 }
		/<\/source>/ { source = 0 }
		/<\/hostdev>/ {
			printf "<controller type=\"usb\" index=\"%d\" model=\"qemu-xhci\">%s%s</controller>\n", n - 1, alias, address
			inside = 0
			next
		}
		inside { next }
		{ gsub(/cpuset=.[0-9,-]+./, "cpuset=\"0\""); gsub(/nodeset=.[0-9,-]+./, "nodeset=\"0\""); print }'
}
monitor() {
	virsh qemu-monitor-command host-small --hmp "$1" | tr -d '\r'
}
# seen: for each that stands in, whom its name says, the bus number that the firmware gave, and the node of the expander
# bus whose numbers it is among; the same as was planned?
seen() {
	monitor 'info qtree' | awk '/dev: pxb/ { pxb = 1 } pxb && /bus_nr = / { nr = $3 } pxb && /numa_node = / { print nr, $3; pxb = 0 }' |
		sort -n >"$WORK/nodes"
	monitor 'info pci' | awk -v nodes="$WORK/nodes" '
		BEGIN { while ((getline line < nodes) > 0) { split(line, part, " "); first[++n] = part[1]; node[n] = part[2] } }
		/^ *Bus +[0-9]+, device/ { gsub(/,|:/, ""); bus = $2; slot = $4; fn = $6 }
		/id "ua-0000-/ {
			match($0, /ua-[-0-9a-f]+/)
			split(substr($0, RSTART + 3, RLENGTH - 3), at, "-")
			cell = -1
			for (i = 1; i <= n; i++) if (bus + 0 >= first[i]) cell = node[i]
			printf "%s:%s:%s.%s 0000:%02x:%02x.%d %d\n", at[1], at[2], at[3], at[4], bus, slot, fn, cell
		}' | sort >"$WORK/seen"
	diff "$WORK/planned" "$WORK/seen" >&2
}

for machine in q35 i440fx; do
	note "$machine starts under emulation: every device is where the plan says"
	sed -i -E "s/^    vcpus: .*/    vcpus: 4\n    machine: $machine/; /^    machine: /d" "$WORK/profile.yaml"
	run agent apply
	item definition ok
	agent check -o json | tr -d ' \n' | grep -oE '\{"host":"[^}]*\}' |
		sed -E 's/.*"host":"([^"]*)","guest":"([^"]*)","cell":([0-9]+).*/\1 \2 \3/' | sort >"$WORK/planned"
	[ "$(wc -l <"$WORK/planned")" -eq 22 ] || broken 'the report has not all devices'
	virsh dumpxml --inactive host-small | stand_ins >"$WORK/small.xml"
	expect 0 virsh define "$WORK/small.xml"
	expect 0 virsh start host-small
	within 60 seen
	note "all 22, $(grep -c ' 0$' "$WORK/seen") of them on cell 0"
	run agent check
	item running manual
	[ "$(virsh domstate host-small)" = running ] || broken 'it was stopped'
	expect 0 virsh destroy host-small
done
stop kernel
expect 0 virsh undefine host-small

# --- events ----------------------------------------------------------------------------------------------------
note 'a VM that starts or ends, be it somebody else'"'"'s: registers are set again at once, not at the next look'
PORT_ABOVE=0000:3c:00.0
cat >"$WORK/events.yaml" <<'TEXT'
kind: Profile
name: events
spec:
  pci: [{match: gdr-path-ports, acs: [sv, rr, cr, uf, dt]}]
  vm: [{name: "{node}-idle", vcpus: 1, memory: 512M, cpu: {mode: maximum}, overlay: <domain type='qemu'/>}]
TEXT
cat >"$WORK/tenant.xml" <<'TEXT'
<domain type='qemu'><name>tenant</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>
TEXT
E=$(root_of n1)
mkdir -p "$WORK/hosts"
expect 0 "$BIN/gdr-simhost" create "$E" --name n1 --gpus 2 --nics 2 --check-interval 10m
sed -i -E "s|^(  libvirt.so.0:).*|\\1 $library|; s|^libvirt_uri:.*|libvirt_uri: \"$URI\"|" "$E/etc/gdrfleet/agent.yaml"
gdrd_up
expect 0 ctl apply -f "$WORK/events.yaml"
expect 0 ctl token create --node n1
(umask 077 && printf '%s\n' "$OUT" >"$WORK/token")
expect 0 "$BIN/gdr-agent" --config "$E/etc/gdrfleet/agent.yaml" join "$WORK/token"
expect 0 ctl node assign n1 events
host_up n1
within 30 node_is n1 ready
acs_is() {
	[ "$("$BIN/gdr-simhost" peek "$E" $PORT_ABOVE ECAP_ACS+6)" = "$1" ]
}
acs_lost() {
	"$BIN/gdr-simhost" break "$E" acs-cleared && acs_is 001d
}
acs_is 005d || broken 'the registers are not as wanted'
expect 0 acs_lost
throughout 2 acs_is 001d
expect 0 virsh create "$WORK/tenant.xml"
within 10 acs_is 005d
expect 0 acs_lost
expect 0 virsh destroy tenant
within 10 acs_is 005d

note 'and so after libvirt was away'
expect 0 acs_lost
stop libvirtd
libvirtd_up
within 20 acs_is 005d # It listens again from here on, or a moment later.
sleep "$((2 * PATIENCE))"
expect 0 acs_lost
expect 0 virsh create "$WORK/tenant.xml"
within 10 acs_is 005d
expect 0 virsh destroy tenant
stop libvirtd
note 'done'
