#!/bin/bash
# hostileguest.sh - a guest that is an attacker's: whatever its key can say reaches its own row and nobody else's, and costs
# the controller next to nothing.
. "$(dirname "$0")/lib.sh"
BAD=$BIN/badclient
for tool in "$BAD" curl python3; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done

# bad KEYFILE ACTION [ARGUMENT...]: its lines of answer into OUT.
bad() {
	run "$BAD" "tcp://127.0.0.1:$PORT" "$SERVER" "$@"
	[ "$RC" -eq 0 ] || broken 'badclient itself failed'
}
# key NAME: a key pair in WORK/NAME.key; prints the public half.
key() {
	"$BAD" "tcp://127.0.0.1:$PORT" "$SERVER" "$WORK/$1.key" hello nobody >/dev/null
	sed -nE "s/^public(_key)?: *['\"]?(.{40})['\"]?$/\2/p" "$WORK/$1.key"
}
lines() {
	wc -l <"$WORK/gdrd.log"
}
memory() {
	awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/${PID[gdrd]}/status"
}
rest() {
	curl -sS -m 10 "http://127.0.0.1:$((PORT + 3))$1"
}
# hears PATTERN KEYFILE NAME: the answer to its Hello.
hears() {
	bad "$2" hello "$3"
	grep -qE "$1" <<<"$OUT"
}
# unharmed: the others are as they were, everybody who asks is answered at once, and what is answered can be read.
unharmed() {
	local begun
	alive gdrd || broken 'gdrd ended'
	begun=$(date +%s%3N)
	node_is n1 ready || broken 'another node is no longer ready'
	for what in 'node list' drift 'event list' 'node show host/vm'; do
		# shellcheck disable=SC2086 # Words of a command.
		run ctl $what
		[ "$RC" -le 3 ] || broken "gdrctl $what"
		! LC_ALL=C grep -q $'[\x01-\x08\x0e-\x1f\x7f]' <<<"$OUT" || broken "gdrctl $what prints what a terminal obeys"
		[ "$(wc -c <<<"$OUT")" -lt 200000 ] || broken "gdrctl $what fills a screen with a guest's words"
	done
	rest /api/v1/nodes >"$WORK/nodes.json"
	expect 0 python3 -c 'import json, sys; json.load(open(sys.argv[1], encoding="utf-8"))' "$WORK/nodes.json"
	expect 0 rest /metrics
	[ $(($(date +%s%3N) - begun)) -lt $((5000 * PATIENCE)) ] || broken 'others had to wait'
}
# acknowledged: what n1's agent says next is on disk soon.
acknowledged() {
	expect 0 ctl node audit n1
	within 5 node_is_in n1 audit
	expect 0 ctl node release n1
	within 5 node_is_in n1 enforce
}
node_is_in() {
	rest "/api/v1/nodes/$1" | python3 -c 'import json, sys
node = json.load(sys.stdin)
sys.exit(0 if node["report"]["mode"] == sys.argv[1] else 1)' "$2"
}

note 'a host that is nobody, and a host with a guest'
fleet n1
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"
SERVER=$(sed -nE "s/^server_key: *['\"]?(.{40})['\"]?$/\1/p" "$WORK/n1.token")
host=$(key host) guest=$(key guest) other=$(key other)
expect 0 ctl node accept --name host -- "$host"
bad "$WORK/host.key" as host vms "vm=$guest"
says '^accepted'
within 10 hears '^accepted' "$WORK/guest.key" host/vm
before=$(memory) logged=$(lines)

note 'it says that it is another: a guest, its host, anybody'
for name in host host/vm2 n1 n1/vm host/../n1 '' gdrd; do
	bad "$WORK/guest.key" hello "$name"
	says '^refused'
done
bad "$WORK/guest.key" as host/vm vms "vm2=$other"
bad "$WORK/other.key" hello host/vm2
says 'not admitted|cut'
expect 1 ctl node show host/vm/vm2
unharmed

note 'what is no message, and too much of one'
bad "$WORK/guest.key" garbage 2000
bad "$WORK/guest.key" parts 5
bad "$WORK/guest.key" big 4000000
unharmed

note 'a report of 20,000 items, one of a megabyte of text, one that speaks to terminals'
bad "$WORK/guest.key" as host/vm items x
unharmed
bad "$WORK/guest.key" as host/vm text A
unharmed
bad "$WORK/guest.key" as host/vm bytes
unharmed
run ctl node show host/vm
says '0;owned'

note 'a flood, while a host reports'
spawn flood "$BAD" "tcp://127.0.0.1:$PORT" "$SERVER" "$WORK/guest.key" as host/vm flood 100000
acknowledged
unharmed
stop flood
[ "$(memory)" -lt $((before + 64 * PATIENCE)) ] || broken "gdrd grew from $before to $(memory) MiB"
[ $(($(lines) - logged)) -lt 30 ] || broken 'it logged more than once a burst'

note "a key that its host took away, or gave to another"
bad "$WORK/host.key" as host vms "vm=$other"
within 10 hears 'not admitted|cut' "$WORK/guest.key" host/vm
within 10 hears '^accepted' "$WORK/other.key" host/vm
bad "$WORK/host.key" as host vms "vm2=$guest"
within 10 hears 'not admitted|cut' "$WORK/other.key" host/vm
unharmed
note 'done'
