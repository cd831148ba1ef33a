# bash completion for gdrctl, made by `gdrctl completion bash`.

# Sets $command to the command that the words name so far.
__gdrctl_command() { # WORD...
	command=
	while [ $# -gt 0 ]; do
		case $1 in
		--context|-c|--config|--output|-o|--timeout) shift ;;
		-*) ;;
		*)
			case $command in
			'') command=$1 ;;
			'node'|'vm'|'profile'|'rollout'|'window'|'event'|'topology'|'token'|'user'|'key'|'config') command="$command $1" ;;
			esac ;;
		esac
		[ $# -gt 0 ] && shift
	done
}

# Sets $answer to what may stand where CURRENT is: "@file" for files.
__gdrctl_words() { # COMMAND PREVIOUS CURRENT
	local global='--context --config --output --timeout --no-color --help --version'
	answer=
	case $2 in
		--context|-c) answer=$(gdrctl config get-contexts -o name 2>/dev/null); return ;;
		--config) answer=@file; return ;;
		--output|-o) answer='table wide json yaml name'; return ;;
		--timeout) answer=''; return ;;
	esac
	case $1 in
	'')
		case $3 in
		-*) answer=$global ;;
		*) answer='apply diff export status node vm profile rollout window event drift topology token user key config completion help version' ;;
		esac ;;
	'node') answer='list show accept reject remove label hold release audit assign reboot reboots'; return ;;
	'vm') answer='list show'; return ;;
	'profile') answer='list show diff history lint'; return ;;
	'rollout') answer='plan start list show watch wait pause resume promote abort rollback'; return ;;
	'window') answer='list remove'; return ;;
	'event') answer='list watch'; return ;;
	'topology') answer='lint'; return ;;
	'token') answer='create'; return ;;
	'user') answer='add list remove'; return ;;
	'key') answer='rotate'; return ;;
	'config') answer='view use-context get-contexts'; return ;;
	'apply')
		case $2 in
		--file|-f) answer=@file; return ;;
		--message|-m) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --file --dry-run --message --wait --keep-waiting" ;;
		*) answer='' ;;
		esac ;;
	'diff')
		case $2 in
		--file|-f) answer=@file; return ;;
		esac
		case $3 in
		-*) answer="$global --file" ;;
		*) answer='' ;;
		esac ;;
	'export')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'status')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --watch --wait --keep-waiting" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node list')
		case $2 in
		--selector|-l) answer=''; return ;;
		--state) answer='ready converging wants-reboot rebooting stuck drifted held lost unassigned new pending'; return ;;
		--layer) answer='bios nic kernel hugepages pci vm link sysctl gpu nccl readiness'; return ;;
		--item) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --state --layer --item --watch" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node show')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node accept')
		case $2 in
		--name) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --name" ;;
		*) answer='' ;;
		esac ;;
	'node reject')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'node remove')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --yes" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node label')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node hold')
		case $2 in
		--selector|-l) answer=''; return ;;
		--message|-m) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --message" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node release')
		case $2 in
		--selector|-l) answer=''; return ;;
		--message|-m) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --message" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node audit')
		case $2 in
		--selector|-l) answer=''; return ;;
		--message|-m) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --message" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node assign')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --wait --keep-waiting" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||'; gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'node reboot')
		case $2 in
		--selector|-l) answer=''; return ;;
		--message|-m) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --message --yes --wait --keep-waiting" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'node reboots')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'vm list')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'vm show')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl vm list -o name --timeout 2s 2>/dev/null | sed 's|^vm/||') ;;
		esac ;;
	'profile list')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'profile show')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'profile diff')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'profile history')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'profile lint')
		case $2 in
		--file|-f) answer=@file; return ;;
		esac
		case $3 in
		-*) answer="$global --file --strict --rules" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'rollout plan')
		case $2 in
		--selector|-l) answer=''; return ;;
		--file|-f) answer=@file; return ;;
		--name) answer=''; return ;;
		--message|-m) answer=''; return ;;
		--canary) answer=''; return ;;
		--waves) answer=''; return ;;
		--soak) answer=''; return ;;
		--max-unavailable) answer=''; return ;;
		--per-label) answer=''; return ;;
		--failure-budget) answer=''; return ;;
		--node-deadline) answer=''; return ;;
		--wave-deadline) answer=''; return ;;
		--deadline) answer=''; return ;;
		--unreachable) answer='skip wait fail'; return ;;
		--on-failure) answer='pause abort rollback'; return ;;
		--window) answer=''; return ;;
		--drain) answer=''; return ;;
		--check) answer=''; return ;;
		--notify) answer=''; return ;;
		--compare) answer=''; return ;;
		--promotion) answer='automatic manual'; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --file --name --message --canary --waves --soak --max-unavailable --per-label --failure-budget --node-deadline --wave-deadline --deadline --unreachable --on-failure --window --drain --check --notify --compare --supersede --promotion" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'rollout start')
		case $2 in
		--selector|-l) answer=''; return ;;
		--file|-f) answer=@file; return ;;
		--name) answer=''; return ;;
		--message|-m) answer=''; return ;;
		--canary) answer=''; return ;;
		--waves) answer=''; return ;;
		--soak) answer=''; return ;;
		--max-unavailable) answer=''; return ;;
		--per-label) answer=''; return ;;
		--failure-budget) answer=''; return ;;
		--node-deadline) answer=''; return ;;
		--wave-deadline) answer=''; return ;;
		--deadline) answer=''; return ;;
		--unreachable) answer='skip wait fail'; return ;;
		--on-failure) answer='pause abort rollback'; return ;;
		--window) answer=''; return ;;
		--drain) answer=''; return ;;
		--check) answer=''; return ;;
		--notify) answer=''; return ;;
		--compare) answer=''; return ;;
		--promotion) answer='automatic manual'; return ;;
		esac
		case $3 in
		-*) answer="$global --selector --file --name --message --canary --waves --soak --max-unavailable --per-label --failure-budget --node-deadline --wave-deadline --deadline --unreachable --on-failure --window --drain --check --notify --compare --supersede --promotion --wait" ;;
		*) answer=$(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed 's|^profile/||') ;;
		esac ;;
	'rollout list')
		case $2 in
		esac
		case $3 in
		-*) answer="$global --watch" ;;
		*) answer='' ;;
		esac ;;
	'rollout show')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout watch')
		case $2 in
		--after) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --after" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout wait')
		case $2 in
		esac
		case $3 in
		-*) answer="$global --promotion" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout pause')
		case $2 in
		--message|-m) answer=''; return ;;
		--seen) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --message --seen" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout resume')
		case $2 in
		--message|-m) answer=''; return ;;
		--seen) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --message --seen --wait" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout promote')
		case $2 in
		--message|-m) answer=''; return ;;
		--seen) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --all --message --seen --wait" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout abort')
		case $2 in
		--message|-m) answer=''; return ;;
		--seen) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --message --seen" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'rollout rollback')
		case $2 in
		--message|-m) answer=''; return ;;
		--seen) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --message --seen --wait" ;;
		*) answer=$(gdrctl rollout list -o name --timeout 2s 2>/dev/null | sed 's|^rollout/||') ;;
		esac ;;
	'window list')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'window remove')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'event list')
		case $2 in
		--object) answer=''; return ;;
		--limit|-n) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --object --limit" ;;
		*) answer='' ;;
		esac ;;
	'event watch')
		case $2 in
		--object) answer=''; return ;;
		--after) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --object --after" ;;
		*) answer='' ;;
		esac ;;
	'drift')
		case $2 in
		--selector|-l) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --selector" ;;
		*) answer=$(gdrctl node list -o name --timeout 2s 2>/dev/null | sed 's|^node/||') ;;
		esac ;;
	'topology lint')
		case $2 in
		--nccl) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --nccl" ;;
		*) answer=@file ;;
		esac ;;
	'token create')
		case $2 in
		--node) answer=''; return ;;
		--ttl) answer=''; return ;;
		esac
		case $3 in
		-*) answer="$global --node --ttl" ;;
		*) answer='' ;;
		esac ;;
	'user add')
		case $2 in
		--role) answer='viewer operator admin'; return ;;
		--key) answer=''; return ;;
		--new) answer=@file; return ;;
		esac
		case $3 in
		-*) answer="$global --role --key --new" ;;
		*) answer='' ;;
		esac ;;
	'user list')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'user remove')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'key rotate')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'config view')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'config use-context')
		case $3 in
		-*) answer="$global" ;;
		*) answer=$(gdrctl config get-contexts -o name 2>/dev/null) ;;
		esac ;;
	'config get-contexts')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'completion')
		case $3 in
		-*) answer="$global" ;;
		*) answer='bash zsh fish' ;;
		esac ;;
	'help')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	'version')
		case $3 in
		-*) answer="$global" ;;
		*) answer='' ;;
		esac ;;
	esac
}

_gdrctl() {
	local current=$2 previous=$3 command answer
	__gdrctl_command "${COMP_WORDS[@]:1:COMP_CWORD-1}"
	__gdrctl_words "$command" "$previous" "$current"
	if [ "$answer" = @file ]; then
		compopt -o default
		COMPREPLY=()
	else
		mapfile -t COMPREPLY < <(compgen -W "$answer" -- "$current")
	fi
}
complete -F _gdrctl gdrctl
