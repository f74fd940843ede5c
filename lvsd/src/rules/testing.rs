//! What tests of rules share: names without a network, and any rule set at all.

use std::net::Ipv4Addr;
use std::time::Duration;

use lvs_core::dest::GueChecksum;
use lvs_core::service::Engine;
use lvs_core::{
    Encapsulation, Family, Ip, LocalAddr, Method, Persistence, Protocol, ServiceTimeouts,
};
use lvs_fwd::classify::Rule;
use proptest::prelude::*;

use super::*;

/// A world without a network.
pub(crate) struct Village;

impl Names for Village {
    fn has_scheduler(&self, name: &str) -> bool {
        ["rr", "wrr", "wlc", "mh"].contains(&name)
    }

    fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
        match name {
            "web" => Ok([10, 0, 0, 1].into()),
            "localhost" => Ok(Ipv4Addr::LOCALHOST),
            _ => Err("nobody\nof that name".to_owned()),
        }
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        match (service, protocol) {
            ("http", Protocol::TCP) => Some(80),
            ("domain", _) => Some(53),
            _ => None,
        }
    }
}

fn ip(is_v6: bool) -> impl Strategy<Value = Ip> {
    (1..20u8).prop_map(move |n| match is_v6 {
        true => Ip::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]),
        false => Ip::v4([10, 0, 0, n]),
    })
}

pub(crate) fn key() -> impl Strategy<Value = ServiceKey> {
    let protocol = proptest::sample::select(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP]);
    any::<bool>().prop_flat_map(move |is_v6| {
        let family = if is_v6 { Family::V6 } else { Family::V4 };
        prop_oneof![
            (protocol.clone(), ip(is_v6), 0..5u16).prop_map(
                |(protocol, ip, port)| ServiceKey::new(protocol, Endpoint::new(ip, port))
            ),
            (1..9u32).prop_map(move |mark| ServiceKey::Mark { family, mark }),
        ]
    })
}

fn persistence(family: Family) -> impl Strategy<Value = Persistence> {
    let bits: u8 = if family == Family::V6 { 128 } else { 32 };
    let engine = proptest::option::of(Just(Engine::Sip));
    (1..=2_678_400_u64, 1..=bits, engine).prop_map(|(timeout, prefix, engine)| Persistence {
        timeout: Duration::from_secs(timeout),
        prefix,
        engine,
    })
}

/// Timeouts of connections that such a service has.
fn timeouts(key: ServiceKey) -> impl Strategy<Value = ServiceTimeouts> {
    let timeout = move |protocol| {
        let has = key.protocol().is_none_or(|p| p == protocol);
        let seconds = (1..=2_678_400_u64).prop_map(Duration::from_secs);
        proptest::option::of(seconds).prop_map(move |timeout| timeout.filter(|_| has))
    };
    (
        timeout(Protocol::TCP),
        timeout(Protocol::TCP),
        timeout(Protocol::UDP),
    )
        .prop_map(|(tcp, tcp_fin, udp)| ServiceTimeouts { tcp, tcp_fin, udp })
}

pub(crate) fn server(is_v6: bool) -> impl Strategy<Value = ServerRule> {
    let checksum = prop_oneof![
        Just(GueChecksum::None),
        Just(GueChecksum::Full),
        Just(GueChecksum::Remote)
    ];
    let tunnel = prop_oneof![
        Just(Encapsulation::Ipip),
        any::<bool>().prop_map(|checksum| Encapsulation::Gre { checksum }),
        (1..=u16::MAX, checksum).prop_map(|(port, checksum)| Encapsulation::Gue { port, checksum }),
    ];
    let method = prop_oneof![
        Just((Method::Nat, Encapsulation::Ipip)),
        Just((Method::DirectRoute, Encapsulation::Ipip)),
        Just((Method::FullNat, Encapsulation::Ipip)),
        tunnel.prop_map(|t| (Method::Tunnel, t)),
    ];
    let most = i32::MAX as u32;
    let upper = prop_oneof![Just(0), 0..=most];
    (ip(is_v6), 0..9u16, method, 0..=most, upper, any::<u32>()).prop_map(
        |(ip, port, (method, encapsulation), weight, upper, lower)| ServerRule {
            addr: Endpoint::new(ip, port),
            options: DestOptions {
                method,
                weight,
                encapsulation,
                upper,
                lower: lower.checked_rem(upper).unwrap_or(0),
            },
        },
    )
}

