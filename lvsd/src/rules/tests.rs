//! Whole files: what they mean, what is wrong with them, and that no text upsets the parser.

use std::net::Ipv4Addr;

use lvs_core::{Ip, LocalAddr, Method, Protocol};
use proptest::prelude::*;

use super::options::{OPTIONS, Verb};
use super::testing::{Village, almost_rules, rule_set};
use super::*;

fn rules(source: &str) -> RuleSet {
    parse(source, &Village)
        .unwrap_or_else(|problems| panic!("{}", render(&problems, "rules", source)))
}

/// The problems as `LINE:COLUMN+LENGTH MESSAGE`.
fn problems(source: &str) -> Vec<String> {
    let problems = parse(source, &Village).expect_err(source);
    let shown = |p: &Problem| format!("{}:{}+{} {}", p.line, p.column, p.length, p.message);
    problems.iter().map(shown).collect()
}

/// The rules as ipvsadm saves them.
fn saved(rules: &RuleSet) -> String {
    rules.to_string()
}

#[test]
fn what_ipvsadm_saves_is_read_as_it_is() {
    let file = "\
-A -t 10.0.0.1:0 -s wlc -p 360
-a -t 10.0.0.1:0 -r 10.0.0.2:0 -m -w 1
-A -t 192.0.2.10:80 -s wrr
-a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 3
-a -t 192.0.2.10:80 -r 10.0.0.12:80 -g -w 0
-a -t 192.0.2.10:80 -r 10.1.0.1:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.0.2.10:80 -r 10.1.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 192.0.2.10:80 -r 10.1.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 192.0.2.10:80 -r 10.1.0.4:80 -i -w 1 --tun-type gre --tun-csum
-a -t 192.0.2.10:80 -r 10.1.0.5:80 -i -w 1 --tun-type gre --tun-nocsum
-A -t 192.0.2.11:80 -s wrr -b flag-1,flag-2
-A -t 192.0.2.12:80 -s mh -b mh-fallback,mh-port
-A -u 192.0.2.10:53 -s rr --udp-timeout 10
-A -u 192.0.2.10:5060 -s wlc -p 5 -M 255.255.255.0 --pe sip -o
-A --sctp-service 192.0.2.10:9 -s wlc
-A -t [2001:db8::80]:443 -s wlc
-a -t [2001:db8::80]:443 -r [2001:db8::a1]:443 -g -w 2147483647
-a -t [2001:db8::80]:443 -r 10.0.0.13:443 -i -w 1 --tun-type ipip
-A -f 7 -s wlc --local-address 10.9.9.9:1024-65535 --tcp-timeout 3600 --tcpfin-timeout 5 --udp-timeout 1
-a -f 7 -r 10.0.0.9:80 -m -w 1
-A -f 7 -6 -s wlc -p 360 -M 64
-a -f 7 -6 -r [fd00::1]:0 -g -w 1
";
    assert_eq!(saved(&rules(file)), file);
}

#[test]
fn ipvsadm_writes_great_marks_as_negative_numbers() {
    let saved = rules("-A -f -1\n-A -f -2147483648 -6 -s rr\n").to_string();
    assert_eq!(
        saved,
        "-A -f 4294967295 -s wlc\n-A -f 2147483648 -6 -s rr\n"
    );
}

#[test]
fn all_spellings_mean_the_same() {
    let expected = "\
-A -t 10.0.0.1:80 -s wlc
-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1
-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 7
";
    for file in [
        "-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.0.2\n-a -t 10.0.0.1:80 -r 10.0.0.3 -m -w 7",
        "-At web:http\n-at web:http -r10.0.0.2:8080\n-a -r 10.0.0.3 -w7 -mt web:80",
        "# two servers\r\n\r\n ipvsadm\t-A -t 10.0.0.1:80 -swlc # one\r\n\
         -a -t 10.0.0.1:80 -r 10.0.0.2:0 -g\r\n-a -t 10.0.0.1:80 ipvsadm -r 10.0.0.3:80 -w=007 -m\r\n",
        "--add-service --tcp-service=10.0.0.1:080 --scheduler wlc\n\
         --add-server --tcp-service 10.0.0.1:80 --real-server=10.0.0.2 --gatewaying --weight=1\n\
         --add-server --tcp-service 10.0.0.1:80 --weight 7 --masquerading --real-server 10.0.0.3 --",
    ] {
        assert_eq!(saved(&rules(file)), expected, "{file}");
    }
}

