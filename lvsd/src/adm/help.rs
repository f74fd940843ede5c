//! What can be said to `ipvsadm` and `lvsd adm`.

/// What `-v` says: scripts look for the version of ipvsadm whose ways are followed.
pub(super) const VERSION: &str = concat!(
    "ipvsadm v1.31 2019/12/24 (lvsd ",
    env!("CARGO_PKG_VERSION"),
    ", IPVS v1.2.1)"
);

/// What `-h` says.
pub(super) fn text(program: &str) -> String {
    format!("Usage: {program} COMMAND [OPTION]...\n{REST}")
}

const REST: &str = "\
Looks at and changes the virtual services of a running lvsd, as ipvsadm does those of IPVS.

Commands, of which the first word must be one:
  -A, --add-service SERVICE [-s NAME] [-b FLAGS] [-p [SECONDS]] [-M MASK] [--pe NAME] [-o]
  -E, --edit-service SERVICE ...         replaces all attributes; what is not said gets its default
  -D, --delete-service SERVICE
  -a, --add-server SERVICE -r SERVER [-g|-i|-m|--fullnat] [-w WEIGHT] [-x UPPER] [-y LOWER] [--tun-...]
  -e, --edit-server SERVICE -r SERVER ...
  -d, --delete-server SERVICE -r SERVER
  -C, --clear                            deletes all services
  -L, -l, --list [SERVICE] [LISTING]     what there is; also without any command
  -Z, --zero [SERVICE]                   counters begin anew
  -S, --save [-n]                        prints commands that make everything again
  -R, --restore [--compat]               reads such commands and carries out all of them or, if one is wrong, none;
                                         --compat: line by line as far as it goes, as ipvsadm does
      --set TCP TCPFIN UDP               timeouts in seconds, 0 leaves one as it is
      --mark MARK SELECTOR...            packets that fit all selectors get this firewall mark
      --unmark MARK SELECTOR...          deletes such a rule
      --clear-marks                      deletes all of them
      --start-daemon, --stop-daemon      synchronisation of connections: not supported yet
  -h, --help                             this text
  -v, --version

SERVICE is one of:
  -t, --tcp-service ADDRESS[:PORT]       also -u, --udp-service and --sctp-service
  -f, --fwmark-service MARK [-6]         packets with a firewall mark; -6: IPv6

LISTING:
  -n, --numeric           addresses and ports as numbers
  -c, --connection        connections
      --stats             counters
      --rate              the same in a second
      --thresholds        upper and lower limits of connections
      --persistent-conn   persistence templates; with -c: what persistence engines know
      --tun-info          kinds of tunnels
  -X, --exact             large numbers in full
      --timeout           timeouts
      --daemon            running synchronisation daemons
      --marks             rules for marks
      --nosort            not by address, but as the director has them
      --json              any of these as JSON

For services:
  -s, --scheduler NAME    rr, wrr, lc, wlc (the default), sed, nq, sh, dh, lblc, lblcr, mh, fo, ovf, twos
  -b, --sched-flags LIST  sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3
  -p, --persistent        a client keeps its server for some seconds (360)
  -M, --netmask MASK      clients that have these bits in common count as one; IPv6: a prefix length
      --pe NAME           persistence by another thing than the address: sip
  -o, --ops               one-packet scheduling (UDP)
      --local-address ADDRESS[:LOW-HIGH]
                          a local address of FullNAT; may be repeated
      --tcp-timeout, --tcpfin-timeout, --udp-timeout SECONDS
                          timeouts of this service alone

For servers:
  -r, --real-server ADDRESS[:PORT]
  -g, --gatewaying        direct routing (the default)
  -i, --ipip              tunnel
  -m, --masquerading      NAT
      --fullnat           NAT of both ends, from a local address
  -w, --weight N          1 unless given; 0: no new connections
  -x, --u-threshold N     at so many connections no new ones
  -y, --l-threshold N     below so many new ones again
      --tun-type TYPE     ipip, gre or gue
      --tun-port N        of gue
      --tun-nocsum, --tun-csum, --tun-remcsum

The daemon is asked at /run/lvsd.sock, or where LVSD_SOCKET says, or `lvsd adm --socket PATH COMMAND'. See also
`lvsd adm diff', `lvsd drain', `lvsd explain', `lvsd conns', `lvsd top'.
";
