//! When two packets count as the same, and which are the host's own.
//!
//! A director makes up a few fields of its own: the identification of a tunnel packet, the source port of a GUE
//! packet, most of the header of an ICMP error. Two directors cannot agree on those. They are taken out before packets
//! are compared, checksums that cover them only if they are right.
//!
//! A recording kernel may have left a checksum for the network card to complete, which a network of memory does not
//! have: the field then holds the sum of the pseudo header alone. In what was recorded, never in what we send, such a
//! checksum is completed first.

use lvs_core::{Family, Ip};

use super::host::{OWN, family};

const ICMP: u8 = 1;
const IPV4: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;

/// What the fragments of one datagram have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    src: Ip,
    dst: Ip,
    protocol: u8,
    id: [u8; 4],
}

impl Datagram {
    /// The datagram this packet is a fragment of, if it is one.
    pub(super) fn of(ip: &[u8]) -> Option<Self> {
        let header = Header::of(ip)?;
        let Header {
            src, dst, protocol, ..
        } = header;
        let id = match family(ip) {
            Family::V4 => {
                let offset = u16::from_be_bytes(ip.get(6..8)?.try_into().ok()?);
                // More fragments, or an offset.
                (offset & 0x3fff != 0).then_some(())?;
                [0, 0, *ip.get(4)?, *ip.get(5)?]
            }
            Family::V6 => {
                (protocol == FRAGMENT).then_some(())?;
                ip.get(44..48)?.try_into().ok()?
            }
        };
        Some(Self {
            src,
            dst,
            protocol,
            id,
        })
    }
}

/// Whether the host itself would have sent `answer` because of one of these packets: the packet routed on, or something
/// from the packet's destination back to its source.
pub(super) fn is_the_hosts(arrived: &[&[u8]], answer: &[u8]) -> bool {
    arrived.iter().any(|packet| {
        let (Some(p), Some(a)) = (Header::of(packet), Header::of(answer)) else {
            return false;
        };
        let is_routed = || without_ttl(packet) == without_ttl(answer);
        (a.src, a.dst) == (p.dst, p.src) || is_routed()
    })
}

fn without_ttl(ip: &[u8]) -> Vec<u8> {
    let mut bytes = ip.to_vec();
    match family(ip) {
        Family::V4 => clear(&mut bytes, &[8, 10, 11]),
        Family::V6 => clear(&mut bytes, &[7]),
    }
    bytes
}

/// The packet without what may differ, given the packets it was sent because of.
pub(super) fn normal(arrived: &[&[u8]], ip: &[u8]) -> Vec<u8> {
    let mut bytes = ip.to_vec();
    if let Some(header) = Header::of(ip) {
        if header.is_tunnel() {
            header.normalise_tunnel(&mut bytes);
        } else if header.is_icmp_error(ip) && arrived.iter().any(|a| is_answered(a)) {
            header.normalise_icmp(&mut bytes);
        }
    }
    bytes
}

/// A recorded packet, with its checksum completed if it had been left to the network card.
pub(super) fn completed(ip: &[u8]) -> Vec<u8> {
    let mut bytes = ip.to_vec();
    if let Some(header) = Header::of(ip) {
        header.complete(&mut bytes);
    }
    bytes
}

/// Whether an ICMP error in return is the director's own: an ICMP error is passed on, but never answered, unless it is
/// about a tunnel of the director's and addressed to itself.
fn is_answered(arrived: &[u8]) -> bool {
    Header::of(arrived).is_some_and(|h| !h.is_icmp_error(arrived) || OWN.contains(&h.dst))
}

/// What an IP header says. IPv6 extension headers are not followed.
struct Header {
    family: Family,
    src: Ip,
    dst: Ip,
    protocol: u8,
    len: usize,
    is_first: bool,
    /// Whether it is no fragment.
    is_whole: bool,
}

impl Header {
    fn of(ip: &[u8]) -> Option<Self> {
        let family = family(ip);
        let v4 = |at: usize| Some(Ip::v4(ip.get(at..at + 4)?.try_into().ok()?));
        let v6 = |at: usize| Some(Ip::v6(ip.get(at..at + 16)?.try_into().ok()?));
        let (src, dst, protocol, len) = match family {
            Family::V4 => {
                let len = usize::from(ip.first()? & 15) * 4;
                (v4(12)?, v4(16)?, *ip.get(9)?, len.max(20))
            }
            Family::V6 => (v6(8)?, v6(24)?, *ip.get(6)?, 40),
        };
        let is_first = family == Family::V6 || ip.get(6)? & 0x1f == 0 && *ip.get(7)? == 0;
        let is_whole = family == Family::V6 || is_first && ip.get(6)? & 0x20 == 0;
        (ip.len() >= len).then_some(Self {
            family,
            src,
            dst,
            protocol,
            len,
            is_first,
            is_whole,
        })
    }

