#!/bin/bash
# format.sh - every C file is as clang-format would write it.
. "$(dirname "$0")/lib.sh"
command -v clang-format >/dev/null || skip 'clang-format is not installed (apt-get install clang-format)'
mapfile -t sources < <(files '*.c' '*.h')
[ ${#sources[@]} -gt 0 ] || { breach 'found no C file'; exit 1; }
clang-format --dry-run --Werror "${sources[@]}" || exit 1
