//! Every reason to drop an advertisement: what brings it about, and how it reads.

use super::*;
use crate::config::{Checksum, Replay, Rivals, UnicastChecksum};

/// A pair that is out of step, what happens to an advertisement on its way, and why it is dropped.
struct Case {
    pair: Pair,
    change: fn(&mut Vec<u8>),
    reject: Reject,
    says: &'static str,
}

fn case(pair: Pair, change: fn(&mut Vec<u8>), reject: Reject, says: &'static str) -> Case {
    Case {
        pair,
        change,
        reject,
        says,
    }
}

const fn same(_: &mut Vec<u8>) {}

fn malformed() -> Vec<Case> {
    vec![
        case(
            Pair::new(v2()),
            |b| b.truncate(27),
            Reject::TooShort {
                length: 27,
                least: 28,
            },
            "27 bytes long, and its headers alone need 28",
        ),
        case(
            Pair::new(v2_with(Authentication::Ah([1; 8]))),
            |b| b.truncate(43),
            Reject::TooShort {
                length: 43,
                least: 52,
            },
            "43 bytes long, and its headers alone need 52",
        ),
        case(
            Pair::new(v6()),
            |b| b.truncate(7),
            Reject::TooShort {
                length: 7,
                least: 8,
            },
            "7 bytes long, and its headers alone need 8",
        ),
        case(
            Pair::new(v2()),
            |b| b[0] = 0x46,
            Reject::Vrid {
                received: 1,
                expected: 51,
            },
            "for virtual router 1, not 51",
        ),
        case(
            Pair::new(v2()),
            |b| b[9] = 17,
            Reject::NotVrrp,
            "no IPv4 packet with a VRRP or AH header",
        ),
        case(
            Pair::new(v2()),
            |b| b[0] = 0x65,
            Reject::NotVrrp,
            "no IPv4 packet with a VRRP or AH header",
        ),
        case(
            Pair::new(v2()),
            |b| b[0] = 0x44,
            Reject::NotVrrp,
            "no IPv4 packet with a VRRP or AH header",
        ),
        case(
            Pair::new(v2_with(Authentication::Ah([1; 8]))),
            |b| b[21] = 5,
            Reject::NotVrrp,
            "no IPv4 packet with a VRRP or AH header",
        ),
        case(
            Pair::new(v2_with(Authentication::Ah([1; 8]))),
            |b| b[20] = 17,
            Reject::NotVrrp,
            "no IPv4 packet with a VRRP or AH header",
        ),
        case(
            Pair::new(v2()),
            |b| b.truncate(40),
            Reject::Length {
                received: 40,
                expected: 44,
            },
            "40 bytes long, and should be 44",
        ),
        case(
            Pair::new(v3()),
            |b| b.extend([0; 4]),
            Reject::Length {
                received: 40,
                expected: 36,
            },
            "40 bytes long, and should be 36",
        ),
        case(
            differing(with_trailer(TrailerMode::Enforce), v3()),
            same,
            Reject::Length {
                received: 64,
                expected: 36,
            },
            "64 bytes long, and should be 36: there may be an auth_hmac trailer, which is not configured here",
        ),
        case(
            Pair::new(v3()),
            |b| b[MESSAGE] = 0x32,
            Reject::Type { received: 2 },
            "VRRP type 2, not 1 (advertisement)",
        ),
        case(
            Pair::new(v3()),
            |b| b[3] -= 4,
            Reject::IpLength {
                stated: 32,
                received: 36,
            },
            "36 bytes long, and its IPv4 header says 32",
        ),
    ]
}

