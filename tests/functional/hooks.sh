#!/bin/bash
# hooks.sh - what a rollout has run on the controller: nodes are drained before they are moved and undrained when they
# are done, checks are asked after the soak, programs are told; and the examples against tools that play along.
. "$(dirname "$0")/lib.sh"
HOOKS=$WORK/rollout-hooks
hook() { # NAME, its text on stdin
	{ printf '#!/bin/sh\nset -u\n' && cat; } >"$HOOKS/$1"
	chmod 755 "$HOOKS/$1"
}
rollout() {
	local name=$1
	shift
	expect "$EXPECT" ctl rollout start "${TO:-vela-a100}" -l fleet=f --name "$name" --canary 1 --soak 1s --wait --timeout "$((60 * PATIENCE))s" "$@"
}
revise() { # a new revision that asks no reboot and changes nothing on the hosts
	sed "s/^description:.*/description: revision $1/" "$SOURCE/deploy/profiles/vela-a100.yaml" >"$WORK/profile.yaml"
	expect 0 ctl apply -f "$WORK/profile.yaml"
}

note 'two hosts, ready'
mkdir -p "$HOOKS"
settings
printf 'hooks: %s\nhook_timeout: %ds\nhook_retry: 300ms\n' "$HOOKS" "$PATIENCE" >>"$WORK/gdrd.yaml"
fleet n1 n2
expect 0 ctl node label n1 n2 fleet=f
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"

note 'drained, moved, checked, undrained, told'
hook drain <<TEXT
echo "\$1 \$2 \$GDR_ROLLOUT" >>"$WORK/drains"
if [ "\$1" = drain ] && [ ! -e "$WORK/empty.\$2" ]; then : >"$WORK/empty.\$2"; echo 'jobs still run'; exit 75; fi
# What the node was asked for while it was being drained.
[ "\$1" = undrain ] || "$BIN/gdrctl" --config "$GDRCTL_CONFIG" node list -o json >"$WORK/seen.\$2"
TEXT
hook check <<TEXT
echo "\$# \$1 \$2" >>"$WORK/checks"
echo 'some noise'; echo 'error rate 0.01'
TEXT
hook tell <<TEXT
echo "\$1" >>"$WORK/told"
TEXT
revise 2
EXPECT=0 rollout first --drain drain --check 'check two words' --notify tell
for node in n1 n2; do
	[ "$(grep -c "^drain $node first" "$WORK/drains")" -ge 2 ] || broken "$node was not asked twice"
done
grep -q '"profile": "vela-a100@1"' "$WORK/seen.n1" || broken 'n1 was moved before it was empty'
undrained() {
	grep -qx 'undrain n1 first' "$WORK/drains" && grep -qx 'undrain n2 first' "$WORK/drains"
}
within 10 undrained
[ "$(grep -cx '2 two words' "$WORK/checks")" -eq 2 ] || broken 'the check was not asked once a wave, with its words'
expect 0 ctl rollout show first
says 'check: error rate 0.01'
told() {
	[ "$(tail -n 1 "$WORK/told")" = succeeded ] && grep -qx running "$WORK/told"
}
within 10 told

note 'a check that fails stops it; what was moved goes back'
hook check <<TEXT
echo 'error rate 7'; exit 1
TEXT
revise 3
EXPECT=3 rollout second --check check --on-failure rollback
expect 0 ctl rollout show second
says 'rolled-back'
says 'check check failed: error rate 7'
expect 0 ctl node list --state ready -o json
[ "$(grep -c '"profile": "vela-a100@2"' <<<"$OUT")" -eq 2 ] || broken 'not both are back'

note 'a check that hangs, is not there, or that others may write never passes'
hook check <<'TEXT'
sleep 60 & wait
TEXT
hook unsafe </dev/null
chmod 777 "$HOOKS/unsafe"
EXPECT=3 rollout third --check absent
expect 0 ctl rollout show third
says 'cannot tell: .*absent: No such file'
expect 0 ctl rollout abort third
EXPECT=3 rollout fourth --check unsafe
expect 0 ctl rollout show fourth
says 'others may change it'
expect 0 ctl rollout abort fourth
EXPECT=3 TO=vela-a100@2 rollout fifth --check check
expect 0 ctl rollout show fifth
says 'it took too long'
expect 0 ctl rollout abort fifth
pgrep -f "$HOOKS/check" >/dev/null && broken 'a hung check outlived its time'

note 'who was drained before stays so; who cannot be drained is left out'
hook drain <<TEXT
echo "\$1 \$2" >>"$WORK/drains2"
[ "\$2" = n1 ] || exit 3
echo 'cannot drain n1'; exit 1
TEXT
revise 4
EXPECT=0 rollout sixth --drain drain --node-deadline 3s --canary 0
expect 0 ctl rollout show sixth
says 'succeeded-with-exempt'
says 'n1 .*skipped.*not empty by its deadline: cannot drain n1'
sleep 2
grep -q 'undrain n2' "$WORK/drains2" && broken 'somebody else drained n2, and it was undrained'