    /// The director sends nothing else in its own name than tunnel packets and ICMP.
    fn is_tunnel(&self) -> bool {
        OWN.contains(&self.src) && matches!(self.protocol, IPV4 | IPV6 | GRE | UDP)
    }

    fn is_icmp_error(&self, ip: &[u8]) -> bool {
        let kind = ip.get(self.len);
        match self.protocol {
            ICMP => self.is_first && matches!(kind, Some(3 | 4 | 5 | 11 | 12)),
            ICMPV6 => matches!(kind, Some(0..128)),
            _ => false,
        }
    }

    fn normalise_tunnel(&self, ip: &mut [u8]) {
        if self.family == Family::V4 {
            self.clear_header_sum(ip);
            clear(ip, &[4, 5]);
        }
        if self.protocol == UDP && self.is_first {
            self.clear_transport_sum(ip, 6);
            clear(ip, &[self.len, self.len + 1]);
        }
    }

    fn normalise_icmp(&self, ip: &mut [u8]) {
        self.clear_transport_sum(ip, 2);
        let quoted = self.len + 8;
        match self.family {
            Family::V4 => {
                self.clear_header_sum(ip);
                // TOS, identification, TTL; and of what is quoted, TTL and checksum.
                clear(ip, &[1, 4, 5, 8, quoted + 8, quoted + 10, quoted + 11]);
            }
            Family::V6 => {
                // Traffic class and flow label, which stands for the identification; hop limits.
                if let Some(version) = ip.first_mut() {
                    *version &= 0xf0;
                }
                clear(ip, &[1, 2, 3, 7, quoted + 7]);
            }
        }
    }

    /// Takes the IPv4 header's checksum out if it is right.
    fn clear_header_sum(&self, ip: &mut [u8]) {
        if ip
            .get(..self.len)
            .is_some_and(|header| sum(0, header) == 0xffff)
        {
            clear(ip, &[10, 11]);
        }
    }

    /// Takes the checksum at this place behind the IP header out if it is right.
    fn clear_transport_sum(&self, ip: &mut [u8], at: usize) {
        let pseudo = self.pseudo_header_sum(ip);
        if ip
            .get(self.len..)
            .is_some_and(|body| sum(pseudo.into(), body) == 0xffff)
        {
            clear(ip, &[self.len + at, self.len + at + 1]);
        }
    }

    fn complete(&self, ip: &mut [u8]) {
        let at = match self.protocol {
            TCP => 16,
            UDP => 6,
            ICMPV6 => 2,
            _ => return,
        };
        let pseudo = self.pseudo_header_sum(ip);
        let Some(body) = ip.get_mut(self.len..).filter(|_| self.is_whole) else {
            return;
        };
        let field = body.get(at..at + 2) == Some(&pseudo.to_be_bytes()[..]);
        if field && sum(pseudo.into(), body) != 0xffff {
            // The field holds what summing begins with.
            let complete = !sum(0, body);
            body[at..at + 2].copy_from_slice(&complete.to_be_bytes());
        }
    }

    /// What a transport checksum covers of the IP header; nothing for ICMP.
    fn pseudo_header_sum(&self, ip: &[u8]) -> u16 {
        let addresses = match self.family {
            Family::V4 => ip.get(12..20),
            Family::V6 => ip.get(8..40),
        };
        match (self.protocol, addresses) {
            (ICMP, _) | (_, None) => 0,
            (protocol, Some(addresses)) => sum(
                u32::from(protocol) + (ip.len() - self.len) as u32,
                addresses,
            ),
        }
    }
}

/// The one's complement sum.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| match pair {
        [a, b] => u32::from(*a) << 8 | u32::from(*b),
        [a] => u32::from(*a) << 8,
        _ => 0,
    };
    let mut sum = bytes.chunks(2).map(word).fold(start, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn clear(bytes: &mut [u8], places: &[usize]) {
    for &at in places {
        if let Some(b) = bytes.get_mut(at) {
            *b = 0;
        }
    }
}

#[cfg(test)]
mod tests;
