//! What is just in and just out, and what does not matter.

use super::*;
use crate::config::{Checksum, Family, Rivals, UnicastChecksum};

/// Drivers learn the TTL of IPv6 from the system, and not always.
#[test]
fn hop_limits_of_ipv6_are_looked_at_if_known() {
    let bytes = Pair::new(v6()).send();
    for (hop_limit, reject) in [(None, false), (Some(255), false), (Some(64), true)] {
        let packet = Received {
            hop_limit,
            ..received("fe80::a", "ff02::12", &bytes)
        };
        let (result, _) = check(&v6(), &packet);
        assert_eq!(result.is_err(), reject, "{hop_limit:?}");
    }
}

/// Behind a short packet there may be what Ethernet fills up with, which some drivers leave there.
#[test]
fn ethernet_padding_is_no_part_of_it() {
    for (length, stated, taken) in [
        (46, 36, true),
        (46, 46, true),
        (42, 42, true),
        (46, 40, false),
        (50, 50, false),
    ] {
        let mut pair = Pair::new(v3());
        let result = pair.pass_changed(|b| {
            b.resize(length, 0);
            b[3] = stated;
        });
        assert_eq!(
            result.is_ok(),
            taken,
            "{length} bytes, {stated} by the header"
        );
    }
}

/// What a virtual router with `v3_checksum_as_v2` hears has any checksum.
#[test]
fn checksums_are_not_looked_at_if_so_configured() {
    let plain = RouterConfig {
        checksum: Checksum {
            plain: true,
            ..Checksum::default()
        },
        ..v3()
    };
    differing(v3(), plain.clone()).pass().unwrap();
    Pair::new(plain)
        .pass_changed(|b| b[MESSAGE + 6] ^= 1)
        .unwrap();
}

/// The upper four bits beside the interval are reserved, and to be ignored (RFC 9568 section 5.2.6).
#[test]
fn reserved_bits_are_not_looked_at() {
    let plain = RouterConfig {
        checksum: Checksum {
            plain: true,
            ..Checksum::default()
        },
        ..v3()
    };
    let mut pair = Pair::new(plain);
    let advertisement = pair.pass_changed(|b| b[MESSAGE + 4] |= 0xf0).unwrap();
    assert_eq!(advertisement.interval, Duration::from_secs(1));
    assert_eq!(pair.notes, []);
}

#[test]
fn ttls_at_the_ends_of_the_range_are_in_it() {
    for (ttl, taken) in [((255, 255), true), ((0, 255), true), ((0, 254), false)] {
        let hears = from_peers_only("192.0.2.1", ttl);
        let taken_now = differing(to_peer(), hears).pass().is_ok();
        assert_eq!(taken_now, taken, "{ttl:?}");
    }
}

#[test]
fn only_owners_are_deaf_and_only_if_so_configured() {
    for (priority, owner_deaf, heard) in [(255, true, false), (255, false, true), (254, true, true)]
    {
        let config = RouterConfig {
            priority,
            rivals: Rivals {
                owner_deaf,
                ..Rivals::default()
            },
            ..v3()
        };
        assert_eq!(
            Pair::new(config).pass().is_ok(),
            heard,
            "{priority} {owner_deaf}"
        );
    }
}

/// There is a place for authentication in version 2 over IPv4 only.
#[test]
fn authentication_is_left_out_elsewhere() {
    for authentication in [Authentication::Password([1; 8]), Authentication::Ah([1; 8])] {
        for config in [
            v3(),
            v6(),
            RouterConfig {
                version: Version::V2,
                ..v6()
            },
        ] {
            let config = RouterConfig {
                authentication,
                ..config
            };
            let plain = RouterConfig {
                authentication: Authentication::None,
                ..config.clone()
            };
            assert_eq!(Pair::new(config.clone()).send(), Pair::new(plain).send());
            Pair::new(config).pass().unwrap();
        }
    }
}

#[test]
fn intervals_are_as_near_as_the_version_can_say() {
    let cases = [
        (0, 1, 1),
        (25, 1, 2),
        (2_999, 2, 299),
        (40_950, 40, 4095),
        (60_000, 60, 4095),
        (1_000_000, 255, 4095),
    ];
    for (milliseconds, seconds, centiseconds) in cases {
        let interval = Duration::from_millis(milliseconds);
        let sent = |version| {
            let (from, to) = (ip("192.0.2.1"), ip("224.0.0.18"));
            let config = config(version, 1, &["192.0.2.100"]);
            let packet = Codec::new().advertise(&config, from, to, 100, interval, WALL);
            [packet[24], packet[25]]
        };
        assert_eq!(sent(Version::V2), [0, seconds], "{interval:?}");
        let expected = u16::to_be_bytes(centiseconds);
        assert_eq!(sent(Version::V3), expected, "{interval:?}");
    }
}

/// More addresses than can be counted, and those of the other family, are neither sent nor missed.
#[test]
fn what_cannot_be_said_is_left_out() {
    let mut config = config(Version::V2, 1, &["2001:db8::1"]);
    config.family = Family::V4;
    let many = (0..300_u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
    config.addresses.extend(many);
    let mut pair = Pair::new(config);
    let advertisement = pair.pass().unwrap();
    assert_eq!(advertisement.addresses, pair.sends.addresses[1..256]);
    assert_eq!(pair.notes, []);
}

/// `old_unicast_checksum` is about unicast: other groups than the RFC's stand in their own checksums.
#[test]
fn other_groups_have_their_own_checksums() {
    let group = ip("224.0.0.99");
    let config = RouterConfig {
        checksum: Checksum {
            unicast: UnicastChecksum::Old,
            ..Checksum::default()
        },
        transport: Transport::Multicast { group },
        ..v3()
    };
    let other = RouterConfig {
        checksum: Checksum::default(),
        ..config.clone()
    };
    let mut pair = Pair {
        hears: other,
        to: group,
        ..Pair::new(config)
    };
    pair.pass().unwrap();
}

/// Nothing can be sent from or to an address of the other family.
#[test]
fn addresses_of_the_other_family_make_nothing() {
    for (from, to) in [
        ("192.0.2.1", "ff02::12"),
        ("fe80::a", "224.0.0.18"),
        ("fe80::a", "ff02::12"),
    ] {
        let second = Duration::from_secs(1);
        let bytes = Codec::new().advertise(&v3(), ip(from), ip(to), 100, second, WALL);
        assert!(bytes.is_empty(), "{from} to {to}");
    }
}
