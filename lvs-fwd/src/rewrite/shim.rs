//! What stands between the two IP headers of a tunnel: nothing (IP in IP), GRE, or GUE.
//!
//! Only GRE and GUE may carry a checksum over all that is inside. It never costs a pass over the payload but where the
//! packet has to be fragmented:
//!
//! - If the inner checksum is complete, the shim's is left to the kernel or the network card, as Linux does it.
//! - If the inner one is left to them (it is partial), it will make the sum of all it covers known beforehand: the
//!   complement of the pseudo header's. So the shim's takes a pass over the headers alone ("local checksum offload").
//! - With GUE the inner one may instead stay as it is, for the receiver to complete ("remote checksum offload").

use lvs_core::dest::GueChecksum;
use lvs_core::{DropReason, Encapsulation, Endpoint, Family, Protocol};

use crate::checksum::{self, Sum};
use crate::frame::Offload;
use crate::head::{Head, be16, put16};
use crate::parse::IpPacket;
use crate::wire::ether::ethertype;
use crate::wire::gue::RemoteChecksum;
use crate::wire::{gre, gue, udp};

/// IPv4 as a payload.
const IPV4_INSIDE: Protocol = Protocol(4);
/// IPv6 as a payload.
const IPV6_INSIDE: Protocol = Protocol(41);
const GRE: Protocol = Protocol(47);

/// Source ports of GUE: Linux's default `ip_local_port_range`.
const FIRST_PORT: u16 = 32768;
const LAST_PORT: u16 = 60999;

/// What stands between the two IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shim {
    None,
    Gre {
        checksum: bool,
    },
    Gue {
        src_port: u16,
        dst_port: u16,
        checksum: bool,
        /// The inner checksum, if the receiver is to complete it.
        remote: Option<RemoteChecksum>,
    },
}

impl Shim {
    /// The shim in front of `packet`. `partial` is its checksum if that is partial, counted from its IP header.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the encapsulation is not known here; `BadLength` if a partial checksum begins at an odd place.
    pub(super) fn new(
        encapsulation: Encapsulation,
        packet: &IpPacket,
        partial: Option<RemoteChecksum>,
    ) -> Result<Self, DropReason> {
        let shim = match encapsulation {
            Encapsulation::Ipip => Self::None,
            Encapsulation::Gre { checksum } => Self::Gre { checksum },
            Encapsulation::Gue { port, checksum } => Self::Gue {
                src_port: flow_port(packet),
                dst_port: port,
                checksum: checksum != GueChecksum::None,
                remote: partial.filter(|_| checksum == GueChecksum::Remote),
            },
            _ => return Err(DropReason::Unsupported),
        };
        // Sums of what begins at an odd place are added to others with their bytes exchanged.
        let odd = partial.is_some_and(|p| p.start % 2 != 0);
        match odd && shim.is_summed() {
            true => Err(DropReason::BadLength),
            false => Ok(shim),
        }
    }

    /// The protocol that the outer header names.
    pub(super) const fn protocol(&self, inner: Family) -> Protocol {
        match self {
            Self::None => inside(inner),
            Self::Gre { .. } => GRE,
            Self::Gue { .. } => Protocol::UDP,
        }
    }

