//! Where the headers of an advertisement begin and end.

use std::net::Ipv4Addr;

use super::Reject;
use super::ah;
use super::checksum::VRRP;

/// The VRRP header, before the addresses.
pub(super) const HEADER: usize = 8;
/// The IPv4 header without options.
pub(super) const IPV4: usize = 20;
/// The protocol number of AH.
pub(super) const AH: u8 = 51;
/// The password behind the addresses in version 2 over IPv4.
pub(super) const PASSWORD: usize = 8;

/// The group of IPv4.
pub(super) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// The parts of what came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// IPv4 only.
    pub(super) ip: Option<Ipv4<'a>>,
    /// The AH header.
    pub(super) ah: Option<&'a [u8; ah::LENGTH]>,
    /// From the VRRP header on.
    pub(super) message: &'a [u8],
    header: &'a [u8; HEADER],
}

/// An IPv4 header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ipv4<'a> {
    /// All of it, options too.
    pub(super) bytes: &'a [u8],
    /// The length of the packet as it says.
    pub(super) total: u16,
    pub(super) ttl: u8,
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
}

/// The VRRP header. What stands at `count`'s right depends on the version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vrrp {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) vrid: u8,
    pub(super) priority: u8,
    pub(super) count: u8,
    /// Version 2: the authentication type and the interval in seconds; version 3: the interval in hundredths of a second,
    /// below four reserved bits.
    pub(super) rest: [u8; 2],
    pub(super) checksum: u16,
}

impl<'a> Parts<'a> {
    /// Those of an IPv4 packet.
    pub(super) fn of_v4(bytes: &'a [u8]) -> Result<Self, Reject> {
        let too_short = |least| Reject::TooShort {
            length: bytes.len(),
            least,
        };
        let fixed: &[u8; IPV4] = bytes
            .first_chunk()
            .ok_or_else(|| too_short(IPV4 + HEADER))?;
        let length = usize::from(fixed[0] & 0x0f) * 4;
        if fixed[0] >> 4 != 4 || length < IPV4 {
            return Err(Reject::NotVrrp);
        }
        let (header, rest) = bytes
            .split_at_checked(length)
            .ok_or_else(|| too_short(length + HEADER))?;
        let ip = Ipv4 {
            bytes: header,
            total: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: fixed[8],
            src: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]),
            dst: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]),
        };
        let (ah, message) = match fixed[9] {
            VRRP => (None, rest),
            AH => {
                let (ah, message) = rest
                    .split_first_chunk()
                    .ok_or_else(|| too_short(length + ah::LENGTH + HEADER))?;
                if !ah::is_ours(ah) {
                    return Err(Reject::NotVrrp);
                }
                (Some(ah), message)
            }
            _ => return Err(Reject::NotVrrp),
        };
        let header = message
            .first_chunk()
            .ok_or_else(|| too_short(bytes.len() - message.len() + HEADER))?;
        Ok(Self {
            ip: Some(ip),
            ah,
            message,
            header,
        })
    }

    /// Those of what came by IPv6.
    pub(super) fn of_v6(bytes: &'a [u8]) -> Result<Self, Reject> {
        let header = bytes.first_chunk().ok_or(Reject::TooShort {
            length: bytes.len(),
            least: HEADER,
        })?;
        Ok(Self {
            ip: None,
            ah: None,
            message: bytes,
            header,
        })
    }

    /// How many bytes stand before the VRRP header.
    pub(super) fn before(&self) -> usize {
        self.ip.map_or(0, |ip| ip.bytes.len()) + self.ah.map_or(0, |ah| ah.len())
    }

    pub(super) const fn vrrp(&self) -> Vrrp {
        let h = self.header;
        Vrrp {
            version: h[0] >> 4,
            kind: h[0] & 0x0f,
            vrid: h[1],
            priority: h[2],
            count: h[3],
            rest: [h[4], h[5]],
            checksum: u16::from_be_bytes([h[6], h[7]]),
        }
    }
}

impl Vrrp {
    /// How long its message is, without trailer, by what its version and count say; `None` if there is no such version.
    pub(super) fn length(&self, ipv4: bool) -> Option<usize> {
        let addresses = usize::from(self.count) * if ipv4 { 4 } else { 16 };
        match self.version {
            2 if ipv4 => Some(HEADER + addresses + PASSWORD),
            2 | 3 => Some(HEADER + addresses),
            _ => None,
        }
    }
}
