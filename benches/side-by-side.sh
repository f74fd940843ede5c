#!/bin/bash
# lvsd beside its peers, in one go, in one virtual LAN on this machine: plain routing (the limit), nft
# DNAT, HAProxy in TCP mode, kernel IPVS where the kernel has it, lvsd NAT and lvsd DR.
#
#   benches/side-by-side.sh [--rounds N] [--seconds S] [CONTESTANT]...
#
# Needs root. Installs its tools, builds lvsd ($LVSD names another build), cleans up after itself, also
# after Ctrl-C. Every measure of every contestant is taken once a round, and the median of the rounds is
# printed, so that a disturbance hits all of them alike. Three real servers; for bulk data one of them.
#
#   new/s       HTTP requests a second, each on a connection of its own (wrk, 64 at a time)
#   alive/s     HTTP requests a second over 64 connections that stay
#   up, down    Gbit/s of one stream to the server, and from it (iperf3)
#   udp kpps    thousands of small UDP packets a second that reached the server's socket, checksum verified
#   ns/packet   processor time of the whole machine (sender, switch, director, server) for each of those
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

rounds=3
seconds=3
contestants=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) contestants+=("$1") ;;
    esac
    shift
done
[ ${#contestants[@]} -gt 0 ] || contestants=(routing nft haproxy ipvs lvsd-nat lvsd-dr)

if [ "$(id -u)" != 0 ]; then
    echo "this builds network namespaces and installs packages: run it as root" >&2
    exit 1
fi
scripts/install ip:iproute2 nginx:nginx-light curl:curl iperf3:iperf3 wrk:wrk nft:nftables \
    haproxy:haproxy kill:procps modprobe:kmod

target=$(cargo metadata --format-version 1 --no-deps --locked |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release
cargo build --quiet --release --locked -p benches --bin udpgen
if [ -z "${LVSD:-}" ]; then
    cargo build --quiet --release --locked -p lvsd
    LVSD=$target/lvsd
fi
udpgen=$target/udpgen

# --- the virtual LAN ---------------------------------------------------------------------------------
#
#   client eth0 ── clients ── eth0 director eth1 ── servers ── eth0 r1 r2 r3
#                     └──────────────── (DR only) ───────────── eth1

id=sbs$$
dir=$(mktemp -d)
vip=10.9.0.100
hosts=(client director r1 r2 r3)

in_ns() { local host=$1; shift; ip netns exec "$id-$host" "$@"; }

clean_up() {
    trap - EXIT INT TERM
    for host in "${hosts[@]}" switch; do
        ip netns pids "$id-$host" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$id-$host" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

# plug HOST DEV BRIDGE [ADDRESS]: a cable from HOST to a switch.
plug() {
    ip -n "$id-switch" link add "$1-$2" type veth peer name "$2" netns "$id-$1"
    ip -n "$id-switch" link set "$1-$2" master "$3" up
    ip -n "$id-$1" addr add "$4/24" dev "$2"
    ip -n "$id-$1" link set "$2" up
}

build_lan() {
    for host in "${hosts[@]}" switch; do
        ip netns add "$id-$host"
        in_ns "$host" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=0 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1
        ip -n "$id-$host" link set lo up
    done
    # A switch looks at no IP header; Linux's does where br_netfilter is there.
    in_ns switch sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
    for bridge in clients servers; do
        ip -n "$id-switch" link add "$bridge" type bridge mcast_snooping 0
        ip -n "$id-switch" link set "$bridge" up
    done
    plug client eth0 clients 10.9.0.2
    plug director eth0 clients 10.9.0.1
    plug director eth1 servers 10.10.0.1
    ip -n "$id-client" route add default via 10.9.0.1
    for i in 1 2 3; do
        plug "r$i" eth0 servers "10.10.0.1$i"
        plug "r$i" eth1 clients "10.9.0.1$i"
        ip -n "$id-r$i" link set eth1 down
        ip -n "$id-r$i" route add default via 10.10.0.1
        in_ns "r$i" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    done
    # As under VRRP: the director holds the VIP and routes. What that asks of lvsd's guard is measured too.
    ip -n "$id-director" addr add "$vip/32" dev eth0
    in_ns director sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
}

start_servers() {
    for i in 1 2 3; do
        cat >"$dir/nginx$i.conf" <<-CONF
			daemon off; master_process off; pid $dir/nginx$i.pid; error_log stderr;
			events { worker_connections 4096; }
			http {
			    access_log off; keepalive_requests 1000000000; client_body_temp_path $dir/body$i;
			    server { listen 80 backlog=8192 reuseport; location / { return 200 "ok\n"; } }
			}
		CONF
        in_ns "r$i" nginx -e stderr -c "$dir/nginx$i.conf" 2>"$dir/nginx$i.log" &
        in_ns "r$i" "$udpgen" sink 7000 2>"$dir/sink$i.log" &
    done
    in_ns r1 iperf3 -s >"$dir/iperf3.log" 2>&1 &
    disown -a
}

# --- the contestants: start_X makes $target_ip serve, stop_X ends that ---------------------------------

target_ip=$vip
daemon=

# run_daemon COMMAND…: on the director, until stop_daemon. (Not by in_ns: a function in the background is
# a shell, and it would get the signal.)
run_daemon() {
    ip netns exec "$id-director" "$@" >"$dir/daemon.log" 2>&1 &
    daemon=$!
    disown "$daemon"
}

stop_daemon() {
    kill "$daemon"
    while kill -0 "$daemon" 2>/dev/null; do sleep 0.05; done
    local left=$(ip netns pids "$id-director")
    [ -z "$left" ] || { echo "still on the director: $left" >&2; exit 1; }
}

start_routing() { target_ip=10.10.0.11; }
stop_routing() { target_ip=$vip; }

start_nft() {
    in_ns director nft -f - <<-RULES
		table ip lb {
		    chain pre {
		        type nat hook prerouting priority dstnat;
		        ip daddr $vip tcp dport 5201 dnat to 10.10.0.11
		        ip daddr $vip dnat to numgen inc mod 3 map { 0 : 10.10.0.11, 1 : 10.10.0.12, 2 : 10.10.0.13 }
		    }
		}
	RULES
    in_ns director sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=1
}
stop_nft() { in_ns director nft delete table ip lb; }

start_haproxy() {
    cat >"$dir/haproxy.cfg" <<-CONF
		global
		    nbthread 2
		    maxconn 4000
		defaults
		    mode tcp
		    timeout connect 5s
		    timeout client 30s
		    timeout server 30s
		listen web
		    bind $vip:80
		    balance roundrobin
		    server r1 10.10.0.11:80
		    server r2 10.10.0.12:80
		    server r3 10.10.0.13:80
		listen bulk
		    bind $vip:5201
		    server r1 10.10.0.11:5201
	CONF
    run_daemon haproxy -db -f "$dir/haproxy.cfg"
}
stop_haproxy() { stop_daemon; }

# ipvs_rules METHOD NETWORK: a rule file, for the kernel's IPVS and for lvsd alike.
ipvs_rules() {
    local service
    for service in "-t $vip:80" "-u $vip:7000"; do
        echo "-A $service -s rr"
        for i in 1 2 3; do
            echo "-a $service -r $2.1$i:${service##*:} $1 -w 1"
        done
    done
    echo "-A -t $vip:5201 -s rr"
    echo "-a -t $vip:5201 -r $2.11:5201 $1 -w 1"
}

start_ipvs() {
    modprobe ip_vs 2>/dev/null && modprobe ip_vs_rr 2>/dev/null || [ -e /proc/net/ip_vs ] || return 1
    scripts/install ipvsadm:ipvsadm
    ipvs_rules -m 10.10.0 | in_ns director ipvsadm -R
}
stop_ipvs() { in_ns director ipvsadm -C; }

start_lvsd() {
    ipvs_rules "$1" "$2" >"$dir/rules"
    run_daemon "$LVSD" run --rules "$dir/rules"
    for _ in {1..100}; do
        grep -q ready "$dir/daemon.log" && return
        sleep 0.05
    done
    echo "lvsd does not get ready:" >&2
    cat "$dir/daemon.log" >&2
    exit 1
}

start_lvsd-nat() { start_lvsd -m 10.10.0; }
stop_lvsd-nat() { stop_daemon; }

# The real servers hold the VIP, and answer over the clients' network.
start_lvsd-dr() {
    for i in 1 2 3; do
        ip -n "$id-r$i" addr add "$vip/32" dev lo
        ip -n "$id-r$i" link set eth1 up
    done
    start_lvsd -g 10.9.0
}
stop_lvsd-dr() {
    stop_daemon
    for i in 1 2 3; do
        ip -n "$id-r$i" addr del "$vip/32" dev lo
        ip -n "$id-r$i" link set eth1 down
    done
}

# --- measuring ---------------------------------------------------------------------------------------

measures=(new/s alive/s up down "udp kpps" "ns/packet")

# Forgets the previous contestant's link-layer addresses, and sees that this one serves at all.
warm_up() {
    for host in "${hosts[@]}"; do
        ip -n "$id-$host" neigh flush all 2>/dev/null || true
    done
    for _ in {1..50}; do
        in_ns client curl -sf --max-time 1 "http://$target_ip/" >"$dir/body" && break
        sleep 0.1
    done
    for _ in 1 2 3 4 5 6; do
        in_ns client curl -sf --max-time 1 "http://$target_ip/" >"$dir/body" || {
            echo "$1 does not serve" >&2
            cat "$dir/daemon.log" >&2
            exit 1
        }
    done
}

requests() { # [WRK OPTION]...
    in_ns client wrk -t1 -c64 -d"$seconds"s "$@" "http://$target_ip/" |
        awk '/^Requests\/sec/ { printf "%.0f", $2 }'
}

gbits() { # [IPERF3 OPTION]...
    in_ns client iperf3 -c "$target_ip" -t "$seconds" -f m "$@" |
        awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") printf "%.2f", $(i-1) / 1000 }'
}

# Datagrams the three sinks have counted, less those with a wrong checksum.
sunk() {
    for i in 1 2 3; do
        in_ns "r$i" nstat -asz UdpInErrors UdpInCsumErrors
    done | awk '$1 == "UdpInErrors" { n += $2 } $1 == "UdpInCsumErrors" { n -= $2 } END { print n }'
}

# Nanoseconds all processors have been busy (user, nice, system, irq, softirq).
busy() { awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" { printf "%.0f", ($2+$3+$4+$7+$8) / hz * 1e9 }' /proc/stat; }

udp() { # prints kpps and ns/packet
    in_ns client "$udpgen" send "$target_ip" 7000 0.3 >/dev/null
    sleep 0.3
    local before=$(sunk) cpu=$(busy) from=$(date +%s%N)
    in_ns client "$udpgen" send "$target_ip" 7000 "$seconds" >"$dir/sent"
    local to=$(date +%s%N)
    cpu=$(($(busy) - cpu))
    sleep 0.3
    awk -v n="$(($(sunk) - before))" -v t="$((to - from))" -v cpu="$cpu" \
        'BEGIN { printf "%.0f %.0f", n / t * 1e6, n ? cpu / n : 0 }'
}

measure() { # CONTESTANT: appends a line a measure to $dir/results
    local figures=("$(requests -H 'Connection: close')" "$(requests)" "$(gbits)" "$(gbits -R)")
    if [ "$1" = haproxy ]; then
        figures+=(- -) # it has no UDP
    else
        # shellcheck disable=SC2207 # two words
        figures+=($(udp))
    fi
    for i in "${!measures[@]}"; do
        printf '%s\t%s\t%s\n' "$1" "${measures[$i]}" "${figures[$i]}" >>"$dir/results"
    done
    echo "$1: ${figures[*]}" >&2
}

median() { # CONTESTANT MEASURE
    awk -F'\t' -v c="$1" -v m="$2" '$1 == c && $2 == m { print $3 }' "$dir/results" | sort -n |
        awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}

build_lan
start_servers
echo "$rounds rounds of $seconds seconds a measure: ${measures[*]}" >&2
: >"$dir/results"
declare -A absent
for ((round = 1; round <= rounds; round++)); do
    for c in "${contestants[@]}"; do
        [ -z "${absent[$c]:-}" ] || continue
        : >"$dir/daemon.log"
        if ! "start_$c"; then
            absent[$c]=1
            continue
        fi
        warm_up "$c"
        measure "$c"
        "stop_$c"
    done
done

echo
echo "Medians of $rounds rounds; $(nproc) cores, Linux $(uname -r)"
{
    printf 'contestant'
    printf '\t%s' "${measures[@]}"
    echo
    for c in "${contestants[@]}"; do
        printf '%s' "$c"
        if [ -n "${absent[$c]:-}" ]; then
            printf '\tnot in this kernel'
        else
            for m in "${measures[@]}"; do printf '\t%s' "$(median "$c" "$m")"; done
        fi
        echo
    done
} | column -t -s "$(printf '\t')"
