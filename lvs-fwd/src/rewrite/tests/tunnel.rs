//! Tunnels: what comes out at the far end is what went in.

use lvs_core::dest::GueChecksum;
use proptest::prelude::*;

use super::*;

/// Either family in a tunnel of every kind to either.
fn remotes() -> impl Iterator<Item = (Family, Rewrite)> {
    let both = || BOTH.into_iter();
    both().flat_map(move |inner| both().flat_map(tunnels).map(move |(t, _)| (inner, t)))
}

/// The inner packet with a TTL one higher again.
fn ttl_restored(mut frame: Vec<u8>) -> Vec<u8> {
    match frame[14] >> 4 {
        4 => {
            frame[22] += 1;
            samples::fix_v4(&mut frame);
        }
        _ => frame[21] += 1,
    }
    frame
}

#[test]
fn a_partial_checksum_moves_with_its_header() {
    for (family, rewrite) in remotes() {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let frame = match protocol {
                Protocol::TCP => samples::tcp(family, 0x18, b"some payload"),
                _ => samples::udp(family, b"some payload"),
            };
            let (bytes, offload) = made_partial(frame.clone(), protocol);
            let sent = Case::of(&bytes, offload).emit_one(rewrite);
            let overhead = (sent.bytes.len() - bytes.len()) as u16;
            assert!(sent.offload.needs_csum());
            let start = match (is_remote(&rewrite), sent.bytes[14] >> 4) {
                (true, 4) => 34,
                (true, _) => 54,
                (false, _) => offload.csum_start + overhead,
            };
            assert_eq!(sent.offload.csum_start, start);
            let inner = unwrapped(&finished(&sent));
            assert_eq!(ttl_restored(inner)[14..], frame[14..]);
        }
    }
}

#[test]
fn what_goes_in_comes_out_with_every_size_and_checksum_state() {
    for (family, rewrite) in remotes() {
        for len in [0, 1, 2, 99, 1300] {
            let payload: Vec<u8> = (0..len).map(|n| (n * 5) as u8).collect();
            let mut unsummed = samples::udp(Family::V4, &payload);
            unsummed[40..42].fill(0);
            let mut wrong = samples::tcp(family, 0x18, &payload);
            wrong[l4(family) + 16] ^= 0xff;
            for frame in [
                samples::tcp(family, 0x18, &payload),
                samples::udp(family, &payload),
                unsummed,
                wrong,
            ] {
                let sent = Case::of(&frame, NONE).emit_one(rewrite);
                let inner = unwrapped(&finished(&sent));
                assert_eq!(ttl_restored(inner)[14..], frame[14..], "{rewrite:?}");
            }
        }
    }
}

/// Without path MTU discovery, DF of the inner packet counts nothing.
#[test]
fn without_discovery_df_is_neither_heeded_nor_copied() {
    let frame = samples::tcp(Family::V4, 0x10, &[5; 1400]);
    for (rewrite, _) in BOTH.into_iter().flat_map(tunnels) {
        let mut case = Case::of(&frame, NONE).mtu(1400);
        assert!(matches!(case.emit(rewrite), Err(Refusal::TooBig { .. })));
        case.pmtu_disc = false;
        let sent = case.emit(rewrite).unwrap();
        assert_eq!(sent.len(), 2);
        let whole = reassembled(&sent);
        assert_eq!(ttl_restored(unwrapped(&whole))[14..], frame[14..]);
    }
    // Nor if it fits.
    for discover in [false, true] {
        let mut case = Case::of(&samples::tcp(Family::V4, 0x10, b""), NONE);
        case.pmtu_disc = discover;
        let sent = case.emit_one(tunnel("10.0.0.5"));
        assert_eq!(sent.bytes[20] & 0x40 != 0, discover);
    }
    let frame = samples::tcp(Family::V6, 0x10, &[5; 1400]);
    let mut case = Case::of(&frame, NONE).mtu(1400);
    case.pmtu_disc = false;
    let refused = case.emit(tunnel("10.0.0.5"));
    assert_eq!(refused, Err(Refusal::TooBig { mtu: 1380 }));
}

