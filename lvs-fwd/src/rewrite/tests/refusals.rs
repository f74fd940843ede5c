//! What is refused, and that it is refused untouched.

use lvs_core::Encapsulation;
use proptest::prelude::*;

use super::*;
use crate::frame::MAX_FRAME;

fn with_ttl(mut frame: Vec<u8>, ttl: u8) -> Vec<u8> {
    if frame[14] >> 4 == 4 {
        frame[22] = ttl;
        samples::fix_v4(&mut frame);
    } else {
        frame[21] = ttl;
    }
    frame
}

fn methods(family: Family) -> [Rewrite; 3] {
    let dst = Some(Endpoint::new(server(family), 8080));
    [
        ROUTE,
        Rewrite::Nat { src: None, dst },
        Rewrite::Tunnel {
            remote: server(family),
            encapsulation: Encapsulation::Ipip,
        },
    ]
}

#[test]
fn a_ttl_of_one_ends_here_and_two_arrives_as_one() {
    for family in BOTH {
        for rewrite in methods(family) {
            for ttl in [0, 1] {
                let bytes = with_ttl(samples::tcp(family, 2, b""), ttl);
                let mut case = Case::of(&bytes, NONE);
                assert_eq!(case.emit(rewrite), Err(Refusal::TtlExceeded));
                assert_eq!(case.frame.bytes(), bytes);
            }
            let bytes = with_ttl(samples::tcp(family, 2, b""), 2);
            let sent = Case::of(&bytes, NONE).emit_one(rewrite).bytes;
            let ttl_at = if family == Family::V4 { 22 } else { 21 };
            assert_eq!(sent[ttl_at], 1);
        }
    }
}

#[test]
fn no_fragments_are_made_below_the_least_mtu() {
    let mut frame = samples::udp(Family::V4, &[1; 100]);
    frame[20] &= !0x40;
    samples::fix_v4(&mut frame);
    let at = |mtu| {
        let sent = Case::of(&frame, NONE).mtu(mtu).emit(ROUTE);
        sent.map(|sent| sent.len())
    };
    assert_eq!(at(68), Ok(3)); // 108 bytes in pieces of 48
    assert_eq!(at(67), Err(Refusal::TooBig { mtu: 67 }));
}

/// The length of the packet, of its segments if it is an aggregate, and the MTU that is told.
#[test]
fn the_mtu_told_is_that_of_the_way_less_the_tunnel() {
    let sized = |family, len: usize| {
        let headers = l4(family) - 14 + 20;
        samples::tcp(family, 0x10, &vec![0; len - headers])
    };
    let told =
        |frame: &[u8], offload, mtu, rewrite| match Case::of(frame, offload).mtu(mtu).emit(rewrite)
        {
            Ok(_) => None,
            Err(Refusal::TooBig { mtu }) => Some(mtu),
            Err(other) => panic!("{other:?}"),
        };
    let all = BOTH.into_iter().flat_map(|inner| {
        let through = BOTH.into_iter().flat_map(tunnels);
        through.map(move |(rewrite, overhead)| (inner, rewrite, overhead))
    });
    for (inner, through, overhead) in all {
        let most = 1500 - overhead;
        assert_eq!(told(&sized(inner, most), NONE, 1500, through), None);
        assert_eq!(
            told(&sized(inner, most + 1), NONE, 1500, through),
            Some(most as u32)
        );
        assert_eq!(told(&sized(inner, 1400), NONE, 1400, ROUTE), None);
        assert_eq!(told(&sized(inner, 1401), NONE, 1400, ROUTE), Some(1400));

        let headers = (l4(inner) - 14 + 20) as u16;
        let aggregate =
            |segment: u16| made_aggregate(sized(inner, 9000), Protocol::TCP, segment - headers);
        let option = if is_remote(&through) { 8 } else { 0 };
        for (rewrite, most) in [(through, most as u16 - option), (ROUTE, 1500)] {
            let (fits, offload) = aggregate(most);
            assert_eq!(told(&fits, offload, 1500, rewrite), None);
            let (big, offload) = aggregate(most + 1);
            assert_eq!(told(&big, offload, 1500, rewrite), Some(most.into()));
        }
    }
}

#[test]
fn routed_aggregates_without_df_get_smaller_segments() {
    let mut frame = samples::tcp(Family::V4, 0x10, &[5; 4000]);
    frame[20] &= !0x40;
    samples::fix_v4(&mut frame);
    let (bytes, offload) = made_aggregate(frame, Protocol::TCP, 1460);
    let sent = Case::of(&bytes, offload).mtu(1000).emit_one(ROUTE);
    let expected = Offload {
        gso_size: 960,
        ..offload
    };
    assert_eq!(sent.offload, expected);
}

#[test]
fn a_tunnel_needs_room_and_a_source() {
    let unsupported = Err(Refusal::Drop(DropReason::Unsupported));
    let v4 = samples::udp(Family::V4, b"");
    let v6 = samples::udp(Family::V6, b"");
    let at = |frame: &[u8], mtu, remote| {
        let sent = Case::of(frame, NONE).mtu(mtu).emit(tunnel(remote));
        sent.map(|sent| sent.len())
    };
    assert_eq!(at(&v4, 87, "10.0.0.5"), unsupported);
    assert_eq!(at(&v4, 88, "10.0.0.5"), Ok(1));
    assert_eq!(at(&v6, 87, "10.0.0.5"), unsupported);
    assert_eq!(at(&v6, 88, "10.0.0.5"), Ok(1));
    for inner in [&v4, &v6] {
        assert_eq!(at(inner, 1319, "fd00::5"), unsupported);
        assert_eq!(at(inner, 1320, "fd00::5"), Ok(1));
    }

    let mut case = Case::of(&v4, NONE);
    let egress = |source| Egress {
        hop: NextHop {
            port: PortId(0),
            src_mac: OWN,
            dst_mac: NEXT,
            mtu: 1500,
        },
        source,
    };
    for source in [None, Some(server(Family::V6))] {
        let mut out = Outputs::default();
        let refused = Rewriter::new(0).emit(
            &tunnel("10.0.0.5"),
            &egress(source),
            0,
            &mut case.frame,
            &case.packet,
            &mut out,
        );
        assert_eq!(refused, Err(Refusal::Drop(DropReason::Unsupported)));
        assert!(out.is_empty());
    }
}

