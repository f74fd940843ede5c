//! Which option goes with which command.

use super::super::super::options::CHECKED;
use super::*;

/// How each option is written, by its name in messages.
const WRITTEN: [(&str, &str); 47] = [
    ("numeric", "-n"),
    ("connection", "-c"),
    ("service-address", "-f 7"),
    ("scheduler", "-s rr"),
    ("persistent", "-p"),
    ("netmask", "-M 255.255.255.0"),
    ("real-server", "-r 10.0.0.2"),
    ("forwarding-method", "-i"),
    ("weight", "-w 2"),
    ("u-threshold", "-x 2"),
    ("l-threshold", "-y 2"),
    ("mcast-interface", "--mcast-interface eth1"),
    ("timeout", "--timeout"),
    ("daemon", "--daemon"),
    ("stats", "--stats"),
    ("rate", "--rate"),
    ("thresholds", "--thresholds"),
    ("persistent-conn", "--persistent-conn"),
    ("nosort", "--nosort"),
    ("syncid", "--syncid 2"),
    ("exact", "--exact"),
    ("ops", "-o"),
    ("pe", "--pe sip"),
    ("sched-flags", "-b flag-1"),
    ("mcast-group", "--mcast-group 239.0.0.2"),
    ("mcast-port", "--mcast-port 2"),
    ("mcast-ttl", "--mcast-ttl 2"),
    ("sync-maxlen", "--sync-maxlen 2"),
    ("tun-info", "--tun-info"),
    ("tun-type", "--tun-type gue"),
    ("tun-port", "--tun-port 2"),
    ("tun-nocsum", "--tun-nocsum"),
    ("tun-csum", "--tun-csum"),
    ("tun-remcsum", "--tun-remcsum"),
    ("local-address", "--local-address 10.0.0.9"),
    ("tcp-timeout", "--tcp-timeout 2"),
    ("tcpfin-timeout", "--tcpfin-timeout 2"),
    ("udp-timeout", "--udp-timeout 2"),
    ("json", "--json"),
    ("marks", "--marks"),
    ("compat", "--compat"),
    ("source", "--source 10.0.0.0/8"),
    ("destination", "--destination 10.0.0.1"),
    ("protocol", "--protocol tcp"),
    ("source-port", "--source-port 2"),
    ("destination-port", "--destination-port 2"),
    ("interface", "--interface eth1"),
];

const SERVICES: &str = "scheduler persistent netmask ops pe sched-flags local-address tcp-timeout tcpfin-timeout \
                        udp-timeout";
const SERVERS: &str = "forwarding-method weight u-threshold l-threshold tun-type tun-port tun-nocsum tun-csum tun-remcsum";
const LISTS: &str = "numeric connection service-address timeout daemon stats rate thresholds persistent-conn nosort \
                     syncid exact tun-info json marks";
const SYNC: &str = "mcast-interface syncid mcast-group mcast-port mcast-ttl sync-maxlen";
const MATCHES: &str = "source destination protocol source-port destination-port interface";

/// Each command with its name in messages, the options it needs, and those it may have.
const COMMANDS: [(&str, &str, &str, &str); 18] = [
    ("-A", "add-service", "service-address", SERVICES),
    ("-E", "edit-service", "service-address", SERVICES),
    ("-D", "delete-service", "service-address", ""),
    ("-C", "flush", "", ""),
    ("-a", "add-server", "service-address real-server", SERVERS),
    ("-e", "edit-server", "service-address real-server", SERVERS),
    ("-d", "delete-server", "service-address real-server", ""),
    ("-L", "list", "", LISTS),
    ("-l", "list", "", LISTS),
    ("-Z", "zero", "", "service-address"),
    ("-S", "save", "", "numeric"),
    ("-R", "restore", "", "compat"),
    ("--set 1 2 3", "set", "", ""),
    ("--start-daemon master", "start-daemon", "", SYNC),
    ("--stop-daemon master", "stop-daemon", "", "syncid"),
    ("--mark 7", "mark", "", MATCHES),
    ("--unmark 7", "unmark", "", MATCHES),
    ("--clear-marks", "clear-marks", "", ""),
];

