#!/bin/bash
# prometheus.sh - the alert rules are sound and fire when they should; rules and board ask only for what gdrd measures.
. "$(dirname "$0")/lib.sh"

rules=deploy/prometheus/gdrfleet.rules.yaml board=deploy/grafana/gdrfleet.json
for file in $rules $board; do
	while IFS= read -r name; do
		base=${name%_bucket}
		grep -q "\"$base\"" controller/web/metrics.c || breach "$file: $name: gdrd has no such metric"
	done < <(grep -oE '\b(gdrfleet|process)_[a-z_]+[a-z]\b' "$file" | sort -u)
done
if command -v promtool >/dev/null; then
	complaints=$(promtool check rules --lint=all --lint-fatal $rules 2>&1) || breach "$complaints"
	complaints=$(promtool test rules deploy/prometheus/gdrfleet.rules.test.yaml 2>&1) || breach "$complaints"
else
	echo 'promtool is not installed: the rules were not tried (apt-get install prometheus)'
fi
exit $rc
