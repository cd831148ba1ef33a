#!/bin/bash
# crash.sh - kill -9 of gdrd, of comm and of worker, at any moment, ends in the same state as if nothing had happened;
# a fleet whose controller is away holds its state, and comes back by itself.
. "$(dirname "$0")/lib.sh"

# What a host is, without what differs from host to host and boot to boot.
state_of() {
	check_of "$1" -o yaml | grep -vE 'boot_id|hostname|reboots_used|uuid|guest_key' | sed "s/$1-gpu0/gpu0/"
}

note 'three hosts; while they converge, something is killed every moment'
fleet n1 n2 calm
end=$((SECONDS + 20))
kills=0
while [ $SECONDS -lt $end ]; do
	sleep "0.$((RANDOM % 10))"
	case $((RANDOM % 5)) in
	0)
		stop gdrd KILL
		spawn gdrd "$BIN/gdrd" --config "$WORK/gdrd.yaml"
		;;
	1) kill_half n1 worker ;;
	2) kill_half n2 worker ;;
	3) kill_half n1 comm ;;
	4) kill_half n2 comm ;;
	esac
	kills=$((kills + 1))
done
note "$kills kills"
within 20 gdrd_answers
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"

note 'the end is the same'
for host in n1 n2 calm; do
	expect 0 check_of $host
	expect 0 ctl node show $host
	says 'vela-a100@1'
	says '[Rr]eboots.* [12] of 3'
done
state_of calm >"$WORK/calm.state"
for host in n1 n2; do
	state_of $host >"$WORK/$host.state"
	diff "$WORK/calm.state" "$WORK/$host.state" || broken "$host is not like calm"
done
expect 0 sqlite3 "file:$WORK/gdrd/gdrd.db?mode=ro" 'pragma integrity_check'
says '^ok$'

note 'one kill at a time, of each, on a fleet that is settled'
boots="$(boot_of n1) $(boot_of n2)"
for half in worker comm; do
	within 10 half_of n1 "$half"
	pid=$OUT
	kill_half n1 "$half"
	other_pid() {
		local now
		now=$(half_of n1 "$half") && [ "$now" != "$pid" ]
	}
	within 10 other_pid
	within 10 ctl status
done
stop gdrd KILL
gdrd_up
within 15 ctl status
[ "$boots" = "$(boot_of n1) $(boot_of n2)" ] || broken 'a host rebooted for nothing'

note 'a backup while it runs is a database that gdrd starts with'
expect 0 "$BIN/gdrd" --config "$WORK/gdrd.yaml" backup "$WORK/backup.db"
expect 1 "$BIN/gdrd" --config "$WORK/gdrd.yaml" backup "$WORK/backup.db"
expect 0 ctl export
exported=$OUT

note 'after the backup, a change'
desired_of() {
	"$BIN/gdr-agent" --config "$(root_of "$1")/etc/gdrfleet/agent.yaml" desired
}
has_override() {
	desired_of n1 | grep -q 'version: .*overridden'
}
has_none() {
	desired_of n1 >/dev/null && ! has_override
}
has_none || broken 'n1 has an override already'
printf 'kind: Node\nname: n1\nprofile: vela-a100\noverride: {bios: {version: "overridden*"}}\n' >"$WORK/n1.yaml"
expect 0 ctl apply -f "$WORK/n1.yaml"
within 20 has_override

note 'the controller is away: the hosts hold what they are'
stop gdrd
want=$(pages n2)
pages n2 100
within 15 pages_are n2 "$want"
kill_half n2 worker
kill_half n2 comm
pages n2 100
within 20 pages_are n2 "$want"
within 10 check_of n2

note 'and come back by themselves, from the backup too'
cp "$WORK/backup.db" "$WORK/gdrd/gdrd.db"
rm -f "$WORK"/gdrd/gdrd.db-*
gdrd_up
within 30 ctl status
expect 0 ctl export
[ "$exported" = "$OUT" ] || broken 'the backup is not what was exported'
[ "$boots" = "$(boot_of n1) $(boot_of n2)" ] || broken 'a host rebooted for nothing'
within 20 has_none
note 'done'
