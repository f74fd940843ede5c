//! The kernel guard, its socket filter and its steering, on the real kernel. Needs root and iproute2; the
//! nftables fallback needs nft.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use common::frames::{self, Part};
use common::{Net, addr, deny_to_children, keep_capabilities, mac_of, receive, send};
use lvs_core::service::LocalAddr;
use lvs_core::{Endpoint, Ip, Protocol, steer};
use lvs_fwd::frame::PortId;
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::io::bpf::asm::Asm;
use lvs_fwd::io::bpf::{BpfError, Guard, Hook, Program, ProgramType, filter, guard, tcx_programs};
use lvs_fwd::io::nft::{NftError, NftGuard};
use lvs_fwd::io::packet::{Device, PacketConfig, PacketPort};
use lvs_fwd::route::Mac;

/// The addresses of one family, by the part they play.
struct Cast {
    vip: Ip,
    /// A virtual service on the host's own address.
    vip_own: Ip,
    server: Ip,
    /// A real server that is a virtual service of another kind as well.
    server_vip: Ip,
    own: Ip,
    lip: Ip,
    lip_own: Ip,
    client: Ip,
}

const LOW: u16 = 5000;
const HIGH: u16 = 5999;
// linux/capability.h
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;
const BPF: u32 = 39;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const SCTP: u8 = 132;

impl Cast {
    fn v4() -> Self {
        Self::numbered(|n| Ip::v4([10, 9, 0, n]))
    }

    fn v6() -> Self {
        Self::numbered(|n| addr(&format!("fd00:9:8:7:6:5:4:{n}")))
    }

    fn numbered(ip: impl Fn(u8) -> Ip) -> Self {
        Self {
            vip: ip(100),
            vip_own: ip(1),
            server: ip(11),
            server_vip: ip(12),
            own: ip(2),
            lip: ip(50),
            lip_own: ip(3),
            client: ip(77),
        }
    }

    fn all(&self) -> [Ip; 8] {
        let Self {
            vip,
            vip_own,
            server,
            server_vip,
            own,
            lip,
            lip_own,
            client,
        } = *self;
        [vip, vip_own, server, server_vip, own, lip, lip_own, client]
    }

    fn entries(&self) -> Vec<Entry> {
        let service = |protocol, ip, port| Entry::Virtual {
            protocol,
            addr: Endpoint::new(ip, port),
        };
        let server = |protocol, ip, port| Entry::Reply {
            protocol,
            addr: Endpoint::new(ip, port),
        };
        let local = |ip| {
            Entry::Local(LocalAddr {
                ip,
                first_port: LOW,
                last_port: HIGH,
            })
        };
        vec![
            service(Protocol::TCP, self.vip, 80),
            service(Protocol::UDP, self.vip_own, 80),
            service(Protocol::UDP, self.server_vip, 80),
            service(Protocol::SCTP, self.vip, 0),
            service(Protocol::ESP, self.vip, 0),
            Entry::Data {
                protocol: Protocol::TCP,
                ip: self.vip_own,
                first: LOW,
                last: 65535,
            },
            server(Protocol::TCP, self.server, 8080),
            server(Protocol::TCP, self.server_vip, 8080),
            server(Protocol::SCTP, self.server, 0),
            server(Protocol::ESP, self.server, 0),
            Entry::Own(self.vip_own),
            Entry::Own(self.own),
            Entry::Own(self.lip_own),
            local(self.lip),
            local(self.lip_own),
        ]
    }
}

