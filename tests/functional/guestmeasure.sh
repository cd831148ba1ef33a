#!/bin/bash
# guestmeasure.sh - what layer readiness measures inside a VM: how long a look takes; bandwidths on demand, and when nobody
# uses the GPUs, judged against the profile; and tools that hang, fail or are not there.
. "$(dirname "$0")/lib.sh"

[ -x "$BIN/gdr-guest" ] || { echo "skipped: no program $BIN/gdr-guest"; exit 77; }
# measure READINESS: gdr-guest check --active against a profile of just these checks.
measure() {
	printf 'kind: Profile\nname: measure\nspec: {guest: {readiness: {active: on-demand, active_timeout: 2s, %s}}}\n' "$1" >"$WORK/measure.yaml"
	run guest check --active --profile "$WORK/measure.yaml"
}
# state ID STATE [WHY]: the last check says this of a readiness check.
state() {
	grep -A1 -E "^readiness +$1/" <<<"$OUT" | tr '\n' ' ' | grep -E " $2: .*${3-}" >/dev/null || broken "expected $1 $2: ${3-}"
}
# why NODE PATTERN: it is not ready for this reason.
why() {
	ctl node show "$1" | grep -E "^Why: +.*$2" >/dev/null
}

cat >"$WORK/profile.yaml" <<'TEXT'
kind: Profile
name: guests
spec:
  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
  hugepages: {size: 1G, count: vm}
  vm: [{name: "{node}-gpu0", vcpus: 16, memory: 64G, gpus: all, nvswitches: all, nic_vfs: 1, state: running, autostart: true}]
  guest:
    link: [{match: {driver: mlx5_core}, mtu: 9000}]
    readiness: {gpus: 8, gdr: true, nvlinks: 12}
TEXT

note 'a host, its VM, and a fabric manager that is not of the driver'
gdrd_up
expect 0 ctl apply -f "$WORK/profile.yaml"
host_up h1
expect 0 ctl node assign h1 guests
within 90 node_is h1/h1-gpu0 ready
inside break fabric-version=535.104.05
within 20 why h1/h1-gpu0 'R08/fabric: want nvidia-fabricmanager 535.161.08, have fail: 535.104.05'
inside mend
within 20 node_is h1 ready

note 'how long it takes to look'
printf 'kind: Profile\nname: look\nspec: {guest: {readiness: {gpus: 8, gdr: true, nvlinks: 12}}}\n' >"$WORK/look.yaml"
begun=$(date +%s%N)
run guest check --profile "$WORK/look.yaml"
took=$((($(date +%s%N) - begun) / 1000000))
note "the passive checks of eight GPUs took $took ms, the whole program included"
[ $took -lt $((10000 * PATIENCE)) ] || broken 'that is no quick look'

note 'what is measured on demand is judged by the largest row against the profile'
all='min_busbw: 228, min_ib_bw: 90, min_node_busbw: 100, peers: ["other:8"]'
measure "$all"
state R22 pass 'measured'
says 'R22/all-reduce +ok +228 GB/s +pass: 232.8 GB/s'
says 'R23/ib-write +ok +90 Gb/s +pass: 97.5 Gb/s, mlx5_0'
says 'R24/all-reduce-peers +ok +100 GB/s +pass: 232.8 GB/s'
says 'R25/dcgmi +ok +pass +pass: every test passed'
inside break bench-slow=171.2
measure 'min_busbw: 228'
state R22 fail 'degraded; .*before that 232.8 GB/s'
says 'R22/all-reduce +ok +228 GB/s +fail: 171.2 GB/s'
says 'verdict +ok +ready +degraded'
inside mend

note 'what hangs, fails or is not there has measured nothing, and that is no pass'
inside break bench-hangs
measure 'min_busbw: 228'
state R22 unknown 'it did not end within 2 s'
inside mend
inside break bench-fails
measure 'min_busbw: 228'
state R22 unknown 'exit status 3'
inside break bench-fails=mpirun
measure 'min_node_busbw: 100, peers: ["other:8"]'
state R24 unknown 'exit status 133'
inside break bench-fails=ib_write_bw
measure 'min_ib_bw: 90'
state R23 unknown 'mlx5_0: ib_write_bw measured nothing, exit status 1'
inside break bench-fails=dcgmi
measure 'gpus: 8'
state R25 fail 'PCIe: Fail - GPU: 3'
inside mend
mv "$G/.sim/bin/ib_write_bw" "$G/.sim/bin/dcgmi" "$WORK"
measure 'min_ib_bw: 90'
state R23 unknown 'no program ib_write_bw'
state R25 skipped
mv "$WORK/ib_write_bw" "$WORK/dcgmi" "$G/.sim/bin"

note 'the agent measures by itself when nobody uses the GPUs'
rm -r "$G/run/gdrfleet/active"
inside break gpu-busy
sed -i 's/readiness: {/&min_busbw: 228, active: when-idle, active_interval: 1h, /' "$WORK/profile.yaml"
expect 0 ctl apply -f "$WORK/profile.yaml"
expect 0 ctl node assign h1 guests
within 20 grep -q 'R22 skipped' "$G/run/gdrfleet/readiness"
throughout 3 test ! -e "$G/run/gdrfleet/active/R22"
inside mend
within 20 grep -q 'R22 pass' "$G/run/gdrfleet/readiness"
within 20 node_is h1 ready