#[test]
fn what_cannot_be_translated_is_dropped() {
    let unsupported = Err(Refusal::Drop(DropReason::Unsupported));
    let bytes = samples::tcp(Family::V4, 2, b"");
    let wrong_family = nat(None, Some("[fd00::5]:80"));
    assert_eq!(Case::of(&bytes, NONE).emit(wrong_family), unsupported);

    let odd = |change: fn(&mut Offload)| {
        let (bytes, mut offload) =
            made_aggregate(samples::tcp(Family::V4, 2, &[0; 3000]), Protocol::TCP, 1000);
        change(&mut offload);
        Case::of(&bytes, offload).emit(ROUTE).map(|sent| sent.len())
    };
    assert_eq!(odd(|_| {}), Ok(1));
    assert_eq!(odd(|o| o.gso_type = 3), unsupported.clone().map(|_| 0)); // UFO
    assert_eq!(
        odd(|o| o.gso_type = Offload::GSO_TCPV6),
        unsupported.clone().map(|_| 0)
    );
    assert_eq!(odd(|o| o.csum_start = 54), unsupported.map(|_| 0));
    let bad_length = Err(Refusal::Drop(DropReason::BadLength));
    assert_eq!(odd(|o| o.gso_size = 0), bad_length);
    assert_eq!(odd(|o| o.csum_start = 33), bad_length); // in the IP header
    assert_eq!(odd(|o| o.csum_offset = 4000), bad_length);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Layout, offload state and frame need not fit together: nothing panics, and a refused frame is as it was.
    #[test]
    fn nothing_panics_and_refused_frames_are_untouched(
        kind in 0usize..8,
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        offsets in any::<[u16; 4]>(),
        wild in any::<[bool; 6]>(),
        len in any::<u32>(),
        gso in any::<[u16; 3]>(),
        flags in any::<[u8; 2]>(),
        mtu in prop_oneof![0u32..200, 1000u32..2000, any::<u32>()],
    ) {
        let family = if kind % 2 == 0 { Family::V4 } else { Family::V6 };
        let (mut bytes, offload) = match kind / 2 {
            0 => made_aggregate(samples::tcp(family, 0x10, &[1; 4000]), Protocol::TCP, 1400),
            1 => made_aggregate(samples::udp(family, &[1; 4000]), Protocol::UDP, 1400),
            2 => (samples::udp(family, &[1; 1400]), NONE),
            _ => {
                let quoted = samples::quoted(family, Protocol::TCP, 80);
                let (t, c) = if family == Family::V4 { (3, 1) } else { (1, 0) };
                (samples::icmp_error(family, t, c, &quoted), NONE)
            }
        };
        let mut case = Case::of(&bytes, offload).mtu(mtu);
        for (at, value) in noise {
            let at = at.index(bytes.len().min(100));
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert!(bytes.len() <= MAX_FRAME);
        let layout = &mut case.packet.layout;
        if wild[0] { layout.l3 = offsets[0] % 200 }
        if wild[1] { layout.l4 = offsets[1] % 300 }
        if wild[2] { layout.len = len % 70_000 }
        if let (true, Some(inner)) = (wild[3], &mut layout.inner) {
            inner.l3 = offsets[2] % 200;
            inner.l4 = offsets[3] % 200;
        }
        let mut offload = offload;
        if wild[4] { (offload.gso_size, offload.csum_start, offload.csum_offset) = (gso[0] % 3000, gso[1] % 200, gso[2] % 200) }
        if wild[5] { (offload.flags, offload.gso_type) = (flags[0] & 1, flags[1] % 6) }
        let packet = case.packet;
        let rewrites = [
            ROUTE,
            nat(None, Some("10.0.0.5:80")),
            nat(Some("[fd00::6]:5"), Some("[fd00::5]:80")),
        ];
        let through = BOTH.into_iter().flat_map(tunnels).map(|(tunnel, _)| tunnel);
        for rewrite in rewrites.into_iter().chain(through) {
            let mut frame = samples::frame(&bytes);
            frame.offload = offload;
            let mut out = Outputs::default();
            let egress = Egress {
                hop: NextHop { port: PortId(0), src_mac: OWN, dst_mac: NEXT, mtu },
                source: Some(match rewrite {
                    Rewrite::Tunnel { remote, .. } => remote,
                    _ => server(Family::V4),
                }),
            };
            let refused = Rewriter::new(0)
                .emit(&rewrite, &egress, 0, &mut frame, &packet, &mut out)
                .is_err();
            prop_assert_eq!(refused, out.is_empty());
            if refused {
                prop_assert_eq!(frame.bytes(), &bytes[..]);
                prop_assert_eq!(frame.offload, offload);
            }
            for sent in out.for_port(PortId(0), std::slice::from_ref(&frame)) {
                let bytes = sent.to_vec();
                prop_assert_eq!(&bytes[..12], &[NEXT.0, OWN.0].concat()[..]);
                prop_assert!(sent.offload.is_aggregate() || bytes.len() - 14 <= mtu as usize);
            }
        }
    }
}