/// The rules of the guard, straight from the entries: whether a packet is hidden from the host.
fn hidden(entries: &[Entry], protocol: u8, src: (Ip, u16), dst: (Ip, u16), later: bool) -> bool {
    let any = |test: &dyn Fn(&Entry) -> bool| entries.iter().any(test);
    let named = |p: Protocol, a: &Endpoint, end: (Ip, u16)| {
        p.0 == protocol && a.ip == end.0 && (later || a.port == 0 || a.port == end.1)
    };
    let to_service = any(&|e| match *e {
        Entry::Virtual { protocol: p, addr } => named(p, &addr, dst),
        Entry::Data {
            protocol: p,
            ip,
            first,
            last,
        } => p.0 == protocol && ip == dst.0 && (later || (first..=last).contains(&dst.1)),
        _ => false,
    });
    let from_server =
        any(&|e| matches!(e, Entry::Reply { protocol: p, addr } if named(*p, addr, src)));
    let to_range = any(
        &|e| matches!(e, Entry::Local(l) if l.ip == dst.0 && (l.first_port..=l.last_port).contains(&dst.1)),
    );
    let to_local = any(&|e| matches!(e, Entry::Local(l) if l.ip == dst.0));
    let to_host = any(&|e| matches!(e, Entry::Own(ip) if *ip == dst.0));
    if to_service || (!later && to_range) {
        true
    } else if to_host {
        false
    } else {
        (later && to_local) || from_server
    }
}

fn is_virtual(entries: &[Entry], ip: Ip) -> bool {
    entries.iter().any(|e| match e {
        Entry::Virtual { addr, .. } => addr.ip == ip,
        Entry::Data { ip: vip, .. } => *vip == ip,
        _ => false,
    })
}

/// Makes a guard hide what the entries name.
fn set(guard: &mut Guard, entries: &[Entry]) -> Result<(), BpfError> {
    guard.set(&Hidden::new(entries, &[], |_, _| false), |_| None)
}

/// Whether the socket filter lets a packet through.
fn wanted(entries: &[Entry], src: Ip, dst: (Ip, u16), part: Part) -> bool {
    let any = |test: &dyn Fn(&Entry) -> bool| entries.iter().any(test);
    let to_service = is_virtual(entries, dst.0);
    let to_local = any(&|e| {
        matches!(e, Entry::Local(l) if l.ip == dst.0
            && (part != Part::Whole || (l.first_port..=l.last_port).contains(&dst.1)))
    });
    let to_host = any(&|e| matches!(e, Entry::Own(ip) if *ip == dst.0));
    let from_server = any(&|e| matches!(e, Entry::Reply { addr, .. } if addr.ip == src));
    to_service || to_local || (!to_host && from_server)
}

/// A guard with the entries of both families, attached to nothing.
fn loaded() -> (Guard, Vec<Entry>) {
    let mut guard = Guard::new().unwrap_or_else(|e| panic!("{e}"));
    let entries = [Cast::v4().entries(), Cast::v6().entries()].concat();
    set(&mut guard, &entries).unwrap();
    (guard, entries)
}

/// Every packet between any two of the cast, with its ends.
fn every_packet(mut check: impl FnMut(u8, (Ip, u16), (Ip, u16), Part, Vec<u8>)) {
    const PORTS: [u16; 7] = [0, 80, 8080, LOW, HIGH, LOW - 1, 65535];
    let mut count = 0;
    for cast in [Cast::v4(), Cast::v6()] {
        for (src, dst) in cast.all().iter().flat_map(|s| cast.all().map(|d| (*s, d))) {
            for (sport, dport) in PORTS.iter().flat_map(|s| PORTS.map(|d| (*s, d))) {
                for protocol in [TCP, UDP, SCTP, ESP] {
                    for part in [Part::Whole, Part::First, Part::Later] {
                        let head = match part {
                            Part::Later => vec![0xaa; 20],
                            _ => frames::transport(sport, dport),
                        };
                        let packet = frames::packet(src, dst, protocol, part, &head);
                        let (sport, dport) = match protocol {
                            ESP => (0, 0), // whatever is in the place of the ports
                            _ => (sport, dport),
                        };
                        check(protocol, (src, sport), (dst, dport), part, packet);
                        count += 1;
                    }
                }
            }
        }
    }
    assert_eq!(count, 2 * 64 * 49 * 4 * 3);
}

/// What the guard's program says of an IP packet to this host.
fn dropped(program: &Program, packet: &[u8]) -> bool {
    let (result, _) = program
        .test_run(&frames::ethernet([0; 6], packet), 1)
        .unwrap();
    assert!([guard::PASS, guard::DROP].contains(&(result as i32)));
    result as i32 == guard::DROP
}

