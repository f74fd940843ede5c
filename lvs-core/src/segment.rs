//! What the director sees of a packet: a summary without a single byte of it.

use std::fmt;

use crate::addr::Endpoint;

/// An IP protocol number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self(n) => write!(f, "protocol {n}"),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The flags of a TCP segment, as in the header's 14th byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The sender has finished.
    pub const FIN: Self = Self(0x01);
    /// Opens a connection.
    pub const SYN: Self = Self(0x02);
    /// Aborts a connection.
    pub const RST: Self = Self(0x04);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);

    /// Whether any flag of `other` is set here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags and those of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What part of a flow a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever builds a segment must know them all"
)]
pub enum Kind {
    /// A packet with its own transport header (a whole datagram or its first fragment).
    Packet,
    /// A later fragment: its ports are remembered from the first, and it has no flags. It follows a
    /// connection, and never opens one nor moves its state.
    LaterFragment,
    /// An ICMP error. `src` and `dst` are those of the packet it quotes, **swapped**: so they name a
    /// packet that travels the way the error itself does.
    IcmpError,
}

/// The summary of one packet: enough for every decision of the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "parsers outside this crate build it"
)]
pub struct Segment {
    /// Where the packet comes from.
    pub src: Endpoint,
    /// Where the packet goes to.
    pub dst: Endpoint,
    /// Length of the IP packet in bytes, of an aggregate as a whole; counted in statistics.
    pub len: u32,
    /// The transport protocol.
    pub protocol: Protocol,
    /// TCP's flags; zero for other protocols.
    pub flags: TcpFlags,
    /// What part of a flow the packet is.
    pub kind: Kind,
}
