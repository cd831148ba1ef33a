#!/bin/bash
# nicfleet.sh - NIC firmware settings in a fleet: a fresh host takes two reboots for everything, each granted and each
# said to be one of two, and a worker that is killed at any moment takes no more.
. "$(dirname "$0")/lib.sh"

note 'two fresh hosts; the worker of one is killed every moment'
fleet n1 n2
end=$((SECONDS + 20))
while [ $SECONDS -lt $end ]; do
	sleep "0.$((RANDOM % 10))"
	kill_half n1 worker
done
expect 0 ctl status --wait --timeout "$((120 * PATIENCE))s"
for name in n1 n2; do
	expect 0 check_of "$name"
	says "^nic +0000:3f:00.1/MAX_ACC_OUT_READ +ok +44 +44"
done
expect 0 ctl node show n2
says '[Rr]eboots.* 2 of 3'
expect 0 ctl event list
says 'reboot 1 of 2'
says 'reboot 2 of 2'