#[test]
fn marks_timeouts_and_settings_are_read_and_written() {
    let file = "\
net.ipv4.vs.drop_entry = 1
net.ipv4.vs.expire_nodest_conn = 1
--set 900 0 60
--mark 0 --source 10.0.0.0/8 --interface eth1
--mark 7 --destination 192.0.2.10 --protocol tcp --destination-port 80
--mark 7 --destination 192.0.2.10 --protocol tcp --destination-port 443
--mark 8 --destination fd00::/64 --source-port 1-1023
--mark 9
";
    assert_eq!(rules(file).to_string(), file);
    let spelled = "--mark=7 --destination=192.0.2.10/32 --destination-port 80:80 --protocol tcp\n\
                   net.ipv4.vs.pmtu_disc=0\nnet.ipv4.vs.drop_entry= 0x2";
    let saved = "net.ipv4.vs.drop_entry = 2\nnet.ipv4.vs.pmtu_disc = 0\n\
                 --mark 7 --destination 192.0.2.10 --protocol tcp --destination-port 80\n";
    assert_eq!(rules(spelled).to_string(), saved);
    // The first line of marks is that of a file to be restored.
    assert_eq!(
        rules("--clear-marks\n--clear-marks\n--mark 9\n").to_string(),
        "--mark 9\n"
    );
    assert_eq!(
        problems("--mark 9\n--clear-marks"),
        ["2:1+13 `--clear-marks` would undo the marks above"]
    );
}

#[test]
fn what_a_line_above_decides_is_not_decided_again() {
    let file = "--mark 7 --source 10.0.0.0/8\n--mark 8 --source 10.1.1.1/8\nnet.ipv4.vs.pmtu_disc=1\n\
                net.ipv4.vs.pmtu_disc=0\n--set 1 2 3\n--set 0 0 0\n";
    let problems = parse(file, &Village).unwrap_err();
    let helps: Vec<_> = problems.iter().map(|p| (p.line, &*p.help)).collect();
    let expected = [
        (
            2,
            "line 1 is about the same packets; take one of the two out",
        ),
        (4, "line 3 sets it; take one of the two out"),
        (6, "line 5 sets it; take one of the two out"),
    ];
    assert_eq!(helps, expected);
}

#[test]
fn an_empty_file_is_an_empty_table() {
    assert_eq!(rules(""), RuleSet::default());
    assert_eq!(rules("\n# nothing\n   \t\n"), RuleSet::default());
}

#[test]
fn a_server_has_the_written_port_only_where_it_is_translated() {
    let port_of = |server: &str| {
        let file =
            format!("-A -t 10.0.0.1:80 --local-address 10.0.0.9\n-a -t 10.0.0.1:80 {server}");
        rules(&file).services[0].servers[0].addr.port
    };
    assert_eq!(port_of("-r 10.0.0.2:8080 -m"), 8080);
    assert_eq!(port_of("-r 10.0.0.2:8080 --fullnat"), 8080);
    assert_eq!(port_of("-r 10.0.0.2 -m"), 80);
    assert_eq!(port_of("-r 10.0.0.2:8080 -g"), 80);
    assert_eq!(port_of("-r 10.0.0.2:8080 -i"), 80);
    assert_eq!(port_of("-r 10.0.0.2:8080"), 80);
}

#[test]
fn fullnat_has_its_pool() {
    let file = "\
-A -t [fd00::1]:80 --local-address fd00::8 --local-address [fd00::9]:2000-2999 --local-address=10.0.0.9:1-1
-a -t [fd00::1]:80 -r [fd00::2]:8080 --fullnat -w 5
";
    let rules = rules(file);
    let ip = |ip: &str| ip.parse::<Ip>().unwrap();
    let local = |address, first_port, last_port| LocalAddr {
        ip: ip(address),
        first_port,
        last_port,
    };
    let service = &rules.services[0];
    assert_eq!(
        *service.options.local_addrs,
        [
            local("fd00::8", 1024, 65535),
            local("fd00::9", 2000, 2999),
            local("10.0.0.9", 1, 1),
        ]
    );
    let server = ServerRule {
        addr: Endpoint::new(ip("fd00::2"), 8080),
        options: DestOptions::new(Method::FullNat, 5),
    };
    assert_eq!(service.servers, [server]);
}

