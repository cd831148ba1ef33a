#!/bin/bash
# dashboard.sh - the dashboard in a real browser, over hosts of which one breaks, a rollout, and a controller that goes
# away.  Screenshots of every page at phone and desktop width are left in BUILD/screenshots/.
. "$(dirname "$0")/../functional/lib.sh"
python=/usr/bin/python3 # Debian's, which has Debian's selenium.
for tool in chromium chromedriver $python; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
$python -c 'import selenium' 2>/dev/null || { echo 'skipped: no python3-selenium'; exit 77; }

note 'two hosts'
fleet n1 n2
expect 0 ctl node label n1 rack=r1
expect 0 ctl node label n2 rack=r2
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"
expect 0 ctl node audit n2

note 'a browser'
export BIN SOURCE PATIENCE HOSTS=$WORK/hosts GDRD_PID=${PID[gdrd]} GDRD_YAML=$WORK/gdrd.yaml
SHOTS=${BUILD:-$SOURCE/build}/screenshots $python "$(dirname "$0")/dashboard.py" "http://127.0.0.1:$((PORT + 3))" || broken 'see above'
note 'done'
