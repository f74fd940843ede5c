use std::collections::HashMap;
use std::ops::ControlFlow;

use lvs_core::{Segment, ServiceKey, Worker};
use proptest::prelude::*;

use super::*;
use crate::control::desk;
use crate::control::message::{Reply, Request};
use crate::control::testing::{Bare, Desk};

const SERVICES: &str = "\
    -A -t 10.0.0.1:80 -s rr -p 300\n\
    -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m\n\
    -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m\n\
    -A -u 10.0.0.1:53 -s rr\n\
    -a -u 10.0.0.1:53 -r 10.1.0.1:5353 -m\n\
    -A --sctp-service 10.0.0.1:0 -s rr -p 300\n\
    -a --sctp-service 10.0.0.1:0 -r 10.1.0.3:0 -m\n\
    -A -f 7 -s rr -p 60 -M 255.255.255.0\n\
    -a -f 7 -r 10.1.0.4 -m\n\
    -A -t [fd00::1]:443 -s rr --local-address fd00::99\n\
    -a -t [fd00::1]:443 -r [fd00::2]:8443 --fullnat\n\
    -a -t [fd00::1]:443 -r [fd00::2]:9443 --fullnat";

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn open(worker: &mut Worker, protocol: Protocol, client: &str, virt: &str, mark: u32) -> Segment {
    let mut packet = Segment::new(protocol, endpoint(client), endpoint(virt));
    packet.mark = mark;
    packet.flags = lvs_core::TcpFlags::SYN;
    packet.chunk = lvs_core::Chunk::Init;
    worker.decide(lvs_core::Time::default(), &[packet], &mut Vec::new());
    packet
}

/// Some connections of every service, in several states.
fn busy() -> Desk {
    let desk = Desk::open();
    desk.apply(SERVICES);
    let mut worker = desk.plane.director.worker().unwrap();
    let w = &mut worker;
    for client in 1..40 {
        let v4 = format!("10.9.{}.{client}:4000", client % 3);
        let v6 = format!("[fd00:9::{client}]:4000");
        let tcp = open(w, Protocol::TCP, &v4, "10.0.0.1:80", 0);
        open(w, Protocol::UDP, &v4, "10.0.0.1:53", 0);
        open(
            w,
            Protocol::SCTP,
            &v4,
            &format!("10.0.0.1:{}", 3000 + client),
            0,
        );
        open(w, Protocol::UDP, &v4, "10.0.0.9:99", 7);
        open(w, Protocol::TCP, &v6, "[fd00::1]:443", 0);
        if client % 2 == 0 {
            let ack = Segment {
                flags: lvs_core::TcpFlags::ACK,
                ..tcp
            };
            w.decide(lvs_core::Time::default(), &[ack], &mut Vec::new());
        }
    }
    desk
}

