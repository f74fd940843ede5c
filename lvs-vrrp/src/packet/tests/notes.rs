//! Every oddity of an advertisement that counts: what brings it about, and how it reads.

use super::*;
use crate::config::{CheckAddresses, Checksum, UnicastChecksum};

#[test]
fn each_oddity_is_noted_and_reads_well() {
    let other_addresses = config(Version::V3, 51, &["192.0.2.100", "192.0.2.102"]);
    let fewer_addresses = config(Version::V3, 51, &["192.0.2.101"]);
    let faster = RouterConfig {
        interval: Duration::from_millis(250),
        ..v3()
    };
    let strict = RouterConfig {
        strict: true,
        addresses: vec![ip("2001:db8::100"), ip("fe80::100")],
        ..v6()
    };
    let old = RouterConfig {
        checksum: Checksum {
            unicast: UnicastChecksum::Old,
            ..Checksum::default()
        },
        ..to_peer()
    };
    let address_missing = |address| Note::AddressMissing {
        address: ip(address),
    };
    let cases = [
        (
            differing(faster, v3()),
            vec![Note::Interval {
                received: 25,
                ours: 100,
            }],
            "an advertisement every 0.25 s, and we send one every 1 s",
        ),
        (
            differing(other_addresses, v3()),
            vec![address_missing("192.0.2.101")],
            "our virtual address 192.0.2.101 is not among the sender's",
        ),
        (
            differing(
                fewer_addresses,
                RouterConfig {
                    any_address_count: true,
                    ..v3()
                },
            ),
            vec![
                Note::AddressCount {
                    received: 1,
                    ours: 2,
                },
                address_missing("192.0.2.100"),
            ],
            "1 virtual addresses, and we have 2",
        ),
        (
            Pair::new(strict),
            vec![Note::NotLinkLocal {
                address: ip("2001:db8::100"),
            }],
            "the first virtual address, 2001:db8::100, is not link-local",
        ),
        (
            differing(old, to_peer()),
            vec![Note::OldChecksum],
            "a checksum with the group's address, as by keepalived up to 1.3.6",
        ),
        (
            differing(v3(), with_trailer(TrailerMode::Permissive)),
            vec![Note::NoTrailer],
            "no auth_hmac trailer, which is not demanded yet",
        ),
        (
            differing(v3(), with_trailer(TrailerMode::ReceiveOnly)),
            vec![Note::NoTrailer],
            "no auth_hmac trailer, which is not demanded yet",
        ),
    ];
    let mut seen = [false; Note::KINDS.len()];
    for (mut pair, notes, says) in cases {
        pair.pass().expect(says);
        assert_eq!(pair.notes, notes, "{says}");
        assert_eq!(pair.notes[0].to_string(), says);
        for note in notes {
            assert!(note.cure().ends_with('.'), "{note}");
            seen[note.kind()] = true;
        }
    }
    for (kind, seen) in Note::KINDS.iter().zip(seen) {
        assert!(seen, "{kind} is never noted");
    }
}

#[test]
fn nothing_is_noted_of_what_is_as_it_should_be() {
    for config in [
        v2(),
        v3(),
        v6(),
        to_peer(),
        with_trailer(TrailerMode::Enforce),
    ] {
        let mut pair = Pair::new(config);
        pair.pass().unwrap();
        assert_eq!(pair.notes, []);
    }
}

/// The oddities of an advertisement that is dropped in the end are nobody's business.
#[test]
fn what_is_dropped_has_no_notes() {
    let faster = RouterConfig {
        interval: Duration::from_millis(250),
        ..v3()
    };
    let mut pair = differing(faster, v3());
    let mut notes = vec![Note::OldChecksum];
    let mut bytes = pair.send();
    bytes[MESSAGE + 6] ^= 1;
    let packet = received("192.0.2.1", "224.0.0.18", &bytes);
    let result = Codec::new().check(&v3(), &packet, WALL, &mut notes);
    assert!(matches!(result, Err(Reject::Checksum { .. })));
    assert_eq!(notes, [Note::OldChecksum]);
}

/// Addresses of the same master are compared once with `skip_check_adv_addr`, and those of another one anew.
#[test]
fn addresses_are_compared_once_if_so_configured() {
    let other = config(Version::V3, 51, &["192.0.2.100", "192.0.2.102"]);
    let mut hears = v3();
    for (check, again) in [(CheckAddresses::Each, 1), (CheckAddresses::NewMaster, 0)] {
        hears.check_addresses = check;
        let mut pair = differing(other.clone(), hears.clone());
        let mut noted = |from| {
            pair.from = ip(from);
            pair.pass().unwrap();
            pair.notes.len()
        };
        assert_eq!(noted("192.0.2.1"), 1);
        assert_eq!(noted("192.0.2.1"), again, "{check:?}");
        assert_eq!(noted("192.0.2.3"), 1);
        assert_eq!(noted("192.0.2.1"), 1);
    }
}
