#!/bin/bash
# guestfaults.sh - GPUs, NCCL and readiness inside a VM; then one thing after the other breaks there: within one look of its
# agent that node says so by name, on the command line and over HTTP, its host with it, and nobody else.  What the agent may
# put right it does, and an event tells; and what makes it slower stops a rollout.
. "$(dirname "$0")/lib.sh"

for tool in "$BIN/gdr-guest" curl python3; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
TOPOLOGY=$G/var/run/nvidia-topologyd/virtualTopology.xml
rest() {
	curl -sS -m 10 "http://127.0.0.1:$((PORT + 3))/api/v1/nodes$1"
}
# not_ready [NODE...]: these and no others, by what gdrctl and the API say.
not_ready() {
	local by_ctl by_rest
	by_ctl=$(comm -23 <(ctl node list -o name | sort) <(ctl node list --state ready -o name | sort) | sed 's,^node/,,')
	by_rest=$(rest '' | python3 -c 'import json, sys
for node in json.load(sys.stdin)["nodes"]:
    if node["state"] != "ready": print(node["name"])' | sort) || return 1
	[ "$by_ctl" = "$(printf '%s\n' "$@")" ] && [ "$by_rest" = "$by_ctl" ]
}
# why NODE PATTERN: it is not ready for this reason, likewise.
why() {
	ctl node show "$1" | grep -E "^Why: +.*$2" >/dev/null && rest "/$1" | grep -E "\"why\": *\".*$2" >/dev/null
}
# sickens FAULT PATTERN: the guest, for this reason, and its host, because of it.
sickens() {
	local begun
	begun=$(date +%s%3N)
	inside break "$1"
	within 15 why h1/h1-gpu0 "$2"
	note "$1: told after $(($(date +%s%3N) - begun)) ms"
	within 10 not_ready h1 h1/h1-gpu0
	within 10 why h1 'guest h1-gpu0: '
	expect 3 ctl status
	says '1 of 2 guests ready'
}
# took_up NODE: its agent has looked since the last change of what is wanted.
took_up() {
	rest "/$1" | python3 -c 'import json, sys
node = json.load(sys.stdin)
sys.exit(node["observed_generation"] != node["generation"])'
}
# event PATTERN: what the guest's agent put right by itself.
event() {
	ctl event list --object node/h1/h1-gpu0 | grep 'node\.mended' | grep -E "$1" >/dev/null
}

cat >"$WORK/profile.yaml" <<'TEXT'
kind: Profile
name: guests
spec:
  kernel: {iommu: passthrough, vfio: {gpus: true, nvswitches: true}, blacklist: [nouveau]}
  hugepages: {size: 1G, count: vm}
  vm: [{name: "{node}-gpu0", vcpus: 16, memory: 64G, gpus: all, nvswitches: all, nic_vfs: 1, state: running, autostart: true}]
  guest:
    link: [{match: {driver: mlx5_core}, mtu: 9000, ring: {rx: 8192, tx: 8192}, roce_mtu: 4096}]
    gpu: {persistence: true, application_clocks: max, graphics_clock: max, memory_clock: max, cuda_clocks: true}
    nccl:
      env: {NCCL_IB_HCA: auto, NCCL_IB_GID_INDEX: auto, NCCL_SOCKET_IFNAME: auto, CUDA_VISIBLE_DEVICES: auto}
      topology: /var/run/nvidia-topologyd/virtualTopology.xml
      memlock: true
      gdr: auto
    readiness: {gpus: 8, gdr: true, nvlinks: 12, min_busbw: 10}
TEXT

note 'two hosts, each with a VM, and what is in one of them'
gdrd_up
expect 0 ctl apply -f "$WORK/profile.yaml"
host_up h1
host_up h2
expect 0 ctl node assign h1 h2 guests
within 90 node_is h1/h1-gpu0 ready
within 90 node_is h2/h2-gpu0 ready
within 20 not_ready
[ "$(cat "$G/run/gdrfleet/ready")" = ready ] || broken 'the ready file does not say so'
grep -q '^NCCL_SOCKET_IFNAME==eth0$' "$G/etc/nccl.conf" || broken 'no bootstrap interface'
[ "$(grep -c '<net name="mlx5_' "$TOPOLOGY")" = 8 ] || broken 'the topology file lacks NICs'
grep -qE 'topology/from +ok +definition +definition' <(guest check) || broken "it is not made from the host's template"
awk '$2 != 1 || $3 != 1410 { exit 1 }' "$G/.sim/gpus" || broken 'the GPUs are not as wanted'
expect 0 guest check
says 'readiness +verdict +ok +ready +ready'
expect 0 guest env
says "export CUDA_VISIBLE_DEVICES='0,1,2,3,4,5,6,7'"

note 'its host tells how far apart the devices are with it'
expect 0 ctl vm show h1/h1-gpu0
[ "$(grep -cE '^  0000:.* PIX +PIX +PIX +-$' <<<"$OUT")" -eq 16 ] || broken 'not every GPU has its two NICs near'

note 'what no agent can put right is told by name, until it is mended'
gpu=$(awk 'NR == 3 { print $1 }' "$G/.sim/gpus")
sickens gid-gone=mlx5_1 'hca/mlx5_1:1: want a RoCE v2 GID, have none'
inside mend
within 15 not_ready
sickens "gpu-lost=$gpu" "gpu: $gpu/driver: want present, have lost"
[ ! -e "$G/run/gdrfleet/ready" ] || broken 'a scheduler would start a job on it'
inside mend
within 15 not_ready
sickens mtu-limited=ens2 'ens2/roce_mtu: want 4096, have 1024'
inside mend
within 15 not_ready

note 'what the agent may put right, it does, and an event tells of it'
inside break ring-reset=ens3
within 15 event 'link: ens3/ring.rx: had 1024, is 8192 again \(and 1 more\)'
inside break topology-damaged
within 15 event 'nccl: topology: had .*, is .* again'
[ "$(grep -c '<net name="mlx5_' "$TOPOLOGY")" = 8 ] || broken 'the topology file is not as it was'
within 15 not_ready

note 'where the kernel refuses, or only looking is allowed, it says what it found'
inside break link-refuses
sickens ring-reset=ens3 'ens3/ring.rx: the kernel refuses: Operation not permitted'
inside mend
within 15 not_ready
expect 0 ctl node audit h1
within 15 took_up h1/h1-gpu0
sickens topology-damaged 'nccl: topology: '
expect 0 ctl node release h1
within 15 not_ready

note 'a revision that makes the guest slower stops at the canary, and says what was measured before and after'
reports() {
	ctl node show h1/h1-gpu0 -o wide | grep -qE "R22/all-reduce .*pass: $1 GB/s"
}
# measures VALUE: now, and says so; until its agent's next pass, what is published is outdated.
measures() {
	run guest check --active
	says "R22/all-reduce .*pass: $1 GB/s"
	within 20 reports "$1"
}
blocked() {
	ctl rollout show guests-2 | grep -q 'R22/all-reduce of h1 is not measured now'
}
measures 232.8
expect 0 ctl node label h1 fleet=f
sed 's/env: {/env: {NCCL_P2P_DISABLE: 1, /' "$WORK/profile.yaml" >"$WORK/slow.yaml"
expect 0 ctl apply -f "$WORK/slow.yaml"
expect 0 ctl rollout start guests -l fleet=f --compare 'readiness/R22/*=-5%' --soak 1s
within 40 blocked
measures 21.3
expect 3 ctl rollout wait guests-2 --timeout "$((30 * PATIENCE))s"
expect 0 ctl rollout show guests-2
says '^State: +paused .*: 1 node failed in the canary, 0 allowed: h1 '
says 'wave 1 fail: .*h1 \(h1/h1-gpu0 readiness/R22/all-reduce was 232.8 and is 21.3: -90.9%, -5% allowed\)'
expect 3 ctl rollout rollback guests-2 --wait --timeout "$((40 * PATIENCE))s"
measures 232.8
within 15 not_ready

note 'it does without a template that is of another VM'
oem=$G/sys/firmware/dmi/entries/11-0/raw
template=$(tr '\0' '\n' <"$oem" | sed -n 's/^.*gdrfleet\.nccl-topology=//p')
other=$(base64 -d <<<"$template" | sed 's/numaid="1"/numaid="7"/' | base64 -w0)
sed -i "s|$template|$other|" "$oem"
run guest check
says 'topology/from +ok +definition +own PCI tree'
says ' is on another NUMA node: '
alive gdrd || broken 'gdrd ended'
