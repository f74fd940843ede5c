//! Control messages of IPv6 sockets: what the kernel says of a packet, and what it is told of one (`cmsg(3)`, RFC 3542).

use std::net::Ipv6Addr;

use super::HeaderV6;

const LEVEL: i32 = libc::IPPROTO_IPV6;
/// A message's length with this header, its level and its type.
const HEAD: usize = size_of::<usize>() + 8;
const ALIGN: usize = size_of::<usize>();

/// Control messages for a packet that goes out.
#[derive(Debug, Default)]
pub(super) struct Control(Vec<u8>);

impl Control {
    /// Room for what comes with a packet.
    pub(super) const ROOM: usize = 128;

    /// What the kernel is to write in the header of a packet that goes out by an interface.
    pub(super) fn of(header: HeaderV6, ifindex: u32) -> Self {
        let mut control = Self::default();
        if let Some(source) = header.source {
            let mut info = source.octets().to_vec();
            info.extend(ifindex.to_ne_bytes());
            control.add(libc::IPV6_PKTINFO, &info);
        }
        if let Some(hops) = header.hop_limit {
            control.add(libc::IPV6_HOPLIMIT, &i32::from(hops).to_ne_bytes());
        }
        control
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn add(&mut self, kind: i32, data: &[u8]) {
        self.0.extend((HEAD + data.len()).to_ne_bytes());
        self.0.extend(LEVEL.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
    }
}

/// Where a packet went to and its hop limit, as far as the kernel says.
pub(super) fn destination_and_hop_limit(control: &[u8]) -> (Option<Ipv6Addr>, Option<u8>) {
    let (mut destination, mut hop_limit) = (None, None);
    for (kind, data) in messages(control) {
        if kind == libc::IPV6_PKTINFO {
            destination = data.first_chunk::<16>().copied().map(Ipv6Addr::from);
        } else if kind == libc::IPV6_HOPLIMIT {
            let number = data.first_chunk().copied().map(i32::from_ne_bytes);
            hop_limit = number.and_then(|n| u8::try_from(n).ok());
        }
    }
    (destination, hop_limit)
}

/// The messages of IPv6 with their types.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (i32, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let length = usize::from_ne_bytes(*rest.first_chunk()?);
            let level = i32::from_ne_bytes(*rest.get(ALIGN..)?.first_chunk()?);
            let kind = i32::from_ne_bytes(*rest.get(ALIGN + 4..)?.first_chunk()?);
            let data = rest.get(HEAD..length)?;
            let next = length.checked_next_multiple_of(ALIGN)?;
            rest = rest.get(next..).unwrap_or_default();
            if level == LEVEL {
                return Some((kind, data));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_said_can_be_read() {
        let source = "fe80::1".parse().unwrap();
        let header = |source, hop_limit| HeaderV6 { source, hop_limit };
        let said = |header| destination_and_hop_limit(Control::of(header, 7).as_bytes());
        assert_eq!(said(header(None, None)), (None, None));
        assert_eq!(said(header(Some(source), None)), (Some(source), None));
        assert_eq!(said(header(Some(source), Some(9))), (Some(source), Some(9)));
        assert_eq!(said(header(None, Some(255))), (None, Some(255)));
    }

    #[test]
    fn other_messages_are_passed_over() {
        let mut control = Control::default();
        control.add(libc::IPV6_TCLASS, &[0; 4]);
        control.add(libc::IPV6_HOPLIMIT, &64i32.to_ne_bytes());
        let mut bytes = control.as_bytes().to_vec();
        assert_eq!(destination_and_hop_limit(&bytes), (None, Some(64)));
        // The same of another level.
        let at = bytes.len() / 2 + ALIGN;
        bytes[at] = bytes[at].wrapping_add(1);
        assert_eq!(destination_and_hop_limit(&bytes), (None, None));
    }

    proptest! {
        #[test]
        fn nothing_upsets_the_reader(bytes in prop::collection::vec(prop_oneof![Just(0u8), 0..48u8], 0..Control::ROOM)) {
            messages(&bytes).for_each(drop);
            destination_and_hop_limit(&bytes);
        }
    }
}
