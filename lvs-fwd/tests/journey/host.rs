//! What is left to the host: what was hidden from it comes back to it, and only that.

use std::sync::Arc;

use arc_swap::ArcSwap;
use lvs_core::{
    ConfigError, DestOptions, Director, DropReason, Endpoint, Family, Ip, Method, PassReason,
    Protocol, ServiceKey, ServiceOptions, Settings, Standby, Time,
};
use lvs_fwd::classify::{Classifier, Rule};
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{Burst, Offload, Outputs, PortId};
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::TopologyBuilder;

use crate::fragments::{FROM_CLIENT, fragments};
use crate::lab::{LAN, Packet, WAN, client, ends, links, server, vip, with_servers};

const FAMILY: Family = Family::V4;

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Back to the host.
    Host,
    /// Out by a port.
    Sent(usize),
    Nothing,
}

use Fate::{Host, Nothing, Sent};

struct Bench {
    pipeline: Pipeline,
    director: Arc<Director>,
    shared: Shared,
}

impl Bench {
    /// One service by NAT.
    fn new(key: ServiceKey, topology: TopologyBuilder) -> Self {
        let director = Director::new(&Settings::default());
        let made: Result<(), ConfigError> = director.edit(|draft| {
            let scheduler = lvs_sched::build("rr").unwrap();
            draft.add_service(key, scheduler, ServiceOptions::default())?;
            let to = Endpoint::new(server(FAMILY).ip, key.port());
            draft.add_dest(key, to, &DestOptions::new(Method::Nat, 1))
        });
        made.unwrap();
        let topology = ArcSwap::from_pointee(with_servers(topology));
        let shared = Shared::new(Arc::new(topology), FragMemory::new(64, [1, 2, 3, 4]));
        Self {
            pipeline: Pipeline::new(director.worker().unwrap(), &shared, 7),
            director,
            shared,
        }
    }

    fn hide(&self, entries: &[Entry], rules: &[Rule]) {
        let config = self.director.config();
        let hidden = Hidden::new(entries, rules, |family, mark| {
            config.service(&ServiceKey::Mark { family, mark }).is_some()
        });
        let classifier = Classifier::new(rules.to_vec());
        self.shared.classifier.store(Arc::new(classifier));
        self.shared.hidden.store(Arc::new(hidden));
    }

    fn send(&mut self, port: usize, bytes: &[u8]) -> Fate {
        let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
        let port = PortId(port as u16);
        let frame = burst.next_free().unwrap();
        assert!(frame.fill(bytes, Offload::default(), port));
        burst.commit();
        self.pipeline
            .process(Time::from_secs(1), &mut burst, &mut outputs);
        let counts = self.pipeline.counters().counts();
        assert_eq!(ends(&counts), counts.received, "each is counted once");
        let ports = [WAN, LAN];
        let sent = |p: &usize| outputs.for_port(PortId(*p as u16), burst.frames()).count() > 0;
        let back: Vec<_> = outputs.for_host(port, burst.frames()).collect();
        match (back.first(), ports.iter().find(|p| sent(p))) {
            (Some(packet), None) => {
                assert_eq!(packet.to_vec(), bytes, "as it came");
                Host
            }
            (None, Some(port)) => Sent(*port),
            (None, None) => Nothing,
            (Some(_), Some(_)) => panic!("sent and given back"),
        }
    }

    fn client_sends(&mut self, packet: &Packet) -> Fate {
        self.send(WAN, &packet.sent_by_client())
    }
}

fn tcp(port: u16, syn: bool) -> Packet {
    let to = Endpoint::new(vip(FAMILY).ip, port);
    Packet {
        syn,
        ack: !syn,
        ..Packet::new(Protocol::TCP, client(FAMILY), to)
    }
}

fn ftp() -> (ServiceKey, [Entry; 3]) {
    let protocol = Protocol::TCP;
    let control = Endpoint::new(vip(FAMILY).ip, 21);
    let entries = [
        Entry::Virtual {
            protocol,
            addr: control,
        },
        Entry::Data {
            protocol,
            ip: control.ip,
            first: 1024,
            last: 65535,
        },
        Entry::Reply {
            protocol,
            addr: Endpoint::new(server(FAMILY).ip, 0),
        },
    ];
    (ServiceKey::tcp(control), entries)
}

#[test]
fn what_might_be_ftp_data_but_is_not_goes_back_to_a_host_that_holds_the_address() {
    let (key, entries) = ftp();
    let mut topology = links(1500);
    topology.local(vip(FAMILY).ip);
    let mut bench = Bench::new(key, topology);
    assert_eq!(
        bench.client_sends(&tcp(8081, true)),
        Sent(WAN),
        "nothing hidden: a reset"
    );
    bench.hide(&entries, &[]);
    assert_eq!(bench.client_sends(&tcp(8081, true)), Host);
    assert_eq!(bench.client_sends(&tcp(8081, false)), Host);
    assert_eq!(
        bench.client_sends(&tcp(80, true)),
        Nothing,
        "the host has it"
    );
    assert_eq!(
        bench.client_sends(&tcp(21, false)),
        Host,
        "the host resets it"
    );
    assert_eq!(bench.client_sends(&tcp(21, true)), Sent(LAN));
    assert_eq!(bench.pipeline.counters().counts().given_back, 3);
}

