//! How advertisements are made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::checksum::{Sum, VRRP};
use super::codec::Codec;
use super::layout::{AH, GROUP, IPV4, PASSWORD};
use super::{ah, trailer};
use crate::config::{
    Authentication, Family, RouterConfig, TrailerMode, Transport, UnicastChecksum, Version,
};

/// Precedence "internetwork control", which keepalived gives its packets.
const TYPE_OF_SERVICE: u8 = 0xc0;
/// The type of message.
const ADVERTISEMENT: u8 = 1;

impl Codec {
    /// An advertisement: IPv4 from its IP header on, IPv6 from its VRRP header on.
    ///
    /// `source` and `to` are of the configured family, otherwise there are no bytes. `wall` is the time of day, since 1970,
    /// which trailers are stamped with. An interval that the version cannot express becomes the nearest that it can.
    pub fn advertise(
        &mut self,
        config: &RouterConfig,
        source: IpAddr,
        to: IpAddr,
        priority: u8,
        interval: Duration,
        wall: Duration,
    ) -> Vec<u8> {
        let message = message(config, priority, interval);
        let trailer = self.trailer(config, source, &message, wall);
        match (config.family, source, to) {
            (Family::V4, IpAddr::V4(source), IpAddr::V4(to)) => {
                self.packet_v4(config, source, to, message, trailer)
            }
            (Family::V6, IpAddr::V6(source), IpAddr::V6(to)) => {
                message_v6(source, to, message, trailer)
            }
            _ => Vec::new(),
        }
    }

    fn trailer(
        &mut self,
        config: &RouterConfig,
        source: IpAddr,
        message: &[u8],
        wall: Duration,
    ) -> Option<[u8; trailer::LENGTH]> {
        let wanted = config.trailer.as_ref()?;
        if wanted.mode == TrailerMode::ReceiveOnly {
            return None;
        }
        self.stamp = trailer::next_stamp(wanted, self.stamp, wall);
        let about = trailer::About {
            version: config.version.number(),
            vrid: config.vrid,
            source,
        };
        trailer::make(wanted, about, message, self.stamp)
    }

    fn packet_v4(
        &mut self,
        config: &RouterConfig,
        source: Ipv4Addr,
        to: Ipv4Addr,
        mut message: Vec<u8>,
        trailer: Option<[u8; trailer::LENGTH]>,
    ) -> Vec<u8> {
        let sum = match config.version {
            Version::V3 if !config.checksum.plain => {
                Sum::pseudo_v4(source, self.pseudo_destination(config, to), message.len())
            }
            _ => Sum::default(),
        };
        set_checksum(&mut message, sum);
        message.extend(trailer.into_iter().flatten());

        let (unicast, ttl) = match config.transport {
            Transport::Multicast { .. } => (false, None),
            Transport::Unicast { ttl, .. } => (true, ttl),
        };
        let ah_key = match authentication(config) {
            Authentication::Ah(key) => Some(key),
            _ => None,
        };
        let ah_length = ah_key.map_or(0, |_| ah::LENGTH);
        let mut ip = [0; IPV4];
        ip[0] = 0x45;
        ip[1] = TYPE_OF_SERVICE;
        let total = (IPV4 + ah_length + message.len()) as u16;
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        ip[4..6].copy_from_slice(&self.next_identification().to_be_bytes());
        ip[8] = ttl.unwrap_or(u8::MAX);
        ip[9] = if ah_key.is_some() { AH } else { VRRP };
        ip[12..16].copy_from_slice(&source.octets());
        ip[16..20].copy_from_slice(&to.octets());
        let checksum = Sum::default().add(&ip).finish();
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());