fn all(desk: &Desk, filter: Filter) -> Vec<Connection> {
    let mut all = Vec::new();
    let mut client = desk.client();
    let visited = client.connections(filter, |part| {
        all.extend(part);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    all.sort_by_key(|c| {
        (
            c.protocol.clone(),
            c.client.to_string(),
            c.virtual_address.to_string(),
        )
    });
    all
}

/// The same by what is told of each connection.
fn fits(filter: &Filter, conn: &Connection) -> bool {
    let Filter {
        service,
        server,
        client,
        states,
        protocol,
        templates,
        limit: _,
    } = filter;
    let server_fits = |wanted: &ServerAddress| {
        // Templates of all ports have port 0, as one server is without.
        let port = wanted
            .port
            .is_none_or(|port| port == conn.server.port || conn.template && conn.server.port == 0);
        wanted.ip == conn.server.ip && port
    };
    let name = |p: &ProtocolName| String::from(*p);
    service.as_ref().is_none_or(|s| *s == conn.service)
        && server.as_ref().is_none_or(server_fits)
        && client.as_ref().is_none_or(|c| c.contains(conn.client.ip))
        && (states.is_empty() || states.iter().any(|s| String::from(*s) == conn.state))
        && protocol.as_ref().is_none_or(|p| name(p) == conn.protocol)
        && templates.as_ref().is_none_or(|t| *t == conn.template)
}

fn filter() -> impl Strategy<Value = Filter> {
    let service = proptest::option::weighted(
        0.3,
        prop_oneof![
            Just(ServiceKey::tcp(endpoint("10.0.0.1:80"))),
            Just(ServiceKey::udp(endpoint("10.0.0.1:53"))),
            Just(ServiceKey::new(Protocol::SCTP, endpoint("10.0.0.1:0"))),
            Just(ServiceKey::tcp(endpoint("[fd00::1]:443"))),
            Just(ServiceKey::tcp(endpoint("10.0.0.1:443"))),
            Just(ServiceKey::Mark {
                family: lvs_core::Family::V4,
                mark: 7
            }),
        ],
    );
    let server = proptest::sample::select(vec![
        "10.1.0.1",
        "10.1.0.1:8080",
        "10.1.0.2:8080",
        "10.1.0.2:1",
        "10.1.0.4",
        "fd00::2",
        "[fd00::2]:8443",
        "10.1.0.9",
    ]);
    let client = proptest::sample::select(vec![
        "10.9.1.0/24",
        "10.9.0.0/16",
        "10.9.2.5",
        "0.0.0.0/0",
        "::/0",
        "fd00:9::/124",
    ]);
    let state = proptest::sample::select(StateName::all());
    let protocol = proptest::sample::select(vec!["TCP", "UDP", "SCTP", "IP"]);
    (
        service,
        proptest::option::weighted(0.3, server),
        proptest::option::weighted(0.3, client),
        proptest::collection::vec(state, 0..4),
        proptest::option::weighted(0.3, protocol),
        proptest::option::weighted(0.3, any::<bool>()),
    )
        .prop_map(
            |(service, server, client, states, protocol, templates)| Filter {
                service: service.map(Key::from),
                server: server.map(|s| s.parse().unwrap()),
                client: client.map(|c| c.parse().unwrap()),
                states: states.iter().map(|s| s.parse().unwrap()).collect(),
                protocol: protocol.map(|p| p.parse().unwrap()),
                templates,
                limit: None,
            },
        )
}

#[test]
fn a_filter_lets_through_what_fits_and_nothing_else() {
    let desk = busy();
    let whole = all(&desk, Filter::default());
    assert!(whole.len() > 200, "{}", whole.len());
    let kinds: std::collections::HashSet<_> = whole.iter().map(|c| &c.state).collect();
    assert!(kinds.len() > 4, "{kinds:?}");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let found = std::cell::Cell::new(0);
    let ran = runner.run(&filter(), |filter| {
        let wanted: Vec<_> = whole.iter().filter(|c| fits(&filter, c)).cloned().collect();
        prop_assert_eq!(&all(&desk, filter.clone()), &wanted);
        let mut counts = HashMap::new();
        for c in &wanted {
            let kind = (
                format!("{:?}", c.service),
                c.protocol.clone(),
                c.state.clone(),
                c.template,
            );
            *counts.entry(kind).or_insert(0) += 1;
        }
        let mut told = HashMap::new();
        for c in desk.client().count(filter).unwrap() {
            let kind = (format!("{:?}", c.service), c.protocol, c.state, c.template);
            *told.entry(kind).or_insert(0) += c.count;
        }
        prop_assert_eq!(told, counts);
        found.set(found.get() + usize::from(!wanted.is_empty()));
        Ok(())
    });
    ran.unwrap();
    assert!(
        found.get() > 60,
        "only {found:?} filters let anything through"
    );
}

#[test]
fn everything_about_a_connection_is_told() {
    let desk = busy();
    let of = |client: &str, virt: &str| Filter {
        client: Some(client.parse().unwrap()),
        service: Some(ServiceKey::tcp(endpoint(virt)).into()),
        ..Filter::default()
    };
    let both = all(&desk, of("10.9.1.4", "10.0.0.1:80"));
    let [template, tcp] = &both[..] else {
        panic!("{both:?}")
    };
    assert!(template.template && !tcp.template);
    assert_eq!(
        (template.client.port, template.state.as_str()),
        (0, "ASSURED")
    );
    assert_eq!(tcp.client, endpoint("10.9.1.4:4000"));
    assert_eq!(tcp.virtual_address, endpoint("10.0.0.1:80"));
    assert_eq!(
        (tcp.server.port, tcp.method, tcp.local),
        (8080, Method::Nat, None)
    );
    assert_eq!(
        (tcp.packets, tcp.expires, tcp.protocol.as_str()),
        (2, 900, "TCP")
    );
    let fullnat = all(&desk, of("fd00:9::5", "[fd00::1]:443"));
    let local = fullnat[0].local.unwrap();
    assert_eq!(local.ip, "fd00::99".parse().unwrap());
}

/// Connections to a server configured without a port have one; either finds them.
#[test]
fn a_server_is_found_by_its_own_port_and_by_the_connections() {
    let desk = busy();
    let found = |server: &str| {
        let server = Some(server.parse().unwrap());
        let filter = Filter {
            server,
            templates: Some(false),
            ..Filter::default()
        };
        all(&desk, filter).len()
    };
    assert_eq!(found("10.1.0.3:0"), 39);
    assert_eq!(found("10.1.0.3:3007"), 1);
    assert_eq!(found("10.1.0.3:2"), 0);
}

fn many() -> (std::sync::Arc<Bare>, Worker) {
    let desk = Desk::open();
    desk.apply("-A -u 10.0.0.1:53 -s rr\n-a -u 10.0.0.1:53 -r 10.1.0.1 -m");
    let mut worker = desk.plane.director.worker().unwrap();
    for port in 1..=5000 {
        open(
            &mut worker,
            Protocol::UDP,
            &format!("10.9.0.1:{port}"),
            "10.0.0.1:53",
            0,
        );
    }
    (desk.plane.clone(), worker)
}

#[test]
fn many_are_told_in_parts_the_first_at_once_and_traffic_goes_on_between() {
    let (plane, mut worker) = many();
    let mut sizes = Vec::new();
    let mut end = None;
    let request = Request::Connections {
        filter: Filter::default(),
    };
    desk::answer(&*plane, request, &mut |reply| {
        match reply {
            Reply::Connections { connections } => sizes.push(connections.len()),
            Reply::End { count } => end = Some(count),
            other => panic!("{other:?}"),
        }
        // Needs a lock of every shard: it would wait for ever if any were held.
        for port in 6000..6100 {
            let client = format!("10.9.0.2:{port}");
            open(&mut worker, Protocol::UDP, &client, "10.0.0.1:53", 0);
        }
        ControlFlow::Continue(())
    });
    assert!((1..=64).contains(&sizes[0]), "{sizes:?}");
    assert!(
        sizes.iter().all(|n| *n <= 320) && sizes.len() > 10,
        "{sizes:?}"
    );
    let sum: usize = sizes.iter().sum();
    assert!((5000..=5100).contains(&sum), "{sum}");
    assert_eq!(end, Some(sum as u64));
}

#[test]
fn nothing_is_looked_at_for_a_client_that_has_gone() {
    let (plane, _worker) = many();
    let mut replies = 0;
    let request = Request::Connections {
        filter: Filter::default(),
    };
    desk::answer(&*plane, request, &mut |_| {
        replies += 1;
        ControlFlow::Break(())
    });
    assert_eq!(replies, 1);
}

#[test]
fn a_limit_is_kept_to_the_connection() {
    let desk = busy();
    let whole = all(&desk, Filter::default()).len();
    for limit in [0, 1, 63, 64, 65, whole - 1, whole, whole + 1] {
        let filter = Filter {
            limit: Some(limit as u64),
            ..Filter::default()
        };
        assert_eq!(all(&desk, filter.clone()).len(), limit.min(whole));
        let counts = desk.client().count(filter).unwrap();
        let sum: u64 = counts.iter().map(|c| c.count).sum();
        assert_eq!(sum, limit.min(whole) as u64);
    }
}

#[test]
fn what_a_filter_does_not_know_is_refused() {
    let read = |text: &str| serde_json::from_str::<Filter>(text);
    assert_eq!(read("{}").unwrap(), Filter::default());
    for (text, word) in [
        (r#"{"srever":"10.0.0.1"}"#, "srever"),
        (r#"{"states":["ESTABLISHED","OPEN"]}"#, "OPEN"),
        (r#"{"protocol":"icmp"}"#, "icmp"),
        (r#"{"server":"10.0.0.256"}"#, "address"),
        (r#"{"client":"10.0.0.1/33"}"#, "32"),
        (r#"{"limit":-1}"#, "-1"),
    ] {
        let e = read(text).unwrap_err().to_string();
        assert!(e.contains(word), "{text}: {e}");
    }
}

#[test]
fn filters_survive_the_way() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let ran = runner.run(&filter(), |filter| {
        let text = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn of_one_server_what_is_named_is_forgotten() {
    let desk = busy();
    let count = |templates| {
        let filter = Filter {
            templates: Some(templates),
            ..Filter::default()
        };
        all(&desk, filter).len()
    };
    let evict = |service: ServiceKey, server: &str, templates, udp| {
        let request = Request::Evict {
            service: service.into(),
            server: server.to_owned(),
            templates,
            udp,
        };
        match desk.client().ask(&request).unwrap() {
            Reply::Evicted { count } => count,
            other => panic!("{other:?}"),
        }
    };
    let (dns, mark) = (
        ServiceKey::udp(endpoint("10.0.0.1:53")),
        ServiceKey::Mark {
            family: lvs_core::Family::V4,
            mark: 7,
        },
    );
    let before = (count(false), count(true));
    assert_eq!(evict(dns, "10.1.0.1:5353", false, false), 0);
    assert_eq!(evict(dns, "10.1.0.1:80", true, true), 0);
    let web = ServiceKey::tcp(endpoint("10.0.0.1:80"));
    assert_eq!(evict(web, "10.1.0.1:5353", true, true), 0);
    assert_eq!(evict(mark, "10.1.0.9:0", true, true), 0);
    assert_eq!((count(false), count(true)), before);
    assert_eq!(evict(dns, "10.1.0.1:5353", true, true), 39);
    assert_eq!(evict(mark, "10.1.0.4:0", true, false), 3);
    assert_eq!((count(false), count(true)), (before.0 - 39, before.1 - 3));
    assert_eq!(evict(mark, "10.1.0.4:0", false, true), 39);
    assert_eq!(count(false), before.0 - 78);
}
