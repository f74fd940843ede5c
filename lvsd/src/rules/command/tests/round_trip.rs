//! Every command can be written such that the same is read.

use std::net::{Ipv4Addr, Ipv6Addr};

use lvs_core::Family;
use proptest::option::of;
use proptest::prelude::*;

use super::super::super::testing::{key, mark_rule, server, service};
use super::*;

fn service_rule() -> impl Strategy<Value = ServiceRule> {
    (service(), of("[a-z]{1,16}")).prop_map(|(mut rule, engine)| {
        rule.servers.clear();
        if let Some(engine) = engine.filter(|name| name != "sip") {
            if let Some(persistence) = &mut rule.options.persistence {
                persistence.engine = None;
            }
            rule.unknown_engine = Some(engine);
        }
        rule
    })
}

/// A server as a command can say it, also one that the kernel would refuse.
fn server_rule() -> impl Strategy<Value = (ServiceKey, ServerRule)> {
    let keyed = key().prop_flat_map(|key| (Just(key), server(key.family() == Family::V6)));
    (keyed, any::<u8>()).prop_map(|((key, mut server), lower)| {
        if key.addr().is_some() && !server.options.method.translates() {
            server.addr.port = key.port();
        }
        server.options.lower = lower.into();
        (key, server)
    })
}

fn daemon() -> impl Strategy<Value = SyncDaemon> {
    let group = prop_oneof![
        (224..240u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d).into()),
        any::<u64>().prop_map(|n| Ipv6Addr::from_bits(0xff << 120 | u128::from(n)).into()),
    ];
    (
        proptest::sample::select(vec![Role::Master, Role::Backup]),
        "eth[0-9]",
        any::<u8>(),
        of(1..=65507u16),
        of(group),
        of(1..=u16::MAX),
        of(1..=u8::MAX),
    )
        .prop_map(
            |(role, interface, id, max_len, group, port, ttl)| SyncDaemon {
                role,
                interface,
                id,
                max_len,
                group,
                port,
                ttl,
            },
        )
}

fn listing() -> impl Strategy<Value = Listing> {
    let of_services = vec![
        What::Services,
        What::Stats,
        What::Rate,
        What::Thresholds,
        What::PersistentConn,
        What::TunInfo,
    ];
    let of_others = vec![
        What::Connections { engines: false },
        What::Connections { engines: true },
        What::Timeouts,
        What::Daemons,
        What::Marks,
    ];
    let what = prop_oneof![
        (proptest::sample::select(of_services), of(key())),
        (proptest::sample::select(of_others), Just(None)),
    ];
    (what, any::<[bool; 4]>()).prop_map(|((what, service), [numeric, exact, nosort, json])| {
        Listing {
            service,
            what,
            numeric,
            exact,
            nosort,
            json,
        }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let stop = |role| {
        Command::StopDaemon(SyncDaemon {
            role,
            ..SyncDaemon::default()
        })
    };
    prop_oneof![
        4 => service_rule().prop_map(Command::AddService),
        2 => service_rule().prop_map(Command::EditService),
        1 => key().prop_map(Command::DeleteService),
        4 => server_rule().prop_map(|(key, server)| Command::AddServer(key, server)),
        2 => server_rule().prop_map(|(key, server)| Command::EditServer(key, server)),
        1 => server_rule().prop_map(|(key, server)| Command::DeleteServer(key, server.addr)),
        1 => Just(Command::Flush),
        1 => of(key()).prop_map(Command::Zero),
        1 => any::<[u16; 3]>().prop_map(|t| {
            let [tcp, tcp_fin, udp] = t.map(u32::from);
            Command::SetTimeouts(SetTimeouts { tcp, tcp_fin, udp })
        }),
        2 => mark_rule().prop_map(Command::Mark),
        1 => mark_rule().prop_map(Command::Unmark),
        1 => Just(Command::ClearMarks),
        1 => (0..4u8).prop_map(|n| Command::Setting {
            name: "drop_entry".to_owned(),
            value: n.to_string(),
        }),
        2 => daemon().prop_map(Command::StartDaemon),
        1 => Just(stop(Role::Backup)),
        2 => listing().prop_map(Command::List),
        1 => any::<bool>().prop_map(|numeric| Command::Save { numeric }),
        1 => any::<bool>().prop_map(|compat| Command::Restore { compat }),
        1 => Just(Command::Help),
        1 => Just(Command::Version),
    ]
}

proptest! {
    #[test]
    fn a_command_written_down_is_read_back(command in command()) {
        let words = command.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(parse_command(&words, &Village), Ok(command));
    }
}