/// A host without the address could only forward such a segment, or be silent.
#[test]
fn where_the_host_does_not_hold_the_address_the_reset_is_ours() {
    let (key, entries) = ftp();
    let mut bench = Bench::new(key, links(1500));
    bench.hide(&entries, &[]);
    for packet in [tcp(8081, true), tcp(8081, false), tcp(21, false)] {
        assert_eq!(bench.client_sends(&packet), Sent(WAN));
    }
    let counts = bench.pipeline.counters().counts();
    assert_eq!((counts.resets_sent, counts.given_back), (3, 0));
}

/// What is still hidden when a service begins to stand by.
#[test]
fn what_another_director_serves_goes_back_whoever_answers() {
    let (key, entries) = ftp();
    let mut bench = Bench::new(key, links(1500));
    bench.hide(&entries, &[]);
    let stood_by = Standby::new([vip(FAMILY).ip], [], []);
    let edited: Result<(), ConfigError> = bench.director.edit(|draft| {
        draft.set_standby(Arc::new(stood_by));
        Ok(())
    });
    edited.unwrap();
    for packet in [tcp(21, true), tcp(21, false)] {
        assert_eq!(bench.client_sends(&packet), Host);
    }
    let counts = bench.pipeline.counters().counts();
    assert_eq!(counts.passed(PassReason::Standby), 2);
}

/// Servers behind the director have business of their own, which the host routes.
#[test]
fn what_a_server_sends_of_its_own_accord_is_routed_by_the_host() {
    let (key, entries) = ftp();
    let mut bench = Bench::new(key, links(1500));
    bench.hide(&entries, &[]);
    let own = Packet {
        syn: true,
        ..Packet::new(
            Protocol::TCP,
            Endpoint::new(server(FAMILY).ip, 33333),
            Endpoint::new("192.0.2.99".parse().unwrap(), 443),
        )
    };
    assert_eq!(bench.send(LAN, &own.sent_by_server()), Host);
    let request = tcp(21, true);
    assert_eq!(bench.client_sends(&request), Sent(LAN));
    let reply = Packet {
        src: Endpoint::new(server(FAMILY).ip, 21),
        ..request.reply()
    };
    assert_eq!(bench.send(LAN, &reply.sent_by_server()), Sent(WAN));
}

fn marks() -> (ServiceKey, [Rule; 2]) {
    let mark = 7;
    let to = |first: u16, last: u16, protocol| Rule {
        mark,
        destination: Some("198.51.100.0/24".parse().unwrap()),
        protocol: Some(protocol),
        destination_ports: Some(first..=last),
        interface: Some(PortId(WAN as u16)),
        ..Rule::default()
    };
    let family = FAMILY;
    let rules = [to(80, 90, Protocol::TCP), to(53, 53, Protocol::UDP)];
    (ServiceKey::Mark { family, mark }, rules)
}

#[test]
fn packets_on_their_way_to_others_are_taken_by_their_mark() {
    let (key, rules) = marks();
    let mut bench = Bench::new(key, links(1500));
    bench.hide(&[], &rules);
    let other: Ip = "198.51.100.3".parse().unwrap();
    let to = |ip, port, syn| Packet {
        dst: Endpoint::new(ip, port),
        ..tcp(port, syn)
    };
    assert_eq!(bench.client_sends(&to(other, 85, true)), Sent(LAN));
    assert_eq!(
        bench.client_sends(&to(other, 85, false)),
        Sent(LAN),
        "the same connection"
    );
    assert_eq!(bench.client_sends(&to(other, 91, true)), Nothing);
    assert_eq!(
        bench.send(LAN, &to(other, 87, true).sent_by_server()),
        Nothing,
        "elsewhere"
    );
    // Of no connection: the host routes it, as it would without us.
    assert_eq!(bench.client_sends(&to(other, 86, false)), Host);
    assert_eq!(
        bench
            .pipeline
            .counters()
            .counts()
            .passed(PassReason::NoConnection),
        1
    );
}

