//! A director with one service, and as many established connections as wanted.

use lvs_core::Chunk;
use lvs_core::DestOptions;
use lvs_core::ServiceOptions;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lvs_core::{
    ConfigError, Direction, Director, Endpoint, Forward, Ip, Kind, LocalAddr, Method, Protocol,
    Rewrite, Segment, ServiceKey, Settings, TcpFlags, Time, Verdict, Worker,
};
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{BURST, PortId};
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::{Interface, Route, Topology};

use crate::frames::{OWN, PEER};

/// The service.
pub const VIP: Endpoint = Endpoint::new(Ip::v4([10, 9, 0, 100]), 80);
/// FullNAT's local address.
const LIP: Ip = Ip::v4([10, 10, 0, 100]);
/// A moment.
pub const NOW: Time = Time::from_secs(1000);
/// The port clients are behind.
pub const OUTSIDE: PortId = PortId(0);
/// The port servers are behind.
pub const INSIDE: PortId = PortId(1);

/// The client of the `i`th connection: sixteen ports an address.
pub fn client(i: usize) -> Endpoint {
    let ip = 0x1400_0000 + (i / 16) as u32;
    Endpoint::new(Ip::v4(ip.to_be_bytes()), 10_000 + (i % 16) as u16 * 1000)
}

/// The `i`th real server.
pub fn server(i: usize) -> Endpoint {
    let [.., b, c] = (11 + i as u32).to_be_bytes();
    Endpoint::new(Ip::v4([10, 10, b, c]), 8080)
}

/// A TCP segment of the least Ethernet size.
pub fn segment(src: Endpoint, dst: Endpoint, flags: TcpFlags) -> Segment {
    Segment {
        src,
        dst,
        len: crate::frames::SMALL as u32,
        protocol: Protocol::TCP,
        flags,
        kind: Kind::Packet,
        chunk: Chunk::Data,
        mark: 0,
        tag: 0,
    }
}

/// A director with a wlc service of `servers` servers.
pub fn director(method: Method, servers: usize) -> Arc<Director> {
    let director = Director::new(&Settings {
        seed: [1, 2, 3, 4],
        ..Settings::default()
    });
    let made: Result<(), ConfigError> = director.edit(|draft| {
        let key = ServiceKey::tcp(VIP);
        let scheduler = lvs_sched::build("wlc").expect("a known scheduler");
        draft.add_service(
            key,
            scheduler,
            ServiceOptions::with_local_addrs(&[LocalAddr::new(LIP)]),
        )?;
        (0..servers).try_for_each(|i| draft.add_dest(key, server(i), &DestOptions::new(method, 1)))
    });
    made.expect("a sound configuration");
    director
}

/// Opens the connections numbered `range` and lets their handshakes complete. Returns what each packet of
/// the servers carries: source and destination.
pub fn establish(worker: &mut Worker, range: std::ops::Range<usize>) -> Vec<(Endpoint, Endpoint)> {
    let mut verdicts = Vec::new();
    let mut replies = Vec::with_capacity(range.len());
    for i in range {
        let client = client(i);
        worker.decide(NOW, &[segment(client, VIP, TcpFlags::SYN)], &mut verdicts);
        let reply = match verdicts.first() {
            Some(Verdict::Forward(Forward {
                direction: Direction::In,
                rewrite:
                    Rewrite::Nat {
                        src,
                        dst: Some(server),
                    },
                ..
            })) => (*server, src.unwrap_or(client)),
            Some(Verdict::Forward(_)) => (VIP, client),
            other => panic!("connection {i} was not opened: {other:?}"),
        };
        let handshake = [
            segment(reply.0, reply.1, TcpFlags::SYN.with(TcpFlags::ACK)),
            segment(client, VIP, TcpFlags::ACK),
        ];
        worker.decide(NOW, &handshake, &mut verdicts);
        replies.push(reply);
    }
    replies
}

/// Opens the first `count` connections, a burst at a time, each burst at the moment that `when` says.
pub fn open(worker: &mut Worker, count: usize, mut when: impl FnMut() -> Time) {
    let mut verdicts = Vec::new();
    for first in (0..count).step_by(BURST) {
        let syn = |i| segment(client(i), VIP, TcpFlags::SYN);
        let segments: Vec<_> = (first..count).take(BURST).map(syn).collect();
        worker.decide(when(), &segments, &mut verdicts);
    }
}

/// Two ports, a default route to the clients, the servers on a link.
pub fn topology(servers: usize) -> Topology {
    let ip = |s: &str| s.parse::<Ip>().expect("an address");
    let mut t = Topology::builder();
    for (port, ifindex, addr) in [(OUTSIDE, 1, "10.9.0.1"), (INSIDE, 2, "10.10.0.1")] {
        t.interface(Interface {
            port,
            ifindex,
            name: format!("port{ifindex}"),
            mac: OWN,
            mtu: 1500,
            addrs: vec![ip(addr)],
        });
    }
    let routes = [
        ("0.0.0.0", 0, 1, Some(ip("10.9.0.2"))),
        ("10.9.0.0", 16, 1, None),
        ("10.10.0.0", 16, 2, None),
    ];
    for (dst, prefix_len, ifindex, gateway) in routes {
        t.route(Route {
            dst: ip(dst),
            prefix_len,
            metric: 0,
            ifindex,
            gateway,
            prefsrc: None,
            mtu: None,
        });
    }
    t.neighbour(1, ip("10.9.0.2"), PEER);
    for i in 0..servers {
        t.neighbour(2, server(i).ip, PEER);
    }
    t.build()
}

/// A pipeline in that network.
pub fn pipeline(worker: Worker, servers: usize) -> Pipeline {
    let shared = Shared::new(
        Arc::new(ArcSwap::from_pointee(topology(servers))),
        FragMemory::new(16, [1, 2, 3, 4]),
    );
    Pipeline::new(worker, &shared, 0)
}
