#!/bin/sh
# Asks the real keepalived about every file of this corpus and writes its answers to standard output:
#
#     lvsd/tests/keepalived/verdicts.sh > lvsd/tests/keepalived/verdicts.txt
#
# Needs root (it makes a network namespace of its own, and removes it) and keepalived 2.2.7 on the PATH.
# README.md beside this file says what the answers mean.
set -eu
cd "$(dirname "$0")"
export LC_ALL=C

ns=lvsd-keepalived-$$
scratch=$(mktemp -d)
trap 'ip netns del "$ns" 2>/dev/null; rm -rf "$scratch"' EXIT

ip netns add "$ns"
ip -n "$ns" link set lo up
for nr in 0 1 2; do
    ip -n "$ns" link add "eth$nr" type veth peer name "far$nr"
    ip -n "$ns" link set "far$nr" up
    ip -n "$ns" link set "eth$nr" up
done
ip -n "$ns" addr add 192.168.80.101/24 dev eth0
ip -n "$ns" addr add 2001:db8::11/64 dev eth0 nodad
ip -n "$ns" addr add 10.0.0.11/24 dev eth1
ip -n "$ns" addr add 2001:db8:1::11/64 dev eth1 nodad
ip -n "$ns" addr add 172.16.0.11/24 dev eth2

printf '# keepalived %s\n' "$(keepalived --version 2>&1 | sed -n 's/^Keepalived v\([0-9.]*\).*/\1/p')"
printf '# file, exit status of keepalived -t, number of complaints, the first complaint\n'

for file in valid/*.conf tutorials/*.conf newer/*.conf broken/*.conf; do
    [ -f "$file" ] || continue
    options=$(sed -n '1s/^# lvsd-test: //p' "$file" | tr -d '\r')
    # 2.2.7 ends itself by SIGTERM when a script of the file runs as a user other than root; in a session of
    # its own and with that signal ignored it goes on to the end of its test.
    status=0
    # shellcheck disable=SC2086 # the options are words
    ip netns exec "$ns" timeout -k 1 20 setsid --wait sh -c 'trap "" TERM; exec "$@"' sh \
        keepalived --config-test="$scratch/log" --use-file "$file" $options \
        >"$scratch/out" 2>&1 </dev/null || status=$?
    case $status in
    134 | 139) # SIGABRT, SIGSEGV: which of them depends on luck
        status=crash
        cat "$scratch/log" >"$scratch/all" 2>/dev/null || true
        ;;
    *) cat "$scratch/out" "$scratch/log" >"$scratch/all" 2>/dev/null || true ;;
    esac
    rm -f "$scratch/log"
    # Each process of keepalived reads the file, so one fault is complained of up to four times, with the
    # name of the file or without.
    sed -e '/^[[:space:]]*$/d' -e 's|^([^()]*: Line \([0-9]*\))|(Line \1)|' "$scratch/all" |
        awk '!seen[$0]++' >"$scratch/once"
    first=$(sed -n 1p "$scratch/once" | cut -c -160 | sed -e 's/\\/\\\\/g' -e 's/\t/\\t/g' | tr -c '\12\40-\176' '?')
    printf '%s\t%s\t%s\t%s\n' "$file" "$status" "$(wc -l <"$scratch/once")" "${first:--}"
done
