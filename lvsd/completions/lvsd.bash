# Completion for bash of lvsd, ipvsadm, ipvsadm-save and ipvsadm-restore; printed by `lvsd completions bash`.

_lvsd() {
    local line=${COMP_LINE:0:COMP_POINT} program=lvsd words word file= status
    [[ $1 == lvsd || $1 == */lvsd ]] && program=$1
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    words=("$1" "${words[@]:1}")

    # Readline replaces only what follows the last character at which it breaks words.
    local breaks='' keep=''
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
    [[ -n $breaks ]] && keep=${word%"${word##*["$breaks"]}"}

    COMPREPLY=()
    local found
    found=$("${program/#\~/$HOME}" completions --for "${words[@]}" 2>/dev/null)
    status=$?
    if [[ $status == 3 ]]; then
        [[ $word == --*=* ]] && file=${word#*=} || file=$word
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$file")
        return
    fi
    local candidate
    while IFS=$'\t' read -r candidate _; do
        [[ -n $candidate ]] && COMPREPLY+=("${candidate:${#keep}}")
    done <<<"$found"
}

complete -F _lvsd lvsd ipvsadm ipvsadm-save ipvsadm-restore
