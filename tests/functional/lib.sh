# shellcheck shell=bash
# lib.sh - what the functional tests share: a gdrd, simulated hosts and gdrctl in a folder of their own, on
# loopback ports of their own, all ended on exit.  A test reads as a story: it says what it does with `note`, and
# the first `expect` that does not hold ends it with what was seen.  BIN names the built programs, SOURCE the tree.
set -u
export LC_ALL=C
TEST=$(basename "$0" .sh)
SOURCE=${SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
BIN=${BIN:-$SOURCE/build/bin}
for program in gdrd gdrctl gdr-agent gdr-simhost; do
	[ -x "$BIN/$program" ] || { echo "skipped: no program $BIN/$program"; exit 77; }
done
# Under the sanitizers, and on a busy machine, everything takes longer.
PATIENCE=${PATIENCE:-1}

WORK=$(mktemp -d "${TMPDIR:-/tmp}/gdrfleet-$TEST.XXXXXX") || exit 2
export GDRCTL_CONFIG=$WORK/gdrctl.yaml
declare -A PID=() # What runs, by name.
OUT='' ERR='' RC=0

note() {
	printf '%s: [%3d s] %s\n' "$TEST" "$SECONDS" "$*"
}

# broken TEXT: ends the test, with the logs' ends.
broken() {
	local log
	printf '%s: FAILED: %s\n' "$TEST" "$*"
	printf -- '--- last command: exit %s\n%s\n%s\n' "$RC" "${OUT:0:3000}" "${ERR:0:3000}"
	while IFS= read -r log; do
		[ -s "$log" ] && printf -- '--- %s\n' "$log" && tail -n 15 "$log"
	done < <(find "$WORK" -name '*.log')
	exit 1
}

# --- commands and what is expected of them -----------------------------------------------------
# run COMMAND...: into OUT, ERR, RC.
run() {
	OUT=$("$@" 2>"$WORK/stderr") && RC=0 || RC=$?
	ERR=$(<"$WORK/stderr")
}

# expect CODE COMMAND...: it ends with this exit code.
expect() {
	local code=$1
	shift
	run "$@"
	[ "$RC" -eq "$code" ] || broken "expected exit $code of: $*"
}

# says PATTERN / complains PATTERN: stdout / stderr of the last command match this extended regex.
says() {
	grep -qE -- "$1" <<<"$OUT" || broken "expected in its output: $1"
}
complains() {
	grep -qE -- "$1" <<<"$ERR" || broken "expected in its complaint: $1"
}

# one_line: the last command complained in a single line.
one_line() {
	[ "$(grep -c . <<<"$ERR")" -eq 1 ] || broken 'expected one line of complaint'
}

# one_error: the same of a program that logs.
one_error() {
	[ "$(grep -c ' error: ' <<<"$ERR")" -eq 1 ] || broken 'expected one line of error'
}

# within SECONDS COMMAND...: it succeeds, at the latest then.
within() {
	local limit=$(($1 * PATIENCE)) begun=$SECONDS
	shift
	until run "$@" && [ "$RC" -eq 0 ]; do
		[ $((SECONDS - begun)) -lt $limit ] || broken "not within $limit s: $*"
		sleep 0.2
	done
}

# throughout SECONDS COMMAND...: it succeeds all the time.
throughout() {
	local until=$((SECONDS + $1))
	shift
	while [ $SECONDS -lt $until ]; do
		run "$@"
		[ "$RC" -eq 0 ] || broken "did not stay so: $*"
		sleep 0.3
	done
}

# --- processes -----------------------------------------------------------------------------------
# spawn NAME COMMAND...: in the background, in a session of its own; log in WORK/NAME.log.
spawn() {
	local name=$1
	shift
	setsid "$@" >>"$WORK/$name.log" 2>&1 </dev/null &
	PID[$name]=$!
	disown
}

# With every thread of it: until the last is gone a killed program keeps its locks and ports.
alive() {
	[ -n "${PID[$1]-}" ] && cat "/proc/${PID[$1]}"/task/*/status 2>/dev/null | grep -q '^State:.[^ZX]'
}

# stop NAME [SIGNAL]: and waits until it is gone.
stop() {
	local try
	alive "$1" && kill -s "${2:-TERM}" "${PID[$1]}" 2>/dev/null
	for ((try = 0; try < 100 * PATIENCE; try++)); do
		alive "$1" || break
		sleep 0.1
	done
	alive "$1" && broken "$1 did not stop"
	unset "PID[$1]"
}

finish() {
	local code=$? name try
	trap '' EXIT INT TERM
	for name in "${!PID[@]}"; do
		alive "$name" && kill -TERM "${PID[$name]}" 2>/dev/null
	done
	for name in "${!PID[@]}"; do
		for ((try = 0; try < 50 * PATIENCE; try++)); do
			alive "$name" || break
			sleep 0.1
		done
		# Its whole session: what it started itself must not outlive the test.
		kill -KILL -- "-${PID[$name]}" 2>/dev/null
	done
	if find "$WORK" -name '*.log' -exec grep -E -A 20 'ERROR: (Address|Leak)Sanitizer|runtime error:' {} + | grep .; then
		echo "$TEST: FAILED: a sanitizer complained; everything is kept in $WORK"
		exit 1
	fi
	if [ $code -eq 0 ] || [ $code -eq 77 ]; then
		rm -rf "$WORK"
	else
		echo "$TEST: everything is kept in $WORK"
	fi
	exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- the fleet -----------------------------------------------------------------------------------
free_ports() {
	local try p
	for ((try = 0; try < 50; try++)); do
		PORT=$((20000 + (RANDOM % 3000) * 4))
		for p in $PORT $((PORT + 1)) $((PORT + 2)) $((PORT + 3)); do
			(: <"/dev/tcp/127.0.0.1/$p") 2>/dev/null && continue 2
		done
		return
	done
	broken 'found no free ports'
}

# settings: gdrd.yaml, with quick leases; a test may add to it.
settings() {
	[ -n "${PORT-}" ] || free_ports
	cat >"$WORK/gdrd.yaml" <<TEXT
state: $WORK/gdrd
agents: tcp://127.0.0.1:$PORT
operators: tcp://127.0.0.1:$((PORT + 1))
enrol: tcp://127.0.0.1:$((PORT + 2))
web: {listen: "127.0.0.1:$((PORT + 3))"}
lease: 1s
lost_after: 10s
report_interval: 100ms
TEXT
}

ctl() {
	"$BIN/gdrctl" "$@"
}

# gdrd_up: starts it (again), and waits until it answers.
gdrd_up() {
	[ -e "$WORK/gdrd.yaml" ] || settings
	spawn gdrd "$BIN/gdrd" --config "$WORK/gdrd.yaml"
	within 20 gdrd_answers
}
gdrd_answers() {
	alive gdrd || broken 'gdrd ended'
	[ -e "$GDRCTL_CONFIG" ] || cp "$WORK/gdrd/admin.yaml" "$GDRCTL_CONFIG" 2>/dev/null || return 1
	ctl node list
}

root_of() {
	printf '%s\n' "$WORK/hosts/$1"
}

# host_make NAME: a simulated host, joined by token.  host_up NAME: and running.
host_make() {
	local tree
	tree=$(root_of "$1")
	mkdir -p "$WORK/hosts"
	expect 0 "$BIN/gdr-simhost" create "$tree" --name "$1" --check-interval 1s
	expect 0 ctl token create --node "$1"
	(umask 077 && printf '%s\n' "$OUT" >"$WORK/$1.token")
	expect 0 "$BIN/gdr-agent" --config "$tree/etc/gdrfleet/agent.yaml" join "$WORK/$1.token"
}
host_up() {
	[ -d "$(root_of "$1")" ] || host_make "$1"
	spawn "$1" "$BIN/gdr-simhost" run "$(root_of "$1")" --agent "$BIN/gdr-agent" --reboot-time 1s
}

# In h1's only VM: its root; gdr-guest there; inside break|mend [FAULT...].
G=$(root_of h1)/.sim/guests/h1-gpu0
guest() {
	"$BIN/gdr-guest" --config "$G/etc/gdrfleet/guest.yaml" "$@"
}
inside() {
	expect 0 "$BIN/gdr-simhost" "$1" "$(root_of h1)/h1-gpu0" "${@:2}"
}

# report_make FILE: what an eight-GPU host says of itself before anything was done about it, as JSON.
report_make() {
	expect 0 "$BIN/gdr-simhost" create "$WORK/like" --name like
	expect 3 "$BIN/gdr-agent" --config "$WORK/like/etc/gdrfleet/agent.yaml" check -o json \
		--profile "$SOURCE/deploy/profiles/vela-a100.yaml"
	printf '%s\n' "$OUT" >"$1"
}

# boot_of NAME: its boot id.
boot_of() {
	cat "$(root_of "$1")/proc/sys/kernel/random/boot_id"
}

# node_is NAME STATE
node_is() {
	ctl node list --state "$2" -o name | grep -qxE "(node/)?$1"
}

# half_of NAME worker|comm: the pid of this half of its agent.
half_of() {
	local tree pid arguments
	tree=$(root_of "$1")
	for pid in /proc/[0-9]*; do
		mapfile -d '' -t arguments 2>/dev/null <"$pid/cmdline" || continue
		[[ "${arguments[0]-}" == */gdr-agent && " ${arguments[*]} " == *" $tree/"*" $2 "* ]] && basename "$pid" && return
	done
	return 1
}

# kill_half NAME worker|comm: as a crash would.
kill_half() {
	local pid
	pid=$(half_of "$1" "$2") && kill -KILL "$pid" 2>/dev/null
}

# pages NAME [NUMBER]: 1G pages on NUMA node 0, or takes all but so many away, by hand.
pages() {
	local file
	file=$(root_of "$1")/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages
	if [ $# -gt 1 ]; then
		echo "$2" >"$file"
	else
		cat "$file"
	fi
}
pages_are() {
	[ "$(pages "$1")" -eq "$2" ]
}

# fleet NAME...: these hosts, joined and running, with the profile vela-a100.
fleet() {
	local name
	gdrd_up
	expect 0 ctl apply -f "$SOURCE/deploy/profiles/vela-a100.yaml"
	for name; do
		host_up "$name"
	done
	expect 0 ctl node assign "$@" vela-a100
}

# check_of NAME [ARGUMENT...]: the host's own `gdr-agent check`.
check_of() {
	local tree
	tree=$(root_of "$1")
	shift
	"$BIN/gdr-agent" --config "$tree/etc/gdrfleet/agent.yaml" check "$@"
}
