#!/bin/bash
# guestgpu.sh - GPUs, NCCL and readiness inside a VM: converged, ready, and what breaks one of them is said by name.
. "$(dirname "$0")/lib.sh"

[ -x "$BIN/gdr-guest" ] || { echo "skipped: no program $BIN/gdr-guest"; exit 77; }
G=$(root_of h1)/.sim/guests/h1-gpu0
guest() {
	"$BIN/gdr-guest" --config "$G/etc/gdrfleet/guest.yaml" "$@"
}
# why NODE PATTERN: it is not ready for this reason.
why() {
	ctl node show "$1" | grep -qE "^Why: +.*$2"
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
    gpu: {persistence: true, application_clocks: max, graphics_clock: max, memory_clock: max, cuda_clocks: true}
    nccl:
      env: {NCCL_IB_HCA: auto, NCCL_IB_GID_INDEX: auto, NCCL_SOCKET_IFNAME: auto, CUDA_VISIBLE_DEVICES: auto}
      topology: /var/run/nvidia-topologyd/virtualTopology.xml
      memlock: true
      gdr: auto
    readiness: {gpus: 8, gdr: true, nvlinks: 12}
TEXT

note 'a host, its VM, and what is in it'
gdrd_up
expect 0 ctl apply -f "$WORK/profile.yaml"
host_up h1
expect 0 ctl node assign h1 guests
within 90 node_is h1/h1-gpu0 ready
within 20 node_is h1 ready
[ "$(cat "$G/run/gdrfleet/ready")" = ready ] || broken 'the ready file does not say so'
grep -q '^NCCL_SOCKET_IFNAME==eth0$' "$G/etc/nccl.conf" || broken 'no bootstrap interface'
[ "$(grep -c '<net name="mlx5_' "$G/var/run/nvidia-topologyd/virtualTopology.xml")" = 8 ] || broken 'the topology file lacks NICs'
grep -qE 'topology/from +ok +definition +definition' <(guest check) || broken "it is not made from the host's template"
awk '$2 != 1 || $3 != 1410 { exit 1 }' "$G/.sim/gpus" || broken 'the GPUs are not as wanted'
expect 0 guest check
says 'readiness +verdict +ok +ready +ready'
expect 0 guest env
says "export CUDA_VISIBLE_DEVICES='0,1,2,3,4,5,6,7'"

note 'what breaks inside it is said by name, and mends'
gpu=$(awk 'NR == 3 { print $1 }' "$G/.sim/gpus")
mkdir -p "$G/.sim/faults"
echo "$gpu" >"$G/.sim/faults/gpu-lost"
within 20 why h1/h1-gpu0 "gpu: $gpu/driver: want present, have lost"
within 20 why h1 'guest h1-gpu0: '
[ ! -e "$G/run/gdrfleet/ready" ] || broken 'a scheduler would start a job on it'
rm "$G/.sim/faults/gpu-lost"
within 20 node_is h1 ready
cp "$G/sys/class/infiniband/mlx5_1/ports/1/gids/1" "$WORK/gid"
echo 0000:0000:0000:0000:0000:0000:0000:0000 >"$G/sys/class/infiniband/mlx5_1/ports/1/gids/1"
within 20 why h1/h1-gpu0 'hca/mlx5_1:1: want a RoCE v2 GID, have none'
cat "$WORK/gid" >"$G/sys/class/infiniband/mlx5_1/ports/1/gids/1"
within 20 node_is h1 ready
echo '<system version="1"/>' >"$G/var/run/nvidia-topologyd/virtualTopology.xml"
within 20 grep -q mlx5_1 "$G/var/run/nvidia-topologyd/virtualTopology.xml"

note 'its host tells how far apart the devices are with it, and it does without a template that is of another VM'
expect 0 ctl vm show h1/h1-gpu0
[ "$(grep -cE '^  0000:.* PIX +PIX +PIX +-$' <<<"$OUT")" -eq 16 ] || broken 'not every GPU has its two NICs near'
oem=$G/sys/firmware/dmi/entries/11-0/raw
template=$(tr '\0' '\n' <"$oem" | sed -n 's/^.*gdrfleet\.nccl-topology=//p')
other=$(base64 -d <<<"$template" | sed 's/numaid="1"/numaid="7"/' | base64 -w0)
sed -i "s|$template|$other|" "$oem"
run guest check
says 'topology/from +ok +definition +own PCI tree'
says ' is on another NUMA node: '
