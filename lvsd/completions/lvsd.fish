# Completion for fish of lvsd, ipvsadm, ipvsadm-save and ipvsadm-restore; printed by `lvsd completions fish`.

function __lvsd_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program lvsd
    string match -qr '(^|/)lvsd$' -- $words[1]; and set program $words[1]
    set -l found ($program completions --for $words "$typed" 2>/dev/null)
    if test $status -eq 3
        set -l before (string match -r '^--[^=]*=' -- "$typed")
        string replace -r -- '^' "$before" (__fish_complete_path (string replace -- "$before" '' "$typed"))
    else
        printf '%s\n' $found
    end
end

for command in lvsd ipvsadm ipvsadm-save ipvsadm-restore
    complete -c $command -f -a '(__lvsd_complete)'
end
