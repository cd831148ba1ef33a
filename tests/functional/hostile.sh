#!/bin/bash
# hostile.sh - who is not let in, and what a node that went bad can do: nothing beyond its own row, and nothing stops.
. "$(dirname "$0")/lib.sh"
BAD=$BIN/badclient
[ -x "$BAD" ] || { echo "skipped: no program $BAD"; exit 77; }

# bad KEYFILE ACTION [ARGUMENT]: its one line of answer into OUT.
bad() {
	run "$BAD" "tcp://127.0.0.1:${AT:-$PORT}" "$SERVER" "$@"
	[ "$RC" -eq 0 ] || broken 'badclient itself failed'
}
# public_of KEYFILE
public_of() {
	sed -nE "s/^public(_key)?: *['\"]?(.{40})['\"]?$/\2/p" "$1"
}
lines() {
	wc -l <"$WORK/gdrd.log"
}

note 'a host, and gdrd'
fleet n1
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"
SERVER=$(sed -nE "s/^server_key: *['\"]?(.{40})['\"]?$/\1/p" "$WORK/n1.token")
[ ${#SERVER} -eq 40 ] || broken 'no server key in the token'

note 'an unknown key is not admitted, and waits to be accepted'
bad "$WORK/evil.key" hello n9
says 'not admitted|cut'
expect 0 ctl node list --state pending -o wide
says '127\.0\.0\.1'
key=$(public_of "$WORK/evil.key")
[ ${#key} -eq 40 ] || broken 'no public key in its file'
expect 0 ctl node accept --name evil -- "$key"
bad "$WORK/evil.key" hello evil
says '^accepted'

note 'no key at all, and not even the protocol'
bad plain hello n1
says 'silence|not admitted|cut'
for _ in 1 2 3; do
	(exec 3<>"/dev/tcp/127.0.0.1/$PORT" && head -c 65536 /dev/urandom >&3) 2>/dev/null
done
within 5 node_is n1 ready

note 'a node that speaks for another'
bad "$WORK/evil.key" hello n1
says '^refused'
expect 0 ctl node show n1
says 'ready'

note 'what is no message, too much of one, and a message in parts'
before=$(lines)
bad "$WORK/evil.key" garbage 2000
bad "$WORK/evil.key" parts 5
bad "$WORK/evil.key" big 4000000
says 'cut|silence'
bad "$WORK/evil.key" report
alive gdrd || broken 'gdrd ended'
expect 0 ctl node show evil
[ $(($(lines) - before)) -lt 30 ] || broken 'it logged more than once a burst'

note 'a node key is no operator, and no token'
AT=$((PORT + 1)) bad "$WORK/evil.key" hello evil
says 'not admitted|cut'
AT=$((PORT + 2)) bad "$WORK/evil.key" hello evil
says 'not admitted|cut'

note 'a removed node is cut at once, and stays out'
expect 0 ctl node remove evil --yes
bad "$WORK/evil.key" hello evil
says 'not admitted|cut'
expect 0 ctl node remove n1 --yes
refused() {
	grep -q 'does not know our key' "$(root_of n1)/var/log/comm.log"
}
within 15 refused
expect 1 ctl node show n1

note 'n1 was removed in error: it waits, and is accepted'
key=$(public_of "$(root_of n1)/var/lib/gdrfleet-comm/key")
[ ${#key} -eq 40 ] || broken 'n1 has no key'
is_pending() {
	ctl node list --state pending -o json | grep -qF "$key"
}
within 60 is_pending
expect 0 ctl node accept --name n1 -- "$key"
expect 0 ctl node assign n1 vela-a100
within 60 node_is n1 ready
note 'a key that speaks from two places is reported'
cp "$(root_of n1)/var/lib/gdrfleet-comm/key" "$WORK/clone.key"
chmod 600 "$WORK/clone.key"
is_cloned() {
	bad "$WORK/clone.key" hello n1
	ctl event list | grep -q 'node\.cloned *node/n1'
}
within 20 is_cloned

alive gdrd || broken 'gdrd ended'
note 'done'
