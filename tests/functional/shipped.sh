#!/bin/bash
# shipped.sh - what deploy/ ships is true: every profile is one that gdrd takes and agents understand, and the
# example settings show the defaults that the programs have.
. "$(dirname "$0")/lib.sh"

note 'profiles'
mkdir -p "$WORK/hosts"
expect 0 "$BIN/gdr-simhost" create "$(root_of n1)" --name n1
expect 0 "$BIN/gdr-simhost" boot "$(root_of n1)"
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
defaults=$(grep -v '^database:' <<<"$OUT")
# What is shown as an example and not as a default is taken out first.
sed -E '/^#advertise|^#  per_label|^#    rack|^#  (certificate|key|tokens|hosts):/d; s/^#((  )?[a-z_]+:)/\1/' "$examples/gdrd.yaml" >"$WORK/all.yaml"
expect 0 "$BIN/gdrd" --config "$WORK/all.yaml" check-config
OUT=$(grep -v '^database:' <<<"$OUT")
[ "$OUT" = "$defaults" ] || broken "the example's values are not the defaults: $(diff <(printf '%s' "$defaults") <(printf '%s' "$OUT"))"
# fields MESSAGE: its fields in proto/config.proto, each with its default text or none.
fields() {
	sed -nE "/^message $1/,/^}/s/^ *(optional [A-Za-z0-9]+|map<[a-z, ]+>) ([a-z_]+) = [0-9]+( \\[default = \"([^\"]*)\"\\])?.*/\\2 \\4/p" \
		"$SOURCE/proto/config.proto"
}
shows_all() { # MESSAGE FILE
	while read -r field default; do
		grep -qE "^#?$field:" "$2" || broken "$2 does not show '$field'"
		[ -z "$default" ] || grep -qxF "#$field: $default" "$2" || broken "$2: the default of $field is $default"
	done < <(fields "$1")
}
shows_all GdrdConfig "$examples/gdrd.yaml"
shows_all AgentConfig "$examples/agent.yaml"
expect 0 "$BIN/gdr-agent" --config "$examples/agent.yaml" --root "$(root_of n1)" inventory

note "the agents' completion offers what they can do"
# shellcheck source=deploy/completion/gdr-agent.bash
. "$SOURCE/deploy/completion/gdr-agent.bash"
# offers WORD...: the last one, begun.
offers() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	_gdr_agent
	OUT="${COMPREPLY[*]}" RC=0
}
offers "$BIN/gdr-agent" ''
says '^worker comm join check apply inventory desired nccl-topology topology vm-xml vm-credential$'
offers "$BIN/gdr-guest" e
says '^env$'
offers "$BIN/gdr-guest" check --a
says '^--active$'
offers "$BIN/gdr-guest" topology ''
says '^lint$'
offers "$BIN/gdr-guest" check -o j
says '^json$'
note 'done'