#[test]
fn the_guard_hides_what_its_rules_say_and_nothing_else() {
    let (guard, entries) = loaded();
    every_packet(|protocol, src, dst, part, packet| {
        let expected = hidden(&entries, protocol, src, dst, part == Part::Later);
        assert_eq!(
            dropped(guard.program(), &packet),
            expected,
            "{src:?} {dst:?} {part:?}"
        );
    });
}

#[test]
fn an_icmp_error_is_judged_by_the_packet_it_quotes() {
    let (guard, entries) = loaded();
    every_packet(|protocol, src, dst, part, quoted| {
        let error = frames::unreachable(dst.0, src.0, &quoted);
        let expected = part != Part::Later && hidden(&entries, protocol, dst, src, false);
        assert_eq!(
            dropped(guard.program(), &error),
            expected,
            "quoted {src:?} {dst:?} {part:?}"
        );
    });
}

#[test]
fn what_the_guard_is_not_concerned_with_passes() {
    let (guard, _) = loaded();
    let (four, six) = (Cast::v4(), Cast::v6());
    let program = guard.program();
    let to_vip = frames::packet(
        four.client,
        four.vip,
        TCP,
        Part::Whole,
        &frames::transport(1, 80),
    );
    assert!(dropped(program, &to_vip));

    // Not for this host.
    for mac in [[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [2, 0, 0, 0, 0, 5]] {
        let frame = frames::ethernet(mac, &to_vip);
        assert_eq!(
            program.test_run(&frame, 1).unwrap().0 as i32,
            guard::PASS,
            "{mac:?}"
        );
    }
    // Unless such an address is this host's as well, on this interface.
    let mine = [2, 0, 0, 0, 0, 5];
    let frame = frames::ethernet(mine, &to_vip);
    for (ifindex, drops) in [(1, true), (2, false)] {
        let station = Entry::Station {
            ifindex,
            mac: Mac(mine),
        };
        let (mut guard, mut entries) = loaded();
        entries.push(station);
        set(&mut guard, &entries).unwrap();
        let (result, _) = guard.program().test_run(&frame, 1).unwrap();
        assert_eq!(result as i32 == guard::DROP, drops);
    }
    // Other protocols, echo, ARP.
    for protocol in [1, 47, 115, 136] {
        let data = [8, 0, 0, 80, 0, 80, 0, 80, 0, 80, 0, 80];
        let packet = frames::packet(four.client, four.vip, protocol, Part::Whole, &data);
        assert!(!dropped(program, &packet), "protocol {protocol}");
    }
    let mut arp = frames::ethernet([0; 6], &to_vip);
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(program.test_run(&arp, 1).unwrap().0 as i32, guard::PASS);
    let echo = frames::packet(
        six.client,
        six.vip,
        58,
        Part::Whole,
        &[128, 0, 0, 0, 0, 80, 0, 80],
    );
    assert!(!dropped(program, &echo));
    // Cut short.
    let whole = frames::ethernet([0; 6], &to_vip);
    for len in 20..24 {
        let (result, _) = program.test_run(&whole[..14 + len], 1).unwrap();
        assert_eq!(result as i32, guard::PASS, "{len} bytes");
    }
    assert_eq!(
        program.test_run(&whole[..14 + 24], 1).unwrap().0 as i32,
        guard::DROP
    );
}

#[test]
fn six_extension_headers_are_followed_and_no_more() {
    let (guard, _) = loaded();
    let cast = Cast::v6();
    let with = |options: &[u8], part| {
        frames::ipv6(
            cast.client,
            cast.vip,
            options,
            TCP,
            part,
            &frames::transport(7, 80),
        )
    };
    let program = guard.program();
    assert!(dropped(program, &with(&[0], Part::Whole)));
    assert!(dropped(program, &with(&[0, 60, 60], Part::First)));
    assert!(dropped(program, &with(&[0, 60, 60, 60, 60], Part::Later)));
    assert!(dropped(
        program,
        &with(&[0, 60, 60, 60, 60, 60], Part::Whole)
    ));
    assert!(!dropped(
        program,
        &with(&[0, 60, 60, 60, 60, 60, 60], Part::Whole)
    ));
    assert!(
        !dropped(program, &with(&[43], Part::Whole)),
        "routing header"
    );
}

/// An IPv6 packet with an authentication header, as it is in IPsec's transport mode.
fn authenticated(src: Ip, dst: Ip, words: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0; (usize::from(words) + 2) * 4];
    (header[0], header[1]) = (protocol, words);
    let body = [&header, payload].concat();
    frames::packet(src, dst, 51, Part::Whole, &body)
}

