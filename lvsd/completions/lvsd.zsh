#compdef lvsd ipvsadm ipvsadm-save ipvsadm-restore
# Completion for zsh of lvsd, ipvsadm, ipvsadm-save and ipvsadm-restore; printed by `lvsd completions zsh`.

_lvsd() {
    local program=lvsd tab=$'\t' found line
    local -a offered shown
    [[ $words[1] == lvsd || $words[1] == */lvsd ]] && program=$words[1]
    found=$(${~program} completions --for "${(@Q)words[1,CURRENT-1]}" "$PREFIX" 2>/dev/null)
    if (( $? == 3 )); then
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files
        return
    fi
    for line in ${(f)found}; do
        offered+=("${line%%$tab*}")
        shown+=("${${line/$tab/  -- }%  -- }")
    done
    compadd -l -d shown -a -- offered
}

if [[ $funcstack[1] == _lvsd ]]; then
    _lvsd "$@"
else
    compdef _lvsd lvsd ipvsadm ipvsadm-save ipvsadm-restore
fi
