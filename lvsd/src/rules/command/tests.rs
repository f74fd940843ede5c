//! What ipvsadm 1.31 does with its arguments, and what it says.

use lvs_core::ServiceOptions;

use super::super::SchedulerFlags;
use super::super::testing::Village;
use super::*;

fn read(line: &str) -> Result<Command, CommandError> {
    let words: Vec<&str> = line.split(' ').filter(|w| !w.is_empty()).collect();
    parse_command(&words, &Village)
}

/// The service of an `-A` or `-E`, as a rule file has it.
fn service(line: &str) -> String {
    match read(line) {
        Ok(Command::AddService(rule) | Command::EditService(rule)) => rule.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

/// The server of an `-a` or `-e`, as a rule file has it.
fn server(line: &str) -> String {
    let (key, server) = match read(line) {
        Ok(Command::AddServer(key, server) | Command::EditServer(key, server)) => (key, server),
        other => panic!("{line}: {other:?}"),
    };
    let rule = ServiceRule {
        key,
        scheduler: "wlc".to_owned(),
        flags: SchedulerFlags::NONE,
        unknown_engine: None,
        options: ServiceOptions::default(),
        servers: vec![server],
    };
    rule.to_string().lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_service_has_ipvsadms_defaults() {
    for (line, want) in [
        ("-A -t 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc\n"),
        ("-E -t 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc\n"),
        (
            "-At10.0.0.1:80 -srr -p60",
            "-A -t 10.0.0.1:80 -s rr -p 60\n",
        ),
        (
            "-A -t 10.0.0.1:http -p -s rr",
            "-A -t 10.0.0.1:80 -s rr -p 360\n",
        ),
        ("-A -p -t 10.0.0.1", "-A -t 10.0.0.1:0 -s wlc -p 360\n"),
        ("-A -t 10.1:80", "-A -t 10.0.0.1:80 -s wlc\n"),
        ("-A -t 010.0.0.80:080", "-A -t 8.0.0.80:80 -s wlc\n"),
        ("-A -t localhost:81", "-A -t 127.0.0.1:81 -s wlc\n"),
        ("-A -t fd00::1 -p 5", "-A -t [fd00::1]:0 -s wlc -p 5\n"),
        (
            "-A --sctp-service [fd00::1]:9",
            "-A --sctp-service [fd00::1]:9 -s wlc\n",
        ),
        ("-A -f 7", "-A -f 7 -s wlc\n"),
        ("-A -f +9 -o", "-A -f 9 -s wlc -o\n"),
        (
            "-A -f 4294967295 -6 -p -M 64",
            "-A -f 4294967295 -6 -s wlc -p 360 -M 64\n",
        ),
        (
            "-A -u 10.0.0.1:53 -o -p 5 -M 255.255.255.0 --pe sip",
            "-A -u 10.0.0.1:53 -s wlc -p 5 -M 255.255.255.0 --pe sip -o\n",
        ),
        // Without persistence its mask means nothing.
        (
            "-A -t 10.0.0.1:80 -M 24 --pe sip",
            "-A -t 10.0.0.1:80 -s wlc\n",
        ),
        // What a mask means is decided when it is read.
        (
            "-A -M 255.0.0.0 -p -t [fd00::1]:80",
            "-A -t [fd00::1]:80 -s wlc -p 360\n",
        ),
        (
            "-A -M 255.0.0.0 -p -t 10.0.0.1:80",
            "-A -t 10.0.0.1:80 -s wlc -p 360 -M 255.0.0.0\n",
        ),
        (
            "-A -b mh-port -t 10.0.0.1:80 -s mh",
            "-A -t 10.0.0.1:80 -s mh -b mh-port\n",
        ),
        (
            "-A -t 10.0.0.1:80 -b ,,flag-1,,",
            "-A -t 10.0.0.1:80 -s wlc -b flag-1\n",
        ),
        (
            "-A -t 10.0.0.1:80 -s=averyverylongname",
            "-A -t 10.0.0.1:80 -s averyverylongna\n",
        ),
        (
            "-A --tcp-service=10.0.0.1:80 --scheduler rr --sort",
            "-A -t 10.0.0.1:80 -s rr\n",
        ),
    ] {
        assert_eq!(service(line), want, "{line}");
    }
}

#[test]
fn a_server_has_ipvsadms_defaults_and_port() {
    for (line, want) in [
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1",
        ),
        (
            "-e -t 10.0.0.1:80 -r 10.0.0.2:8080",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m -w 1",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -m",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2:0 -m",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:0 -m -w 1",
        ),
        (
            "-a -r 10.0.0.2 -m -t 10.0.0.1:80",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:0 -m -w 1",
        ),
        ("-a -f 7 -r 10.0.0.2", "-a -f 7 -r 10.0.0.2:0 -g -w 1"),
        ("-a -f 7 -r 10.0.0.2:http", "-a -f 7 -r 10.0.0.2:80 -g -w 1"),
        (
            "-a -f 7 -6 -r fd00::2 -w 0",
            "-a -f 7 -6 -r [fd00::2]:0 -g -w 0",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -x 9 -y 5",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1 -x 9 -y 5",
        ),
        (
            "-a -t 10.0.0.1:80 -r fd00::2 -i",
            "-a -t 10.0.0.1:80 -r [fd00::2]:80 -i -w 1 --tun-type ipip",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -i -w 1 --tun-type gre --tun-nocsum",
        ),
        (
            "-a -t 10.0.0.1:80 --tun-remcsum --tun-port 6080 --tun-type gue -ir 10.0.0.2",
            "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
    ] {
        assert_eq!(server(line), want, "{line}");
    }
}

#[test]
fn the_other_commands() {
    let key = ServiceKey::tcp("10.0.0.1:80".parse().unwrap());
    let addr = |s: &str| s.parse::<Endpoint>().unwrap();
    for (line, want) in [
        ("-D -t 10.0.0.1:80", Command::DeleteService(key)),
        (
            "-d -t 10.0.0.1:80 -r 10.0.0.2",
            Command::DeleteServer(key, addr("10.0.0.2:80")),
        ),
        (
            "-d -t 10.0.0.1:80 -r 10.0.0.2:81",
            Command::DeleteServer(key, addr("10.0.0.2:81")),
        ),
        (
            "-d -t 10.0.0.1:80 -r fd00::2",
            Command::DeleteServer(key, addr("[fd00::2]:80")),
        ),
        ("-C", Command::Flush),
        ("-Z", Command::Zero(None)),
        ("-Z -t 10.0.0.1:80", Command::Zero(Some(key))),
        ("--set 0 0 0", Command::SetTimeouts(SetTimeouts::default())),
        (
            "--set 1 +2 2678400",
            Command::SetTimeouts(SetTimeouts {
                tcp: 1,
                tcp_fin: 2,
                udp: 2_678_400,
            }),
        ),
    ] {
        assert_eq!(read(line), Ok(want), "{line}");
    }
}

/// Exit status and message of what ipvsadm itself refuses.
#[test]
fn refusals_are_ipvsadms() {
    const HINT: &str = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
    for (line, exit, message) in [
        // not a command
        ("foo", 255, HINT),
        ("-n -L", 255, HINT),
        ("-t 10.0.0.1:80 -A", 255, HINT),
        ("--bogus", 255, HINT),
        ("-Q", 255, HINT),
        ("--set=5", 255, HINT),
        ("--mark", 255, HINT),
        // words
        ("-A -q", 255, "-q: unknown option"),
        ("-A -qx", 255, "-qx: unknown option"),
        ("-Aqt", 255, "-Aqt: unknown option"),
        ("-A --timeo", 255, "--timeo: unknown option"),
        (
            "-D -t 10.0.0.1:80 --source 10.0.0.0/8",
            2,
            "Illegal 'source' option with the 'delete-service' command",
        ),
        ("-A -t", 255, "-t: missing argument"),
        ("-A --tcp-service", 255, "--tcp-service: missing argument"),
        (
            "-A --ops=5",
            255,
            "--ops=5: option does not take an argument",
        ),
        ("--set -1 2 3", 255, "-1: unknown option"),
        ("-A -D", 2, "invalid option `-D'"),
        (
            "-A --delete-service",
            2,
            "invalid option `--delete-service'",
        ),
        ("-C x", 2, "unexpected argument x"),
        ("-C -- -t", 2, "unexpected argument -t"),
        ("--set 1 2 3 4", 2, "unexpected argument 4"),
        // combinations
        (
            "-A",
            2,
            "You need to supply the 'service-address' option for the 'add-service' command",
        ),
        (
            "-D",
            2,
            "You need to supply the 'service-address' option for the 'delete-service' command",
        ),
        (
            "-a -t 10.0.0.1:80",
            2,
            "You need to supply the 'real-server' option for the 'add-server' command",
        ),
        (
            "-C -t 10.0.0.1:80",
            2,
            "Illegal 'service-address' option with the 'flush' command",
        ),
        (
            "-D -t 10.0.0.1:80 -s rr",
            2,
            "Illegal 'scheduler' option with the 'delete-service' command",
        ),
        (
            "--set 1 2 3 -n",
            2,
            "Illegal 'numeric' option with the 'set' command",
        ),
        (
            "-A -t 10.0.0.1:80 -u 10.0.0.1:80",
            2,
            "multiple 'service-address' options specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r 1.1.1.1 -m -g",
            2,
            "multiple 'forwarding-method' options specified",
        ),
        ("-A -6 -f 3", 2, "-6 used before -f"),
        ("-D -t 10.0.0.1:80 -6", 2, "-6 used before -f"),
        (
            "-A -t 10.0.0.1:0 -s rr",
            2,
            "Zero port specified for non-persistent service",
        ),
        (
            "-A -t 10.0.0.1",
            2,
            "Zero port specified for non-persistent service",
        ),
        (
            "-A -t 10.0.0.1:80 -o",
            2,
            "One-Packet Scheduling is only for UDP virtual services",
        ),
        (
            "-a -t 10.0.0.1:80 -r fd00::1",
            2,
            "Different address family is allowed only for tunneling servers",
        ),
        // values
        (
            "-A -t 10.0.0.1:80/x",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t 80",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t 10.0.0.1:",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t 10.0.0.1:80:90",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t 10.0.0.1:99999",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t 10.0.0.1:nosuch",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t [fd00::1]",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-A -t nosuchhost:80",
            2,
            "illegal virtual server address[:port] specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r x",
            2,
            "illegal real server address[:port] specified",
        ),
        (
            "-a -r 10.0.0.9:http -t 10.0.0.1:80",
            2,
            "illegal real server address[:port] specified",
        ),
        ("-A -f 0 -s rr", 2, "invalid fwmark value `0' specified"),
        ("-A -f 0x9", 2, "invalid fwmark value `0x9' specified"),
        (
            "-A -t 10.0.0.1:80 -p 0",
            2,
            "invalid timeout value `0' specified",
        ),
        (
            "-A -t 10.0.0.1:80 -p 2678401",
            2,
            "invalid timeout value `2678401' specified",
        ),
        (
            "-A -t 10.0.0.1:80 -M x",
            2,
            "illegal virtual server persistent mask specified",
        ),
        (
            "-A -t [fd00::1]:80 -M 129",
            2,
            "illegal ipv6 netmask specified",
        ),
        (
            "-A -t 10.0.0.1:80 -b sh-port",
            2,
            "incompatible scheduler flag `sh-port'",
        ),
        (
            "-A -t 10.0.0.1:80 -b bogus",
            2,
            "invalid scheduler flag `bogus'",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -w -1",
            2,
            "illegal weight specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -x 2147483648",
            2,
            "illegal u_threshold specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -y x",
            2,
            "illegal l_threshold specified",
        ),
        ("--set 1 2", 2, "--set option requires 3 timeout values"),
        ("--set 1 2 x", 2, "invalid timeout value `x' specified"),
        // tunnels
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type x",
            2,
            "illegal tunnel type specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-port 0",
            2,
            "illegal tunnel port specified",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 --tun-type ipip",
            2,
            "Tunnel options conflict with forward method",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gue",
            2,
            "You need to supply the 'tun-port' option for the 'gue' tunnel type",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre --tun-remcsum",
            2,
            "Illegal 'tun-remcsum' option with the 'gre' tunnel type",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre --tun-csum --tun-nocsum",
            2,
            "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel type",
        ),
        // what the kernel would refuse, and what is not here
        (
            "-A -t 10.0.0.1:80 -p -M 24",
            2,
            "a persistent mask must be that of a prefix of 1 to 32 bits",
        ),
    ] {
        let refusal = read(line).map_err(|e| (e.exit, e.message));
        assert_eq!(refusal, Err((exit, message.to_owned())), "{line}");
    }
}

#[test]
fn no_words_upset_the_parser() {
    use proptest::prelude::*;
    let word = prop_oneof![
        proptest::sample::select(vec![
            "-A",
            "-a",
            "-E",
            "-d",
            "-t",
            "-f",
            "-6",
            "-r",
            "-p",
            "-M",
            "-b",
            "-i",
            "--tun-type",
            "gue",
            "--set",
            "--",
            "-",
            "10.0.0.1:80",
            "[fd00::1]:80",
            "7",
            "mh-port",
            "mh",
            "-s",
            "-w",
            "255.0.255.0",
            "-x=",
            "--weight=",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    proptest!(|(words in proptest::collection::vec(word, 0..12))| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Err(e) = parse_command(&words, &Village) {
            prop_assert!(matches!(e.exit, 1 | 2 | 255) && !e.message.is_empty());
        }
    });
}
