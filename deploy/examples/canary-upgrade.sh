#!/bin/bash
# canary-upgrade.sh PROFILE-FILE SELECTOR [CHECK] - a new revision to these nodes, as a CI job would bring it.
# CHECK is a command that looks at metrics elsewhere once the canary is right: exit 0 lets it go on.
# Exit 0: every node is on the new revision.  3: it was rolled back, and the nodes are as they were.
set -euo pipefail
file=$1 nodes=$2 check=${3:-true}
profile=$(sed -n 's/^name: *//p' "$file" | head -n 1)

plan=("$profile" -l "$nodes" --canary 1 --waves "${WAVES:-10%,50%,100%}" --soak "${SOAK:-5m}"
	--promotion manual --on-failure rollback -m "$file")

gdrctl apply -f "$file"
if gdrctl rollout plan "${plan[@]}"; then exit 0; elif [ $? -ne 3 ]; then exit 1; fi # 3: there is something to do.
name=$(gdrctl rollout start "${plan[@]}" -o name)
gdrctl rollout wait "$name" --promotion
if "$check" "$name"; then
	gdrctl rollout promote "$name" --all --wait
else
	gdrctl rollout rollback "$name" -m "$check said no" --wait
fi
