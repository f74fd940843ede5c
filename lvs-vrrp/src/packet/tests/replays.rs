//! What a virtual router remembers from one advertisement to the next.

use super::*;
use crate::config::{Checksum, Replay, UnicastChecksum};

fn ah() -> RouterConfig {
    v2_with(Authentication::Ah(password("1111")))
}

fn trailed(replay: Replay) -> RouterConfig {
    RouterConfig {
        trailer: Some(Trailer {
            replay,
            ..trailer(TrailerMode::Enforce)
        }),
        ..v3()
    }
}

/// The AH sequence number of a packet.
fn sequence(packet: &[u8]) -> u32 {
    u32::from_be_bytes(*packet[28..].first_chunk().unwrap())
}

/// The stamp of a packet of [`trailed`].
fn stamp(packet: &[u8]) -> u64 {
    u64::from_be_bytes(*packet[40..].first_chunk().unwrap())
}

#[test]
fn identifications_grow_and_are_never_zero() {
    let mut pair = Pair::new(v3());
    pair.sender.identification = u16::MAX - 1;
    let mut id = || {
        let packet = pair.send();
        u16::from_be_bytes([packet[4], packet[5]])
    };
    assert_eq!([id(), id(), id()], [u16::MAX, 1, 2]);
}

/// keepalived counts both directions with one number, and drops what is not above it.
#[test]
fn ah_goes_on_from_what_was_heard() {
    let mut pair = Pair::new(ah());
    pair.sender.sequence = Some(3_000_000_000);
    pair.pass().unwrap();
    std::mem::swap(&mut pair.sender, &mut pair.hearer);
    assert_eq!(sequence(&pair.send()), 3_000_000_002);
    assert_eq!(sequence(&pair.send()), 3_000_000_003);
}

/// What is not genuine is not learnt from.
#[test]
fn ah_does_not_learn_from_forgeries() {
    let mut pair = Pair::new(ah());
    pair.sender.sequence = Some(1000);
    pair.pass_changed(|b| b[30] = 0xff).unwrap_err();
    assert_eq!(pair.hearer.sequence, None);
    assert!(pair.hearer.senders.get(pair.from).is_none());
    pair.pass().unwrap();
}

#[test]
fn ah_numbers_begin_anew_after_the_last() {
    let mut pair = Pair::new(ah());
    pair.sender.sequence = Some(u32::MAX - 1);
    let last = pair.send();
    pair.hear(&last).unwrap();
    let next = pair.send();
    assert_eq!(sequence(&next), 0);
    pair.hear(&next).unwrap();
    assert_eq!(
        pair.hear(&last),
        Err(Reject::AhReplayed {
            received: u32::MAX,
            last: 0
        })
    );
}

/// A number is above the last of its sender, whatever others have sent.
#[test]
fn ah_numbers_are_counted_by_sender() {
    let mut pair = Pair::new(ah());
    pair.sender.sequence = Some(1000);
    pair.pass().unwrap();
    pair.from = ip("192.0.2.3");
    pair.sender = Codec::new();
    pair.pass().unwrap();
    assert_eq!(pair.hearer.sequence, Some(1001));
}

#[test]
fn stamps_grow_though_the_clock_stands() {
    let mut pair = Pair::new(trailed(Replay::Time));
    let first = pair.send();
    assert_eq!(stamp(&first), (WALL.as_secs() << 32) | 0x8000_0000);
    pair.hear(&first).unwrap();
    let second = pair.send();
    assert_eq!(stamp(&second), stamp(&first) + 1);
    pair.hear(&second).unwrap();
    assert_eq!(pair.hear(&first), Err(Reject::TrailerReplayed));
}

/// A little, the stamps go on; by more than what receivers take, they follow the clock, and receivers whose clock was set back
/// too take them.
#[test]
fn clocks_may_be_set_back() {
    let mut pair = Pair::new(trailed(Replay::Time));
    let first = pair.send();
    pair.hear(&first).unwrap();
    pair.wall -= Duration::from_secs(3);
    let second = pair.send();
    assert_eq!(stamp(&second), stamp(&first) + 1);
    pair.hear(&second).unwrap();
    pair.wall -= Duration::from_secs(60);
    let third = pair.send();
    assert_eq!(stamp(&third) >> 32, pair.wall.as_secs());
    pair.hear(&third).unwrap();
}

