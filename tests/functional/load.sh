#!/bin/bash
# load.sh - hundreds of agents at one gdrd: all get their desired state, report what an eight-GPU host would, again and
# again, gdrd is killed in the middle, and all come back by themselves, paced.  LOAD_NODES=10000 for a longer look; the
# figures are printed, not judged.
. "$(dirname "$0")/lib.sh"
[ -x "$BIN/gdr-fleetsim" ] || { echo "skipped: no program $BIN/gdr-fleetsim"; exit 77; }
nodes=${LOAD_NODES:-300}
limit=$((60 + nodes / 100))

connected() {
	ctl status | grep -q "^$nodes nodes, $nodes connected"
}
ticks() {
	awk '{print $14 + $15}' "/proc/${PID[gdrd]}/stat"
}
# measure SECONDS TEXT: what gdrd takes of the machine meanwhile.
measure() {
	local before
	before=$(ticks)
	sleep "$1"
	note "$2: $((($(ticks) - before) / $1)) % of a core, $(awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/${PID[gdrd]}/status") MB"
}
# asked PATH: how long it takes to answer, the longest of five times.
asked() {
	local i all=''
	for ((i = 0; i < 5; i++)); do
		all+=$(curl -sS -m 20 -o "$WORK/body" -w '%{time_total} %{http_code} %{size_download}' "$URL$1")$'\n'
		sleep 0.3
	done
	grep -q ' 200 ' <<<"$all" || broken "$1 was not answered"
	note "$1: $(sort -n <<<"$all" | tail -n 1 | awk '{printf "at most %d ms, %d kB", $1 * 1000, $3 / 1024}')"
}

note "$nodes agents, each with an eight-GPU host's report"
report_make "$WORK/report.json"
settings
sed -i "s/^lease: .*/lease: $((1 + nodes / 400))s/; s/^lost_after: .*/lost_after: $((10 + nodes / 100))s/" "$WORK/gdrd.yaml"
URL=http://127.0.0.1:$((PORT + 3))
gdrd_up
expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
spawn fleetsim "$BIN/gdr-fleetsim" --context "$GDRCTL_CONFIG" --agents "tcp://127.0.0.1:$PORT" --profile vela-a100 \
	--nodes "$nodes" --like "$WORK/report.json" --run 1h --report 10s
within "$((3 * limit))" grep -q 'pushed, reported, committed' "$WORK/fleetsim.log"
expect 0 ctl status
cat "$WORK/fleetsim.log"

note 'at rest, and with something new of each every ten seconds'
measure 5 'leases alone'
kill -USR1 "${PID[fleetsim]}"
measure 5 'reports'
for path in summary matrix 'nodes?limit=100' nodes/load-00001; do
	asked "/api/v1/$path"
done
curl -sSN -m 5 "$URL/api/v1/stream" >"$WORK/stream" 2>/dev/null
note "the stream: $(grep -c '^id:' "$WORK/stream") messages and $(($(wc -c <"$WORK/stream") / 5120)) kB/s"
kill -USR1 "${PID[fleetsim]}"
sleep 0.2
note "$(tail -n 1 "$WORK/fleetsim.log")"

note 'gdrd is killed, and started again: everybody is back, and nobody was lost'
stop gdrd KILL
begun=$SECONDS
gdrd_up
note "it serves after $((SECONDS - begun)) s"
within "$limit" connected
note "all are back after $((SECONDS - begun)) s"
expect 0 ctl event list -n 1000
! says_lost=$(grep -c 'node.lost' <<<"$OUT") || broken "$says_lost nodes were called lost"

note 'and stay'
throughout $((5 * PATIENCE)) connected
stop fleetsim
grep -q "connected in the end *$nodes of $nodes" "$WORK/fleetsim.log" || broken 'not all were connected in the end'
note 'done'
