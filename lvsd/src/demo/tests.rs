//! The demonstration's parts without a director: they must work by themselves before a failure may be
//! blamed on it. Needs root, or user namespaces and a single test thread.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use lvs_core::{Family, Ip};
use lvs_fwd::checksum;
use lvs_fwd::io::netlink::Config;
use socket2::{Domain, Socket, Type};

use super::decap::Decap;
use super::host::Host;
use super::http::Server;
use super::lan::{FAMILIES, Lan, Side};
use super::load::{self, Load};

/// How long a busy machine may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Virtual addresses, one of each family.
fn vips() -> [Ip; 2] {
    FAMILIES.map(|family| Side::Clients.ip(family, 100))
}

fn socket_addr(ip: Ip, port: u16) -> SocketAddr {
    SocketAddr::new(ip.into(), port)
}

#[test]
fn clients_reach_servers_straight_and_through_a_routing_director() {
    let lan = Lan::build(&vips()).unwrap();
    let started = |host: &Host| {
        let name = host.name().to_owned();
        host.run(move || Server::start(&name, 80)).unwrap()
    };
    let mut servers: Vec<_> = lan.servers.iter().map(started).collect();
    for family in FAMILIES {
        for n in 11..=13 {
            await_host(&lan.client, Side::Clients.ip(family, n));
        }
    }
    lan.client.run(|| load_is_spread(Side::Clients)).unwrap();

    // Nothing is routed yet.
    let far = socket_addr(Side::Servers.ip(Family::V4, 11), 80);
    lan.client
        .run(|| {
            let mut config = Config::new()?;
            let all = |f, n| {
                (
                    Side::Servers.ip(f, n),
                    if f == Family::V4 { 24 } else { 64 },
                )
            };
            FAMILIES.into_iter().try_for_each(|f| {
                let gateway = Side::Clients.ip(f, Lan::DIRECTOR);
                config.add_route(all(f, 0), Some(gateway), None)
            })
        })
        .unwrap();
    lan.reply_through_director(true).unwrap();
    lan.client.run(move || load::ask(far)).unwrap_err();
    lan.director.sysctl("net/ipv4/ip_forward", "1").unwrap();
    lan.director
        .sysctl("net/ipv6/conf/all/forwarding", "1")
        .unwrap();
    lan.client.run(|| load_is_spread(Side::Servers)).unwrap();
    lan.reply_through_director(false).unwrap();

    let near = socket_addr(Side::Clients.ip(Family::V6, 13), 80);
    let (bytes, took) = in_time(&lan.client, move || {
        load::download(&[near], Duration::from_secs(1), &AtomicBool::new(false))
    });
    assert!(bytes > 1_000_000, "{bytes} bytes in {took:?}");

    // A dead server: first only its program, then its cables too.
    servers.pop();
    let refused = lan.client.run(move || load::ask(near)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    lan.plug(2, false).unwrap();
    let dead = lan.client.run(move || load::ask(near)).unwrap_err();
    assert!(dead.kind() != ErrorKind::ConnectionRefused, "{dead}");
    lan.plug(2, true).unwrap();
    servers.push(started(&lan.servers[2]));
    assert_eq!(in_time(&lan.client, move || load::ask(near)), "rs3");
}

/// What this comes to on a host, within [`PATIENCE`]: each try has little of its own, as the demonstration takes slowness for
/// failure.
fn in_time<T: Send + 'static>(
    host: &Host,
    work: impl Fn() -> io::Result<T> + Clone + Send + 'static,
) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match host.run(work.clone()) {
            Ok(done) => return done,
            Err(e) => assert!(Instant::now() < end, "{e}"),
        }
    }
}

/// Switches take a moment before they forward, and on a busy machine longer than neighbours look for each other.
fn await_host(from: &Host, ip: Ip) {
    let closed = socket_addr(ip, 9);
    in_time(from, move || match load::ask(closed) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(io::Error::other(format!("{closed}: {other:?}"))),
    });
}

fn load_is_spread(side: Side) -> io::Result<()> {
    let targets: Vec<_> = FAMILIES
        .into_iter()
        .flat_map(|f| (11..=13).map(move |n| socket_addr(side.ip(f, n), 80)))
        .collect();
    let load = Load::start(&targets, 4)?;
    while load.done() < 120 {
        thread::sleep(Duration::from_millis(5));
    }
    let samples = load.finish();
    for name in ["rs1", "rs2", "rs3"] {
        let served = samples
            .iter()
            .filter(|s| s.outcome.as_deref() == Ok(name))
            .count();
        assert!(served >= 30, "{name} served {served} of {}", samples.len());
    }
    let failed = samples.iter().find_map(|s| s.outcome.as_ref().err());
    assert_eq!(failed, None);
    Ok(())
}

#[test]
fn real_servers_do_not_answer_for_the_virtual_addresses() {
    let lan = Lan::build(&vips()).unwrap();
    let _server = lan.servers[0].run(|| Server::start("rs1", 80)).unwrap();
    for vip in vips() {
        let target = socket_addr(vip, 80);
        lan.client.run(move || load::ask(target)).unwrap_err();
    }
}

