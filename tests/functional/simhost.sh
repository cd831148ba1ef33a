#!/bin/bash
# simhost.sh - the simulated host itself: what it is made of, what a boot makes of what was staged, what its
# kernel does with what is written, and that every fault does what it says.
set -u
export LC_ALL=C
SOURCE=${SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-$SOURCE/build/bin}
SIM=$BIN/gdr-simhost
[ -x "$SIM" ] || { echo "skipped: no program $SIM"; exit 77; }
WORK=$(mktemp -d "${TMPDIR:-/tmp}/gdrfleet-simhost.XXXXXX") || exit 2
H=$WORK/h1
INIT=''

finish() {
	local code=$?
	[ -n "$INIT" ] && kill -TERM "$INIT" 2>/dev/null && wait "$INIT"
	if [ $code -eq 0 ]; then
		rm -rf "$WORK"
	else
		echo "simhost: everything is kept in $WORK"
	fi
	exit $code
}
trap finish EXIT

broken() {
	echo "simhost: FAILED: line ${BASH_LINENO[1]}: $*"
	exit 1
}
# ok COMMAND... / fails CODE COMMAND...
ok() {
	OUT=$("$@" 2>&1) || broken "exit $? of: $*: $OUT"
}
fails() {
	local code=$1 rc=0
	shift
	OUT=$("$@" 2>&1) || rc=$?
	[ $rc -eq "$code" ] || broken "exit $rc instead of $code of: $*: $OUT"
}
# is FILE TEXT: the host's file says so.  has / hasnt FILE REGEX.
is() {
	[ "$(cat "$H/$1")" = "$2" ] || broken "$1 is '$(cat "$H/$1")', not '$2'"
}
has() {
	grep -qE -- "$2" "$H/$1" || broken "$1 does not say $2"
}
hasnt() {
	! grep -qE -- "$2" "$H/$1" || broken "$1 says $2"
}
register() {
	[ "$("$SIM" peek "$H" "$1" "$2")" = "$3" ] || broken "$1 $2 is $("$SIM" peek "$H" "$1" "$2"), not $3"
}
driver() {
	local link
	link=$(readlink "$H/sys/bus/pci/devices/$1/driver")
	[ "${link##*/}" = "$2" ] || broken "$1 is bound to '${link##*/}', not '$2'"
}
within() {
	local limit=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || broken "not in time: $*"
		sleep 0.1
	done
}
reads() {
	[ "$(cat "$H/$1")" = "$2" ]
}
PAGES=hugepages/hugepages-1048576kB
NODES=sys/devices/system/node
GPU=0000:3d:00.0 PORT=0000:3c:00.0 NIC=0000:3f:00.0

# --- a fresh host -----------------------------------------------------------------------------
ok "$SIM" create "$H" --name h1
has proc/cpuinfo '^flags.* vmx .*pdpe1gb|^flags.* pdpe1gb .* vmx '
has proc/modules '^nouveau '
hasnt proc/cmdline 'iommu'
is $NODES/online 0-1
is $NODES/node1/$PAGES/nr_hugepages 0
has sys/class/dmi/id/bios_vendor Megatrends
[ -s "$H/sys/firmware/acpi/tables/DMAR" ] || broken 'no DMAR'
[ -z "$(ls "$H/sys/kernel/iommu_groups")" ] || broken 'IOMMU groups without an IOMMU'
[ "$(grep -l 0x20b2 "$H"/sys/bus/pci/devices/*/device | wc -l)" -eq 8 ] || broken 'not 8 GPUs'
[ "$(grep -l 0x1af1 "$H"/sys/bus/pci/devices/*/device | wc -l)" -eq 6 ] || broken 'not 6 NVSwitches'
[ "$(grep -l 0x101d "$H"/sys/bus/pci/devices/*/device | wc -l)" -eq 8 ] || broken 'not 4 NICs with two ports'
driver $GPU nouveau
driver $NIC mlx5_core
driver $PORT pcieport
register $PORT ECAP_ACS+4 005f
register $PORT ECAP_ACS+6 0000
register $NIC CAP_EXP+8 5937
register $NIC 68 5937
register $GPU ECAP_ATS+6 0000
fails 1 "$SIM" peek "$H" $PORT ECAP_ATS+6
fails 1 "$SIM" peek "$H" 0000:ff:00.0 0
if command -v lspci >/dev/null; then
	lspci -A linux-sysfs -O sysfs.path="$H/sys/bus/pci" -vvv -D >"$WORK/lspci" 2>/dev/null || broken 'lspci'
	grep -q 'Bus: primary=3a, secondary=3b, subordinate=3f' "$WORK/lspci" || broken 'bus numbers'
	grep -q 'Memory at .*(64-bit, prefetchable) \[size=128G\]' "$WORK/lspci" || broken 'BARs of the GPUs'
	grep -q 'Express (v2) Upstream Port' "$WORK/lspci" || broken 'no switch'
