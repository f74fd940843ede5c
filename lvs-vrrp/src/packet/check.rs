//! How advertisements are checked. The order is keepalived's, so that both call the same thing wrong.

use std::net::IpAddr;
use std::time::Duration;

use super::checksum::{Sum, VRRP};
use super::codec::Codec;
use super::emit::{advertised, auth_type, authentication, centiseconds, seconds};
use super::layout::{GROUP, HEADER, PASSWORD, Parts, Vrrp};
use super::{Advertisement, Note, Received, Reject, ah, same_secret, trailer};
use crate::config::{
    Authentication, CheckAddresses, Family, RouterConfig, TrailerMode, Transport, UnicastChecksum,
    Version,
};

/// What Ethernet fills packets up to.
const ETHERNET_LEAST: usize = 46;
/// The type of an advertisement.
const ADVERTISEMENT: u8 = 1;

impl Codec {
    /// Checks an advertisement against what is configured. What is odd about one that counts is appended to `notes`. `wall` is
    /// the time of day, since 1970.
    ///
    /// # Errors
    ///
    /// The first check that it does not pass.
    pub fn check(
        &mut self,
        config: &RouterConfig,
        packet: &Received<'_>,
        wall: Duration,
        notes: &mut Vec<Note>,
    ) -> Result<Advertisement, Reject> {
        let before = notes.len();
        let result = self.genuine(config, packet, wall, notes);
        match &result {
            Ok(advertisement) => self.last = Some(advertisement.from),
            Err(_) => notes.truncate(before),
        }
        result
    }

    fn genuine(
        &mut self,
        config: &RouterConfig,
        packet: &Received<'_>,
        wall: Duration,
        notes: &mut Vec<Note>,
    ) -> Result<Advertisement, Reject> {
        let came = Came::read(config, packet)?;
        came.check_ttl(config)?;
        came.check_version(config)?;
        self.check_trailer(config, &came, wall, notes)?;
        if config.version == Version::V2 {
            self.check_authentication(config, &came)?;
        }
        let interval = came.check_interval(config, notes)?;
        came.check_type()?;
        came.check_ip_length()?;
        self.check_checksum(config, &came, notes)?;
        came.check_transport(config)?;
        if config.rivals.owner_deaf && config.is_owner() {
            return Err(Reject::Owner);
        }
        let addresses = came.addresses();
        check_count(config, addresses.len(), notes)?;
        if self.last != Some(came.from) || config.check_addresses == CheckAddresses::Each {
            check_addresses(config, &addresses, notes);
        }
        came.check_peer(config)?;
        Ok(Advertisement {
            from: came.from,
            vrid: came.vrrp.vrid,
            priority: came.vrrp.priority,
            interval,
            addresses,
        })
    }

    fn check_trailer(
        &mut self,
        config: &RouterConfig,
        came: &Came<'_>,
        wall: Duration,
        notes: &mut Vec<Note>,
    ) -> Result<(), Reject> {
        let Some(wanted) = &config.trailer else {
            return Ok(());
        };
        let Some(trailer) = came.trailer else {
            if wanted.mode == TrailerMode::Enforce {
                return Err(Reject::TrailerMissing);
            }
            notes.push(Note::NoTrailer);
            return Ok(());
        };
        let about = trailer::About {
            version: came.vrrp.version,
            vrid: came.vrrp.vrid,
            source: came.from,
        };
        let last = self.senders.get(came.from).and_then(|s| s.stamp);
        let stamp = trailer::check(wanted, about, came.message, trailer, last, wall)?;
        self.senders.entry(came.from).stamp = Some(stamp);
        Ok(())
    }

    fn check_authentication(
        &mut self,
        config: &RouterConfig,
        came: &Came<'_>,
    ) -> Result<(), Reject> {
        let [received, _] = came.vrrp.rest;
        let ours = authentication(config);
        let expected = auth_type(&ours);
        if received != expected {
            return Err(Reject::AuthType { received, expected });
        }
        match &ours {
            Authentication::None => Ok(()),
            Authentication::Password(ours) => match came.message.last_chunk::<PASSWORD>() {
                Some(theirs) if same_secret(theirs, ours) => Ok(()),
                _ => Err(Reject::Password),
            },
            Authentication::Ah(key) => self.check_ah(config, came, key),
        }
    }

    fn check_ah(
        &mut self,
        config: &RouterConfig,
        came: &Came<'_>,
        key: &[u8; 8],
    ) -> Result<(), Reject> {
        let (Some(ip), Some(header)) = (came.parts.ip, came.parts.ah) else {
            return Err(Reject::AhMissing);
        };
        let unicast = config.transport.is_unicast();
        if !ah::verify(key, ip.bytes, header, came.parts.message, unicast) {
            return Err(Reject::AhIcv);
        }
        let spi = ah::spi(header);
        if spi != u32::from(ip.src) {
            return Err(Reject::AhSpi { received: spi });
        }
        let received = ah::sequence(header);
        let sender = self.senders.entry(came.from);
        if let Some(last) = sender.sequence
            && !ah::is_after(received, last)
        {
            return Err(Reject::AhReplayed { received, last });
        }
        sender.sequence = Some(received);
        if self
            .sequence
            .is_none_or(|ours| ah::is_after(received, ours))
        {
            self.sequence = Some(received);
        }
        Ok(())
    }

