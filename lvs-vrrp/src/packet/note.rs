//! What is odd about advertisements that count.

use std::fmt;
use std::net::IpAddr;

use super::reject::Seconds;

/// What is odd about an advertisement that counts all the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// The sender's interval is another one (version 3: it is followed).
    Interval {
        /// In hundredths of a second.
        received: u32,
        /// Ours.
        ours: u32,
    },
    /// It has another number of addresses.
    AddressCount {
        /// How many there are.
        received: usize,
        /// How many we have.
        ours: usize,
    },
    /// One of our addresses is not in it: the first such.
    AddressMissing {
        /// The address.
        address: IpAddr,
    },
    /// Its first address is not link-local, which RFC 9568 section 5.2.9 asks for (told under `strict`).
    NotLinkLocal {
        /// The address.
        address: IpAddr,
    },
    /// A unicast peer makes checksums with the group's address, as keepalived up to 1.3.6 did: it is answered in kind.
    OldChecksum,
    /// It has no trailer, which is not demanded.
    NoTrailer,
}

impl Note {
    /// A short word for each kind, in the order of [`Self::kind`].
    pub const KINDS: [&'static str; 6] = [
        "interval",
        "address-count",
        "address-missing",
        "not-link-local",
        "old-checksum",
        "no-trailer",
    ];

    /// Its place in [`Self::KINDS`].
    pub const fn kind(&self) -> usize {
        match self {
            Self::Interval { .. } => 0,
            Self::AddressCount { .. } => 1,
            Self::AddressMissing { .. } => 2,
            Self::NotLinkLocal { .. } => 3,
            Self::OldChecksum => 4,
            Self::NoTrailer => 5,
        }
    }

    /// What to do about it, in one sentence, by the keywords of keepalived.conf.
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::Interval { .. } => {
                "Make advert_int the same on both, or failover takes another time than one expects."
            }
            Self::AddressCount { .. } | Self::AddressMissing { .. } => {
                "Make virtual_ipaddress the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::NotLinkLocal { .. } => {
                "Put a link-local address first in virtual_ipaddress, or take strict_mode away."
            }
            Self::OldChecksum => "Bring the peer's keepalived up to date.",
            Self::NoTrailer => "Give the sender auth_hmac too; then mode enforce can be set.",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval { received, ours } => write!(
                f,
                "an advertisement every {} s, and we send one every {} s",
                Seconds(*received),
                Seconds(*ours)
            ),
            Self::AddressCount { received, ours } => {
                write!(f, "{received} virtual addresses, and we have {ours}")
            }
            Self::AddressMissing { address } => {
                write!(f, "our virtual address {address} is not among the sender's")
            }
            Self::NotLinkLocal { address } => {
                write!(f, "the first virtual address, {address}, is not link-local")
            }
            Self::OldChecksum => {
                f.write_str("a checksum with the group's address, as by keepalived up to 1.3.6")
            }
            Self::NoTrailer => f.write_str("no auth_hmac trailer, which is not demanded yet"),
        }
    }
}
