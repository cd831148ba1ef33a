#!/bin/bash
# deploy.sh - what deploy/ ships is whole: man pages and units without warnings, a manual for every program.
. "$(dirname "$0")/lib.sh"

if command -v man >/dev/null; then
	for page in $(files 'deploy/man/*'); do
		complaints=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
		[ -z "$complaints" ] || breach "$page: $complaints"
	done
else
	echo 'man is not installed: the man pages were not looked at'
fi
for program in gdrd.8 gdr-agent.8 gdr-guest.8 gdrctl.1 gdr-simhost.1; do
	[ -e deploy/man/$program ] || breach "deploy/man/$program: missing"
done

if command -v systemd-analyze >/dev/null; then
	work=$(mktemp -d) || exit 2
	trap 'rm -rf "$work"' EXIT
	for unit in $(files 'deploy/systemd/*.service'); do
		# The programs and the pages are not installed where the tests run.
		sed -E 's|^(ExecStart[A-Za-z]*=)[^ ]+|\1/bin/true|; /^Documentation=/d' "$unit" >"$work/$(basename "$unit")"
	done
	complaints=$(systemd-analyze verify "$work"/*.service 2>&1 | grep -F "$work")
	[ -z "$complaints" ] || breach "deploy/systemd: $complaints"
else
	echo 'systemd-analyze is not installed: the units were not looked at'
fi

# What a layer keeps under /var/lib, its unit lets it write: StateDirectory= or ReadWritePaths=.
while read -r kind layer; do
	unit=deploy/systemd/gdr-agent-worker.service
	[ "$kind" = GUEST ] && unit=deploy/systemd/gdr-guest-worker.service
	while read -r path; do
		grep -qE "^(StateDirectory|ReadWritePaths)=.*(${path#/var/lib/}|$path)( |$)" "$unit" ||
			breach "$unit: layer $layer writes $path, which it may not"
	done < <(grep -hoE '"/var/lib/[a-z-]+' "agent/layers/$layer"*.c | tr -d '"' | sort -u)
done < <(sed -nE 's/^(HOST|GUEST)\((.*)\)$/\1 \2/p' common/layers.def)
exit $rc