/// An option of 8 bytes has to fit too.
#[test]
fn a_checksum_for_the_receiver_takes_room() {
    let rewrite = Rewrite::Tunnel {
        remote: server(Family::V4),
        encapsulation: gue(GueChecksum::Remote),
    };
    let sized = |len: usize| samples::tcp(Family::V4, 0x10, &vec![5; len - 40]);
    let told = |(bytes, offload): (Vec<u8>, Offload)| match Case::of(&bytes, offload).emit(rewrite)
    {
        Ok(_) => None,
        Err(Refusal::TooBig { mtu }) => Some(mtu),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(told((sized(1468), NONE)), None);
    assert_eq!(told((sized(1469), NONE)), Some(1468));
    assert_eq!(told(made_partial(sized(1460), Protocol::TCP)), None);
    assert_eq!(told(made_partial(sized(1461), Protocol::TCP)), Some(1460));
    let segments = |size| made_aggregate(sized(4000), Protocol::TCP, size);
    assert_eq!(told(segments(1420)), None);
    assert_eq!(told(segments(1421)), Some(1460));
}

struct Stream {
    payload: Vec<u8>,
    flags: u8,
    gso_size: u16,
}

fn streams() -> impl Strategy<Value = Stream> {
    (1usize..9000, 200u16..1380, any::<u8>()).prop_map(|(len, gso_size, flags)| Stream {
        payload: (0..len).map(|n| (n * 7 + n / 256) as u8).collect(),
        flags: flags & !0x26 | 0x10, // SYN, RST and URG have no place in an aggregate
        gso_size,
    })
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            payload,
            flags,
            gso_size,
        } = self;
        write!(
            f,
            "{} bytes in {gso_size}s, flags {flags:#x}",
            payload.len()
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tcp_aggregates_arrive_as_the_same_stream(s in streams()) {
        for (family, rewrite) in remotes() {
            let frame = samples::tcp(family, s.flags, &s.payload);
            let id = u16::from_be_bytes([frame[18], frame[19]]);
            let (bytes, offload) = made_aggregate(frame, Protocol::TCP, s.gso_size);
            let sent = Case::of(&bytes, offload).emit(rewrite).unwrap();
            let count = s.payload.len().div_ceil(s.gso_size.into());
            prop_assert_eq!(sent.len(), count);
            let mut stream = Vec::new();
            for (i, segment) in sent.iter().enumerate() {
                prop_assert!(!segment.offload.is_aggregate() && segment.offload.needs_csum());
                let inner = unwrapped(&finished(segment));
                let after = seen(&inner);
                prop_assert_eq!(after.ttl, 63);
                let tcp = &inner[l4(family)..];
                let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
                prop_assert_eq!(seq as usize, 1000 + stream.len());
                let (first, last) = (i == 0, i + 1 == count);
                let mut flags = s.flags;
                if !first { flags &= !0x80 }
                if !last { flags &= !0x09 }
                prop_assert_eq!(tcp[13], flags);
                if family == Family::V4 {
                    let this = u16::from_be_bytes([inner[18], inner[19]]);
                    prop_assert_eq!(this, id.wrapping_add(i as u16));
                }
                prop_assert!(last || after.payload.len() == usize::from(s.gso_size));
                stream.extend(after.payload);
            }
            prop_assert_eq!(&stream, &s.payload);
        }
    }

    #[test]
    fn udp_aggregates_arrive_as_the_same_datagrams(s in streams(), unsummed in any::<bool>()) {
        for (family, rewrite) in remotes() {
            let frame = samples::udp(family, &s.payload);
            let (mut bytes, mut offload) = made_aggregate(frame, Protocol::UDP, s.gso_size);
            let unsummed = unsummed && family == Family::V4;
            if unsummed {
                bytes[40..42].fill(0);
                offload.flags = 0;
            }
            let sent = Case::of(&bytes, offload).emit(rewrite).unwrap();
            let datagrams: Vec<_> = sent
                .iter()
                .map(|d| {
                    let inner = unwrapped(&finished(d));
                    assert_eq!(unsummed, inner[l4(family) + 6..][..2] == [0, 0]);
                    seen(&inner).payload
                })
                .collect();
            let expected: Vec<_> = s.payload.chunks(s.gso_size.into()).collect();
            prop_assert_eq!(datagrams, expected);
        }
    }
}

#[test]
fn identifications_differ_where_they_matter() {
    // An IPv6 packet inside: no DF outside.
    let frame = samples::udp(Family::V6, &[1; 3000]);
    let (bytes, offload) = made_aggregate(frame, Protocol::UDP, 1000);
    let sent = Case::of(&bytes, offload).emit(tunnel("10.0.0.5")).unwrap();
    let ids: Vec<_> = sent.iter().map(|s| [s.bytes[18], s.bytes[19]]).collect();
    assert_eq!(ids, [[0, 0x77], [0, 0x78], [0, 0x79]]);
}

#[test]
fn an_aggregate_without_df_is_cut_to_what_fits() {
    for (mtu, size) in [(1500, 1440), (1000, 940)] {
        let mut frame = samples::tcp(Family::V4, 0x10, &[5; 4000]);
        frame[20] &= !0x40;
        samples::fix_v4(&mut frame);
        let (bytes, offload) = made_aggregate(frame, Protocol::TCP, 1460);
        let sent = Case::of(&bytes, offload)
            .mtu(mtu)
            .emit(tunnel("10.0.0.5"))
            .unwrap();
        let lens: Vec<_> = sent
            .iter()
            .map(|s| seen(&unwrapped(&finished(s))).payload.len())
            .collect();
        assert_eq!(lens[0], size);
        assert_eq!(lens.iter().sum::<usize>(), 4000);
    }
}