#[test]
fn an_authentication_header_of_ipv6_is_walked_over() {
    let (guard, _) = loaded();
    let (four, six) = (Cast::v4(), Cast::v6());
    let program = guard.program();
    for words in [1, 4, 7] {
        for (port, expected) in [(80, true), (81, false)] {
            let tcp = frames::transport(7, port);
            let packet = authenticated(six.client, six.vip, words, TCP, &tcp);
            assert_eq!(dropped(program, &packet), expected, "{words} words");
        }
        let esp = authenticated(six.client, six.vip, words, ESP, &[7; 20]);
        assert!(dropped(program, &esp));
    }
    // In IPv4 it is the transport, and this service has only ESP.
    let tcp = frames::transport(7, 80);
    let packet = authenticated(four.client, four.vip, 4, TCP, &tcp);
    assert!(!dropped(program, &packet));
}

#[test]
fn the_filter_lets_through_what_is_wanted_and_all_that_is_hidden() {
    let (guard, entries) = loaded();
    // A test run shows a socket filter the packet from its IP header on.
    let code = filter::code(guard.roles().maps(), guard.return_mark(), 0).unwrap();
    let program = Program::load(ProgramType::SocketFilter, "test", &code).unwrap();
    let accepts = |packet: &[u8]| {
        let (result, _) = program
            .test_run(&frames::ethernet([0; 6], packet), 1)
            .unwrap();
        result as i32 == filter::ACCEPT
    };
    every_packet(|protocol, src, dst, part, packet| {
        let accepted = accepts(&packet);
        let what = format!("{src:?} {dst:?} {part:?}");
        assert_eq!(accepted, wanted(&entries, src.0, dst, part), "{what}");
        let hide = hidden(&entries, protocol, src, dst, part == Part::Later);
        assert!(accepted || !hide, "hidden but not received: {what}");
    });
    let cast = Cast::v6();
    let icmp = |kind| {
        let message = [kind, 0, 0, 0, 0, 0, 0, 0];
        frames::packet(cast.client, cast.own, 58, Part::Whole, &message)
    };
    assert!(accepts(&icmp(1)) && accepts(&icmp(2)) && accepts(&icmp(135)));
    assert!(!accepts(&icmp(128)) && !accepts(&icmp(136)) && !accepts(&icmp(134)));
    // Nobody knows what a later fragment of ICMP is of.
    let cast = Cast::v4();
    let later = |src, dst| accepts(&frames::packet(src, dst, 1, Part::Later, &[8; 40]));
    assert!(later(cast.client, cast.vip) && later(cast.server, cast.client));
    assert!(later(cast.client, cast.lip) && !later(cast.server, cast.own));
    assert!(!later(cast.client, cast.own));
}

#[test]
fn steering_agrees_with_the_directors_shards() {
    let (guard, entries) = loaded();
    let is = |test: &dyn Fn(&Entry) -> bool| entries.iter().any(test);
    for (shards, workers) in [(4, 2), (16, 3), (1024, 8), (1, 1)] {
        let program = guard.steering(shards, workers).unwrap();
        every_packet(|protocol, src, dst, part, packet| {
            let whole = part == Part::Whole;
            let client = |(ip, port): (Ip, u16)| {
                let port = match protocol {
                    ESP => 500,
                    _ if whole => port,
                    _ => 0,
                };
                steer::client_shard(ip, port, shards)
            };
            let to_service = is_virtual(&entries, dst.0);
            let to_local = is(&|e| matches!(e, Entry::Local(l) if l.ip == dst.0));
            let to_range = is(&|e| {
                matches!(e, Entry::Local(l) if l.ip == dst.0
                    && (l.first_port..=l.last_port).contains(&dst.1))
            });
            let shard = if to_service || (to_local && !whole) {
                client(src)
            } else if to_range {
                steer::local_port_shard(dst.1, shards)
            } else {
                client(dst)
            };
            let (worker, _) = program
                .test_run(&frames::ethernet([0; 6], &packet), 1)
                .unwrap();
            assert_eq!(
                worker,
                shard % workers,
                "{src:?} {dst:?} {part:?} of {shards}"
            );
        });
    }
}