fn written(name: &str) -> &'static str {
    let (_, written) = WRITTEN.iter().find(|(n, _)| *n == name).expect(name);
    written
}

/// A command with all the options it needs, but for one.
fn command_without(command: &str, needs: &str, but: &str) -> String {
    let mut line = command.to_owned();
    for name in needs.split_whitespace().filter(|name| *name != but) {
        line.push(' ');
        line.push_str(written(name));
    }
    line
}

#[test]
fn an_option_goes_with_its_commands_only() {
    assert_eq!(WRITTEN.map(|(name, _)| name), CHECKED);
    for (command, called, needs, may) in COMMANDS {
        let base = command_without(command, needs, "");
        assert!(read(&base).is_ok(), "{base}");
        for (name, option) in WRITTEN {
            if needs.contains(name) {
                continue;
            }
            let illegal = format!("2 Illegal '{name}' option with the '{called}' command");
            let line = format!("{base} {option}");
            if may.split_whitespace().any(|n| n == name) {
                // It may lack something now, but this is not what is wrong.
                let refusal = read(&line).err().map(|e| format!("2 {}", e.message));
                assert_ne!(refusal, Some(illegal), "{line}");
            } else {
                assert_eq!(refusal(&line), illegal, "{line}");
            }
        }
        for free in ["--sort", "--sort --sort"] {
            assert!(read(&format!("{base} {free}")).is_ok(), "{base} {free}");
        }
    }
}

#[test]
fn what_a_command_needs_must_be_there() {
    for (command, called, needs, _) in COMMANDS {
        for name in needs.split_whitespace() {
            let line = command_without(command, needs, name);
            let want =
                format!("2 You need to supply the '{name}' option for the '{called}' command");
            assert_eq!(refusal(&line), want, "{line}");
        }
    }
}

#[test]
fn the_first_by_name_is_refused_first() {
    for pair in WRITTEN.windows(2) {
        let [(first, one), (_, other)] = pair else {
            unreachable!()
        };
        for line in [format!("-C {one} {other}"), format!("-C {other} {one}")] {
            let want = format!("2 Illegal '{first}' option with the 'flush' command");
            assert_eq!(refusal(&line), want, "{line}");
        }
    }
}

#[test]
fn a_listing_is_of_one_thing() {
    let things = [
        "connection",
        "service-address",
        "timeout",
        "daemon",
        "marks",
    ];
    for (place, later) in things.iter().enumerate() {
        for earlier in &things[..place] {
            let want = format!(
                "2 The option '{later}' conflicts with the '{earlier}' option in the 'list' command"
            );
            let (one, other) = (written(earlier), written(later));
            assert_eq!(refusal(&format!("-L {one} {other}")), want);
            assert_eq!(refusal(&format!("-L {other} --stats {one}")), want);
        }
    }
}

#[test]
fn an_option_is_given_once() {
    for (name, option) in WRITTEN {
        let line = format!("-C {option} {option}");
        let want = match name {
            "local-address" => {
                "2 Illegal 'local-address' option with the 'flush' command".to_owned()
            }
            _ => format!("2 multiple '{name}' options specified"),
        };
        assert_eq!(refusal(&line), want);
    }
    assert_refusals(
        "
-A -t 10.0.0.1:80 -u 10.0.0.1:80 => 2 multiple 'service-address' options specified
-a -f 7 --sctp-service 10.0.0.1:80 => 2 multiple 'service-address' options specified
-a -t 10.0.0.1:80 -m -g => 2 multiple 'forwarding-method' options specified
-a -t 10.0.0.1:80 -i --fullnat => 2 multiple 'forwarding-method' options specified
",
    );
    assert_eq!(meaning("-D -f 7 -66"), "-D -f 7 -6");
}