fi
fails 1 "$SIM" create "$WORK"
fails 2 "$SIM" create
fails 2 "$SIM" create "$WORK/x" --gpus 9
fails 2 "$SIM" mint "$H"
[[ $OUT == *"did you mean 'mend'"* ]] || broken "$OUT"

# --- staged, booted ----------------------------------------------------------------------------
first=$(cat "$H/proc/sys/kernel/random/boot_id")
stage() {
	# shellcheck disable=SC2016 # For the shell that reads it.
	printf 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT %s"\n' "$1" >"$H/etc/default/grub.d/60-test.cfg"
	ok "$H/.sim/bin/update-grub"
}
wanted='intel_iommu=on iommu=pt default_hugepagesz=1G hugepagesz=1G hugepages=750'
stage "$wanted vfio-pci.ids=10de:20b2,10de:1af1 modprobe.blacklist=nouveau"
has boot/grub/grub.cfg '^	linux	/boot/vmlinuz-5.15.* hugepages=750 '
hasnt proc/cmdline hugepages
fails 1 "$SIM" peek "$H" $NIC ECAP_ATS+6 # Its firmware has ATS switched off.
ok "$H/.sim/bin/mstconfig" -d $NIC -y set ATS_ENABLED=True
ok "$SIM" reboot "$H"
[ "$first" != "$(cat "$H/proc/sys/kernel/random/boot_id")" ] || broken 'the same boot'
has proc/cmdline '^BOOT_IMAGE=/boot/vmlinuz-.* iommu=pt .*hugepages=750 '
hasnt proc/modules '^nouveau '
is $NODES/node0/$PAGES/nr_hugepages 375
is $NODES/node1/$PAGES/free_hugepages 375
has proc/meminfo '^HugePages_Total: +750$'
has proc/meminfo '^Hugepagesize: +1048576 kB$'
driver $GPU vfio-pci
driver 0000:b7:00.0 vfio-pci
driver $NIC mlx5_core
is sys/bus/pci/devices/$GPU/iommu_group/type identity
register $PORT ECAP_ACS+6 001d
register $GPU ECAP_ATS+6 8000
register $NIC ECAP_ATS+6 8000
stage "intel_iommu=on hugepagesz=1G hugepages=0:10,1:20 vfio-pci.ids=10de:20b2 rdblaclist=nouveau"
ok "$SIM" boot "$H"
is $NODES/node0/$PAGES/nr_hugepages 10
is $NODES/node1/$PAGES/nr_hugepages 20
is sys/bus/pci/devices/$NIC/iommu_group/type DMA-FQ
driver $GPU nouveau # The recipe's misspelt parameter keeps nothing away.
driver 0000:b7:00.0 ''
mkdir -p "$H/etc/modprobe.d"
echo 'blacklist nouveau' >"$H/etc/modprobe.d/gdr.conf"
stage "$wanted vfio-pci.ids=10de:20b2"
ok "$SIM" boot "$H"
driver $GPU vfio-pci