/// One line each, after a service that exists.
#[test]
fn lines_that_are_wrong() {
    let service = "-A -t 10.0.0.1:80 --local-address 10.0.0.9\n-a -t 10.0.0.1:80 -r 10.0.0.2\n";
    for (line, problem) in [
        // the service
        ("-A", "1+2 `-A` needs a service"),
        ("-a -r 10.0.0.3", "1+2 `-a` needs a service"),
        (
            "-A -t 10.0.0.5:80 -u 10.0.0.5:80",
            "19+2 `-u` is a second service after `-t`",
        ),
        (
            "-A -t 10.0.0.5:80 -t 10.0.0.6:80",
            "19+2 `-t` is given more than once",
        ),
        (
            "-A -t web:http",
            "7+8 the service TCP 10.0.0.1:80 is already there",
        ),
        (
            "-a -u 10.0.0.1:80 -r 10.0.0.3",
            "7+11 there is no service UDP 10.0.0.1:80 above this line",
        ),
        (
            "-A -t 10.0.0.5",
            "7+8 without persistence the service `10.0.0.5` needs a port",
        ),
        (
            "-A -t fd00::1:80",
            "7+10 without persistence the service `fd00::1:80` needs a port",
        ),
        (
            "-A -t 10.0.0.5:0",
            "7+10 without persistence the service `10.0.0.5:0` needs a port",
        ),
        (
            "-A -t 224.0.0.1:80",
            "7+12 224.0.0.1 is a multicast or broadcast address",
        ),
        ("-A -t 0.0.0.0:80", "7+10 0.0.0.0 is an unspecified address"),
        ("-A -t [::1]:80", "7+8 ::1 is a loopback address"),
        // addresses and ports
        ("-A -t 10.0.0.5:", "16+0 the port is missing"),
        ("-A -t 10.0.0.5:65536", "16+5 `65536` is not a port"),
        (
            "-A -t 10.0.0.5:99999999999999999999999",
            "16+23 `99999999999999999999999` is not a port",
        ),
        (
            "-A -t 10.0.0.5:+80",
            "16+3 there is no TCP service `+80` in /etc/services",
        ),
        (
            "-A -u 10.0.0.5:http",
            "16+4 there is no UDP service `http` in /etc/services",
        ),
        (
            "-A -t 10.0.0.5:80:90",
            "7+14 `10.0.0.5:80:90` is not an IPv6 address",
        ),
        ("-A -t 10.5:80", "7+4 `10.5` is not an IPv4 address"),
        (
            "-A -t 010.0.0.5:80",
            "7+9 `010.0.0.5` is not an IPv4 address",
        ),
        ("-A -t 80", "7+2 `80` is not an IPv4 address"),
        ("-A -t :80", "7+0 `` is not an IPv4 address"),
        ("-A -t [fd00::1]", "7+9 `[fd00::1]` is not `[ADDRESS]:PORT`"),
        ("-A -t [fd00::1", "7+8 `[fd00::1` is not `[ADDRESS]:PORT`"),
        (
            "-A -t [10.0.0.5]:80",
            "8+8 `10.0.0.5` is not an IPv6 address",
        ),
        ("-A -t [fe80::1%eth0]:80", "8+12 `fe80::1%eth0` has a zone"),
        (
            "-A -t [::ffff:10.0.0.5]:80",
            "8+15 `::ffff:10.0.0.5` is an IPv4 address",
        ),
        (
            "-A -t wéb:80",
            "7+3 `wéb` is neither an address nor a host name",
        ),
        (
            "-A -t nowhere:80",
            "7+7 the host `nowhere` is not known: nobody\\nof that name",
        ),
        ("-A -t localhost:80", "7+12 127.0.0.1 is a loopback address"),
        // the scheduler
        (
            "-A -t 10.0.0.5:80 -s nonesuch",
            "22+8 unknown scheduler `nonesuch`",
        ),
        ("-A -t 10.0.0.5:80 -ssed", "21+3 unknown scheduler `sed`"),
        (
            "-A -t 10.0.0.5:80 -s rr -s rr",
            "25+2 `-s` is given more than once",
        ),
        // local addresses
        (
            "-A -t 10.0.0.5:80 --local-address web",
            "35+3 `web` is not an address",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 10.0.0.8:80",
            "44+2 `80` is not a range of ports",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 10.0.0.8:9-8",
            "44+3 `9-8` is not a range of ports",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 10.0.0.8:0-8",
            "44+3 `0-8` is not a range of ports",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 10.0.0.8:1-65536",
            "44+7 `1-65536` is not a range of ports",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address [fd00::1]",
            "35+9 `[fd00::1]` is not `[ADDRESS]:PORT`",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 127.0.0.1",
            "35+9 127.0.0.1 is a loopback address",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address=10.0.0.1",
            "35+8 10.0.0.1 is a virtual address too",
        ),
        (
            "-A -t 10.0.0.5:80 --local-address 10.0.0.8:1-9 --local-address 10.0.0.8:9-9",
            "64+12 10.0.0.8 is already a local address of this service",
        ),
        // the server
        ("-a -t 10.0.0.1:80", "1+2 `-a` needs a real server"),
        (
            "-a -t 10.0.0.1:80 -r 224.0.0.1",
            "22+9 224.0.0.1 is a multicast or broadcast address",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m",
            "22+11 10.0.0.2:80 is already a server of TCP 10.0.0.1:80",
        ),
        (
            "-a -t 10.0.0.1:80 -r fd00::3",
            "22+7 fd00::3 and 10.0.0.1 are of different families",
        ),
        (
            "-a -t 10.0.0.1:80 -r fd00::3 --fullnat",
            "22+7 fd00::3 and 10.0.0.1 are of different families",
        ),
        (
            "-a -t 10.0.0.1:80 -r fe80::3 -i",
            "22+7 fe80::3 is a link-local address",
        ),
        (
            "-a -t 10.0.0.1:80 -r 255.255.255.255",
            "22+15 255.255.255.255 is a multicast or broadcast address",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -m -g",
            "34+2 `-g` is a second forwarding method after `-m`",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -mi",
            "33+1 `-i` is a second forwarding method after `-m`",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --fullnat",
            "34+9 `--fullnat` is a second forwarding method after `-i`",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -w -1",
            "34+2 `-1` is not a weight",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -w2147483648",
            "33+10 `2147483648` is not a weight",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 --weight=",
            "40+0 `` is not a weight",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -x 2147483648",
            "34+10 `2147483648` is not a threshold",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -x 3 -y 4",
            "39+1 the lower threshold 4 is above the upper one, 3",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -y 4",
            "34+1 the lower threshold 4 is above the upper one, 0",
        ),
        // tunnels
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 --tun-type ipip",
            "31+10 `--tun-type` is only for tunnels",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type x",
            "45+1 unknown tunnel type `x`",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type gue",
            "45+3 a tunnel of type gue needs a port",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type gue --tun-port 0",
            "60+1 `0` is not a port",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type gre --tun-port 1",
            "49+10 `--tun-port` does not go with the tunnel type gre",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type gre --tun-remcsum",
            "49+13 `--tun-remcsum` does not go with the tunnel type gre",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-csum",
            "34+10 `--tun-csum` does not go with the tunnel type ipip",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -i --tun-type gre --tun-csum --tun-nocsum",
            "60+12 `--tun-nocsum` is a second way of checksums after `--tun-csum`",
        ),
        // marks, persistence, flags
        ("-A -f 0", "7+1 `0` is not a firewall mark"),
        (
            "-A -f 4294967296",
            "7+10 `4294967296` is not a firewall mark",
        ),
        (
            "-A -f 1 -t 10.0.0.5:80",
            "9+2 `-t` is a second service after `-f`",
        ),
        ("-A -t [fd00::5]:80 -6", "20+2 `-6` goes with `-f` only"),
        (
            "-a -f 1 -r 10.0.0.3",
            "7+1 there is no service FWM 1 above this line",
        ),
        ("-A -t 10.0.0.5:80 -p 0", "22+1 `0` is not a timeout"),
        ("-A -t 10.0.0.5:80 -p=", "22+0 `` is not a timeout"),
        (
            "-A -t 10.0.0.5:80 -p 2678401",
            "22+7 `2678401` is not a timeout",
        ),
        (
            "-A -t 10.0.0.5:80 -p -M 24",
            "25+2 `24` is not a persistence mask",
        ),
        (
            "-A -t 10.0.0.5:80 -p -M 0.0.0.0",
            "25+7 `0.0.0.0` is not a persistence mask",
        ),
        (
            "-A -t 10.0.0.5:80 -p -M 255.0.255.0",
            "25+11 `255.0.255.0` is not a persistence mask",
        ),
        (
            "-A -f 1 -6 -p -M 129",
            "18+3 `129` is not a persistence mask",
        ),
        (
            "-A -t 10.0.0.5:80 -p --pe x",
            "27+1 unknown persistence engine `x`",
        ),
        (
            "-A -t 10.0.0.5:80 -o",
            "19+2 `-o` goes with UDP and firewall marks only",
        ),
        ("-A -t 10.0.0.5:80 -b x", "22+1 unknown scheduler flag `x`"),
        (
            "-A -t 10.0.0.5:80 -b flag-1,,mh-port",
            "30+7 wlc has no flag `mh-port`",
        ),
        (
            "-A -t 10.0.0.5:80 --tcp-timeout 0",
            "33+1 `0` is not a timeout",
        ),
        (
            "-A -f 7 --udp-timeout=2678401",
            "23+7 `2678401` is not a timeout",
        ),
        (
            "-A -f 7 --udp-timeout 5 --udp-timeout 6",
            "25+13 `--udp-timeout` is given more than once",
        ),
        (
            "-A -t 10.0.0.5:80 --udp-timeout 5",
            "19+13 `--udp-timeout` does not go with TCP services",
        ),
        (
            "-A --sctp-service 10.0.0.5:80 --tcpfin-timeout 5",
            "31+16 `--tcpfin-timeout` does not go with SCTP services",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 --tcp-timeout 5",
            "31+13 `--tcp-timeout` does not go with `-a`",
        ),
        // packets that get marks
        ("--unmark 1", "1+8 `--unmark` has no place in a rule file"),
        ("--clear-marks 1", "15+1 unexpected argument `1`"),
        (
            "--clear-marks -n",
            "15+2 `-n` does not go with `--clear-marks`",
        ),
        ("--mark", "1+6 `--mark` needs a mark"),
        ("--mark x", "8+1 `x` is not a firewall mark"),
        ("--mark 1 2", "10+1 unexpected argument `2`"),
        (
            "--mark=4294967296",
            "8+10 `4294967296` is not a firewall mark",
        ),
        (
            "--mark 1 -t 10.0.0.5:80",
            "10+2 `-t` does not go with `--mark`",
        ),
        (
            "--mark 1 --source web",
            "19+3 `web` is not a prefix: not an IPv4 or IPv6 address",
        ),
        (
            "--mark 1 --source 10.0.0.0/33",
            "19+11 `10.0.0.0/33` is not a prefix: the prefix length must be 0 to 32",
        ),
        (
            "--mark 1 --destination fd00::1 --source 10.0.0.0/8",
            "41+10 fd00::1 and 10.0.0.0/8 are of different families",
        ),
        (
            "--mark 1 --source 10.0.0.0/8 --destination fd00::1",
            "44+7 10.0.0.0/8 and fd00::1 are of different families",
        ),
        (
            "--mark 1 --protocol icmp",
            "21+4 `icmp` is not a protocol that can be balanced",
        ),
        (
            "--mark 1 --source-port 9-8",
            "24+3 `9-8` is not a port nor a range of ports",
        ),
        (
            "--mark 1 --source-port 65536",
            "24+5 `65536` is not a port nor a range of ports",
        ),
        (
            "--mark 1 --destination-port 1 --protocol esp",
            "42+3 ESP has no ports",
        ),
        (
            "--mark 1 --protocol esp --destination-port 1",
            "44+1 ESP has no ports",
        ),
        (
            "--mark 1 --interface a/b",
            "22+3 `a/b` is not the name of an interface",
        ),
        (
            "-A -t 10.0.0.5:80 --source 10.0.0.1",
            "19+8 `--source` does not go with `-A`",
        ),
        // settings
        ("--set 1 2", "1+5 `--set` needs three numbers of seconds"),
        ("--set 1 2 3 4", "13+1 unexpected argument `4`"),
        ("--set 1 2 x", "11+1 `x` is not a timeout"),
        (
            "net.ipv4.ip_forward=1",
            "1+19 `net.ipv4.ip_forward` is no setting of lvsd",
        ),
        ("drop_entry=1", "1+10 `drop_entry` is no setting of lvsd"),
        ("net.ipv4.vs.sloppy_tcp", "23+0 expected `=`"),
        ("net.ipv4.vs.sloppy_tcp 1", "24+1 expected `=`"),
        ("net.ipv4.vs.sloppy_tcp =", "25+0 the value is missing"),
        (
            "net.ipv4.vs.nonesuch = 1",
            "1+20 `nonesuch`: there is no such setting",
        ),
        (
            "net.ipv4.vs.drop_entry = 4",
            "26+1 `drop_entry`: the value must be 0 (never), 1 or 2 (while memory is short) or 3 (always)",
        ),
        // what ipvsadm can and this can't
        ("-E -t 10.0.0.1:80", "1+2 `-E` has no place in a rule file"),
        (
            "--stop-daemon master",
            "1+13 `--stop-daemon` is not supported yet",
        ),
        // options in the wrong place
        ("-A -t 10.0.0.5:80 -w 3", "19+2 `-w` does not go with `-A`"),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.3 -s rr",
            "31+2 `-s` does not go with `-a`",
        ),
        (
            "-A -t 10.0.0.5:80 --stats",
            "19+7 `--stats` does not go with `-A`",
        ),
        (
            "-A -t 10.0.0.5:80 --timeouts",
            "19+10 unknown option `--timeouts`",
        ),
    ] {
        assert_eq!(
            problems(&format!("{service}{line}\n")),
            [format!("3:{problem}")],
            "{line}"
        );
    }
}

