//! What commands mean: defaults, and what one option does to another.

use super::*;

#[test]
fn a_service_has_ipvsadms_defaults() {
    assert_meanings(
        "
-A -t 10.0.0.1:80 => -A -t 10.0.0.1:80 -s wlc
-E -t 10.0.0.1:80 => -E -t 10.0.0.1:80 -s wlc
-E -p -t 10.0.0.1 => -E -t 10.0.0.1:0 -s wlc -p 360
-A --sctp-service [fd00::1]:9 => -A --sctp-service [fd00::1]:9 -s wlc
-A -t fd00::1 -p 5 => -A -t [fd00::1]:0 -s wlc -p 5
-A -f 7 => -A -f 7 -s wlc
-A -f +9 -o => -A -f 9 -s wlc -o
-A -f 4294967295 -6 -p -M 64 => -A -f 4294967295 -6 -s wlc -p 360 -M 64
-A -u 10.0.0.1:53 -o -p 5 -M 255.255.255.0 --pe sip => -A -u 10.0.0.1:53 -s wlc -p 5 -M 255.255.255.0 --pe sip -o
-A -t 10.0.0.1:80 -s averyverylongname => -A -t 10.0.0.1:80 -s averyverylongna
-A -t 10.0.0.1:80 -s nosuch => -A -t 10.0.0.1:80 -s nosuch
-A -t 10.0.0.1:80 -s '' => -A -t 10.0.0.1:80 -s wlc
",
    );
}

/// The kernel decides whether there is such an engine, so until then it must be kept.
#[test]
fn an_unknown_engine_is_kept_and_a_known_one_with_persistence_only() {
    assert_meanings(
        "
-A -t 10.0.0.1:80 -p --pe x => -A -t 10.0.0.1:80 -s wlc -p 360 --pe x
-A -t 10.0.0.1:80 --pe averyverylongname => -A -t 10.0.0.1:80 -s wlc --pe averyverylongnam
-A -t 10.0.0.1:80 --pe '' => -A -t 10.0.0.1:80 -s wlc
-A -t 10.0.0.1:80 --pe sip => -A -t 10.0.0.1:80 -s wlc
-A -t 10.0.0.1:80 -p --pe sip => -A -t 10.0.0.1:80 -s wlc -p 360 --pe sip
",
    );
}

#[test]
fn what_a_mask_means_is_decided_when_it_is_read() {
    assert_meanings(
        "
-A -M 255.0.0.0 -p -t [fd00::1]:80 => -A -t [fd00::1]:80 -s wlc -p 360
-A -p -t [fd00::1]:80 -M 56 => -A -t [fd00::1]:80 -s wlc -p 360 -M 56
-A -p -f 7 -6 -M 64 -6 => -A -f 7 -6 -s wlc -p 360
-A -p -f 7 -M 255.255.0.0 -6 => -A -f 7 -6 -s wlc -p 360
-A -M 255.0.0.0 -p -t 10.0.0.1:80 => -A -t 10.0.0.1:80 -s wlc -p 360 -M 255.0.0.0
-A -p -t 10.0.0.1:80 -M 255.255.255.255 => -A -t 10.0.0.1:80 -s wlc -p 360
-A -p -t [fd00::1]:80 -M 128 => -A -t [fd00::1]:80 -s wlc -p 360
-A -t 10.0.0.1:80 -M 24 => -A -t 10.0.0.1:80 -s wlc
",
    );
    assert_refusals(
        "
-A -p -M 64 -t [fd00::1]:80 -M 64 => 2 multiple 'netmask' options specified
-A -t 10.0.0.1:80 -p -M 24 => 2 a persistent mask must be that of a prefix of 1 to 32 bits
-A -t 10.0.0.1:80 -p -M 255.0.255.0 => 2 a persistent mask must be that of a prefix of 1 to 32 bits
-A -t 10.0.0.1:80 -p -M 0.0.0.0 => 2 a persistent mask must be that of a prefix of 1 to 32 bits
",
    );
}