# --- faults ------------------------------------------------------------------------------------
ok "$SIM" faults
fails 1 "$SIM" break "$H" bios-vm
[[ $OUT == *"did you mean 'bios-vmx'"* ]] || broken "$OUT"
fails 1 "$SIM" break "$H" gid-gone
[[ $OUT == *'a fault of guests'* ]] || broken "$OUT"
fails 1 "$SIM" break "$H/vm0" gid-gone
ok "$SIM" break "$H" bios-vmx bios-mrrs bios-4g bios-sriov acs-dt-missing=$PORT no-hugepages=20 ats-off
has proc/cpuinfo '^flags.* vmx '
ok "$SIM" boot "$H"
hasnt proc/cpuinfo '^flags.* vmx '
register $NIC CAP_EXP+8 2937
register $PORT ECAP_ACS+4 001f
register 0000:3c:04.0 ECAP_ACS+4 005f
register $GPU ECAP_ATS+6 0000
has sys/bus/pci/devices/$GPU/resource '^0x0000000000000000 0x0000000000000000 0x0000000000000000$'
[ ! -e "$H/sys/bus/pci/devices/$NIC/sriov_totalvfs" ] || broken 'SR-IOV is not off'
[ "$(cat "$H/$NODES/node0/$PAGES/nr_hugepages")" -lt 110 ] || broken 'too many pages'
ok "$SIM" mend "$H"
ok "$SIM" break "$H" bios-iommu
ok "$SIM" boot "$H"
has proc/cpuinfo '^flags.* vmx '
[ -z "$(ls "$H/sys/kernel/iommu_groups")" ] || broken 'IOMMU groups without a DMAR'
register $PORT ECAP_ACS+6 0000
driver $GPU ''
ok "$SIM" mend "$H" bios-iommu
ok "$SIM" boot "$H"
ok "$SIM" poke "$H" $PORT ECAP_ACS+6 005d
ok "$SIM" break "$H" acs
register $PORT ECAP_ACS+6 001d
ok "$SIM" break "$H" bios-vmx bios-mrrs --now
register $NIC CAP_EXP+8 2937
hasnt proc/cpuinfo '^flags.* vmx '
ok "$SIM" mend "$H" --now
register $NIC CAP_EXP+8 5937
fails 1 "$SIM" break "$H" bios-iommu --now
ok "$SIM" break "$H" hugepage-stolen=5
is $NODES/node0/$PAGES/nr_hugepages 370
ok "$SIM" break "$H" cmdline-ignored
stage quiet
ok "$SIM" boot "$H"
hasnt proc/cmdline quiet
ok "$SIM" mend "$H"
ok "$SIM" boot "$H"
has proc/cmdline quiet
before=$(cat "$H/boot/grub/grub.cfg")
echo 'GRUB_CMDLINE_LINUX_DEFAULT=nosmt' >"$H/etc/default/grub.d/60-test.cfg"
ok "$SIM" break "$H" update-grub-fails
fails 1 "$H/.sim/bin/update-grub"
ok "$SIM" mend "$H"
ok "$SIM" break "$H" update-grub-lies
ok "$H/.sim/bin/update-grub"
[ "$before" = "$(cat "$H/boot/grub/grub.cfg")" ] || broken 'it did not lie'
ok "$SIM" mend "$H"
ok "$SIM" break "$H" update-grub-hangs
fails 124 timeout 1 "$H/.sim/bin/update-grub"
ok "$SIM" mend "$H"
ok "$SIM" break "$H" tool-missing
[ ! -e "$H/.sim/bin/update-grub" ] || broken 'the tool is there'
ok "$SIM" mend "$H"
ok "$H/.sim/bin/update-grub"
echo 'GRUB_CMDLINE_LINUX_DEFAULT="unclosed' >"$H/etc/default/grub.d/60-test.cfg"
fails 2 "$H/.sim/bin/update-grub"

