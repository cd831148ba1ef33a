#!/bin/bash
# nic.sh - NIC firmware settings of one host, without a controller: right after exactly two reboots, and whatever is
# broken about a card or its tool ends in the right verdict, and without a set that is not needed.
. "$(dirname "$0")/lib.sh"

# Without the VM: its NICs' virtual functions take a kernel that is there between boots.
PROFILE=$WORK/vela-a100.yaml
awk '/^  vm:/ { exit } { print }' "$SOURCE/deploy/profiles/vela-a100.yaml" >"$PROFILE"
CARD=0000:3f:00 # The first of two.
OTHER=0000:93:00

H=$WORK/host
sim() {
	"$BIN/gdr-simhost" "$@"
}
agent() {
	"$BIN/gdr-agent" --config "$H/etc/gdrfleet/agent.yaml" "$@"
}
# host FAULT...: a new one, broken so.
host() {
	expect 0 sim create "$H" --name host --gpus 2 --nics "${NICS-2}"
	for fault; do
		expect 0 sim break "$H" "$fault"
	done
}
passes() {
	run agent apply --profile "${1-$PROFILE}"
}
boots() {
	passes "$@"
	says 'outcome: wants-reboot'
	sim boot "$H" || broken 'it does not boot'
}
# item PARAMETER FIX [HAVE]: of the first function of the first card, or the ADDRESS/PARAMETER given.
item() {
	local key=$1
	[[ $key == */* ]] || key=$CARD.0/$key
	says "^nic +$key +$2 +[^ ]+ +${3-}"
}
outcome() {
	says "outcome: $1"
}
sets() {
	[ -e "$H/.sim/nic/sets" ] && grep -c . "$H/.sim/nic/sets" || echo 0
}
sets_are() {
	[ "$(sets)" -eq "$1" ] || broken "$(sets) sets, not $1"
}
boots_are() {
	[ "$(cat "$H/.sim/boots")" -eq $(($1 + 1)) ] || broken "not $1 reboots"
}

note 'a dry run says what it would do and touches nothing'
host
: >"$WORK/made"
run agent check --profile "$PROFILE"
item ADVANCED_PCI_SETTINGS stage 'False\(0\)'
item MAX_ACC_OUT_READ boot hidden
says "mstconfig -d $CARD.0 -y set ADVANCED_PCI_SETTINGS=True ATS_ENABLED=True P2P_ORDERING_MODE=SECURE_NONE RDMA_SEL"
says "mstconfig -d $CARD.0 -y set MAX_ACC_OUT_READ=44"
says 'it takes 2 reboots'
sets_are 0
[ -z "$(find "$H" -newer "$WORK/made" -type f)" ] || broken "it touched $(find "$H" -newer "$WORK/made" -type f)"

for version in 4.21.0 4.36.0; do
	note "two reboots, one set a card before each, as mstconfig $version speaks"
	host
	echo $version >"$H/.sim/nic/version"
	boots
	item ADVANCED_PCI_SETTINGS boot
	item MAX_ACC_OUT_READ boot hidden
	sets_are 2
	boots
	item ADVANCED_PCI_SETTINGS ok
	item MAX_ACC_OUT_READ boot 0
	says 'it takes 1 reboot$'
	sets_are 4
	run agent check --profile "$PROFILE" -o json
	OUT=$(grep -A 6 -F "$CARD.0/MAX_ACC_OUT_READ\"" <<<"$OUT" | tr -d ' \n')
	says '"have":"44","fix":"none","factory":"0","next":"44"'
	passes
	outcome settled
	item MAX_ACC_OUT_READ ok 44
	boots_are 2
	passes
	sets_are 4
done

note 'firmware that shows the parameter early needs one'
host nic-shows-early
passes
outcome working
boots
passes
outcome settled
boots_are 1

note 'one card of four is dead: the others converge, and it says which and why'
NICS=4 host nic-sick-card=$CARD
boots
item ADVANCED_PCI_SETTINGS manual unknown
says 'Failed to open the device'
boots
passes
outcome stuck
for card in 0000:62:00 0000:93:00 0000:cc:00; do
	item $card.0/MAX_ACC_OUT_READ ok 44
	item $card.1/PCI_WR_ORDERING ok per_mkey
done
says "want True, have unknown"
boots_are 2

note 'a boot that loads nothing is not tried again'
host nic-not-loaded=$CARD
boots
boots
item ADVANCED_PCI_SETTINGS manual 'False\(0\)'
says 'power cycle the host'
item MAX_ACC_OUT_READ manual hidden
passes
outcome stuck
boots_are 2
expect 0 sim mend "$H" nic-not-loaded
expect 0 sim boot "$H"
boots
passes
outcome settled

note 'what no reboot would load is not answered by one, whichever function was told'
host nic-power-cycle
passes
item ADVANCED_PCI_SETTINGS manual
item $CARD.1/ATS_ENABLED manual
says 'a reboot would not load it, says the tool'
outcome wants-reboot # For the kernel's command line.
expect 0 sim boot "$H"
passes
outcome stuck
sets_are 2

note 'nor is what the tool did not prepare'
host nic-not-armed=$CARD
passes
item ADVANCED_PCI_SETTINGS manual
says 'a reboot of the host would not load it \(reset not prepared\)'
item $OTHER.0/ADVANCED_PCI_SETTINGS boot

note 'what cannot be read, or not be changed, is said; what is of no consequence is not'
host nic-unread=$CARD nic-read-only=$OTHER
passes
item ATS_ENABLED boot N/A
says 'stored for the next boot; what is in effect cannot be read'
item $OTHER.0/ATS_ENABLED manual 'False\(0\)'
says 'read-only on this card'
host nic-no-current=$CARD nic-partial=$OTHER
boots
item ATS_ENABLED boot
says 'stored for the next boot; what is in effect cannot be read'
item $OTHER.0/ATS_ENABLED boot
boots
passes
item ATS_ENABLED ok 'True\(1\)'
says 'stored; this firmware does not tell what is in effect'
item $OTHER.0/MAX_ACC_OUT_READ ok 44
outcome settled

note 'one function whose own setting was changed: that alone is set, and loaded by one boot'
host
boots
boots
sed -i 's/^PCI_WR_ORDERING.1 .*/PCI_WR_ORDERING.1 1 1/' "$H/.sim/nic/$CARD"
before=$(sets)
boots
item $CARD.1/PCI_WR_ORDERING boot 'force_relax\(1\)'
item PCI_WR_ORDERING ok
sets_are $((before + 1))
passes
outcome settled

note 'firmware that throws it away'
host nic-reverts=$CARD
boots
boots
passes
item ATS_ENABLED manual 'False\(0\)'
says 'it reverts it'
outcome stuck
boots_are 2
before=$(sets)
passes
sets_are "$before"

note 'a set that is refused half-way'
host nic-refuses=$CARD
passes
item ATS_ENABLED manual
says 'refused it \(other parts of the same set are stored\): Failed to set nv_pci_conf settings'
sets_are 3 # The other function tries for itself.
passes
sets_are 3
boots
passes
item ATS_ENABLED manual
outcome wants-reboot

note 'a set that says yes and stores nothing'
host nic-forgets=$CARD
passes
passes
item ATS_ENABLED manual
says 'set in this boot, but False\(0\) is stored'
before=$(sets)
passes
sets_are "$before"

note 'a tool that is too old, or locked out, or not there, or talks nonsense'
host nic-old-tool
passes
item RDMA_SELECTIVE_REPEAT_EN manual absent
says 'mstconfig knows no such parameter: the tool is too old'
item ATS_ENABLED boot
host nic-locked
passes
says 'may not write to the card.s registers'
mkdir -p "$H/sys/kernel/security"
echo 'none [integrity] confidentiality' >"$H/sys/kernel/security/lockdown"
passes
says 'the kernel is locked down \(Secure Boot\)'
host tool-missing=mstconfig
passes
item ATS_ENABLED manual unknown
says 'install mstflint'
host nic-garbage
passes
item ATS_ENABLED manual unknown
says 'no table of settings'
sets_are 0

note 'a card that hangs the tool costs one time-out, not one a function'
host nic-hangs=$CARD
echo 'tool_timeout: 2s' >>"$H/etc/gdrfleet/agent.yaml"
begun=$SECONDS
run agent check --profile "$PROFILE"
[ $((SECONDS - begun)) -lt $((6 * PATIENCE)) ] || broken 'it took too long'
item ATS_ENABLED manual unknown
says "not asked: $CARD.0 of the same card did not answer"
item $OTHER.0/ATS_ENABLED stage

note 'firmware: what runs, what is stored, what is demanded'
sed 's/^      unlock: .*/&\n      firmware: {min: 22.38.0}/' "$PROFILE" >"$WORK/newer.yaml"
host
run agent check --profile "$WORK/newer.yaml"
says "^nic +$CARD.0/firmware +manual +22.38.0 or newer +22.36.1010"
says 'burn the firmware that the profile asks for \(PSID MT_0000000359\)'
expect 0 sim break "$H" nic-burned=22.39.2048
run agent check --profile "$WORK/newer.yaml"
says '22.39.2048 is stored: a power cycle or a firmware reset runs it'
run agent inventory
says "^$CARD.0 +nic .* 22.36.1010 \\(22.39.2048 stored\\)"
expect 0 sim boot "$H"
run agent check --profile "$WORK/newer.yaml"
says "^nic +$CARD.0/firmware +ok +22.38.0 or newer +22.39.2048"

note 'a setting that is no longer wanted is put back, in reverse order'
sed 's/^      unlock: .*/&\n      on_unset: restore/' "$PROFILE" >"$WORK/restore.yaml"
awk '/^  nic:/ { skip = 1; next } /^  [^ ]/ { skip = 0 } !skip' "$PROFILE" >"$WORK/without.yaml"
host
boots "$WORK/restore.yaml"
boots "$WORK/restore.yaml"
passes "$WORK/restore.yaml"
outcome settled
boots "$WORK/without.yaml"
item MAX_ACC_OUT_READ boot 44
item ATS_ENABLED boot
item ADVANCED_PCI_SETTINGS boot 'True\(1\)'
says 'put back after MAX_ACC_OUT_READ'
boots "$WORK/without.yaml"
item ADVANCED_PCI_SETTINGS boot
passes "$WORK/without.yaml"
grep -q '^ATS_ENABLED 0 0$' "$H/.sim/nic/$CARD" || broken 'ATS_ENABLED was not put back'
grep -q '^MAX_ACC_OUT_READ 0 0$' "$H/.sim/nic/$CARD" || broken 'MAX_ACC_OUT_READ was not put back'
grep -q '^ADVANCED_PCI_SETTINGS 0 0$' "$H/.sim/nic/$CARD" || broken 'ADVANCED_PCI_SETTINGS was not put back'
passes "$WORK/without.yaml"
if grep -q '^nic ' <<<"$OUT"; then broken 'what was put back is looked after still'; fi
boots_are 4
