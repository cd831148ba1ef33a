# bash completion for gdr-agent and gdr-guest: what --help lists.
_gdr_agent() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} help words
	COMPREPLY=()
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null) || return
	case $previous in
	--config | --profile | join | lint) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
	--root) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
	-o) words='table json yaml' ;;
	--log-format) words='auto human journal json' ;;
	topology) words=lint ;;
	*)
		case $current in
		-*) words=$(sed -n '/^options:/,/^$/p' <<<"$help" | grep -oE -- '(^| )--?[a-z-]+') ;;
		*) words=$(sed -nE '/^commands:/,/^$/s/^  ([a-z-]+).*/\1/p' <<<"$help") ;;
		esac ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _gdr_agent gdr-agent gdr-guest