    /// How many bytes it takes.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Gre { checksum: false } => gre::HEADER_LEN,
            Self::Gre { checksum: true } => gre::HEADER_LEN + gre::CHECKSUM_LEN,
            Self::Gue { remote, .. } => {
                let options = match remote {
                    Some(_) => gue::REMOTE_CHECKSUM_LEN,
                    None => 0,
                };
                udp::HEADER_LEN + gue::HEADER_LEN + options
            }
        }
    }

    /// Whether the inner checksum is to stay partial, for the receiver to complete.
    pub(super) const fn leaves_inner_partial(&self) -> bool {
        matches!(
            self,
            Self::Gue {
                remote: Some(_),
                ..
            }
        )
    }

    /// Appends it in front of `inner_len` bytes of that family, a checksum left zero.
    pub(super) fn push(&self, head: &mut Head, inner: Family, inner_len: usize) {
        match *self {
            Self::None => {}
            Self::Gre { checksum } => {
                let protocol = match inner {
                    Family::V4 => ethertype::IPV4,
                    Family::V6 => ethertype::IPV6,
                };
                let header = gre::emit(protocol, checksum);
                head.push(&header[..self.len()]);
            }
            Self::Gue {
                src_port,
                dst_port,
                remote,
                ..
            } => {
                let header = gue::emit(inside(inner).0, remote);
                let header = &header[..self.len() - udp::HEADER_LEN];
                let payload_len = (header.len() + inner_len) as u16;
                head.push(&udp::emit(src_port, dst_port, payload_len));
                head.push(header);
            }
        }
    }

    /// Fills in the checksum of a shim that begins `at` bytes into `head`; `head` and `body` are the whole frame, and
    /// `offload` its state. `pseudo` sums UDP's pseudo header. With `complete`, nothing is left to the kernel
    /// but what the receiver is to complete.
    pub(super) fn seal(
        &self,
        at: usize,
        head: &mut [u8],
        body: &[u8],
        pseudo: impl FnOnce() -> Sum,
        offload: &mut Offload,
        complete: bool,
    ) {
        let (mut sum, offset) = match self {
            Self::Gre { checksum: true } => (Sum::new(), gre::field::CHECKSUM),
            Self::Gue { checksum: true, .. } => (pseudo(), udp::field::CHECKSUM),
            Self::None | Self::Gre { .. } | Self::Gue { .. } => return,
        };
        let value = if offload.needs_csum() && !self.leaves_inner_partial() {
            let start = usize::from(offload.csum_start);
            let in_head = head.get(at..start.min(head.len())).unwrap_or(&[]);
            let in_body = body.get(..start.saturating_sub(head.len())).unwrap_or(&[]);
            let field = start + usize::from(offload.csum_offset);
            let inner = match field.checked_sub(head.len()) {
                Some(field) => be16(body, field),
                None => be16(head, field),
            };
            sum.add_bytes(in_head);
            sum.add_bytes(in_body);
            sum.add_u16(!inner.unwrap_or(0));
            checksum::not_zero(sum.finish())
        } else if complete {
            // Headers are of even length.
            sum.add_bytes(head.get(at..).unwrap_or(&[]));
            sum.add_bytes(body);
            *offload = Offload::default();
            checksum::not_zero(sum.finish())
        } else {
            *offload = Offload {
                flags: Offload::NEEDS_CSUM,
                csum_start: at as u16,
                csum_offset: offset as u16,
                ..Offload::default()
            };
            sum.fold()
        };
        put16(head, at + offset, value);
    }

    const fn is_summed(&self) -> bool {
        matches!(
            self,
            Self::Gre { checksum: true } | Self::Gue { checksum: true, .. }
        )
    }
}

const fn inside(family: Family) -> Protocol {
    match family {
        Family::V4 => IPV4_INSIDE,
        Family::V6 => IPV6_INSIDE,
    }
}

/// The same port for all packets of a connection, both ways, so that routers which spread flows by their ports keep it
/// on one path.
fn flow_port(packet: &IpPacket) -> u16 {
    let mixed = |e: &Endpoint| {
        let word = u64::from(e.ip.fold()) << 16 | u64::from(e.port);
        let word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (word ^ word >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    let (src, dst) = (&packet.segment.src, &packet.segment.dst);
    let hash = mixed(src).wrapping_add(mixed(dst)) >> 32;
    let ports = u64::from(LAST_PORT - FIRST_PORT) + 1;
    FIRST_PORT + ((hash * ports) >> 32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Offload;
    use crate::parse::{Parsed, parse};
    use crate::wire::samples::{self, OWN};

    fn of(src: u16, dst: u16, swapped: bool) -> u16 {
        let frame = samples::udp(Family::V4, b"");
        let Ok(Parsed::Ip(mut packet)) = parse(&frame, Offload::default(), OWN) else {
            panic!("no packet");
        };
        let segment = &mut packet.segment;
        (segment.src.port, segment.dst.port) = (src, dst);
        if swapped {
            std::mem::swap(&mut segment.src, &mut segment.dst);
        }
        flow_port(&packet)
    }

    #[test]
    fn flows_are_spread_over_the_ephemeral_ports() {
        let mut parts = [0; 8];
        for client in 0..8000 {
            let port = of(client, 80, false);
            assert_eq!(of(client, 80, true), port);
            assert!((FIRST_PORT..=LAST_PORT).contains(&port));
            parts[usize::from(port - FIRST_PORT) * 8 / 28232] += 1;
        }
        assert!(parts.iter().all(|n| (850..1150).contains(n)), "{parts:?}");
    }
}