#[test]
fn fragments_of_others_come_back() {
    let (key, rules) = marks();
    let mut bench = Bench::new(key, links(1500));
    bench.hide(&[], &rules);
    let to = |port, id| Packet {
        dst: Endpoint::new(vip(FAMILY).ip, port),
        dont_fragment: false,
        id,
        payload: vec![7; 1000],
        ..Packet::new(Protocol::UDP, client(FAMILY), vip(FAMILY))
    };
    let ours = fragments(&to(53, 1), FROM_CLIENT, &[800]);
    assert_eq!(bench.send(WAN, &ours[0]), Sent(LAN));
    assert_eq!(bench.send(WAN, &ours[1]), Sent(LAN));
    // Whose ports are the host's, only the first fragment says; the guard hides the later ones.
    let others = fragments(&to(2049, 2), FROM_CLIENT, &[800]);
    assert_eq!(bench.send(WAN, &others[0]), Nothing);
    assert_eq!(bench.send(WAN, &others[1]), Host);
}

/// A rule that asks for nothing marks servers' answers too; they are still answers.
#[test]
fn answers_are_answers_whatever_their_mark() {
    let (key, _) = marks();
    let mut bench = Bench::new(key, links(1500));
    let everything = Rule {
        mark: 7,
        ..Rule::default()
    };
    bench.hide(&[], &[everything]);
    for port in 1..40 {
        let mut request = tcp(80, true);
        request.src.port = 40000 + port;
        assert_eq!(bench.client_sends(&request), Sent(LAN));
        let reply = Packet {
            src: Endpoint::new(server(FAMILY).ip, 80),
            ..request.reply()
        };
        assert_eq!(
            bench.send(LAN, &reply.sent_by_server()),
            Sent(WAN),
            "{port}"
        );
    }
}

/// A service whose only server is the host, at a port of the loopback address.
fn led_to_the_host(protocol: Protocol, method: Method, port: u16, holds_vip: bool) -> Bench {
    let addr = vip(FAMILY);
    let key = ServiceKey::new(protocol, addr);
    let mut topology = links(1500);
    if holds_vip {
        topology.local(addr.ip);
    }
    let bench = Bench::new(key, topology);
    let changed: Result<(), ConfigError> = bench.director.edit(|draft| {
        draft.remove_dest(key, Endpoint::new(server(FAMILY).ip, addr.port))?;
        let own = Endpoint::new(Ip::v4([127, 0, 0, 1]), port);
        draft.add_dest(key, own, &DestOptions::new(method, 1))
    });
    changed.unwrap();
    bench.hide(&[Entry::Virtual { protocol, addr }], &[]);
    bench
}

/// IPVS's local node.
#[test]
fn a_server_that_is_the_host_gets_packets_as_they_came() {
    let bench = |method, port, holds_vip| led_to_the_host(Protocol::TCP, method, port, holds_vip);
    let port = vip(FAMILY).port;
    for method in [Method::DirectRoute, Method::Tunnel, Method::Nat] {
        let mut bench = bench(method, port, true);
        for syn in [true, false] {
            assert_eq!(bench.client_sends(&tcp(port, syn)), Host, "{method:?}");
        }
        let counts = bench.pipeline.counters().counts();
        assert_eq!((counts.forwarded_in, counts.given_back), (2, 2));
    }
    // What was not hidden the host has already.
    let mut seen = bench(Method::DirectRoute, port, true);
    seen.hide(&[], &[]);
    assert_eq!(seen.client_sends(&tcp(port, true)), Nothing);
    assert_eq!(seen.pipeline.counters().counts().forwarded_in, 1);
    // A host without the address would forward it or drop it; and nobody would translate the replies.
    for mut bench in [
        bench(Method::DirectRoute, port, false),
        bench(Method::Nat, port + 1, true),
    ] {
        assert_eq!(bench.client_sends(&tcp(port, true)), Nothing);
        let dropped = bench.pipeline.counters().counts();
        assert_eq!(dropped.dropped(DropReason::Unsupported), 1);
    }
}

#[test]
fn fragments_reach_a_server_that_is_the_host() {
    let vip = vip(FAMILY);
    let packet = |id| Packet {
        dont_fragment: false,
        id,
        payload: vec![7; 1000],
        ..Packet::new(Protocol::UDP, client(FAMILY), vip)
    };
    let mut bench = led_to_the_host(Protocol::UDP, Method::DirectRoute, vip.port, true);
    let in_order = fragments(&packet(1), FROM_CLIENT, &[800]);
    assert_eq!(bench.send(WAN, &in_order[0]), Host);
    assert_eq!(bench.send(WAN, &in_order[1]), Host);
    // The later one waits for its first.
    let late = fragments(&packet(2), FROM_CLIENT, &[800]);
    let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
    let port = PortId(WAN as u16);
    for bytes in late.iter().rev() {
        let frame = burst.next_free().unwrap();
        assert!(frame.fill(bytes, Offload::default(), port));
        burst.commit();
    }
    let now = Time::from_secs(1);
    bench.pipeline.process(now, &mut burst, &mut outputs);
    let back: Vec<_> = outputs.for_host(port, burst.frames()).collect();
    let back: Vec<_> = back.iter().map(|p| p.to_vec()).collect();
    assert_eq!(back, late);
    assert_eq!(bench.pipeline.counters().counts().given_back, 4);
}
