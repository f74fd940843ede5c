//! What the kernel's programs hide is what [`Hidden`] says, for rules and packets of every kind; and what has been
//! hidden comes back. Needs root and iproute2.

mod common;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::frames::{self, Part};
use common::{Net, addr, mac_of, receive};
use lvs_core::{Endpoint, Ip, Protocol, Segment, steer};
use lvs_fwd::classify::{Prefix, Rule};
use lvs_fwd::frame::{Burst, Outputs, PortId};
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::io::Port as _;
use lvs_fwd::io::bpf::{Guard, Program, ProgramType, filter, guard};
use lvs_fwd::io::nft::NftGuard;
use lvs_fwd::io::packet::{Device, PacketConfig, PacketPort};
use lvs_fwd::route::Mac;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// The interface of test runs is the loopback interface, which is port 0 here; port 1 is none.
const PORT: PortId = PortId(0);

fn ifindex(port: PortId) -> Option<u32> {
    (port == PORT).then_some(1)
}

/// Few addresses, so that rules, entries and packets meet.
fn address(v4: bool, a: u8, b: u8) -> Ip {
    match v4 {
        true => Ip::v4([10, 0, a, b]),
        false => addr(&format!("fd00::{a}:{b}")),
    }
}

fn any_address() -> impl Strategy<Value = Ip> {
    (prop::bool::weighted(0.7), 0..3u8, 0..4u8).prop_map(|(v4, a, b)| address(v4, a, b))
}

fn protocol() -> impl Strategy<Value = Protocol> {
    const KNOWN: [Protocol; 5] = [
        Protocol::TCP,
        Protocol::UDP,
        Protocol::SCTP,
        Protocol::ESP,
        Protocol::AH,
    ];
    prop::sample::select(&KNOWN[..])
}

const PORTS: [u16; 6] = [0, 20, 80, 500, 1024, 65535];

fn port() -> impl Strategy<Value = u16> {
    prop::sample::select(&PORTS[..])
}

fn range() -> impl Strategy<Value = std::ops::RangeInclusive<u16>> {
    let wide = (port(), port()).prop_map(|(a, b)| a.min(b)..=a.max(b));
    prop_oneof![port().prop_map(|p| p..=p), wide]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (
        any_address(),
        prop::sample::select(&[0u8, 1, 2, 8, 24, 32][..]),
    )
        .prop_map(|(ip, wild)| {
            let bits = if ip.is_v4() { 32 } else { 128 };
            let all = ip.is_v4() && wild == 32 || !ip.is_v4() && wild == 24;
            Prefix::new(ip, if all { 0 } else { bits - wild }).unwrap()
        })
}

