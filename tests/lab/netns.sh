#!/bin/bash
# netns.sh - layers link and sysctl against the kernel of this machine, in a network namespace of the test's own: what is
# wanted, put right, clamped and refused there, and an interface that is plugged in while the worker runs.
if [ -z "${OWN_NAMESPACES-}" ]; then
	unshare -n -m --propagation private true 2>/dev/null || { echo 'skipped: no network namespaces here (root can make them)'; exit 77; }
	OWN_NAMESPACES=1 exec unshare -n -m --propagation private "$0" "$@"
fi
. "$(dirname "$0")/../functional/lib.sh"

skip() {
	echo "skipped: $*"
	exit 77
}
for program in ip protoc; do
	command -v $program >/dev/null || skip "no $program (apt-get install iproute2 protobuf-compiler)"
done

# --- a machine of our own: this one's kernel, but no device, no interface and no file of it -------------------
mkdir -p "$WORK"/{state,comm}
cp -a /etc "$WORK/etc" || broken 'cannot copy /etc'
if ! { mount --bind "$WORK/etc" /etc && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /sys/bus/pci; } 2>"$WORK/mount.log"; then
	skip "no mounts here: $(tail -n 1 "$WORK/mount.log")"
fi
rm -f /etc/systemd/network/*.link /etc/sysctl.d/*.conf
if ! { ip link add gdr0 type veth peer name far0 && ip tuntap add gdr1 mode tap && ip link set far0 up; }; then
	skip 'no veth or tap here'
fi

cat >"$WORK/guest.yaml" <<TEXT
state: $WORK/state
comm_state: $WORK/comm
user: root
check_interval: 10m
TEXT
guest() {
	"$BIN/gdr-guest" --config "$WORK/guest.yaml" "$@"
}
# wants TEXT: guest { TEXT } is what this machine should be.
wants() {
	printf 'node: "h/g" generation: 1 mode: MODE_ENFORCE spec_hash: "%s" spec { guest { %s } }' "$(cksum <<<"$1" | tr ' ' -)" "$1" |
		protoc -I "$SOURCE" --encode=gdr.Desired proto/wire.proto >"$WORK/desired" || broken 'protoc'
	mv "$WORK/desired" "$WORK/comm/desired"
}
# item KEY FIX [PATTERN]: the last check says so of it, and why.
item() {
	grep -A1 -E "^(link|sysctl) +$1 +$2 " <<<"$OUT" | grep -qE -- "${3:-.}" || broken "expected of $1: $2, ${3-}"
}
# link INTERFACE WORD...: what the kernel says of it has these, each followed by its value.
link() {
	local line name=$1
	line=$(ip link show "$name" | tr '\n' ' ') || return 1
	shift
	while [ $# -gt 0 ]; do
		[[ " $line " == *" $1 $2 "* ]] || return 1
		shift 2
	done
}
is_up() {
	[[ "$(ip -o link show "$1")" == *[\<,]UP[,\>]* ]]
}
conf() {
	cat "/proc/sys/net/ipv4/conf/$1"
}
LINK='link { match { name: "gdr*" } mtu: 9000 txqueuelen: 10000 ring { rx: 8192 tx: 8192 } up: true }'
ARP='values { key: "net.ipv4.conf.all.arp_ignore" value: "2" } values { key: "net.ipv4.conf.default.arp_ignore" value: "2" }
values { key: "net.ipv4.conf.all.arp_filter" value: "1" } values { key: "net.ipv4.conf.all.arp_announce" value: "1" }'

note 'what is not as wanted is named, and nothing is changed by looking'
wants "$LINK sysctl { $ARP values { key: \"net.ipv4.tcp_timestamps\" value: \"0\" } }"
expect 3 guest check
item gdr0/mtu live 1500
item gdr0/txqueuelen live 1000
item gdr0/up live down
item gdr0/ring.rx ok 'clamped: this driver has no ring that could be set'
item gdr1/ring.tx ok 'clamped: this driver has no ring that could be set'
item gdr1/file live absent
item net.ipv4.tcp_timestamps live
item gdr0/arp_ignore live 'all has 0 and the interface 0'
link gdr0 mtu 1500 qlen 1000 || broken 'looking changed it'
[ ! -e /etc/sysctl.d/90-gdrfleet.conf ] || broken 'looking wrote a file'
grep -qE '^link +(far0|lo)/' <<<"$OUT" && broken 'an interface that no rule is about'

note 'it is put right, in the order in which one depends on the other, and for later boots'
spawn monitor ip -o monitor link
sleep 0.5
expect 0 guest apply
link gdr0 mtu 9000 qlen 10000 || broken 'gdr0 is not as wanted'
link gdr1 mtu 9000 qlen 10000 || broken 'gdr1 is not as wanted'
is_up gdr0 || broken 'gdr0 is not up'
within 5 grep -qE 'gdr0.*[<,]UP' "$WORK/monitor.log"
first=$(grep -E 'gdr0.*mtu 9000' "$WORK/monitor.log" | head -n 1)
[[ "$first" == *[\<,]UP[,\>]* ]] && broken "it was up before its MTU was right: $first"
stop monitor
[ "$(cat /proc/sys/net/ipv4/tcp_timestamps)" = 0 ] || broken 'time stamps are on'
mac=$(cat /sys/class/net/gdr0/address)
for line in "MACAddress=$mac" MTUBytes=9000 TransmitQueueLength=10000; do
	grep -qx "$line" /etc/systemd/network/10-gdrfleet-gdr0.link || broken "the .link file lacks $line"
done
grep -q BufferSize /etc/systemd/network/10-gdrfleet-gdr0.link && broken 'the .link file sets a ring that is not there'
grep -qx 'net.ipv4.conf.all.arp_ignore = 2' /etc/sysctl.d/90-gdrfleet.conf || broken 'the sysctl.d file lacks it'
expect 0 guest check

note "the kernel's own limits"
wants 'link { match { name: "gdr1" } mtu: 65535 }'
expect 0 guest apply
item gdr1/mtu ok 'clamped: 65535 is wanted, the device can do 65521 at most'
link gdr1 mtu 65521 || broken 'not clamped'
[ ! -e /etc/systemd/network/10-gdrfleet-gdr0.link ] || broken 'the .link file outlived the wish'
[ ! -e /etc/sysctl.d/90-gdrfleet.conf ] || broken 'the sysctl.d file outlived the wish'

note 'what counts for an interface is what the kernel makes of its own value and that of all'
sysctl -qw net.ipv4.conf.gdr0.arp_ignore=8 net.ipv4.conf.all.arp_filter=0 net.ipv4.conf.gdr1.arp_filter=1
wants "sysctl { $ARP }"
expect 3 guest check
item gdr0/arp_ignore live 'all has 2 and the interface 8: the kernel goes by the greater'
item gdr1/arp_filter ok
item gdr0/arp_filter live 'the kernel goes by either'
expect 0 guest apply
[ "$(conf gdr0/arp_ignore) $(conf all/arp_filter)" = '2 1' ] || broken "$(conf gdr0/arp_ignore) $(conf all/arp_filter)"
ip link add late type veth peer name late1
[ "$(conf late/arp_ignore)" = 2 ] || broken 'default did not reach an interface made later'
ip link del late

note 'never lower, no such parameter, one without effect'
sysctl -qw net.ipv4.tcp_rmem='4096 131072 33554432'
wants 'sysctl { values { key: "net.ipv4.tcp_rmem" value: "8192 87380 4194304" } never_lower: "net.ipv4.tcp_?mem"
	values { key: "net.ipv4.tcp_nonsense" value: "1" } values { key: "net.ipv4.tcp_low_latency" value: "1" } }'
expect 3 guest apply
item net.ipv4.tcp_rmem ok 'higher than the 8192 87380 4194304'
item net.ipv4.tcp_nonsense manual 'no such parameter in this kernel'
item net.ipv4.tcp_low_latency ok 'without effect since Linux 4.14'
[ "$(tr '\t' ' ' </proc/sys/net/ipv4/tcp_rmem)" = '8192 131072 33554432' ] || broken 'tcp_rmem was lowered'

note 'what a container may not: a value of the whole machine, then all of a read-only /proc/sys'
# Kernels before 6.11 show a namespace none of these at all.
wants 'sysctl { values { key: "net.core.rmem_max" value: "4194305" } values { key: "net.ipv4.tcp_sack" value: "0" } }'
expect 3 guest apply
item net.core.rmem_max manual "own network namespace|or not in this network namespace"
item net.ipv4.tcp_sack ok
sysctl -qw net.ipv4.tcp_sack=1 net.ipv4.conf.gdr0.arp_ignore=4
expect 0 mount --bind /proc/sys /proc/sys
expect 0 mount -o remount,bind,ro /proc/sys
wants "sysctl { $ARP values { key: \"net.ipv4.tcp_sack\" value: \"0\" } }"
expect 3 guest apply
item net.ipv4.tcp_sack manual '/proc/sys is read-only here, as in a container'
item gdr0/arp_ignore manual '/proc/sys is read-only here, as in a container'
item file ok
umount /proc/sys

note 'the worker: what is plugged in is put right as it comes, and so is what somebody changes'
wants "$LINK"
spawn worker "$BIN/gdr-guest" --config "$WORK/guest.yaml" worker
within 20 link gdr1 mtu 9000
ip link add gdr2 type veth peer name far2
within 20 link gdr2 mtu 9000 qlen 10000
within 20 is_up gdr2
within 20 test -e /etc/systemd/network/10-gdrfleet-gdr2.link
ip link set gdr0 mtu 1400
within 20 link gdr0 mtu 9000
ip link set gdr2 txqueuelen 500
within 20 link gdr2 qlen 10000
alive worker || broken 'the worker ended'
stop worker
note 'done'