#[test]
fn flags_go_by_the_scheduler_wherever_it_stands() {
    assert_meanings(
        "
-A -b mh-port -t 10.0.0.1:80 -s mh => -A -t 10.0.0.1:80 -s mh -b mh-port
-A -s sh -t 10.0.0.1:80 -b sh-port,sh-fallback => -A -t 10.0.0.1:80 -s sh -b sh-fallback,sh-port
-A -s sh -t 10.0.0.1:80 -b flag-3,flag-1 => -A -t 10.0.0.1:80 -s sh -b sh-fallback,flag-3
-A -t 10.0.0.1:80 -b ,,flag-1,, => -A -t 10.0.0.1:80 -s wlc -b flag-1
-A -t 10.0.0.1:80 -b '' => -A -t 10.0.0.1:80 -s wlc
",
    );
    assert_refusals(
        "
-A -t 10.0.0.1:80 -b sh-port => 2 incompatible scheduler flag `sh-port'
-A -t 10.0.0.1:80 -s mh -b sh-port => 2 incompatible scheduler flag `sh-port'
-A -t 10.0.0.1:80 -b flag-4 => 2 invalid scheduler flag `flag-4'
-A -t 10.0.0.1:80 -b flag-1,bogus => 2 invalid scheduler flag `bogus'
-D -t 10.0.0.1:80 -b bogus => 2 invalid scheduler flag `bogus'
",
    );
}

#[test]
fn some_services_lack_something() {
    assert_refusals(
        "
-A -t 10.0.0.1 => 2 Zero port specified for non-persistent service
-E -u 10.0.0.1:0 -s rr => 2 Zero port specified for non-persistent service
-A -t 10.0.0.1:80 -o => 2 One-Packet Scheduling is only for UDP virtual services
-E --sctp-service 10.0.0.1:80 -o => 2 One-Packet Scheduling is only for UDP virtual services
-A -t 10.0.0.1 -o => 2 Zero port specified for non-persistent service
",
    );
}

#[test]
fn a_server_has_ipvsadms_defaults_and_port() {
    assert_meanings(
        "
-a -t 10.0.0.1:80 -r 10.0.0.2 => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1
-e -t 10.0.0.1:80 -r 10.0.0.2:8080 => -e -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -i => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -i -w 1 --tun-type ipip
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m => -a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m -w 1
-a -t 10.0.0.1:80 -r 10.0.0.2 -m => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1
-a -t 10.0.0.1:80 -r 10.0.0.2:0 -m => -a -t 10.0.0.1:80 -r 10.0.0.2:0 -m -w 1
-a -r 10.0.0.2 -m -t 10.0.0.1:80 => -a -t 10.0.0.1:80 -r 10.0.0.2:0 -m -w 1
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 --fullnat => -a -t 10.0.0.1:80 -r 10.0.0.2:8080 --fullnat -w 1
-a -f 7 -r 10.0.0.2 => -a -f 7 -r 10.0.0.2:0 -g -w 1
-a -f 7 -r 10.0.0.2:http => -a -f 7 -r 10.0.0.2:80 -g -w 1
-a -f 7 -6 -r fd00::2 -w 0 => -a -f 7 -6 -r [fd00::2]:0 -g -w 0
-a -t 10.0.0.1:80 -r 10.0.0.2 -x 9 -y 5 => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1 -x 9 -y 5
-a -t 10.0.0.1:80 -r 10.0.0.2 -y 5 => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1 -y 5
-a -t 10.0.0.1:80 -r fd00::2 -i => -a -t 10.0.0.1:80 -r [fd00::2]:80 -i -w 1 --tun-type ipip
-d -t 10.0.0.1:80 -r 10.0.0.2 => -d -t 10.0.0.1:80 -r 10.0.0.2:80
-d -t 10.0.0.1:80 -r 10.0.0.2:81 => -d -t 10.0.0.1:80 -r 10.0.0.2:81
-d -t 10.0.0.1:80 -r fd00::2 => -d -t 10.0.0.1:80 -r [fd00::2]:80
",
    );
    assert_refusals(
        "
-a -t 10.0.0.1:80 -r fd00::1 => 2 Different address family is allowed only for tunneling servers
-e -f 7 -6 -r 10.0.0.2 -m => 2 Different address family is allowed only for tunneling servers
-a -r 10.0.0.9:http -t 10.0.0.1:80 => 2 illegal real server address[:port] specified
",
    );
}

#[test]
fn tunnels_have_options_by_their_type() {
    const A: &str = "-a -t 10.0.0.1:80 -r 10.0.0.2:80";
    for (options, want) in rows(
        "
-i --tun-type gre => -i -w 1 --tun-type gre --tun-nocsum
-i --tun-type gre --tun-nocsum => -i -w 1 --tun-type gre --tun-nocsum
--tun-csum --tun-type gre -i => -i -w 1 --tun-type gre --tun-csum
-i --tun-type gue --tun-port 6080 => -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-i --tun-type gue --tun-port 6080 --tun-csum => -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
--tun-remcsum --tun-port 6080 --tun-type gue -i => -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
",
    ) {
        assert_eq!(meaning(&format!("{A} {options}")), format!("{A} {want}"));
    }
    for (options, want) in rows(
        "
--tun-type ipip => Tunnel options conflict with forward method
-m --tun-port 5 => Tunnel options conflict with forward method
-i --tun-port 5 => Illegal 'tun-port' option with the 'ipip' tunnel type
-i --tun-nocsum => Illegal 'tun-nocsum' option with the 'ipip' tunnel type
-i --tun-csum => Illegal 'tun-csum' option with the 'ipip' tunnel type
-i --tun-remcsum => Illegal 'tun-remcsum' option with the 'ipip' tunnel type
-i --tun-type gue => You need to supply the 'tun-port' option for the 'gue' tunnel type
-i --tun-type gue --tun-csum --tun-nocsum => You need to supply the 'tun-port' option for the 'gue' tunnel type
-i --tun-type gue --tun-port 5 --tun-csum --tun-nocsum => The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gue' tunnel type
-i --tun-type gue --tun-port 5 --tun-csum --tun-remcsum => The option 'tun-remcsum' conflicts with the 'tun-csum' option in the 'gue' tunnel type
-i --tun-type gre --tun-port 5 => Illegal 'tun-port' option with the 'gre' tunnel type
-i --tun-type gre --tun-remcsum => Illegal 'tun-remcsum' option with the 'gre' tunnel type
-i --tun-type gre --tun-csum --tun-nocsum => The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel type
",
    ) {
        assert_eq!(refusal(&format!("{A} {options}")), format!("2 {want}"));
    }
}

#[test]
fn the_other_commands() {
    assert_meanings(
        "
-D -t 10.0.0.1:80 => -D -t 10.0.0.1:80
-D -f 7 -6 => -D -f 7 -6
-C => -C
-Z => -Z
-Z -t 10.0.0.1:80 => -Z -t 10.0.0.1:80
--set 0 0 0 => --set 0 0 0
--set 1 +2 2678400 => --set 1 2 2678400
-S => -S
-Sn => -S -n
-R => -R
-R --compat => -R --compat
-h -A foo => -h
-hQ => -h
-v --bogus => -v
--start-daemon master => --start-daemon master
--start-daemon=backup --mcast-interface eth1 --syncid 5 => --start-daemon backup --mcast-interface eth1 --syncid 5
--start-daemon master --mcast-interface averyverylonginterface => --start-daemon master --mcast-interface averyverylongin
--start-daemon master --mcast-interface '' --syncid 0 => --start-daemon master
--start-daemon master --mcast-group 239.1.1.1 --mcast-port 5 => --start-daemon master --mcast-group 239.1.1.1 --mcast-port 5
--start-daemon master --mcast-ttl 255 --sync-maxlen 65507 => --start-daemon master --sync-maxlen 65507 --mcast-ttl 255
--start-daemon master --mcast-group ff02::5 => --start-daemon master --mcast-group ff02::5
--stop-daemon backup --syncid 5 => --stop-daemon backup --syncid 5
",
    );
    assert_refusals(
        "
-L -h => 2 invalid option `-h'
-LhA => 2 invalid option `-LhA'
--set 1 2 => 2 --set option requires 3 timeout values
--set 1 2 3 4 => 2 unexpected argument 4
--set 1 2 3 -- 4 => 2 unexpected argument 4
--set 1 2 x => 2 invalid timeout value `x' specified
--set 2678401 2 3 => 2 invalid timeout value `2678401' specified
--set -- -1 2 3 => 2 invalid timeout value `-1' specified
",
    );
}