#[test]
fn fullnat_needs_a_local_address_of_the_servers_family() {
    for local in ["", "--local-address fd00::9"] {
        let file = format!("-A -t 10.0.0.1:80 {local}\n-a -t 10.0.0.1:80 -r 10.0.0.2 --fullnat");
        let problem = "2:31+9 the service has no IPv4 local address for FullNAT";
        assert_eq!(problems(&file), [problem]);
    }
}

#[test]
fn fullnat_needs_connections() {
    let file =
        "-A -u 10.0.0.1:53 -o --local-address 10.0.0.9\n-a -u 10.0.0.1:53 -r 10.0.0.2 --fullnat";
    let problem = "2:31+9 FullNAT does not go with one-packet scheduling";
    assert_eq!(problems(file), [problem]);
}

#[test]
fn a_mistake_is_reported_once_and_not_again_for_what_follows_from_it() {
    let file = "\
-A -t 10.0.0.1:80 -s nonesuch
-a -t 10.0.0.1:80 -r 10.0.0.2
-A -t 10.0.0.3:80 --local-address nonesuch
-a -t 10.0.0.3:80 -r 10.0.0.2 --fullnat
-a -t 10.0.0.1:80 -r
-A -s rr -t
-A -t 10.0.0.4:80 --local-address
-a -t 10.0.0.4:80 -r 10.0.0.2 --fullnat
";
    let expected = [
        "1:22+8 unknown scheduler `nonesuch`",
        "3:35+8 `nonesuch` is not an address",
        "5:19+2 `-r` needs a value",
        "6:10+2 `-t` needs a value",
        "7:19+15 `--local-address` needs a value",
    ];
    assert_eq!(problems(file), expected);
}

