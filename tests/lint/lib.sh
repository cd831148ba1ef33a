# shellcheck shell=bash
# lib.sh - what the lint scripts share.  Each script prints file:line for every breach and exits 1 if
# there was one; 77 means skipped, with the reason said.  They run from anywhere, in a clone or a tarball.
set -u
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
export rc=0

# files PATTERN...: the project's own files that fit (shell patterns on the whole path), built ones never.
files() {
	{
		if [ -e .git ] && command -v git >/dev/null; then
			git ls-files --cached --others --exclude-standard
		else
			find . -path './build*' -prune -o -type f -print | sed 's|^\./||'
		fi
	} | while IFS= read -r file; do
		for pattern; do
			# shellcheck disable=SC2053 # A pattern is what it is for.
			if [[ $file == $pattern && -e $file ]]; then
				printf '%s\n' "$file"
				break
			fi
		done
	done | sort -u
}

# breach TEXT: prints it and makes the script fail.
breach() {
	printf '%s\n' "$1"
	rc=1
}

skip() {
	printf 'skipped: %s\n' "$1"
	exit 77
}

# code FILE: its lines as "NUMBER:text" with comments and the insides of strings blanked out.
code() {
	awk '
	{
		out = ""; line = $0
		while (line != "") {
			if (comment) {
				end = index(line, "*/")
				if (!end) break
				comment = 0; line = substr(line, end + 2); continue
			}
			two = substr(line, 1, 2); one = substr(line, 1, 1)
			if (two == "//") break
			if (two == "/*") { comment = 1; line = substr(line, 3); continue }
			if (one == "\"" && out !~ /^#[ \t]*include[ \t]*$/) {
				match(line, /^"([^"\\]|\\.)*"?/)
				out = out "\"\""; line = substr(line, RLENGTH + 1); continue
			}
			if (one == "\047") {
				match(line, /^\047([^\047\\]|\\.)*\047?/)
				out = out "0"; line = substr(line, RLENGTH + 1); continue
			}
			out = out one; line = substr(line, 2)
		}
		print NR ":" out
	}' "$1"
}