    fn check_checksum(
        &mut self,
        config: &RouterConfig,
        came: &Came<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), Reject> {
        let is_right = |sum: Sum, bytes| sum.add(bytes).finish() == 0;
        let wrong = |without_pseudo_header| Reject::Checksum {
            received: came.vrrp.checksum,
            without_pseudo_header,
        };
        match (came.from, came.to) {
            (IpAddr::V4(_), _) if config.version == Version::V2 => {
                let right = is_right(Sum::default(), came.message);
                right.then_some(()).ok_or_else(|| wrong(false))
            }
            (IpAddr::V4(from), Some(IpAddr::V4(to))) if !config.checksum.plain => {
                let with =
                    |to| is_right(Sum::pseudo_v4(from, to, came.message.len()), came.message);
                let (unicast, way) = (config.transport.is_unicast(), config.checksum.unicast);
                let new = !(unicast && way == UnicastChecksum::Old) && with(to);
                let old = !new && unicast && way != UnicastChecksum::New && with(GROUP);
                if !new && !old {
                    return Err(wrong(is_right(Sum::default(), came.message)));
                }
                if unicast && way == UnicastChecksum::Detect {
                    self.remember_checksum(config, came.from, old);
                    if old {
                        notes.push(Note::OldChecksum);
                    }
                }
                Ok(())
            }
            (IpAddr::V6(from), Some(IpAddr::V6(to))) => {
                let bytes = came.parts.message;
                let right = is_right(Sum::pseudo_v6(from, to, VRRP, bytes.len()), bytes);
                right.then_some(()).ok_or_else(|| wrong(false))
            }
            // Not to be looked at, or not to be computed; the kernel has looked at IPv6's.
            _ => Ok(()),
        }
    }

    /// Remembers how a peer makes checksums; not so of others, for anybody can be one of these.
    fn remember_checksum(&mut self, config: &RouterConfig, from: IpAddr, old: bool) {
        if let Transport::Unicast { peers, .. } = &config.transport
            && peers.iter().any(|p| p.addr == from)
            && (old || self.senders.get(from).is_some())
        {
            self.senders.entry(from).old_checksum = old;
        }
    }
}

/// An advertisement whose parts have been found.
struct Came<'a> {
    parts: Parts<'a>,
    vrrp: Vrrp,
    from: IpAddr,
    to: Option<IpAddr>,
    hop_limit: Option<u8>,
    /// The length of all of it.
    length: usize,
    /// How much of that Ethernet has added.
    padding: usize,
    /// From the VRRP header on, without trailer.
    message: &'a [u8],
    trailer: Option<&'a [u8; trailer::LENGTH]>,
}

impl<'a> Came<'a> {
    /// Finds the parts, which fill it.
    fn read(config: &RouterConfig, packet: &Received<'a>) -> Result<Self, Reject> {
        let parts = match config.family {
            Family::V4 => Parts::of_v4(packet.bytes)?,
            Family::V6 => Parts::of_v6(packet.bytes)?,
        };
        let vrrp = parts.vrrp();
        if vrrp.vrid != config.vrid {
            return Err(Reject::Vrid {
                received: vrrp.vrid,
                expected: config.vrid,
            });
        }
        let wants_ah = matches!(authentication(config), Authentication::Ah(_));
        match (parts.ah.is_some(), wants_ah) {
            (true, false) => return Err(Reject::AhUnexpected),
            (false, true) => return Err(Reject::AhMissing),
            _ => {}
        }
        let (from, to, hop_limit) = match parts.ip {
            Some(ip) => (ip.src.into(), Some(ip.dst.into()), Some(ip.ttl)),
            None => (packet.from, packet.to, packet.hop_limit),
        };
        let came = Self {
            parts,
            vrrp,
            from,
            to,
            hop_limit,
            length: packet.bytes.len(),
            padding: 0,
            message: parts.message,
            trailer: None,
        };
        match vrrp.length(config.family == Family::V4) {
            Some(length) => came.with_message_of(length, config.trailer.is_some()),
            // Of an unknown version, which is what will be wrong with it.
            None => Ok(came),
        }
    }

