use lvs_core::Endpoint;
use proptest::prelude::*;

use super::*;

fn ip(s: &str) -> Ip {
    s.parse().unwrap()
}

fn to(mark: u32, destination: &str) -> Rule {
    Rule {
        mark,
        destination: Some(destination.parse().unwrap()),
        ..Rule::default()
    }
}

fn packet(protocol: Protocol, src: &str, dst: &str) -> Segment {
    Segment::new(protocol, src.parse().unwrap(), dst.parse().unwrap())
}

const PORT: PortId = PortId(0);

#[test]
fn without_rules_nothing_is_marked() {
    let packet = packet(Protocol::TCP, "10.0.0.1:1", "10.0.0.2:80");
    assert_eq!(Classifier::default().classify(&packet, PORT), 0);
    assert_eq!(
        Classifier::new(vec![Rule::default()]).classify(&packet, PORT),
        0
    );
}

#[test]
fn the_first_rule_that_matches_decides_however_narrow_another_is() {
    let to_port = Rule {
        protocol: Some(Protocol::TCP),
        destination_ports: Some(80..=80),
        ..to(3, "10.0.0.2")
    };
    let any = Rule {
        mark: 4,
        ..Rule::default()
    };
    let rules = [to(1, "10.0.0.0/8"), to(2, "10.0.0.2"), to_port, any];
    let packet = packet(Protocol::TCP, "192.0.2.1:1", "10.0.0.2:80");
    for first in 0..4 {
        let mut turned = rules.to_vec();
        turned.rotate_left(first);
        let marked = Classifier::new(turned).classify(&packet, PORT);
        assert_eq!(marked, rules[first].mark);
    }
}

#[test]
fn mark_0_takes_packets_out() {
    let c = Classifier::new(vec![to(0, "10.0.0.2"), to(7, "10.0.0.0/24")]);
    let marked = |dst| c.classify(&packet(Protocol::UDP, "192.0.2.1:1", dst), PORT);
    assert_eq!((marked("10.0.0.2:53"), marked("10.0.0.3:53")), (0, 7));
}

#[test]
fn every_part_of_a_rule_counts() {
    let rule = Rule {
        source: Some("192.0.2.0/24".parse().unwrap()),
        protocol: Some(Protocol::TCP),
        source_ports: Some(1024..=65535),
        destination_ports: Some(80..=81),
        interface: Some(PortId(3)),
        ..to(9, "10.0.0.0/30")
    };
    let c = Classifier::new(vec![rule]);
    let good = packet(Protocol::TCP, "192.0.2.7:1024", "10.0.0.3:81");
    assert_eq!(c.classify(&good, PortId(3)), 9);
    assert_eq!(c.classify(&good, PortId(2)), 0);
    for bad in [
        packet(Protocol::UDP, "192.0.2.7:1024", "10.0.0.3:81"),
        packet(Protocol::TCP, "192.0.3.7:1024", "10.0.0.3:81"),
        packet(Protocol::TCP, "192.0.2.7:1023", "10.0.0.3:81"),
        packet(Protocol::TCP, "192.0.2.7:1024", "10.0.0.4:81"),
        packet(Protocol::TCP, "192.0.2.7:1024", "10.0.0.3:82"),
        packet(Protocol::TCP, "192.0.2.7:1024", "10.0.0.3:79"),
        packet(Protocol::TCP, "[2001:db8::1]:1024", "[2001:db8::2]:81"),
    ] {
        assert_eq!(c.classify(&bad, PortId(3)), 0, "{bad:?}");
    }
}

#[test]
fn a_protocol_without_ports_has_none_to_match() {
    let ported = Rule {
        destination_ports: Some(0..=65535),
        ..to(1, "10.0.0.2")
    };
    let c = Classifier::new(vec![ported, to(2, "10.0.0.2")]);
    let marked = |protocol| c.classify(&packet(protocol, "192.0.2.1:0", "10.0.0.2:0"), PORT);
    assert_eq!((marked(Protocol::ESP), marked(Protocol::SCTP)), (2, 1));
}