pub(crate) fn service() -> impl Strategy<Value = ServiceRule> {
    key().prop_flat_map(|key| {
        let is_v6 = key.family() == Family::V6;
        let scheduler =
            proptest::sample::select(vec![("rr", "flag-2"), ("mh", "mh-port"), ("mh", "flag-3")]);
        (
            (scheduler, any::<(bool, bool)>(), timeouts(key)),
            proptest::option::of(persistence(key.family())),
            proptest::collection::vec(server(is_v6), 0..5),
        )
            .prop_map(
                move |(
                    ((scheduler, flag), (flags, one_packet), timeouts),
                    persistence,
                    servers,
                )| {
                    let mut rule = ServiceRule {
                        key: match (key, &persistence) {
                            (ServiceKey::Addr { protocol, addr }, None) if addr.port == 0 => {
                                ServiceKey::new(protocol, Endpoint::new(addr.ip, 9))
                            }
                            _ => key,
                        },
                        scheduler: scheduler.to_owned(),
                        flags: match flags {
                            true => SchedulerFlags::NONE.with(flag, scheduler).unwrap(),
                            false => SchedulerFlags::NONE,
                        },
                        unknown_engine: None,
                        options: ServiceOptions {
                            persistence,
                            one_packet: one_packet
                                && key.protocol().is_none_or(|p| p == Protocol::UDP),
                            local_addrs: [LocalAddr::new(match is_v6 {
                                true => Ip::v6([0xfe; 16]),
                                false => Ip::v4([192, 0, 2, 1]),
                            })]
                            .into(),
                            timeouts,
                        },
                        servers: Vec::new(),
                    };
                    for mut server in servers {
                        if key.addr().is_some() && !server.options.method.translates() {
                            server.addr.port = rule.key.port();
                        }
                        let is_refused =
                            rule.options.one_packet && server.options.method == Method::FullNat;
                        if !is_refused && rule.servers.iter().all(|s| s.addr != server.addr) {
                            rule.servers.push(server);
                        }
                    }
                    rule
                },
            )
    })
}

pub(crate) fn mark_rule() -> impl Strategy<Value = MarkRule> {
    let prefix = |text: &'static str| proptest::option::of(Just(text.parse().unwrap()));
    let ports = || {
        let range = (0..99u16, 0..99u16).prop_map(|(low, more)| low..=low + more);
        proptest::option::of(range)
    };
    let protocol = proptest::option::of(Just(Protocol::TCP));
    let interface = proptest::option::of(Just("eth0".to_owned()));
    (
        (
            0..4u32,
            prefix("10.0.0.0/8"),
            prefix("192.0.2.1/32"),
            protocol,
        ),
        (ports(), ports(), interface),
    )
        .prop_map(
            |((mark, source, destination, protocol), (from, to, interface))| MarkRule {
                rule: Rule {
                    mark,
                    source,
                    destination,
                    protocol,
                    source_ports: from,
                    destination_ports: to,
                    interface: None,
                },
                interface,
            },
        )
}

/// Rule sets with some of everything.
pub(crate) fn rule_set() -> impl Strategy<Value = RuleSet> {
    (
        proptest::collection::vec(service(), 0..5),
        proptest::collection::vec(mark_rule(), 0..4),
        prop_oneof![Just([0; 3]), any::<[u8; 3]>()],
        any::<(bool, u8)>(),
    )
        .prop_map(|(mut services, mut marks, timeouts, (flag, mode))| {
            let mut seen = std::collections::HashSet::new();
            services.retain(|service| seen.insert(service.key));
            let mut seen = Vec::new();
            marks.retain(|rule| {
                let mut about = rule.clone();
                about.rule.mark = 0;
                let is_new = !seen.contains(&about);
                seen.push(about);
                is_new
            });
            let [tcp, tcp_fin, udp] = timeouts.map(u32::from);
            RuleSet {
                services,
                marks,
                timeouts: SetTimeouts { tcp, tcp_fin, udp },
                sysctls: Sysctls {
                    expire_nodest_conn: flag,
                    pmtu_disc: !flag,
                    drop_entry: mode % 4,
                    ..Sysctls::default()
                },
            }
        })
}

/// Text that looks like a rule file, but for a few words or characters.
pub(crate) fn almost_rules() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "-A",
            "-a",
            "-E",
            "--add-service",
            "-t",
            "-u",
            "-f",
            "-r",
            "-w",
            "-p",
            "-6",
            "-b",
            "mh-port,flag-3",
            "-M",
            "255.255.0.0",
            "-gim",
            "--mark",
            "--source",
            "10.0.0.0/8",
            "--destination-port=80:90",
            "--set",
            "net.ipv4.vs.drop_entry",
            "net.ipv4.vs.sloppy_tcp=1",
            "--tun-port=9",
            "gue",
            "--fullnat",
            "--local-address",
            "--tun-type",
            "ipip",
            "-s",
            "rr",
            "--",
            "-",
            "#",
            "[::1]:1",
            "[",
            "]:",
            "10.0.0.1:80",
            "10.0.0.1:1-2",
            ":",
            "=",
            "-w=",
            "--weight=",
            "ipvsadm",
            "\n",
            "\u{85}",
            "é=ü",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    let words = proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" "));
    let mutated = (
        rule_set(),
        proptest::collection::vec((any::<usize>(), any::<char>()), 1..6),
    )
        .prop_map(|(rules, changes)| {
            let mut text: Vec<char> = rules.to_string().chars().collect();
            for (place, c) in changes {
                match text.len() {
                    0 => text.push(c),
                    len if place % 3 == 0 => drop(text.remove(place / 3 % len)),
                    len if place % 3 == 1 => text[place / 3 % len] = c,
                    len => text.insert(place / 3 % len, c),
                }
            }
            text.into_iter().collect()
        });
    prop_oneof![words, mutated, any::<String>()]
}
