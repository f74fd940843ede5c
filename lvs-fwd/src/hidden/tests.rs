use super::*;

fn ip(s: &str) -> Ip {
    s.parse().unwrap()
}

#[test]
fn a_key_is_address_port_protocol_as_on_the_wire() {
    let expected = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 9, 0, 100, 0, 80, 6, 0,
    ];
    assert_eq!(key(ip("10.9.0.100"), 80, 6, 0), expected);
}

#[test]
fn an_address_keeps_all_its_roles() {
    let addr = Endpoint::new(ip("10.9.0.1"), 80);
    let local = |first_port, last_port| {
        Entry::Local(LocalAddr {
            ip: addr.ip,
            first_port,
            last_port,
        })
    };
    let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
    let roles = expand(&[
        Entry::Virtual {
            protocol: tcp,
            addr,
        },
        Entry::Reply {
            protocol: udp,
            addr,
        },
        Entry::Own(addr.ip),
        local(5000, 5999),
        local(4000, 4999),
    ]);
    let any_port = |protocol| key(addr.ip, 0, protocol, ANY_PORT);
    assert_eq!(roles[&key(addr.ip, 80, 6, 0)].flags, VIRTUAL);
    assert_eq!(roles[&key(addr.ip, 80, 17, 0)].flags, REPLY);
    assert_eq!(roles[&any_port(6)].flags, VIRTUAL);
    assert_eq!(roles[&any_port(17)].flags, REPLY);
    let address = roles[&key(addr.ip, 0, 0, 0)];
    assert_eq!(address.flags, VIRTUAL | REPLY | OWN | LOCAL);
    assert_eq!(address.ports, (4000, 5999));
    assert_eq!(roles.len(), 5);
}

#[test]
fn an_address_that_is_not_local_has_an_empty_range() {
    let roles = expand(&[Entry::Own(ip("fd00::1"))]);
    let (low, high) = roles[&key(ip("fd00::1"), 0, 0, 0)].ports;
    assert!(low > high);
}

fn packet(protocol: Protocol, src: &str, dst: &str) -> Segment {
    Segment::new(protocol, src.parse().unwrap(), dst.parse().unwrap())
}

const PORT: PortId = PortId(0);

#[test]
fn ports_of_an_address_are_hidden_for_their_protocol_only() {
    let vip = ip("10.9.0.1");
    let (protocol, first, last) = (Protocol::TCP, 1024, 2000);
    let data = Entry::Data {
        protocol,
        ip: vip,
        first,
        last,
    };
    let all = Entry::Virtual {
        protocol: Protocol::SCTP,
        addr: Endpoint::new(vip, 0),
    };
    let hidden = Hidden::new(&[data, all, Entry::Own(vip)], &[], |_, _| false);
    let hides =
        |protocol, dst: &str| hidden.hides(&packet(protocol, "192.0.2.1:7", dst), false, PORT);
    for (port, expected) in [(1023, false), (1024, true), (2000, true), (2001, false)] {
        assert_eq!(hides(Protocol::TCP, &format!("10.9.0.1:{port}")), expected);
        assert!(!hides(Protocol::UDP, &format!("10.9.0.1:{port}")));
        assert!(hides(Protocol::SCTP, &format!("10.9.0.1:{port}")));
    }
    assert!(hides(Protocol::SCTP, "10.9.0.1:0") && hides(Protocol::SCTP, "10.9.0.1:65535"));
    assert!(!hides(Protocol::TCP, "10.9.0.2:1024"));
}

#[test]
fn a_server_may_answer_from_any_port() {
    let (server, vip) = (ip("10.10.0.11"), ip("10.9.0.1"));
    let protocol = Protocol::TCP;
    let addr = Endpoint::new(server, 0);
    let hidden = Hidden::new(
        &[Entry::Reply { protocol, addr }, Entry::Own(vip)],
        &[],
        |_, _| true,
    );
    let hides = |protocol, dst| hidden.hides(&packet(protocol, "10.10.0.11:999", dst), false, PORT);
    assert!(hides(Protocol::TCP, "192.0.2.1:7"));
    assert!(!hides(Protocol::UDP, "192.0.2.1:7"), "another protocol");
    assert!(
        !hides(Protocol::TCP, "10.9.0.1:7"),
        "a health check's answer"
    );
}

fn rule(mark: u32, destination: &str) -> Rule {
    Rule {
        mark,
        destination: Some(destination.parse().unwrap()),
        ..Rule::default()
    }
}

#[test]
fn only_marks_with_a_service_hide() {
    let rules = [
        rule(0, "10.9.0.7"),
        rule(3, "10.9.0.8"),
        rule(2, "10.9.0.0/24"),
        Rule {
            mark: 2,
            ..Rule::default()
        },
    ];
    let hidden = Hidden::new(&[], &rules, |f, mark| f == Family::V4 && mark == 2);
    let hides = |dst: &str| hidden.hides(&packet(Protocol::UDP, "192.0.2.1:7", dst), false, PORT);
    assert!(hides("10.9.0.9:53") && hides("10.8.0.9:53"));
    assert!(!hides("10.9.0.7:53"), "taken out");
    assert!(!hides("10.9.0.8:53"), "a mark without service");
    let v6 = packet(Protocol::UDP, "[fd00::1]:7", "[fd00::2]:53");
    assert!(!hidden.hides(&v6, false, PORT), "a family without service");
    let gre = packet(Protocol(47), "192.0.2.1:0", "10.9.0.9:0");
    assert!(!hidden.hides(&gre, false, PORT), "not balanced");
}

#[test]
fn a_later_fragment_is_hidden_if_some_port_would_be() {
    let ports = |range, dst| Rule {
        protocol: Some(Protocol::UDP),
        destination_ports: Some(range),
        ..rule(1, dst)
    };
    let rules = [ports(53..=53, "10.9.0.1"), ports(50..=60, "10.8.0.0/16")];
    let hidden = Hidden::new(&[], &rules, |_, _| true);
    let later =
        |protocol, dst: &str| hidden.hides(&packet(protocol, "192.0.2.1:0", dst), true, PORT);
    for dst in ["10.9.0.1:0", "10.8.3.4:0"] {
        assert!(
            later(Protocol::UDP, dst) && !later(Protocol::TCP, dst),
            "{dst}"
        );
    }
    assert!(!later(Protocol::UDP, "10.9.0.2:0"));
}

#[test]
fn ipsec_follows_isakmp() {
    let isakmp = |ports| Rule {
        protocol: Some(Protocol::UDP),
        destination_ports: Some(ports),
        ..rule(1, "10.9.0.0/24")
    };
    for (ports, expected) in [(500..=500, true), (1..=1000, true), (501..=4500, false)] {
        let hidden = Hidden::new(&[], &[isakmp(ports)], |_, _| true);
        for protocol in [Protocol::ESP, Protocol::AH] {
            let packet = packet(protocol, "192.0.2.1:0", "10.9.0.1:0");
            assert_eq!(hidden.hides(&packet, false, PORT), expected);
        }
    }
}
