#!/bin/bash
# tidy.sh - clang-tidy over every C file that the build compiles, with the checks of .clang-tidy.
# BUILD names the build folder; a changed file or header is looked at again, the rest is remembered there.
. "$(dirname "$0")/lib.sh"
BUILD=${BUILD:-build}
command -v clang-tidy >/dev/null || skip 'clang-tidy is not installed (apt-get install clang-tidy)'
[ -e "$BUILD/compile_commands.json" ] || skip "no $BUILD/compile_commands.json (set BUILD to a build folder)"

# gcc's own flags mean nothing to clang; unknown warnings are not what is looked for here.
work=$BUILD/tidy
mkdir -p "$work/ok" || exit 2
sed -E 's/ -(fstack-clash-protection|ftrivial-auto-var-init=zero|fcf-protection=full|W[a-z0-9=+-]+|fsanitize=[a-z,-]+)//g' \
	"$BUILD/compile_commands.json" >"$work/compile_commands.json"

# One key over what every file may depend on: all headers, the checks, the tool, the generated protocol.
common=$({ files '*.h' '*.def' 'proto/*.proto' | xargs cat; cat .clang-tidy; clang-tidy --version; } | sha256sum)
# shellcheck disable=SC2016 # For the shell that xargs starts.
one='
	key=$(printf "%s" "$3" | cat - "$1" | sha256sum | cut -c1-40)
	[ -e "$2/ok/$key" ] && exit 0
	out=$(clang-tidy -p "$2" --quiet --warnings-as-errors="*" "$1" 2>&1)
	if [ $? -eq 0 ]; then
		: >"$2/ok/$key"
	else
		printf "%s\n" "$out" | grep -vE "^[0-9]+ warnings?( treated as errors?| generated)|^Suppressed|^Use -header"
		exit 1
	fi'
compiled=$(sed -nE 's/^ *"file": "(.*)",?$/\1/p' "$BUILD/compile_commands.json")
files 'common/*.c' 'agent/*.c' 'controller/*.c' 'tests/simhost/*.c' 'tests/functional/*.c' | while IFS= read -r file; do
	grep -qxF "$PWD/$file" <<<"$compiled" && printf '%s\n' "$file"
done | xargs -r -P 2 -I{} sh -c "$one" tidy {} "$work" "$common" || exit 1
