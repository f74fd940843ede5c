//! keepalived 2.4's trailer behind advertisements (`auth_hmac`).
//!
//! ```text
//! 1 | key | 0 0 | stamp: seconds (4), 1/65536 s (2), counter (2) | first 16 bytes of HMAC-SHA-256
//! ```
//!
//! The sum is over 20 bytes that are not sent (family 4 or 6, version, VRID, 0, the sender's address padded to 16), the message
//! and the trailer, with zeros for the message's checksum and the sum itself. So it says who sent it, wherever it goes. The
//! stamp grows with each advertisement; in the mode of time it is also near the receiver's clock.

use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Reject;
use crate::config::{Replay, Trailer, TrailerKey};

/// The length of the trailer.
pub(super) const LENGTH: usize = 28;
/// The length of its sum.
const SUM: usize = 16;
/// The only type there is.
const TYPE: u8 = 1;
/// Where the checksum stands in a message.
const CHECKSUM: std::ops::Range<usize> = 6..8;

/// What the sum is about besides the bytes that are sent.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) version: u8,
    pub(super) vrid: u8,
    pub(super) source: IpAddr,
}

/// The trailer of a message; `None` if its active key does not exist.
pub(super) fn make(
    config: &Trailer,
    about: About,
    message: &[u8],
    stamp: u64,
) -> Option<[u8; LENGTH]> {
    let key = key(config, config.active)?;
    let mut trailer = [0; LENGTH];
    trailer[0] = TYPE;
    trailer[1] = key.id;
    trailer[4..12].copy_from_slice(&stamp.to_be_bytes());
    let sum = sum(key, about, message, &trailer).finalize().into_bytes();
    trailer[LENGTH - SUM..].copy_from_slice(&sum[..SUM]);
    Some(trailer)
}

/// The stamp of a trailer that is genuine; `last` is that of the sender's last one.
pub(super) fn check(
    config: &Trailer,
    about: About,
    message: &[u8],
    trailer: &[u8; LENGTH],
    last: Option<u64>,
    wall: Duration,
) -> Result<u64, Reject> {
    let [TYPE, id, 0, 0, a, b, c, d, e, f, g, h, ..] = *trailer else {
        return Err(Reject::TrailerMalformed);
    };
    let stamp = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    // Before the sum is made: it costs nothing to refuse what is old.
    if !is_near(config, stamp, wall) {
        return Err(Reject::TrailerStale {
            behind: behind(stamp, wall),
            window: window(config),
        });
    }
    let key = key(config, id).ok_or(Reject::TrailerKey { id })?;
    sum(key, about, message, trailer)
        .verify_truncated_left(&trailer[LENGTH - SUM..])
        .map_err(|_| Reject::TrailerHmac { id })?;
    // A last stamp that would not be taken now keeps nothing out; but it would keep out for long a sender whose clock has
    // been set back.
    let last = last.filter(|last| is_near(config, *last, wall));
    if last.is_some_and(|last| !is_after(stamp, last)) {
        return Err(Reject::TrailerReplayed);
    }
    Ok(stamp)
}

/// The stamp of an advertisement that is sent at `wall`, after one with the stamp `last`.
pub(super) fn next_stamp(config: &Trailer, last: u64, wall: Duration) -> u64 {
    let fraction = (u64::from(wall.subsec_nanos()) << 16) / 1_000_000_000;
    let now = (wall.as_secs() << 32) | (fraction << 16);
    // Our clock may have been set back, too.
    if is_after(now, last) || !is_near(config, last, wall) {
        now
    } else {
        last.wrapping_add(1)
    }
}

/// Whether a stamp is no farther from the clock than is allowed.
fn is_near(config: &Trailer, stamp: u64, wall: Duration) -> bool {
    config.replay == Replay::Monotonic || behind(stamp, wall).unsigned_abs() <= window(config)
}

/// How many seconds a stamp is behind the clock, whose seconds begin anew after 2³² (in 2106).
const fn behind(stamp: u64, wall: Duration) -> i32 {
    (wall.as_secs() as u32).wrapping_sub((stamp >> 32) as u32) as i32
}

fn window(config: &Trailer) -> u32 {
    u32::try_from(config.window.as_secs()).unwrap_or(u32::MAX)
}

const fn is_after(a: u64, b: u64) -> bool {
    a.wrapping_sub(b) as i64 > 0
}

fn key(config: &Trailer, id: u8) -> Option<&TrailerKey> {
    config.keys.iter().find(|k| k.id == id)
}

fn sum(key: &TrailerKey, about: About, message: &[u8], trailer: &[u8; LENGTH]) -> Hmac<Sha256> {
    let mut unsent = [0; 20];
    unsent[1] = about.version;
    unsent[2] = about.vrid;
    match about.source {
        IpAddr::V4(addr) => {
            unsent[0] = 4;
            unsent[4..8].copy_from_slice(&addr.octets());
        }
        IpAddr::V6(addr) => {
            unsent[0] = 6;
            unsent[4..].copy_from_slice(&addr.octets());
        }
    }
    let mut message = message.to_vec();
    if let Some(checksum) = message.get_mut(CHECKSUM) {
        checksum.fill(0);
    }
    let mut sum =
        Hmac::<Sha256>::new_from_slice(&key.secret).expect("HMAC takes keys of any length");
    sum.update(&unsent);
    sum.update(&message);
    sum.update(&trailer[..LENGTH - SUM]);
    sum.update(&[0; SUM]);
    sum
}
