//! Advertisements as bytes: made, read, and checked against what a virtual router expects.
//!
//! IPv4 advertisements are handled with their IP header, which AH signs; IPv6 ones begin with the VRRP header, for Linux gives
//! and takes no more. A driver finds the virtual router of what came by [`vrid_of`], and the router's [`Codec`] says what it
//! is worth: an [`Advertisement`], with [`Note`]s if something is odd, or a [`Reject`].
//!
//! | file | holds |
//! |---|---|
//! | `codec.rs` | what a virtual router remembers from one advertisement to the next |
//! | `emit.rs` | how advertisements are made |
//! | `check.rs` | how they are checked, in keepalived's order |
//! | `layout.rs` | where headers begin and end |
//! | `checksum.rs`, `ah.rs`, `trailer.rs` | the three kinds of sums |
//! | `reject.rs`, `note.rs` | what is wrong or odd, and what to do about it |
//! | `senders.rs` | what is remembered of others |
//! | [`frames`] | gratuitous ARP and unsolicited neighbour advertisements |

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Family;

mod ah;
mod check;
mod checksum;
mod codec;
mod emit;
pub mod frames;
mod layout;
mod note;
mod reject;
mod senders;
#[cfg(test)]
mod tests;
mod trailer;

pub use codec::Codec;
pub use note::Note;
pub use reject::Reject;

/// An advertisement as it came.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Received<'a> {
    /// Whom it came from. IPv4: the header's word counts, here and in the next two.
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
    /// The time between the sender's advertisements: at least 10 ms.
    pub interval: Duration,
    /// The addresses of the virtual router.
    pub addresses: Vec<IpAddr>,
}

/// The virtual router's number in what came, for whoever must find the router; `None` if there is none in it. Nothing else is
/// looked at.
pub fn vrid_of(family: Family, bytes: &[u8]) -> Option<u8> {
    let parts = match family {
        Family::V4 => layout::Parts::of_v4(bytes),
        Family::V6 => layout::Parts::of_v6(bytes),
    };
    parts.ok().map(|p| p.vrrp().vrid)
}

/// Whether two secrets, or sums made with one, are the same, in a time that does not tell where they differ.
fn same_secret<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let differ = a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b));
    std::hint::black_box(differ) == 0
}