/// A UDP packet from the client's address, port 1000, to a virtual address, port 2000.
fn inner_packet(dst: Ip, payload: &[u8], checksum: Checksum) -> Vec<u8> {
    let family = dst.family();
    let src = Side::Clients.ip(family, Lan::CLIENT);
    let udp_len = 8 + payload.len() as u16;
    let mut udp = Vec::new();
    for word in [1000, 2000, udp_len] {
        udp.extend(u16::to_be_bytes(word));
    }
    let pseudo = checksum::pseudo_header(src, dst, 17, u32::from(udp_len)).fold();
    udp.extend(pseudo.to_be_bytes());
    udp.extend(payload);
    if checksum != Checksum::Partial {
        checksum::complete(&mut udp, 6);
    }
    if checksum == Checksum::Wrong {
        udp[6] ^= 0x55;
    }
    let mut packet = match (src.as_v4(), dst.as_v4()) {
        (Some(src), Some(dst)) => {
            let header = lvs_fwd::wire::ipv4::Repr {
                src,
                dst,
                protocol: lvs_core::Protocol::UDP,
                payload_len: udp_len,
                ttl: 64,
                tos: 0,
                id: 0,
                dont_fragment: true,
            };
            header.emit().to_vec()
        }
        _ => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(udp_len.to_be_bytes());
            header.extend([17, 64]);
            header.extend(src.bytes());
            header.extend(dst.bytes());
            header
        }
    };
    packet.extend(udp);
    packet
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    Full,
    Partial,
    Wrong,
}

#[test]
fn all_combinations_of_families_are_unwrapped() {
    let lan = Lan::build(&vips()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let (unwrapping, bound) = lan.servers[0]
        .run(move || {
            let decap = Decap::open(false)?;
            let unwrapping = thread::spawn(move || decap.run(&stopped));
            let bound = vips().map(|vip| UdpSocket::bind(socket_addr(vip, 2000)).unwrap());
            for socket in &bound {
                socket.set_read_timeout(Some(PATIENCE))?;
            }
            Ok((unwrapping, bound))
        })
        .unwrap();

    // The kernel makes an IPv6 address its own a moment after it has taken it; packets to it are discarded until then.
    for vip in vips() {
        await_host(&lan.servers[0], vip);
    }
    for outer in FAMILIES {
        await_host(&lan.director, Side::Servers.ip(outer, 11));
        for (vip, socket) in vips().into_iter().zip(&bound) {
            let number = if vip.is_v4() { 4 } else { 41 };
            let send = move |packets: Vec<Vec<u8>>| {
                let (domain, to): (_, SocketAddr) = match Side::Servers.ip(outer, 11).as_v4() {
                    Some(a) => (Domain::IPV4, SocketAddrV4::new(Ipv4Addr::from(a), 0).into()),
                    None => {
                        let a = Ipv6Addr::from(*Side::Servers.ip(outer, 11).bytes());
                        (Domain::IPV6, SocketAddrV6::new(a, 0, 0, 0).into())
                    }
                };
                let tunnel = Socket::new(domain, Type::RAW, Some(number.into()))?;
                packets
                    .iter()
                    .try_for_each(|p| tunnel.send_to(p, &to.into()).map(drop))
            };
            // The last is fragmented on its way.
            let big = vec![b'x'; 3000];
            let packets = vec![
                inner_packet(vip, b"wrong", Checksum::Wrong),
                inner_packet(vip, b"full", Checksum::Full),
                inner_packet(vip, b"partial", Checksum::Partial),
                inner_packet(
                    Side::Clients.ip(vip.family(), 99),
                    b"not ours",
                    Checksum::Full,
                ),
                inner_packet(vip, b"", Checksum::Full)[..27].to_vec(),
                vec![],
                inner_packet(vip, &big, Checksum::Full),
            ];
            lan.director.run(move || send(packets)).unwrap();
            for want in [&b"full"[..], b"partial", &big] {
                let mut buffer = [0; 4096];
                let (len, from) = socket.recv_from(&mut buffer).unwrap_or_else(|e| {
                    let want = String::from_utf8_lossy(want);
                    panic!("{want:.10} to {vip} in {outer:?}: {e}")
                });
                assert_eq!(&buffer[..len], want);
                let client = Side::Clients.ip(vip.family(), Lan::CLIENT);
                assert_eq!(from, socket_addr(client, 1000));
            }
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut [0; 10]).is_err());
            socket.set_nonblocking(false).unwrap();
        }
    }
    stop.store(true, Relaxed);
    unwrapping.join().unwrap();
}

#[test]
fn a_host_survives_what_it_is_told() {
    let host = Host::new("h").unwrap();
    let e = host
        .run(|| Err::<(), _>(io::Error::other("no")))
        .unwrap_err();
    assert_eq!(e.to_string(), "no");
    let e = host.sysctl("net/ipv4/no_such_thing", "1").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(host.run(|| Ok(7)).unwrap(), 7);
}
