//! What stands before the IP packet in a capture's records.

use crate::wire::ether::ethertype;

/// The kinds of records that captures of IP traffic have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// Ethernet frames (link type 1).
    Ethernet,
    /// IP packets and nothing before them (101; 228 and 229 for one family only).
    Raw,
    /// Linux's pseudo header of captures on all interfaces (113).
    LinuxCooked,
    /// The same, second version (276).
    LinuxCooked2,
}

/// A record's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Captured<'a> {
    /// The EtherType.
    pub ethertype: u16,
    /// The packet that it announces.
    pub packet: &'a [u8],
    /// Whether the machine that captured it has sent it, as far as that is known.
    pub is_outgoing: bool,
}

/// In Linux's pseudo headers: sent by this machine.
const OUTGOING: u8 = 4;
/// VLAN tags, of which there may be several.
const TAGS: [u16; 2] = [0x8100, 0x88a8];

impl Link {
    pub(super) const fn of_type(link_type: u32) -> Option<Self> {
        match link_type {
            1 => Some(Self::Ethernet),
            101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::LinuxCooked),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }

    /// The link type in a file header.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::LinuxCooked => 113,
            Self::LinuxCooked2 => 276,
        }
    }

    /// What is in a record of this kind; `None` if it is shorter than its header. VLAN tags are skipped.
    pub fn open<'a>(&self, record: &'a [u8]) -> Option<Captured<'a>> {
        let be16 = |at: usize| {
            record
                .get(at..)?
                .first_chunk()
                .copied()
                .map(u16::from_be_bytes)
        };
        let (mut ethertype, mut at, is_outgoing) = match self {
            Self::Ethernet => (be16(12)?, 14, false),
            Self::Raw => match record.first()? >> 4 {
                6 => (ethertype::IPV6, 0, false),
                _ => (ethertype::IPV4, 0, false),
            },
            Self::LinuxCooked => (be16(14)?, 16, be16(0)? == u16::from(OUTGOING)),
            Self::LinuxCooked2 => (be16(0)?, 20, *record.get(10)? == OUTGOING),
        };
        while TAGS.contains(&ethertype) {
            (ethertype, at) = (be16(at + 2)?, at + 4);
        }
        let packet = record.get(at..)?;
        Some(Captured {
            ethertype,
            packet,
            is_outgoing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_found_behind_each_header() {
        let v4: &[u8] = &[0x45, 0, 0, 0];
        let v6: &[u8] = &[0x60, 0, 0, 0];
        let seen = |link: Link, header: &[u8], packet: &[u8]| {
            let record = [header, packet].concat();
            let c = link.open(&record).unwrap();
            assert_eq!(c.packet, packet);
            (c.ethertype, c.is_outgoing)
        };
        let macs = [2; 12];
        let ethernet = [&macs[..], &[0x08, 0x00]].concat();
        assert_eq!(seen(Link::Ethernet, &ethernet, v4), (0x0800, false));
        let tagged = [&macs[..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 0x86, 0xdd]].concat();
        assert_eq!(seen(Link::Ethernet, &tagged, v6), (0x86dd, false));
        assert_eq!(seen(Link::Raw, &[], v4), (0x0800, false));
        assert_eq!(seen(Link::Raw, &[], v6), (0x86dd, false));
        let mut cooked = [0; 16];
        (cooked[1], cooked[14]) = (4, 0x08);
        assert_eq!(seen(Link::LinuxCooked, &cooked, v4), (0x0800, true));
        let mut cooked = [0; 20];
        (cooked[0], cooked[1], cooked[10]) = (0x86, 0xdd, 0);
        assert_eq!(seen(Link::LinuxCooked2, &cooked, v6), (0x86dd, false));
        for link in [Link::Ethernet, Link::LinuxCooked, Link::LinuxCooked2] {
            assert_eq!(link.open(&[0x81; 13]), None, "{link:?}");
        }
        assert_eq!(Link::Raw.open(&[]), None);
        assert_eq!(
            Link::Ethernet.open(&[&macs[..], &[0x81, 0, 0]].concat()),
            None
        );
    }
}
