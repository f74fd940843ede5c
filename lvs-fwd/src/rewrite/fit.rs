//! Whether a packet fits the way on.

use lvs_core::{DropReason, Family};

use super::Refusal;
use crate::parse::Layout;
use crate::segmentation::Aggregate;
use crate::split::MIN_MTU;

/// IPv6's least MTU (RFC 8200 section 5).
const V6_MIN_MTU: usize = 1280;

/// How a packet may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// As it is.
    Whole,
    /// As an aggregate of TCP segments of this size, smaller than the sender's own. Only without DF: a
    /// sender that discovers the path's MTU wants to be told.
    Resized(u16),
    /// In IPv4 fragments, or in a tunnel as fragments of the outer packet.
    Fragments,
}

/// Judges a packet against `mtu`, of which a tunnel's header takes `overhead` bytes (else 0). An aggregate
/// is judged by the longest packet that comes of it.
#[inline]
pub(super) fn judge(
    layout: &Layout,
    aggregate: Option<&Aggregate>,
    overhead: usize,
    mtu: u32,
) -> Result<Fit, Refusal> {
    let mut mtu = mtu as usize;
    if overhead > 0 {
        // An IPv4 header can tell no greater length, whatever the interface takes.
        mtu = mtu.min(usize::from(u16::MAX)).saturating_sub(overhead);
        let least = match layout.family {
            Family::V4 => MIN_MTU,
            Family::V6 => V6_MIN_MTU,
        };
        if mtu < least {
            return Err(DropReason::Unsupported.into());
        }
    }
    let len = aggregate.map_or(layout.len as usize, |a| a.longest(layout));
    if len <= mtu {
        return Ok(Fit::Whole);
    }
    oversized(layout, aggregate, overhead, mtu, len)
}

#[cold]
fn oversized(
    layout: &Layout,
    aggregate: Option<&Aggregate>,
    overhead: usize,
    mtu: usize,
    len: usize,
) -> Result<Fit, Refusal> {
    let refused = Err(Refusal::TooBig { mtu: mtu as u32 });
    let longest = usize::from(u16::MAX) - overhead;
    if layout.dont_fragment || layout.family == Family::V6 || mtu < MIN_MTU || len > longest {
        return refused;
    }
    match aggregate.filter(|a| a.is_stream()) {
        Some(a) => match mtu.checked_sub(a.headers_len()) {
            Some(size @ 1..) => Ok(Fit::Resized(size.min(usize::from(u16::MAX)) as u16)),
            _ => refused,
        },
        None => Ok(Fit::Fragments),
    }
}
