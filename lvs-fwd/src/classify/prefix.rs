//! Address prefixes.

use std::fmt;
use std::str::FromStr;

use lvs_core::{Family, Ip};

/// The addresses of one family that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: Ip,
    len: u8,
}

/// Why something is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixError {
    /// What stands before the slash is no address.
    Address,
    /// The length is none, or greater than this.
    Length(u8),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("not an IPv4 or IPv6 address"),
            Self::Length(max) => write!(f, "the prefix length must be 0 to {max}"),
        }
    }
}

impl std::error::Error for PrefixError {}

impl Prefix {
    /// All addresses whose first `len` bits are those of `address`.
    ///
    /// # Errors
    ///
    /// [`PrefixError::Length`] if the family's addresses are shorter.
    pub fn new(address: Ip, len: u8) -> Result<Self, PrefixError> {
        let bits = bits_of(address.family());
        match len <= bits {
            true => Ok(Self {
                address: address.masked(len),
                len,
            }),
            false => Err(PrefixError::Length(bits)),
        }
    }

    /// One address.
    pub fn single(address: Ip) -> Self {
        let len = bits_of(address.family());
        Self { address, len }
    }

    /// The lowest of the addresses.
    pub const fn address(&self) -> Ip {
        self.address
    }

    /// How many bits they have in common: 0 to 32, or 128 for IPv6.
    pub const fn bits(&self) -> u8 {
        self.len
    }

    /// The addresses' family.
    pub fn family(&self) -> Family {
        self.address.family()
    }

    /// Whether it is one address only.
    pub fn is_single(&self) -> bool {
        self.len == bits_of(self.family())
    }

    /// Whether the address is one of them.
    pub fn contains(&self, ip: Ip) -> bool {
        ip.family() == self.family() && ip.masked(self.len) == self.address
    }
}

const fn bits_of(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `ADDRESS/LENGTH`, or `ADDRESS` alone. Bits of the address beyond the length do not count.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (address, len) = match s.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (s, None),
        };
        let address: Ip = address.parse().map_err(|_| PrefixError::Address)?;
        let Some(len) = len else {
            return Ok(Self::single(address));
        };
        let digits = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
        let len = len.parse().ok().filter(|_| digits);
        Self::new(address, len.unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        match self.is_single() {
            true => Ok(()),
            false => write!(f, "/{}", self.len),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_printed() {
        for (s, printed) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("fd00:9::1234/120", "fd00:9::1200/120"),
            ("fd00::1/128", "fd00::1"),
        ] {
            assert_eq!(s.parse::<Prefix>().unwrap().to_string(), printed);
        }
        for (s, error) in [
            ("10.1.2/8", PrefixError::Address),
            ("", PrefixError::Address),
            ("/8", PrefixError::Address),
            ("10.1.2.3/33", PrefixError::Length(32)),
            ("10.1.2.3/", PrefixError::Length(32)),
            ("10.1.2.3/+8", PrefixError::Length(32)),
            ("10.1.2.3/256", PrefixError::Length(32)),
            ("fd00::/129", PrefixError::Length(128)),
        ] {
            assert_eq!(s.parse::<Prefix>(), Err(error), "{s}");
        }
    }

    #[test]
    fn a_prefix_holds_the_addresses_of_its_family_that_begin_so() {
        let holds = |p: &str, ip: &str| {
            let prefix: Prefix = p.parse().unwrap();
            prefix.contains(ip.parse().unwrap())
        };
        assert!(holds("10.9.0.0/16", "10.9.255.1") && !holds("10.9.0.0/16", "10.10.0.1"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "fd00::1"));
        assert!(holds("::/0", "fd00::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("fd00::/9", "fd7f::1") && !holds("fd00::/9", "fd80::1"));
        assert!(holds("10.0.0.1", "10.0.0.1") && !holds("10.0.0.1", "10.0.0.2"));
    }
}
