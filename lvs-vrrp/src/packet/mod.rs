//! Advertisements as bytes: made, read, and checked against what a virtual router expects.

use std::net::IpAddr;
use std::time::Duration;

/// An advertisement as it came.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Received<'a> {
    /// Whom it came from.
    pub from: IpAddr,
    /// Whom it went to: the group or one of our addresses; `None` if the system did not say.
    pub to: Option<IpAddr>,
    /// Its TTL or hop limit; `None` if the system did not say.
    pub hop_limit: Option<u8>,
    /// IPv4: the packet from its IP header on; IPv6: the message from its VRRP header on.
    pub bytes: &'a [u8],
}

/// What a genuine advertisement says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advertisement {
    /// Whom it came from.
    pub from: IpAddr,
    /// The virtual router's number.
    pub vrid: u8,
    /// The sender's priority; 0: it steps down.
    pub priority: u8,
    /// The time between the sender's advertisements.
    pub interval: Duration,
    /// The addresses of the virtual router.
    pub addresses: Vec<IpAddr>,
}

/// Why an advertisement does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reject {}

impl Reject {
    /// A short word for each kind, in the order of [`Self::kind`]: what metrics and statistics call it.
    pub const KINDS: [&'static str; 0] = [];
}

/// What is odd about an advertisement that counts all the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {}

impl Note {
    /// A short word for each kind, in the order of [`Self::kind`].
    pub const KINDS: [&'static str; 0] = [];
}
