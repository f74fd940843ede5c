//! What the director sees of a packet: a summary without a single byte of it.

use std::fmt;

use crate::addr::Endpoint;

/// Ports that mean something to the director.
pub mod port {
    /// FTP's server in active data connections; as a client's port never scheduled (IPVS).
    pub const FTP_DATA: u16 = 20;
    /// FTP's control connections, whose services take the clients' data connections too (IPVS).
    pub const FTP: u16 = 21;
    /// ISAKMP, over UDP, which AH and ESP follow (IPVS).
    pub const ISAKMP: u16 = 500;
}

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
    /// IPsec's encapsulating security payload.
    pub const ESP: Self = Self(50);
    /// IPsec's authentication header.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);

    /// Whether virtual services can have this protocol (TCP, UDP, SCTP).
    pub const fn is_balanced(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::ESP => f.write_str("ESP"),
            Self::AH => f.write_str("AH"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self::SCTP => f.write_str("SCTP"),
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

/// What an SCTP packet's first chunk does to a connection (RFC 9260 section 3.2). A COOKIE ECHO or COOKIE ACK
/// followed by an ABORT counts as that ABORT (IPVS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever builds a segment must know them all"
)]
pub enum Chunk {
    /// DATA, SACK, HEARTBEAT and every chunk without a meaning of its own here.
    #[default]
    Data,
    /// INIT: opens an association.
    Init,
    /// INIT ACK.
    InitAck,
    /// COOKIE ECHO.
    CookieEcho,
    /// COOKIE ACK.
    CookieAck,
    /// SHUTDOWN.
    Shutdown,
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete,
    /// ERROR.
    Error,
    /// ABORT.
    Abort,
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
    /// SCTP's first chunk; [`Chunk::Data`] for other protocols.
    pub chunk: Chunk,
    /// What part of a flow the packet is.
    pub kind: Kind,
    /// The firewall mark a classifier gave the packet; 0 is none.
    pub mark: u32,
    /// What a persistence engine recognises clients by (a keyed hash of SIP's Call-ID); 0 is nothing.
    pub tag: u64,
}

impl Segment {
    /// A packet of no flags, no length and no mark: to be filled in with struct update syntax. AH and ESP, which
    /// have no ports, have port 0.
    pub const fn new(protocol: Protocol, src: Endpoint, dst: Endpoint) -> Self {
        Self {
            src,
            dst,
            len: 0,
            protocol,
            flags: TcpFlags(0),
            chunk: Chunk::Data,
            kind: Kind::Packet,
            mark: 0,
            tag: 0,
        }
    }

    /// The packet that a client opens a connection with: of TCP a SYN, of SCTP an INIT.
    pub const fn opening(protocol: Protocol, client: Endpoint, virt: Endpoint) -> Self {
        let mut packet = Self::new(protocol, client, virt);
        match protocol {
            Protocol::TCP => packet.flags = TcpFlags::SYN,
            Protocol::SCTP => packet.chunk = Chunk::Init,
            _ => {}
        }
        packet
    }

    /// Whether this packet asks to open a connection: a TCP segment with SYN (SYN+ACK counts too, as in IPVS), an
    /// SCTP INIT.
    pub const fn opens(&self) -> bool {
        match (self.kind, self.protocol) {
            (Kind::Packet, Protocol::TCP) => {
                self.flags.has(TcpFlags::SYN) && !self.flags.has(TcpFlags::RST)
            }
            (Kind::Packet, Protocol::SCTP) => matches!(self.chunk, Chunk::Init),
            _ => false,
        }
    }
}