/// Mark 1 has a service of both families, 2 and 3 of one each, 4 of none.
fn has_service(family: lvs_core::Family, mark: u32) -> bool {
    match mark {
        1 => true,
        2 => family == lvs_core::Family::V4,
        3 => family == lvs_core::Family::V6,
        _ => false,
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let balanced = prop::sample::select(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP][..]);
    (
        0..5u32,
        prop::option::weighted(0.2, prefix()),
        prop::option::weighted(0.9, prefix()),
        prop::option::weighted(0.7, balanced),
        prop::option::weighted(0.1, range()),
        prop::option::weighted(0.6, range()),
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

fn entry() -> impl Strategy<Value = Entry> {
    let addr = || (any_address(), port()).prop_map(|(ip, port)| Endpoint::new(ip, port));
    prop_oneof![
        (protocol(), addr()).prop_map(|(protocol, addr)| Entry::Virtual { protocol, addr }),
        (protocol(), addr()).prop_map(|(protocol, addr)| Entry::Reply { protocol, addr }),
        any_address().prop_map(Entry::Own),
        (protocol(), any_address(), range()).prop_map(|(protocol, ip, r)| Entry::Data {
            protocol,
            ip,
            first: *r.start(),
            last: *r.end(),
        }),
    ]
}

type Sample = (Protocol, (bool, u8, u8, u8, u8), u16, u16, u8);

fn sample() -> impl Strategy<Value = Sample> {
    let ends = (prop::bool::weighted(0.7), 0..3u8, 0..4u8, 0..3u8, 0..4u8);
    (protocol(), ends, port(), port(), 0..4u8)
}

fn part(n: u8) -> Part {
    match n {
        0 => Part::First,
        1 => Part::Later,
        _ => Part::Whole,
    }
}

/// What a program says of an IP packet to this host.
fn run(program: &Program, packet: &[u8]) -> i32 {
    let frame = frames::ethernet([0; 6], packet);
    program.test_run(&frame, 1).unwrap().0 as i32
}

#[test]
fn the_programs_and_the_rules_in_rust_agree() {
    let guard = Guard::new().unwrap_or_else(|e| panic!("{e}"));
    let code = filter::code(guard.roles().maps(), guard.return_mark(), 0).unwrap();
    let filter = Program::load(ProgramType::SocketFilter, "test", &code).unwrap();
    let steering = guard.steering(16, 16).unwrap();
    let guard = RefCell::new(guard);
    let (hides, shows) = (Cell::new(0), Cell::new(0));
    let cases = (
        prop::collection::vec(entry(), 0..8),
        prop::collection::vec(rule(), 0..12),
        prop::collection::vec(sample(), 60),
        0..8_usize,
    );
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&cases, |(entries, rules, packets, at_once)| {
        // Some at once, the others one after the other.
        let (first, more) = entries.split_at(at_once.min(entries.len()));
        let mut added = Hidden::new(first, &rules, has_service);
        guard.borrow_mut().set(&added, ifindex).unwrap();
        for entry in more {
            added = added.with(&[*entry]);
            guard.borrow_mut().add(&added).unwrap();
        }
        let hidden = Hidden::new(&entries, &rules, has_service);
        let guard = guard.borrow();
        for (protocol, (v4, a, b, c, d), sport, dport, n) in packets {
            let protocol = match protocol {
                Protocol::AH if !v4 => Protocol::ESP, // AH is an extension header there
                p => p,
            };
            let (sport, dport) = match protocol.is_balanced() {
                true => (sport, dport),
                false => (0, 0),
            };
            let (src, dst) = (address(v4, a, b), address(v4, c, d));
            let packet = Segment::new(
                protocol,
                Endpoint::new(src, sport),
                Endpoint::new(dst, dport),
            );
            let part = part(n);
            let head = match part {
                Part::Later => vec![0xaa; 20],
                _ => frames::transport(sport, dport),
            };
            let bytes = frames::packet(src, dst, protocol.0, part, &head);
            let expected = hidden.hides(&packet, part == Part::Later, PORT);
            let says = added.hides(&packet, part == Part::Later, PORT);
            prop_assert_eq!(says, expected, "{:?} {:?}", packet, part);
            let got = run(guard.program(), &bytes) == guard::DROP;
            prop_assert_eq!(got, expected, "{:?} {:?}", packet, part);
            prop_assert!(
                run(&filter, &bytes) == filter::ACCEPT || !expected,
                "{:?}",
                packet
            );
            let wayward = Hidden::new(&[], &rules, has_service);
            if part == Part::Whole && wayward.hides(&packet, false, PORT) {
                let port = match protocol.is_balanced() {
                    true => sport,
                    false => 500, // of the ISAKMP connection that it follows
                };
                let shard = steer::client_shard(src, port, 16);
                prop_assert_eq!(run(&steering, &bytes) as u32, shard, "{:?}", packet);
            }
            if part != Part::Later {
                let error = frames::unreachable(dst, src, &bytes);
                let back = Segment::new(protocol, packet.dst, packet.src);
                let expected = hidden.hides(&back, false, PORT);
                prop_assert_eq!(run(guard.program(), &error) == guard::DROP, expected);
            }
            let count = if expected { &hides } else { &shows };
            count.set(count.get() + 1);
        }
        Ok(())
    });
    result.unwrap();
    assert!(
        hides.get() > 1000 && shows.get() > 1000,
        "{hides:?} {shows:?}"
    );
    let mut guard = guard.into_inner();
    guard.set(&Hidden::default(), ifindex).unwrap();
    assert!(guard.roles().is_empty());
}

fn to_port(mark: u32, dst: &str, port: u16) -> Rule {
    Rule {
        mark,
        destination: Some(dst.parse().unwrap()),
        protocol: Some(Protocol::TCP),
        destination_ports: Some(port..=port),
        ..Rule::default()
    }
}

/// A rule about an interface is about that one only.
#[test]
fn the_interface_counts() {
    let net = Net::new(&["a", "b"]);
    net.cable("a", "eth0", "b", "eth0");
    let mac = mac_of(&net, "a", "eth0").0;
    net.run("a", || {
        let index = Device::by_name("eth0").unwrap().index;
        assert_ne!(index, 1);
        let rule = Rule {
            interface: Some(PortId(5)),
            ..to_port(1, "10.9.0.100", 80)
        };
        let hidden = Hidden::new(&[], &[rule], |_, _| true);
        let mut guard = Guard::new().unwrap();
        let to_port_5 = |port| (port == PortId(5)).then_some(index);
        guard.set(&hidden, to_port_5).unwrap();
        let head = frames::transport(7, 80);
        let packet = frames::packet(addr("10.9.0.2"), addr("10.9.0.100"), 6, Part::Whole, &head);
        let run = |ifindex| {
            let mut frame = frames::ethernet([0; 6], &packet);
            if ifindex == index {
                frame[..6].copy_from_slice(&mac);
            }
            guard.program().test_run_on(&frame, ifindex, 0).unwrap().0 as i32
        };
        assert_eq!((run(index), run(1)), (guard::DROP, guard::PASS));
    });
}

/// Thousands of rules about one prefix are more than the program looks at: it then hides too much, not too little.
#[test]
fn a_long_chain_hides() {
    let mut guard = Guard::new().unwrap();
    let rules: Vec<Rule> = (0..3000)
        .map(|n| Rule {
            destination_ports: Some(n..=n + 1),
            ..to_port(1, "10.9.0.0/24", n)
        })
        .collect();
    let hides = |guard: &Guard, dst: &str, port| {
        let head = frames::transport(7, port);
        let packet = frames::packet(addr("192.0.2.1"), addr(dst), 6, Part::Whole, &head);
        run(guard.program(), &packet) == guard::DROP
    };
    guard
        .set(&Hidden::new(&[], &rules[..200], |_, _| true), ifindex)
        .unwrap();
    assert!(hides(&guard, "10.9.0.5", 199) && !hides(&guard, "10.9.0.5", 300));
    guard
        .set(&Hidden::new(&[], &rules, |_, _| true), ifindex)
        .unwrap();
    assert!(hides(&guard, "10.9.0.5", 2999) && hides(&guard, "10.9.0.5", 4000));
    assert!(
        !hides(&guard, "10.8.0.5", 80),
        "elsewhere nothing is to be walked"
    );

    // One port of one address is found at once, however many there are.
    let exact: Vec<Rule> = (1..3000).map(|n| to_port(1, "10.9.0.5", n)).collect();
    guard
        .set(&Hidden::new(&[], &exact, |_, _| true), ifindex)
        .unwrap();
    assert!(hides(&guard, "10.9.0.5", 2999) && !hides(&guard, "10.9.0.5", 3000));
}

/// Client and director, which holds the VIP; nobody listens on the VIP's ports.
fn pair() -> Net {
    let net = Net::new(&["c", "d"]);
    net.cable("c", "eth0", "d", "eth0");
    net.addr("c", "eth0", &["10.9.0.2/24", "fd09::2/64"]);
    net.addr("d", "eth0", &["10.9.0.100/24", "fd09::100/64"]);
    net
}

fn connect(net: &Net, to: &str) -> ErrorKind {
    let to: SocketAddr = to.parse().unwrap();
    net.run("c", || {
        let result = TcpStream::connect_timeout(&to, Duration::from_millis(400));
        result.expect_err("nobody listens").kind()
    })
}

fn marked() -> [Rule; 4] {
    [
        to_port(0, "10.9.0.100", 22),
        Rule {
            destination_ports: Some(1..=100),
            ..to_port(1, "10.9.0.0/24", 0)
        },
        Rule {
            interface: Some(PortId(0)),
            ..to_port(1, "fd09::/64", 80)
        },
        Rule {
            interface: Some(PortId(7)),
            ..to_port(1, "fd09::/64", 81)
        },
    ]
}

const REFUSED: [&str; 3] = ["10.9.0.100:22", "10.9.0.100:101", "[fd09::100]:81"];
const SILENT: [&str; 2] = ["10.9.0.100:80", "[fd09::100]:80"];

#[test]
fn nftables_hides_marked_packets_and_ranges_of_ports_as_well() {
    let net = pair();
    let mut guard = net.run("d", || {
        NftGuard::start(&["eth0"]).expect("this test needs nft")
    });
    let data = Entry::Data {
        protocol: Protocol::TCP,
        ip: addr("10.9.0.100"),
        first: 1024,
        last: 2000,
    };
    let all = Entry::Virtual {
        protocol: Protocol::TCP,
        addr: Endpoint::new(addr("fd09::100"), 0),
    };
    guard
        .set(&Hidden::new(&[], &marked(), |_, _| true))
        .unwrap();
    for to in SILENT {
        assert_eq!(connect(&net, to), ErrorKind::TimedOut, "{to}");
    }
    for to in REFUSED {
        assert_eq!(connect(&net, to), ErrorKind::ConnectionRefused, "{to}");
    }
    guard
        .set(&Hidden::new(&[data, all], &[], |_, _| true))
        .unwrap();
    for (to, kind) in [
        ("10.9.0.100:1023", ErrorKind::ConnectionRefused),
        ("10.9.0.100:1024", ErrorKind::TimedOut),
        ("10.9.0.100:2001", ErrorKind::ConnectionRefused),
        ("[fd09::100]:7", ErrorKind::TimedOut),
    ] {
        assert_eq!(connect(&net, to), kind, "{to}");
    }
}

/// A client's packets are hidden, received, and given back; the host then answers them, and they are not received a
/// second time.
#[test]
fn what_was_hidden_can_be_given_back() {
    let net = pair();
    let (mut guard, mut port) = net.run("d", || {
        let device = Device::by_name("eth0").unwrap();
        let mut guard = Guard::new().unwrap();
        let filter = guard.filter().unwrap();
        let config = PacketConfig {
            filter: Some(&filter),
            return_mark: Some(guard.return_mark()),
            ..PacketConfig::new(&device, PORT)
        };
        let port = PacketPort::open(&config).unwrap();
        guard.attach(device.index).unwrap();
        (guard, port)
    });
    let index = net.run("d", || Device::by_name("eth0").unwrap().index);
    let to_port_0 = |port| (port == PORT).then_some(index);
    guard
        .set(&Hidden::new(&[], &marked(), |_, _| true), to_port_0)
        .unwrap();
    for to in SILENT {
        assert_eq!(connect(&net, to), ErrorKind::TimedOut, "{to}");
        assert!(!receive(&mut port, 1).is_empty());
    }
    for to in REFUSED {
        assert_eq!(connect(&net, to), ErrorKind::ConnectionRefused, "{to}");
    }
    // What came to the ports that are not hidden was received as well.
    let mut rest = Burst::default();
    port.receive(&mut rest).unwrap();
    for to in SILENT {
        let client = std::thread::scope(|scope| {
            let client = scope.spawn(|| connect(&net, to));
            let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
            let mut got = 0;
            while !client.is_finished() {
                burst.clear();
                outputs.clear();
                port.receive(&mut burst).unwrap();
                for (i, frame) in burst.frames().iter().enumerate() {
                    let is_tcp =
                        frame.bytes().get(23) == Some(&6) || frame.bytes().get(20) == Some(&6);
                    if is_tcp {
                        got += 1;
                        outputs.give_back(i, frame);
                    }
                }
                let sent = port.give_back(&mut outputs.for_host(PORT, burst.frames()));
                assert_eq!(sent.failed, 0);
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(got, 1, "one SYN, received once");
            client.join().unwrap()
        });
        assert_eq!(client, ErrorKind::ConnectionRefused, "{to}");
    }
}

const ROUTER: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);

/// [`pair`], with a virtual router's address on an interface of its own (VRRP).
fn pair_with_a_macvlan() -> Net {
    let net = pair();
    let link = format!("link add link eth0 vrrp.51 address {ROUTER} type macvlan mode private");
    net.ip("d", &link);
    net.ip("d", "link set vrrp.51 up");
    net.addr("d", "vrrp.51", &["10.9.0.51/32", "fd09::51/128"]);
    for ip in ["10.9.0.51", "fd09::51"] {
        net.ip("c", &format!("neigh replace {ip} lladdr {ROUTER} dev eth0"));
    }
    // Otherwise it looks for the client only once its link-local address is no longer tentative.
    let client = mac_of(&net, "c", "eth0");
    net.ip(
        "d",
        &format!("neigh replace fd09::2 lladdr {client} dev eth0"),
    );
    net
}

/// Services on the macvlan's addresses, and the macvlan's Ethernet address.
fn on_the_macvlan(eth0: u32) -> [Entry; 3] {
    let service = |ip| Entry::Virtual {
        protocol: Protocol::TCP,
        addr: Endpoint::new(addr(ip), 80),
    };
    let station = Entry::Station {
        ifindex: eth0,
        mac: ROUTER,
    };
    [service("10.9.0.51"), service("fd09::51"), station]
}

const ON_THE_MACVLAN: [&str; 2] = ["10.9.0.51:80", "[fd09::51]:80"];

/// Its frames come in by the interface below: they are received and hidden there, and given back there.
#[test]
fn what_goes_to_a_macvlan_is_hidden_below_it() {
    let net = pair_with_a_macvlan();
    let (mut guard, mut port, index) = net.run("d", || {
        let device = Device::by_name("eth0").unwrap();
        let mut guard = Guard::new().unwrap();
        let filter = guard.filter().unwrap();
        let config = PacketConfig {
            filter: Some(&filter),
            return_mark: Some(guard.return_mark()),
            ..PacketConfig::new(&device, PORT)
        };
        let port = PacketPort::open(&config).unwrap();
        guard.attach(device.index).unwrap();
        (guard, port, device.index)
    });
    let [v4, v6, station] = on_the_macvlan(index);
    let elsewhere = Entry::Station {
        ifindex: index + 1,
        mac: ROUTER,
    };
    let no_port = |_| None;
    for entries in [&[v4, v6][..], &[v4, v6, elsewhere]] {
        let hidden = Hidden::new(entries, &[], |_, _| false);
        guard.set(&hidden, no_port).unwrap();
        for to in ON_THE_MACVLAN {
            assert_eq!(connect(&net, to), ErrorKind::ConnectionRefused, "{to}");
        }
    }
    let is_tcp = |frame: &[u8]| frame.get(23) == Some(&6) || frame.get(20) == Some(&6);
    let mut burst = Burst::default();
    port.receive(&mut burst).unwrap();
    assert!(!burst.frames().iter().any(|f| is_tcp(f.bytes())));

    let hidden = Hidden::new(&[v4, v6, station], &[], |_, _| false);
    guard.set(&hidden, no_port).unwrap();
    for to in ON_THE_MACVLAN {
        assert_eq!(connect(&net, to), ErrorKind::TimedOut, "{to}");
    }
    burst.clear();
    port.receive(&mut burst).unwrap();
    let mut outputs = Outputs::default();
    let received = burst.frames().iter().enumerate();
    let tcp: Vec<_> = received.filter(|(_, f)| is_tcp(f.bytes())).collect();
    assert_eq!(tcp.len(), 2, "one SYN each, received once");
    let before = resets(&net);
    for (i, frame) in tcp {
        assert_eq!(frame.bytes()[..6], ROUTER.0);
        outputs.give_back(i, frame);
    }
    port.give_back(&mut outputs.for_host(PORT, burst.frames()));
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while resets(&net) < before + 2 {
        assert!(std::time::Instant::now() < deadline, "the host is silent");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many resets the director's host has sent.
fn resets(net: &Net) -> u64 {
    let shown = net.run("d", || {
        std::fs::read_to_string("/proc/thread-self/net/snmp")
    });
    let shown = shown.unwrap();
    let mut lines = shown.lines().filter(|l| l.starts_with("Tcp:"));
    let [names, values] = [lines.next(), lines.next()].map(|l| l.unwrap().split(' '));
    let mut pairs = names.zip(values);
    let (_, count) = pairs.find(|(name, _)| *name == "OutRsts").unwrap();
    count.parse().unwrap()
}

#[test]
fn nftables_hides_below_a_macvlan_too() {
    let net = pair_with_a_macvlan();
    let (mut guard, index) = net.run("d", || {
        let guard = NftGuard::start(&["eth0"]).expect("this test needs nft");
        (guard, Device::by_name("eth0").unwrap().index)
    });
    let [v4, v6, station] = on_the_macvlan(index);
    let mut set = |entries: &[Entry]| {
        let hidden = Hidden::new(entries, &[], |_, _| false);
        guard.set(&hidden).unwrap();
        ON_THE_MACVLAN.map(|to| connect(&net, to))
    };
    assert_eq!(set(&[v4, v6]), [ErrorKind::ConnectionRefused; 2]);
    assert_eq!(set(&[v4, v6, station]), [ErrorKind::TimedOut; 2]);
    assert_eq!(set(&[station]), [ErrorKind::ConnectionRefused; 2]);
}

#[test]
fn a_mark_of_the_kernels_is_taken_off_on_the_way_back() {
    let guard = Guard::new().unwrap();
    let frame = frames::ethernet([0; 6], &[0x45; 40]);
    let run = |mark| guard.program().test_run_on(&frame, 1, mark).unwrap();
    assert_eq!(run(guard.return_mark()), (guard::PASS as u32, 0));
    assert_eq!(run(7), (guard::PASS as u32, 7));
}