#[test]
fn what_is_there_twice_is_told_where_it_is_first() {
    let service = "-A -t 10.0.0.1:80\n";
    let server = "-a -t 10.0.0.1:80 -r 10.0.0.2\n";
    let file = [service, server, server, service, server].concat();
    let problems = parse(&file, &Village).unwrap_err();
    let helps: Vec<_> = problems.iter().map(|p| (p.line, &*p.help)).collect();
    let expected = [
        (3, "line 2 adds it; take one of the two out"),
        (4, "line 1 adds it; put everything about it there"),
        (5, "line 2 adds it; take one of the two out"),
    ];
    assert_eq!(helps, expected);
}

#[test]
fn a_virtual_address_below_clashes_too() {
    let file = "-A -t 10.0.0.1:80 --local-address 10.0.0.3\n-A -u 10.0.0.3:53";
    assert_eq!(problems(file), ["1:35+8 10.0.0.3 is a virtual address too"]);
}

#[test]
fn a_host_has_one_address_throughout_a_file() {
    struct Fickle(std::cell::Cell<u8>);
    impl Names for Fickle {
        fn has_scheduler(&self, _: &str) -> bool {
            true
        }
        fn host(&self, _: &str) -> Result<Ipv4Addr, String> {
            self.0.set(self.0.get() + 1);
            Ok([10, 0, 0, self.0.get()].into())
        }
        fn port(&self, _: &str, _: Protocol) -> Option<u16> {
            None
        }
    }
    let rules = parse("-A -t web:80\n-a -t web:80 -r app\n", &Fickle(1.into())).unwrap();
    assert_eq!(
        saved(&rules),
        "-A -t 10.0.0.2:80 -s wlc\n-a -t 10.0.0.2:80 -r 10.0.0.3:80 -g -w 1\n"
    );
}

