//! Addresses and endpoints, IPv4 and IPv6 alike in 16 bytes.
//!
//! A director compares addresses far more often than it looks inside them. So both families share one
//! representation: IPv4 is held as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2). Such addresses never
//! occur on the wire as IPv6 (the parser refuses them as martian), so no two hosts can collide.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The address family of a packet or service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// An IPv4 or IPv6 address in 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ip([u8; 16]);

const V4_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl Ip {
    /// The IPv6 unspecified address, `::`.
    pub const UNSPECIFIED: Self = Self([0; 16]);

    /// An IPv4 address from its four bytes as they stand on the wire.
    pub const fn v4(b: [u8; 4]) -> Self {
        let p = V4_PREFIX;
        Self([
            p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], b[0], b[1],
            b[2], b[3],
        ])
    }

    /// An IPv6 address from its sixteen bytes as they stand on the wire.
    pub const fn v6(b: [u8; 16]) -> Self {
        Self(b)
    }

    /// The sixteen bytes; IPv4 as `::ffff:a.b.c.d`.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The four bytes of an IPv4 address, or `None`.
    pub fn as_v4(&self) -> Option<[u8; 4]> {
        let (prefix, v4) = self.0.split_at(12);
        (prefix == V4_PREFIX).then(|| [v4[0], v4[1], v4[2], v4[3]])
    }

    /// Whether this is an IPv4 address.
    pub fn is_v4(&self) -> bool {
        self.family() == Family::V4
    }

    /// The family of the address.
    pub fn family(&self) -> Family {
        if self.0[..12] == V4_PREFIX {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// The address as two native integers, for hashing and comparing.
    pub fn words(&self) -> [u64; 2] {
        let (a, b) = self.0.split_at(8);
        let word = |s: &[u8]| u64::from_ne_bytes(s.try_into().unwrap_or([0; 8]));
        [word(a), word(b)]
    }

    /// The address folded to 32 bits in host order, as IPVS hashes it: an IPv4 address is itself, an
    /// IPv6 address the exclusive or of its four words.
    pub fn fold(&self) -> u32 {
        let word =
            |i: usize| u32::from_be_bytes([self.0[i], self.0[i + 1], self.0[i + 2], self.0[i + 3]]);
        if self.is_v4() {
            word(12)
        } else {
            word(0) ^ word(4) ^ word(8) ^ word(12)
        }
    }

    /// The address with all but its first `prefix` bits zero; of IPv4 at most 32 count.
    #[must_use]
    pub fn masked(&self, prefix: u8) -> Self {
        let skip = if self.is_v4() { 96 } else { 0 };
        let bits = u32::from(prefix).saturating_add(skip);
        let all = u128::from_be_bytes(self.0);
        let kept = all & !u128::MAX.checked_shr(bits).unwrap_or(0);
        Self(kept.to_be_bytes())
    }

    /// Whether the address is multicast (224.0.0.0/4, ff00::/8) or the IPv4 limited broadcast.
    pub fn is_multicast(&self) -> bool {
        match self.as_v4() {
            Some(b) => b[0] >> 4 == 0xe || b == [255; 4],
            None => self.0[0] == 0xff,
        }
    }

    /// Whether the address is a loopback address (127.0.0.0/8, ::1).
    pub fn is_loopback(&self) -> bool {
        match self.as_v4() {
            Some(b) => b[0] == 127,
            None => self.0 == Ipv6Addr::LOCALHOST.octets(),
        }
    }

    /// Whether the address is "this network" (0.0.0.0/8) or `::`.
    pub fn is_unspecified(&self) -> bool {
        match self.as_v4() {
            Some(b) => b[0] == 0,
            None => self.0 == [0; 16],
        }
    }

    /// Whether the address is IPv6 link-local unicast (fe80::/10).
    pub fn is_link_local_v6(&self) -> bool {
        self.0[0] == 0xfe && self.0[1] & 0xc0 == 0x80
    }
}

impl From<IpAddr> for Ip {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => Self::v4(a.octets()),
            IpAddr::V6(a) => Self::v6(a.octets()),
        }
    }
}

impl From<Ipv4Addr> for Ip {
    fn from(a: Ipv4Addr) -> Self {
        Self::v4(a.octets())
    }
}

impl From<Ipv6Addr> for Ip {
    fn from(a: Ipv6Addr) -> Self {
        Self::v6(a.octets())
    }
}

impl From<Ip> for IpAddr {
    fn from(ip: Ip) -> Self {
        match ip.as_v4() {
            Some(b) => Self::V4(b.into()),
            None => Self::V6(ip.0.into()),
        }
    }
}

impl FromStr for Ip {
    type Err = std::net::AddrParseError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<IpAddr>().map(Self::from)
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and a port: one end of a TCP or UDP flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "an endpoint is these two")]
pub struct Endpoint {
    /// The address.
    pub ip: Ip,
    /// The port, in host order.
    pub port: u16,
}

impl Endpoint {
    /// Puts an address and a port together.
    pub const fn new(ip: Ip, port: u16) -> Self {
        Self { ip, port }
    }
}

impl FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    /// Reads `a.b.c.d:port` or `[v6]:port`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<std::net::SocketAddr>()
            .map(|a| Self::new(a.ip().into(), a.port()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ip.is_v4() {
            write!(f, "{}:{}", self.ip, self.port)
        } else {
            write!(f, "[{}]:{}", self.ip, self.port)
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_a_round_trip() {
        for s in [
            "0.0.0.0",
            "10.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00:9::100",
        ] {
            let ip: Ip = s.parse().unwrap();
            assert_eq!(ip.to_string(), s);
            assert_eq!(ip.is_v4(), !s.contains(':'));
        }
    }

    #[test]
    fn fold_is_the_address_or_the_xor_of_its_words() {
        assert_eq!("192.168.1.1".parse::<Ip>().unwrap().fold(), 0xc0a8_0101);
        assert_eq!(
            "1:2::3:4".parse::<Ip>().unwrap().fold(),
            0x0001_0002 ^ 0x0003_0004
        );
    }

    #[test]
    fn a_mask_keeps_the_first_bits() {
        let masked = |s: &str, bits| s.parse::<Ip>().unwrap().masked(bits).to_string();
        assert_eq!(masked("10.9.1.255", 28), "10.9.1.240");
        assert_eq!(masked("10.9.1.255", 32), "10.9.1.255");
        assert_eq!(masked("10.9.1.255", 0), "0.0.0.0");
        assert_eq!(masked("fd00:9::1234", 120), "fd00:9::1200");
        assert_eq!(masked("fd00:9::1234", 128), "fd00:9::1234");
        assert_eq!(masked("fd00:9::1234", 1), "8000::");
    }

    #[test]
    fn special_addresses_are_recognised() {
        let ip = |s: &str| s.parse::<Ip>().unwrap();
        assert!(ip("224.0.0.81").is_multicast() && ip("ff02::1").is_multicast());
        assert!(ip("255.255.255.255").is_multicast());
        assert!(ip("127.3.4.5").is_loopback() && ip("::1").is_loopback());
        assert!(ip("0.1.2.3").is_unspecified() && ip("::").is_unspecified());
        assert!(ip("fe80::1").is_link_local_v6() && !ip("fec0::1").is_link_local_v6());
    }

    #[test]
    fn endpoints_print_as_sockets_do() {
        for s in ["10.0.0.1:80", "[fd00::1]:53"] {
            assert_eq!(s.parse::<Endpoint>().unwrap().to_string(), s);
        }
    }
}
