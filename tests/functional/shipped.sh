#!/bin/bash
# shipped.sh - what deploy/ ships is true: every profile is one that gdrd takes and agents understand, and the
# example settings show the defaults that the programs have.
. "$(dirname "$0")/lib.sh"

note 'profiles'
host_create() {
	expect 0 "$BIN/gdr-simhost" create "$(root_of n1)" --name n1
	expect 0 "$BIN/gdr-simhost" boot "$(root_of n1)"
}
mkdir -p "$WORK/hosts"
host_create
gdrd_up
for profile in "$SOURCE"/deploy/profiles/*.yaml; do
	expect 3 check_of n1 --profile "$profile"
	expect 0 ctl apply --dry-run -f "$profile"
	expect 0 ctl apply -f "$profile"
	expect 0 ctl profile show "$(basename "$profile" .yaml)"
done
expect 0 ctl export
printf '%s\n' "$OUT" >"$WORK/export.yaml"
expect 0 ctl apply -f "$WORK/export.yaml"
says 'unchanged'
expect 0 ctl export
[ "$OUT" = "$(<"$WORK/export.yaml")" ] || broken 'export is no fixed point'

note 'example settings'
: >"$WORK/empty.yaml"
examples=$SOURCE/deploy/examples
expect 0 "$BIN/gdrd" --config "$examples/gdrd.yaml" check-config
defaults=$OUT
# What is shown as an example and not as a default is taken out first.
sed -E '/^#advertise|^#  per_label|^#    rack/d; s/^#( *[a-z_]+:)/\1/' "$examples/gdrd.yaml" >"$WORK/all.yaml"
expect 0 "$BIN/gdrd" --config "$WORK/all.yaml" check-config
[ "$OUT" = "$defaults" ] || broken "the example's values are not the defaults: $(diff <(printf '%s' "$defaults") <(printf '%s' "$OUT"))"
for field in $(sed -nE '/^message GdrdConfig/,/^}/s/^ *optional [A-Za-z0-9]+ ([a-z_]+) = .*/\1/p' "$SOURCE/proto/config.proto"); do
	grep -qE "^#?$field:" "$examples/gdrd.yaml" || broken "gdrd.yaml does not show '$field'"
done
expect 0 "$BIN/gdr-agent" --config "$examples/agent.yaml" --root "$(root_of n1)" inventory
for field in $(sed -nE '/^message AgentConfig/,/^}/s/^ *(optional [A-Za-z0-9]+|map<[a-z, ]+>) ([a-z_]+) = .*/\2/p' "$SOURCE/proto/config.proto"); do
	grep -qE "^#?$field:" "$examples/agent.yaml" || broken "agent.yaml does not show '$field'"
done
for default in $(sed -nE '/^message AgentConfig/,/^}/s/^ *optional string ([a-z_]+) = .*default = "([^"]*)".*/\1=\2/p' "$SOURCE/proto/config.proto"); do
	grep -qxF "#${default%%=*}: ${default#*=}" "$examples/agent.yaml" || broken "agent.yaml: not the default: $default"
done
note 'done'