note 'a window that is shut lets nothing through'
cat >"$WORK/window.yaml" <<TEXT
kind: Window
name: later
time_zone: Europe/Berlin
hours: [{days: [$(date -u -d '+3 days' +%a | tr '[:upper:]' '[:lower:]')], start: "12:00", duration: 1h}]
TEXT
expect 0 ctl apply -f "$WORK/window.yaml"
expect 0 ctl window list
says 'later +opens in .*12:00 for 1h'
expect 0 sh -c "'$BIN/gdrctl' export | '$BIN/gdrctl' apply -f -"
says 'window/later +unchanged'
expect 1 ctl rollout start vela-a100 -l fleet=f --window latr
complains "no window 'latr'"
expect 0 ctl rollout start vela-a100@1 -l fleet=f --name night --window later
sleep 2
expect 0 ctl rollout show night
says 'Blocked by: +window later opens at'
expect 0 ctl node list -o json
grep -q '"profile": "vela-a100@1"' <<<"$OUT" && broken 'a node was moved outside of the window'
expect 1 ctl window remove later
complains "rollout night's"

note 'one that supersedes takes over'
expect 1 ctl rollout start vela-a100@2 -l fleet=f
complains '--supersede'
EXPECT=0 rollout seventh --supersede
expect 0 ctl rollout show night
says 'superseded.*by rollout seventh'
expect 0 ctl window remove later

note 'the examples, against tools that play along'
tools=$WORK/tools
mkdir "$tools"
tool() {
	{ printf '#!/bin/sh\n' && cat; } >"$tools/$1"
	chmod 755 "$tools/$1"
}
example() {
	local name=$1
	shift
	PATH=$tools:$PATH GDR_ROLLOUT=r GDR_PROFILE=p@2 run "$SOURCE/deploy/examples/hooks/$name" "$@"
}
ends() { # CODE PATTERN
	[ "$RC" -eq "$1" ] || broken "expected exit $1"
	grep -qE -- "$2" <<<"$OUT$ERR" || broken "expected '$2'"
}
tool scontrol <<TEXT
[ "\$1" = show ] || { echo "\$*" >>"$WORK/slurm"; exit 0; }
cat "$WORK/slurm.node"
TEXT
printf 'NodeName=n1 Arch=x86_64 State=ALLOCATED ThreadsPerCore=2\n' >"$WORK/slurm.node"
example slurm drain n1; ends 75 'jobs still run'
grep -qx 'update NodeName=n1 State=DRAIN Reason=gdrfleet rollout r' "$WORK/slurm" || broken 'slurm: not drained'
printf 'NodeName=n1 State=IDLE+DRAIN Reason=gdrfleet rollout r [root@2026-11-24]\n' >"$WORK/slurm.node"
example slurm drain n1; ends 0 ''
example slurm undrain n1; ends 0 ''
grep -qx 'update NodeName=n1 State=RESUME' "$WORK/slurm" || broken 'slurm: not resumed'
printf 'NodeName=n1 State=IDLE+DRAIN Reason=bad disk [ann@2026-11-20]\n' >"$WORK/slurm.node"
: >"$WORK/slurm"
example slurm drain n1; ends 3 'drained before: bad disk'
example slurm undrain n1; ends 0 ''
[ ! -s "$WORK/slurm" ] || broken "slurm: somebody else's drain was changed"

tool kubectl <<TEXT
case "\$*" in
*unschedulable*) cat "$WORK/cordoned" ;;
*annotations*) cat "$WORK/ours" ;;
'drain n1 '*) [ ! -e "$WORK/pods" ] || { echo 'error: cannot evict pod a: budget'; exit 1; } ;;
*) echo "\$*" >>"$WORK/kubectl" ;;
esac
TEXT
: >"$WORK/cordoned"; : >"$WORK/ours"; : >"$WORK/pods"
example kubernetes drain n1; ends 75 'cannot evict'
rm "$WORK/pods"
example kubernetes drain n1; ends 0 ''
grep -qx 'annotate --overwrite node n1 gdrfleet-rollout=r' "$WORK/kubectl" || broken 'kubernetes: not marked'
printf true >"$WORK/cordoned"
example kubernetes drain n1; ends 3 ''
: >"$WORK/kubectl"
example kubernetes undrain n1; ends 0 ''
[ ! -s "$WORK/kubectl" ] || broken "kubernetes: somebody else's cordon was changed"
printf r >"$WORK/ours"
example kubernetes undrain n1; ends 0 ''
grep -qx 'uncordon n1' "$WORK/kubectl" || broken 'kubernetes: not uncordoned'

if command -v jq >/dev/null; then
	tool curl <<TEXT
printf '%s\n' "\$@" >"$WORK/curl"
cat "$WORK/answer" - 2>/dev/null
TEXT
	export PROMETHEUS_URL=http://127.0.0.1:1 WEBHOOK_URL=http://127.0.0.1:1/hook
	printf '{"data":{"result":[{"value":[1,"0.05"]},{"value":[1,"0.2"]}]}}' >"$WORK/answer"
	example prometheus 'sum by (x) (rate(a[5m]))' lt 0.3 </dev/null; ends 0 '0.2 lt 0.3'
	grep -qx 'query=sum by (x) (rate(a\[5m\]))' "$WORK/curl" || broken 'prometheus: another query'
	example prometheus up lt 0.1 </dev/null; ends 1 '0.2 is not lt 0.1'
	printf '{"data":{"result":[]}}' >"$WORK/answer"
	example prometheus up lt 0.1 </dev/null; ends 2 'no data'
	example webhook paused '1 failed'; ends 0 ''
fi
note 'done'