#[test]
fn a_changed_list_leaves_nothing_behind() {
    let (mut guard, entries) = loaded();
    let before = guard.roles().len();
    let cast = Cast::v4();
    let to_vip = frames::packet(
        cast.client,
        cast.vip,
        TCP,
        Part::Whole,
        &frames::transport(1, 80),
    );
    let only_six = Cast::v6().entries();
    set(&mut guard, &only_six).unwrap();
    assert!(!dropped(guard.program(), &to_vip));
    assert!(guard.roles().len() < before);
    set(&mut guard, &entries).unwrap();
    assert!(dropped(guard.program(), &to_vip));
    assert_eq!(guard.roles().len(), before);
    set(&mut guard, &[]).unwrap();
    assert!(guard.roles().is_empty() && !dropped(guard.program(), &to_vip));
}

#[test]
fn three_capabilities_are_enough_and_without_them_the_error_says_so() {
    let net = Net::new(&["a", "b"]);
    net.cable("a", "eth0", "b", "eth0");
    net.run("a", || {
        keep_capabilities(&[NET_ADMIN, NET_RAW, BPF]);
        let device = Device::by_name("eth0").unwrap();
        let mut guard = Guard::new().unwrap_or_else(|e| panic!("{e}"));
        guard.attach(device.index).unwrap();
        let (filter, steering) = (guard.filter().unwrap(), guard.steering(4, 2).unwrap());
        let config = PacketConfig {
            filter: Some(&filter),
            ..PacketConfig::new(&device, PortId(0))
        };
        PacketPort::open_group(&config, 2, Some(&steering)).unwrap();
    });
    let error = net.run("a", || {
        keep_capabilities(&[NET_ADMIN, NET_RAW]);
        Guard::new().unwrap_err()
    });
    assert!(matches!(error, BpfError::Permission { .. }), "{error:?}");
    assert!(error.to_string().contains("CAP_BPF"), "{error}");
}

#[test]
fn the_guard_runs_before_programs_that_were_there_first() {
    let net = Net::new(&["a", "b"]);
    net.cable("a", "eth0", "b", "eth0");
    net.run("a", || {
        let index = Device::by_name("eth0").unwrap().index;
        let mut asm = Asm::new();
        asm.exit_with(0); // TCX_PASS: ends the chain
        let foreign =
            Program::load(ProgramType::SchedCls, "foreign", &asm.finish().unwrap()).unwrap();
        let _first = foreign.attach_tcx(index, Hook::Ingress).unwrap();
        let mut guard = Guard::new().unwrap();
        guard.attach(index).unwrap();
        guard.attach(index).unwrap();
        let expected = [guard.program().id().unwrap(), foreign.id().unwrap()];
        assert_eq!(tcx_programs(index, Hook::Ingress).unwrap(), expected);
        guard.detach(index);
        assert_eq!(tcx_programs(index, Hook::Ingress).unwrap(), expected[1..]);
        let error = guard.attach(999_999).unwrap_err();
        assert!(matches!(error, BpfError::Os { .. }), "{error:?}");
    });
}

/// Client, director and real server in a row; the director holds the VIP, forwards, and nothing
/// listens on the VIP's port 80.
fn row() -> Net {
    let net = Net::new(&["c", "d", "r"]);
    net.cable("c", "eth0", "d", "eth0");
    net.cable("d", "eth1", "r", "eth0");
    net.addr("c", "eth0", &["10.9.0.2/24", "fd09::2/64"]);
    net.addr(
        "d",
        "eth0",
        &[
            "10.9.0.1/24",
            "10.9.0.100/32",
            "fd09::1/64",
            "fd09::100/128",
        ],
    );
    net.addr("d", "eth1", &["10.10.0.1/24", "fd10::1/64"]);
    net.addr("r", "eth0", &["10.10.0.11/24", "fd10::11/64"]);
    for gateway in ["10.10.0.1", "fd10::1"] {
        net.ip("r", &format!("route add default via {gateway}"));
    }
    let mac = mac_of(&net, "c", "eth0");
    for client in ["10.9.0.2", "fd09::2"] {
        net.ip(
            "d",
            &format!("neigh replace {client} lladdr {mac} dev eth0 nud permanent"),
        );
    }
    net.sysctl("d", "ipv4/ip_forward", "1");
    net.sysctl("d", "ipv6/conf/all/forwarding", "1");
    net
}