# --- a running host ----------------------------------------------------------------------------
stage "$wanted vfio-pci.ids=10de:20b2,10de:1af1"
cat >"$WORK/agent" <<'TEXT'
#!/bin/sh
echo "$@"
trap 'exit 0' TERM
while :; do sleep 0.1; done
TEXT
chmod +x "$WORK/agent"
fails 1 "$SIM" run "$H" --agent "$WORK/none"
ok "$SIM" boot "$H"
"$SIM" run "$H" --agent "$WORK/agent" --reboot-time 300ms --log "$WORK/run.log" &
INIT=$!
within 10 grep -q 'agent.yaml worker' "$H/var/log/worker.log"
within 10 grep -q 'agent.yaml comm' "$H/var/log/comm.log"
fails 1 "$SIM" run "$H" --agent "$WORK/agent"
fails 1 "$SIM" boot "$H"
echo 600 >"$H/$NODES/node0/$PAGES/nr_hugepages"
within 5 reads $NODES/node0/$PAGES/nr_hugepages 488
within 5 reads $NODES/node0/$PAGES/free_hugepages 488
is sys/kernel/mm/$PAGES/nr_hugepages 863
echo 101 >"$H/proc/sys/vm/nr_hugepages"
within 5 reads $NODES/node0/$PAGES/nr_hugepages 51
within 5 reads $NODES/node1/$PAGES/nr_hugepages 50
echo 2 >"$H/sys/bus/pci/devices/$NIC/sriov_numvfs"
within 5 test -L "$H/sys/bus/pci/devices/0000:3f:00.3/driver"
[ -e "$H/sys/bus/pci/devices/0000:3f:00.2/physfn/sriov_totalvfs" ] || broken 'a VF without a PF'
echo 3 >"$H/sys/bus/pci/devices/$NIC/sriov_numvfs" # Only through 0.
within 5 reads sys/bus/pci/devices/$NIC/sriov_numvfs 2
echo vfio-pci >"$H/sys/bus/pci/devices/0000:3f:00.2/driver_override"
echo 0000:3f:00.2 >"$H/sys/bus/pci/drivers/mlx5_core/unbind"
within 5 test ! -L "$H/sys/bus/pci/devices/0000:3f:00.2/driver"
echo 0000:3f:00.2 >"$H/sys/bus/pci/drivers_probe"
within 5 test -L "$H/sys/bus/pci/drivers/vfio-pci/0000:3f:00.2"
ok "$SIM" poke "$H" $PORT ECAP_ACS+6 00ff
settled() { [ "$("$SIM" peek "$H" $PORT ECAP_ACS+6)" = 005f ]; }
within 5 settled

another_boot() { [ "$first" != "$(cat "$H/proc/sys/kernel/random/boot_id")" ]; }
first=$(cat "$H/proc/sys/kernel/random/boot_id")
ok "$SIM" break "$H" reboot-ignored
ok "$H/.sim/bin/systemctl" reboot
sleep 1
! another_boot || broken 'it was not ignored'
ok "$SIM" mend "$H"
ok "$SIM" break "$H" reboot-hang
ok "$H/.sim/bin/systemctl" --no-wall reboot
within 10 grep -q 'hangs' "$WORK/run.log"
! another_boot || broken 'it did not hang'
ok "$SIM" mend "$H"
within 10 another_boot
fails 1 "$H/.sim/bin/systemctl" restart ssh
[ ! -e "$H/sys/bus/pci/devices/0000:3f:00.2" ] || broken 'VFs outlived a boot'
register $PORT ECAP_ACS+6 001d
is $NODES/node0/$PAGES/nr_hugepages 375
twice() { [ "$(grep -c 'agent.yaml worker' "$H/var/log/worker.log")" -ge 2 ]; }
within 10 twice
kill -TERM "$INIT"
wait "$INIT" || broken "run ended with $?"
INIT=''
grep -q 'stopped$' "$WORK/run.log" || broken 'it did not stop in order'
