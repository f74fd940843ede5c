//! What becomes of a packet: one verdict type, one reason type, one counter for each reason.

use crate::addr::{Endpoint, Ip};
use crate::dest::Encapsulation;

/// Which way a packet travels through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Direction {
    /// From the client to the virtual service.
    In,
    /// From the real server to the client.
    Out,
}

/// The director's decision about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a data plane must carry out every one"
)]
pub enum Verdict {
    /// Send it on, rewritten as told.
    Forward(Forward),
    /// It is the host's own affair.
    Pass(PassReason),
    /// It goes no further.
    Drop(DropReason),
}

/// How a packet is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Forward {
    /// Which way the packet travels.
    pub direction: Direction,
    /// What changes in it, and where it goes.
    pub rewrite: Rewrite,
    /// The protocol helper (its number in [`crate::Settings::helpers`]) that must see the payload before the packet
    /// is sent on; see [`crate::Worker::assist`].
    pub helper: Option<u8>,
}

/// What a forwarding method does to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a data plane must carry out every one"
)]
pub enum Rewrite {
    /// Direct routing, and replies that merely pass by: nothing changes but the TTL; `next_hop` is the
    /// address whose link-layer address the frame gets (through a gateway where the route says so).
    Route {
        /// The real server, or for a reply the packet's own destination.
        next_hop: Ip,
    },
    /// NAT and FullNAT: the source, the destination or both are replaced. In an ICMP error the outer
    /// addresses are replaced the same way, and in the packet it quotes the two change places.
    Nat {
        /// The new source, if it changes.
        src: Option<Endpoint>,
        /// The new destination, if it changes.
        dst: Option<Endpoint>,
    },
    /// Tunnel: the packet is put whole into another one addressed to `remote`.
    Tunnel {
        /// The real server.
        remote: Ip,
        /// What stands between the two IP headers.
        encapsulation: Encapsulation,
    },
}

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every reason, in the order of its counter.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// A short name for tables and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The reason's place in [`Self::ALL`] and in arrays of counters.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

reasons! {
    /// Why a packet is left to the host.
    PassReason {
        /// Neither a service nor a connection has to do with it.
        NotOurs => "not ours",
        /// Addressed to a service, but it cannot open a connection (a TCP segment without SYN). The
        /// host would answer such a segment with RST; a data plane that hides the service from the host
        /// does so in its place.
        NoConnection => "no connection",
        /// Of a service that stands by, since another director serves it at present.
        Standby => "standby",
        /// Another protocol than those balanced, or an ICMP message about no known connection.
        OtherProtocol => "other protocol",
        /// ARP or neighbour discovery for others, a link-layer control frame, or another EtherType.
        LinkLayer => "link layer",
        /// The frame carries another host's link-layer address.
        OtherHost => "other host",
    }
}

reasons! {
    /// Why a packet is dropped.
    DropReason {
        /// Shorter than its headers.
        Truncated => "truncated",
        /// The IP version is not the one the EtherType promises.
        BadVersion => "bad version",
        /// A header length that cannot be.
        BadHeaderLength => "bad header length",
        /// The IP header promises more bytes than arrived, or than an aggregate may have.
        BadLength => "bad length",
        /// Source or destination may not occur on a network (0/8, 127/8, multicast as source, …).
        Martian => "martian",
        /// A checksum is wrong.
        BadChecksum => "bad checksum",
        /// Source equals destination, or the frame came from ourselves.
        Looped => "looped",
        /// Fragments that overlap headers, or of impossible offset or size.
        BadFragment => "bad fragment",
        /// More IPv6 extension headers than are followed, or a routing header.
        BadExtension => "bad extension header",
        /// A later fragment whose first fragment is not known.
        FragmentUnknown => "fragment unknown",
        /// The service has no real server that may take the connection. Answered with ICMP port
        /// unreachable.
        NoDestination => "no destination",
        /// One of the new connections given up while memory is short (IPVS: `drop_packet`).
        Defence => "defence",
        /// From a real server of a NAT service, but of no connection (IPVS: `nat_icmp_send`). Answered with ICMP
        /// port unreachable.
        ServerWithoutConnection => "server without connection",
        /// The connection's real server has been removed.
        DestinationRemoved => "destination removed",
        /// FullNAT has no local port left towards the real server.
        NoLocalPort => "no local port",
        /// The connection table has reached its limit.
        TableFull => "table full",
        /// The TTL or hop limit ran out. Answered with ICMP time exceeded.
        TtlExceeded => "ttl exceeded",
        /// Too big for the way on and not to be fragmented. Answered with ICMP too big.
        TooBig => "too big",
        /// No route leads to the next hop.
        NoRoute => "no route",
        /// The next hop's link-layer address is not known (yet), and its queue is full.
        Unresolved => "unresolved",
        /// The network refused the packet; by then it has been counted as forwarded or answered too.
        TransmitFailed => "transmit failed",
        /// Addressed to a service in a form the forwarding method cannot carry.
        Unsupported => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let mut names = std::collections::HashSet::new();
        for (i, r) in DropReason::ALL.iter().enumerate() {
            assert_eq!(r.index(), i);
            assert!(names.insert(r.name()), "{r:?} shares its name");
        }
        for (i, r) in PassReason::ALL.iter().enumerate() {
            assert_eq!(r.index(), i);
            assert!(names.insert(r.name()), "{r:?} shares its name");
        }
    }
}
