#!/bin/bash
# guest.sh - gdr-guest in a VM under emulation, with Debian's kernel and no system but it: it reads its credential from the
# firmware's OEM strings, and puts real drivers' interfaces right, with what they have less of, round and refuse.
. "$(dirname "$0")/../functional/lib.sh"

skip() {
	echo "skipped: $*"
	exit 77
}
for program in qemu-system-x86_64 busybox dpkg unshare; do
	command -v $program >/dev/null || skip "no $program (apt-get install qemu-system-x86 busybox-static)"
done
unshare -n true 2>/dev/null || skip 'no network namespace here, for the taps of the VM'

# --- a kernel: downloaded once, unpacked, never installed -----------------------------------------------------
K=${BUILD:-$SOURCE/build}/lab-kernel
fetch() {
	local package
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: //p' | head -n 1)
	mkdir -p "$K.new" && (cd "$K.new" && apt-get -q download "${package:-linux-image-cloud-amd64}" && dpkg -x ./*.deb . && rm ./*.deb) >"$WORK/fetch.log" 2>&1
}
[ -d "$K" ] || { rm -rf "$K.new" && fetch && mv "$K.new" "$K"; } || skip "no kernel: $(tail -n 1 "$WORK/fetch.log")"
kernel=$(find "$K/boot" -name 'vmlinuz-*' | head -n 1)
[ -n "$kernel" ] || skip "no kernel in $K"

# --- what is in it ---------------------------------------------------------------------------------------------
R=$WORK/root
mkdir -p "$R"/{bin,proc,sys,dev,run,tmp,modules,etc/gdrfleet,etc/sysctl.d,var/lib}
cp "$(command -v busybox)" "$R/bin/busybox"
cp "$BIN/gdr-guest" "$R/bin/"
for library in $(ldd "$BIN/gdr-guest" | grep -oE '/[^ ]+'); do
	mkdir -p "$R$(dirname "$library")"
	cp -L "$library" "$R$library"
done
MODULES='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net vmxnet3'
for module in $MODULES; do
	find "$K/lib/modules" -name "$module.ko" -exec cp {} "$R/modules/" \;
done
echo 'root:x:0:0::/:/bin/sh' >"$R/etc/passwd"
cat >"$R/etc/gdrfleet/guest.yaml" <<'TEXT'
user: root
TEXT
cat >"$R/first.yaml" <<'TEXT'
kind: Profile
name: first
spec:
  guest:
    link:
    - {match: {driver: virtio_net}, mtu: 9000, txqueuelen: 10000, ring: {rx: 512, tx: 8192}, up: true}
    - {match: {driver: vmxnet3}, mtu: 9000, ring: {rx: 136, tx: 1024}, up: true}
    sysctl: {values: {net.ipv4.conf.all.arp_ignore: "2", net.core.rmem_max: "4194304", net.ipv4.tcp_low_latency: "1"}}
TEXT
cat >"$R/second.yaml" <<'TEXT'
kind: Profile
name: second
spec:
  guest:
    link: [{match: {driver: vmxnet3}, ring: {rx: 200}}]
    sysctl: {values: {net.ipv4.tcp_congestion_control: nonsense}}
TEXT
cat >"$R/init" <<TEXT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
# Some need others, so twice.
for module in $MODULES $MODULES; do
	insmod /modules/\$module.ko 2>/dev/null
done
# step NAME COMMAND...: between two lines that the test looks for.
step() {
	echo "=== \$1"
	shift
	"\$@" 2>&1
	echo "=== exit \$?"
}
step join gdr-guest join
step oem sh -c 'tr "\\0" "\\n" </sys/firmware/dmi/entries/11-0/raw | sed -n "s/.*nccl-topology=//p" | base64 -d | sha256sum'
step queues ls /sys/class/net/eth0/queues
step look gdr-guest check --profile /first.yaml
step apply gdr-guest apply --profile /first.yaml
step again gdr-guest check --profile /first.yaml
step interfaces ip link show
step rmem cat /proc/sys/net/core/rmem_max
step file cat /etc/systemd/network/10-gdrfleet-eth0.link
ip link set eth0 mtu 1500 && step drift gdr-guest apply --profile /first.yaml
step second gdr-guest apply --profile /second.yaml
step files ls /etc/systemd/network
poweroff -f
TEXT
chmod +x "$R/init"
(cd "$R" && find . | busybox cpio -o -H newc) >"$WORK/initramfs" 2>/dev/null

# --- it runs ---------------------------------------------------------------------------------------------------
credential=$(base64 -w0 <<'TEXT'
node: lab/guest
agents: tcp://127.0.0.1:1
server_key: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
public_key: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
secret_key: "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
TEXT
)
# As long as a topology file of sixteen GPUs.
head -c 6000 "$kernel" >"$WORK/topology"
note 'a VM with two queues of virtio, a vmxnet3, and its credential in an OEM string, behind a long one'
spawn vm unshare -n qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35 -accel tcg,tb-size=64 -cpu max \
	-smp 2 -m 384M -kernel "$kernel" -initrd "$WORK/initramfs" \
	-append 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check audit=0 random.trust_cpu=on' \
	-smbios "type=11,value=io.systemd.credential.binary:gdrfleet.nccl-topology=$(base64 -w0 "$WORK/topology")" \
	-smbios "type=11,value=io.systemd.credential.binary:gdrfleet.guest=$credential" \
	-netdev tap,id=n0,queues=2,script=no,downscript=no,vhost=off \
	-device virtio-net-pci,netdev=n0,mq=on,vectors=6,rx_queue_size=1024,host_mtu=8000,romfile=,mac=52:54:00:00:00:10 \
	-netdev tap,id=n1,script=no,downscript=no,vhost=off -device vmxnet3,netdev=n1,romfile=,mac=52:54:00:00:00:11 \
	-chardev "file,id=console,path=$WORK/console.log" -serial chardev:console
ended() {
	! alive vm
}
within 120 ended
tr -d '\r' <"$WORK/console.log" >"$WORK/console.txt"
# step NAME STATUS: what the guest said in this step is the last output.
step() {
	OUT=$(sed -n "/^=== $1\$/,/^=== exit/p" "$WORK/console.txt")
	note "$1: $(grep -oE 'outcome: .*' <<<"$OUT")"
	says "^=== exit $2\$"
}
item() {
	grep -A1 -E "^(link|sysctl) +$1 +$2 +$3" <<<"$OUT" | tr '\n' ' ' | grep -E -- "${4-}" >/dev/null || broken "expected of $1: $2, $3, ${4-}"
}

step join 0
says 'joined as lab/guest'
step oem 0
says "^$(sha256sum <"$WORK/topology" | cut -d' ' -f1) "
step queues 0
says 'rx-1'
step look 3
item eth0/ring.rx live '512 +1024'
item eth0/ring.tx ok '256 +256' 'clamped: 8192 is wanted, the device can do 256 at most'
item eth0/mtu ok '8000 +8000' 'clamped: 9000 is wanted, the device can do 8000 at most'
item eth1/mtu live '9000 +1500'
step apply 0
item eth0/ring.rx ok '512 +512'
item eth1/ring.rx ok '136 +160' 'the driver rounds 136 to 160'
item eth1/ring.tx ok '1024 +1024'
item eth0/arp_ignore ok '2 +2'
step again 0
step interfaces 0
says 'eth0: <.*[,<]UP[,>].* mtu 8000 .* qlen 10000'
says 'eth1: <.*[,<]UP[,>].* mtu 9000 '
step rmem 0
says '^4194304$'
step file 0
says '^MACAddress=52:54:00:00:00:10$'
says '^RxBufferSize=512$'
step drift 0
item eth0/mtu ok '8000 +8000'

note 'what a driver rounds by the frame, and what the kernel refuses'
step second 3
item eth1/ring.rx ok '200 +288' 'the driver rounds 200 to 288'
says "error: net\.ipv4\.tcp_congestion_control: .*write 'nonsense': No such file or directory"
step files 0
grep -q eth0 <<<"$OUT" && broken 'a .link file outlived the wish'
note 'done'