/// What users may write is in the documents, and what is there exists.
#[test]
fn the_documents_know_every_option_scheduler_and_setting() {
    let page = include_str!("../../../docs/rules.md");
    let says = |word: &str| assert!(page.contains(word), "docs/rules.md lacks {word}");
    let in_files = [
        Verb::AddService,
        Verb::AddServer,
        Verb::Mark,
        Verb::ClearMarks,
    ];
    let written = OPTIONS
        .iter()
        .filter(|o| o.verbs.iter().any(|v| in_files.contains(v)));
    for option in written {
        says(&format!("`--{}`", option.long));
        if let Some(short) = option.short {
            says(&format!("`-{short}`"));
        }
    }
    for verb in in_files {
        says(&format!("`--{}", verb.name()));
    }
    for known in lvs_sched::NAMES {
        says(known.name);
    }
    for known in Sysctls::NAMES {
        says(&format!("`{}`", known.name));
    }
    let mut tried = 0;
    for example in page.split("```text\n").skip(1) {
        let example = example.split("```").next().unwrap();
        parse(example, &SystemNames::default()).expect(example);
        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[test]
fn everything_that_is_wrong_is_shown() {
    let file = "\
# a table with mistakes
-A -t 10.0.0.300:80 -s rr
-A -t 10.0.0.1:80 -s foo
\t-a -t 10.0.0.1:80 -r 10.0.0.2 -gm --weigth=3
";
    let shown = "\
error: `10.0.0.300` is not an IPv4 address
 --> rules:2:7
  |
2 | -A -t 10.0.0.300:80 -s rr
  |       ^^^^^^^^^^
  |
  = help: write four numbers of 0 to 255 without leading zeros: `10.0.0.1`

error: unknown scheduler `foo`
 --> rules:3:22
  |
3 | -A -t 10.0.0.1:80 -s foo
  |                      ^^^
  |
  = help: there are: rr, wrr, wlc, mh

error: `-m` is a second forwarding method after `-g`
 --> rules:4:34
  |
4 |     -a -t 10.0.0.1:80 -r 10.0.0.2 -gm --weigth=3
  |                                     ^
  |
  = help: one of them a line

error: unknown option `--weigth`
 --> rules:4:36
  |
4 |     -a -t 10.0.0.1:80 -r 10.0.0.2 -gm --weigth=3
  |                                       ^^^^^^^^
  |
  = help: lines are `-A SERVICE [options]`, `-a SERVICE -r SERVER [options]`, `--mark MARK [options]`, `--set TCP TCPFIN UDP` and `net.ipv4.vs.NAME = VALUE`
";
    assert_eq!(
        render(&parse(file, &Village).unwrap_err(), "rules", file),
        shown
    );
}

proptest! {
    #[test]
    fn what_is_saved_is_read_back(rules in rule_set()) {
        prop_assert_eq!(parse(&saved(&rules), &Village), Ok(rules));
    }

    #[test]
    fn no_text_upsets_the_parser(source in almost_rules()) {
        match parse(&source, &Village) {
            Ok(rules) => prop_assert_eq!(parse(&saved(&rules), &Village), Ok(rules)),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in &problems {
                    let line = source.lines().nth(problem.line - 1).unwrap();
                    let place = problem.column + problem.length;
                    prop_assert!(problem.column > 0 && place <= line.chars().count() + 1);
                    let texts = [&problem.message, &problem.help];
                    prop_assert!(texts.iter().all(|t| !t.is_empty() && !t.contains(char::is_control)));
                }
                let places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
                prop_assert!(places.is_sorted());
                let shown = render(&problems, "rules", &source);
                prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n'));
            }
        }
    }
}
