#!/bin/bash
# dashboard.sh - the dashboard in a real browser, over the quick start's fleet: a host breaks, a guest does, a rollout runs, and
# the controller goes away.  Screenshots of every page at phone and desktop width, and the README's two, are left in
# BUILD/screenshots/.
. "$(dirname "$0")/../functional/lib.sh"
python=/usr/bin/python3 # Debian's, which has Debian's selenium.
for tool in chromium chromedriver $python; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
$python -c 'import selenium' 2>/dev/null || { echo 'skipped: no python3-selenium'; exit 77; }
free_ports
Q=$WORK/q
export GDRCTL_CONFIG=$Q/gdrctl.yaml
end_quickstart() {
	local code=$?
	"$SOURCE/deploy/quickstart" stop --dir "$Q" --bin "$BIN" >/dev/null 2>&1
	(exit $code)
	finish
}
trap end_quickstart EXIT

note "the quick start's fleet, of two hosts"
expect 0 "$SOURCE/deploy/quickstart" start --hosts 2 --port "$PORT" --dir "$Q" --bin "$BIN"
expect 0 ctl node audit sim2

note 'a browser'
export BIN SOURCE PATIENCE HOSTS=$Q/hosts GDRD_YAML=$Q/gdrd.yaml
GDRD_PID=$(<"$Q/run/gdrd.pid") SHOTS=${BUILD:-$SOURCE/build}/screenshots \
	$python "$(dirname "$0")/dashboard.py" "http://127.0.0.1:$((PORT + 3))" || broken 'see above'
note 'done'
