#!/bin/bash
# newcomer.sh - a newcomer's mistakes: each gets one clear line and the right exit code, and changes nothing.
. "$(dirname "$0")/lib.sh"

note 'words that no program knows'
expect 2 "$BIN/gdrd" --config /nowhere --nonsense
expect 2 "$BIN/gdr-agent" chekc
complains "did you mean 'check'"
expect 2 "$BIN/gdr-simhost" nonsense
expect 2 ctl node lst
complains 'list'
expect 2 ctl frobnicate
expect 2 ctl -o xml node list

note 'settings that are not right'
printf 'state: %s\nagnets: tcp://127.0.0.1:1\n' "$WORK/x" >"$WORK/bad.yaml"
expect 1 "$BIN/gdrd" --config "$WORK/bad.yaml" check-config
complains "bad\.yaml:2:1: .*agnets.*agents"
one_line
expect 1 "$BIN/gdrd" --config "$WORK/bad.yaml"
one_line
expect 1 "$BIN/gdrd" --config "$WORK/none.yaml"
complains 'none\.yaml'
one_line
expect 1 "$BIN/gdr-agent" --config "$WORK/bad.yaml" check
complains 'bad\.yaml:2:1'
[ ! -e "$WORK/x" ] || broken 'it made its state folder'

note 'no context, and no controller'
expect 1 ctl node list
complains 'gdrctl\.yaml'
one_line
settings
gdrd_up
stop gdrd
expect 6 ctl --timeout 2s node list
complains "127\.0\.0\.1:$((PORT + 1))"
one_line

note 'a port that is taken'
gdrd_up
cp "$WORK/gdrd.yaml" "$WORK/second.yaml"
sed -i "s|^state: .*|state: $WORK/second|" "$WORK/second.yaml"
expect 1 "$BIN/gdrd" --config "$WORK/second.yaml"
complains "127\.0\.0\.1:($PORT|$((PORT + 1))): the port is taken"
one_error
expect 1 "$SOURCE/deploy/quickstart" --bin "$BIN" --dir "$WORK/q" --port "$PORT"
complains "port $PORT is taken"
one_line

note 'a second gdrd on the same database'
sed "s|$PORT|$((PORT + 4))|; s|$((PORT + 1))|$((PORT + 5))|; s|$((PORT + 2))|$((PORT + 6))|" "$WORK/gdrd.yaml" >"$WORK/third.yaml"
expect 1 "$BIN/gdrd" --config "$WORK/third.yaml"
complains "${PID[gdrd]}|another gdrd"
one_line

note 'documents that are not right'
before=$(ctl export)
printf 'kind: Profile\nname: p\nspec:\n  hugepages: {size: 1G, cuont: 3}\n' >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
complains "p\.yaml:4:[0-9]+: .*cuont.*count"
one_line
printf 'kind: Profle\nname: p\n' >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
complains 'Profle.*Profile'
printf 'kind: Profile\nname: p\nspec:\n  hugepages: {size: 3G}\n  pci: [{match: gpu}]\n' >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
complains 'p\.yaml:4'
printf 'kind: Profile\nname: p\n  spec: [\n' >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
complains 'p\.yaml:[0-9]+:[0-9]+'
one_line
printf 'kind: Node\nname: n\nprofile: nosuch\n' >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
complains 'nosuch'
one_line
: >"$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/p.yaml"
expect 1 ctl apply -f "$WORK/missing.yaml"
one_line
[ "$before" = "$(ctl export)" ] || broken 'something of it was kept'

note 'nodes and profiles that there are not'
expect 1 ctl node show nosuch
complains 'nosuch'
one_line
expect 1 ctl profile show nosuch
expect 2 ctl node remove
expect 1 ctl node assign nosuch vela-a100

