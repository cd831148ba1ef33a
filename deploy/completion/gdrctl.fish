# fish completion for gdrctl, made by `gdrctl completion fish`.

# Is this the command that the line names so far?
function __gdrctl_is
    set -l command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -qr -- '^(--context|-c|--config|--output|-o|--timeout)$' $word
            set skip 1
        else if not string match -q -- '-*' $word
            if test (count $command) = 0; or contains -- "$command" node profile event token user config
                set -a command $word
            end
        end
    end
    test "$command" = "$argv"
end

complete -c gdrctl -f
complete -c gdrctl -l context -s c -x -a '(gdrctl config get-contexts -o name 2>/dev/null)' -d 'context of the settings file to use'
complete -c gdrctl -l config -r -F -d 'settings file (default: $GDRCTL_CONFIG, ~/.config/gdrfleet/gdrctl.yaml)'
complete -c gdrctl -l output -s o -x -a 'table wide json yaml name' -d 'table, wide, json, yaml or name'
complete -c gdrctl -l timeout -x -d 'for an answer (default 10s); with --wait: for the end (default: none)'
complete -c gdrctl -l no-color -d 'no colours (nor with NO_COLOR set, nor into a file)'
complete -c gdrctl -l help -s h -d 'this help'
complete -c gdrctl -l version -d 'the version'
complete -c gdrctl -n '__gdrctl_is ""' -a apply -d 'make the fleet as the documents say: profiles and nodes'
complete -c gdrctl -n '__gdrctl_is "apply"' -l file -s f -r -F -d 'documents: a file, a folder (its *.yaml), - for stdin; may be repeated'
complete -c gdrctl -n '__gdrctl_is "apply"' -l dry-run -d 'check, show the difference, change nothing'
complete -c gdrctl -n '__gdrctl_is "apply"' -l message -s m -x -d 'why, for the history'
complete -c gdrctl -n '__gdrctl_is "apply"' -l wait -d 'wait until the nodes are ready (--timeout: for that long)'
complete -c gdrctl -n '__gdrctl_is "apply"' -l keep-waiting -d 'with --wait: also when a node is stuck'
complete -c gdrctl -n '__gdrctl_is ""' -a diff -d 'what apply would change; exit 0: nothing, 3: something'
complete -c gdrctl -n '__gdrctl_is "diff"' -l file -s f -r -F -d 'documents: a file, a folder (its *.yaml), - for stdin; may be repeated'
complete -c gdrctl -n '__gdrctl_is ""' -a export -d 'profiles and nodes as the documents that apply takes'
complete -c gdrctl -n '__gdrctl_is ""' -a status -d 'the fleet in one screen; exit 0 only if all is ready, else 3'
complete -c gdrctl -n '__gdrctl_is "status"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "status"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "status"' -l watch -s w -d 'go on showing what changes'
complete -c gdrctl -n '__gdrctl_is "status"' -l wait -d 'wait until the nodes are ready (--timeout: for that long)'
complete -c gdrctl -n '__gdrctl_is "status"' -l keep-waiting -d 'with --wait: also when a node is stuck'
complete -c gdrctl -n '__gdrctl_is ""' -a node
complete -c gdrctl -n '__gdrctl_is "node"' -a list -d 'nodes and how they are'
complete -c gdrctl -n '__gdrctl_is "node list"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node list"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node list"' -l state -x -a 'ready converging wants-reboot rebooting stuck drifted held lost unassigned new pending' -d 'only nodes in one of these states'
complete -c gdrctl -n '__gdrctl_is "node list"' -l layer -x -a 'bios kernel hugepages pci' -d 'only nodes where this layer is not right'
complete -c gdrctl -n '__gdrctl_is "node list"' -l item -x -d 'only nodes where such an item is not right (a shell pattern)'
complete -c gdrctl -n '__gdrctl_is "node list"' -l watch -s w -d 'go on showing what changes'
complete -c gdrctl -n '__gdrctl_is "node"' -a show -d 'everything about one node: items, reboots, machine'
complete -c gdrctl -n '__gdrctl_is "node show"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node"' -a accept -d 'let in a host whose key was refused'
complete -c gdrctl -n '__gdrctl_is "node accept"' -l name -x -d 'the node\'s name'
complete -c gdrctl -n '__gdrctl_is "node"' -a reject -d 'take a refused key off the list'
complete -c gdrctl -n '__gdrctl_is "node"' -a remove -d 'forget nodes: their keys are revoked, their links cut'
complete -c gdrctl -n '__gdrctl_is "node remove"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node remove"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node remove"' -l yes -s y -d 'do not ask'
complete -c gdrctl -n '__gdrctl_is "node"' -a label -d 'set labels (KEY=VALUE) and take them away (KEY-)'
complete -c gdrctl -n '__gdrctl_is "node label"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node label"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node"' -a hold -d 'do nothing new on these nodes, and no reboot'
complete -c gdrctl -n '__gdrctl_is "node hold"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node hold"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node hold"' -l message -s m -x -d 'why, for the audit log'
complete -c gdrctl -n '__gdrctl_is "node"' -a release -d 'converge again: the end of hold and audit'
complete -c gdrctl -n '__gdrctl_is "node release"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node release"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node release"' -l message -s m -x -d 'why, for the audit log'
complete -c gdrctl -n '__gdrctl_is "node"' -a audit -d 'look and report only, change nothing'
complete -c gdrctl -n '__gdrctl_is "node audit"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node audit"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node audit"' -l message -s m -x -d 'why, for the audit log'
complete -c gdrctl -n '__gdrctl_is "node"' -a assign -d 'give nodes a profile: its newest revision, or the one that is named'
complete -c gdrctl -n '__gdrctl_is "node assign"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\'; gdrctl profile list -o name --timeout 2s 2>/dev/null | sed \'s|^profile/||\')'
complete -c gdrctl -n '__gdrctl_is "node assign"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node assign"' -l wait -d 'wait until the nodes are ready (--timeout: for that long)'
complete -c gdrctl -n '__gdrctl_is "node assign"' -l keep-waiting -d 'with --wait: also when a node is stuck'
complete -c gdrctl -n '__gdrctl_is "node"' -a reboot -d 'reboot nodes, each when the reboot budget allows'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -l message -s m -x -d 'why, for the audit log'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -l yes -s y -d 'do not ask'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -l wait -d 'wait until the nodes are ready (--timeout: for that long)'
complete -c gdrctl -n '__gdrctl_is "node reboot"' -l keep-waiting -d 'with --wait: also when a node is stuck'
complete -c gdrctl -n '__gdrctl_is ""' -a profile
complete -c gdrctl -n '__gdrctl_is "profile"' -a list -d 'profiles, their newest revisions, and how many nodes have these'
complete -c gdrctl -n '__gdrctl_is "profile"' -a show -d 'a profile as a document: its newest revision, or the one that is named'
complete -c gdrctl -n '__gdrctl_is "profile show"' -a '(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed \'s|^profile/||\')'
complete -c gdrctl -n '__gdrctl_is "profile"' -a diff -d 'what differs between two profiles; exit 0: nothing, 3: something'
complete -c gdrctl -n '__gdrctl_is "profile diff"' -a '(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed \'s|^profile/||\')'
complete -c gdrctl -n '__gdrctl_is "profile"' -a history -d 'all revisions of a profile: when, by whom, why'
complete -c gdrctl -n '__gdrctl_is "profile history"' -a '(gdrctl profile list -o name --timeout 2s 2>/dev/null | sed \'s|^profile/||\')'
complete -c gdrctl -n '__gdrctl_is ""' -a event
complete -c gdrctl -n '__gdrctl_is "event"' -a list -d 'who changed what, and what happened: the newest events'
complete -c gdrctl -n '__gdrctl_is "event list"' -l object -x -d 'only events about it: node/n1, profile/vela-a100'
complete -c gdrctl -n '__gdrctl_is "event list"' -l limit -s n -x -d 'at most so many (default 50)'
complete -c gdrctl -n '__gdrctl_is "event"' -a watch -d 'events as they happen'
complete -c gdrctl -n '__gdrctl_is "event watch"' -l object -x -d 'only events about it: node/n1, profile/vela-a100'
complete -c gdrctl -n '__gdrctl_is "event watch"' -l after -x -d 'all events since this one'
complete -c gdrctl -n '__gdrctl_is ""' -a drift -d 'which items differ, and on how many nodes; exit 3 if any does'
complete -c gdrctl -n '__gdrctl_is "drift"' -a '(gdrctl node list -o name --timeout 2s 2>/dev/null | sed \'s|^node/||\')'
complete -c gdrctl -n '__gdrctl_is "drift"' -l selector -s l -x -d 'nodes whose labels fit: rack=r7,gpu!=v100,canary,!old'
complete -c gdrctl -n '__gdrctl_is ""' -a token
complete -c gdrctl -n '__gdrctl_is "token"' -a create -d 'a token that lets one new node in by itself'
complete -c gdrctl -n '__gdrctl_is "token create"' -l node -x -d 'the only name that it may enrol'
complete -c gdrctl -n '__gdrctl_is "token create"' -l ttl -x -d 'how long it is good (default 1h)'
complete -c gdrctl -n '__gdrctl_is ""' -a user
complete -c gdrctl -n '__gdrctl_is "user"' -a add -d 'let an operator in'
complete -c gdrctl -n '__gdrctl_is "user add"' -l role -x -a 'viewer operator admin' -d 'viewer, operator or admin'
complete -c gdrctl -n '__gdrctl_is "user add"' -l key -x -d 'the user\'s public key'
complete -c gdrctl -n '__gdrctl_is "user add"' -l new -r -F -d 'make a key, and write a settings file with it (mode 0600)'
complete -c gdrctl -n '__gdrctl_is "user"' -a list -d 'operators and what they may do'
complete -c gdrctl -n '__gdrctl_is "user"' -a remove -d 'revoke an operator\'s key and cut its links'
complete -c gdrctl -n '__gdrctl_is ""' -a config
complete -c gdrctl -n '__gdrctl_is "config"' -a view -d 'the settings in use, without the secret keys'
complete -c gdrctl -n '__gdrctl_is "config"' -a use-context -d 'use this context from now on'
complete -c gdrctl -n '__gdrctl_is "config use-context"' -a '(gdrctl config get-contexts -o name 2>/dev/null)'
complete -c gdrctl -n '__gdrctl_is "config"' -a get-contexts -d 'the contexts that there are'
complete -c gdrctl -n '__gdrctl_is ""' -a completion -d 'a completion script for the shell'
complete -c gdrctl -n '__gdrctl_is "completion"' -a 'bash zsh fish'
complete -c gdrctl -n '__gdrctl_is ""' -a help -d 'all commands, or all about one'
complete -c gdrctl -n '__gdrctl_is ""' -a version -d 'the version of gdrctl (`gdrctl status` has gdrd\'s)'
