#!/bin/bash
# sizes.sh - no file outgrows its reader: sources 800 lines, headers 150; a test, which is read case by case, 1500.
. "$(dirname "$0")/lib.sh"
while IFS= read -r file; do
	limit=800
	[[ $file == *.h ]] && limit=150
	[[ $file == tests/unit/*.c ]] && limit=1500
	[[ $file == tests/*/*.h ]] && limit=500
	lines=$(wc -l <"$file")
	[ "$lines" -le $limit ] || breach "$file:$limit: $lines lines, at most $limit: split it by subject"
done < <(files '*.c' '*.h' '*.sh' 'deploy/quickstart' 'deploy/check')
exit $rc
