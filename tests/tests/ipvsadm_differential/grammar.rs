//! ipvsadm's grammar: its options, how they may be written, and values for them, right, borderline and wrong.

use crate::random::Random;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Value(Value),
    /// A value or none.
    Maybe(Value),
}

/// Kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Address,
    Mark,
    Scheduler,
    Flags,
    Timeout,
    Netmask,
    Engine,
    Server,
    Weight,
    Threshold,
    TunnelType,
    Port,
    Role,
    Interface,
    SyncId,
    MaxLen,
    Group,
    Ttl,
}

/// An option: letter, name and what it takes.
pub(crate) type Spec = (Option<char>, &'static str, Takes);

use Takes::{Maybe, Nothing};
use Value as V;

const fn with(value: Value) -> Takes {
    Takes::Value(value)
}

pub(crate) const ADD: Spec = (Some('A'), "add-service", Nothing);
pub(crate) const EDIT: Spec = (Some('E'), "edit-service", Nothing);
pub(crate) const DELETE: Spec = (Some('D'), "delete-service", Nothing);
pub(crate) const CLEAR: Spec = (Some('C'), "clear", Nothing);
pub(crate) const ADD_SERVER: Spec = (Some('a'), "add-server", Nothing);
pub(crate) const EDIT_SERVER: Spec = (Some('e'), "edit-server", Nothing);
pub(crate) const DELETE_SERVER: Spec = (Some('d'), "delete-server", Nothing);
pub(crate) const LIST: Spec = (Some('L'), "list", Nothing);
pub(crate) const ZERO: Spec = (Some('Z'), "zero", Nothing);
pub(crate) const SAVE: Spec = (Some('S'), "save", Nothing);
pub(crate) const SET: Spec = (None, "set", Nothing);
pub(crate) const START: Spec = (None, "start-daemon", with(V::Role));
pub(crate) const STOP: Spec = (None, "stop-daemon", with(V::Role));

/// All commands but those for help, and `-R`, which reads.
pub(crate) const COMMANDS: [Spec; 14] = [
    ADD,
    EDIT,
    DELETE,
    CLEAR,
    ADD_SERVER,
    EDIT_SERVER,
    DELETE_SERVER,
    LIST,
    (Some('l'), "list", Nothing),
    ZERO,
    SAVE,
    SET,
    START,
    STOP,
];

pub(crate) const TCP: Spec = (Some('t'), "tcp-service", with(V::Address));
pub(crate) const UDP: Spec = (Some('u'), "udp-service", with(V::Address));
pub(crate) const SCTP: Spec = (None, "sctp-service", with(V::Address));
pub(crate) const MARK: Spec = (Some('f'), "fwmark-service", with(V::Mark));
pub(crate) const IPV6: Spec = (Some('6'), "ipv6", Nothing);
pub(crate) const REAL_SERVER: Spec = (Some('r'), "real-server", with(V::Server));
pub(crate) const NUMERIC: Spec = (Some('n'), "numeric", Nothing);
pub(crate) const CONNECTION: Spec = (Some('c'), "connection", Nothing);

pub(crate) const SERVICE_OPTIONS: [Spec; 6] = [
    (Some('s'), "scheduler", with(V::Scheduler)),
    (Some('p'), "persistent", Maybe(V::Timeout)),
    (Some('M'), "netmask", with(V::Netmask)),
    (None, "pe", with(V::Engine)),
    (Some('b'), "sched-flags", with(V::Flags)),
    (Some('o'), "ops", Nothing),
];

pub(crate) const MASQUERADING: Spec = (Some('m'), "masquerading", Nothing);

pub(crate) const METHODS: [Spec; 3] = [
    (Some('g'), "gatewaying", Nothing),
    (Some('i'), "ipip", Nothing),
    MASQUERADING,
];

pub(crate) const SERVER_OPTIONS: [Spec; 3] = [
    (Some('w'), "weight", with(V::Weight)),
    (Some('x'), "u-threshold", with(V::Threshold)),
    (Some('y'), "l-threshold", with(V::Threshold)),
];

pub(crate) const TUNNEL_OPTIONS: [Spec; 5] = [
    (None, "tun-type", with(V::TunnelType)),
    (None, "tun-port", with(V::Port)),
    (None, "tun-nocsum", Nothing),
    (None, "tun-csum", Nothing),
    (None, "tun-remcsum", Nothing),
];

pub(crate) const LIST_OPTIONS: [Spec; 10] = [
    (None, "timeout", Nothing),
    (None, "daemon", Nothing),
    (None, "stats", Nothing),
    (None, "rate", Nothing),
    (None, "thresholds", Nothing),
    (None, "persistent-conn", Nothing),
    (None, "tun-info", Nothing),
    (None, "nosort", Nothing),
    (None, "sort", Nothing),
    (Some('X'), "exact", Nothing),
];

pub(crate) const DAEMON_OPTIONS: [Spec; 6] = [
    (None, "syncid", with(V::SyncId)),
    (None, "sync-maxlen", with(V::MaxLen)),
    (None, "mcast-interface", with(V::Interface)),
    (None, "mcast-group", with(V::Group)),
    (None, "mcast-port", with(V::Port)),
    (None, "mcast-ttl", with(V::Ttl)),
];

/// All options that are no commands.
pub(crate) fn all_options() -> Vec<Spec> {
    let keys = [TCP, UDP, SCTP, MARK, IPV6, REAL_SERVER, NUMERIC, CONNECTION];
    let mut all = keys.to_vec();
    for some in [
        &SERVICE_OPTIONS[..],
        &METHODS,
        &SERVER_OPTIONS,
        &TUNNEL_OPTIONS,
    ] {
        all.extend(some);
    }
    all.extend(LIST_OPTIONS);
    all.extend(DAEMON_OPTIONS);
    all
}

/// A value that is meant to be right.
pub(crate) fn right(random: &mut Random, value: Value) -> String {
    random.pick(lists(value).0).to_string()
}

/// A value at the edge, or beyond, or any value of another kind.
pub(crate) fn doubtful(random: &mut Random, value: Value) -> String {
    const ANYTHING: [&str; 9] = ["", "0", "-1", "1x", "x", "-", "4294967296", "é", "%s%n"];
    if random.percent(15) {
        return random.pick(&ANYTHING).to_string();
    }
    random.pick(lists(value).1).to_string()
}

/// Right values and doubtful ones. ipvsadm sorts addresses and marks by signed differences, by which three can each come before the
/// next all round; then the order depends on the kernel's. There are no such three here.
fn lists(value: Value) -> (&'static [&'static str], &'static [&'static str]) {
    match value {
        V::Address => (
            &[
                "10.0.0.1:80",
                "10.0.0.1:443",
                "10.0.0.2:80",
                "10.0.0.10:80",
                "192.0.2.10:53",
                "192.0.2.10:5060",
                "[2001:db8::80]:443",
                "[2001:db8::80]:80",
                "[2001:db8:1111:2222:3333:4444:5555:7777]:65535",
                "255.255.255.255:65535",
                "10.0.0.1:0",
                "10.0.0.3",
            ],
            &[
                "10.0.0.1",
                "10.0.0.1:http",
                "10.0.0.1:domain",
                "10.0.0.1:sip",
                "10.0.0.1:nosuch",
                "10.0.0.1:",
                "10.0.0.1:80:90",
                "10.0.0.1:99999",
                "10.0.0.1:65536",
                "10.0.0.1:65535",
                "10.0.0.1:-1",
                "10.0.0.1:0x50",
                "10.0.0.1:080",
                "10.0.0.1:+80",
                "10.0.0.1: 80",
                ":80",
                ":",
                "80",
                "10.1:80",
                "10:80",
                "0:80",
                "010.0.0.80:80",
                "0x0a.0.0.1:80",
                "0x0a000001:80",
                "10.0.0.256:80",
                "10.0.0.1.5:80",
                "10.0.0:80",
                "09.0.0.1:80",
                "1.2.3.4.:80",
                "10.0.0.1/32:80",
                "2001:db8::1",
                "::",
                "::1",
                "::1:80",
                "[::]:80",
                "[2001:db8::1]",
                "[2001:db8::1]:",
                "[2001:db8::1]80",
                "[2001:db8::1:80",
                "2001:db8::1]:80",
                "[]:80",
                "[10.0.0.1]:80",
                "[fe80::1%eth0]:80",
                "[fe80::1]:80",
                "[ff02::1]:80",
                "[::ffff:10.0.0.1]:80",
                "[2001:DB8::1]:80",
                "[2001:db8::1]:http",
                "[2001:db8::1]:99999",
                "[1:2:3:4:5:6:7:8:9]:80",
                "[::1]:0",
                "[::1]:80x",
                "0.0.0.0:80",
                "224.0.0.1:80",
                "a..b:80",
                "é:80",
                "10.0.0.1:é",
            ],
        ),
        V::Mark => (
            &["1", "2", "7", "2000000000", "4294967290", "4294967295"],
            &[
                "0",
                "-1",
                "4294967296",
                "0x10",
                "010",
                "1 ",
                " 1",
                "+1",
                "1.5",
                "99999999999999999999",
                "1a",
                "",
            ],
        ),
        V::Scheduler => (
            &[
                "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf",
                "mh", "twos",
            ],
            &[
                "none",
                "RR",
                "nosuch",
                "rrrrrrrrrrrrrrrr",
                "wlcwlcwlcwlcwlcwlc",
                "rr ",
                "",
                "rr,wrr",
                "-rr",
            ],
        ),
        V::Flags => (
            &[
                "flag-1",
                "flag-2",
                "flag-3",
                "flag-1,flag-2",
                "flag-1,flag-2,flag-3",
                "sh-port",
                "sh-fallback",
                "sh-fallback,sh-port",
                "mh-port",
                "mh-fallback",
                "mh-port,mh-fallback",
            ],
            &[
                "",
                ",",
                ",,flag-1,,",
                "flag-4",
                "flag-",
                "flag-1,flag-1",
                "flag-1 ",
                "FLAG-1",
                "sh-port,mh-port",
                "sh-",
                "sh-portx",
                "flag-1,nosuch",
                "nosuch,flag-1",
                "flag-3,sh-port",
                "mh-port,flag-3",
                "flag-12",
            ],
        ),
        V::Timeout => (
            &["1", "60", "300", "360", "3600", "2678400"],
            &[
                "0",
                "-1",
                "2678401",
                "4294967296",
                "2147483648",
                "x",
                "rr",
                "1x",
                "0x10",
                "010",
                "",
                "+5",
                " 5",
                "5 ",
            ],
        ),
        V::Netmask => (
            &[
                "255.255.255.0",
                "255.255.0.0",
                "255.255.255.255",
                "255.0.0.0",
                "64",
            ],
            &[
                "24",
                "1",
                "128",
                "0",
                "129",
                "-1",
                "255.0.255.0",
                "0.0.0.0",
                "/24",
                "255.255.255",
                "ffff::",
                "0xffffff00",
                "255.255.255.256",
                "x..y",
                "",
                "64x",
                "32",
                "0.0.0.255",
                "128.0.0.0",
                "64 ",
                "037777777400",
            ],
        ),
        V::Engine => (
            &["sip"],
            &["nosuch", "", "SIP", "sipsipsipsipsipsip", "sip "],
        ),
        V::Server => (
            &[
                "192.168.1.2",
                "192.168.1.2:80",
                "192.168.1.2:8080",
                "192.168.1.10:80",
                "192.168.1.3:0",
                "192.168.1.9",
                "172.16.255.255:65535",
                "[2001:db8::a1]:443",
                "[2001:db8::a1]:8080",
                "2001:db8::a2",
                "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
            ],
            &[
                "192.168.1.2:http",
                "192.168.1.2:nosuch",
                "192.168.1.2:",
                "192.168.1.2:99999",
                "192.168.1.2:80:80",
                ":80",
                "80",
                "192.168.258:80",
                "0.0.0.0:80",
                "0.1.2.3:80",
                "224.0.0.1:80",
                "239.255.255.255:80",
                "240.0.0.1:80",
                "255.255.255.255:80",
                "127.0.0.2:80",
                "[2001:db8::a1]",
                "[::]:80",
                "[ff02::5]:80",
                "[fe80::5]:80",
                "[fe80::5%lo]:80",
                "[::ffff:10.0.0.9]:80",
                "::2",
                "a..b",
                "",
                "é",
                "192.168.1.2/32",
            ],
        ),
        V::Weight => (
            &["0", "1", "2", "3", "10", "100", "65535", "2147483647"],
            &[
                "-1",
                "2147483648",
                "4294967295",
                "4294967296",
                "x",
                "1x",
                "",
                "0x10",
                "010",
                "+1",
                "1.5",
                "-0",
                " 7",
                "7 ",
            ],
        ),
        V::Threshold => (
            &["0", "1", "5", "10", "100", "65535", "65536", "2147483647"],
            &[
                "-1",
                "2147483648",
                "4294967296",
                "x",
                "1x",
                "",
                "0x10",
                "010",
                "+1",
            ],
        ),
        V::TunnelType => (
            &["ipip", "gue", "gre"],
            &["", "IPIP", "gretap", "gu", "vxlan", "ipip "],
        ),
        V::Port => (
            &["1", "6080", "65535", "80"],
            &[
                "0",
                "65536",
                "-1",
                "x",
                "http",
                "80x",
                "",
                "0x50",
                "4294967297",
            ],
        ),
        V::Role => (
            &["master", "backup"],
            &["", "Master", "both", "masters", "x", "--master"],
        ),
        V::Interface => (
            &["eth0", "lo"],
            &["", "nosuch0", "averyveryverylongname0", "é"],
        ),
        V::SyncId => (&["0", "1", "255"], &["256", "-1", "x", "", "1x", "0x1"]),
        V::MaxLen => (&["1", "1400", "65507"], &["0", "65508", "-1", "x", ""]),
        V::Group => (
            &["224.0.0.81", "239.1.1.1", "ff05::1"],
            &[
                "10.0.0.1",
                "2001:db8::1",
                "x",
                "",
                ":",
                "224.0.0",
                "ff05::1%lo",
                "256.0.0.1",
                "[ff05::1]",
            ],
        ),
        V::Ttl => (&["1", "64", "255"], &["0", "256", "-1", "x", ""]),
    }
}