    /// With a message of this length; behind it there may be a trailer, or what Ethernet added.
    fn with_message_of(self, length: usize, trailed: bool) -> Result<Self, Reject> {
        let expected = self.parts.before() + length;
        let wrong = Reject::Length {
            received: self.length,
            expected,
        };
        let Some((message, rest)) = self.parts.message.split_at_checked(length) else {
            return Err(wrong);
        };
        let trailer = rest.try_into().ok().filter(|_| trailed);
        // Words of four bytes before 46 bytes, with and without the four of a VLAN tag.
        let is_padding =
            self.parts.ip.is_some() && self.length <= ETHERNET_LEAST && rest.len() % 4 == 2;
        if !rest.is_empty() && trailer.is_none() && !is_padding {
            return Err(wrong);
        }
        Ok(Self {
            message,
            trailer,
            padding: if is_padding { rest.len() } else { 0 },
            ..self
        })
    }

    fn check_ttl(&self, config: &RouterConfig) -> Result<(), Reject> {
        match self.hop_limit {
            Some(received) if received != u8::MAX && !config.transport.is_unicast() => {
                Err(Reject::Ttl { received })
            }
            _ => Ok(()),
        }
    }

    fn check_version(&self, config: &RouterConfig) -> Result<(), Reject> {
        let (received, expected) = (self.vrrp.version, config.version.number());
        if received == expected {
            Ok(())
        } else {
            Err(Reject::Version { received, expected })
        }
    }

    /// The interval, if it may be what it is.
    fn check_interval(
        &self,
        config: &RouterConfig,
        notes: &mut Vec<Note>,
    ) -> Result<Duration, Reject> {
        let [high, low] = self.vrrp.rest;
        let (received, ours) = match config.version {
            Version::V2 => (
                u32::from(low) * 100,
                u32::from(seconds(config.interval)) * 100,
            ),
            Version::V3 => (
                u32::from(u16::from_be_bytes([high & 0x0f, low])),
                u32::from(centiseconds(config.interval)),
            ),
        };
        if received != ours {
            if config.version == Version::V2 || received == 0 {
                return Err(Reject::Interval {
                    received,
                    expected: ours,
                });
            }
            notes.push(Note::Interval { received, ours });
        }
        Ok(Duration::from_millis(u64::from(received) * 10))
    }

    fn check_type(&self) -> Result<(), Reject> {
        match self.vrrp.kind {
            ADVERTISEMENT => Ok(()),
            received => Err(Reject::Type { received }),
        }
    }

    fn check_ip_length(&self) -> Result<(), Reject> {
        match self.parts.ip {
            Some(ip)
                if usize::from(ip.total) != self.length
                    && usize::from(ip.total) != self.length - self.padding =>
            {
                Err(Reject::IpLength {
                    stated: ip.total,
                    received: self.length,
                })
            }
            _ => Ok(()),
        }
    }

    fn check_transport(&self, config: &RouterConfig) -> Result<(), Reject> {
        match (self.to, config.transport.is_unicast()) {
            (Some(to), true) if to.is_multicast() => Err(Reject::Multicast),
            (Some(to), false) if !to.is_multicast() => Err(Reject::Unicast),
            _ => Ok(()),
        }
    }

    fn check_peer(&self, config: &RouterConfig) -> Result<(), Reject> {
        let Transport::Unicast {
            peers,
            check_source: true,
            ..
        } = &config.transport
        else {
            return Ok(());
        };
        let peer = (peers.iter().find(|p| p.addr == self.from))
            .ok_or(Reject::NotAPeer { from: self.from })?;
        let (least, most) = peer.ttl;
        match self.hop_limit {
            Some(received) if !(least..=most).contains(&received) => Err(Reject::TtlRange {
                received,
                least,
                most,
            }),
            _ => Ok(()),
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let bytes = self.message.get(HEADER..).unwrap_or_default();
        let count = usize::from(self.vrrp.count);
        if self.parts.ip.is_some() {
            let (addresses, _) = bytes.as_chunks::<4>();
            addresses.iter().take(count).map(|a| (*a).into()).collect()
        } else {
            let (addresses, _) = bytes.as_chunks::<16>();
            addresses.iter().take(count).map(|a| (*a).into()).collect()
        }
    }
}

/// Compares the number of addresses in an advertisement with ours.
fn check_count(
    config: &RouterConfig,
    received: usize,
    notes: &mut Vec<Note>,
) -> Result<(), Reject> {
    let ours = advertised(config).count();
    if received == ours {
        return Ok(());
    }
    if !config.any_address_count {
        return Err(Reject::AddressCount { received, ours });
    }
    notes.push(Note::AddressCount { received, ours });
    Ok(())
}

/// Compares the addresses in an advertisement with ours.
fn check_addresses(config: &RouterConfig, received: &[IpAddr], notes: &mut Vec<Note>) {
    if let Some(missing) = advertised(config).find(|a| !received.contains(a)) {
        notes.push(Note::AddressMissing { address: *missing });
    }
    if config.strict
        && let Some(first @ IpAddr::V6(v6)) = received.first()
        && !v6.is_unicast_link_local()
    {
        notes.push(Note::NotLinkLocal { address: *first });
    }
}
