//! What a virtual router has to remember from one advertisement to the next.

use std::net::IpAddr;

use super::senders::Senders;

/// The bytes of one virtual router: makes its advertisements ([`advertise`](Self::advertise)) and checks those that come
/// ([`check`](Self::check)).
///
/// It is one thing for both directions because what comes changes what goes: AH's sequence numbers go on from the highest one
/// heard, since keepalived counts both directions with one number and drops what is not above it; and a unicast peer that
/// makes checksums in the old way is answered in kind. It outlives changes of state and reloads, and remembers no more than
/// 256 senders.
#[derive(Clone, Debug, Default)]
pub struct Codec {
    /// The identification of the last IPv4 packet.
    pub(super) identification: u16,
    /// The highest AH sequence number sent or heard.
    pub(super) sequence: Option<u32>,
    /// The last number sent in a trailer.
    pub(super) stamp: u64,
    /// The routers whose advertisements were genuine.
    pub(super) senders: Senders,
    /// Who sent the last genuine one.
    pub(super) last: Option<IpAddr>,
}

impl Codec {
    /// One that has sent and heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that has sent and heard nothing, and begins with another identification than others.
    pub fn seeded(seed: u64) -> Self {
        Self {
            identification: (seed ^ (seed >> 16) ^ (seed >> 32) ^ (seed >> 48)) as u16,
            ..Self::default()
        }
    }
}
