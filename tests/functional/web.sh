#!/bin/bash
# web.sh - dashboard, REST and metrics by curl, and clients that are hostile while a host reports: what is asked is
# answered as the OpenAPI document says, nobody is kept waiting, and from elsewhere nothing is read without TLS and token.
. "$(dirname "$0")/lib.sh"
for tool in curl openssl python3; do
	command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
settings
URL=http://127.0.0.1:$((PORT + 3))

# get STATUS PATH [CURL OPTION...]: body into OUT, headers into ERR.
get() {
	local status=$1 path=$2
	shift 2
	run curl -sS -m 20 -D "$WORK/headers" -o "$WORK/body" -w '%{http_code}' "$@" "$URL$path"
	local got=$OUT
	OUT=$(tr -d '\0' <"$WORK/body") ERR=$(<"$WORK/headers")
	[ "$got" = "$status" ] || broken "$path: expected $status, got $got"
}
metric() {
	curl -sS -m 20 "$URL/metrics" | sed -n "s/^$1 //p"
}

note 'a host, and what there is of it'
fleet n1
expect 0 ctl status --wait --timeout "$((90 * PATIENCE))s"
get 200 /healthz
get 200 /readyz
get 200 /
complains "Content-Security-Policy: default-src 'none'; script-src 'self'"
complains 'X-Content-Type-Options: nosniff'
! grep -qE '<script>|style=|onclick=|https?://' <<<"$OUT" || broken 'the page is not its own alone'
get 200 /api/v1/nodes/n1
says '"state": "ready"'
get 200 '/api/v1/nodes?state=ready&selector=!rack'
etag=$(sed -nE 's/^ETag: (.*[^[:space:]]).*$/\1/p' <<<"$ERR")
says '"name": "n1"'
get 400 '/api/v1/nodes?colour=red'
get 404 /api/v1/nodes/n2
get 405 /api/v1/nodes -X POST -d x
get 405 /api/v1/nodes -X DELETE
get 421 /api/v1/nodes -H 'Host: evil.example'
get 200 /api/v1/nodes -I
[ -n "$etag" ] || broken 'no ETag'
get 200 /metrics
says '^gdrfleet_nodes\{state="ready"\} 1$'
if command -v promtool >/dev/null; then
	expect 0 promtool check metrics <"$WORK/body"
fi

note 'maintenance windows, which the clock alone opens and shuts'
expect 0 ctl apply -f - <<<'{kind: Window, name: nights, selector: rack=r7, hours: [{start: "00:00", duration: 1d}]}'
get 200 /api/v1/windows/nights
says '"open": true'
! grep -qi '^etag:' <<<"$ERR" || broken 'it would be believed for longer than it is true'
get 404 /api/v1/windows/days
get 200 '/api/v1/vms?names=n1&detail=true'
says '"guest": "PIX"'

note 'the answers are as the OpenAPI document says'
expect 0 python3 "$SOURCE/tests/functional/openapi.py" "$URL"
says 'answers fit'

note 'the stream tells of a change, and goes on where it ended'
curl -sSN -m 6 "$URL/api/v1/stream" >"$WORK/stream" 2>/dev/null &
stream=$!
within 5 grep -q '^event: reset' "$WORK/stream"
expect 0 ctl node label n1 rack=r1
within 5 grep -qE '^data: .*"name": "n1".*"rack": "r1"' "$WORK/stream"
wait $stream
id=$(sed -n 's/^id: //p' "$WORK/stream" | tail -n 1)
expect 0 ctl node label n1 rack=r2
run curl -sSN -m 2 -H "Last-Event-ID: $id" "$URL/api/v1/stream"
says '^event: change'
says '"rack": "r2"'

note 'hostile clients: too much, too slow, too many'
get 431 / -H "X: $(head -c 40000 /dev/zero | tr '\0' x)"
expect 0 python3 "$SOURCE/tests/functional/badhttp.py" "$((PORT + 3))" slow 300 $((14 * PATIENCE)) &
slow=$!
sleep 1
begun=$(date +%s%N)
expect 0 ctl node show n1
took=$((($(date +%s%N) - begun) / 1000000))
note "an operator is answered after $took ms"
[ $took -lt $((2000 * PATIENCE)) ] || broken 'slow clients keep operators waiting'
throughout 3 node_is n1 ready
wait $slow
cut() {
	[ "$(metric gdrfleet_http_cut_total)" -gt 100 ]
}
within 15 cut
curl -sS -Z --parallel-max 50 -o /dev/null "$URL/api/v1/nodes/n1?[1-500]" 2>/dev/null
get 200 /healthz
within 5 curl -sSf -o /dev/null "$URL/api/v1/summary"
node_is n1 ready || broken 'the flood lost a node'
[ "$(metric process_open_fds)" -lt 200 ] || broken 'it keeps descriptors'

note 'elsewhere: not without TLS and token'
stop gdrd
sed "s/127.0.0.1:$((PORT + 3))/0.0.0.0:$((PORT + 3))/" "$WORK/gdrd.yaml" >"$WORK/open.yaml"
expect 1 "$BIN/gdrd" --config "$WORK/open.yaml"
complains 'takes TLS'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gdrd.example \
	-keyout "$WORK/web.key" -out "$WORK/web.pem" 2>/dev/null || broken 'no certificate'
(umask 077 && echo 'c29tZS10b2tlbi1vZi1hLXZpZXdlcg==' >"$WORK/tokens")
sed -i "s|^web: .*|web: {listen: \"0.0.0.0:$((PORT + 3))\", certificate: $WORK/web.pem, key: $WORK/web.key, tokens: $WORK/tokens, hosts: [gdrd.example]}|" "$WORK/gdrd.yaml"
gdrd_up
URL=https://gdrd.example:$((PORT + 3))
at=(--cacert "$WORK/web.pem" --resolve "gdrd.example:$((PORT + 3)):127.0.0.1")
get 200 /healthz "${at[@]}"
get 200 /app.js "${at[@]}"
get 401 /api/v1/nodes "${at[@]}"
get 401 /metrics "${at[@]}"
get 401 /api/v1/stream "${at[@]}" -H 'Authorization: Bearer c29tZS1vdGhlci10b2tlbi1vZi1ub2JvZHk='
get 200 /api/v1/nodes "${at[@]}" -H 'Authorization: Bearer c29tZS10b2tlbi1vZi1hLXZpZXdlcg=='
says '"name": "n1"'
run curl -sS -m 5 "http://127.0.0.1:$((PORT + 3))/api/v1/nodes"
[ "$RC" -ne 0 ] || broken 'it speaks without TLS'
note 'done'
