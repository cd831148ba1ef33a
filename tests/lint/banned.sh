#!/bin/bash
# banned.sh - functions that overflow, truncate silently, start a shell or hide errors, and goto.
. "$(dirname "$0")/lib.sh"
functions='sprintf|vsprintf|strcpy|stpcpy|strcat|strncpy|strncat|gets|atoi|atol|atoll|atof|tmpnam|mktemp|strtok|alloca'
while IFS= read -r file; do
	shell='|system|popen'
	[[ $file == tests/* ]] && shell=''
	code "$file" | grep -E "(^|[^[:alnum:]_])($functions$shell)[[:space:]]*\(|(^|[^[:alnum:]_])goto[[:space:]]" |
		sed "s|^|$file:|; s|\$|    (banned: see tests/lint/banned.sh)|"
done < <(files '*.c' '*.h') | grep . && rc=1
exit $rc