#[test]
fn only_a_plain_rule_for_one_address_makes_it_virtual() {
    let with_source = Rule {
        source: Some("192.0.2.0/24".parse().unwrap()),
        ..to(1, "10.0.0.1")
    };
    let by_interface = Rule {
        interface: Some(PORT),
        ..to(1, "10.0.0.2")
    };
    let with_ports = Rule {
        protocol: Some(Protocol::TCP),
        destination_ports: Some(80..=443),
        ..to(5, "10.0.0.3")
    };
    let c = Classifier::new(vec![
        with_source,
        by_interface,
        with_ports,
        to(6, "10.0.0.3"),
        to(0, "10.0.0.4"),
        to(1, "10.1.0.0/31"),
        to(8, "fd00::1"),
    ]);
    let mut addresses: Vec<_> = c.virtual_addresses().collect();
    addresses.sort();
    assert_eq!(
        addresses,
        [(ip("10.0.0.3"), &[5, 6][..]), (ip("fd00::1"), &[8])]
    );
    assert_eq!(c.marks_of(&ip("10.0.0.3")), [5, 6]);
    assert!(c.marks_of(&ip("10.0.0.4")).is_empty());
}

/// Few addresses, ports and prefixes, so that rules overlap in every way.
fn address() -> impl Strategy<Value = Ip> {
    let v4 = (0..4u8, 0..4u8).prop_map(|(a, b)| Ip::v4([10, 0, a, b]));
    let v6 = (0..2u8, 0..4u8).prop_map(|(a, b)| {
        let mut bytes = [0; 16];
        (bytes[0], bytes[14], bytes[15]) = (0xfd, a, b);
        Ip::v6(bytes)
    });
    prop_oneof![3 => v4, 1 => v6]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let len = prop_oneof![4 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => Just(8), 1 => Just(32)];
    (address(), len).prop_map(|(ip, wild)| {
        let full = if ip.is_v4() { 32 } else { 128 };
        Prefix::new(ip, full - wild).unwrap()
    })
}

fn protocol() -> impl Strategy<Value = Protocol> {
    const KNOWN: [Protocol; 4] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol::ESP];
    prop::sample::select(&KNOWN[..])
}

fn ports() -> impl Strategy<Value = RangeInclusive<u16>> {
    (0..4u16, prop_oneof![2 => Just(0u16), 1 => 0..3u16]).prop_map(|(low, more)| low..=low + more)
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        0..6u32,
        prop::option::weighted(0.2, prefix()),
        prop::option::of(prefix()),
        prop::option::of(protocol()),
        prop::option::weighted(0.2, ports()),
        prop::option::of(ports()),
        prop::option::weighted(0.2, (0..2u16).prop_map(PortId)),
    )
        .prop_map(
            |(mark, source, destination, protocol, source_ports, destination_ports, interface)| {
                Rule {
                    mark,
                    source,
                    destination,
                    protocol,
                    source_ports,
                    destination_ports,
                    interface,
                }
            },
        )
}

proptest! {
    #[test]
    fn the_table_finds_what_a_walk_down_the_list_finds(
        rules in prop::collection::vec(rule(), 0..24),
        packets in prop::collection::vec(
            (protocol(), address(), 0..4u16, address(), 0..6u16, 0..2u16), 1..40),
    ) {
        let c = Classifier::new(rules.clone());
        for (protocol, src, sport, dst, dport, port) in packets {
            let port = PortId(port);
            let (src, dst) = (Endpoint::new(src, sport), Endpoint::new(dst, dport));
            let packet = Segment::new(protocol, src, dst);
            let first = rules.iter().find(|r| r.matches(&packet, port));
            let expected = first.map_or(0, |r| r.mark);
            prop_assert_eq!(c.classify(&packet, port), expected, "{:?}", packet);
        }
    }
}
