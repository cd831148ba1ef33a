#!/bin/bash
# many.sh - the fleet page in a real browser over a thousand agents that report: how soon it shows, and whether it stays
# responsive.  LOAD_NODES=10000 for a longer look.
. "$(dirname "$0")/../functional/lib.sh"
python=/usr/bin/python3 # Debian's, which has Debian's selenium.
for tool in chromium chromedriver $python; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
$python -c 'import selenium' 2>/dev/null || { echo 'skipped: no python3-selenium'; exit 77; }
[ -x "$BIN/gdr-fleetsim" ] || { echo "skipped: no program $BIN/gdr-fleetsim"; exit 77; }
nodes=${LOAD_NODES:-1000}

note "$nodes agents, each with something new every ten seconds"
settings
sed -i "s/^lease: .*/lease: 10s/; s/^lost_after: .*/lost_after: 90s/" "$WORK/gdrd.yaml"
gdrd_up
expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
report_make "$WORK/report.json"
spawn fleetsim "$BIN/gdr-fleetsim" --context "$GDRCTL_CONFIG" --agents "tcp://127.0.0.1:$PORT" --profile vela-a100 \
	--nodes "$nodes" --like "$WORK/report.json" --run 1h --report 10s
within $((60 + nodes / 50)) grep -q '^acknowledged' "$WORK/fleetsim.log"
kill -USR1 "${PID[fleetsim]}"
sleep 3

note 'a browser'
PATIENCE=$PATIENCE $python "$(dirname "$0")/many.py" "http://127.0.0.1:$((PORT + 3))/" "$nodes" || broken 'see above'
note 'done'
