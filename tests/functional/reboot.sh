#!/bin/bash
# reboot.sh - no reboot without a grant, never more at once than the budget allows, hooks before and after, and a
# host that does not come back is reported.
. "$(dirname "$0")/lib.sh"
settings
cat >>"$WORK/gdrd.yaml" <<'TEXT'
reboot:
  max: 2
  per_label: {rack: "1"}
  deadline: 4s
TEXT
gdrd_up
expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
hook() { # NODE TEXT
	mkdir -p "$(root_of "$1")/etc/gdrfleet/hooks.d"
	printf '#!/bin/sh\n%s\n' "$2" >"$(root_of "$1")/etc/gdrfleet/hooks.d/10-test"
	chmod 755 "$(root_of "$1")/etc/gdrfleet/hooks.d/10-test"
}

note 'three hosts, two of them in one rack; one held, and one with a hook that says no'
for host in n1 n2 n3; do
	host_make $host
done
hook n1 "echo \"\$1\" >>$WORK/n1.hooks"
hook n3 'echo "guests are still running"; exit 1'
for host in n1 n2 n3; do
	host_up $host
done
expect 0 ctl node label n1 n2 rack=r1
expect 0 ctl node label n3 rack=r2
expect 0 ctl node hold n2 -m 'being looked at'
held=$(boot_of n2)
expect 0 ctl node assign n1 n2 n3 vela-a100

note 'the first goes, its hooks told before and after'
within 60 node_is n1 ready
[ "$(paste -sd' ' "$WORK/n1.hooks")" = 'before-reboot after-reboot before-reboot after-reboot' ] || broken "hooks: $(cat "$WORK/n1.hooks")"

note 'the third waits, and says why'
says_why() {
	ctl node show n3 | grep -q 'guests are still running'
}
within 20 says_why
[ "$(boot_of n2)" = "$held" ] || broken 'a held host rebooted'
hook n3 'exit 0'
within 60 node_is n3 ready

note 'released, the second goes too'
expect 0 ctl node release n2
within 60 node_is n2 ready
[ "$(boot_of n2)" != "$held" ] || broken 'it is ready without a boot'

note 'an operator asks for a reboot: one'
before=$(boot_of n1)
expect 0 ctl node reboot n1 --yes --wait --timeout "$((40 * PATIENCE))s"
after=$(boot_of n1)
[ "$before" != "$after" ] || broken 'it did not reboot'
sleep 3
[ "$(boot_of n1)" = "$after" ] || broken 'it rebooted twice'

note 'of one rack one at a time'
expect 0 ctl node reboot n1 n2 --yes
both() {
	[ "$(boot_of n1)" != "$after" ] && [ "$(boot_of n2)" != "$second" ]
}
second=$(boot_of n2)
for ((i = 0; i < 300 * PATIENCE; i++)); do
	both && break
	[ "$(ctl node list --state rebooting -o name | wc -l)" -le 1 ] || broken 'two of one rack are rebooting'
	sleep 0.1
done
both || broken 'they did not both reboot'
within 20 ctl status

note 'a host that does not come back is reported, and is well again when it does'
expect 0 "$BIN/gdr-simhost" break "$(root_of n3)" reboot-hang
expect 0 ctl node reboot n3 --yes
overdue() {
	ctl node show n3 | grep -qiE '(not|n.t) (come )?back|overdue'
}
within 30 overdue
expect 3 ctl status
says 'n3'
expect 0 "$BIN/gdr-simhost" mend "$(root_of n3)"
within 40 node_is n3 ready

note 'every reboot had its grant'
granted=$(ctl event list --limit 1000 | grep -c 'reboot-granted')
rebooted=$(ctl event list --limit 1000 | grep -c 'node.rebooted')
[ "$rebooted" -le "$granted" ] || broken "$rebooted reboots, $granted grants"
note 'done'
