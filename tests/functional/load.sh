#!/bin/bash
# load.sh - hundreds of agents at one gdrd: all get their desired state, gdrd is killed in the middle, and all come
# back by themselves, paced.  LOAD_NODES=3000 for a longer look; the figures are printed, not judged.
. "$(dirname "$0")/lib.sh"
[ -x "$BIN/gdr-fleetsim" ] || { echo "skipped: no program $BIN/gdr-fleetsim"; exit 77; }
nodes=${LOAD_NODES:-300}
hold=$((20 * PATIENCE))

connected() {
	ctl status | grep -q "^$nodes nodes, $nodes connected"
}

note "$nodes agents, 100 let in a second"
settings
printf 'admit_per_second: 100\n' >>"$WORK/gdrd.yaml"
gdrd_up
expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
spawn fleetsim "$BIN/gdr-fleetsim" --context "$GDRCTL_CONFIG" --agents "tcp://127.0.0.1:$PORT" --profile vela-a100 \
	--nodes "$nodes" --run "${hold}s"
within 60 grep -q 'pushed, reported, committed' "$WORK/fleetsim.log"
expect 0 ctl status
cat "$WORK/fleetsim.log"

note 'gdrd is killed, and started again: everybody is back, and nobody was lost'
stop gdrd KILL
gdrd_up
begun=$SECONDS
within 60 connected
note "back after $((SECONDS - begun)) s"
expect 0 ctl event list -n 1000
! says_lost=$(grep -c 'node.lost' <<<"$OUT") || broken "$says_lost nodes were called lost"
expect 0 ctl status

note 'and stay'
ended() { ! alive fleetsim; }
within $((hold + 30)) ended
grep -q "connected in the end *$nodes of $nodes" "$WORK/fleetsim.log" || broken 'not all were connected in the end'
note 'done'
