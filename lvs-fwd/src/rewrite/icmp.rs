//! NAT of ICMP errors.
//!
//! An error about a translated packet reaches whoever sent that, so it must speak of the packet as that
//! sender knew it. It travels against the packet it quotes: what becomes of the error's source becomes of
//! the quoted destination, and the other way round. The quoted transport checksum is left as it is (as IPVS
//! leaves it): mostly there is not even all of the packet that it covers.

use lvs_core::{DropReason, Endpoint, Family};

use super::nat::replace_ports;
use super::{Parts, address};
use crate::checksum::Delta;
use crate::frame::Offload;
use crate::head::be16;
use crate::parse::IpPacket;
use crate::wire::{icmp, ipv4};

/// Replaces addresses in the error's IP header and, crosswise and with ports, in the packet it quotes.
///
/// # Errors
///
/// `Truncated` if a header is cut off, `Unsupported` if an address is of the other family; nothing has
/// changed then.
#[cold]
pub(super) fn apply<'a>(
    parts: &mut Parts<'_>,
    packet: &IpPacket,
    offload: Offload,
    src: Option<&'a Endpoint>,
    dst: Option<&'a Endpoint>,
) -> Result<(), DropReason> {
    let layout = &packet.layout;
    let family = layout.family;
    let (quoted_src, quoted_dst) = (dst, src);
    let ip = |e: Option<&'a Endpoint>| e.map(|e| &e.ip);

    let (icmp, quoted) = headers(parts.transport, packet).ok_or(DropReason::Truncated)?;
    let (quoted_network, ports) = quoted;
    let outer = address::replace(parts.network, family, ip(src), ip(dst))?;

    let header_checksum = |network: &[u8]| match family {
        Family::V4 => be16(network, ipv4::field::CHECKSUM).unwrap_or(0),
        Family::V6 => 0,
    };
    let before = header_checksum(quoted_network);
    // It is long enough, as headers() has seen, and the addresses have just proved to be of the family.
    let mut delta = address::replace(quoted_network, family, ip(quoted_src), ip(quoted_dst))
        .unwrap_or_default();
    delta.u16(before, header_checksum(quoted_network));
    if let Some(ports) = ports {
        delta.append(replace_ports(ports, quoted_src, quoted_dst));
    }

    let at = icmp::field::CHECKSUM;
    let field = u16::from_be_bytes([icmp[at], icmp[at + 1]]);
    // Of ICMPv6 the pseudo header is summed, of ICMP for IPv4 not.
    let pseudo = match family {
        Family::V4 => Delta::new(),
        Family::V6 => outer,
    };
    let sum = if offload.needs_csum() && offload.csum_start == layout.l4 {
        pseudo.apply_partial(field)
    } else {
        delta.append(pseudo);
        delta.apply_full(field)
    };
    icmp[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// The ICMP header, and of the quoted packet the IP header and the ports, if the protocol has any.
type Headers<'a> = (
    &'a mut [u8; icmp::HEADER_LEN],
    (&'a mut [u8], Option<&'a mut [u8; 4]>),
);

fn headers<'a>(message: &'a mut [u8], packet: &IpPacket) -> Option<Headers<'a>> {
    let layout = &packet.layout;
    let inner = layout.inner?;
    let (header, rest) = message.split_first_chunk_mut()?;
    let skipped = usize::from(inner.l3).checked_sub(usize::from(layout.l4) + icmp::HEADER_LEN)?;
    let quoted = rest.get_mut(skipped..)?;
    let network_len = inner.l4.checked_sub(inner.l3)?;
    let (network, transport) = quoted.split_at_mut_checked(usize::from(network_len))?;
    let ports = match packet.segment.protocol.is_balanced() {
        true => Some(transport.first_chunk_mut()?),
        false => None,
    };
    (network.len() >= address::header_len(layout.family)).then_some((header, (network, ports)))
}