/// Without regard to the clock, stamps only grow.
#[test]
fn monotonic_stamps_grow_always() {
    let mut pair = Pair::new(trailed(Replay::Monotonic));
    let first = pair.send();
    pair.hear(&first).unwrap();
    pair.wall -= Duration::from_secs(3600);
    let second = pair.send();
    assert_eq!(stamp(&second), stamp(&first) + 1);
    pair.hear(&second).unwrap();
    pair.sender = Codec::new();
    assert_eq!(pair.pass(), Err(Reject::TrailerReplayed));
}

/// While keys are changed, each holder of both hears all.
#[test]
fn keys_are_found_by_their_number() {
    let mut pair = Pair::new(trailed(Replay::Time));
    pair.pass().unwrap();
    if let Some(trailer) = &mut pair.sends.trailer {
        trailer.active = 0;
    }
    pair.pass().unwrap();
}

/// A peer that makes checksums in the old way is answered so, and nobody else; and it may learn the new one.
#[test]
fn old_checksums_are_answered_in_kind() {
    let ours = RouterConfig {
        transport: unicast(&["192.0.2.1", "192.0.2.3"], None),
        ..v3()
    };
    let way = |unicast| RouterConfig {
        checksum: Checksum {
            unicast,
            ..Checksum::default()
        },
        transport: unicast_to_us(),
        ..v3()
    };
    let mut pair = Pair {
        sends: way(UnicastChecksum::Old),
        ..Pair::new(ours.clone())
    };
    let hears_us = |pair: &mut Pair, peer: &str, way| {
        let (from, to) = (ip("192.0.2.2"), ip(peer));
        let bytes = (pair.hearer).advertise(&ours, from, to, 100, ours.interval, WALL);
        let config = RouterConfig {
            checksum: Checksum {
                unicast: way,
                ..Checksum::default()
            },
            transport: unicast_to_us(),
            ..v3()
        };
        check(&config, &received("192.0.2.2", peer, &bytes))
            .0
            .is_ok()
    };
    assert!(!hears_us(&mut pair, "192.0.2.1", UnicastChecksum::Old));
    pair.sends = way(UnicastChecksum::New);
    pair.pass().unwrap();
    assert!(
        pair.hearer.senders.get(pair.from).is_none(),
        "there is nothing to remember"
    );
    pair.sends = way(UnicastChecksum::Old);
    pair.pass().unwrap();
    assert_eq!(pair.notes, [Note::OldChecksum]);
    assert!(hears_us(&mut pair, "192.0.2.1", UnicastChecksum::Old));
    assert!(hears_us(&mut pair, "192.0.2.3", UnicastChecksum::New));
    pair.sends = way(UnicastChecksum::New);
    pair.pass().unwrap();
    assert_eq!(pair.notes, []);
    assert!(hears_us(&mut pair, "192.0.2.1", UnicastChecksum::New));
}

fn unicast_to_us() -> Transport {
    unicast(&["192.0.2.2"], None)
}

/// Strangers are heard, but take no memory.
#[test]
fn checksums_of_strangers_are_not_remembered() {
    let old = RouterConfig {
        checksum: Checksum {
            unicast: UnicastChecksum::Old,
            ..Checksum::default()
        },
        transport: unicast_to_us(),
        ..v3()
    };
    let mut pair = Pair {
        sends: old,
        ..Pair::new(RouterConfig {
            transport: unicast(&["192.0.2.3"], None),
            ..v3()
        })
    };
    pair.pass().unwrap();
    assert!(pair.hearer.senders.get(pair.from).is_none());
}

#[test]
fn stamps_at_the_ends_of_the_window_are_in_it() {
    for (clock, taken) in [(-6, false), (-5, true), (5, true), (6, false)] {
        let mut pair = Pair::new(trailed(Replay::Time));
        let bytes = pair.send();
        pair.wall = Duration::from_secs(WALL.as_secs().saturating_add_signed(clock));
        assert_eq!(pair.hear(&bytes).is_ok(), taken, "{clock} s");
    }
}
