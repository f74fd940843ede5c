//! For all configurations, and for all bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::{Checksum, Replay, UnicastChecksum};
use crate::packet::vrid_of;

fn addresses(family: Family) -> BoxedStrategy<Vec<IpAddr>> {
    let v4 = any::<u32>().prop_map(|a| IpAddr::V4(Ipv4Addr::from(a)));
    let v6 = any::<u128>().prop_map(|a| IpAddr::V6(Ipv6Addr::from(a)));
    match family {
        Family::V4 => vec(v4, 0..6).boxed(),
        Family::V6 => vec(v6, 0..6).boxed(),
    }
}

fn trailers() -> impl Strategy<Value = Option<Trailer>> {
    let mode = prop_oneof![Just(TrailerMode::Enforce), Just(TrailerMode::Permissive)];
    let replay = prop_oneof![Just(Replay::Time), Just(Replay::Monotonic)];
    let trailer = (vec(any::<u8>(), 0..100), any::<u8>(), mode, replay).prop_map(
        |(secret, id, mode, replay)| Trailer {
            keys: vec![TrailerKey { id, secret }],
            active: id,
            replay,
            window: Duration::from_secs(5),
            mode,
        },
    );
    proptest::option::of(trailer)
}

/// What the two partners have in common, of every kind that makes sense.
fn configs() -> impl Strategy<Value = RouterConfig> {
    let kind = prop_oneof![
        Just((Version::V2, Family::V4)),
        Just((Version::V3, Family::V4)),
        Just((Version::V3, Family::V6)),
        Just((Version::V2, Family::V6)),
    ];
    kind.prop_flat_map(|(version, family)| {
        let interval = match version {
            Version::V2 => (1..=255_u64).prop_map(Duration::from_secs).boxed(),
            Version::V3 => (1..=4095_u64)
                .prop_map(|n| Duration::from_millis(n * 10))
                .boxed(),
        };
        let authentication = match (version, family) {
            (Version::V2, Family::V4) => prop_oneof![
                Just(Authentication::None),
                any::<[u8; 8]>().prop_map(Authentication::Password),
                any::<[u8; 8]>().prop_map(Authentication::Ah),
            ]
            .boxed(),
            _ => Just(Authentication::None).boxed(),
        };
        let way = prop_oneof![
            Just(UnicastChecksum::Detect),
            Just(UnicastChecksum::Old),
            Just(UnicastChecksum::New)
        ];
        let transport = any::<Option<u8>>().prop_map(move |ttl| match (ttl, family) {
            (None, _) => Transport::multicast(family),
            (ttl, Family::V4) => unicast(&["192.0.2.1", "192.0.2.2"], ttl),
            (ttl, Family::V6) => unicast(&["fe80::a", "fe80::b"], ttl),
        });
        let addresses = addresses(family);
        let rest = (1..=255_u8, 0..=255_u8, interval, authentication, way);
        (addresses, trailers(), transport, rest).prop_map(
            move |(addresses, trailer, transport, rest)| {
                let (vrid, priority, interval, authentication, unicast) = rest;
                RouterConfig {
                    version,
                    family,
                    priority,
                    interval,
                    transport,
                    authentication,
                    trailer,
                    checksum: Checksum {
                        plain: false,
                        unicast,
                    },
                    ..RouterConfig::new("any", vrid, addresses)
                }
            },
        )
    })
}

proptest! {
    /// What one makes the other takes, and it says the same.
    #[test]
    fn partners_understand_each_other(config in configs(), times in 1..4) {
        let mut pair = Pair::new(config.clone());
        for _ in 0..times {
            let bytes = pair.send();
            prop_assert_eq!(vrid_of(config.family, &bytes), Some(config.vrid));
            let advertisement = pair.hear(&bytes);
            let expected = Advertisement {
                from: pair.from,
                vrid: config.vrid,
                priority: config.priority,
                interval: config.interval,
                addresses: config.addresses.clone(),
            };
            prop_assert_eq!(advertisement, Ok(expected));
            prop_assert_eq!(&pair.notes, &[]);
        }
    }

    /// A flipped bit of a message is noticed, for the checksum is over all of it. Some flips make it another router's or
    /// version's, which is noticed in another way. A trailer that is demanded, and its message, are under its sum as well.
    #[test]
    fn a_flipped_bit_of_the_message_drops_it(config in configs(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut pair = Pair::new(config);
        let mut bytes = pair.send();
        let message = match pair.sends.family {
            Family::V4 if bytes[9] == 51 => 44,
            Family::V4 => 20,
            Family::V6 => 0,
        };
        let at = message + at.index(bytes.len() - message);
        bytes[at] ^= 1 << bit;
        prop_assert!(pair.hear(&bytes).is_err(), "bit {} of byte {}", bit, at);
    }

    /// AH is over the IP header too, but for what may change on the way.
    #[test]
    fn a_flipped_bit_drops_what_has_ah(key in any::<[u8; 8]>(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut pair = Pair::new(v2_with(Authentication::Ah(key)));
        let mut bytes = pair.send();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let may_change = matches!(at, 1 | 6 | 7 | 10 | 11);
        prop_assert_eq!(pair.hear(&bytes).is_ok(), may_change, "bit {} of byte {}", bit, at);
    }

    #[test]
    fn a_truncated_one_is_dropped(config in configs(), at in any::<prop::sample::Index>()) {
        let mut pair = Pair::new(config);
        let bytes = pair.send();
        // Without its trailer it is whole again, if none is demanded.
        if let Some(trailer) = &mut pair.hears.trailer {
            trailer.mode = TrailerMode::Enforce;
        }
        prop_assert!(pair.hear(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Nothing that comes upsets it: each bit of rubbish is either dropped or well-formed by all rules.
    #[test]
    fn rubbish_is_dropped(config in configs(), bytes in vec(any::<u8>(), 0..120)) {
        let _ = vrid_of(config.family, &bytes);
        prop_assert!(Pair::new(config).hear(&bytes).is_err());
    }

    /// The same of what looks like an advertisement.
    #[test]
    fn damaged_ones_do_no_harm(
        config in configs(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in 0..200_usize,
    ) {
        let mut pair = Pair::new(config);
        let mut bytes = pair.send();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.resize(length, 0);
        let _ = vrid_of(pair.hears.family, &bytes);
        if let Ok(advertisement) = pair.hear(&bytes) {
            prop_assert!(advertisement.interval >= Duration::from_millis(10));
            prop_assert_eq!(advertisement.vrid, pair.hears.vrid);
        }
    }
}