fn of_another_kind() -> Vec<Case> {
    let ah = v2_with(Authentication::Ah([1; 8]));
    vec![
        case(
            Pair::new(v3()),
            |b| b[8] = 254,
            Reject::Ttl { received: 254 },
            "TTL 254, which must be 255: it came through a router, or its sender sets it wrong",
        ),
        case(
            differing(v3(), v2()),
            same,
            Reject::Version {
                received: 3,
                expected: 2,
            },
            "VRRP version 3, not 2",
        ),
        case(
            differing(v2(), v3()),
            same,
            Reject::Version {
                received: 2,
                expected: 3,
            },
            "VRRP version 2, not 3",
        ),
        case(
            Pair::new(v3()),
            |b| b[MESSAGE] = 0x41,
            Reject::Version {
                received: 4,
                expected: 3,
            },
            "VRRP version 4, not 3",
        ),
        case(
            differing(
                RouterConfig {
                    interval: Duration::from_secs(3),
                    ..v2()
                },
                v2(),
            ),
            same,
            Reject::Interval {
                received: 300,
                expected: 100,
            },
            "an advertisement every 3 s, not every 1 s",
        ),
        case(
            Pair::new(v3()),
            |b| b[MESSAGE + 5] = 0,
            Reject::Interval {
                received: 0,
                expected: 100,
            },
            "an advertisement every 0 s, not every 1 s",
        ),
        case(
            differing(ah.clone(), v2()),
            same,
            Reject::AhUnexpected,
            "an AH header (auth_type AH), which is not configured here",
        ),
        case(
            differing(v2(), ah),
            same,
            Reject::AhMissing,
            "no AH header, and auth_type AH is configured here",
        ),
        case(
            Pair {
                to: ip("224.0.0.18"),
                ..Pair::new(to_peer())
            },
            same,
            Reject::Multicast,
            "sent by multicast, and unicast is configured here",
        ),
        case(
            Pair {
                to: ip("192.0.2.2"),
                ..Pair::new(v3())
            },
            same,
            Reject::Unicast,
            "sent by unicast, and multicast is configured here",
        ),
        case(
            differing(to_peer(), from_peers_only("192.0.2.7", (0, 255))),
            same,
            Reject::NotAPeer {
                from: ip("192.0.2.1"),
            },
            "from 192.0.2.1, which is no unicast_peer",
        ),
        case(
            differing(to_peer(), from_peers_only("192.0.2.1", (63, 254))),
            same,
            Reject::TtlRange {
                received: 255,
                least: 63,
                most: 254,
            },
            "TTL 255, which must be 63 to 254",
        ),
        case(
            Pair::new(RouterConfig {
                priority: 255,
                rivals: Rivals {
                    owner_deaf: true,
                    ..Rivals::default()
                },
                ..v3()
            }),
            same,
            Reject::Owner,
            "not heeded, since we own the addresses",
        ),
        case(
            differing(config(Version::V3, 51, &["192.0.2.101"]), v3()),
            same,
            Reject::AddressCount {
                received: 1,
                ours: 2,
            },
            "1 virtual addresses, and we have 2",
        ),
    ]
}

fn not_genuine() -> Vec<Case> {
    let pass = |text| v2_with(Authentication::Password(password(text)));
    let ah = |text| v2_with(Authentication::Ah(password(text)));
    let in_an_hour = |config: RouterConfig| Pair {
        wall: WALL + Duration::from_secs(3600),
        ..Pair::new(config)
    };
    let with = |change: fn(&mut Trailer)| {
        let mut config = with_trailer(TrailerMode::Enforce);
        config.trailer.as_mut().map(change);
        config
    };
    vec![
        case(
            differing(pass("1111"), v2()),
            same,
            Reject::AuthType {
                received: 1,
                expected: 0,
            },
            "authentication by a password (PASS), not by nothing",
        ),
        case(
            Pair::new(pass("1111")),
            |b| b[MESSAGE + 4] = 9,
            Reject::AuthType {
                received: 9,
                expected: 1,
            },
            "authentication by an unknown type (9), not by a password (PASS)",
        ),
        case(
            Pair::new(ah("1111")),
            |b| b[MESSAGE + ah_header() + 4] = 0,
            Reject::AuthType {
                received: 0,
                expected: 2,
            },
            "authentication by nothing, not by AH",
        ),
        case(
            differing(pass("1112"), pass("1111")),
            same,
            Reject::Password,
            "a wrong password (auth_pass)",
        ),
        case(
            differing(ah("1112"), ah("1111")),
            same,
            Reject::AhIcv,
            "an AH header whose sum is wrong: another password (auth_pass), or a changed packet",
        ),
        case(
            Pair::new(ah("1111")),
            |b| resign_with_another_spi(b),
            Reject::AhSpi {
                received: 0xdead_beef,
            },
            "an AH header with SPI 0xdeadbeef, which must be the sender's address",
        ),
        case(
            differing(v3(), with_trailer(TrailerMode::Enforce)),
            same,
            Reject::TrailerMissing,
            "no auth_hmac trailer",
        ),
        case(
            Pair::new(with_trailer(TrailerMode::Enforce)),
            |b| b[36] = 2,
            Reject::TrailerMalformed,
            "an auth_hmac trailer of an unknown kind",
        ),
        case(
            Pair::new(with_trailer(TrailerMode::Enforce)),
            |b| b[38] = 1,
            Reject::TrailerMalformed,
            "an auth_hmac trailer of an unknown kind",
        ),
        case(
            in_an_hour(with_trailer(TrailerMode::Enforce)),
            |b| b[40..44].copy_from_slice(&(WALL.as_secs() as u32).to_be_bytes()),
            Reject::TrailerStale {
                behind: 3600,
                window: 5,
            },
            "an auth_hmac trailer made 3600 s ago by our clock, and 5 s are allowed",
        ),
        case(
            Pair::new(with_trailer(TrailerMode::Enforce)),
            |b| b[40..44].copy_from_slice(&(WALL.as_secs() as u32 + 6).to_be_bytes()),
            Reject::TrailerStale {
                behind: -6,
                window: 5,
            },
            "an auth_hmac trailer made 6 s in the future by our clock, and 5 s are allowed",
        ),
        case(
            Pair::new(with_trailer(TrailerMode::ReceiveOnly)),
            |b| {
                b.extend([1, 7, 0, 0]);
                b.extend((WALL.as_secs() as u32).to_be_bytes());
                b.extend([0; 20]);
            },
            Reject::TrailerKey { id: 7 },
            "an auth_hmac trailer with key 7, which is not configured here",
        ),
        case(
            differing(
                with(|t| t.keys[1].secret = b"another".to_vec()),
                with_trailer(TrailerMode::Permissive),
            ),
            same,
            Reject::TrailerHmac { id: 1 },
            "an auth_hmac trailer whose sum is wrong: another secret for key 1, or a forgery",
        ),
        case(
            differing(
                with(|t| t.active = 0),
                with(|t| {
                    t.keys.remove(0);
                    t.replay = Replay::Monotonic;
                }),
            ),
            same,
            Reject::TrailerKey { id: 0 },
            "an auth_hmac trailer with key 0, which is not configured here",
        ),
    ]
}