#[test]
fn listings() {
    assert_meanings(
        "
 => -L
-l => -L
-Ln -t 10.0.0.1:80 => -L -n -t 10.0.0.1:80
-LnX --rate => -L --rate -n --exact
-L --stats --exact --nosort --json => -L --stats --exact --nosort --json
-L --rate --stats => -L --stats
-L --thresholds --rate => -L --rate
-L --persistent-conn --thresholds => -L --thresholds
-L --tun-info --persistent-conn => -L --persistent-conn
-L --tun-info --sort => -L --tun-info
-Lnc => -L -c -n
-Lc --persistent-conn --tun-info => -L -c --persistent-conn
-L --timeout --nosort -n => -L --timeout -n --nosort
-L --daemon --syncid 5 => -L --daemon
-L --marks --json => -L --marks --json
",
    );
    let conflict = "2 options conflicts in the list command";
    for other in ["-c", "--timeout", "--daemon", "--marks"] {
        for form in ["--stats", "--rate", "--thresholds"] {
            assert_eq!(refusal(&format!("-L {form} {other}")), conflict);
        }
    }
    for other in ["--timeout", "--daemon", "--marks"] {
        assert_eq!(refusal(&format!("-L --persistent-conn {other}")), conflict);
    }
}

#[test]
fn marks_and_settings() {
    assert_meanings(
        "
--mark 7 => --mark 7
--mark=0 --interface eth0 => --mark 0 --interface eth0
--unmark 7 --source=10.0.0.0/8 --destination-port 80:90 => --unmark 7 --source 10.0.0.0/8 --destination-port 80-90
--clear-marks => --clear-marks
net.ipv4.vs.drop_entry = 3 => net.ipv4.vs.drop_entry = 3
net.ipv4.vs.drop_entry=3 => net.ipv4.vs.drop_entry = 3
",
    );
    assert_refusals(
        "
--mark x => 2 `x` is not a firewall mark
--mark 1 2 => 2 unexpected argument 2
--mark 1 --source web => 2 `web` is not a prefix: not an IPv4 or IPv6 address
--mark 1 --source 10.0.0.0/8 --destination fd00::1 => 2 10.0.0.0/8 and fd00::1 are of different families
--mark 1 --source 10.0.0.0/8 --source 10.0.0.0/8 => 2 multiple 'source' options specified
--mark 1 -n => 2 Illegal 'numeric' option with the 'mark' command
--clear-marks 1 => 2 unexpected argument 1
--clear-marks --interface eth0 => 2 Illegal 'interface' option with the 'clear-marks' command
-A -t 10.0.0.1:80 --source 10.0.0.0/8 => 2 Illegal 'source' option with the 'add-service' command
net.ipv4.vs.nosuch = 1 => 2 `nosuch`: there is no such setting
net.ipv4.vs.drop_entry => 2 expected `=`
",
    );
}