fn row_entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (vip, server) in [("10.9.0.100", "10.10.0.11"), ("fd09::100", "fd10::11")] {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            entries.push(Entry::Virtual {
                protocol,
                addr: Endpoint::new(addr(vip), 80),
            });
            entries.push(Entry::Reply {
                protocol,
                addr: Endpoint::new(addr(server), 8080),
            });
        }
    }
    for own in [
        "10.9.0.1",
        "10.9.0.100",
        "10.10.0.1",
        "fd09::1",
        "fd09::100",
        "fd10::1",
    ] {
        entries.push(Entry::Own(addr(own)));
    }
    entries
}

/// How the client's connection to the VIP ends.
fn connect(net: &Net, to: &str) -> ErrorKind {
    let to: SocketAddr = to.parse().unwrap();
    net.run("c", || {
        let result = TcpStream::connect_timeout(&to, Duration::from_millis(300));
        result.expect_err("nobody listens").kind()
    })
}

/// Sends these packets from the real server's side; asserts that the director's host forwards to the
/// client all of them or none.
fn assert_forwarded(net: &Net, packets: &[Vec<u8>], all: bool) {
    let mut tap = net.run("c", || {
        let device = Device::by_name("eth0").unwrap();
        PacketPort::open(&PacketConfig::new(&device, PortId(0))).unwrap()
    });
    let mac = mac_of(net, "d", "eth1").0;
    // One that is forwarded in any case, to know when the others must have been.
    let (client, server) = (addr("10.9.0.2"), addr("10.10.0.11"));
    let last = frames::udp(server, 7777, client, 7777, b"the last");
    net.run("r", || {
        let device = Device::by_name("eth0").unwrap();
        let mut port = PacketPort::open(&PacketConfig::new(&device, PortId(0))).unwrap();
        let frames = packets.iter().chain([&last]);
        send(
            &mut port,
            &frames.map(|p| frames::ethernet(mac, p)).collect::<Vec<_>>(),
        );
    });
    let expected = 1 + if all { packets.len() } else { 0 };
    // The TTL tells what has been forwarded from what the director's host says itself.
    let ttl = |f: &Vec<u8>| match f[12..14] {
        [0x08, 0x00] => f[22],
        [0x86, 0xdd] => f[21],
        _ => 0,
    };
    let got = receive(&mut tap, expected);
    assert_eq!(got.iter().filter(|f| ttl(f) == 63).count(), expected);
}

/// Packets from the real server's side.
#[derive(Default)]
struct FromServer {
    /// Of connections, which the director translates.
    replies: Vec<Vec<u8>>,
    /// ICMP errors about connections.
    errors: Vec<Vec<u8>>,
    /// Nothing to do with the director.
    others: Vec<Vec<u8>>,
}

impl FromServer {
    fn new() -> Self {
        let mut all = Self::default();
        for (client, server) in [("10.9.0.2", "10.10.0.11"), ("fd09::2", "fd10::11")] {
            let (client, server) = (addr(client), addr(server));
            let fragment = frames::packet(server, client, UDP, Part::Later, &[7; 16]);
            let reply = frames::udp(server, 8080, client, 1234, b"reply");
            all.replies.extend([reply, fragment]);
            let request = |port| frames::udp(client, 1234, server, port, b"request");
            let error = |port| frames::unreachable(server, client, &request(port));
            all.errors.push(error(8080));
            let other = frames::udp(server, 9999, client, 1234, b"other");
            all.others.extend([error(9999), other]);
        }
        all
    }
}

