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

/// A tunnel, as far as sizes go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// The family of the outer header.
    pub(super) family: Family,
    /// How many bytes all outer headers take.
    pub(super) overhead: usize,
    /// Whether the path's MTU is discovered. If not, DF of an IPv4 packet counts nothing (IPVS: `pmtu_disc`).
    pub(super) discover: bool,
}

/// Judges a packet against `mtu`, of which a tunnel's headers take a part. An aggregate is judged by the longest packet
/// that comes of it.
#[inline]
pub(super) fn judge(
    layout: &Layout,
    aggregate: Option<&Aggregate>,
    around: Option<&Around>,
    mtu: u32,
) -> Result<Fit, Refusal> {
    let mut mtu = mtu as usize;
    if let Some(tunnel) = around {
        // An IPv4 header can tell no greater length, whatever the interface takes.
        mtu = mtu
            .min(usize::from(u16::MAX))
            .saturating_sub(tunnel.overhead);
        // As IPVS has it: by the outer family, though it is the inner one whose packets are refused.
        let least = match tunnel.family {
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
    oversized(layout, aggregate, around, mtu, len)
}

#[cold]
fn oversized(
    layout: &Layout,
    aggregate: Option<&Aggregate>,
    around: Option<&Around>,
    mtu: usize,
    len: usize,
) -> Result<Fit, Refusal> {
    let refused = Err(Refusal::TooBig { mtu: mtu as u32 });
    let longest = usize::from(u16::MAX) - around.map_or(0, |t| t.overhead);
    let dont_fragment = layout.dont_fragment && around.is_none_or(|t| t.discover);
    if dont_fragment || layout.family == Family::V6 || mtu < MIN_MTU || len > longest {
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