#[test]
fn a_service_has_timeouts_of_its_own() {
    assert_meanings(
        "
-A -t 10.0.0.1:80 --tcpfin-timeout 1 --tcp-timeout 2678400 => -A -t 10.0.0.1:80 -s wlc --tcp-timeout 2678400 --tcpfin-timeout 1
-E -f 7 --udp-timeout=5 --tcp-timeout=6 => -E -f 7 -s wlc --tcp-timeout 6 --udp-timeout 5
-A -t 10.0.0.1:80 --local-address 10.0.0.9 --local-address 10.0.0.8:5-9 => -A -t 10.0.0.1:80 -s wlc --local-address 10.0.0.9:1024-65535 --local-address 10.0.0.8:5-9
",
    );
    assert_refusals(
        "
-A -t 10.0.0.1:80 --tcp-timeout 0 => 2 invalid timeout value `0' specified
-A -t 10.0.0.1:80 --tcp-timeout 2678401 => 2 invalid timeout value `2678401' specified
-A -t 10.0.0.1:80 --udp-timeout 5 => 2 Illegal 'udp-timeout' option with TCP services
-A --sctp-service 10.0.0.1:80 --tcpfin-timeout 5 => 2 Illegal 'tcpfin-timeout' option with SCTP services
-A -t 10.0.0.1:80 --tcp-timeout 5 --tcp-timeout 5 => 2 multiple 'tcp-timeout' options specified
-A -t 10.0.0.1:80 --local-address web => 2 `web` is not an address
",
    );
}
