#!/bin/bash
# stalled.sh - HTTP clients that stop reading, that never end a request, that say nothing, while hundreds of agents
# report: agents are acknowledged as before, memory is bounded, the clients are cut, and who was cut from the stream goes
# on where it ended or is told that it cannot.
. "$(dirname "$0")/lib.sh"
[ -x "$BIN/gdr-fleetsim" ] || { echo "skipped: no program $BIN/gdr-fleetsim"; exit 77; }
for tool in curl python3; do
	command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
nodes=${LOAD_NODES:-300}
settings
URL=http://127.0.0.1:$((PORT + 3))
sed -i "s|^web: .*|web: {listen: \"127.0.0.1:$((PORT + 3))\", patience: 2s}|; s/^lost_after: .*/lost_after: 60s/" "$WORK/gdrd.yaml"

# acknowledged: how reports were since it was last asked; WORST: 99 of 100 took no longer, in ms.
acknowledged() {
	local lines
	lines=$(grep -c '^acknowledged' "$WORK/fleetsim.log")
	kill -USR1 "${PID[fleetsim]}"
	within 5 more_lines "$lines"
	ACKS=$(grep '^acknowledged' "$WORK/fleetsim.log" | tail -n 1)
	WORST=$(sed -nE 's/.*99 % ([0-9]+) ms.*/\1/p' <<<"$ACKS")
}
more_lines() {
	[ "$(grep -c '^acknowledged' "$WORK/fleetsim.log")" -gt "$1" ]
}
memory() {
	awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/${PID[gdrd]}/status"
}
# hostile KIND COUNT SECONDS: agents do not notice; SAID is what the clients say.
hostile() {
	acknowledged
	expect 0 python3 "$SOURCE/tests/functional/badhttp.py" "$((PORT + 3))" "$1" "$2" "$3"
	SAID=$OUT
	acknowledged
	note "$2 $1: $ACKS; gdrd has $(memory) MB"
	[ "$WORST" -lt $((1000 * PATIENCE)) ] || broken "$1 clients keep agents waiting"
	[ "$(memory)" -lt $((before + 100 * PATIENCE)) ] || broken "$1 clients make gdrd grow"
}
all_cut() {
	grep -qx "cut $1" <<<"$SAID" || broken "not all $1 were cut, but only those: $SAID"
}

note "$nodes agents, each with something new every second"
gdrd_up
expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
spawn fleetsim "$BIN/gdr-fleetsim" --context "$GDRCTL_CONFIG" --agents "tcp://127.0.0.1:$PORT" --profile vela-a100 \
	--nodes "$nodes" --run 1h --report 1s
within 90 grep -q 'pushed, reported, committed' "$WORK/fleetsim.log"
sleep 1
acknowledged
sleep 3
acknowledged
before=$(memory)
note "alone: $ACKS; gdrd has $before MB"

note 'pages that stop reading'
hostile stalled 60 9
all_cut 60
id=$(sed -n 's/^ID //p' <<<"$SAID")
[ -n "$id" ] || broken 'the stream said nothing'

note 'the one that was cut goes on from what it had seen'
run curl -sSN -m 2 -H "Last-Event-ID: $id" "$URL/api/v1/stream"
[ "$(sed -n 's/^event: //p' <<<"$OUT" | head -n 1)" = change ] || broken 'it was not told what it missed'
missed=$(grep -oE '"name": "load-[0-9]+"' <<<"$OUT" | sort -u | wc -l)
[ "$missed" -ge $((nodes * 9 / 10)) ] || broken "it was told of $missed nodes alone"

note 'requests without an end, and connections without a word'
hostile slow 100 5
hostile mute 1000 5
within 15 curl -sSf -m 5 -o /dev/null "$URL/api/v1/summary"

note 'a gdrd that was started anew cannot go on from there, and says so'
stop gdrd
gdrd_up
run curl -sSN -m 2 -H "Last-Event-ID: $id" "$URL/api/v1/stream"
[ "$(sed -n 's/^event: //p' <<<"$OUT" | head -n 1)" = reset ] || broken 'it goes on from another gdrd'"'"'s place'

note 'and no agent was lost'
everybody() {
	ctl status | grep -q "^$nodes nodes, $nodes connected"
}
within 30 everybody
throughout 2 everybody # The last welcome arrives, too.
stop fleetsim
grep -q "connected in the end *$nodes of $nodes" "$WORK/fleetsim.log" || broken 'not all were connected in the end'
expect 0 ctl event list -n 1000
! grep -q 'node.lost' <<<"$OUT" || broken 'nodes were called lost'
note 'done'
