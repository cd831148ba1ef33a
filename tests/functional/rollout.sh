#!/bin/bash
# rollout.sh - the scripted canary upgrade on real programs: a good revision ends with every node on it, also when gdrd
# is killed on the way; a bad one stops at the canary and leaves the fleet as it began; an owned node is nobody else's.
. "$(dirname "$0")/lib.sh"
export PATH=$BIN:$PATH SOAK=2s
upgrade() {
	"$SOURCE/deploy/examples/canary-upgrade.sh" "$SOURCE/deploy/examples/revisions/$1.yaml" fleet=f
}
all_on() {
	[ "$(ctl node list --state ready -o json | grep -c "\"profile\": \"$1\"")" -eq 3 ]
}

note 'three hosts, ready'
fleet n1 n2 n3
expect 0 ctl node label n1 n2 n3 fleet=f
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"

note 'nothing to do, and no node at all'
expect 0 ctl rollout plan vela-a100 -l fleet=f
says '3 are ready on it already'
expect 0 ctl rollout start vela-a100 -l fleet=f --wait
expect 1 ctl rollout start vela-a100 -l fleet=nowhere
complains 'no node fits'
expect 2 ctl rollout start vela-a100
expect 2 ctl rollout start vela-a100 -l fleet=f --waves 50%,10%
complains 'not more than'

# Whatever moment it is killed at, the outcome is the same.
RANDOM=${SEED:=$RANDOM}
note "gdrd will be killed at random moments: SEED=$SEED"
killed_now_and_then() {
	for _ in 1 2 3 4 5 6; do
		sleep "$((RANDOM % 3)).$((RANDOM % 10))"
		stop gdrd KILL
		gdrd_up
	done
}

note 'a bad revision stops at the canary and is rolled back, though gdrd is killed on the way'
before=$(ctl node list -o json | grep -E '"(name|profile|boot_id)"')
rc=0
upgrade bad >"$WORK/upgrade.log" 2>&1 &
upgrade=$!
within 20 ctl rollout show vela-a100-2
killed_now_and_then
wait $upgrade || rc=$?
[ $rc -eq 3 ] || broken "the upgrade ended with $rc, not 3"
expect 0 ctl rollout show vela-a100-2
says 'rolled-back'
says 'want 99.15'
within 20 all_on vela-a100@1
[ "$before" = "$(ctl node list -o json | grep -E '"(name|profile|boot_id)"')" ] || broken 'the fleet is not as it began'

note 'a good one goes through, though gdrd is killed on the way'
upgrade good >"$WORK/upgrade.log" 2>&1 &
upgrade=$!
is_running() {
	ctl rollout list -o json | grep -q '"running"'
}
within 20 is_running
node=$(ctl rollout show vela-a100-3 -o json | sed -n 's/^ *"name": "\(n[0-9]\)",*$/\1/p' | head -n 1)
expect 1 ctl node assign "$node" vela-a100@2
complains 'in the hands of rollout vela-a100-3'
killed_now_and_then
wait $upgrade || broken 'the upgrade did not end well'
all_on vela-a100@3 || broken 'not every node is on the new revision'
expect 0 ctl rollout list
says 'vela-a100-3 +succeeded'
expect 0 ctl rollout show vela-a100-3
says 'wave 1 pass'

note 'pause, resume, abort'
expect 0 ctl rollout start vela-a100@1 -l fleet=f --name home --soak 1h
expect 0 ctl rollout pause home -m 'wait a moment'
expect 3 ctl rollout wait home
complains 'wait a moment'
expect 1 ctl rollout resume home --seen 99
complains 'something was decided meanwhile'
expect 0 ctl rollout resume home
expect 0 ctl rollout abort home
expect 3 ctl rollout wait home
expect 1 ctl rollout rollback home
expect 0 ctl node assign n1 n2 n3 vela-a100@3
note 'done'