        let mut packet = ip.to_vec();
        if let Some(key) = ah_key {
            let sequence = self.sequence.unwrap_or_default().wrapping_add(1);
            self.sequence = Some(sequence);
            let mut header = ah::header(source, sequence);
            ah::sign(&key, &ip, &mut header, &message, unicast);
            packet.extend(header);
        }
        packet.append(&mut message);
        packet
    }

    /// The destination that stands in the pseudo-header.
    fn pseudo_destination(&self, config: &RouterConfig, to: Ipv4Addr) -> Ipv4Addr {
        let old = match config.checksum.unicast {
            UnicastChecksum::New => false,
            UnicastChecksum::Old => true,
            UnicastChecksum::Detect => {
                (self.senders.get(to.into())).is_some_and(|sender| sender.old_checksum)
            }
        };
        if old && config.transport.is_unicast() {
            GROUP
        } else {
            to
        }
    }

    /// Never 0: the kernel would put another one in its place, and AH's sum would be wrong.
    fn next_identification(&mut self) -> u16 {
        self.identification = self.identification.checked_add(1).unwrap_or(1);
        self.identification
    }
}

/// The message with a checksum of zero.
fn message(config: &RouterConfig, priority: u8, interval: Duration) -> Vec<u8> {
    let mut message = vec![
        config.version.number() << 4 | ADVERTISEMENT,
        config.vrid,
        priority,
        advertised(config).count() as u8,
    ];
    match config.version {
        Version::V2 => message.extend([auth_type(&authentication(config)), seconds(interval)]),
        Version::V3 => message.extend(centiseconds(interval).to_be_bytes()),
    }
    message.extend([0, 0]);
    for address in advertised(config) {
        match address {
            IpAddr::V4(a) => message.extend(a.octets()),
            IpAddr::V6(a) => message.extend(a.octets()),
        }
    }
    if (config.version, config.family) == (Version::V2, Family::V4) {
        message.extend(match authentication(config) {
            Authentication::Password(password) => password,
            Authentication::None | Authentication::Ah(_) => [0; PASSWORD],
        });
    }
    message
}

/// The message of IPv6, whose checksum is over all that is behind the IP header, the trailer too.
fn message_v6(
    source: Ipv6Addr,
    to: Ipv6Addr,
    mut message: Vec<u8>,
    trailer: Option<[u8; trailer::LENGTH]>,
) -> Vec<u8> {
    message.extend(trailer.into_iter().flatten());
    let sum = Sum::pseudo_v6(source, to, VRRP, message.len());
    set_checksum(&mut message, sum);
    message
}

/// Puts the checksum into a message; `sum` is what it has besides.
fn set_checksum(message: &mut [u8], sum: Sum) {
    let sum = sum.add(message);
    if let Some(place) = message.get_mut(6..8) {
        place.copy_from_slice(&sum.finish().to_be_bytes());
    }
}

/// The addresses in an advertisement: no more than can be counted there, and of one family.
pub(super) fn advertised(config: &RouterConfig) -> impl Iterator<Item = &IpAddr> {
    let family = config.family;
    (config.addresses.iter())
        .filter(move |a| Family::of(**a) == family)
        .take(usize::from(u8::MAX))
}

/// What there is a place for in advertisements: only in those of version 2 over IPv4.
pub(super) const fn authentication(config: &RouterConfig) -> Authentication {
    match (config.version, config.family) {
        (Version::V2, Family::V4) => config.authentication,
        _ => Authentication::None,
    }
}

/// Its number in messages.
pub(super) const fn auth_type(authentication: &Authentication) -> u8 {
    match authentication {
        Authentication::None => 0,
        Authentication::Password(_) => 1,
        Authentication::Ah(_) => 2,
    }
}

/// An interval of version 2: 1 to 255 s.
pub(super) fn seconds(interval: Duration) -> u8 {
    u8::try_from(interval.as_secs()).unwrap_or(u8::MAX).max(1)
}

/// An interval of version 3: 0.01 to 40.95 s.
pub(super) fn centiseconds(interval: Duration) -> u16 {
    (interval.as_millis() / 10).clamp(1, 0x0fff) as u16
}
