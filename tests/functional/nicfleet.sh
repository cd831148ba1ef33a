#!/bin/bash
# nicfleet.sh - NIC firmware settings in a fleet: a fresh host takes two reboots for everything, each granted and each
# said to be one of two, and a worker that is killed at any moment takes no more.
. "$(dirname "$0")/lib.sh"

note 'two fresh hosts; the worker of one is killed every moment'
# Without VMs: a card that has VFs is in use, and is not reset.
awk '/^  (vm|guest):/ { skip = 1; next } /^  [^ ]/ { skip = 0 } !skip' "$SOURCE/deploy/profiles/vela-a100.yaml" >"$WORK/host.yaml"
gdrd_up
expect 0 ctl apply -f "$WORK/host.yaml"
host_up n1
host_up n2
expect 0 ctl node assign n1 n2 vela-a100
end=$((SECONDS + 20))
while [ $SECONDS -lt $end ]; do
	sleep "0.$((RANDOM % 10))"
	kill_half n1 worker
done
expect 0 ctl status --wait --timeout "$((120 * PATIENCE))s"
for name in n1 n2; do
	expect 0 check_of "$name"
	says "^nic +0000:3f:00.1/MAX_ACC_OUT_READ +ok +44 +44"
done
expect 0 ctl node show n2
says '[Rr]eboots.* 2 of 3'
expect 0 ctl event list
says 'reboot 1 of 2'
says 'reboot 2 of 2'

note 'where the profile allows it, a firmware reset under a grant does instead of the reboot'
sed 's/^      unlock: .*/&\n      load: reset/; s/MAX_ACC_OUT_READ: 44/MAX_ACC_OUT_READ: 32/' \
	"$WORK/host.yaml" >"$WORK/reset.yaml"
mkdir -p "$(root_of n2)/etc/gdrfleet/hooks.d"
printf '%s\n' '#!/bin/sh' "echo \"\$1\" >>$WORK/hooks" >"$(root_of n2)/etc/gdrfleet/hooks.d/10-test"
chmod 755 "$(root_of n2)/etc/gdrfleet/hooks.d/10-test"
before=$(boot_of n2)
expect 0 ctl apply -f "$WORK/reset.yaml"
expect 0 ctl node assign n2 vela-a100@2
is_set() {
	check_of n2 | grep -qE "^nic +0000:93:00.1/MAX_ACC_OUT_READ +ok +$1 +$1"
}
within 60 is_set 32
within 60 node_is n2 ready
[ "$(boot_of n2)" = "$before" ] || broken 'it rebooted'
[ "$(paste -sd' ' "$WORK/hooks")" = 'before-reboot after-reboot' ] || broken "hooks: $(cat "$WORK/hooks")"
expect 0 ctl node reboots n2
says 'reboot 1 of 1'
says 'reboot-withdrawn'

note 'a reset that fails is followed by the reboot'
expect 0 "$BIN/gdr-simhost" break "$(root_of n2)" nic-reset-fails
sed -i 's/MAX_ACC_OUT_READ: 32/MAX_ACC_OUT_READ: 40/' "$WORK/reset.yaml"
expect 0 ctl apply -f "$WORK/reset.yaml"
expect 0 ctl node assign n2 vela-a100@3
within 60 is_set 40
within 60 node_is n2 ready
[ "$(boot_of n2)" != "$before" ] || broken 'it did not reboot'
expect 0 ctl node show n2
says '^NIC: +0000:3f:00.0 MCX623106AN-SIM, firmware 22.36.1010'

note 'an assignment to a revision without a setting puts back what was there, in reverse order, with its boots'
sed 's/^      unlock: .*/&\n      on_unset: restore/' "$WORK/host.yaml" >"$WORK/restore.yaml"
sed -E '/^ +(ADVANCED_PCI_SETTINGS|MAX_ACC_OUT_READ|P2P_ORDERING_MODE): /d; s/^( +)unlock: .*/\1on_unset: restore/' \
	"$WORK/host.yaml" >"$WORK/without.yaml"
card=$(root_of n1)/.sim/nic/0000:3f:00
# card_has PARAMETER CURRENT NEXT
card_has() {
	grep -qE "^$1 $2 $3$" "$card" || broken "not $1 $2 $3: $(grep "^$1 " "$card")"
}
# told_of NODE TEXT: gdrctl shows it of the node.
told_of() {
	ctl node show "$1" | grep -qF "$2"
}
before=$(boot_of n1)
sets=$(root_of n1)/.sim/nic/sets
expect 0 ctl apply -f "$WORK/restore.yaml"
expect 0 ctl node assign n1 vela-a100@4
within 60 node_is n1 ready
[ "$(boot_of n1)" = "$before" ] || broken 'it rebooted for a setting that is as it was'
card_has MAX_ACC_OUT_READ 44 44
written=$(grep -c . "$sets")
expect 0 ctl apply -f "$WORK/without.yaml"
expect 0 ctl node assign n1 vela-a100@5
within 20 told_of n1 'put back after MAX_ACC_OUT_READ'
within 60 node_is n1 ready
for name in ADVANCED_PCI_SETTINGS MAX_ACC_OUT_READ P2P_ORDERING_MODE; do
	card_has $name 0 0
done
card_has RDMA_SELECTIVE_REPEAT_EN 1 1
OUT=$(tail -n "+$((written + 1))" "$sets")
[ "$(grep -n MAX_ACC_OUT_READ <<<"$OUT" | tail -n 1 | cut -d: -f1)" -lt "$(grep -n ADVANCED_PCI_SETTINGS <<<"$OUT" | head -n 1 | cut -d: -f1)" ] ||
	broken 'the one that unlocks was put back before what it unlocks'
expect 0 ctl node show n1
says '[Rr]eboots.* 2 of 3'
expect 0 ctl node reboots n1
says 'reboot 2 of 2'
expect 0 check_of n1
if grep -q '0000:3f:00.0/MAX_ACC_OUT_READ' <<<"$OUT"; then broken 'what was put back is looked after still'; fi