#[test]
fn the_host_neither_answers_nor_forwards_what_is_guarded() {
    let net = row();
    let FromServer {
        replies,
        errors,
        others,
    } = FromServer::new();
    let hidden = [replies, errors].concat();
    let mut guard = net.run("d", || {
        let mut guard = Guard::new().unwrap();
        for device in ["eth0", "eth1"] {
            guard
                .attach(Device::by_name(device).unwrap().index)
                .unwrap();
        }
        guard
    });
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::ConnectionRefused);
    assert_eq!(
        connect(&net, "[fd09::100]:80"),
        ErrorKind::ConnectionRefused
    );
    assert_forwarded(&net, &hidden, true);

    set(&mut guard, &row_entries()).unwrap();
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::TimedOut);
    assert_eq!(connect(&net, "[fd09::100]:80"), ErrorKind::TimedOut);
    assert_forwarded(&net, &hidden, false);
    assert_forwarded(&net, &others, true);
    the_host_is_otherwise_untouched(&net);

    drop(guard);
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::ConnectionRefused);
    assert_forwarded(&net, &hidden, true);
}

/// Other ports of the VIP, and the director's own connections to real servers.
fn the_host_is_otherwise_untouched(net: &Net) {
    assert_eq!(connect(net, "10.9.0.100:22"), ErrorKind::ConnectionRefused);
    for server in ["10.10.0.11:8080", "[fd10::11]:8080"] {
        let server: SocketAddr = server.parse().unwrap();
        let listener = net.run("r", || TcpListener::bind(server).unwrap());
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"healthy").unwrap();
        });
        let text = net.run("d", || {
            let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2))
                .expect("the director's own health check");
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        answer.join().unwrap();
        assert_eq!(text, "healthy");
    }
}

#[test]
fn the_guard_goes_with_the_process_that_holds_it() {
    let net = row();
    let mut guard = net.run("d", || {
        let mut guard = Guard::new().unwrap();
        guard
            .attach(Device::by_name("eth0").unwrap().index)
            .unwrap();
        guard
    });
    set(&mut guard, &row_entries()).unwrap();
    // SAFETY: the child does nothing but wait for signals.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: takes nothing.
            unsafe { libc::pause() };
        }
    }
    assert!(child > 0, "fork");
    drop(guard); // the child still holds its descriptors
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::TimedOut);
    // SAFETY: our own child, which has not been waited for; no status is wanted.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::ConnectionRefused);
}

#[test]
fn nftables_guards_as_well() {
    let net = row();
    let FromServer {
        replies, others, ..
    } = FromServer::new();
    let mut guard = net.run("d", || {
        NftGuard::start(&["eth0", "eth1"]).expect("this test needs nft")
    });
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::ConnectionRefused);
    let local = |ip: &str, first_port, last_port| {
        Entry::Local(LocalAddr {
            ip: addr(ip),
            first_port,
            last_port,
        })
    };
    let mut entries = row_entries();
    entries.extend([local("10.9.0.1", 2000, 2999), local("10.9.0.1", 2500, 3999)]);
    entries.push(local("fd09::1", 2000, 2999));
    guard
        .set(&Hidden::new(&entries, &[], |_, _| false))
        .unwrap();
    for guarded in [
        "10.9.0.100:80",
        "[fd09::100]:80",
        "10.9.0.1:3999",
        "[fd09::1]:2000",
    ] {
        assert_eq!(connect(&net, guarded), ErrorKind::TimedOut, "{guarded}");
    }
    assert_eq!(connect(&net, "10.9.0.1:4000"), ErrorKind::ConnectionRefused);
    assert_forwarded(&net, &replies, false);
    assert_forwarded(&net, &others, true);
    the_host_is_otherwise_untouched(&net);
    drop(guard);
    assert_eq!(connect(&net, "10.9.0.100:80"), ErrorKind::ConnectionRefused);
    assert_forwarded(&net, &replies, true);
}

#[test]
fn nftables_says_why_it_refuses() {
    let net = Net::new(&["a"]);
    net.run("a", || {
        for name in ["", "a-name-far-too-long", "a\"b"] {
            let error = NftGuard::start(&[name]).unwrap_err();
            assert!(matches!(error, NftError::Name(_)), "{error}");
        }
        deny_to_children(NET_ADMIN);
        let error = NftGuard::start(&["eth0"]).unwrap_err();
        assert!(matches!(error, NftError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains("not permitted"), "{error}");
    });
}
