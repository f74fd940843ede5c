//! Wire formats: one file a protocol, only what a director reads and writes.
//!
//! Each header has a *view*: the constructor checks the length once and keeps the fixed part as a
//! reference to an array, so that no accessor afterwards can panic, nor the compiler need to check. What
//! we send ourselves has a `Repr`, the fields that matter, whose `emit` gives the bytes. Offsets that
//! rewriting needs stand in each protocol's `field` module, counted from the header's start.
//!
//! Numbers are in host order, lengths and offsets in bytes.

pub mod arp;
pub mod ether;
pub mod gre;
pub mod gue;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
#[cfg(test)]
pub(crate) mod samples;
pub mod sctp;
pub mod tcp;
pub mod udp;

/// Which part of a packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct Fragment {
    /// Identification, common to the fragments of a packet; 16 bits of it in IPv4.
    pub id: u32,
    /// Where in the payload of the whole packet (IPv6: in its fragmentable part) this one's begins; a
    /// multiple of 8.
    pub offset: u16,
    /// Whether fragments behind this one follow.
    pub more: bool,
}

impl Fragment {
    /// Whether this is the first fragment, which holds the transport header.
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether this is the only "fragment" of its packet (RFC 6946): to be treated as a whole packet.
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// The `L` bytes at `at`. `at` must be a constant with `at + L <= N`: then nothing is left to check at run
/// time.
#[inline(always)]
fn bytes<const L: usize, const N: usize>(header: &[u8; N], at: usize) -> [u8; L] {
    let mut out = [0; L];
    out.copy_from_slice(&header[at..at + L]);
    out
}

/// The 16-bit number at `at`, a constant at most `N - 2`.
#[inline(always)]
fn be16<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes(bytes(header, at))
}

/// The 32-bit number at `at`, a constant at most `N - 4`.
#[inline(always)]
fn be32<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes(bytes(header, at))
}

/// Puts `value` at `at`, a constant with `at + L <= N`.
#[inline(always)]
fn put<const L: usize, const N: usize>(header: &mut [u8; N], at: usize, value: [u8; L]) {
    header[at..at + L].copy_from_slice(&value);
}
