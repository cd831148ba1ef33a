#!/bin/bash
# quickstart.sh - the first command that a newcomer types, and what it promises: every item right after two reboots,
# what somebody changes by hand is put right or, in audit mode, only reported; run twice does no harm.
. "$(dirname "$0")/lib.sh"
free_ports
Q=$WORK/q
export GDRCTL_CONFIG=$Q/gdrctl.yaml
quickstart() {
	"$SOURCE/deploy/quickstart" "$@" --dir "$Q" --bin "$BIN"
}
end_quickstart() {
	local code=$?
	quickstart stop >/dev/null 2>&1
	(exit $code)
	finish
}
trap end_quickstart EXIT
root_of() {
	printf '%s\n' "$Q/hosts/$1"
}
note 'each program that it runs is one that it asks for'
for name in gdrd gdrctl gdr-agent gdr-guest gdr-simhost; do
	rm -rf "$WORK/programs"
	mkdir "$WORK/programs"
	ln -s "$BIN"/gdr* "$WORK/programs/"
	rm "$WORK/programs/$name"
	expect 1 "$SOURCE/deploy/quickstart" --dir "$Q" --bin "$WORK/programs"
	complains "no program .*/$name\$"
done

note 'two hosts'
expect 0 quickstart start --hosts 2 --port "$PORT"
says 'sim1 .*ready'
says 'sim2 .*ready'
[ "$SECONDS" -lt $((120 * PATIENCE)) ] || broken "it took $SECONDS s"

note 'every item is right, after one reboot'
expect 0 ctl status
expect 0 ctl drift
for host in sim1 sim2; do
	expect 0 check_of $host
	says ' 0 not; outcome: settled'
	expect 0 ctl node show $host
	says '[Rr]eboots.* 2 of 3'
done

note 'each has its VM, and it runs'
for host in sim1 sim2; do
	expect 0 "$BIN/gdr-simhost" vm "$(root_of $host)"
	says "$host-gpu0 .*running"
	expect 0 ctl vm list
	says "$host-gpu0 .*running"
done

note 'what the recipe says of the guest is an item each, and right'
expect 0 "$BIN/gdr-guest" --config "$(root_of sim1)/.sim/guests/sim1-gpu0/etc/gdrfleet/guest.yaml" check -o json
printf '%s\n' "$OUT" >"$WORK/guest.json"
expect 0 python3 "$SOURCE/tests/functional/recipe.py" "$WORK/guest.json" "$SOURCE/tests/golden/guest/recipe.txt" \
	"$SOURCE/../shared/samples/vela/settings.md"
note "$OUT"

note 'a second start changes nothing'
before=$(cat "$Q"/run/*.pid)
expect 0 quickstart start --hosts 2
[ "$before" = "$(cat "$Q"/run/*.pid)" ] || broken 'it started something again'
expect 0 quickstart status

# mended HOST PATTERN: an event tells that its agent had to put this right.
mended() {
	ctl event list -n 1000 --object "node/$1" | grep -E "node\.mended.*$2"
}

note 'huge pages taken away by hand are put back, which is an event'
want=$(pages sim1)
[ "$want" -ge 300 ] || broken "sim1 has $want pages on node 0"
pages sim1 100
within 15 pages_are sim1 "$want"
within 15 node_is sim1 ready
within 5 mended sim1 'hugepages: node0'
grep -q 'hugepages: node0 put right' "$Q"/hosts/sim1/var/log/worker.log || broken 'its agent did not say so'

note 'a register cleared by hand is set again'
expect 0 "$BIN/gdr-simhost" break "$(root_of sim1)" acs-cleared=all
within 15 check_of sim1
says 'pci .*/acs .* ok'
within 15 node_is sim1 ready
within 5 mended sim1 'pci: .*/acs'

note 'in audit mode it is only reported'
expect 0 ctl node audit sim2
within 10 ctl status
pages sim2 100
within 15 node_is sim2 drifted
expect 3 ctl status
expect 3 ctl drift
says 'hugepages'
throughout 5 pages_are sim2 100
expect 0 ctl node release sim2
within 15 node_is sim2 ready

note 'stop, and start again with the same data'
expect 0 mended sim1 .
told=$OUT
expect 0 quickstart stop
expect 3 quickstart status
expect 0 quickstart stop
says 'Nothing'
expect 0 quickstart start
expect 0 ctl node list
says 'sim1 .*ready'
expect 0 mended sim1 .
[ "$OUT" = "$told" ] || broken 'what was put right once is told again'
expect 0 ctl event list
says 'sim1'
expect 0 quickstart stop
note 'done'