fn with_a_wrong_checksum() -> Vec<Case> {
    let checksum = |checksum, config| RouterConfig { checksum, ..config };
    let plain = Checksum {
        plain: true,
        ..Checksum::default()
    };
    let way = |unicast| Checksum {
        unicast,
        ..Checksum::default()
    };
    let wrong = |received| Reject::Checksum {
        received,
        without_pseudo_header: false,
    };
    vec![
        case(
            Pair::new(v2()),
            |b| b[MESSAGE + 6..MESSAGE + 8].fill(0xab),
            wrong(0xabab),
            "a wrong checksum, 0xabab",
        ),
        case(
            Pair::new(v3()),
            |b| b[MESSAGE + 6..MESSAGE + 8].fill(0xab),
            wrong(0xabab),
            "a wrong checksum, 0xabab",
        ),
        case(
            Pair::new(v6()),
            |b| b[6..8].fill(0xab),
            wrong(0xabab),
            "a wrong checksum, 0xabab",
        ),
        case(
            differing(checksum(plain, v3()), v3()),
            same,
            Reject::Checksum {
                received: 0xe59b,
                without_pseudo_header: true,
            },
            "a wrong checksum, 0xe59b: it is made without the pseudo-header",
        ),
        case(
            differing(
                checksum(way(UnicastChecksum::Old), to_peer()),
                checksum(way(UnicastChecksum::New), to_peer()),
            ),
            same,
            wrong(0x4307),
            "a wrong checksum, 0x4307",
        ),
        case(
            differing(to_peer(), checksum(way(UnicastChecksum::Old), to_peer())),
            same,
            wrong(0x6117),
            "a wrong checksum, 0x6117",
        ),
    ]
}

fn replayed() -> Vec<Case> {
    [
        v2_with(Authentication::Ah([7; 8])),
        with_trailer(TrailerMode::Enforce),
    ]
    .into_iter()
    .zip([
        (
            Reject::AhReplayed {
                received: 1,
                last: 1,
            },
            "an AH header with number 1, and the last was 1",
        ),
        (
            Reject::TrailerReplayed,
            "an auth_hmac trailer that is not newer than the last one",
        ),
    ])
    .map(|(config, (reject, says))| {
        let mut pair = Pair::new(config);
        let bytes = pair.send();
        pair.hear(&bytes).unwrap();
        pair.sender = Codec::new(); // which makes the same again
        case(pair, same, reject, says)
    })
    .collect()
}

#[test]
fn each_reason_drops_counts_and_reads_well() {
    let all = [
        malformed(),
        of_another_kind(),
        not_genuine(),
        with_a_wrong_checksum(),
        replayed(),
    ];
    let mut seen = [false; Reject::KINDS.len()];
    for mut case in all.into_iter().flatten() {
        let result = case.pair.pass_changed(case.change);
        assert_eq!(result, Err(case.reject.clone()), "{}", case.says);
        assert!(case.pair.notes.is_empty(), "{}", case.says);
        assert_eq!(case.reject.to_string(), case.says);
        assert!(case.reject.cure().ends_with('.'), "{}", case.says);
        seen[case.reject.kind()] = true;
    }
    for (kind, seen) in Reject::KINDS.iter().zip(seen) {
        assert!(seen, "nothing is dropped for {kind}");
    }
}

#[test]
fn words_are_their_own() {
    for words in [&Reject::KINDS[..], &Note::KINDS[..]] {
        for (at, word) in words.iter().enumerate() {
            assert!(!words[..at].contains(word), "{word}");
        }
    }
}

/// Puts in another security parameter index, and the sum that belongs to it.
fn resign_with_another_spi(bytes: &mut [u8]) {
    let (ip, rest) = bytes.split_first_chunk_mut().unwrap();
    let (header, message) = rest.split_first_chunk_mut().unwrap();
    header[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    crate::packet::ah::sign(&password("1111"), ip, header, message, false);
}

const fn ah_header() -> usize {
    crate::packet::ah::LENGTH
}
