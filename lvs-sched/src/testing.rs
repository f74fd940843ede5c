//! What the tests of several schedulers share.

use lvs_core::Chunk;
use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};
use lvs_core::{Endpoint, Ip, Kind, Protocol, Segment, TcpFlags, Time};

/// A destination with these counts.
pub(crate) fn dest(weight: u32, active: u64, inactive: u64) -> Dest {
    let dest = Dest::detached(Endpoint::new(Ip::v4([10, 0, 0, 1]), 80), weight);
    dest.live().set_counts(active, inactive);
    dest
}

/// A SYN whose addresses do not matter.
pub(crate) fn packet() -> Segment {
    flow(0x0a00_0005, 0xc000_020a)
}

/// A SYN between two IPv4 addresses, given as host integers.
pub(crate) fn flow(src: u32, dst: u32) -> Segment {
    between(Ip::v4(src.to_be_bytes()), Ip::v4(dst.to_be_bytes()))
}

/// A SYN between two addresses.
pub(crate) fn between(src: Ip, dst: Ip) -> Segment {
    Segment {
        src: Endpoint::new(src, 40000),
        dst: Endpoint::new(dst, 80),
        len: 60,
        protocol: Protocol::TCP,
        flags: TcpFlags::SYN,
        kind: Kind::Packet,
        chunk: Chunk::Data,
        mark: 0,
        tag: 0,
    }
}

/// The arrival of a connection opened by this packet, at time zero.
pub(crate) fn arrival(packet: &Segment) -> Arrival<'_> {
    Arrival::new(packet, Time::default())
}

/// The choices of `count` connections, as letters: `A` is the first of the list, `-` is none.
pub(crate) fn choices(scheduler: &dyn Scheduler, dests: &[Dest], count: usize) -> String {
    let letters = 'A'..='Z';
    (0..count)
        .map(|_| match scheduler.pick(dests, &arrival(&packet())) {
            Some(i) => letters.clone().nth(i).unwrap_or('?'),
            None => '-',
        })
        .collect()
}
