//! Fragments of what we send.

use etherparse::{IpHeaders, Ipv4Header, Ipv4Options};
use proptest::prelude::*;

use super::*;

fn without_df() -> Ipv4Header {
    Ipv4Header {
        dont_fragment: false,
        identification: 0x4242,
        ..samples::v4_header()
    }
}

fn datagram(header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    samples::udp_with(
        IpHeaders::Ipv4(header, Default::default()),
        5000,
        53,
        payload,
    )
}

fn bytes_of(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 3 + n / 256) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn fragments_make_up_the_packet(len in 0usize..4000, mtu in 68u32..1500, partial in any::<bool>()) {
        let payload = bytes_of(len);
        let frame = datagram(without_df(), &payload);
        let (bytes, offload) = if partial {
            made_partial(frame, Protocol::UDP)
        } else {
            (frame, NONE)
        };
        let there = nat(None, Some("10.0.0.5:5353"));
        let sent = Case::of(&bytes, offload).mtu(mtu).emit(there).unwrap();
        let fits = bytes.len() - 14 <= mtu as usize;
        prop_assert_eq!(sent.len() == 1, fits);
        let whole = if fits {
            finished(&sent[0])
        } else {
            prop_assert!(sent.iter().all(|f| f.offload == NONE));
            reassembled(&sent)
        };
        let after = seen(&whole);
        prop_assert_eq!((after.payload, after.ttl), (payload, 63));
        prop_assert_eq!(after.dst, ep("10.0.0.5:5353"));
    }

    #[test]
    fn tunnels_fragment_the_outer_packet(
        len in 1300usize..4000,
        mtu in 200u32..1500,
        partial in any::<bool>(),
        v6 in any::<bool>(),
    ) {
        let payload = bytes_of(len);
        let frame = datagram(without_df(), &payload);
        let (bytes, offload) = if partial {
            made_partial(frame, Protocol::UDP)
        } else {
            (frame, NONE)
        };
        for (rewrite, mut overhead) in tunnels(if v6 { Family::V6 } else { Family::V4 }) {
            if partial && is_remote(&rewrite) {
                overhead += 8;
            }
            let mtu = if v6 { mtu.max(1280 + overhead as u32) } else { mtu };
            let sent = Case::of(&bytes, offload).mtu(mtu).emit(rewrite).unwrap();
            let fits = bytes.len() - 14 + overhead <= mtu as usize;
            prop_assert_eq!(fits, sent.len() == 1);
            let whole = if fits {
                finished(&sent[0])
            } else {
                prop_assert!(sent.iter().all(|f| f.offload == NONE));
                reassembled(&sent)
            };
            let after = seen(&unwrapped(&whole));
            prop_assert_eq!((&after.payload, after.ttl), (&payload, 63));
            prop_assert_eq!(after.dst, Endpoint::new(vip(Family::V4), 53));
        }
    }

    #[test]
    fn datagrams_of_an_aggregate_are_fragmented_one_by_one(
        len in 1usize..5000,
        encapsulation in prop::option::of(0..ENCAPSULATIONS.len()),
    ) {
        let in_tunnel = encapsulation.is_some();
        let payload = bytes_of(len);
        let (bytes, offload) = made_aggregate(datagram(without_df(), &payload), Protocol::UDP, 1400);
        let rewrite = match encapsulation {
            Some(i) => tunnels(Family::V4).nth(i).unwrap().0,
            None => ROUTE,
        };
        let sent = Case::of(&bytes, offload).mtu(1000).emit(rewrite).unwrap();
        let expected: Vec<_> = payload.chunks(1400).map(<[u8]>::to_vec).collect();
        if len <= 1000 - 28 && !in_tunnel {
            // Fits as it is; the kernel makes it one datagram.
            prop_assert_eq!(sent.len(), 1);
            return Ok(());
        }
        let mut datagrams = Vec::new();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let is_last = |f: &MemFrame| f.bytes[20] & 0x20 == 0;
            let count = 1 + rest.iter().position(is_last).unwrap();
            let (these, others) = rest.split_at(count);
            rest = others;
            let whole = if count == 1 { finished(&these[0]) } else { reassembled(these) };
            let whole = if in_tunnel { unwrapped(&whole) } else { whole };
            datagrams.push(seen(&whole).payload);
        }
        prop_assert_eq!(datagrams, expected);
    }
}

/// RFC 791: options whose "copied" flag is set are in every fragment, the others in the first only.
#[test]
fn options_are_repeated_if_their_flag_says_so() {
    // No operation, security (copied), record route (not copied).
    let options = [1, 130, 4, 0xaa, 0xbb, 7, 3, 4];
    let header = Ipv4Header {
        options: Ipv4Options::try_from(&options[..]).unwrap(),
        ..without_df()
    };
    let bytes = datagram(header, &bytes_of(300));
    let sent = Case::of(&bytes, NONE).mtu(150).emit(ROUTE).unwrap();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0].bytes[34..42], options);
    for later in &sent[1..] {
        assert_eq!(later.bytes[14], 0x46);
        assert_eq!(later.bytes[34..38], [130, 4, 0xaa, 0xbb]);
    }
    assert_eq!(reassembled(&sent)[42..], bytes[42..]);
}

#[test]
fn a_fragment_may_be_cut_again() {
    let payload = bytes_of(800);
    for (offset, more) in [(0, true), (160, true), (1600, false)] {
        let piece = crate::wire::Fragment {
            id: 7,
            offset,
            more,
        };
        let mut payload = payload.clone();
        payload[4..6].copy_from_slice(&2000u16.to_be_bytes()); // UDP length, in the first
        let bytes = samples::fragment(Family::V4, Protocol::UDP, piece, &payload);
        let sent = Case::of(&bytes, NONE).mtu(500).emit(ROUTE).unwrap();
        let mut at = offset;
        let mut data: Vec<u8> = Vec::new();
        for (i, f) in sent.iter().enumerate() {
            let field = u16::from_be_bytes([f.bytes[20], f.bytes[21]]);
            assert_eq!((field & 0x1fff) * 8, at);
            assert_eq!(field & 0x2000 != 0, more || i + 1 < sent.len());
            assert_eq!(f.bytes[18..20], [0, 7]);
            assert_eq!(checksum::of(&f.bytes[14..34]), 0);
            at += (f.bytes.len() - 34) as u16;
            data.extend(&f.bytes[34..]);
        }
        assert_eq!(sent.len(), 2);
        assert_eq!(data, payload);
    }
}
