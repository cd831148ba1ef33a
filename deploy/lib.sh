# shellcheck shell=bash
# lib.sh - what quickstart and check share.  Read with `.`; needs the name of the program in PROGRAM.

say() {
	printf '%s\n' "$*"
}

# fail TEXT: one line that says what is wrong and what to do; ends the script.
fail() {
	printf '%s: %s\n' "${PROGRAM:?}" "$*" >&2
	exit 1
}

# packages_of USE...: the packages of deploy/packages for these uses.
packages_of() {
	local use package _
	while read -r use package _; do
		case " $* " in
		*" $use "*) printf '%s\n' "$package" ;;
		esac
	done <"${SOURCE:?}/deploy/packages"
}

# need_packages USE...: installs what is missing; asks no package server where nothing is.
need_packages() {
	local wanted missing=() package root=()
	command -v dpkg-query >/dev/null ||
		fail 'this is no Debian system (no dpkg-query); install by hand what deploy/packages names'
	wanted=$(packages_of "$@")
	for package in $wanted; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "Installing ${#missing[@]} packages: ${missing[*]}"
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || fail "not root, and there is no sudo; as root: apt-get install ${missing[*]}"
		root=(sudo)
	fi
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2 ||
		fail "cannot get the list of packages (apt-get update failed, see above); missing: ${missing[*]}"
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" >&2 ||
		fail "cannot install the packages (apt-get failed, see above); missing: ${missing[*]}"
}

# took SECONDS_AT_START: "42 s" or "3 min 5 s".
took() {
	local s=$((SECONDS - $1))
	if [ $s -lt 60 ]; then
		printf '%d s' $s
	else
		printf '%d min %d s' $((s / 60)) $((s % 60))
	fi
}
