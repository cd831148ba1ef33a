#!/bin/bash
# shell.sh - shellcheck over every script.
. "$(dirname "$0")/lib.sh"
command -v shellcheck >/dev/null || skip 'shellcheck is not installed (apt-get install shellcheck)'
mapfile -t scripts < <(files '*' | while IFS= read -r file; do
	case $file in
	*.sh) printf '%s\n' "$file" ;;
	*.* | Makefile | LICENSE) ;;
	*) head -c 64 "$file" | head -n 1 | grep -qaE '^#!/.*[ /](ba)?sh' && printf '%s\n' "$file" ;;
	esac
done)
shellcheck -x -P SCRIPTDIR "${scripts[@]}" || exit 1