note 'keys that are not right'
cp "$GDRCTL_CONFIG" "$WORK/open.yaml"
chmod 644 "$WORK/open.yaml"
GDRCTL_CONFIG=$WORK/open.yaml expect 1 ctl node list
complains '0?600'
one_line
mkdir "$WORK/other"
cat >"$WORK/other.yaml" <<TEXT
state: $WORK/other
agents: tcp://127.0.0.1:$((PORT + 4))
operators: tcp://127.0.0.1:$((PORT + 5))
enrol: tcp://127.0.0.1:$((PORT + 6))
TEXT
spawn other "$BIN/gdrd" --config "$WORK/other.yaml"
has_admin() {
	[ -e "$WORK/other/admin.yaml" ]
}
within 10 has_admin
# Its keys at our address: it is not known here, and does not know us.
sed -E "s|tcp://127.0.0.1:$((PORT + 5))|tcp://127.0.0.1:$((PORT + 1))|" "$WORK/other/admin.yaml" >"$WORK/stranger.yaml"
chmod 600 "$WORK/stranger.yaml"
GDRCTL_CONFIG=$WORK/stranger.yaml expect 6 ctl --timeout 2s node list
one_line
ours=$(sed -nE 's/.*server_key: *//p' "$GDRCTL_CONFIG" | tr -d "'\"")
awk -v ours="$ours" '/server_key:/ { sub(/server_key:.*/, ""); $0 = $0 "server_key: \"" ours "\"" } 1' \
	"$WORK/stranger.yaml" >"$WORK/unknown.yaml"
chmod 600 "$WORK/unknown.yaml"
GDRCTL_CONFIG=$WORK/unknown.yaml expect 5 ctl --timeout 2s node list
one_line
stop other

note 'a viewer who wants to change something'
expect 0 ctl user add eve --role viewer --new "$WORK/eve.yaml"
GDRCTL_CONFIG=$WORK/eve.yaml expect 0 ctl node list
GDRCTL_CONFIG=$WORK/eve.yaml expect 5 ctl token create
one_line
GDRCTL_CONFIG=$WORK/eve.yaml expect 5 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
one_line
cp -p "$WORK/eve.yaml" "$WORK/old.yaml"
GDRCTL_CONFIG=$WORK/eve.yaml expect 0 ctl key rotate
GDRCTL_CONFIG=$WORK/eve.yaml expect 0 ctl node list
GDRCTL_CONFIG=$WORK/old.yaml expect 5 ctl --timeout 2s node list
expect 0 ctl user remove eve
GDRCTL_CONFIG=$WORK/eve.yaml expect 5 ctl --timeout 2s node list
one_line

note 'tokens that are not right'
host_make n1
expect 5 "$BIN/gdr-agent" --config "$(root_of n1)/etc/gdrfleet/agent.yaml" join "$WORK/n1.token"
complains 'used|expired'
one_line
expect 0 ctl token create --node n2
printf '%s\n' "$OUT" >"$WORK/n2.token"
expect 5 "$BIN/gdr-agent" --config "$(root_of n1)/etc/gdrfleet/agent.yaml" join "$WORK/n2.token"
complains "n2.*n1"
one_line

note 'a damaged database is refused and left as it is'
stop gdrd
cp -r "$WORK/gdrd" "$WORK/gdrd.good"
db=$(ls "$WORK"/gdrd/*.db)
dd if=/dev/urandom of="$db" bs=4096 seek=1 count=2 conv=notrunc 2>/dev/null
sum=$(sha256sum <"$db")
expect 1 "$BIN/gdrd" --config "$WORK/gdrd.yaml"
complains 'damaged|malformed|not a database'
one_line
[ "$sum" = "$(sha256sum <"$db")" ] || broken 'it changed the damaged file'
rm -r "$WORK/gdrd" && mv "$WORK/gdrd.good" "$WORK/gdrd"
gdrd_up

note 'not root'
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 65534 --clear-groups "$BIN/gdr-agent" --version >/dev/null 2>&1; then
	expect 1 setpriv --reuid 65534 --clear-groups "$BIN/gdr-agent" apply --profile "$SOURCE/deploy/profiles/vela-a100.yaml"
	complains 'root'
	one_line
elif [ "$(id -u)" -ne 0 ]; then
	expect 1 "$BIN/gdr-agent" apply --profile "$SOURCE/deploy/profiles/vela-a100.yaml"
	complains 'root'
	one_line
fi
note 'done'
