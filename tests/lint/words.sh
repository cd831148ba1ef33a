#!/bin/bash
# words.sh - what no file of the project holds: paths of somebody's machine, package servers, marks of
# unfinished work, merge conflicts, blanks at line ends.
. "$(dirname "$0")/lib.sh"

# no PATTERN WHY [EXCEPT]: no text file but those that fit the regex EXCEPT matches.
no() {
	while IFS= read -r file; do
		[[ $file == tests/lint/words.sh ]] && continue
		[ -n "${3-}" ] && [[ $file =~ $3 ]] && continue
		grep -nIE -- "$1" "$file" | sed "s|^|$file:|; s|\$|    ($2)|"
	done < <(files '*') | grep . && rc=1
}
data='^tests/(golden|fixtures|fuzz)/|LICENSE'
no '(^|[^[:alnum:]_.])/(home|root|work|Users)/[[:alnum:]_.]' 'a path of one machine' "$data"
no '[a-z]+\.(debian|ubuntu)\.(org|com)/|registry\.npmjs|pypi\.org' 'a package server: packages come from what the machine is set to'
no '(^|[^[:alnum:]])(TODO|FIXME|XXX|HACK)([^[:alnum:]X]|$)' 'unfinished work' "$data"
no '^(<<<<<<<|>>>>>>>|=======)( |$)' 'a merge conflict' "$data"
no '[[:blank:]]+$' 'a blank at the end of the line' "$data"
no $'\r' 'a carriage return' "$data"
exit $rc
